"""Adapt: a language model trained on plain text: a masked-LM head for an encoder without one, or a causal LM.

Tokens are masked as BERT's are (:mod:`limbeck.train.masking`). The head ends in the encoder's own embeddings. A causal
LM guesses every token but the first from those before it.
Every step is a function of the seed and its number, as in :mod:`limbeck.train.loop`, so that training taken up from
its checkpoint ends with the same weights.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from limbeck.core import fingerprint, progress
from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.files import DONE, StepFolder, read_json, write_json
from limbeck.core.objective import NO_GOLD
from limbeck.core.recipe import Training
from limbeck.models.causal_lm import causal_tokeniser, load_causal_lm
from limbeck.models.masked_lm import load_masked_lm, logits_at, mask_id
from limbeck.models.outputs import evaluating
from limbeck.models.student import longest_input, readable
from limbeck.text import resources
from limbeck.text.batching import batches
from limbeck.text.clean import text_key
from limbeck.text.encode import Encoded, collate, encode
from limbeck.text.tokeniser import load_tokeniser
from limbeck.train import checkpoint
from limbeck.train.lesson import uses_bf16
from limbeck.train.loop import save_model
from limbeck.train.masking import Masker
from limbeck.train.optimiser import adamw, finish_gradient, gradients
from limbeck.train.schedule import groups, learning_rate, total_steps
from limbeck.train.settled import deterministic, seed_step

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

HELD_OUT, MOST_HELD_OUT = 0.1, 1000
"""Share of the sentences that the loss is told on, and the most of them."""
UNSEEN = 0.1
"""What is added to each token's count, so that none is impossible."""
CHECKPOINT, FACTS = "checkpoint.safetensors", "adapted.json"


@dataclass(frozen=True, slots=True)
class Adapted:
    """How it went; ``adapted.json`` holds the same.

    Attributes:
        before: Mean loss of a guessed token in held-out text before training, in nats.
        after: The same afterwards.
        sentences: Trained on.
        held_out: Sentences that these losses are on.
        steps: Optimiser steps taken.
        seconds: Wall clock, over all sittings.
    """

    before: float
    after: float
    sentences: int
    held_out: int
    steps: int
    seconds: float


def adapt(
    encoder: str,
    texts: Sequence[str],
    folder: Path,
    settings: Training,
    *,
    whole: bool = True,
    max_length: int = 128,
    seed: int = 1,
    causal: bool = False,
) -> Adapted:
    """Train a masked-LM head, and leave model and tokeniser in a folder that ``AutoModelForMaskedLM`` loads.

    Called again after an interruption, it goes on from the last checkpoint; once done, it does nothing.

    Args:
        encoder: A folder, ``package:NAME/FOLDER``, or a name on the hub; with a masked-LM head or without one.
        texts: Plain sentences; of those equal but for case and spaces the first is taken.
        folder: Receives the model.
        settings: Passes, learning rate, batches; no evaluations are made on the way, so nothing picks weights.
        whole: Train the encoder along; else the head alone, which a few times as many steps a minute do not make good.
        max_length: Tokens read of a sentence, special tokens included.
        seed: Of the head's start, the held-out sentences, batches, masks and dropout.
        causal: Train a causal LM, which ``AutoModelForCausalLM`` loads, in place of a masked one.

    Raises:
        LimbeckError: There is no such encoder, too little text, a loss that is not finite, or the folder is there
            and holds something else.
    """
    distinct = list({text_key(text): text for text in reversed(texts) if text.strip()}.values())[::-1]
    if len(distinct) < 2:
        fix = "Give text of the kind that you have: thousands of sentences, one a line"
        raise LimbeckError(f"{len(distinct)} distinct sentence(s) to train on", fix=fix)
    step = StepFolder(folder)
    if _is_anothers(folder):
        raise LimbeckError(
            "this is there already, and holds something else", where=folder, fix="Name a new folder"
        )
    inputs = {
        "encoder": resources.contents(encoder),
        "texts": fingerprint.of_strings(distinct),
        "settings": settings.model_dump(mode="json", exclude={"checkpoint_seconds"}),
        "others": [whole, max_length, seed, causal],
    }
    if not step.is_done(inputs):
        with step.writing(inputs) as partial, deterministic():
            kind = _CausalAdaptation if causal else _Adaptation
            kind(encoder, distinct, partial, settings, whole, max_length, seed).run()
    return Adapted(**read_json(folder / FACTS))


