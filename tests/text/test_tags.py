"""Tag schemes: what they mean, what each turns into, and which tag may follow which."""

import itertools
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, strategies as st

from limbeck.text.tags import (
    Span,
    allowed,
    detect,
    mark_spans,
    odd,
    ordered,
    parse,
    spans,
    tags_of,
    to_iob2,
)

TYPES = ("PER", "LOC", "A-B")


@st.composite
def sentences(draw, types=TYPES):
    """A sentence: its spans, in order and apart, and its length."""
    found, place = [], 0
    for gap, length, kind in draw(
        st.lists(st.tuples(st.integers(0, 2), st.integers(1, 3), st.sampled_from(types)), max_size=5)
    ):
        found.append(Span(kind, place + gap, place + gap + length))
        place += gap + length
    return found, place + draw(st.integers(0, 2))


def as_iob1(found, length):
    tags, end, last = ["O"] * length, -1, None
    for kind, start, stop in found:
        tags[start:stop] = [f"I-{kind}"] * (stop - start)
        if start == end and kind == last:
            tags[start] = f"B-{kind}"
        end, last = stop, kind
    return tags


def as_bioes(found, length, last="E", single="S"):
    tags = ["O"] * length
    for kind, start, stop in found:
        tags[start:stop] = [f"B-{kind}", *[f"I-{kind}"] * (stop - start - 1)]
        tags[stop - 1] = f"{single if stop == start + 1 else last}-{kind}"
    return tags


# Spans.


@pytest.mark.unit
@given(sentences())
def test_spans_come_back_from_every_scheme(sentence):
    found, length = sentence
    iob2 = tags_of(found, length)
    assert len(iob2) == length
    assert spans(iob2) == found
    assert to_iob2(iob2) == iob2
    assert to_iob2(as_iob1(found, length)) == iob2
    assert to_iob2(as_bioes(found, length)) == iob2
    assert to_iob2(as_bioes(found, length, "L", "U")) == iob2


@pytest.mark.unit
@given(sentences(types=("",)))
def test_spans_without_a_type_are_bare_prefixes(sentence):
    iob2 = tags_of(*sentence)
    assert set(iob2) <= {"B", "I", "O"}
    assert spans(iob2) == sentence[0]


@pytest.mark.unit
@given(st.lists(st.sampled_from(["O", *(f"{p}-{t}" for p in "BIESLU" for t in ("X", "Y"))])))
def test_any_tags_at_all_turn_into_valid_iob2_with_the_same_spans(tags):
    new = to_iob2(tags)
    assert spans(new) == spans(tags)
    assert [tag == "O" for tag in new] == [tag == "O" for tag in tags]
    labels = ordered(["O", "B-X", "I-X", "B-Y", "I-Y"])
    may = allowed(labels)
    rows = [labels.index(tag) for tag in new]
    assert all(may.start[row] for row in rows[:1])
    assert all(may.transitions[a, b] for a, b in itertools.pairwise(rows))


@pytest.mark.unit
@pytest.mark.parametrize(
    ("tags", "found"),
    [
        ("O I-X I-X O", [("X", 1, 3)]),  # I after O opens
        ("B-X I-Y I-Y", [("X", 0, 1), ("Y", 1, 3)]),  # and I of another type
        ("I-X B-X I-X", [("X", 0, 1), ("X", 1, 3)]),
        ("S-X I-X", [("X", 0, 1), ("X", 1, 2)]),  # nothing goes on after S or E
        ("B-X E-X E-X", [("X", 0, 2), ("X", 2, 3)]),
        ("B-X S-X", [("X", 0, 1), ("X", 1, 2)]),
        ("NN VB .", []),
        ("", []),
    ],
)
def test_tags_that_no_scheme_allows_give_the_spans_that_conlleval_counts(tags, found):
    assert spans(tags.split()) == found


@pytest.mark.unit
@pytest.mark.parametrize("wrong", [[Span("X", 0, 0)], [Span("X", 2, 4)], [Span("X", 0, 2), Span("Y", 1, 3)]])
def test_spans_that_fit_no_sentence(wrong):
    with pytest.raises(ValueError, match="does not fit a sentence of 3 words"):
        tags_of(wrong, 3)


# Sources.


@pytest.mark.unit
@given(st.lists(sentences(), min_size=1))
def test_a_source_that_could_be_one_scheme_alone_is_known_as_it(some):
    iob2 = [tags_of(*one) for one in some]
    iob1 = [as_iob1(*one) for one in some]
    bioes = [as_bioes(*one) for one in some]
    if any(found for found, _ in some):
        assert detect(iob2) == "IOB2"
        assert detect(iob1) == "IOB1"
        assert detect(bioes) == ("BIOES" if any(tag[0] in "ES" for tags in bioes for tag in tags) else "IOB2")
    else:
        assert detect(iob2) == "plain"


@pytest.mark.unit
def test_one_sentence_does_not_tell_but_the_source_does():
    both_ways = ["I-X", "B-X"]
    assert detect([both_ways]) == "IOB1"
    assert detect([both_ways, ["B-X"], ["O", "B-Y"]]) == "IOB2"  # broken once, against twice


@pytest.mark.unit
def test_plain_tags_and_odd_ones():
    assert not mark_spans(["NN", "VB", "-LRB-", "PRP$", "I", "O"])
    assert not mark_spans(["O"]) and not mark_spans([])
    assert mark_spans(["O", "B-X"]) and mark_spans(["S-X", "O"]) and mark_spans(["B", "I", "O"])
    assert mark_spans(["B-X", "oops"])
    assert odd(["O", "B-X", "oops", "I", "b-X", "I-", "0"]) == {"oops", "I", "b-X", "I-", "0"}
    assert odd(["B", "I", "O"]) == set()
    assert parse("B-A-B") == ("B", "A-B") and parse("O") == ("O", "") and parse("BX") is None


# Tag sets.


@pytest.mark.unit
def test_tag_sets_are_in_one_order():
    assert ordered(["I-PER", "B-PER", "O", "I-LOC", "B-MISC", "O"]) == (
        "O",
        "I-LOC",
        "B-MISC",
        "B-PER",
        "I-PER",
    )
    assert ordered(["VB", "NN", "."]) == (".", "NN", "VB")


@pytest.mark.unit
def test_what_may_follow_what():
    tags = ("O", "B-X", "I-X", "B-Y", "I-Y")
    may = allowed(tags)
    assert may.start.tolist() == [True, True, False, True, False]
    assert may.end.all()
    expected = np.ones((5, 5), bool)
    expected[:, 2] = [False, True, True, False, False]
    expected[:, 4] = [False, False, False, True, True]
    assert (may.transitions == expected).all()
    assert {a.dtype for a in (may.start, may.transitions, may.end)} == {np.dtype(bool)}


@pytest.mark.unit
def test_plain_tags_may_stand_anywhere():
    may = allowed(("NN", "VB"))
    assert may.start.all() and may.transitions.all() and may.end.all()


@pytest.mark.unit
def test_it_is_light_enough_to_serve():
    code = "import sys, limbeck.text.tags; print(*(m for m in ('torch', 'pyarrow', 'pydantic', 'yaml') if m in sys.modules))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == ""
