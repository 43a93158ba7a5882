"""Losses of translators against PyTorch's own, gradients too, and against sums written out."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from limbeck.core.errors import LimbeckError
from limbeck.core.objective import Batch
from limbeck.core.signals import Guess, NextTokens, Penalty, Signals
from limbeck.losses.translation import smoothed_cross_entropy, truncated_divergence
from limbeck.losses.translation_objective import TranslationObjective

ITEMS, CHOICES = 7, 40
NOBODY = Batch((), {}, torch.zeros(0))


def scores(seed: int, scale: float = 2.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(ITEMS, CHOICES, generator=generator)


def truth() -> torch.Tensor:
    return torch.randint(0, CHOICES, (ITEMS,), generator=torch.Generator().manual_seed(9))


def weights() -> torch.Tensor:
    return torch.rand(ITEMS, generator=torch.Generator().manual_seed(8))


def likeliest(logits: torch.Tensor, k: int) -> NextTokens:
    values, ids = logits.log_softmax(-1).topk(k)
    return NextTokens(ids, values)


def gradient(loss: torch.Tensor, of: torch.Tensor) -> torch.Tensor:
    return torch.autograd.grad((loss * weights()).sum(), of)[0]


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.7])
@pytest.mark.parametrize("scale", [1.0, 60.0])
def test_smoothed_cross_entropy_is_pytorchs(smoothing: float, scale: float) -> None:
    student = scores(1, scale).requires_grad_()
    ours = smoothed_cross_entropy(student, truth(), smoothing)
    theirs = functional.cross_entropy(student, truth(), label_smoothing=smoothing, reduction="none")
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(gradient(ours, student), gradient(theirs, student))


def test_smoothed_cross_entropy_in_bfloat16_is_summed_in_float32() -> None:
    student = scores(1).bfloat16().requires_grad_()
    ours = smoothed_cross_entropy(student, truth(), 0.1)
    assert ours.dtype == torch.float32
    torch.testing.assert_close(
        ours, functional.cross_entropy(student.float(), truth(), label_smoothing=0.1, reduction="none")
    )
    assert gradient(ours, student).dtype == torch.bfloat16


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_divergence_at_full_vocabulary_is_hintons(temperature: float) -> None:
    student, teacher = scores(1).requires_grad_(), scores(2)
    said = likeliest(teacher, CHOICES)
    ours = truncated_divergence(student, said.ids, said.log_probabilities, temperature)
    logs = [(logits / temperature).log_softmax(-1) for logits in (student, teacher)]
    theirs = temperature**2 * functional.kl_div(*logs, reduction="none", log_target=True).sum(-1)
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(gradient(ours, student), gradient(theirs, student))


@pytest.mark.parametrize("k", [1, 4, CHOICES - 1])
def test_truncated_divergence_is_that_over_the_known_and_any_other(k: int) -> None:
    """NumPy, in float64, from probabilities; and the gradient by finite differences."""
    student, said = scores(1), likeliest(scores(2), k)
    ids, q = said.ids.numpy(), np.exp(said.log_probabilities.double().numpy())

    def divergence(logits: np.ndarray) -> np.ndarray:
        p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
        known = np.take_along_axis(p, ids, 1)
        rest, other = 1 - q.sum(-1), 1 - known.sum(-1)
        return (q * np.log(q / known)).sum(-1) + rest * np.log(rest / other)

    logits = student.double().numpy()
    asked = student.clone().requires_grad_()
    ours = truncated_divergence(asked, said.ids, said.log_probabilities, 1.0)
    np.testing.assert_allclose(ours.detach().numpy(), divergence(logits), rtol=1e-4)
    found = gradient(ours, asked).numpy()
    for choice in (int(ids[0, 0]), *range(5)):
        step = np.zeros(CHOICES)
        step[choice] = 1e-4
        slope = (divergence(logits + step) - divergence(logits - step)) / 2e-4 * weights().numpy()
        np.testing.assert_allclose(found[:, choice], slope, atol=2e-5)


@pytest.mark.parametrize("k", [1, 5, CHOICES])
@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_no_divergence_and_no_gradient_where_student_equals_teacher(k: int, temperature: float) -> None:
    student = scores(1).requires_grad_()
    said = likeliest(student.detach() + 3.0, k)
    ours = truncated_divergence(student, said.ids, said.log_probabilities, temperature)
    torch.testing.assert_close(ours, torch.zeros(ITEMS), atol=2e-6, rtol=0)
    assert float(gradient(ours, student).abs().max()) < 2e-6


def test_a_student_sure_of_what_the_teacher_rules_out_keeps_a_finite_gradient() -> None:
    """Probabilities that float32 cannot hold: exp(-200)."""
    student = torch.zeros(1, CHOICES).index_fill_(1, torch.tensor([3]), 200.0).requires_grad_()
    for known in (3, 5):
        ids, logs = torch.tensor([[known]]), torch.tensor([[0.5]]).log()
        loss = truncated_divergence(student, ids, logs, 1.0)
        (found,) = torch.autograd.grad(loss.sum(), student)
        assert loss.isfinite().all() and found.isfinite().all()
        assert float(found.abs().max()) > 0.4


def signals(rows: slice, student: torch.Tensor, k: int = 5) -> tuple[Signals, Signals]:
    """A student that also guesses lengths, and a teacher."""
    tokens = Guess("tokens", student[rows], truth()[rows], weights()[rows])
    length = Guess("length", scores(3)[rows, :6], truth()[rows] % 6)
    said = likeliest(scores(2), k)
    return Signals(guesses=(length, tokens)), Signals(next_tokens=said.mapped(lambda one: one[rows]))


def test_objective_adds_up_what_its_terms_say() -> None:
    student = scores(1)
    objective = TranslationObjective(0.2, word_level=0.25, temperature=2.0, top_k=3)
    loss = objective(*signals(slice(None), student), NOBODY)
    said = likeliest(scores(2), 3)
    smoothed = functional.cross_entropy(student, truth(), label_smoothing=0.2, reduction="none")
    divergence = truncated_divergence(student, said.ids, said.log_probabilities, 2.0)
    wanted = {
        "length": 0.75 * functional.cross_entropy(scores(3)[:, :6], truth() % 6, reduction="sum"),
        "tokens": 0.75 * (smoothed * weights()).sum(),
        "word_level": 0.25 * (divergence * weights()).sum(),
    }
    assert loss.count == ITEMS
    assert loss.parts.keys() == wanted.keys()
    for name, value in wanted.items():
        torch.testing.assert_close(loss.parts[name], value)


@pytest.mark.parametrize(("done", "weight"), [(0.0, 0.0), (0.1, 0.25), (0.4, 1.0), (1.0, 1.0)])
def test_a_penalty_is_added_with_the_weight_that_the_time_gives_it(done: float, weight: float) -> None:
    tokens, values = Guess("tokens", scores(1), truth()), torch.tensor([2.0, -0.5, 4.0])
    said = Signals(guesses=(tokens, Penalty("divergence", values, warmup=0.4), Penalty("more", values)))
    said = said.mapped(lambda one: one, lambda chain: chain)
    some = Batch((), {}, torch.zeros(0), done=done)
    known = Signals(next_tokens=likeliest(scores(2), 3))
    parts = TranslationObjective(0.1, word_level=0.5)(said, known, some).parts
    assert float(parts["divergence"]) == pytest.approx(0.5 * weight * 5.5)
    assert float(parts["more"]) == pytest.approx(0.5 * 5.5)


@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0])
def test_halves_add_up_to_the_whole(weight: float) -> None:
    objective, student = TranslationObjective(0.1, word_level=weight), scores(1)
    whole = objective(*signals(slice(None), student), NOBODY)
    halves = [objective(*signals(rows, student), NOBODY) for rows in (slice(0, 3), slice(3, None))]
    assert whole.count == sum(half.count for half in halves)
    torch.testing.assert_close(whole.total, halves[0].total + halves[1].total)


def test_terms_without_weight_are_left_out_and_nothing_is_asked_for_them() -> None:
    gold, teacher = TranslationObjective(0.1), TranslationObjective(0.1, word_level=1.0)
    assert not gold.needs and gold.aligned_by == "sentence"
    assert teacher.needs == {"next_tokens"} and teacher.aligned_by == "token"
    said = signals(slice(None), scores(1))
    assert set(gold(said[0], Signals(), NOBODY).parts) == {"length", "tokens"}
    assert set(teacher(*said, NOBODY).parts) == {"word_level"}


def test_a_teacher_that_guesses_other_tokens_is_refused() -> None:
    student, _ = signals(slice(None), scores(1))
    _, teacher = signals(slice(0, 3), scores(1))
    with pytest.raises(LimbeckError, match="guesses 7 tokens of a batch, and the teacher 3"):
        TranslationObjective(0.1, word_level=1.0)(student, teacher, NOBODY)
