"""The panels of the toy study: well-formed, told in words, and every point where it belongs."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from limbeck.core.errors import LimbeckError
from limbeck.report.triangle import HEIGHT, MOST, WIDTH, Panel, figure, write

SVG = "{http://www.w3.org/2000/svg}"


def test_panels_stand_side_by_side_with_their_complexity(tmp_path: Path) -> None:
    mixed = Panel(
        'On the "mixture" & all', np.array([[0.9, 0.1, 0.0], [0.2, 0.2, 0.6], [1 / 3, 1 / 3, 1 / 3]]), 3.67
    )
    reduced = Panel("On a random reduction, one translation a sentence", np.eye(3)[[0, 0, 0, 1]])
    drawn = ElementTree.parse(write([mixed, reduced], ("de", "fr", "<es>"), tmp_path / "modes.svg")).getroot()
    panels = drawn.findall(f"{SVG}g")
    assert drawn.attrib["viewBox"] == f"0 0 {2 * WIDTH:g} {HEIGHT:g}"
    told = [[text.text for text in panel.iter(f"{SVG}text")] for panel in panels]
    assert told[0] == [
        'On the "mixture" & all',
        "de 33%",
        "fr 0%",
        "<es> 33%",
        "C(d) = 3.67",
        "67% in one language",
    ]
    assert told[1][:2] == ["On a random reduction,", "one translation a sentence"]
    assert told[1][2:] == ["de 75%", "fr 25%", "<es> 0%", "100% in one language"]
    points = [[dot.attrib["class"] for dot in panel.iter(f"{SVG}circle")] for panel in panels]
    assert points == [["l0", "l2", "l0"], ["l0", "l0", "l0", "l1"]]


@pytest.mark.parametrize(
    "title",
    [
        "(a) autoregressive on the mixture",
        "(c) vanilla on a random reduction",
        "(d) vanilla on distilled text",
    ],
)
def test_titles_of_the_study_stay_within_their_panel(title: str) -> None:
    svg = ElementTree.fromstring(figure([Panel(title, np.eye(3))], "abc"))
    lines = [text.text or "" for text in svg.iter("text") if text.attrib["class"] == "title"]
    assert " ".join(lines) == title
    widest = 8.7  # pixels of a bold letter, where the page's fonts are lacking and a wide one stands in
    assert max(map(len, lines)) * widest < WIDTH


def test_points_stand_at_their_corners_and_in_the_middle() -> None:
    svg = ElementTree.fromstring(figure([Panel("x", np.vstack([np.eye(3), np.full(3, 1 / 3)]))], "abc"))
    left, right, above, middle = (
        (float(dot.attrib["cx"]), float(dot.attrib["cy"])) for dot in svg.iter("circle")
    )
    assert left[0] < middle[0] < right[0] and left[1] == right[1] > middle[1] > above[1]
    assert middle[0] == above[0] == WIDTH / 2
    assert all(0 < x < WIDTH and 0 < y < HEIGHT for x, y in (left, right, above, middle))


def test_many_points_are_thinned_out_and_none_is_no_trouble() -> None:
    many = Panel("many", np.tile(np.eye(3), (MOST, 1)))
    assert len(list(ElementTree.fromstring(figure([many], "abc")).iter("circle"))) == MOST
    assert "<circle" not in figure([Panel("none", np.zeros((0, 3)))], "abc")


def test_refusals() -> None:
    with pytest.raises(LimbeckError, match="nothing to draw"):
        figure([], "abc")
    with pytest.raises(LimbeckError, match="three languages"):
        figure([Panel("x", np.eye(3))], "ab")
