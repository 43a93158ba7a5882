"""The page of probes: heat maps of layers by tasks for every model, what differs between them, and all the numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from limbeck import __version__
from limbeck.core.files import atomic_write
from limbeck.report import markdown_parts, words
from limbeck.report.grid import Cell, grid
from limbeck.report.page import fill
from limbeck.report.probed_facts import Findings, Model, Row, Task

STYLES = {"teacher": "teacher", "control": "control", "vectors": "plain", "random": "plain"}
LAYER = "layer"


@dataclass(frozen=True, slots=True)
class Panel:
    """A picture.

    Attributes:
        title: Above it.
        note: After the title.
        picture: The picture.
        style: Of the model's dot.
    """

    title: str
    note: str
    picture: Markup
    style: str = ""


@dataclass(frozen=True, slots=True)
class Numbers:
    """A table.

    Attributes:
        title: Above it.
        heads: Of its columns.
        rows: Their cells.
        words_in: Columns, from the left, that hold words.
    """

    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    words_in: int = 1


def write(folder: Path) -> Path:
    """Write ``probes.html`` and ``probes.md`` beside ``probes.json``.

    Args:
        folder: Of the results.

    Returns:
        The page.

    Raises:
        LimbeckError: The results are missing or damaged, or the pages cannot be written.
    """
    found = Findings.read(folder / "probes.json")
    page = folder / "probes.html"
    with atomic_write(page) as file:
        file.write(render(found))
    with atomic_write(page.with_suffix(".md")) as file:
        file.write(as_markdown(found))
    return page


def render(found: Findings) -> str:
    """The page's HTML."""
    return fill(
        "probed.html.jinja",
        title="Probes",
        name=words.plural(len(found.models), "model"),
        version=__version__,
        of=found,
        headline=headline(found),
        maps=[
            Panel(model.name, _note(found, model), _map(found, model), style(found, model))
            for model in found.models
        ],
        differences=[_difference(found, *pair) for pair in found.pairs],
        mixes=[mix for model in found.models if (mix := _mix_of(found, model)) is not None],
        best=best_table(found),
        spans=spans_table(found),
        tables=[all_table(found, model) for model in found.models],
        tasks=tasks_table(found),
        weights=mix_table(found),
        apart=[differences_table(found, *pair) for pair in found.pairs],
    )


def headline(found: Findings) -> str:
    """What the best layers tell, on average."""
    of = "sentences" if any(task.of == "sentences" for task in found.tasks) else "spans"
    told = [
        (model.name, share) for model in found.models if (share := found.mean_best(model, of)) is not None
    ]
    count = words.plural(sum(task.of == of for task in found.tasks), "task")
    parts = ", ".join(f"{name} {words.percent(share)}" for name, share in told)
    return f"What the best layer tells, on average over {count}: {parts}."


def style(found: Findings, model: Model) -> str:
    """A model's class in the style sheet."""
    others = [each.name for each in found.models if each.role not in STYLES]
    return STYLES.get(model.role) or f"s{others.index(model.name) % 6 + 1}"


def _note(found: Findings, model: Model) -> str:
    how = [found.pooling(model, task) for task in found.tasks if task.of == "sentences"][:1]
    pooled = f", {how[0]} of tokens" if how else ""
    return f"{words.plural(model.seeds, 'model')}{pooled}" if model.seeds > 1 else pooled.removeprefix(", ")


# Pictures.


def _map(found: Findings, model: Model) -> Markup:
    def cell(task: Task, layer: int) -> Cell | None:
        row = found.at(model, task, layer)
        if row is None:
            return None
        above = (row["accuracy"] - task.majority) / max(1e-9, 1 - task.majority)
        guess = words.percent(task.majority)
        title = f"{model.name}, {task.shown}, layer {layer}: {spread(row)}; the most frequent class {guess}"
        best = found.best(model, task)
        return Cell(
            f"{100 * row['accuracy']:.0f}",
            title,
            max(0.0, above),
            best is not None and best["layer"] == layer,
        )

    layers = range(model.layers)
    cells = [[cell(task, layer) for layer in layers] for task in found.tasks]
    names = [task.shown for task in found.tasks]
    return grid(
        f"Accuracy of probes of {model.name}, by task and layer",
        LAYER,
        names,
        [str(n) for n in layers],
        cells,
    )


