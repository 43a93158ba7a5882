"""Decoding: how a translator turns a text into translations."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from limbeck.core.schema import Settings


class Decoding(Settings):
    """How translations are searched for; a sentence gets the same ones alone and in any batch."""

    search: Literal["beam", "greedy", "sampling", "importance"] = "beam"
    """``beam`` and ``greedy`` look for the likeliest translation, ``sampling`` draws one word after the other;
    ``importance`` is importance weighted decoding, which flowseq models know in PyTorch: bundles and other models that
    are asked for it search by ``beam``, which of a model that writes all tokens at once is argmax."""
    beams: int = Field(5, gt=0)
    """Of beam search: unfinished translations kept at every step."""
    length_penalty: float = 1.0
    """Of beam search: translations are ranked by log-probability over length to this power; 0 favours short ones."""
    temperature: float = Field(1.0, gt=0)
    """Of sampling: below 1 likely words become likelier. Of importance weighted decoding: factor on random noise."""
    top_k: int | None = Field(None, gt=0)
    """Of sampling: draw among this many likeliest words only."""
    keep: int = Field(1, gt=0)
    """Translations of each text that are kept, best first: of beam search at most ``beams``, of sampling draws."""
    max_length: int = Field(128, gt=1)
    """Tokens of a translation, its end included."""
    candidates: int = Field(1, gt=0)
    """Of parallel students that say a length first: lengths that are tried, the likeliest ones; the best-scored
    translation is taken."""
    passes: int = Field(10, gt=0)
    """Of parallel students that refine what they wrote: most passes of a translation; of ``levenshtein`` most
    iterations, of up to three passes each. ``insertion`` that inserts one token in each pass takes as many as it
    wants."""
    latents: int = Field(4, gt=0)
    """Of importance weighted decoding: latent sequences tried for each length, the likeliest one and random ones."""
    samples: int = Field(4, gt=0)
    """Of importance weighted decoding: latent sequences by which a translation's probability is estimated."""
    seed: int = Field(0, ge=0)
    """Of sampling and importance weighted decoding; each text draws by itself, so that no draw depends on others."""

    @property
    def length_power(self) -> float:
        """Power of the length that divides a translation's log-probability: 1 where there are no beams to rank."""
        return self.length_penalty if self.search == "beam" else 1.0

    @property
    def draws(self) -> bool:
        """Whether it needs random numbers."""
        return self.search in ("sampling", "importance")

    @property
    def without_draws(self) -> Decoding:
        """How those search who are asked for this, and draw nothing."""
        return self.model_copy(update={"search": "beam"}) if self.draws else self

    @model_validator(mode="after")
    def _kept_were_found(self) -> Decoding:
        found = {"beam": self.beams, "sampling": self.keep}.get(self.search, 1)
        if self.keep > found:
            raise ValueError(f"{self.search} finds {found} translations of a text, and 'keep' is {self.keep}")
        return self
