from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings as effort, strategies as st
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertForSequenceClassification,
    pipeline,
)

from limbeck import models
from limbeck.core.errors import LimbeckError
from limbeck.models import bilstm, static
from limbeck.models.configs import BiLSTMConfig, StaticConfig

pytestmark = pytest.mark.unit

STUDENTS = {
    "last": ("bilstm", {"dimension": 8, "hidden": 6, "relu": 5}),
    "last, two layers": ("bilstm", {"dimension": 8, "hidden": 6, "relu": 5, "layers": 2}),
    "max": ("bilstm", {"dimension": 8, "hidden": 6, "relu": 5, "pooling": "max"}),
    "mean": ("bilstm", {"dimension": 8, "hidden": 6, "relu": 5, "pooling": "mean"}),
    "attention": ("bilstm", {"dimension": 8, "hidden": 6, "relu": 5, "pooling": "attention", "layers": 2}),
    "static": ("static", {"dimension": 8, "relu": 5}),
    "weighted static": ("static", {"dimension": 8, "relu": 5, "token_weights": True}),
    "words": (
        "bilstm",
        {"dimension": 8, "hidden": 6, "relu": 5, "embeddings": "random", "tokeniser": "words"},
    ),
    "transformer": ("transformer", {"layers": 1, "hidden_size": 8, "heads": 2}),
    "from teacher": ("transformer", {"from_teacher": [0, 2]}),
}


@pytest.fixture(params=STUDENTS, scope="module")
def student(request, tokeniser, teacher, labels, texts):
    """A model with random weights everywhere, and its tokeniser."""
    kind, values = STUDENTS[request.param]
    settings = models.settings_for(kind, values)
    own = models.tokeniser_for(settings, teacher_tokeniser=tokeniser, texts=texts)
    model = models.build(kind, settings, labels=labels, tokeniser=own, teacher=teacher, seed=3).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)) * 0.3)
    return model, own


def ask(model, tokeniser, texts, **options):
    rows = [tokeniser(text)["input_ids"] for text in texts]
    width = max(map(len, rows)) + options.get("more", 0)
    pad = options.get("pad", 0)
    ids = torch.tensor([row + [pad] * (width - len(row)) for row in rows], dtype=torch.long).view(
        len(rows), width
    )
    lengths = torch.tensor([[len(row)] for row in rows])
    mask = (torch.arange(width) < lengths).long()
    with torch.no_grad():
        return model(input_ids=ids, attention_mask=mask).logits


def test_padding_changes_no_prediction(student, texts):
    model, tokeniser = student
    batch = ask(model, tokeniser, texts)
    # What stands in the padding does not matter either; a transformer is given the padding that it was made for.
    padded = ask(model, tokeniser, texts, more=7, pad=5)
    assert torch.isfinite(batch).all()
    torch.testing.assert_close(batch, padded, atol=1e-5, rtol=1e-5)
    for row, text in enumerate(texts):
        if len(tokeniser(text)["input_ids"]) or "Bert" not in type(model).__name__:
            torch.testing.assert_close(
                ask(model, tokeniser, [text]), batch[row : row + 1], atol=1e-5, rtol=1e-5
            )


def test_same_seed_same_weights_other_seed_others(tokeniser, teacher, labels, student):
    for kind, values in STUDENTS.values():
        settings = models.settings_for(kind, values)
        one, again, other = (
            models.build(
                kind, settings, labels=labels, tokeniser=tokeniser, teacher=teacher, seed=seed
            ).state_dict()
            for seed in (1, 1, 2)
        )
        assert all(torch.equal(one[name], again[name]) for name in one)
        assert any(not torch.equal(one[name], other[name]) for name in one)


def test_building_leaves_other_random_numbers_alone(tokeniser, labels):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    models.build("static", static.tiny(), labels=labels, tokeniser=tokeniser, teacher=None, seed=1)
    assert torch.equal(torch.rand(3), expected)


