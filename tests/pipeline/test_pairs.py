"""Pairs of texts, from two columns of a file to a bundle that is asked about pairs."""

from __future__ import annotations

import io
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from tokenizers import processors
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from limbeck import Bundle, distill
from limbeck.cli.predict import write
from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.recipe import load
from limbeck.core.sources import Data, Source
from limbeck.pipeline import Run
from limbeck.pipeline.plan import plan
from limbeck.text.encode import collate, encode
from limbeck.text.readers import read
from limbeck.text.tokeniser import load_tokeniser
from limbeck.transfer.prepare import prepare
from limbeck.transfer.rewrites.masked_lm import Settings
from limbeck.transfer.transfer_set import TransferSet

WORDS = ("lovely", "dull", "plot", "story", "film", "scene")
PAIRS = (("the lovely film", "a dull plot"), ("film", "the story was it is lovely"), ("scene", ""))


def examples() -> list[Example]:
    return [Example(str(n), first, second=second) for n, (first, second) in enumerate(PAIRS)]


@pytest.fixture
def pair_encoder(encoder: Path, tmp_path: Path) -> Path:
    """The encoder, with a tokeniser that knows of pairs as BERT's does."""
    folder = tmp_path / "pair-encoder"
    shutil.copytree(encoder, folder)
    tokeniser = AutoTokenizer.from_pretrained(
        encoder, model_input_names=["input_ids", "token_type_ids", "attention_mask"]
    )
    tokeniser.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    tokeniser.save_pretrained(folder)
    return folder


@pytest.mark.unit
@pytest.mark.parametrize("max_length", [5, 6, 9, 30])
def test_tokens_and_types_are_the_tokenisers(pair_encoder: Path, max_length: int) -> None:
    tokeniser = AutoTokenizer.from_pretrained(pair_encoder)
    encoded = encode(tokeniser, examples(), None, max_length)
    wanted = tokeniser(
        [first for first, _ in PAIRS], [second for _, second in PAIRS], truncation="longest_first",
        max_length=max_length, padding=True, return_tensors="pt", return_token_type_ids=True,
    )  # fmt: skip
    batch = collate(encoded, np.arange(len(PAIRS)))
    for name in ("input_ids", "attention_mask", "token_type_ids"):
        assert torch.equal(batch.inputs[name], wanted[name]), name
    alone = encode(tokeniser, [Example("a", "the film")], None, max_length)
    assert "token_type_ids" not in collate(alone, np.arange(1)).inputs


@pytest.mark.unit
def test_a_pair_is_another_text_than_its_first(tmp_path: Path) -> None:
    one, other, alone = Example("1", "a", second="b"), Example("2", "a", second="c"), Example("3", "a")
    assert len({one.content, other.content, alone.content}) == 3
    kept = TransferSet((one, other, alone), ("x", "y"))
    kept.save(tmp_path, "train")
    loaded = TransferSet.load(tmp_path, "train")
    assert loaded.examples == kept.examples
    swapped = TransferSet((Example("1", "a", second="c"), Example("2", "a", second="b"), alone), ("x", "y"))
    assert len({kept.fingerprint, loaded.fingerprint, swapped.fingerprint}) == 2


@pytest.mark.unit
def test_a_pair_is_read_alike_whatever_stands_beside_it(pair_encoder: Path) -> None:
    tokeniser = AutoTokenizer.from_pretrained(pair_encoder)
    without = Example("1", "the film", second="")  # a title without a body
    alone = encode(tokeniser, [without], None, 30)
    beside = encode(tokeniser, [without, Example("2", "the film", second="a dull plot")], None, 30)
    assert alone.tokens.tolist() == beside.tokens[: beside.lengths[0]].tolist()
    single = encode(tokeniser, [Example("1", "the film")], None, 30)
    assert len(alone.tokens) == len(single.tokens) + 1  # the separator
    assert without.content != "the film"
    both = [Example("3", "the film"), Example("4", "the film", second="a plot")]
    mixed = encode(tokeniser, both, None, 30)
    assert mixed.tokens[: mixed.lengths[0]].tolist() == single.tokens.tolist()


