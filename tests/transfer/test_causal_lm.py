"""Causal-LM rewriting: draws against an oracle of single steps, training, provenance, what a kill leaves."""

import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.models.causal_lm import causal_tokeniser, continued, load_causal_lm, save_new_causal_lm
from limbeck.train import adapt as training
from limbeck.train.adapt import adapt
from limbeck.transfer.rewrites import causal_lm, rewrite
from limbeck.transfer.rewrites.causal_lm import Settings
from limbeck.transfer.transfer_set import TransferSet

WORDS = [["film", "plot", "scene", "actor"], ["was", "is", "felt"], ["lovely", "dull", "warm", "cold"]]
SMALL: dict[str, Any] = {
    "dimension": 16,
    "layers": 1,
    "heads": 2,
    "vocabulary": 320,
    "max_length": 24,
    "samples": 3,
    "epochs": 2,
    "learning_rate": 0.02,
    "train_tokens_per_batch": 256,
}


def examples(count: int = 40) -> tuple[Example, ...]:
    draws = random.Random(0)
    return tuple(
        Example(f"t:{n}", " ".join(["the", *map(draws.choice, WORDS)]), "x", f"t:{n}") for n in range(count)
    )


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gpt")
    texts = [one.text for one in examples(200)]
    save_new_causal_lm(texts, folder, vocabulary=320, dimension=16, layers=2, heads=2, positions=24, seed=1)
    return folder


@pytest.mark.parametrize(("temperature", "top_k"), [(1.0, None), (0.5, 7)])
def test_draws_are_those_of_one_text_and_token_at_a_time(
    model: Path, temperature: float, top_k: int | None
) -> None:
    lm, tokeniser = load_causal_lm(model), causal_tokeniser(model)
    openings = [row[:-1] for row in tokeniser(["the", "", "the film", "a"]).input_ids]
    numbers = [np.random.default_rng(n).random((2, 12)) for n in range(4)]
    asked: dict[str, Any] = {"max_length": 12, "temperature": temperature, "top_k": top_k}
    found = continued(lm, tokeniser, openings, numbers, **asked)
    for opening, rows, texts in zip(openings, numbers, found, strict=True):
        for uniform, text in zip(rows, texts, strict=True):
            ids = list(opening)
            while len(ids) < 12 and (len(ids) == len(opening) or ids[-1] != tokeniser.eos_token_id):
                with torch.no_grad():
                    scores = lm(torch.tensor([ids])).logits[0, -1].double().numpy() / temperature
                scores[[n for n in tokeniser.all_special_ids if n != tokeniser.eos_token_id]] = -np.inf
                ranked = np.argsort(-scores)[:top_k] if top_k else np.arange(len(scores))
                chances = np.exp(scores[ranked] - scores.max())
                place = np.searchsorted(np.cumsum(chances) / chances.sum(), uniform[len(ids) - len(opening)])
                ids.append(int(ranked[place]))
            assert text == tokeniser.decode(ids, skip_special_tokens=True).strip()
    assert continued(lm, tokeniser, openings, numbers, tokens_per_batch=1, **asked) == found


def test_it_learns_the_text_and_writes_more_of_it(tmp_path: Path) -> None:
    ours = Settings(**SMALL | {"dimension": 32, "epochs": 100, "learning_rate": 0.01})
    made = [new for new in ours.rewrite(examples(200), tmp_path, adapt) if new]
    told = [training.read_json(path)["after"] for path in tmp_path.glob("*-tuned/adapted.json")]
    assert len(told) == 1 and told[0] < 1.0
    good = {f"the {a} {b} {c}" for a in WORDS[0] for b in WORDS[1] for c in WORDS[2]}
    assert sum(new.text in good for new in made) > 0.5 * len(made)
    assert all(new.gold is None and new.origin == f"causal_lm of {new.id.partition('/')[0]}" for new in made)


def test_a_named_model_and_the_same_again_in_any_order(model: Path, tmp_path: Path) -> None:
    ours, old = Settings(**SMALL, model=str(model), opening=2, shortest=3), examples()
    assert ours.reads == (str(model),)
    made = list(ours.rewrite(old, tmp_path, adapt))
    assert made == list(ours.rewrite(old, None, adapt))
    rest = rewrite(TransferSet(old, ("x",)), [ours], tune=adapt).made[0]
    assert rest.drawn == len(made) == 3 * len(old)
    assert rest.dropped["unfit"] == made.count(None) > 0
    for new in filter(None, made):
        opening = old[int(new.id.partition("/")[0][2:])].text.split()[:2]
        assert new.text.startswith(" ".join(opening)) and len(new.text.split()) >= 3
    author = causal_lm.Author.load(model, ours)
    openings = ours._openings(old)
    assert author.texts_of(openings[::-1])[::-1] == author.texts_of(openings)


