"""Starts of transformer students: shapes with a name, and what is taken over from a wider teacher."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

from limbeck import models
from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.recipe import Training
from limbeck.methods import get
from limbeck.models.starts import evenly
from limbeck.models.transformer import encoder_config
from limbeck.text.encode import encode
from limbeck.train.loop import train

pytestmark = pytest.mark.unit

FAMILIES = ("bert", "roberta", "distilbert", "electra")
SHAPES = {
    "tinybert4": (4, 312, 12, 1200),
    "tinybert6": (6, 768, 12, 3072),
    "bert_tiny": (2, 128, 2, 512),
    "bert_mini": (4, 256, 4, 1024),
    "bert_small": (4, 512, 8, 2048),
    "bert_medium": (8, 512, 8, 2048),
}


def a_teacher(family, size, labels, **changes):
    """An encoder of 3 layers by 24, 3 heads, with random weights everywhere (norms and biases, too)."""
    config = {
        "vocab_size": size,
        "hidden_size": 24,
        "num_hidden_layers": 3,
        "num_attention_heads": 3,
        "intermediate_size": 40,
    }
    if family == "distilbert":
        config = {"vocab_size": size, "dim": 24, "n_layers": 3, "n_heads": 3, "hidden_dim": 40}
    if family == "electra":
        config["embedding_size"] = 24
    names = {"id2label": dict(enumerate(labels)), "label2id": {name: n for n, name in enumerate(labels)}}
    made = AutoConfig.for_model(
        family, **config, **changes, max_position_embeddings=40, pad_token_id=0, **names
    )
    torch.manual_seed(0)
    teacher = AutoModelForSequenceClassification.from_config(made).eval()
    with torch.no_grad():
        for parameter in teacher.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape))
    return teacher


def build(teacher, tokeniser, labels, /, **values):
    settings = models.settings_for("transformer", values)
    return models.build(
        "transformer", settings, labels=labels, tokeniser=tokeniser, teacher=teacher, seed=1
    ).eval()


def span(teacher, narrow):
    """What a narrow student's states are projected on, by NumPy: equal coordinates, and principal axes of the rest.

    Principal axes are the first right singular vectors of the centred states.
    """
    with torch.no_grad():
        rows = torch.arange(teacher.config.vocab_size)
        parts = teacher.base_model.embeddings
        states = parts.word_embeddings(rows) + parts.position_embeddings.weight.mean(0)
        if hasattr(parts, "token_type_embeddings"):
            states = states + parts.token_type_embeddings(torch.zeros_like(rows))
        states = torch.nn.functional.layer_norm(
            states, states.shape[-1:], parts.LayerNorm.weight, parts.LayerNorm.bias, parts.LayerNorm.eps
        )
        if hasattr(teacher.base_model, "embeddings_project"):
            states = teacher.base_model.embeddings_project(states)
    found = states.double().numpy()
    rest = found - found.mean(1, keepdims=True)
    axes = np.linalg.svd(rest - rest.mean(0), full_matrices=False)[2][: narrow - 1].T
    equal = np.full((len(axes), 1), len(axes) ** -0.5)
    return np.concatenate([equal, axes], 1)


def say(model, rows):
    with torch.no_grad():
        return model.base_model(
            input_ids=rows, attention_mask=torch.ones_like(rows), output_hidden_states=True
        ).hidden_states


@pytest.mark.parametrize("name", SHAPES)
def test_shapes_have_names(name, tokeniser):
    def shape(**values):
        config = encoder_config(models.settings_for("transformer", values), tokeniser, None)
        return (
            config.num_hidden_layers,
            config.hidden_size,
            config.num_attention_heads,
            config.intermediate_size,
        )

    layers, *others = SHAPES[name]
    assert shape(shape=name) == SHAPES[name]
    assert shape(shape=name, layers=layers + 1) == (layers + 1, *others)
    assert shape(shape=name, intermediate=77) == (*SHAPES[name][:3], 77)


def test_a_shape_overrides_what_the_teacher_says(tokeniser, labels):
    teacher = a_teacher("distilbert", len(tokeniser), labels)
    config = encoder_config(models.settings_for("transformer", {"shape": "tinybert4"}), tokeniser, teacher)
    assert (config.n_layers, config.dim, config.n_heads, config.hidden_dim) == (4, 312, 12, 1200)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_narrower_student_starts_from_projected_embeddings(family, tokeniser, labels):
    teacher = a_teacher(family, len(tokeniser), labels)
    student = build(teacher, tokeniser, labels, start="embeddings", hidden_size=8, heads=2, layers=5)
    basis = span(teacher, 8)
    theirs, ours = (model.get_input_embeddings().weight.detach().numpy() for model in (teacher, student))
    np.testing.assert_allclose(ours @ ours.T, theirs @ basis @ basis.T @ theirs.T, atol=1e-4)
    np.testing.assert_allclose(ours.sum(1) / 8**0.5, theirs.sum(1) / 24**0.5, atol=1e-4)
    positions = "embeddings.position_embeddings.weight"
    their_places, our_places = (
        model.base_model.state_dict()[positions].numpy() for model in (teacher, student)
    )
    np.testing.assert_allclose(our_places @ ours.T, their_places @ basis @ basis.T @ theirs.T, atol=1e-4)
    assert student.config.num_hidden_layers == 5


@pytest.mark.parametrize("family", FAMILIES)
def test_less_wide_feed_forward_layers_keep_the_strongest_units(family, tokeniser, labels):
    """Units that are nought in the teacher are those left out: the layers say the same."""
    teacher = a_teacher(family, len(tokeniser), labels)
    idle = torch.randperm(40, generator=torch.Generator().manual_seed(3))[:15]
    down = "ffn.lin2" if family == "distilbert" else "output.dense"
    with torch.no_grad():
        for name, module in teacher.named_modules():
            if name.endswith(down) and "attention" not in name:
                module.weight[:, idle] = 0
    student = build(teacher, tokeniser, labels, from_teacher=[0, 1, 2], intermediate=25)
    rows = torch.randint(5, len(tokeniser), (3, 7))
    for mine, its in zip(say(student, rows), say(teacher, rows), strict=True):
        torch.testing.assert_close(mine, its, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_strongest_heads_are_kept_and_read_and_write_in_the_students_axes(family, tokeniser, labels):
    """Of states that lie in the axes' span, the kept heads ask and say what they do in the teacher."""
    teacher = a_teacher(family, len(tokeniser), labels)
    student = build(teacher, tokeniser, labels, from_teacher=[1], hidden_size=16, heads=2)
    its, mine = teacher.base_model.state_dict(), student.base_model.state_dict()
    axes = recovered_axes(teacher, student)
    states = torch.randn(5, 16)  # in the student's space; in the teacher's: states @ axes.T
    prefix = "transformer.layer." if family == "distilbert" else "encoder.layer."
    q, k = ("attention.q_lin", "attention.k_lin") if family == "distilbert" else names("query", "key")
    v, o = ("attention.v_lin", "attention.out_lin") if family == "distilbert" else names("value", "dense")

    def linear(weights, layer, part, values):
        weight, bias = (weights[f"{prefix}{layer}.{part}.{kind}"] for kind in ("weight", "bias"))
        return values @ weight.T + bias

    wide = states @ axes.T
    queries, keys = (linear(its, 1, part, wide).view(5, 3, 8) for part in (q, k))
    mine_q, mine_k = (linear(mine, 0, part, states).view(5, 2, 8) for part in (q, k))
    scores = torch.einsum("ihd,jhd->hij", queries, keys)
    mine_scores = torch.einsum("ihd,jhd->hij", mine_q, mine_k)
    kept = [head for head in range(3) if any(torch.allclose(scores[head], m, atol=1e-3) for m in mine_scores)]
    assert len(kept) == 2
    weight = its[f"{prefix}1.{v}.weight"] @ axes
    out = axes.T @ its[f"{prefix}1.{o}.weight"]
    strength = (weight.norm(dim=1) * out.norm(dim=0)).view(3, 8).sum(1)
    assert kept == sorted(strength.topk(2).indices.tolist())
    values = linear(its, 1, v, wide).view(5, 3, 8)[:, kept].flatten(1)
    torch.testing.assert_close(linear(mine, 0, v, states), values, atol=1e-4, rtol=1e-4)
    columns = [head * 8 + place for head in kept for place in range(8)]
    torch.testing.assert_close(mine[f"{prefix}0.{o}.weight"], out[:, columns], atol=1e-5, rtol=1e-4)


