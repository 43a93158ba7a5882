"""Every file under methods/ keeps the rules of the house, tested on arrival."""

import pytest
import torch

from limbeck import methods
from limbeck.core.errors import LimbeckError
from limbeck.core.method import MethodSettings
from limbeck.core.objective import NO_GOLD, Batch, Loss, Objective
from limbeck.core.signals import Signals

BATCH, CLASSES = 6, 3
MATCHING = {"soft_labels", "logit_regression", "noisy_logits", "annealed", "assistant", "born_again"}
"""Methods whose teacher terms vanish where student equals teacher."""


def batch(gold: torch.Tensor) -> Batch:
    return Batch(tuple(str(n) for n in range(len(gold))), {}, gold)


def signals(seed: int, rows: int = BATCH) -> Signals:
    return Signals(logits=torch.randn(rows, CLASSES, generator=torch.Generator().manual_seed(seed)))


def reads_logits(name: str) -> bool:
    return all(objective.reads == {"logits"} for objective in objectives(name))


def objectives(name: str) -> list[Objective]:
    """In evaluation mode, so that nothing is drawn at random, as noise is."""
    return [stage.objective.eval() for stage in methods.get(name).tiny.stages_for("classification")]


@pytest.fixture(params=methods.names())
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def of_classifiers(name: str) -> str:
    """A method on answers; those for chains and for inner states have files of tests of their own."""
    if not reads_logits(name):
        pytest.skip("reads more than logits")
    return name


def test_card_is_complete(name: str) -> None:
    card = methods.get(name).card
    for part in ("title", "paper", "equation", "what", "when", "reads"):
        assert len(getattr(card, part)) > 3, part


def test_every_setting_is_explained(name: str) -> None:
    for key, field in methods.get(name).settings_class.model_fields.items():
        assert field.description, f"{name}.{key} has no docstring"


def test_settings_are_frozen_and_strict(name: str) -> None:
    settings = methods.get(name).tiny
    assert isinstance(settings, MethodSettings)
    with pytest.raises(LimbeckError, match="unknown key 'method.no_such_key'"):
        methods.get(name).settings({"no_such_key": 1})
    assert type(settings).model_validate(settings.model_dump()) == settings


def test_loss_is_a_sum_over_items(of_classifiers: str) -> None:
    """Two halves add up to the whole, so that accumulation changes no gradient."""
    gold = torch.tensor([0, 1, 2, NO_GOLD, 1, NO_GOLD])
    for objective in objectives(of_classifiers):
        student, teacher = signals(1), signals(2)
        whole = objective(student, teacher, batch(gold))
        halves = [
            objective(
                Signals(logits=student.logits[rows]), Signals(logits=teacher.logits[rows]), batch(gold[rows])
            )
            for rows in (slice(0, 3), slice(3, 6))
        ]
        assert isinstance(whole, Loss)
        assert whole.count == sum(half.count for half in halves) == BATCH
        torch.testing.assert_close(whole.total, halves[0].total + halves[1].total)


def test_gradient_flows_to_the_student_only(of_classifiers: str) -> None:
    gold = torch.tensor([0, 1, 2, 0, 1, 2])
    for objective in objectives(of_classifiers):
        student = signals(1).logits.requires_grad_()
        teacher = signals(2).logits
        objective(Signals(logits=student), Signals(logits=teacher), batch(gold)).total.backward()
        assert torch.isfinite(student.grad).all()
        assert student.grad.norm() > 0


def test_objective_reads_only_what_it_declares(of_classifiers: str) -> None:
    for objective in objectives(of_classifiers):
        teacher = signals(2) if "logits" in objective.needs else Signals()
        loss = objective(signals(1), teacher, batch(torch.tensor([0, 1, 2, 0, 1, 2])))
        assert torch.isfinite(loss.total)


@pytest.mark.parametrize("name", sorted(MATCHING))
def test_student_equal_to_teacher_gets_no_gradient_from_it(name: str) -> None:
    for stage in methods.get(name).settings({}).stages_for("classification"):
        stage.objective.eval()
        student = signals(1).logits.requires_grad_()
        unlabelled = batch(torch.full((BATCH,), NO_GOLD))
        loss = stage.objective(Signals(logits=student), Signals(logits=student.detach().clone()), unlabelled)
        loss.total.backward()
        assert float(loss.total.detach()) == pytest.approx(0, abs=1e-6)
        assert float(student.grad.abs().max()) == pytest.approx(0, abs=1e-6)


def test_unknown_method_names_the_nearest() -> None:
    with pytest.raises(LimbeckError, match="no method 'soft_label'. Did you mean 'soft_labels'?"):
        methods.get("soft_label")


def test_a_module_that_is_no_method_says_what_it_lacks() -> None:
    with pytest.raises(LimbeckError, match="lacks CARD, Settings, tiny"):
        methods.get("json.decoder")


def test_hard_labels_ignore_gold_and_logit_regression_mixes_as_its_equation_says() -> None:
    student, teacher = Signals(logits=torch.tensor([[1.0, 0.0]])), Signals(logits=torch.tensor([[0.0, 3.0]]))
    cross_entropy = {gold: float(-torch.tensor([1.0, 0.0]).log_softmax(-1)[gold]) for gold in (0, 1)}
    hard = objectives("hard_labels")[0](student, teacher, batch(torch.tensor([0])))
    assert float(hard.total) == pytest.approx(cross_entropy[1])
    (stage,) = methods.get("logit_regression").stages({"alpha": 0.25})
    for gold, target in ((0, 0), (NO_GOLD, 1)):
        mixed = stage.objective(student, teacher, batch(torch.tensor([gold])))
        assert float(mixed.total) == pytest.approx(0.25 * cross_entropy[target] + 0.75 * (1 + 9))


@pytest.mark.parametrize(
    ("name", "keys", "told"),
    [
        ("pretrain_then_tune", {"layer": 1}, "with 'learns: answers' nothing reads 'layer'"),
        ("pretrain_then_tune", {"learns": "states", "temperature": 3}, "nothing reads 'temperature'"),
        ("pretrain_then_tune", {"learns": "states", "order": "tune_first"}, "states teach no answers"),
        ("tinybert", {"layer_weights": [0, 0, 0]}, "all of 'layer_weights' are nought"),
    ],
)
def test_keys_that_would_do_nothing_are_refused(name: str, keys: dict[str, object], told: str) -> None:
    with pytest.raises(LimbeckError, match=told):
        methods.get(name).stages(keys)
