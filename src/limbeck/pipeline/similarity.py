"""Similarity: which layers of two models, or of a run's teacher and students, say the same up to rotation and scale."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BeforeValidator, Field

from limbeck.analyse.representations import Representations
from limbeck.analyse.similarity import best_mapping, layers_alike
from limbeck.analyse.states import Pooling, Words
from limbeck.core import progress
from limbeck.core.errors import LimbeckError
from limbeck.core.files import write_json
from limbeck.core.schema import Settings
from limbeck.core.sources import one_or_many
from limbeck.pipeline.probed_models import Probed, is_run, probed_models
from limbeck.pipeline.run import Run
from limbeck.report import similar
from limbeck.report.page import renew
from limbeck.text.resources import resolve
from limbeck.text.tables import read_text
from limbeck.transfer.store import AnswerStore


class SimilaritySettings(Settings):
    """What ``limbeck similarity`` is asked."""

    models: Annotated[list[str], BeforeValidator(one_or_many)] = Field(min_length=1)
    """A run's folder (its teacher against its students, of their first seed), or two models or more, the first against
    the others: run folders, model folders, ``package:NAME/FOLDER``, names on the hub; ``NAME=FOLDER`` names one."""
    text: str | None = None
    """A file with one sentence a line; null is the test set of the run."""
    over: Pooling | Literal["words"] = "mean"
    """How sentences are pooled; ``words`` compares states of single words."""
    limit: int = Field(1000, gt=1)
    """Most sentences, drawn by the seed."""
    max_length: int = Field(128, gt=2)
    """Tokens kept of a sentence by models of no run."""
    seed: int = Field(1, ge=0)
    """Of the draw."""
    store: str = "runs/store"
    """The answer store, where states are kept."""
    out: str | None = None
    """Folder of the results; null is ``similarity`` in the run's folder, where one run is named, else ``similarity``
    here."""

    @property
    def pooling(self) -> Pooling | None:
        """None where words are compared."""
        return None if self.over == "words" else self.over

    @property
    def run(self) -> Path | None:
        """The one run that is named; None where there are several, or none."""
        runs = [place for place in (name.rpartition("=")[2] for name in self.models) if is_run(place)]
        return Path(runs[0]).expanduser() if len(runs) == 1 else None

    @property
    def folder(self) -> Path:
        """Where results go."""
        if self.out is not None:
            return Path(self.out).expanduser()
        return Path("similarity") if self.run is None else self.run / "similarity"


def run_similarity(settings: SimilaritySettings) -> Path:
    """Compare layers, and write ``similarity.json``, ``similarity.md`` and ``similarity.html``.

    Args:
        settings: What is asked.

    Returns:
        The page.

    Raises:
        LimbeckError: A model or the text is missing or damaged, or there is one model only.
    """
    models = probed_models(settings.models, settings.max_length, seeds=1)
    pairs = _pairs(models)
    sentences = _sentences(settings)
    store = AnswerStore(Path(settings.store).expanduser())
    read: dict[str, Representations] = {}
    for model in models:
        how = settings.pooling
        read[model.name] = Representations(model.members[0], store, ("mean",) if how is None else (how,))
        read[model.name].fill(() if how is None else sentences, sentences if how is None else ())
    content = {
        "sentences": len(sentences),
        "words": sum(map(len, sentences)),
        "over": settings.over,
        "pairs": [_compared(settings, sentences, read, *pair) for pair in pairs],
        "settings": settings.model_dump(mode="json"),
    }
    write_json(settings.folder / "similarity.json", content)
    page = similar.write(settings.folder)
    if settings.run is not None:
        renew(settings.run)
    return page


def _pairs(models: Sequence[Probed]) -> list[tuple[Probed, Probed]]:
    """Of each run, teacher and each student or control; the first model and each one that is in no such pair."""
    if len(models) < 2:
        fix = "Name two models, or a run with a teacher that is a model"
        raise LimbeckError(
            "there is one model only to compare", where=models[0].folder if models else None, fix=fix
        )
    teachers = [(a, b) for a, b in combinations(models, 2) if a.role == "teacher" and a.folder == b.folder]
    paired = {each.name for pair in teachers for each in pair}
    return [*teachers, *((models[0], other) for other in models[1:] if other.name not in paired)]


def _sentences(settings: SimilaritySettings) -> list[Words]:
    """The text, each sentence once."""
    if settings.text is not None:
        path = Path(resolve(settings.text))
        found = [tuple(line.split()) for line in read_text(path, "utf-8", "error").splitlines()]
    elif settings.run is not None:
        examples = Run.open(settings.run).prepared.test.examples
        found = [example.words or tuple(" ".join(example.texts).split()) for example in examples]
    else:
        fix = "Name a file with one sentence a line (--text)"
        raise LimbeckError("there is no text on which to compare these models", fix=fix)
    distinct = list(dict.fromkeys(words for words in found if words))
    if len(distinct) < 2:
        raise LimbeckError("the text holds fewer than two sentences", where=settings.text or settings.run)
    kept = np.random.default_rng(settings.seed).permutation(len(distinct))[: settings.limit]
    return [distinct[row] for row in np.sort(kept)]


def _compared(
    settings: SimilaritySettings,
    sentences: Sequence[Words],
    read: dict[str, Representations],
    first: Probed,
    second: Probed,
) -> dict[str, Any]:
    """One pair as it is written down: the second model's layers down, the first one's across."""
    alike = layers_alike(read[second.name], read[first.name], sentences, settings.pooling)
    mapping = best_mapping(alike.cka[1:, 1:]) if min(alike.cka.shape) > 1 else None
    if alike.examples < alike.width:
        what = f"{alike.examples:,} {'words' if settings.pooling is None else 'sentences'}"
        progress.warn(f"{what} are too few for layers {alike.width} wide: CKA comes out too high")
    return {
        "down": second.name,
        "across": first.name,
        "role": second.role,
        "cka": alike.cka.tolist(),
        "examples": alike.examples,
        "width": alike.width,
        "mapping": None if mapping is None else list(mapping),
    }
