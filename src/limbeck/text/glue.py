"""GLUE: the files of its nine tasks as they were released, each with its own columns, with a header or none.

Fields are cut at tabs alone: a quotation mark is text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from limbeck.core import progress
from limbeck.core.errors import LimbeckError
from limbeck.core.sources import Source
from limbeck.core.tasks import Metric, Task
from limbeck.text.rows import Row, head_of, numbered

TASKS: dict[str, tuple[str, str | None, str]] = {
    "cola": ("sentence", None, "label"),
    "sst-2": ("sentence", None, "label"),
    "mrpc": ("#1 String", "#2 String", "Quality"),
    "qqp": ("question1", "question2", "is_duplicate"),
    "mnli": ("sentence1", "sentence2", "gold_label"),
    "qnli": ("question", "sentence", "label"),
    "rte": ("sentence1", "sentence2", "label"),
    "wnli": ("sentence1", "sentence2", "label"),
    "sts-b": ("sentence1", "sentence2", "score"),
}
"""Of each task the columns of text, second text and label; test files lack the last."""
MEASURED_BY: dict[str, tuple[Task, Metric]] = {
    "cola": ("classification", "mcc"),
    "sst-2": ("classification", "accuracy"),
    "mrpc": ("classification", "binary_f1"),
    "qqp": ("classification", "binary_f1"),
    "mnli": ("classification", "accuracy"),
    "qnli": ("classification", "accuracy"),
    "rte": ("classification", "accuracy"),
    "wnli": ("classification", "accuracy"),
    "sts-b": ("regression", "pearson"),
}
"""What each task is, and the metric that GLUE names for it first: of MRPC and QQP accuracy stands beside F1, of STS-B
Spearman's correlation beside Pearson's (Wang et al. 2019, table 1)."""

HEADERS = (
    "index sentence",
    "Quality #1_ID #2_ID #1_String #2_String",
    "index #1_ID #2_ID #1_String #2_String",
    "id qid1 qid2 question1 question2 is_duplicate",
    "id question1 question2",
    "index question sentence",
    "index sentence1 sentence2",
    "index genre filename year old_index source1 source2 sentence1 sentence2",
    "index genre filename year old_index source1 source2 sentence1 sentence2 score",
)
"""First lines that only GLUE's files have (of MNLI's several versions, the first words)."""
OF_LABELS = {
    "index sentence1 sentence2 label": r"(not_)?entailment|[01]|-1",
    "index question sentence label": r"(not_)?entailment|-1",
}
"""First lines that other people's files may have, and what the last column of GLUE's then holds."""
MNLI = "index promptID pairID genre "
SST2 = "sentence label"
"""The first line of SST-2, and of many people's own files: only the folder tells."""
GOLD = {
    "cola": "[01]",
    "sst-2": "[01]",
    "qqp": "[01]",
    "rte": "(not_)?entailment",
    "sts-b": r"[0-5](\.\d+)?",
}
"""What stands in the column of the label, in files without a header."""
NO_LABEL = frozenset({"-", "-1", "-1.0"})
"""Labels of sentences that nobody has labelled, and of those of MNLI that its annotators did not agree on."""
OUT_OF_DOMAIN = {"c-05", "clc95", "j_71", "s_97", "swb04", "w_80"}
"""Sources of CoLA's sentences that only its out-of-domain part has; the first column names them."""
STSB_FILE = re.compile(r"sts-(train|dev|test)\.csv(\.gz)?")


@dataclass(frozen=True, slots=True)
class Layout:
    """Where things stand in a file.

    Attributes:
        task: The task, a key of ``TASKS``; of those whose files have the same columns, any.
        width: Columns of every line, or the least of them where lines differ.
        text: Column of the text.
        second: Column of the second text.
        label: Column of the label.
        header: Whether the first line names the columns.
    """

    task: str
    width: int
    text: int
    second: int | None
    label: int | None
    header: bool


HEADLESS = {
    "cola": Layout("cola", 4, 3, None, 1, False),
    "sst-2": Layout("sst-2", 2, 0, None, 1, False),
    "rte": Layout("rte", 4, 1, 2, 3, False),
    "qqp": Layout("qqp", 3, 0, 1, 2, False),
    "sts-b": Layout("sts-b", 7, 5, 6, 4, False),
}
"""Files without a header, by task."""


def is_like(path: Path, head: str) -> bool:
    """Whether the first line is that of a file of GLUE, or the folder names a task whose files begin so."""
    first, _, rest = head.partition("\n")
    cells = _cells(first)
    shown = " ".join(cell.replace(" ", "_") for cell in cells)
    task = task_of(path)
    if (gold := OF_LABELS.get(shown)) is not None:
        return re.fullmatch(gold, _cells(rest.partition("\n")[0])[-1]) is not None
    if shown in HEADERS or shown.startswith(MNLI) or (shown, task) == (SST2, "sst-2"):
        return True
    layout = HEADLESS.get(task or "")
    return layout is not None and _fits(layout, cells)


