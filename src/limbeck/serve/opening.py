"""Opening a bundle of whichever kind a folder holds."""

from __future__ import annotations

from pathlib import Path

from limbeck.core.errors import LimbeckError
from limbeck.serve.bundle import Bundle
from limbeck.serve.exported import CARD, Precision, read_card, task_of
from limbeck.serve.tagger import TaggerBundle
from limbeck.serve.translator import TranslatorBundle

AnyBundle = Bundle | TaggerBundle | TranslatorBundle
KINDS: dict[str, type[AnyBundle]] = {kind.task: kind for kind in (Bundle, TaggerBundle, TranslatorBundle)}


def open_bundle(folder: Path | str, precision: Precision = "int8", threads: int | None = None) -> AnyBundle:
    """The classifier, tagger or translator that was exported into a folder.

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
