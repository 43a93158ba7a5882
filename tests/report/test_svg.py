"""Tags escape what they hold; scales put values where they belong."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from hypothesis import example, given, strategies as st

from limbeck.report.svg import Scale, around, drawing, path, tag

# What XML 1.0 can hold at all; browsers read more, but have their own parser.
text = st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff"))
finite = st.floats(min_value=-1e6, max_value=1e6)


@given(text, text)
def test_whatever_is_written_is_read_back(inside: str, attribute: str) -> None:
    element = ElementTree.fromstring(tag("text", inside, class_=attribute, text_anchor="end", x=1.0, y=None))
    assert (element.text or "") == inside
    assert element.attrib == {"class": attribute, "text-anchor": "end", "x": "1"}


def test_a_drawing_names_itself_and_keeps_its_children() -> None:
    shown = drawing(10.0, 20.0, 'a "plot"', [path([(0, 1), (2.25, 3)], class_="line")])
    element = ElementTree.fromstring(shown)
    assert element.attrib["aria-label"] == 'a "plot"'
    assert element.attrib["viewBox"] == "0 0 10 20"
    assert element[0].attrib["d"] == "M0.0,1.0L2.2,3.0"


@given(finite, st.floats(min_value=1e-3, max_value=1e6), st.integers(2, 10))
def test_linear_ticks(low: float, extent: float, wanted: int) -> None:
    scale = Scale(low, low + extent, 300, 10)
    ticks = scale.ticks(wanted)
    assert ticks == sorted(set(ticks))
    assert 1 <= len(ticks) <= wanted + 1
    assert all(9.9 <= scale(tick) <= 300.1 for tick in ticks)


@given(st.floats(min_value=1e-3, max_value=1e3), st.floats(min_value=2.3, max_value=1e4))
@example(2.0625, 2.375)  # holds neither a 1 nor a 2 nor a 5
def test_logarithmic_ticks(low: float, ratio: float) -> None:
    scale = Scale(low, low * ratio, 0, 100, log=True)
    ticks = scale.ticks(8)
    assert ticks
    assert all(-0.1 <= scale(tick) <= 100.1 for tick in ticks)
    assert all({*f"{tick:.6e}".split("e")[0]} <= set("12357.0") for tick in ticks)


def test_a_logarithmic_scale_puts_the_geometric_mean_in_the_middle() -> None:
    assert Scale(0.1, 10, 0, 200, log=True)(1) == pytest.approx(100)


@given(st.lists(finite, min_size=1), st.floats(min_value=0, max_value=10))
def test_around_holds_every_value(values: list[float], least: float) -> None:
    low, high = around(values, least=least)
    assert low < min(values)
    assert max(values) < high
    assert high - low >= least * 0.999
