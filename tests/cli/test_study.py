"""``limbeck study modes``: its table, and that it refuses before it works."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console

from limbeck.cli.study import modes
from limbeck.pipeline.study import Study

Limbeck = Callable[..., Any]


def test_a_row_a_panel() -> None:
    row = {
        "panel": "a",
        "kind": "vanilla",
        "text": "the mixture",
        "complexity": 3.666,
        "complexity_by_link": None,
        "decided": 0.125,
        "top_posterior": 0.55,
        "decided_for": {"de": 0.1, "fr": 0.0, "es": 0.025},
        "bleu": {"de": 1.25, "fr": None, "es": 0.0},
    }
    console = Console(width=140, record=True)
    console.print(modes(Study(Path("x"), {"languages": ["de", "fr", "es"], "rows": [row]})))
    told = console.export_text()
    assert "C(d)" in told and "for de / fr / es, %" in told
    line = next(line for line in told.splitlines() if "(a)" in line)
    assert line.split("  ")[0].strip() == "(a) vanilla on the mixture"
    cells = [cell.strip() for cell in line.split("  ") if cell.strip()]
    assert cells[1:] == ["3.67", "–", "12.5", "0.55", "10 / 0 / 2", "1.2 / – / 0.0"]


def test_a_models_name_is_whole_on_a_narrow_terminal() -> None:
    row = {
        "panel": "a",
        "kind": "autoregressive",
        "text": "the mixture",
        "complexity": 1.33,
        "complexity_by_link": 1.27,
        "decided": 0.571,
        "top_posterior": 0.64,
        "decided_for": {"de": 0.57, "fr": 0.0, "es": 0.0},
        "bleu": {"de": 1.7, "fr": 1.5, "es": 1.5},
    }
    console = Console(width=80, record=True)
    console.print(modes(Study(Path("x"), {"languages": ["de", "fr", "es"], "rows": [row]})))
    told = console.export_text()
    assert "autoregressive" in told and "…" not in told


def test_another_task_is_refused(limbeck: Limbeck, tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("data: {train: reviews.csv}\nteacher: {model: somewhere}\n")
    told = limbeck("study", "modes", "recipe.yaml", status=2).sentence
    assert told == "limbeck: task: the study of modes is of translators. Set 'task: translation'."
    assert not (tmp_path / "runs").exists()
