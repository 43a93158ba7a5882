"""A masked language model with pieces of words, and word vectors, both tiny."""

from pathlib import Path

import numpy as np
import pytest

from tiny_bert import bert_config, word_pieces

SENTENCE = (
    "film films plot scene actor lovely dull bright cold warm clever story music end great poor rich limp"
)
WORDS = SENTENCE.split()
PIECES = ["##ly", "##ness", "##s", "un", "dis"]
STOP = ["the", "a", "is", "of", ",", ".", "!"]


def save_masked_lm(folder: Path) -> Path:
    """A random BertForMaskedLM of 2 layers by 16, whose word pieces spell some words in several."""
    import torch
    from transformers import BertForMaskedLM

    tokeniser = word_pieces([*WORDS, *PIECES, *STOP], max_length=32)
    tokeniser.save_pretrained(folder)
    torch.manual_seed(0)
    config = bert_config(len(tokeniser), max_position_embeddings=32, initializer_range=0.5)
    BertForMaskedLM(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def masked_lm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_masked_lm(tmp_path_factory.mktemp("masked_lm"))


@pytest.fixture(scope="session")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random vectors of 5 numbers, in GloVe's text format, of words the model knows and of some it does not."""
    path = tmp_path_factory.mktemp("vectors") / "vectors.txt"
    generator = np.random.default_rng(0)
    words = [*WORDS, "unlovely", "dullness", "zebra", "the", "of", "Film", "3d", "filmed", ","]
    lines = [" ".join([word, *(f"{value:.4f}" for value in generator.normal(size=5))]) for word in words]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
