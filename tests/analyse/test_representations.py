"""States of tiny models of every kind: one pass gives what encoding apart gives, and the store goes on where it was cut."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification, GPT2Config, GPT2Model

from conftest import BAD, GOOD, PLAIN
from limbeck import models
from limbeck.analyse.cka import cka_matrix
from limbeck.analyse.representations import Representations
from limbeck.analyse.similarity import layers_alike
from limbeck.analyse.states import ModelEncoder, States, VectorEncoder
from limbeck.core.errors import LimbeckError
from limbeck.models.heads import encoder_with_tag_head
from limbeck.text.tokeniser import load_tokeniser, word_tokeniser
from limbeck.transfer.store import AnswerStore

CLOSE = {"rtol": 2e-3, "atol": 2e-3}
"""Of float16."""


def sentences(count: int, seed: int = 0) -> list[tuple[str, ...]]:
    chooser = random.Random(seed)
    return [tuple(chooser.choices([*GOOD, *BAD, *PLAIN], k=chooser.randint(1, 12))) for _ in range(count)]


SENTENCES = sentences(40)


def tokeniser_of(kind: str, encoder: Path) -> Any:
    """The encoder's; one that knows of pairs for who reads nothing else."""
    if kind == "siamese":
        return word_tokeniser([*GOOD, *BAD, *PLAIN], lowercase=True, punctuation=True, sides=True)
    return load_tokeniser(encoder)


def student(encoder: Path, kind: str, task: Any = "classification", **keys: Any) -> Any:
    tokeniser = tokeniser_of(kind, encoder)
    settings = models.settings_for(kind, {"embeddings": "random", "dimension": 8, **keys}, task=task)
    labels = ("bad", "good") if task == "classification" else ("O", "B-X")
    return models.build(kind, settings, labels=labels, tokeniser=tokeniser, teacher=None, seed=1, task=task)


MAKERS: dict[str, Callable[[Path], Any]] = {
    "encoder": lambda path: AutoModel.from_pretrained(path),
    "classifier": lambda path: AutoModelForSequenceClassification.from_pretrained(path),
    "tagger": lambda path: encoder_with_tag_head(path, ("O", "B-X"), seed=1),
    "bilstm": lambda path: student(path, "bilstm", hidden=6, layers=2),
    "siamese": lambda path: student(path, "siamese", hidden=6),
    "static": lambda path: student(path, "static"),
    "bilstm tagger": lambda path: student(
        path, "bilstm", "tagging", hidden=6, spelling="cnn", spelling_size=4
    ),
}
WIDTHS = {
    "encoder": (16, 16, 16),
    "classifier": (16, 16, 16),
    "tagger": (16, 16, 16),
    "bilstm": (8, 12, 12),
    "siamese": (8, 12),
    "static": (8,),
    "bilstm tagger": (8, 12),
}


@pytest.fixture(params=MAKERS)
def any_model(request: pytest.FixtureRequest, encoder: Path) -> ModelEncoder:
    torch.manual_seed(0)
    model = MAKERS[request.param](encoder)
    return ModelEncoder(request.param, model, tokeniser_of(request.param, encoder), 64, torch.device("cpu"))


def alone(model: ModelEncoder, words: Sequence[str]) -> States:
    _, states = next(model.read([tuple(words)]))
    return states


def test_one_pass_is_what_each_sentence_alone_is(any_model: ModelEncoder, tmp_path: Path) -> None:
    assert any_model.widths == WIDTHS[any_model.name]
    states = Representations(any_model, AnswerStore(tmp_path))
    assert states.fill(SENTENCES, SENTENCES[:7]) == len(set(SENTENCES))
    pooled = states.of(SENTENCES)
    spans = [(n, ((0, len(words)),)) for n, words in enumerate(SENTENCES[:7])]
    spanned = states.of_spans(SENTENCES[:7], spans)
    for row in (0, 3, 6):
        said = alone(any_model, SENTENCES[row])
        for layer in states.layers:
            for how in any_model.poolings:
                expected = said.pooled(layer, how)[0].numpy()
                np.testing.assert_allclose(pooled.layer(layer, how)[row], expected, **CLOSE)
            mean = said.of_words(layer)[0, : len(SENTENCES[row])].mean(0).numpy()
            np.testing.assert_allclose(spanned.layer(layer)[row], mean, **CLOSE)


