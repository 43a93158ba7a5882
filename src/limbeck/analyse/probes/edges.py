"""Edges: labels of spans of words, and of pairs of spans (Tenney et al. 2019, "What do you learn from context?").

Of a treebank: ``pos`` (each word), ``constituents`` (phrases of two words or more), ``relations`` (a verb and a noun
phrase of its clause: subject, object or neither). Of tagged text: ``pos``, of Penn's tags where there are any;
``chunks`` and ``entities``, as spans are marked. Sentences are in one part each. Classes are as frequent as they are in
the text, rare ones are left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType

import numpy as np

from limbeck.analyse.probes.corpus import Corpus, Parsed
from limbeck.analyse.probes.drawing import TooFewError
from limbeck.analyse.probes.grammar import VERBS, direct_object
from limbeck.analyse.probes.task import PARTS, Edge, EdgeTask, Part, Sizes, Spans, Words
from limbeck.text.treebank import Tree

RAREST = 25
"""Examples that a class must have."""
LONGEST = 60
"""Words of the longest sentence."""
Found = Iterator[tuple[Spans, str]]


def _pos(sentence: Parsed) -> Found:
    for place, tag in enumerate(sentence.tags or sentence.other_tags or ()):
        yield ((place, place + 1),), tag


def _constituents(sentence: Parsed) -> Found:
    """Of phrases of the same words (an S that is a VP alone) the topmost."""
    assert sentence.tree is not None
    found: dict[tuple[int, int], str] = {}
    for phrase in sentence.tree.phrases():
        if phrase.end - phrase.start > 1 and phrase is not sentence.tree:
            found.setdefault((phrase.start, phrase.end), phrase.category)
    for span, category in found.items():
        yield (span,), category


def _relations(sentence: Parsed) -> Found:
    """Of each clause's verb: its subject, its object, and one other noun phrase below the clause, from the middle."""
    assert sentence.tree is not None
    for clause in sentence.tree.phrases():
        verb_phrase = next((child for child in clause.children if child.category == "VP"), None)
        if clause.category not in ("S", "SINV") or verb_phrase is None:
            continue
        lowest = _lowest(verb_phrase)
        verb = next((child for child in lowest.children if child.word and child.label in VERBS), None)
        if verb is None:
            continue
        subject = next((child for child in clause.children if "SBJ" in child.functions), None)
        target = direct_object(lowest)
        nouns = [each for each in clause.phrases() if each.category == "NP"]
        others = [each for each in nouns if each is not subject and each is not target]
        kinds = {
            "subject": subject,
            "object": target,
            "neither": others[len(others) // 2] if others else None,
        }
        for label, phrase in kinds.items():
            if phrase is not None and phrase.category == "NP":
                yield ((verb.start, verb.end), (phrase.start, phrase.end)), label


def _lowest(phrase: Tree) -> Tree:
    inner = next((child for child in phrase.children if child.category == "VP"), None)
    return phrase if inner is None else _lowest(inner)


def _chunks(sentence: Parsed) -> Found:
    for kind, start, end in sentence.chunks or ():
        yield ((start, end),), kind


def _entities(sentence: Parsed) -> Found:
    for kind, start, end in sentence.entities or ():
        yield ((start, end),), kind


RULES: Mapping[str, tuple[Callable[[Parsed], Found], str]] = MappingProxyType(
    {
        "pos": (_pos, "tags"),
        "constituents": (_constituents, "trees"),
        "relations": (_relations, "trees"),
        "chunks": (_chunks, "marked chunks"),
        "entities": (_entities, "marked entities"),
    }
)
"""The tasks, each with what gives its edges and what this reads."""


def build(
    corpus: Corpus, names: Sequence[str] | None, sizes: Sizes, seed: int
) -> tuple[list[EdgeTask], dict[str, str]]:
    """Build edge tasks; arguments and answer as of :func:`limbeck.analyse.probes.builder.build`."""
    held = {
        "tags": corpus.tagged or corpus.marked("other_tags"),
        "trees": corpus.parsed,
        "marked chunks": corpus.marked("chunks"),
        "marked entities": corpus.marked("entities"),
    }
    tasks, lacking = [], {}
    for number, (name, (rule, needs)) in enumerate(RULES.items()):
        if names is not None and name not in names:
            continue
        sentences = held[needs]
        if not sentences:
            lacking[name] = f"{name}: it is read off {needs}, and the text has none"
            continue
        try:
            tasks.append(_drawn(name, rule, sentences, sizes, np.random.default_rng((seed, 100 + number))))
        except TooFewError as error:
            lacking[name] = error.what
    return tasks, lacking


def _drawn(
    name: str,
    rule: Callable[[Parsed], Found],
    sentences: Sequence[Parsed],
    sizes: Sizes,
    random: np.random.Generator,
) -> EdgeTask:
    """Sentence after sentence, in random order, until each part has its examples."""
    kept: list[Words] = []
    edges: list[Edge] = []
    parts: list[Part] = []
    wanted = {part: sizes.of(part) for part in PARTS}
    for row in random.permutation(len(sentences)):
        each = sentences[row]
        # The part that lacks the largest share of what it shall have.
        part = max(PARTS, key=lambda part: wanted[part] / sizes.of(part))
        if wanted[part] <= 0:
            break
        found = list(rule(each)) if len(each.words) <= LONGEST else []
        if not found:
            continue
        drawn = random.permutation(len(found))[: wanted[part]]
        for place in np.sort(drawn):
            spans, label = found[place]
            edges.append(Edge(len(kept), spans, label, each.words[spans[-1][1] - 1].lower()))
        parts += [part] * len(drawn)
        wanted[part] -= len(drawn)
        kept.append(each.words)
    counts = Counter(edge.label for edge in edges)
    learnt = {edge.label for edge, part in zip(edges, parts, strict=True) if part == "train"}
    common = {label for label, count in counts.items() if count >= RAREST} & learnt
    if len(common) < 2:
        raise TooFewError(f"{name}: there are not {RAREST} examples of two classes")
    rows = [row for row, edge in enumerate(edges) if edge.label in common]
    return EdgeTask(name, kept, [edges[row] for row in rows], [parts[row] for row in rows])
