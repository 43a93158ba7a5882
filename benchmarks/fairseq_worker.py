"""fairseq's side of ``against_fairseq.py``, a process of its own, for fairseq lives in an environment of its own.

Reads one JSON object a line from stdin and answers each with one on stdout, until stdin ends; imports nothing of
Limbeck. Every request says what to ``do`` and with what, by name:

- ``build``: a model, task, criterion and optimiser of a ``kind`` and size; so far one at a time.
- ``step``: a training step on a ``batch`` of pairs of token ids; the ``seconds`` it took, and those of the ``update``.
- ``decode``: ``sources``, one at a time, in so many ``passes`` each (one number a source); the ``seconds`` of each, how
  many ``calls`` of the decoder's layers it took, and how many ``tokens`` it gave.

Ids 0 to 4 are special on both sides, and others never: fairseq has start, padding, end and unknown token at 0 to 3.
Batches are padded before the clock starts, as fairseq's loader does in a process of its own.
"""

from __future__ import annotations

import copy
import gc
import json
import os
import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any

LENGTHS: dict[str, Any] = {"pred_length_offset": True, "length_loss_factor": 0.1}
KINDS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "vanilla": ("nonautoregressive_transformer", "full_mask", LENGTHS),
    "inat": ("iterative_nonautoregressive_transformer", "full_mask", {**LENGTHS, "dae_ratio": 0.5}),
    "maskt": ("cmlm_transformer", "random_mask", LENGTHS),
    "insertion": ("insertion_transformer", "random_delete", {}),
    "levenshtein": ("levenshtein_transformer", "random_delete", {}),
}
"""Architecture, noise and further flags, as fairseq's ``examples/nonautoregressive_translation/scripts.md`` has them;
but as in Limbeck, lengths are differences to the source's in ``cmlm_transformer`` too, and a later pass of training in
``iterative_nonautoregressive_transformer`` reads the likeliest tokens, and draws none (no ``stochastic_approx``)."""
SURE = 1e4
"""Added to a score that shall be the highest."""
SPECIAL = 4
"""Ids below are special in fairseq's dictionary."""
Ids = Sequence[int]


class Fairseq:
    """A model with what trains it, and a copy of it that decodes.

    Args:
        kind: One of ``KINDS``.
        shape: ``layers``, ``width``, ``heads`` and ``feed_forward``, of encoder and decoder alike.
        vocabulary: Pieces, special ones included.
        training: ``dropout``, ``label_smoothing``, ``learning_rate``, ``weight_decay``, ``clip``, and ``train_step``:
            decoder runs of a step of ``inat``.
    """

    def __init__(self, kind: str, shape: dict[str, int], vocabulary: int, training: dict[str, float]) -> None:
        from fairseq.criterions.nat_loss import LabelSmoothedDualImitationCriterion
        from fairseq.models import ARCH_CONFIG_REGISTRY, ARCH_MODEL_REGISTRY
        from fairseq.optim.adam import FairseqAdam, FairseqAdamConfig
        from fairseq.tasks.translation_lev import TranslationLevenshteinConfig, TranslationLevenshteinTask

        architecture, noise, flags = KINDS[kind]
        self.kind, self.training = kind, training
        self.words = dictionary(vocabulary)
        self.task = TranslationLevenshteinTask(
            TranslationLevenshteinConfig(noise=noise), self.words, self.words
        )
        chosen = Namespace(**flags, **named(shape), **training)
        ARCH_CONFIG_REGISTRY[architecture](chosen)
        self.model = ARCH_MODEL_REGISTRY[architecture].build_model(chosen, self.task)
        self.criterion = LabelSmoothedDualImitationCriterion(self.task, training["label_smoothing"])
        settings = FairseqAdamConfig(
            adam_betas="(0.9, 0.999)", weight_decay=training["weight_decay"], lr=[training["learning_rate"]]
        )
        self.optimizer = FairseqAdam(settings, list(self.model.parameters()))
        self.decoder: Decoder | None = None

    @property
    def parameters(self) -> int:
        """Weights, each counted once."""
        return sum(weight.numel() for weight in self.model.parameters())

    def step(self, batch: Sequence[tuple[Ids, Ids]]) -> dict[str, float]:
        """A training step as fairseq's trainer takes it, without its logging."""
        sample = collated(self.words, batch)
        start = perf_counter()
        self.optimizer.zero_grad()
        self.task.train_step(sample, self.model, self.criterion, self.optimizer, 0)
        middle = perf_counter()
        self.optimizer.clip_grad_norm(self.training["clip"])
        self.optimizer.step()
        end = perf_counter()
        return {"seconds": end - start, "update": end - middle}

    def decode(self, sources: Sequence[Ids], passes: Sequence[int]) -> dict[str, list[Any]]:
        """Translations of sources, one at a time."""
        if self.decoder is None:
            self.decoder = Decoder(self.kind, copy.deepcopy(self.model), self.words)
        found = [self.decoder(source, count) for source, count in zip(sources, passes, strict=True)]
        return {name: [each[name] for each in found] for name in found[0]}