def _apart(found: Findings, model: Model, other: Model, task: Task, layer: int) -> tuple[Row, Row] | None:
    ours, theirs = found.at(model, task, layer), found.at(other, task, found.opposite(layer, model, other))
    return None if ours is None or theirs is None else (ours, theirs)


def _difference(found: Findings, model: Model, other: Model) -> Panel:
    def cell(task: Task, layer: int) -> Cell | None:
        pair = _apart(found, model, other, task, layer)
        if pair is None:
            return None
        ours, theirs = pair
        amount = ours["accuracy"] - theirs["accuracy"]
        title = (
            f"{task.shown}: {model.name} at layer {layer} {words.percent(ours['accuracy'])}, {other.name} at layer "
            f"{theirs['layer']} {words.percent(theirs['accuracy'])}, {words.fixed(100 * amount, 1, plus=True)} points"
        )
        return Cell(words.fixed(100 * amount, 0, plus=True), title, amount / 0.2)

    layers = range(model.layers)
    cells = [[cell(task, layer) for layer in layers] for task in found.tasks]
    names = [task.shown for task in found.tasks]
    what = f"Accuracy of {model.name} less that of {other.name}, in points, by task and layer"
    picture = grid(what, LAYER, names, [str(n) for n in layers], cells)
    against = ", ".join(f"{n}–{found.opposite(n, model, other)}" for n in layers)
    return Panel(
        f"{model.name} − {other.name}",
        f"layers held against each other: {against}",
        picture,
        style(found, model),
    )


def _mix_of(found: Findings, model: Model) -> Panel | None:
    tasks = [task for task in found.tasks if found.mixed(model, task) is not None]
    if not tasks:
        return None

    def cell(task: Task, layer: int) -> Cell | None:
        row = found.mixed(model, task) or {}
        weights = dict(zip(row["layers"], row["weights"], strict=True))
        if layer not in weights:
            return None
        share = weights[layer]
        return Cell(
            f"{100 * share:.0f}",
            f"{model.name}, {task.shown}: layer {layer} has {words.percent(share)} of the weight",
            share,
        )

    layers = range(model.layers)
    cells = [[cell(task, layer) for layer in layers] for task in tasks]
    names = [task.shown for task in tasks]
    picture = grid(
        f"Weights of layers in the mixing probe of {model.name}, per cent",
        LAYER,
        names,
        [str(n) for n in layers],
        cells,
    )
    return Panel(model.name, "per cent of the weight", picture, style(found, model))


# Tables.


def spread(row: Row) -> str:
    """A score with its interval."""
    low, high = (words.fixed(100 * row[end], 1) for end in ("low", "high"))
    return f"{words.percent(row['accuracy'])} ({low} to {high})"


def best_table(found: Findings) -> Numbers:
    """Of every task, each model's best layer."""
    heads = ["Task", "Most frequent class", *(model.name for model in found.models)]
    rows = []
    for task in found.tasks:
        best = [found.best(model, task) for model in found.models]
        told = [words.MISSING if row is None else f"{spread(row)}, layer {row['layer']}" for row in best]
        rows.append([task.shown, words.percent(task.majority), *told])
    return Numbers("Best layers", heads, rows)


