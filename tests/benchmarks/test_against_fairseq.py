"""The benchmark against fairseq: equal work on both sides, the process on the other side, and what aims read off rows."""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.sources import Vocabulary
from limbeck.models.embeddings import vocabulary_size
from limbeck.text.subwords import Subwords

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
try:
    import against_fairseq
    import fairseq_sides
    import fairseq_text
    from results_file import ResultsFile
finally:
    sys.path.pop(0)

SHAPE = {"layers": 1, "width": 16, "heads": 2, "feed_forward": 32}
SIZE = against_fairseq.Size({"tiny": SHAPE}, steps=2, sentences=2)
ANSWERING = """
import json, sys
for line in sys.stdin:
    request = json.loads(line)
    if request["do"] == "build":
        answer = {"parameters": 7, "fairseq": "0", "torch": "2"}
    elif request["do"] == "step":
        answer = {"seconds": 60.0, "update": 30.0}
    else:
        count = [60.0] * len(request["passes"])
        answer = {"seconds": count, "calls": request["passes"], "tokens": [len(one) for one in request["sources"]]}
    print(json.dumps(answer), flush=True)
"""
DYING = "import sys; sys.stdin.readline(); raise SystemExit('there is no fairseq here')"


@pytest.fixture(scope="module")
def text() -> fairseq_text.Text:
    chosen = random.Random(1)
    words = ["cat", "cow", "sees", "hears", "the", "a", "red", "big", "old", "dog"]
    lines = [" ".join(chosen.choices(words, k=chosen.randint(11, 16))) for _ in range(64)]
    examples = [Example(str(number), line, targets=(line[::-1],)) for number, line in enumerate(lines)]
    subwords = Subwords.learn(examples, Vocabulary(size=400))
    return fairseq_text.Text(subwords, tuple(examples), tuple(examples[:2]))


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Runs another process in place of fairseq's."""

    def running(code: str) -> fairseq_sides.Fairseq:
        script = tmp_path / "worker.py"
        script.write_text(code, encoding="utf-8")
        monkeypatch.setattr(fairseq_sides, "WORKER", script)
        return fairseq_sides.Fairseq(sys.executable, tmp_path / "worker.log")

    return running


def student(kind: str, text: fairseq_text.Text) -> fairseq_sides.Limbeck:
    data = fairseq_text.encoded_of(text.subwords, text.train)
    return fairseq_sides.Limbeck(kind, SHAPE, text.subwords, against_fairseq.TRAINING, data)


def work(kind: str, tokens: int) -> tuple[int, int]:
    """Calls of a decoder's layers, and tokens written, for a source of so many."""
    passes = against_fairseq.passes_of(kind, tokens)
    calls = 3 * passes - 1 if kind == "levenshtein" else passes  # at first there is nothing to delete
    return calls, 2**passes - 1 if kind == "insertion" else tokens


@pytest.mark.parametrize("kind", against_fairseq.available())
def test_a_student_does_the_work_that_was_asked_for_on_all_engines(
    kind: str, text: fairseq_text.Text, tmp_path: Path
) -> None:
    sources = [[5, 6, 7, 8] * 3, [9, 8, 7] * 6]
    passes = [against_fairseq.passes_of(kind, len(source)) for source in sources]
    wanted = [work(kind, len(source)) for source in sources]
    texts = [one.text for one in text.sources]
    decoders = student(kind, text).engines(tmp_path / kind, texts)
    assert tuple(decoders) == fairseq_sides.ENGINES_TIMED
    for decoder in decoders.values():
        found = decoder.decode(sources, passes)
        assert list(zip(found.calls, found.tokens, strict=True)) == wanted
        assert min(found.seconds) > 0


def test_a_step_changes_weights_and_tells_its_update_apart(text: fairseq_text.Text) -> None:
    ours = student("vanilla", text)
    before = [weight.detach().clone() for weight in ours.student.parameters()]
    seconds, update = ours.step(range(8))
    assert 0 < update < seconds
    after = ours.student.parameters()
    changed = [not torch.equal(one, other) for one, other in zip(before, after, strict=True)]
    assert sum(changed) / len(changed) > 0.9