def names(*parts):
    return tuple("attention.output.dense" if part == "dense" else f"attention.self.{part}" for part in parts)


def recovered_axes(teacher, student):
    """``P`` from the two tables of word embeddings: ``E_student = E_teacher P``."""
    theirs = teacher.get_input_embeddings().weight.detach()
    return torch.linalg.lstsq(theirs, student.get_input_embeddings().weight.detach()).solution


def test_scores_of_narrower_heads_are_on_the_teachers_scale(tokeniser, labels):
    """Where a head needs only half of its dimensions, its attention is the same: the root of the width is made up for."""
    teacher = a_teacher("bert", len(tokeniser), labels)
    layer = teacher.bert.encoder.layer[0].attention.self
    with torch.no_grad():
        for part in (layer.query, layer.key):
            part.weight.view(3, 8, 24)[:, 4:] = 0
            part.bias.view(3, 8)[:, 4:] = 0
    student = build(teacher, tokeniser, labels, from_teacher=[0], hidden_size=12, heads=3)
    axes = recovered_axes(teacher, student)
    mine = student.bert.encoder.layer[0].attention.self
    states = torch.randn(6, 12)
    wide = (states @ axes.T)[None]
    theirs = torch.einsum(
        "bihd,bjhd->bhij", layer.query(wide).view(1, 6, 3, 8), layer.key(wide).view(1, 6, 3, 8)
    )
    ours = torch.einsum(
        "bihd,bjhd->bhij", mine.query(states).view(1, 6, 3, 4), mine.key(states).view(1, 6, 3, 4)
    )
    torch.testing.assert_close(ours / 4**0.5, theirs / 8**0.5, atol=1e-4, rtol=1e-4)


