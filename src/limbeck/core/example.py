"""Example: one text that models are asked about, with its gold label where there is one."""

from __future__ import annotations

from dataclasses import dataclass, replace


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
        before: Words of its document that stand before it, for a teacher that reads them.
        after: Words that stand after it.
        second: The second text of a pair, which may be empty; None where there is one text only.
        targets: Translations of the text, the one to learn first, then further references; empty where there is none.
        score: Its gold score, where texts have scores.
        labels: All its gold labels, where a text may have several: sorted, perhaps none; None for unlabelled text.
    """

    id: str
    text: str
    gold: str | None = None
    origin: str = ""
    words: tuple[str, ...] = ()
    tags: tuple[str, ...] | None = None
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    second: str | None = None
    targets: tuple[str, ...] = ()
    score: float | None = None
    labels: tuple[str, ...] | None = None

    @property
    def content(self) -> str:
        """What a model reads of it, as one string: two examples that share it get the same answer."""
        if not self.words:
            return "\x1d".join(self.texts)
        sentence = "\x1f".join(("", *self.words))
        if not (self.before or self.after):
            return sentence
        return "\x1e".join(("\x1f".join(self.before), sentence, "\x1f".join(self.after)))

    @property
    def texts(self) -> tuple[str, ...]:
        """The text, or both of a pair."""
        return (self.text,) if self.second is None else (self.text, self.second)

    @property
    def shown(self) -> str:
        """The text as a person reads it; a pair on one line."""
        return " | ".join(self.texts)

    @property
    def alone(self) -> Example:
        """Without the words around it, as a student reads it."""
        return replace(self, before=(), after=()) if self.before or self.after else self

    @property
    def labelled(self) -> bool:
        """Whether it has gold of any kind."""
        return self.truth is not None or bool(self.targets)

    @property
    def truth(self) -> str | float | tuple[str, ...] | None:
        """Its gold but for translations, of which there may be several: a label, tags, a score, or labels."""
        found = (self.gold, self.tags, self.score, self.labels)
        return next((each for each in found if each is not None), None)

    @property
    def without_gold(self) -> Example:
        """The same text, unlabelled."""
        return replace(self, gold=None, tags=None, targets=(), score=None, labels=None)
