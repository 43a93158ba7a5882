"""``limbeck init``: look at a person's file, and write a recipe for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from limbeck.cli.init_outcomes import Found, find_glue, find_outcomes
from limbeck.cli.init_parallel import RATIO, Pairs, find_pairs
from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.files import atomic_write
from limbeck.core.sources import Source
from limbeck.text.readers import CONLL_ENDINGS, read
from limbeck.text.tables import ENDINGS, Table, read_table
from limbeck.text.tags import mark_spans

MOST_LABELS = 200
"""A column with more different values than this holds no labels."""
WORDS = 4
"""A column's name seldom has so many words."""
ENCODER = "distilbert-base-uncased"
"""The teacher where nobody names one, of classifiers and taggers."""
SENTENCE = 3
"""Words of a sentence, on average, under which lines of words and values are no tagged sentences."""


PAIRS = (
    ("sentence1", "sentence2"),
    ("sentence_1", "sentence_2"),
    ("question1", "question2"),
    ("premise", "hypothesis"),
    ("text", "text_pair"),
    ("text", "second"),
    ("text1", "text2"),
    ("text_a", "text_b"),
    ("first", "second"),
    ("query", "passage"),
    ("question", "sentence"),
)
"""What data sets of pairs call the two texts."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Which column is what; ``second`` of pairs of texts."""

    text: str | int
    label: str | int
    second: str | int | None = None

    @property
    def are_named(self) -> bool:
        """Whether the file's first line names them; else they have numbers."""
        return isinstance(self.text, str)


def write_recipe(
    data: Path, out: Path, teacher: str | None = None, encoding: str = "utf-8", target: str | None = None
) -> str:
    """Write a commented recipe for a file of labelled text, of tagged words, or of texts with translations.

    Args:
        data: The file.
        out: The recipe; must not exist.
        teacher: Hub name or folder of the encoder to fine-tune, or of a model that translates; None is ``ENCODER``,
            and a translator trained from scratch.
        encoding: Of the file.
        target: Of parallel text, the file or column of translations, as :func:`find_pairs` takes it.

    Returns:
        What was found in the file, to be told.

    Raises:
        LimbeckError: The file cannot be read, has no text and label columns, or the recipe is there already.
    """
    if out.exists():
        raise LimbeckError("there is such a file already", where=out, fix="Name another with --out")
    template, told, values = _looked_at(data, target, teacher, encoding)
    name = _plain_name(values.pop("stem", data.stem))
    values |= {"name": _quoted(name), "folder": f"runs/{name}", "path": _quoted(str(data))}
    values["more"] += "" if encoding == "utf-8" else f"\n    encoding: {_quoted(encoding)}"
    values.setdefault("teacher", _quoted(teacher or ENCODER))
    filled = files("limbeck.cli").joinpath(template).read_text(encoding="utf-8")
    with atomic_write(out) as file:
        file.write(filled.format_map(values))
    return told


Filled = tuple[str, str, dict[str, str]]
"""A template, what was found, and what fills it."""


def _looked_at(data: Path, target: str | None, teacher: str | None, encoding: str) -> Filled:
    if (pairs := find_pairs(data, target, encoding)) is not None:
        return _of_pairs(pairs, teacher)
    if (found := find_glue(data)) is not None:
        return _of_outcomes(found)
    if (tagged := find_tagged(data, encoding)) is not None:
        return _of_words(*tagged)
    return _of_sentences(data, encoding)


# Texts and translations.


TRANSLATOR = "translator.yaml"
SCRATCH = """
  scratch: {kind: autoregressive, size: small, dropout: 0.2}  # trained here from nothing
  fine_tune:
    epochs: 30
    learning_rate: 7.0e-4
    schedule: inverse_sqrt
    warmup: 0.1
    tokens_per_batch: 4096
    clip: 1
    average: 3                   # the weights of so many evaluations are averaged
"""
GIVEN = """
  model: {teacher}
  fine_tune: null                # it translates as it is; {{epochs: 1}} trains it on your text before
"""


