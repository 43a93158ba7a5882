"""A whole run of taggers, from columns of words to the report, and what it refuses."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from limbeck import distill, open_bundle
from limbeck.core.errors import LimbeckError
from limbeck.core.recipe import load
from limbeck.pipeline import Run, check
from limbeck.pipeline.plan import plan
from limbeck.pipeline.probed_models import probed_models
from pipeline.tagging_recipe import recipe, write

METHODS = ["chain_kbest", "chain_posterior", "chain_structural", "chain_substructure"]


@pytest.mark.recipe
def test_a_run_from_columns_to_spans(tmp_path: Path, encoder: Path) -> None:
    path = recipe(tmp_path, encoder, method=METHODS)
    result = distill(path)
    rows = {row["name"]: row for row in result.rows}
    assert set(rows) == {"teacher", "gold", *METHODS}
    assert rows["teacher"]["f1"] > 0.9
    assert all(rows[name]["f1"] > 0.8 for name in METHODS), rows
    evaluation = json.loads((result.folder / "evaluation" / "evaluation.json").read_text())
    assert evaluation["task"] == "tagging"
    assert {row["type"] for row in evaluation["types"]["teacher"]} == {"LOC", "PER"}
    page = (result.folder / "report.html").read_text()
    assert "entity F1" in page or "Entity F1" in page
    bundle = open_bundle(result.bundle, "fp32")
    (tagged,) = bundle.predict(["felt the lovely bright was in plot"])
    assert [(span.type, span.text) for span in tagged.spans] == [("PER", "lovely bright"), ("LOC", "plot")]
    # Who looks into its layers knows which model is the control.
    roles = {model.name: model.role for model in probed_models([str(result.folder)], 32)}
    assert roles == {"teacher": "teacher", **dict.fromkeys(METHODS, "student"), "control": "control"}
    # Again: every step is done.
    before = {file: file.stat().st_mtime_ns for file in result.folder.rglob("*.safetensors")}
    distill(path)
    assert before == {file: file.stat().st_mtime_ns for file in result.folder.rglob("*.safetensors")}


@pytest.mark.recipe
def test_a_bilstm_reads_words_and_plain_tags_are_scored_by_word(tmp_path: Path, encoder: Path) -> None:
    for number, (name, count) in enumerate((("train", 120), ("dev", 30), ("test", 40))):
        write(tmp_path / f"{name}.conll", count, number, plain=True)
    student = {"kind": "bilstm", "embeddings": "random", "dimension": 16, "hidden": 16, "tokeniser": "words"}
    result = distill(recipe(tmp_path, encoder, student=student, method=["chain_posterior"]))
    rows = {row["name"]: row for row in result.rows}
    assert rows["chain_posterior"]["token_accuracy"] > 0.9
    dev = [json.loads(line) for line in next(result.folder.glob("students/*/seed-1/journal.jsonl")).open()]
    assert any(line["kind"] == "dev" and line["best"] for line in dev)
    trained = json.loads(next(result.folder.glob("students/chain_posterior/seed-1/trained.json")).read_text())
    assert trained["dev_score"] > 0.9


def test_a_plan_counts_potentials(tmp_path: Path, encoder: Path) -> None:
    text = plan(Run(load(recipe(tmp_path, encoder)))).text()
    assert "of potentials, stored" in text
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("spelling", ["cnn", "bilstm"])
def test_a_plan_times_a_student_that_reads_spelling(tmp_path: Path, encoder: Path, spelling: str) -> None:
    student = {"kind": "bilstm", "embeddings": "random", "dimension": 8, "hidden": 8, "spelling": spelling}
    assert "chain_structural: 1 seed of" in plan(Run(load(recipe(tmp_path, encoder, student=student)))).text()


@pytest.mark.parametrize(
    ("task", "method", "told"),
    [
        (
            "tagging",
            "soft_labels",
            "'soft_labels' teaches classification and multilabel, and this recipe's task is tagging",
        ),
        (
            "classification",
            "chain_structural",
            "'chain_structural' teaches tagging, and this recipe's task is classification",
        ),
    ],
)
def test_a_method_of_another_task_is_refused(
    tmp_path: Path, encoder: Path, task: str, method: str, told: str
) -> None:
    path = recipe(tmp_path, encoder)
    with pytest.raises(LimbeckError, match=told) as caught:
        check(Run(load(path, [f"task={task}", f"method={method}"])))
    assert "Methods for" in str(caught.value)
    assert ("chain_kbest" if task == "tagging" else "logit_regression") in str(caught.value)


def test_a_teacher_of_other_tags_is_refused(tmp_path: Path, encoder: Path) -> None:
    path = recipe(tmp_path, encoder)
    distill(
        path,
        "teacher.fine_tune.epochs=1",
        "train.epochs=1",
        "evaluate.latency_sentences=0",
        "export.int8=false",
    )
    other = tmp_path / "other"
    other.mkdir()
    for part in ("train", "dev", "test"):
        text = (tmp_path / f"{part}.conll").read_text()
        (other / f"{part}.conll").write_text(text.replace("-LOC", "-PLACE"))
    taken = recipe(
        other, encoder, teacher={"model": str(tmp_path / "runs" / "tiny" / "teacher"), "max_length": 32}
    )
    with pytest.raises(LimbeckError, match="B-PLACE|B-LOC"):
        distill(taken)
    result = distill(
        taken,
        "teacher.labels={B-LOC: B-PLACE, I-LOC: I-PLACE}",
        "train.epochs=1",
        "evaluate.latency_sentences=0",
    )
    assert result.rows


@pytest.mark.recipe
def test_a_teacher_reads_the_document_and_its_student_the_sentence_alone(
    tmp_path: Path, encoder: Path
) -> None:
    """What a plot is, a person or a place, stands in the sentence before it."""
    generator = random.Random(0)
    for part, count in (("train", 120), ("dev", 30), ("test", 40)):
        kinds = [generator.choice(("PER", "LOC")) for _ in range(count)]
        (tmp_path / f"{part}.conll").write_text(
            "".join(
                f"-DOCSTART- O\n\n{'clever' if kind == 'PER' else 'bright'} O\n\nfelt O\nplot B-{kind}\n\n"
                for kind in kinds
            )
        )
    path = recipe(tmp_path, encoder, method=["chain_posterior"], export={"int8": False, "changed": 0.5})
    result = distill(
        path,
        "data.context=8",
        "evaluate.latency_sentences=0",
        "teacher.fine_tune.epochs=40",
        "teacher.fine_tune.learning_rate=0.003",
    )
    rows = {row["name"]: row for row in result.rows}
    assert rows["teacher"]["f1"] == 1.0
    assert rows["chain_posterior"]["f1"] < 0.8
    lines = ({"tokens": ["a", "plot"], "tags": ["O", f"B-{kind}"]} for kind in ("PER", "LOC", "PER"))
    (tmp_path / "lines.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    with pytest.raises(LimbeckError, match="'data.context': no training sentence has others around it"):
        distill(path, "data.context=8", f"data.train={tmp_path / 'lines.jsonl'}", "data.dev=1", "data.test=1")


@pytest.mark.recipe
def test_taggers_hear_their_teacher_on_rewritten_sentences(tmp_path: Path, encoder: Path) -> None:
    given = {
        "rewrite": ["ngrams", {"name": "rules", "n_iter": 2}],
        "control": False,
        "method": ["chain_posterior"],
    }
    folder = distill(recipe(tmp_path, encoder, **given)).folder
    run = Run.open(folder)
    made = run.transfer_set.examples[len(run.prepared.train) :]
    assert len(made) > 200
    assert all(one.words == tuple(one.text.split()) and one.tags is None for one in made)
    told = json.loads((folder / "evaluation" / "transfer_text.json").read_text())["kinds"]
    assert [kind["name"] for kind in told] == ["gold", "ngrams", "rules"]
    assert all(kind["confidence"] is None for kind in told)
    assert "Transfer text" in (folder / "report.html").read_text()
