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
from limbeck.losses.translation_objective import TranslationObjective
from limbeck.models.outputs import answered
from limbeck.models.translators.next_tokens import next_tokens
from limbeck.text.encode import Encoded, Targets, collate
from limbeck.text.tokeniser import word_tokeniser
from limbeck.train import loop
from limbeck.train.estimate import seconds_per_step
from limbeck.train.lesson import Lesson
from limbeck.transfer.tokenwise import NextTokenAnswers
from tiny_translation import END, make_pairs, make_translator

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
        "epochs": 45,
        "tokens_per_batch": 256,
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
    assert trained.dev_score > 80
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


class Stored:
    """Next tokens by example, as a store gives them: those of a batch's rows, one row after the other."""

    def __init__(self, teacher: MarianMTModel, data: Encoded) -> None:
        rows = {id: collate(data, np.array([row])).inputs for row, id in enumerate(data.ids)}
        with torch.no_grad():
            self.known = {id: next_tokens(teacher, inputs, 5) for id, inputs in rows.items()}

    def signals(self, ids: Any, device: torch.device) -> Any:
        from limbeck.core.signals import NextTokens, Signals

        said = [self.known[id] for id in ids]
        parts = ((one.ids, one.log_probabilities) for one in said)
        return Signals(next_tokens=NextTokens(*(torch.cat(each) for each in zip(*parts, strict=True))))


def test_a_teacher_says_the_same_live_and_stored() -> None:
    student, teacher = make_translator(), make_translator(seed=5)
    objective = TranslationObjective(0.1, word_level=0.5, top_k=5)
    rows = np.array([7, 1, 4])
    losses = [
        Lesson(student, objective, DEV, answers, CPU, "fp32").loss(rows)
        for answers in (NextTokenAnswers([teacher], 5), Stored(teacher, DEV))
    ]
    torch.testing.assert_close(losses[0].total, losses[1].total)
    assert losses[0].count == losses[1].count == sum(map(len, (gold_of(DEV)[row] for row in rows))) + 3
    losses[0].total.backward()
    assert all(parameter.grad is None for parameter in teacher.parameters())


def test_an_ensemble_is_heard_live_by_its_mean() -> None:
    members, inputs = [make_translator(seed) for seed in (5, 6)], collate(DEV, np.arange(3)).inputs
    heard = NextTokenAnswers(members, 24).on(inputs).next_tokens
    assert heard is not None
    alone = [NextTokenAnswers([member], 24).on(inputs).next_tokens for member in members]
    by_token = [one.log_probabilities.exp().gather(1, one.ids.argsort(1)) for one in (heard, *alone)]
    torch.testing.assert_close(by_token[0], (by_token[1] + by_token[2]) / 2)


def test_a_students_step_is_estimated() -> None:
    model, settings = make_translator(), Training(tokens_per_batch=128)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    assert DATA.targets is not None
    assert 0 < seconds_per_step(model, DATA.lengths, settings, targets=DATA.targets.lengths) < 5
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
