"""Adapt: a head that guesses better than before, in a folder that transformers loads; the same after a kill."""

import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModel, AutoModelForMaskedLM, AutoTokenizer

from limbeck.core.errors import LimbeckError
from limbeck.core.recipe import Training
from limbeck.models.masked_lm import load_masked_lm, logits_at
from limbeck.train import adapt as module
from limbeck.train.adapt import adapt

QUICK: dict[str, Any] = {"epochs": 3, "learning_rate": 0.01, "tokens_per_batch": 128}
GOOD, PLAIN = ["lovely", "bright", "warm"], ["film", "plot", "scene", "actor"]


def sentences(count: int) -> list[str]:
    generator = random.Random(0)
    return [f"the {generator.choice(PLAIN)} was {generator.choice(GOOD)} {n}" for n in range(count)]


def weights(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


@pytest.mark.parametrize("whole", [False, True])
def test_it_learns_and_transformers_loads_it(encoder: Path, tmp_path: Path, whole: bool) -> None:
    out = tmp_path / "out"
    told = adapt(str(encoder), sentences(300), out, Training(**QUICK), whole=whole)
    assert (told.sentences, told.held_out) == (270, 30)
    assert told.after < told.before - (1 if whole else 0.2)
    model, loading = AutoModelForMaskedLM.from_pretrained(out, output_loading_info=True)
    assert not loading["missing_keys"] and not loading["unexpected_keys"]
    tokeniser = AutoTokenizer.from_pretrained(out)
    scores = model(**tokeniser("the [MASK] was lovely", return_tensors="pt")).logits[0, 2]
    assert not whole or tokeniser.decode(scores.argmax()) in PLAIN
    assert model.get_input_embeddings().weight is model.get_output_embeddings().weight
    old, new = AutoModel.from_pretrained(encoder).state_dict(), model.base_model.state_dict()
    assert all(torch.equal(old[name], value) for name, value in new.items()) is not whole
    assert {path.name for path in out.iterdir()} >= {"config.json", "tokenizer.json", "adapted.json"}
    assert not list(out.glob("checkpoint*"))


def test_told_losses_are_those_of_the_model(encoder: Path, tmp_path: Path) -> None:
    """The loss at the end, by transformers' own code from the saved folder, over the same masks."""
    settings = Training(**QUICK)
    told = adapt(str(encoder), sentences(120), tmp_path / "out", settings)
    again = module._Adaptation(str(tmp_path / "out"), sentences(120), tmp_path, settings, False, 128, 1)
    assert again._loss() == pytest.approx(told.after, abs=1e-5)
    total, count = 0.0, 0
    for number, rows in enumerate(module.batches(again.held_out.lengths, settings.tokens_per_batch)):
        module.seed_step(1, number, 1, torch.device("cpu"))
        inputs = dict(module.collate(again.held_out, rows).inputs)
        shown, gold = again.masker.collator.torch_mask_tokens(
            inputs["input_ids"].clone(), torch.isin(inputs["input_ids"], torch.tensor([0, 1, 2, 3, 4]))
        )
        inputs["input_ids"] = shown
        picked = int((gold >= 0).sum())
        if picked:
            total += float(again.model(**inputs, labels=gold).loss.detach()) * picked
        count += picked
    assert told.after == pytest.approx(total / count, abs=1e-4)


def test_a_fresh_head_begins_with_how_frequent_tokens_are(encoder: Path, tmp_path: Path) -> None:
    texts = sentences(100)
    new = module._Adaptation(str(encoder), texts, tmp_path, Training(**QUICK), False, 128, 1)
    counts = Counter(token for token in new.data.tokens.tolist() if token > 4)
    bias = new.model.get_output_embeddings().bias.detach().softmax(0)
    for token, count in counts.items():
        assert float(bias[token]) == pytest.approx(count / sum(counts.values()), rel=0.05)
    assert bias[:5].max() < 0.001
    plain = load_masked_lm(encoder, fresh_head=1)
    assert not plain.get_output_embeddings().bias.any()
    new.model.get_output_embeddings().bias.data.fill_(0)
    flat = new._loss()
    module._start_at_frequencies(new.model, new.data, range(5))
    assert new._loss() < flat - 0.5


SMALL: dict[str, Any] = {
    "vocab_size": 40,
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "max_position_embeddings": 20,
    "pad_token_id": 0,
}


FAMILIES = "albert bert camembert deberta-v2 distilbert electra ernie modernbert mpnet roberta xlm-roberta"


@pytest.mark.parametrize("family", FAMILIES.split())
def test_heads_of_all_families_look_at_single_positions(family: str) -> None:
    small = dict(SMALL)
    if family == "distilbert":
        small = {
            "vocab_size": 40,
            "dim": 16,
            "n_layers": 1,
            "n_heads": 2,
            "hidden_dim": 16,
            "pad_token_id": 0,
        }
    model = AutoModelForMaskedLM.from_config(AutoConfig.for_model(family, **small)).eval()
    ids = torch.tensor([[2, 7, 8, 9, 3], [2, 9, 3, 0, 0]])
    inputs = {"input_ids": ids, "attention_mask": (ids > 0).long()}
    places = ids == 9
    with torch.no_grad():
        assert torch.allclose(logits_at(model, inputs, places), model(**inputs).logits[places], atol=1e-5)


def test_scores_at_places_are_those_of_the_whole_head(encoder: Path) -> None:
    model = load_masked_lm(encoder, fresh_head=3)
    ids = torch.tensor([[2, 7, 8, 9, 3], [2, 9, 3, 0, 0]])
    inputs = {"input_ids": ids, "attention_mask": (ids > 0).long()}
    places = torch.tensor([[False, True, False, True, False], [True, False, False, False, False]])
    with torch.no_grad():
        whole = model(**inputs).logits
        found = logits_at(model, inputs, places)
    assert torch.allclose(found, whole[places], atol=1e-6)
    assert model(**inputs).logits.shape == whole.shape  # the hook is gone


def test_the_same_again_and_after_an_interruption(
    encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts, settings = sentences(200), Training(**QUICK, checkpoint_seconds=0)
    first = adapt(str(encoder), texts, tmp_path / "a", settings, whole=True)
    step, taken = module._Adaptation._step, []

    def interrupted(self: Any, optimiser: Any, rows: Any, number: int, steps: int) -> None:
        if number == first.steps // 2 and not (tmp_path / "go").exists():
            raise KeyboardInterrupt
        taken.append(number)
        step(self, optimiser, rows, number, steps)

    monkeypatch.setattr(module._Adaptation, "_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        adapt(str(encoder), texts, tmp_path / "b", settings, whole=True)
    assert not (tmp_path / "b").exists()
    (tmp_path / "go").touch()
    second = adapt(str(encoder), texts, tmp_path / "b", settings, whole=True)
    assert taken == list(range(first.steps))
    assert weights(tmp_path / "a") == weights(tmp_path / "b")
    assert (second.before, second.after) == (first.before, first.after)
    assert adapt(str(encoder), texts, tmp_path / "b", settings, whole=True) == second
    assert len(taken) == first.steps  # done before
    other = adapt(str(encoder), texts, tmp_path / "c", settings, whole=True, seed=2)
    assert other.before != first.before


def test_bad_input_is_told(encoder: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(LimbeckError, match="holds something else"):
        adapt(str(encoder), sentences(20), tmp_path / "mine", Training(**QUICK))
    assert (tmp_path / "mine" / "thesis.txt").exists()
    with pytest.raises(LimbeckError, match="distinct sentence"):
        adapt(str(encoder), ["one", "One ", ""], tmp_path / "out", Training(**QUICK))
    with pytest.raises(LimbeckError, match="no tokeniser can be loaded"):
        adapt(str(tmp_path / "mine"), sentences(20), tmp_path / "out", Training(**QUICK))
    assert not (tmp_path / "out").exists()
