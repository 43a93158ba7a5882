"""benchmarks/augmentation.py: the loops guess what the rewriter guesses, and what rows say."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from limbeck.core.example import Example
from limbeck.core.recipe import Training
from limbeck.models.masked_lm import load_masked_lm
from limbeck.text.tokeniser import load_tokeniser
from limbeck.train.adapt import adapt
from limbeck.transfer.rewrites.masked_lm import Settings

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
try:
    import augmentation
finally:
    sys.path.pop(0)

TEXTS = ("The film was lovely, the plot dull.", "a warm , clever story felt unlovely", "music")


@pytest.fixture(scope="module")
def setting(encoder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("guesser") / "model"
    adapt(
        str(encoder),
        [f"the film was {word}" for word in ("lovely", "dull", "warm", "cold")],
        folder,
        Training(epochs=1),
    )
    settings = Settings(model=str(folder), copies=4, candidates=3, max_length=32)
    return augmentation.Setting(load_masked_lm(folder), load_tokeniser(folder), settings, torch.device("cpu"))


def test_every_contender_makes_all_copies_of_the_same_candidates(setting):
    examples = [Example(str(n), text) for n, text in enumerate(TEXTS)]
    for contender in (augmentation.Rewriter(setting), augmentation.every_copy, augmentation.once_a_word):
        assert contender(setting, examples) == 12
    assert augmentation.by_rules(setting, examples) == 60
    assert augmentation.same_candidates(setting, examples) == 1


def rounds(*seconds):
    titles = (augmentation.RULES, augmentation.OURS, augmentation.ONCE, augmentation.EVERY_COPY)
    return [
        {
            "kind": "round",
            "what": title,
            "round": n,
            "sentences": 10,
            "made": 200,
            "per_second": 10 / each,
            "load": n,
        }
        for n, of_round in enumerate(seconds, 1)
        for title, each in zip(titles, of_round, strict=True)
    ]


def test_medians_and_ratios_are_of_the_rounds():
    rows = augmentation.summaries(rounds((1, 2, 6, 20), (1, 4, 8, 80), (1, 1, 5, 30)))
    found = {row["what"]: row for row in rows}
    ours, once, every = (
        found[name] for name in (augmentation.OURS, augmentation.ONCE, augmentation.EVERY_COPY)
    )
    assert ours["per_second"] == 5 and "times_faster" not in ours and ours["copies"] == 20
    assert once["times_faster"] == pytest.approx(6 / 2)
    assert every["times_faster"] == pytest.approx(30 / 2)
    assert (every["times_faster_least"], every["times_faster_most"]) == pytest.approx((10, 30))
    assert (ours["rounds"], ours["load_most"]) == (3, 3)
    assert augmentation.times_faster(rows) == every["times_faster"]
    assert augmentation.times_faster([]) is None
    (aim,) = augmentation.AIMS
    assert aim.judge(rows)["met"] and not aim.judge([])["met"]
