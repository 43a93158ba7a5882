"""Filling a page: every page of this folder is a template that extends one base, in one style."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from limbeck.core.files import atomic_write
from limbeck.report import words

HERE = Path(__file__).parent


def fill(template: str, **values: object) -> str:
    """A page's HTML.

    Args:
        template: Of this folder; it extends ``base.html.jinja``.
        values: ``title`` of the window, ``name`` in the page's head, ``version`` of Limbeck, and what the template
            shows.
    """
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(
        **values,
        words=words,
        # Both files are ours; everything else on the page is escaped.
        style=Markup((HERE / "page.css").read_text(encoding="utf-8")),
        still=Markup((HERE / "still.svg").read_text(encoding="utf-8")),
    )


def write_both(page: Path, html: str, markdown: str) -> Path:
    """Write a page, and what it tells as Markdown beside it under the same name.

    Returns:
        The page.

    Raises:
        LimbeckError: One of them cannot be written.
    """
    for path, content in ((page.with_suffix(".md"), markdown), (page, html)):
        with atomic_write(path) as file:
            file.write(content)
    return page
