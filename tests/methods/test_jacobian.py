"""Jacobian matching: derivatives against finite differences, in whole models and through the training loop's parts."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification

from limbeck import methods
from limbeck.core.errors import LimbeckError
from limbeck.core.objective import NO_GOLD, Batch, Objective, Shape
from limbeck.core.signals import SignalName, Signals
from limbeck.models.bilstm import BiLSTMConfig, BiLSTMForSequenceClassification
from limbeck.models.outputs import say
from limbeck.models.siamese import SiameseConfig, SiameseForSequenceClassification
from limbeck.models.static import StaticConfig, StaticForSequenceClassification
from limbeck.transfer.label_map import LabelMap
from limbeck.transfer.tokenwise import TokenAnswers

WORDS, CLASSES, LENGTHS = 13, 3, (5, 2, 4)
MASK = (torch.arange(5) < torch.tensor(LENGTHS)[:, None]).long()
IDS = torch.tensor([[3, 7, 5, 9, 4], [6, 8, 0, 0, 0], [1, 2, 3, 7, 0]])
INPUTS = {"input_ids": IDS, "attention_mask": MASK}
BOTH: frozenset[SignalName] = frozenset({"logits", "sensitivity", "saliency"})


def bert(seed: int, classes: int = CLASSES) -> BertForSequenceClassification:
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=WORDS,
        hidden_size=8,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=12,
        num_labels=classes,
        initializer_range=0.4,
    )
    return BertForSequenceClassification(config).double().eval()


def bilstm(seed: int, pooling: str = "last") -> BiLSTMForSequenceClassification:
    torch.manual_seed(seed)
    config = BiLSTMConfig(
        vocab_size=WORDS,
        embedding_size=6,
        hidden_size=5,
        num_hidden_layers=2,
        pooling=pooling,
        relu_size=7,
        num_labels=CLASSES,
        initializer_range=0.8,
    )
    return BiLSTMForSequenceClassification(config).double().eval()


def static(seed: int) -> StaticForSequenceClassification:
    torch.manual_seed(seed)
    config = StaticConfig(
        vocab_size=WORDS, embedding_size=6, relu_size=7, num_labels=CLASSES, initializer_range=0.8
    )
    return StaticForSequenceClassification(config).double().eval()


def siamese(seed: int) -> SiameseForSequenceClassification:
    """Of pairs that 7 parts: the second sentence has none, and so no second text."""
    torch.manual_seed(seed)
    config = SiameseConfig(
        vocab_size=WORDS,
        embedding_size=6,
        hidden_size=5,
        relu_size=7,
        num_labels=CLASSES,
        initializer_range=0.8,
        reads_types=False,
        separator_id=7,
        special_ids=[7],
    )
    return SiameseForSequenceClassification(config).double().eval()


def directions(projections: int = 2, classes: int = CLASSES) -> torch.Tensor:
    generator = torch.Generator().manual_seed(5)
    return torch.randn(3, projections, classes, generator=generator, dtype=torch.float64)


def batch(drawn: torch.Tensor | None = None) -> Batch:
    return Batch(("a", "b", "c"), INPUTS, torch.full((3,), NO_GOLD), directions=drawn)


def objective(**settings: object) -> Objective:
    (stage,) = methods.get("jacobian").stages(settings)
    return stage.objective


@contextmanager
def shifted(model: torch.nn.Module, shift: torch.Tensor):
    """The model with something added to what its table of embeddings gives."""
    handle = model.get_input_embeddings().register_forward_hook(lambda module, given, out: out + shift)
    try:
        yield
    finally:
        handle.remove()


@pytest.mark.parametrize("make", [bert, bilstm, lambda seed: bilstm(seed, "attention"), static, siamese])
def test_derivatives_are_finite_differences(make: Callable[[int], torch.nn.Module]) -> None:
    model, drawn, step = make(1), directions(), 1e-5
    said = say(model, INPUTS, BOTH, directions=drawn)
    embedded = model.get_input_embeddings()(IDS).detach()
    assert said.sensitivity.shape == (3, 2, *embedded.shape[1:]) and said.saliency.shape == (3, 2, 5)

    def projected(shift: torch.Tensor) -> np.ndarray:
        with torch.no_grad(), shifted(model, shift):
            return torch.einsum("bkc,bc->bk", drawn, model(**INPUTS).logits).numpy()

    for token in range(5):
        for dimension in (0, embedded.shape[-1] - 1):
            shift = torch.zeros_like(embedded)
            shift[:, token, dimension] = step
            wanted = (projected(shift) - projected(-shift)) / (2 * step)
            np.testing.assert_allclose(said.sensitivity.detach()[:, :, token, dimension], wanted, atol=1e-7)
        shift = torch.zeros_like(embedded)
        shift[:, token] = step * embedded[:, token]  # a factor of 1 + step
        wanted = (projected(shift) - projected(-shift)) / (2 * step)
        np.testing.assert_allclose(said.saliency.detach()[:, :, token], wanted, atol=1e-7)
    assert float(said.saliency.detach()[1].abs().max()) > 1e-3
    assert float(said.saliency.detach()[1, :, 2:].abs().max()) == 0  # padding


@pytest.mark.parametrize("inputs", ["tokens", "embeddings"])
@pytest.mark.parametrize("make", [bert, bilstm, static, siamese])
def test_the_students_gradient_is_that_of_finite_differences_of_the_loss(
    make: Callable[[int], torch.nn.Module], inputs: str
) -> None:
    """Second derivatives: through attention, LSTMs, and both paths into the table of embeddings."""
    student, other, drawn = make(1), make(2), directions()
    taught = objective(inputs=inputs, weight=3.0)
    teacher = TokenAnswers(other, taught.needs).on(INPUTS, directions=drawn)

    def loss() -> torch.Tensor:
        own = say(student, INPUTS, taught.reads, directions=drawn)
        return taught(own, teacher, batch(drawn)).parts["derivatives"]

    loss().backward()
    generator, checked = torch.Generator().manual_seed(3), 0
    for name, parameter in student.named_parameters():
        if parameter.grad is None:
            continue
        place = int(torch.randint(parameter.numel(), (1,), generator=generator))
        if "embedding" in name:
            place = int(IDS[0, 1]) * parameter.shape[-1] if len(parameter) == WORDS else place
        flat, step = parameter.data.view(-1), 1e-5
        was = float(flat[place])
        found = []
        for way in (step, -step):
            flat[place] = was + way
            found.append(float(loss().detach()))
        flat[place] = was
        wanted = (found[0] - found[1]) / (2 * step)
        assert float(parameter.grad.view(-1)[place]) == pytest.approx(wanted, rel=1e-4, abs=1e-6), name
        checked += abs(wanted) > 1e-4
    assert checked >= 2


def test_random_directions_give_the_whole_jacobians_distance_in_the_mean() -> None:
    own, theirs = bert(1), bert(2)
    taught = objective(inputs="embeddings", projections=5000)
    every = torch.eye(CLASSES, dtype=torch.float64).expand(3, CLASSES, CLASSES)
    jacobians = [say(model, INPUTS, BOTH, directions=every).sensitivity.detach() for model in (own, theirs)]
    wanted = float((jacobians[0] - jacobians[1]).square().sum())
    torch.manual_seed(1)
    drawn = taught.directions(batch(), CLASSES).double()
    said = [
        Signals(
            logits=torch.zeros(3, CLASSES),
            sensitivity=torch.einsum("bkc,bctw->bktw", drawn, one),
            mask=MASK,
        )
        for one in jacobians
    ]
    found = float(taught(*said, batch()).parts["derivatives"])
    assert found == pytest.approx(wanted, rel=0.06)


def test_the_loss_is_its_equation_and_a_mean_over_directions() -> None:
    generator = np.random.default_rng(1)
    own, theirs = (generator.normal(size=(3, 2, 5)) for _ in range(2))
    z_own, z_theirs = (generator.normal(size=(3, CLASSES)) for _ in range(2))
    said = [
        Signals(logits=torch.tensor(z), saliency=torch.tensor(each), mask=MASK)
        for z, each in ((z_own, own), (z_theirs, theirs))
    ]
    parts = objective(weight=0.7, projections=2)(*said, batch()).parts
    wanted = sum(
        ((own[row, :, :length] - theirs[row, :, :length]) ** 2).sum() / 2
        for row, length in enumerate(LENGTHS)
    )
    assert float(parts["derivatives"]) == pytest.approx(0.7 * wanted, rel=1e-6)
    assert float(parts["logits"]) == pytest.approx(((z_own - z_theirs) ** 2).sum(), rel=1e-6)


def test_a_student_equal_to_its_teacher_has_nothing_to_learn_and_halves_add_up() -> None:
    drawn, taught = directions(), objective(projections=2)
    same, other = bert(1), bert(2)
    teacher = TokenAnswers(bert(1), taught.needs).on(INPUTS, directions=drawn)
    loss = taught(say(same, INPUTS, taught.reads, directions=drawn), teacher, batch(drawn)).total
    loss.backward()
    assert float(loss.detach()) == pytest.approx(0, abs=1e-12)
    assert max(float(one.grad.abs().max()) for one in same.parameters() if one.grad is not None) < 1e-6

    def part(rows: slice) -> float:
        inputs = {name: one[rows] for name, one in INPUTS.items()}
        own = say(other, inputs, taught.reads, directions=drawn[rows])
        theirs = TokenAnswers(bert(1), taught.needs).on(inputs, directions=drawn[rows])
        loss = taught(own, theirs, Batch(("a", "b", "c")[rows], inputs, torch.zeros(3)[rows]))
        assert loss.count == len(inputs["input_ids"])
        return float(loss.total.detach())

    assert part(slice(0, 3)) == pytest.approx(part(slice(0, 1)) + part(slice(1, 3)))


def test_a_teacher_with_labels_in_another_order_is_asked_in_its_own() -> None:
    drawn, teacher = directions(), bert(2, classes=4)
    columns = (2, 0, 3)
    said = TokenAnswers(teacher, BOTH, LabelMap.of_columns(columns)).on(INPUTS, directions=drawn)
    own = torch.zeros(3, 2, 4, dtype=torch.float64)
    for place, column in enumerate(columns):
        own[..., column] = drawn[..., place]
    wanted = say(teacher, INPUTS, BOTH, directions=own)
    torch.testing.assert_close(said.saliency, wanted.saliency.detach())
    torch.testing.assert_close(said.logits, wanted.logits[:, list(columns)].detach())
    assert not said.saliency.requires_grad and not said.logits.requires_grad
    assert all(parameter.grad is None for parameter in teacher.parameters())


def test_what_cannot_be_compared_is_told() -> None:
    taught = objective(inputs="embeddings")
    with pytest.raises(LimbeckError, match="the teacher has no derivatives"):
        taught.fit(None, None)
    taught.fit(None, Shape(2, 8, 2))
    with pytest.raises(LimbeckError, match="the training loop gave none"):
        say(bert(1), INPUTS, taught.reads)
    own = say(bilstm(1), INPUTS, taught.reads, directions=directions())
    theirs = say(bert(1), INPUTS, taught.reads, directions=directions())
    with pytest.raises(LimbeckError, match="embeddings are 6 wide here and 8 in the teacher"):
        taught(own, theirs, batch())
