"""Tagged: whether a file is one of tagged words, and how it is read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from limbeck.cli.columns import MOST_LABELS, SENTENCE
from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.sources import Source
from limbeck.text.readers import CONLL_ENDINGS, HUB_NAME, read, table_of
from limbeck.text.tables import ENDINGS, ending_of
from limbeck.text.tagged import has_tags
from limbeck.text.tags import mark_spans

OF_TABLES = {"auto", "csv", "tsv", "jsonl", "parquet", "dataset"}
"""Formats, as :func:`_forms` tells them, with columns."""


def find_tagged(source: Source) -> tuple[Source, list[Example]] | None:
    """How a file's words and tags are read, and its sentences; None for a file that is not one of tagged words.

    Args:
        source: The file; where its format is not ``auto``, it is read so or not at all.
    """
    if _is_of_hub(source):
        table_of(source)  # raises where it cannot be had, once and not for every format
    for form in _forms(source):
        source = source.model_copy(update={"format": form})
        try:
            if form in OF_TABLES and not has_tags(table_of(source), source):
                continue  # before all its texts are cut into words
            sentences = read(source, task="tagging")
        except LimbeckError:
            if ending_of(Path(source.path)) in CONLL_ENDINGS:
                raise
            continue
        if ending_of(Path(source.path)) in CONLL_ENDINGS or _look_tagged(sentences):
            return source, sentences
    return None


def _forms(source: Source) -> list[str]:
    """Formats in which a file may hold tagged words."""
    path = Path(source.path)
    ending = ending_of(path)
    if source.format != "auto":
        return [source.format]
    if ending in CONLL_ENDINGS:
        return ["conll"]
    if path.name == "seq.in":
        return ["parallel"]
    if ending in (".csv", ".tsv"):
        return ["auto", "conll"]
    if path.is_dir() or _is_of_hub(source):
        return ["auto"]
    return ["auto"] if (ending in ENDINGS and ending != ".txt") else ["conll", "word_tag"]


def _is_of_hub(source: Source) -> bool:
    path = Path(source.path)
    is_file = path.exists() or ending_of(path) in (*ENDINGS, *CONLL_ENDINGS)
    return not is_file and source.format == "auto" and HUB_NAME.fullmatch(source.path) is not None


def _look_tagged(sentences: Sequence[Example]) -> bool:
    """Whether tags mark spans, or are few, of words that make sentences."""
    tags = [tag for sentence in sentences for tag in sentence.tags or ()]
    if mark_spans(tags):
        return True
    few = 2 <= len(set(tags)) <= min(MOST_LABELS, len(tags) // 2)
    return few and len(sentences) > 1 and len(tags) >= SENTENCE * len(sentences)
