"""What translators are taught: translations, gold's or decoded, and beside them a teacher's next tokens."""

from __future__ import annotations

from torch import Tensor

from limbeck.core.errors import LimbeckError
from limbeck.core.objective import Batch, Loss, Objective
from limbeck.core.signals import TOKENS, Guess, NextTokens, Signals
from limbeck.losses.translation import summed, truncated_divergence


class TranslationObjective(Objective):
    """``(1 - w)`` cross-entropy of all that is guessed, its tokens' labels smoothed, and ``w`` word-level distillation.

    Sums run over the tokens of the translations; other guesses, such as of lengths, and penalties are added as they
    are, with the weight of cross-entropy.

    Args:
        label_smoothing: Of the tokens' cross-entropy.
        word_level: w; 0 needs no teacher, 1 no translation but as what the teacher's next tokens come after.
        temperature: T of the teacher's next tokens.
        top_k: So many of them are asked for.
    """

    needs = frozenset()
    reads = frozenset({"guesses"})

    def __init__(
        self, label_smoothing: float, *, word_level: float = 0.0, temperature: float = 1.0, top_k: int = 8
    ) -> None:
        super().__init__()
        self.label_smoothing, self.word_level = label_smoothing, word_level
        self.temperature, self.top_k = temperature, top_k
        if word_level:
            self.needs, self.aligned_by = frozenset({"next_tokens"}), "token"

    def forward(self, student: Signals, teacher: Signals, batch: Batch) -> Loss:
        """Sums over tokens of each guess, and of the divergence from the teacher; a weight of zero leaves its term out.

        Raises:
            LimbeckError: Teacher and student do not guess the same tokens.
        """
        assert student.guesses is not None
        tokens = next(said for said in student.guesses if isinstance(said, Guess) and said.name == TOKENS)
        parts = {}
        if self.word_level < 1:
            for said in student.guesses:
                parts[said.name] = (1 - self.word_level) * summed(said, self.label_smoothing, batch.done)
        if self.word_level:
            assert teacher.next_tokens is not None
            parts["word_level"] = self.word_level * self._of_teacher(tokens, teacher.next_tokens)
        return Loss(parts, len(tokens.truth))

    def _of_teacher(self, tokens: Guess, said: NextTokens) -> Tensor:
        if len(said.ids) != len(tokens.truth):
            what = (
                f"the student guesses {len(tokens.truth)} tokens of a batch, and the teacher {len(said.ids)}"
            )
            fix = "For word-level distillation both must write one token after the other, of the same vocabulary"
            raise LimbeckError(what, fix=fix)
        known = said.mapped(lambda values: values[:, : self.top_k])
        losses = truncated_divergence(tokens.scores, known.ids, known.log_probabilities, self.temperature)
        return losses.sum() if tokens.weights is None else losses @ tokens.weights.float()
