"""Masked-LM rewriting in a run: adapted, rewritten, killed and taken up, planned, distilled."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import ready
from limbeck.core.errors import LimbeckError
from limbeck.core.recipe import load
from limbeck.pipeline import Run, distill, inputs, steps
from limbeck.pipeline.plan import plan
from limbeck.train import adapt as training
from limbeck.transfer.rewrites import masked_lm
from limbeck.transfer.transfer_set import TransferSet

pytestmark = pytest.mark.recipe

KILLED = """
import os, signal, sys
from pathlib import Path
from limbeck.core.recipe import load
from limbeck.pipeline import Run, steps
from limbeck.transfer.rewrites import masked_lm

masked_lm.SHARD = 20
find, done = masked_lm.find_slots, []

def killed(texts, *others):
    if len(done) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    done.append(texts)
    return find(texts, *others)

masked_lm.find_slots = killed
steps.rewrite(Run(load(Path(sys.argv[1]))))
"""


@pytest.fixture(scope="module")
def adapted(encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tests' encoder with a masked-LM head."""
    from limbeck.core.recipe import Training
    from limbeck.train.adapt import adapt

    texts = [f"the film was {word}" for word in ("lovely", "dull", "warm", "cold", "bright", "grey")]
    folder = tmp_path_factory.mktemp("adapted") / "encoder"
    adapt(str(encoder), texts, folder, Training(epochs=1))
    return folder


