"""Pages of probes and of similarity: their numbers, their tables, and how they stand in a browser."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from limbeck.core.errors import LimbeckError
from limbeck.pipeline import similarity
from limbeck.pipeline.probed_models import Probed
from limbeck.report import page, probed, probed_tables, similar
from limbeck.report.probed_facts import Findings

TASKS = {"sentence_length": ("sentences", 1 / 6), "tense": ("sentences", 0.5), "<b>pos</b>": ("spans", 0.2)}
MODELS = {
    "teacher": ("teacher", 7),
    "tinybert": ("student", 3),
    "gold": ("control", 3),
    "word vectors": ("vectors", 1),
}

WIDER_THAN_THE_WINDOW = """[...document.querySelectorAll('body *')].filter(e => {
    if (e.closest('.scroll') && !e.matches('.scroll')) return false;
    const box = e.getBoundingClientRect();
    return box.width > 0 && (box.right > innerWidth + 0.5 || box.left < -0.5);
}).map(e => e.tagName + '.' + e.getAttribute('class')).slice(0, 5).join(', ')"""


def rows_of(model: str, layers: int, task: str, of: str, random: np.random.Generator) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for layer in range(layers):
        accuracy = float(random.uniform(0.4, 0.95))
        row = {
            "model": model,
            "kind": "probe",
            "task": task,
            "layer": layer,
            "pooling": "words" if of == "spans" else "mean",
            "classifier": "logistic",
            "accuracy": accuracy,
            "low": accuracy - 0.03,
            "high": accuracy + 0.03,
            "deviation": 0.01,
            "seeds": [accuracy],
            "dev": accuracy + (0.02 if layer == layers - 1 else 0),
            "penalty": 1.0,
        }
        rows.append(row | ({"control": 0.3, "selectivity": accuracy - 0.3} if of == "spans" else {}))
    if of == "spans" and layers > 1:
        weights = random.dirichlet(np.ones(layers)).tolist()
        mixed = {"kind": "mix", "layers": list(range(layers)), "weights": weights, "gravity": 1.5}
        rows.append({**rows[0], **mixed})
    return rows


@pytest.fixture
def results(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    content = {
        "models": [
            {"name": name, "role": role, "seeds": 1, "widths": [8] * layers, "folder": "runs/x"}
            for name, (role, layers) in MODELS.items()
        ],
        "tasks": [
            {
                "name": name,
                "of": of,
                "from": "built",
                "classes": 2,
                "train": 100,
                "dev": 20,
                "test": 1234,
                "majority": share,
            }
            for name, (of, share) in TASKS.items()
        ],
        "lacking": {"tree_depth": "tree_depth: it is read off trees, and the text has none"},
        "rows": [
            row
            for model, (_, layers) in MODELS.items()
            for task, (of, _) in TASKS.items()
            for row in rows_of(model, layers, task, of, random)
        ],
        "settings": {"classifiers": ["logistic"], "poolings": ["mean"], "seeds": 3, "interval": 0.95},
    }
    folder = tmp_path / "probes"
    folder.mkdir()
    (folder / "probes.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


@pytest.fixture
def alike(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    pairs = [
        {
            "down": name,
            "across": "teacher",
            "role": role,
            "cka": random.random((4, 13)).tolist(),
            "mapping": [2, 5, 12],
        }
        for name, role in (("tinybert", "student"), ("gold", "control"))
    ]
    content = {"sentences": 900, "words": 9000, "over": "mean", "pairs": pairs, "settings": {}}
    folder = tmp_path / "similarity"
    folder.mkdir()
    (folder / "similarity.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def test_students_stand_against_teacher_and_control(results: Path) -> None:
    found = Findings.read(results / "probes.json")
    assert [(a.name, b.name) for a, b in found.pairs] == [("tinybert", "teacher"), ("tinybert", "gold")]
    teacher, student, control, _ = found.models
    assert [found.opposite(layer, student, teacher) for layer in range(3)] == [0, 3, 6]
    assert [found.opposite(layer, student, control) for layer in range(3)] == [0, 1, 2]


def test_the_best_layer_is_the_one_that_dev_prefers(results: Path) -> None:
    found = Findings.read(results / "probes.json")
    for task in found.tasks:
        for model in found.models:
            best = found.best(model, task)
            assert best is not None
            assert best["dev"] == max(
                row["dev"]
                for row in found.rows
                if (row["model"], row["task"], row["kind"]) == (model.name, task.name, "probe")
            )


def test_every_number_of_a_picture_is_in_a_table(results: Path) -> None:
    text = probed.write(results).with_suffix(".md").read_text(encoding="utf-8")
    found = Findings.read(results / "probes.json")
    for row in found.rows:
        if row["kind"] == "probe":
            assert f"{100 * row['accuracy']:.1f}% ({100 * row['low']:.1f} to {100 * row['high']:.1f})" in text
        else:
            assert all(f"{100 * weight:.1f}%" in text for weight in row["weights"])
    for model, other in found.pairs:
        table = probed_tables.differences_table(found, model, other)
        assert len(table.rows) == model.layers * len(found.tasks)
        for _, layer, ours, _, theirs, apart in table.rows:
            amount = float(ours.rstrip("%")) - float(theirs.rstrip("%"))
            assert float(apart.replace("−", "-")) == pytest.approx(amount, abs=0.11), layer


def test_numbers_of_similarity_are_in_its_tables(alike: Path) -> None:
    text = similar.write(alike).with_suffix(".md").read_text(encoding="utf-8")
    content = json.loads((alike / "similarity.json").read_text(encoding="utf-8"))
    assert all(f"{value:.3f}" in text for pair in content["pairs"] for row in pair["cka"] for value in row)
    assert "mapping: \\[2, 5, 12\\]" in text


def test_the_headline_says_whom_each_model_is_held_against() -> None:
    def pair(down: str, across: str) -> similar.Pair:
        return similar.Pair(
            down=down, across=across, role="student", cka=[[0.5]], mapping=None, examples=9, width=2
        )

    several = [pair("r1: soft", "r1: teacher"), pair("other", "r1: teacher"), pair("r2: soft", "r2: teacher")]
    found = similar.Content(sentences=9, words=20, over="mean", pairs=several)
    assert similar.headline(found) == (
        "CKA of the last layer with that of r1: teacher: r1: soft 0.50, other 0.50; of r2: teacher: r2: soft 0.50."
    )


def test_the_headline_of_probes_says_of_what_its_numbers_are(results: Path) -> None:
    found = Findings.read(results / "probes.json")
    assert probed.headline(found).startswith(
        "What the best layer tells on average over 2 tasks of sentences: teacher "
    )
    one = replace(found, tasks=[task for task in found.tasks if task.name != "sentence_length"])
    assert probed.headline(one).startswith("What the best layer tells of tense: teacher ")


def test_every_model_that_is_named_is_compared() -> None:
    named = (("r1: teacher", "teacher", "a"), ("r1: soft", "student", "a"), ("other", "model", "b"))
    models = [Probed(name, role, (), folder) for name, role, folder in named]
    pairs = [(one.name, other.name) for one, other in similarity._pairs(models)]
    assert pairs == [("r1: teacher", "r1: soft"), ("r1: teacher", "other")]


@pytest.mark.parametrize(("module", "name"), [(probed, "probes"), (similar, "similarity")])
def test_other_files_are_refused(tmp_path: Path, module: Any, name: str) -> None:
    with pytest.raises(LimbeckError, match="no such file"):
        module.write(tmp_path)
    (tmp_path / f"{name}.json").write_text('{"models": 3}', encoding="utf-8")
    with pytest.raises(
        LimbeckError, match=f"no results of 'limbeck {'probe' if name == 'probes' else name}'"
    ):
        module.write(tmp_path)


HEADINGS = {
    "probes": [
        "What each layer tells",
        "What was kept, and what lost",
        "Best layer of each task",
        "Spans of words",
        "The tasks",
        "All numbers",
    ],
    "similarity": ["Layers that are alike", "What to map", "All numbers"],
}


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("dark", [False, True])
def test_pages_in_a_browser(results: Path, alike: Path, browser: Any, width: int, dark: bool) -> None:
    for path in (probed.write(results), similar.write(alike)):
        browser.open(path, width=width, dark=dark)
        told = browser.ask("[...document.querySelectorAll('h2')].map(each => each.textContent)")
        assert told == HEADINGS[path.stem]
        assert browser.ask("document.querySelectorAll('h1').length") == 1
        browser.ask("document.querySelectorAll('details').forEach(each => each.open = true)")
        assert browser.ask("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        assert browser.ask(WIDER_THAN_THE_WINDOW) == ""
        assert [
            e
            for e in browser.events
            if e.get("method") in ("Runtime.exceptionThrown", "Runtime.consoleAPICalled")
        ] == []
        assert browser.ask("document.scripts.length") == 0
        assert all(url.startswith(("file:", "data:")) for url in browser.requests())
        squares = "document.querySelectorAll('.grid g > title').length"
        assert browser.ask(squares) == browser.ask("document.querySelectorAll('.grid g > text').length") > 20


def test_a_report_links_to_the_pages_that_are_there(make_run: Callable[..., Path], results: Path) -> None:
    run = make_run()
    assert "Probes →" not in page.write([run]).read_text(encoding="utf-8")
    (run / "probes").mkdir()
    probed.write(results).rename(run / "probes" / "probes.html")
    assert '<a href="probes/probes.html">Probes →</a>' in page.write([run]).read_text(encoding="utf-8")
    elsewhere = page.write([run], run.parent / "all.html").read_text(encoding="utf-8")
    assert f'<a href="{run.name}/probes/probes.html">Probes →</a>' in elsewhere
