"""Prepare: sources of examples to one transfer set, a dev set and a test set.

Rows are read, cleaned and, where asked, limited; dev and test are cut from the labelled ones where they have no
source of their own; gold is hidden beyond the ``labelled`` examples asked for; unlabelled text joins, but for what
stands in dev or test. Every draw is from the recipe's seed alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from limbeck.core import progress
from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.files import read_json, write_json
from limbeck.core.recipe import Clean, Data, Source
from limbeck.text import resources
from limbeck.text.clean import DAMAGED, DUPLICATE, EMPTY, clean, text_key
from limbeck.text.readers import read
from limbeck.transfer.transfer_set import TransferSet

REPORT = "prepared.json"
SETS = ("train", "dev", "test")
IN_TEST, IN_DEV = "in test", "in dev"
SUSPICIOUS = 0.2
"""Share of damaged rows above which a wrong encoding is likelier than bad text."""


@dataclass(frozen=True)
class Prepared:
    """What every later step reads.

    Attributes:
        train: Labelled and unlabelled examples.
        dev: Labelled examples that pick the best checkpoint.
        test: Labelled examples that only evaluation reads.
        report: Counts: ``read``, ``dropped`` by reason, ``cut``, ``labels`` of each set, ``unlabelled``, ``overlap``.
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


def prepare(data: Data, checksums: Mapping[str, str] | None = None) -> Prepared:
    """Read, clean and cut the examples of a recipe.

    Args:
        data: Where they come from.
        checksums: SHA-256 of files, by the path that the recipe gives.

    Raises:
        LimbeckError: A source is bad (with file and line), a set lacks labels, or there are too few rows.
    """
    resources.check_sums(checksums or {})
    report: dict[str, Any] = {"read": {}, "dropped": {}, "cut": {}, "labels": {}}
    names = _names(data)
    train = _cleaned(data.train, names, data.clean, "train", report)
    given = {
        role: _held_out(source, names, role, report)
        for role, source in (("dev", data.dev), ("test", data.test))
        if isinstance(source, Source)
    }
    unlabelled = _unlabelled(data, names, report)

    train = _limited(train, data, report)
    _check_labels(train, data)
    train, cut = _cut_off(train, data, report)
    sets = given | cut
    labels = _labels(train)
    for role, examples in sets.items():
        _check_held_out(examples, labels, role, data)
    train = _hidden(train, data, report)
    train = _joined(train, unlabelled, sets, data.clean, report)

    prepared = Prepared(
        TransferSet(tuple(train), labels),
        TransferSet(tuple(sets["dev"]), labels),
        TransferSet(tuple(sets["test"]), labels),
        report,
    )
    _describe(prepared)
    return prepared


# Reading and cleaning.


def _names(data: Data) -> dict[str, str]:
    """What stands for each source's file in ids: its name, with as many folders as tell it from the others."""
    held_out = [source for source in (data.dev, data.test) if isinstance(source, Source)]
    paths = {source.path: Path(source.path).parts for source in (*data.train, *held_out, *data.unlabelled)}
    names = {}
    for path, parts in paths.items():
        depth = 1
        while depth < len(parts) and any(
            other[-depth:] == parts[-depth:] for key, other in paths.items() if key != path
        ):
            depth += 1
        names[path] = "/".join(parts[-depth:])
    return names


def _read(source: Source, names: Mapping[str, str]) -> list[Example]:
    """The source's examples; a data set names itself, with its split."""
    name = names[source.path]
    examples = read(source, name if "." in Path(name).name else None)
    progress.say(
        f"Read {_count(len(examples), 'row')} from {source.path}", rows=len(examples), source=source.path
    )
    return examples


def _cleaned(
    sources: Sequence[Source], names: Mapping[str, str], settings: Clean, role: str, report: dict[str, Any]
) -> list[Example]:
    """All examples of some sources that are fit for use."""
    read_in = [example for source in sources for example in _read(source, names)]
    kept, dropped = clean(read_in, settings)
    report["read"][role] = len(read_in)
    report["dropped"][role] = dict(dropped)
    if dropped:
        progress.say(f"Dropped from {role}: {_told(dropped)}", **{"dropped": dict(dropped), "from": role})
    if dropped[DAMAGED] > SUSPICIOUS * len(read_in):
        share = dropped[DAMAGED] / len(read_in)
        progress.warn(f"{share:.0%} of {role} is damaged text; was it read with the right 'encoding'?")
    if not kept:
        raise LimbeckError(
            f"no row of {role} is left after cleaning ({_told(dropped)})", where=sources[0].path
        )
    return kept


def _held_out(source: Source, names: Mapping[str, str], role: str, report: dict[str, Any]) -> list[Example]:
    """A dev or test set as its publisher made it, so that scores compare; only empty texts go."""
    examples = _read(source, names)
    report["read"][role] = len(examples)
    kept, dropped = clean(examples, Clean(damaged=False, duplicates=False))
    report["dropped"][role] = dict(dropped)
    if dropped:
        progress.warn(f"Dropped from {role}: {_told(dropped)}", **{"dropped": dict(dropped), "from": role})
    if not kept:
        raise LimbeckError(f"no row of {role} has text", where=source.path)
    return kept


