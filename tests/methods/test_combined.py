"""Combined objectives: what they add up, with which weights, and what they refuse."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from limbeck import methods
from limbeck.core.errors import LimbeckError
from limbeck.core.method import Stage
from limbeck.core.objective import NO_GOLD, Batch, Shape
from limbeck.core.signals import Signals

MASK = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0], [1, 1, 1, 0]])
BATCH = Batch(("a", "b", "c"), {}, torch.tensor([2, 0, NO_GOLD]))
SMALL, LARGE = Shape(layers=2, width=6, heads=0), Shape(layers=4, width=8, heads=2)


def signals(shape: Shape, seed: int) -> Signals:
    generator = torch.Generator().manual_seed(seed)
    hidden = tuple(torch.randn(3, 4, shape.width, generator=generator) for _ in range(shape.layers))
    saliency = torch.randn(3, 2, 4, generator=generator)
    return Signals(logits=torch.randn(3, 3, generator=generator), hidden=hidden, saliency=saliency, mask=MASK)


def only(name: str, **settings: object) -> Stage:
    (stage,) = methods.get(name).stages(settings)
    return stage


def combined(*objectives: dict[str, object]) -> Stage:
    return only("combined", objectives=list(objectives))


@pytest.mark.parametrize(
    ("done", "weights"), [(0.0, (2.0, 0.5, 0.0)), (0.5, (1.5, 0.5, 0.5)), (1.0, (1.0, 0.5, 1.0))]
)
def test_losses_are_added_up_with_weights_that_move(done: float, weights: tuple[float, ...]) -> None:
    stage = combined(
        {"name": "soft_labels", "temperature": 3.0, "gold_weight": 0.2, "weight": 2, "to": 1},
        {"name": "neuron_selectivity", "weight": 0.5, "kernel": "linear", "label": "neurons"},
        {"name": "gold", "weight": 0, "to": 1},
    )
    apart = [
        only("soft_labels", temperature=3.0, gold_weight=0.2),
        only("neuron_selectivity", kernel="linear"),
        only("gold"),
    ]
    own, theirs, batch = signals(SMALL, 1), signals(LARGE, 2), replace(BATCH, done=done)
    for one in (stage, *apart):
        one.objective.fit(SMALL, LARGE)
    found = stage.objective(own, theirs, batch)
    wanted = {}
    for title, weight, one in zip(("soft_labels", "neurons", "gold"), weights, apart, strict=True):
        for name, value in one.objective(own, theirs, batch).parts.items():
            wanted[f"{title}.{name}"] = weight * float(value)
    assert {name: float(value) for name, value in found.parts.items()} == pytest.approx(wanted, abs=1e-6)
    assert found.count == 3
    assert stage.objective.pairs == ((2, 4),) and stage.objective.told() == "layer 2←4"


def test_it_needs_what_its_methods_need() -> None:
    stage = combined({"name": "hard_labels"}, {"name": "jacobian", "projections": 2}, {"name": "gold"})
    taught = stage.objective
    assert taught.needs == taught.reads == {"logits", "saliency"}
    assert (taught.aligned_by, stage.hears) == ("token", "all")
    assert taught.directions(BATCH, 5).shape == (3, 2, 5)
    found = taught(signals(SMALL, 1), signals(LARGE, 2), BATCH)
    assert {name.split(".")[0] for name in found.parts} == {"hard_labels", "jacobian", "gold"}
    alone = combined({"name": "gold"})
    assert alone.hears == "labelled" and not alone.objective.needs
    assert alone.objective.directions(BATCH, 5) is None


def test_evaluation_reaches_its_methods() -> None:
    taught = combined({"name": "noisy_logits", "share": 1.0}, {"name": "soft_labels"}).objective.eval()
    own, theirs = signals(SMALL, 1), signals(LARGE, 2)
    wanted = only("logit_regression").objective(own, theirs, BATCH).total
    torch.testing.assert_close(taught(own, theirs, BATCH).parts["noisy_logits.logits"], wanted)


@pytest.mark.parametrize(
    ("objectives", "told"),
    [
        ([{"name": "hints"}], r"'hints' has several stages \(hints, answers\)"),
        ([{"name": "gold"}, {"name": "gold"}], "it lists 'gold' twice"),
        ([{"name": "gold", "wieght": 2}], "unknown key 'method.wieght'"),
        ([{"name": "soft_label"}], "Did you mean 'soft_labels'?"),
        ([{"name": "sequence_level"}], "'sequence_level' trains in a way of its own"),
        ([{"name": "gold", "begins": 0.5, "ends": 0.1}], "'ends' comes before 'begins'"),
        ([], "objectives"),
        ([{"name": "jacobian"}, {"name": "jacobian", "label": "more"}], "draw directions of their own"),
        ([{"name": "gold", "weight": 0}], "the weights of all objectives are nought"),
        ([{"name": "soft_labels", "temprature": 2}], "of the objective 'soft_labels', unknown key"),
    ],
)
def test_what_cannot_be_combined_is_told(objectives: list[dict[str, object]], told: str) -> None:
    with pytest.raises(LimbeckError, match=told):
        combined(*objectives)


def test_a_name_alone_stands_for_its_method() -> None:
    (stage,) = methods.get("combined").stages({"objectives": ["gold", "soft_labels"]})
    assert [part.title for part in stage.objective.parts] == ["gold", "soft_labels"]
    with pytest.raises(LimbeckError, match="none of the objectives hears anybody"):
        methods.get("assistant").stages({"objectives": ["gold"]})
