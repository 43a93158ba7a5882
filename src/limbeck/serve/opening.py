"""Opening a bundle of whichever kind a folder holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from limbeck.core.errors import LimbeckError
from limbeck.serve.bundle import Bundle, LabelsBundle, ScoreBundle
from limbeck.serve.exported import CARD, Precision, read_card, task_of
from limbeck.serve.tagger import TaggerBundle
from limbeck.serve.translator import TranslatorBundle

AnyBundle = Bundle | LabelsBundle | ScoreBundle | TaggerBundle | TranslatorBundle
KINDS: dict[str, type[AnyBundle]] = {
    kind.task: kind for kind in (Bundle, ScoreBundle, LabelsBundle, TaggerBundle, TranslatorBundle)
}


def open_bundle(folder: Path | str, precision: Precision = "int8", threads: int | None = None) -> AnyBundle:
    """The student that was exported into a folder, whatever its task.

    Args:
        folder: What ``limbeck export`` wrote.
        precision: ``int8`` is smaller and faster; without it in the bundle, fp32 is taken.
        threads: Of ONNX Runtime; None leaves it to that. One is best for one sentence at a time.

    Raises:
        LimbeckError: The folder is no bundle, or a damaged one, or one for a task that this Limbeck does not know.
    """
    task = task_of(read_card(Path(folder)))
    if task not in KINDS:
        *others, last = KINDS
        known = f"{', '.join(others)} and {last}"
        raise LimbeckError(f"a bundle for {task}, and this Limbeck knows {known}", where=Path(folder) / CARD)
    return KINDS[task](folder, precision, threads)


def answering(bundle: AnyBundle) -> Callable[[Sequence[Any]], object]:
    """What is timed of a bundle: from texts to scores of classes, from words to tags, or from texts to translations."""
    if isinstance(bundle, TaggerBundle):
        return bundle.tags
    return bundle.translate if isinstance(bundle, TranslatorBundle) else bundle.logits
