"""What the headline claims, and how numbers look."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from limbeck.report import words
from limbeck.report.analysed_words import where
from limbeck.report.reading import read_run

MakeRun = Callable[..., Path]


def edited(folder: Path, edit: Callable[[dict], None]) -> words.Headline:
    path = folder / "evaluation" / "evaluation.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    edit(content)
    path.write_text(json.dumps(content), encoding="utf-8")
    return words.headline(read_run(folder))


def with_gain(gain: float, low: float, high: float) -> Callable[[dict], None]:
    def edit(content: dict) -> None:
        first = content["gains"][0]
        assert (first["of"], first["over"]) == ("logit_regression", "gold")
        first.update(gain=gain, low=low, high=high)
        content["summary"][-1]["retention"] = 0.981

    return edit


def test_a_gain_that_is_clear(make_run: MakeRun) -> None:
    told = edited(make_run(), with_gain(0.027, 0.019, 0.035))
    assert told.sentence == (
        "Kept 98.1% of the teacher's accuracy, 41 times faster, 1/15 of the bytes; +2.7 points over the same "
        "student without a teacher, 95% interval +1.9 to +3.5."
    )
    assert [figure.value for figure in told.figures] == ["98.1%", "41×", "1/15", "+2.7"]
    assert "14 times faster" in told.basis[-1], (
        "the fairer comparison, with the teacher's own int8, is there too"
    )


def test_a_teacher_that_knows_no_more_than_the_control_is_told_of(make_run: MakeRun) -> None:
    def edit(content: dict) -> None:
        roles = {one["role"]: one for one in content["summary"]}
        roles["teacher"]["mean"]["accuracy"] = roles["control"]["mean"]["accuracy"] - 0.01

    assert not any("Who knows no more" in told for told in edited(make_run(), lambda content: None).basis)
    found = edited(make_run("weak"), edit)
    (told,) = (told for told in found.basis if "Who knows no more" in told)
    assert told.startswith("Beware: the teacher scores ")


def test_a_gain_that_is_not_clear_of_zero(make_run: MakeRun) -> None:
    told = edited(make_run(), with_gain(0.004, -0.003, 0.011))
    assert told.sentence.endswith(
        "; the difference from the same student without a teacher, +0.4 points, is not clear of zero "
        "(95% interval −0.3 to +1.1)."
    )


def test_a_loss(make_run: MakeRun) -> None:
    told = edited(make_run(), with_gain(-0.006, -0.011, -0.002))
    assert told.sentence.endswith(
        "; but 0.6 points worse than the same student without a teacher, 95% interval −1.1 to −0.2."
    )


def test_a_student_that_might_as_well_guess_is_called_so(make_run: MakeRun) -> None:
    folder = make_run(
        "coin", labels=("no", "yes"), teacher=0.55, control=0.4, methods={"logit_regression": 0.45}
    )
    told = " ".join(words.headline(read_run(folder)).basis)
    assert re.search(
        r"Beware: always answering '(no|yes)' would be right on [\d.]+% of these sentences too\.", told
    )
    assert "Beware" not in " ".join(words.headline(read_run(make_run())).basis)


def test_slower_and_larger(make_run: MakeRun) -> None:
    def edit(content: dict) -> None:
        for row in content["cost"]:
            if row["name"] != "teacher":
                row.update(p50_ms=28.8, bytes=109_065_830)

    told = edited(make_run(), edit)
    assert "2.0 times slower, 1.2 times the bytes;" in told.sentence


def test_a_little_smaller(make_run: MakeRun) -> None:
    def edit(content: dict) -> None:
        for row in content["cost"]:
            if row["name"] != "teacher":
                row.update(p50_ms=9.6, bytes=72_710_554)

    told = edited(make_run(), edit)
    assert "1.5 times faster, 80% of the bytes;" in told.sentence


@pytest.mark.parametrize(
    ("choices", "sentence"),
    [
        (
            {"control": None},
            r"Kept [\d.]+% of .*; no control was trained, so what the teacher's answers gained is not .*",
        ),
        (
            {"teacher": None},
            r"8[\d.]+% accurate on test, 0\.351.ms a sentence, 6\.26.MB on disk; .* points over .*",
        ),
        ({"latency": False}, r"Kept [\d.]+% of the teacher's accuracy, 1/15 of the bytes; .*"),
        ({"answers_file": True}, r"Kept [\d.]+% of .*, 0\.351.ms a sentence, 6\.26.MB on disk; .*"),
        ({"methods": {}}, r"No student was evaluated in this run: there is nothing to compare yet\."),
    ],
)
def test_what_is_not_known_is_not_claimed(make_run: MakeRun, choices: dict, sentence: str) -> None:
    told = words.headline(read_run(make_run(**choices)))
    assert re.fullmatch(sentence, told.sentence), told.sentence


def test_a_gain_that_was_not_computed(make_run: MakeRun) -> None:
    told = edited(make_run(), lambda content: content.update(gains=[]))
    assert told.sentence.endswith(
        "; what that gains over the same student without a teacher was not computed."
    )


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (words.fixed(-0.04, 1), "0.0"),
        (words.fixed(-1.25, 1), "−1.2"),
        (words.fixed(float("nan"), 1), "–"),
        (words.percent(0.98149), "98.1%"),
        (words.score("mcc", 0.75249), "0.752"),
        (words.score("accuracy", None), "–"),
        (words.difference("accuracy", 0.027), "+2.7"),
        (words.difference("mcc", -0.0123), "−0.012"),
        (words.size(6_260_000), "6.26 MB"),
        (words.size(999_600), "1.00 MB"),
        (words.size(512), "512 bytes"),
        (words.size(4_200_000_000), "4.20 GB"),
        (words.size(None), "–"),
        (words.significant(0.351), "0.351"),
        (words.significant(3.1e-6), "3.1 × 10⁻⁶"),
        (words.significant(0), "0"),
        (words.significant(22_714_752), "22,714,752"),
        (words.times(9.94), "9.9"),
        (words.times(9.96), "10"),
        (words.p_value(0.0), "< 0.001"),
        (words.p_value(0.0482), "0.048"),
        (words.p_value(None), "–"),
        (words.duration(41), "41.0 s"),
        (words.duration(131.4), "2 min 11 s"),
        (words.duration(7300), "2 h 01 min"),
        (words.axis_percent(0.875), "87.5"),
        (words.plural(1, "class", "classes"), "1 class"),
        (words.plural(1821, "sentence"), "1,821 sentences"),
        (words.listed([("duplicate", 915), ("empty", 3)]), "915 duplicate, 3 empty"),
    ],
)
def test_numbers(shown: str, expected: str) -> None:
    assert shown.replace("\N{NO-BREAK SPACE}", " ") == expected


@given(st.floats(min_value=1e-4, max_value=1e8))
def test_three_significant_digits_are_within_half_a_per_cent(value: float) -> None:
    assert float(words.significant(value).replace(",", "")) == pytest.approx(value, rel=0.00501)


@given(st.integers(min_value=0, max_value=10**13))
def test_sizes_are_right_to_three_digits(number: int) -> None:
    value, unit = words.size(number).replace(",", "").split("\N{NO-BREAK SPACE}")
    scale = {"bytes": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9}[unit]
    assert float(value) * scale == pytest.approx(number, rel=0.00501)


def of_slices(*told: tuple[str, str, float, float, float]) -> dict:
    """An analysis with slices: name, unit, gap to the teacher, excess and its adjusted p."""
    ranked = [
        {
            "name": name,
            "unit": unit,
            "gaps": {
                "teacher": {"gap": gap, "elsewhere": gap - excess, "excess": excess, "excess_adjusted": p}
            },
        }
        for name, unit, gap, excess, p in told
    ]
    measures = {unit: {"name": "accuracy", "scale": 100} for unit in ("text", "entity")}
    return {"settings": {"measures": measures}, "slices": {"ranked": ranked}}


def test_an_analysis_names_the_first_slice_that_is_beyond_doubt() -> None:
    """The first slice by interval need not be the one that the test is sure of."""
    unsure, sure = ("a", "text", -0.3, -0.26, 0.86), ("b", "text", -0.12, -0.08, 0.0005)
    told = ", most surely on “b”: −12.0 points there, −4.0 elsewhere"
    assert where(of_slices(unsure, sure), "teacher") == told
    assert where(of_slices(unsure), "teacher") == ", and on no slice clearly more than elsewhere"
    assert where(of_slices(("a", "text", 0.1, 0.2, 0.001)), "teacher") == ""
    entity = ("type: PER", "entity", -0.2, -0.1, 0.001)
    assert where(of_slices(entity), "teacher").startswith(
        ", most surely on “type: PER” (entity): −20.0 points"
    )
