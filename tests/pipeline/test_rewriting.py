"""Masked-LM rewriting in a run: adapted, rewritten, killed and taken up, planned, distilled."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from limbeck.core.recipe import load
from limbeck.pipeline import Run, distill, inputs, steps
from limbeck.pipeline.plan import plan
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
    done = subprocess.run([sys.executable, "-c", KILLED, str(recipe)], check=False, timeout=120)
    assert done.returncode == -9
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
    assert steps.rewritten(run).fingerprint == run.transfer_set.fingerprint
    steps.rewritten(run).save(run.folder, "straight")
    assert (run.folder / "straight.arrow").read_bytes() == resumed
