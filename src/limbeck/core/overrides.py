"""Dotted keys of a recipe: setting one from the command line, and the line that each stands on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from limbeck.core.errors import LimbeckError


def apply(override: str, values: dict[str, Any]) -> None:
    """Set one ``key=value`` (the key dotted, the value read as YAML) in the values of a recipe.

    Raises:
        LimbeckError: It is not of that form, or its key leads into a value that holds no keys.
    """
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise LimbeckError(f"'{override}' is not an override", fix="Write key=value, e.g. train.epochs=3")
    *parents, last = key.split(".")
    place: Any = values
    for depth, parent in enumerate(parents):
        place = place[_number(key, depth, place)] if isinstance(place, list) else place.setdefault(parent, {})
        if place is None or isinstance(place, str | int | float | bool):
            raise LimbeckError(f"'{key}' cannot be set: '{parent}' is not a group of keys in this recipe")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        raise LimbeckError(f"the value of '{key}' is not valid YAML: {text}") from None
    place[_number(key, len(parents), place) if isinstance(place, list) else last] = value


def _number(key: str, depth: int, values: list[Any]) -> int:
    """Which of the values of a list a part of a dotted key means."""
    parts = key.split(".")
    before, part = parts[:depth], parts[depth]
    if part.isdecimal() and int(part) < len(values):
        return int(part)
    after = parts[depth + part.isdecimal() :]
    raise LimbeckError(
        f"'{key}' cannot be set: '{'.'.join(before)}' is a list of {len(values)}",
        fix=f"Say which, counted from 0, e.g. {'.'.join([*before, '0', *after])}",
    )


def lines(node: yaml.Node | None, prefix: str = "") -> Mapping[str, int]:
    """Line of every dotted key of a YAML document."""
    found: dict[str, int] = {}
    if isinstance(node, yaml.MappingNode):
        pairs = [(str(key.value), key.start_mark.line, value) for key, value in node.value]
    elif isinstance(node, yaml.SequenceNode):
        pairs = [(str(number), value.start_mark.line, value) for number, value in enumerate(node.value)]
    else:
        return found
    for name, line, value in pairs:
        key = f"{prefix}.{name}".strip(".")
        found[key] = line + 1
        found.update(lines(value, key))
    return found