def spans_table(found: Findings) -> Numbers | None:
    """Of tasks of spans: what the best layer tells, of random labels, and where the mixing probe listens."""
    rows = []
    for task in found.tasks:
        for model in found.models:
            best, mixed = found.best(model, task), found.mixed(model, task)
            if task.of != "spans" or best is None:
                continue
            selective = "selectivity" in best
            rows.append(
                [
                    f"{task.shown}: {model.name}",
                    spread(best),
                    str(best["layer"]),
                    words.percent(best["control"]) if selective else words.MISSING,
                    words.fixed(100 * best["selectivity"], 1, plus=True) if selective else words.MISSING,
                    spread(mixed) if mixed else words.MISSING,
                    words.fixed(mixed["gravity"], 2) if mixed else words.MISSING,
                ]
            )
    heads = [
        "Task",
        "Accuracy",
        "Layer",
        "Random labels",
        "Selectivity",
        "All layers mixed",
        "Centre of gravity",
    ]
    return Numbers("Spans of words", heads, rows) if rows else None


def all_table(found: Findings, model: Model) -> Numbers:
    """All scores of a model."""
    names = {task.name: task.shown for task in found.tasks}
    rows = [
        [
            names[row["task"]],
            str(row["pooling"]),
            str(row["classifier"]),
            str(row["layer"]),
            spread(row),
            words.fixed(100 * row["deviation"], 1),
            words.percent(row["control"]) if "control" in row else words.MISSING,
            words.significant(row["penalty"]),
        ]
        for row in found.rows
        if row["kind"] == "probe" and row["model"] == model.name
    ]
    heads = ["Task", "States", "Classifier", "Layer", "Accuracy", "Deviation", "Random labels", "Penalty"]
    return Numbers(model.name, heads, rows, 3)


def differences_table(found: Findings, model: Model, other: Model) -> Numbers:
    """What a picture of differences shows."""
    rows = [
        [
            task.shown,
            str(layer),
            words.percent(pair[0]["accuracy"]),
            str(pair[1]["layer"]),
            words.percent(pair[1]["accuracy"]),
            words.fixed(100 * (pair[0]["accuracy"] - pair[1]["accuracy"]), 1, plus=True),
        ]
        for task in found.tasks
        for layer in range(model.layers)
        if (pair := _apart(found, model, other, task, layer)) is not None
    ]
    heads = ["Task", "Layer", model.name, "Its layer", other.name, "Difference, points"]
    return Numbers(f"{model.name} − {other.name}", heads, rows)


def mix_table(found: Findings) -> Numbers | None:
    """What pictures of mixing probes show."""
    rows = [
        [f"{task.shown}: {model.name}", str(layer), words.percent(share)]
        for model in found.models
        for task in found.tasks
        if (row := found.mixed(model, task)) is not None
        for layer, share in zip(row["layers"], row["weights"], strict=True)
    ]
    return Numbers("Weights of the mixing probe", ["Task", "Layer", "Weight"], rows) if rows else None


def tasks_table(found: Findings) -> Numbers:
    """What was asked."""
    rows = [
        [
            task.shown,
            f"{task.of}, {task.source}",
            str(task.classes),
            *(words.count(each) for each in (task.train, task.dev, task.test)),
            words.percent(task.majority),
        ]
        for task in found.tasks
    ]
    return Numbers("Tasks", ["Task", "Of", "Classes", "Train", "Dev", "Test", "Most frequent class"], rows, 2)


# Markdown.


def as_markdown(found: Findings) -> str:
    """All tables."""
    parts = ["# Probes", markdown_parts.text(headline(found))]
    tables = [best_table(found), spans_table(found), mix_table(found), tasks_table(found)]
    tables += [differences_table(found, *pair) for pair in found.pairs]
    tables += [all_table(found, model) for model in found.models]
    for each in tables:
        if each is not None:
            parts += [f"## {markdown_parts.text(each.title)}", table_of(each)]
    if found.lacking:
        parts += ["## Left out", *(f"- {markdown_parts.text(why)}" for why in found.lacking.values())]
    return "\n\n".join(parts) + "\n"


def table_of(each: Numbers) -> str:
    """A table in Markdown."""
    lines = [
        [markdown_parts.text(cell) if n < each.words_in else cell for n, cell in enumerate(row)]
        for row in each.rows
    ]
    return markdown_parts.table([markdown_parts.text(head) for head in each.heads], lines, each.words_in)
