"""Masked-LM rewriting: candidates against an oracle, draws, provenance, and what a kill leaves."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.text.clean import text_key
from limbeck.text.letters import word_spans
from limbeck.transfer.candidates import Guesses, Neighbours, Slot, find_slots
from limbeck.transfer.rewrites import rewrite, settings_for
from limbeck.transfer.rewrites.masked_lm import Settings, Shards, put_in
from limbeck.transfer.transfer_set import TransferSet

STOP = frozenset({"the", "a", "is", "of"})
TEXTS = [
    "The film is lovely, the plot dull.",
    "a warm , clever story of the end",
    "unlovely dullness of films !",
    "music",
    "of the",
    "",
    "zebra actor",
    "poor  scene\tof 3d music isn't bright",
]


def examples(texts: list[str]) -> tuple[Example, ...]:
    return tuple(Example(f"t:{n}", text, "x", f"t:{n}") for n, text in enumerate(texts))


def words_of(slots: list[Slot], text: str) -> dict[str, tuple[str, ...]]:
    return {text[slot.start : slot.end]: slot.candidates for slot in slots}


# ---------------------------------------------------------------- the oracle: NumPy, one sentence and mask at a time


def erf(x: NDArray[np.float64]) -> NDArray[np.float64]:
    from math import erf as one

    return np.vectorize(one, otypes=[float])(x)


class Bert:
    """BERT and its masked-LM head from the weights' file, in float64."""

    def __init__(self, folder: Path) -> None:
        import json

        from safetensors.numpy import load_file

        self.w = {
            name: value.astype(float) for name, value in load_file(folder / "model.safetensors").items()
        }
        vocab = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
        self.ids, self.tokens = vocab, {n: token for token, n in vocab.items()}

    def linear(self, x: NDArray[Any], name: str) -> NDArray[Any]:
        return x @ self.w[f"{name}.weight"].T + self.w[f"{name}.bias"]

    def norm(self, x: NDArray[Any], name: str) -> NDArray[Any]:
        centred = x - x.mean(-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-12)
        return scaled * self.w[f"{name}.weight"] + self.w[f"{name}.bias"]

    def scores(self, pieces: list[str], position: int) -> NDArray[np.float64]:
        """Scores of the vocabulary where a sentence's piece (from nought) is masked."""
        ids = [2, *(self.ids.get(piece, 1) for piece in pieces), 3]
        ids[position + 1] = 4
        e = "bert.embeddings"
        x = self.w[f"{e}.word_embeddings.weight"][ids] + self.w[f"{e}.position_embeddings.weight"][: len(ids)]
        x = self.norm(x + self.w[f"{e}.token_type_embeddings.weight"][0], f"{e}.LayerNorm")
        for layer in (f"bert.encoder.layer.{n}" for n in range(2)):
            q, k, v = (
                self.linear(x, f"{layer}.attention.self.{name}").reshape(len(ids), 2, 8).swapaxes(0, 1)
                for name in ("query", "key", "value")
            )
            weights = np.exp(q @ k.swapaxes(1, 2) / np.sqrt(8))
            heads = (weights / weights.sum(-1, keepdims=True) @ v).swapaxes(0, 1).reshape(len(ids), 16)
            x = self.norm(
                x + self.linear(heads, f"{layer}.attention.output.dense"),
                f"{layer}.attention.output.LayerNorm",
            )
            inner = self.linear(x, f"{layer}.intermediate.dense")
            inner = inner * (1 + erf(inner / np.sqrt(2))) / 2
            x = self.norm(x + self.linear(inner, f"{layer}.output.dense"), f"{layer}.output.LayerNorm")
        head = self.linear(x[position + 1], "cls.predictions.transform.dense")
        head = self.norm(head * (1 + erf(head / np.sqrt(2))) / 2, "cls.predictions.transform.LayerNorm")
        return head @ self.w[f"{e}.word_embeddings.weight"].T + self.w["cls.predictions.bias"]

    def guesses(self, pieces: list[str], position: int, count: int) -> set[str]:
        scores = self.scores(pieces, position)
        ranked = [self.tokens[int(n)] for n in np.argsort(-scores)]
        good = [t for t in ranked if t.isalpha() and t not in STOP and t != pieces[position]]
        return set(good[:count])