def test_a_killed_rewriting_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, old = Settings(**SMALL), examples()
    straight = list(ours.rewrite(old, None, adapt))
    monkeypatch.setattr(causal_lm, "SHARD", 16)
    texts_of, asked = causal_lm.Author.texts_of, []

    def killed(self: Any, some: Any) -> Any:
        if len(asked) == 2:
            asked.append(())
            raise KeyboardInterrupt
        asked.append([one.name for one in some])
        return texts_of(self, some)

    monkeypatch.setattr(causal_lm.Author, "texts_of", killed)
    with pytest.raises(KeyboardInterrupt):
        list(ours.rewrite(old, tmp_path, adapt))
    trained = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*/model.safetensors")}
    assert list(ours.rewrite(old, tmp_path, adapt)) == straight
    assert asked[3] == [one.id for one in old[32:]]
    assert trained == {path: path.stat().st_mtime_ns for path in tmp_path.glob("*/model.safetensors")}
    assert len(trained) == 2


def test_of_a_pair_one_text_is_written_at_a_time(model: Path, tmp_path: Path) -> None:
    pairs = tuple(
        Example(one.id, one.text, "x", second=other.text)
        for one, other in zip(examples(), examples(80)[40:], strict=True)
    )
    ours = Settings(**SMALL | {"samples": 5}, model=str(model), opening=2)
    made = list(ours.rewrite(pairs, tmp_path, adapt))
    by_id = {one.id: one for one in pairs}
    sides = set()
    for new in filter(None, made):
        old = by_id[new.id.partition("/")[0]]
        first = int(new.id.rpartition("-")[2]) % 2 == 1
        kept, written = ("second", "text") if first else ("text", "second")
        assert getattr(new, kept) == getattr(old, kept)
        assert getattr(new, written).startswith(" ".join(getattr(old, written).split()[:2]))
        sides.add(written)
    assert sides == {"text", "second"}
    assert list(ours.rewrite(pairs, None, adapt)) == made
    # The first texts are drawn as they are without a second.
    alone = Settings(**SMALL | {"samples": 3}, model=str(model), opening=2)
    author = causal_lm.Author.load(model, alone)
    firsts = [one for one in ours._openings(pairs) if "\x1d" not in one.name]
    assert author.texts_of(firsts) == author.texts_of(alone._openings(examples()))


def test_sketch_and_dev() -> None:
    ours, before = Settings(**SMALL), TransferSet(examples(), ("x",))
    sketched = rewrite(before, [ours], sketch=True).transfer_set
    assert 2 * 40 < len(sketched) - 40 <= 3 * 40
    assert ours.seconds(before.examples) > 0
    free = rewrite(before, [ours], tune=adapt).transfer_set
    unseen = [Example("d", free.examples[-1].text.upper())]
    assert len(rewrite(before, [ours], {"dev": unseen}, tune=adapt).transfer_set) == len(free) - 1
    with pytest.raises(LimbeckError, match="nothing to train its model with"):
        list(ours.rewrite(examples()))


def test_what_a_step_costs_is_told_of_a_model_that_reads_less_than_is_asked(
    model: Path, tmp_path: Path
) -> None:
    shutil.copytree(model, tmp_path / "short")
    config = AutoConfig.from_pretrained(model)
    config.n_positions = 6
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path / "short")
    ours = Settings(**SMALL, model=str(tmp_path / "short"))
    assert ours.seconds([Example("1", "the film was good and the story was bad", "x")]) > 0
    assert ours.seconds([Example("1", "", "x")]) == 0


def test_bad_models_are_told(tmp_path: Path, encoder: Path) -> None:
    with pytest.raises(LimbeckError, match="no causal language model can be loaded"):
        load_causal_lm(tmp_path)
    with pytest.raises(LimbeckError, match="no token for the end of a text"):
        causal_tokeniser(encoder)
    with pytest.raises(ValueError, match="must divide"):
        Settings(heads=3)