def test_a_norm_of_one_scale_keeps_it(tokeniser, labels):
    teacher = a_teacher("bert", len(tokeniser), labels)
    norm = teacher.bert.encoder.layer[2].output.LayerNorm
    with torch.no_grad():
        norm.weight.fill_(1.7)
    student = build(teacher, tokeniser, labels, from_teacher=[2], hidden_size=16, heads=2)
    mine = student.bert.encoder.layer[0].output.LayerNorm
    torch.testing.assert_close(mine.weight, torch.full((16,), 1.7), atol=1e-5, rtol=1e-5)
    axes = recovered_axes(teacher, student)
    torch.testing.assert_close(mine.bias, norm.bias @ axes, atol=1e-4, rtol=1e-4)


def test_embeddings_that_are_projected_stay_and_their_projection_is_narrowed(tokeniser, labels):
    config = a_teacher("electra", len(tokeniser), labels).config
    config.embedding_size, config.hidden_size = 18, 24
    torch.manual_seed(1)
    teacher = AutoModelForSequenceClassification.from_config(config).eval()
    student = build(teacher, tokeniser, labels, from_teacher=[0, 2], hidden_size=16, heads=2)
    theirs, ours = teacher.electra.state_dict(), student.electra.state_dict()
    for name, value in theirs.items():
        if name.startswith("embeddings."):
            assert torch.equal(ours[name], value), name
    basis = span(teacher, 16)
    with torch.no_grad():
        rows = torch.arange(len(tokeniser))[:, None]
        wide, narrow = (
            model.electra.embeddings_project(model.electra.embeddings(input_ids=rows))[:, 0].double().numpy()
            for model in (teacher, student)
        )
    np.testing.assert_allclose(narrow @ narrow.T, wide @ basis @ basis.T @ wide.T, atol=1e-4)
    with pytest.raises(LimbeckError, match="18 is the width of the embeddings, which are projected"):
        build(teacher, tokeniser, labels, from_teacher=[0], hidden_size=18, heads=3)


