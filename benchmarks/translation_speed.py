"""Speed of translators at batch one: an autoregressive one with five beams and greedily, against the parallel vanilla.

    python benchmarks/translation_speed.py          # two quiet cores: about 25 minutes (training 16)
    python benchmarks/translation_speed.py --full   # twice the epochs, more sentences

English sentences of Multi30k's test set (2016, Flickr), on one thread, the models taking turns; from text to text. Each
in PyTorch, in ONNX fp32 and in ONNX int8, in two sizes:

- ``3 × 128, trained`` (``tiny``, half as wide as published): the autoregressive one trained on Multi30k's 29,000 pairs
  for a few minutes, vanilla on its greedy translations; so both write translations of natural length (``words``), and
  ``bleu`` tells, of the timed sentences, how well.
- ``6 × 512, fixed length`` (``base`` as published): untrained, for what weights hold does not change how long a step
  takes, but how many there are: the autoregressive one may not write the end token, and is cut off after as many tokens
  as the source has (with its end); vanilla's length head is biased to the source's length. In batches all would run to
  the longest, so only batch one is told.
- ``6 × 512, long``: the same on sentences of 20 tokens and more, which take more steps one by one.

A row a size, model, search and engine: median and 95th percentile of a sentence alone in milliseconds, sentences a
second in batches of 32, and ``times_faster`` than five beams in PyTorch at batch one. Rows of a size are written once
all of it is timed; run again, it goes on where it stopped. LIMBECK_DATA names the folder that holds ``multi30k``. Other
work on the machine falsifies the figures: each row says the load before it.
"""

from __future__ import annotations

import os
import statistics
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

import command
import translators
from limbeck import models
from limbeck.core import progress
from limbeck.core.decoding import Decoding
from limbeck.core.example import Example
from limbeck.core.recipe import Export, Recipe
from limbeck.evaluate.bleu import score
from limbeck.evaluate.speed import Speed, alternate
from limbeck.models.translators.export import export_translator
from limbeck.models.weights import learnt
from limbeck.pipeline import steps
from limbeck.pipeline.costs import ENGINES, translating
from limbeck.pipeline.translation import TranslationRun
from limbeck.serve.opening import open_bundle
from limbeck.serve.translator import TranslatorBundle
from limbeck.text.subwords import Subwords
from limbeck.text.translations import encode_translations
from results_file import Aim, ResultsFile, Row

if TYPE_CHECKING:
    from transformers import PreTrainedModel

SIZE = {"size": "tiny", "scale": 0.5}
LARGE: dict[str, Any] = {"size": "base"}
EPOCHS = 5
AUTOREGRESSIVE, VANILLA = "autoregressive", "vanilla"
SEARCHES: dict[str, tuple[str, Decoding]] = {
    "beam 5": (AUTOREGRESSIVE, Decoding(beams=5, max_length=translators.MAX_LENGTH)),
    "greedy": (AUTOREGRESSIVE, Decoding(search="greedy", max_length=translators.MAX_LENGTH)),
    "one pass": (VANILLA, Decoding(search="greedy", max_length=translators.MAX_LENGTH)),
}
"""What is timed, by the name of its search: whose it is, and how it searches."""
SENTENCES = {"3 × 128, trained": 200, "6 × 512, fixed length": 60, "6 × 512, long": 60}
"""Timed ones, by size; with ``--full`` four times as many."""
TRAINED, FIXED, LONG = SENTENCES
TOKENS = 20
"""Of a long sentence at least."""
CHECKED = 20
"""Sentences on which bundles are compared with PyTorch."""

Answer = Callable[[Sequence[str], Decoding], Sequence[str]]
"""Translates texts."""
Decodings = Callable[[Sequence[str], Decoding], Decoding]
"""How some texts are to be searched, given how texts are in general."""


