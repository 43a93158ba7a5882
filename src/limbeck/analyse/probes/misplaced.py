"""Tasks of what is in the wrong place: a word that does not belong, and clauses the wrong way round."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

from limbeck.analyse.probes.corpus import Corpus, Parsed
from limbeck.analyse.probes.drawing import Candidate
from limbeck.analyse.probes.grammar import FINITE, PLURAL, SINGULAR, VERBS, noun_lemma, verb_lemma
from limbeck.analyse.probes.surface import readable
from limbeck.analyse.probes.task import Sizes, Words
from limbeck.text.treebank import Tree


def odd_man_out(corpus: Corpus, sizes: Sizes, random: np.random.Generator) -> list[Candidate]:
    """Whether a noun or verb was replaced, in half of the sentences, by another one of the same tag.

    The other word is one of about the same frequency (within a factor of two), and the pairs that it makes with its
    neighbours are as often there as those that were (in classes: never, once, more), where such a word is found.
    """
    sentences = readable(corpus.tagged)
    lowered = [[word.lower() for word in each.words] for each in sentences]
    counts = Counter(word for words in lowered for word in words)
    pairs = Counter(pair for words in lowered for pair in pairwise(words))
    by_tag: dict[tuple[str, int], dict[str, None]] = defaultdict(dict)
    for each in sentences:
        for word, tag in zip(each.words, each.tags or (), strict=True):
            if _replaceable(word, tag):
                by_tag[tag, _doubling(counts[word.lower()])][word] = None
    choices = {key: list(words) for key, words in by_tag.items()}
    found: list[Candidate] = []
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
    return (
        tag in SINGULAR | PLURAL | VERBS - {"MD"}
        and word.isalpha()
        and word.islower()
        and verb_lemma(word) not in ("be", "have", "do")
    )


def _doubling(count: int) -> int:
    return count.bit_length()


ENOUGH = 1.1
"""Times the examples that are wanted: more candidates would not be drawn."""
TRIES = 50
"""Words that are looked at for one that makes pairs as frequent as the word in its place."""


def _stranger(
    words: Sequence[str],
    place: int,
    others: Sequence[str],
    pairs: Counter[tuple[str, str]],
    random: np.random.Generator,
) -> str | None:
    """A word to put there; the first that fits best of some drawn, None where there is no other."""

    def classes(word: str, own: int = 0) -> tuple[int, ...]:
        beside = (
            (words[place - 1], word) if place else None,
            (word, words[place + 1]) if place + 1 < len(words) else None,
        )
        return tuple(min(2, pairs[pair[0].lower(), pair[1].lower()] - own) for pair in beside if pair)

    wanted = classes(words[place], own=1)  # without the sentence itself
    word = words[place].lower()
    drawn = [others[row] for row in random.integers(0, len(others), TRIES)]
    drawn = [
        each
        for each in drawn
        if verb_lemma(each) != verb_lemma(word) and noun_lemma(each) != noun_lemma(word)
    ]
    return min(
        drawn,
        key=lambda each: sum(abs(a - b) for a, b in zip(classes(each), wanted, strict=True)),
        default=None,
    )


SUBJECTS = frozenset({"i", "he", "she", "it", "we", "they", "you", "there", "this", "these", "that", "those"})
"""Words that begin a clause, where a finite verb follows at once."""


def coordination_inversion(corpus: Corpus, sizes: Sizes, random: np.random.Generator) -> list[Candidate]:
    """Whether two clauses joined by a conjunction changed places, in half of the sentences.

    The clauses are those of the tree; without one, what stands before and after a comma and a conjunction, where a
    pronoun and a finite verb follow, and a finite verb stands before.
    """
    found: list[Candidate] = []
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
            if words[start][0].isupper() and _opens(words, start):  # or else capitals would tell
                first = first if _is_name(each, start) else (_with_first(first[0], str.lower), *first[1:])
                second = (_with_first(second[0], str.upper), *second[1:])
            words = (*words[:start], *second, *words[end:next_start], *first, *words[next_end:])
        found.append(Candidate(words, "inverted" if inverted else "original"))
    return found


def _opens(words: Words, place: int) -> bool:
    """Whether the sentence begins there, but for quotes and the like."""
    return not any(char.isalnum() for word in words[:place] for char in word)


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
    if len(joints) != 1 or words[-1] not in (".", ";", "!", "?"):
        return None
    place = joints[0]
    follows = words[place + 1].lower() in SUBJECTS and tags[place + 2] in FINITE
    opens = tags[0] in ("PRP", "NNP", "NN", "NNS", "DT", "EX", "PRP$", "JJ")
    before = any(tag in FINITE for tag in tags[: place - 1])
    return (0, place - 1, place + 1, len(words) - 1) if follows and before and opens else None
