"""benchmarks/results_file.py: rows kept as they come, resumed, and judged."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest

from limbeck.core.errors import LimbeckError

pytestmark = pytest.mark.unit

spec = importlib.util.spec_from_file_location(
    "benchmark_results_file", Path(__file__).parents[2] / "benchmarks" / "results_file.py"
)
results_file = importlib.util.module_from_spec(spec)
sys.modules[spec.name] = results_file
spec.loader.exec_module(results_file)
Aim, ResultsFile = results_file.Aim, results_file.ResultsFile

COMMAND = "python benchmarks/sentiment.py"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "results" / "sentiment.json"


def test_every_row_is_on_disk_as_soon_as_it_is_known(path):
    results = ResultsFile(path, COMMAND)
    assert not path.exists()
    results.append(method="gold", seed=1, accuracy=0.8)
    content = json.loads(path.read_text(encoding="utf-8"))
    assert list(content) == ["command", "machine", "versions", "date", "rows", "aims"]
    assert content["command"] == COMMAND
    assert content["rows"] == [{"method": "gold", "seed": 1, "accuracy": 0.8}]
    assert content["machine"]["cores"] >= 1
    assert content["machine"]["memory_gb"] >= 1
    assert content["machine"]["cpu"]
    assert {"python", "torch", "numpy"} <= set(content["versions"])
    assert len(content["date"]) == len("2025-11-21")
    assert list(path.parent.iterdir()) == [path]


def test_a_second_run_goes_on_where_the_first_stopped(path):
    first = ResultsFile(path, COMMAND)
    first.append(method="gold", seed=1, accuracy=0.8)
    second = ResultsFile(path, COMMAND)
    assert second.has(method="gold", seed=1)
    assert not second.has(method="gold", seed=2)
    assert not second.has(method="gold", seed=1, student="bilstm")
    second.append(method="gold", seed=2, accuracy=0.9)
    assert [row["accuracy"] for row in ResultsFile(path, COMMAND).find(method="gold")] == [0.8, 0.9]
    assert "measured_with" not in second.rows[0]


def test_rows_from_another_machine_say_so_for_good(path, monkeypatch):
    ResultsFile(path, COMMAND).append(method="gold", seed=1)
    here = results_file.machine()
    monkeypatch.setattr(results_file, "machine", lambda: here | {"cpu": "Another"})
    other = ResultsFile(path, COMMAND)
    other.append(method="gold", seed=2)
    assert [row.get("measured_with") for row in other.rows] == [f"cpu: {here['cpu']}", None]
    monkeypatch.setattr(results_file, "machine", lambda: here)
    third = ResultsFile(path, COMMAND)
    assert [row.get("measured_with") for row in third.rows] == [f"cpu: {here['cpu']}", "cpu: Another"]


def test_results_of_another_command_are_not_mixed_in(path):
    ResultsFile(path, COMMAND).append(seed=1)
    with pytest.raises(LimbeckError) as caught:
        ResultsFile(path, COMMAND + " --quick")
    assert str(caught.value) == (
        f"{path}: these are results of another command ({COMMAND}). Move the file away to measure anew."
    )


@pytest.mark.parametrize("content", ["[]", "{}"])
def test_some_other_json_is_left_alone(path, content):
    path.parent.mkdir()
    path.write_text(content, encoding="utf-8")
    with pytest.raises(LimbeckError, match=r"this is not a results file\. Move it away\.$"):
        ResultsFile(path, COMMAND)
    assert path.read_text(encoding="utf-8") == content


def test_rows_are_flat(path):
    results = ResultsFile(path, COMMAND)
    with pytest.raises(TypeError, match="field 'scores' of a row is not a plain value"):
        results.append(scores={"accuracy": 0.8})
    assert not path.exists()


def test_aims_are_computed_from_the_rows_and_stay_when_not_met(path):
    results = ResultsFile(path, COMMAND)
    results.append(gain=2.7, low=0.1)

    def of(field):
        return lambda rows: rows[0].get(field)

    aims = results.finish(
        [
            Aim("gain", of("gain"), at_least=3),
            Aim("gain again", of("gain"), at_least=2.7),
            Aim("clear of zero", of("low"), above=0),
            Aim("nothing measured", of("absent"), at_least=1),
            Aim("nothing above", of("absent"), above=0.1),
        ]
    )
    assert [(aim["compare"], aim["target"], aim["measured"], aim["met"]) for aim in aims] == [
        (">=", 3, 2.7, False),
        (">=", 2.7, 2.7, True),
        (">", 0, 0.1, True),
        (">=", 1, None, False),
        (">", 0.1, None, False),
    ]
    assert json.loads(path.read_text(encoding="utf-8"))["aims"] == aims
    assert ResultsFile(path, COMMAND).aims == aims


def test_an_aim_has_one_target():
    with pytest.raises(ValueError, match="one of 'at_least', 'above' and 'at_most'"):
        Aim("x", lambda rows: 1.0)
    with pytest.raises(ValueError, match="one of 'at_least', 'above' and 'at_most'"):
        Aim("x", lambda rows: 1.0, at_least=1, above=1)
