"""Every method for classifiers teaches scores and sets of labels too, or says that it does not, and which do."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer

from limbeck import methods, models
from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.objective import Objective
from limbeck.core.tasks import Task
from limbeck.models.heads import encoder_with_head
from limbeck.models.shapes import shape_of
from limbeck.models.transformer import Settings
from limbeck.text.encode import Encoded, encode, label_sets, scores_of
from limbeck.text.tokeniser import word_tokeniser
from limbeck.train.lesson import Lesson
from limbeck.transfer.tokenwise import TokenAnswers

LABELS = {"regression": ("score",), "multilabel": ("blame", "music", "praise")}
OF_CLASSIFIERS = [name for name in methods.names() if "classification" in methods.get(name).tasks]
NOT_OF_SCORES = {"combined", "hard_labels", "soft_labels"}
"""``combined`` is, in its ``tiny()``, made of soft labels."""
CPU = torch.device("cpu")


def data(encoder: Path, task: Task) -> Encoded:
    """Some sentences, the last of them without gold."""
    texts = ("the lovely film", "a dull plot and music", "this music was splendid", "the end")
    scores = (4.5, 0.5, 3.0, None)
    sets = (("praise",), ("blame", "music"), (), None)
    examples = [Example(str(n), text, score=scores[n], labels=sets[n]) for n, text in enumerate(texts)]
    gold_of = scores_of if task == "regression" else label_sets
    return encode(AutoTokenizer.from_pretrained(encoder), examples, LABELS[task], 16, gold_of)


def lesson(objective: Objective, encoder: Path, task: Task) -> Lesson:
    """A student of a BERT's layers, and a BERT that answers as a teacher of this task."""
    teacher = encoder_with_head(encoder, LABELS[task], 1, task).eval()
    settings = Settings(layers=2, hidden_size=16, heads=2, dropout=0.0)
    tokeniser = AutoTokenizer.from_pretrained(encoder)
    student = models.build(
        "transformer", settings, labels=LABELS[task], tokeniser=tokeniser, teacher=teacher, seed=3, task=task
    )
    objective.for_task(task).fit(shape_of(student), shape_of(teacher))
    answers = TokenAnswers(teacher, objective.needs, None) if objective.needs else None
    return Lesson(student, objective, data(encoder, task), answers, CPU, "fp32")


@pytest.mark.unit
@pytest.mark.parametrize("task", ["regression", "multilabel"])
@pytest.mark.parametrize("name", OF_CLASSIFIERS)
def test_a_student_learns(name: str, task: Task, encoder: Path) -> None:
    method = methods.get(name)
    if task == "regression" and name in NOT_OF_SCORES:
        with pytest.raises(LimbeckError, match=r"Methods for regression: .*\bgold\b.*\blogit_regression\b"):
            methods.require(method, task, name)
            for stage in method.tiny.stages_for(task):
                stage.objective.for_task(task)
        return
    methods.require(method, task)
    for stage in method.tiny.stages_for(task):
        if stage.hears == "raw":  # the same whatever the task
            continue
        taught = lesson(stage.objective, encoder, task)
        taught.modules.eval()
        adam = torch.optim.Adam(taught.modules.parameters(), lr=1e-3)
        losses = []
        for _ in range(12):
            torch.manual_seed(0)  # jacobian's directions
            loss = taught.loss(np.arange(4))
            assert all(torch.isfinite(part) for part in loss.parts.values())
            losses.append(float(loss.total.detach()))
            adam.zero_grad()
            loss.total.backward()
            adam.step()
        assert losses[-1] < losses[0], stage.name


@pytest.mark.unit
def test_combined_refuses_a_part_that_cannot_teach_the_task() -> None:
    (stage,) = methods.get("combined").stages({"objectives": [{"name": "gold"}, {"name": "soft_labels"}]})
    with pytest.raises(LimbeckError, match="'soft_labels' teaches classification and multilabel"):
        stage.objective.for_task("regression")
    (stage,) = methods.get("combined").stages({"objectives": [{"name": "gold"}, {"name": "annealed"}]})
    stage.objective.for_task("regression")
    assert {one.task for one in stage.objective.objectives} == {"regression"}


@pytest.mark.unit
@pytest.mark.parametrize(
    ("task", "gold"), [("regression", [[2.0], [0.5]]), ("multilabel", [[1.0, 0, 1], [0, 0, 0.0]])]
)
@pytest.mark.parametrize("kind", models.kinds("regression"))
def test_a_saved_student_has_the_loss_of_its_task_in_transformers(
    kind: str, task: Task, gold: list[list[float]], encoder: Path, tmp_path: Path
) -> None:
    from importlib import import_module

    from torch.nn.functional import binary_cross_entropy_with_logits, mse_loss
    from transformers import AutoModelForSequenceClassification

    texts: tuple[list[str], ...] = (["the film", "a dull plot"],)
    tokeniser = AutoTokenizer.from_pretrained(encoder)
    if kind == "siamese":
        texts = (*texts, ["a film", "the end"])
        tokeniser = word_tokeniser(["the", "film", "a", "dull", "plot"], sides=True)
    student = models.build(
        kind, import_module(f"limbeck.models.{kind}").tiny(), labels=LABELS[task], tokeniser=tokeniser,
        teacher=None, seed=1, task=task,
    )  # fmt: skip
    student.save_pretrained(tmp_path)
    loaded = AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    labels = torch.tensor(gold)
    said = loaded(**tokeniser(*texts, padding=True, return_tensors="pt"), labels=labels)
    wanted = mse_loss if task == "regression" else binary_cross_entropy_with_logits
    torch.testing.assert_close(said.loss, wanted(said.logits, labels))


def test_an_objective_is_that_of_its_task() -> None:
    assert "logits" in methods.objective("born_again", stage="born_again", task="classification").reads
    assert "logits" not in methods.objective("born_again", stage="born_again", task="translation").reads
