"""Prepare: sources of examples to one transfer set, a dev set and a test set.

Rows are read, cleaned and, where asked, limited; dev and test are cut from the labelled ones where they have
no source of their own; gold is hidden beyond the ``labelled`` examples asked for; unlabelled text joins, but
for what stands in dev or test. Every draw is from the recipe's seed alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from limbeck.core import progress
from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.files import read_json, write_json
from limbeck.core.recipe import Task
from limbeck.core.sources import Clean, Data, Source
from limbeck.text import resources
from limbeck.text.clean import DAMAGED, DUPLICATE, clean, example_key
from limbeck.text.readers import read
from limbeck.transfer import cutting
from limbeck.transfer.tag_counts import tag_report, warn_of_unseen
from limbeck.transfer.transfer_set import TransferSet

REPORT = "prepared.json"
SETS = ("train", "dev", "test")
HeldOut = Literal["test", "dev"]
HELD_OUT: tuple[HeldOut, ...] = ("test", "dev")
"""Cut in this order, so that another size of dev leaves test as it is."""
FEW = 5
"""Labelled training examples of a label below which it is hardly learnt."""
SUSPICIOUS = 0.2
"""Share of damaged rows above which a wrong encoding is likelier than bad text."""


@dataclass(frozen=True)
class Prepared:
    """What every later step reads.

    Attributes:
        train: Labelled and unlabelled examples.
        dev: Labelled examples that pick the best checkpoint.
        test: Labelled examples that only evaluation reads.
        report: Counts: ``read``, ``dropped`` by reason, ``cut``, ``labels`` of each set, ``unlabelled``,
            ``overlap`` of texts; and ``fingerprints``. Of taggers also what ``tag_report`` counts.
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
    data: Data, checksums: Mapping[str, str] | None = None, task: Task = "classification"
) -> Prepared:
    """Read, clean and cut the examples of a recipe.

    For tagging, the labels are the tags of train; dev and test may have others, which are counted and told.

    Args:
        data: Where they come from.
        checksums: SHA-256 of files, by the path that the recipe gives.
        task: What they are for.

    Raises:
        LimbeckError: A source is bad (with file and line), a set lacks labels, or there are too few rows.
    """
    resources.check_sums(checksums or {})
    report: dict[str, Any] = {"read": {}, "dropped": {}, "cut": {}}
    reader = Reader(_names(data), task, data.context)
    train = _cleaned(data.train, reader, data.clean, "train", report)
    held_out = {role: _published(source, reader, role, report) for role, source in _held_out_sources(data)}
    hidden = [source.model_copy(update={"label": None}) for source in data.unlabelled]
    unlabelled = _cleaned(hidden, reader, data.clean, "unlabelled", report) if hidden else []
    unlabelled = [replace(example, tags=None) if example.tags else example for example in unlabelled]
    try:
        train, held_out = _cut(train, held_out, data, report, task)
    except LimbeckError as error:
        raise LimbeckError(error.what, where=data.train[0].path, fix=error.fix) from None
    if data.context and not any(example.before or example.after for example in train):
        fix = "Leave it out, or give conll files, whose sentences stand in documents"
        raise LimbeckError("'data.context': no training sentence has others around it", fix=fix)
    labels = cutting.labels_of(train)
    for role, source in _held_out_sources(data):
        _check_published(held_out[role], labels, role, source, task)
    if data.labelled is not None:
        train = _hide(train, data.labelled, data, report)
    train = _joined(train, unlabelled, held_out, data.clean, report)
    train_set, dev, test = (
        TransferSet(tuple(part), labels) for part in (train, held_out["dev"], held_out["test"])
    )
    prepared = Prepared(train_set, dev, test, report)
    _complete(prepared, task)
    _tell(prepared, task)
    return prepared


# Reading and cleaning.


def _held_out_sources(data: Data) -> Iterator[tuple[HeldOut, Source]]:
    """Those of dev and test that have a source of their own."""
    for role in HELD_OUT:
        source = getattr(data, role)
        if isinstance(source, Source):
            yield role, source