def _of_pairs(pairs: Pairs, teacher: str | None) -> Filled:
    """The template for parallel text, what was found, and what fills it."""
    told = pairs.source.model_dump(exclude_defaults=True, exclude={"path", "encoding"})
    keys = {key: value[0] if isinstance(value, list) else value for key, value in told.items()}
    values = {
        "stem": pairs.name,
        "more": "".join(f"\n    {key}: {_quoted(value)}" for key, value in keys.items()),
        "teacher": SCRATCH if teacher is None else GIVEN.format(teacher=_quoted(teacher)),
        "dev": "0.05" if pairs.is_small else "500 ",
        "test": "0.1 " if pairs.is_small else "1000",
        "clean": f"longest: 100, ratio: {RATIO}" if pairs.has_spaces else "longest: 100",
    }
    values["teacher"] = values["teacher"].rstrip("\n")
    return TRANSLATOR, pairs.told, values


# Tagged words.


def find_tagged(data: Path, encoding: str = "utf-8") -> tuple[Source, list[Example]] | None:
    """How a file's words and tags are read, and its sentences; None for a file that is not one of tagged words."""
    ending = data.suffix.lower()
    if ending in CONLL_ENDINGS:
        source = Source(path=str(data), format="conll", encoding=encoding)
        return source, read(source, task="tagging")
    if data.name == "seq.in":
        forms = ["parallel"]
    elif ending in (".csv", ".tsv"):
        forms = ["auto", "conll"]
    else:
        forms = ["auto"] if ending in ENDINGS and ending != ".txt" else ["conll", "word_tag"]
    for form in forms:
        source = Source.model_validate({"path": str(data), "format": form, "encoding": encoding})
        try:
            sentences = read(source, task="tagging")
        except LimbeckError:
            continue
        if _look_tagged(sentences):
            return source, sentences
    return None