def test_tasks_one_after_the_other_read_only_what_is_new(any_model: ModelEncoder, tmp_path: Path) -> None:
    together, apart = (Representations(any_model, AnswerStore(tmp_path / name)) for name in ("one", "two"))
    together.fill(SENTENCES)
    first, second = SENTENCES[:25], SENTENCES[15:]
    assert apart.fill(first) == len(set(first))
    assert apart.fill(second) == len(set(second) - set(first))
    assert apart.fill(SENTENCES) == 0
    for how in any_model.poolings:
        ours, theirs = (each.of(SENTENCES).layer(0, how) for each in (together, apart))
        np.testing.assert_allclose(ours, theirs, **CLOSE)


def test_poolings_are_what_they_are_called(encoder: Path) -> None:
    model = ModelEncoder("m", AutoModel.from_pretrained(encoder), load_tokeniser(encoder), 64)
    said = alone(model, SENTENCES[0])
    states = said.layers[2][0]
    assert torch.allclose(said.pooled(2, "mean")[0], states.mean(0), atol=1e-6)
    assert torch.equal(said.pooled(2, "max")[0], states.amax(0))
    assert torch.equal(said.pooled(2, "first")[0], states[0])
    assert model.poolings == ("mean", "max", "first")


def test_the_last_state_of_two_ways_has_read_all(encoder: Path) -> None:
    bilstm = student(encoder, "bilstm", hidden=6, pooling="last")
    model = ModelEncoder("m", bilstm, load_tokeniser(encoder), 64)
    said = alone(model, SENTENCES[0])
    summary, _ = bilstm.read(bilstm.eval().embedded(said.inputs.ids), said.inputs.mask)
    assert torch.allclose(said.pooled(1, "last"), summary, atol=1e-6)
    assert "first" not in model.poolings


def test_models_that_read_one_way_are_summed_up_by_the_last_token(encoder: Path) -> None:
    gpt = GPT2Model(GPT2Config(n_layer=1, n_head=2, n_embd=8, vocab_size=64, n_positions=64))
    model = ModelEncoder("gpt", gpt, load_tokeniser(encoder), 64)
    assert model.poolings == ("mean", "max", "last")
    states = next(iter(model.read(SENTENCES[:3])))[1]
    assert torch.equal(states.pooled(1, "last")[0], states.layers[1][0, states.inputs.mask[0].sum() - 1])


class Killed(Exception):
    pass