def test_saved_as_safetensors_and_loaded_by_the_auto_class(student, texts, labels, tmp_path):
    model, tokeniser = student
    model.save_pretrained(tmp_path)
    tokeniser.save_pretrained(tmp_path)
    assert (tmp_path / "model.safetensors").is_file()
    loaded = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    assert type(loaded) is type(model)
    assert loaded.config.id2label == dict(enumerate(labels))
    torch.testing.assert_close(
        ask(loaded, tokeniser, texts), ask(model, tokeniser, texts), atol=1e-6, rtol=1e-5
    )
    again = AutoTokenizer.from_pretrained(tmp_path)
    assert [again(text)["input_ids"] for text in texts] == [tokeniser(text)["input_ids"] for text in texts]


def test_pipeline_answers(student, texts, labels, tmp_path):
    model, tokeniser = student
    model.save_pretrained(tmp_path)
    tokeniser.save_pretrained(tmp_path)
    answers = pipeline("text-classification", str(tmp_path), device="cpu")([texts[0], texts[3]])
    expected = ask(model, tokeniser, [texts[0], texts[3]]).softmax(-1)
    assert [answer["label"] for answer in answers] == [labels[row.argmax()] for row in expected]
    torch.testing.assert_close(torch.tensor([a["score"] for a in answers]), expected.amax(1))


def test_labels_give_the_loss_of_transformers_trainer(student, tokeniser):
    model, own = student
    inputs = own(["the film", "good"], padding=True, return_tensors="pt")
    inputs.pop("token_type_ids", None)
    gold = torch.tensor([1, 2])
    output = model(**inputs, labels=gold)
    torch.testing.assert_close(output.loss, nn.functional.cross_entropy(output.logits, gold))


def packed_reference(model, ids, mask):
    """The same network on PyTorch's own two-way LSTM over packed sentences."""
    config = model.config
    reference = nn.LSTM(
        config.embedding_size,
        config.hidden_size,
        config.num_hidden_layers,
        batch_first=True,
        bidirectional=True,
    )
    weights = {}
    for directions, ending in ((model.forward_lstms, ""), (model.backward_lstms, "_reverse")):
        for number, layer in enumerate(directions):
            for name, value in layer.named_parameters():
                weights[f"{name.removesuffix('l0')}l{number}{ending}"] = value
    lengths = mask.sum(1)
    packed = pack_padded_sequence(model.embeddings(ids), lengths, batch_first=True, enforce_sorted=False)
    output, (last, _) = torch.func.functional_call(reference, weights, (packed,))
    states, _ = pad_packed_sequence(output, batch_first=True, total_length=ids.shape[1])
    if config.pooling == "last":
        summary = torch.cat((last[-2], last[-1]), -1)
    else:
        rows = [row[:length] for row, length in zip(states, lengths, strict=True)]
        if config.pooling == "mean":
            summary = torch.stack([row.mean(0) for row in rows])
        elif config.pooling == "max":
            summary = torch.stack([row.amax(0) for row in rows])
        else:
            summary = torch.stack([(model.attention(row).softmax(0) * row).sum(0) for row in rows])
    return model.classifier(model.hidden(summary).relu())


