from __future__ import annotations

import json
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings as effort, strategies as st

from limbeck.core.errors import LimbeckError
from limbeck.serve.bundle import Bundle

pytestmark = pytest.mark.unit

TEXTS = [
    "a good film",
    "",
    "bad",
    "the story was long , and the film was not",
    "zyzzyva",
    "\u200b",
    "x " * 100,
]

BLOCK = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "transformers", "accelerate", "datasets", "sklearn"):
            raise ImportError("blocked: " + name)
sys.meta_path.insert(0, Block())
"""
ANSWER = """
from limbeck.serve.bundle import Bundle
import sys, json
print(json.dumps(Bundle(sys.argv[1], "fp32").logits(["a good film", "bad"]).tolist()))
"""


@pytest.fixture
def bundle(bundle_folder):
    return Bundle(bundle_folder, "fp32", threads=1)


def test_answers_have_a_probability_for_every_label(bundle):
    predictions = bundle.predict(TEXTS)
    logits = bundle.logits(TEXTS).astype(np.float64)
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert len(predictions) == len(TEXTS)
    for prediction, row in zip(predictions, shares, strict=True):
        assert tuple(prediction.scores) == bundle.labels == ("bad", "good", "so-so")
        np.testing.assert_allclose(list(prediction.scores.values()), row, rtol=1e-5)
        assert prediction.score == max(prediction.scores.values()) == prediction.scores[prediction.label]


@effort(max_examples=25, deadline=None)
@given(texts=st.lists(st.text(max_size=30), max_size=6), size=st.integers(1, 4))
def test_any_text_is_answered_alike_alone_and_in_a_batch(bundle_folder, texts, size):
    bundle = Bundle(bundle_folder, "fp32", threads=1)
    together = bundle.logits(texts, batch_size=size)
    assert together.shape == (len(texts), 3)
    for text, row in zip(texts, together, strict=True):
        np.testing.assert_allclose(bundle.logits([text])[0], row, atol=1e-5)
    assert len(bundle.predict(texts)) == len(texts)


def test_halves_of_surrogate_pairs_are_answered(bundle):
    np.testing.assert_array_equal(bundle.logits(["good \ud800"]), bundle.logits(["good ?"]))
    np.testing.assert_allclose(
        bundle.logits(["good \ud800", "bad"]), bundle.logits(["good ?", "bad"]), atol=1e-6
    )


def test_texts_may_come_in_anything_that_holds_them(bundle):
    import pandas as pd

    texts = pd.Series(["a good film", "bad"], index=[7, 8])
    np.testing.assert_array_equal(bundle.logits(texts), bundle.logits(list(texts)))
    np.testing.assert_array_equal(bundle.logits(texts[:1]), bundle.logits(["a good film"]))


@pytest.mark.parametrize("texts", [[("a", "b")], [("a", "b"), ("c", "d")], ["c", ("a", "b")]])
def test_pairs_are_refused_by_a_student_of_single_texts_in_any_batch(bundle, texts):
    with pytest.raises(LimbeckError, match=r"reads single texts, and this is a pair: \('a', 'b'\)"):
        bundle.predict(texts)


def test_a_batch_of_none_is_refused(bundle):
    with pytest.raises(LimbeckError, match="'batch_size' is 0. Give 1 or more"):
        bundle.predict(["a", "b"], batch_size=0)


def test_long_text_is_cut(bundle):
    np.testing.assert_array_equal(bundle.logits(["good " * 12]), bundle.logits(["good " * 50]))


def test_what_is_no_list_of_texts_is_told(bundle):
    for answer in (bundle.logits, bundle.predict):
        with pytest.raises(
            LimbeckError, match=r"one string was given for a list of texts. Put it into a list: \[text\]."
        ):
            answer("good")
    with pytest.raises(LimbeckError, match="a text is a string, and this is a int: 3"):
        bundle.logits(["good", 3])
    with pytest.raises(LimbeckError, match="a text is a string, and this is a NoneType"):
        bundle.logits([None])


def test_without_int8_float32_is_taken(bundle_folder, tmp_path):
    folder = shutil.copytree(bundle_folder, tmp_path / "b")
    card = json.loads((folder / "bundle.json").read_text())
    del card["files"]["model.int8.onnx"]
    (folder / "bundle.json").write_text(json.dumps(card))
    (folder / "model.int8.onnx").unlink()
    assert Bundle(folder).precision == "fp32"
    assert Bundle(bundle_folder).precision == "int8"
    with pytest.raises(LimbeckError, match="no precision 'fp16'. There are: fp32, int8"):
        Bundle(bundle_folder, "fp16")


def damage(folder: Path, name: str, how: str) -> None:
    path = folder / name
    content = path.read_bytes()
    if how == "missing":
        path.unlink()
    elif how == "short":
        path.write_bytes(content[: len(content) // 2])
    else:
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


@pytest.mark.parametrize("name", ["model.int8.onnx", "tokenizer.json"])
@pytest.mark.parametrize(
    ("how", "what"),
    [
        ("missing", "the bundle lacks this file"),
        ("short", "the file is damaged: it is not what was exported"),
        ("changed", "the file is damaged: it is not what was exported"),
    ],
)
def test_a_damaged_bundle_is_told(bundle_folder, tmp_path, name, how, what):
    folder = shutil.copytree(bundle_folder, tmp_path / "b")
    damage(folder, name, how)
    with pytest.raises(LimbeckError) as caught:
        Bundle(folder)
    assert str(caught.value) == f"{folder / name}: {what}. Export the bundle again, or copy it again."


def test_a_damaged_card_is_told(bundle_folder, tmp_path):
    folder = shutil.copytree(bundle_folder, tmp_path / "b")
    card = json.loads((folder / "bundle.json").read_text())
    for content, what in (
        ("{", "not JSON"),
        ("[]", "a bundle of format None, and this Limbeck reads 1"),
        (json.dumps({**card, "format": 9}), "a bundle of format 9, and this Limbeck reads 1"),
        (
            json.dumps({"format": 1, "labels": []}),
            "the bundle's card lacks max_length, pad_id, unknown_id, files",
        ),
    ):
        (folder / "bundle.json").write_text(content)
        with pytest.raises(LimbeckError) as caught:
            Bundle(folder)
        assert what in str(caught.value)
    (folder / "bundle.json").unlink()
    with pytest.raises(LimbeckError, match=r"not a bundle \(it holds no bundle.json\). Give a folder that"):
        Bundle(folder)


@pytest.mark.parametrize("name", ["model.int8.onnx", "tokenizer.json"])
def test_a_file_that_was_never_right_is_told(bundle_folder, tmp_path, name):
    from limbeck.core.fingerprint import sha256

    folder = shutil.copytree(bundle_folder, tmp_path / "b")
    (folder / name).write_text("{}")
    card = json.loads((folder / "bundle.json").read_text())
    card["files"][name] = sha256(folder / name)
    (folder / "bundle.json").write_text(json.dumps(card))
    with pytest.raises(LimbeckError, match=r"the tokeniser cannot be read|ONNX Runtime cannot load it"):
        Bundle(folder)


def test_serving_imports_no_torch(bundle_folder, bundle):
    run = subprocess.run(
        [sys.executable, "-c", BLOCK + ANSWER, str(bundle_folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    np.testing.assert_allclose(json.loads(run.stdout), bundle.logits(["a good film", "bad"]), atol=1e-5)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_serving_in_an_environment_without_torch(bundle_folder, bundle, tmp_path):
    import limbeck

    repository = Path(limbeck.__file__).parents[2]
    # Building leaves files beside the sources, so it is a copy that is installed.
    source = shutil.copytree(repository / "src", tmp_path / "limbeck" / "src").parent
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(repository / name, source)
    venv.create(tmp_path / "v", with_pip=True)
    python = tmp_path / "v" / "bin" / "python"
    pip = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    subprocess.run([*pip, "-r", repository / "requirements" / "serve.txt"], check=True)
    subprocess.run([*pip, "--no-deps", source], check=True)
    packages = subprocess.run(
        [python, "-m", "pip", "list"], check=True, capture_output=True, text=True
    ).stdout
    assert "torch" not in packages
    assert "transformers" not in packages
    run = subprocess.run(
        [python, "-c", ANSWER, str(bundle_folder)], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    np.testing.assert_allclose(json.loads(run.stdout), bundle.logits(["a good film", "bad"]), atol=1e-5)
    command = [tmp_path / "v" / "bin" / "limbeck", "predict", bundle_folder, "a good film"]
    line = subprocess.run(command, capture_output=True, text=True, check=False)
    assert line.returncode == 0, line.stderr
    assert json.loads(line.stdout)["text"] == "a good film"


def test_what_onnx_runtime_cannot_run_is_told(bundle):
    with pytest.raises(LimbeckError, match="ONNX Runtime cannot run it"):
        bundle._run({"input_ids": np.zeros((1, 2), dtype=np.int64)})
