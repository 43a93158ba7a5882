"""Write the benchmarks' tables into the README and the documentation, so that nobody types a number.

A table stands between ``<!-- table:NAME -->`` and ``<!-- /table:NAME -->``; NAME is a key of ``TABLES``. With
``--check`` nothing is written, and the exit status is 1 where a page is not what its results say.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from limbeck.core.errors import LimbeckError
from limbeck.core.files import atomic_write, read_json
from limbeck.evaluate.table import NOTHING, Columns, Row, markdown, percent, points, size, times

ROOT = Path(__file__).resolve().parent.parent
MARKER = re.compile(r"^[ \t]*<!-- (?P<end>/?)table:(?P<name>[\w-]+) -->[ \t]*$", re.MULTILINE)


@dataclass(frozen=True)
class Table:
    """What is shown of which results.

    Attributes:
        results: The file's name under ``benchmarks/results`` without its ending; None reads all files.
        columns: Headings, and how a row is shown under each.
        words: Headings of columns that hold words, and so stand to the left.
        rows: Takes the rows to show from a file's content.
    """

    results: str | None
    columns: Columns
    words: frozenset[str]
    rows: Callable[[str, dict[str, Any]], list[Row]]


def text(field: str) -> Callable[[Row], str]:
    """Shows a field as it is; a dash where there is none."""
    return lambda row: NOTHING if row.get(field) is None else str(row[field])


def share(field: str) -> Callable[[Row], str]:
    """Shows a share of one as a percentage, with its sign."""
    return lambda row: NOTHING if row.get(field) is None else f"{percent(row[field])}%"


def number(field: str) -> Callable[[Row], str]:
    """Shows a number with three digits or more, thousands set apart."""
    return lambda row: _number(row.get(field))


def _number(value: float | None) -> str:
    if value is None:
        return NOTHING
    decimals = 0 if abs(value) >= 99.95 else 1 if abs(value) >= 9.995 else 2
    return f"{value:,.{decimals}f}"


def target(row: Row) -> str:
    """Shows what an aim asks for, e.g. ``≥ 3``."""
    sign = {">": ">", "<=": "≤"}.get(row.get("compare", ""), "≥")
    return f"{sign} {row['target']:g}"


def summaries(_: str, content: dict[str, Any]) -> list[Row]:
    """The rows that sum up several seeds: those marked so, or all where none is."""
    rows: list[Row] = content["rows"]
    return [row for row in rows if row.get("kind") == "summary"] or rows


def on_which_aims_rest(_: str, content: dict[str, Any]) -> list[Row]:
    """The teacher, and the rows of five seeds."""
    rows = summaries(_, content)
    return [row for row in rows if row.get("model") == "teacher" or row.get("seeds", 5) >= 5]


def shape(row: Row) -> str:
    """Shows batch, words and tags."""
    return f"{row['batch']} × {row['words']} × {row['tags']}"


def milliseconds(field: str) -> Callable[[Row], str]:
    """Shows a time in milliseconds."""
    return lambda row: _number(row.get(field))


def aims(name: str, content: dict[str, Any]) -> list[Row]:
    """The aims, each with its benchmark's name."""
    return [{"benchmark": name, **aim} for aim in content["aims"]]


def of_transformer(name: str, content: dict[str, Any]) -> list[Row]:
    """The teachers, and the students that are transformers."""
    return [row for row in of_taggers(name, content) if row.get("student", "transformer") == "transformer"]


def of_taggers(_: str, content: dict[str, Any]) -> list[Row]:
    """By data set, its teacher first, then by student and text."""
    rows = [row for row in content["rows"] if row["kind"] in ("teacher", "summary")]
    return sorted(rows, key=lambda row: row["data"], reverse=True)


def ranked(_: str, content: dict[str, Any]) -> list[Row]:
    """By data set and student: the teacher, then the best first."""
    rows: list[Row] = content["rows"]
    places = list(dict.fromkeys((row["data"], row["student"]) for row in rows))
    return sorted(
        rows,
        key=lambda row: (
            places.index((row["data"], row["student"])),
            row["method"] != "teacher",
            -row["score"],
        ),
    )


def gained(suffix: str = "") -> Callable[[Row], str]:
    """Shows a gain in points with its interval."""
    return lambda row: points(*(row.get(f"{name}{suffix}") for name in ("gain", "low", "high")))