@dataclass(frozen=True)
class Pair:
    """Two models of one size, and how long their translations are.

    Attributes:
        models: By name.
        subwords: What both read and write.
        decoding: Says how to search for texts' translations.
        natural: Whether their lengths are the models' own choice.
    """

    models: Mapping[str, PreTrainedModel]
    subwords: Subwords
    decoding: Decodings
    natural: bool


def main(arguments: Sequence[str] | None = None) -> None:
    """Time what is not there yet, then judge the aims."""
    full = command.asked_for_all(__doc__, arguments, translators.FULL)
    results = command.opened("translation_speed", full)
    left = [size for size in SENTENCES if not results.has(size=size)]
    if left:
        run = TranslationRun(recipe(full))
        steps.prepare(run)
        for size in left:
            pair = trained(run) if size == TRAINED else of_fixed_length(run)
            chosen = long_ones(run) if size == LONG else run.prepared.test.examples
            time_them(size, pair, chosen[: SENTENCES[size] * (4 if full else 1)], results)
    command.judged(results, AIMS)


def long_ones(run: TranslationRun) -> list[Example]:
    """Test sentences of 20 tokens and more."""
    examples = run.prepared.test.examples
    lengths = encode_translations(run.tokeniser, examples, None, translators.MAX_LENGTH).lengths
    return [example for example, length in zip(examples, lengths, strict=True) if length >= TOKENS]


# Models.


def recipe(full: bool) -> Recipe:
    """The trained models: an autoregressive teacher and a vanilla student."""
    epochs = EPOCHS * (2 if full else 1)
    return translators.recipe(
        "translation-speed" + "-full" * full,
        {
            "train": pairs("train"),
            "dev": pairs("val"),
            "test": pairs("test_2016_flickr"),
            "vocabulary": {"size": translators.VOCABULARY},
        },
        translators.teacher(**SIZE, epochs=epochs),
        {"kind": VANILLA, **SIZE},
        [
            {
                "name": "sequence_level",
                "decoding": {"search": "greedy", "max_length": translators.MAX_LENGTH},
            }
        ],
        epochs=epochs,
        control=False,
    )


def pairs(part: str) -> dict[str, Any]:
    """A part of Multi30k, English to German."""
    source, target = (str(command.shared("multi30k", f"{part}.{language}.gz")) for language in ("en", "de"))
    return {"path": source, "target_file": target, "language": "de"}


def trained(run: TranslationRun) -> Pair:
    """The models of a run, which end a translation where they like; trained where they are not yet."""
    for step in (steps.teach, steps.ask, steps.train):
        step(run)
    title, seed = run.best
    made = {AUTOREGRESSIVE: run.teacher.models[0], VANILLA: run.load_student(title, seed)}
    return Pair(made, run.tokeniser, lambda _, decoding: decoding, natural=True)


def of_fixed_length(run: TranslationRun) -> Pair:
    """Untrained models of the published size, whose translations have as many tokens as their sources."""
    subwords = run.tokeniser
    teacher, student = (untrained(kind, subwords) for kind in (AUTOREGRESSIVE, VANILLA))
    never = teacher.generation_config.suppress_tokens or []
    teacher.generation_config.suppress_tokens = [*never, subwords.target.eos_token_id]
    with torch.no_grad():
        head: Any = student.length_head
        head.classifier.bias[head.longest_offset] = 1e3  # of the class of no difference

    def as_long(texts: Sequence[str], decoding: Decoding) -> Decoding:
        encoded = encode_translations(
            subwords, [Example("", text) for text in texts], None, translators.MAX_LENGTH
        )
        return decoding.model_copy(update={"max_length": int(encoded.lengths.max())})

    return Pair({AUTOREGRESSIVE: teacher, VANILLA: student}, subwords, as_long, natural=False)


def untrained(kind: str, subwords: Subwords) -> Any:
    """A model of the published size."""
    settings = models.settings_for(kind, LARGE, task="translation")
    return models.build(
        kind, settings, labels=(), tokeniser=subwords, teacher=None, seed=1, task="translation"
    ).eval()


