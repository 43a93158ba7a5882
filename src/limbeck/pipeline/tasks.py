"""What differs from task to task: how examples are read, who teaches, what gold trains, how dev is scored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from limbeck.core import tasks
from limbeck.core.example import Example
from limbeck.core.objective import Objective
from limbeck.core.recipe import FineTune, Recipe
from limbeck.core.signals import SignalName
from limbeck.evaluate.entities import metrics_of, tag_counts
from limbeck.losses.translation_objective import TranslationObjective
from limbeck.methods.chain_gold import ChainGoldObjective
from limbeck.methods.gold import GoldObjective
from limbeck.models.heads import encoder_with_head, encoder_with_tag_head, load_with_head
from limbeck.models.taggers.tagger import Tagger
from limbeck.models.translators.loading import load_translator
from limbeck.text.encode import Encoded, GoldOf, class_numbers, encode, label_sets, scores_of
from limbeck.text.translations import encode_translations
from limbeck.text.words import encode_words
from limbeck.train.run import Score
from limbeck.transfer.label_map import Renamed
from limbeck.transfer.tagger_teacher import TaggerTeacher
from limbeck.transfer.teachers import ModelTeacher

Encode = Callable[[Any, Sequence[Example], "Sequence[str] | None", int], Encoded]
"""From a tokeniser (or a translator's pieces of words), examples, labels and the most tokens, to what models read."""


@dataclass(frozen=True)
class Task:
    """A task's parts.

    Attributes:
        signal: What is asked of the teacher, and said by students.
        control: The method that trains without one.
        gold: The objective of a teacher that is trained here.
        encode: Examples to what a model reads.
        untaught: An encoder with a fresh head: reference, labels, seed.
        teacher: Makes a teacher of a model: model, tokeniser, labels, longest.
        load_teacher: Loads one: reference, labels, longest, new names of labels.
        load: Loads a trained student from its folder.
        scorer: Scores of predictions, by name: labels, and the examples that are predicted.
    """

    signal: SignalName
    control: str
    gold: Callable[[FineTune], Objective]
    encode: Encode
    untaught: Callable[[Path | str, Sequence[str], int], PreTrainedModel]
    teacher: Callable[[PreTrainedModel, PreTrainedTokenizerFast, Sequence[str], int], ModelTeacher]
    load_teacher: Callable[[Path | str, Sequence[str], int, Renamed], ModelTeacher]
    load: Callable[[Path], PreTrainedModel]
    scorer: Callable[[Sequence[str], Sequence[Example]], Score]


def task_of(recipe: Recipe) -> Task:
    """The task that a recipe is for."""
    return TASKS[recipe.task]


def _score_tags(labels: Sequence[str], examples: Sequence[Example]) -> Score:
    """Every metric of tag numbers, ``(words,)`` each; gold is the examples', for it may hold tags without number."""
    wanted = [example.tags or () for example in examples]
    ends = np.cumsum([len(tags) for tags in wanted])[:-1]
    names, metrics = np.array(labels), metrics_of(labels)

    def score(gold: NDArray[np.int64], predicted: NDArray[np.int64]) -> dict[str, float]:
        found = [tuple(part.tolist()) for part in np.split(names[predicted], ends)]
        counts = tag_counts(wanted, found).sum(0)
        return {name: float(metric(counts)) for name, metric in metrics.items()}

    return score


def _no_teacher(*_: object) -> NoReturn:
    """Translators' teachers are made in :mod:`limbeck.pipeline.translation`, which knows their pieces of words."""
    raise NotImplementedError


def _no_scorer(*_: object) -> NoReturn:
    """Logits of whole texts are scored by a yardstick (:mod:`limbeck.evaluate.yardstick`)."""
    raise NotImplementedError


def _tagger_teacher(
    model: PreTrainedModel, tokeniser: PreTrainedTokenizerFast, labels: Sequence[str], max_length: int
) -> ModelTeacher:
    assert isinstance(model, Tagger)
    return TaggerTeacher(model, tokeniser, labels, max_length)


def _of_texts(task: tasks.Task, gold_of: GoldOf) -> Task:
    """A task whose models say logits of whole texts; what these mean is told by its link and its yardstick."""
    return Task(
        signal="logits",
        control="gold",
        gold=lambda _: GoldObjective().for_task(task),
        encode=partial(encode, gold_of=gold_of),
        untaught=partial(encoder_with_head, task=task),
        teacher=ModelTeacher,
        load_teacher=partial(ModelTeacher.load, task=task),
        load=lambda folder: load_with_head(folder, task),
        scorer=_no_scorer,
    )


TASKS: dict[tasks.Task, Task] = {
    "classification": _of_texts("classification", class_numbers),
    "regression": _of_texts("regression", scores_of),
    "multilabel": _of_texts("multilabel", label_sets),
    "tagging": Task(
        signal="potentials",
        control="chain_gold",
        gold=lambda _: ChainGoldObjective(),
        encode=encode_words,
        untaught=encoder_with_tag_head,
        teacher=_tagger_teacher,
        load_teacher=TaggerTeacher.load,
        load=lambda folder: load_with_head(folder, "tagging"),
        scorer=_score_tags,
    ),
    "translation": Task(
        signal="guesses",
        control="translation_gold",
        gold=lambda settings: TranslationObjective(settings.label_smoothing),
        encode=encode_translations,
        untaught=_no_teacher,
        teacher=_no_teacher,
        load_teacher=_no_teacher,
        load=load_translator,
        scorer=_no_teacher,
    ),
}
