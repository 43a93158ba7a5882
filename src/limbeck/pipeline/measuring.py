"""Measuring: what each distilled text is like beside the real one, written beside it as ``measures.json``."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from limbeck.analyse.aligned import AlignedText
from limbeck.analyse.measures import measure
from limbeck.core import progress
from limbeck.core.errors import LimbeckError
from limbeck.core.files import DONE, write_json
from limbeck.pipeline.distilling import TEXT, text_folder
from limbeck.transfer.transfer_set import TransferSet

if TYPE_CHECKING:
    from limbeck.pipeline.translation import TranslationRun

MEASURES = "measures.json"


def measure_texts(run: TranslationRun) -> None:
    """Measure the distilled texts that are not measured yet, where eflomal is installed.

    A text that several stages share is aligned once, and so is the real one. What is measured lies in the text's own
    folder, and goes with it when the text is made anew.
    """
    if not run.recipe.evaluate.measures:
        return
    left = [folder for folder in distilled_folders(run) if not (folder / MEASURES).is_file()]
    if not left:
        return
    if not is_installed():
        progress.say(
            f"{'':<10}distilled texts are not measured: 'pip install limbeck[measure]' brings eflomal"
        )
        return
    aligned = _Aligned(run)
    for folder in left:
        try:
            measured = measure(aligned.of(folder), aligned.real, language=run.language)
        except LimbeckError as error:  # the students are trained, and want to be evaluated
            progress.warn(f"{folder.relative_to(run.folder)} is not measured: {error}")
            continue
        write_json(folder / MEASURES, measured.as_json())
        assert measured.real is not None
        progress.say(
            f"measure   {folder.relative_to(run.folder)}: complexity {measured.text.complexity:.3f} "
            f"(of the real text {measured.real.complexity:.3f}), faithfulness {measured.faithfulness:.3f}"
        )


def is_installed() -> bool:
    """Whether words can be aligned."""
    return find_spec("eflomal") is not None


def distilled_folders(run: TranslationRun) -> Iterator[Path]:
    """Where the finished texts of all stages lie."""
    for title in run.methods:
        for stage in run.stages_of(title):
            folder = text_folder(run, title, stage).path
            if stage.distilled is not None and (folder / DONE).is_file():
                yield folder


class _Aligned:
    """Texts of a run with the links between their words, each text once."""

    def __init__(self, run: TranslationRun) -> None:
        self.run = run
        self.known: dict[str, AlignedText] = {}

    @cached_property
    def real(self) -> AlignedText:
        """Gold's translations of the transfer set."""
        return self._of(self.run.transfer_set.labelled)

    def of(self, folder: Path) -> AlignedText:
        """The text in a folder."""
        return self._of(TransferSet.load(folder, TEXT))

    def _of(self, text: TransferSet) -> AlignedText:
        if text.fingerprint not in self.known:
            self.known[text.fingerprint] = AlignedText.of(text)
        return self.known[text.fingerprint]