def test_a_run_rewrites_and_distils(
    recipe_file: Callable[..., Path], adapted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rewriter: dict[str, Any] = {"name": "masked_lm", "model": str(adapted), "copies": 2, "candidates": 4}
    recipe = recipe_file(seeds=1, control=False, rewrite=rewriter)
    with monkeypatch.context() as patch:
        patch.setattr(masked_lm, "find_slots", lambda texts, *others: [[] for _ in texts])
        planned = plan(Run(load(recipe))).text()  # asks no model for more than a sample
    told = int(planned.split("more texts by masked_lm")[0].rpartition("|")[2].replace(",", ""))
    result = distill(recipe)
    made = TransferSet.load(result.folder / "rewritten", "transfer")
    before = TransferSet.load(result.folder / "prepared", "train")
    assert made.examples[: len(before)] == before.examples
    new = made.examples[len(before) :]
    assert abs(len(new) - told) < 0.2 * len(new)
    assert 1.5 * len(before) < len(new) <= 2 * len(before)
    assert all(example.gold is None and example.origin.startswith("masked_lm of ") for example in new)
    assert not (result.folder / "rewritten" / steps.CACHE).exists()
    assert "| done" in next(
        line for line in plan(Run(load(recipe))).text().splitlines() if "masked_lm" in line
    )


def test_the_report_shows_what_was_made(recipe_file: Callable[..., Path], reviews: Path) -> None:
    rewriters = [
        {"name": "rules", "n_iter": 2},
        "ngrams",
        {"name": "rules", "n_iter": 1, "p_ng": 1, "seed": 1},
    ]
    folder = distill(recipe_file(seeds=1, control=False, rewrite=rewriters)).folder
    run = Run.open(folder)
    told = json.loads((folder / "evaluation" / "transfer_text.json").read_text())["kinds"]
    names = ["gold", "unlabelled", "rules (1)", "ngrams", "rules (3)"]
    assert [kind["name"] for kind in told] == names
    assert sum(kind["kept"] for kind in told) == len(run.transfer_set)
    origins = [
        one.origin.partition(" of ")[0] for one in run.transfer_set.examples[len(run.prepared.train) :]
    ]
    assert origins == [
        name
        for kind, name in zip(told[2:], ("rules", "ngrams", "rules"), strict=True)
        for _ in range(kind["kept"])
    ]
    start = 0
    by_id = {one.id: one for one in run.transfer_set}
    ordered = [
        *run.prepared.train.labelled.examples,
        *(one for one in run.prepared.train if not one.labelled),
        *run.transfer_set.examples[len(run.prepared.train) :],
    ]
    for kind in told:
        mine = ordered[start : start + kind["kept"]]
        start += kind["kept"]
        logits = run.answers.signals([one.id for one in mine], torch.device("cpu")).logits
        odds = np.exp(logits.double().numpy())
        surest = (odds / odds.sum(1, keepdims=True)).max(1)
        assert kind["confidence"]["mean"] == pytest.approx(surest.mean(), abs=1e-5)
        assert kind["confidence"]["quantiles"]["0.5"] == pytest.approx(np.median(surest), abs=1e-5)
        assert sum(kind["confidence"]["bins"]) == len(mine)
        assert sum(kind["confidence"]["labels"].values()) == pytest.approx(1)
        for sample in kind["samples"]:
            made = next(one for one in mine if one.text == sample["made"]["text"])
            assert sample["made"]["confidence"] == pytest.approx(surest[mine.index(made)], abs=1e-5)
            if kind["name"] in names[2:]:
                assert sample["of"]["text"] == by_id[made.id.rpartition("/")[0]].text
            else:
                assert sample["of"] is None
    page, markdown = ((folder / f"report.{kind}").read_text() for kind in ("html", "md"))
    assert "Transfer text" in page and "## Transfer text" in markdown and "rules (3)" in markdown


def test_a_mask_that_is_text_to_the_teacher_is_refused(recipe_file: Callable[..., Path]) -> None:
    run = Run.of(load(recipe_file(rewrite=[{"name": "rules", "mask": "<mask>"}])))
    assert run.teacher_tokeniser is not None
    run.teacher_tokeniser.mask_token = "[MASK]"
    with pytest.raises(LimbeckError, match="'rules' writes '<mask>' for a masked word"):
        run.check_text()


def test_text_that_is_all_gold_is_not_told_of(recipe_file: Callable[..., Path], reviews: Path) -> None:
    data = {"train": str(reviews), "dev": 40, "test": 60}
    folder = distill(recipe_file(seeds=1, control=False, data=data)).folder
    assert not (folder / "evaluation" / "transfer_text.json").exists()
    assert "Transfer text" not in (folder / "report.html").read_text()


SMALL_LM: dict[str, Any] = {
    "name": "causal_lm", "dimension": 16, "layers": 1, "heads": 2, "vocabulary": 320, "max_length": 24,
    "samples": 2, "epochs": 4, "train_tokens_per_batch": 256,
}  # fmt: skip

KILLED_AT = """
import os, signal, sys
from pathlib import Path
import limbeck.train.adapt as adapt
from limbeck.core.recipe import Training, load
from limbeck.pipeline import Run, steps
from limbeck.transfer.rewrites import causal_lm, rules

Training.model_fields["checkpoint_seconds"].default = 0
Training.model_rebuild(force=True)
causal_lm.SHARD = 32
place, count = sys.argv[2], int(sys.argv[3])
owner, name = {
    "training": (adapt._Adaptation, "_step"),
    "drawing": (causal_lm.Author, "texts_of"),
    "rules": (rules.Settings, "passes_over"),
}[place]
real, calls = getattr(owner, name), []

def killed(*arguments):
    if len(calls) == count:
        os.kill(os.getpid(), signal.SIGKILL)
    calls.append(1)
    return real(*arguments)

setattr(owner, name, killed)
steps.rewrite(Run(load(Path(sys.argv[1]))))
"""


@pytest.mark.parametrize("place", ["training", "drawing", "rules"])
def test_a_killed_chain_ends_as_a_straight_one(
    place: str, recipe_file: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = recipe_file(rewrite=[SMALL_LM, {"name": "rules", "n_iter": 2}])
    steps.prepare(Run(load(recipe)))
    process = ready.start_code(KILLED_AT, recipe, place, 5 if place == "training" else 3)
    process.join()
    assert process.exitcode == -9
    run = Run(load(recipe))
    cache = run.rewritten_folder.partial / steps.CACHE
    if place == "training":
        assert list(cache.glob("*-tuned.partial/checkpoint.safetensors"))
    taken, step = [], training._Adaptation._step
    with monkeypatch.context() as patch:
        patch.setattr(training._Adaptation, "_step", lambda *given: (taken.append(given[3]), step(*given))[1])
        steps.rewrite(run)
        resumed, made = (
            (run.rewritten_folder.path / name).read_bytes() for name in ("transfer.arrow", "made.json")
        )
        assert taken[:1] == ([5] if place == "training" else [])
    straight = Run(load(recipe, ["name=straight"]))
    steps.prepare(straight)
    steps.rewrite(straight)
    assert (straight.rewritten_folder.path / "transfer.arrow").read_bytes() == resumed
    assert (straight.rewritten_folder.path / "made.json").read_bytes() == made


def test_other_weights_are_other_text(recipe_file: Callable[..., Path], adapted: Path) -> None:
    recipe = recipe_file(rewrite={"name": "masked_lm", "model": str(adapted), "copies": 2})
    run = Run(load(recipe))
    steps.prepare(run)
    steps.rewrite(run)
    assert run.rewritten_folder.is_done(inputs.rewrite_inputs(run))
    weights = adapted / "model.safetensors"
    kept = weights.read_bytes()
    try:
        weights.write_bytes(kept[:-1] + bytes([kept[-1] ^ 1]))
        assert not run.rewritten_folder.is_done(inputs.rewrite_inputs(Run(load(recipe))))
    finally:
        weights.write_bytes(kept)


def test_killed_between_shards(
    recipe_file: Callable[..., Path], adapted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = recipe_file(rewrite={"name": "masked_lm", "model": str(adapted), "copies": 3})
    steps.prepare(Run(load(recipe)))
    process = ready.start_code(KILLED, recipe)
    process.join()
    assert process.exitcode == -9
    run = Run(load(recipe))
    shards = sorted((run.rewritten_folder.partial / steps.CACHE).iterdir())
    assert len(shards) == 3 and all(json.loads(shard.read_text()) for shard in shards)
    asked: list[str] = []
    find = masked_lm.find_slots

    def counted(texts: Any, *others: Any) -> Any:
        asked.extend(texts)
        return find(texts, *others)

    monkeypatch.setattr(masked_lm, "SHARD", 20)
    monkeypatch.setattr(masked_lm, "find_slots", counted)
    steps.rewrite(run)
    texts = [example.text for example in run.prepared.train]
    assert asked == texts[60:]
    resumed = (run.rewritten_folder.path / "transfer.arrow").read_bytes()
    assert steps.rewritten(run).transfer_set.fingerprint == run.transfer_set.fingerprint
    steps.rewritten(run).transfer_set.save(run.folder, "straight")
    assert (run.folder / "straight.arrow").read_bytes() == resumed
