"""A made-up treebank."""

from __future__ import annotations

import random

import pytest

from limbeck.analyse.probes.corpus import Corpus
from made_treebank import parsed, sentence


@pytest.fixture(scope="session")
def treebank() -> Corpus:
    chooser = random.Random(3)
    return Corpus.of(parsed(sentence(chooser)) for _ in range(5000))