@pytest.mark.unit
def test_pairs_beside_single_texts_are_refused(tmp_path: Path) -> None:
    for name in ("train", "dev", "test"):
        (tmp_path / f"{name}.csv").write_text(f"text,other,label\n{name} a,b,x\n{name} c,d,y\n")
    (tmp_path / "more.txt").write_text("a film\n")
    pairs = {
        name: {"path": str(tmp_path / f"{name}.csv"), "second": "other"} for name in ("train", "dev", "test")
    }
    with pytest.raises(LimbeckError, match="'train' has pairs of texts, and 'unlabelled' has single texts"):
        prepare(Data.model_validate({**pairs, "unlabelled": [str(tmp_path / "more.txt")]}))
    del pairs["test"]["second"]
    with pytest.raises(LimbeckError, match="'train' has pairs of texts, and 'test' has single texts"):
        prepare(Data.model_validate(pairs))


@pytest.mark.unit
def test_pairs_are_read_from_two_columns(tmp_path: Path) -> None:
    (tmp_path / "rte.tsv").write_text("sentence1\tsentence2\tlabel\nA b.\tC d.\tyes\nE.\t\tno\n")
    found = read(Source(path=str(tmp_path / "rte.tsv"), text="sentence1", second="sentence2"))
    assert [(e.text, e.second, e.gold) for e in found] == [("A b.", "C d.", "yes"), ("E.", "", "no")]


@pytest.mark.unit
def test_of_a_pair_one_text_is_rewritten_at_a_time(tmp_path: Path) -> None:
    (tmp_path / "vectors.txt").write_text(
        "\n".join(f"{word} {n} {n * n}" for n, word in enumerate(WORDS, 1)) + "\n"
    )
    settings = Settings(
        vectors=str(tmp_path / "vectors.txt"), probability=0.5, copies=30, candidates=2, stop_words=[]
    )
    pair = Example("1", "the lovely film", "x", second="a dull plot")
    copies = list(settings.rewrite([pair]))
    assert len(copies) == 30
    assert {copy.text.split()[0] for copy in copies} == {"the"}
    assert {copy.second.split()[0] for copy in copies} == {"a"}
    assert all(copy.text == pair.text or copy.second == pair.second for copy in copies)
    assert any(copy.text != pair.text for copy in copies) and any(
        copy.second != pair.second for copy in copies
    )
    assert all(copy.gold is None for copy in copies)


def written(folder: Path) -> dict[str, str]:
    """A file of pairs, as a recipe names it."""
    generator = random.Random(0)
    rows = set()
    while len(rows) < 160:
        first, second = generator.choices(WORDS, k=2)
        rows.add((f"the {first} {generator.choice(WORDS)}", f"a {second} {generator.choice(WORDS)}"))
    lines = [
        f"{a}\t{b}\t{'same' if set(a.split()[1:]) & set(b.split()[1:]) else 'other'}" for a, b in sorted(rows)
    ]
    lines += [f"the film {number}\t\tother" for number in range(20)]  # a title without a body
    (folder / "pairs.tsv").write_text("one\ttwo\tlabel\n" + "\n".join(lines) + "\n")
    return {"path": str(folder / "pairs.tsv"), "text": "one", "second": "two"}


