"""Asking taggers for an analysis: the chains of dev and test, from which words' posteriors follow at any temperature.

What is kept of each model and seed is a file ``MODEL@SEED.safetensors`` in the run's folder ``analysis/answers``, with
the emissions of the words of each set, and the transitions, start and end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from limbeck.analyse.mistakes.tempered import Answers, of_words
from limbeck.core import progress
from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.files import atomic_write
from limbeck.evaluate.judged import Entrant
from limbeck.evaluate.kept import Kept
from limbeck.pipeline.asking import asked_once, entrants
from limbeck.transfer.transfer_set import TransferSet

if TYPE_CHECKING:
    from limbeck.pipeline.run import Run
    from limbeck.structure.chain import Chain

SETS = ("dev", "test")


def what_taggers_say(
    folder: Path, kept: Kept, why: dict[str, str], ask_models: bool
) -> dict[str, Mapping[str, Sequence[Answers]]] | None:
    """What taggers say of the words of dev and of test, asked now where they were not before.

    Args:
        folder: The run's.
        kept: Its test answers.
        why: Takes the reason where nothing can be told.
        ask_models: Whether they may be asked now.

    Returns:
        By the set's name and the model's, seed by seed; None of what is not known, or of models that tag nothing.
    """
    if kept.task != "tagging":
        return None
    place = asked_once(folder, why, ("calibration", "sharpness"), ask_models, partial(_ask, kept))
    if place is None:
        return None
    examples = {"dev": TransferSet.load(place, "dev").examples, "test": kept.examples}
    found: dict[str, dict[str, list[Answers]]] = {name: {} for name in SETS}
    for model in entrants(kept):
        if (path := _file(place, model)).is_file():
            for name, chain in _read(path).items():
                answers = of_words(chain, kept.labels, examples[name])
                found[name].setdefault(model.name, []).append(answers)
    return dict(found)


def _ask(kept: Kept, run: Run, folder: Path) -> None:
    """Ask every model of the evaluation, and write down what it says.

    Raises:
        LimbeckError: The run's test set is no longer that of its evaluation.
    """
    if run.prepared.test.ids != tuple(example.id for example in kept.examples):
        raise LimbeckError("its test set is another than that of its evaluation", where=run.folder)
    sets = {"dev": run.prepared.dev.examples, "test": run.prepared.test.examples}
    models = entrants(kept)
    with progress.task(f"analyse   asking {len(models)} models about words", len(models)) as task:
        for model in models:
            _write(_file(folder, model), {name: _said(run, model, some) for name, some in sets.items()})
            task.advance()
    run.prepared.dev.save(folder, "dev")


def _said(run: Run, model: Entrant, examples: Sequence[Example]) -> Chain:
    """The chain of a model on some sentences."""
    import torch

    from limbeck.models.taggers.chains import predict_chain
    from limbeck.transfer.ask import ask

    if model.role == "teacher":
        answers = ask(run.teacher, examples, run.needs, run.store)
        chain = answers.signals([example.id for example in examples], torch.device("cpu")).potentials
        assert chain is not None
        return chain
    assert model.seed is not None
    return predict_chain(run.load_student(model.name, model.seed), run.encoded(examples), decoding=True)


def _file(folder: Path, model: Entrant) -> Path:
    return folder / f"{model.column}.safetensors"


def _write(path: Path, chains: Mapping[str, Chain]) -> None:
    from safetensors.numpy import save

    from limbeck.transfer.said import block_of

    blocks = {name: block_of(chain) for name, chain in chains.items()}
    arrays = {
        f"{name}.{part}": getattr(block, part)
        for name, block in blocks.items()
        for part in ("rows", "offsets", "common")
    }
    with atomic_write(path, "wb") as file:
        file.write(save(arrays))


def _read(path: Path) -> dict[str, Callable[[], Chain]]:
    """What makes the chain of each set."""
    from safetensors.numpy import load_file

    from limbeck.transfer.said import chain_of
    from limbeck.transfer.shards import Block

    arrays = load_file(path)
    parts = ("rows", "offsets", "common")
    return {name: partial(chain_of, Block(*(arrays[f"{name}.{part}"] for part in parts))) for name in SETS}
