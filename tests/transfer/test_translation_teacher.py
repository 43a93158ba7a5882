"""A teacher that translates: a real Marian that has learnt a toy language, alone, in an ensemble, in both engines."""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import (
    GenerationConfig,
    M2M100Config,
    M2M100ForConditionalGeneration,
    MarianConfig,
    MarianMTModel,
    MBart50Tokenizer,
    MBartConfig,
    MBartForConditionalGeneration,
    MBartTokenizer,
    PreTrainedModel,
)

from limbeck.core.decoding import Decoding
from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.signals import SignalName
from limbeck.core.sources import Vocabulary
from limbeck.models.translators.decode import log_probability, translate
from limbeck.text.encode import collate
from limbeck.text.subwords import Subwords
from limbeck.text.translations import encode_translations
from limbeck.transfer.ask import StoredAnswers, ask, choose, count_missing
from limbeck.transfer.decoded import decode
from limbeck.transfer.store import AnswerStore
from limbeck.transfer.translation_teacher import TranslationTeacher

pytestmark = pytest.mark.unit
CPU = torch.device("cpu")
NEXT_TOKENS: frozenset[SignalName] = frozenset({"next_tokens"})
ENGLISH = ["dog", "cat", "house", "tree", "sees", "loves", "the", "a", "old", "green"]
GERMAN = ["Hund", "Katze", "Haus", "Baum", "sieht", "liebt", "das", "ein", "alt", "grün"]
BEAM = Decoding(beams=4, keep=3, max_length=16)


def toy(count: int, seed: int = 0) -> list[Example]:
    """Sentences of two to six words, and their translations word by word."""
    generator = random.Random(seed)
    found = []
    for number in range(count):
        places = [generator.randrange(10) for _ in range(generator.randint(2, 6))]
        source, target = (" ".join(words[place] for place in places) for words in (ENGLISH, GERMAN))
        found.append(Example(f"s{seed}-{number}", source, targets=(target,)))
    return found


def marian(subwords: Subwords, seed: int = 0, **changes: object) -> MarianMTModel:
    torch.manual_seed(seed)
    size = len(subwords.target)
    values = {
        "vocab_size": size,
        "decoder_vocab_size": size,
        "d_model": 32,
        "encoder_layers": 1,
        "decoder_layers": 1,
        "encoder_ffn_dim": 64,
        "decoder_ffn_dim": 64,
        "encoder_attention_heads": 2,
        "decoder_attention_heads": 2,
        "max_position_embeddings": 64,
        "activation_function": "relu",
        "scale_embedding": True,
        "init_std": 0.2,
        "dropout": 0.0,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "decoder_start_token_id": 1,
        "forced_eos_token_id": None,
    }
    model = MarianMTModel(MarianConfig(**(values | changes)))
    assert isinstance(model.generation_config, GenerationConfig)
    model.generation_config.suppress_tokens = [0, 1, 4]
    return model


@pytest.fixture(scope="module")
def subwords() -> Subwords:
    return Subwords.learn(toy(200, seed=9), Vocabulary(size=340))


@pytest.fixture(scope="module")
def trained(subwords: Subwords) -> MarianMTModel:
    """Knows about half of the toy language: sure enough to end its sentences, and not so sure that beams are empty."""
    model = marian(subwords)
    encoded = encode_translations(subwords, toy(600, seed=8), (), 32)
    optimiser = torch.optim.AdamW(model.parameters(), lr=5e-3)
    rows = np.random.default_rng(0)
    for _ in range(220):
        inputs = collate(encoded, rows.integers(0, len(encoded), 32)).inputs
        loss = model(**inputs).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return model


@pytest.fixture
def teacher(trained: MarianMTModel, subwords: Subwords) -> TranslationTeacher:
    return TranslationTeacher((trained,), subwords, 32, "the toy teacher", top_k=4, device=CPU)


@pytest.fixture
def store(tmp_path: Path) -> AnswerStore:
    return AnswerStore(tmp_path / "store", shard_rows=4)


# Decoding.


def test_translations_are_right_in_order_and_the_same_alone(teacher: TranslationTeacher) -> None:
    examples = toy(30)
    found = teacher.decode(examples, BEAM)
    right = [each[0][0] == example.targets[0] for each, example in zip(found, examples, strict=True)]
    assert np.mean(right) > 0.5
    for example, each in zip(examples[:8], found, strict=False):
        assert len(each) == 3
        assert [score for _, score in each] == sorted((score for _, score in each), reverse=True)
        (alone,) = teacher.decode([example], BEAM)
        assert [text for text, _ in alone] == [text for text, _ in each]
        assert [score for _, score in alone] == pytest.approx([score for _, score in each], abs=1e-4)


