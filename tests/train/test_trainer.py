"""DistillationTrainer: the gradient, resuming, logs, and who may teach."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import Dataset
from safetensors.torch import load_file
from train_task import WORDS, Dictionary, Distance, make_data, make_student, make_tokeniser
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
)

import limbeck
from limbeck.core.errors import LimbeckError
from limbeck.core.objective import NO_GOLD, Batch, Loss, Objective
from limbeck.core.signals import Signals
from limbeck.models.outputs import say
from limbeck.train.trainer import DistillationTrainer

pytestmark = pytest.mark.unit
HERE = Path(__file__).parent


class Tokens(Objective):
    """Distance between hidden states through a projection, over tokens: batches differ in their counts."""

    needs = reads = frozenset({"hidden", "logits"})
    aligned_by = "token"

    def __init__(self) -> None:
        super().__init__()
        self.projection = torch.nn.Linear(16, 16)
        with torch.no_grad():
            self.projection.weight.copy_(torch.eye(16) * 0.9)
            self.projection.bias.zero_()

    def forward(self, student: Signals, teacher: Signals, batch: Batch) -> Loss:
        apart = (self.projection(student.hidden[-1]) - teacher.hidden[-1]).square().sum(-1)
        real = (apart * student.mask).sum()
        logits = (student.logits - teacher.logits).square().sum()
        return Loss({"hidden": real, "logits": logits}, int(student.mask.sum()))


def rows(size: int = 8, seed: int = 5) -> list[dict]:
    data = make_data(size, seed)
    cut = np.split(data.tokens, data.offsets[1:-1])
    return [
        {"input_ids": tokens.tolist(), "attention_mask": [1] * len(tokens), "label": int(gold), "id": id}
        for id, tokens, gold in zip(data.ids, cut, data.gold, strict=True)
    ]


def arguments(folder: Path, **changes) -> TrainingArguments:
    plain = {
        "output_dir": str(folder),
        "report_to": [],
        "use_cpu": True,
        "disable_tqdm": True,
        "save_strategy": "no",
        "logging_steps": 1,
        "learning_rate": 0.1,
        "lr_scheduler_type": "constant",
        "max_steps": 1,
        "per_device_train_batch_size": 8,
    }
    return TrainingArguments(**{**plain, **changes})


def trainer(folder, objective, teacher, data, student=None, arguments_=None, **options):
    tokeniser = make_tokeniser()
    return DistillationTrainer(
        make_student(0, dropout=0.0) if student is None else student,
        arguments(folder) if arguments_ is None else arguments_,
        DataCollatorWithPadding(tokeniser),
        Dataset.from_list(data),
        processing_class=tokeniser,
        teacher=teacher,
        objective=objective,
        **options,
    )


def by_hand(objective, teacher, data, rate=0.1, clip=None):
    """One step of gradient descent on the mean over all items, in a batch of all."""
    student = make_student(0, dropout=0.0)
    padded = make_tokeniser().pad(
        {"input_ids": [one["input_ids"] for one in data]}, padding=True, return_tensors="pt"
    )
    inputs = dict(padded)
    gold = torch.tensor([one["label"] for one in data])
    with torch.no_grad():
        answers = say(teacher.eval(), inputs, objective.needs) if objective.needs else Signals()
    batch = Batch(tuple(one["id"] for one in data), inputs, gold)
    loss = objective(say(student, inputs, objective.reads), answers, batch)
    (loss.total / loss.count).backward()
    if clip is not None:
        torch.nn.utils.clip_grad_norm_(student.parameters(), clip)
    with torch.no_grad():
        for parameter in [*student.parameters(), *objective.parameters()]:
            if parameter.grad is not None:
                parameter -= rate * parameter.grad
    return student, objective, float(loss.total.detach() / loss.count)


def assert_same(model, other, **closeness):
    theirs = other.state_dict()
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, theirs[name], msg=name, **closeness)


@pytest.mark.parametrize(
    "make", [Tokens, Distance, lambda: limbeck.objective("soft_labels", gold_weight=0.3)]
)
@pytest.mark.parametrize(("size", "accumulate"), [(8, 1), (4, 2), (1, 8), (3, 3)])
@pytest.mark.parametrize("clip", [0.0, 0.05])
def test_a_step_is_that_on_the_mean_over_items_however_it_is_cut(make, size, accumulate, clip, tmp_path):
    data, teacher = rows(), make_student(3, dropout=0.1)
    expected, projected, loss = by_hand(make(), teacher, data, clip=clip or None)
    objective = make()
    given = arguments(
        tmp_path,
        optim="sgd",
        max_grad_norm=clip,
        per_device_train_batch_size=size,
        gradient_accumulation_steps=accumulate,
    )
    mine = trainer(tmp_path, objective, teacher, data, arguments_=given)
    mine.train()
    assert_same(mine.model, expected, atol=1e-6, rtol=1e-5)
    assert_same(objective, projected, atol=1e-6, rtol=1e-5)
    assert mine.state.log_history[0]["loss"] == pytest.approx(loss, rel=1e-5)


def test_sets_of_labels_are_taught_as_the_configuration_says(tmp_path):
    """By ``problem_type``, as in transformers: binary cross-entropy, which is added up over the labels here."""
    student = make_student(0, dropout=0.0)
    student.config.problem_type = "multi_label_classification"
    data = [{**one, "label": [float(one["label"]), 1.0]} for one in rows()]
    padded = make_tokeniser().pad(
        {"input_ids": [one["input_ids"] for one in data]}, padding=True, return_tensors="pt"
    )
    gold = torch.tensor([one["label"] for one in data])
    with torch.no_grad():
        expected = student.eval()(**padded, labels=gold).loss
    mine = trainer(tmp_path, limbeck.objective("gold"), None, data, student=student)
    mine.train()
    assert mine.state.log_history[0]["loss"] == pytest.approx(2 * float(expected), rel=1e-5)


@pytest.mark.parametrize("labelled", [True, False])
def test_a_transformers_that_divides_by_itself_is_made_up_for(labelled, tmp_path, monkeypatch):
    """Before ``loss_is_scaled_for_ga`` the Trainer divided by the batches of a step, unless the model had done so."""
    monkeypatch.delattr(Trainer, "loss_is_scaled_for_ga")
    monkeypatch.setattr(DistillationTrainer, "loss_is_scaled_for_ga", None)
    data, teacher, objective = rows(), make_student(3), Distance()
    expected, projected, _ = by_hand(Distance(), teacher, data)
    if not labelled:
        data = [{key: value for key, value in one.items() if key != "label"} for one in data]
    given = arguments(
        tmp_path,
        optim="sgd",
        max_grad_norm=0.0,
        per_device_train_batch_size=2,
        gradient_accumulation_steps=4,
    )
    mine = trainer(tmp_path, objective, teacher, data, arguments_=given)
    mine.model_accepts_loss_kwargs = labelled
    mine.train()
    assert_same(mine.model, expected, atol=1e-6, rtol=1e-5)
    assert_same(objective, projected, atol=1e-6, rtol=1e-5)


def test_a_second_step_begins_without_the_gradient_of_the_first(tmp_path):
    data, teacher, objective = rows(), make_student(3), Distance()
    given = arguments(
        tmp_path, optim="sgd", max_steps=2, per_device_train_batch_size=4, gradient_accumulation_steps=2
    )
    given.max_grad_norm = 0.0
    norms = []

    class Watch(torch.optim.SGD):
        def step(self, closure=None):
            norms.append(objective.projection.grad.clone())
            return super().step(closure)

    student = make_student(0, dropout=0.0)
    watched = Watch([*student.parameters(), *objective.parameters()], lr=1e-12)
    mine = trainer(
        tmp_path, objective, teacher, data, student=student, arguments_=given, optimizers=(watched, None)
    )
    mine.train()
    torch.testing.assert_close(norms[0], norms[1], atol=1e-6, rtol=1e-5)


def test_parts_of_the_loss_are_logged_and_add_up(tmp_path):
    given = arguments(
        tmp_path, max_steps=6, logging_steps=3, per_device_train_batch_size=3, gradient_accumulation_steps=2
    )
    mine = trainer(tmp_path, Distance(), make_student(3), rows(30), arguments_=given)
    mine.train()
    logged = [entry for entry in mine.state.log_history if "loss" in entry]
    assert [entry["step"] for entry in logged] == [3, 6]
    for entry in logged:
        assert entry["loss_distance"] + entry["loss_faint"] == pytest.approx(entry["loss"], rel=1e-4)
        assert entry["loss_distance"] > entry["loss_faint"] > 0


def test_a_run_taken_up_from_its_checkpoint_is_the_one_never_interrupted(tmp_path):
    def run(folder, steps, resume=None):
        given = arguments(
            folder,
            max_steps=6,
            learning_rate=5e-3,
            lr_scheduler_type="linear",
            per_device_train_batch_size=2,
            gradient_accumulation_steps=2,
            save_strategy="steps",
            save_steps=3,
        )
        mine = trainer(folder, Tokens(), make_student(3), rows(20), student=make_student(0), arguments_=given)
        if steps < 6:
            mine.add_callback(Stop(steps))
        mine.train(resume_from_checkpoint=resume)
        return mine

    whole = run(tmp_path / "whole", 6)
    run(tmp_path / "cut", 3)
    again = run(tmp_path / "cut", 6, resume=str(tmp_path / "cut" / "checkpoint-3"))
    assert_same(again.model, whole.model, atol=0, rtol=0)
    assert_same(again.loss_objective, whole.loss_objective, atol=0, rtol=0)
    assert not torch.equal(again.loss_objective.projection.weight, Tokens().projection.weight)
    first, second = (
        load_file(tmp_path / one / "checkpoint-6" / "model.safetensors") for one in ("whole", "cut")
    )
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    assert not any("projection" in name for name in first)
    (tmp_path / "cut" / "checkpoint-3" / "objective.safetensors").unlink()
    with pytest.raises(LimbeckError, match=r"the checkpoint holds no objective.safetensors"):
        run(tmp_path / "cut", 6, resume=str(tmp_path / "cut" / "checkpoint-3"))


class Stop:
    """A callback that ends the training after some steps."""

    def __new__(cls, steps):
        from transformers import TrainerCallback

        class Ends(TrainerCallback):
            def on_step_end(self, args, state, control, **rest):
                control.should_training_stop = state.global_step >= steps

        return Ends()


def test_stored_answers_teach_what_the_model_would(tmp_path):
    data, teacher = rows(11), make_student(3, dropout=0.1).eval()
    padded = make_tokeniser().pad({"input_ids": [one["input_ids"] for one in data]}, return_tensors="pt")
    with torch.no_grad():
        logits = teacher(**padded).logits

    class ById:
        def signals(self, ids, device):
            known = {one["id"]: row for one, row in zip(data, logits, strict=True)}
            return Signals(logits=torch.stack([known[id] for id in ids]))

    made = []
    for answers in (teacher, logits, logits.numpy(), ById()):
        given = arguments(tmp_path, max_steps=5, learning_rate=1e-3, per_device_train_batch_size=3)
        mine = trainer(tmp_path, limbeck.objective("logit_regression"), answers, data, arguments_=given)
        mine.train()
        made.append(mine.model)
    for other in made[1:]:
        assert_same(other, made[0], atol=1e-5, rtol=1e-4)


def test_rows_of_a_plain_list_are_numbered_too(tmp_path):
    data = rows(8)
    logits = torch.randn(8, 2)
    seen = []

    class Watch(Objective):
        def forward(self, student, teacher, batch):
            seen.extend(zip(batch.ids, teacher.logits.tolist(), strict=True))
            return Loss({"none": student.logits.sum() * 0}, len(batch.ids))

    tokeniser = make_tokeniser()
    plain = [{key: value for key, value in one.items() if key != "id"} for one in data]
    mine = DistillationTrainer(
        make_student(),
        arguments(tmp_path, num_train_epochs=1, max_steps=-1, per_device_train_batch_size=3),
        DataCollatorWithPadding(tokeniser),
        plain,
        teacher=logits,
        objective=Watch(),
    )
    mine.train()
    assert sorted(int(row) for row, _ in seen) == list(range(8))
    assert all(torch.tensor(said).equal(logits[int(row)]) for row, said in seen)


def test_evaluation_and_prediction_are_the_trainers_own(tmp_path):
    data, held_out = rows(8), Dataset.from_list(rows(12, seed=9))
    right = {
        "compute_metrics": lambda said: {
            "right": float((said.predictions.argmax(-1) == said.label_ids).mean())
        }
    }
    mine = trainer(tmp_path, Distance(), make_student(3), data, eval_dataset=held_out, **right)
    mine.train()
    plain = Trainer(
        mine.model,
        arguments(tmp_path),
        DataCollatorWithPadding(make_tokeniser()),
        eval_dataset=held_out,
        **right,
    )
    ours, theirs = mine.evaluate(), plain.evaluate()
    for key in ("eval_loss", "eval_right"):
        assert ours[key] == theirs[key]
    np.testing.assert_array_equal(mine.predict(held_out).predictions, plain.predict(held_out).predictions)


def test_gold_is_left_out_where_there_is_none_and_progress_is_told(tmp_path):
    seen = []

    class Watch(Objective):
        needs = frozenset()

        def forward(self, student, teacher, batch):
            seen.append((batch.gold.tolist(), batch.done, batch.last_epoch))
            return Loss({"none": student.logits.sum() * 0}, len(batch.ids))

    data = [{key: value for key, value in one.items() if key != "label"} for one in rows(4)]
    given = arguments(tmp_path, max_steps=-1, num_train_epochs=2, per_device_train_batch_size=2)
    trainer(tmp_path, Watch(), None, data, arguments_=given).train()
    assert [gold for gold, _, _ in seen] == [[NO_GOLD] * 2] * 4
    assert [done for _, done, _ in seen] == [0, 0.25, 0.5, 0.75]
    assert [last for _, _, last in seen] == [False, False, True, True]


def small(family, **changes):
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    if family == "distilbert":
        sizes = {"dim": 16, "n_layers": 1, "n_heads": 2, "hidden_dim": 32}
    config = AutoConfig.for_model(family, **{"vocab_size": WORDS, "num_labels": 2, **sizes, **changes})
    torch.manual_seed(4)
    return AutoModelForSequenceClassification.from_config(config).eval()


@pytest.mark.parametrize(("student", "teacher"), [("bert", "distilbert"), ("distilbert", "bert")])
def test_each_model_is_given_the_inputs_that_it_takes(student, teacher, tmp_path):
    data = [{**one, "token_type_ids": [1] * len(one["input_ids"])} for one in rows(4)]
    seen = {}

    class Watch(Objective):
        def forward(self, student, teacher, batch):
            seen.update(inputs=batch.inputs, said=teacher.logits)
            return Loss({"none": student.logits.sum() * 0}, len(batch.ids))

    teaches = small(teacher)
    given = arguments(tmp_path, per_device_train_batch_size=4)
    mine = trainer(tmp_path, Watch(), teaches, data, student=small(student), arguments_=given)
    mine.train()
    types = {"token_type_ids"} if student == "bert" else set()
    assert set(seen["inputs"]) == {"input_ids", "attention_mask"} | types
    own = {name: seen["inputs"][name] for name in ("input_ids", "attention_mask")}
    if teacher == "bert":
        own["token_type_ids"] = own["attention_mask"]
    with torch.no_grad():
        torch.testing.assert_close(seen["said"], teaches(**own).logits)


def test_the_teacher_says_the_same_at_every_step_and_learns_nothing(tmp_path):
    teacher = make_student(3, dropout=0.5).train()
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    said = []

    class Watch(Distance):
        def forward(self, student, teacher, batch):
            said.append(dict(zip(batch.inputs["input_ids"].sum(1).tolist(), teacher.logits, strict=True)))
            return super().forward(student, teacher, batch)

    trainer(tmp_path, Watch(), teacher, rows(8), arguments_=arguments(tmp_path, max_steps=2)).train()
    assert all(torch.allclose(row, said[1][key], atol=1e-5) for key, row in said[0].items())
    assert all(torch.equal(value, before[name]) for name, value in teacher.state_dict().items())
    assert all(parameter.grad is None for parameter in teacher.parameters())


def named(model, *labels):
    model.config.id2label = dict(enumerate(labels))
    model.config.label2id = {label: number for number, label in enumerate(labels)}
    return model


def test_labels_in_another_order_are_put_in_the_students(tmp_path):
    teacher, student = named(make_student(3), "good", "bad"), named(make_student(0), "bad", "good")
    seen = []

    class Watch(Objective):
        def forward(self, student, teacher, batch):
            seen.append((batch.inputs, teacher.logits))
            return Loss({"none": student.logits.sum() * 0}, len(batch.ids))

    trainer(tmp_path, Watch(), teacher, rows(4), student=student).train()
    inputs, logits = seen[0]
    with torch.no_grad():
        torch.testing.assert_close(logits, teacher.eval()(**inputs).logits[:, [1, 0]])


class Layers(Objective):
    needs = reads = frozenset({"hidden"})
    aligned_by = "token"


def other_tokeniser():
    from limbeck.text.tokeniser import word_tokeniser

    return word_tokeniser([f"w{n}" for n in reversed(range(WORDS - 2))])


REFUSED = {
    "labels by name": (
        lambda: {
            "teacher": named(make_student(3), "x", "y"),
            "student": named(make_student(), "bad", "good"),
        },
        "the teacher's labels (x, y) are not the student's (bad, good)",
    ),
    "labels by number": (
        lambda: {"teacher": small("bert", num_labels=3)},
        "the teacher has 3 labels (LABEL_0, LABEL_1, LABEL_2), the student 2 (LABEL_0, LABEL_1)",
    ),
    "another tokeniser": (
        lambda: {"teacher": make_student(3), "teacher_tokeniser": other_tokeniser()},
        "teacher and student do not read the same tokens: 'w",
    ),
    "another table": (
        lambda: {"teacher": small("bert", vocab_size=WORDS + 7)},
        "teacher and student do not read the same tokens: the student has embeddings for 30, the teacher for 37",
    ),
    "another tokeniser for tokens": (
        lambda: {"teacher": make_student(3), "teacher_tokeniser": other_tokeniser(), "objective": Layers()},
        "teacher and student do not read the same tokens",
    ),
    "logits for others": (
        lambda: {"teacher": torch.zeros(7, 2)},
        "the teacher's logits are of shape (7, 2), and the training set and the student's labels ask for (8, 2)",
    ),
    "broken logits": (
        lambda: {"teacher": torch.full((8, 2), torch.nan)},
        "the teacher's logits for example 0 are not finite",
    ),
    "states that are not stored": (
        lambda: {"teacher": torch.zeros(8, 2), "objective": Layers()},
        "the objective reads the teacher's hidden, which stored answers do not have. Give the teacher itself",
    ),
    "no model": (
        lambda: {"teacher": torch.nn.Linear(2, 2)},
        "a Linear cannot teach. Give a PreTrainedModel",
    ),
    "no teacher": (lambda: {"teacher": None}, "Distance needs the teacher's logits, and there is no teacher"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_the_wrong_teacher_is_told(case, tmp_path):
    make, sentence = REFUSED[case]
    options = {"objective": Distance(), **make()}
    with pytest.raises(LimbeckError) as caught:
        trainer(tmp_path, data=rows(), **options)
    assert sentence in str(caught.value)


def test_the_tokeniser_beside_the_teachers_weights_is_compared(tmp_path):
    folder = tmp_path / "teacher"
    make_student(3).save_pretrained(folder)
    other_tokeniser().save_pretrained(folder)
    teacher = AutoModelForSequenceClassification.from_pretrained(folder)
    with pytest.raises(
        LimbeckError, match="do not read the same tokens: 'w.* to the student's tokeniser, and"
    ):
        trainer(tmp_path, Distance(), teacher, rows())
    make_tokeniser().save_pretrained(folder)
    trainer(tmp_path, Distance(), teacher, rows())


def test_answers_by_id_need_ids(tmp_path):
    data = [{key: value for key, value in one.items() if key != "id"} for one in rows()]
    mine = trainer(tmp_path, Distance(), Dictionary(make_data(8, 5)), data)
    with pytest.raises(LimbeckError, match="the training examples have no 'id', by which"):
        mine.train()


def test_scores_of_tokens_are_refused(tmp_path):
    config = AutoConfig.for_model(
        "bert",
        vocab_size=WORDS,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
    )
    tagger = AutoModelForTokenClassification.from_config(config)
    mine = trainer(tmp_path, limbeck.objective("soft_labels"), torch.zeros(8, 2), rows(), student=tagger)
    with pytest.raises(LimbeckError, match="compares one row of logits a text"):
        mine.train()


def test_derivatives_are_compared_in_the_same_directions(tmp_path):
    given = arguments(tmp_path, max_steps=20, learning_rate=0.02, logging_steps=1)
    objective, teacher = limbeck.objective("jacobian"), make_student(3)
    mine = trainer(tmp_path, objective, teacher, rows(16), arguments_=given)
    mine.train()
    logged = [entry["loss_derivatives"] for entry in mine.state.log_history if "loss" in entry]
    assert 0 < sum(logged[-5:]) < 0.5 * sum(logged[:5])
    same = trainer(tmp_path, limbeck.objective("jacobian"), make_student(0, dropout=0.0), rows(16))
    same.train()
    (entry,) = (entry for entry in same.state.log_history if "loss" in entry)
    assert entry["loss_derivatives"] == pytest.approx(0, abs=1e-8)


def test_masked_language_models_are_refused(tmp_path):
    objective = limbeck.objective("distilbert", stage="general")
    with pytest.raises(
        LimbeckError, match="masked language models, .* Train that stage with 'limbeck distill'"
    ):
        trainer(tmp_path, objective, make_student(3), rows())


def test_an_optimiser_with_its_own_schedule_must_hold_the_objective(tmp_path):
    student = make_student()
    optimiser = torch.optim.SGD(student.parameters(), lr=0.1)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: 1.0)
    mine = trainer(
        tmp_path, Distance(), make_student(3), rows(), student=student, optimizers=(optimiser, schedule)
    )
    with pytest.raises(LimbeckError, match="the optimiser that was given lacks the objective's parameters"):
        mine.train()


def test_an_objective_is_fitted_to_the_shapes_of_both(tmp_path):
    class Fitted(Tokens):
        def fit(self, student, teacher):
            self.seen = student.width, teacher.layers
            self.projection = torch.nn.Linear(student.width, teacher.width)

    objective = Fitted()
    before = objective.projection
    mine = trainer(tmp_path, objective, make_student(3), rows())
    assert objective.seen == (16, 1) and objective.projection is not before
    weight = objective.projection.weight.clone()
    mine.train()
    assert not torch.equal(objective.projection.weight, weight)


def test_tinyberts_inner_stage_teaches_a_narrower_student(tmp_path):
    torch.manual_seed(2)
    config = make_student().config
    config.hidden_size, config.intermediate_size = 8, 16
    student, teacher = AutoModelForSequenceClassification.from_config(config), make_student(3)
    objective = limbeck.objective("tinybert", stage="intermediate")
    given = arguments(tmp_path, max_steps=30, learning_rate=0.02, logging_steps=5)
    mine = trainer(tmp_path, objective, teacher, rows(16), student=student, arguments_=given)
    before = objective.projections["hidden"].weight.detach().clone()
    mine.train()
    logged = [entry for entry in mine.state.log_history if "loss" in entry]
    for part in ("loss_embeddings", "loss_hidden", "loss_attention"):
        assert logged[-1][part] < logged[0][part]
    assert objective.projections["hidden"].weight.shape == (16, 8)
    assert not torch.equal(objective.projections["hidden"].weight, before)


def test_objectives_are_named_like_methods():
    assert limbeck.DistillationTrainer is DistillationTrainer
    assert limbeck.objective("soft_labels", temperature=4).temperature == 4
    with pytest.raises(LimbeckError, match="no method 'softlabels'. Did you mean 'soft_labels'?"):
        limbeck.objective("softlabels")
    with pytest.raises(LimbeckError, match="has no stage 'second'. Name one: soft_labels"):
        limbeck.objective("soft_labels", stage="second")
    with pytest.raises(
        LimbeckError, match="'tinybert' has several stages, .* Name one: intermediate, prediction"
    ):
        limbeck.objective("tinybert")
    with pytest.raises(LimbeckError, match="unknown key 'method.temprature'"):
        limbeck.objective("soft_labels", temprature=4)


def test_two_processes_take_the_step_of_one(tmp_path):
    data, teacher = rows(), make_student(3)
    expected, projected, loss = by_hand(Tokens(), teacher, data)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, str(HERE / "trainer_of_many.py"), str(tmp_path), str(port), "2"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 0, done.stderr
    found = load_file(tmp_path / "after.safetensors")
    for prefix, module in (("student.", expected), ("objective.", projected)):
        for name, value in module.state_dict().items():
            torch.testing.assert_close(found[prefix + name], value, atol=1e-6, rtol=1e-5, msg=prefix + name)
    assert float(found["loss"]) == pytest.approx(loss, rel=1e-5)