class Decoder:
    """A model that decodes in a given number of passes, and whose canvases have given sizes.

    An untrained model says anything, so what decides how much is left to do is replaced once it is computed: lengths
    are the sources'; no special token is written, so every slot of the insertion transformer gets a token; and the
    Levenshtein transformer deletes every other token and asks for as many new ones as the source has more.
    """

    def __init__(self, kind: str, model: Any, words: Any) -> None:
        self.words, self.model = words, model.eval()
        self.model.make_generation_fast_(need_attn=False)  # as fairseq-generate does
        self.wanted = self.calls = 0
        decoder: Any = model.decoder
        decoder.extract_features = self._counted(decoder.extract_features)
        decoder.output_layer = self._changed(decoder.output_layer, without_special)
        if hasattr(decoder, "embed_length"):
            decoder.forward_length = self._changed(decoder.forward_length, without_difference)
        if kind == "levenshtein":
            decoder.forward_word_del = self._changed(decoder.forward_word_del, every_other)
            decoder.forward_mask_ins = self._with_placeholders(decoder.forward_mask_ins)

    def __call__(self, source: Ids, passes: int) -> dict[str, float]:
        """The translation of a source."""
        from fairseq.iterative_refinement_generator import IterativeRefinementGenerator

        generator = IterativeRefinementGenerator(self.words, max_iter=passes - 1, adaptive=False)
        sample = collated(self.words, [(source, source)])
        self.wanted, self.calls = len(source), 0
        start = perf_counter()
        found = generator.generate([self.model], sample)
        seconds = perf_counter() - start
        return {"seconds": seconds, "calls": self.calls, "tokens": len(found[0][0]["tokens"]) - 2}

    def _counted(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **kwargs: Any) -> Any:
            self.calls += 1
            return function(*args, **kwargs)

        return counted

    def _changed(self, function: Callable[..., Any], change: Callable[[Any], None]) -> Callable[..., Any]:
        """The same, whose scores are changed in place."""

        def changed(*args: Any, **kwargs: Any) -> Any:
            said = function(*args, **kwargs)
            change(said[0] if isinstance(said, tuple) else said)
            return said

        return changed

    def _with_placeholders(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The same, which asks for as many as tokens are missing, spread over the slots."""

        def asking(*args: Any, prev_output_tokens: Any, **kwargs: Any) -> Any:
            said = function(*args, prev_output_tokens=prev_output_tokens, **kwargs)
            slots = int(prev_output_tokens.ne(self.words.pad()).sum()) - 1  # what was deleted is padding now
            each, more = divmod(self.wanted - (slots - 1), slots)
            said[0][0, :more, each + 1] += SURE  # (1, slots, counts)
            said[0][0, more:slots, each] += SURE
            return said

        return asking


def without_special(scores: Any) -> None:
    """No special token: ``(rows, places, vocabulary)``."""
    scores[..., :SPECIAL] = -SURE


def without_difference(scores: Any) -> None:
    """The length of the source: ``(rows, classes)``."""
    scores[:, scores.shape[1] // 2] += SURE


def every_other(scores: Any) -> None:
    """Delete the first, the third, and so on, after the start token: ``(1, places, 2)``."""
    scores[:, 1::2, 1] += SURE
    scores[:, 2::2, 0] += SURE


def dictionary(size: int) -> Any:
    """One of so many pieces, whose names do not matter."""
    from fairseq.data import Dictionary

    words = Dictionary()
    for number in range(len(words), size):
        words.add_symbol(f"piece{number}")
    return words


def collated(words: Any, pairs: Sequence[tuple[Ids, Ids]]) -> dict[str, Any]:
    """A batch as the task's own data set pads it, start and end around each text."""
    import torch
    from fairseq.data.language_pair_dataset import collate

    def framed(ids: Ids) -> Any:
        return torch.tensor([words.bos(), *ids, words.eos()])

    samples = [
        {"id": number, "source": framed(source), "target": framed(target)}
        for number, (source, target) in enumerate(pairs)
    ]
    batch: dict[str, Any] = collate(samples, pad_idx=words.pad(), eos_idx=words.eos())
    return batch


def named(shape: dict[str, int]) -> dict[str, Any]:
    """A shape under fairseq's names."""
    layers = shape["layers"]
    sides = {
        f"{side}_{name}": shape[key]
        for side in ("encoder", "decoder")
        for name, key in {
            "layers": "layers",
            "embed_dim": "width",
            "attention_heads": "heads",
            "ffn_embed_dim": "feed_forward",
        }.items()
    }
    return {
        **sides,
        "share_all_embeddings": True,
        "early_exit": f"{layers},{layers},{layers}",
        "max_source_positions": 1024,
        "max_target_positions": 1024,
    }


def main() -> None:
    """Answer until nobody asks."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # fairseq prints, and what it prints is no answer
    import fairseq
    import torch

    torch.set_num_threads(1)
    gc.disable()
    side: Any = None
    for line in sys.stdin:
        request = json.loads(line)
        do = request.pop("do")
        if do == "build":
            torch.manual_seed(1)
            side = Fairseq(**request)
            answer = {
                "parameters": side.parameters,
                "fairseq": fairseq.__version__,
                "torch": torch.__version__,
            }
        else:
            answer = getattr(side, do)(**request)
        gc.collect()
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
