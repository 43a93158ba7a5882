"""A step of training and a sentence of decoding of five parallel translators, against fairseq's own.

    python benchmarks/against_fairseq.py --fairseq FOLDER/bin/python   # two quiet cores: about an hour
    python benchmarks/against_fairseq.py --fairseq … --quick   # a minute: does it run? (its figures mean nothing)

fairseq lives in an environment of its own, whose Python ``--fairseq`` or LIMBECK_FAIRSEQ names (docs/benchmarks.md
says how to make one), and runs in a process of its own (``fairseq_worker.py``). The two take turns, so that only one
computes at a time, each on one thread; figures are medians.

*Step*: forward, backward and an AdamW update on 32 pairs of Multi30k. Both get the same token ids in the same batches,
pairs of 12 to 20 pieces on either side, and have the same sizes, vocabulary, dropout and label smoothing, all
embeddings tied, and random weights. Each steps as its training loop does, without journals: Limbeck with its loop's
own objective, gradients and fused AdamW; fairseq with ``task.train_step`` (which makes the noise), clipping, and its
own Adam; its batches are padded before the clock starts. ``update`` of a row is the clipping and the update alone.

*Decoding*: a sentence alone, from token ids to token ids. Untrained models agree on nothing, so both are made to do
the same work, and that they do is checked for every sentence (calls of the decoder's layers, tokens written): stopping
early is off; both take as many passes (``vanilla`` 1, ``inat``, ``maskt`` and ``levenshtein`` 10, ``insertion`` as many
as ``n`` has binary digits), and what decides how much is left to do is computed and then replaced. Lengths are the
source's, ``n``; ``insertion`` fills every slot, so that ``p`` passes write ``2^p - 1`` tokens; ``levenshtein`` deletes
every other token and asks for as many as are missing.

Not made equal, for it is what they are: fairseq frames sources and targets in a start and an end token, and its places
count them; Limbeck's vanilla attends to positions too, as published, which fairseq's leaves out.

A row a size, student and figure. ``times_faster`` is fairseq's median over Limbeck's. The aims rest on PyTorch against
PyTorch, on the worst of the five students; what the same students do as bundles (``onnx``, ``onnx-int8``), of which
fairseq has no counterpart, stands in rows and aims of its own. Rows are written once they are finished; run again, it
goes on where it stopped. LIMBECK_DATA names the folder that holds ``multi30k``. Other work on the machine falsifies
the figures: each row says the load before it.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import command
import translators
from fairseq_sides import ENGINES_TIMED, PYTORCH, Decoded, Fairseq, Limbeck
from fairseq_text import Text, encoded_of, ids_of, read
from limbeck import models
from limbeck.core import progress
from limbeck.core.errors import LimbeckError
from limbeck.evaluate.speed import one_thread, undisturbed
from limbeck.models.embeddings import vocabulary_size
from results_file import Aim, ResultsFile, Row

QUICK = Path("runs/against_fairseq/quick.json")
LOG = Path("runs/against_fairseq/fairseq.log")
KINDS = ("vanilla", "inat", "maskt", "insertion", "levenshtein")
STEP, DECODING = "training step", "decoding"
BATCH = 32
PASSES = 10
"""Of the students that refine; of ten the last is what fairseq calls the ninth iteration."""
TRAINING: dict[str, float] = {
    "dropout": 0.1,
    "label_smoothing": 0.1,
    "learning_rate": 5e-4,
    "weight_decay": 0.01,
    "clip": 1.0,
}
DECODER_RUNS = 4
"""Of a step of ``inat`` in fairseq, as many as Limbeck's student learns by default."""


@dataclass(frozen=True)
class Size:
    """What is measured.

    Attributes:
        shapes: Of the models, by name.
        steps: Timed ones.
        sentences: Decoded.
        vocabulary: Pieces.
    """

    shapes: Mapping[str, Mapping[str, int]]
    steps: int
    sentences: int
    vocabulary: int = translators.VOCABULARY


