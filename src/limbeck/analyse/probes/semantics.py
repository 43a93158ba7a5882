"""Tasks of meaning: tense, number of subject and object, a word that does not belong, clauses the wrong way round.

What is asked of the main clause is read off the tree: its verb is the first finite one on the way down the phrases that
head one another; its subject is the noun phrase marked ``SBJ``; its object is the unmarked noun phrase beside the
lowest of its verbs. Verbs (nouns) of one lemma, as regular endings and the commonest irregular verbs tell, are in one
part, so that no form is in two.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

import numpy as np

from limbeck.analyse.probes.corpus import Corpus, Parsed
from limbeck.analyse.probes.drawing import Candidate
from limbeck.analyse.probes.surface import readable
from limbeck.analyse.probes.task import Sizes
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


def tense(corpus: Corpus, sizes: Sizes, random: np.random.Generator) -> list[Candidate]:
    """Past or present, of the main clause's verb; without a tree, of all finite verbs where they agree."""
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
    """Tag and form of the first finite verb, where all are of one tense and there is no modal."""
    assert sentence.tags is not None
    finite = [(tag, word) for tag, word in zip(sentence.tags, sentence.words, strict=True) if tag in FINITE]
    tags = {tag for tag, _ in finite}
    return finite[0] if finite and (tags <= PAST or tags <= PRESENT) else None


def subject_number(corpus: Corpus, sizes: Sizes, random: np.random.Generator) -> list[Candidate]:
    """One or many, of the main clause's subject."""
    found = []
    for each in readable(corpus.parsed):
        clause = main_clause(each.tree)
        subject = next((child for child in clause.children if "SBJ" in child.functions), None) if clause else None
        found += _by_number(each, subject)
    return found


def object_number(corpus: Corpus, sizes: Sizes, random: np.random.Generator) -> list[Candidate]:
    """One or many, of the main clause's direct object."""
    found = []
    for each in readable(corpus.parsed):
        phrase = _lowest_verb_phrase(each.tree)
        found += _by_number(each, direct_object(phrase) if phrase else None)
    return found


def _by_number(sentence: Parsed, phrase: Tree | None) -> list[Candidate]:
    noun = head_noun(phrase) if phrase is not None else None
    if noun is None:
        return []
    label = "plural" if noun.label in PLURAL else "singular"
    return [Candidate(sentence.words, label, noun_lemma(noun.word))]


# Phrases.


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


def _lowest_verb_phrase(tree: Tree | None) -> Tree | None:
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


def verb_lemma(form: str) -> str:
    """What forms of one verb share, as far as regular endings tell: ``move`` and ``moved`` are both ``mov``."""
    lowered = form.lower()
    return IRREGULAR.get(lowered) or re.sub(r"(ies|ied)$", "y", re.sub(r"(?<=..)(?<!s)(ed|es|s|e|d|ing)$", "", lowered)) or lowered


def noun_lemma(form: str) -> str:
    """The same of a noun: ``companies`` and ``company`` are both ``compan``."""
    return re.sub(r"(?<=..)(ies|y|es|e|s)$", "", form.lower())


# Words and clauses that are in the wrong place.


def odd_man_out(corpus: Corpus, sizes: Sizes, random: np.random.Generator) -> list[Candidate]:
    """Whether a noun or verb was replaced, in half of the sentences, by another one of the same tag.

    The other word is one of about the same frequency (within a factor of two), and the pairs that it makes with its
    neighbours are as often there as those that were (in classes: never, once, more), where such a word is found.
    """
    sentences = readable(corpus.tagged)
    lowered = [[word.lower() for word in each.words] for each in sentences]
    counts = Counter(word for words in lowered for word in words)
    pairs = Counter(pair for words in lowered for pair in zip(words, words[1:], strict=False))
    by_tag: dict[tuple[str, int], dict[str, None]] = defaultdict(dict)
    for each in sentences:
        for word, tag in zip(each.words, each.tags or (), strict=True):
            if _replaceable(word, tag):
                by_tag[tag, _doubling(counts[word.lower()])][word] = None
    choices = {key: list(words) for key, words in by_tag.items()}
    found = []
    for number, row in enumerate(random.permutation(len(sentences))):
        if len(found) > ENOUGH * sizes.total:
            break
        each = sentences[row]
        places = [p for p, tag in enumerate(each.tags or ()) if _replaceable(each.words[p], tag)]
        if not places:
            continue
        words = each.words
        if number % 2:
            place = int(random.choice(places))
            others = choices[(each.tags or ())[place], _doubling(counts[words[place].lower()])]
            other = _stranger(words, place, others, pairs, random)
            if other is None:
                continue
            words = (*words[:place], other, *words[place + 1 :])
        found.append(Candidate(words, "replaced" if number % 2 else "original"))
    return found


