"""Sentences of an analysis: no winner where all are alike, and no best place at the end of what was looked at."""

from typing import Any

import pytest

from limbeck.analyse.mistakes.temperature import RANGE
from limbeck.report.analysed_names import for_people
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


def test_the_control_is_called_that_and_labels_keep_their_names() -> None:
    cells = [{"of": "hints", "over": "gold", "mean": {"theirs": 1}}]
    one = {
        "run": "a",
        "cast": {"student": "hints", "control": "gold"},
        "cells": cells,
        "flows": [{"before": "gold", "after": "hints", "flows": [{"gold": "good", "before": "gold"}]}],
        "calibration": [{"name": "gold", "ece": 0.1}],
        "agreement": {"models": ["hints", "gold"], "share": [[1, 0], [0, 1]]},
        "seeds": {"hints": [1], "gold": [1]},
        "sources": [{"source": "gold"}],
    }
    told = for_people(one)
    assert told["cells"] == [{**cells[0], "over": "control"}] and told["cast"]["control"] == "control"
    assert told["flows"] == [{**one["flows"][0], "before": "control"}] and told["sources"] == one["sources"]
    assert told["agreement"]["models"] == ["hints", "control"] and told["seeds"] == {
        "hints": [1],
        "control": [1],
    }
    assert one["cast"]["control"] == "gold" and told["calibration"][0]["name"] == "control"
    overlap = [{"of": "a:hints", "over": "a:gold", "share": 0.5}]
    both = for_people({"runs": [one], "students": ["a:hints"], "overlap": overlap, "agreement": None})
    assert (
        both["overlap"] == [{**overlap[0], "over": "a:control"}] and both["runs"][0]["cells"] == told["cells"]
    )