def in_points(row: Row) -> str:
    """A gain that is in points already, with its interval."""
    if row.get("gain") is None:
        return NOTHING
    return f"{row['gain']:+.1f} [{row['low']:+.1f}, {row['high']:+.1f}]"


def decimal(field: str) -> Callable[[Row], str]:
    """Shows a number with one decimal."""
    return lambda row: NOTHING if row.get(field) is None else f"{row[field]:.1f}"


def of_kind(kind: str) -> Callable[[str, dict[str, Any]], list[Row]]:
    """The rows of a kind, such as the seconds of an epoch."""
    return lambda _, content: [row for row in content["rows"] if row["kind"] == kind]


def lost_slices(_: str, content: dict[str, Any]) -> list[Row]:
    """Of each run the first six slices on which more is lost than elsewhere."""
    by_run: dict[str, list[Row]] = {}
    for row in content["rows"]:
        if row["kind"] == "slice" and row["worse_here"]:
            by_run.setdefault(row["run"], []).append(row)
    return [row for found in by_run.values() for row in found[:6]]


def spanned(row: Row) -> str:
    """A share in percent, with its interval."""
    if row.get("share") is None:
        return NOTHING
    return f"{100 * row['share']:.0f}% [{100 * row['low']:.0f}, {100 * row['high']:.0f}]"


def scored(field: str) -> Callable[[Row], str]:
    """Shows points, such as BLEU, with their interval where the row has it."""

    def shown(row: Row) -> str:
        if row.get(field) is None:
            return NOTHING
        interval = f" [{row['low']:.1f}, {row['high']:.1f}]" if field == "bleu" and "low" in row else ""
        return f"{row[field]:.1f}{interval}"

    return shown


def measured(field: str) -> Callable[[Row], str]:
    """Shows a measure with three decimals, as the slides do."""
    return lambda row: NOTHING if row.get(field) is None else f"{row[field]:.3f}"


def millions(field: str) -> Callable[[Row], str]:
    """Shows a number of weights in millions."""
    return lambda row: NOTHING if row.get(field) is None else f"{_number(row[field] / 1e6)} M"


TEXTS: Columns = {
    "C(d)": measured("complexity"),
    "C(d) over links": measured("complexity_by_link"),
    "F(d)": measured("faithfulness"),
    "reordering": measured("reordering"),
    "BLEU of the text": scored("text_bleu"),
}
TAGGERS: Columns = {
    "data": text("data"),
    "student": text("student"),
    "method": text("method"),
    "text": text("text"),
    "precision": lambda row: percent(row.get("precision")),
    "recall": lambda row: percent(row.get("recall")),
    "F1": lambda row: percent(row.get("f1"), row.get("deviation")),
    "gap closed": share("closed"),
}
TAGGERS_WORDS = frozenset({"data", "student", "method", "text"})

SENTIMENT: Columns = {
    "model": text("model"),
    "student": text("student"),
    "method": text("method"),
    "transfer text": text("transfer"),
    "accuracy": lambda row: percent(row.get("accuracy"), row.get("deviation")),
    "gain over control": lambda row: points(row.get("gain"), row.get("low"), row.get("high")),
    "of teacher's": share("retention"),
    "times faster": lambda row: times(row.get("times_faster")),
    "size": lambda row: size(row.get("bytes")),
}
SENTIMENT_WORDS = frozenset({"model", "student", "method", "transfer text"})

SCORE: Columns = {
    "metric": text("metric"),
    "score": lambda row: percent(row.get("score"), row.get("deviation")),
}
GAIN: Columns = {"gain over control": gained()}

PROBES = (
    "sentence_length",
    "word_content",
    "tree_depth",
    "top_constituents",
    "bigram_shift",
    "tense",
    "subject_number",
    "object_number",
    "odd_man_out",
    "coordination_inversion",
)
"""SentEval's tasks, in its order."""


def probed(_: str, content: dict[str, Any]) -> list[Row]:
    """A row a model, with what its best layer of each task tells; dev says which that is."""
    rows: list[Row] = content["rows"]
    found = []
    for model in (row for row in rows if row["kind"] == "mean"):
        shown = dict(model)
        for task in PROBES:
            key = ("probe", model["model"], task)
            layers = [row for row in rows if (row["kind"], row.get("model"), row.get("task")) == key]
            best = max(layers, key=lambda row: row["dev"], default=None)
            shown[task] = best and f"{percent(best['accuracy'])}% ({best['layer']})"
        found.append(shown)
    return found


