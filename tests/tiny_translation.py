"""A made-up language pair (each word has a number, a translation is the words' numbers plus one, backwards), and a tiny
transformer that can learn it."""

import numpy as np
import torch
from transformers import MarianConfig, MarianMTModel

from limbeck.core.objective import NO_GOLD
from limbeck.text.encode import Encoded, Targets

PIECES, FIRST, END = 24, 5, 2
"""Ids below FIRST are special: <pad> 0, <s> 1, </s> 2, <unk> 3, <mask> 4."""


def flat(rows: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])])
    return np.concatenate(rows).astype(np.int32), offsets


def make_pairs(size: int, seed: int, longest: int = 6) -> Encoded:
    random = np.random.default_rng(seed)
    words = [
        random.integers(FIRST, PIECES - 1, random.integers(1, longest + 1)).tolist() for _ in range(size)
    ]
    tokens, offsets = flat([[*row, END] for row in words])
    targets = Targets(*flat([[*(word + 1 for word in reversed(row)), END] for row in words]))
    ids = tuple(f"{seed}:{number}" for number in range(size))
    return Encoded(ids, tokens, offsets, np.full(size, NO_GOLD), 0, 0, targets=targets)


def make_translator(seed: int = 0, width: int = 16, dropout: float = 0.0) -> MarianMTModel:
    torch.manual_seed(seed)
    config = MarianConfig(
        vocab_size=PIECES,
        max_position_embeddings=64,
        encoder_layers=1,
        decoder_layers=1,
        d_model=width,
        encoder_ffn_dim=2 * width,
        decoder_ffn_dim=2 * width,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        dropout=dropout,
        activation_function="relu",
        scale_embedding=True,
        init_std=width**-0.5,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=END,
        decoder_start_token_id=1,
        forced_eos_token_id=None,
    )
    return MarianMTModel(config).eval()
