"""What the methods on one pair of hidden layers share: which ones, in transformers or recurrent students."""

from __future__ import annotations

from torch import Tensor

from limbeck.core.errors import LimbeckError
from limbeck.core.objective import Objective, Shape
from limbeck.core.signals import Signals


class HiddenObjective(Objective):
    """Compares one hidden layer of each; neither need have attention.

    Args:
        layer: The student's, from 1; None for its last, or its middle one.
        teacher_layer: The teacher's likewise.
    """

    aligned_by = "token"
    middle: bool = False
    """Whether the layers are, unless others are asked for, the middle ones instead of the last."""

    def __init__(self, layer: int | None, teacher_layer: int | None) -> None:
        super().__init__()
        self.asked_for = layer, teacher_layer

    def fit(self, student: Shape | None, teacher: Shape | None) -> None:
        """Find the layers, then :meth:`fit_widths`."""
        if student is None:
            what = "the student has no hidden layers over the tokens that the teacher reads"
            raise LimbeckError(what, where="method", fix="Choose 'student.kind: transformer' or 'bilstm'")
        if teacher is None:
            fix = "Name a transformer in 'teacher.model', or choose a method that compares answers"
            raise LimbeckError("the teacher has no layers to compare", where="method", fix=fix)
        own, theirs = self.asked_for
        self.pairs = (
            (
                self._layer(own, student.layers, "student", "layer"),
                self._layer(theirs, teacher.layers, "teacher", "teacher_layer"),
            ),
        )
        self.fit_widths(student.width, teacher.width)

    def fit_widths(self, student: int, teacher: int) -> None:
        """Make what depends on the widths; nothing here."""

    def told(self) -> str:
        """The layers."""
        return " ".join(f"layer {own}←{theirs}" for own, theirs in self.pairs)

    def compared(self, student: Signals, teacher: Signals) -> tuple[Tensor, Tensor]:
        """States of the two layers, each ``(batch, tokens, its width)``."""
        assert student.hidden is not None and teacher.hidden is not None
        ((own, theirs),) = self.pairs
        return student.hidden[own - 1], teacher.hidden[theirs - 1]

    def _layer(self, asked: int | None, there: int, who: str, key: str) -> int:
        if asked is not None and asked > there:
            raise LimbeckError(f"no layer {asked}: the {who} has layers 1 to {there}", where=f"method.{key}")
        return asked or ((there + 1) // 2 if self.middle else there)