def nearest(path: Path, word: str, count: int) -> set[str]:
    """The nearest words of a file of vectors, one comparison at a time."""
    table = {
        line.split(" ")[0]: np.array(line.split(" ")[1:], dtype=float)
        for line in path.read_text().splitlines()
    }
    mine = table[word]

    def cosine(other: str) -> float:
        return float(mine @ table[other] / np.linalg.norm(mine) / np.linalg.norm(table[other]))

    others = [w for w in table if w.isalpha() and w not in STOP and w.lower() != word.lower()]
    return set(sorted(others, key=cosine, reverse=True)[:count])


# ---------------------------------------------------------------- candidates


def test_single_pieces_get_the_models_best_guesses(masked_lm: Path) -> None:
    oracle = Bert(masked_lm)
    slots = find_slots(TEXTS, Guesses.load(str(masked_lm), STOP, 32, None), None, STOP, 4)
    found = [words_of(one, text) for one, text in zip(slots, TEXTS, strict=True)]
    sentence = ["the", "film", "is", "lovely", ",", "the", "plot", "dull", "."]
    assert list(found[0]) == ["film", "lovely", "plot", "dull"]
    for word, candidates in found[0].items():
        assert set(candidates) == oracle.guesses(sentence, sentence.index(word), 4)
        assert list(candidates) == sorted(candidates) and len(candidates) == 4
    last = ["poor", "scene", "of", "[UNK]", "music", "[UNK]", "'", "[UNK]", "bright"]
    for word, candidates in found[7].items():
        assert set(candidates) == oracle.guesses(last, last.index(word), 4)
    assert list(found[7]) == ["poor", "scene", "music", "bright"]
    # "films" is a piece of its own; words of several pieces, and unknown ones, have no guesses.
    assert list(found[2]) == ["films"]
    assert list(found[6]) == ["actor"]
    assert found[4] == found[5] == {}


def test_other_words_get_the_nearest_by_vectors(masked_lm: Path, vectors: Path) -> None:
    from limbeck.models.vectors import open_vectors

    near = Neighbours(open_vectors(vectors), STOP)
    guesses = Guesses.load(str(masked_lm), STOP, 32, None)
    both = [words_of(s, t) for s, t in zip(find_slots(TEXTS, guesses, near, STOP, 3), TEXTS, strict=True)]
    alone = [words_of(s, t) for s, t in zip(find_slots(TEXTS, None, near, STOP, 3), TEXTS, strict=True)]
    for word in ("unlovely", "dullness"):
        assert set(both[2][word]) == set(alone[2][word]) == nearest(vectors, word, 3)
    assert set(alone[2]["films"]) == nearest(vectors, "films", 3) != set(both[2]["films"])
    assert set(both[6]["zebra"]) == nearest(vectors, "zebra", 3)
    assert set(alone[0]["film"]) == nearest(vectors, "film", 3)
    assert "Film" not in alone[0]["film"]
    few = Neighbours(open_vectors(vectors), STOP, vocabulary=4).find(["film", "zebra"], 9)
    assert few == {"film": ("films", "plot", "scene")}


def test_a_text_is_read_by_itself_whatever_the_batch(masked_lm: Path, vectors: Path) -> None:
    given: dict[str, Any] = {
        "model": str(masked_lm),
        "vectors": str(vectors),
        "candidates": 5,
        "max_length": 32,
    }
    ways = [list(Settings(**given, tokens_per_batch=n).rewrite(examples(TEXTS))) for n in (1, 7, 64, None)]
    assert ways[0] and all(way == ways[0] for way in ways)
    alone = [new for one in examples(TEXTS) for new in Settings(**given).rewrite([one])]
    assert alone == ways[0]
    backwards = list(Settings(**given).rewrite(examples(TEXTS)[::-1]))
    assert sorted(new.id for new in backwards) == sorted(new.id for new in ways[0])
    assert {new.id: new.text for new in backwards} == {new.id: new.text for new in ways[0]}


def test_words_past_the_end_stay(masked_lm: Path, vectors: Path) -> None:
    text = "film plot scene actor music"
    settings = Settings(model=str(masked_lm), vectors=str(vectors), max_length=4)
    slots = Shards(settings, None).slots([text])[0]
    assert [text[slot.start : slot.end] for slot in slots] == ["film", "plot"]
    long = " ".join(["film"] * 100)  # longer than the model can read
    assert len(Shards(Settings(model=str(masked_lm)), None).slots([long])[0]) == 30


