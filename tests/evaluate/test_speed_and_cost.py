"""Turn-taking, threads given back, ratios that hold; sizes that are those on disk."""

from __future__ import annotations

import gc
import os
import time

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from limbeck.core.errors import LimbeckError
from limbeck.evaluate.cost import tensor_bytes, weight_bytes
from limbeck.evaluate.speed import alternate, one_thread
from limbeck.models.weights import learnt

pytestmark = pytest.mark.unit


def recorder(name, calls):
    return lambda texts: calls.append((name, tuple(texts)))


def test_every_sentence_goes_to_every_model_in_turn_and_who_begins_changes():
    calls = []
    alternate({n: recorder(n, calls) for n in "abc"}, ["1", "2", "3", "4"], warmup=0, batch=2, turn=1)
    calls = calls[3:]  # one untimed batch each
    assert calls[:12] == [
        (name, (text,))
        for text, names in zip("1234", ("abc", "bca", "cab", "abc"), strict=True)
        for name in names
    ]
    assert calls[12:] == [(n, ("1", "2")) for n in "abc"] + [(n, ("3", "4")) for n in "bca"]


def test_a_turn_is_several_sentences_one_at_a_time():
    calls = []
    alternate({n: recorder(n, calls) for n in "ab"}, ["1", "2", "3"], warmup=0, batch=3, turn=2)
    turns = [("a", "1"), ("a", "2"), ("b", "1"), ("b", "2"), ("b", "3"), ("a", "3")]
    assert calls[2:8] == [(name, (text,)) for name, text in turns]


def test_warm_up_comes_first_and_covers_each_model():
    calls = []
    alternate({n: recorder(n, calls) for n in "ab"}, ["1", "2", "3"], warmup=2, batch=2)
    warm = [("1",), ("2",), ("1", "2")]
    assert calls[:6] == [(n, texts) for n in "ab" for texts in warm]


def test_times_are_those_of_the_models():
    def sleeper(seconds):
        return lambda texts: time.sleep(seconds * len(texts))

    speeds = alternate(
        {"slow": sleeper(0.008), ("fast", "onnx"): sleeper(0.001)}, ["x"] * 10, warmup=0, batch=5
    )
    slow, fast = speeds["slow"], speeds["fast", "onnx"]
    assert slow.p50_ms >= 8
    assert slow.p95_ms >= slow.p50_ms
    assert fast.p50_ms >= 1
    assert slow.per_second <= 125
    assert fast.per_second <= 1000
    assert slow.p50_ms / fast.p50_ms > 2


def test_one_thread_and_no_garbage_collector_meanwhile_and_all_given_back(monkeypatch):
    monkeypatch.delenv("TOKENIZERS_PARALLELISM", raising=False)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    seen = set()
    try:
        alternate(
            {
                "a": lambda _: seen.add(
                    (torch.get_num_threads(), gc.isenabled(), os.environ["TOKENIZERS_PARALLELISM"])
                )
            },
            ["x"],
        )
        assert seen == {(1, False, "false")}
        assert torch.get_num_threads() == 2
        assert gc.isenabled()
        assert "TOKENIZERS_PARALLELISM" not in os.environ
    finally:
        torch.set_num_threads(before)


def test_threads_are_given_back_after_an_error_too(monkeypatch):
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "true")
    before = torch.get_num_threads()

    def broken(_):
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        alternate({"a": broken}, ["x"])
    assert torch.get_num_threads() == before
    assert gc.isenabled()
    assert os.environ["TOKENIZERS_PARALLELISM"] == "true"


def test_one_thread_leaves_what_was_set():
    before = torch.get_num_threads()
    with one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before


def test_no_sentences_is_one_clear_sentence():
    with pytest.raises(LimbeckError, match=r"^there are no sentences to time the models on\.$"):
        alternate({"a": lambda _: None}, [])


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.second = nn.Linear(4, 4)
        self.second.weight = self.first.weight
        self.register_buffer("seen", torch.zeros(2, dtype=torch.int64))
        self.register_buffer("positions", torch.arange(512), persistent=False)  # made anew, and never saved


def test_shared_parameters_count_once():
    model = Tied()
    assert learnt(model) == 16 + 4 + 4
    assert tensor_bytes(model) == 4 * (16 + 4 + 4) + 16


def test_weight_bytes_of_a_folder_of_a_file_and_of_what_lies_beside_it(tmp_path):
    save_file({"weight": torch.zeros(1000)}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text("{}" * 500)
    (tmp_path / "checkpoint").mkdir()
    save_file({"weight": torch.zeros(9)}, tmp_path / "checkpoint" / "model.safetensors")
    on_disk = (tmp_path / "model.safetensors").stat().st_size
    assert 4000 <= on_disk == weight_bytes(tmp_path) == weight_bytes(tmp_path / "model.safetensors")
    (tmp_path / "model.onnx").write_bytes(b"x" * 10)
    (tmp_path / "model.onnx.data").write_bytes(b"x" * 90)
    assert weight_bytes(tmp_path / "model.onnx") == 100


def test_no_weights_is_one_clear_sentence(tmp_path):
    with pytest.raises(LimbeckError, match=r"there are no weights here\.$"):
        weight_bytes(tmp_path)
    with pytest.raises(LimbeckError, match=r"there are no weights here\.$"):
        weight_bytes(tmp_path / "nowhere")