def _is_anothers(folder: Path) -> bool:
    """Whether something stands there that was not written here, and must not be replaced."""
    if folder.is_dir():
        return any(folder.iterdir()) and not all((folder / name).is_file() for name in (DONE, FACTS))
    return folder.exists()


class _Adaptation:
    """One training; arguments as of :func:`adapt`."""

    def __init__(
        self,
        encoder: str,
        texts: Sequence[str],
        folder: Path,
        settings: Training,
        whole: bool,
        max_length: int,
        seed: int,
    ) -> None:
        self.folder, self.settings, self.whole, self.seed = folder, settings, whole, seed
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.tokeniser, self.model = self._load(encoder)
        self.model.base_model.requires_grad_(whole)
        self.model.eval().to(self.device)
        self.bf16 = uses_bf16(settings.precision, self.device, self.model)
        length = min(max_length, longest_input(self.model) or max_length)
        self.data, self.held_out = _split(self.tokeniser, texts, length, seed)
        _start_at_frequencies(self.model, self.data, self.tokeniser.all_special_ids)

    def _load(self, encoder: str) -> tuple[PreTrainedTokenizerFast, PreTrainedModel]:
        tokeniser = load_tokeniser(encoder)
        mask_id(tokeniser, encoder)
        self.masker = Masker(tokeniser)
        return tokeniser, load_masked_lm(encoder, fresh_head=self.seed)

    def run(self) -> None:
        """All steps from the checkpoint on, and the folder."""
        settings, started = self.settings, time.monotonic()
        steps = total_steps(self.data.lengths, settings)
        optimiser = adamw(self.model, settings.learning_rate, settings.weight_decay)
        first, before, earlier = self._resume(optimiser)
        saved = started
        order = groups(self.data.lengths, settings, settings.accumulate, self.seed, skip=first)
        with progress.task("adapt", steps) as task:
            task.advance(first)
            for step in range(first, steps):
                self._step(optimiser, next(order).rows, step, steps)
                task.advance(1)
                if time.monotonic() - saved >= settings.checkpoint_seconds:
                    saved = time.monotonic()
                    self._save(optimiser, step + 1, before, earlier + saved - started)
        after = self._loss()
        if not np.isfinite(after):
            fix = f"Try a smaller learning rate (it is {settings.learning_rate:g})"
            raise LimbeckError("the loss is not finite", where=self.folder, fix=fix)
        save_model(self.model, self.tokeniser, self.folder)
        seconds = round(earlier + time.monotonic() - started, 3)
        facts = Adapted(before, after, len(self.data), len(self.held_out), steps, seconds)
        write_json(self.folder / FACTS, asdict(facts))
        (self.folder / CHECKPOINT).unlink(missing_ok=True)

    def _step(
        self, optimiser: torch.optim.Optimizer, rows: Sequence[NDArray[np.int64]], step: int, steps: int
    ) -> None:
        settings = self.settings
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(step, steps, settings)
        seed_step(self.seed, step, 0, self.device)
        self.model.train()
        self.model.base_model.train(self.whole)  # a frozen encoder without dropout
        guessed = 0
        for some in rows:
            loss, count = self._guess(self.data, some)
            loss.backward()
            guessed += count
        finish_gradient(gradients(self.model), guessed, settings.clip)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)

    def _guess(self, data: Encoded, rows: NDArray[np.int64]) -> tuple[Tensor, int]:
        """Summed loss of the guessed tokens of a batch, and how many they are."""
        batch = self.masker.masked(collate(data, rows)).to(self.device)
        assert batch.truth is not None
        places = batch.truth != NO_GOLD
        gold = batch.truth[places]
        with self._autocast():
            logits = logits_at(self.model, batch.inputs, places)  # (guessed, vocabulary)
        return functional.cross_entropy(logits.float(), gold, reduction="sum"), len(gold)

    @torch.no_grad()
    def _loss(self) -> float:
        """Mean loss of a guessed token in held-out text, under the same masks at every call, in nats."""
        total, count = 0.0, 0
        with evaluating(self.model):
            for number, rows in enumerate(batches(self.held_out.lengths, self.settings.tokens_per_batch)):
                seed_step(self.seed, number, 1, self.device)
                loss, guessed = self._guess(self.held_out, rows)
                total, count = total + float(loss), count + guessed
        return total / max(1, count)

    def _autocast(self) -> AbstractContextManager[None]:
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.bf16)

    def _save(self, optimiser: torch.optim.Optimizer, step: int, before: float, seconds: float) -> None:
        tensors = {
            "model": checkpoint.tensors_of(self.model),
            "optimiser": checkpoint.optimiser_tensors(optimiser, self.model),
        }
        checkpoint.write(
            self.folder / CHECKPOINT, tensors, {"step": step, "before": before, "seconds": seconds}
        )

    def _resume(self, optimiser: torch.optim.Optimizer) -> tuple[int, float, float]:
        """Steps taken, the loss before them, and their seconds, of the checkpoint or from the start."""
        path = self.folder / CHECKPOINT
        if not path.is_file():
            return 0, self._loss(), 0.0
        tensors, kept = checkpoint.read(path)
        checkpoint.put_back(checkpoint.tensors_of(self.model), tensors["model"])
        checkpoint.put_back_optimiser(optimiser, self.model, tensors.get("optimiser", {}))
        return int(kept["step"]), float(kept["before"]), float(kept["seconds"])