TABLES: dict[str, Table] = {
    "sentiment": Table("sentiment", SENTIMENT, SENTIMENT_WORDS, on_which_aims_rest),
    "sentiment-all": Table("sentiment", {**SENTIMENT, "seeds": text("seeds")}, SENTIMENT_WORDS, summaries),
    "chain-speed": Table(
        results="chain_speed",
        columns={
            "program": text("program"),
            "batch × words × tags": shape,
            "Limbeck, ms": milliseconds("limbeck_ms"),
            "pytorch-crf, ms": milliseconds("pytorch-crf_ms"),
            "torch-struct, ms": milliseconds("torch-struct_ms"),
            "full tensor, ms": milliseconds("full tensor_ms"),
        },
        words=frozenset({"program"}),
        rows=summaries,
    ),
    "taggers": Table("taggers", TAGGERS, TAGGERS_WORDS, of_transformer),
    "taggers-all": Table("taggers", TAGGERS, TAGGERS_WORDS, of_taggers),
    "taggers-seconds": Table(
        results="taggers",
        columns={
            "data": text("data"),
            "student": text("student"),
            "method": text("method"),
            "teacher forward, s": number("teacher_forward"),
            "student forward, s": number("student_forward"),
            "student backward, s": number("student_backward"),
            "student's step, s": number("student_step"),
        },
        words=frozenset({"data", "student", "method"}),
        rows=of_kind("seconds"),
    ),
    "throughput": Table(
        results="throughput",
        columns={
            "student": text("student"),
            "device": text("device"),
            "Limbeck, examples/s": number("limbeck_per_second"),
            "TextBrewer, examples/s": number("textbrewer_per_second"),
            "times faster": lambda row: times(row.get("times_faster")),
            "a later epoch": lambda row: times(row.get("times_faster_later_epochs")),
            "than its caching distiller": lambda row: times(row.get("times_faster_than_caching")),
        },
        words=frozenset({"student", "device"}),
        rows=summaries,
    ),
    "augmentation": Table(
        results="augmentation",
        columns={
            "augmented by": text("what"),
            "device": text("device"),
            "copies of a sentence": number("copies"),
            "sentences/s": number("per_second"),
            "masked_lm is faster": lambda row: times(row.get("times_faster")),
        },
        words=frozenset({"augmented by", "device"}),
        rows=summaries,
    ),
    "classifiers": Table(
        results="classifiers",
        columns={
            "data": text("data"),
            "shape": text("shape"),
            "model": text("model"),
            "student": text("student"),
            "method": text("method"),
            "text": text("text"),
            "labels": text("labelled"),
            **SCORE,
            **GAIN,
            "of teacher's": share("retention"),
            "size": lambda row: size(row.get("bytes")),
        },
        words=frozenset({"data", "shape", "model", "student", "method", "text", "metric"}),
        rows=summaries,
    ),
    "transfer-text": Table(
        results="transfer_text",
        columns={
            "data": text("data"),
            "with labels": lambda row: f"{row['share']:.0%}",
            "text": text("text"),
            "labels": number("labelled"),
            "sentences": number("sentences"),
            **SCORE,
            **GAIN,
            "gain over none": gained("_over_none"),
        },
        words=frozenset({"data", "text", "metric"}),
        rows=summaries,
    ),
    "methods": Table(
        results="methods",
        columns={
            "data": text("data"),
            "student": text("student"),
            "method": text("method"),
            "accuracy": SCORE["score"],
            **GAIN,
            "gain over soft_labels": gained("_over_soft"),
        },
        words=frozenset({"data", "student", "method"}),
        rows=ranked,
    ),
    "decoding": Table(
        results="decoding",
        columns={"text": text("text"), **TEXTS, "student's BLEU": scored("bleu")},
        words=frozenset({"text"}),
        rows=summaries,
    ),
    "capacity": Table(
        results="capacity",
        columns={
            "teacher": text("teacher"),
            "weights": millions("parameters"),
            "teacher's BLEU": scored("teacher_bleu"),
            "text": text("text"),
            **TEXTS,
            "autoregressive student's BLEU": scored("autoregressive"),
            "vanilla's BLEU": scored("vanilla"),
        },
        words=frozenset({"teacher", "text"}),
        rows=summaries,
    ),
    "translation-speed": Table(
        results="translation_speed",
        columns={
            "size": text("size"),
            "model": text("model"),
            "search": text("search"),
            "engine": text("engine"),
            "p50, ms": milliseconds("p50_ms"),
            "sentences/s": number("per_second"),
            "times faster": lambda row: times(row.get("times_faster")),
            "BLEU": scored("bleu"),
            "weights": millions("parameters"),
        },
        words=frozenset({"size", "model", "search", "engine"}),
        rows=summaries,
    ),
    "parallel-students": Table(
        results="parallel_students",
        columns={
            "student": text("student"),
            "BLEU": scored("real"),
            "distilled": scored("distilled"),
            "gain": in_points,
            "passes": decimal("passes"),
            "p50, ms": milliseconds("p50_ms"),
            "in int8, ms": milliseconds("int8_p50_ms"),
            "times faster": lambda row: times(row.get("times_faster")),
            "in int8": lambda row: times(row.get("int8_times_faster")),
            "weights": millions("parameters"),
        },
        words=frozenset({"student"}),
        rows=summaries,
    ),
    "parallel-capacity": Table(
        results="parallel_capacity",
        columns={
            "student": text("student"),
            "its best teacher": text("teacher"),
            "that one's BLEU": scored("teacher_bleu"),
            "student's BLEU": scored("bleu"),
            "above the real text": scored("gain"),
        },
        words=frozenset({"student", "its best teacher"}),
        rows=summaries,
    ),
    "against-fairseq": Table(
        results="against_fairseq",
        columns={
            "size": text("size"),
            "student": text("student"),
            "what": text("what"),
            "engine": text("engine"),
            "Limbeck, ms": milliseconds("limbeck_ms"),
            "fairseq, ms": milliseconds("fairseq_ms"),
            "times faster": lambda row: times(row.get("times_faster")),
            "weights": millions("parameters"),
            "fairseq's": millions("fairseq_parameters"),
        },
        words=frozenset({"size", "student", "what", "engine"}),
        rows=summaries,
    ),
    "modes": Table(
        results="modes",
        columns={
            "panel": text("panel"),
            "model": text("model"),
            "learned": text("text"),
            "C(d)": measured("complexity"),
            "C(d) over links": measured("complexity_by_link"),
            "outputs in one language": share("decided"),
            "BLEU, de": scored("bleu_de"),
            "BLEU, fr": scored("bleu_fr"),
            "BLEU, es": scored("bleu_es"),
        },
        words=frozenset({"panel", "model", "learned"}),
        rows=summaries,
    ),
    "tinybert": Table(
        results="tinybert",
        columns={
            "task": text("task"),
            "model": text("model"),
            "score": lambda row: percent(row.get("score"), row.get("deviation")),
            "metric": text("metric"),
            "weights": millions("parameters"),
            "size": lambda row: size(row.get("bytes")),
            "times faster": lambda row: times(row.get("times_faster")),
            "engine": text("engine"),
            "int8 changes": share("changed"),
        },
        words=frozenset({"task", "model", "metric", "engine"}),
        rows=summaries,
    ),
    "probing": Table(
        results="probing",
        columns={
            "model": text("model"),
            "layers": text("layers"),
            "mean of best layers": share("accuracy"),
            **{task.replace("_", " "): text(task) for task in PROBES},
        },
        words=frozenset({"model"}),
        rows=probed,
    ),
    "mistakes": Table(
        results="mistakes",
        columns={
            "run": text("run"),
            "slice on which the student loses more": text("slice"),
            "of": text("unit"),
            "units": text("size"),
            "gap": lambda row: points(row.get("gap"), row.get("low"), row.get("high")),
            "elsewhere": lambda row: points(row.get("elsewhere")),
        },
        words=frozenset({"run", "slice on which the student loses more", "of"}),
        rows=lost_slices,
    ),
    "mistakes-overlap": Table(
        results="mistakes",
        columns={
            "run": text("run"),
            "of what is lost by": text("of"),
            "is lost too by": lambda row: "itself, other seeds" if row["of"] == row["over"] else row["over"],
            "lost": decimal("lost"),
            "share": spanned,
            "by luck": share("luck"),
        },
        words=frozenset({"run", "of what is lost by", "is lost too by"}),
        rows=of_kind("overlap"),
    ),
    "tinybert-ablations": Table(
        results="tinybert_ablations",
        columns={
            "table": text("table"),
            "task": text("task"),
            "row": text("row"),
            "score": lambda row: percent(row.get("mean"), row.get("deviation")),
            "against the first": lambda row: points(row.get("difference"), row.get("low"), row.get("high")),
            "rank": text("rank"),
            "published rank": text("paper_rank"),
        },
        words=frozenset({"table", "task", "row"}),
        rows=summaries,
    ),
    "aims": Table(
        results=None,
        columns={
            "benchmark": text("benchmark"),
            "aim": text("what"),
            "target": target,
            "measured": number("measured"),
            "met": lambda row: "yes" if row["met"] else "**no**",
        },
        words=frozenset({"benchmark", "aim", "target", "met"}),
        rows=aims,
    ),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Bring all pages up to date, or with ``--check`` name those that are not."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit with 1 where a page is stale"
    )
    parser.add_argument(
        "--root", type=Path, default=ROOT, help="the folder of README.md, docs and benchmarks"
    )
    options = parser.parse_args(arguments)
    try:
        stale = update(options.root, write=not options.check)
    except LimbeckError as error:
        print(error, file=sys.stderr)
        return 2
    for page in stale:
        print(f"{page}: {'not what benchmarks/results say: run make tables' if options.check else 'written'}")
    return 1 if options.check and stale else 0