@pytest.mark.parametrize("penalty", [1.0, 0.5])
def test_it_says_how_sure_it_is_without_the_penalty(
    penalty: float, teacher: TranslationTeacher, trained: MarianMTModel, subwords: Subwords
) -> None:
    examples, way = toy(20), Decoding(beams=4, length_penalty=penalty, max_length=16)
    texts = [best for best, *_ in teacher.decode(examples, way)]
    told = teacher.log_probabilities(texts, way)
    hypotheses = [best for best, *_ in translate(trained, teacher.encode(examples), way)]
    read = [replace(example, targets=(text,)) for example, (text, _) in zip(examples, texts, strict=True)]
    cut = teacher.encode(read, targets=True).targets
    assert cut is not None
    same = 0
    for row, one in enumerate(hypotheses):
        ended = [subwords.target.eos_token_id] * (one.passes - len(one.tokens))
        inputs = collate(teacher.encode(examples[row : row + 1]), np.arange(1)).inputs
        with torch.inference_mode():
            mean = -float(trained(**inputs, labels=torch.tensor([[*one.tokens, *ended]])).loss)
        assert log_probability(trained, one, way) == pytest.approx(mean, abs=1e-4)
        if penalty == 1 or cut.lengths[row] == one.passes:
            assert told[row] == pytest.approx(mean, abs=1e-4)
            same += 1
    assert same >= 10, "most texts are cut into as many pieces as they were written in"


def test_draws_depend_on_the_text_and_the_seed_alone(teacher: TranslationTeacher, store: AnswerStore) -> None:
    drawing = Decoding(search="sampling", temperature=2.0, keep=2, max_length=10, seed=5)
    examples = toy(12)
    found = decode(teacher, examples, drawing, store)
    others = decode(teacher, examples[::-2], drawing, AnswerStore(store.folder.with_name("other")))
    texts = {id: [text for text, _ in found[id]] for id in found}
    assert all([text for text, _ in others[id]] == texts[id] for id in others)
    assert any(first != second for first, second in texts.values())
    again = decode(teacher, examples, drawing.model_copy(update={"seed": 6}), store)
    assert any([text for text, _ in again[id]] != texts[id] for id in again)


