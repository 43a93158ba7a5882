"""The page of similarity: CKA of every layer of a model with every layer of another."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ValidationError

from limbeck import __version__
from limbeck.core.errors import LimbeckError
from limbeck.core.files import read_json
from limbeck.report import markdown_parts, words
from limbeck.report.filling import fill, write_both
from limbeck.report.grid import Cell, grid
from limbeck.report.probed import STYLES, Panel
from limbeck.report.probed_tables import Numbers, table_of


class Pair(BaseModel):
    """Two models; fields as of ``limbeck.pipeline.similarity``."""

    down: str
    across: str
    role: str
    cka: list[list[float]]
    mapping: list[int] | None
    examples: int = 0
    width: int = 0

    @property
    def title(self) -> str:
        """Both names."""
        return f"{self.down} and {self.across}"

    @property
    def partners(self) -> list[int]:
        """Of each layer of the first, the layer of the other that is most like it; of equals the lowest."""
        return [row.index(max(row)) for row in self.cka]


class Content(BaseModel):
    """The file."""

    sentences: int
    words: int
    over: str
    pairs: list[Pair]


def write(folder: Path) -> Path:
    """Write ``similarity.html`` and ``similarity.md`` beside ``similarity.json``.

    Args:
        folder: Of the results.

    Returns:
        The page.

    Raises:
        LimbeckError: The results are missing or damaged, or the pages cannot be written.
    """
    path = folder / "similarity.json"
    try:
        found = Content.model_validate(read_json(path))
    except ValidationError:
        raise LimbeckError("these are no results of 'limbeck similarity'", where=path) from None
    page = folder / "similarity.html"
    return write_both(page, render(found), as_markdown(found))


def render(found: Content) -> str:
    """The page's HTML."""
    return fill(
        "similar.html.jinja",
        title="Similarity of layers",
        name=words.plural(len(found.pairs), "pair"),
        version=__version__,
        of=found,
        headline=headline(found),
        maps=[_map(pair, number) for number, pair in enumerate(found.pairs)],
        tables=[_table(pair) for pair in found.pairs],
        mappings=_mappings(found),
    )


def headline(found: Content) -> str:
    """How alike the last layers are, where the text is enough to tell."""
    few = next((pair for pair in found.pairs if pair.examples < pair.width), None)
    if few is not None:
        what = words.plural(
            few.examples, found.over.removesuffix("s") if found.over == "words" else "sentence"
        )
        return f"Too little text to tell: CKA of {what} comes out too high for layers {few.width} wide."
    by_across: dict[str, list[str]] = {}
    for pair in found.pairs:
        by_across.setdefault(pair.across, []).append(f"{pair.down} {pair.cka[-1][-1]:.2f}")
    told = "; ".join(f"of {across}: {', '.join(each)}" for across, each in by_across.items())
    return f"CKA of the last layer with that {told}."


def _map(pair: Pair, number: int) -> Panel:
    def cell(layer: int, other: int) -> Cell:
        value = pair.cka[layer][other]
        title = f"layer {layer} of {pair.down} and layer {other} of {pair.across}: {value:.3f}"
        return Cell(f"{value:.2f}".removeprefix("0"), title, value, pair.partners[layer] == other)

    down, across = range(len(pair.cka)), range(len(pair.cka[0]))
    cells = [[cell(layer, other) for other in across] for layer in down]
    what = f"CKA of layers of {pair.down}, down, and of {pair.across}, across"
    picture = grid(
        what, f"{pair.down} / {pair.across}", [f"layer {n}" for n in down], [str(n) for n in across], cells
    )
    return Panel(
        pair.title,
        f"{pair.down} down, {pair.across} across",
        picture,
        STYLES.get(pair.role, f"s{number % 6 + 1}"),
    )


def _table(pair: Pair) -> Numbers:
    heads = [f"{pair.down}, layer", *(f"{pair.across} {n}" for n in range(len(pair.cka[0])))]
    rows = [[str(n), *(words.fixed(value, 3) for value in row)] for n, row in enumerate(pair.cka)]
    return Numbers(pair.title, heads, rows)


def _mappings(found: Content) -> Numbers:
    """What a recipe may take over."""
    rows = [
        [
            pair.down,
            pair.across,
            "none" if pair.mapping is None else f"mapping: {pair.mapping}",
            " ".join(f"{own}←{theirs}" for own, theirs in enumerate(pair.partners)),
        ]
        for pair in found.pairs
    ]
    return Numbers(
        "Mappings", ["Student", "Teacher", "Most alike in rising order", "Most alike of each layer"], rows, 4
    )


def as_markdown(found: Content) -> str:
    """All tables."""
    parts = [
        "# Similarity of layers",
        markdown_parts.text(headline(found)),
        "## Mappings",
        table_of(_mappings(found)),
    ]
    for pair in found.pairs:
        parts += [f"## {markdown_parts.text(pair.title)}", table_of(_table(pair))]
    return "\n\n".join(parts) + "\n"