def test_byte_level_pieces(tmp_path: Path) -> None:
    """RoBERTa's tokens begin a word where they begin with a space, and stand for bytes."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast, RobertaConfig, RobertaForMaskedLM

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=330,
        special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    backend.train_from_iterator(["a café film", "the café plot", "one café film plot"] * 50, trainer)
    names = {"bos": "<s>", "pad": "<pad>", "eos": "</s>", "unk": "<unk>", "mask": "<mask>"}
    PreTrainedTokenizerFast(
        tokenizer_object=backend, **{f"{name}_token": token for name, token in names.items()}
    ).save_pretrained(tmp_path)
    torch.manual_seed(0)
    config = RobertaConfig(
        vocab_size=backend.get_vocab_size(),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=40,
    )
    RobertaForMaskedLM(config).save_pretrained(tmp_path)
    text = "one café, plot"
    guesses = Guesses.load(str(tmp_path), frozenset(), 32, None)
    assert {"café", "film", "plot"} <= set(guesses.lexicon.words)
    assert not any("Ġ" in word or "Ã" in word for word in guesses.lexicon.words)
    found = words_of(find_slots([text], guesses, None, frozenset(), 3)[0], text)
    assert {"café", "plot"} <= set(found)
    assert all("café" not in candidates for word, candidates in found.items() if word == "café")


def test_words_are_runs_of_letters() -> None:
    text = "Café 😀 isn't 'good', 3d well-made हिन्दी  n't ok."
    assert [text[slice(*span)] for span in word_spans(text)] == ["Café", "well", "made", "हिन्दी", "ok"]


# ---------------------------------------------------------------- copies


def test_a_word_is_replaced_as_often_as_asked_and_by_each_candidate_alike() -> None:
    text = "one two three"
    slots = [Slot(0, 3, ("a", "b", "c", "d")), Slot(4, 7, ("x", "y"))]
    settings = Settings(vectors="none", copies=1, probability=0.4)
    made = [list(settings.copies_of(Example(f"n:{n}", text), {text: slots})) for n in range(6000)]
    assert all(len(one) == 1 for one in made)
    words = [new.text.split() for one in made for new in one]
    assert abs(sum(row[0] != "one" for row in words) / 6000 - 0.4) < 0.02
    assert abs(sum(row[1] != "two" for row in words) / 6000 - 0.4) < 0.02
    assert abs(sum(row[0] != "one" and row[1] != "two" for row in words) / 6000 - 0.16) < 0.02
    for letter in "abcd":
        assert abs(sum(row[0] == letter for row in words) / 6000 - 0.1) < 0.015
    assert {row[2] for row in words} == {"three"}


def test_copies_are_told_apart_and_say_where_they_are_from(vectors: Path) -> None:
    settings = Settings(vectors=str(vectors), copies=300, candidates=2, stop_words=["OF", "the"])
    old = examples(["film of the plot", "Film, plot", "of the"])
    drawn = list(settings.rewrite(old))
    by_id = {example.id: example for example in old}
    assert len({new.id for new in drawn}) == len(drawn) == 900
    made = rewrite(TransferSet(old, ("x",)), [settings]).transfer_set.examples[3:]
    assert set(made) <= set(drawn)
    for new in made:
        source = by_id[new.id.partition("/")[0]]
        assert new.origin == f"masked_lm of {source.id}"
        assert new.gold is None
        assert text_key(new.text) != text_key(source.text)
    for source in old:
        texts = [text_key(new.text) for new in made if new.id.startswith(f"{source.id}/")]
        assert len(set(texts)) == len(texts)
    assert not any(new.id.startswith("t:2/") for new in made)
    assert all(new.text[0].isupper() and ", " in new.text for new in made if new.id.startswith("t:1/"))
    # Three words for each of two, but for the sentence itself.
    assert len([new for new in made if new.id.startswith("t:0/")]) == 8
    # Another seed draws otherwise.
    other = list(settings.model_copy(update={"seed": 1, "copies": 3}).rewrite(old))
    assert [new.text for new in other] != [
        new.text for new in settings.model_copy(update={"copies": 3}).rewrite(old)
    ]


def test_nothing_between_words_is_touched() -> None:
    slots = [Slot(1, 4, ("new",)), Slot(6, 9, ("word",))]
    assert put_in("\tOne, two\n", slots, [0, -1]) == "\tNew, two\n"
    assert put_in("\tOne, two\n", slots, [-1, 0]) == "\tOne, word\n"


def test_each_text_once_and_none_of_dev_or_test(vectors: Path) -> None:
    settings = Settings(vectors=str(vectors), copies=20, candidates=2)
    before = TransferSet(examples(["film plot", "plot film", "FILM  scene"]), ("x", "y"))
    free = rewrite(before, [settings]).transfer_set
    unseen = [Example("d:1", free.examples[3].text.upper(), "x")]
    after = rewrite(before, [settings], {"test": unseen}).transfer_set
    keys = [text_key(example.text) for example in after]
    assert len(set(keys)) == len(keys) and text_key(unseen[0].text) not in keys
    assert after.examples[:3] == before.examples


def test_a_sketch_is_about_as_large(masked_lm: Path, vectors: Path) -> None:
    settings = Settings(model=str(masked_lm), vectors=str(vectors))
    old = examples(TEXTS)
    before = TransferSet(old, ("x",))
    made, sketched = (
        len(rewrite(before, [settings], sketch=way).transfer_set) - len(old) for way in (False, True)
    )
    assert 0.8 * made < sketched < 1.25 * made
    assert settings.seconds(old) > 0


# ---------------------------------------------------------------- shards, and what is refused


def test_finished_shards_are_not_asked_again(
    masked_lm: Path, vectors: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from limbeck.transfer.rewrites import masked_lm as module

    monkeypatch.setattr(module, "SHARD", 2)
    settings = Settings(model=str(masked_lm), vectors=str(vectors))
    straight = list(settings.rewrite(examples(TEXTS)))
    asked: list[tuple[str, ...]] = []
    find = module.find_slots

    def counted(texts: Any, *others: Any) -> Any:
        if len(asked) == 2 and not (tmp_path / "go").exists():
            raise KeyboardInterrupt
        asked.append(tuple(texts))
        return find(texts, *others)

    monkeypatch.setattr(module, "find_slots", counted)
    with pytest.raises(KeyboardInterrupt):
        list(settings.rewrite(examples(TEXTS), tmp_path / "cache"))
    (tmp_path / "go").touch()
    assert list(settings.rewrite(examples(TEXTS), tmp_path / "cache")) == straight
    assert list(itertools.chain(*asked)) == [text for text in TEXTS if text]
    # Other draws of the same candidates ask nothing; other candidates do.
    again = settings.model_copy(update={"seed": 3, "copies": 2, "tokens_per_batch": 9})
    assert list(again.rewrite(examples(TEXTS), tmp_path / "cache")) == list(again.rewrite(examples(TEXTS)))
    asked.clear()
    list(again.rewrite(examples(TEXTS), tmp_path / "cache"))
    assert asked == []
    list(settings.model_copy(update={"candidates": 2}).rewrite(examples(TEXTS), tmp_path / "cache"))
    assert len(asked) == 4


def test_equal_texts_are_asked_once(vectors: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from limbeck.transfer.rewrites import masked_lm as module

    asked: list[str] = []
    find = module.find_slots

    def counted(texts: Any, *others: Any) -> Any:
        asked.extend(texts)
        return find(texts, *others)

    monkeypatch.setattr(module, "find_slots", counted)
    made = list(Settings(vectors=str(vectors), copies=3).rewrite(examples(["film plot", "film plot"])))
    assert asked == ["film plot"]
    assert {new.id.partition("/")[0] for new in made} == {"t:0", "t:1"}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, "'rewrite.masked_lm': give 'model', 'vectors' or both"),
        ({"model": "m", "words": "w"}, "'vectors' names none"),
        ({"vectors": "v", "probability": 0}, "'rewrite.masked_lm.probability'"),
        ({"vectors": "v", "copeis": 3}, "unknown key 'rewrite.masked_lm.copeis'. Did you mean 'copies'?"),
        ({"vectors": "v", "stop_words": "german"}, "'rewrite.masked_lm.stop_words'"),
    ],
)
def test_wrong_settings_are_told(values: dict[str, Any], words: str) -> None:
    with pytest.raises(LimbeckError) as caught:
        settings_for("masked_lm", values)
    assert words in str(caught.value)


def test_what_cannot_be_loaded_is_told(encoder: Path, tmp_path: Path) -> None:
    for given, words in (
        ({"model": str(encoder)}, "comes without a masked-LM head"),
        ({"model": str(tmp_path)}, "no tokeniser can be loaded"),
        ({"vectors": str(tmp_path / "none.txt")}, "'rewrite.masked_lm.vectors': no such file"),
    ):
        with pytest.raises(LimbeckError, match=words):
            list(Settings(**given).rewrite(examples(["film plot"])))
