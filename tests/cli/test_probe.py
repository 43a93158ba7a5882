"""``limbeck probe`` and ``limbeck similarity`` as a person runs them."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import BAD, GOOD, PLAIN
from limbeck.analyse.probes.senteval import FILES
from limbeck.pipeline.probing import ProbeSettings, make_tasks

Limbeck = Callable[..., Any]


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """SentEval's file of a task that words give away, and one of noise."""
    chooser = random.Random(0)
    folder = tmp_path / "senteval"
    folder.mkdir()
    for name in ("tense", "bigram_shift"):
        lines = []
        for part, count in (("tr", 120), ("va", 40), ("te", 60)):
            for number in range(count):
                label, words = ("PAST", GOOD) if number % 2 else ("PRES", BAD)
                label = label if name == "tense" else chooser.choice(["I", "O"])
                text = [*chooser.choices(PLAIN, k=4), *chooser.choices(words, k=3)]
                chooser.shuffle(text)
                lines.append(f"{part}\t{label}\t{' '.join(text)}")
        (folder / FILES[name]).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def test_a_model_is_probed_and_its_store_serves_again(
    limbeck: Limbeck, encoder: Path, published: Path, tmp_path: Path
) -> None:
    asked = ("probe", f"tiny={encoder}", "--senteval", published, "--seeds", "2", "--set", "resamples=50")
    told = limbeck(*asked, "--set", "penalties=[1.0]")
    assert told.stdout == "page: probes/probes.html\n"
    content = json.loads((tmp_path / "probes" / "probes.json").read_text(encoding="utf-8"))
    assert [model["name"] for model in content["models"]] == ["tiny", "tiny, random weights"]
    assert [(task["name"], task["from"], task["test"]) for task in content["tasks"]] == [
        ("bigram_shift", "published", 60),
        ("tense", "published", 60),
    ]
    scores = {
        (row["model"], row["task"], row["layer"]): row["accuracy"]
        for row in content["rows"]
        if row["kind"] == "probe"
    }
    assert len(scores) == 2 * 2 * 3
    assert scores["tiny", "tense", 0] > 0.75  # a word's embedding tells
    assert abs(scores["tiny", "bigram_shift", 0] - 0.5) < 0.25
    before = (tmp_path / "probes" / "probes.json").read_bytes()
    shards = sorted((tmp_path / "runs" / "store").rglob("shard-*"))
    limbeck(*asked, "--set", "penalties=[1.0]")
    assert sorted((tmp_path / "runs" / "store").rglob("shard-*")) == shards
    assert (tmp_path / "probes" / "probes.json").read_bytes() == before


