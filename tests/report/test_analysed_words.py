"""Sentences of an analysis: no winner where all are alike, and no best place at the end of what was looked at."""

from typing import Any

import pytest

from limbeck.analyse.mistakes.temperature import RANGE
from limbeck.report.analysed_words import fitted_temperature, together_headline

pytestmark = pytest.mark.unit


def run(name: str, lost: float) -> dict[str, Any]:
    cells = [{"of": "hints", "over": "teacher", "mean": {"theirs": lost}}]
    return {"run": name, "cast": {"student": "hints", "teacher": "teacher"}, "cells": cells}


def test_a_tie_has_no_winner() -> None:
    of = {"task": "classification", "examples": 100}
    told = together_headline({**of, "runs": [run("a", 7), run("b", 9)]})
    assert told == "a:hints loses least of its teacher, 7 of 100 texts; b:hints loses most, 9"
    assert (
        together_headline({**of, "runs": [run("a", 7), run("b", 7)]})
        == "all lose as much of their teachers, 7 of 100 texts"
    )


def test_a_temperature_at_an_end_is_told_as_an_end() -> None:
    least, most = RANGE
    assert [fitted_temperature(value) for value in (least, 1.337, most)] == [
        "0.05 or less",
        "1.34",
        "20 or more",
    ]
