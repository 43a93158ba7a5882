"""The benchmark of parallel students: what it reads off its rows."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
try:
    import parallel_students
finally:
    sys.path.pop(0)

GAINS = {"vanilla": 8, "flowseq": 3, "inat": 4, "insertion": 2, "maskt": 2.5, "levenshtein": 1.5}
ROWS = [
    {"student": kind, "gain": gain, "real": 20 - 2 * gain, "distilled": 20 - gain}
    for kind, gain in GAINS.items()
]


def test_aims_are_what_the_slides_say() -> None:
    assert [aim.measure(ROWS) for aim in parallel_students.AIMS] == pytest.approx([1.5, 1.0, 5, 1.5])
    assert all(aim.judge(ROWS)["met"] for aim in parallel_students.AIMS)


def test_where_strong_students_gain_more_an_aim_is_not_met() -> None:
    turned = [row | {"real": row["gain"], "distilled": 2 * row["gain"]} for row in ROWS]
    assert [aim.judge(turned)["met"] for aim in parallel_students.AIMS] == [True, False, True, True]


def test_luck_on_real_text_alone_does_not_meet_it() -> None:
    """Of students that are alike, the unlucky ones on real text seem to gain most."""
    random = np.random.default_rng(0)
    shares = []
    for _ in range(400):
        real, distilled = random.normal(20, 1, (2, 6))
        rows = [
            {"student": kind, "real": one, "distilled": other, "gain": other - one}
            for kind, one, other in zip(GAINS, real, distilled, strict=True)
        ]
        shares.append(parallel_students.weak_gain_most(rows))
    assert abs(np.mean(shares) - 0.5) < 0.03


def test_what_is_not_there_is_not_measured() -> None:
    assert [aim.measure(ROWS[:1]) for aim in parallel_students.AIMS] == [None] * 4
    assert [aim.measure([]) for aim in parallel_students.AIMS] == [None] * 4


def test_all_share_their_teacher_and_take_equal_steps(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LIMBECK_DATA", str(tmp_path))
    file = tmp_path / "tatoeba_multi_en_de_fr_es" / "multi.tsv"
    file.parent.mkdir()
    file.touch()
    kinds = [kind for kind in parallel_students.STUDENTS if kind in ("vanilla", "maskt")]
    one, other = (parallel_students.recipe(kind, full=False) for kind in kinds)
    assert one.teacher == other.teacher
    assert (one.train, one.data) == (other.train, other.data)
    assert (one.name, other.name) == ("parallel-vanilla", "parallel-maskt")
