"""Losses of translators, item by item: ``(items, choices) -> (items,)``; items are mostly tokens.

Nothing here divides by a number of items; the training loop does (see :class:`limbeck.core.objective.Loss`). Scores of
a batch take tens of megabytes, so each loss makes its gradient in one block of their size, in float32.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from limbeck.core.signals import TOKENS, Guess, Penalty


def summed(said: Guess | Penalty, smoothing: float = 0.0, done: float = 1.0) -> Tensor:
    """The loss of what a translator is scored on: of guesses their weighted cross-entropy, else the penalty itself.

    Args:
        said: One of its guesses or penalties.
        smoothing: Of the labels of the guess called ``tokens``; others are taken as they are.
        done: Share of the training that lies behind; a penalty that is warmed up counts less before its time.

    Returns:
        Nats, summed over the items, a scalar.
    """
    if isinstance(said, Penalty):
        weight = min(1.0, done / said.warmup) if said.warmup else 1.0
        return weight * said.values.float().sum()
    losses = smoothed_cross_entropy(said.scores, said.truth, smoothing if said.name == TOKENS else 0.0)
    return losses.sum() if said.weights is None else losses @ said.weights.float()


def smoothed_cross_entropy(scores: Tensor, truth: Tensor, smoothing: float) -> Tensor:
    """``-(1 - e) log p(truth) - e/V sum_v log p(v)``, label smoothing (Szegedy et al. 2016, section 7).

    Of the target's probability e is spread over all V choices alike, the true one among them.

    Args:
        scores: Unnormalised, ``(items, choices)``.
        truth: The right choice of each, ``(items,)``.
        smoothing: e; 0 is the plain cross-entropy.

    Returns:
        Nats an item, ``(items,)``.
    """
    losses: Tensor = _SmoothedCrossEntropy.apply(scores.float(), truth, smoothing)
    return losses


def truncated_divergence(
    scores: Tensor, ids: Tensor, log_probabilities: Tensor, temperature: float
) -> Tensor:
    """Divergence of a student from a teacher of whom only the k likeliest choices of each item are known.

    The choices that are not known count as one: with Q and P the probabilities that teacher and student give to the k,

    ``Q log(Q/P) + (1 - Q) log((1 - Q)/(1 - P)) + Q T² KL(softmax(log q / T) || softmax(z / T))``, the last over the k.

    At T = 1 that is ``KL(q || p)`` over k + 1 choices, the k and "any other"; at k = V it is word-level distillation
    (Kim and Rush 2016, L_WORD-KD) with Hinton's temperature, but for the teacher's entropy. By the chain rule only the
    divergence among the others is missing, so there is no gradient where student equals teacher. To take the k for all
    would teach the student to give the others nothing; to spread what they have evenly would teach it a distribution
    that the teacher does not have, more so the higher the temperature.

    Args:
        scores: The student's, unnormalised, ``(items, choices)``.
        ids: The teacher's likeliest choices, no two alike, ``(items, k)``.
        log_probabilities: Of these, as among all choices, ``(items, k)``.
        temperature: T, above zero.

    Returns:
        Nats an item, ``(items,)``.
    """
    known: Tensor
    others: Tensor
    known, others = _KnownAndOthers.apply(scores.float(), ids)
    teacher = log_probabilities.float()
    inner = temperature**2 * functional.kl_div(
        (known / temperature).log_softmax(-1),
        (teacher / temperature).log_softmax(-1),
        reduction="none",
        log_target=True,
    ).sum(-1)
    if ids.shape[1] == scores.shape[1]:
        return inner
    log_known = known.logsumexp(-1)
    log_all = torch.logaddexp(log_known, others)
    log_q = teacher.logsumexp(-1).clamp(max=0)
    q, rest = log_q.exp(), -log_q.expm1()
    outer = q * (log_q - log_known + log_all) + torch.xlogy(rest, rest) - rest * (others - log_all)
    return outer + q * inner


class _SmoothedCrossEntropy(torch.autograd.Function):
    """As ``functional.cross_entropy`` with its ``label_smoothing``, which makes three blocks for its gradient."""

    @staticmethod
    def forward(ctx: Any, scores: Tensor, truth: Tensor, smoothing: float) -> Tensor:
        logs = scores.log_softmax(-1)
        ctx.save_for_backward(logs, truth)
        ctx.smoothing = smoothing
        losses = logs.gather(1, truth[:, None]).squeeze(1).mul_(smoothing - 1)
        return losses.sub_(smoothing * logs.mean(-1)) if smoothing else losses

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_losses: Tensor) -> tuple[Tensor, None, None]:
        """``p - (1 - e) [truth] - e/V``."""
        logs, truth = ctx.saved_tensors
        found = logs.exp()
        if ctx.smoothing:
            found.sub_(ctx.smoothing / logs.shape[1])
        found.scatter_add_(1, truth[:, None], found.new_full((len(truth), 1), ctx.smoothing - 1))
        return found.mul_(of_losses[:, None]), None, None


class _KnownAndOthers(torch.autograd.Function):
    """Scores of some choices, ``(items, k)``, and the others' logsumexp, ``(items,)``."""

    @staticmethod
    def forward(ctx: Any, scores: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
        others = scores.scatter(1, ids, -torch.inf)
        most = others.amax(-1, keepdim=True).clamp_(min=torch.finfo(others.dtype).min)
        others.sub_(most).exp_()
        sums = others.sum(-1)
        ctx.save_for_backward(others, sums, ids)
        return scores.gather(1, ids), sums.log() + most.squeeze(1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_known: Tensor, of_others: Tensor) -> tuple[Tensor, None]:
        others, sums, ids = ctx.saved_tensors
        found = others * (of_others / sums)[:, None]
        return found.scatter_(1, ids, of_known), None