class _CausalAdaptation(_Adaptation):
    """The same of a causal LM."""

    def _load(self, encoder: str) -> tuple[PreTrainedTokenizerFast, PreTrainedModel]:
        return causal_tokeniser(encoder), load_causal_lm(encoder)

    def _guess(self, data: Encoded, rows: NDArray[np.int64]) -> tuple[Tensor, int]:
        inputs = collate(data, rows).to(self.device).inputs
        there = inputs["attention_mask"][:, 1:].bool()
        gold = inputs["input_ids"][:, 1:][there]
        with self._autocast():
            logits = self.model(**readable(self.model, inputs)).logits[:, :-1][there]  # (guessed, vocabulary)
        return functional.cross_entropy(logits.float(), gold, reduction="sum"), len(gold)


@torch.no_grad()
def _start_at_frequencies(model: PreTrainedModel, data: Encoded, never: Sequence[int]) -> None:
    """A fresh head begins with how frequent tokens are, so that its steps go into what the context tells.

    Special tokens, which are never guessed, count as unseen.
    """
    bias = getattr(model.get_output_embeddings(), "bias", None)
    if bias is not None and not bias.any():
        counts = np.bincount(data.tokens, minlength=len(bias)) + UNSEEN
        counts[list(never)] = UNSEEN
        logs = np.log(counts / counts.sum())
        bias.copy_(torch.from_numpy(logs - logs.mean()))


def _split(
    tokeniser: PreTrainedTokenizerFast, texts: Sequence[str], max_length: int, seed: int
) -> tuple[Encoded, Encoded]:
    """Sentences to train on, and some held out."""
    order = np.random.default_rng(seed).permutation(len(texts))
    cut = min(max(1, round(HELD_OUT * len(texts))), MOST_HELD_OUT)

    def encoded(numbers: NDArray[np.int64]) -> Encoded:
        examples = [Example(str(number), texts[number]) for number in sorted(numbers)]
        return encode(tokeniser, examples, None, max_length)

    data, held_out = encoded(order[cut:]), encoded(order[:cut])
    if data.truncated:
        progress.warn(
            f"{data.truncated:,} of {len(data):,} sentences are longer than {max_length} tokens, and were cut"
        )
    return data, held_out
