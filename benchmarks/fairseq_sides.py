"""The two sides of ``against_fairseq.py``: Limbeck in this process, fairseq in one of its own.

Both take training steps and decode, and say how long each took; only one of them computes at a time, on one thread.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch

from limbeck import models
from limbeck.core.decoding import Decoding
from limbeck.core.errors import LimbeckError
from limbeck.core.recipe import Export
from limbeck.losses.translation_objective import TranslationObjective
from limbeck.models.translators.export import export_translator
from limbeck.models.translators.passes import PassStudent, TorchPasses
from limbeck.models.weights import learnt
from limbeck.pipeline.costs import ENGINES
from limbeck.serve.decoders import PassByPass
from limbeck.serve.opening import open_bundle
from limbeck.serve.passes import Loop, OnnxPasses, Passes, source_lengths
from limbeck.serve.translator import TranslatorBundle
from limbeck.text.encode import Encoded
from limbeck.text.subwords import SPECIAL, Subwords
from limbeck.train.lesson import Lesson
from limbeck.train.optimiser import RowGradients, adamw, finish_gradient, gradients
from limbeck.train.settled import deterministic

WORKER = Path(__file__).parent / "fairseq_worker.py"
PYTORCH = "pytorch"
ENGINES_TIMED = (PYTORCH, *ENGINES)
MAX_LENGTH = 256
"""More than any canvas here has places."""
SURE = 1e9
Ids = Sequence[int]


@dataclass(frozen=True)
class Decoded:
    """How sources were decoded, one number a source.

    Attributes:
        seconds: Each took.
        calls: Of the decoder's layers.
        tokens: That it gave.
    """

    seconds: list[float]
    calls: list[int]
    tokens: list[int]


# ------------------------------------------------------------ fairseq


class Fairseq:
    """A process that runs fairseq's own code; a context manager, which ends it.

    Args:
        python: Of an environment that has fairseq.
        log: What fairseq says besides its answers.
    """

    def __init__(self, python: str, log: Path) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        self.log = log
        alone = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        with log.open("w") as file:
            try:
                self.process = subprocess.Popen(
                    [python, str(WORKER)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=file,
                    text=True,
                    env={**alone, "OMP_NUM_THREADS": "1"},
                )
            except OSError as error:
                fix = "Name the Python of an environment that has fairseq"
                raise LimbeckError(f"{python} cannot be run: {error.strerror}", fix=fix) from None

    def __enter__(self) -> Fairseq:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.communicate()

    def build(
        self, kind: str, shape: Mapping[str, int], vocabulary: int, training: Mapping[str, float]
    ) -> dict[str, Any]:
        """A model, in place of the last one; how many ``parameters`` it has, and of which version ``fairseq`` is."""
        return self._ask("build", kind=kind, shape=shape, vocabulary=vocabulary, training=training)

    def step(self, batch: Sequence[tuple[Ids, Ids]]) -> tuple[float, float]:
        """Seconds of a training step on pairs, and of its update of the weights."""
        said = self._ask("step", batch=batch)
        return said["seconds"], said["update"]

    def decode(self, sources: Sequence[Ids], passes: Sequence[int]) -> Decoded:
        """Translations of sources, one at a time."""
        return Decoded(**self._ask("decode", sources=sources, passes=passes))

    def _ask(self, do: str, **what: Any) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.write(json.dumps({"do": do, **what}) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise LimbeckError(f"fairseq stopped: {last_line(self.log)}", where=self.log)
        answer: dict[str, Any] = json.loads(line)
        return answer


def last_line(log: Path) -> str:
    """What a process said last."""
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")


# ------------------------------------------------------------ Limbeck


class Limbeck:
    """A student with what trains it.

    Args:
        kind: Of student.
        shape: ``layers``, ``width``, ``heads`` and ``feed_forward``, of encoder and decoder alike.
        subwords: What it reads and writes.
        training: As :class:`fairseq_worker.Fairseq` has it.
        data: What steps are taken on.
    """

    def __init__(
        self,
        kind: str,
        shape: Mapping[str, int],
        subwords: Subwords,
        training: Mapping[str, float],
        data: Encoded,
    ) -> None:
        values = {**shape, "dropout": training["dropout"]}
        settings = models.settings_for(kind, values, task="translation")
        self.student: Any = models.build(
            kind, settings, labels=(), tokeniser=subwords, teacher=None, seed=1, task="translation"
        )
        self.kind, self.subwords, self.clip = kind, subwords, training["clip"]
        objective = TranslationObjective(training["label_smoothing"])
        device = torch.device("cpu")
        self.lesson = Lesson(self.student, objective, data, None, device, "fp32")
        self.row_gradients = RowGradients(self.lesson.modules, device)
        self.optimiser = adamw(self.lesson.modules, training["learning_rate"], training["weight_decay"])

    @property
    def parameters(self) -> int:
        """Weights, each counted once."""
        return learnt(self.student)

    def step(self, rows: Sequence[int]) -> tuple[float, float]:
        """Seconds of a training step on rows of the data, as the training loop takes it, and of its update."""
        self.student.train()
        with deterministic():
            start = perf_counter()
            with self.row_gradients.collected():
                loss = self.lesson.loss(np.asarray(rows))
                loss.total.backward()
            middle = perf_counter()
            finish_gradient(gradients(self.lesson.modules), loss.count, self.clip)
            self.optimiser.step()
            self.row_gradients.clear()
            self.optimiser.zero_grad(set_to_none=True)
            end = perf_counter()
        return end - start, end - middle

    def engines(self, scratch: Path, texts: Sequence[str]) -> dict[str, Decoder]:
        """The student decoding, by engine; its lengths are the sources' from here on.

        Args:
            scratch: An empty folder, for bundles.
            texts: On which a bundle must agree with PyTorch.
        """
        self.student.eval()
        if hasattr(self.student, "length_head"):
            head = self.student.length_head
            with torch.no_grad():
                head.classifier.bias[head.longest_offset] = 1e3  # of the class of no difference
        self.student.config.deduplicate = False  # untrained, it says the same again and again
        export_translator(
            self.student,
            self.subwords,
            scratch,
            texts=texts,
            max_length=MAX_LENGTH,
            decoding=Decoding(search="greedy", max_length=16),
            settings=Export(changed=1.0),
            card={"name": self.kind},
        )
        found = {PYTORCH: Decoder(self.kind, self.student)}
        for engine, precision in ENGINES.items():
            bundle = open_bundle(scratch, precision, threads=1)
            assert isinstance(bundle, TranslatorBundle)
            found[engine] = Decoder(self.kind, self.student, bundle.model)
        return found


class Decoder:
    """A student that decodes, from token ids to token ids, in a given number of passes.

    Args:
        kind: Of student.
        student: It.
        exported: Its graphs in ONNX; None where PyTorch computes.
    """

    def __init__(self, kind: str, student: Any, exported: Any = None) -> None:
        self.rule, self.student, self.exported = RULES.get(kind), student, exported
        self.end = student.config.eos_token_id

    @cached_property
    def loop(self) -> Loop | None:
        """How it goes from pass to pass; None where there is one."""
        if isinstance(self.student, PassStudent):
            return self.student.loop()
        return None

    def decode(self, sources: Sequence[Ids], passes: Sequence[int]) -> Decoded:
        """Translations of sources, one at a time."""
        found = [self._decoded(source, count) for source, count in zip(sources, passes, strict=True)]
        return Decoded(*(list(each) for each in zip(*found, strict=True)))

    @torch.inference_mode()
    def _decoded(self, source: Ids, passes: int) -> tuple[float, int, int]:
        ids = np.array([[*source, self.end]])
        mask = np.ones_like(ids)
        inputs = ids, mask
        if self.exported is None:
            inputs = torch.from_numpy(ids), torch.from_numpy(mask)
        decoding = Decoding(search="greedy", max_length=MAX_LENGTH, passes=passes)
        start = perf_counter()
        if self.loop is None:
            calls, tokens = 1, self._at_once(*inputs, decoding)
        else:
            read = self._read(*inputs)
            (found,) = self.loop(read, source_lengths(mask), decoding)
            calls, tokens = read.calls, found.tokens
        return perf_counter() - start, calls, len(tokens)

    def _at_once(self, ids: Any, mask: Any, decoding: Decoding) -> tuple[int, ...]:
        if self.exported is None:
            (found,) = self.student.decode({"input_ids": ids, "attention_mask": mask}, decoding)
        else:
            ((found,),) = self.exported(ids, mask, decoding)
        return tuple(found.tokens)

    def _read(self, ids: Any, mask: Any) -> Told:
        passes: Passes
        if self.exported is None:
            passes = TorchPasses(self.student, ids, mask)
        else:
            assert isinstance(self.exported, PassByPass)
            passes = OnnxPasses(self.exported.sessions, ids, mask)
        return Told(passes, self.rule, ids.shape[1] - 1)


Rule = Callable[[str, int, int, tuple[Any, ...]], tuple[Any, ...]]
"""From a graph's name, the tokens wanted, the number of the call and what the graph said, to what is told."""


