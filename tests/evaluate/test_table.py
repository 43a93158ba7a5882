"""The run's table: numbers as people write them, in Markdown and in a terminal."""

from __future__ import annotations

import pytest

from limbeck.core.recipe import Evaluation
from limbeck.evaluate.evaluate import evaluate
from limbeck.evaluate.table import (
    BRIEF,
    cells,
    markdown,
    markdown_table,
    milliseconds,
    percent,
    points,
    rows,
    size,
    terminal,
    times,
)

pytestmark = pytest.mark.unit


@pytest.fixture
def table(tmp_path, examples, models, costs):
    few = Evaluation(resamples=200)
    return evaluate(tmp_path, ("bad", "fine", "good"), examples, models, costs=costs, settings=few)


def test_rows_are_flat_and_keep_numbers_as_numbers(table):
    teacher, control, student = rows(table)
    assert [one["name"] for one in (teacher, control, student)] == ["teacher", "gold", "soft_labels"]
    assert teacher["gain"] is None
    assert teacher["deviation"] is None
    assert (teacher["engine"], teacher["bytes"]) == ("pytorch", 4000)
    assert (student["engine"], student["bytes"]) == ("onnx-int8", 100)
    assert student["times_faster"] == pytest.approx(50)
    assert student["low"] <= student["gain"] <= student["high"]
    assert student["gain"] == pytest.approx(student["accuracy"] - control["accuracy"])


def test_the_control_shows_the_cost_of_the_student_whose_architecture_it_shares(table):
    _, control, student = rows(table)
    assert control["p50_ms"] == student["p50_ms"] == 0.4


def test_markdown_lines_up_and_shows_what_matters(table):
    head, rule, teacher, control, student = markdown(rows(table)).splitlines()
    assert len({len(line) for line in (head, rule, teacher, control, student)}) == 1
    assert [cell.strip() for cell in head.strip("|").split("|")] == [
        "model", "seeds", "accuracy", "gain over control", "of teacher's", "engine", "one sentence",
        "times faster", "size",
    ]  # fmt: skip
    assert rule.startswith("| ----")
    assert rule.endswith(": |")
    assert "| gold (control) |" in control
    assert " ± " in student
    assert " ± " not in teacher
    assert "50× |  100 B |" in student
    assert " 20.0 ms |" in teacher


def test_a_run_without_control_or_speed_has_dashes(tmp_path, examples, models):
    content = evaluate(
        tmp_path, ("bad", "fine", "good"), examples, [models[0]], settings=Evaluation(resamples=50)
    )
    (line,) = cells(rows(content))
    assert line[3:] == ["–"] * 6
    assert len(markdown(rows(content)).splitlines()) == 3


def test_a_bar_in_a_name_does_not_break_the_table(table):
    plain = rows(table)
    plain[0]["name"] = "a|b"
    assert "| a\\|b " in markdown(plain)


def test_any_table_can_be_written():
    assert markdown_table(("step", "bytes"), [("ask", "12 kB"), ("a|b", "–")], frozenset({"step"})) == (
        "| step | bytes |\n| ---- | ----: |\n| ask  | 12 kB |\n| a\\|b |     – |"
    )
    assert markdown_table(("a", "b"), []) == "|   a |   b |\n| --: | --: |"


def test_terminal_table_shows_the_same_cells(table):
    from rich.console import Console

    console = Console(width=80, force_terminal=False)
    with console.capture() as capture:
        console.print(terminal(rows(table)))
    shown = capture.get()
    for line in cells(rows(table), BRIEF):
        for cell in line:
            assert cell in shown


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (percent(0.8764), "87.6"),
        (percent(0.8764, 0.0031), "87.6 ± 0.3"),
        (percent(None), "–"),
        (points(0.027, 0.019, 0.035), "+2.7 [+1.9, +3.5]"),
        (points(-0.005, -0.012, 0.0004), "−0.5 [−1.2, 0.0]"),
        (points(None), "–"),
        (times(51.6), "52×"),
        (times(3.14), "3.1×"),
        (times(9.96), "10×"),
        (times(None), "–"),
        (milliseconds(0.353), "0.35 ms"),
        (milliseconds(9.996), "10.0 ms"),
        (milliseconds(18.84), "18.8 ms"),
        (size(90), "90 B"),
        (size(3_100_000), "3.1 MB"),
        (size(91_000_000), "91.0 MB"),
        (size(437_000_000), "437 MB"),
        (size(999_700), "1.0 MB"),
        (size(1_340_000_000), "1.3 GB"),
        (size(None), "–"),
    ],
)
def test_numbers_as_people_write_them(shown, expected):
    assert shown == expected
