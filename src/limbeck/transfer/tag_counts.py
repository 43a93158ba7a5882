"""Tag counts: what prepare tells of taggers' sets beside what it tells of all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from limbeck.core import progress
from limbeck.core.example import Example
from limbeck.text.tags import mark_spans, spans


def count_tags(examples: Iterable[Example]) -> Counter[str]:
    """How many words have each tag."""
    return Counter(tag for example in examples for tag in example.tags or ())


def count_spans(examples: Iterable[Example]) -> Counter[str]:
    """How many spans there are of each type."""
    return Counter(span.type for example in examples for span in spans(example.tags or ()))


def tag_report(sets: Mapping[str, Sequence[Example]], labels: Sequence[str]) -> dict[str, Any]:
    """Counts of each set.

    Args:
        sets: Examples of train, dev and test.
        labels: The tags that training knows.

    Returns:
        ``labels``: words of each tag; ``unseen``: words of each tag that training does not know; ``words``: all of
        them, tagged or not; and where tags mark spans ``spans``, by type.
    """
    counts = {name: count_tags(examples) for name, examples in sets.items()}
    report: dict[str, Any] = {
        "labels": {name: {tag: tags[tag] for tag in labels} for name, tags in counts.items()},
        "unseen": {
            name: {tag: tags[tag] for tag in sorted(tags) if tag not in labels}
            for name, tags in counts.items()
        },
        "words": {name: sum(len(e.words) for e in examples) for name, examples in sets.items()},
    }
    if mark_spans(labels):
        by_type = {name: count_spans(examples) for name, examples in sets.items()}
        report["spans"] = {name: dict(sorted(types.items())) for name, types in by_type.items()}
    return report


def warn_of_unseen(unseen: Mapping[str, Mapping[str, int]]) -> None:
    """Say which tags of dev and test no model can find."""
    for name, tags in unseen.items():
        if tags:
            told = ", ".join(f"{tag} ({count:,})" for tag, count in tags.items())
            progress.warn(
                f"tags of {name} that train lacks count as errors of every model: {told}", part=name
            )
