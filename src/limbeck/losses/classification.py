"""Losses between logits of texts: plain functions, one value a text, shapes ``(batch, labels) -> (batch,)``.

Nothing here divides by a batch size; the training loop does (see :class:`limbeck.core.objective.Loss`).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from limbeck.core.objective import NO_GOLD


def gold_cross_entropy(logits: Tensor, gold: Tensor) -> Tensor:
    """Cross-entropy with gold: ``-log softmax(z)[y]``; zero for sentences without gold.

    Args:
        logits: ``(batch, classes)``.
        gold: Label indices ``(batch,)``, ``NO_GOLD`` where there is none.

    Returns:
        Nats a sentence, ``(batch,)``.
    """
    return functional.cross_entropy(logits.float(), gold, ignore_index=NO_GOLD, reduction="none")


def softened_divergence(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """``T² KL(softmax(z_teacher / T) || softmax(z_student / T))`` (Hinton et al. 2015, section 2).

    Its gradient is that of the paper's cross-entropy with soft targets: the two differ by the teacher's entropy,
    which does not depend on the student. The factor T² keeps the gradient's size the same at every temperature.

    Args:
        student: Logits ``(batch, classes)``.
        teacher: Logits ``(batch, classes)``.
        temperature: T, above zero.

    Returns:
        ``(batch,)``.
    """
    log_student = (student.float() / temperature).log_softmax(-1)
    log_teacher = (teacher.float() / temperature).log_softmax(-1)
    divergence = functional.kl_div(log_student, log_teacher, reduction="none", log_target=True).sum(-1)
    return temperature**2 * divergence


def squared_distance(student: Tensor, teacher: Tensor) -> Tensor:
    """``||z_teacher - z_student||²`` (Ba and Caruana 2014, section 2.3; Tang et al. 2019, section 3.2).

    Args:
        student: Logits ``(batch, classes)``.
        teacher: Logits ``(batch, classes)``.

    Returns:
        ``(batch,)``.
    """
    return (student.float() - teacher.float()).square().sum(-1)


def binary_cross_entropy(logits: Tensor, gold: Tensor) -> Tensor:
    """``-sum_l y_l log sigmoid(z_l) + (1 - y_l) log(1 - sigmoid(z_l))``; zero for texts without gold.

    Args:
        logits: ``(batch, labels)``.
        gold: One where a text has the label, else nought, ``(batch, labels)``; NaN where there is no gold.

    Returns:
        Nats a text, a sum over labels, ``(batch,)``.
    """
    known = gold.nan_to_num(0.0).float()
    losses = functional.binary_cross_entropy_with_logits(logits.float(), known, reduction="none")
    return losses.masked_fill(gold.isnan(), 0.0).sum(-1)


def softened_binary_divergence(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """``T² sum_l KL(Bernoulli(sigmoid(z_teacher,l / T)) || Bernoulli(sigmoid(z_student,l / T)))``.

    What :func:`softened_divergence` is for one label of several, for each label by itself: softmax over a label and its
    absence is the sigmoid, so that the factor T² has the same reason.

    Args:
        student: Logits ``(batch, labels)``.
        teacher: Logits ``(batch, labels)``.
        temperature: T, above zero.

    Returns:
        ``(batch,)``.
    """
    ours, theirs = student.float() / temperature, teacher.float() / temperature
    wanted = theirs.sigmoid()
    entropies = functional.binary_cross_entropy_with_logits(theirs, wanted, reduction="none")
    crossed = functional.binary_cross_entropy_with_logits(ours, wanted, reduction="none")
    return temperature**2 * (crossed - entropies).sum(-1)


def gold_squared_error(scores: Tensor, gold: Tensor) -> Tensor:
    """``(y - z)²``; zero for texts without gold.

    Args:
        scores: ``(batch, 1)``.
        gold: ``(batch, 1)``, NaN where there is none.

    Returns:
        ``(batch,)``.
    """
    known = torch.where(gold.isnan(), scores.detach().float(), gold.float())
    return squared_distance(scores, known)
