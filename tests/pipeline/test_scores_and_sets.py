"""Whole runs that end in a score or a set of labels for each text: from a file to a bundle and a report."""

import io
import json
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from transformers import AutoModelForSequenceClassification

from limbeck import LabelsBundle, Run, ScoreBundle, distill, open_bundle
from limbeck.cli.init import write_recipe
from limbeck.cli.predict import write
from limbeck.core.errors import LimbeckError
from limbeck.core.recipe import load
from limbeck.models.outputs import predict
from limbeck.pipeline import chain, steps
from limbeck.pipeline.inputs import prepare_inputs
from limbeck.pipeline.plan import plan
from limbeck.transfer.answer_files import read_answers
from limbeck.transfer.prepare import prepare
from limbeck.transfer.transfer_set import TransferSet

TOPICS = {"praise": "lovely", "blame": "dull", "sound": "music"}
PLAIN = ["the", "a", "film", "was", "and", "story"]


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    """Texts with a set of labels each, by their words, and a score: 1 and a half for each label but for blame."""
    generator = random.Random(0)
    lines = []
    for number in range(160):
        labels = [label for label in TOPICS if generator.random() < 0.4]
        words = [*generator.choices(PLAIN, k=4), *(TOPICS[label] for label in labels), f"x{number}"]
        generator.shuffle(words)
        score = 1.5 * len([label for label in labels if label != "blame"])
        lines.append(json.dumps({"text": " ".join(words), "labels": labels, "score": score}))
    path = tmp_path / "texts.jsonl"
    path.write_text("\n".join(lines))
    return path


def recipe(recipe_file: Callable[..., Path], texts: Path, task: str, **changes: object) -> Path:
    label = "score" if task == "regression" else "labels"
    return recipe_file(
        task=task, data={"train": {"path": str(texts), "label": label}, "dev": 30, "test": 40}, **changes
    )


def predictions(bundle: Path, text: str) -> dict[str, object]:
    out = io.StringIO()
    write(open_bundle(bundle), [text], "jsonl", 1, out)
    found: dict[str, object] = json.loads(out.getvalue())
    return found


@pytest.mark.recipe
def test_a_run_of_scores(recipe_file: Callable[..., Path], texts: Path, encoder: Path) -> None:
    train = {"epochs": 20, "learning_rate": 0.03, "evaluate": 3, "tokens_per_batch": 256}
    fine_tune = {"epochs": 15, "learning_rate": 0.01, "evaluate": 1, "tokens_per_batch": 256}
    teacher = {"model": str(encoder), "fine_tune": fine_tune, "max_length": 32}
    path = recipe(recipe_file, texts, "regression", seeds=1, train=train, teacher=teacher)
    result = distill(path)
    found = result.evaluation
    assert (found["task"], found["metric"], found["labels"]) == ("regression", "pearson", ["score"])
    student = next(one for one in found["models"] if one["role"] == "student")
    assert student["scores"]["pearson"] > 0.3
    bundle = open_bundle(result.bundle)
    assert isinstance(bundle, ScoreBundle)
    (low, high) = bundle.predict(["a dull story", "the lovely music"])
    assert low < high
    assert predictions(result.bundle, "the lovely music")["score"] == pytest.approx(high, abs=1e-4)
    weights = result.folder / "students" / "logit_regression" / "seed-1"
    assert AutoModelForSequenceClassification.from_pretrained(weights).config.problem_type == "regression"
    page = result.page.read_text()
    assert "Scores against gold" in page and "taken for what" not in page and "RMSE" in page
    assert "Pearson" in result.page.with_suffix(".md").read_text()
    assert "done" in plan(Run.of(load(path))).text()


