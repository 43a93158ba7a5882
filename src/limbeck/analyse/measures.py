"""The measures of a parallel text, and of a distilled text against the real one: why a student learns it as it does."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from limbeck.analyse.aligned import AlignedText, Reading, target_of
from limbeck.analyse.lexical import SMOOTHED, complexity, faithfulness_by_smoothing
from limbeck.analyse.reordering import fuzzy_reordering
from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.evaluate.bleu import TRANSLATION_METRICS, Scorer


@dataclass(frozen=True)
class TextMeasures:
    """What one text is like.

    Attributes:
        pairs: Texts, with a translation or without.
        empty: Those whose translation is empty.
        copies: Translations that are their source, letter for letter.
        source_words: Words of all sources.
        target_words: Words of all translations.
        length_ratio: Target words a source word.
        types: Different target words.
        type_token_ratio: Types a target word.
        linked: Share of source words that have a link.
        vocabulary: Different source words that have one: those that complexity is averaged over.
        complexity: C(d) of the slides, in nats a source word of the vocabulary.
        complexity_by_link: The same where each link weighs alike.
        reordering: Mean fuzzy reordering score of the pairs that have one; 1 is the source's own order.
    """

    pairs: int
    empty: int
    copies: int
    source_words: int
    target_words: int
    length_ratio: float
    types: int
    type_token_ratio: float
    linked: float
    vocabulary: int
    complexity: float
    complexity_by_link: float
    reordering: float


@dataclass(frozen=True)
class Comparison:
    """What one text is like beside the real one.

    Attributes:
        faithfulness: F(d) of the slides in nats, by the smoothing of both tables; the default one comes first.
        partners: Pairs that have a real translation of the same source.
        without_partner: Pairs that have none.
        bleu, chrf: Of the translations against their partners, in points; None where there are no partners.
        signatures: sacrebleu's, by the score's name.
        length: Target words, by those of the partners; None where there are no partners.
        unseen_types: Different target words that the real text never uses.
        unseen: Share of target words that are such.
    """

    faithfulness: Mapping[str, float]
    partners: int
    without_partner: int
    bleu: float | None
    chrf: float | None
    signatures: Mapping[str, str]
    length: float | None
    unseen_types: int
    unseen: float


@dataclass(frozen=True)
class Measures:
    """All that is measured of a text.

    Attributes:
        text: Of the text itself.
        real: Of the real text, where there is one.
        against: Of the one against the other.
        reading: How both were read.
    """

    text: TextMeasures
    real: TextMeasures | None
    against: Comparison | None
    reading: Reading

    @property
    def faithfulness(self) -> float | None:
        """F(d) with the default smoothing."""
        return self.against.faithfulness[SMOOTHED.name] if self.against else None

    def as_json(self) -> dict[str, Any]:
        """As JSON has it; what is no number is null."""
        parts = {"text": self.text, "real": self.real, "against": self.against}
        written = {name: _plain(asdict(part)) if part else None for name, part in parts.items()}
        return {**written, "reading": self.reading.as_json()}


def measure(
    text: Iterable[Example] | AlignedText,
    real: Iterable[Example] | AlignedText | None = None,
    *,
    reading: Reading | None = None,
    language: str = "",
) -> Measures:
    """Measure a text, and hold it against the real one.

    Args:
        text: A transfer set with targets, say; of each example the first target counts.
        real: Real translations of the same sources. Who compares several texts with one aligns that once
            (:meth:`AlignedText.of`) and gives it here each time.
        reading: How texts are cut into words and aligned; by default as an aligned one among them was.
        language: Code of the target language, for BLEU in languages without spaces.

    Raises:
        LimbeckError: A text has no translations, two were read differently, or eflomal is not installed.
    """
    given = [each.reading for each in (text, real) if isinstance(each, AlignedText)]
    reading = reading or (given[0] if given else Reading())
    if any(each != reading for each in given):
        raise LimbeckError("two texts that were read differently cannot be compared")
    mine = _aligned(text, reading)
    if real is None:
        return Measures(measures_of(mine), None, None, reading)
    other = _aligned(real, reading)
    return Measures(measures_of(mine), measures_of(other), compare(mine, other, language), reading)


def _aligned(text: Iterable[Example] | AlignedText, reading: Reading) -> AlignedText:
    return text if isinstance(text, AlignedText) else AlignedText.of(text, reading)


def measures_of(aligned: AlignedText) -> TextMeasures:
    """What one text is like."""
    source, target = aligned.text.source, aligned.text.target
    scores = fuzzy_reordering(aligned.links, len(aligned.text))
    links = aligned.links
    linked = len(np.unique(np.stack([links.pair, links.source]), axis=1).T)
    return TextMeasures(
        pairs=len(aligned.text),
        empty=sum(not target.strip() for target in aligned.targets),
        copies=sum(e.text.strip() == target_of(e).strip() != "" for e in aligned.examples),
        source_words=len(source.ids),
        target_words=len(target.ids),
        length_ratio=_ratio(len(target.ids), len(source.ids)),
        types=len(target.types),
        type_token_ratio=_ratio(len(target.types), len(target.ids)),
        linked=_ratio(linked, len(source.ids)),
        vocabulary=len(aligned.table.sources),
        complexity=complexity(aligned.table),
        complexity_by_link=complexity(aligned.table, by_link=True),
        reordering=float(np.nanmean(scores)) if np.isfinite(scores).any() else math.nan,
    )


def compare(mine: AlignedText, real: AlignedText, language: str = "") -> Comparison:
    """Hold one text against the real one.

    Args:
        mine: The distilled text.
        real: The real one.
        language: Code of the target language.
    """
    references = _partners(mine.examples, real.examples)
    rows = [row for row, these in enumerate(references) if these]
    scores: dict[str, float | None] = dict.fromkeys(TRANSLATION_METRICS)
    signatures: dict[str, str] = {}
    if rows:
        scorer = Scorer([references[row] for row in rows], language=language)
        sums = scorer.counts([mine.targets[row] for row in rows]).sum(axis=0)
        scores = {name: float(score(sums)) for name, score in TRANSLATION_METRICS.items()}
        signatures = scorer.signatures
    known = set(real.text.target.types)
    unseen = np.array([word not in known for word in mine.text.target.types], dtype=bool)
    return Comparison(
        faithfulness=faithfulness_by_smoothing(real.table, mine.table),
        partners=len(rows),
        without_partner=len(references) - len(rows),
        bleu=scores["bleu"],
        chrf=scores["chrf"],
        signatures=signatures,
        length=_length(mine, references, rows),
        unseen_types=int(unseen.sum()),
        unseen=_ratio(int(unseen[mine.text.target.ids].sum()), len(mine.text.target.ids)),
    )


def _partners(mine: tuple[Example, ...], real: tuple[Example, ...]) -> list[tuple[str, ...]]:
    """Real translations of each example: of that with the same id and source, else of those with the same source.

    What other tools made comes in another order, and without ids.
    """
    by_id = {(example.id, example.text): example.targets for example in real}
    by_source: dict[str, tuple[str, ...]] = {}
    for example in real:
        by_source[example.text] = by_source.get(example.text, ()) + example.targets
    return [by_id.get((e.id, e.text)) or by_source.get(e.text, ()) for e in mine]


def _length(mine: AlignedText, references: list[tuple[str, ...]], rows: list[int]) -> float | None:
    """Words of translations by those of their first partners."""
    if not rows:
        return None
    wanted = sum(len(mine.reading.cut(references[row][0])) for row in rows)
    return _ratio(int(mine.text.target.lengths[rows].sum()), wanted)


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else math.nan


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value
