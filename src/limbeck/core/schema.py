"""Reading settings against a typed schema: an unknown key is an error that names the nearest known one."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from limbeck.core import overrides as keys
from limbeck.core.errors import LimbeckError


class Settings(BaseModel):
    """Base of all settings: frozen, and strict about keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


UNION_MEMBER = re.compile(r"[\[(]|^constrained-|^(?:float|int|str|list|dict)$")
"""Parts of pydantic's error locations that name the tried member of a union, not a key."""
NO_GROUP = ("model_type", "model_attributes_type")
"""Pydantic's names for a value that stands where keys should."""

Model = TypeVar("Model", bound=BaseModel)


def validate(
    schema: type[Model],
    values: Mapping[str, Any],
    *,
    where: str | Path | None = None,
    prefix: str = "",
    lines: Mapping[str, int] | None = None,
) -> Model:
    """The settings object for these values.

    Args:
        schema: The pydantic class.
        values: Keys and values, as read from YAML.
        where: The file that they come from.
        prefix: The dotted key that they stand under.
        lines: Line number of each dotted key in that file.

    Raises:
        LimbeckError: An unknown key (with the nearest known one), or a value that does not fit.
    """
    try:
        return schema.model_validate(values)
    except ValidationError as error:
        first = _most_telling(error.errors())
        path = [
            str(part) for part in first["loc"] if not (isinstance(part, str) and UNION_MEMBER.search(part))
        ]
        key = ".".join([prefix, *path]).strip(".") or "the recipe"
        line = _nearest_line(key, lines or {})
        if first["type"] == "extra_forbidden":
            known = _known_keys(schema, path[:-1], values)
            close = difflib.get_close_matches(path[-1], known, n=1, cutoff=0.5)
            fix = f"Did you mean '{close[0]}'?" if close else f"Known keys: {', '.join(sorted(known))}"
            raise LimbeckError(f"unknown key '{key}'", where=where, line=line, fix=fix) from None
        if first["type"] == "missing":
            raise LimbeckError(f"'{key}' is missing", where=where, line=line) from None
        given = first.get("input")
        shown = f" (given: {given!r})" if isinstance(given, str | int | float | bool | None) else ""
        message = str(first["msg"]).removeprefix("Value error, ").rstrip(".")
        if first["type"] in NO_GROUP:
            message = "a group of keys is wanted here, each on a line of its own below"
        if first["type"] == "string_pattern_mismatch":
            message = "letters, digits, '_', '.' and '-' only, for it names a folder"
        raise LimbeckError(
            f"'{key}': {message[0].lower()}{message[1:]}{shown}", where=where, line=line
        ) from None


def load_as(
    schema: type[Model],
    path: Path,
    overrides: Sequence[str] = (),
    *,
    called: str = "recipe",
    fix: str | None = None,
) -> Model:
    """Read settings from a YAML file.

    Args:
        schema: Their class.
        path: The file.
        overrides: ``key=value``, by dotted keys; values are read as YAML.
        called: What a person calls such a file.
        fix: What to do where there is none.

    Raises:
        LimbeckError: The file cannot be read, or does not fit the schema.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise LimbeckError(f"no such {called}", where=path, fix=fix) from None
    except UnicodeDecodeError:
        raise LimbeckError(f"the {called} is not UTF-8", where=path) from None
    with reading_yaml(path):
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        values = _apart(yaml.safe_load(text))
    if not isinstance(values, dict):
        raise LimbeckError(f"a {called} is a mapping of keys to values", where=path)
    for override in overrides:
        keys.apply(override, values)
    return validate(schema, values, where=path, lines=keys.lines(node))


@contextmanager
def reading_yaml(path: Path) -> Iterator[None]:
    """While YAML that somebody wrote is read.

    Args:
        path: Its file, for errors.

    Raises:
        LimbeckError: It is not YAML, or nobody could read it: nested thousands deep, a 31st of June.
    """
    try:
        yield
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or str(error).partition("\n")[0]
        fix = "Put each document in a file of its own" if "another document" in problem else None
        raise LimbeckError(
            f"not valid YAML: {problem}", where=path, line=mark and mark.line + 1, fix=fix
        ) from None
    except (ValueError, RecursionError) as error:
        raise LimbeckError(f"unreadable YAML ({error})", where=path) from None


def _apart(value: Any) -> Any:
    """The value, of which no two parts are one, though the file writes them once (``&it``, ``*it``)."""
    if isinstance(value, dict):
        return {key: _apart(each) for key, each in value.items()}
    return [_apart(each) for each in value] if isinstance(value, list) else value


def _most_telling(errors: list[Any]) -> Any:
    """An unknown key before all, for a misspelt one is missing, too.

    Else, of the errors from all members of a union, not the one that only says 'this is no such object'.
    """
    unknown = (e for e in errors if e["type"] == "extra_forbidden")
    telling = (e for e in errors if e["type"] not in ("model_type", "float_type", "list_type"))
    return next(unknown, None) or next(telling, errors[0])


def _known_keys(schema: type[BaseModel], path: list[str], values: Any) -> list[str]:
    """Keys that the schema knows at a path of keys; the path may pass through lists and unions."""
    models: list[type[BaseModel]] = [schema]
    for part in path:
        inner: list[type[BaseModel]] = []
        for model in models:
            if part in model.model_fields:
                inner += _models_in(model.model_fields[part].annotation)
        models = inner or models
    return sorted({name for model in models for name in model.model_fields})


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    """All settings classes inside a type annotation."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in getattr(annotation, "__args__", ()) for model in _models_in(part)]


def _nearest_line(key: str, lines: Mapping[str, int]) -> int | None:
    parts = key.split(".")
    for length in range(len(parts), 0, -1):
        if (line := lines.get(".".join(parts[:length]))) is not None:
            return line
    return None
