"""The page of an analysis in a real browser, for every task, and that of several runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from finished_runs import WRITERS, write
from limbeck.pipeline.analysing import analyse

ERRORS = {"teacher": 0.1, "gold": 0.4, "soft_labels": 0.25}
EVIL = "<img src=x onerror=\"document.title='caught'\">"

WIDER_THAN_THE_WINDOW = """[...document.querySelectorAll('body *')].filter(e => {
    if (e.closest('.scroll') && !e.matches('.scroll')) return false;
    const box = e.getBoundingClientRect();
    return box.width > 0 && (box.right > innerWidth + 0.5 || box.left < -0.5);
}).map(e => e.tagName + '.' + e.getAttribute('class')).slice(0, 5).join(', ')"""

SMALLEST_TEXT = """Math.min(99, ...[...document.querySelectorAll('svg.plot text')].map(text => {
    const svg = text.ownerSVGElement;
    if (!svg.clientWidth) return 99;
    return parseFloat(getComputedStyle(text).fontSize) * svg.clientWidth / svg.viewBox.baseVal.width;
}))"""

NUMBERS_ONLY_IN_PICTURES = """[...document.querySelectorAll('svg.plot title')].flatMap(title => {
    const cells = [...document.querySelectorAll('td, th, p.note, dd')].map(e => e.textContent).join(' ');
    return (title.textContent.match(/\\d+\\.\\d+/g) || []).filter(number => !cells.includes(number));
}).slice(0, 5).join(', ')"""

HEADINGS = [
    "Who is right where",
    "Where it was lost, slice by slice",
    "Words that go with lost texts",
    "Flows between answers",
    "Calibration, before and after a temperature",
    "How sharp the teacher's answers are",
    "Agreement with the teacher, by source of the text",
    "Agreement between all models",
]


def complaints(browser: Any) -> list[Any]:
    """What the console and the page itself complained of since it was opened."""
    return [
        event
        for event in browser.events
        if event.get("method") in ("Runtime.exceptionThrown", "Runtime.consoleAPICalled")
        or (event.get("method") == "Log.entryAdded" and event["params"]["entry"]["level"] == "error")
    ]


def check(browser: Any, page: Path, width: int, dark: bool) -> None:
    browser("Log.enable")
    browser.open(page, width=width, dark=dark)
    browser.ask("document.querySelectorAll('details').forEach(each => each.open = true)")
    assert browser.ask("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert browser.ask(WIDER_THAN_THE_WINDOW) == ""
    assert browser.ask(SMALLEST_TEXT) >= 9.5, "text in pictures is too small to read"
    assert browser.ask("document.querySelectorAll('h1').length") == 1
    assert complaints(browser) == []
    assert [url for url in browser.requests() if not url.startswith(("file:", "data:"))] == []


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The pages of a run of each task, and of two runs side by side."""
    folder = tmp_path_factory.mktemp("runs")
    found = {
        task: analyse([write(folder / task, task, ERRORS, examples=90)], ask_models=False).page
        for task in WRITERS
    }
    both = [
        folder / "classification",
        write(folder / f"x{'y' * 40}", "classification", ERRORS | {"soft_labels": 0.2}, examples=90),
    ]
    return found | {"several": analyse(both, ask_models=False).page}


@pytest.mark.parametrize("task", WRITERS)
def test_a_page_of_every_task_fits_a_phone(pages: dict[str, Path], browser: Any, task: str) -> None:
    check(browser, pages[task], width=390, dark=True)
    heads = browser.ask("[...document.querySelectorAll('h2')].map(each => each.textContent)")
    assert heads[:-1] == HEADINGS and heads[-1].endswith("worth reading")
    assert "NaN" not in browser.ask("document.body.textContent") and "None" not in browser.ask(
        "document.body.innerText"
    )


def test_it_fits_a_laptop_too(pages: dict[str, Path], browser: Any) -> None:
    check(browser, pages["classification"], width=1280, dark=False)
    assert browser.ask("document.querySelectorAll('svg.flows path.lost').length") > 0
    assert browser.ask(NUMBERS_ONLY_IN_PICTURES) == "", "a number in a picture stands in no table"
    browser.open(pages["classification"], width=1100)
    slices = "[...document.querySelectorAll('.scroll:has(> .slices)')]"
    assert browser.ask(f"{slices}.length") > 0
    assert browser.ask(f"{slices}.every(each => each.scrollWidth <= each.clientWidth)")


def test_several_runs_on_a_phone(pages: dict[str, Path], browser: Any) -> None:
    check(browser, pages["several"], width=390, dark=False)
    heads = browser.ask("[...document.querySelectorAll('h2')].map(each => each.textContent)")
    assert heads == ["Who is right where", "Gaps, slice by slice", "The same mistakes?", "Agreement between all models", "The runs"]  # fmt: skip
    assert browser.ask("document.querySelectorAll('svg.bar').length") > 0


def test_text_of_a_run_is_text(tmp_path: Path, browser: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("finished_runs.LABELS", (EVIL, "fine", "good"))
    page = analyse([write(tmp_path / "one", "classification", ERRORS, examples=80)], ask_models=False).page
    browser.open(page)
    assert browser.ask("document.title") == "one, what was lost · Limbeck"
    assert browser.ask("document.images.length + document.scripts.length") == 0
    assert EVIL in browser.ask("document.querySelector('#flows').parentElement.textContent")