def test_a_bert_as_an_electra_says_the_same(tokeniser, labels):
    teacher = a_teacher("bert", len(tokeniser), labels, hidden_act="relu")
    student = build(teacher, tokeniser, labels, family="electra", from_teacher=[0, 1, 2])
    rows = torch.randint(5, len(tokeniser), (3, 7))
    assert type(student).__name__ == "ElectraForSequenceClassification"
    for mine, its in zip(say(student, rows), say(teacher, rows), strict=True):
        torch.testing.assert_close(mine, its, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("family", ["bert", "electra"])
def test_embeddings_may_be_narrower_than_the_states_they_are_projected_to(family, tokeniser, labels):
    """The tables keep what 10 axes of the embeddings keep; where these hold all there is, the first states are equal."""
    teacher = a_teacher(family, len(tokeniser), labels)
    student = build(teacher, tokeniser, labels, from_teacher=[0, 2], embedding_size=10)
    assert (student.config.embedding_size, student.config.hidden_size) == (10, 24)
    basis = span(teacher, 10)
    theirs, ours = (model.get_input_embeddings().weight.detach().numpy() for model in (teacher, student))
    np.testing.assert_allclose(ours @ ours.T, theirs @ basis @ basis.T @ theirs.T, atol=1e-4)
    projection = student.electra.embeddings_project.weight.detach().numpy()
    np.testing.assert_allclose(projection @ projection.T, 2.4 * basis @ basis.T, atol=1e-4)

    parts = teacher.base_model.embeddings
    with torch.no_grad():  # all tables in the span of 9 axes and equal coordinates; a norm of one scale
        inside = torch.from_numpy(basis).float() @ torch.from_numpy(basis).float().T
        for table in (parts.word_embeddings, parts.position_embeddings, parts.token_type_embeddings):
            table.weight.copy_(table.weight @ inside)
        parts.LayerNorm.weight.fill_(1.3)
        parts.LayerNorm.bias.copy_(inside @ parts.LayerNorm.bias)
    student = build(teacher, tokeniser, labels, from_teacher=[0], embedding_size=10)
    rows = torch.randint(5, len(tokeniser), (3, 7))
    torch.testing.assert_close(say(student, rows)[0], say(teacher, rows)[0], atol=1e-4, rtol=1e-4)


def test_layers_are_taken_evenly_the_last_among_them():
    assert evenly(4, 12) == [2, 5, 8, 11]
    assert evenly(6, 12) == [1, 3, 5, 7, 9, 11]
    assert evenly(3, 3) == [0, 1, 2]
    assert evenly(2, 5) == [1, 4]


def test_layers_without_a_list_are_the_evenly_spaced_ones(tokeniser, teacher, labels):
    spaced = build(teacher, tokeniser, labels, start="layers", layers=2)
    listed = build(teacher, tokeniser, labels, from_teacher=[1, 3])
    assert all(torch.equal(value, listed.state_dict()[name]) for name, value in spaced.state_dict().items())


def test_a_start_from_embeddings_leaves_the_layers_random(tokeniser, teacher, labels):
    started = build(teacher, tokeniser, labels, start="embeddings").bert.state_dict()
    random = build(teacher, tokeniser, labels).bert.state_dict()
    for name, value in started.items():
        source = teacher.bert.state_dict() if name.startswith("embeddings.") else random
        assert torch.equal(value, source[name]), name


@pytest.mark.parametrize(
    ("values", "with_teacher", "sentence"),
    [
        (
            {"from_teacher": [0], "layers": 2},
            True,
            "'student': 'from_teacher' lists 1, and 'layers' is 2.",
        ),
        (
            {"from_teacher": [0], "start": "random"},
            True,
            "'from_teacher' lists layers to start from, and 'start' is random",
        ),
        (
            {"start": "layers", "layers": 5},
            True,
            "'student.layers': 5 layers to start from 4 of the teacher's",
        ),
        (
            {"start": "embeddings"},
            False,
            "'student.start': a file of answers has no embeddings to start from",
        ),
        (
            {"start": "embeddings", "tokeniser": "words"},
            True,
            "'start' copies embeddings of the teacher's pieces",
        ),
        ({"start": "layers", "family": "roberta"}, True, "a start from the teacher keeps its family, bert"),
        (
            {"start": "layers", "hidden_size": 24},
            True,
            "'student.hidden_size': 24 asked for, and the teacher has 16",
        ),
        (
            {"start": "layers", "intermediate": 64},
            True,
            "'student.intermediate': 64 asked for, and the teacher has 32",
        ),
        ({"start": "layers", "heads": 4}, True, "'student.heads': 4 asked for, and the teacher has 2"),
        ({"start": "layers", "heads": 1}, True, "1 heads would each be 16 wide, and the teacher's are 8"),
        ({"shape": "tinybert5"}, True, "'student.shape': input should be 'tinybert4'"),
        (
            {"start": "layers", "embedding_size": 20},
            True,
            "'student.embedding_size': 20 asked for, and the teacher has 16",
        ),
        ({"family": "bert", "embedding_size": 8}, True, "'student': a bert has no 'embedding_size' to set"),
        ({"encoder": "x", "layers": 2}, True, "'encoder' has a shape of its own; leave out layers"),
        ({"encoder": "x", "tokeniser": "teacher"}, True, "'encoder' brings its tokeniser"),
        ({"encoder": "no/such/folder"}, True, "no/such/folder: no encoder can be loaded"),
    ],
)
def test_starts_that_cannot_be_are_told(values, with_teacher, sentence, tokeniser, teacher, labels):
    with pytest.raises(LimbeckError) as caught:
        build(teacher if with_teacher else None, tokeniser, labels, **values)
    assert sentence in str(caught.value)


def test_a_family_whose_parts_are_not_known_is_only_copied(tokeniser, labels):
    teacher = a_teacher("mpnet", len(tokeniser), labels)
    copied = build(teacher, tokeniser, labels, from_teacher=[2]).base_model.state_dict()
    query = "attention.attn.q.weight"
    theirs = teacher.base_model.state_dict()[f"encoder.layer.2.{query}"]
    assert torch.equal(copied[f"encoder.layer.0.{query}"], theirs)
    with pytest.raises(
        LimbeckError, match="no mpnet can be narrowed; of these families one can: bert, camembert"
    ):
        build(teacher, tokeniser, labels, from_teacher=[2], intermediate=20)


ALONE = """
import json, sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "limbeck":
            raise ImportError("limbeck is not installed here")
sys.meta_path.insert(0, Blocked())
try:
    import limbeck
    sys.exit("limbeck can be imported")
except ImportError:
    pass
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer
answers = []
for folder in json.loads(sys.argv[1]):
    tokeniser = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    inputs = tokeniser(json.loads(sys.argv[2]), padding=True, return_tensors="pt")
    with torch.no_grad():
        answers.append([type(model).__module__, model.config.id2label["0"] if "0" in model.config.id2label else model.config.id2label[0], model(**inputs).logits.tolist()])
print(json.dumps(answers))
"""


def test_students_of_all_families_learn_and_load_where_limbeck_is_not(tokeniser, labels, tmp_path):
    texts = ["the film was very good", "bad", "not at all a dull story"]
    examples = [Example(str(n), text, gold=labels[n % 3]) for n, text in enumerate(texts * 4)]
    data = encode(tokeniser, examples, labels, 20)
    said, folders = [], []
    for family in FAMILIES:
        teacher = a_teacher(family, len(tokeniser), labels)
        student = build(teacher, tokeniser, labels, start="layers", layers=2, hidden_size=16, heads=2)
        before = {name: value.clone() for name, value in student.state_dict().items()}
        folder = tmp_path / family
        (stage,) = get("gold").stages({})
        settings = Training(epochs=1, learning_rate=1e-3, evaluate=1)
        train(
            student,
            tokeniser,
            stage.objective,
            data,
            None,
            data,
            settings,
            folder,
            1,
            score=accuracy,
            steps=1,
        )
        assert any(not torch.equal(value, before[name]) for name, value in student.state_dict().items())
        inputs = AutoTokenizer.from_pretrained(folder)(texts, padding=True, return_tensors="pt")
        with torch.no_grad():
            said.append(student.eval()(**inputs).logits)
        folders.append(str(folder))
    command = [sys.executable, "-I", "-c", ALONE, json.dumps(folders), json.dumps(texts)]
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=200)
    assert found.returncode == 0, found.stderr
    for family, expected, (module, label, logits) in zip(
        FAMILIES, said, json.loads(found.stdout), strict=True
    ):
        assert module == f"transformers.models.{family}.modeling_{family}"
        assert label == labels[0]
        torch.testing.assert_close(torch.tensor(logits), expected, atol=1e-6, rtol=1e-5)


