"""Filling a page: every page of this folder is a template that extends one base, in one style."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

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
