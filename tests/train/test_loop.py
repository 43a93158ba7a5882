import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from train_task import (
    Dictionary,
    Distance,
    Gold,
    make_data,
    make_settings,
    make_student,
    make_tokeniser,
    score,
)
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from limbeck.core.errors import LimbeckError
from limbeck.core.objective import NO_GOLD, Batch, Loss, Objective
from limbeck.core.signals import Signals
from limbeck.train.loop import Trained, train

DATA, DEV = make_data(80, seed=1), make_data(40, seed=2)


def run(folder: Path, **changes: Any) -> Trained:
    named = {
        "model": make_student(),
        "tokeniser": make_tokeniser(),
        "objective": Gold(),
        "data": DATA,
        "answers": None,
        "dev": DEV,
        "settings": make_settings(),
        "folder": folder,
        "seed": 1,
        "score": score,
    }
    return train(**{**named, **changes})


def lines(folder: Path, kind: str) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]
    return [line for line in found if line["kind"] == kind]


def test_a_run_learns_and_leaves_a_hugging_face_folder(tmp_path: Path) -> None:
    model = make_student()
    trained = run(tmp_path, model=model, settings=make_settings(epochs=40))
    assert trained.dev_score > 0.8  # 0.87 on average over seeds
    assert (trained.device, trained.precision, trained.threads) == ("cpu", "fp32", 1)
    assert trained.parameters == sum(p.numel() for p in model.parameters())
    assert trained.examples_per_second > 0
    assert trained.epochs >= 40
    assert json.loads((tmp_path / "trained.json").read_text())["dev_score"] == trained.dev_score
    assert not (tmp_path / "checkpoint").exists()
    loaded = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, loaded.state_dict()[name])
    assert AutoTokenizer.from_pretrained(tmp_path)("w3 w4")["input_ids"]
    assert (tmp_path / "model.safetensors").stat().st_mode == (tmp_path / "config.json").stat().st_mode


def test_journal_follows_its_schema(tmp_path: Path) -> None:
    trained = run(tmp_path, objective=Distance(), answers=Dictionary(DATA), stage="teach")
    steps, devs = lines(tmp_path, "step"), lines(tmp_path, "dev")
    assert {
        "kind",
        "stage",
        "step",
        "epoch",
        "loss",
        "parts",
        "learning_rate",
        "grad_norm",
        "seconds",
    } == set(steps[0])
    assert [line["step"] for line in steps] == list(range(1, trained.steps + 1))
    assert steps[0]["stage"] == "teach"
    assert set(steps[0]["parts"]) == {"distance", "faint"}
    assert all(line["loss"] == pytest.approx(sum(line["parts"].values())) for line in steps)
    assert len(devs) == 4
    assert devs[-1]["step"] == trained.steps
    assert set(devs[0]["scores"]) == {"accuracy", "macro_f1", "mcc"}
    assert devs[0]["loss"] > 0


def test_best_weights_are_kept_by_score_then_by_loss(tmp_path: Path) -> None:
    model = make_student()
    trained = run(tmp_path, model=model, settings=make_settings(epochs=10, evaluate=10, learning_rate=2e-2))
    devs = lines(tmp_path, "dev")
    best = max(devs, key=lambda line: (line["scores"]["accuracy"], -line["loss"]))
    assert (trained.best_step, trained.dev_score) == (best["step"], best["scores"]["accuracy"])
    assert [line["step"] for line in devs if line["best"]][-1] == best["step"]
    from limbeck.models.outputs import predict

    assert score(DEV.gold, predict(model, DEV).argmax(-1))["accuracy"] == trained.dev_score


def test_same_seed_same_bytes_other_seed_others(tmp_path: Path) -> None:
    for name, seed in (("one", 1), ("two", 1), ("three", 2)):
        torch.rand(len(name))  # what was drawn before does not matter
        run(tmp_path / name, seed=seed)
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("one", "two", "three")]
    assert weights[0] == weights[1] != weights[2]


