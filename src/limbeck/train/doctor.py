"""The loss doctor: how much each term of an objective has to say, before the first step.

Terms on wildly different scales are the commonest way to distil badly without noticing: the sum looks
healthy, and one term alone moves the student. So each term's gradient is measured by itself, on the first
batch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from limbeck.core import progress
from limbeck.core.files import write_json
from limbeck.core.objective import Loss

FAINT = 0.01
"""Share of the gradient below which a term is as good as absent."""


@dataclass(frozen=True, slots=True)
class Term:
    """One term of an objective on the first batch.

    Attributes:
        name: As the objective calls it.
        value: A sentence's (word's, token's), its weight in the objective included.
        grad_norm: Norm of its gradient in the student's parameters.
        share: That norm as a share of the sum of all terms' norms.
    """

    name: str
    value: float
    grad_norm: float
    share: float


def examine(student: nn.Module, loss: Loss) -> list[Term]:
    """Value and gradient norm of each term; leaves every ``.grad`` as it was.

    Args:
        student: Whose parameters the gradient is taken in.
        loss: Of one batch, with its graph.
    """
    count = max(loss.count, 1)
    norms = {name: _gradient_norm(part, student) / count for name, part in loss.parts.items()}
    whole = sum(norms.values())
    return [
        Term(name, float(part.detach()) / count, norms[name], norms[name] / whole if whole else 0.0)
        for name, part in loss.parts.items()
        # Nought without a gradient is what a schedule leaves of a term for now: nothing to tell of.
        if norms[name] or float(part.detach())
    ]


def _gradient_norm(part: Tensor, student: nn.Module) -> float:
    parameters = [parameter for parameter in student.parameters() if parameter.requires_grad]
    if not part.requires_grad or not parameters:
        return 0.0
    found = torch.autograd.grad(
        part, parameters, retain_graph=True, allow_unused=True, materialize_grads=True
    )
    return float(nn.utils.get_total_norm(found))


def report(terms: list[Term], folder: Path, what: str) -> None:
    """Write ``doctor.json``, tell of the terms in a line, and warn of those that say nothing."""
    found = [_json(asdict(term)) for term in terms]
    write_json(folder / "doctor.json", {"terms": found, "step": 0})
    told = [
        f"{term.name} {term.value:.3g} an item, gradient {term.grad_norm:.2g} ({term.share:.0%})"
        for term in terms
    ]
    progress.say(f"{what}: at the start {'; '.join(told)}", terms=found)
    for term in terms:
        if warning := _warning(term):
            progress.warn(f"{what}: the term '{term.name}' {warning}", term=term.name)


def _warning(term: Term) -> str | None:
    if not (math.isfinite(term.value) and math.isfinite(term.grad_norm)):
        return "is not finite on the first batch"
    if term.grad_norm == 0:
        return "has no gradient on the first batch: the student learns nothing from it there"
    if term.share < FAINT:
        return f"has {term.share:.2%} of the gradient: give it more weight, or leave it out"
    return None


def _json(values: Mapping[str, object]) -> dict[str, object]:
    """The same with null for what JSON cannot write."""
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in values.items()}
