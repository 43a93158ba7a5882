"""Pair counts: what prepare tells of translators' sets beside what it tells of all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from limbeck.core.example import Example
from limbeck.text.parallel import language_of


def pair_report(sets: Mapping[str, Sequence[Example]], languages: Collection[str]) -> dict[str, Any]:
    """Counts of each set; words are what stands between spaces, of first translations only.

    Args:
        sets: Examples of train, dev and test.
        languages: Those that sources name.

    Returns:
        ``pairs``: texts with a translation; ``sides``: words of these texts and of their translations, and
        ``length_ratio``, the second over the first; ``references``: the most translations that one text has; and,
        where sources name them, ``languages``: pairs of each.
    """
    pairs = {name: [example for example in examples if example.targets] for name, examples in sets.items()}
    sides = {
        name: {
            "text": sum(len(example.text.split()) for example in examples),
            "target": sum(len(example.targets[0].split()) for example in examples),
        }
        for name, examples in pairs.items()
    }
    report: dict[str, Any] = {
        "pairs": {name: len(examples) for name, examples in pairs.items()},
        "sides": sides,
        "length_ratio": {name: each["target"] / max(1, each["text"]) for name, each in sides.items()},
        "references": {
            name: max((len(example.targets) for example in examples), default=0)
            for name, examples in pairs.items()
        },
    }
    if languages:
        report["languages"] = {name: _counted(examples, languages) for name, examples in pairs.items()}
    return report


def _counted(examples: Sequence[Example], languages: Collection[str]) -> dict[str, int]:
    """Pairs of each language, by name."""
    counts = Counter(language_of(example.id, languages) for example in examples)
    return {language: counts[language] for language in sorted(languages) if counts[language]}


def told_of_pairs(report: Mapping[str, Any]) -> str:
    """The counts of training text in a few words: ``11.9 words to 11.1, en of 1 reference``."""
    pairs, sides = max(1, report["pairs"]["train"]), report["sides"]["train"]
    languages = report.get("languages", {}).get("train", {})
    named = "; " + ", ".join(f"{number:,} in {one}" for one, number in languages.items()) if languages else ""
    return f"{sides['text'] / pairs:.1f} words to {sides['target'] / pairs:.1f}{named}"
