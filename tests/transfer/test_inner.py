"""Inner states in files: what live teachers say, cut and padded, however often writing was interrupted."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification

from limbeck import methods
from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.objective import Objective
from limbeck.core.signals import OF_LAYERS, Signals
from limbeck.models.outputs import say
from limbeck.models.shapes import shape_of
from limbeck.text.encode import Encoded, collate, encode
from limbeck.text.tokeniser import load_tokeniser
from limbeck.transfer import inner_writing
from limbeck.transfer.inner import ByLength, InnerAnswers, InnerFolder, Part, parts_of
from limbeck.transfer.inner_writing import VALUES
from limbeck.transfer.label_map import LabelMap
from limbeck.transfer.tokenwise import TokenAnswers

CPU = torch.device("cpu")
SETTINGS: Mapping[str, dict[str, Any]] = {
    "tinybert": {},
    "minilm": {},
    "bert_pkd": {},
    "hints": {"states": "tokens"},
    "neuron_selectivity": {},
    "combined": {"objectives": [{"name": "bert_pkd"}, {"name": "gold"}]},
}


class Counted(TokenAnswers):
    """A teacher that counts how often it is asked, and falls silent after some times."""

    asked, silent_after = 0, -1

    def on(self, inputs: Mapping[str, torch.Tensor], *others: Any) -> Signals:
        if self.asked == self.silent_after:
            raise KeyboardInterrupt
        self.asked += 1
        return super().on(inputs, *others)


@pytest.fixture
def teacher(encoder: Path) -> Any:
    torch.manual_seed(3)
    return AutoModelForSequenceClassification.from_pretrained(encoder, num_labels=3)


@pytest.fixture
def texts(encoder: Path) -> Encoded:
    words = np.array(["lovely", "dull", "the", "film", "was", "grey"])
    generator = np.random.default_rng(0)
    examples = [
        Example(str(n), " ".join(generator.choice(words, generator.integers(1, 12)))) for n in range(60)
    ]
    return encode(load_tokeniser(encoder), examples, None, 32)


def objective_of(name: str, teacher: Any) -> Objective:
    objective = methods.get(name).stages(SETTINGS[name], "classification")[0].objective
    objective.for_task("classification").fit(shape_of(teacher), shape_of(teacher))
    return objective


def parts_for(objective: Objective) -> frozenset[Part]:
    return parts_of(objective.needs, objective.layers_read(), 2)


@pytest.mark.parametrize("name", SETTINGS)
def test_what_is_read_is_what_the_teacher_says(
    name: str, teacher: Any, texts: Encoded, tmp_path: Path, encoder: Path
) -> None:
    objective = objective_of(name, teacher)
    live, parts = TokenAnswers(teacher, objective.needs, LabelMap.of_columns([2, 0, 1])), parts_for(objective)
    folder = InnerFolder(tmp_path, "teacher", texts)
    folder.fill(live, parts, CPU, "ask")
    kept = InnerAnswers(folder, parts, 2)
    student = AutoModelForSequenceClassification.from_pretrained(encoder, num_labels=3).eval()
    for rows in (np.arange(17), np.array([5, 3, 58]), np.array([7])):
        batch = collate(texts, rows)
        expected, found = live.on(batch.inputs), kept.on(rows, batch)
        real = batch.inputs["attention_mask"].bool()
        for part in parts:
            theirs, ours = part.of(expected), part.of(found)
            assert ours.shape == theirs.shape
            there = masked(part, real, ours)
            torch.testing.assert_close(ours[there], theirs[there], rtol=1e-5, atol=1e-5)
            assert not ours[~there].any()
        own = say(student, batch.inputs, objective.reads)
        losses = [objective(own, said, batch).total for said in (expected, found)]
        torch.testing.assert_close(losses[1], losses[0], rtol=1e-5, atol=1e-5)


def masked(part: Part, real: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """Where values are of real tokens."""
    if part.signal == "logits":
        return torch.ones_like(values, dtype=torch.bool)
    if part.signal in ("hidden", "embeddings"):
        return real[:, :, None].expand_as(values)
    both = real[:, None, :, None]
    return (both & real[:, None, None, :] if part.signal == "attention" else both).expand_as(values)


def test_layers_that_nobody_reads_are_not_kept(teacher: Any, texts: Encoded, tmp_path: Path) -> None:
    objective = objective_of("minilm", teacher)
    parts = parts_for(objective)
    assert parts == {Part("queries", 2), Part("keys", 2), Part("values", 2)}
    folder = InnerFolder(tmp_path, "teacher", texts)
    folder.fill(TokenAnswers(teacher, objective.needs), parts, CPU, "ask")
    found = InnerAnswers(folder, parts, 2).on(np.arange(4), collate(texts, np.arange(4)))
    assert found.values is not None
    assert [layer.numel() > 0 for layer in found.values] == [False, True]
    assert found.hidden is None


def test_bytes_are_told_beforehand(teacher: Any, texts: Encoded, tmp_path: Path) -> None:
    needs = OF_LAYERS | {"logits", "embeddings"}
    parts, folder = parts_of(needs, None, 2), InnerFolder(tmp_path, "teacher", texts)
    folder.fill(TokenAnswers(teacher, needs), parts, CPU, "ask")
    shape = shape_of(teacher)
    assert shape is not None
    for part in parts:
        size = (folder.path / part.name / VALUES).stat().st_size
        assert size == part.bytes(texts.lengths, shape, 3)


def test_interrupted_writing_ends_with_the_same_bytes(
    teacher: Any, texts: Encoded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inner_writing, "SETTLE_SECONDS", 0.0)
    objective = objective_of("tinybert", teacher)
    parts = parts_for(objective)
    peace, killed = (InnerFolder(tmp_path / name, "teacher", texts) for name in ("peace", "killed"))
    whole = Counted(teacher, objective.needs)
    peace.fill(whole, parts, CPU, "ask")
    first = Counted(teacher, objective.needs)
    first.silent_after = 4
    with pytest.raises(KeyboardInterrupt):
        killed.fill(first, parts, CPU, "ask")
    assert killed.lacking(parts, None) == sorted(parts)
    for torn in killed.path.rglob(VALUES):  # the end of a batch that never reached the disk whole
        with torn.open("ab") as file:
            file.write(b"torn")
    second = Counted(teacher, objective.needs)
    killed.fill(second, parts, CPU, "ask")
    assert first.asked + second.asked == whole.asked > 5
    for part in parts:
        ours, theirs = (each.path / part.name / VALUES for each in (killed, peace))
        assert ours.read_bytes() == theirs.read_bytes()


def test_what_others_asked_for_is_not_asked_again(teacher: Any, texts: Encoded, tmp_path: Path) -> None:
    folder = InnerFolder(tmp_path, "teacher", texts)
    hidden, attention = Part("hidden", 2), Part("attention", 1)
    folder.fill(TokenAnswers(teacher, frozenset({"hidden"})), frozenset({hidden}), CPU, "ask")
    both = frozenset({hidden, attention})
    assert folder.lacking(both, None) == [attention]
    again = Counted(teacher, frozenset({"hidden", "attention"}))
    folder.fill(again, both, CPU, "ask")
    assert again.asked and not folder.lacking(both, None)
    folder.fill(silent := Counted(teacher, again.needs), both, CPU, "ask")
    assert not silent.asked
    assert InnerFolder(tmp_path, "another", texts).lacking(both, None) == [attention, hidden]


def test_a_file_of_another_size_is_refused(teacher: Any, texts: Encoded, tmp_path: Path) -> None:
    parts, folder = frozenset({Part("hidden", 1)}), InnerFolder(tmp_path, "teacher", texts)
    folder.fill(TokenAnswers(teacher, frozenset({"hidden"})), parts, CPU, "ask")
    path = folder.path / "hidden-1" / VALUES
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(LimbeckError, match="not the"):
        InnerAnswers(folder, parts, 2)


def test_states_that_are_not_finite_are_refused(teacher: Any, texts: Encoded, tmp_path: Path) -> None:
    with torch.no_grad():
        teacher.bert.encoder.layer[0].output.dense.bias[0] = float("nan")
    folder = InnerFolder(tmp_path, "teacher", texts)
    with pytest.raises(LimbeckError, match="hidden are not finite"):
        folder.fill(TokenAnswers(teacher, frozenset({"hidden"})), frozenset({Part("hidden", 1)}), CPU, "ask")


def test_batches_are_of_one_length_and_hold_every_text_once() -> None:
    lengths = np.array([5, 3, 5, 9, 3, 5])
    rows = [batch.tolist() for batch in ByLength(lengths).batches(10)]
    assert rows == [[1, 4], [0, 2], [5], [3]]