def test_patience_stops_early(tmp_path: Path) -> None:
    settings = make_settings(epochs=20, evaluate=20, patience=2, learning_rate=1e-9)
    trained = run(tmp_path, settings=settings)
    assert len(lines(tmp_path, "dev")) == 3  # the first is the best, two more bring nothing
    assert trained.steps == lines(tmp_path, "dev")[-1]["step"]
    assert trained.epochs < 4


def test_steps_override_epochs(tmp_path: Path) -> None:
    assert run(tmp_path, steps=7).steps == 7


def test_embeddings_move_at_their_own_rate(tmp_path: Path) -> None:
    moved = []
    for rate in (1.0, 0.01):
        model = make_student()
        words = model.bert.embeddings.word_embeddings.weight
        before = words.detach().clone()
        run(tmp_path / str(rate), model=model, settings=make_settings(embedding_rate=rate, epochs=1))
        moved.append(float((words.detach() - before).norm()))
    assert moved[1] < 0.1 * moved[0]


def test_finished_folder_is_taken_as_it_is(tmp_path: Path) -> None:
    first = run(tmp_path)
    journal, model = (tmp_path / "journal.jsonl").read_bytes(), make_student(seed=5)
    assert run(tmp_path, model=model) == first
    assert (tmp_path / "journal.jsonl").read_bytes() == journal
    loaded = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    assert torch.equal(model.classifier.weight, loaded.classifier.weight)
    changed = run(tmp_path, settings=make_settings(epochs=1))
    assert changed.steps < first.steps
    assert lines(tmp_path, "step")[-1]["step"] == changed.steps


def test_checkpoint_of_another_run_is_not_taken_up(tmp_path: Path) -> None:
    with pytest.raises(Stop):
        run(tmp_path / "a", settings=make_settings(checkpoint_seconds=0), score=stop_after(2))
    assert (tmp_path / "a" / "checkpoint").is_dir()
    changed = make_settings(learning_rate=1e-3)
    run(tmp_path / "a", settings=changed)
    run(tmp_path / "b", settings=changed)
    assert same_weights(tmp_path / "a", tmp_path / "b")


def test_objective_with_parameters_is_trained_and_resumed(tmp_path: Path) -> None:
    objective = Distance()
    before = objective.projection.detach().clone()
    run(tmp_path / "straight", objective=objective, answers=Dictionary(DATA))
    assert not torch.equal(before, objective.projection)
    settings = make_settings(checkpoint_seconds=0)
    broken = tmp_path / "broken"
    with pytest.raises(Stop):
        run(broken, objective=Distance(), answers=Dictionary(DATA), settings=settings, score=stop_after(3))
    resumed = Distance()
    run(broken, objective=resumed, answers=Dictionary(DATA), settings=settings)
    assert same_weights(tmp_path / "straight", broken)
    assert torch.equal(resumed.projection, objective.projection)


def test_doctor_looks_at_the_first_batch_and_changes_nothing(
    tmp_path: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path / "seen", objective=Distance(), answers=Dictionary(DATA), what="student 1")
    terms = json.loads((tmp_path / "seen" / "doctor.json").read_text())["terms"]
    assert [term["name"] for term in terms] == ["distance", "faint"]
    assert any("student 1: the term 'faint' has" in text for text in said)
    monkeypatch.setattr("limbeck.train.run.Run.examine", lambda *given: torch.rand(1))
    run(tmp_path / "unseen", objective=Distance(), answers=Dictionary(DATA))
    assert same_weights(tmp_path / "seen", tmp_path / "unseen")


@pytest.mark.parametrize("accumulate", [1, 3])
def test_accumulation_takes_that_many_batches_a_step(tmp_path: Path, accumulate: int) -> None:
    trained = run(tmp_path, settings=make_settings(accumulate=accumulate, epochs=2))
    batches = trained.steps * accumulate
    assert trained.epochs == pytest.approx(batches / (total_batches()), abs=1e-3)


def total_batches() -> int:
    from limbeck.text.batching import batches

    return len(batches(DATA.lengths, 96, seed=0))


