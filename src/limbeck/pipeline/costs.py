"""What teacher and student cost on every engine that a person might run them on, timed in turn in one go."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from limbeck.core import progress
from limbeck.core.decoding import Decoding
from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.recipe import Export
from limbeck.evaluate.cost import Cost, Engine, tensor_bytes, weight_bytes
from limbeck.evaluate.speed import Contender, Speed, alternate
from limbeck.models.export import export
from limbeck.models.outputs import potentials_of
from limbeck.models.student import readable
from limbeck.models.taggers.tagger import Tagger
from limbeck.models.translators.decode import translate
from limbeck.models.translators.export import export_translator
from limbeck.models.weights import learnt
from limbeck.pipeline.run import TEACHER, Run
from limbeck.pipeline.translation import TranslationRun
from limbeck.serve.exported import ENDINGS, Precision, read_card
from limbeck.serve.opening import answering, open_bundle
from limbeck.structure.chain import viterbi
from limbeck.text.encode import collate
from limbeck.text.subwords import Subwords
from limbeck.text.translations import encode_translations
from limbeck.text.words import encode_words
from limbeck.transfer.ensemble import EnsembleTeacher
from limbeck.transfer.teachers import FileTeacher, ModelTeacher
from limbeck.transfer.translation_teacher import prefixed

ENGINES: Mapping[Engine, Precision] = {"onnx": "fp32", "onnx-int8": "int8"}
"""Engines that run bundles, and which of a bundle's models."""


@dataclass(frozen=True, slots=True)
class Timed:
    """A model in all the shapes in which it is timed.

    Attributes:
        name: Its name in the tables.
        models: The PyTorch model; of an ensemble of translators all of its members.
        in_pytorch: From text to logits, from words to tags, or from text to translations.
        bundle: Its ONNX bundle.
    """

    name: str
    models: Sequence[PreTrainedModel]
    in_pytorch: Contender
    bundle: Path

    def engines(self) -> Iterator[tuple[Engine, int, Contender]]:
        """Each engine, the bytes of its weights, and what is timed."""
        for model in self.models:
            model.eval()
        yield "pytorch", sum(map(tensor_bytes, self.models)), torch.inference_mode()(self.in_pytorch)
        for engine, precision in ENGINES.items():
            if files := graphs_of(self.bundle, precision):
                answer = answering(open_bundle(self.bundle, precision, threads=1))
                yield engine, sum(map(weight_bytes, files)), answer


def graphs_of(bundle: Path, precision: Precision) -> list[Path]:
    """Files of a bundle's models in one precision; none where there is no such bundle, or no such models in it."""
    names = read_card(bundle)["files"] if bundle.is_dir() else ()
    is_int8 = precision == "int8"
    return [
        bundle / name
        for name in names
        if name.endswith(ENDINGS[precision]) and name.endswith(ENDINGS["int8"]) == is_int8
    ]


def classifying(model: PreTrainedModel, tokeniser: PreTrainedTokenizerFast, max_length: int) -> Contender:
    """From texts (or pairs) to class scores, ``(batch, classes)``."""

    def logits(texts: Sequence[str | tuple[str, ...]]) -> torch.Tensor:
        inputs = tokeniser(
            list(texts),
            padding=True,
            truncation=True,
            max_length=max_length,
            return_tensors="pt",
            return_token_type_ids=isinstance(texts[0], tuple) or None,
        )
        found: torch.Tensor = model(**readable(model, inputs)).logits
        return found

    return logits


def tagging(model: PreTrainedModel, tokeniser: PreTrainedTokenizerFast, max_length: int) -> Contender:
    """From sentences of words to their best tags, ``(batch, words)``."""

    def tags(sentences: Sequence[Sequence[str]]) -> torch.Tensor:
        examples = [Example("", "", words=tuple(words)) for words in sentences]
        encoded = encode_words(tokeniser, examples, None, max_length)
        inputs = collate(encoded, np.arange(len(encoded))).inputs
        chain = potentials_of(model, model(**inputs).logits, inputs, decoding=True)
        return viterbi(chain)[1]

    return tags


def translating(
    models: Sequence[PreTrainedModel],
    subwords: Subwords,
    max_length: int,
    decoding: Decoding,
    prefix: str = "",
) -> Contender:
    """From texts to translations; several models are an ensemble."""
    first, *others = models

    def translations(texts: Sequence[str]) -> list[str]:
        examples = prefixed([Example("", text) for text in texts], prefix)
        encoded = encode_translations(subwords, examples, None, max_length)
        found = translate(first, encoded, decoding, others=others)
        return [subwords.decode(best.tokens) for best, *_ in found]

    return translations


