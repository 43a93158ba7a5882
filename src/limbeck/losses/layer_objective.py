"""What the methods on inner states share: checks of shapes, and projections to the teacher's width."""

from __future__ import annotations

from torch import nn

from limbeck.core.errors import LimbeckError
from limbeck.core.objective import Objective, Shape


class LayerObjective(Objective):
    """Compares layers of two encoders that read the same tokens."""

    aligned_by = "token"

    def fit(self, student: Shape | None, teacher: Shape | None) -> None:
        """Check that both are transformers, then :meth:`fit_shapes`."""
        if student is None or not student.heads:
            fix = "Choose 'student.kind: transformer', or a method that compares answers"
            raise LimbeckError(
                "the student is no transformer: it has no layers to compare", where="method", fix=fix
            )
        if teacher is None or not teacher.heads:
            fix = "Name a transformer in 'teacher.model', or choose a method that compares answers"
            raise LimbeckError("the teacher has no layers to compare", where="method", fix=fix)
        self.fit_shapes(student, teacher)

    def fit_shapes(self, student: Shape, teacher: Shape) -> None:
        """Make what depends on the shapes."""
        raise NotImplementedError


class Projection(nn.Linear):
    """The student's states in the teacher's width (W_h and W_e of TinyBERT); the identity at first where these agree.

    Args:
        student: The student's width.
        teacher: The teacher's.
    """

    def __init__(self, student: int, teacher: int) -> None:
        super().__init__(student, teacher, bias=False)
        if student == teacher:
            nn.init.eye_(self.weight)
        else:
            nn.init.normal_(self.weight, std=student**-0.5)
