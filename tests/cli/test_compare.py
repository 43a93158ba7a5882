"""``limbeck compare`` as a person calls it: on the terminal, as Markdown and JSON, as a page."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from finished_runs import write

Limbeck = Callable[..., Any]


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    errors = {"teacher": 0.05, "gold": 0.4, "sequence_level": 0.2}
    return [
        write(tmp_path / "runs" / "vanilla", "translation", errors),
        write(tmp_path / "runs" / "maskt", "translation", {**errors, "sequence_level": 0.1}, p50=1.0),
    ]


def test_one_table_in_every_form(limbeck: Limbeck, runs: list[Path]) -> None:
    shown = limbeck("compare", *runs).stdout
    told = json.loads(limbeck("compare", *runs, "--format", "json").stdout)
    markdown = limbeck("compare", *runs, "--format", "markdown").stdout
    names = [
        "vanilla:teacher",
        "vanilla:gold",
        "vanilla:sequence_level",
        "maskt:gold",
        "maskt:sequence_level",
    ]
    assert [row["name"] for row in told["rows"]] == names
    assert told["over"] == "vanilla:sequence_level" and told["metric"] == "bleu"
    assert told["runs"] == {run.name: str(run) for run in runs}
    assert "BLEU" in shown and "passes" in shown
    last = told["rows"][-1]
    difference = f"{last['difference']:+.1f} [{last['low']:+.1f}, {last['high']:+.1f}]"
    for text in (shown, markdown):
        assert difference in text
        assert f"{last['bleu']:.1f} ± {last['deviation']:.1f}" in text
        assert all(name in text for name in names)
        assert "1.00 ms" in text and "20×" in text and "11.0 kB" in text and "10.0k" in text
        assert "not taken side by side" in " ".join(text.split())
    assert markdown.startswith("| model") and markdown.count("\n| ") == 1 + len(names)


def test_a_narrow_terminal_has_fewer_columns(
    limbeck: Limbeck, runs: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    shown = limbeck("compare", *runs).stdout
    assert max(map(len, shown.splitlines())) <= 80
    above, heads = shown.splitlines()[:2]
    assert above.split() == ["times"] and "passes" in heads and "parameters" not in shown
    assert above.index("times") == heads.index("faster") + 1  # of one column, to the right
    told = json.loads(limbeck("compare", *runs, "--format", "json").stdout)
    lines = [line for line in shown.splitlines() if line.partition(": ")[0] in ("vanilla", "maskt")]
    for row, line in zip(told["rows"], lines, strict=True):  # a long name goes on in the next line
        assert line.startswith(f"{row['run']}: ") and f"{row['bleu']:.1f}" in line and row["model"] in shown
    last = told["rows"][-1]
    assert f"{last['difference']:+.1f} [{last['low']:+.1f}, {last['high']:+.1f}]" in shown


def test_a_long_name_breaks_after_its_run(limbeck: Limbeck, tmp_path: Path, monkeypatch: Any) -> None:
    errors = {"teacher": 0.05, "gold": 0.4, "sequence_level": 0.2}
    folder = write(tmp_path / "runs" / "parallel-levenshtein", "translation", errors)
    monkeypatch.setenv("COLUMNS", "80")
    lines = limbeck("compare", folder).stdout.splitlines()
    firsts = [place for place, line in enumerate(lines) if line.startswith("parallel-levenshtein: ")]
    assert [lines[place + 1].strip() for place in firsts] == ["teacher", "gold (control)", "sequence_level"]


def test_into_a_file_lines_are_as_long_as_they_are(
    limbeck: Limbeck, runs: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS")
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    shown = limbeck("compare", *runs).stdout
    assert "parameters" in shown and "vanilla:sequence_level " in shown
    (told,) = (line for line in shown.splitlines() if "not taken side by side" in line)
    assert told.endswith(".") and len(told) > 100


def test_a_page(limbeck: Limbeck, runs: list[Path], tmp_path: Path) -> None:
    done = limbeck("compare", *runs, "--over", "maskt:teacher", "--format", "json", "--html", "both.html")
    assert json.loads(done.stdout)["over"] == "vanilla:teacher"
    assert done.stderr.endswith("page: both.html\n")
    html = (tmp_path / "both.html").read_text(encoding="utf-8")
    assert html.startswith("<!doctype html>") and html.rstrip().endswith("</html>")
    others = json.loads(done.stdout)["rows"][1:]
    worse = sum(row["high"] < 0 for row in others)
    counts = (
        f"0 clearly better than vanilla:teacher in BLEU, {worse} clearly worse, {4 - worse} too near to tell"
    )
    assert worse >= 3 and f"Of 4 other models {counts}." in html
    assert len(re.findall(r"<title>[^<]* over vanilla:teacher: −[\d.]+, interval", html)) == 4
    assert "milliseconds a sentence" in html
    chips = re.findall(r'<th scope="row"><i class="chip (\w+)"', html)
    assert len(set(chips)) == len(chips) == 5  # two runs' controls can be told apart without their names
    assert html.index("Around zero") < html.index(">parameters<")  # next to the difference, and in sight
    assert "<script" not in html and "http" not in re.sub(r"http-equiv|http://www.w3.org/\S+", "", html)


def test_a_refusal_is_one_sentence(limbeck: Limbeck, runs: list[Path], tmp_path: Path) -> None:
    told = limbeck("compare", runs[0], tmp_path, status=2).sentence
    fix = "Run 'limbeck evaluate' or 'limbeck distill' first."
    assert told == f"limbeck: {tmp_path}: this run has not been evaluated. {fix}"
    told = limbeck("compare", *runs, "--over", "vanilla", status=2).sentence
    assert (
        "--over: no model is called 'vanilla'. Choose from vanilla:teacher, maskt:teacher, vanilla:gold"
        in told
    )


@pytest.mark.recipe
def test_runs_as_they_are_made(limbeck: Limbeck, recipe_file: Callable[..., Path], tmp_path: Path) -> None:
    folders = [tmp_path / "runs" / name for name in ("tiny", "small")]
    limbeck("distill", recipe_file())
    limbeck("distill", recipe_file(name="small"), "student.dimension=4", "method=soft_labels")
    told = json.loads(limbeck("compare", *folders, "--format", "json").stdout)
    assert [(row["name"], row["shared"]) for row in told["rows"]] == [
        ("tiny:teacher", ["small"]),
        ("tiny:gold", []),
        ("tiny:logit_regression", []),
        ("small:gold", []),
        ("small:soft_labels", []),
    ]
    content = json.loads((folders[1] / "evaluation" / "evaluation.json").read_text())
    (own,) = (row for row in content["summary"] if row["name"] == "soft_labels")
    assert told["rows"][-1]["accuracy"] == pytest.approx(own["mean"]["accuracy"])
    assert told["rows"][-1]["parameters"] < told["rows"][2]["parameters"]