def accuracy(gold, predicted):
    return {"accuracy": float((gold == predicted).mean())}


def test_a_student_goes_on_from_a_pretrained_encoder(tokeniser, teacher, labels, tmp_path):
    """The encoder is taken whole, its pooler too; the head is as fresh as the seed makes it, whatever stood there."""
    teacher.save_pretrained(tmp_path)
    tokeniser.save_pretrained(tmp_path)
    one, again, three = (
        build(None, tokeniser, names, encoder=str(tmp_path), dropout=0.2)
        for names in (labels, labels, ("a", "b", "c"))
    )
    theirs = teacher.base_model.state_dict()
    for student in (one, three):
        assert all(
            torch.equal(value, theirs[name]) for name, value in student.base_model.state_dict().items()
        )
    assert torch.equal(one.classifier.weight, again.classifier.weight)
    assert not torch.equal(one.classifier.weight, teacher.classifier.weight)
    assert (three.config.id2label, three.config.hidden_dropout_prob) == ({0: "a", 1: "b", 2: "c"}, 0.2)
    settings = models.settings_for("transformer", {"encoder": str(tmp_path)})
    own = models.tokeniser_for(settings, teacher_tokeniser=None, texts=[])
    assert own.get_vocab() == tokeniser.get_vocab()


def test_an_encoder_of_another_kind_is_told(tokeniser, teacher, labels, tmp_path):
    settings = models.settings_for("bilstm", {"dimension": 8, "hidden": 4})
    models.build(
        "bilstm", settings, labels=labels, tokeniser=tokeniser, teacher=teacher, seed=1
    ).save_pretrained(tmp_path)
    with pytest.raises(LimbeckError, match="a BiLSTMForSequenceClassification has no encoder inside"):
        build(teacher, tokeniser, labels, encoder=str(tmp_path))


def test_an_encoder_whose_weights_do_not_fit_its_configuration_is_told(tokeniser, teacher, labels, tmp_path):
    teacher.save_pretrained(tmp_path)
    tokeniser.save_pretrained(tmp_path)
    written = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(written | {"intermediate_size": 48}))
    with pytest.raises(LimbeckError, match="no weights for bert.encoder.layer.0.intermediate.dense.bias"):
        build(None, tokeniser, labels, encoder=str(tmp_path))
