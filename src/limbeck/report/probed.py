"""The page of probes: heat maps of layers by tasks for every model, what differs between them, and all the numbers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from limbeck import __version__
from limbeck.report import markdown_parts, words
from limbeck.report.filling import fill, write_both
from limbeck.report.grid import Cell, grid
from limbeck.report.probed_facts import Findings, Model, Task
from limbeck.report.probed_tables import (
    all_table,
    apart,
    best_table,
    differences_table,
    mix_table,
    spans_table,
    spread,
    table_of,
    tasks_table,
)

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
    return write_both(page, render(found), as_markdown(found))


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
    tasks = [task.shown for task in found.tasks if task.of == of]
    what = f"of {tasks[0]}" if len(tasks) == 1 else f"on average over {len(tasks)} tasks of {of}"
    parts = ", ".join(f"{name} {words.percent(share)}" for name, share in told)
    return f"What the best layer tells {what}: {parts}."


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


def _difference(found: Findings, model: Model, other: Model) -> Panel:
    def cell(task: Task, layer: int) -> Cell | None:
        pair = apart(found, model, other, task, layer)
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