@pytest.mark.recipe
def test_a_run_of_sets_of_labels(recipe_file: Callable[..., Path], texts: Path) -> None:
    train = {"epochs": 8, "learning_rate": 0.03, "evaluate": 2, "tokens_per_batch": 256}
    path = recipe(recipe_file, texts, "multilabel", seeds=1, train=train, method="soft_labels")
    result = distill(path)
    found = result.evaluation
    assert found["labels"] == sorted(TOPICS)
    assert {"micro_f1", "macro_f1", "subset_accuracy", "agreement", "ece"} == set(
        found["models"][0]["scores"]
    )
    bundle = open_bundle(result.bundle)
    assert isinstance(bundle, LabelsBundle)
    (told,) = bundle.predict(["the lovely music"])
    assert list(told.labels) == sorted(
        (label for label, share in told.scores.items() if share > 0.5), key=lambda label: -told.scores[label]
    )
    assert predictions(result.bundle, "the lovely music")["labels"] == list(told.labels)
    page = result.page.read_text()
    assert 'scope="col">Decisions</th>' in page and "sentences with confidence" not in page
    assert "What is found, label by label" in page and "Where teacher and student part ways" in page


@pytest.mark.unit
def test_what_does_not_fit_is_refused_before_any_work(recipe_file: Callable[..., Path], texts: Path) -> None:
    path = recipe(recipe_file, texts, "regression", method="soft_labels")
    with pytest.raises(
        LimbeckError, match=r"'soft_labels' teaches .*, and this recipe's task is regression.*logit_reg"
    ):
        plan(Run.of(load(path)))
    with pytest.raises(LimbeckError, match="regression is not scored by accuracy"):
        load(path, ["train.metric=accuracy"])
    with pytest.raises(LimbeckError, match="'positive' is one of two classes"):
        load(path, ["positive=1"])


@pytest.mark.unit
def test_models_of_scores_start_at_the_mean_of_gold(recipe_file: Callable[..., Path], texts: Path) -> None:
    run = Run.of(load(recipe(recipe_file, texts, "regression")))
    run.use_prepared(prepare(run.recipe.data, task="regression"))
    mean = np.mean([example.score for example in run.prepared.train.labelled])
    ((_, teacher, _),) = run.untaught_teachers()
    run.use_untaught_teacher()
    assert teacher.classifier.bias.item() == pytest.approx(mean)
    assert run.new_student(1).classifier.bias.item() == pytest.approx(mean)


@pytest.mark.unit
@pytest.mark.recipe
@pytest.mark.parametrize("task", ["regression", "multilabel"])
@pytest.mark.parametrize("method", [{"name": "assistant", "sizes": [{"relu": 12}]}, {"name": "born_again"}])
def test_models_between_teacher_and_student_learn_what_logits_mean(
    recipe_file: Callable[..., Path], texts: Path, encoder: Path, task: str, method: dict[str, object]
) -> None:
    train = {"epochs": 6, "learning_rate": 0.03, "evaluate": 1, "tokens_per_batch": 256}
    fine_tune = {"epochs": 15, "learning_rate": 0.01, "evaluate": 1, "tokens_per_batch": 256}
    teacher = {"model": str(encoder), "fine_tune": fine_tune, "max_length": 32}
    path = recipe(
        recipe_file, texts, task, seeds=1, train=train, teacher=teacher, method=method, control=False
    )
    run = Run.of(load(path))
    for step in steps.ALL[: steps.ALL.index(steps.train) + 1]:
        step(run)
    title, number, stage = next(chain.successors(run))
    assert {stage.objective.task for stage in run.stages_of(title)} == {task}
    journal = run.successor_folder(title, stage).path / "journal.jsonl"
    rows = map(json.loads, journal.read_text().splitlines())
    assert min(row["loss"] for row in rows if row["kind"] == "step") > 0
    if task == "regression":
        untaught = predict(chain.untaught(run, stage, number), run.encoded_dev)
        assert abs(untaught.mean() - np.mean([one.score for one in run.prepared.train.labelled])) < 0.3


