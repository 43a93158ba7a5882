"""Toys for parallel students: a word-for-word translation that is read backwards, and how well it is learnt."""

from __future__ import annotations

import numpy as np
import torch
from sacrebleu import corpus_bleu
from tokenizers import Tokenizer, models as pieces
from transformers import PreTrainedTokenizerFast

from limbeck.core.decoding import Decoding
from limbeck.core.objective import NO_GOLD, Batch
from limbeck.core.signals import Signals
from limbeck.losses.translation_objective import TranslationObjective
from limbeck.text.subwords import Subwords

SPECIAL = ("<pad>", "<s>", "</s>", "<unk>", "<mask>")
END = 2
WORDS = 95


def tokeniser_of(words):
    vocabulary = {piece: number for number, piece in enumerate([*SPECIAL, *words])}
    names = dict(
        zip(("pad_token", "bos_token", "eos_token", "unk_token", "mask_token"), SPECIAL, strict=True)
    )
    backend = Tokenizer(pieces.WordLevel(vocabulary, unk_token="<unk>"))
    return PreTrainedTokenizerFast(tokenizer_object=backend, **names)


def vocabulary(source=WORDS, target=None):
    """Words of both sides, joint where only one number is given."""
    one = tokeniser_of([f"w{number}" for number in range(source)])
    other = one if target is None else tokeniser_of([f"v{number}" for number in range(target)])
    return Subwords(one, other, joint=target is None)


def padded(rows, value):
    width = max(map(len, rows))
    return torch.tensor([[*row, *[value] * (width - len(row))] for row in rows])


def batch_of(pairs, pad=0):
    """Inputs for pairs of lists of ids without their end tokens."""
    sources, targets = zip(*pairs, strict=True)
    sources, targets = [[*row, END] for row in sources], [[*row, END] for row in targets]
    mask = padded([[1] * len(row) for row in sources], 0)
    return {
        "input_ids": padded(sources, pad),
        "attention_mask": mask,
        "labels": padded(targets, NO_GOLD),
    }


def toy_pairs(count=64, seed=1, again=True):
    """A word-for-word translation, read backwards, with its first third said again (or not): 1 to 16 tokens."""
    generator = np.random.default_rng(seed)
    translation = generator.permutation(WORDS) + len(SPECIAL)
    pairs = []
    for length in generator.integers(1, 13, count):
        words = generator.choice(WORDS, length, replace=False)
        whole = translation[words]
        pairs.append(
            ((words + len(SPECIAL)).tolist(), [*whole[::-1].tolist(), *whole[: length // 3 * again].tolist()])
        )
    return pairs


def learnt(student, pairs, steps, rate=2e-3, decoding=Decoding(candidates=3)):  # noqa: B008 - it is frozen
    """BLEU of a student after some steps on pairs; it must say the same in batches of a quarter of them and alone."""
    student.train()
    optimiser = torch.optim.Adam(student.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min((step + 1) / 40, (1 - step / steps) + 0.05)
    )
    inputs, objective = batch_of(pairs), TranslationObjective(0.0)
    batch = Batch(tuple(map(str, range(len(pairs)))), inputs, torch.full((len(pairs),), NO_GOLD))
    for _ in range(steps):
        loss = objective(Signals(guesses=student.guesses(inputs)), Signals(), batch)
        optimiser.zero_grad()
        (loss.total / loss.count).backward()
        optimiser.step()
        schedule.step()
    student.eval()
    quarters = [pairs[start::4] for start in range(4)]
    batched = {
        tuple(source): found
        for quarter in quarters
        for (source, _), found in zip(quarter, student.decode(batch_of(quarter), decoding), strict=True)
    }
    alone = [student.decode(batch_of([pair]), decoding)[0].tokens for pair in pairs]
    assert alone == [batched[tuple(source)].tokens for source, _ in pairs]
    said, wanted = ([" ".join(map(str, row)) for row in rows] for rows in (alone, [b for _, b in pairs]))
    return corpus_bleu(said, [wanted], tokenize="none", force=True).score
