"""The page in a real browser: it fits a phone, reads in the dark, asks nothing of anybody."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from limbeck.report.page import write

MakeRun = Callable[..., Path]

INTENTS = tuple(
    f"{verb} the {noun}"
    for verb in ("cancel", "track", "change", "return", "praise")
    for noun in "ABCDEFGHIJ"
)
LONG = "a label that somebody wrote as a whole sentence, which goes on for a while"

RUNS: dict[str, dict[str, Any]] = {
    "whole": {"methods": {"logit_regression": 0.876, "soft_labels": 0.87}},
    "fifty classes": {"labels": INTENTS, "examples": 2000},
    "long names": {"labels": (LONG, LONG[::-1], "x" * 90), "methods": {"y" * 60: 0.87}},
    "next to nothing": {
        "journals": False,
        "prepared": False,
        "bundle": False,
        "latency": False,
        "control": None,
    },
}

WIDER_THAN_THE_WINDOW = """[...document.querySelectorAll('body *')].filter(e => {
    if (e.closest('.scroll') && !e.matches('.scroll')) return false;
    const box = e.getBoundingClientRect();
    return box.width > 0 && (box.right > innerWidth + 0.5 || box.left < -0.5);
}).map(e => e.tagName + '.' + e.getAttribute('class')).slice(0, 5).join(', ')"""

SMALLEST_TEXT = """Math.min(...[...document.querySelectorAll('svg.plot text')].map(text => {
    const svg = text.ownerSVGElement;
    if (!svg.clientWidth) return 99;
    return parseFloat(getComputedStyle(text).fontSize) * svg.clientWidth / svg.viewBox.baseVal.width;
}))"""


@pytest.mark.parametrize("width", [390, 768, 1280])
@pytest.mark.parametrize("name", RUNS)
def test_it_fits(make_run: MakeRun, browser: Any, name: str, width: int) -> None:
    browser.open(write([make_run("tweets", **RUNS[name])]), width=width)
    assert browser.ask("document.querySelectorAll('h1').length") == 1
    assert browser.ask("document.querySelectorAll('h2').length") >= 5
    for opened in (False, True):
        browser.ask(
            f"document.querySelectorAll('details').forEach(each => each.open = {str(opened).lower()})"
        )
        assert browser.ask("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), (
            opened
        )
        assert browser.ask(WIDER_THAN_THE_WINDOW) == ""
    assert browser.ask(SMALLEST_TEXT) >= 9.5, "text in pictures is too small to read"
    assert [url for url in browser.requests() if not url.startswith(("file:", "data:"))] == []


def test_several_runs_fit_a_phone(make_run: MakeRun, browser: Any) -> None:
    browser.open(write([make_run(name, random=n) for n, name in enumerate(("bilstm", "static"))]), width=390)
    assert browser.ask("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert browser.ask(WIDER_THAN_THE_WINDOW) == ""


def test_light_and_dark(make_run: MakeRun, browser: Any) -> None:
    page = write([make_run()])
    papers = []
    for dark in (False, True):
        browser.open(page, dark=dark)
        papers.append(browser.ask("getComputedStyle(document.body).backgroundColor"))
    assert papers == ["rgb(252, 251, 248)", "rgb(23, 22, 19)"]


def test_a_sentence_with_a_script_in_it_runs_nothing(make_run: MakeRun, browser: Any) -> None:
    evil = "<img src=x onerror=\"document.title='caught'\"><script>document.title='caught'</script>"
    browser.open(
        write([make_run("tweets", labels=(evil, "no", "yes"), methods={evil.replace("/", ""): 0.87})])
    )
    assert browser.ask("document.title") == "tweets · Limbeck"
    assert browser.ask("document.querySelector('.confusion th[scope=col]').textContent") == evil
    assert browser.ask("document.images.length + document.scripts.length") == 0


def test_numbers_of_a_picture_are_in_its_titles(make_run: MakeRun, browser: Any) -> None:
    browser.open(write([make_run()]))
    titles = browser.ask("[...document.querySelectorAll('.for-laptop title')].map(each => each.textContent)")
    assert len(titles) == 9
    assert all(" ms, accuracy " in title for title in titles)


def test_a_browser_starts_whichever_numbers_its_pipes_have(browser: Any, tmp_path: Path) -> None:
    """In a process of its own, where nobody holds descriptors but this."""
    script = """if True:
        import os, pathlib, runpy, sys
        chromium = runpy.run_path(sys.argv[1])["Chromium"]
        while (held := os.open(os.devnull, os.O_RDONLY)) < 16:
            pass
        assert held == 16  # the next four are 17 to 20
        chromium(sys.argv[2], pathlib.Path(sys.argv[3])).close()
    """
    conftest = Path(__file__).with_name("conftest.py")
    command = [sys.executable, "-c", script, conftest, browser.process.args[0], tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