@pytest.mark.recipe
@pytest.mark.parametrize("student", ["transformer", "bilstm", "siamese", "siamese of words"])
def test_a_run_on_pairs(
    student: str, recipe_file: Callable[..., Path], tmp_path: Path, pair_encoder: Path
) -> None:
    source = written(tmp_path)
    kinds = {
        "transformer": {"kind": "transformer", "from_teacher": [0], "max_length": 32},
        "bilstm": {"kind": "bilstm", "embeddings": "random", "dimension": 8, "hidden": 8, "max_length": 32},
    }
    small = {"embeddings": "random", "dimension": 8, "hidden": 8, "max_length": 32}
    kinds["siamese"] = {"kind": "siamese", **small}
    kinds["siamese of words"] = {"kind": "siamese", **small, "tokeniser": "words"}
    path = recipe_file(
        data={"train": source, "dev": 20, "test": 20},
        student=kinds[student],
        seeds=1,
        method="tinybert" if student == "transformer" else "soft_labels",
        export={"changed": 0.5},
        evaluate={"resamples": 200, "latency_sentences": 20},  # all of test, those without a second text too
        teacher={
            "model": str(pair_encoder),
            "fine_tune": {"epochs": 2, "learning_rate": 0.003},
            "max_length": 32,
        },
    )
    result = distill(path)
    bundle = Bundle(result.bundle, "fp32")
    asked = [("the lovely film", "a dull plot"), ("the plot", "a plot")]
    assert ("token_type_ids" in bundle.reads) == (student != "bilstm")
    folder = (
        result.folder / "students" / ("tinybert" if student == "transformer" else "soft_labels") / "seed-1"
    )
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    pairs = [Example(str(n), first, second=second) for n, (first, second) in enumerate(asked)]
    batch = collate(encode(load_tokeniser(folder), pairs, None, 32), np.arange(2))
    with torch.no_grad():
        np.testing.assert_allclose(bundle.logits(asked), model(**batch.inputs).logits, atol=1e-5)
    for nothing in ("alone", None, 1):
        with pytest.raises(LimbeckError, match="reads pairs of texts, and this is none: "):
            bundle.predict([nothing])  # type: ignore[list-item]
    out = io.StringIO()
    write(bundle, ["the lovely film\ta dull plot"], "jsonl", 8, out)
    told = json.loads(out.getvalue())
    assert (told["text"], told["second"]) == asked[0]
    assert told["label"] == bundle.predict(asked[:1])[0].label
    again = io.StringIO()
    write(bundle, [json.dumps({"text": asked[0][0], "second": asked[0][1]})], "csv", 8, again)
    assert again.getvalue().splitlines()[0] == "text,second,label,score,other,same"
    assert again.getvalue().splitlines()[1].startswith(f"{asked[0][0]},{asked[0][1]},{told['label']},")
    assert 'bundle.predict([("The first text.", "The second.")' in (result.bundle / "README.md").read_text()
    with pytest.raises(LimbeckError, match="reads pairs of texts, and this is one: 'alone'. Put a tab"):
        write(bundle, ["alone"], "jsonl", 8, out)
    evaluation = json.loads((result.folder / "evaluation" / "evaluation.json").read_text())
    assert evaluation["test"]["examples"] == 20
    texts = pq.read_table(result.folder / "evaluation" / "predictions.parquet").column("text").to_pylist()
    assert {" | a " in text for text in texts} == {True, False}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"data": None},
            "student.kind: a siamese student reads pairs of texts, and 'train' has single texts",
        ),
        ({"method": "hints"}, "no hidden layers over the tokens that the teacher reads"),
        ({"method": "neuron_selectivity"}, "no hidden layers over the tokens that the teacher reads"),
        ({"method": "tinybert"}, "the student is no transformer"),
    ],
)
def test_a_plan_refuses_what_a_siamese_student_cannot(
    changes: dict[str, Any],
    sentence: str,
    recipe_file: Callable[..., Path],
    tmp_path: Path,
    pair_encoder: Path,
) -> None:
    values: dict[str, Any] = {
        "data": {"train": written(tmp_path), "dev": 20, "test": 20},
        "student": {"kind": "siamese", "embeddings": "random", "dimension": 8, "max_length": 32},
        "teacher": {"model": str(pair_encoder), "fine_tune": {"epochs": 1}, "max_length": 32},
        "seeds": 1,
    } | changes
    if values["data"] is None:
        del values["data"]  # the recipe's own, which are single texts
    with pytest.raises(LimbeckError, match=sentence):
        plan(Run(load(recipe_file(**values))))


def test_a_plan_counts_derivatives_for_a_siamese_student(
    recipe_file: Callable[..., Path], tmp_path: Path, pair_encoder: Path
) -> None:
    path = recipe_file(
        data={"train": written(tmp_path), "dev": 20, "test": 20},
        student={"kind": "siamese", "embeddings": "random", "dimension": 8, "max_length": 32},
        teacher={"model": str(pair_encoder), "fine_tune": {"epochs": 1}, "max_length": 32},
        method="jacobian",
        seeds=1,
    )
    assert "jacobian: 1 seed of" in plan(Run(load(path))).text()
