"""A little parallel text with known links."""

from __future__ import annotations

import pytest

from limbeck.core.example import Example

# Every word has one translation; sentences differ, so that an aligner can tell which.
WORDS = {
    "the": "der",
    "dog": "hund",
    "cat": "kater",
    "sleeps": "schläft",
    "runs": "läuft",
    "old": "alte",
    "sees": "sieht",
}


@pytest.fixture(scope="session")
def eflomal() -> None:
    pytest.importorskip("eflomal", reason="the aligner is an extra: pip install 'limbeck[measure]'")


@pytest.fixture(scope="session")
def examples() -> tuple[Example, ...]:
    subjects = ["the dog", "the cat", "the old dog", "the old cat", "dog", "cat", "old cat", "old dog"]
    verbs = ["sleeps", "runs", "sees the dog", "sees the cat", "sees the old dog", "sees dog", "sees old cat"]
    texts = [f"{subject} {verb}" for subject in subjects for verb in verbs]
    return tuple(
        Example(f"x:{row}", text, targets=(" ".join(WORDS[word] for word in text.split()),))
        for row, text in enumerate(texts)
    )