FULL = Size(
    {
        "3 × 128": {"layers": 3, "width": 128, "heads": 2, "feed_forward": 512},
        "6 × 512": {"layers": 6, "width": 512, "heads": 8, "feed_forward": 2048},
    },
    steps=12,
    sentences=60,
)
TRIAL = Size(
    {"1 × 32": {"layers": 1, "width": 32, "heads": 2, "feed_forward": 64}},
    steps=2,
    sentences=4,
    vocabulary=600,
)
TURN = 10
"""Sentences that a side decodes before it is the next one's turn."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Time what is not there yet, then judge the aims."""
    options = asked(arguments)
    size = TRIAL if options.quick else FULL
    flag = " --quick" * options.quick
    path = QUICK if options.quick else command.RESULTS / "against_fairseq.json"
    results = ResultsFile(path, f"python benchmarks/against_fairseq.py{flag}")
    left = [(name, kind) for name in size.shapes for kind in available() if missing(results, name, kind)]
    if left:
        text = read(size.vocabulary, pairs=8 * BATCH, sentences=size.sentences)
        with Fairseq(options.fairseq, LOG) as theirs, one_thread(), undisturbed(), progress.silently():
            for name, kind in left:
                measure(name, kind, size, text, theirs, results)
    command.judged(results, aims(size))


def asked(arguments: Sequence[str] | None) -> argparse.Namespace:
    """What the command line says.

    Raises:
        LimbeckError: No Python is named.
    """
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help=f"a trial of a minute, written to {QUICK}")
    parser.add_argument(
        "--fairseq", default=os.environ.get("LIMBECK_FAIRSEQ"), help="Python of fairseq's environment"
    )
    options = parser.parse_args(arguments)
    if options.fairseq is None:
        raise LimbeckError("no fairseq to measure against is named", fix="--fairseq FOLDER/bin/python")
    if options.quick:
        QUICK.unlink(missing_ok=True)
    return options


def available() -> list[str]:
    """Those of the five that there are."""
    return [kind for kind in KINDS if kind in models.kinds("translation")]


def missing(results: ResultsFile, size: str, kind: str) -> list[str]:
    """What of a student is not measured yet."""
    return [what for what in (STEP, DECODING) if not results.has(size=size, student=kind, what=what)]


# ------------------------------------------------------------ timing


def measure(name: str, kind: str, size: Size, text: Text, theirs: Fairseq, results: ResultsFile) -> None:
    """Rows of a student of a size."""
    shape, load = size.shapes[name], round(os.getloadavg()[0], 2)
    data = encoded_of(text.subwords, text.train)
    ours = Limbeck(kind, shape, text.subwords, TRAINING, data)
    training = {**TRAINING, "train_step": DECODER_RUNS}
    built = theirs.build(kind, shape, vocabulary_size(text.subwords.source), training)
    place = {
        "size": name,
        "student": kind,
        "parameters": ours.parameters,
        "fairseq_parameters": built["parameters"],
        "fairseq": built["fairseq"],
        "fairseq_torch": built["torch"],
        "load": load,
    }
    for what in missing(results, name, kind):
        for row in (steps if what == STEP else decodings)(size, text, ours, theirs):
            results.append(**place, what=what, **row)
            print(f"{name}, {kind}, {what}, {row['engine']}: {row['times_faster']:.2f} times faster")


def steps(size: Size, text: Text, ours: Limbeck, theirs: Fairseq) -> list[Row]:
    """The row of training steps, which the sides take in turn."""
    ids = ids_of(encoded_of(text.subwords, text.train))
    batches = [range(first, first + BATCH) for first in range(0, len(ids) - BATCH + 1, BATCH)]
    sides: list[Callable[[range], tuple[float, float]]] = [
        ours.step,
        lambda rows: theirs.step([ids[row] for row in rows]),
    ]
    taken: tuple[list[tuple[float, float]], ...] = ([], [])
    for number in range(-1, size.steps):  # the first warms up
        for side in (0, 1) if number % 2 else (1, 0):
            seconds = sides[side](batches[number % len(batches)])
            if number >= 0:
                taken[side].append(seconds)
    (mine, my_update), (other, other_update) = (
        [1e3 * statistics.median(each) for each in zip(*some, strict=True)] for some in taken
    )
    return [
        {
            "engine": PYTORCH,
            **compared(mine, other),
            "limbeck_update_ms": my_update,
            "fairseq_update_ms": other_update,
            "batch": BATCH,
            "steps": size.steps,
        }
    ]