@pytest.mark.parametrize("pooling", ["last", "max", "mean", "attention"])
@pytest.mark.parametrize("layers", [1, 2])
@effort(max_examples=10, deadline=None)
@given(lengths=st.lists(st.integers(1, 9), min_size=1, max_size=5), seed=st.integers(0, 99))
def test_bilstm_is_pytorchs_two_way_lstm_over_packed_sentences(pooling, layers, lengths, seed):
    torch.manual_seed(seed)
    config = BiLSTMConfig(
        vocab_size=11, embedding_size=5, hidden_size=4, relu_size=6, pooling=pooling, num_hidden_layers=layers
    )
    model = bilstm.BiLSTMForSequenceClassification(config).eval()
    width = max(lengths)
    ids = torch.randint(0, 11, (len(lengths), width))
    mask = (torch.arange(width) < torch.tensor(lengths)[:, None]).long()
    ours = model(ids, mask).logits
    theirs = packed_reference(model, ids, mask)
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-5)
    parameters = list(model.parameters())
    weight = torch.randn_like(ours)
    mine = torch.autograd.grad((ours * weight).sum(), parameters)
    expected = torch.autograd.grad((theirs * weight).sum(), parameters)
    torch.testing.assert_close(mine, expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("weighted", [False, True])
def test_static_is_the_mean_of_each_sentence_by_itself(weighted):
    config = StaticConfig(vocab_size=11, embedding_size=5, relu_size=6, token_weights=weighted)
    model = static.StaticForSequenceClassification(config).eval()
    if weighted:
        assert not model.token_weights.weight.any()
        nn.init.normal_(model.token_weights.weight)
    sentences = [[1, 2, 3], [4], [5, 5, 6, 7]]
    ids = torch.tensor([row + [9] * (4 - len(row)) for row in sentences])
    mask = torch.tensor([[1] * len(row) + [0] * (4 - len(row)) for row in sentences])
    for row, logits in zip(sentences, model(ids, mask).logits, strict=True):
        embedded = model.embeddings.weight[row]
        share = (
            model.token_weights.weight[row].softmax(0)
            if weighted
            else torch.full((len(row), 1), 1 / len(row))
        )
        hidden = model.hidden((share * embedded).sum(0)).relu()
        torch.testing.assert_close(logits, model.classifier(hidden))


@pytest.mark.parametrize("kind", ["bilstm", "static"])
def test_a_batch_of_empty_sentences_is_answered(kind, tokeniser, labels):
    settings = models.settings_for(kind, {"embeddings": "random", "dimension": 8})
    model = models.build(kind, settings, labels=labels, tokeniser=tokeniser, teacher=None, seed=1).eval()
    nothing = torch.zeros(2, 0, dtype=torch.long)
    padded = torch.zeros(2, 3, dtype=torch.long)
    expected = model.classifier(model.hidden(torch.zeros(2, model.hidden.in_features)).relu())
    torch.testing.assert_close(model(nothing, nothing).logits, expected)
    torch.testing.assert_close(model(padded, padded).logits, expected)
    model.train()
    model(nothing, nothing).logits.sum().backward()


def test_word_dropout_hides_tokens_in_training_alone(tokeniser, labels):
    for kind in ("bilstm", "static"):
        quiet = {
            "embeddings": "random",
            "dimension": 8,
            "dropout": 0,
            "embedding_dropout": 0,
            "word_dropout": 0.5,
        }
        model = models.build(
            kind, models.settings_for(kind, quiet), labels=labels, tokeniser=tokeniser, teacher=None, seed=1
        )
        ids = torch.arange(5, 15).repeat(1, 1)
        torch.manual_seed(0)
        model.train()
        noisy = [model(ids).logits for _ in range(2)]
        assert not torch.equal(*noisy)
        model.eval()
        assert torch.equal(model(ids).logits, model(ids).logits)


def test_hidden_tokens_become_the_mask_token_or_the_unknown_one(tokeniser, labels):
    settings = bilstm.tiny()
    assert (
        bilstm.build(settings, labels=labels, tokeniser=tokeniser, teacher=None).config.word_dropout_id == 4
    )
    words = models.tokeniser_for(settings, teacher_tokeniser=None, texts=["a film"])
    assert bilstm.build(settings, labels=labels, tokeniser=words, teacher=None).config.word_dropout_id == 1


def test_forget_gates_start_open_also_beside_loaded_weights(tokeniser, labels, tmp_path):
    model = models.build("bilstm", bilstm.tiny(), labels=labels, tokeniser=tokeniser, teacher=None, seed=1)
    units = model.config.hidden_size
    assert (model.forward_lstms[0].bias_hh_l0[units : 2 * units] == 1).all()
    with torch.no_grad():
        model.forward_lstms[0].bias_hh_l0.fill_(0.25)
    model.save_pretrained(tmp_path)
    loaded = bilstm.BiLSTMForSequenceClassification.from_pretrained(tmp_path)
    assert (loaded.forward_lstms[0].bias_hh_l0 == 0.25).all()


def test_layers_of_the_teacher_are_copied(tokeniser, teacher, labels):
    settings = models.settings_for("transformer", {"from_teacher": [3, 1]})
    student = models.build(
        "transformer", settings, labels=labels, tokeniser=tokeniser, teacher=teacher, seed=1
    )
    assert type(student) is BertForSequenceClassification
    theirs, ours = teacher.bert.state_dict(), student.bert.state_dict()
    for name, value in ours.items():
        for mine, its in ((0, 3), (1, 1)):
            name = name.replace(f"encoder.layer.{mine}.", f"encoder.layer.@{its}.")
        assert torch.equal(value, theirs[name.replace("@", "")]), name
    assert not torch.equal(student.classifier.weight, teacher.classifier.weight)
    with torch.no_grad():
        student.bert.pooler.dense.weight.zero_()
    assert teacher.bert.pooler.dense.weight.any()  # a copy, not a view


def test_all_layers_and_the_classifier_make_the_teacher_again(tokeniser, teacher, labels, texts):
    settings = models.settings_for("transformer", {"from_teacher": [0, 1, 2, 3]})
    student = models.build(
        "transformer", settings, labels=labels, tokeniser=tokeniser, teacher=teacher, seed=1
    ).eval()
    student.classifier.load_state_dict(teacher.classifier.state_dict())
    assert torch.equal(ask(student, tokeniser, texts), ask(teacher, tokeniser, texts))


def test_a_transformer_from_scratch_takes_what_is_not_said_from_the_teacher(tokeniser, teacher, labels):
    def shape(**values):
        settings = models.settings_for("transformer", values)
        model = models.build(
            "transformer", settings, labels=labels, tokeniser=tokeniser, teacher=teacher, seed=1
        )
        config = model.config
        return (
            config.num_hidden_layers,
            config.hidden_size,
            config.num_attention_heads,
            config.intermediate_size,
            config.hidden_dropout_prob,
        )

    assert shape() == (4, 16, 2, 32, 0.1)
    assert shape(layers=2, dropout=0.2) == (2, 16, 2, 32, 0.2)
    assert shape(hidden_size=24) == (4, 24, 3, 96, 0.1)
    assert shape(hidden_size=12, heads=4, intermediate=7) == (4, 12, 4, 7, 0.1)


def test_other_families_are_made_too(tokeniser, teacher, labels, texts):
    for family, width in (("distilbert", "dim"), ("roberta", "hidden_size"), ("electra", "hidden_size")):
        values = {"family": family, "layers": 1, "hidden_size": 12, "heads": 2, "intermediate": 20}
        settings = models.settings_for("transformer", values)
        model = models.build(
            "transformer", settings, labels=labels, tokeniser=tokeniser, teacher=teacher, seed=1
        )
        assert getattr(model.config, width) == 12
        assert model.config.vocab_size == len(tokeniser)
        assert torch.isfinite(ask(model.eval(), tokeniser, texts[:2])).all()


@pytest.mark.parametrize(
    ("kind", "values", "with_teacher", "sentence"),
    [
        ("bi-lstm", {}, True, "'student.kind': no student 'bi-lstm'. Did you mean 'bilstm'?"),
        (
            "qqq",
            {},
            True,
            "'student.kind': no student 'qqq'. There are: bilstm, siamese, static, transformer, forest.",
        ),
        ("bilstm", {"hiden": 3}, True, "unknown key 'student.hiden'. Did you mean 'hidden'?"),
        (
            "bilstm",
            {"pooling": "median"},
            True,
            "'student.pooling': input should be 'last', 'max', 'mean' or 'attention'",
        ),
        (
            "bilstm",
            {"embeddings": "teacher"},
            False,
            "'student.embeddings': a file of answers has no embeddings to start from. "
            "Choose embeddings: random, or a word-vector file.",
        ),
        (
            "static",
            {"embeddings": "teacher", "tokeniser": "words"},
            True,
            "embeddings 'teacher' are of the teacher's pieces; they need tokeniser 'teacher'",
        ),
        (
            "static",
            {"words": "w.txt"},
            True,
            "'words' is the word list of a word-vector file, and 'embeddings' names none",
        ),
        (
            "static",
            {"dimension": 17},
            True,
            "'student.dimension': 17 asked for, and the teacher's embeddings are 16 wide. Choose 16 or fewer, or null.",
        ),
        (
            "transformer",
            {"from_teacher": [0, 4]},
            True,
            "'student.from_teacher': no layer 4; the teacher has layers 0 to 3.",
        ),
        (
            "transformer",
            {"from_teacher": [0]},
            False,
            "'student.from_teacher': a file of answers has no layers to start from. Give layers, hidden_size and heads instead.",
        ),
        (
            "transformer",
            {"from_teacher": [0], "layers": 2},
            True,
            "'from_teacher' lists 1, and 'layers' is 2",
        ),
        ("transformer", {"from_teacher": []}, True, "'from_teacher' lists no layer"),
        (
            "transformer",
            {"hidden_size": 15, "heads": 2},
            True,
            "'student.hidden_size': 15 is no multiple of 2 heads. Choose 'heads' that divide it.",
        ),
        (
            "transformer",
            {"family": "berd"},
            True,
            "'student.family': transformers knows no 'berd'. Try bert.",
        ),
    ],
)
def test_bad_settings_are_told_in_a_sentence(
    kind, values, with_teacher, sentence, tokeniser, teacher, labels
):
    with pytest.raises(LimbeckError) as caught:
        models.build(
            kind,
            models.settings_for(kind, values),
            labels=labels,
            tokeniser=tokeniser,
            teacher=teacher if with_teacher else None,
            seed=1,
        )
    assert sentence in str(caught.value)


def test_kinds_have_settings_that_take_seconds(tokeniser, teacher, labels):
    from importlib import import_module

    for kind in models.kinds():
        settings = import_module(f"limbeck.models.{kind}").tiny()
        model = models.build(kind, settings, labels=labels, tokeniser=tokeniser, teacher=teacher, seed=1)
        assert model.num_parameters() < 20_000


def teacher_of(family, size):
    config = {"vocab_size": size, "hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2}
    if family == "distilbert":
        config = {"vocab_size": size, "dim": 16, "n_layers": 3, "n_heads": 2, "hidden_dim": 32}
    torch.manual_seed(0)
    return AutoModelForSequenceClassification.from_config(AutoConfig.for_model(family, **config)).eval()


@pytest.mark.parametrize("family", ["distilbert", "roberta", "electra"])
def test_layers_of_other_families_are_copied(family, tokeniser, labels):
    teacher = teacher_of(family, len(tokeniser))
    settings = models.settings_for("transformer", {"from_teacher": [2]})
    student = models.build(
        "transformer", settings, labels=labels, tokeniser=tokeniser, teacher=teacher, seed=1
    )
    assert type(student) is type(teacher)
    theirs = {
        name.replace("layer.2.", "layer.0."): value for name, value in teacher.base_model.state_dict().items()
    }
    for name, value in student.base_model.state_dict().items():
        assert torch.equal(value, theirs[name]), name


def test_a_family_that_shares_its_layers_is_told(tokeniser, labels):
    teacher = teacher_of("albert", len(tokeniser))
    settings = models.settings_for("transformer", {"from_teacher": [0, 2]})
    with pytest.raises(
        LimbeckError, match="AlbertModel has no list of layers to choose from. Train one from scratch"
    ):
        models.build("transformer", settings, labels=labels, tokeniser=tokeniser, teacher=teacher, seed=1)


def test_a_family_that_classifies_no_text_is_told(tokeniser, labels):
    settings = models.settings_for("transformer", {"family": "vit"})
    with pytest.raises(LimbeckError, match="'student': no vit of this shape can be made: "):
        models.build("transformer", settings, labels=labels, tokeniser=tokeniser, teacher=None, seed=1)
