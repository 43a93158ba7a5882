"""A tiny task: which of two words does the sentence hold more of? And a tiny student with dropout."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from transformers import BertConfig, BertForMaskedLM, BertForSequenceClassification, PreTrainedTokenizerFast

from limbeck import methods
from limbeck.core.objective import NO_GOLD, Batch, Loss, Objective
from limbeck.core.recipe import Training
from limbeck.core.signals import Signals
from limbeck.models.masked_head import head_for
from limbeck.models.shapes import shape_of
from limbeck.text.encode import Encoded
from limbeck.text.tokeniser import word_tokeniser
from limbeck.transfer.tokenwise import TokenAnswers

WORDS = 30


class Gold(Objective):
    needs = frozenset()

    def forward(self, student: Signals, teacher: Signals, batch: Batch) -> Loss:
        losses = torch.nn.functional.cross_entropy(
            student.logits, batch.gold, ignore_index=NO_GOLD, reduction="sum"
        )
        return Loss({"gold": losses}, len(batch.ids))


class Distance(Objective):
    """Logits to logits through a projection: an objective with parameters of its own."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.projection = torch.nn.Parameter(torch.eye(2) + 0.1 * torch.randn(2, 2, generator=generator))

    def forward(self, student: Signals, teacher: Signals, batch: Batch) -> Loss:
        distance = (student.logits @ self.projection - teacher.logits).square().sum()
        return Loss({"distance": distance, "faint": 1e-6 * student.logits.square().sum()}, len(batch.ids))


class Dictionary:
    """Answers from memory, for ids that it knows."""

    def __init__(self, data: Encoded) -> None:
        self.known = {
            name: (-2.0, 2.0) if gold else (2.0, -2.0) for name, gold in zip(data.ids, data.gold, strict=True)
        }

    def signals(self, ids: Any, device: torch.device) -> Signals:
        return Signals(logits=torch.tensor([self.known[name] for name in ids], device=device))


def make_data(size: int, seed: int, longest: int = 12) -> Encoded:
    random = np.random.default_rng(seed)
    lengths = random.integers(3, longest + 1, size)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    tokens = random.integers(2, WORDS, offsets[-1]).astype(np.int32)
    first = np.add.reduceat(tokens < WORDS // 2, offsets[:-1])
    gold = (first * 2 > lengths).astype(np.int64)
    return Encoded(tuple(f"{seed}:{n}" for n in range(size)), tokens, offsets, gold, 0, 0)


def make_student(seed: int = 0, dropout: float = 0.1) -> BertForSequenceClassification:
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=WORDS,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=0.0,
        num_labels=2,
    )
    return BertForSequenceClassification(config)


def make_tokeniser() -> PreTrainedTokenizerFast:
    return word_tokeniser([f"w{n}" for n in range(WORDS - 2)])


def make_settings(**changes: Any) -> Training:
    values = {
        "epochs": 3,
        "learning_rate": 5e-3,
        "tokens_per_batch": 96,
        "clip": 1.0,
        "evaluate": 4,
        **changes,
    }
    return Training(**values)


def score(gold: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    right = float((gold == predicted).mean())
    return {"accuracy": right, "macro_f1": right, "mcc": 2 * right - 1}


def make_masked(student: BertForSequenceClassification) -> dict[str, Any]:
    """What ``train`` is given for DistilBERT's general stage beside student, data and settings."""
    torch.manual_seed(7)
    teacher = BertForMaskedLM(BertConfig(**{**student.config.to_dict(), "num_hidden_layers": 2}))
    tokeniser = make_tokeniser()
    tokeniser.add_special_tokens({"mask_token": f"w{WORDS - 3}"})
    stage = methods.get("distilbert").stages({})[0]
    stage.objective.fit(shape_of(student), shape_of(teacher))
    stage.objective.take_head(head_for(student, teacher.eval()))
    answers = TokenAnswers(teacher, stage.objective.needs)
    more = {"masked": stage.masked, "keeps": stage.keeps, "stage": stage.name}
    return {"tokeniser": tokeniser, "objective": stage.objective, "answers": answers, **more}
