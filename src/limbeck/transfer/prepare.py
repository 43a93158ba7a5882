"""Prepare: sources of examples to one transfer set, a dev set and a test set.

Rows are read, cleaned and, where asked, limited; dev and test are cut from the labelled ones where they have
no source of their own; gold is hidden beyond the ``labelled`` examples asked for; unlabelled text joins, but
for what stands in dev or test. Every draw is from the recipe's seed alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from limbeck.core import progress
from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.files import read_json, write_json
from limbeck.core.sources import Clean, Data
from limbeck.core.tasks import Task
from limbeck.text import resources
from limbeck.text.clean import DUPLICATE, clean, example_key
from limbeck.transfer import cutting
from limbeck.transfer.checks import check_gold, check_pairs, check_published
from limbeck.transfer.reading import (
    HELD_OUT,
    HeldOut,
    Reader,
    cleaned,
    held_out_sources,
    languages_of,
    names_of,
    published,
)
from limbeck.transfer.telling import counts_of, tell
from limbeck.transfer.transfer_set import TransferSet
from limbeck.transfer.wording import told

REPORT = "prepared.json"
SETS = ("train", "dev", "test")


@dataclass(frozen=True)
class Prepared:
    """What every later step reads.

    Attributes:
        train: Labelled and unlabelled examples.
        dev: Labelled examples that pick the best checkpoint.
        test: Labelled examples that only evaluation reads.
        report: Counts: ``read``, ``dropped`` by reason, ``cut``, ``labels`` of each set, ``unlabelled``,
            ``overlap`` of texts; and ``fingerprints``. Of taggers also what ``tag_report`` counts; of translators,
            whose labels are none, what ``pair_report`` does.
    """

    train: TransferSet
    dev: TransferSet
    test: TransferSet
    report: dict[str, Any]

    def save(self, folder: Path) -> None:
        """Write ``train.arrow``, ``dev.arrow``, ``test.arrow`` and ``prepared.json``."""
        for name in SETS:
            getattr(self, name).save(folder, name)
        write_json(folder / REPORT, self.report)

    @classmethod
    def load(cls, folder: Path) -> Prepared:
        """Read what :meth:`save` wrote.

        Raises:
            LimbeckError: A file is missing or damaged.
        """
        train, dev, test = (TransferSet.load(folder, name) for name in SETS)
        return cls(train, dev, test, read_json(folder / REPORT))


def prepare(
    data: Data,
    checksums: Mapping[str, str] | None = None,
    task: Task = "classification",
    learners: Sequence[str] = (),
) -> Prepared:
    """Read, clean and cut the examples of a recipe.

    For tagging, the labels are the tags of train; dev and test may have others, which are counted and told. Where train
    has no gold at all, and nobody learns from it, the labels are those of dev and test.

    Args:
        data: Where they come from.
        checksums: SHA-256 of files, by the path that the recipe gives.
        task: What they are for.
        learners: Who learns from gold, as an error names them.

    Raises:
        LimbeckError: A source is bad (with file and line), a set lacks labels, or there are too few rows.
    """
    resources.check_sums(checksums or {})
    report: dict[str, Any] = {"read": {}, "dropped": {}, "cut": {}}
    reader = Reader(names_of(data), task, data.context)
    train = [example for source in data.train for example in reader.read(source)]
    train = cleaned(train, data.clean, "train", data.train[0].path, report)
    held_out = {role: published(source, reader, role, report) for role, source in held_out_sources(data)}
    unlabelled = [example for source in data.unlabelled for example in reader.read_text(source)]
    if data.unlabelled:
        unlabelled = cleaned(unlabelled, data.clean, "unlabelled", data.unlabelled[0].path, report)
    check_pairs(train=train, **held_out, unlabelled=unlabelled)
    train = _limited(train, data, report, task)
    bare = _bare(train, held_out, task, learners)
    try:
        check_gold([one for role in HELD_OUT for one in held_out[role]] if bare else train, task, learners)
        train, held_out = _cut(train, held_out, data, report, task)
    except LimbeckError as error:
        raise LimbeckError(error.what, where=data.train[0].path, fix=error.fix) from None
    if data.context and not any(example.before or example.after for example in train):
        fix = "Leave it out, or give conll files, whose sentences stand in documents"
        raise LimbeckError("'data.context': no training sentence has others around it", fix=fix)
    labels = cutting.labels_of(train)
    if bare or task == "multilabel":  # of which a cut at random may have taken the last text of a label
        cut = [role for role in HELD_OUT if bare or role not in dict(held_out_sources(data))]
        labels = cutting.labels_of([*train, *(one for role in cut for one in held_out[role])])
    for role, source in held_out_sources(data):
        check_published(held_out[role], labels, role, source, task)
    if data.labelled is not None:
        train = _hide(train, data.labelled, data, report)
    train = _joined(train, unlabelled, held_out, data.clean, report)
    train_set, dev, test = (
        TransferSet(tuple(part), labels) for part in (train, held_out["dev"], held_out["test"])
    )
    sets = {"train": train_set, "dev": dev, "test": test}
    report |= counts_of(sets, task, languages_of(data))
    tell(sets, report, task)
    return Prepared(**sets, report=report)


def _bare(
    train: list[Example], held_out: Mapping[HeldOut, list[Example]], task: Task, learners: Sequence[str]
) -> bool:
    """Whether train has no gold and needs none: a ready teacher answers on it, and dev and test are there."""
    needed = learners or task == "translation" or len(held_out) < len(HELD_OUT)
    return not (needed or any(example.labelled for example in train))


# Cutting.


def _limited(train: list[Example], data: Data, report: dict[str, Any], task: Task) -> list[Example]:
    """As much of train as is asked for."""
    if data.limit is None or data.limit >= len(train):
        return train
    draw = cutting.limit_texts if task == "translation" else cutting.limit
    kept = draw(train, data.limit, data.seed)
    report["cut"]["limit"] = len(train) - len(kept)
    return kept


def _cut(
    train: list[Example],
    held_out: Mapping[HeldOut, list[Example]],
    data: Data,
    report: dict[str, Any],
    task: Task,
) -> tuple[list[Example], dict[HeldOut, list[Example]]]:
    """What stays to train on, and dev and test, cut from it where they have no source of their own."""
    labelled = sum(example.labelled for example in train)
    sets = dict(held_out)
    for role in HELD_OUT:
        size = getattr(data, role)
        if role not in sets:
            wanted = max(1, round(size * labelled if size < 1 else size))
            cut = cutting.cut_texts if task == "translation" else cutting.cut
            train, sets[role] = cut(train, wanted, role, data.seed)
            report["cut"][role] = len(sets[role])
    return train, sets


def _hide(train: list[Example], shown: int, data: Data, report: dict[str, Any]) -> list[Example]:
    """Train, with the gold of ``shown`` examples only."""
    try:
        after = cutting.hide(train, shown, data.seed)
    except LimbeckError as error:
        raise LimbeckError(error.what, where=data.train[0].path, fix=error.fix) from None
    report["cut"]["hidden"] = sum(example.labelled for example in train) - shown
    if any(example.targets for example in after):
        # What was one text with two translations is now a text, twice.
        after, again = clean(after, Clean(damaged=False, duplicates=data.clean.duplicates))
        report["dropped"]["train"] = dict(Counter(report["dropped"]["train"]) + again)
    return after


# Joining.


def _joined(
    train: list[Example],
    unlabelled: list[Example],
    held_out: Mapping[HeldOut, list[Example]],
    settings: Clean,
    report: dict[str, Any],
) -> list[Example]:
    """Train with the unlabelled text, but for texts of dev or test: on these nobody may hear the teacher."""
    seen = {role: {example_key(example) for example in examples} for role, examples in held_out.items()}
    keys = Counter(example_key(example) for example in train if example.labelled)
    report["overlap"] = {f"train and {role}": sum(keys[key] for key in seen[role]) for role in HELD_OUT}

    known = {example_key(example) for example in train} if settings.duplicates else set()
    # The same file twice gives the same examples twice, even to those who keep duplicates.
    same = {(example.id, example.content) for example in train}
    kept = []
    for part, examples in (("train", train), ("unlabelled", unlabelled)):
        dropped: Counter[str] = Counter()
        for example in examples:
            key = example_key(example)
            role = next((role for role in HELD_OUT if key in seen[role]), None)
            if not example.labelled and role is not None:
                dropped[f"in {role}"] += 1
            elif part == "unlabelled" and (key in known or (example.id, example.content) in same):
                dropped[DUPLICATE] += 1
            else:
                kept.append(example)
        if dropped:
            report["dropped"][part] = dict(Counter(report["dropped"][part]) + dropped)
            progress.say(
                f"prepare   dropped from the unlabelled text of {part}: {told(dropped)}",
                part=part,
                dropped=dropped,
            )
    return kept