def costs(run: Run) -> list[Cost]:
    """Parameters, bytes and speed of the teacher and of the best student, on each engine.

    The models take turns; each answers every timed test sentence, one at a time, on one thread, tokenising and
    decoding included. The student's numbers hold for the control too: it is the same model with other weights.
    """
    with tempfile.TemporaryDirectory(prefix="limbeck-") as scratch:
        timed = [*_teacher(run, Path(scratch) / TEACHER), _student(run)]
        shapes = {
            (each.name, engine): (each, size, answer)
            for each in timed
            for engine, size, answer in each.engines()
        }
        speeds = _speeds(run, {key: answer for key, (_, _, answer) in shapes.items()})
        return [
            Cost(name, engine, sum(map(learnt, each.models)), size, speeds.get((name, engine)))
            for (name, engine), (each, size, _) in shapes.items()
        ]


def _teacher(run: Run, bundle: Path) -> Iterator[Timed]:
    """The teacher, exported for the purpose where ONNX can express it; nothing for a file of answers."""
    if isinstance(run, TranslationRun):
        asked, decoding = run.teacher, run.teachers_search
        answer = translating(asked.models, asked.subwords, asked.max_length, decoding, asked.prefix)
        _try_export(run, lambda: _export_translator(run, bundle))
        yield Timed(TEACHER, asked.models, answer, bundle)
    elif isinstance(teacher := run.teacher, EnsembleTeacher):
        if len(models := teacher.models) == len(teacher.members):
            answers = [_in_pytorch(each.model, each.tokeniser, each.max_length) for each in models]
            yield Timed(TEACHER, [each.model for each in models], _one_after_the_other(answers), bundle)
    elif not isinstance(teacher, FileTeacher):
        answer = _in_pytorch(teacher.model, teacher.tokeniser, teacher.max_length)
        _try_export(run, lambda: _export_teacher(run, teacher, bundle))
        yield Timed(TEACHER, [teacher.model], answer, bundle)


def _one_after_the_other(members: Sequence[Contender]) -> Contender:
    """What all members of an ensemble say, in turn."""
    return lambda texts: [answer(texts) for answer in members]


def _try_export(run: Run, export_it: Callable[[], None]) -> None:
    """Export the teacher, where speed is measured; what ONNX cannot express is told."""
    if not run.recipe.evaluate.latency_sentences:
        return
    progress.say(f"{'':<10}exporting the teacher to ONNX too, to be timed beside the student")
    try:
        export_it()
    except LimbeckError as error:
        progress.warn(f"The teacher is timed in PyTorch only: {error}")


ANY_CHANGE = Export(changed=1.0)
"""The teacher's bundle is timed, not deployed."""


def _export_teacher(run: Run, teacher: ModelTeacher, bundle: Path) -> None:
    """Export a teacher that classifies or tags.

    Raises:
        LimbeckError: ONNX cannot express it.
    """
    export(
        teacher.model,
        teacher.tokeniser,
        bundle,
        texts=run.prepared.dev.asked[:200],
        max_length=teacher.max_length,
        settings=ANY_CHANGE,
        card={"name": TEACHER},
    )


def _export_translator(run: TranslationRun, bundle: Path) -> None:
    """Export a teacher that translates.

    Raises:
        LimbeckError: ONNX cannot express it, it is several models, or wants something before each text.
    """
    if len(run.teacher.models) > 1:
        raise LimbeckError("a bundle holds one model, and it is several")
    if run.teacher.prefix:
        raise LimbeckError("a bundle reads texts as they are, and it wants a prefix")
    export_translator(
        run.teacher.models[0],
        run.teacher.subwords,
        bundle,
        texts=[example.text for example in run.prepared.dev.examples[:200]],
        max_length=run.teacher.max_length,
        decoding=run.teachers_search.without_draws,
        settings=ANY_CHANGE,
        card={"name": TEACHER},
    )


def _student(run: Run) -> Timed:
    title, seed = run.best
    model, longest = run.load_student(title, seed), run.recipe.student.max_length
    if isinstance(run, TranslationRun):
        answer = translating([model], run.tokeniser, longest, run.students_search)
    else:
        answer = _in_pytorch(model, run.tokeniser, longest)
    return Timed(title, [model], answer, run.bundle_folder.path)


def _in_pytorch(model: PreTrainedModel, tokeniser: PreTrainedTokenizerFast, max_length: int) -> Contender:
    kind = tagging if isinstance(model, Tagger) else classifying
    return kind(model, tokeniser, max_length)


def _speeds(run: Run, contenders: dict[tuple[str, Engine], Contender]) -> dict[tuple[str, Engine], Speed]:
    """Times of all, on test sentences drawn once for all runs of the same test set."""
    count = min(run.recipe.evaluate.latency_sentences, len(run.prepared.test.examples))
    if count == 0:
        return {}
    drawn = np.random.default_rng(0).choice(len(run.prepared.test.examples), count, replace=False)
    asked = run.prepared.test.asked
    return alternate(contenders, [asked[row] for row in drawn])
