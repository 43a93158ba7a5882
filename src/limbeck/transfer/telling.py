"""Telling: what prepare counts of its sets, says of them, and warns of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from limbeck.core import progress
from limbeck.core.example import Example
from limbeck.core.tasks import Task
from limbeck.transfer.pair_counts import pair_report, told_of_pairs
from limbeck.transfer.reading import HELD_OUT
from limbeck.transfer.tag_counts import tag_report, warn_of_unseen
from limbeck.transfer.transfer_set import TransferSet
from limbeck.transfer.wording import count

FEW = 5
"""Labelled training examples of a label below which it is hardly learnt."""


def counts_of(sets: Mapping[str, TransferSet], task: Task, languages: Collection[str]) -> dict[str, Any]:
    """What the report says of the sets themselves.

    Args:
        sets: Train, dev and test.
        task: What they are for.
        languages: Those that translators' sources name.
    """
    examples = {name: each.examples for name, each in sets.items()}
    labels = sets["train"].labels
    if task == "translation":
        counts = pair_report(examples, languages)
    elif task == "tagging":
        counts = tag_report(examples, labels)
    elif task == "regression":
        counts = {"scores": {name: _spread(each) for name, each in examples.items()}}
    else:
        counts = {"labels": {name: _golds(each, labels) for name, each in examples.items()}}
    counts["unlabelled"] = sum(not example.labelled for example in examples["train"])
    counts["fingerprints"] = {name: each.fingerprint for name, each in sets.items()}
    return counts


def _golds(examples: Sequence[Example], labels: Sequence[str]) -> dict[str, int]:
    """Examples of each label; one with several counts for each."""
    golds = Counter(label for example in examples for label in example.labels or (example.gold,))
    return {label: golds[label] for label in labels}


def _spread(examples: Sequence[Example]) -> dict[str, float]:
    """Least, mean and largest score."""
    scores = [example.score for example in examples if example.score is not None]
    return {"least": min(scores), "mean": sum(scores) / len(scores), "most": max(scores)} if scores else {}


def tell(sets: Mapping[str, TransferSet], report: Mapping[str, Any], task: Task) -> None:
    """Say what came out, and warn of what makes scores doubtful."""
    labelled = len(sets["train"]) - report["unlabelled"]
    has, what = ("translated", "texts") if task == "translation" else ("labelled", "examples")
    more = told_of_pairs(report) if task == "translation" else f"labels: {', '.join(sets['train'].labels)}"
    if task == "regression":
        spread = report["scores"]["train"] or report["scores"]["dev"]
        more = "scores from {least:g} to {most:g}, {mean:.4g} on average".format(**spread)
    progress.say(
        f"prepare   {labelled:,} {has} and {report['unlabelled']:,} un{has} training {what},"
        f" {len(sets['dev']):,} dev, {len(sets['test']):,} test; {more}"
    )
    for role in HELD_OUT:
        times = report["overlap"][f"train and {role}"]
        if times:
            shown = count(times, f"{has} training text")
            progress.warn(f"{shown} also in {role} ({len(sets[role]):,}): its scores may flatter")
        missing = [label for label, number in report.get("labels", {}).get(role, {}).items() if not number]
        if missing:
            progress.warn(
                f"{role} has no {'word' if task == 'tagging' else 'example'} of {', '.join(missing)}"
            )
    counts = report.get("labels", {}).get("train", {})
    few = [label for label, number in counts.items() if number < FEW]
    if few and any(counts.values()):  # where all are nought, nobody learns from gold
        many = "words" if task == "tagging" else "examples"
        progress.warn(f"fewer than {FEW} labelled training {many} of {', '.join(few[:10])}")
    if task == "tagging":
        warn_of_unseen(report["unseen"])