def test_what_was_decoded_is_found_again(
    teacher: TranslationTeacher, store: AnswerStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    examples = toy(10)
    first = decode(teacher, examples, BEAM, store)
    monkeypatch.setattr(teacher, "decode", lambda *_: pytest.fail("decoded again"))
    assert decode(teacher, examples, BEAM, store) == first
    assert first.by == "the toy teacher, beam 4"


# What a teacher is.


def test_the_fingerprint_is_of_all_that_translations_depend_on(
    trained: MarianMTModel, subwords: Subwords, teacher: TranslationTeacher
) -> None:
    def of(
        model: MarianMTModel = trained, pieces: Subwords = subwords, length: int = 32, **more: object
    ) -> str:
        return TranslationTeacher((model,), pieces, length, device=CPU, **more).fingerprint  # type: ignore[arg-type]

    barred = marian(subwords)
    barred.load_state_dict(trained.state_dict())
    assert of(barred) == teacher.fingerprint == of(top_k=2) == of(engine="ctranslate2")
    assert barred.generation_config is not None
    barred.generation_config.suppress_tokens = [0, 1, 4, 300]
    others = Subwords.learn(toy(200, seed=9), Vocabulary(size=320))
    several = TranslationTeacher((trained, marian(subwords, 1)), subwords, 32, device=CPU).fingerprint
    found = {
        of(),
        of(barred),
        of(marian(subwords, 1)),
        of(pieces=others),
        of(length=31),
        of(prefix="to German:"),
    }
    assert len(found | {several}) == 7


def test_it_loads_from_a_folder(
    trained: MarianMTModel, subwords: Subwords, teacher: TranslationTeacher, tmp_path: Path
) -> None:
    trained.save_pretrained(tmp_path)
    subwords.save_pretrained(tmp_path)
    loaded = TranslationTeacher.load(tmp_path, 32, top_k=4)
    assert (loaded.fingerprint, loaded.name, loaded.labels) == (teacher.fingerprint, str(tmp_path), ())
    assert loaded.decode(toy(3), BEAM) == teacher.decode(toy(3), BEAM)
    with pytest.raises(
        LimbeckError, match="'teacher.max_length' is 65, and this model reads at most 64 tokens"
    ):
        TranslationTeacher.load(tmp_path, 65)
    with pytest.raises(LimbeckError):
        TranslationTeacher.load(tmp_path / "nowhere", 32)


def test_a_prefix_is_read_with_every_text(
    trained: MarianMTModel, subwords: Subwords, teacher: TranslationTeacher
) -> None:
    prefixed = TranslationTeacher((trained,), subwords, 32, prefix="old", device=CPU)
    examples = toy(5)
    before = [Example(one.id, f"old {one.text}") for one in examples]
    assert prefixed.decode(examples, BEAM) == teacher.decode(before, BEAM)


# Next tokens.


def oracle(models: list[MarianMTModel], subwords: Subwords, example: Example) -> np.ndarray:
    """Log-probabilities of all tokens at every place of one example, (tokens, vocabulary)."""
    ids = torch.tensor([subwords.source(example.text)["input_ids"]])
    target = subwords.target(example.targets[0])["input_ids"]
    with torch.no_grad():
        logits = [
            m(input_ids=ids, decoder_input_ids=torch.tensor([[1, *target[:-1]]])).logits[0] for m in models
        ]
    odds = [np.exp(one.double().numpy()) for one in logits]
    return np.asarray(np.log(np.mean([one / one.sum(-1, keepdims=True) for one in odds], axis=0)))


@pytest.mark.parametrize("members", [1, 2])
def test_next_tokens_are_the_likeliest_after_each_beginning(
    trained: MarianMTModel, subwords: Subwords, members: int
) -> None:
    models = [trained, marian(subwords, 1).eval()][:members]
    teacher = TranslationTeacher(models, subwords, 32, top_k=4, device=CPU)
    examples = toy(40)
    examples.insert(7, Example("untranslated", "the dog"))
    said = teacher.answer(examples, NEXT_TOKENS)
    assert said.next_tokens is not None and said.mask is not None
    lengths = said.mask.sum(1).tolist()
    assert lengths[7] == 0
    start = 0
    for example, length in zip(examples, lengths, strict=True):
        here = slice(start, start + length)
        start += length
        if not example.targets:
            continue
        wanted = oracle(models, subwords, example)
        ids = np.argsort(-wanted, axis=1)[:, :4]
        np.testing.assert_array_equal(said.next_tokens.ids[here].numpy(), ids)
        found = said.next_tokens.log_probabilities[here].numpy()
        np.testing.assert_allclose(found, np.take_along_axis(wanted, ids, 1), atol=1e-4)
    assert start == len(said.next_tokens.ids)


def test_no_translations_at_all_have_no_next_tokens(teacher: TranslationTeacher) -> None:
    said = teacher.answer([Example("1", "the dog"), Example("2", "a cat")], NEXT_TOKENS)
    assert said.next_tokens is not None and said.mask is not None
    assert said.next_tokens.ids.shape == (0, 4)
    assert said.mask.sum(1).tolist() == [0, 0]


def test_stored_next_tokens_are_the_live_ones_in_any_order(
    teacher: TranslationTeacher, store: AnswerStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    examples = [*toy(20), Example("untranslated", "the dog")]
    answers = ask(teacher, examples, NEXT_TOKENS, store)
    assert isinstance(answers, StoredAnswers)
    order = np.random.default_rng(1).permutation(21)
    found = answers.signals([examples[row].id for row in order], CPU).next_tokens
    live = teacher.answer([examples[row] for row in order], NEXT_TOKENS).next_tokens
    assert found is not None and live is not None
    assert found.ids.dtype == torch.int64
    assert torch.equal(found.ids, live.ids)
    torch.testing.assert_close(found.log_probabilities, live.log_probabilities, atol=1e-5, rtol=0)
    assert store.verify() == ()

    assert count_missing(teacher, examples, store, "next_tokens") == 0
    monkeypatch.setattr(teacher, "answer", lambda *_: pytest.fail("asked again"))
    ask(teacher, examples, NEXT_TOKENS, store)


def test_another_translation_or_width_is_another_question(
    teacher: TranslationTeacher, store: AnswerStore
) -> None:
    one, other = (
        Example("1", "the dog", targets=("das Hund",)),
        Example("2", "the dog", targets=("ein Hund", "x")),
    )
    answers = ask(teacher, [one, other], NEXT_TOKENS, store)
    first, second = (answers.signals([id], CPU).next_tokens for id in ("1", "2"))
    assert first is not None and second is not None
    assert not torch.equal(first.log_probabilities, second.log_probabilities)
    assert count_missing(teacher.giving(2), [one, other], store, "next_tokens") == 2
    narrow = ask(teacher.giving(2), [one], NEXT_TOKENS, store).signals(["1"], CPU).next_tokens
    assert narrow is not None
    torch.testing.assert_close(narrow.log_probabilities, first.log_probabilities[:, :2])
    assert {(entry.signal, entry.settings["top_k"]) for entry in store.list()} == {
        ("next_tokens", 4),
        ("next_tokens", 2),
    }


def test_no_more_tokens_are_given_than_there_are(trained: MarianMTModel, subwords: Subwords) -> None:
    teacher = TranslationTeacher((trained,), subwords, 32, top_k=10_000, device=CPU)
    said = teacher.answer(toy(2), NEXT_TOKENS).next_tokens
    assert said is not None and teacher.top_k == said.ids.shape[1] == len(subwords.target)
    torch.testing.assert_close(said.log_probabilities.exp().sum(1), torch.ones(len(said.ids)))


def test_the_bytes_are_foreseen(teacher: TranslationTeacher, store: AnswerStore) -> None:
    examples = toy(400)
    choice = choose(NEXT_TOKENS, examples, 4)
    assert choice.stored and choice.bytes is not None
    ask(teacher, examples, NEXT_TOKENS, AnswerStore(store.folder))
    assert choice.bytes / 2 < store.list()[0].bytes < choice.bytes * 2
    assert not choose(NEXT_TOKENS, examples, 4, limit=1000).stored


def test_broken_weights_and_other_signals_are_told(subwords: Subwords, store: AnswerStore) -> None:
    broken = marian(subwords)
    with torch.no_grad():
        broken.model.decoder.layers[0].fc1.bias[0] = float("nan")
    teacher = TranslationTeacher((broken,), subwords, 32, "the broken one", device=CPU)
    with pytest.raises(
        LimbeckError, match="the broken one: the teacher's answer for 's0-.*' holds NaN or infinity"
    ):
        ask(teacher, toy(3), NEXT_TOKENS, store)
    with pytest.raises(LimbeckError, match="a translator does not give logits"):
        teacher.answer(toy(3), frozenset({"logits"}))
    with pytest.raises(LimbeckError, match="a teacher has at least one model"):
        TranslationTeacher((), subwords, 32)


# CTranslate2.


@pytest.mark.parametrize(
    "way", [BEAM, Decoding(search="greedy", max_length=16), Decoding(length_penalty=0.5)]
)
def test_ctranslate2_finds_what_pytorch_finds(
    trained: MarianMTModel, subwords: Subwords, teacher: TranslationTeacher, way: Decoding
) -> None:
    pytest.importorskip("ctranslate2", reason="an extra: pip install 'limbeck[ctranslate2]'")
    quick = TranslationTeacher((trained,), subwords, 32, engine="ctranslate2", device=CPU)
    examples = toy(60)
    wanted, found = teacher.decode(examples, way), quick.decode(examples, way)
    assert [len(each) for each in found] == [way.keep] * 60
    same = [(one[0], other[0]) for one, other in zip(found, wanted, strict=True) if one[0][0] == other[0][0]]
    assert len(same) >= 57
    for (_, score), (_, other) in same:
        # PyTorch's probabilities give a little to tokens that must not be written.
        assert score == pytest.approx(other, abs=0.01)


def test_engines_are_kept_apart(
    trained: MarianMTModel, subwords: Subwords, teacher: TranslationTeacher, store: AnswerStore
) -> None:
    pytest.importorskip("ctranslate2", reason="an extra: pip install 'limbeck[ctranslate2]'")
    quick = TranslationTeacher((trained,), subwords, 32, "quick", engine="ctranslate2", device=CPU)
    for one in (teacher, quick):
        decode(one, toy(5), BEAM, store)
    assert {(entry.settings["engine"], entry.rows) for entry in store.list()} == {
        ("pytorch", 5),
        ("ctranslate2", 5),
    }


def test_what_ctranslate2_cannot_do_is_said(
    trained: MarianMTModel, subwords: Subwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ctranslate2", reason="an extra: pip install 'limbeck[ctranslate2]'")
    with pytest.raises(LimbeckError, match="this teacher is an ensemble. Take the engine 'pytorch'"):
        TranslationTeacher((trained, trained), subwords, 32, engine="ctranslate2", device=CPU)
    quick = TranslationTeacher((trained,), subwords, 32, engine="ctranslate2", device=CPU)
    monkeypatch.setitem(sys.modules, "ctranslate2", None)
    with pytest.raises(
        LimbeckError, match=r"CTranslate2 is not installed. Run pip install 'limbeck\[ctranslate2\]'"
    ):
        quick.decode(toy(2), BEAM)
    monkeypatch.undo()
    with pytest.raises(LimbeckError, match="Sample with the engine 'pytorch'"):
        quick.decode(toy(2), Decoding(search="sampling"))


# Models for many languages.

SMALL = {
    "d_model": 16,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "encoder_ffn_dim": 16,
    "decoder_ffn_dim": 16,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "max_position_embeddings": 64,
    "forced_eos_token_id": None,
    "init_std": 0.5,
    "pad_token_id": 1,
    "bos_token_id": 0,
    "eos_token_id": 2,
    "decoder_start_token_id": 2,
}
PIECES = [("<unk>", 0.0), ("<s>", 0.0), ("</s>", 0.0), ("▁", -3.0)] + [
    (f"▁{w}", -2.0) for w in ENGLISH + GERMAN
]


def save_m2m(folder: Path) -> M2M100ForConditionalGeneration:
    sentencepiece = pytest.importorskip(
        "sentencepiece", reason="an extra: pip install 'limbeck[translation]'"
    )

    from transformers import M2M100Tokenizer  # which imports sentencepiece

    lines = iter([example.text for example in toy(100)] + [example.targets[0] for example in toy(100)])
    with (folder / "spm.model").open("wb") as file:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=lines, model_writer=file, vocab_size=40, minloglevel=2
        )
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(folder / "spm.model"))
    names = ["<s>", "<pad>", "</s>", "<unk>", *(pieces.id_to_piece(n) for n in range(3, 40))]
    (folder / "vocab.json").write_text(json.dumps({name: number for number, name in enumerate(names)}))
    tokeniser = M2M100Tokenizer(str(folder / "vocab.json"), str(folder / "spm.model"))
    tokeniser.save_pretrained(folder)
    return M2M100ForConditionalGeneration(M2M100Config(vocab_size=200, **SMALL))


def save_mbart(folder: Path, kind: type) -> MBartForConditionalGeneration:
    tokeniser = kind(vocab=PIECES)
    tokeniser.save_pretrained(folder)
    return MBartForConditionalGeneration(MBartConfig(vocab_size=len(tokeniser), **SMALL))


@pytest.mark.parametrize(
    ("save", "codes"),
    [
        (save_m2m, ("en", "de")),
        (partial(save_mbart, kind=MBart50Tokenizer), ("en_XX", "de_DE")),
        (partial(save_mbart, kind=MBartTokenizer), ("en_XX", "de_DE")),
    ],
)
def test_a_model_for_many_languages_writes_the_one_that_is_asked_for(
    tmp_path: Path, save: Callable[[Path], PreTrainedModel], codes: tuple[str, str]
) -> None:
    torch.manual_seed(3)
    save(tmp_path).save_pretrained(tmp_path)
    german = TranslationTeacher.load(tmp_path, 32, languages=codes)
    french = TranslationTeacher.load(
        tmp_path, 32, languages=(codes[0], codes[1].replace("de_DE", "fr_XX").replace("de", "fr"))
    )
    assert german.fingerprint != french.fingerprint
    examples, way = toy(8), Decoding(search="greedy", max_length=8)
    assert german.decode(examples, way) != french.decode(examples, way)
    pytest.importorskip("ctranslate2", reason="an extra: pip install 'limbeck[ctranslate2]'")
    quick = TranslationTeacher.load(tmp_path, 32, languages=codes, engine="ctranslate2")
    for (one,), (other,) in zip(quick.decode(examples, way), german.decode(examples, way), strict=True):
        assert one == (other[0], pytest.approx(other[1], abs=1e-3))
    said = german.answer(examples, NEXT_TOKENS)
    assert said.mask is not None
    encoded = german.encode(examples, targets=True)
    assert encoded.targets is not None
    assert said.mask.sum(1).tolist() == encoded.targets.lengths.tolist()