def _names(data: Data) -> dict[str, str]:
    """What stands for each source in ids: its name, with as many folders as tell it from the others."""
    held_out = [source for _, source in _held_out_sources(data)]
    paths = {source.path: Path(source.path).parts for source in (*data.train, *held_out, *data.unlabelled)}

    def is_shared(tail: tuple[str, ...]) -> bool:
        return sum(parts[-len(tail) :] == tail for parts in paths.values()) > 1

    names = {}
    for path, parts in paths.items():
        depths = range(1, len(parts))
        depth = next((depth for depth in depths if not is_shared(parts[-depth:])), len(parts))
        names[path] = "/".join(parts[-depth:])
    return names


@dataclass(frozen=True)
class Reader:
    """How a recipe's sources are read: what stands for them in ids, for which task, and with how much context."""

    names: Mapping[str, str]
    task: Task
    context: int

    def read(self, source: Source) -> list[Example]:
        """The examples of a source; says how many."""
        return _told_of(source, read(source, self.names[source.path], self.task, self.context))


def _told_of(source: Source, examples: list[Example]) -> list[Example]:
    said = f"prepare   read {_count(len(examples), 'row')} from {source.path}" + (
        f" ({source.split})" if source.split else ""
    )
    progress.say(said, rows=len(examples), source=source.path)
    return examples


def _cleaned(
    sources: Sequence[Source], reader: Reader, settings: Clean, role: str, report: dict[str, Any]
) -> list[Example]:
    """All examples of some sources that are fit for use."""
    rows = [example for source in sources for example in reader.read(source)]
    kept, dropped = clean(rows, settings)
    report["read"][role] = len(rows)
    report["dropped"][role] = dict(dropped)
    if dropped:
        progress.say(f"prepare   dropped from {role}: {_told(dropped)}", part=role, dropped=dict(dropped))
    if dropped[DAMAGED] > SUSPICIOUS * len(rows):
        share = dropped[DAMAGED] / len(rows)
        progress.warn(f"{share:.0%} of {role} is damaged text; was it read with the right 'encoding'?")
    if not kept:
        what = f"no row of {role} is left after cleaning ({_told(dropped)})"
        raise LimbeckError(what, where=sources[0].path)
    return kept


def _published(source: Source, reader: Reader, role: str, report: dict[str, Any]) -> list[Example]:
    """A dev or test set as its publisher made it, so that scores compare; only empty texts go."""
    rows = reader.read(source)
    kept, dropped = clean(rows, Clean(damaged=False, duplicates=False))
    report["read"][role] = len(rows)
    report["dropped"][role] = dict(dropped)
    if dropped:
        progress.warn(f"prepare   dropped from {role}: {_told(dropped)}", part=role, dropped=dict(dropped))
    if not kept:
        raise LimbeckError(f"no row of {role} has text", where=source.path)
    return kept


def _check_published(
    examples: Sequence[Example], labels: tuple[str, ...], role: str, source: Source, task: Task
) -> None:
    """Dev and test are scored, so each of their examples has a label, and one that training knows.

    Each tagged sentence has tags; those that training does not know are told of later.
    """
    if task == "tagging":
        stranger = next((example for example in examples if example.tags is None), None)
    else:
        stranger = next((example for example in examples if example.gold not in labels), None)
    if stranger is None:
        return
    name, _, line = stranger.origin.rpartition(":")
    is_line = source.path.endswith(name)  # and not the row of a data set's split
    where, number = (source.path, int(line)) if is_line else (stranger.origin, None)
    if not stranger.labelled:
        has = "tags" if task == "tagging" else "label"
        fix = "Every dev and test example needs " + ("them" if task == "tagging" else "one")
        fix += "; is this split published without labels?"
        raise LimbeckError(f"an example of {role} has no {has}", where=where, line=number, fix=fix)
    what = f"the label '{stranger.gold}' is in {role} but not in train, which has {', '.join(labels)}"
    fix = "Rename labels with 'labels' in the source, or add training examples"
    raise LimbeckError(what, where=where, line=number, fix=fix)


# Cutting.


