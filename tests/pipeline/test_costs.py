"""Costs of a run: what is timed, and what happens where something cannot be."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from limbeck import distill
from limbeck.core import progress
from limbeck.core.errors import LimbeckError


@pytest.mark.recipe
def test_a_teacher_that_onnx_cannot_express_is_timed_in_pytorch(
    recipe_file: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    class Listener(progress.Reporter):
        def warn(self, text: str, **facts: Any) -> None:
            told.append(text)

    def cannot(*_: Any, **__: Any) -> None:
        raise LimbeckError("the exporter cannot express this model")

    monkeypatch.setattr(progress, "_reporter", Listener())
    monkeypatch.setattr("limbeck.pipeline.costs.export", cannot)
    result = distill(recipe_file(seeds=1, control=False))
    timed = {(cost["name"], cost["engine"]): cost for cost in result.evaluation["cost"]}
    assert set(timed) == {
        ("teacher", "pytorch"),
        *(("logit_regression", e) for e in ("pytorch", "onnx", "onnx-int8")),
    }
    assert all(cost["p50_ms"] > 0 for cost in timed.values())
    assert any("timed in PyTorch only" in text for text in told)


@pytest.mark.recipe
def test_no_speed_is_measured_unless_asked_for(recipe_file: Callable[..., Path]) -> None:
    result = distill(recipe_file(seeds=1, control=False, evaluate={"latency_sentences": 0, "resamples": 100}))
    assert all(cost["p50_ms"] is None and cost["bytes"] > 0 for cost in result.evaluation["cost"])
    assert [row["times_faster"] for row in result.rows] == [None, None]