def update(root: Path, *, write: bool) -> list[Path]:
    """Render the tables of README.md and docs/**/*.md; gives the pages that were not up to date.

    Raises:
        LimbeckError: A marker without its partner, an unknown table, a damaged results file.
    """
    stale = []
    for page in [root / "README.md", *sorted(root.glob("docs/**/*.md"))]:
        if not page.exists():
            continue
        before = page.read_text(encoding="utf-8")
        after = render(before, page, root / "benchmarks" / "results")
        if after != before:
            stale.append(page)
            if write:
                with atomic_write(page) as file:
                    file.write(after)
    return stale


def render(page: str, where: Path, results: Path) -> str:
    """The page with what its tables now hold."""
    parts, place = [], 0
    markers = MARKER.finditer(page)
    for marker in markers:
        line = page.count("\n", 0, marker.start()) + 1
        if marker["end"]:
            raise LimbeckError(f"table '{marker['name']}' ends but does not begin", where=where, line=line)
        following = next(markers, None)
        if following is None or not following["end"] or following["name"] != marker["name"]:
            raise LimbeckError(f"table '{marker['name']}' has no end marker", where=where, line=line)
        if marker["name"] not in TABLES:
            raise LimbeckError(
                f"no such table: '{marker['name']}'",
                where=where,
                line=line,
                fix=f"There are: {', '.join(TABLES)}",
            )
        parts += [page[place : marker.end()], f"\n\n{body(marker['name'], results)}\n\n"]
        place = following.start()
    return "".join(parts) + page[place:]


def body(name: str, results: Path) -> str:
    """A table and, below it, what it was measured with; a sentence where there are no results yet."""
    table = TABLES[name]
    files = sorted(results.glob(f"{table.results or '*'}.json"))
    contents = {file.stem: _read(file) for file in files}
    rows = [row for stem, content in contents.items() for row in table.rows(stem, content)]
    if not rows:
        return "*Not measured yet: `make bench` does.*"
    sources = "; ".join(dict.fromkeys(source(content) for content in contents.values()))
    return f"{markdown(rows, table.columns, table.words)}\n\n<sub>{sources}.</sub>"


def _read(file: Path) -> dict[str, Any]:
    content = read_json(file)
    missing = [
        key for key in ("command", "machine", "versions", "date", "rows", "aims")
        if not isinstance(content, dict) or key not in content
    ]  # fmt: skip
    if missing:
        raise LimbeckError(f"this is not a results file: it has no '{missing[0]}'", where=file)
    return dict(content)


def source(content: dict[str, Any]) -> str:
    """What made a file of results, on what, and when."""
    machine = content["machine"]
    return f"`{content['command']}`, {machine['cpu']}, {machine['cores']} cores, {content['date']}"


if __name__ == "__main__":
    sys.exit(main())
