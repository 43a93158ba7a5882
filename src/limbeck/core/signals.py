"""Signals: what a model says about a batch. One type for teachers and students."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from torch import Tensor

    from limbeck.structure.chain import Chain

SignalName = Literal["logits", "hidden", "attention", "embeddings", "potentials"]
SIGNAL_NAMES: tuple[SignalName, ...] = get_args(SignalName)


@dataclass(frozen=True, slots=True)
class Signals:
    """What a model says about a batch; a field that was not asked for is None.

    Attributes:
        logits: Unnormalised class scores, ``(batch, classes)``.
        hidden: One state a layer, each ``(batch, tokens, width)``.
        attention: One map a layer, each ``(batch, heads, tokens, tokens)``.
        embeddings: Input embeddings, ``(batch, tokens, width)``.
        potentials: A tagger's scores of tags and of pairs of tags, over words.
        mask: One where a token is real, ``(batch, tokens)``; goes with hidden, attention and embeddings.
    """

    logits: Tensor | None = None
    hidden: tuple[Tensor, ...] | None = None
    attention: tuple[Tensor, ...] | None = None
    embeddings: Tensor | None = None
    potentials: Chain | None = None
    mask: Tensor | None = None

    def named(self, name: SignalName) -> Tensor | tuple[Tensor, ...] | Chain:
        """The signal of that name.

        Raises:
            KeyError: The model did not say it.
        """
        value: Tensor | tuple[Tensor, ...] | Chain | None = getattr(self, name)
        if value is None:
            said = [f.name for f in fields(self) if getattr(self, f.name) is not None]
            raise KeyError(f"no signal {name!r} here; there are: {', '.join(said) or 'none'}")
        return value
