"""Names of models in the plot of quality against latency keep apart, and no axis goes beyond what a score can be."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings, strategies as st

from limbeck.report.figures import LETTER, Place, quality_against_latency

NAMES = ("teacher", "gold", "soft_labels", "logit_regression", "neuron_selectivity", "pretrain_then_tune")
pytestmark = pytest.mark.unit


def drawn(places: list[Place], metric: str = "accuracy") -> ElementTree.Element:
    return ElementTree.fromstring(quality_against_latency(places, 760, 380, metric))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(0.1, 100), st.floats(0.5, 1)), min_size=2, max_size=len(NAMES)))
def test_names_never_stand_on_one_another(measured: list[tuple[float, float]]) -> None:
    places = [
        Place(name, f"c{n}", "onnx", latency, quality, None, 1_000_000)
        for n, (name, (latency, quality)) in enumerate(zip(NAMES, measured, strict=False))
    ]
    boxes = []
    for text in drawn(places).iter("text"):
        if "name" in (text.attrib.get("class") or "").split():
            across, width = float(text.attrib["x"]), LETTER * len(text.text or "")
            start = across if text.attrib["text-anchor"] == "start" else across - width
            boxes.append((start, start + width, float(text.attrib["y"])))
    assert len(boxes) == len(places)
    for n, (start, end, down) in enumerate(boxes):
        for since, to, other in boxes[:n]:
            assert end <= since or to <= start or abs(down - other) >= 14.9


@pytest.mark.parametrize(("metric", "most"), [("accuracy", 1.0), ("bleu", 100.0)])
def test_no_tick_is_above_what_a_score_can_be(metric: str, most: float) -> None:
    places = [
        Place("teacher", "c", "pytorch", 20.0, most, None, 1),
        Place("x", "c", "onnx", 1.0, 0.94 * most, None, 1),
    ]
    texts = [
        text.text or ""
        for text in drawn(places, metric).iter("text")
        if text.attrib.get("text-anchor") == "end"
    ]
    ticks = [float(text) for text in texts if re.fullmatch(r"[\d.]+", text)]
    assert ticks and max(ticks) == 100
