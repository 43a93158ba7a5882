"""Distilled transfer sets: whose translation each text has, against brute force."""

from __future__ import annotations

import random
from typing import Any

import pytest
from sacrebleu import sentence_bleu

from limbeck.core.decoding import Decoding
from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.method import Distilled
from limbeck.transfer.decoded import Decoded
from limbeck.transfer.distilled import distil
from limbeck.transfer.transfer_set import TransferSet

pytestmark = pytest.mark.unit
SENTENCE = "ein Hund läuft über die grüne Wiese , und zwei Kinder spielen mit einem Ball ."
WORDS = SENTENCE.split()
BEST = Distilled(Decoding())


def sentence(generator: random.Random) -> str:
    return " ".join(generator.choices(WORDS, k=generator.randint(1, 12)))


def near(text: str, generator: random.Random) -> str:
    """The text with some words left out or changed."""
    words = [generator.choice(WORDS) if generator.random() < 0.3 else word for word in text.split()]
    return " ".join(word for word in words if generator.random() < 0.9) or "und"


@pytest.fixture
def said(listener: Any) -> list[str]:
    heard: list[str] = listener.told
    return heard


def made(count: int, k: int = 5) -> tuple[TransferSet, Decoded]:
    """Every fifth text without gold, every third with two references."""
    generator = random.Random(3)
    examples, found = [], {}
    for n in range(count):
        golds = tuple(sentence(generator) for _ in range(1 + (n % 3 == 0)))
        targets = () if n % 5 == 0 else golds
        examples.append(Example(f"e{n}", f"text {n}", origin=f"train.en:{n + 1}", targets=targets))
        found[f"e{n}"] = tuple((near(generator.choice(golds), generator), -float(rank)) for rank in range(k))
    return TransferSet(tuple(examples), ()), Decoded(found, "Anna, beam 5")


def test_the_likeliest_takes_the_place_of_all_references() -> None:
    transfer_set, decoded = made(40)
    distilled = distil(transfer_set, decoded, BEST, seed=0)
    assert distilled.ids == transfer_set.ids
    for before, after in zip(transfer_set, distilled, strict=True):
        assert after.targets == (decoded[before.id][0][0],)
        assert (after.text, after.origin) == (before.text, f"{before.origin}, translated by Anna, beam 5")
    assert distilled.fingerprint != transfer_set.fingerprint


def test_the_nearest_is_that_of_the_highest_smoothed_sentence_bleu(said: list[str]) -> None:
    transfer_set, decoded = made(120)
    distilled = distil(transfer_set, decoded, Distilled(Decoding(keep=5), nearest=True), seed=0)
    others = 0
    for before, after in zip(transfer_set, distilled, strict=True):
        texts = [text for text, _ in decoded[before.id]]
        if before.targets:
            scores = [sentence_bleu(text, list(before.targets)).score for text in texts]
            assert after.targets == (texts[scores.index(max(scores))],)
            others += after.targets[0] != texts[0]
        else:
            assert after.targets == (texts[0],)
    assert others > 30
    assert said == [
        "ask       120 of 120 texts translated by Anna, beam 5; "
        f"of {others} another than the likeliest is nearer to gold"
    ]


def test_a_share_keeps_gold_whatever_else_is_in_the_set() -> None:
    transfer_set, decoded = made(2000, k=1)
    half = Distilled(Decoding(), gold=0.5)
    mixed = distil(transfer_set, decoded, half, seed=1)
    kept = [
        after.id for before, after in zip(transfer_set, mixed, strict=True) if after.origin == before.origin
    ]
    with_gold = [example for example in transfer_set if example.targets]
    assert abs(len(kept) - len(with_gold) / 2) < 4 * (len(with_gold) / 4) ** 0.5
    golds = {example.id: example.targets[:1] for example in with_gold}
    assert all(golds[example.id] == example.targets for example in mixed if example.id in set(kept))

    assert distil(transfer_set, decoded, half, seed=1) == mixed
    part = TransferSet(transfer_set.examples[::-3], ())
    of_all = {example.id: example for example in mixed}
    assert all(example == of_all[example.id] for example in distil(part, decoded, half, seed=1))
    assert distil(transfer_set, decoded, half, seed=2) != mixed
    grown = distil(transfer_set, decoded, Distilled(Decoding(), gold=0.7), seed=1)
    now = {
        after.id for before, after in zip(transfer_set, grown, strict=True) if after.origin == before.origin
    }
    assert set(kept) < now


def test_all_gold_needs_no_translations() -> None:
    transfer_set = TransferSet((Example("a", "x", targets=("y", "z")),), ())
    (example,) = distil(transfer_set, Decoded({}, "nobody"), Distilled(Decoding(), gold=1.0), seed=0)
    assert example.targets == ("y",)


def test_empty_translations_are_passed_over_and_counted(said: list[str]) -> None:
    examples = tuple(Example(id, id, targets=("gut",)) for id in "abc")
    found = {"a": (("", -0.1), (" gut", -1.0)), "b": (("  ", -0.1),), "c": (("ja", -0.1),)}
    distilled = distil(TransferSet(examples, ()), Decoded(found, "Anna"), BEST, seed=0)
    assert [(one.id, one.targets) for one in distilled] == [("a", (" gut",)), ("c", ("ja",))]
    assert distilled.examples[0].origin == "translated by Anna"
    assert said == [
        "ask       2 of 3 texts translated by Anna",
        "! 1 texts are left out: their translations by Anna are empty",
    ]


def test_a_text_that_was_not_decoded() -> None:
    transfer_set = TransferSet((Example("a", "x"),), ())
    with pytest.raises(LimbeckError, match="'a' was not translated by Anna"):
        distil(transfer_set, Decoded({}, "Anna"), BEST, seed=0)


def test_the_nearest_of_a_language_without_spaces_is_counted_in_its_characters() -> None:
    found = (("她正在吃饭", -0.1), ("他喜欢绿色的苹果", -0.5))
    example = Example("zh:1/zh", "He likes red apples", targets=("他喜欢红色的苹果",))
    transfer_set, decoded = TransferSet((example,), ()), Decoded({"zh:1/zh": found}, "Anna")
    wanted = Distilled(Decoding(keep=2), nearest=True)
    (taught,) = distil(transfer_set, decoded, wanted, seed=0, language="zh")
    assert taught.targets == (found[1][0],)