class Told:
    """Passes whose answers are computed, and then replaced where they decide how much is left to do.

    Args:
        passes: Compute.
        rule: Replaces; None leaves answers as they are.
        wanted: Tokens that the translation shall have.
    """

    def __init__(self, passes: Passes, rule: Rule | None, wanted: int) -> None:
        self.passes, self.rule, self.wanted = passes, rule, wanted
        self.first, self.calls = passes.first, 0

    def run(self, graph: str, **inputs: Any) -> tuple[Any, ...]:
        """See :class:`limbeck.serve.passes.Passes`."""
        self.calls += 1
        said = self.passes.run(graph, **inputs)
        return said if self.rule is None else self.rule(graph, self.wanted, self.calls, said)

    def keep(self, texts: Any) -> None:
        """See :class:`limbeck.serve.passes.Passes`."""
        self.passes.keep(texts)


def every_slot(graph: str, wanted: int, call: int, said: tuple[Any, ...]) -> tuple[Any, ...]:
    """Of insertion: no slot stays empty."""
    tokens, gained, ends = said
    return tokens, gained, np.full_like(ends, -SURE)


def every_other(graph: str, wanted: int, call: int, said: tuple[Any, ...]) -> tuple[Any, ...]:
    """Of Levenshtein: every other token goes; as many as are missing come, spread over the slots, each time others."""
    first, *others = said
    if graph == "delete":
        told = np.zeros_like(first)
        told[:, 1::2] = 1  # after the start token
    elif graph == "insert":
        slots = first.shape[1]
        each, more = divmod(wanted - (slots - 1), slots)
        told = np.where(np.arange(slots) < more, each + 1, each)[None]
    else:
        return anew(graph, wanted, call, said)
    return told, *others


def anew(graph: str, wanted: int, call: int, said: tuple[Any, ...]) -> tuple[Any, ...]:
    """Other tokens than the time before, so that nothing is as it was, and the end is not thought to be reached."""
    tokens, *others = said
    return np.full_like(tokens, len(SPECIAL) + call % 2), *others


RULES: dict[str, Rule] = {"inat": anew, "insertion": every_slot, "levenshtein": every_other}
"""By kind of student; others take as many passes as they may by themselves."""