def _look_tagged(sentences: Sequence[Example]) -> bool:
    """Whether tags mark spans, or are few, of words that make sentences."""
    tags = [tag for sentence in sentences for tag in sentence.tags or ()]
    if mark_spans(tags):
        return True
    few = 2 <= len(set(tags)) <= min(MOST_LABELS, len(tags) // 2)
    return few and len(sentences) > 1 and len(tags) >= SENTENCE * len(sentences)


def _of_words(source: Source, sentences: Sequence[Example]) -> Filled:
    """The template for tagged words, what was found, and what fills it."""
    tags = {tag for sentence in sentences for tag in sentence.tags or ()}
    kinds = sorted({tag.partition("-")[2] for tag in tags} - {""}) if mark_spans(tags) else sorted(tags)
    shown = ", ".join(kinds[:6]) + (f" and {len(kinds) - 6} more" if len(kinds) > 6 else "")
    more = "" if source.format == "auto" else f"\n    format: {source.format}"
    return "tagger.yaml", f"{len(sentences):,} sentences of words tagged {shown}", {"more": more}


# Sentences, or pairs of them, with labels.


def _of_sentences(data: Path, encoding: str) -> Filled:
    """The template for labelled sentences, what was found, and what fills it."""
    if (found := find_outcomes(read_table(data, encoding=encoding))) is not None:
        return _of_outcomes(found)
    columns = guess_columns(read_table(data, encoding=encoding), data)
    if lacks_header(columns, read_table(data, encoding=encoding)):
        columns = guess_columns(read_table(data, encoding=encoding, header=False), data)
    more = (
        ""
        if columns.are_named
        else "\n    header: false                # its first line is an example already"
    )
    texts, second = f"text from '{columns.text}'", ""
    if columns.second is not None:
        texts = f"pairs of texts from '{columns.text}' and '{columns.second}'"
        second = f"\n    second: {_quoted(columns.second)}"
    keys = f"""
    text: {_quoted(columns.text)}                 # the column of the sentence{second}
    label: {_quoted(columns.label)}               # the column of the label; an empty label means unlabelled"""
    values = {
        "columns": keys,
        "more": more,
        "task": "",
        "metric": "",
        "student": _student(columns.second is not None),
    }
    return "recipe.yaml", f"{texts}, labels from '{columns.label}'", values


def _student(of_pairs: bool) -> str:
    if of_pairs:
        return "siamese                  # each text by itself, by one BiLSTM; or transformer (both at once; slower)"
    return "bilstm                   # or static (fastest), transformer, or forest (to be read)"


def _of_outcomes(found: Found) -> Filled:
    """The template for a file whose task and metric are known, what was found, and what fills it."""
    keys = "".join(f"\n    {key}: {_listed(value)}" for key, value in found.keys.items())
    values = {
        "columns": keys,
        "more": "",
        "task": f"\ntask: {found.task}",
        "metric": f"\n  metric: {found.metric}              # picks the best weights, and decides on test",
        "student": _student(found.pairs),
    }
    return "recipe.yaml", found.told, values


def _listed(value: Any) -> str:
    return f"[{', '.join(map(_quoted, value))}]" if isinstance(value, list) else _quoted(value)


def guess_columns(table: Table, where: Path) -> Columns:
    """The column with the longest texts, and the one that looks most like labels; of pairs both texts.

    A column called ``text`` or ``label`` (or the like) is taken at its word, and so are two that are called as
    those of pairs. Without names, two columns of sentences are those of pairs.

    Raises:
        LimbeckError: There are not two such columns.
    """
    values = {}
    for number, name in enumerate(table.names):
        cells = [value for value in table.column(_key(table, number), "text") if value not in (None, "")]
        if cells and not any(isinstance(value, dict | list) for value in cells):
            values[name] = list(map(str, cells))
    if len(values) < 2:
        raise LimbeckError("a column of text and one of labels are needed", where=where)
    lengths = {name: sum(map(len, column)) / len(column) for name, column in values.items()}
    kinds = {name: len(set(column)) for name, column in values.items()}
    pair = _pair(values, named=table.header is not False)
    text = (
        pair[0]
        if pair
        else _called(values, ("text", "sentence", "content", "review", "tweet", "question"))
        or max(lengths, key=lengths.__getitem__)
    )
    rest = {
        name: count
        for name, count in kinds.items()
        if name not in (pair or (text,)) and 2 <= count <= min(MOST_LABELS, len(values[name]) // 2)
    }
    if not rest:
        fix = "Write the recipe's data.train by hand, with 'text' and 'label'"
        raise LimbeckError("no column looks like labels (few values, each many times)", where=where, fix=fix)
    label = _called(rest, ("label", "labels", "class", "category", "sentiment", "intent", "target")) or min(
        rest, key=rest.__getitem__
    )
    numbered = {name: _key(table, number) for number, name in enumerate(table.names)}
    return Columns(numbered[text], numbered[label], numbered[pair[1]] if pair else None)


def _pair(values: dict[str, list[str]], named: bool) -> tuple[str, str] | None:
    """The columns of both texts of pairs, if the examples are such."""
    for names in PAIRS:
        first, second = (_called(values, (name,)) for name in names)
        if first is not None and second is not None:
            return first, second
    if named:
        return None
    words = {name: sum(len(cell.split()) for cell in cells) / len(cells) for name, cells in values.items()}
    sentences = [name for name, mean in words.items() if mean >= SENTENCE]
    return (sentences[0], sentences[1]) if len(sentences) == 2 else None


def lacks_header(columns: Columns, table: Table) -> bool:
    """Whether the line taken for a header is an example: a sentence, with a label that others have too."""
    if not table.header:
        return False
    others = {str(value).strip() for value in table.column(columns.label, "label")}
    return str(columns.label) in others and len(str(columns.text).split()) >= WORDS


def _key(table: Table, number: int) -> str | int:
    """What a recipe calls a column: its name, or its number where the file names none."""
    return number if table.header is False else table.names[number]


def _called(columns: dict[str, Any], names: tuple[str, ...]) -> str | None:
    """The first column with one of these names."""
    by_name = {column.strip().lower(): column for column in columns}
    return next((by_name[name] for name in names if name in by_name), None)


def _plain_name(stem: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "_.-" else "-" for letter in stem) or "run"


def _quoted(value: str | int) -> str:
    """A YAML value; a string in quotes where it needs them."""
    import yaml

    return str(yaml.safe_dump(value, allow_unicode=True, width=10_000)).removesuffix("\n...\n").rstrip("\n")
