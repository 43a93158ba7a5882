"""Scoring: what probes tell from each layer of a model, as rows of plain numbers.

Every seed learns from its own draw of train and, where a model was trained under several seeds, from the states of its
own one. A score is the mean over seeds; its interval is that of a bootstrap over test examples (percentiles), so that
it speaks of other test sentences and not of other seeds, whose deviation stands beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from limbeck.analyse.probes.classifier import Kind, Told, probe
from limbeck.analyse.probes.controls import control
from limbeck.analyse.probes.mixing import Mixed, mix
from limbeck.analyse.probes.task import EdgeTask, Part, SentenceTask, Task, rows_of
from limbeck.analyse.representations import Representations

Row = dict[str, Any]
WORDS = "words"
"""In the place of a pooling: states of words, not of sentences."""


@dataclass(frozen=True, slots=True)
class Scoring:
    """How probes are trained and scored.

    Attributes:
        kinds: Which classifiers.
        penalties: Strengths of regularisation that dev chooses from.
        seeds: How many probes of a kind.
        drawn: Share of train that each of them learns from.
        controls: Whether edges are told from random labels, too.
        resamples: Of the bootstrap.
        interval: How much of it an interval holds.
    """

    kinds: Sequence[Kind] = ("logistic",)
    penalties: Sequence[float] = (0.1, 1.0, 10.0)
    seeds: int = 3
    drawn: float = 0.8
    controls: bool = True
    resamples: int = 1000
    interval: float = 0.95


def rows_of_task(
    task: Task, members: Sequence[Representations], how: Scoring, advance: Callable[[], None] = lambda: None
) -> Iterator[Row]:
    """Score a model on a task.

    Args:
        task: Whose sentences all members have read.
        members: The model's states, of several seeds in turn; of one model, one.
        how: How probes are trained.
        advance: Is called after each probe.

    Yields:
        A row a layer, pooling and classifier (``kind: probe``); of edges one of the mixing probe (``kind: mix``), too.
    """
    if isinstance(task, EdgeTask):
        yield from _of_edges(task, members, how, advance)
    else:
        yield from _of_sentences(task, members, how, advance)


def probes_of(task: Task, members: Sequence[Representations], how: Scoring) -> int:
    """How many probes :func:`rows_of_task` trains, those of control tasks and mixing probes among them."""
    layers = len(members[0].layers)
    if isinstance(task, SentenceTask):
        return layers * len(members[0].poolings) * len(how.kinds) * how.seeds
    return layers * len(how.kinds) * how.seeds * (1 + how.controls) + how.seeds


def _of_sentences(
    task: SentenceTask, members: Sequence[Representations], how: Scoring, advance: Callable[[], None]
) -> Iterator[Row]:
    states = [member.of(task.sentences) for member in members]
    parts = _drawn(task, how)
    for pooling in members[0].poolings:
        for layer in members[0].layers:
            for kind in how.kinds:
                told = []
                for seed, rows in enumerate(parts):
                    features = states[seed % len(states)].layer(layer, pooling)
                    told.append(
                        probe(features, task.labels, rows, kind=kind, penalties=how.penalties, seed=seed)
                    )
                    advance()
                yield _row(task, layer, pooling, kind, told, how)


def _of_edges(
    task: EdgeTask, members: Sequence[Representations], how: Scoring, advance: Callable[[], None]
) -> Iterator[Row]:
    spans = [(edge.sentence, edge.spans) for edge in task.edges]
    states = [member.of_spans(task.sentences, spans) for member in members]
    parts = _drawn(task, how)
    for layer in members[0].layers:
        for kind in how.kinds:
            told: list[Told] = []
            others: list[Told] = []
            for seed, rows in enumerate(parts):
                features = states[seed % len(states)].layer(layer)
                told.append(probe(features, task.labels, rows, kind=kind, penalties=how.penalties, seed=seed))
                advance()
                if how.controls:
                    labels = control(task, seed).labels
                    others.append(
                        probe(features, labels, rows, kind=kind, penalties=how.penalties, seed=seed)
                    )
                    advance()
            yield _row(task, layer, WORDS, kind, told, how) | _selectivity(told, others)
    mixed = []
    for seed, rows in enumerate(parts):
        each = states[seed % len(states)]
        found = mix([each.layer(n) for n in members[0].layers], task.labels, rows, penalties=how.penalties)
        mixed += [] if found is None else [found]
        advance()
    if mixed:
        yield _mixed(task, mixed, how)


def _drawn(task: Task, how: Scoring) -> list[Mapping[Part, NDArray[np.int64]]]:
    """Rows of each part, for each seed."""
    rows = rows_of(task)
    found: list[Mapping[Part, NDArray[np.int64]]] = []
    for seed in range(how.seeds):
        train = rows["train"]
        kept = np.random.default_rng((7, seed)).permutation(len(train))[
            : max(1, round(how.drawn * len(train)))
        ]
        found.append({**rows, "train": train[np.sort(kept)]})
    return found


def _row(task: Task, layer: int, pooling: str, kind: Kind, told: Sequence[Told], how: Scoring) -> Row:
    return {
        "kind": "probe",
        "task": task.name,
        "layer": layer,
        "pooling": pooling,
        "classifier": kind,
        **_score([each.right for each in told], how),
        "dev": float(np.mean([each.dev for each in told])),
        "penalty": float(np.median([each.penalty for each in told])),
    }


def _score(right: Sequence[NDArray[np.bool_]], how: Scoring) -> Row:
    """Accuracy, its interval, and that of each seed."""
    of_seeds = [float(each.mean()) for each in right]
    low, high = interval(np.mean(right, axis=0), how.resamples, how.interval)
    return {
        "accuracy": float(np.mean(of_seeds)),
        "low": low,
        "high": high,
        "deviation": float(np.std(of_seeds, ddof=1)) if len(of_seeds) > 1 else None,
        "seeds": of_seeds,
    }


def _selectivity(told: Sequence[Told], others: Sequence[Told]) -> Row:
    if not others:
        return {}
    known = float(np.mean([each.accuracy for each in others]))
    return {"control": known, "selectivity": float(np.mean([each.accuracy for each in told])) - known}


def _mixed(task: Task, mixed: Sequence[Mixed], how: Scoring) -> Row:
    return {
        "kind": "mix",
        "task": task.name,
        "layers": list(mixed[0].layers),
        "weights": np.mean([each.weights for each in mixed], axis=0).tolist(),
        "gravity": float(np.mean([each.gravity for each in mixed])),
        **_score([each.right for each in mixed], how),
    }


def interval(shares: NDArray[np.floating], resamples: int, share: float) -> tuple[float, float]:
    """Ends of a percentile interval of the mean over examples.

    Args:
        shares: Of each example, by how many seeds it was told, ``(examples,)``.
        resamples: How often test is drawn anew, with replacement.
        share: How much of the means lies between the ends.
    """
    random = np.random.default_rng(0)
    # How often each example is drawn; the same for all tasks of a size, so that they are compared on equal draws.
    means = np.array([shares[random.integers(0, len(shares), len(shares))].mean() for _ in range(resamples)])
    low, high = np.quantile(means, [(1 - share) / 2, (1 + share) / 2])
    return float(low), float(high)
