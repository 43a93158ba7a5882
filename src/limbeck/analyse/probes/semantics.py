"""Tasks of meaning: the tense of the main clause, and whether its subject and its object are one or many.

Verbs (nouns) of one lemma are in one part, so that no form that is asked about is in two. Of a tree it is the main
clause's that is asked about, as in SentEval; other verbs of the sentence may be in any part.
"""

from __future__ import annotations

import numpy as np

from limbeck.analyse.probes.corpus import Corpus, Parsed
from limbeck.analyse.probes.drawing import Candidate
from limbeck.analyse.probes.grammar import (
    FINITE,
    PAST,
    PLURAL,
    PRESENT,
    direct_object,
    head_noun,
    lowest_verb_phrase,
    main_clause,
    main_verb,
    noun_lemma,
    verb_lemma,
)
from limbeck.analyse.probes.surface import readable
from limbeck.analyse.probes.task import Sizes
from limbeck.text.treebank import Tree


def tense(corpus: Corpus, sizes: Sizes, random: np.random.Generator) -> list[Candidate]:
    """Past or present, of the main clause's verb; without a tree, of the only finite one."""
    found = []
    for each in readable(corpus.tagged):
        told = _tense_by_tree(each.tree) if each.tree is not None else _tense_by_tags(each)
        if told is not None:
            tag, word = told
            found.append(Candidate(each.words, "past" if tag in PAST else "present", verb_lemma(word)))
    return found


def _tense_by_tree(tree: Tree) -> tuple[str, str] | None:
    verb = main_verb(tree)
    return (verb.label, verb.word) if verb is not None and verb.label in PAST | PRESENT else None


def _tense_by_tags(sentence: Parsed) -> tuple[str, str] | None:
    """Tag and form of the finite verb, where there is one and it is no modal: others would tell its tense."""
    assert sentence.tags is not None
    finite = [(tag, word) for tag, word in zip(sentence.tags, sentence.words, strict=True) if tag in FINITE]
    return finite[0] if len(finite) == 1 and finite[0][0] in PAST | PRESENT else None


def subject_number(corpus: Corpus, sizes: Sizes, random: np.random.Generator) -> list[Candidate]:
    """One or many, of the main clause's subject."""
    found = []
    for each in readable(corpus.parsed):
        clause = main_clause(each.tree)
        subject = (
            next((child for child in clause.children if "SBJ" in child.functions), None) if clause else None
        )
        found += _by_number(each, subject)
    return found


def object_number(corpus: Corpus, sizes: Sizes, random: np.random.Generator) -> list[Candidate]:
    """One or many, of the main clause's direct object."""
    found = []
    for each in readable(corpus.parsed):
        phrase = lowest_verb_phrase(each.tree)
        found += _by_number(each, direct_object(phrase) if phrase else None)
    return found


def _by_number(sentence: Parsed, phrase: Tree | None) -> list[Candidate]:
    noun = head_noun(phrase) if phrase is not None else None
    if noun is None:
        return []
    label = "plural" if noun.label in PLURAL else "singular"
    return [Candidate(sentence.words, label, noun_lemma(noun.word))]
