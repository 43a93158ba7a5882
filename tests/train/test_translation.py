"""A translator in the training loop: it learns, dev is scored by what it writes, a teacher is heard live."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import MarianMTModel

from limbeck.core.errors import LimbeckError
from limbeck.core.objective import NO_GOLD
from limbeck.core.recipe import Training
from limbeck.core.signals import Signals
from limbeck.losses.translation_objective import TranslationObjective
from limbeck.models.outputs import answered, say
from limbeck.models.translators.next_tokens import next_tokens
from limbeck.text.encode import Encoded, Targets, collate
from limbeck.text.tokeniser import word_tokeniser
from limbeck.train import loop
from limbeck.train.estimate import seconds_per_step
from limbeck.train.lesson import Lesson
from tiny_translation import END, Heard, make_pairs, make_translator

DATA, DEV = make_pairs(400, seed=1, longest=4), make_pairs(30, seed=2, longest=4)
CPU = torch.device("cpu")


def gold_of(data: Encoded) -> list[tuple[int, ...]]:
    assert data.targets is not None
    return [tuple(row[:-1].tolist()) for row in np.split(data.targets.tokens, data.targets.offsets[1:-1])]


def right(gold: np.ndarray, said: list[tuple[int, ...]]) -> dict[str, float]:
    """Whole sentences that are right."""
    return {"bleu": 100 * float(np.mean([a == b for a, b in zip(said, gold_of(DEV), strict=True)]))}


def train(folder: Path, **changes: Any) -> loop.Trained:
    settings: dict[str, Any] = {
        "epochs": 30,
        "tokens_per_batch": 128,
        "evaluate": 6,
        "metric": "bleu",
        "learning_rate": 1e-2,
        "schedule": "inverse_sqrt",
        "clip": 1.0,
    }
    named = {
        "model": make_translator(width=32),
        "tokeniser": word_tokeniser([str(number) for number in range(20)]),
        "objective": TranslationObjective(0.1),
        "data": DATA,
        "answers": None,
        "dev": DEV,
        "settings": Training(**settings),
        "folder": folder,
        "seed": 1,
        "score": right,
    }
    return loop.train(**{**named, **changes})


def test_a_translator_learns_and_is_kept_by_what_it_writes(tmp_path: Path) -> None:
    model = make_translator(width=32)
    trained = train(tmp_path, model=model)
    assert trained.dev_score > 60  # 75 on average over seeds
    lines = [json.loads(line) for line in (tmp_path / "journal.jsonl").read_text().splitlines()]
    devs = [line for line in lines if line["kind"] == "dev"]
    assert max(line["scores"]["bleu"] for line in devs) == trained.dev_score
    assert devs[-1]["loss"] < 0.5 < devs[0]["loss"]
    again = MarianMTModel.from_pretrained(tmp_path)
    _, said, _ = answered(again, DEV)
    assert right(DEV.gold, said)["bleu"] == trained.dev_score


def test_answers_are_greedy_translations_and_the_loss_is_that_of_transformers() -> None:
    model = make_translator(seed=3).train()
    gold, said, loss = answered(model, DEV)
    assert model.training
    assert (gold == NO_GOLD).all()
    model.eval()
    total, tokens = 0.0, 0
    for row in range(len(DEV)):
        inputs = collate(DEV, np.array([row])).inputs
        with torch.no_grad():
            total += float(model(**inputs).loss) * inputs["labels"].numel()
            written, states = [1], {key: inputs[key] for key in ("input_ids", "attention_mask")}
            while written[-1] != END and len(written) <= 5 + 10:  # the longest of gold, and ten
                logits = model(**states, decoder_input_ids=torch.tensor([written])).logits[0, -1]
                written.append(int(logits.argmax()))
        tokens += inputs["labels"].numel()
        assert said[row] == tuple(token for token in written[1:] if token != END)
    assert loss == pytest.approx(total / tokens, rel=1e-5)


def test_dev_needs_translations(tmp_path: Path) -> None:
    assert DEV.targets is not None
    offsets = DEV.targets.offsets.copy()
    offsets[4] = offsets[3]
    lacking = replace(DEV, targets=Targets(DEV.targets.tokens, offsets))
    with pytest.raises(LimbeckError, match=r"the dev example '2:3' has no translation"):
        train(tmp_path, dev=lacking)


def test_what_a_teacher_says_of_a_batch_is_learnt_row_by_row() -> None:
    student, teacher = make_translator(), make_translator(seed=5)
    objective, rows = TranslationObjective(0.1, word_level=0.5, top_k=5), np.array([7, 1, 4])
    found = Lesson(student, objective, DEV, Heard(teacher, DEV, 5), CPU, "fp32").loss(rows)
    batch = collate(DEV, rows)
    with torch.no_grad():
        together = Signals(next_tokens=next_tokens(teacher, batch.inputs, 5))
    wanted = objective(say(student, batch.inputs, objective.reads), together, batch)
    torch.testing.assert_close(found.total, wanted.total)
    assert found.count == wanted.count == sum(map(len, (gold_of(DEV)[row] for row in rows))) + 3
    found.total.backward()
    assert all(parameter.grad is None for parameter in teacher.parameters())


def test_an_ensemble_is_heard_by_its_mean() -> None:
    members, inputs = [make_translator(seed) for seed in (5, 6)], collate(DEV, np.arange(3)).inputs
    first, *others = members
    said = [next_tokens(first, inputs, 24, others), *(next_tokens(one, inputs, 24) for one in members)]
    by_token = [one.log_probabilities.exp().gather(1, one.ids.argsort(1)) for one in said]
    torch.testing.assert_close(by_token[0], (by_token[1] + by_token[2]) / 2)


def test_a_students_step_is_estimated() -> None:
    model, settings = make_translator(), Training(tokens_per_batch=128)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    assert DATA.targets is not None
    assert 0 < seconds_per_step(model, DATA.lengths, settings, targets=DATA.targets.lengths) < 5
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
