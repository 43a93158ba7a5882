"""Two directions made one, by hand and beside the published pseudo-code; and eflomal on text with known links."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

from limbeck.analyse.alignment import LONGEST, Links, align, grow_diag_final_and, intersection, union
from limbeck.analyse.bitext import Bitext
from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example

Points = set[tuple[int, int]]
points = st.sets(st.tuples(st.integers(0, 5), st.integers(0, 5)))


def as_published(forward: Points, backward: Points) -> Points:
    """The pseudo-code of Moses' symmetrisation, word by word of a six by six grid."""
    found, either = forward & backward, forward | backward
    near = [(-1, 0), (0, -1), (1, 0), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1)]

    def free(axis: int, word: int) -> bool:
        return all(point[axis] != word for point in found)

    while True:
        size = len(found)
        for source in range(6):
            for target in range(6):
                if (source, target) in found:
                    for across, down in near:
                        new = (source + across, target + down)
                        if (free(0, new[0]) or free(1, new[1])) and new in either:
                            found.add(new)
        if len(found) == size:
            break
    for direction in (forward, backward):
        for source in range(6):
            for target in range(6):
                if free(0, source) and free(1, target) and (source, target) in direction:
                    found.add((source, target))
    return found


@given(points, points)
def test_grow_diag_final_and_is_the_published_one(forward: Points, backward: Points) -> None:
    before = (set(forward), set(backward))
    found = grow_diag_final_and(forward, backward)
    assert found == as_published(forward, backward)
    assert intersection(forward, backward) <= found <= union(forward, backward)
    assert (forward, backward) == before


def test_by_hand() -> None:
    forward, backward = {(0, 0), (1, 1), (3, 3)}, {(0, 0), (2, 1), (5, 4)}
    assert intersection(forward, backward) == {(0, 0)}
    assert union(forward, backward) == {(0, 0), (1, 1), (2, 1), (3, 3), (5, 4)}
    # (1, 1) grows from (0, 0) and (2, 1) from (1, 1); (3, 3) touches nothing, but joins two free words, as does (5, 4).
    assert grow_diag_final_and(forward, backward) == {(0, 0), (1, 1), (2, 1), (3, 3), (5, 4)}
    # In the last step two free words are wanted: (4, 0) has but one.
    assert grow_diag_final_and({(0, 0), (4, 0)}, {(0, 0)}) == {(0, 0)}


def test_links_are_sorted_by_pair_source_and_target() -> None:
    links = Links.of([{(1, 0), (0, 2), (0, 1)}, set(), {(3, 3)}])
    rows = np.stack([links.pair, links.source, links.target], axis=1)
    assert rows.tolist() == [[0, 0, 1], [0, 0, 2], [0, 1, 0], [2, 3, 3]]
    assert len(Links.of([])) == 0


@pytest.mark.usefixtures("eflomal")
@pytest.mark.parametrize("symmetrised", ["grow-diag-final-and", "intersection", "union"])
def test_words_with_one_translation_are_found(examples: tuple[Example, ...], symmetrised: str) -> None:
    text = Bitext.of(((e.text, e.targets[0]) for e in examples), str.split)
    links = align(text, symmetrised)
    right = links.source == links.target
    assert right.mean() > 0.95
    assert len(links) > 0.9 * len(text.source.ids)


@pytest.mark.usefixtures("eflomal")
def test_empty_and_endless_sentences_have_no_links(examples: tuple[Example, ...]) -> None:
    odd = [
        ("", "nichts"),
        ("nothing", ""),
        ("", ""),
        ("a " * (LONGEST + 1), "ein"),
        ("\u2028x | - 0-0", "y\x85z"),
    ]
    text = Bitext.of(
        [*odd, *((e.text, e.targets[0]) for e in examples)], lambda text: text.split(" ") if text else []
    )
    links = align(text)
    assert set(links.pair.tolist()) <= set(range(4, len(text)))
    assert set(range(len(odd), len(text))) - set(links.pair.tolist()) == set()
    assert (links.source < text.source.lengths[links.pair]).all()
    assert (links.target < text.target.lengths[links.pair]).all()


def test_text_without_a_pair_to_align() -> None:
    assert len(align(Bitext.of([("", "x"), ("x", "")], str.split))) == 0
    assert len(align(Bitext.of([], str.split))) == 0


def test_eflomal_is_asked_for_where_it_is_missing(
    examples: tuple[Example, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **named: Any) -> Any:
        if name == "eflomal":
            raise ImportError(name)
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(
        LimbeckError, match=r"needs eflomal, which is not installed\. Run: pip install eflomal"
    ):
        align(Bitext.of([("a", "b")], str.split))
