"""The file that a benchmark writes: rows as they are measured, and what they were measured on.

Every row is on disk as soon as it is known, so that a benchmark of hours may be stopped and go on later::

    results = ResultsFile(Path("benchmarks/results/sentiment.json"), "python benchmarks/sentiment.py")
    for seed in seeds:
        if not results.has(student="bilstm", method="gold", seed=seed):
            results.append(student="bilstm", method="gold", seed=seed, accuracy=measure(seed))
    results.finish([Aim("BiLSTM over its control, in points", at_least=3, measure=gain)])
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from limbeck.core.errors import LimbeckError
from limbeck.core.files import read_json, write_json

Row = dict[str, Any]
"""A flat object: strings, numbers, booleans and nulls only."""

PACKAGES = (
    "accelerate",
    "eflomal",
    "limbeck",
    "numba",
    "numpy",
    "onnxruntime",
    "pytorch-crf",
    "sacrebleu",
    "textbrewer",
    "tokenizers",
    "torch",
    "torch-struct",
    "transformers",
)


@dataclass(frozen=True)
class Aim:
    """What the rows should show.

    Attributes:
        what: The measured quantity with its unit, in words.
        measure: Reads it off the rows; None where they do not hold it.
        at_least: Met from this value on.
        above: Met above this value.
        at_most: Met up to this value; give one of the three.
    """

    what: str
    measure: Callable[[Sequence[Row]], float | None]
    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None

    def __post_init__(self) -> None:
        if sum(bound is not None for bound in (self.at_least, self.above, self.at_most)) != 1:
            raise ValueError("give an aim one of 'at_least', 'above' and 'at_most'")

    def judge(self, rows: Sequence[Row]) -> Row:
        """The aim as it stands in the file; what was not measured is not met."""
        measured = self.measure(rows)
        if self.at_least is not None:
            target, compare, met = self.at_least, ">=", measured is not None and measured >= self.at_least
        elif self.at_most is not None:
            target, compare, met = self.at_most, "<=", measured is not None and measured <= self.at_most
        else:
            target = self.above or 0.0
            compare, met = ">", measured is not None and measured > target
        return {"what": self.what, "target": target, "compare": compare, "measured": measured, "met": met}


class ResultsFile:
    """A benchmark's results, kept on disk from the first row on.

    Args:
        path: The file; what an earlier run of the same command left in it stays.
        command: What makes it, as one would type it.

    Raises:
        LimbeckError: The file is of another command, or is not a results file.
    """

    def __init__(self, path: Path, command: str) -> None:
        self.path = path
        here = {"machine": machine(), "versions": versions()}
        before = read_json(path) if path.exists() else None
        if before is not None:
            _check(before, path, command)
        self.rows: list[Row] = _marked(before, here) if before else []
        self.content: dict[str, Any] = {"command": command, **here, "date": today()}
        self.aims: list[Row] = before["aims"] if before else []

    def has(self, **key: Any) -> bool:
        """Whether a row with these fields is there."""
        return bool(self.find(**key))

    def find(self, **key: Any) -> list[Row]:
        """The rows with these fields."""
        return [row for row in self.rows if all(row.get(name) == value for name, value in key.items())]

    def append(self, **row: Any) -> Row:
        """Keep one more row.

        Raises:
            TypeError: A field is not flat.
        """
        for name, value in row.items():
            if not isinstance(value, str | int | float | bool | None):
                raise TypeError(f"field '{name}' of a row is not a plain value: {value!r}")
        self.rows.append(row)
        self._write()
        return row

    def finish(self, aims: Sequence[Aim]) -> list[Row]:
        """Judge the aims by the rows and write them down, met or not."""
        self.aims = [aim.judge(self.rows) for aim in aims]
        self._write()
        return self.aims

    def _write(self) -> None:
        self.content["date"] = today()
        write_json(self.path, {**self.content, "rows": self.rows, "aims": self.aims})


def _check(content: Any, path: Path, command: str) -> None:
    if not isinstance(content, dict) or not {"command", "machine", "versions", "rows", "aims"} <= set(
        content
    ):
        raise LimbeckError("this is not a results file", where=path, fix="Move it away")
    if content["command"] != command:
        raise LimbeckError(
            f"these are results of another command ({content['command']})",
            where=path,
            fix="Move the file away to measure anew",
        )


def _marked(before: dict[str, Any], here: dict[str, Any]) -> list[Row]:
    """Rows of an earlier session; one measured elsewhere says so in a field of its own."""
    elsewhere = [
        f"{name}: {before[group][name]}"
        for group in ("machine", "versions")
        for name in before[group]
        if before[group][name] != here[group].get(name)
    ]
    rows: list[Row] = before["rows"]
    if elsewhere:
        for row in rows:
            row.setdefault("measured_with", ", ".join(elsewhere))
    return rows


def machine() -> Row:
    """The processor, how many cores this process may use, memory, operating system."""
    return {
        "cpu": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "system": f"{platform.system()} {platform.machine()}",
    }


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def versions() -> dict[str, str]:
    """Python's version, and those of the packages that decide the results, where installed."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def today() -> str:
    """The date, in UTC."""
    return datetime.now(UTC).date().isoformat()