def read(path: Path, source: Source) -> Iterator[Row]:
    """The rows of a file of GLUE.

    Args:
        path: The file; its folder (``CoLA``, ``STS-B/original``) tells the task where no header does.
        source: ``subset`` names the task; ``split`` of CoLA is ``in_domain`` or ``out_of_domain`` for one part.

    Raises:
        LimbeckError: The columns are those of no task, or a line has others than the first.
    """
    lines = [(number, _cells(line)) for number, line in numbered(path, source)]
    if not lines:
        return
    layout = layout_of(path, lines[0][1], _asked(source))
    part = _part(source, layout)
    broken = 0
    for number, cells in lines[layout.header :]:
        if len(cells) != layout.width and not (layout.task == "sts-b" and len(cells) > layout.width):
            if layout.task != "qqp" or not layout.header:
                what = f"{len(cells)} columns where line {lines[0][0]} has {len(lines[0][1])}"
                raise LimbeckError(what, where=path, line=number, fix="Files of GLUE are cut at tabs alone")
            broken += 1
        elif part is None or (cells[0] in OUT_OF_DOMAIN) == (part == "out_of_domain"):
            yield _row(number, cells, layout)
    if broken:
        progress.warn(
            f"{path.name}: {broken:,} lines are broken in two, as QQP was released; they were left out"
        )


def check_task(path: Path, source: Source, task: Task) -> None:
    """Insist that a file of scores is read as such, and a file of labels as that.

    Raises:
        LimbeckError: It is not.
    """
    named = named_task(path, source)
    wanted = MEASURED_BY[named][0] if named else task
    if named and wanted != task and source.label is not None:
        has = "scores" if wanted == "regression" else "labels"
        fix = f"Set 'task: {wanted}' in the recipe"
        raise LimbeckError(f"{named.upper()} has {has}, and the task is {task}", where=path, fix=fix)


def named_task(path: Path, source: Source) -> str | None:
    """The task that the source names, or else that of the file by its first line and its folder; or None.

    Raises:
        LimbeckError: GLUE has no such task.
    """
    if (asked := _asked(source)) is not None:
        return asked
    try:
        return layout_of(path, _cells(head_of(path).partition("\n")[0])).task
    except LimbeckError:
        return None


def _row(number: int, cells: Sequence[str], layout: Layout) -> Row:
    label = "" if layout.label is None else cells[layout.label]
    second = None if layout.second is None else cells[layout.second]
    return Row(number, cells[layout.text], None if label in NO_LABEL else label, second)


def layout_of(path: Path, first: Sequence[str], task: str | None = None) -> Layout:
    """Where things stand, by the first line; the task as it is named, or as the folder names it.

    Raises:
        LimbeckError: The first line is that of no task, or not of the one that is named.
    """
    named = task or task_of(path)
    # Names of one task's columns are among those of another, so the task that explains most of them is meant.
    best = max([named] if named else TASKS, key=lambda one: sum(key in first for key in TASKS[one]))
    text, second, label = TASKS[best]
    others = {key for *_, key in TASKS.values()} - {label}
    is_other = label not in first and not others.isdisjoint(first)
    if text in first and (second is None or second in first) and not is_other:
        other, gold = (first.index(key) if key in first else None for key in (second, label))
        return Layout(best, len(first), first.index(text), other, gold, True)
    if named and (layout := HEADLESS.get(named)) and _fits(layout, first):
        return layout
    what = f"the first line is not that of a file of {named.upper() if named else 'GLUE'}"
    fix = f"Name the task in 'subset': {', '.join(TASKS)}; or give 'format: tsv' and the columns"
    raise LimbeckError(what, where=path, line=1, fix=fix)


def task_of(path: Path) -> str | None:
    """The task that one of the three folders above names; the files of STS Benchmark have a name of their own."""
    plain = {task.replace("-", ""): task for task in TASKS}
    for folder in path.absolute().parts[-2:-5:-1]:
        name = re.sub("[^a-z0-9]", "", folder.lower()).removesuffix("public")
        if name in plain:
            return plain[name]
    return "sts-b" if STSB_FILE.fullmatch(path.name) else None


def _asked(source: Source) -> str | None:
    if source.subset is None:
        return None
    task = {name.replace("-", ""): name for name in TASKS}.get(re.sub("[-_]", "", source.subset.lower()))
    if task is None:
        fix = f"It is one of {', '.join(TASKS)}"
        raise LimbeckError(f"GLUE has no task '{source.subset}'", where=source.path, fix=fix)
    return task


def _part(source: Source, layout: Layout) -> str | None:
    """The part of CoLA that is asked for."""
    if source.split is None:
        return None
    if layout.task == "cola" and not layout.header and source.split in ("in_domain", "out_of_domain"):
        return source.split
    what = f"there is no split '{source.split}' in a file of GLUE"
    raise LimbeckError(what, where=source.path, fix="CoLA's labelled files have in_domain and out_of_domain")


def _fits(layout: Layout, cells: Sequence[str]) -> bool:
    if layout.label is None or len(cells) < layout.width:
        return False
    exact = layout.task == "sts-b" or len(cells) == layout.width
    return exact and re.fullmatch(GOLD[layout.task], cells[layout.label].strip()) is not None


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.rstrip("\r\n").split("\t")]
