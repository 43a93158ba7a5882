"""What ``evaluation.json`` says of translators alone, as plain frozen dataclasses."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class ScoreInterval:
    """The bootstrap's interval of a score: of one seed, or (``seed`` None) of the mean over a model's seeds."""

    name: str
    seed: int | None
    metric: str
    low: float
    high: float


@dataclass(frozen=True)
class LengthBin:
    """Sentences whose source has ``low`` to ``high`` words."""

    low: int
    high: int
    examples: int


@dataclass(frozen=True)
class Lengths:
    """BLEU by source length: of each model, the mean over its seeds in every bin."""

    bins: list[LengthBin] = field(default_factory=list)
    bleu: dict[str, list[float]] = field(default_factory=dict)


@dataclass(frozen=True)
class OutputFaults:
    """Of one model and seed, or of the references: words against the references', and faults as shares of one."""

    name: str
    role: str
    seed: int | None
    length_ratio: float
    repeated: float
    copies: float
    empty: float
    passes: float | None = None
