"""Limbeck turns a large, slow NLP model into a small, fast one, and proves what was kept.

Importing it is cheap: neither PyTorch nor transformers is loaded before something needs it. Once it is
imported, transformers' Auto classes and pipelines know Limbeck's students, whichever of the two was imported
first.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from limbeck.models import auto

_PUBLIC = {
    "Bundle": "limbeck.serve.bundle",
    "DistillationTrainer": "limbeck.train.trainer",
    "LimbeckError": "limbeck.core.errors",
    "Labels": "limbeck.serve.bundle",
    "LabelsBundle": "limbeck.serve.bundle",
    "Prediction": "limbeck.serve.bundle",
    "Recipe": "limbeck.core.recipe",
    "Result": "limbeck.pipeline",
    "Run": "limbeck.pipeline",
    "ScoreBundle": "limbeck.serve.bundle",
    "TaggerBundle": "limbeck.serve.tagger",
    "TranslatorBundle": "limbeck.serve.translator",
    "distill": "limbeck.pipeline",
    "objective": "limbeck.methods",
    "open_bundle": "limbeck.serve.opening",
}
"""Public name to the module that defines it; it is imported when the name is first used."""

__all__ = [
    "Bundle",
    "DistillationTrainer",
    "Labels",
    "LabelsBundle",
    "LimbeckError",
    "Prediction",
    "Recipe",
    "Result",
    "Run",
    "ScoreBundle",
    "TaggerBundle",
    "TranslatorBundle",
    "__version__",
    "distill",
    "objective",
    "open_bundle",
]


def __getattr__(name: str) -> Any:
    """Import what is asked for, and keep it (PEP 562)."""
    if name == "__version__":
        value = import_module("importlib.metadata").version("limbeck")
    elif name in _PUBLIC:
        value = getattr(import_module(_PUBLIC[name]), name)
    else:
        raise AttributeError(f"module 'limbeck' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """All public names, imported or not."""
    return sorted({*globals(), *_PUBLIC, "__version__"})


auto.register_when_imported()
