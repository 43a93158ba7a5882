"""Slices of a person's own: expressions over columns, and Python functions.

An expression is Python's, of names of columns, constants, comparisons, ``and``, ``or``, ``not``, ``in``, arithmetic,
``a if b else c``, indices, and the functions below. It is parsed, checked node by node against
what is listed here, and walked for each row; nothing in it is ever compiled or run. A function (``module:function``,
``file.py:function``) is code, and runs: it is for recipes of one's own.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import operator
import re
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from limbeck.analyse.mistakes.rows import COLUMNS, OF_SPANS, Row
from limbeck.analyse.mistakes.slices import Feature, Value
from limbeck.core.errors import LimbeckError

Walk = Callable[[Row], Any]

LARGEST = sys.float_info.max
FUNCTION = re.compile(r"(?P<place>[^\s:'\"]+\.py|[A-Za-z_][\w.]*):(?P<name>[A-Za-z_]\w*)")

OPERATORS: Mapping[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.USub: operator.neg,
    ast.Not: operator.not_,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda one, many: one in many,
    ast.NotIn: lambda one, many: one not in many,
}


def _matches(text: str, pattern: str) -> bool:
    return re.search(pattern, text) is not None


CALLS: Mapping[str, Callable[..., Any]] = {
    "len": len,
    "abs": abs,
    "min": min,
    "max": max,
    "round": round,
    "lower": lambda text: text.lower(),
    "starts": lambda text, start: text.startswith(start),
    "ends": lambda text, end: text.endswith(end),
    "count": lambda many, one: many.count(one),
    "has": lambda many, *ones: any(one in many for one in ones),
    "matches": _matches,
}
"""What an expression may call: ``has(words, "but", "though")``; ``matches(text, "[A-Z]{3}")``, a regular expression."""


def features_of(slices: Mapping[str, str]) -> list[Feature]:
    """The features that a person names.

    Args:
        slices: Expressions or functions, by the names of their slices.

    Raises:
        LimbeckError: One cannot be read.
    """
    return [feature_of(name, told) for name, told in slices.items()]


def feature_of(name: str, told: str) -> Feature:
    """One of them.

    Raises:
        LimbeckError: It is no expression of ours, or no function is there.
    """
    where = f"analyse.slices.{name}"
    if found := FUNCTION.fullmatch(told.strip()):
        function = _function(found["place"], found["name"], where)
        nothing = dict.fromkeys(OF_SPANS)  # of sentences, by which a function is asked as well

        def walk_function(row: Row) -> Any:
            return function(SimpleNamespace(**{**nothing, **row}))

        return Feature(name, _guarded(walk_function, where), (), False)
    walk, columns = _parsed(told, where)
    return Feature(name, _guarded(walk, where), tuple(sorted(columns)), bool(columns & OF_SPANS.keys()))


def _guarded(walk: Walk, where: str) -> Callable[[Row], Value]:
    """With errors told as sentences, and answers that a slice can be made of."""

    def value(row: Row) -> Value:
        try:
            found = walk(row)
        except Exception as error:  # noqa: BLE001  (a person's own code may raise anything)
            what = f"on example '{row['id']}' it fails ({type(error).__name__}: {error})"
            raise LimbeckError(what, where=where, fix="Mend the slice, or leave it out") from None
        if isinstance(found, np.generic):
            found = found.item()
        if isinstance(found, tuple | list | set | frozenset):
            return tuple(sorted(map(str, found)))
        if isinstance(found, int | float) and abs(found) > LARGEST:
            what = f"on example '{row['id']}' it gives a number without bounds"
            raise LimbeckError(what, where=where, fix="Give a finite one, or None")
        if found is None or isinstance(found, bool | int | float | str):
            return found
        what = f"on example '{row['id']}' it gives no value of a slice ({type(found).__name__})"
        raise LimbeckError(what, where=where, fix="Give a truth value, a number, or a text")

    return value


# Expressions.


def _parsed(told: str, where: str) -> tuple[Walk, set[str]]:
    """How an expression is found for a row, and which columns it reads."""
    try:
        tree = ast.parse(told.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        reason = getattr(error, "msg", None) or str(error) or "nested too deep"
        raise LimbeckError(f"'{told}' is no expression ({reason})", where=where, fix=_known()) from None
    columns: set[str] = set()
    return _walk(tree.body, columns, where), columns


def _walk(node: ast.expr, columns: set[str], where: str) -> Walk:
    """A node as a function of rows; every kind that is not named here is refused."""
    walked = _leaf(node, columns, where) or _combined(node, columns, where)
    if walked is None:
        raise LimbeckError(f"'{ast.unparse(node)}' may not stand in an expression", where=where, fix=_known())
    return walked


def _leaf(node: ast.expr, columns: set[str], where: str) -> Walk | None:
    """Constants and columns."""
    match node:
        case ast.Constant(value=bool() | int() | float() | str() | None as value):
            return lambda row: value
        case ast.Name(id=name):
            return _column(name, columns, where)
    return None


def _combined(node: ast.expr, columns: set[str], where: str) -> Walk | None:
    """What is made of other nodes."""

    def walks(nodes: Sequence[ast.expr]) -> list[Walk]:
        return [_walk(each, columns, where) for each in nodes]

    match node:
        case ast.BoolOp(op=op, values=values):
            parts, some = walks(values), all if isinstance(op, ast.And) else any
            return lambda row: some(part(row) for part in parts)
        case ast.UnaryOp(op=op, operand=operand):
            return _applied(op, [operand], columns, where)
        case ast.BinOp(left=left, op=op, right=right):
            return _applied(op, [left, right], columns, where)
        case ast.Compare(left=left, ops=ops, comparators=others):
            return _compared([left, *others], ops, columns, where)
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in CALLS:
            call, given = CALLS[name], walks(args)
            return lambda row: call(*(each(row) for each in given))
        case ast.Subscript(value=of, slice=ast.expr() as index):
            many, which = walks([of, index])
            return lambda row: many(row)[which(row)]
        case ast.IfExp(test=test, body=body, orelse=orelse):
            chosen, yes, no = walks([test, body, orelse])
            return lambda row: yes(row) if chosen(row) else no(row)
        case ast.Tuple(elts=items) | ast.List(elts=items) | ast.Set(elts=items):
            each_of = walks(items)
            return lambda row: tuple(each(row) for each in each_of)
    return None


def _column(name: str, columns: set[str], where: str) -> Walk:
    if name not in COLUMNS and name not in OF_SPANS:
        raise LimbeckError(f"there is no column '{name}'", where=where, fix=_known())
    columns.add(name)
    return lambda row: row[name]


def _applied(op: ast.AST, nodes: list[ast.expr], columns: set[str], where: str) -> Walk:
    if type(op) not in OPERATORS:
        raise LimbeckError(f"'{type(op).__name__}' may not stand in an expression", where=where, fix=_known())
    apply, parts = OPERATORS[type(op)], [_walk(node, columns, where) for node in nodes]
    return lambda row: apply(*(part(row) for part in parts))


def _compared(nodes: list[ast.expr], ops: list[ast.cmpop], columns: set[str], where: str) -> Walk:
    pairs = [
        _applied(op, [one, other], columns, where)
        for op, one, other in zip(ops, nodes[:-1], nodes[1:], strict=True)
    ]
    return lambda row: all(pair(row) for pair in pairs)


def _known() -> str:
    return f"Columns are {_listed([*COLUMNS, *OF_SPANS])}; functions are {_listed(CALLS)}"


def _listed(names: Collection[str]) -> str:
    return ", ".join(names)


# Functions.


def _function(place: str, name: str, where: str) -> Callable[[SimpleNamespace], Any]:
    """A function of a module, or of a file.

    Raises:
        LimbeckError: There is none.
    """
    module = _file(Path(place).expanduser(), where) if place.endswith(".py") else _module(place, where)
    found = getattr(module, name, None)
    if not callable(found):
        raise LimbeckError(f"'{place}' has no function '{name}'", where=where)
    return found  # type: ignore[no-any-return]


def _module(name: str, where: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except Exception as error:  # noqa: BLE001  (a person's own code may raise anything)
        what = f"'{name}' cannot be imported ({type(error).__name__}: {error})"
        raise LimbeckError(what, where=where) from None


def _file(path: Path, where: str) -> ModuleType:
    if not path.is_file():
        raise LimbeckError(f"there is no file '{path}'", where=where)
    spec = importlib.util.spec_from_file_location(f"_slices_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # noqa: BLE001  (a person's own code may raise anything)
        what = f"'{path}' cannot be run ({type(error).__name__}: {error})"
        raise LimbeckError(what, where=where) from None
    return module
