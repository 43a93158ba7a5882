"""Loops: how each kind of student that translates in several passes does so, one file a kind; NumPy alone."""

from __future__ import annotations

from dataclasses import asdict
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any

from limbeck.core.errors import LimbeckError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from limbeck.serve.passes import Loop


def told(loop: Loop) -> dict[str, Any]:
    """A loop as a card says it."""
    kind = type(loop).__module__.rpartition(".")[2]
    return {"kind": kind, **asdict(loop)}  # type: ignore[call-overload]


def opened(card: Mapping[str, Any], where: Path) -> Loop:
    """The loop that a card tells of.

    Args:
        card: What :func:`told` says of it.
        where: The card's file.

    Raises:
        LimbeckError: There is no such loop here, or it has other settings.
    """
    kind = card.get("kind")
    settings = {name: value for name, value in card.items() if name != "kind"}
    if kind not in {each.name for each in iter_modules(__path__)}:
        raise LimbeckError(f"a translator of kind {kind!r} is not known here", where=where)
    try:
        loop: Loop = import_module(f"{__name__}.{kind}").Loop(**settings)
    except TypeError as error:
        raise LimbeckError(f"the {kind} translator's settings are others ({error})", where=where) from None
    return loop