def _replaceable(word: str, tag: str) -> bool:
    return tag in SINGULAR | PLURAL | VERBS - {"MD"} and word.isalpha() and word.islower() and verb_lemma(word) not in ("be", "have", "do")


def _doubling(count: int) -> int:
    return int(np.log2(count))


ENOUGH = 1.1
"""Times the examples that are wanted: more candidates would not be drawn."""
TRIES = 50
"""Words that are looked at for one that makes pairs as frequent as the word in its place."""


def _stranger(
    words: Sequence[str], place: int, others: Sequence[str], pairs: Counter[tuple[str, str]], random: np.random.Generator
) -> str | None:
    """A word to put there; the first that fits best of some drawn, None where there is no other."""

    def classes(word: str) -> tuple[int, ...]:
        beside = ((words[place - 1], word) if place else None, (word, words[place + 1]) if place + 1 < len(words) else None)
        return tuple(min(2, pairs[pair[0].lower(), pair[1].lower()]) for pair in beside if pair)

    own = words[place].lower()
    # What the sentence's own word makes is counted without the sentence itself.
    wanted = tuple(min(2, max(0, count - 1)) if count < 2 else count for count in classes(words[place]))
    drawn = [others[row] for row in random.integers(0, len(others), TRIES)]
    drawn = [word for word in drawn if verb_lemma(word) != verb_lemma(own) and noun_lemma(word) != noun_lemma(own)]
    return min(drawn, key=lambda word: sum(abs(a - b) for a, b in zip(classes(word), wanted, strict=True)), default=None)


SUBJECTS = frozenset({"i", "he", "she", "it", "we", "they", "you", "there", "this", "these", "that", "those"})
"""Words that begin a clause, where a finite verb follows at once."""


def coordination_inversion(corpus: Corpus, sizes: Sizes, random: np.random.Generator) -> list[Candidate]:
    """Whether two clauses joined by a conjunction changed places, in half of the sentences.

    The clauses are those of the tree; without one, what stands before and after a comma and a conjunction, where a
    pronoun and a finite verb follow, and a finite verb stands before.
    """
    found = []
    sentences = readable(corpus.tagged)
    for row in random.permutation(len(sentences)):
        each = sentences[row]
        cut = _clauses_of_tree(each.tree) if each.tree is not None else _clauses_of_tags(each)
        if cut is None:
            continue
        start, end, next_start, next_end = cut
        words = each.words
        if inverted := len(found) % 2 == 1:
            first, second = words[start:end], words[next_start:next_end]
            if words[0][0].isupper() and start == 0:  # or else capitals would tell
                first = first if _is_name(each, 0) else (_with_first(first[0], str.lower), *first[1:])
                second = (_with_first(second[0], str.upper), *second[1:])
            words = (*words[:start], *second, *words[end:next_start], *first, *words[next_end:])
        found.append(Candidate(words, "inverted" if inverted else "original"))
    return found


def _with_first(word: str, change: Callable[[str], str]) -> str:
    return change(word[0]) + word[1:]


def _is_name(sentence: Parsed, place: int) -> bool:
    """Whether a word has its capital wherever it stands."""
    tag = (sentence.tags or ())[place]
    return tag.startswith("NNP") or sentence.words[place] == "I" or sentence.words[place][1:].isupper()


def _clauses_of_tree(tree: Tree) -> tuple[int, int, int, int] | None:
    """Where two clauses right below the top stand, with one conjunction between them."""
    clauses = [child for child in tree.children if child.category in ("S", "SINV")]
    joined = [child for child in tree.children if child.category == "CC"]
    if len(clauses) != 2 or len(joined) != 1 or not clauses[0].end <= joined[0].start < clauses[1].start:
        return None
    return clauses[0].start, clauses[0].end, clauses[1].start, clauses[1].end


def _clauses_of_tags(sentence: Parsed) -> tuple[int, int, int, int] | None:
    words, tags = sentence.words, sentence.tags or ()
    joints = [place for place in range(2, len(words) - 3) if words[place - 1] == "," and tags[place] == "CC"]
    if len(joints) != 1 or not words[-1] in (".", ";", "!", "?"):
        return None
    place = joints[0]
    follows = words[place + 1].lower() in SUBJECTS and tags[place + 2] in FINITE
    opens = tags[0] in ("PRP", "NNP", "NN", "NNS", "DT", "EX", "PRP$", "JJ")
    before = any(tag in FINITE for tag in tags[: place - 1])
    return (0, place - 1, place + 1, len(words) - 1) if follows and before and opens else None
