"""Encoding of words, against tokenising one word at a time."""

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings, strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.objective import NO_GOLD
from limbeck.text import words as module
from limbeck.text.encode import collate, encode
from limbeck.text.pieces import SPELLED
from limbeck.text.tokeniser import word_tokeniser
from limbeck.text.words import encode_words

TEXT = ["the film was good , don't you think ? a b c films É zzz U.S. 1996-08-22"] * 5
WORDS = ["a", "films", "good", "U.S.", "don't", "É", "zzz", ",", "\u200b", "", "1996-08-22", "a b", "東京"]
SENTENCES = st.lists(st.lists(st.sampled_from(WORDS), max_size=6), min_size=1, max_size=5)


def byte_level(pre_tokenizer):
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizer
    trainer = trainers.BpeTrainer(
        vocab_size=290,
        special_tokens=["<s>", "</s>", "<unk>", "<pad>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(TEXT, trainer)
    backend.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 1)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>", pad_token="<pad>")


def split_first():
    """As Llama 3's: a pattern cuts, and the byte level only writes bytes."""
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(pattern=" ", behavior="merged_with_next"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )


def unigram():
    backend = Tokenizer(models.Unigram())
    backend.normalizer = normalizers.NFKC()
    backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    backend.train_from_iterator(
        TEXT,
        trainers.UnigramTrainer(
            vocab_size=60, special_tokens=["<unk>", "<pad>"], unk_token="<unk>", show_progress=False
        ),
    )
    return PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>", pad_token="<pad>")


@pytest.fixture(scope="module")
def tokenisers():
    return {
        "bytes": byte_level(pre_tokenizers.ByteLevel(add_prefix_space=False)),
        "bytes with prefix": byte_level(pre_tokenizers.ByteLevel(add_prefix_space=True)),
        "bytes after a split": byte_level(split_first()),
        "unigram": unigram(),
        "words and marks": word_tokeniser(["a", "films", "good", "u", "s", ".", ","]),
        "words": word_tokeniser(["a", "films", "good", "u.s.", ","], punctuation=False),
    }


NAMES = ["pieces", "bytes", "bytes with prefix", "bytes after a split", "unigram", "words and marks", "words"]


def examples(sentences, tags=None):
    tags = tags or [None] * len(sentences)
    return [
        Example(f"id{n}", " ".join(words), words=tuple(words), tags=of)
        for n, (words, of) in enumerate(zip(sentences, tags, strict=True))
    ]


def one_at_a_time(tokeniser, words, max_length, space):
    """Ids and (start, end) of each word that is kept."""
    backend = tokeniser.backend_tokenizer
    special = backend.encode("").ids
    around = (special[:1], special[1:]) if special else ([], [])
    room, ids, places = max_length - len(special), [], []
    for word in words:
        mine = backend.encode(space + word if word else "", add_special_tokens=False).ids
        mine = (mine or [tokeniser.unk_token_id])[: room - len(ids)]
        if mine:
            first = len(around[0]) + len(ids)
            places.append((first, first + len(mine) - 1))
        ids += mine
    return (around[0] + ids + around[1]) or [tokeniser.unk_token_id], places


@pytest.mark.parametrize("name", NAMES)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(sentences=SENTENCES, max_length=st.integers(3, 14))
def test_tokens_and_places_are_those_of_words_one_at_a_time(name, pieces, tokenisers, sentences, max_length):
    tokeniser = pieces if name == "pieces" else tokenisers[name]
    space = " " if name.startswith("bytes") else ""
    encoded = encode_words(tokeniser, examples(sentences), None, max_length)
    cut = 0
    for row, words in enumerate(sentences):
        ids, places = one_at_a_time(tokeniser, words, max_length, space)
        whole, _ = one_at_a_time(tokeniser, words, 10**6, space)
        cut += len(whole) > len(ids)
        assert encoded.tokens[encoded.offsets[row] : encoded.offsets[row + 1]].tolist() == ids
        mine = slice(encoded.words.offsets[row], encoded.words.offsets[row + 1])
        gone = [(-1, -1)] * (len(words) - len(places))
        found = zip(encoded.words.starts[mine].tolist(), encoded.words.ends[mine].tolist(), strict=True)
        assert list(found) == places + gone
        assert encoded.words.kept[row] == len(places)
        assert encoded.words.counts[row] == len(words)
    assert encoded.truncated == cut


@pytest.mark.parametrize("name", NAMES)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(sentences=st.lists(st.tuples(*[st.lists(st.sampled_from(WORDS), max_size=6)] * 3), max_size=4),
       max_length=st.integers(3, 18))  # fmt: skip
def test_context_fills_the_room_that_a_sentence_leaves(name, pieces, tokenisers, sentences, max_length):
    tokeniser = pieces if name == "pieces" else tokenisers[name]
    space = " " if name.startswith("bytes") else ""
    within = [
        Example(f"id{n}", " ".join(words), words=tuple(words), before=tuple(before), after=tuple(after))
        for n, (before, words, after) in enumerate(sentences)
    ]
    encoded = encode_words(tokeniser, within, None, max_length)
    alone = encode_words(tokeniser, [example.alone for example in within], None, max_length)
    assert encoded.truncated == alone.truncated
    assert np.array_equal(encoded.words.offsets, alone.words.offsets)
    assert np.array_equal(encoded.words.kept, alone.words.kept)
    for row, (before, words, after) in enumerate(sentences):
        ids = encoded.tokens[encoded.offsets[row] : encoded.offsets[row + 1]].tolist()
        assert len(ids) <= max_length
        readings = {
            (left, right): one_at_a_time(tokeniser, [*before[left:], *words, *after[:right]], 10**6, space)
            for left in range(len(before) + 1)
            for right in range(len(after) + 1)
        }
        whole = [key for key, reading in readings.items() if reading[0] == ids]
        if words and len(one_at_a_time(tokeniser, words, 10**6, space)[0]) <= max_length:
            fitting = {key for key, reading in readings.items() if len(reading[0]) <= max_length}
            assert any((left, right + 1) not in fitting for left, right in whole)
            mine = slice(encoded.words.offsets[row], encoded.words.offsets[row + 1])
            starts = encoded.words.starts[mine].tolist()
            assert any(
                [start for start, _ in readings[key][1][len(before) - key[0] :][: len(words)]] == starts
                for key in whole
            )


def test_byte_level_words_are_tokenised_as_in_a_text(tokenisers):
    words = ["the", "film", "was", "good"]
    for name in ("bytes", "bytes with prefix", "bytes after a split"):
        tokeniser = tokenisers[name]
        expected = tokeniser(" " + " ".join(words))["input_ids"]
        assert encode_words(tokeniser, examples([words]), None, 99).tokens.tolist() == expected


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(sentences=SENTENCES, max_length=st.integers(3, 9), seed=st.integers(0, 9))
def test_batches_are_the_rows_padded(pieces, sentences, max_length, seed):
    tags = [tuple("xyz"[n % 3] for n in range(len(words))) for words in sentences]
    encoded = encode_words(pieces, examples(sentences, tags), ("x", "y"), max_length)
    rows = np.random.default_rng(seed).permutation(len(sentences))
    batch = collate(encoded, rows)
    assert {name: value.dtype for name, value in batch.inputs.items()} == {
        "input_ids": torch.int64,
        "attention_mask": torch.int64,
        "word_starts": torch.int64,
        "word_ends": torch.int64,
        "word_bytes": torch.uint8,
    }
    width = max(1, *(int(encoded.words.kept[row]) for row in rows))
    assert batch.gold.shape == batch.inputs["word_starts"].shape == (len(rows), width)
    for place, row in enumerate(rows):
        kept, first = encoded.words.kept[row], encoded.words.offsets[row]
        for name, values in (("word_starts", encoded.words.starts), ("word_ends", encoded.words.ends)):
            expected = values[first : first + kept].tolist() + [-1] * (width - kept)
            assert batch.inputs[name][place].tolist() == expected
        gold = [{"x": 0, "y": 1}.get(tag, NO_GOLD) for tag in tags[row][:kept]]
        assert batch.gold[place].tolist() == gold + [NO_GOLD] * (width - kept)
        spelled = [bytes(word.tolist()).rstrip(b"\0").decode() for word in batch.inputs["word_bytes"][place]]
        assert spelled == [*sentences[row][:kept], *[""] * (width - kept)]


def test_gold_is_flat_and_left_out_where_it_is_not_known(pieces):
    sentences, tags = [["a", "b"], ["c"], ["a"]], [("y", "strange"), None, ("x",)]
    encoded = encode_words(pieces, examples(sentences, tags), ("x", "y"), 9)
    assert encoded.words.gold.tolist() == [1, NO_GOLD, NO_GOLD, 0]
    assert encoded.gold.tolist() == [NO_GOLD] * 3
    none = encode_words(pieces, examples(sentences, tags), None, 9)
    assert none.words.gold.tolist() == [NO_GOLD] * 4


def test_a_long_spelling_keeps_both_ends(pieces):
    word = "http://" + "x" * 90 + ".html"
    encoded = encode_words(pieces, examples([[word, "a"]]), None, 9)
    assert bytes(encoded.words.spelling[:SPELLED]) == (word[:16] + word[-16:]).encode()
    assert encoded.words.spelling_offsets.tolist() == [0, SPELLED, SPELLED + 1]


def test_chunks_and_no_examples(pieces, monkeypatch):
    sentences = [["a", "films"], [], ["\u200b"], ["b"] * 20] * 3
    whole = encode_words(pieces, examples(sentences), None, 6)
    monkeypatch.setattr(module, "CHUNK", 5)
    parts = encode_words(pieces, examples(sentences), None, 6)
    assert np.array_equal(whole.tokens, parts.tokens)
    assert np.array_equal(whole.words.starts, parts.words.starts)
    assert np.array_equal(whole.words.ends, parts.words.ends)
    assert whole.truncated == parts.truncated == 3
    nothing = encode_words(pieces, [], ("x",), 6)
    assert (len(nothing), nothing.tokens.shape, nothing.words.starts.shape) == (0, (0,), (0,))


def test_the_tokenisers_own_settings_come_back(pieces):
    backend = pieces.backend_tokenizer
    backend.enable_truncation(5)
    before = backend.truncation
    encode_words(pieces, examples([["a"] * 9]), None, 4)
    assert backend.truncation == before
    backend.no_truncation()


def test_text_of_a_classifier_has_no_words(pieces):
    encoded = encode(pieces, examples([["a", "b"]]), None, 9)
    assert encoded.words is None
    assert set(collate(encoded, np.array([0])).inputs) == {"input_ids", "attention_mask"}


def test_bad_examples_are_told_in_a_sentence(pieces):
    with pytest.raises(
        LimbeckError, match=r"t.csv:3: a tagger reads words, and this text is not cut into words"
    ):
        encode_words(pieces, [Example("1", "some text", origin="t.csv:3")], None, 9)
    with pytest.raises(LimbeckError, match="id0: 2 words have 1 tags"):
        encode_words(pieces, examples([["a", "b"]], [("x",)]), ("x",), 9)
    with pytest.raises(LimbeckError, match="max_length 2 leaves no room"):
        encode_words(pieces, examples([["a"]]), None, 2)


def test_a_tokeniser_without_unknown_token_is_told():
    backend = Tokenizer(models.WordLevel({"a": 0}, unk_token="a"))
    backend.normalizer = normalizers.BertNormalizer()
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    with pytest.raises(LimbeckError, match="makes nothing of the word '.u200b', and has no unknown token"):
        encode_words(PreTrainedTokenizerFast(tokenizer_object=backend), examples([["\u200b"]]), None, 9)
