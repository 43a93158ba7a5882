"""Signals: what a model says about a batch. One type for teachers and students."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from limbeck.core.tasks import Task
    from limbeck.structure.chain import Chain

SignalName = Literal[
    "logits",
    "hidden",
    "attention",
    "queries",
    "keys",
    "values",
    "embeddings",
    "vocabulary",
    "sensitivity",
    "saliency",
    "potentials",
    "guesses",
    "next_tokens",
]
SIGNAL_NAMES: tuple[SignalName, ...] = get_args(SignalName)
OF_ATTENTION: frozenset[SignalName] = frozenset({"attention", "queries", "keys", "values"})
OF_LAYERS: frozenset[SignalName] = OF_ATTENTION | {"hidden"}
"""Signals that come layer by layer."""
OF_DERIVATIVES: frozenset[SignalName] = frozenset({"sensitivity", "saliency"})
OF_TOKENS: frozenset[SignalName] = OF_ATTENTION | OF_DERIVATIVES | {"hidden", "embeddings", "vocabulary"}
"""Signals that come token by token, whatever the task."""
SAID: Mapping[Task, frozenset[SignalName]] = {
    "classification": frozenset({"logits"}),
    "regression": frozenset({"logits"}),
    "multilabel": frozenset({"logits"}),
    "tagging": frozenset({"potentials"}),
    "translation": frozenset({"guesses", "next_tokens"}),
}
"""What the models of each task say beside these."""


TOKENS = "tokens"
"""Name of the guess of a translation's tokens."""


@dataclass(frozen=True, slots=True)
class Guess:
    """What a translator is scored on: choices that it makes, and what each should have been.

    An autoregressive one guesses ``tokens``, each after those before it; parallel ones guess other things too, such as
    the ``length``. By the chain rule, the log-probability of a translation is the sum over all that is guessed.

    Attributes:
        name: Of what is guessed.
        scores: Unnormalised, ``(items, choices)``.
        truth: The right choice of each, ``(items,)``.
        weights: How much each counts, ``(items,)``; None for one each.
    """

    name: str
    scores: Tensor
    truth: Tensor
    weights: Tensor | None = None

    def mapped(self, change: Callable[[Tensor], Tensor]) -> Guess:
        """With every tensor changed."""
        weights = None if self.weights is None else change(self.weights)
        return Guess(self.name, change(self.scores), change(self.truth), weights)


@dataclass(frozen=True, slots=True)
class Penalty:
    """What a translator's loss holds beside guesses: values that shall be small, such as a divergence.

    Attributes:
        name: What it is called in the journal.
        values: In nats, one an item, ``(items,)``; they are added up.
        warmup: Share of the training, at most 1, over which its weight rises from nought to one, along a line.
    """

    name: str
    values: Tensor
    warmup: float = 0.0

    def mapped(self, change: Callable[[Tensor], Tensor]) -> Penalty:
        """With the values changed."""
        return Penalty(self.name, change(self.values), self.warmup)


@dataclass(frozen=True, slots=True)
class NextTokens:
    """A translator's likeliest next tokens after each beginning of a given translation.

    Attributes:
        ids: Which tokens, likeliest first, ``(items, k)`` int64; the items are those of the guess called ``tokens``.
        log_probabilities: Their natural logarithms, as among all tokens: they add up to less than one, ``(items, k)``.
    """

    ids: Tensor
    log_probabilities: Tensor

    def mapped(self, change: Callable[[Tensor], Tensor]) -> NextTokens:
        """With both tensors changed."""
        return NextTokens(change(self.ids), change(self.log_probabilities))


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
        sensitivity: Derivatives of logits, projected on the batch's ``directions``, with respect to what the table of
            token embeddings gives, ``(batch, directions, tokens, width)``.
        saliency: The same with respect to a factor of each token's embedding, at one: the inner product of
            sensitivity and embedding, whatever its width, ``(batch, directions, tokens)``.
        potentials: A tagger's scores of tags and of pairs of tags, over words.
        guesses: What a translator is scored on: guesses, that called ``tokens`` among them, and perhaps penalties.
        next_tokens: A translator's likeliest tokens at every place of the translation that is learnt.
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
    sensitivity: Tensor | None = None
    saliency: Tensor | None = None
    potentials: Chain | None = None
    guesses: tuple[Guess | Penalty, ...] | None = None
    next_tokens: NextTokens | None = None
    mask: Tensor | None = None

    def mapped(self, change: Callable[[Tensor], Tensor], of_chain: Callable[[Chain], Chain]) -> Signals:
        """With every tensor changed, and the potentials by a function of their own."""

        def changed(value: Any) -> Any:
            if isinstance(value, tuple):
                return tuple(map(changed, value))
            return value.mapped(change) if isinstance(value, Guess | Penalty | NextTokens) else change(value)

        values: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        chain = values.pop("potentials")
        there: dict[str, Any] = {name: changed(value) for name, value in values.items() if value is not None}
        return replace(self, potentials=None if chain is None else of_chain(chain), **there)

    def named(self, name: SignalName) -> Any:
        """The signal of that name.

        Raises:
            KeyError: The model did not say it.
        """
        value = getattr(self, name)
        if value is None:
            said = [f.name for f in fields(self) if getattr(self, f.name) is not None]
            raise KeyError(f"no signal {name!r} here; there are: {', '.join(said) or 'none'}")
        return value