def decodings(size: Size, text: Text, ours: Limbeck, theirs: Fairseq) -> list[Row]:
    """Rows of decoding, one an engine."""
    sources = [source for source, _ in ids_of(encoded_of(text.subwords, text.sources))]
    passes = [passes_of(ours.kind, len(source)) for source in sources]
    with tempfile.TemporaryDirectory(prefix="limbeck-") as scratch:
        sides: dict[str, Any] = ours.engines(Path(scratch), [one.text for one in text.sources[:20]])
        sides["fairseq"] = theirs
        found = in_turn(sides, sources, passes)
    for engine, decoded in found.items():
        same_work(engine, decoded, found["fairseq"])
    medians = {engine: 1e3 * statistics.median(decoded.seconds) for engine, decoded in found.items()}
    return [
        {
            "engine": engine,
            **compared(medians[engine], medians["fairseq"]),
            "passes": statistics.fmean(passes),
            "calls": statistics.fmean(found[engine].calls),
            "tokens": statistics.fmean(found[engine].tokens),
            "sentences": len(sources),
        }
        for engine in ENGINES_TIMED
    ]


def passes_of(kind: str, tokens: int) -> int:
    """How many passes a source of so many tokens is decoded in."""
    return {"vanilla": 1, "insertion": tokens.bit_length()}.get(kind, PASSES)


def in_turn(
    sides: Mapping[str, Any], sources: Sequence[list[int]], passes: Sequence[int]
) -> dict[str, Decoded]:
    """All sources decoded by all sides, a turn each, until none is left; who begins changes with every round."""
    names = list(sides)
    found = {name: Decoded([], [], []) for name in names}
    for side in sides.values():
        side.decode(sources[:TURN], passes[:TURN])  # warms up
    for number, first in enumerate(range(0, len(sources), TURN)):
        turn = slice(first, first + TURN)
        for place in range(len(names)):
            name = names[(number + place) % len(names)]
            some = sides[name].decode(sources[turn], passes[turn])
            for field in ("seconds", "calls", "tokens"):
                getattr(found[name], field).extend(getattr(some, field))
    return found


def same_work(engine: str, found: Decoded, other: Decoded) -> None:
    """Insist that two sides did the same for every sentence.

    Raises:
        LimbeckError: They did not.
    """
    for field in ("calls", "tokens"):
        mine, theirs = getattr(found, field), getattr(other, field)
        if mine != theirs:
            row = next(row for row in range(len(mine)) if mine[row] != theirs[row])
            what = f"{engine} took {mine[row]} {field} for sentence {row + 1}, and fairseq {theirs[row]}"
            raise LimbeckError(f"the work is not the same: {what}")


def compared(mine: float, theirs: float) -> Row:
    """Two times in milliseconds, and their ratio."""
    return {"limbeck_ms": mine, "fairseq_ms": theirs, "times_faster": theirs / mine}


# ------------------------------------------------------------ aims


def worst(size: str, what: str, engine: str) -> translators.Measured:
    """How many times faster Limbeck is where it is so least; None until all five are measured."""

    def found(rows: Sequence[Row]) -> float | None:
        wanted = {"size": size, "what": what, "engine": engine}
        ratios = {
            row["student"]: row["times_faster"]
            for row in rows
            if all(row[key] == each for key, each in wanted.items())
        }
        return min(ratios.values()) if set(KINDS) <= set(ratios) else None

    return found


def aims(size: Size) -> list[Aim]:
    """Those of all shapes of a size."""
    return [
        Aim(
            f"{name}: {title}, times faster than fairseq, worst of five",
            worst(name, what, engine),
            at_least=target,
        )
        for name in size.shapes
        for title, what, engine, target in (
            ("training step", STEP, PYTORCH, 1),
            ("batch-one decoding", DECODING, PYTORCH, 2),
            ("batch-one decoding as a bundle (ONNX int8)", DECODING, "onnx-int8", 2),
        )
    ]


if __name__ == "__main__":
    command.run(main)
