"""``limbeck predict``: text in, labels, spans or translations out, as JSON Lines or CSV. Imports no PyTorch."""

from __future__ import annotations

import csv
import itertools
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

from limbeck.core.errors import LimbeckError
from limbeck.text.tags import mark_spans

if TYPE_CHECKING:
    from limbeck.core.decoding import Decoding
    from limbeck.serve.bundle import Bundle, LabelsBundle, ScoreBundle, TextLabeller
    from limbeck.serve.exported import Precision
    from limbeck.serve.opening import AnyBundle
    from limbeck.serve.tagger import Tagged, TaggerBundle
    from limbeck.serve.translator import TranslatorBundle


TABLES = frozenset({".csv", ".tsv", ".jsonl", ".json", ".parquet", ".xlsx"})
"""Endings of files that hold more than a sentence a line."""


class Asked(NamedTuple):
    """What one kind of student is asked, and others cannot be.

    Attributes:
        words: Of taggers: texts are words with spaces between them; else words and punctuation marks are found.
        beams: Of translators: beams of the search, 1 for greedy; None is as the bundle says.
        keep: Of translators: translations of each text.
    """

    words: bool = False
    beams: int | None = None
    keep: int | None = None


def bundle_in(folder: Path) -> Path:
    """The bundle of a run, where the folder is a run's; else the folder."""
    inner = folder / "bundle"
    return inner if (inner / "bundle.json").is_file() and not (folder / "bundle.json").exists() else folder


def opened(folder: Path, precision: Precision | None) -> AnyBundle:
    """The bundle, or that of a run.

    Raises:
        LimbeckError: It is none, or has no model of that precision.
    """
    from limbeck.serve.opening import open_bundle

    model = open_bundle(bundle_in(folder), precision or "int8", threads=1)
    if precision not in (None, model.precision):
        fix = "Leave --precision out, or export again with export.int8=true"
        raise LimbeckError(f"the bundle holds no {precision} model", where=model.folder, fix=fix)
    return model


def sentences(arguments: Sequence[str], file: Path | None) -> Iterator[str]:
    """The texts to label: arguments, else the lines of a file, else those of standard input.

    Raises:
        LimbeckError: Both are given, there is no such file, it is a folder, or a line is not UTF-8.
    """
    if arguments and file is not None:
        raise LimbeckError("give sentences or --file, not both")
    if arguments:
        return (told.encode("utf-8", "replace").decode() for told in arguments)  # some are not UTF-8
    if file is None or str(file) == "-":
        return _lines(sys.stdin.buffer, "standard input")
    if not file.exists():
        raise LimbeckError("no such file", where=file)
    if file.is_dir():
        raise LimbeckError("it is a folder, and sentences stand in a file", where=file)
    if (ending := file.suffix.lower()) in TABLES:
        fix = "Write its texts into a file of their own; where it holds nothing else, use standard input (--file -)"
        raise LimbeckError(
            f"a sentence a line is read, and '{ending}' is the ending of a table", where=file, fix=fix
        )
    return _lines(file.open("rb"), file)


def write(
    model: AnyBundle,
    texts: Iterable[str],
    form: str,
    batch_size: int,
    out: TextIO,
    asked: Asked | None = None,
) -> None:
    """Answer texts in batches as they come: one line each, but one a span in a tagger's CSV.

    Args:
        model: A bundle.
        texts: What to answer.
        form: ``csv`` or ``jsonl``, or of translators ``text``.
        batch_size: Texts that go through the model at a time.
        out: Where to.
        asked: What else is asked of it, if anything.

    Raises:
        LimbeckError: Something is asked of a student of another kind.
    """
    writer = _writer(model, asked or Asked())
    rows = csv.writer(out)
    if form == "text" and not isinstance(writer, _Translations):
        raise LimbeckError("--format text is for translators, and this bundle is none", where=model.folder)
    if form == "csv":
        rows.writerow(writer.header)
    for batch in _batched(texts, batch_size):
        for answer in writer.answers(batch):
            if form == "csv":
                rows.writerows(answer.rows)
            elif form == "text":
                out.writelines(f"{row[1]}\n" for row in answer.rows)
            else:
                out.write(json.dumps(answer.line, ensure_ascii=False) + "\n")
        out.flush()