def _unlabelled(data: Data, names: Mapping[str, str], report: dict[str, Any]) -> list[Example]:
    """Examples of the unlabelled sources; whatever labels stand there are not even read."""
    if not data.unlabelled:
        return []
    sources = [source.model_copy(update={"label": None}) for source in data.unlabelled]
    return _cleaned(sources, names, data.clean, "unlabelled", report)


# Cutting.


def _limited(train: list[Example], data: Data, report: dict[str, Any]) -> list[Example]:
    """At most ``limit`` examples, drawn at random, in their order."""
    if data.limit is None or data.limit >= len(train):
        return train
    report["cut"]["limit"] = len(train) - data.limit
    rows = np.sort(_random(data, "limit").permutation(len(train))[: data.limit])
    return [train[row] for row in rows]


def _check_labels(train: Sequence[Example], data: Data) -> None:
    where = data.train[0].path
    labels = _labels(train)
    if not labels:
        fix = "Name the column of the labels in 'label'; a txt file is unlabelled text"
        raise LimbeckError("no training example has a label", where=where, fix=fix)
    if len(labels) == 1:
        fix = "A classifier needs two labels or more; is 'label' the right column?"
        raise LimbeckError(f"every training example has the same label, '{labels[0]}'", where=where, fix=fix)


def _cut_off(
    train: list[Example], data: Data, report: dict[str, Any]
) -> tuple[list[Example], dict[str, list[Example]]]:
    """Cut test, then dev, from the labelled examples, labels in proportion; every label stays in train."""
    labelled = sum(example.gold is not None for example in train)
    cut: dict[str, list[Example]] = {}
    for role, size in (("test", data.test), ("dev", data.dev)):
        if isinstance(size, Source):
            continue
        wanted = max(1, round(size * labelled if size < 1 else size))
        groups = _by_label(train)
        room = {label: len(rows) - 1 for label, rows in groups.items()}
        if wanted > sum(room.values()):
            raise _too_few(role, wanted, groups, data)
        random = _random(data, role)
        quotas = _proportional(room, wanted)
        rows = {row for label, quota in quotas.items() for row in random.permutation(groups[label])[:quota]}
        cut[role] = [example for row, example in enumerate(train) if row in rows]
        train = [example for row, example in enumerate(train) if row not in rows]
        report["cut"][role] = wanted
    return train, cut


def _too_few(role: str, wanted: int, groups: Mapping[str, list[int]], data: Data) -> LimbeckError:
    rows = sum(map(len, groups.values()))
    what = (
        f"too few rows: {wanted} for {role} cannot be cut from {_count(rows, 'labelled example')} "
        f"with {len(groups)} labels, of which one each must stay for training"
    )
    fix = f"Give {role} a file of its own or a smaller number" + (
        "; or is 'label' the wrong column?" if len(groups) > rows / 2 else ""
    )
    return LimbeckError(what, where=data.train[0].path, fix=fix)


def _proportional(room: Mapping[str, int], wanted: int) -> dict[str, int]:
    """Shares of ``wanted`` in proportion to ``room``, by largest remainder; none passes its room."""
    total = sum(room.values())
    exact = {label: wanted * size / total for label, size in room.items()}
    quotas = {label: int(share) for label, share in exact.items()}
    by_remainder = sorted(room, key=lambda label: (quotas[label] - exact[label], label))
    for label in by_remainder[: wanted - sum(quotas.values())]:
        quotas[label] += 1
    return quotas


def _hidden(train: list[Example], data: Data, report: dict[str, Any]) -> list[Example]:
    """The same examples, with the gold of ``labelled`` of them, drawn alike from every label."""
    if data.labelled is None:
        return train
    groups = _by_label(train)
    have = sum(map(len, groups.values()))
    where = data.train[0].path
    if data.labelled > have:
        what = f"'labelled' asks for {data.labelled} labelled examples, and there are {have}"
        raise LimbeckError(what, where=where, fix="Ask for fewer, or leave 'labelled' out")
    if data.labelled < len(groups):
        what = f"'labelled' keeps {data.labelled} examples, too few for {len(groups)} labels"
        raise LimbeckError(what, where=where, fix=f"Keep at least {len(groups)}, one for each label")
    random = _random(data, "labelled")
    quotas = _balanced({label: len(rows) for label, rows in groups.items()}, data.labelled)
    shown = {row for label, quota in quotas.items() for row in random.permutation(groups[label])[:quota]}
    report["cut"]["hidden"] = have - data.labelled
    return [
        example if row in shown or example.gold is None else replace(example, gold=None)
        for row, example in enumerate(train)
    ]


