"""The page and the Markdown as files: self-contained, escaped, whole, and good without what is missing."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, strategies as st
from markdown_it import MarkdownIt

from finished_runs import write as finished_run
from limbeck.core.errors import LimbeckError
from limbeck.report import markdown_parts
from limbeck.report.filling import HERE
from limbeck.report.page import write

MakeRun = Callable[..., Path]

INTENTS = tuple(
    f"{verb} {noun}" for verb in ("cancel", "track", "change", "return", "praise") for noun in "ABCDEFGHIJ"
)

VARIANTS = {
    "whole": {},
    "several methods": {
        "methods": {"hard_labels": 0.86, "soft_labels": 0.87, "<logit & 'regression'>": 0.876}
    },
    "one seed": {"seeds": (1,)},
    "no control": {"control": None},
    "no teacher": {"teacher": None},
    "no student": {"methods": {}},
    "no latency": {"latency": False},
    "no bundle": {"bundle": False},
    "a file of answers": {"answers_file": True, "latency": False},
    "fifty classes": {"labels": INTENTS, "examples": 2000},
    "three hundred classes": {"labels": tuple(f"c{n}" for n in range(300)), "examples": 900},
    "six classes": {"labels": ("joy", "anger", "fear", "sadness", "<surprise>", "disgust"), "examples": 300},
    "no wrong sentences": {"teacher": 1.0, "methods": {"logit_regression": 1.0}},
    "next to nothing": {
        "journals": False,
        "prepared": False,
        "predictions": False,
        "bundle": False,
        "latency": False,
        "control": None,
    },
}


class Outline(HTMLParser):
    """What a page is made of; fails where tags do not nest."""

    EMPTY = frozenset({"meta", "link", "br", "hr", "img", "input"})
    OPTIONAL = frozenset({"p", "li", "dt", "dd"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: Counter[str] = Counter()
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.headings: list[tuple[int, str]] = []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        for name, value in attrs:
            assert not name.startswith("on"), "no handlers"
            if name == "id":
                self.ids.append(value or "")
            if name in ("href", "src", "action", "data", "poster", "srcset", "xlink:href"):
                self.addresses.append(value or "")
        if re.fullmatch("h[1-6]", tag):
            self.headings.append((int(tag[1]), ""))
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1:] == [tag], (tag, self.open, self.getpos())
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if self.open and re.fullmatch("h[1-6]", self.open[-1]):
            level, text = self.headings[-1]
            self.headings[-1] = (level, text + data)


@pytest.mark.parametrize("name", VARIANTS)
def test_a_page_is_whole_whatever_is_missing(make_run: MakeRun, name: str) -> None:
    page = write([make_run("tweets", **VARIANTS[name])])
    html = page.read_text(encoding="utf-8")
    outline = Outline(html)
    assert outline.tags["h1"] == 1
    assert outline.tags["script"] == 0
    assert outline.tags["img"] == 0
    assert "<script" not in html.lower()
    assert "None" not in html
    assert "nan" not in re.findall(r"[a-z]+", html)
    assert not [
        address for address in outline.addresses if not address.startswith("#") and address != "data:,"
    ]
    assert not re.search(r"url\(|@import", html)
    assert max(Counter(outline.ids).values()) == 1
    assert {address[1:] for address in outline.addresses if address.startswith("#")} <= set(outline.ids)
    levels = [level for level, _ in outline.headings]
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels)), outline.headings
    markdown_page = page.with_suffix(".md").read_text(encoding="utf-8")
    assert markdown_page.startswith("# tweets\n\n**")
    assert "nan" not in re.findall(r"[a-z]+", markdown_page)


def test_a_whole_page_has_every_section(make_run: MakeRun) -> None:
    html = write([make_run()]).read_text(encoding="utf-8")
    assert [text for level, text in Outline(html).headings if level == 2] == [
        "Results on test",
        "Gains, with intervals",
        "Quality against latency",
        "How they learned",
        "Does confidence mean anything?",
        "What is taken for what",
        "Where teacher and student part ways",
        "Data",
        "The bundle",
        "To do it again",
    ]
    for part in (
        "4,907 damaged",
        "3.1 × 10⁻⁶",
        "learning_rate: 0.001",
        "66aa0b3d1e8f9c77",
        "accuracy|n:1821|labels:3",
    ):
        assert part in html
    for engine in ("PyTorch", "ONNX", "ONNX int8"):
        assert re.search(rf"<title>logit_regression in {engine}: [\d.]+ ms, accuracy [\d.]+ ± [\d.]+, ", html)


def test_users_text_is_only_text(make_run: MakeRun) -> None:
    labels = ("<script>alert(1)</script>", '"><img src=x onerror=alert(2)>', "a & b")
    page = write([make_run("tweets", labels=labels, methods={"<i>soft</i>": 0.87})])
    html = page.read_text(encoding="utf-8")
    outline = Outline(html)
    assert outline.tags["script"] == outline.tags["img"] == 0
    assert "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;" in html
    assert "default-src &#39;none&#39;" in html or "default-src 'none'" in html
    rendered = (
        MarkdownIt("commonmark").enable("table").render(page.with_suffix(".md").read_text(encoding="utf-8"))
    )
    assert "<script" not in rendered
    assert "<img" not in rendered
    assert "<i>" not in rendered


def test_several_runs_side_by_side(make_run: MakeRun, tmp_path: Path) -> None:
    folders = [make_run(name, random=number) for number, name in enumerate(("bilstm", "static"))]
    page = write(folders)
    assert page == tmp_path / "runs" / "report.html"
    outline = Outline(page.read_text(encoding="utf-8"))
    assert [text for level, text in outline.headings if level == 1] == ["2 runs compared"]
    assert max(Counter(outline.ids).values()) == 1
    assert {"run1-results", "run2-results"} <= set(outline.ids)
    told = page.with_suffix(".md").read_text(encoding="utf-8")
    assert told.startswith("# 2 runs compared")
    assert "| bilstm | logit\\_regression |" in told


def test_scores_of_unlike_runs_are_named(tmp_path: Path) -> None:
    errors = {"teacher": 0.1, "gold": 0.4, "soft_labels": 0.2}
    folders = [finished_run(tmp_path / task, task, errors) for task in ("classification", "regression")]
    page = write(folders)
    told = page.with_suffix(".md").read_text(encoding="utf-8")
    rows = [
        line.split(" | ")
        for line in told.splitlines()
        if line.startswith(("| classification", "| regression"))
    ]
    assert [row[2].split()[-1] for row in rows[:2]] == ["accuracy", "correlation"]
    assert rows[0][2].replace("\\", "") in page.read_text(encoding="utf-8")
    assert "accuracy |" not in write(folders[:1]).with_suffix(".md").read_text(encoding="utf-8")


def test_runs_with_other_test_sentences_are_called_so(make_run: MakeRun) -> None:
    folders = [make_run(name, prepared=False, examples=n) for name, n in (("one", 400), ("two", 500))]
    assert "not tested on the same sentences" in write(folders).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("out", "written"), [("there", "there/report.html"), ("there/mine.html", "there/mine.html")]
)
def test_where_it_is_written(make_run: MakeRun, tmp_path: Path, out: str, written: str) -> None:
    assert write([make_run()], tmp_path / out) == tmp_path / written
    assert (tmp_path / written).is_file()
    assert (tmp_path / written).with_suffix(".md").is_file()


def test_by_default_it_lies_in_the_runs_folder(make_run: MakeRun) -> None:
    folder = make_run()
    assert write([folder]) == folder / "report.html"


def test_no_run_at_all() -> None:
    with pytest.raises(LimbeckError, match="there is no run folder to report on"):
        write([])


def test_a_place_that_cannot_be_written(make_run: MakeRun, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    with pytest.raises(LimbeckError):
        write([make_run()], tmp_path / "file" / "report.html")


def test_the_same_run_gives_the_same_page(make_run: MakeRun) -> None:
    folder = make_run()
    first = write([folder]).read_bytes()
    assert write([folder]).read_bytes() == first


# ---------------------------------------------------------------- Markdown


plain = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), min_size=1).filter(str.strip)


@given(plain)
def test_markdown_says_just_what_was_written(text: str) -> None:
    """In a list, in a table and in bold, as another program reads it."""
    reader = MarkdownIt("commonmark").enable("table")
    expected = " ".join(text.split())
    shown = markdown_parts.text(text)
    for written in (f"- {shown}", f"| head |\n| --- |\n| {shown} |"):
        tokens = [
            token for token in reader.parse(written) if token.type == "inline" and token.content != "head"
        ]
        assert len(tokens) == 1
        assert "".join(child.content for child in tokens[0].children or ()) == expected


# ---------------------------------------------------------------- colours


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """WCAG 2.2, relative luminance."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_that_is_read_stands_out_from_the_paper(scheme: str) -> None:
    css = (HERE / "page.css").read_text(encoding="utf-8")
    light, dark = re.findall(r":root \{(.*?)\}", css, re.DOTALL)
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", light if scheme == "light" else dark))
    assert len(colours) == 17
    # 4.5:1 for text (AA); series' names are text too.
    for name in ("ink", "quiet", "accent", "teacher", "control", "s1", "s2", "s3", "s4", "s6", "hit", "miss"):
        assert contrast(colours[name], colours["paper"]) >= 4.5, name
    assert contrast(colours["s5"], colours["paper"]) >= 3
    assert contrast(colours["quiet"], colours["raised"]) >= 4.5
