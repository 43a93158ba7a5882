"""The benchmark of parallel students and teachers' sizes: what it reads off its rows."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
try:
    import parallel_capacity
finally:
    sys.path.pop(0)

BEST = {"vanilla": 0, "flowseq": 1, "inat": 1, "insertion": 2, "maskt": 2, "levenshtein": 3}


def rows_of(student: str, place: int) -> list[dict[str, Any]]:
    """BLEU by teacher, on dev highest at one place, and on test at another; students stand in the order of strength."""
    strength = 10 + list(BEST).index(student)
    taught = [
        {
            "student": student,
            "teacher": size,
            "teacher_bleu": 30,
            "seeds": 1,
            "dev_bleu": strength - abs(n - place),
            "bleu": strength - abs(n - place) + 9 * (n == (place + 1) % 4),
        }
        for n, size in enumerate(parallel_capacity.SIZES)
    ]
    return [{"student": student, "teacher": "real", "bleu": strength - 5}, *taught]


def test_the_best_teacher_is_told_and_grows_with_the_student() -> None:
    rows = [{"kind": "summary", **parallel_capacity.best(rows_of(*each))} for each in BEST.items()]
    assert [parallel_capacity.SIZES.index(row["teacher"]) for row in rows] == list(BEST.values())
    assert {row["gain"] for row in rows} == {5}
    (correlation,) = (aim.measure(rows) for aim in parallel_capacity.AIMS)
    assert correlation == pytest.approx(0.97, abs=0.01)
    turned = [{**row, "bleu": -row["bleu"]} for row in rows]
    assert [aim.judge(turned)["met"] for aim in parallel_capacity.AIMS] == [False]
    alike = [{**row, "teacher": "big"} for row in rows]
    assert [aim.judge(alike)["met"] for aim in parallel_capacity.AIMS] == [False]


def test_what_is_not_there_is_not_measured() -> None:
    assert [aim.measure([]) for aim in parallel_capacity.AIMS] == [None]


def test_a_teachers_students_share_it_and_the_real_text_is_learned_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LIMBECK_DATA", str(tmp_path))
    file = tmp_path / "tatoeba_multi_en_de_fr_es" / "multi.tsv"
    file.parent.mkdir()
    file.touch()
    one, other, next_size = (
        parallel_capacity.recipe(*each, full=False)
        for each in (("tiny", "vanilla"), ("tiny", "maskt"), ("big", "vanilla"))
    )
    assert (one.teacher, one.data, one.train) == (other.teacher, other.data, other.train)
    assert one.teacher != next_size.teacher
    assert [each.control for each in (one, other, next_size)] == [True, True, False]
