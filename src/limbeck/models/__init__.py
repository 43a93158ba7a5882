"""Students: small models that are taught, each a transformers ``PreTrainedModel``, one file a kind.

A kind's module defines ``Settings`` (the recipe's keys), ``build`` and ``tiny``; those of taggers are in ``taggers/``,
those of translators in ``translators/``.
Nothing here loads PyTorch before a student is asked for.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from limbeck.core.tasks import OF_SENTENCES, Task

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

    from limbeck.core.schema import Settings
    from limbeck.models.embeddings import TokeniserSettings
    from limbeck.text.subwords import Subwords

OF_TEXTS = ("bilstm", "siamese", "static", "transformer")
KINDS: dict[Task, tuple[str, ...]] = {
    "classification": (*OF_TEXTS, "forest"),
    "regression": OF_TEXTS,
    "multilabel": OF_TEXTS,
    "tagging": ("bilstm", "transformer"),
    "translation": ("autoregressive", "flowseq", "inat", "insertion", "levenshtein", "maskt", "vanilla"),
}
GROWN = frozenset({"forest"})
"""Kinds that are grown from data in one go, and not trained by gradients."""
FOLDERS: dict[Task, str] = {
    "classification": __name__,
    "regression": __name__,
    "multilabel": __name__,
    "tagging": f"{__name__}.taggers",
    "translation": f"{__name__}.translators",
}
"""Where the kinds' modules are."""


def is_grown(kind: str) -> bool:
    """Whether students of a kind are grown from data in one go, and not trained by gradients."""
    return kind in GROWN


def kinds(task: Task = "classification") -> list[str]:
    """Names of the kinds of student for a task."""
    return list(KINDS[task])


def settings_for(
    kind: str,
    values: Mapping[str, Any],
    where: str | Path | None = None,
    task: Task = "classification",
    prefix: str = "student",
) -> Settings:
    """The settings of a kind of student for a recipe's keys.

    Args:
        kind: One of :func:`kinds`.
        values: The recipe's keys under ``student``, without ``kind`` and ``max_length``.
        where: The file that they come from.
        task: What the student shall do.
        prefix: The key that they stand under.

    Raises:
        LimbeckError: No such kind, an unknown key, or a value that does not fit.
    """
    from limbeck.core.schema import validate

    settings: Settings = validate(_module(kind, task, where).Settings, values, where=where, prefix=prefix)
    return settings


def keys_of(kind: str, task: Task = "classification") -> frozenset[str]:
    """The keys that a kind of student has.

    Raises:
        LimbeckError: There is no such kind.
    """
    return frozenset(_module(kind, task).Settings.model_fields)


def tokeniser_for(
    settings: TokeniserSettings,
    *,
    teacher_tokeniser: PreTrainedTokenizerFast | None,
    texts: Sequence[str],
    task: Task = "classification",
    mask: str | None = None,
) -> PreTrainedTokenizerFast:
    """The student's tokeniser: the teacher's, or one of words (of what stands between spaces, for a tagger).

    Args:
        settings: The student's settings, as :func:`settings_for` gives them.
        teacher_tokeniser: None where the teacher is a file of answers.
        texts: The transfer set; a tokeniser of words takes its vocabulary from them first.
        task: What the student shall do.
        mask: What stands in these texts for a word that was left out.

    Raises:
        LimbeckError: The settings ask for the teacher's tokeniser, and there is none.
    """
    from limbeck.models.embeddings import tokeniser_for as choose

    return choose(settings, teacher_tokeniser, texts, punctuation=task != "tagging", mask=mask)


def build(
    kind: str,
    settings: Settings,
    *,
    labels: Sequence[str],
    tokeniser: PreTrainedTokenizerFast | Subwords,
    teacher: PreTrainedModel | None,
    seed: int,
    task: Task = "classification",
) -> PreTrainedModel:
    """An untrained student; the same seed gives the same weights, and other random numbers stay as they are.

    Args:
        kind: One of :func:`kinds`.
        settings: Of that kind.
        labels: Names of the classes (or tags), in the order of the logits; of a translator none.
        tokeniser: The student's; a translator's are the pieces of words of both languages.
        teacher: Lends embeddings or layers; None where the teacher is a file of answers.
        seed: Of the random weights.
        task: What the student shall do.

    Raises:
        LimbeckError: The settings ask for something that the teacher does not have.
    """
    import torch

    module = _module(kind, task)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        student: PreTrainedModel = module.build(settings, labels=labels, tokeniser=tokeniser, teacher=teacher)
    if task in OF_SENTENCES:
        from limbeck.models.student import PROBLEM_TYPES

        student.config.problem_type = PROBLEM_TYPES[task]
    return student


def _module(kind: str, task: Task, where: str | Path | None = None) -> ModuleType:
    known = KINDS[task]
    if kind not in known:
        from limbeck.core.errors import LimbeckError

        close = difflib.get_close_matches(kind, known, n=1, cutoff=0.6)
        fix = f"Did you mean '{close[0]}'?" if close else f"There are: {', '.join(known)}"
        raise LimbeckError(f"'student.kind': no student '{kind}'", where=where, fix=fix)
    return import_module(f"{FOLDERS[task]}.{kind}")
