"""Sources: the keys of a recipe that say which text there is, and what becomes of it before anything is learnt."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from limbeck.core.schema import Settings


def _path_alone(value: Any) -> Any:
    return {"path": value} if isinstance(value, str) else value


def named(value: Any) -> Any:
    """A list of groups of keys, where a name stands for a group that says no more than it."""
    return [{"name": one} if isinstance(one, str) else one for one in one_or_many(value)]


def one_or_many(value: Any) -> Any:
    """A list as it is, and anything else as a list of one."""
    return value if isinstance(value, list | tuple) else [value]


def _none_or_many(value: Any) -> Any:
    return [] if value is None else one_or_many(value)


def _named_by_text(value: Any) -> Any:
    return {str(key): name for key, name in value.items()} if isinstance(value, dict) else value


LabelNames = Annotated[dict[str, str], BeforeValidator(_named_by_text)]
"""New names of labels; YAML reads a bare 0 as a number, and means the label "0"."""
TeacherLabels = Annotated[dict[str, str | None], BeforeValidator(_named_by_text)]
"""The same, where null leaves a label out."""


class Source(Settings):
    """A file of examples, or a data set by name; a bare string in the recipe is its path."""

    path: str
    """A file (text may be compressed, ``.gz``), ``package:NAME/FILE`` inside an installed package, a data set's
    folder, or its name on the hub."""
    # fmt: off
    format: Literal[
        "auto", "csv", "tsv", "jsonl", "parquet", "txt", "dataset",
        "glue", "trees", "trec", "seq_in", "top", "scicite", "rasa",
        "conll", "word_tag", "parallel", "po",
    ] = "auto"
    # fmt: on
    """``auto`` goes by the file's ending, name and first line; ``txt`` is one unlabelled sentence a line. For
    classifiers: ``glue``, ``trees``, ``trec``, ``seq_in``, ``top``, ``scicite``, ``rasa`` and ``word_tag`` (of
    its intent) know their columns (docs/data.md). For taggers: ``conll`` is one word a line in columns,
    ``word_tag`` one sentence a line as ``word:TAG word:TAG``, ``parallel`` a file of words and one of tags. For
    translators: ``po`` is a catalogue of messages that a program ships (.po, .mo, or JSON), a folder of them,
    or a pattern such as ``package:django/**/fr/**/*.po``."""
    text: str | int = "text"
    """Column of the sentence: its name, or its number from 0 where the file has no header."""
    second: str | int | None = None
    """Column of the second text, where examples are pairs of texts (a premise and a hypothesis, two questions)."""
    label: str | int | list[str | int] | None = "label"
    """Column of the label (of regression, of the score); null for unlabelled text. Of multilabel, a column of lists
    (JSON), of labels with a ``separator`` between them, or a list of columns, one a label, that hold 0 or 1."""
    separator: str | None = None
    """Of multilabel: what stands between the labels of one cell, e.g. ``"|"``."""
    id: str | int | None = None
    """Column of the example's id; without one, the file's name and line."""
    words: str | int = "auto"
    """For taggers, column of the words: in conll its number from 0 (-1 is the last), ``auto`` the first; in a table
    its name, ``auto`` is ``tokens`` or ``words``, else ``text`` is cut at spaces."""
    tags: str | int | None = "auto"
    """For taggers, column of the tags, named likewise: ``auto`` is the last of conll, ``tags`` or ``ner_tags`` of a
    table; null for untagged text. IOB1, BIOES and BILOU become IOB2."""
    spans: str | int | None = None
    """For taggers, column of spans counted in characters of ``text``: lists of ``{start, end, label}`` or
    ``[start, end, label]``. A table without tags is searched for ``spans``, ``entities``, ``labels``, ``label``."""
    tags_file: str | None = None
    """The tags of ``parallel``, line by line; null is ``seq.out`` beside ``seq.in``."""
    target: Annotated[list[str | int], BeforeValidator(_none_or_many)] = ["target"]
    """For translators, columns of the translation and of further references; null for untranslated text. Of a table
    with a ``translation`` column, ``text`` and this are languages."""
    target_file: Annotated[list[str], BeforeValidator(_none_or_many)] = []
    """For translators, files with the translation (and further references) of each line of a text file; an empty
    line there is no translation."""
    language: str | None = None
    """For translators, code of the language that is translated into, e.g. ``de``: BLEU cuts zh, ja and ko by it, and
    ids end in it, which keeps several sources with the same texts and other translations apart."""
    header: bool = True
    """Whether the first line of a csv or tsv names the columns."""
    encoding: str = "utf-8"
    """Of a text file; a byte order mark is seen by itself."""
    undecodable: Literal["error", "replace"] = "error"
    """Bytes that are not in this encoding stop the run, or become U+FFFD (which ``clean.damaged`` drops)."""
    split: str | None = None
    """Split of a data set, e.g. train; of GLUE's CoLA ``in_domain`` or ``out_of_domain``."""
    subset: str | None = None
    """Configuration of a data set that has several; the task of a file of GLUE whose folder does not tell it."""
    classes: int | None = None
    """Classes of formats that have several sets of them: ``trees`` 5 (the default) or 2, ``trec`` 6 (the default)
    or 50."""
    phrases: bool = False
    """Of ``trees``, every phrase as an example of its own, and not whole sentences alone."""
    labels: LabelNames = {}
    """New names for labels, e.g. {"0": negative, "1": positive}; for taggers of tags or types, where O drops one."""


