"""A made-up language pair (each word has a number, a translation is the words' numbers plus one, backwards), and a tiny
transformer that can learn it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from transformers import MarianConfig, MarianMTModel

from limbeck import models
from limbeck.core.decoding import Decoding
from limbeck.core.example import Example
from limbeck.core.objective import NO_GOLD
from limbeck.core.recipe import Export
from limbeck.core.signals import NextTokens, Signals
from limbeck.core.sources import Vocabulary
from limbeck.models.translators import autoregressive
from limbeck.models.translators.export import export_translator
from limbeck.models.translators.next_tokens import next_tokens
from limbeck.text.encode import Encoded, Targets, collate
from limbeck.text.subwords import Subwords

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


class Heard:
    """Next tokens by example, as a teacher and its store give them: those of a batch's rows, one row after the other."""

    def __init__(self, teacher: MarianMTModel, data: Encoded, top_k: int) -> None:
        rows = {id: collate(data, np.array([row])).inputs for row, id in enumerate(data.ids)}
        with torch.no_grad():
            self.known = {id: next_tokens(teacher, inputs, top_k) for id, inputs in rows.items()}

    def signals(self, ids: Sequence[str], device: torch.device) -> Signals:
        parts = ((said.ids, said.log_probabilities) for said in map(self.known.__getitem__, ids))
        return Signals(next_tokens=NextTokens(*(torch.cat(each) for each in zip(*parts, strict=True))))


def write_bundle(folder: Path, texts: Sequence[str], max_length: int, decoding: Decoding) -> Path:
    """Export an untrained translator of these texts that writes word by word."""
    torch.set_num_threads(1)
    examples = [Example(str(number), text, targets=(text[::-1],)) for number, text in enumerate(texts)]
    subwords = Subwords.learn(examples, Vocabulary(size=310))
    model = models.build(
        "autoregressive",
        autoregressive.tiny(),
        labels=(),
        tokeniser=subwords,
        teacher=None,
        seed=2,
        task="translation",
    )
    export_translator(
        model,
        subwords,
        folder,
        texts=texts,
        max_length=max_length,
        decoding=decoding,
        settings=Export(changed=1),
        card={"name": "tiny"},
    )
    return folder
