"""Training on packed raw text: from disk, without gold, resumed exactly, and ending with the last weights if asked."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from train_task import WORDS, make_data, make_settings, make_student, make_tokeniser, score

from limbeck.core.objective import NO_GOLD, Batch, Loss, Objective
from limbeck.core.signals import Signals
from limbeck.text.encode import Encoded
from limbeck.text.packed import load
from limbeck.text.packing import pack
from limbeck.train import run as module
from limbeck.train.loop import Trained, train


class Silence(Objective):
    """Pulls hidden states to nought; nobody teaches it, and nothing of the classifier is taught."""

    needs = frozenset()
    reads = frozenset({"hidden"})

    def forward(self, student: Signals, teacher: Signals, batch: Batch) -> Loss:
        assert student.hidden is not None and student.mask is not None
        assert (batch.gold == NO_GOLD).all()
        states = student.hidden[-1] * student.mask[..., None]
        return Loss({"silence": states.square().sum()}, int(student.mask.sum()))


@pytest.fixture
def raw(tmp_path: Path) -> Encoded:
    random = np.random.default_rng(0)
    lines = (
        " ".join(f"w{n}" for n in random.integers(0, WORDS - 2, random.integers(1, 9))) for _ in range(150)
    )
    (tmp_path / "raw.txt").write_text("\n".join(lines))
    pack([str(tmp_path / "raw.txt")], make_tokeniser(), 16, tmp_path / "packed")
    return load(tmp_path / "packed")


def teach(raw: Encoded, folder: Path, **more: Any) -> Trained:
    settings = make_settings(checkpoint_seconds=0, accumulate=2)
    dev, options = make_data(30, seed=2), {"score": score, **more}
    return train(make_student(), make_tokeniser(), Silence(), raw, None, dev, settings, folder, 1, **options)


def test_a_training_that_is_taken_up_again_ends_as_one_never_interrupted(
    raw: Encoded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    teach(raw, tmp_path / "straight", keeps="last")
    step = module.Run.step

    def interrupted(self: module.Run, group: Any) -> None:
        if self.state.step == 7:
            raise KeyboardInterrupt
        step(self, group)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(module.Run, "step", interrupted)
        teach(raw, tmp_path / "twice", keeps="last")
    found = []
    monkeypatch.setattr(
        module.Run, "step", lambda self, group: (found.append(self.state.step), step(self, group))
    )
    again = load(tmp_path / "packed")
    teach(again, tmp_path / "twice", keeps="last")
    assert found[0] == 7
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("straight", "twice")]
    assert weights[0] == weights[1]


def test_a_stage_ends_with_the_weights_that_it_keeps(raw: Encoded, tmp_path: Path) -> None:
    def falling() -> Any:
        values = iter(np.linspace(0.9, 0.1, 20).tolist())
        return lambda gold, predicted: {"accuracy": next(values), "macro_f1": 0.0, "mcc": 0.0}

    best = teach(raw, tmp_path / "best", score=falling())
    last = teach(raw, tmp_path / "last", score=falling(), keeps="last")
    assert (best.best_step < best.steps, last.best_step) == (True, last.steps)
    norms = []
    for name in ("best", "last"):
        model = make_student().from_pretrained(tmp_path / name)
        ids = torch.from_numpy(raw.tokens[:64].astype(np.int64)).reshape(4, 16)
        with torch.no_grad():
            states = model(input_ids=ids, output_hidden_states=True).hidden_states[-1]
        norms.append(float(states.square().mean()))
    assert norms[1] < norms[0]
    assert last.steps == best.steps == -(-3 * len(range(0, len(raw), 96 // 16)) // 2)