OneSource = Annotated[Source, BeforeValidator(_path_alone)]
Sources = Annotated[list[OneSource], BeforeValidator(one_or_many)]
Paths = Annotated[list[str], BeforeValidator(one_or_many)]
Cut = Annotated[float, Field(gt=0)]
"""Cut from the training examples: a share below 1, or a number of examples."""


class Clean(Settings):
    """What prepare drops before anything else, counted in its report."""

    damaged: bool = True
    """Drop texts with replacement or control characters, or text that was decoded with the wrong table."""
    duplicates: bool = True
    """Drop all but the first of texts that are equal but for case and spaces (for taggers: in every word; for
    translators: with their translation); all of them where labels differ."""
    longest: int | None = Field(None, gt=0)
    """For translators: drop a training pair of which either side has more words."""
    ratio: float | None = Field(None, ge=1)
    """For translators: drop a training pair of which one side has this many times the words of the other, or more."""


class Vocabulary(Settings):
    """Pieces of words that translators trained here read and write."""

    model: Literal["bpe", "unigram"] = "bpe"
    """How words are cut: by byte-pair encoding, or a unigram model (which needs sentencepiece to learn it)."""
    size: int = Field(8000, gt=300)
    """Pieces at most, special tokens and bytes included (261); of each language where they are not joint."""
    joint: bool = True
    """One set of pieces for both languages, whose embeddings are shared."""


class Data(Settings):
    """Where examples come from."""

    train: Sources
    """Labelled examples (an empty label means unlabelled). None needs a label where a ready teacher is all there is to
    learn from: with ``control: false``, and sources of their own for dev and test."""
    dev: OneSource | Cut = 0.1
    """Examples that pick the best weights: a source, or a share (below 1) or number cut from ``train`` (for
    translators, all translations of a text together)."""
    test: OneSource | Cut = 0.1
    """Examples that the scores at the end are on, and nothing else: a source, or a share or number."""
    unlabelled: Sources = []
    """More text for the teacher to answer on; any labels in it are hidden from everything."""
    labelled: int | None = Field(None, gt=0)
    """Keep the gold of this many training examples (balanced draw); the others become unlabelled text."""
    limit: int | None = Field(None, gt=0)
    """Use at most this many rows of ``train``, drawn at random (for translators, all translations of a text together):
    for quick trials."""
    seed: int = Field(0, ge=0)
    """Of the draws above."""
    context: int = Field(0, ge=0)
    """Words of the same document that a tagging teacher reads on each side of a sentence, as far as its
    ``max_length`` goes; of conll files, whose -DOCSTART- lines part documents. Students read sentences alone."""
    clean: Clean = Clean()
    """What is dropped before anything else."""
    vocabulary: Vocabulary = Vocabulary()
    """For translators: pieces of words, learnt from ``train``."""
    raw: Paths = []
    """Text for methods with a stage on raw text, such as general distillation: files and folders of UTF-8 (of a
    folder those that end in .txt or .gz, or have no ending), one piece of text a line."""
    raw_length: int = Field(128, gt=2)
    """Tokens of the blocks that raw text is packed into, special tokens included."""
    raw_shuffle: int = Field(0, ge=0)
    """So many lines of raw text at a time change places before they are packed; 0 keeps what follows upon what."""


RAW = {"raw", "raw_length", "raw_shuffle"}
"""Keys of ``data`` that are about raw text alone."""
