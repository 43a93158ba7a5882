"""A made-up treebank: clauses of a subject, a verb and an object, with phrases in phrases."""

from __future__ import annotations

import random

from limbeck.analyse.probes.corpus import Parsed
from limbeck.text.treebank import parse

NOUNS = [
    "dog",
    "cat",
    "bird",
    "farmer",
    "teacher",
    "river",
    "stone",
    "letter",
    "garden",
    "window",
    "doctor",
    "song",
]
VERBS = [
    "watch",
    "follow",
    "paint",
    "clean",
    "visit",
    "help",
    "push",
    "call",
    "cover",
    "answer",
    "offer",
    "wash",
]
ADJECTIVES = ["old", "new", "small", "green", "quiet", "brave"]


def phrase(chooser: random.Random, label: str, nested: int) -> str:
    """A noun phrase, with so many phrases within it."""
    noun, plural = chooser.choice(NOUNS), chooser.random() < 0.5
    tag = "NNS" if plural else "NN"
    words = f"(DT the) (JJ {chooser.choice(ADJECTIVES)}) ({tag} {noun}{'s' * plural})"
    if not nested:
        return f"({label} {words})"
    return f"({label} (NP {words}) (PP (IN of) {phrase(chooser, 'NP', nested - 1)}))"


def clause(chooser: random.Random, deepest: int = 3) -> str:
    """A clause in brackets, without its full stop."""
    verb = chooser.choice(VERBS)
    past = chooser.random() < 0.5
    word = f"(VBD {verb}ed)" if past else f"(VBZ {verb}s)"
    subject = phrase(chooser, "NP-SBJ", chooser.randint(0, deepest))
    return f"{subject} (VP {word} {phrase(chooser, 'NP', chooser.randint(0, deepest))})"


def sentence(chooser: random.Random) -> str:
    kind = chooser.random()
    if kind < 0.25:
        return f"(S (S {clause(chooser, 1)}) (, ,) (CC and) (S {clause(chooser, 1)}) (. .))"
    if kind < 0.5:
        return (
            f"(S (PP (IN in) {phrase(chooser, 'NP', chooser.randint(0, 2))}) (, ,) {clause(chooser)} (. .))"
        )
    if kind < 0.7:
        return f"(S (ADVP (RB then)) {clause(chooser)} (. .))"
    return f"(S {clause(chooser)} (. .))"


def parsed(text: str) -> Parsed:
    tree = parse(text)
    assert tree is not None
    leaves = tree.leaves
    return Parsed(tuple(leaf.word for leaf in leaves), tuple(leaf.label for leaf in leaves), tree)
