"""Teacher: anything that answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from limbeck.core.example import Example
from limbeck.core.signals import SignalName, Signals


class Teacher(Protocol):
    """A model, or a file of answers that somebody else's model gave.

    Attributes:
        labels: Names of the classes, in the order of its logits.
        offers: Signals that it can give.
        fingerprint: Digest of all that its answers depend on (weights, tokeniser, truncation).

    One that offers ``next_tokens`` also has ``top_k``: how many it gives at each place of a translation.
    """

    labels: tuple[str, ...]
    offers: frozenset[SignalName]
    fingerprint: str

    def answer(self, examples: Sequence[Example], needs: frozenset[SignalName]) -> Signals:
        """What it says about the examples, in their order, without gradients."""
        ...
