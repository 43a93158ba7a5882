"""TinyBERT, BERT-PKD and MiniLM: what they compare, and that nothing is left to learn where student equals teacher."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from limbeck import methods
from limbeck.core.errors import LimbeckError
from limbeck.core.objective import NO_GOLD, Batch, Shape
from limbeck.core.signals import Signals

BATCH, TOKENS, CLASSES = 3, 5, 3
MASK = (torch.arange(TOKENS) < torch.tensor([5, 2, 4])[:, None]).long()
BATCH_OF = Batch(("a", "b", "c"), {}, torch.tensor([0, 2, NO_GOLD]))
SMALL, LARGE = Shape(layers=2, width=8, heads=2), Shape(layers=4, width=8, heads=2)
WIDE = Shape(layers=4, width=12, heads=2)
LAYERED = ("tinybert", "bert_pkd", "minilm")


def signals(shape: Shape, seed: int, dtype: torch.dtype = torch.float32) -> Signals:
    generator = torch.Generator().manual_seed(seed)

    def draw(*sizes: int) -> torch.Tensor:
        return torch.randn(sizes, generator=generator, dtype=dtype)

    def layers(*sizes: int) -> tuple[torch.Tensor, ...]:
        return tuple(draw(*sizes) for _ in range(shape.layers))

    of_head = (BATCH, shape.heads, TOKENS, shape.width // shape.heads)
    return Signals(
        logits=draw(BATCH, CLASSES),
        hidden=layers(BATCH, TOKENS, shape.width),
        attention=layers(BATCH, shape.heads, TOKENS, TOKENS),
        queries=layers(*of_head),
        keys=layers(*of_head),
        values=layers(*of_head),
        embeddings=draw(BATCH, TOKENS, shape.width),
        mask=MASK,
    )


def kept(said: Signals, names: frozenset[str]) -> Signals:
    return Signals(**{name: getattr(said, name) for name in names | {"mask"}})


def fitted(name: str, student: Shape, teacher: Shape, **settings: object):
    stages = methods.get(name).stages(settings)
    for stage in stages:
        stage.objective.fit(student, teacher)
    return stages


def rows(said: Signals, part: slice) -> Signals:
    return said.mapped(lambda values: values[part], lambda chain: chain)


@pytest.mark.parametrize("name", LAYERED)
def test_losses_are_sums_over_sentences_of_what_is_declared(name: str) -> None:
    for stage in fitted(name, SMALL, LARGE):
        own = kept(signals(SMALL, 1), stage.objective.reads)
        theirs = kept(signals(LARGE, 2), stage.objective.needs)
        whole = stage.objective(own, theirs, BATCH_OF)
        halves = [
            stage.objective(
                rows(own, part), rows(theirs, part), Batch(BATCH_OF.ids[part], {}, BATCH_OF.gold[part])
            )
            for part in (slice(0, 1), slice(1, 3))
        ]
        assert whole.count == sum(half.count for half in halves) == BATCH
        torch.testing.assert_close(whole.total, halves[0].total + halves[1].total)


@pytest.mark.parametrize("name", LAYERED)
@pytest.mark.parametrize("more", [{}, {"attention": "probabilities"}, {"heads": "mean"}])
def test_a_student_equal_to_its_teacher_has_nothing_to_learn(name: str, more: dict[str, object]) -> None:
    if more and name != "tinybert":
        pytest.skip("a setting of TinyBERT's")
    settings = {"soft_weight": 1.0} if name == "bert_pkd" else more
    for stage in fitted(name, LARGE, LARGE, **settings):
        teacher = kept(signals(LARGE, 1), stage.objective.needs)
        inputs: list[torch.Tensor] = []

        def leaf(values: torch.Tensor, inputs: list[torch.Tensor] = inputs) -> torch.Tensor:
            if not values.is_floating_point():
                return values
            inputs.append(values.clone().requires_grad_())
            return inputs[-1]

        student = kept(signals(LARGE, 1), stage.objective.reads).mapped(leaf, lambda chain: chain)
        loss = stage.objective(student, teacher, BATCH_OF)
        assert float(loss.total.detach()) == pytest.approx(0, abs=1e-5)
        for gradient in torch.autograd.grad(loss.total, inputs, allow_unused=True):
            assert gradient is None or float(gradient.abs().max()) < 1e-5


def test_tinybert_is_its_equation() -> None:
    (stage, prediction) = fitted("tinybert", SMALL, WIDE, layer_weights=[0.5, 2.0, 3.0])
    own, theirs = signals(SMALL, 1), signals(WIDE, 2)
    parts = stage.objective(own, theirs, BATCH_OF).parts
    projections = {name: part.weight.detach().numpy().T for name, part in stage.objective.projections.items()}
    wanted = dict.fromkeys(("embeddings", "hidden", "attention"), 0.0)
    for row, length in enumerate((5, 2, 4)):

        def real(values: torch.Tensor, row: int = row, length: int = length) -> np.ndarray:
            return values[row].numpy()[..., :length, :]

        wanted["embeddings"] += (
            0.5 * ((real(own.embeddings) @ projections["embeddings"] - real(theirs.embeddings)) ** 2).mean()
        )
        for weight, layer, mapped in ((2.0, 0, 1), (3.0, 1, 3)):
            projected = real(own.hidden[layer]) @ projections["hidden"]
            wanted["hidden"] += weight * ((projected - real(theirs.hidden[mapped])) ** 2).mean()
            maps = (real(own.attention[layer])[..., :length], real(theirs.attention[mapped])[..., :length])
            wanted["attention"] += weight * ((maps[0] - maps[1]) ** 2).mean()
    assert {name: float(value.detach()) for name, value in parts.items()} == pytest.approx(wanted, rel=1e-4)
    assert stage.objective.told() == "layers 1←2 2←4"
    soft = prediction.objective(own, theirs, BATCH_OF).parts["soft"]
    log_p, q = own.logits.log_softmax(-1), theirs.logits.softmax(-1)
    assert float(soft) == pytest.approx(float((q * (q.log() - log_p)).sum()), rel=1e-5)


def test_patience_compares_first_tokens_of_mapped_layers() -> None:
    for strategy, layers in (("skip", (2,)), ("last", (3,))):
        (stage,) = fitted("bert_pkd", SMALL, LARGE, strategy=strategy, patience_weight=2.0)
        own, theirs = signals(SMALL, 1), signals(LARGE, 2)
        found = float(stage.objective(own, theirs, BATCH_OF).parts["patient"])
        wanted = 0.0
        for layer, mapped in enumerate(layers):
            a, b = own.hidden[layer][:, 0].numpy(), theirs.hidden[mapped - 1][:, 0].numpy()
            units = [one / np.linalg.norm(one, axis=1, keepdims=True) for one in (a, b)]
            wanted += 2.0 * ((units[0] - units[1]) ** 2).sum()
        assert found == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize(
    ("name", "student", "settings", "told"),
    [
        ("tinybert", None, {}, "the student is no transformer"),
        ("tinybert", Shape(2, 8, 4), {}, "the student has 4 heads a layer, and the teacher 2"),
        ("tinybert", SMALL, {"layer_weights": [1.0]}, "1 weights for embeddings and 2 layers"),
        ("tinybert", SMALL, {"layer_weights": [1.0, -1.0, 1.0]}, "greater than or equal to 0"),
        ("tinybert", SMALL, {"mapping": [1, 5]}, "no layer 5"),
        ("bert_pkd", Shape(2, 4, 2), {}, "4 wide here and 8 in the teacher"),
        ("minilm", SMALL, {"teacher_layer": 5}, "no layer 5: the teacher has layers 1 to 4"),
        ("minilm", SMALL, {"relation_heads": 3}, "cannot be cut into 3 relation heads"),
    ],
)
def test_models_that_cannot_be_compared_are_told(
    name: str, student: Shape | None, settings: dict[str, object], told: str
) -> None:
    with pytest.raises(LimbeckError, match=told):
        fitted(name, student, LARGE, **settings)
    with pytest.raises(LimbeckError, match="the teacher has no layers"):
        fitted(name, SMALL, None)


def test_switches_leave_stages_and_parts_out() -> None:
    get = methods.get("tinybert").stages
    assert [stage.name for stage in get({"general_epochs": 1})] == ["general", "intermediate", "prediction"]
    assert [stage.name for stage in get({"intermediate_epochs": 0})] == ["prediction"]
    assert [stage.name for stage in get({"prediction": None})] == ["intermediate"]
    (stage, _) = get({"attention": None, "embeddings": False})
    assert stage.objective.reads == {"hidden"}
    with pytest.raises(LimbeckError, match="every stage of 'tinybert' is switched off"):
        get({"intermediate_epochs": 0, "prediction": None})


@pytest.mark.parametrize("stage", ["general_epochs", "intermediate_epochs"])
def test_a_stage_that_would_compare_nothing_is_refused_and_not_dropped(stage: str) -> None:
    get = methods.get("tinybert").stages
    nothing = {"embeddings": False, "hidden": False, "attention": None}
    assert [each.name for each in get(nothing)] == ["prediction"]
    with pytest.raises(LimbeckError, match="compare none of embeddings, hidden and attention"):
        get({**nothing, stage: 1})


def test_gold_may_take_the_place_of_the_teachers_answers() -> None:
    intermediate, last = methods.get("tinybert").stages({"prediction": "gold"})
    (control,) = methods.get("gold").stages({})
    assert intermediate.name == "intermediate"
    assert (last.name, last.hears, last.keeps, last.epochs) == ("gold", "labelled", "best", control.epochs)
    assert type(last.objective) is type(control.objective) and not last.objective.needs
    own = signals(SMALL, 1)
    found = last.objective(own, Signals(), BATCH_OF)
    log_p = own.logits.log_softmax(-1)
    assert float(found.total) == pytest.approx(-float(log_p[0, 0] + log_p[1, 2]), rel=1e-5)
