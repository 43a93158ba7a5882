"""Checks: what the sets of each task must have, before anything is asked or trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.sources import Source
from limbeck.core.tasks import Task
from limbeck.transfer import cutting

HAS: Mapping[Task, str] = {
    "classification": "label",
    "regression": "score",
    "multilabel": "labels",
    "tagging": "tags",
    "translation": "translation",
}
"""What the gold of each task is called."""
PLURAL: frozenset[Task] = frozenset({"multilabel", "tagging"})
CONLL = "a file with one word a line is 'format: conll'"


def check_gold(examples: Sequence[Example], task: Task, learners: Sequence[str] = ()) -> None:
    """Refuse examples from which nothing can be learnt.

    Args:
        examples: Those of train; where it has no gold, and nobody learns from it, those of dev and test.
        task: What they are for.
        learners: Who learns from gold.

    Raises:
        LimbeckError: They have no gold, or the same everywhere.
    """
    if task == "translation":
        if not any(example.targets for example in examples):
            fix = "Name the columns of translations in 'target', or their files in 'target_file'"
            raise LimbeckError("no training text has a translation", fix=fix)
        return
    if not any(example.labelled for example in examples):
        raise _without_gold(task, learners)
    if task == "regression":
        scores = {example.score for example in examples if example.score is not None}
        if len(scores) == 1:
            fix = "A score that never changes cannot be learnt; is 'label' the right column?"
            raise LimbeckError(f"every example has the same score, {scores.pop():g}", fix=fix)
        return
    labels = cutting.labels_of(examples)
    if task == "tagging" and len(labels) < 2:
        fix = f"Name their column in 'tags'; {CONLL}"
        raise LimbeckError(f"every word has the tag '{labels[0]}'", fix=fix)
    if task == "classification" and len(labels) == 1:
        fix = "A classifier needs two labels or more; is 'label' the right column?"
        raise LimbeckError(f"every example has the same label, '{labels[0]}'", fix=fix)


def check_pairs(**sets: Sequence[Example]) -> None:
    """Refuse pairs of texts beside single ones: no model reads both.

    Raises:
        LimbeckError: Some of the sets have them, and others do not, or one set has both.
    """
    pairs = [name for name, examples in sets.items() if any(one.second is not None for one in examples)]
    single = [name for name, examples in sets.items() if any(one.second is None for one in examples)]
    if pairs and single:
        raise LimbeckError(
            f"'{pairs[0]}' has pairs of texts, and '{single[0]}' has single texts",
            where="data",
            fix="Name the column of the second text in 'second' of every source, or of none",
        )


def check_learners(train: Sequence[Example], task: Task, learners: Sequence[str]) -> None:
    """Refuse to let anybody learn from gold where train has none.

    Raises:
        LimbeckError: It has none, and somebody would.
    """
    if learners and not any(example.labelled for example in train):
        raise _without_gold(task, learners)


def _without_gold(task: Task, learners: Sequence[str]) -> LimbeckError:
    """What is wrong where no training example has gold."""
    what = f"no training example has {'' if task in PLURAL else 'a '}{HAS[task]}"
    if learners:
        what += f", from which {' and '.join(learners)} would learn"
    column, form = ("tags", CONLL) if task == "tagging" else ("label", "a txt file is unlabelled text")
    fix = f"Name their column in '{column}' ({form}); where a ready teacher is all there is to learn from, "
    fix += "say 'control: false' and give dev and test sources of their own"
    return LimbeckError(what, fix=fix)


def check_published(
    examples: Sequence[Example], labels: tuple[str, ...], role: str, source: Source, task: Task
) -> None:
    """Dev and test are scored, so each of their examples has a label (or a score), and those that training knows.

    Each text has a translation, and each tagged sentence tags; those that training does not know are told of later.

    Raises:
        LimbeckError: One has not (with its line).
    """
    if task == "classification":
        stranger = next((example for example in examples if example.gold not in labels), None)
    elif task == "multilabel":
        stranger = next(
            (one for one in examples if one.labels is None or set(one.labels) - set(labels)), None
        )
    else:
        stranger = next((example for example in examples if not example.labelled), None)
    if stranger is None:
        return
    name, _, line = stranger.origin.rpartition(":")
    is_line = source.path.endswith(name) and line.isdecimal()  # and not the row of a data set's split
    where, number = (source.path, int(line)) if is_line else (stranger.origin, None)
    if not stranger.labelled:
        has = HAS[task]
        fix = "Every dev and test example needs " + ("them" if task in PLURAL else "one")
        fix += f"; is this split published without {'translations' if task == 'translation' else 'labels'}?"
        raise LimbeckError(f"an example of {role} has no {has}", where=where, line=number, fix=fix)
    strange = next((label for label in stranger.labels or () if label not in labels), stranger.gold)
    what = f"the label '{strange}' is in {role} but not in train, which has {', '.join(labels)}"
    fix = "Rename labels with 'labels' in the source, or add training examples"
    raise LimbeckError(what, where=where, line=number, fix=fix)