def _cut(
    train: list[Example],
    held_out: Mapping[HeldOut, list[Example]],
    data: Data,
    report: dict[str, Any],
    task: Task,
) -> tuple[list[Example], dict[HeldOut, list[Example]]]:
    """What stays to train on, and dev and test, cut from it where they have no source of their own."""
    if data.limit is not None and data.limit < len(train):
        report["cut"]["limit"] = len(train) - data.limit
        train = cutting.limit(train, data.limit, data.seed)
    _check_labels(train, task)
    labelled = sum(example.labelled for example in train)
    sets = dict(held_out)
    for role in HELD_OUT:
        size = getattr(data, role)
        if role not in sets:
            wanted = max(1, round(size * labelled if size < 1 else size))
            train, sets[role] = cutting.cut(train, wanted, role, data.seed)
            report["cut"][role] = wanted
    return train, sets


def _check_labels(train: Sequence[Example], task: Task) -> None:
    labels = cutting.labels_of(train)
    if task == "tagging":
        if len(labels) < 2:
            what = (
                f"every training word has the tag '{labels[0]}'"
                if labels
                else "no training sentence has tags"
            )
            fix = "Name their column in 'tags'; a file with one word a line is 'format: conll'"
            raise LimbeckError(what, fix=fix)
        return
    if not labels:
        fix = "Name the column of the labels in 'label'; a txt file is unlabelled text"
        raise LimbeckError("no training example has a label", fix=fix)
    if len(labels) == 1:
        fix = "A classifier needs two labels or more; is 'label' the right column?"
        raise LimbeckError(f"every training example has the same label, '{labels[0]}'", fix=fix)


def _hide(train: list[Example], shown: int, data: Data, report: dict[str, Any]) -> list[Example]:
    """Train, with the gold of ``shown`` examples only."""
    try:
        after = cutting.hide(train, shown, data.seed)
    except LimbeckError as error:
        raise LimbeckError(error.what, where=data.train[0].path, fix=error.fix) from None
    report["cut"]["hidden"] = sum(example.labelled for example in train) - shown
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
                f"prepare   dropped from the unlabelled text of {part}: {_told(dropped)}",
                part=part,
                dropped=dropped,
            )
    return kept


# Telling.


def _complete(prepared: Prepared, task: Task) -> None:
    """Put into the report what is known at the end."""
    report, labels = prepared.report, prepared.train.labels
    sets = {name: getattr(prepared, name).examples for name in SETS}
    if task == "tagging":
        report |= tag_report(sets, labels)
    else:
        golds = {name: Counter(example.gold for example in examples) for name, examples in sets.items()}
        report["labels"] = {name: {label: golds[name][label] for label in labels} for name in SETS}
    report["unlabelled"] = len(prepared.train) - len(prepared.train.labelled)
    report["fingerprints"] = {name: getattr(prepared, name).fingerprint for name in SETS}


def _tell(prepared: Prepared, task: Task) -> None:
    """Say what came out, and warn of what makes scores doubtful."""
    labels = prepared.train.labels
    one, many = ("word", "words") if task == "tagging" else ("example", "examples")
    progress.say(
        f"prepare   {len(prepared.train.labelled):,} labelled and {prepared.report['unlabelled']:,} unlabelled"
        f" training examples, {len(prepared.dev):,} dev, {len(prepared.test):,} test;"
        f" labels: {', '.join(labels)}"
    )
    for role in HELD_OUT:
        times = prepared.report["overlap"][f"train and {role}"]
        if times:
            shown = _count(times, "labelled training text")
            progress.warn(
                f"{shown} also in {role} ({len(getattr(prepared, role)):,}): its scores may flatter"
            )
        missing = [label for label, count in prepared.report["labels"][role].items() if not count]
        if missing:
            progress.warn(f"{role} has no {one} of {', '.join(missing)}")
    few = [label for label, count in prepared.report["labels"]["train"].items() if count < FEW]
    if few:
        progress.warn(f"fewer than {FEW} labelled training {many} of {', '.join(few[:10])}")
    if task == "tagging":
        warn_of_unseen(prepared.report["unseen"])


def _told(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {reason}" for reason, count in counts.items())


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
