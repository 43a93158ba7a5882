"""Texts and translations as ids, against what the tokenisers say of each alone; batches of them."""

from itertools import pairwise

import numpy as np
import pytest

from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.objective import NO_GOLD
from limbeck.text import translations
from limbeck.text.encode import collate
from limbeck.text.subwords import Subwords
from limbeck.text.translations import encode_translations
from text.translated import EXAMPLES, learnt

MIXED = [
    EXAMPLES[0],
    Example("plain", "The dog"),
    Example("two", "The door", targets=("Die Tür", "Das Tor")),
    Example("", ""),
    Example("nothing", "the", targets=("\x1c",)),
]


def rows(tokens, offsets):
    return [list(tokens[start:end]) for start, end in pairwise(offsets)]


@pytest.mark.parametrize("joint", [True, False])
def test_rows_are_what_the_tokenisers_say(joint, monkeypatch):
    monkeypatch.setattr(translations, "CHUNK", 2)
    ours = learnt("bpe", joint)
    found = encode_translations(ours, MIXED, (), 64)
    assert found.ids == ("00", "plain", "two", "", "nothing")
    assert rows(found.tokens, found.offsets) == [
        *(ours.source(e.text)["input_ids"] for e in MIXED[:3]),
        [3, 2],
        ours.source("the")["input_ids"],
    ]
    assert rows(found.targets.tokens, found.targets.offsets) == [
        ours.target(MIXED[0].targets[0])["input_ids"],
        [],
        ours.target("Die Tür")["input_ids"],
        [],
        [3, 2],
    ]
    assert found.tokens.dtype == found.targets.tokens.dtype == np.int32
    assert (found.truncated, found.pad_id, set(found.gold)) == (0, 0, {NO_GOLD})
    assert list(found.sizes) == [max(pair) for pair in zip(found.lengths, found.targets.lengths, strict=True)]


def test_without_labels_no_translation_is_encoded():
    found = encode_translations(learnt("bpe", True), MIXED, None, 64)
    assert found.targets is None
    assert "labels" not in collate(found, np.arange(5)).inputs


def test_batches_are_padded_on_both_sides():
    found = encode_translations(learnt("bpe", True), MIXED, (), 64)
    batch = collate(found, np.array([2, 1]))
    assert batch.inputs["input_ids"].shape == (2, max(found.lengths[1:3]))
    assert batch.inputs["labels"].tolist() == [
        rows(found.targets.tokens, found.targets.offsets)[2],
        [NO_GOLD] * found.targets.lengths[2],
    ]


def test_cut_rows_keep_their_end_and_are_counted_once():
    ours = learnt("bpe", True)
    long = Example("long", "the dog " * 20, targets=("der Hund",))
    wide = Example("wide", "the dog", targets=("der Hund " * 20,))
    both = Example("both", "the dog " * 20, targets=("der Hund " * 20,))
    found = encode_translations(ours, [long, wide, both, Example("none", "a")], (), 12)
    assert found.truncated == 3
    for each in (found, found.targets):
        for row in rows(each.tokens, each.offsets):
            assert not row or (len(row) <= 12 and row[-1] == 2)
    assert list(found.tokens[:11]) == ours.source(long.text)["input_ids"][:11]
    with pytest.raises(LimbeckError, match="max_length 1 leaves no room"):
        encode_translations(ours, [long], (), 1)


def test_nothing_at_all():
    found = encode_translations(learnt("bpe", True), [], (), 12)
    assert (len(found), len(found.targets.tokens), found.tokens.dtype) == (0, 0, np.int32)


@pytest.mark.filterwarnings("ignore:Recommended")
def test_marian_reads_each_side_with_its_own_model(marian):
    ours = Subwords.load(marian)
    found = encode_translations(ours, MIXED[:3], (), 128)
    tokeniser = ours.source
    assert rows(found.tokens, found.offsets) == tokeniser([e.text for e in MIXED[:3]])["input_ids"]
    assert (
        rows(found.targets.tokens, found.targets.offsets)[2] == tokeniser(text_target="Die Tür")["input_ids"]
    )
    assert ours.decode(found.targets.tokens[: found.targets.offsets[1]]) == MIXED[0].targets[0]
    assert encode_translations(ours, MIXED[:3], (), 5).lengths.max() == 5
