from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
import torch

from limbeck import models
from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.recipe import Export
from limbeck.models import export as exporting
from limbeck.models.export import export
from limbeck.models.outputs import predict
from limbeck.serve.bundle import Bundle
from limbeck.text.encode import encode

pytestmark = pytest.mark.unit

SMALL = {"dimension": 8, "hidden": 6, "relu": 5}
STUDENTS = {
    "last": ("bilstm", SMALL),
    "last, two layers": ("bilstm", {**SMALL, "layers": 2}),
    "max": ("bilstm", {**SMALL, "pooling": "max", "layers": 2}),
    "attention": ("bilstm", {**SMALL, "pooling": "attention"}),
    "static": ("static", {"dimension": 8, "relu": 5}),
    "weighted static": ("static", {"dimension": 8, "relu": 5, "token_weights": True}),
    "words": ("bilstm", {**SMALL, "embeddings": "random", "tokeniser": "words"}),
    "transformer": ("transformer", {"layers": 2, "hidden_size": 8, "heads": 2}),
    "from teacher": ("transformer", {"from_teacher": [0, 2]}),
}


def trained(kind, values, tokeniser, teacher, labels, texts):
    settings = models.settings_for(kind, values)
    own = models.tokeniser_for(settings, teacher_tokeniser=tokeniser, texts=texts)
    model = models.build(kind, settings, labels=labels, tokeniser=own, teacher=teacher, seed=3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)) * 0.3)
    return model, own


@pytest.fixture(params=STUDENTS)
def student(request, tokeniser, teacher, labels, texts):
    return trained(*STUDENTS[request.param], tokeniser, teacher, labels, texts)


def many(texts):
    random = np.random.default_rng(0)
    words = " ".join(texts).split()
    return texts + [" ".join(random.choice(words, random.integers(1, 40))) for _ in range(60)]


def test_the_bundle_answers_as_pytorch_does(student, texts, labels, tmp_path):
    model, tokeniser = student
    asked = many(texts)
    model.train()
    report = export(
        model,
        tokeniser,
        tmp_path / "b",
        texts=asked,
        max_length=16,
        settings=Export(changed=0.2),
        card={"name": "x"},
    )
    assert model.training
    encoded = encode(tokeniser, [Example(str(n), text) for n, text in enumerate(asked)], None, 16)
    expected = predict(model, encoded)
    bundle = Bundle(tmp_path / "b", "fp32", threads=1)
    scale = np.abs(expected).max()
    np.testing.assert_allclose(bundle.logits(asked, batch_size=7), expected, atol=1e-5 * scale)
    np.testing.assert_allclose(
        np.concatenate([bundle.logits([text]) for text in asked]), expected, atol=1e-5 * scale
    )
    small = Bundle(tmp_path / "b", threads=1)
    assert small.precision == "int8"
    assert np.abs(small.logits(asked) - expected).max() < 0.15 * scale
    assert bundle.labels == labels
    assert report["parity"]["fp32"]["largest_difference"] < 1e-5
    assert report["parity"]["fp32"]["changed"] == 0
    assert report == json.loads((tmp_path / "b" / "bundle.json").read_text())
    for name in ("model.onnx", "model.int8.onnx"):
        onnx_model = onnx.load(tmp_path / "b" / name)
        assert [each.version for each in onnx_model.opset_import if each.domain in ("", "ai.onnx")] == [17]
        sizes = [[d.dim_param for d in value.type.tensor_type.shape.dim] for value in onnx_model.graph.input]
        assert sizes == [["batch", "tokens"]] * 2


def test_the_card_says_how_to_use_it(tokeniser, teacher, labels, texts, tmp_path, capsys):
    model, own = trained("static", {"dimension": 8}, tokeniser, teacher, labels, texts)
    card = {"name": "my | student", "dev accuracy": 0.9}
    export(model, own, tmp_path, texts=texts, max_length=16, settings=Export(int8=False), card=card)
    page = (tmp_path / "README.md").read_text()
    assert page.startswith("# my \\| student\n")
    assert "| dev accuracy | 0.9 |" in page
    assert "`bad`, `good`, `so-so`" in page
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"README.md", "bundle.json", "model.onnx", "tokenizer.json"}
    example = page.split("```python\n")[1].split("```")[0].replace("path/to/this/folder", str(tmp_path))
    exec(example, {})
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] in labels for line in printed] == [True, True]


