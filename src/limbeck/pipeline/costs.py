"""What teacher and student cost on every engine that a person might run them on, timed in turn in one go."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from limbeck.core import progress
from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.recipe import Export
from limbeck.evaluate.cost import Cost, Engine, parameters, tensor_bytes, weight_bytes
from limbeck.evaluate.speed import Contender, Speed, alternate
from limbeck.models.export import export
from limbeck.models.outputs import potentials_of
from limbeck.models.student import readable
from limbeck.models.taggers.tagger import Tagger
from limbeck.pipeline.run import TEACHER, Run
from limbeck.serve.opening import answering, open_bundle
from limbeck.structure.chain import viterbi
from limbeck.text.encode import collate
from limbeck.text.words import encode_words
from limbeck.transfer.teachers import FileTeacher


@dataclass(frozen=True, slots=True)
class Timed:
    """A model in all the shapes in which it is timed.

    Attributes:
        name: Its name in the tables.
        model: The PyTorch model.
        tokeniser: Its tokeniser.
        max_length: Tokens kept of a sentence.
        bundle: Its ONNX bundle.
    """

    name: str
    model: PreTrainedModel
    tokeniser: PreTrainedTokenizerFast
    max_length: int
    bundle: Path

    def engines(self) -> Iterator[tuple[Engine, int, Contender]]:
        """Each engine, the bytes of its weights, and what is timed: from text to logits, or from words to tags."""
        yield "pytorch", tensor_bytes(self.model), self._in_pytorch()
        onnx: tuple[tuple[Engine, Literal["fp32", "int8"], str], ...] = (
            ("onnx", "fp32", "model.onnx"),
            ("onnx-int8", "int8", "model.int8.onnx"),
        )
        for engine, precision, file in onnx:
            if (self.bundle / file).is_file():
                bundle = open_bundle(self.bundle, precision, threads=1)
                yield engine, weight_bytes(self.bundle / file), answering(bundle)

    def _in_pytorch(self) -> Callable[[Sequence[Any]], object]:
        is_tagger = isinstance(self.model.eval(), Tagger)
        return torch.inference_mode()(self._tags if is_tagger else self._logits)

    def _logits(self, texts: Sequence[str | tuple[str, ...]]) -> torch.Tensor:
        """Class scores, ``(batch, classes)``."""
        inputs = self.tokeniser(
            list(texts),
            padding=True,
            truncation=True,
            max_length=self.max_length,
            return_tensors="pt",
            return_token_type_ids=isinstance(texts[0], tuple) or None,
        )
        logits: torch.Tensor = self.model(**readable(self.model, inputs)).logits
        return logits

    def _tags(self, sentences: Sequence[Sequence[str]]) -> torch.Tensor:
        """The best tags of sentences of words, ``(batch, words)``."""
        examples = [Example("", "", words=tuple(words)) for words in sentences]
        encoded = encode_words(self.tokeniser, examples, None, self.max_length, silent=True)
        inputs = collate(encoded, np.arange(len(encoded))).inputs
        chain = potentials_of(self.model, self.model(**inputs).logits, inputs, decoding=True)
        return viterbi(chain)[1]


def costs(run: Run) -> list[Cost]:
    """Parameters, bytes and speed of the teacher and of the best student, on each engine.

    The models take turns; each answers every timed test sentence, one at a time, on one thread, tokenising (and
    a tagger's decoding) included. The student's numbers hold for the control too: it is the same model with other
    weights.
    """
    with tempfile.TemporaryDirectory(prefix="limbeck-") as scratch:
        timed = [*_teacher(run, Path(scratch)), _student(run)]
        shapes = {
            (each.name, engine): (each, size, answer)
            for each in timed
            for engine, size, answer in each.engines()
        }
        speeds = _speeds(run, {key: answer for key, (_, _, answer) in shapes.items()})
        return [
            Cost(name, engine, parameters(each.model), size, speeds.get((name, engine)))
            for (name, engine), (each, size, _) in shapes.items()
        ]


def _teacher(run: Run, scratch: Path) -> Iterator[Timed]:
    """The teacher, exported for the purpose where ONNX can express it; nothing for a file of answers."""
    teacher = run.teacher
    if isinstance(teacher, FileTeacher):
        return
    if run.recipe.evaluate.latency_sentences:
        progress.say(f"{'':<10}exporting the teacher to ONNX too, to be timed beside the student")
        try:
            export(
                teacher.model,
                teacher.tokeniser,
                scratch / TEACHER,
                texts=[example.asked for example in run.prepared.dev.examples[:200]],
                max_length=teacher.max_length,
                settings=Export(changed=1.0),
                card={"name": TEACHER},
            )
        except LimbeckError as error:
            progress.warn(f"The teacher is timed in PyTorch only: {error}")
    yield Timed(TEACHER, teacher.model, teacher.tokeniser, teacher.max_length, scratch / TEACHER)


def _student(run: Run) -> Timed:
    title, seed = run.best
    model = run.load_student(title, seed)
    return Timed(title, model, run.tokeniser, run.recipe.student.max_length, run.bundle_folder.path)


def _speeds(run: Run, contenders: dict[tuple[str, Engine], Contender]) -> dict[tuple[str, Engine], Speed]:
    """Times of all, on test sentences drawn once for all runs of the same test set."""
    count = min(run.recipe.evaluate.latency_sentences, len(run.prepared.test.examples))
    if count == 0:
        return {}
    drawn = np.random.default_rng(0).choice(len(run.prepared.test.examples), count, replace=False)
    return alternate(contenders, [run.prepared.test.examples[row].asked for row in drawn])
