"""Pieces of words: what comes back from them, in which order they stand, and that they are learnt alike each time."""

import os
import subprocess
import sys
import unicodedata

import pytest
from hypothesis import given, settings, strategies as st

from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.sources import Vocabulary
from limbeck.text.subwords import BYTES, SPECIAL, Subwords
from text.translated import EXAMPLES, learnt

KINDS = [("bpe", True), ("bpe", False), ("unigram", True), ("unigram", False)]
SCRIPT = """
from text.translated import learnt
print([learnt(kind, joint).fingerprint for kind, joint in (("bpe", True), ("bpe", False), ("unigram", True))])
"""


def ids(subwords, text):
    return subwords.target(text)["input_ids"]


def normal(text):
    return " ".join(unicodedata.normalize("NFC", text).replace("▁", "_").split())


@pytest.mark.parametrize(("model", "joint"), KINDS)
def test_special_tokens_and_bytes_come_first_and_every_text_ends(model, joint):
    ours = learnt(model, joint)
    for tokeniser in {ours.source, ours.target}:
        assert tokeniser.convert_ids_to_tokens(range(261)) == [*SPECIAL, *BYTES]
        assert 270 < len(tokeniser) <= 340
        assert (tokeniser.pad_token_id, tokeniser.bos_token_id, tokeniser.eos_token_id) == (0, 1, 2)
        assert (tokeniser.unk_token_id, tokeniser.mask_token_id) == (3, 4)
    found = ids(ours, EXAMPLES[0].targets[0])
    assert found[-1] == 2
    assert min(found[:-1]) > 260


@pytest.mark.parametrize(("model", "joint"), KINDS)
@settings(deadline=None, max_examples=60)
@given(text=st.text(st.characters(codec="utf-8"), max_size=40))
def test_any_text_comes_back(model, joint, text):
    ours = learnt(model, joint)
    found = ids(ours, text)
    assert found[-1] == 2
    assert not set(found[:-1]) & set(range(5))
    assert ours.decode(found) == normal(text)


@pytest.mark.parametrize("model", ["bpe", "unigram"])
@pytest.mark.parametrize(
    "text",
    [
        "Two  young,\u00a0White\tmen\n",
        "😀👨‍👩‍👧 👍🏽 日本語 ½ … ™ «l’été»",
        "a▁b ▁ c",
        "<s>foo</s><pad> <unk> <mask> </s>",
        "<0x41> 0x41 \u200b \x1c.",
        "e\u0301 and é",
        "x" * 500,
        "",
    ],
)
def test_odd_text_comes_back(model, text):
    ours = learnt(model, True)
    assert ours.decode(ids(ours, text)) == normal(text)
    assert set(ids(ours, text)[:-1]).isdisjoint(range(5))


def test_pieces_do_not_join_words_and_signs():
    pieces = [p for model in ("bpe", "unigram") for p in learnt(model, True, 600).source.get_vocab()]
    cut = [learnt(model, True, 600).source.tokenize("The house, isn't it?") for model in ("bpe", "unigram")]
    assert all("▁house" in each and "," in each for each in cut)
    assert not any("e," in each for each in cut)
    assert len(pieces) > 600


def test_joint_pieces_are_one_set_and_others_know_their_language():
    assert learnt("bpe", True).source is learnt("bpe", True).target
    apart = learnt("bpe", False, 600)
    assert "▁house" in apart.source.get_vocab() and "▁house" not in apart.target.get_vocab()
    assert "▁Haus" in apart.target.get_vocab() and "▁Haus" not in apart.source.get_vocab()
    both = learnt("bpe", True, 600).source.get_vocab()
    assert {"▁house", "▁Haus"} <= both.keys()


def test_all_processes_learn_the_same():
    pytest.importorskip("sentencepiece", reason="an extra: pip install 'limbeck[translation]'")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TOKENIZERS_PARALLELISM": "true"}
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, env=environment, check=True
    )
    ours = [learnt(*kind).fingerprint for kind in KINDS[:3]]
    assert run.stdout.strip() == str(ours)
    assert len(set(ours)) == 3


@pytest.mark.parametrize(("model", "joint"), KINDS[1:3])
def test_what_is_saved_is_loaded_and_is_what_transformers_opens(model, joint, tmp_path):
    from transformers import AutoTokenizer, MarianConfig

    ours = learnt(model, joint)
    # The student's class has a tokeniser of its own, which must not get in the way.
    MarianConfig(vocab_size=len(ours.target)).save_pretrained(tmp_path)
    ours.save_pretrained(tmp_path)
    again = Subwords.load(tmp_path)
    assert (again.joint, again.fingerprint) == (joint, ours.fingerprint)
    text = "</s> the </s> 😀 Straße"
    assert ids(again, text) == ids(ours, text)
    assert again.decode(ids(again, text)) == text
    assert AutoTokenizer.from_pretrained(tmp_path)(text)["input_ids"] == ours.source(text)["input_ids"]
    assert (tmp_path / "target").exists() is not joint


def test_rare_characters_take_no_room():
    pytest.importorskip("sentencepiece", reason="an extra: pip install 'limbeck[translation]'")
    strange = [Example(str(n), chr(0x4E00 + n), targets=(f"the door {n}",)) for n in range(400)]
    for model in ("bpe", "unigram"):
        ours = Subwords.learn([*EXAMPLES * 20, *strange], Vocabulary(model=model, size=400))
        assert len(ours.source) <= 400
        assert ours.decode(ids(ours, "丁 door")) == "丁 door"


def test_without_translations_there_is_no_target_language():
    with pytest.raises(LimbeckError, match="no translation to learn the pieces of the target language from"):
        Subwords.learn([Example("1", "one")], Vocabulary())


def test_without_sentencepiece_it_is_said_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "sentencepiece", None)
    with pytest.raises(
        LimbeckError, match=r"pip install 'limbeck\[translation\]', or set 'data.vocabulary.model: b"
    ):
        Subwords.learn(EXAMPLES, Vocabulary(model="unigram", size=340))


# Tokenisers of other models.


@pytest.mark.filterwarnings("ignore:Recommended")
def test_marian_is_opened(marian):
    ours = Subwords.load(marian)
    assert ours.joint and not ours.source.is_fast
    target = EXAMPLES[0].targets[0]
    assert ours.decode(ours.target(text_target=target)["input_ids"]) == target
    assert ours.fingerprint == Subwords.load(marian).fingerprint != learnt("bpe", True).fingerprint


def test_languages_are_set_or_refused(tmp_path):
    from transformers import NllbTokenizer

    vocabulary = {piece: n for n, piece in enumerate(["<s>", "<pad>", "</s>", "<unk>", "▁", *"abcdefgh"])}
    NllbTokenizer(vocab=vocabulary, merges=[]).save_pretrained(tmp_path)
    ours = Subwords.load(tmp_path, "deu_Latn", "fra_Latn")
    codes = [ours.source.convert_tokens_to_ids(code) for code in ("deu_Latn", "fra_Latn")]
    assert codes[0] in ours.source("abc")["input_ids"]
    assert codes[1] in ours.target(text_target="abc")["input_ids"]
    assert ours.fingerprint != Subwords.load(tmp_path).fingerprint
    learnt("bpe", True).save_pretrained(tmp_path / "ours")
    with pytest.raises(LimbeckError, match="its tokeniser does not tell languages apart"):
        Subwords.load(tmp_path / "ours", "en", "de")


def test_no_tokeniser_is_told(tmp_path):
    with pytest.raises(LimbeckError, match="no tokeniser can be loaded"):
        Subwords.load(tmp_path)
