"""Encoding and collating, against the tokeniser's own call."""

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings, strategies as st

from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.objective import NO_GOLD
from limbeck.text import encode as module
from limbeck.text.encode import collate, encode
from limbeck.text.tokeniser import word_tokeniser

TEXTS = st.lists(
    st.lists(st.sampled_from(["a", "b", "films", "good", ",", "zzz", "É"])).map(" ".join), min_size=1
)


def examples(texts, golds=()):
    golds = [*golds, *[None] * (len(texts) - len(golds))]
    return [Example(f"id{n}", text, gold) for n, (text, gold) in enumerate(zip(texts, golds, strict=True))]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(texts=TEXTS, max_length=st.integers(3, 8))
def test_ids_and_batches_are_those_of_the_tokeniser(pieces, texts, max_length):
    encoded = encode(pieces, examples(texts), None, max_length)
    reference = pieces(texts, truncation=True, max_length=max_length)["input_ids"]
    whole = pieces(texts)["input_ids"]
    cut = [encoded.tokens[a:b].tolist() for a, b in zip(encoded.offsets, encoded.offsets[1:], strict=False)]
    assert cut == reference
    assert encoded.lengths.tolist() == [len(row) for row in reference]
    assert encoded.truncated == sum(len(row) > max_length for row in whole)
    rows = np.arange(len(texts))[::-1]
    batch = collate(encoded, rows)
    padded = pieces.pad({"input_ids": [reference[row] for row in rows]}, return_tensors="pt")
    assert torch.equal(batch.inputs["input_ids"], padded["input_ids"])
    assert torch.equal(batch.inputs["attention_mask"], padded["attention_mask"])
    assert batch.ids == tuple(f"id{row}" for row in rows)


def test_types_gold_and_padding(pieces):
    encoded = encode(pieces, examples(["a b", "a", "c"], ["y", "x"]), ("x", "y"), 8)
    assert (encoded.tokens.dtype, encoded.offsets.dtype, encoded.gold.dtype) == (np.int32, np.int64, np.int64)
    assert encoded.gold.tolist() == [1, 0, NO_GOLD]
    assert (encoded.ids, encoded.pad_id, len(encoded)) == (("id0", "id1", "id2"), 0, 3)
    batch = collate(encoded, np.array([1, 0]))
    assert batch.inputs["input_ids"].tolist() == [[2, 4, 3, 0], [2, 4, 5, 3]]
    assert batch.inputs["attention_mask"].tolist() == [[1, 1, 1, 0], [1, 1, 1, 1]]
    assert batch.gold.tolist() == [0, 1]
    assert {tensor.dtype for tensor in (*batch.inputs.values(), batch.gold)} == {torch.int64}
    assert encode(pieces, examples(["a"], ["x"]), None, 8).gold.tolist() == [NO_GOLD]


def test_a_text_of_which_nothing_is_left_becomes_one_unknown_token():
    encoded = encode(word_tokeniser(["a"]), examples(["\u200b", "a a", ""]), None, 4)
    assert encoded.tokens.tolist() == [1, 2, 2, 1]
    assert encoded.lengths.tolist() == [1, 2, 1]
    assert encoded.truncated == 0


def test_no_examples():
    encoded = encode(word_tokeniser(["a"]), [], ("x",), 4)
    assert (len(encoded), encoded.tokens.shape, encoded.offsets.tolist()) == (0, (0,), [0])


def test_more_than_one_chunk(monkeypatch):
    texts = ["a", "b c", "d e f", "g"] * 5
    words = word_tokeniser(list("abcdefg"))
    whole = encode(words, examples(texts), None, 2)
    monkeypatch.setattr(module, "CHUNK", 3)
    parts = encode(words, examples(texts), None, 2)
    assert np.array_equal(whole.tokens, parts.tokens)
    assert np.array_equal(whole.offsets, parts.offsets)
    assert whole.truncated == parts.truncated == 5


def test_the_tokenisers_own_settings_come_back(pieces):
    backend = pieces.backend_tokenizer
    backend.enable_truncation(5, stride=1)
    backend.enable_padding(length=7, pad_id=1)
    before = (backend.truncation, backend.padding)
    encode(pieces, examples(["a b c a b c a b c"]), None, 4)
    assert (backend.truncation, backend.padding) == before
    backend.no_truncation()
    backend.no_padding()
    encode(pieces, examples(["a"]), None, 4)
    assert (backend.truncation, backend.padding) == (None, None)


def test_a_label_that_is_unknown(pieces):
    with pytest.raises(LimbeckError, match=r"id1: label 'z' is not among x, y"):
        encode(pieces, examples(["a", "b"], ["x", "z"]), ("x", "y"), 8)


def test_no_room_for_text(pieces):
    with pytest.raises(
        LimbeckError, match=r"max_length 2 leaves no room beside the tokeniser's 2 special tokens"
    ):
        encode(pieces, examples(["a"]), None, 2)
