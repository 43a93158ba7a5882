"""Complexity and faithfulness, by hand and beside sums over dense tables."""

from __future__ import annotations

from itertools import product
from math import log

import numpy as np
import pytest
from hypothesis import given, strategies as st

from limbeck.analyse.alignment import Links
from limbeck.analyse.bitext import Bitext
from limbeck.analyse.lexical import SMOOTHINGS, Smoothing, Table, complexity, faithfulness

Pairs = list[tuple[str, str]]
word = st.sampled_from("abcd")
pairs = st.lists(st.tuples(word, st.sampled_from("wxyz")), max_size=30)
strengths = st.sampled_from([*SMOOTHINGS, Smoothing("additive", 3.0), Smoothing("interpolated", 0.9)])


def table_of(links: Pairs) -> Table:
    """The table of sentences of one word each, linked."""
    return Table.of(Bitext.of(links, str.split), Links.of([{(0, 0)} for _ in links]))


def dense(links: Pairs) -> dict[str, dict[str, int]]:
    return {x: {y: links.count((x, y)) for y in "wxyz"} for x in "abcd"}


def slowly(real: Pairs, distilled: Pairs, how: Smoothing) -> float:
    """F by its definition: smooth every cell, then sum over all of them."""
    targets = sorted({y for _, y in real + distilled})
    share = {y: sum(z == y for _, z in real + distilled) / len(real + distilled) for y in targets}

    def smoothed(counts: dict[str, int]) -> dict[str, float]:
        total, s = sum(counts.values()), how.strength
        if how.kind == "additive":
            return {y: (counts[y] + s) / (total + s * len(targets)) for y in targets}
        if how.kind == "dirichlet":
            return {y: (counts[y] + s * share[y]) / (total + s) for y in targets}
        return {y: (1 - s) * counts[y] / total + s * share[y] if total else share[y] for y in targets}

    sources = {x for x, _ in real}
    sums = []
    for x in sources:
        p, q = smoothed(dense(real)[x]), smoothed(dense(distilled)[x])
        sums.append(sum(p[y] * log(p[y] / q[y]) for y in targets))
    return sum(sums) / len(sources)


def test_complexity_by_hand() -> None:
    # a: w twice, x once, y once; b: z alone. H(a) = 1/2 ln 2 + 2 * 1/4 ln 4 = 3/2 ln 2, H(b) = 0.
    table = table_of([("a", "w"), ("a", "w"), ("a", "x"), ("a", "y"), ("b", "z")])
    assert complexity(table) == pytest.approx(1.5 * log(2) / 2)
    assert complexity(table, by_link=True) == pytest.approx(1.5 * log(2) * 4 / 5)
    assert table.links_of.tolist() == [4, 1]


def test_faithfulness_by_hand() -> None:
    real, distilled = table_of([("a", "w"), ("a", "x")]), table_of([("a", "w")])
    # Added 1 to each of two: real 1/2, 1/2; distilled 2/3, 1/3.
    expected = 0.5 * log(0.5 / (2 / 3)) + 0.5 * log(0.5 / (1 / 3))
    assert faithfulness(real, distilled, Smoothing("additive", 1)) == pytest.approx(expected)
    # Unigram: w 2/3, x 1/3. Half of it: real 7/12, 5/12; distilled 5/6, 1/6.
    expected = 7 / 12 * log(7 / 12 / (5 / 6)) + 5 / 12 * log(5 / 12 / (1 / 6))
    assert faithfulness(real, distilled, Smoothing("interpolated", 0.5)) == pytest.approx(expected)
    # One link's worth of it: real (1 + 2/3)/3, (1 + 1/3)/3; distilled (1 + 2/3)/2, (1/3)/2.
    expected = 5 / 9 * log(5 / 9 / (5 / 6)) + 4 / 9 * log(4 / 9 / (1 / 6))
    assert faithfulness(real, distilled, Smoothing("dirichlet", 1)) == pytest.approx(expected)


@given(pairs.filter(bool), pairs, strengths)
def test_faithfulness_is_the_sum_over_all_cells(real: Pairs, distilled: Pairs, how: Smoothing) -> None:
    assert faithfulness(table_of(real), table_of(distilled), how) == pytest.approx(
        slowly(real, distilled, how), abs=1e-9
    )


@given(pairs.filter(bool), pairs.filter(bool), strengths)
def test_faithfulness_is_nought_of_a_text_itself_and_never_below(
    real: Pairs, distilled: Pairs, how: Smoothing
) -> None:
    assert faithfulness(table_of(real), table_of(real[::-1]), how) == pytest.approx(0, abs=1e-12)
    assert faithfulness(table_of(real), table_of(distilled), how) >= 0


@given(pairs.filter(bool), st.randoms())
def test_order_does_not_matter(links: Pairs, random: object) -> None:
    shuffled = list(links)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert complexity(table_of(shuffled)) == pytest.approx(complexity(table_of(links)))
    assert complexity(table_of(links)) >= 0


@given(st.lists(word, min_size=1))
def test_one_translation_a_word_is_no_complexity(words: list[str]) -> None:
    assert complexity(table_of([(x, x.upper()) for x in words])) == 0


def test_the_mixture_of_texts_is_more_complex_than_each() -> None:
    german, french = [("a", "w"), ("b", "x")], [("a", "y"), ("b", "z")]
    assert complexity(table_of(german)) == complexity(table_of(french)) == 0
    assert complexity(table_of(german + french)) == pytest.approx(log(2))


def test_words_without_links_do_not_count() -> None:
    text = Bitext.of([("a b c", "w x"), ("d", "")], str.split)
    table = Table.of(text, Links.of([{(0, 0), (2, 0)}, set()]))
    assert (table.sources, table.targets) == (("a", "c"), ("w",))
    nothing = Table.of(text, Links.of([set(), set()]))
    assert np.isnan(complexity(nothing)) and np.isnan(faithfulness(nothing, table))
    # A text that never links the real one's words leaves the unigram: p_r moves away from it.
    assert faithfulness(table, nothing) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ("kind", "strength"),
    [*product(("interpolated", "dirichlet", "additive"), (0.0, -1.0)), ("interpolated", 1.0)],
)
def test_a_smoothing_that_does_not_smooth(kind: str, strength: float) -> None:
    with pytest.raises(ValueError, match="out of bounds"):
        Smoothing(kind, strength)  # type: ignore[arg-type]