def test_rows_tell_of_both_sides(text: fairseq_text.Text, worker: Any, tmp_path: Path) -> None:
    results = ResultsFile(tmp_path / "rows.json", "command")
    with worker(ANSWERING) as theirs:
        against_fairseq.measure("tiny", "maskt", SIZE, text, theirs, results)
    (step,) = results.find(what=against_fairseq.STEP)
    assert step["fairseq_ms"] == 60_000 and step["fairseq_update_ms"] == 30_000
    assert step["times_faster"] == step["fairseq_ms"] / step["limbeck_ms"] > 1
    assert step["limbeck_update_ms"] < step["limbeck_ms"]
    decoded = results.find(what=against_fairseq.DECODING)
    assert tuple(row["engine"] for row in decoded) == fairseq_sides.ENGINES_TIMED
    assert all(row["calls"] == row["passes"] == 10 and row["fairseq_parameters"] == 7 for row in decoded)
    assert not against_fairseq.missing(results, "tiny", "maskt")


def test_a_process_that_stops_says_why_in_one_sentence(worker: Any) -> None:
    with (
        worker(DYING) as theirs,
        pytest.raises(LimbeckError, match="fairseq stopped: there is no fairseq here"),
    ):
        theirs.step([])


def test_a_python_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(LimbeckError, match="cannot be run"):
        fairseq_sides.Fairseq(str(tmp_path / "python"), tmp_path / "log")


def test_other_work_than_fairseqs_is_refused() -> None:
    ours = fairseq_sides.Decoded([1.0, 1.0], [10, 10], [12, 13])
    theirs = fairseq_sides.Decoded([2.0, 2.0], [10, 9], [12, 13])
    against_fairseq.same_work("onnx", ours, ours)
    with pytest.raises(LimbeckError, match="onnx took 10 calls for sentence 2, and fairseq 9"):
        against_fairseq.same_work("onnx", ours, theirs)


def test_without_a_python_of_fairseqs_one_sentence_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LIMBECK_FAIRSEQ", raising=False)
    with pytest.raises(LimbeckError, match="no fairseq to measure against"):
        against_fairseq.asked(["--quick"])


def test_aims_are_of_the_worst_of_five() -> None:
    rows = [
        {"size": "6 × 512", "student": kind, "what": what, "engine": engine, "times_faster": times + number}
        for number, kind in enumerate(against_fairseq.KINDS)
        for what, engine, times in (
            ("training step", "pytorch", 0.5), ("decoding", "pytorch", 2), ("decoding", "onnx-int8", 4),
        )
    ]  # fmt: skip
    aims = against_fairseq.aims(against_fairseq.FULL)
    assert [aim.measure(rows) for aim in aims] == [None, None, None, 0.5, 2, 4]
    assert [aim.judge(rows)["met"] for aim in aims[3:]] == [False, True, True]
    assert [aim.measure(rows[:-3]) for aim in aims] == [None] * 6


@pytest.mark.skipif(
    "LIMBECK_FAIRSEQ" not in os.environ, reason="LIMBECK_FAIRSEQ names no Python of fairseq's"
)
@pytest.mark.parametrize("kind", against_fairseq.KINDS)
def test_fairseq_itself_steps_and_does_the_same_work(
    kind: str, text: fairseq_text.Text, tmp_path: Path
) -> None:
    ids = fairseq_text.ids_of(fairseq_text.encoded_of(text.subwords, text.train))
    sources = [source[:18] for source, _ in ids[:2]]
    passes = [against_fairseq.passes_of(kind, len(source)) for source in sources]
    training = {**against_fairseq.TRAINING, "train_step": against_fairseq.DECODER_RUNS}
    with fairseq_sides.Fairseq(os.environ["LIMBECK_FAIRSEQ"], tmp_path / "log") as theirs:
        built = theirs.build(kind, SHAPE, vocabulary_size(text.subwords.source), training)
        assert built["parameters"] > 0
        seconds, update = theirs.step(ids[:4])
        assert 0 < update < seconds
        found = theirs.decode(sources, passes)
    assert list(zip(found.calls, found.tokens, strict=True)) == [work(kind, len(one)) for one in sources]
