"""Forests on the page: the drawn tree, its text, and the words that decide."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from limbeck.core.errors import LimbeckError
from limbeck.report.forest import as_text, picture, question
from limbeck.report.forest_facts import Forest, ShownTree, TreeNode, UsedFeature
from limbeck.report.page import write

pytestmark = pytest.mark.unit

LABELS = ["negative", "neutral", "positive"]
NODES = [
    {
        "texts": 90,
        "shares": [0.4, 0.2, 0.4],
        "name": "not <b>good</b>",
        "threshold": 0.5,
        "below": 1,
        "above": 2,
    },
    {"texts": 70, "shares": [0.2, 0.2, 0.6], "name": "bad", "threshold": 1.5, "below": 3, "above": 4},
    {"texts": 20, "shares": [0.9, 0.05, 0.05]},
    {"texts": 65, "shares": [0.1, 0.2, 0.7], "more": 3},
    {"texts": 5, "shares": [0.8, 0.1, 0.1], "more": 1},
]


def facts(**changes: Any) -> dict[str, Any]:
    size = {"texts": 90, "trees": 7, "nodes": 70, "leaves": 38, "depth": 9}
    used = [
        {"name": "bad", "share": 0.75, "splits": 4},
        {"name": "not <b>good</b>", "share": 0.25, "splits": 1},
    ]
    shown = {"tree": 4, "agreement": 0.9, "nodes": NODES}
    whole = {
        "features": "ngrams",
        "values": "presence",
        **size,
        "labels": LABELS,
        "used": used,
        "shown": shown,
    }
    return {**whole, **changes}


def forest(**changes: Any) -> Forest:
    values = facts(**changes)
    shown = values["shown"]
    nodes = [TreeNode(**node) for node in shown["nodes"]]
    values["shown"] = ShownTree(shown["tree"], shown["agreement"], nodes)
    values["used"] = [UsedFeature(**used) for used in values["used"]]
    return Forest(**values)


def test_text_reads_from_the_root_down_yes_before_no() -> None:
    assert as_text(forest()).splitlines() == [
        "has “not <b>good</b>”? (90)",
        "|-- yes: negative 90% (20)",
        "|-- no: has “bad” 2 times? (70)",
        "|   |-- yes: negative 80% · 1 more split (5)",
        "|   |-- no: positive 70% · 3 more splits (65)",
    ]


@pytest.mark.parametrize(
    ("changes", "asked"),
    [
        ({"values": "tfidf"}, "“not <b>good</b>” weighs more than 0.500?"),
        ({"features": "embeddings"}, "not <b>good</b> above 0.500?"),
    ],
)
def test_questions_say_what_features_are(changes: dict[str, Any], asked: str) -> None:
    found = forest(**changes)
    assert question(found.shown.nodes[0], found) == asked


def test_the_picture_has_a_row_a_node_and_bars_that_add_up() -> None:
    drawn = str(picture(forest(), "a <model>"))
    assert "<b>" not in drawn and "&lt;b&gt;good" in drawn and "a &lt;model&gt;" in drawn
    assert drawn.count('class="branch"') == len(NODES) - 1
    widths = [float(each) for each in re.findall(r'width="([\d.]+)" height="12" class="s\d"', drawn)]
    assert len(widths) == 3 * len(NODES)
    assert sum(widths) == pytest.approx(200 * len(NODES), abs=0.2)
    ends = [float(each) for each in re.findall(r'<text[^>]* x="([\d.]+)"', drawn)]
    assert max(ends) <= 960


def test_of_many_classes_a_bar_tells_the_likeliest() -> None:
    many = [f"class {number}" for number in range(9)]
    shares = [0.5, *[0.0625] * 8]
    drawn = str(
        picture(
            forest(labels=many, shown={"tree": 0, "agreement": 1, "nodes": [{"texts": 3, "shares": shares}]}),
            "",
        )
    )
    assert 'width="100" height="12" class="plain"' in drawn and 'class="s1"' not in drawn
    assert "class 0 50%" in drawn


class Whole(HTMLParser):
    """Checks that elements are closed in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "link", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_page_and_markdown_show_the_tree_of_each_method(make_run: Callable[..., Path]) -> None:
    folder = make_run()
    for student in (folder / "students").glob("*/seed-*"):
        (student / "forest.json").write_text(json.dumps(facts()))
    page = write([folder])
    html, markdown = page.read_text(encoding="utf-8"), page.with_suffix(".md").read_text(encoding="utf-8")
    Whole(html)
    assert "A tree of the forest, to be read" in html and "7 trees of 70 nodes, 38 leaves in all" in html
    assert html.count("natural tree") == len(list((folder / "students").iterdir()))
    assert "number 5, which is nearest" in html and "<b>good" not in html
    assert "|-- no: has “bad” 2 times? (70)" in markdown
    assert "| bad | 4 | 75.0% |" in markdown


def test_a_damaged_forest_is_told(make_run: Callable[..., Path]) -> None:
    folder = make_run()
    student = next((folder / "students").glob("*/seed-*")).parent
    for each in student.iterdir():
        (each / "forest.json").write_text(json.dumps({"trees": "many"}))
    with pytest.raises(LimbeckError, match=r"forest\.json"):
        write([folder])
