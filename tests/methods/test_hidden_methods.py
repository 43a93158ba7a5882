"""Hints and neuron selectivity: their equations against NumPy, over layers of any width, recurrent ones too."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from limbeck import methods
from limbeck.core.errors import LimbeckError
from limbeck.core.objective import NO_GOLD, Batch, Objective, Shape
from limbeck.core.signals import Signals
from limbeck.models.bilstm import BiLSTMConfig, BiLSTMForSequenceClassification
from limbeck.models.outputs import say
from limbeck.models.shapes import shape_of

LENGTHS, CLASSES = (5, 2, 4), 3
MASK = (torch.arange(5) < torch.tensor(LENGTHS)[:, None]).long()
RECURRENT, TEACHER = Shape(layers=2, width=6, heads=0), Shape(layers=4, width=8, heads=2)


def batch(rows: slice = slice(None)) -> Batch:
    return Batch(("a", "b", "c")[rows], {}, torch.full((3,), NO_GOLD)[rows])


def signals(shape: Shape, seed: int) -> Signals:
    generator = torch.Generator().manual_seed(seed)
    hidden = tuple(
        torch.randn(3, 5, shape.width, generator=generator, dtype=torch.float64) for _ in range(shape.layers)
    )
    logits = torch.randn(3, CLASSES, generator=generator, dtype=torch.float64)
    return Signals(logits=logits, hidden=hidden, mask=MASK)


def objective(
    name: str, student: Shape = RECURRENT, teacher: Shape = TEACHER, **settings: object
) -> Objective:
    taught = methods.get(name).stages(settings)[0].objective
    taught.fit(student, teacher)
    return taught.double()


def rows(said: Signals, part: slice) -> Signals:
    return said.mapped(lambda values: values[part], lambda chain: chain)


@pytest.mark.parametrize("name", ["hints", "neuron_selectivity"])
@pytest.mark.parametrize("more", [{}, {"layer": 2, "teacher_layer": 3}])
def test_halves_add_up_and_padding_changes_nothing(name: str, more: dict[str, object]) -> None:
    taught, own, theirs = objective(name, **more), signals(RECURRENT, 1), signals(TEACHER, 2)
    whole = taught(own, theirs, batch())
    parts = [taught(rows(own, p), rows(theirs, p), batch(p)) for p in (slice(0, 1), slice(1, 3))]
    assert whole.count == sum(part.count for part in parts) == 3
    torch.testing.assert_close(whole.total, parts[0].total + parts[1].total)
    padding = (MASK == 0).unsqueeze(-1)
    other = Signals(
        logits=own.logits, hidden=tuple(one.masked_fill(padding, 99.0) for one in own.hidden), mask=MASK
    )
    torch.testing.assert_close(taught(other, theirs, batch()).total, whole.total)


@pytest.mark.parametrize("states", ["tokens", "sentence"])
@pytest.mark.parametrize("regressor", ["linear", "mlp"])
def test_hints_are_their_equation(states: str, regressor: str) -> None:
    taught = objective("hints", states=states, regressor=regressor)
    assert taught.pairs == ((1, 2),) and taught.told() == "layer 1←2"  # the middle ones
    own, theirs = signals(RECURRENT, 1), signals(TEACHER, 2)
    layers = [one for one in taught.regressor.modules() if isinstance(one, torch.nn.Linear)]
    weights = [(one.weight.detach().numpy(), one.bias.detach().numpy()) for one in layers]

    def regressed(values: np.ndarray) -> np.ndarray:
        for number, (weight, bias) in enumerate(weights):
            values = values @ weight.T + bias
            values = np.maximum(values, 0) if number + 1 < len(weights) else values
        return values

    wanted = 0.0
    for row, length in enumerate(LENGTHS):
        mine, other = own.hidden[0][row, :length].numpy(), theirs.hidden[1][row, :length].numpy()
        if states == "sentence":
            mine, other = mine.mean(0), other.mean(0)
        wanted += 0.5 * ((regressed(mine) - other) ** 2).mean()
    found = taught(own, theirs, batch()).parts
    assert float(found["hints"].detach()) == pytest.approx(wanted)


@pytest.mark.parametrize("kernel", ["linear", "polynomial", "gaussian"])
def test_selectivity_is_the_mean_discrepancy_neuron_by_neuron(kernel: str) -> None:
    taught = objective("neuron_selectivity", kernel=kernel, weight=2.0, temperature=3.0)
    assert taught.pairs == ((2, 4),)
    own, theirs = signals(RECURRENT, 1), signals(TEACHER, 2)
    wanted = 0.0
    for row, length in enumerate(LENGTHS):
        mine, other = (said.hidden[-1][row, :length].numpy().T for said in (own, theirs))
        mine, other = ([pattern / np.linalg.norm(pattern) for pattern in one] for one in (mine, other))
        variance = np.mean([((f - g) ** 2).sum() for f in mine for g in other])

        def similar(f: np.ndarray, g: np.ndarray, variance: float = variance) -> float:
            if kernel == "gaussian":
                return float(np.exp(-((f - g) ** 2).sum() / (2 * variance)))
            return float(f @ g) ** (2 if kernel == "polynomial" else 1)

        wanted += np.mean([similar(f, g) for f in mine for g in mine])
        wanted += np.mean([similar(f, g) for f in other for g in other])
        wanted -= 2 * np.mean([similar(f, g) for f in mine for g in other])
    found = taught(own, theirs, batch()).parts
    assert float(found["selectivity"]) == pytest.approx(2 * wanted)
    p, q = (torch.log_softmax(said.logits / 3, -1).numpy() for said in (own, theirs))
    assert float(found["soft"]) == pytest.approx(9 * (np.exp(q) * (q - p)).sum(), rel=1e-5)


@pytest.mark.parametrize("kernel", ["linear", "polynomial", "gaussian"])
def test_neurons_in_another_order_have_nothing_to_learn(kernel: str) -> None:
    taught = objective("neuron_selectivity", student=TEACHER, kernel=kernel)
    theirs = signals(TEACHER, 1)
    order = torch.tensor([3, 1, 7, 0, 2, 6, 5, 4])
    last = (2.5 * theirs.hidden[-1][..., order]).requires_grad_()
    own = Signals(logits=theirs.logits, hidden=(*theirs.hidden[:-1], last), mask=MASK)
    loss = taught(own, theirs, batch()).total
    loss.backward()
    assert float(loss.detach()) == pytest.approx(0, abs=1e-5)
    assert float(last.grad.abs().max()) < 1e-5


@pytest.mark.parametrize("kernel", ["linear", "polynomial", "gaussian"])
def test_a_silent_neuron_has_nothing_to_learn_and_explodes_nothing(kernel: str) -> None:
    taught = objective("neuron_selectivity", student=TEACHER, kernel=kernel)
    own = signals(TEACHER, 1).hidden
    last = own[-1].clone()
    last[0, :, 1] = 0.0
    last.requires_grad_()
    taught(
        Signals(hidden=(*own[:-1], last), logits=signals(TEACHER, 1).logits, mask=MASK),
        signals(TEACHER, 2),
        batch(),
    ).total.backward()
    largest = last.grad.abs().amax((1, 2))
    assert largest[0] < 10 * largest[1:].max() and not last.grad[0, :, 1].any()


def test_a_bilstm_has_states_of_both_directions() -> None:
    torch.manual_seed(1)
    config = BiLSTMConfig(
        vocab_size=9, embedding_size=4, hidden_size=3, num_hidden_layers=2, relu_size=5, num_labels=CLASSES
    )
    model = BiLSTMForSequenceClassification(config).eval()
    assert shape_of(model) == RECURRENT
    taught = objective("hints").float()
    said = say(model, {"input_ids": MASK * 3, "attention_mask": MASK}, taught.reads)
    theirs = Signals(hidden=tuple(one.float() for one in signals(TEACHER, 2).hidden), mask=MASK)
    taught(said, theirs, batch()).total.backward()
    assert float(model.forward_lstms[0].weight_ih_l0.grad.abs().max()) > 0
    assert float(taught.regressor.weight.grad.abs().max()) > 0


@pytest.mark.parametrize("name", ["hints", "neuron_selectivity"])
def test_models_without_layers_are_told(name: str) -> None:
    with pytest.raises(LimbeckError, match="the student has no hidden layers"):
        objective(name, student=None)
    with pytest.raises(LimbeckError, match="the teacher has no layers"):
        objective(name, teacher=None)
    with pytest.raises(LimbeckError, match="no layer 3: the student has layers 1 to 2"):
        objective(name, layer=3)
    with pytest.raises(LimbeckError, match="no layer 5: the teacher has layers 1 to 4"):
        objective(name, teacher_layer=5)
    with pytest.raises(LimbeckError, match="the student is no transformer"):
        objective("tinybert", student=RECURRENT)


def test_hints_are_followed_by_answers() -> None:
    hints, answers = methods.get("hints").stages({"hint_epochs": 2, "temperature": 3, "gold_weight": 0.2})
    assert (hints.name, hints.epochs, hints.keeps, answers.name, answers.keeps) == (
        "hints",
        2,
        "last",
        "answers",
        "best",
    )
    assert (answers.objective.temperature, answers.objective.gold_weight) == (3, 0.2)