def test_two_models_are_compared(limbeck: Limbeck, encoder: Path, published: Path, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text(
        "the film was warm\na dull plot\nit felt rich and tender\n", encoding="utf-8"
    )
    limbeck(
        "similarity",
        f"one={encoder}",
        f"two={encoder}",
        "--text",
        tmp_path / "text.txt",
        "-o",
        tmp_path / "out",
    )
    (pair,) = json.loads((tmp_path / "out" / "similarity.json").read_text(encoding="utf-8"))["pairs"]
    assert (pair["down"], pair["across"], pair["mapping"]) == ("two", "one", [1, 2])
    assert [row[number] for number, row in enumerate(pair["cka"])] == pytest.approx([1, 1, 1])


def test_settings_may_stand_in_a_file(
    limbeck: Limbeck, encoder: Path, published: Path, tmp_path: Path
) -> None:
    text = f"models: {encoder}\nsenteval: {published}\nseeds: 2\nresamples: 20\nrandom: false\ntasks: [tense]\nout: there\n"
    (tmp_path / "probe.yaml").write_text(text, encoding="utf-8")
    limbeck("probe", "--settings", tmp_path / "probe.yaml", "--seeds", "1", "--pooling", "max")
    content = json.loads((tmp_path / "there" / "probes.json").read_text(encoding="utf-8"))
    assert content["settings"]["seeds"] == 1
    assert {row["pooling"] for row in content["rows"]} == {"max"}


def test_tagged_text_is_named_by_its_path_alone(
    limbeck: Limbeck, encoder: Path, published: Path, tmp_path: Path
) -> None:
    """On the command line and in a file; asked for a task of words alone, SentEval's are left out."""
    chooser = random.Random(1)
    kinds = {"DT": ("the", "a"), "NN": ("film", "plot"), "JJ": ("warm", "dull")}
    lines = [
        " ".join(f"{chooser.choice(kinds[tag])}/{tag}" for tag in chooser.choices([*kinds], k=6))
        for _ in range(120)
    ]
    (tmp_path / "tagged.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    rest = "resamples: 20\nrandom: false\nseeds: 1\npenalties: [1.0]\ncontrols: false\n"
    (tmp_path / "probe.yaml").write_text(f"{rest}tagged:\n- {tmp_path / 'tagged.txt'}\n", encoding="utf-8")
    one = ("probe", f"tiny={encoder}", "--senteval", published, "--task", "pos")
    for more in (
        ("--tagged", tmp_path / "tagged.txt", "--set", "random=false"),
        ("--settings", tmp_path / "probe.yaml"),
    ):
        limbeck(*one, *more, "--seeds", "1")
        content = json.loads((tmp_path / "probes" / "probes.json").read_text(encoding="utf-8"))
        assert [task["name"] for task in content["tasks"]] == ["pos"]


def test_what_was_asked_and_has_no_text_is_told(published: Path) -> None:
    found = make_tasks(ProbeSettings(models=["any"], senteval=str(published), tasks=["tense", "pos"]))
    assert [task.name for task in found.tasks] == ["tense"]
    assert found.lacking == {"pos": "pos: it is read off tags, and the text has none"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["probe"], "'models' is missing"),
        (["probe", "ENCODER"], "there is nothing to probe for"),
        (["probe", "SENTEVAL", "--senteval", "SENTEVAL"], "no model can be loaded"),
        (["probe", "ENCODER", "--senteval", "gone"], "gone: no such folder of SentEval's tasks"),
        (
            ["probe", "ENCODER", "--senteval", "gone", "--treebank", "trees.mrg"],
            "gone: no such folder of SentEval's tasks",
        ),
        (["probe", "ENCODER", "--senteval", "SENTEVAL", "--set", "penalties=[0]"], "'penalties"),
        (
            ["probe", "ENCODER", "--senteval", "SENTEVAL", "--task", "tree_depth"],
            "tree_depth.txt: no such file",
        ),
        (["probe", "ENCODER", "--senteval", "SENTEVAL", "--task", "tens"], "there is no task 'tens'"),
        (["probe", "ENCODER", "--treebank", "gone.mrg"], "gone.mrg: no such file or folder"),
        (["probe", "ENCODER", "--treebank", "SENTEVAL/past_present.txt"], "past_present.txt:1"),
        (["probe", "ENCODER", "--senteval", "SENTEVAL", "--pooling", "median"], "'poolings"),
        (
            ["probe", "ENCODER", "--senteval", "SENTEVAL", "--set", "sise=3"],
            "unknown key 'sise'. Did you mean",
        ),
        (["probe", "ENCODER", "ENCODER", "--senteval", "SENTEVAL"], "two models are called"),
        (["probe", "--settings", "gone.yaml"], "gone.yaml: no such file of settings"),
        (["similarity", "ENCODER"], "there is one model only to compare"),
        (["similarity", "a=ENCODER", "b=ENCODER"], "there is no text on which to compare"),
        (["similarity", "a=ENCODER", "b=ENCODER", "--text", "gone.txt"], "gone.txt"),
    ],
)
def test_what_cannot_be_asked_is_told_in_a_sentence(
    limbeck: Limbeck, encoder: Path, published: Path, arguments: list[str], words: str
) -> None:
    given = [each.replace("ENCODER", str(encoder)).replace("SENTEVAL", str(published)) for each in arguments]
    assert words in limbeck(*given, status=2).sentence


def test_a_run_is_probed_where_it_lies(
    limbeck: Limbeck, recipe_file: Callable[..., Path], published: Path, tmp_path: Path
) -> None:
    recipe = recipe_file(seeds=1, export={"changed": 0.9})
    for step in ("prepare", "teach", "ask", "train"):
        limbeck(step, recipe)
    run = tmp_path / "runs" / "tiny"
    limbeck(
        "probe",
        run,
        "--senteval",
        published,
        "--seeds",
        "1",
        "--set",
        "penalties=[1.0]",
        "--set",
        "random=false",
    )
    content = json.loads((run / "probes" / "probes.json").read_text(encoding="utf-8"))
    roles = {model["name"]: (model["role"], len(model["widths"])) for model in content["models"]}
    assert roles == {"teacher": ("teacher", 3), "logit_regression": ("student", 1), "control": ("control", 1)}
    assert (run / "probes" / "probes.html").is_file()
    limbeck("similarity", run, "--limit", "20")
    pairs = json.loads((run / "similarity" / "similarity.json").read_text(encoding="utf-8"))["pairs"]
    compared = {(pair["across"], pair["down"]) for pair in pairs}
    assert compared == {("teacher", "control"), ("teacher", "logit_regression")}