def test_a_key_that_says_nothing_changes_no_inputs(recipe_file: Callable[..., Path], texts: Path) -> None:
    run = Run.of(load(recipe(recipe_file, texts, "multilabel")))
    (source,) = prepare_inputs(run)["data"]["train"]
    assert "separator" not in source
    said = Run.of(load(recipe(recipe_file, texts, "multilabel"), ["data.train.separator=;"]))
    assert prepare_inputs(said)["data"]["train"][0]["separator"] == ";"


@pytest.mark.unit
def test_sets_are_kept_with_their_gold(tmp_path: Path) -> None:
    from limbeck.core.example import Example

    scored = TransferSet((Example("1", "a", score=0.5), Example("2", "b")), ("score",))
    several = TransferSet(
        (Example("1", "a", labels=()), Example("2", "b", labels=("x",)), Example("3", "c")), ("x",)
    )
    for kept in (scored, several):
        kept.save(tmp_path, "train")
        loaded = TransferSet.load(tmp_path, "train")
        assert loaded.examples == kept.examples and loaded.fingerprint == kept.fingerprint
    other = TransferSet((Example("1", "a", score=0.6), Example("2", "b")), ("score",))
    assert other.fingerprint != scored.fingerprint
    assert [len(kept.labelled) for kept in (scored, several)] == [1, 2]
    with pytest.raises(LimbeckError, match="gold labels that are not among x: y"):
        TransferSet((Example("1", "a", labels=("y",)),), ("x",))


@pytest.mark.unit
def test_answers_from_files(tmp_path: Path) -> None:
    path = tmp_path / "answers.csv"
    path.write_text("id,score\n1,4.5\n2,-0.5\n")
    assert read_answers(path, ["score"], "probabilities", {}, "regression").logits.tolist() == [[4.5], [-0.5]]
    path.write_text("id,x,y\n1,0.5,0.8\n2,0.0,1.0\n")
    logits = read_answers(path, ["x", "y"], "probabilities", {}, "multilabel").logits
    assert logits[0].tolist() == pytest.approx([0, 1.3863], abs=1e-4)
    assert logits[1].tolist() == pytest.approx([-13.8155, 13.8155], abs=1e-3)
    path.write_text("id,x,y\n1,0.5,80\n")
    with pytest.raises(LimbeckError, match=r"answers.csv:2: the probability of 'y' is above one \(80\)"):
        read_answers(path, ["x", "y"], "probabilities", {}, "multilabel")


@pytest.mark.unit
@pytest.mark.parametrize(
    ("name", "content", "task", "metric"),
    [
        ("CoLA/train.tsv", "gj04\t1\t\tOur friends.\nc-05\t0\t*\tFriends our.\n", "classification", "mcc"),
        ("MRPC/train.tsv", "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n1\t7\t8\tA.\tB.\n", "classification", "binary_f1"),
        ("STS-B/train.tsv", "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\tscore\n"
         "0\tn\tm\t2012\t1\tx\ty\tA.\tB.\t4.2\n", "regression", "pearson"),
        ("RTE/train.tsv", "index\tsentence1\tsentence2\tlabel\n0\tA.\tB.\tentailment\n", "classification", "accuracy"),
        ("pairs.csv", "sentence1,sentence2,score\na b,c d,2.5\ne,f,1\n", "regression", "pearson"),
        ("sets.csv", "text,labels\na b,joy|love\nc,fear\n", "multilabel", "micro_f1"),
        ("bits.csv", "text,x,y,z\na b,1,1,0\nc d,0,1,1\ne,0,0,0\nf,1,0,1\n", "multilabel", "micro_f1"),
    ],
)  # fmt: skip
def test_init_knows_task_and_metric(tmp_path: Path, name: str, content: str, task: str, metric: str) -> None:
    data = tmp_path / name
    data.parent.mkdir(exist_ok=True)
    data.write_text(content)
    write_recipe(data, tmp_path / "recipe.yaml")
    written = load(tmp_path / "recipe.yaml")
    assert (written.task, written.train.metric) == (task, metric)
    from limbeck.text.readers import read

    (source,) = written.data.train
    examples = read(source, task=written.task)
    assert any(example.labelled for example in examples)
