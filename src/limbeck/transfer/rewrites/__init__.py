"""Rewriting: one file per way of making more text for the teacher to answer on, found by its file's name.

A rewriter's file defines ``Settings``, a frozen class whose fields are the recipe's keys and whose
``rewrite(examples)`` gives new, unlabelled examples, each with the example that it came from as its origin.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib
import pkgutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.recipe import Training
from limbeck.core.schema import Settings, validate
from limbeck.text.clean import DUPLICATE, example_key
from limbeck.transfer.transfer_set import TransferSet

UNFIT = "unfit"
"""Why a draw is dropped that came to nothing."""

Side = Literal["text", "second"]
"""Which text of a pair; a text alone is the first."""


class Tune(Protocol):
    """Trains a language model on text: :func:`limbeck.train.adapt.adapt`, which stands above this layer."""

    def __call__(
        self,
        encoder: str,
        texts: Sequence[str],
        folder: Path,
        settings: Training,
        *,
        max_length: int,
        seed: int,
        causal: bool,
    ) -> object:
        """Leave the model in the folder; called again after an interruption, go on; once done, do nothing."""


class RewriteSettings(Settings):
    """Base of every rewriter's settings."""

    @property
    def name(self) -> str:
        """The name of its file."""
        return type(self).__module__.rpartition(".")[2]

    @property
    def reads(self) -> tuple[str, ...]:
        """Models and files that new examples depend on, as the recipe names them."""
        return ()

    def rewrite(
        self, examples: Sequence[Example], cache: Path | None = None, tune: Tune | None = None
    ) -> Iterator[Example | None]:
        """Every draw made of old examples, also what is no new text; the same at every call.

        None stands for a draw that came to nothing.

        Args:
            examples: Old ones.
            cache: Folder where costly work may be kept as it is done, for a call that is made again after a kill.
            tune: What trains language models, for a rewriter that has one.
        """
        raise NotImplementedError

    @property
    def marks(self) -> tuple[str, ...]:
        """Tokens of its new text that are no words."""
        return ()

    def sketch(self, examples: Sequence[Example]) -> Iterator[Example | None]:
        """About as many examples, of about the same lengths, as ``rewrite`` makes, at once: for a plan."""
        return self.rewrite(examples)

    def seconds(self, examples: Sequence[Example]) -> float:
        """About how long ``rewrite`` takes; never none."""
        return 1


def generator_of(seed: int, example: Example) -> np.random.Generator:
    """What an example's draws come from: the seed and its id alone decide them, not the examples beside it."""
    digest = hashlib.blake2b(example.id.encode(), digest_size=8).digest()
    return np.random.default_rng((seed, int.from_bytes(digest, "little")))


def names() -> list[str]:
    """Names of the rewriters that come with Limbeck."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def settings_for(name: str, values: Mapping[str, Any]) -> RewriteSettings:
    """A rewriter's settings for a recipe's keys.

    Raises:
        LimbeckError: No such rewriter, an unknown key, or a value that does not fit.
    """
    return validate(schema_of(name), values, prefix=f"rewrite.{name}")


def schema_of(name: str) -> type[RewriteSettings]:
    """The class of a rewriter's settings.

    Raises:
        LimbeckError: No such rewriter.
    """
    if name not in names():
        close = difflib.get_close_matches(name, names(), n=1, cutoff=0.4)
        fix = f"Did you mean '{close[0]}'?" if close else f"There are: {', '.join(names())}"
        raise LimbeckError(f"no rewriter '{name}'", where="rewrite", fix=fix)
    schema: type[RewriteSettings] = importlib.import_module(f"{__name__}.{name}").Settings
    return schema


def sides(example: Example) -> tuple[Side, ...]:
    """The texts of an example that are not empty: rewriters change one of them at a time, and take turns."""
    return tuple(side for side in ("text", "second") if getattr(example, side))


def remade(example: Example, side: Side, text: str, id: str, origin: str) -> Example:
    """An example without gold in which one text is another; a tagger's is cut into words at its spaces."""
    first, second = (text, example.second) if side == "text" else (example.text, text)
    words = tuple(text.split()) if example.words else ()
    return Example(f"{example.id}/{id}", first, None, origin, words, second=second)


@dataclass(frozen=True, slots=True)
class Made:
    """What became of one rewriter's draws.

    Attributes:
        rewriter: Its name.
        drawn: Draws.
        kept: New texts.
        dropped: How many others there were: ``duplicate`` of a text that is there, ``in dev``, ``in test``, ``unfit``.
    """

    rewriter: str
    drawn: int
    kept: int
    dropped: dict[str, int]


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A transfer set with more text.

    Attributes:
        transfer_set: The old examples, then what each rewriter made, in order.
        made: Of each rewriter.
    """

    transfer_set: TransferSet
    made: tuple[Made, ...]


def rewrite(
    transfer_set: TransferSet,
    rewriters: Sequence[RewriteSettings],
    unseen: Mapping[str, Sequence[Example]] | None = None,
    *,
    cache: Path | None = None,
    tune: Tune | None = None,
    sketch: bool = False,
) -> Rewritten:
    """The transfer set, and after it what the rewriters make of it, each text once.

    Args:
        transfer_set: The text to start from.
        rewriters: Each rewrites what the ones before it left.
        unseen: Examples of dev and test, by these names: a new text that equals one of theirs (but for case and
            spaces) is left out.
        cache: See :meth:`RewriteSettings.rewrite`.
        tune: See there, too.
        sketch: Whether they only tell about how much they would make: see :meth:`RewriteSettings.sketch`.
    """
    examples = list(transfer_set.examples)
    ids = {example.id for example in examples}
    held_out = {example_key(one): f"in {name}" for name, some in (unseen or {}).items() for one in some}
    seen = dict.fromkeys(map(example_key, examples), DUPLICATE) | held_out
    made = []
    for number, rewriter in enumerate(rewriters, 1):
        old, dropped = tuple(examples), Counter[str]()
        for example in rewriter.sketch(old) if sketch else rewriter.rewrite(old, cache, tune):
            if example is None:
                dropped[UNFIT] += 1
                continue
            key = example_key(example)
            if key in seen:
                dropped[seen[key]] += 1
                continue
            seen[key] = DUPLICATE
            # The same rewriter may stand in the chain twice.
            new = example if example.id not in ids else replace(example, id=f"{example.id}.{number}")
            ids.add(new.id)
            examples.append(new)
        kept = len(examples) - len(old)
        made.append(Made(rewriter.name, kept + dropped.total(), kept, dict(dropped)))
    return Rewritten(TransferSet(tuple(examples), transfer_set.labels), tuple(made))
