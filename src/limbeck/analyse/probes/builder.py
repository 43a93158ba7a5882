"""Builder: SentEval's ten tasks, made of whatever treebank or tagged text there is.

Every task is balanced, its sentences are in one part each, and the same seed gives the same examples. What a task reads
its classes off, and what it balances, stands with the function that makes its candidates.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np

from limbeck.analyse.probes import misplaced, semantics, surface, syntax
from limbeck.analyse.probes.corpus import Corpus
from limbeck.analyse.probes.drawing import Candidate, TooFewError, draw
from limbeck.analyse.probes.task import SentenceTask, Sizes

Needs = Literal["words", "tags", "trees"]
Rule = Callable[[Corpus, Sizes, np.random.Generator], list[Candidate]]

RULES: Mapping[str, tuple[Rule, Needs]] = MappingProxyType(
    {
        "sentence_length": (surface.sentence_length, "words"),
        "word_content": (surface.word_content, "tags"),
        "tree_depth": (syntax.tree_depth, "trees"),
        "top_constituents": (syntax.top_constituents, "trees"),
        "bigram_shift": (syntax.bigram_shift, "words"),
        "tense": (semantics.tense, "tags"),
        "subject_number": (semantics.subject_number, "trees"),
        "object_number": (semantics.object_number, "trees"),
        "odd_man_out": (misplaced.odd_man_out, "tags"),
        "coordination_inversion": (misplaced.coordination_inversion, "tags"),
    }
)
"""The tasks in SentEval's order, each with its candidates and what these are read off."""


@dataclass(frozen=True, slots=True, eq=False)
class Built:
    """What a corpus gave.

    Attributes:
        tasks: In SentEval's order.
        lacking: Why a task is not among them, by its name.
    """

    tasks: tuple[SentenceTask, ...]
    lacking: Mapping[str, str]


def build(corpus: Corpus, names: Sequence[str] | None, sizes: Sizes, seed: int) -> Built:
    """Build tasks.

    Args:
        corpus: The text.
        names: Which; None for all that it can give.
        sizes: Most examples of each part.
        seed: Says which examples are drawn, and what is done to them.
    """
    tasks, lacking = [], {}
    for number, (name, (rule, needs)) in enumerate(RULES.items()):
        if names is not None and name not in names:
            continue
        held = {"words": corpus.sentences, "tags": corpus.tagged, "trees": corpus.parsed}[needs]
        if not held:
            lacking[name] = f"{name}: it is read off {needs}, and the text has none"
            continue
        random = np.random.default_rng((seed, number))
        try:
            tasks.append(draw(name, rule(corpus, sizes, random), sizes, random))
        except TooFewError as error:
            lacking[name] = error.what
    return Built(tuple(tasks), lacking)
