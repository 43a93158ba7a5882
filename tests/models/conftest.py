"""A tiny teacher and its tokeniser, made here: no download."""

from __future__ import annotations

import pytest
import torch
from transformers import BertForSequenceClassification, PreTrainedModel, PreTrainedTokenizerFast

from tiny_bert import bert_config, word_pieces

WORDS = [
    "a",
    "the",
    "film",
    "movie",
    "was",
    "is",
    "very",
    "good",
    "bad",
    "fine",
    "dull",
    ",",
    ".",
    "!",
    "not",
    "at",
    "all",
    "##s",
    "##ly",
    "great",
    "story",
    "long",
]
LABELS = ("bad", "good", "so-so")
TEXTS = [
    "the film was very good",
    "bad",
    "",
    "not at all a dull story , the movie was fine !",
    "films",
    "zyzzyva",
]


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def texts() -> list[str]:
    return TEXTS


@pytest.fixture(scope="session")
def labels() -> tuple[str, ...]:
    return LABELS


@pytest.fixture(scope="session")
def tokeniser() -> PreTrainedTokenizerFast:
    return word_pieces(WORDS, max_length=32)


@pytest.fixture(scope="session")
def teacher(tokeniser) -> PreTrainedModel:
    torch.manual_seed(0)
    config = bert_config(
        len(tokeniser),
        num_hidden_layers=4,
        id2label=dict(enumerate(LABELS)),
        label2id={label: number for number, label in enumerate(LABELS)},
    )
    return BertForSequenceClassification(config).eval()