def test_int8_is_much_smaller_and_a_table_has_a_scale_for_each_column(
    tokeniser, teacher, labels, texts, tmp_path
):
    words = [f"w{number}" for number in range(2000)]
    values = {"dimension": 32, "hidden": 32, "embeddings": "random", "tokeniser": "words"}
    model, own = trained("bilstm", values, tokeniser, teacher, labels, [" ".join(words)])
    with torch.no_grad():
        model.embeddings.weight[:, 0] *= 100
    export(
        model, own, tmp_path, texts=[" ".join(words[:10])], max_length=16, settings=Export(changed=1), card={}
    )
    assert (tmp_path / "model.int8.onnx").stat().st_size < 0.3 * (tmp_path / "model.onnx").stat().st_size
    tables = {t.name: t for t in onnx.load(tmp_path / "model.int8.onnx").graph.initializer}
    table = onnx.numpy_helper.to_array(tables["embeddings"])
    scale = onnx.numpy_helper.to_array(tables["embeddings_scale"])
    assert table.dtype == np.int8
    error = np.abs(table * scale - model.embeddings.weight.detach().numpy()).max(0)
    assert (error <= scale / 2 + 1e-6).all()
    assert "LSTM" not in {node.op_type for node in onnx.load(tmp_path / "model.int8.onnx").graph.node}


def test_a_graph_that_answers_differently_is_refused_and_leaves_nothing(
    tokeniser, teacher, labels, texts, tmp_path, monkeypatch
):
    model, own = trained("static", {"dimension": 8}, tokeniser, teacher, labels, texts)
    other, _ = trained("static", {"dimension": 8}, tokeniser, teacher, labels, texts)
    with torch.no_grad():
        other.classifier.bias.add_(0.5)
    real = exporting.graph_of
    monkeypatch.setattr(exporting, "graph_of", lambda _: real(other))
    with pytest.raises(
        LimbeckError, match=r"logits differ by up to .* of the largest logit, and export.tolerance"
    ):
        export(model, own, tmp_path / "b", texts=texts, max_length=16, settings=Export(), card={})
    assert list(tmp_path.iterdir()) == []


def test_int8_that_changes_predictions_is_refused_and_keeps_the_older_bundle(
    tokeniser, teacher, labels, texts, tmp_path, monkeypatch
):
    model, own = trained("static", {"dimension": 8}, tokeniser, teacher, labels, texts)
    asked = many(texts)
    export(
        model,
        own,
        tmp_path / "b",
        texts=asked,
        max_length=16,
        settings=Export(changed=1),
        card={"name": "old"},
    )
    before = {path.name: path.read_bytes() for path in (tmp_path / "b").iterdir()}

    def turned_round(source, target):
        graph = onnx.load(source)
        for tensor in graph.graph.initializer:
            if tensor.name.startswith("weight"):
                tensor.CopyFrom(
                    onnx.numpy_helper.from_array(-onnx.numpy_helper.to_array(tensor), tensor.name)
                )
        onnx.save(graph, target)

    monkeypatch.setattr(exporting, "quantise", turned_round)
    with pytest.raises(
        LimbeckError, match=r"int8 changes .*% of predictions, and export.changed is 0.02. Raise it"
    ):
        export(
            model, own, tmp_path / "b", texts=asked, max_length=16, settings=Export(), card={"name": "new"}
        )
    assert {path.name: path.read_bytes() for path in (tmp_path / "b").iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_nothing_to_compare_on_is_told(tokeniser, teacher, labels, tmp_path):
    with pytest.raises(LimbeckError, match="no text was given to compare the bundle with PyTorch on"):
        export(teacher, tokeniser, tmp_path, texts=[], max_length=16, settings=Export(), card={})


def test_a_place_that_cannot_be_written_is_told(tokeniser, teacher, labels, texts, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(LimbeckError, match="cannot be written"):
        export(
            teacher,
            tokeniser,
            tmp_path / "file" / "b",
            texts=texts,
            max_length=16,
            settings=Export(),
            card={},
        )


def test_a_model_that_onnx_cannot_express_is_told(tokeniser, teacher, texts, tmp_path, monkeypatch):
    def refuse(*arguments, **options):
        raise RuntimeError("no symbolic for aten::strange.\nmore")

    monkeypatch.setattr(torch.onnx, "export", refuse)
    with pytest.raises(LimbeckError) as caught:
        export(teacher, tokeniser, tmp_path / "b", texts=texts, max_length=16, settings=Export(), card={})
    what = "a BertForSequenceClassification cannot be expressed in ONNX (no symbolic for aten::strange)."
    assert str(caught.value) == what
    assert list(tmp_path.iterdir()) == []
