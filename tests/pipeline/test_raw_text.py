"""A method with a stage on raw text, in a whole run: packed once, heard, counted, and told in a plan."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from limbeck import distill
from limbeck.core.errors import LimbeckError
from limbeck.core.recipe import load
from limbeck.pipeline import Run, check, steps
from limbeck.pipeline.plan import plan
from limbeck.text import packing

STUDENT = "students/quiet/seed-1/model.safetensors"
METHOD = '''
"""Quiet first: hidden states are pulled to nought on raw text; then gold is learnt."""

from limbeck.core.method import Card, MethodSettings, Stage
from limbeck.core.objective import NO_GOLD, Loss, Objective
from limbeck.methods.gold import GoldObjective

CARD = Card("Quiet", "none", "L = ||h||²", "Pulls states to nought.", "In tests.", "Raw text.")


class Quiet(Objective):
    needs = frozenset()
    reads = frozenset({"hidden"})

    def forward(self, student, teacher, batch):
        assert (batch.gold == NO_GOLD).all()
        states = student.hidden[-1] * student.mask[..., None]
        return Loss({"quiet": states.square().sum()}, int(student.mask.sum()))


class Settings(MethodSettings):
    passes: float = 2

    def stages(self):
        return (
            Stage("quiet", Quiet(), hears="raw", epochs=self.passes, keeps="last"),
            Stage("task", GoldObjective(), hears="labelled"),
        )


def tiny():
    return Settings()
'''


@pytest.fixture
def method(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    package = tmp_path / "quiet_package"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "quiet.py").write_text(METHOD, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("quiet_package", "quiet_package.quiet"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return "quiet_package.quiet"


@pytest.fixture
def recipe(
    recipe_file: Callable[..., Path], reviews: Path, tmp_path: Path, method: str
) -> Callable[..., Path]:
    text = "".join(line.partition(",")[0] + "\n" for line in reviews.read_text().splitlines()[1:])
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "reviews.txt").write_text(text)

    def write(**data: Any) -> Path:
        sources = {"train": str(reviews), "dev": 40, "test": 60, "labelled": 80}
        student = {"kind": "transformer", "from_teacher": [0], "max_length": 32}
        raw = {"raw": str(tmp_path / "corpus"), "raw_length": 24}
        return recipe_file(
            data={**sources, **raw, **data}, method=method, student=student, seeds=1, control=False
        )

    return write


def stamps(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


@pytest.mark.recipe
def test_raw_text_is_packed_heard_and_told(recipe: Callable[..., Path], tmp_path: Path) -> None:
    path = recipe()
    planned = plan(Run(load(path)))
    assert not (tmp_path / "runs").exists()
    result = distill(path)
    facts = json.loads((result.folder / "packed" / "packed.json").read_text())
    blocks = -(-facts["tokens"] // 24)
    (pack,) = (each for each in planned.steps if each.step == "pack")
    assert pack.what == f"about {blocks} blocks of 24 tokens"
    assert (pack.bytes, pack.done) == (blocks * 24 * 4, False)
    student = result.folder / "students" / "quiet" / "seed-1"
    trained = json.loads((student / "quiet" / "trained.json").read_text())
    batches = -(-blocks // (256 // 24))
    assert trained["steps"] in (
        2 * batches,
        2 * batches + 2,
    )  # a shorter last block may be a batch of its own
    assert trained["best_step"] == trained["steps"]
    both = trained["steps"] + json.loads((student / "trained.json").read_text())["steps"]
    assert any(f"1 seed of {both:,} steps" in each.what for each in planned.steps)
    first, *_, final = (
        line["parts"]["quiet"]
        for line in map(json.loads, (student / "quiet" / "journal.jsonl").read_text().splitlines())
        if line["kind"] == "step"
    )
    assert final < first
    assert "packed" in (result.folder / "report.html").read_text()
    # Again: every step is done, and the plan says so.
    before = stamps(result.folder / "packed") | stamps(student)
    distill(path)
    assert stamps(result.folder / "packed") | stamps(student) == before
    (pack,) = (each for each in plan(Run(load(path))).steps if each.step == "pack")
    assert pack.done and pack.what.startswith(f"{blocks} blocks")


@pytest.mark.recipe
def test_other_raw_text_makes_another_student_and_nothing_before_it_anew(
    recipe: Callable[..., Path], tmp_path: Path
) -> None:
    path = recipe()
    folder = distill(path).folder
    early = stamps(folder / "prepared") | stamps(folder / "teacher")
    blocks, weights = ((folder / name).read_bytes() for name in ("packed/tokens.int32", STUDENT))
    (tmp_path / "corpus" / "more").write_text("a lovely film\n" * 20)
    with pytest.raises(LimbeckError, match="Run 'limbeck pack' first"):
        steps.train(Run(load(path)))
    distill(path)
    assert stamps(folder / "prepared") | stamps(folder / "teacher") == early
    assert (folder / "packed/tokens.int32").read_bytes() != blocks
    assert (folder / STUDENT).read_bytes() != weights


def test_packing_that_was_interrupted_is_gone_on_with_by_the_next_run(
    recipe: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(load(recipe()))
    steps.prepare(run)
    monkeypatch.setattr(packing, "LINES", 10)
    monkeypatch.setattr(packing, "SAVED", 0)
    put, written = packing._put, []

    def interrupted(out: Any, blocks: Any) -> int:
        written.append(len(blocks))
        if len(written) == 8:
            raise KeyboardInterrupt
        return put(out, blocks)

    monkeypatch.setattr(packing, "_put", interrupted)
    with pytest.raises(KeyboardInterrupt):
        steps.pack(run)
    assert not run.packed_folder.path.exists()
    with pytest.raises(LimbeckError, match="Run 'limbeck pack' first"):
        _ = run.encoded_raw
    steps.pack(run)
    assert sum(written) - written[7] == len(
        run.encoded_raw
    )  # no block but the broken off one was written twice
    monkeypatch.undo()
    packing.pack(run.recipe.data.raw, run.tokeniser, 24, tmp_path / "straight")
    whole = (tmp_path / "straight" / "tokens.int32").read_bytes()
    assert (run.packed_folder.path / "tokens.int32").read_bytes() == whole


def test_what_cannot_be_packed_is_told_before_any_work(recipe: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(
        LimbeckError, match="'quiet' has a stage on raw text .*, and 'data.raw' names no text"
    ):
        check(Run(load(recipe(raw=[]))))
    with pytest.raises(LimbeckError, match="nowhere: no such file or folder of text"):
        check(Run(load(recipe(raw=str(tmp_path / "nowhere")))))
    for content, told in (
        (b"fine\nbad \xff\n", "bad.txt:2: not UTF-8"),
        (b"\n \n", "bad.txt: the raw text is empty"),
    ):
        (tmp_path / "bad.txt").write_bytes(content)
        for act in (distill, lambda path: plan(Run(load(path)))):
            with pytest.raises(LimbeckError, match=told):
                act(recipe(raw=str(tmp_path / "bad.txt")))
    assert not (tmp_path / "runs" / "tiny" / "teacher").exists()


def test_blocks_that_a_student_cannot_read_are_refused(recipe: Callable[..., Path], tmp_path: Path) -> None:
    path = recipe(raw_length=65)
    for act in (distill, lambda path: plan(Run(load(path)))):
        with pytest.raises(
            LimbeckError, match="blocks of 65 tokens are longer than the student's 64 positions"
        ):
            act(path)
    assert not (tmp_path / "runs" / "tiny" / "teacher").exists()


def test_raw_text_that_nobody_hears_is_not_packed(recipe: Callable[..., Path], tmp_path: Path) -> None:
    run = Run(load(recipe(), ["method=soft_labels"]))
    steps.prepare(run)
    steps.pack(run)
    assert [path.name for path in (tmp_path / "runs" / "tiny").iterdir() if path.is_dir()] == ["prepared"]
    assert "raw" not in json.loads((tmp_path / "runs/tiny/prepared/done.json").read_text())["inputs"]["data"]
