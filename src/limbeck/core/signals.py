"""Signals: what a model says about a batch. One type for teachers and students."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from limbeck.structure.chain import Chain

SignalName = Literal[
    "logits", "hidden", "attention", "queries", "keys", "values", "embeddings", "vocabulary", "potentials"
]
SIGNAL_NAMES: tuple[SignalName, ...] = get_args(SignalName)
OF_ATTENTION: frozenset[SignalName] = frozenset({"attention", "queries", "keys", "values"})
OF_TOKENS: frozenset[SignalName] = OF_ATTENTION | {"hidden", "embeddings", "vocabulary"}
"""Signals that come token by token, whatever the task."""


@dataclass(frozen=True, slots=True)
class Signals:
    """What a model says about a batch; a field that was not asked for is None.

    Attributes:
        logits: Unnormalised class scores, ``(batch, classes)``.
        hidden: One state a layer, each ``(batch, tokens, width)``.
        attention: One map of scores a layer, before the softmax and without the mask, each
            ``(batch, heads, tokens, tokens)``.
        queries: What goes into each layer's attention, each ``(batch, heads, tokens, width of a head)``.
        keys: Likewise.
        values: Likewise.
        embeddings: Input embeddings, ``(batch, tokens, width)``.
        vocabulary: A masked LM's scores of all tokens at the places that it was asked about, row by row,
            ``(asked, vocabulary)``.
        potentials: A tagger's scores of tags and of pairs of tags, over words.
        mask: One where a token is real, ``(batch, tokens)``; goes with all but logits and potentials.
    """

    logits: Tensor | None = None
    hidden: tuple[Tensor, ...] | None = None
    attention: tuple[Tensor, ...] | None = None
    queries: tuple[Tensor, ...] | None = None
    keys: tuple[Tensor, ...] | None = None
    values: tuple[Tensor, ...] | None = None
    embeddings: Tensor | None = None
    vocabulary: Tensor | None = None
    potentials: Chain | None = None
    mask: Tensor | None = None

    def mapped(self, change: Callable[[Tensor], Tensor], of_chain: Callable[[Chain], Chain]) -> Signals:
        """With every tensor changed, and the potentials by a function of their own."""

        def changed(value: Tensor | tuple[Tensor, ...]) -> Tensor | tuple[Tensor, ...]:
            return tuple(map(change, value)) if isinstance(value, tuple) else change(value)

        values: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        chain = values.pop("potentials")
        there: dict[str, Any] = {name: changed(value) for name, value in values.items() if value is not None}
        return replace(self, potentials=None if chain is None else of_chain(chain), **there)

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
