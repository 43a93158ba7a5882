"""``limbeck methods``: the method cards, on the terminal and as Markdown pages."""

from __future__ import annotations

import textwrap
from pathlib import Path

from pydantic.fields import FieldInfo

from limbeck import methods
from limbeck.core.files import atomic_write

WIDTH = 100


def overview() -> str:
    """One line a method."""
    cards = {name: methods.get(name).card for name in methods.names()}
    width = max(map(len, cards))
    lines = [f"{name:<{width}}  {card.title} — {card.paper.split(':')[0]}" for name, card in cards.items()]
    return "\n".join([*lines, "", "limbeck methods NAME tells more of one."])


def card(name: str) -> str:
    """A method's card for the terminal."""
    method = methods.get(name)
    told = method.card
    blocks = [
        f"{told.title}  ({name})",
        _fill("", told.what),
        f"    {told.equation}",
        _fill("Paper: ", told.paper),
        _fill("When:  ", told.when),
        _fill("Reads: ", told.reads),
    ]
    settings = [
        f"  {key}: {_kind(field)} = {_default(field)}\n      {_told(field)}"
        for key, field in method.settings_class.model_fields.items()
    ]
    blocks.append("Settings:\n" + "\n".join(settings) if settings else "Settings: none")
    return "\n\n".join(blocks)


def page(name: str) -> str:
    """A method's card as a Markdown page."""
    method = methods.get(name)
    told = method.card
    rows = [
        f"| `{key}` | {_kind(field)} | {_default(field)} | {_told(field)} |"
        for key, field in method.settings_class.model_fields.items()
    ]
    table = (
        ["| setting | type | default | what it does |", "| --- | --- | --- | --- |", *rows]
        if rows
        else ["None."]
    )
    example = [f"  {key}: {value}" for key, value in method.tiny.model_dump().items()]
    return "\n".join(
        [
            f"# {told.title}",
            "",
            told.what,
            "",
            "```text",
            told.equation,
            "```",
            "",
            f"**Paper.** {told.paper}",
            "",
            f"**When.** {told.when}",
            "",
            f"**Reads.** {told.reads}",
            "",
            "## Settings",
            "",
            *table,
            "",
            "## In a recipe",
            "",
            "```yaml",
            "method:",
            f"  name: {name}",
            *example,
            "```",
            "",
        ]
    )


def write_pages(folder: Path) -> None:
    """Write every method's page and an index into a folder."""
    index = ["# Methods", "", "| method | paper |", "| --- | --- |"]
    for name in methods.names():
        told = methods.get(name).card
        index.append(f"| [`{name}`]({name}.md): {told.title} | {told.paper} |")
        with atomic_write(folder / f"{name}.md") as file:
            file.write(page(name))
    with atomic_write(folder / "README.md") as file:
        file.write("\n".join(index) + "\n")


def _kind(field: FieldInfo) -> str:
    bounds = [str(bound) for bound in field.metadata]
    name = getattr(field.annotation, "__name__", str(field.annotation))
    return name + (f" ({', '.join(_bound(bound) for bound in bounds)})" if bounds else "")


def _bound(text: str) -> str:
    """``Ge(ge=0)`` as ``≥ 0``."""
    sign, _, number = text.partition("(")[2].rstrip(")").partition("=")
    return f"{ {'ge': '≥', 'gt': '>', 'le': '≤', 'lt': '<'}.get(sign, sign) } {number}"


def _default(field: FieldInfo) -> str:
    return "required" if field.is_required() else repr(field.default)


def _told(field: FieldInfo) -> str:
    return " ".join((field.description or "").split())


def _fill(head: str, text: str) -> str:
    return textwrap.fill(head + text, WIDTH, subsequent_indent=" " * len(head))