# Timing.


def time_them(size: str, pair: Pair, examples: Sequence[Example], results: ResultsFile) -> None:
    """Time both models on all engines in one go, and write their rows."""
    texts, load = [example.text for example in examples], round(os.getloadavg()[0], 2)
    with tempfile.TemporaryDirectory(prefix="limbeck-") as scratch:
        answers = {
            (name, engine): answer
            for name, model in pair.models.items()
            for engine, answer in engines(pair, model, Path(scratch) / name, texts[:CHECKED])
        }
        contenders = {
            (search, engine): contender(answer, pair.decoding, decoding)
            for search, (name, decoding) in SEARCHES.items()
            for (whose, engine), answer in answers.items()
            if whose == name
        }
        speeds = alternate(contenders, texts)
        written = {key: answer(texts) if pair.natural else None for key, answer in contenders.items()}
    for (search, engine), speed in speeds.items():
        name, _ = SEARCHES[search]
        results.append(
            size=size,
            model=name,
            search=search,
            engine=engine,
            parameters=learnt(pair.models[name]),
            **told(speed, speeds["beam 5", "pytorch"], pair.natural),
            **quality(written[search, engine], examples),
            sentences=len(texts),
            load=load,
        )


def engines(
    pair: Pair, model: PreTrainedModel, folder: Path, texts: Sequence[str]
) -> Iterator[tuple[str, Answer]]:
    """A model in PyTorch, and in ONNX by precision."""

    @torch.inference_mode()
    def in_pytorch(asked: Sequence[str], decoding: Decoding) -> Sequence[str]:
        found: Any = translating([model], pair.subwords, translators.MAX_LENGTH, decoding)(asked)
        return list(found)

    progress.say(f"{'':<10}exporting {folder.name} to ONNX")
    export_translator(
        model,
        pair.subwords,
        folder,
        texts=texts,
        max_length=translators.MAX_LENGTH,
        decoding=Decoding(search="greedy", max_length=16),
        settings=Export(changed=1.0),
        card={"name": folder.name},
    )
    yield "pytorch", in_pytorch
    for engine, precision in ENGINES.items():
        bundle = open_bundle(folder, precision, threads=1)
        assert isinstance(bundle, TranslatorBundle)
        yield engine, bundle.translate


def contender(
    answer: Answer, decodings: Decodings, decoding: Decoding
) -> Callable[[Sequence[str]], list[str]]:
    """From texts to translations."""
    return lambda texts: list(answer(texts, decodings(texts, decoding)))


def told(speed: Speed, reference: Speed, natural: bool) -> Row:
    """What a row says of a speed."""
    return {
        "p50_ms": speed.p50_ms,
        "p95_ms": speed.p95_ms,
        "per_second": speed.per_second if natural else None,
        "times_faster": reference.p50_ms / speed.p50_ms,
    }


def quality(written: Sequence[str] | None, examples: Sequence[Example]) -> Row:
    """What a row says of translations: BLEU in points, and words of one."""
    if written is None:
        return {"bleu": None, "words": None}
    references = [example.targets for example in examples]
    return {
        "bleu": score(written, references, language="de")["bleu"],
        "words": statistics.fmean(len(text.split()) for text in written),
    }


def faster(size: str) -> translators.Measured:
    """How many times faster than five beams vanilla is at batch one, both in PyTorch."""

    def found(rows: Sequence[Row]) -> float | None:
        wanted = {"size": size, "search": "one pass", "engine": "pytorch"}
        return next(
            (row["times_faster"] for row in rows if all(row[key] == each for key, each in wanted.items())),
            None,
        )

    return found


AIMS = [
    Aim(f"{size}: vanilla against beam 5 at batch one in PyTorch, times faster", faster(size), at_least=10)
    for size in SENTENCES
]

if __name__ == "__main__":
    command.run(main)