KINDS = {
    "classification": "a classifier's",
    "regression": "one of scores",
    "multilabel": "one of sets of labels",
    "tagging": "a tagger's",
    "translation": "a translator's",
}
"""Whose bundle one is, by task."""


def _writer(model: AnyBundle, asked: Asked) -> _Labels | _Sets | _Scores | _Tags | _Translations:
    """What asks this kind of student.

    Raises:
        LimbeckError: Something is asked of a student of another kind.
    """
    from limbeck.serve.bundle import LabelsBundle, ScoreBundle
    from limbeck.serve.tagger import TaggerBundle
    from limbeck.serve.translator import TranslatorBundle

    told = f"and this bundle is {KINDS[model.task]}"
    if asked.words and not isinstance(model, TaggerBundle):
        raise LimbeckError(f"--words is for taggers, {told}", where=model.folder)
    if isinstance(model, TranslatorBundle):
        return _Translations(model, asked)
    if asked.beams or asked.keep:
        raise LimbeckError(f"--beams and --keep are for translators, {told}", where=model.folder)
    if isinstance(model, ScoreBundle):
        return _Scores(model)
    if isinstance(model, LabelsBundle):
        return _Sets(model)
    return _Tags(model, asked.words) if isinstance(model, TaggerBundle) else _Labels(model)


class _Answer(NamedTuple):
    """What is said of one text: a JSON line, and rows of CSV."""

    line: dict[str, Any]
    rows: list[list[Any]]


class _Labels:
    """A classifier's: label, score, and the scores of all labels."""

    def __init__(self, model: Bundle) -> None:
        self.model = model
        self.header = (*_columns(model), "label", "score", *model.labels)

    def answers(self, texts: Sequence[str]) -> Iterator[_Answer]:
        for given, told in _answered(self.model, texts):
            scores = {label: _round(score) for label, score in told.scores.items()}
            line = {"label": told.label, "score": _round(told.score), "scores": scores}
            yield _Answer(_given(given) | line, [[*given, told.label, _round(told.score), *scores.values()]])


class _Sets:
    """Of a student of texts with several labels: those of a text, and the probability of each label."""

    def __init__(self, model: LabelsBundle) -> None:
        self.model = model
        self.header = (*_columns(model), "labels", *model.labels)

    def answers(self, texts: Sequence[str]) -> Iterator[_Answer]:
        for given, told in _answered(self.model, texts):
            scores = {label: _round(score) for label, score in told.scores.items()}
            line = {"labels": list(told.labels), "scores": scores}
            yield _Answer(
                _given(given) | line,
                [[*given, json.dumps(told.labels, ensure_ascii=False), *scores.values()]],
            )


class _Scores:
    """Of a student that gives scores: the score."""

    def __init__(self, model: ScoreBundle) -> None:
        self.model = model
        self.header = (*_columns(model), "score")

    def answers(self, texts: Sequence[str]) -> Iterator[_Answer]:
        for given, score in _answered(self.model, texts):
            yield _Answer(_given(given) | {"score": _round(score)}, [[*given, _round(score)]])


GIVEN = ("text", "second")
"""What a text, or each of a pair, is called in the answer."""


def _columns(model: TextLabeller) -> tuple[str, ...]:
    return GIVEN if model.reads_pairs else GIVEN[:1]


def _given(texts: tuple[str, ...]) -> dict[str, Any]:
    return dict(zip(GIVEN, texts, strict=False))