def _balanced(room: Mapping[str, int], wanted: int) -> dict[str, int]:
    """Equal shares of ``wanted``; what a scarce label lacks goes to the others."""
    quotas = {}
    left = wanted
    for place, label in enumerate(sorted(room, key=lambda label: (room[label], label))):
        quotas[label] = min(room[label], left // (len(room) - place))
        left -= quotas[label]
    return quotas


# Joining.


def _joined(
    train: list[Example],
    unlabelled: list[Example],
    sets: Mapping[str, list[Example]],
    settings: Clean,
    report: dict[str, Any],
) -> list[Example]:
    """Train with the unlabelled text, without texts that dev or test would then be seen through."""
    keys = {role: {text_key(example.text) for example in examples} for role, examples in sets.items()}
    known = {text_key(example.text) for example in train} if settings.duplicates else set()
    ids = {example.id for example in train}
    dropped: dict[str, Counter[str]] = {"train": Counter(), "unlabelled": Counter()}
    overlap = {f"train and {role}": 0 for role in SETS[1:]}
    kept = []
    for origin, examples in (("train", train), ("unlabelled", unlabelled)):
        for example in examples:
            key = text_key(example.text)
            if example.gold is not None:
                for role in SETS[1:]:
                    overlap[f"train and {role}"] += key in keys[role]
            elif key in keys["test"]:
                dropped[origin][IN_TEST] += 1
                continue
            elif key in keys["dev"]:
                dropped[origin][IN_DEV] += 1
                continue
            elif origin == "unlabelled" and (key in known or example.id in ids):
                dropped[origin][DUPLICATE] += 1
                continue
            kept.append(example)
    for origin, reasons in dropped.items():
        if reasons:
            total = Counter(report["dropped"].get(origin, {})) + reasons
            report["dropped"][origin] = dict(total)
            progress.say(f"Dropped from {origin}, unlabelled text: {_told(reasons)}", dropped=dict(reasons))
    report["overlap"] = overlap
    return kept


def _check_held_out(examples: Sequence[Example], labels: tuple[str, ...], role: str, data: Data) -> None:
    """Dev and test are scored, so each of their examples has a label, and one that training knows."""
    source = getattr(data, role)
    for example in examples:
        if example.gold in labels:
            continue
        where, line = _place(example, source)
        if example.gold is None:
            fix = "Every dev and test example needs one; is this split published without labels?"
            raise LimbeckError(f"an example of {role} has no label", where=where, line=line, fix=fix)
        what = f"the label '{example.gold}' is in {role} but not in train, which has {', '.join(labels)}"
        fix = "Rename labels with 'labels' in the source, or add training examples"
        raise LimbeckError(what, where=where, line=line, fix=fix)


def _place(example: Example, source: Any) -> tuple[str, int | None]:
    """File and line of an example, the file as the recipe names it."""
    name, _, line = example.origin.rpartition(":")
    if isinstance(source, Source) and source.path.endswith(name) and line.isdigit():
        return source.path, int(line)
    return example.origin, None


# Telling.


def _describe(prepared: Prepared) -> None:
    """Complete the report, say what came out, and warn of what makes scores doubtful."""
    report = prepared.report
    for name in SETS:
        golds = Counter(example.gold for example in getattr(prepared, name))
        report["labels"][name] = {label: golds[label] for label in prepared.train.labels}
    report["unlabelled"] = len(prepared.train) - len(prepared.train.labelled)
    report["fingerprints"] = {name: getattr(prepared, name).fingerprint for name in SETS}
    sizes = (len(prepared.train.labelled), report["unlabelled"], len(prepared.dev), len(prepared.test))
    progress.say(
        "Prepared {:,} labelled and {:,} unlabelled training examples, {:,} dev, {:,} test; labels: {}".format(
            *sizes, ", ".join(prepared.train.labels)
        )
    )
    for pair, count in report["overlap"].items():
        if count:
            role = pair.rpartition(" ")[2]
            share = count / len(getattr(prepared, role))
            times = _count(count, "labelled training text")
            progress.warn(
                f"{times} also in {role} ({share:.1%} of its size): scores on {role} flatter every model"
            )
    for name in SETS[1:]:
        missing = [label for label, count in report["labels"][name].items() if not count]
        if missing:
            progress.warn(f"No {name} example has the label {', '.join(missing)}")


def _told(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {reason}" for reason, count in counts.items()) or "none"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


# Small parts.


def _labels(examples: Sequence[Example]) -> tuple[str, ...]:
    """Labels in order: as numbers where all are whole numbers, by name otherwise."""
    names = {example.gold for example in examples if example.gold is not None}
    try:
        return tuple(sorted(names, key=lambda name: (int(name), name)))
    except ValueError:
        return tuple(sorted(names))


def _by_label(examples: Sequence[Example]) -> dict[str, list[int]]:
    """Row numbers of each label, labels sorted."""
    groups: dict[str, list[int]] = {}
    for row, example in enumerate(examples):
        if example.gold is not None:
            groups.setdefault(example.gold, []).append(row)
    return dict(sorted(groups.items()))


def _random(data: Data, draw: str) -> np.random.Generator:
    """One generator a draw, so that asking for one draw more changes no other."""
    return np.random.default_rng([data.seed, *draw.encode()])
