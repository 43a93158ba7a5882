"""The section on transfer text: numbers and samples in page and Markdown, escaped, and without the teacher's answers."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from limbeck.core.errors import LimbeckError
from limbeck.report.page import write
from limbeck.report.reading import read_run
from limbeck.report.transfer_text import text_view

MakeRun = Callable[..., Path]

BINS = [0, 0, 0, 1, 2, 3, 4, 10, 20, 60]


def answered(text: str, label: str | None = "positive", gold: str | None = None) -> dict[str, Any]:
    return {"text": text, "gold": gold, "label": label, "confidence": None if label is None else 0.913}


def kind(
    name: str, kept: int, dropped: dict[str, int], samples: list[Any], asked: bool = True
) -> dict[str, Any]:
    confidence = {
        "texts": kept,
        "mean": 0.8346,
        "quantiles": {"0.1": 0.5, "0.25": 0.6, "0.5": 0.8768, "0.75": 0.9, "0.9": 0.99},
        "bins": BINS,
        "labels": {"negative": 0.5, "positive": 0.5},
    }
    shared = {"name": name, "kept": kept, "dropped": dropped, "words": 9.31, "samples": samples}
    return {**shared, "confidence": confidence if asked else None}


def told(asked: bool = True) -> dict[str, Any]:
    label = "positive" if asked else None
    made = {
        "made": answered("a <b>warm</b> [MASK]", label),
        "of": answered("a warm | film", label, "negative"),
        "origin": "rules of x:1: 1 masked, 0 replaced",
    }
    plain = {"made": answered("found <script>", label), "of": None, "origin": "x:9"}
    return {
        "kinds": [
            kind("gold", 100, {}, [], asked),
            kind("unlabelled", 30, {"in test": 2}, [plain], asked),
            kind("rules", 1500, {"duplicate": 400, "in dev": 100}, [made], asked),
        ]
    }


def reported(make_run: MakeRun, content: Any) -> tuple[Path, str, str]:
    folder = make_run("run", methods={"logit_regression": 0.87}, seeds=(1,), examples=200)
    (folder / "evaluation" / "transfer_text.json").write_text(json.dumps(content))
    page = write([folder])
    return folder, page.read_text(), page.with_suffix(".md").read_text()


def test_page_and_markdown_tell_the_same(make_run: MakeRun) -> None:
    _, page, markdown = reported(make_run, told())
    row = next(line for line in markdown.splitlines() if line.startswith("| rules"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    wanted = [
        "rules",
        "2,000",
        "1,500",
        "75.0",
        "400 duplicate, 100 in dev",
        "9.3",
        "83.5",
        "50.0",
        "87.7",
        "99.0",
    ]
    assert cells == wanted
    section = page.partition('id="text"')[2].partition("</section>")[0]
    shown = [
        html.unescape(re.sub(r"<[^>]*>", "", cell)) for cell in re.findall(r"<t[hd].*?</t[hd]>", section)
    ]
    assert " ".join(wanted) in " ".join(shown)
    assert '<a href="#text">' in page
    assert "a &lt;b&gt;warm&lt;/b&gt; [MASK]" in section and "found &lt;script&gt;" in section
    assert "rules of x:1: 1 masked, 0 replaced" in section
    assert section.count("<svg") == 3 and section.count("diagonal") == 2  # gold is not compared with itself
    assert "confidence 90% to 100%: 60.0% of the texts; of gold text 60.0%" in section
    line = next(line for line in markdown.splitlines() if "→" in line)
    assert line == "- a warm \\| film (positive 91%) → a &lt;b&gt;warm&lt;/b&gt; \\[MASK\\] (positive 91%)"
    assert "teacher <b" in section and "gold negative" in section


def test_without_the_teachers_answers(make_run: MakeRun) -> None:
    _, page, markdown = reported(make_run, told(asked=False))
    section = page.partition('id="text"')[2].partition("</section>")[0]
    assert "<svg" not in section and "onfidence" not in section and "teacher" not in section
    assert "- a warm \\| film → a &lt;b&gt;warm&lt;/b&gt; \\[MASK\\]" in markdown


def test_runs_that_have_none_and_files_that_are_damaged(make_run: MakeRun) -> None:
    folder, _, _ = reported(make_run, told())
    (folder / "evaluation" / "transfer_text.json").write_text('{"kinds": [{"name": 3}]}')
    with pytest.raises(LimbeckError, match="is not as 'limbeck evaluate' writes it"):
        read_run(folder)
    (folder / "evaluation" / "transfer_text.json").unlink()
    assert text_view(read_run(folder).text) is None
    assert 'id="text"' not in write([folder]).read_text()
