"""Example: one text that models are asked about, with its gold label where there is one."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Example:
    """One text.

    Attributes:
        id: Unique within its transfer set; teacher answers are kept under it.
        text: The sentence; of a tagger's example, its words with spaces between them.
        gold: The label's name, or None for unlabelled text.
        origin: Where it came from, e.g. ``train.csv:17``.
        words: What a tagger tags; empty for a text that is not cut into words.
        tags: Their gold tags, one a word, or None for unlabelled text.
    """

    id: str
    text: str
    gold: str | None = None
    origin: str = ""
    words: tuple[str, ...] = ()
    tags: tuple[str, ...] | None = None

    @property
    def content(self) -> str:
        """What a model reads of it, as one string: two examples that share it get the same answer."""
        return "\x1f".join(("", *self.words)) if self.words else self.text

    @property
    def labelled(self) -> bool:
        """Whether it has gold of either kind."""
        return self.gold is not None or self.tags is not None
