"""benchmarks/tables.py: results to Markdown, between markers, and nothing else touched."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit
ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "benchmarks" / "tables.py"

spec = importlib.util.spec_from_file_location("benchmark_tables", SCRIPT)
tables = importlib.util.module_from_spec(spec)
sys.modules[spec.name] = tables
spec.loader.exec_module(tables)

ROWS = [
    {"kind": "seed", "model": "student", "seed": 1, "accuracy": 0.5},
    {
        "kind": "summary", "model": "student", "student": "bilstm", "method": "logit_regression",
        "transfer": "phrases", "accuracy": 0.876, "deviation": 0.003, "gain": 0.027, "low": 0.019,
        "high": 0.035, "retention": 0.982, "times_faster": 52.4, "bytes": 3_100_000,
    },
    {"kind": "summary", "model": "teacher", "accuracy": 0.892},
]  # fmt: skip
AIMS = [
    {"what": "gain, in points", "target": 3, "compare": ">=", "measured": 2.7, "met": False},
    {"what": "times faster", "target": 40, "compare": ">", "measured": 52.4, "met": True},
]
PAGE = """# Title

Before.

<!-- table:sentiment -->
old
<!-- /table:sentiment -->

Between, with `<!-- table:sentiment -->` named in a line.

<!-- table:aims -->
<!-- /table:aims -->
After.
"""


def results(root, name, **changes):
    content = {
        "command": f"python benchmarks/{name}.py", "machine": {"cpu": "Some CPU", "cores": 2}, "versions": {},
        "date": "2025-11-21", "rows": ROWS, "aims": AIMS, **changes,
    }  # fmt: skip
    file = root / "benchmarks" / "results" / f"{name}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content), encoding="utf-8")
    return file


@pytest.fixture
def root(tmp_path):
    results(tmp_path, "sentiment")
    (tmp_path / "README.md").write_text(PAGE, encoding="utf-8")
    return tmp_path


def main(root, *arguments):
    return tables.main([*arguments, "--root", str(root)])


def test_tables_are_written_between_their_markers_and_the_rest_stays(root):
    assert main(root) == 0
    page = (root / "README.md").read_text(encoding="utf-8")
    assert page.startswith("# Title\n\nBefore.\n\n<!-- table:sentiment -->\n\n| model ")
    assert "Between, with `<!-- table:sentiment -->` named in a line." in page
    assert page.endswith("<!-- /table:aims -->\nAfter.\n")
    assert "old" not in page
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line[:1] == "|"
    ]
    assert cells[2] == [
        "student", "bilstm", "logit_regression", "phrases", "87.6 ± 0.3", "+2.7 [+1.9, +3.5]", "98.2%", "52×",
        "3.1 MB",
    ]  # fmt: skip
    assert cells[3] == ["teacher", "–", "–", "–", "89.2", "–", "–", "–", "–"]
    assert cells[6:] == [
        ["sentiment", "gain, in points", "≥ 3", "2.70", "**no**"],
        ["sentiment", "times faster", "> 40", "52.4", "yes"],
    ]
    assert "<sub>`python benchmarks/sentiment.py`, Some CPU, 2 cores, 2025-11-21.</sub>" in page


def test_writing_twice_changes_nothing(root):
    main(root)
    once = (root / "README.md").read_text(encoding="utf-8")
    main(root)
    assert (root / "README.md").read_text(encoding="utf-8") == once


def test_check_fails_until_the_tables_are_written_and_writes_nothing(root, capsys):
    assert main(root, "--check") == 1
    assert (root / "README.md").read_text(encoding="utf-8") == PAGE
    assert "README.md: not what benchmarks/results say: run make tables" in capsys.readouterr().out
    main(root)
    assert main(root, "--check") == 0
    results(root, "sentiment", rows=[{"model": "student", "accuracy": 0.9}])
    assert main(root, "--check") == 1


def test_pages_of_the_documentation_count_too(root):
    (root / "docs" / "deep").mkdir(parents=True)
    page = root / "docs" / "deep" / "page.md"
    page.write_text("<!-- table:throughput -->\n<!-- /table:throughput -->\n", encoding="utf-8")
    main(root)
    assert "*Not measured yet: `make bench` does.*" in page.read_text(encoding="utf-8")
    speeds = {"limbeck_per_second": 12345.6, "textbrewer_per_second": 99.96, "times_faster": 3.14}
    row = {"student": "bilstm", "device": "cpu", **speeds}
    results(root, "throughput", rows=[row], aims=[])
    main(root)
    assert "| bilstm  | cpu    |" in page.read_text(encoding="utf-8")
    assert "12,346 |                    100 |         3.1× |" in page.read_text(encoding="utf-8")


def refused(root, capsys, message):
    before = (root / "README.md").read_text(encoding="utf-8")
    assert main(root) == 2
    assert capsys.readouterr().err == message + "\n"
    assert (root / "README.md").read_text(encoding="utf-8") == before


def test_an_unknown_table(root, capsys):
    page = root / "README.md"
    page.write_text("one\n<!-- table:speed -->\n<!-- /table:speed -->\n", encoding="utf-8")
    refused(root, capsys, f"{page}:2: no such table: 'speed'. There are: {', '.join(tables.TABLES)}.")


def test_an_end_without_a_beginning(root, capsys):
    page = root / "README.md"
    page.write_text("one\n<!-- /table:aims -->\n", encoding="utf-8")
    refused(root, capsys, f"{page}:2: table 'aims' ends but does not begin.")


@pytest.mark.parametrize(
    "rest", ["", "<!-- /table:aims -->\n", "<!-- table:aims -->\n<!-- /table:aims -->\n"]
)
def test_a_table_that_does_not_end(root, capsys, rest):
    page = root / "README.md"
    page.write_text("one\n\n<!-- table:sentiment -->\n" + rest, encoding="utf-8")
    refused(root, capsys, f"{page}:3: table 'sentiment' has no end marker.")


def test_damaged_results(root, capsys):
    file = results(root, "sentiment")
    file.write_text('{"command": "x"}', encoding="utf-8")
    refused(root, capsys, f"{file}: this is not a results file: it has no 'machine'.")
    file.write_text("{", encoding="utf-8")
    assert main(root) == 2
    assert f"{file}:1: not JSON" in capsys.readouterr().err


def test_this_repositorys_own_pages_are_up_to_date():
    done = subprocess.run([sys.executable, SCRIPT, "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
