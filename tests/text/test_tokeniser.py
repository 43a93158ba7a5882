"""Tokenisers: words, pieces, their fingerprints, and what cannot be loaded."""

import pytest

from limbeck.core.errors import LimbeckError
from limbeck.text.tokeniser import fingerprint_tokeniser, load_tokeniser, word_tokeniser


def test_words_in_their_order_without_special_tokens():
    tokeniser = word_tokeniser(["the", "café", "n't", "the", ".", "X"])
    assert tokeniser.get_vocab() == {"[PAD]": 0, "[UNK]": 1, "the": 2, "café": 3, "n't": 4, ".": 5, "X": 6}
    assert (tokeniser.pad_token_id, tokeniser.unk_token_id) == (0, 1)
    assert tokeniser("The CAFÉ, the Cafe. x")["input_ids"] == [2, 3, 1, 2, 1, 5, 1]
    assert word_tokeniser(["X"], lowercase=False)("X x")["input_ids"] == [2, 1]
    assert set(tokeniser("the")) == {"input_ids", "attention_mask"}


def test_a_mask_is_one_token_however_it_is_spelt():
    tokeniser = word_tokeniser(["a", "film", "mask"], mask="[MASK]")
    assert tokeniser.tokenize("A [MASK] film, mask") == ["a", "[MASK]", "film", "[UNK]", "mask"]
    assert tokeniser("[MASK]")["input_ids"] == [2]
    assert word_tokeniser(["a"]).mask_token is None


def test_a_tokeniser_comes_back_the_same(tmp_path, pieces):
    for name, tokeniser in {"words": word_tokeniser(["good", "film"]), "pieces": pieces}.items():
        tokeniser.save_pretrained(tmp_path / name)
        again = load_tokeniser(tmp_path / name)
        text = "Good films, a zzz"
        assert again(text)["input_ids"] == tokeniser(text)["input_ids"]
        assert again.pad_token_id == 0
        assert fingerprint_tokeniser(again) == fingerprint_tokeniser(tokeniser)


def test_fingerprints_tell_vocabularies_apart_and_not_what_callers_set():
    tokeniser = word_tokeniser(["good", "film"])
    before = fingerprint_tokeniser(tokeniser)
    tokeniser("good", truncation=True, max_length=1, padding="max_length")
    assert fingerprint_tokeniser(tokeniser) == before
    assert fingerprint_tokeniser(word_tokeniser(["film", "good"])) != before
    assert fingerprint_tokeniser(word_tokeniser(["good", "film"], lowercase=False)) != before


def test_a_tokeniser_without_padding_pads_with_its_end_of_text(tmp_path, pieces):
    pieces.pad_token = None
    pieces.eos_token = "[SEP]"
    pieces.save_pretrained(tmp_path)
    assert load_tokeniser(tmp_path).pad_token == "[SEP]"


def test_a_tokeniser_with_nothing_to_pad_with(tmp_path, pieces):
    pieces.pad_token = pieces.unk_token = None
    pieces.save_pretrained(tmp_path)
    with pytest.raises(LimbeckError, match=r"its tokeniser has no token to pad with"):
        load_tokeniser(tmp_path)


def test_no_tokeniser(tmp_path):
    with pytest.raises(LimbeckError, match=r": no tokeniser can be loaded \("):
        load_tokeniser(tmp_path)


def test_a_folder_that_is_not_there_is_not_taken_for_a_name_on_the_hub(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # this one may hold the runs of a demo
    with pytest.raises(LimbeckError, match="runs/demo/teacher: no such folder, and no name on the hub"):
        load_tokeniser("runs/demo/teacher")