def _answered(
    model: Bundle | LabelsBundle | ScoreBundle, texts: Sequence[str]
) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Each text, or both of a pair, with what the model says of it."""
    pairs = [_pair(text) for text in texts] if model.reads_pairs else []
    told = model.predict(pairs or texts, batch_size=len(texts))
    return zip(pairs or ((text,) for text in texts), told, strict=True)


def _pair(text: str) -> tuple[str, str]:
    """Both texts, of a line with a tab between them, or of a JSON object as data files have it.

    Raises:
        LimbeckError: There are not two.
    """
    if text.lstrip().startswith("{") and (pair := _pair_in(text)) is not None:
        return pair
    first, tab, second = text.partition("\t")
    if not tab:
        fix = 'Put a tab between them, or write {"text": ..., "second": ...}'
        raise LimbeckError(f"this student reads pairs of texts, and this is one: '{text[:60]}'", fix=fix)
    return first, second


def _pair_in(line: str) -> tuple[str, str] | None:
    """The texts of a JSON object with ``text`` and ``second``; None for a line that is none."""
    try:
        told = json.loads(line)
    except ValueError:
        return None
    first, second = (told.get("text"), told.get("second")) if isinstance(told, dict) else (None, None)
    return (first, second) if isinstance(first, str) and isinstance(second, str) else None


class _Tags:
    """A tagger's: words, tags and spans; in CSV a row a span, or a row a word where tags mark no spans."""

    header = ("text", "start", "end", "type", "span", "score")

    def __init__(self, model: TaggerBundle, split: bool) -> None:
        self.model, self.split = model, split
        self.marks_spans = mark_spans(model.labels)

    def answers(self, texts: Sequence[str]) -> Iterator[_Answer]:
        asked = [text.split() if self.split else text for text in texts]
        for told in self.model.predict(asked, batch_size=len(asked)):
            found = [
                {
                    "type": span.type,
                    "text": span.text,
                    "start": span.start_character,
                    "end": span.end_character,
                    "words": [span.start, span.end],
                    "score": _round(span.score),
                }
                for span in told.spans
            ]
            line = {"text": told.text, "words": list(told.words), "tags": list(told.tags), "spans": found}
            yield _Answer(line, [[told.text, *row] for row in self._rows(told)])

    def _rows(self, told: Tagged) -> Iterator[list[Any]]:
        if self.marks_spans:
            for span in told.spans:
                yield [span.start_character, span.end_character, span.type, span.text, _round(span.score)]
            return
        for word, (start, end), tag, score in zip(
            told.words, told.places, told.tags, told.scores, strict=True
        ):
            yield [start, end, tag, word, _round(score)]


class _Translations:
    """A translator's: the best translation and its score, and the others where several are asked for."""

    header = ("text", "translation", "score")

    def __init__(self, model: TranslatorBundle, asked: Asked) -> None:
        self.model, self.several = model, asked.keep is not None
        self.decoding = _decoding(model, asked)

    def answers(self, texts: Sequence[str]) -> Iterator[_Answer]:
        for text, found in zip(
            texts, self.model.k_best(texts, self.decoding, batch_size=len(texts)), strict=True
        ):
            both = [(each.text, _round(each.score)) for each in found]
            line: dict[str, Any] = {"text": text, "translation": both[0][0], "score": both[0][1]}
            if self.several:
                line["translations"] = [{"translation": told, "score": score} for told, score in both]
            yield _Answer(line, [[text, *pair] for pair in both])


def _decoding(model: TranslatorBundle, asked: Asked) -> Decoding:
    """How the bundle searches, with what is asked for.

    Raises:
        LimbeckError: More translations are asked for than are found.
    """
    from limbeck.core.decoding import Decoding
    from limbeck.core.schema import validate

    said = model.decoding.model_dump()
    if model.parallel and (asked.beams or (asked.keep or 1) > 1):
        what = "--beams and --keep are of autoregressive students, and this one writes all words at once"
        raise LimbeckError(what, where=model.folder, fix="Leave them out")
    if asked.beams:
        said |= {"search": "beam", "beams": asked.beams, "keep": 1}
    said |= {"keep": asked.keep} if asked.keep else {}
    return validate(Decoding, said, where=model.folder)


def _round(score: float) -> float:
    return round(score, 6)


def _lines(file: Iterable[bytes], name: str | Path) -> Iterator[str]:
    for number, line in enumerate(file, 1):
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
        except UnicodeDecodeError:
            raise LimbeckError(
                "not UTF-8", where=name, line=number, fix="Convert it, e.g. with iconv"
            ) from None


def _batched(texts: Iterable[str], size: int) -> Iterator[tuple[str, ...]]:
    """``itertools.batched``, which Python 3.11 lacks."""
    iterator = iter(texts)
    while batch := tuple(itertools.islice(iterator, size)):
        yield batch
