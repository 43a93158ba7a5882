"""A parallel text read for measuring: its pairs, their words, the links between them, and the table of those."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from limbeck.analyse.alignment import SYMMETRISED, Links, align, aligner
from limbeck.analyse.bitext import Bitext, Cut, cut_named
from limbeck.analyse.lexical import Table
from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example


@dataclass(frozen=True)
class Reading:
    """How a text is read; two texts are compared only if they were read alike.

    Attributes:
        words: What counts as a word: ``13a`` (as BLEU cuts text; of Chinese and Japanese each character) or ``spaces``
            (whatever stands between them).
        lowercase: Whether upper and lower case are one.
        symmetrised: How the two directions of alignment are made one, e.g. ``grow-diag-final-and``.
        effort: Rounds of sampling in aligning, as a multiple of eflomal's own number.

    Raises:
        LimbeckError: There is no such way.
    """

    words: str = "13a"
    lowercase: bool = False
    symmetrised: str = "grow-diag-final-and"
    effort: float = 1.0

    def __post_init__(self) -> None:
        cut_named(self.words)
        if self.symmetrised not in SYMMETRISED:
            what = f"no way '{self.symmetrised}' to make two directions of alignment one"
            raise LimbeckError(what, fix=f"There are {', '.join(SYMMETRISED)}")
        if not self.effort > 0:
            raise LimbeckError(f"effort {self.effort:g} aligns nothing", fix="Give a number above 0")

    @cached_property
    def cut(self) -> Cut:
        """A text to its words."""
        cut = cut_named(self.words)
        return (lambda text: cut(text.lower())) if self.lowercase else cut

    def as_json(self) -> dict[str, Any]:
        """What a result says of how it came about."""
        return {**asdict(self), "aligner": aligner()}


@dataclass(frozen=True)
class AlignedText:
    """Pairs with what is found in them.

    Attributes:
        examples: The texts; of each, its first target is measured, or the empty text where it has none.
        text: Their words.
        links: Between them.
        reading: How all this was found.
    """

    examples: tuple[Example, ...]
    text: Bitext
    links: Links
    reading: Reading

    @classmethod
    def of(cls, examples: Iterable[Example], reading: Reading | None = None) -> AlignedText:
        """Cut texts and targets into words and align them; this is what takes long in measuring.

        Args:
            examples: Of a transfer set, say.
            reading: How; by default as ``Reading`` has it.

        Raises:
            LimbeckError: No example has a target, or eflomal is not installed.
        """
        reading = reading or Reading()
        kept = tuple(examples)
        if not any(example.targets for example in kept):
            raise LimbeckError("there are no translations to measure")
        text = Bitext.of(((example.text, target_of(example)) for example in kept), reading.cut)
        return cls(kept, text, align(text, reading.symmetrised, reading.effort), reading)

    @cached_property
    def table(self) -> Table:
        """How often words are linked."""
        return Table.of(self.text, self.links)

    @cached_property
    def targets(self) -> tuple[str, ...]:
        """The translations that are measured."""
        return tuple(map(target_of, self.examples))


def target_of(example: Example) -> str:
    """The translation to learn; the empty text where there is none."""
    return example.targets[0] if example.targets else ""
