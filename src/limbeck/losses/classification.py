"""Losses between class scores: plain functions first, one value a sentence, shapes ``(batch, classes) -> (batch,)``.

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


def gold_or_teachers_choice(gold: Tensor, teacher: Tensor) -> Tensor:
    """Gold where there is some, the teacher's most probable class elsewhere (Tang et al. 2019, section 3.2).

    Args:
        gold: ``(batch,)``, ``NO_GOLD`` where there is none.
        teacher: Logits ``(batch, classes)``.

    Returns:
        Label indices, ``(batch,)``.
    """
    return torch.where(gold == NO_GOLD, teacher.argmax(-1), gold)
