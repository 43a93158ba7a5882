"""The chain benchmark: all contenders compute the same, and the aims are read off the rows."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from limbeck.core.errors import LimbeckError

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
try:
    import chain_speed
finally:
    sys.path.pop(0)


def test_all_contenders_compute_the_same_where_some_can_not_be_compared_by_time() -> None:
    case = chain_speed.Case(3, 6, 4)
    for name, contenders in chain_speed.programs(case).items():
        chain_speed.compare(name, contenders)
        assert "limbeck" in contenders and len(contenders) > 1


def test_a_contender_that_computes_something_else_is_told() -> None:
    import torch

    contenders = {"limbeck": lambda: [torch.ones(2)], "other": lambda: [torch.zeros(2)]}
    with pytest.raises(LimbeckError, match="other computes something else"):
        chain_speed.compare("a program", contenders)


def test_a_row_says_medians_and_ratios() -> None:
    row = chain_speed.measured({"limbeck": lambda: None, "other": lambda: sum(range(20_000))}, 1)
    assert row["times_faster_than_other"] == pytest.approx(row["other_ms"] / row["limbeck_ms"])
    assert row["times_faster_than_other"] > 1
    assert row["rounds"] >= chain_speed.ROUNDS[0]


def rows(slow: float) -> list[dict[str, Any]]:
    found = []
    for batch, words, tags in chain_speed.SHAPES:
        place = {"batch": batch, "words": words, "tags": tags}
        times = {"times_faster_than_pytorch-crf": 30.0, "times_faster_than_torch-struct": 40.0}
        found += [
            {**place, "program": chain_speed.NLL, **times},
            {**place, "program": "structural loss", "limbeck_ms": slow},
            {
                **place,
                "program": "sub-structure loss",
                "full tensor_ms": 6.0,
                "times_faster_than_full tensor": 7.0,
            },
        ]
    found[0]["times_faster_than_pytorch-crf"] = 19.0
    return found


def test_aims_take_the_worst_shape_and_wait_for_all_of_them() -> None:
    found = [aim.measure(rows(slow=2.0)) for aim in chain_speed.AIMS]
    assert found == [19.0, 40.0, 3.0, 7.0]
    assert [aim.measure(rows(slow=2.0)[:-3]) for aim in chain_speed.AIMS] == [None] * 4