def test_a_killed_pass_goes_on_where_it_was_cut(
    encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = ModelEncoder("m", AutoModel.from_pretrained(encoder), load_tokeniser(encoder), 64)
    many = sentences(600, seed=5)
    whole = ModelEncoder.read
    batches = 0

    def cut(self: ModelEncoder, asked: Sequence[tuple[str, ...]]) -> Iterator[Any]:
        nonlocal batches
        for each in whole(self, asked):
            if batches == 4:
                raise Killed
            batches += len(asked) > 1
            yield each

    monkeypatch.setattr(ModelEncoder, "read", cut)
    states = Representations(model, AnswerStore(tmp_path / "cut", shard_rows=50))
    with pytest.raises(Killed):
        states.fill(many)
    monkeypatch.setattr(ModelEncoder, "read", whole)
    again = Representations(model, AnswerStore(tmp_path / "cut", shard_rows=50))
    kept = len(again.pooled)
    assert 0 < kept < len(set(many))
    assert again.fill(many) == len(set(many)) - kept
    fresh = Representations(model, AnswerStore(tmp_path / "other"))
    fresh.fill(many)
    np.testing.assert_allclose(again.of(many).layer(2, "mean"), fresh.of(many).layer(2, "mean"), **CLOSE)
    assert AnswerStore(tmp_path / "cut").verify() == ()
    assert {entry.signal for entry in AnswerStore(tmp_path / "cut").list()} == {"pooled"}


def test_other_weights_are_another_model(encoder: Path, tmp_path: Path) -> None:
    store = AnswerStore(tmp_path)
    base = AutoModel.from_pretrained(encoder)
    Representations(ModelEncoder("m", base, load_tokeniser(encoder), 64), store).fill(SENTENCES)
    with torch.no_grad():
        next(base.parameters()).add_(0.1)
    changed = Representations(ModelEncoder("m", base, load_tokeniser(encoder), 64), store)
    assert changed.fill(SENTENCES) == len(set(SENTENCES))


def test_words_that_were_cut_off_are_noughts(encoder: Path, tmp_path: Path) -> None:
    model = ModelEncoder("m", AutoModel.from_pretrained(encoder), load_tokeniser(encoder), max_length=5)
    words = ("the", "film", "was", "warm", "and", "dull")
    states = Representations(model, AnswerStore(tmp_path))
    states.fill((), [words])
    found = states.of_spans([words], [(0, ((place, place + 1),)) for place in range(6)]).layer(1)
    assert (found[:3] != 0).any(1).all()
    assert (found[3:] == 0).all()


def test_pairs_of_spans_stand_side_by_side(encoder: Path, tmp_path: Path) -> None:
    model = ModelEncoder("m", AutoModel.from_pretrained(encoder), load_tokeniser(encoder), 64)
    states = Representations(model, AnswerStore(tmp_path))
    states.fill((), SENTENCES[:1])
    single = states.of_spans(SENTENCES[:1], [(0, ((0, 1),))]).layer(2)
    pair = states.of_spans(SENTENCES[:1], [(0, ((0, 1), (0, 1)))]).layer(2)
    assert pair.shape == (1, 32)
    assert np.array_equal(pair, np.concatenate([single, single], axis=1))


def test_word_vectors_are_a_model_of_one_layer(tmp_path: Path) -> None:
    (tmp_path / "vectors.txt").write_text("film 1 2\nwarm 3 -4\n", encoding="utf-8")
    model = VectorEncoder(tmp_path / "vectors.txt")
    states = Representations(model, AnswerStore(tmp_path / "store"))
    asked = [("Film", "warm"), ("nothing",)]
    states.fill(asked, asked)
    assert states.of(asked).layer(0, "mean").tolist() == [[2, -1], [0, 0]]
    assert states.of(asked).layer(0, "max").tolist() == [[3, 2], [0, 0]]
    assert states.of_spans(asked, [(0, ((1, 2),))]).layer(0).tolist() == [[3, -4]]


def test_a_model_is_most_like_itself(encoder: Path, tmp_path: Path) -> None:
    model = ModelEncoder("m", AutoModel.from_pretrained(encoder), load_tokeniser(encoder), 64)
    states = Representations(model, AnswerStore(tmp_path))
    states.fill(SENTENCES, SENTENCES)
    for over in ("mean", None):
        alike = layers_alike(states, states, SENTENCES, over).cka  # type: ignore[arg-type]
        assert alike.shape == (3, 3)
        assert alike.diagonal() == pytest.approx(np.ones(3))
        assert (alike <= 1).all()


def test_words_that_a_model_cut_off_are_not_compared(encoder: Path, tmp_path: Path) -> None:
    """Both models have noughts for them, which would make any two models alike."""
    tokeniser, long = load_tokeniser(encoder), [words * 4 for words in SENTENCES]
    torch.manual_seed(5)
    config = AutoConfig.from_pretrained(encoder)
    models = [AutoModel.from_config(config), AutoModel.from_pretrained(encoder)]
    short, whole = (
        [
            Representations(ModelEncoder(f"m{n}", model, tokeniser, length), AnswerStore(tmp_path))
            for n, model in enumerate(models)
        ]
        for length in (8, 64)
    )
    for states in (*short, *whole):
        states.fill((), long)
    spans = [(row, ((place, place + 1),)) for row, words in enumerate(long) for place in range(len(words))]
    layers = [[states.of_spans(long, spans).layer(n) for n in states.layers] for states in short]
    read = layers[0][0].any(1)
    assert 0.1 < read.mean() < 0.7
    wanted = cka_matrix(*([each[read] for each in of_one] for of_one in layers))
    assert layers_alike(short[0], short[1], long, None).cka == pytest.approx(wanted)
    assert layers_alike(short[0], whole[1], long, None).cka.max() < 1


def test_what_cannot_be_had_is_told(encoder: Path, tmp_path: Path) -> None:
    model = ModelEncoder("m", AutoModel.from_pretrained(encoder), load_tokeniser(encoder), 64)
    with pytest.raises(LimbeckError, match="none of these poolings means anything"):
        Representations(model, AnswerStore(tmp_path), ["last"])
    states = Representations(model, AnswerStore(tmp_path))
    with pytest.raises(LimbeckError, match="not read yet"):
        states.of(SENTENCES)
    with torch.no_grad():
        next(model.model.parameters()).fill_(float("nan"))
    with pytest.raises(LimbeckError, match="not finite"):
        Representations(
            ModelEncoder("m", model.model, load_tokeniser(encoder), 64), AnswerStore(tmp_path)
        ).fill(SENTENCES)
