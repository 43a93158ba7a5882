"""Names of models in an analysis, for people: the control is called that, for 'gold' is also what labels are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NAMED = {
    "cells": ("of", "over"),
    "overlap": ("of", "over"),
    "flows": ("before", "after"),
    "calibration": ("name",),
}
"""Lists of an analysis, and their keys that hold names of models."""


def for_people(content: Mapping[str, Any]) -> dict[str, Any]:
    """An analysis, of one run or several, with the control called ``control`` (of several runs ``RUN:control``).

    Args:
        content: Of ``analysis.json``.
    """
    if "runs" not in content:
        return _renamed(content, _control(content))
    names = {
        f"{run['run']}:{name}": f"{run['run']}:{new}"
        for run in content["runs"]
        for name, new in _control(run).items()
    }
    runs = [_renamed(run, _control(run)) for run in content["runs"]]
    return {**_renamed(content, names), "runs": runs}


def _control(run: Mapping[str, Any]) -> dict[str, str]:
    control = run["cast"].get("control")
    return {} if control is None else {control: "control"}


def _renamed(content: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    told = dict(content)
    for key, places in NAMED.items():
        if key in told:
            told[key] = [
                {**row, **{place: names.get(row[place], row[place]) for place in places}} for row in told[key]
            ]
    if told.get("agreement"):
        models = [names.get(name, name) for name in told["agreement"]["models"]]
        told["agreement"] = {**told["agreement"], "models": models}
    if "seeds" in told:
        told["seeds"] = {names.get(name, name): seeds for name, seeds in told["seeds"].items()}
    if "cast" in told:
        told["cast"] = {role: names.get(name, name) for role, name in told["cast"].items()}
    return told
