"""The benchmark of teachers' sizes: what it reads off its rows, and which runs it is made of."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
try:
    import capacity
    import translators
    from results_file import ResultsFile
finally:
    sys.path.pop(0)


def summary(teacher: str | None, text: str, **fields: float) -> dict[str, Any]:
    return {"kind": "summary", "teacher": teacher, "text": text, **fields}


ROWS = [
    summary(None, "real", complexity=3.0, faithfulness=0.2, reordering=0.6, vanilla=5),
    summary("tiny", "distilled", complexity=1.0, faithfulness=4.0, reordering=0.9, vanilla=8, vanilla_dev=8),
    summary(
        "small", "distilled", complexity=1.2, faithfulness=3.5, reordering=0.8, vanilla=13, vanilla_dev=10
    ),
    summary(
        "base", "distilled", complexity=1.5, faithfulness=3.0, reordering=0.7, vanilla=12, vanilla_dev=11
    ),
    summary("base", "interpolated", complexity=1.6, faithfulness=2.8, reordering=0.7, vanilla=10),
    summary("base", "born again", complexity=1.2, faithfulness=3.1, reordering=0.75, vanilla=12),
    summary(
        "big", "distilled", complexity=1.7, faithfulness=2.9, reordering=0.65, vanilla=10, vanilla_dev=12
    ),
]


def test_aims_are_what_the_slides_say() -> None:
    assert [aim.measure(ROWS) for aim in capacity.AIMS] == pytest.approx([0.7, 1.3, 1.1, 0.05, 2, 0.3, 0.2])
    assert all(aim.judge(ROWS)["met"] for aim in capacity.AIMS)


def test_what_goes_the_other_way_is_not_met() -> None:
    turned = [dict(row) for row in ROWS]
    turned[2]["reordering"], turned[6]["vanilla"], turned[4]["faithfulness"] = 0.5, 20, 3.2
    assert [aim.judge(turned)["met"] for aim in capacity.AIMS] == [1, 1, 1, 0, 0, 1, 0]


def test_what_is_not_there_is_not_measured() -> None:
    assert [aim.measure(ROWS[:3]) for aim in capacity.AIMS] == [None] * 7
    assert [aim.measure([]) for aim in capacity.AIMS] == [None] * 7


def test_the_real_text_is_learnt_once_and_other_methods_are_tried_on_one_teacher(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LIMBECK_DATA", str(tmp_path))
    file = tmp_path / "tatoeba_multi_en_de_fr_es" / "multi.tsv"
    file.parent.mkdir()
    file.touch()
    made = {size: capacity.recipe(size, "vanilla", full=False) for size in capacity.SIZES}
    assert {size: recipe.control for size, recipe in made.items()} == {
        "tiny": True, "small": False, "base": False, "big": False,
    }  # fmt: skip
    assert [choice.name for choice in made["base"].method] == [
        "sequence_level", "sequence_interpolation", "born_again",
    ]  # fmt: skip
    assert [choice.name for choice in made["big"].method] == ["sequence_level"]


def test_a_summary_joins_measures_with_the_scores_of_teacher_and_students(tmp_path: Path) -> None:
    results = ResultsFile(tmp_path / "capacity.json", "command")
    results.append(kind="teacher", teacher="base", parameters=7, bleu=20.0)
    for number in (1, 2):
        measures = dict.fromkeys(translators.MEASURES, float(number))
        results.append(kind="text", teacher="base", text="distilled", round=number, **measures)
    for student, bleu in (("autoregressive", 18.0), ("vanilla", 9.0)):
        results.append(
            kind="student", teacher="base", text="distilled", student=student, bleu=bleu, dev_bleu=bleu + 1
        )
    for _ in range(2):
        capacity.summarise("base", "distilled", results)
    (row,) = results.find(kind="summary")
    assert row["teacher_bleu"] == 20 and row["parameters"] == 7 and row["complexity"] == 1.5
    assert row["autoregressive"] == 18 and row["vanilla"] == 9
    assert row["autoregressive_dev"] == 19 and row["vanilla_dev"] == 10