def test_bf16_trains_on_a_cpu_when_asked_to(tmp_path: Path) -> None:
    trained = run(tmp_path, settings=make_settings(precision="bf16", epochs=1))
    assert trained.precision == "bf16"
    assert all(np.isfinite(line["loss"]) for line in lines(tmp_path, "step"))


def test_tensorboard_gets_the_journal(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    run(tmp_path, settings=make_settings(trackers=["tensorboard"], epochs=1))
    assert list((tmp_path / "trackers").rglob("events.out.*"))


# ---------------------------------------------------------------- what is wrong is said in one sentence


class Breaks(Objective):
    needs = frozenset()
    step = 0

    def forward(self, student: Signals, teacher: Signals, batch: Batch) -> Loss:
        self.step += 1
        spoilt = float("nan") if self.step > 5 else 1.0  # the doctor took the first
        return Loss({"fine": student.logits.sum(), "bad": student.logits.sum() * spoilt}, len(batch.ids))


def test_loss_that_is_not_finite_names_step_and_term(tmp_path: Path) -> None:
    settings = make_settings(checkpoint_seconds=0)
    with pytest.raises(LimbeckError, match=r"the loss \(term 'bad'\) is not finite at step 5 of \d+\. Try"):
        run(tmp_path, objective=Breaks(), settings=settings)


def test_a_step_that_breaks_is_never_checkpointed(tmp_path: Path) -> None:
    from limbeck.train import checkpoint

    with pytest.raises(LimbeckError):
        run(tmp_path, objective=Breaks(), settings=make_settings(checkpoint_seconds=0))
    tensors, kept = checkpoint.read(tmp_path / "checkpoint" / "checkpoint.safetensors")
    assert kept["run"]["step"] == 4
    assert all(torch.isfinite(tensor.float()).all() for tensor in tensors["modules"].values())


def test_missing_answers_are_told(tmp_path: Path) -> None:
    with pytest.raises(LimbeckError, match="Distance needs the teacher's logits, and no answers were given"):
        run(tmp_path, objective=Distance())


def test_empty_sets_and_dev_without_gold_are_told(tmp_path: Path) -> None:
    with pytest.raises(LimbeckError, match="nothing to train on"):
        run(tmp_path, data=make_empty())
    with pytest.raises(LimbeckError, match="the dev set is empty"):
        run(tmp_path, dev=make_empty())
    hidden = make_data(5, seed=3)
    hidden.gold[2] = NO_GOLD
    with pytest.raises(LimbeckError, match="the dev example '3:2' has no gold label"):
        run(tmp_path, dev=hidden)


def test_unknown_tracker_is_told(tmp_path: Path) -> None:
    with pytest.raises(LimbeckError, match=r"train\.trackers: the tracker 'nosuch' is not installed"):
        run(tmp_path, settings=make_settings(trackers=["nosuch"]))


def test_an_objective_whose_terms_change_is_an_error(tmp_path: Path) -> None:
    class Fickle(Breaks):
        def forward(self, student: Signals, teacher: Signals, batch: Batch) -> Loss:
            self.step += 1
            return Loss({f"term {self.step // 3}": student.logits.sum()}, len(batch.ids))

    with pytest.raises(ValueError, match="Fickle must name the same terms for every batch"):
        run(tmp_path, objective=Fickle())


# ---------------------------------------------------------------- helpers


class Stop(Exception):
    """An interruption."""


def stop_after(evaluations: int) -> Any:
    calls = []

    def stopping(gold: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
        calls.append(1)
        if len(calls) > evaluations:
            raise Stop
        return score(gold, predicted)

    return stopping


def same_weights(one: Path, two: Path) -> bool:
    return (one / "model.safetensors").read_bytes() == (two / "model.safetensors").read_bytes()


def make_empty() -> Any:
    data = make_data(1, seed=0)
    return type(data)((), data.tokens[:0], data.offsets[:1], data.gold[:0], 0, 0)
