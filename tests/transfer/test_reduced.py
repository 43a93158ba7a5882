"""Reduced transfer sets: one translation of each text, each as likely, and the same whatever stands beside it."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from limbeck.core import progress
from limbeck.core.example import Example
from limbeck.transfer.reduced import reduced
from limbeck.transfer.transfer_set import TransferSet

pytestmark = pytest.mark.unit
LANGUAGES = ("de", "fr", "es")


def mixture(texts: int) -> TransferSet:
    """Every text once a language, one language after the other, as sources are read."""
    examples = [
        Example(f"x.tsv:{n}/{language}", f"text {n}", targets=(f"{language} {n}",))
        for language in LANGUAGES
        for n in range(texts)
    ]
    return TransferSet(tuple(examples), ())


def test_one_of_each_text_in_the_order_of_all() -> None:
    whole = mixture(200)
    kept = reduced(whole, seed=0)
    assert sorted(example.text for example in kept) == sorted({example.text for example in whole})
    places = [whole.examples.index(example) for example in kept]  # the very examples, ids and all
    assert places == sorted(places)


def test_each_translation_is_as_likely() -> None:
    kept = reduced(mixture(3000), seed=5)
    counts = Counter(example.targets[0][:2] for example in kept)
    expected = 1000
    chi_squared = sum((counts[language] - expected) ** 2 / expected for language in LANGUAGES)
    assert chi_squared < 13.8  # two degrees of freedom: one seed in a thousand has more


def test_a_seed_draws_the_same_again_and_another_seed_otherwise() -> None:
    whole = mixture(200)
    first, again, other = (reduced(whole, seed=seed) for seed in (1, 1, 2))
    assert first == again
    same = sum(one == two for one, two in zip(by_text(first), by_text(other), strict=True))
    assert 30 < same < 110  # a third, but for chance


def by_text(kept: TransferSet) -> list[Example]:
    return sorted(kept, key=lambda example: example.text)


def test_a_texts_draw_depends_on_no_other_text() -> None:
    whole = mixture(100)
    some = {f"text {n}" for n in random.Random(0).sample(range(100), 40)}
    part = TransferSet(tuple(example for example in whole if example.text in some), ())
    assert list(reduced(part, seed=3)) == [e for e in reduced(whole, seed=3) if e.text in some]


def test_texts_without_translation_are_left_out_and_single_ones_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[str] = []

    class Listener(progress.Reporter):
        def say(self, text: str, **facts: object) -> None:
            heard.append(text)

    monkeypatch.setattr(progress, "_reporter", Listener())
    single = Example("a", "one", targets=("eins", "ein"))
    examples = (Example("u", "untranslated"), single, *mixture(1))
    kept = reduced(TransferSet(examples, ()), seed=0)
    assert kept.examples[0] == single and len(kept) == 2
    assert heard == ["ask       2 of 5 pairs kept: one of each text, at random"]
