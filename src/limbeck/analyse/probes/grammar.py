"""Grammar: the verb, subject and object of a main clause, as the tree tells them, and what forms of one word share.

The verb is the first finite one on the way down the verb phrases that head one another; the subject is the noun phrase
marked ``SBJ``, the object the unmarked one beside the lowest of the verbs. Lemmas are as good as regular endings and a
list of the commonest irregular verbs: they keep forms of a word together, and now and then two words.
"""

from __future__ import annotations

import re
from functools import cache

from limbeck.text.treebank import Tree

PAST, PRESENT = frozenset({"VBD"}), frozenset({"VBZ", "VBP"})
FINITE = PAST | PRESENT | {"MD"}
VERBS = FINITE | {"VB", "VBN", "VBG"}
SINGULAR, PLURAL = frozenset({"NN", "NNP"}), frozenset({"NNS", "NNPS"})
IRREGULAR = {
    form: forms.split()[0]
    for forms in (
        "be is are am was were 's 're 'm been being", "have has had 've 'd having", "do does did done doing",
        "say says said", "go goes went gone", "get gets got", "make makes made", "take takes took taken",
        "come comes came", "see sees saw seen", "know knows knew known", "give gives gave given",
        "find finds found", "think thinks thought", "tell tells told", "become becomes became",
        "leave leaves left", "feel feels felt", "bring brings brought", "begin begins began begun",
        "keep keeps kept", "hold holds held", "write writes wrote written", "stand stands stood",
        "hear hears heard", "mean means meant", "meet meets met", "run runs ran", "pay pays paid",
        "sit sits sat", "speak speaks spoke spoken", "lie lies lay lain", "lead leads led", "grow grows grew grown",
        "lose loses lost", "fall falls fell fallen", "send sends sent", "build builds built",
        "rise rises rose risen", "sell sells sold", "buy buys bought", "show shows showed shown",
    )
    for form in forms.split()
}  # fmt: skip


def main_clause(tree: Tree | None) -> Tree | None:
    """The top clause that has a subject or a verb phrase of its own; of clauses side by side none."""
    while tree is not None and not tree.word:
        if tree.category in ("S", "SINV") and any(child.category == "VP" for child in tree.children):
            return tree
        inner = [child for child in tree.children if child.category in ("S", "SINV")]
        tree = inner[0] if len(inner) == 1 and not any(c.category == "CC" for c in tree.children) else None
    return None


def main_verb(tree: Tree) -> Tree | None:
    """The finite verb or modal of the main clause."""
    clause = main_clause(tree)
    phrase = next((child for child in clause.children if child.category == "VP"), None) if clause else None
    while phrase is not None:
        verb = next((child for child in phrase.children if child.word and child.label in FINITE), None)
        if verb is not None:
            return verb
        phrase = next((child for child in phrase.children if child.category == "VP"), None)
    return None


def lowest_verb_phrase(tree: Tree | None) -> Tree | None:
    """The phrase of the main clause's verb of meaning: ``eaten`` of ``has been eaten``."""
    clause = main_clause(tree)
    phrase = next((child for child in clause.children if child.category == "VP"), None) if clause else None
    while phrase is not None:
        inner = [child for child in phrase.children if child.category == "VP"]
        if not inner:
            return phrase
        if len(inner) > 1:
            return None
        phrase = inner[0]
    return None


def direct_object(phrase: Tree) -> Tree | None:
    """The noun phrase without a function that stands beside a verb of meaning; none of forms of *be*."""
    verb = next((child for child in phrase.children if child.word and child.label in VERBS), None)
    if verb is None or verb_lemma(verb.word) == "be":
        return None
    after = phrase.children[phrase.children.index(verb) + 1 :]
    objects = [child for child in after if child.category == "NP" and not _named(child)]
    return objects[-1] if objects else None


def _named(phrase: Tree) -> bool:
    """Whether its label has a function; numbers only tie it to a trace."""
    return any(not function.isdigit() for function in phrase.functions)


def head_noun(phrase: Tree) -> Tree | None:
    """The noun that a noun phrase is about: the last one, of phrases in phrases that of the first; None for others."""
    while not phrase.word:
        inner = [child for child in phrase.children if child.category == "NP"]
        if any(child.category in ("CC", "CONJP") for child in phrase.children):
            return None
        if not inner or any(child.word and child.label in SINGULAR | PLURAL for child in phrase.children):
            nouns = [child for child in phrase.children if child.word and child.label in SINGULAR | PLURAL]
            return nouns[-1] if nouns else None
        phrase = inner[0]
    return None


# Lemmas.


@cache
def verb_lemma(form: str) -> str:
    """What forms of one verb share, as far as regular endings tell: ``move`` and ``moved`` are both ``mov``.

    What is negated in one word (``didn't``) is a form of its verb.
    """
    lowered = re.sub(r"n['’]t$", "", form.lower()) or form
    return (
        IRREGULAR.get(lowered)
        or re.sub(r"(ies|ied)$", "y", re.sub(r"(?<=..)(?<!s)(ed|es|s|e|d|ing)$", "", lowered))
        or lowered
    )


@cache
def noun_lemma(form: str) -> str:
    """The same of a noun: ``companies`` and ``company`` are both ``compan``."""
    return re.sub(r"(?<=..)(ies|y|es|e|s)$", "", form.lower())
