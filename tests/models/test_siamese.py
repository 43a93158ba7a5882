"""The siamese student of pairs: its formula, the sides of all kinds of tokenisers, batches, ONNX."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings as effort, strategies as st
from tokenizers import Tokenizer, models as pieces, pre_tokenizers, processors
from torch import nn
from transformers import AutoModelForSequenceClassification, PreTrainedTokenizerFast, pipeline

from limbeck import models
from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.recipe import Export
from limbeck.models.configs import SiameseConfig
from limbeck.models.export import export
from limbeck.models.outputs import predict
from limbeck.models.siamese import SiameseForSequenceClassification, tiny
from limbeck.models.sides import apart, places_of_sides
from limbeck.serve.bundle import Bundle
from limbeck.text.encode import encode
from limbeck.text.tokeniser import word_tokeniser

pytestmark = pytest.mark.unit

WORDS = ("the", "film", "was", "good", "bad", "a", "story", "long")
SPECIAL = {
    "bert": ("[CLS]", "[SEP]"),
    "roberta": ("<s>", "</s>"),
    "t5": (None, "</s>"),
    "words": (None, None),
}
PAIRS = [
    ("the film was good", "a story"),
    ("good", "the story was long the film was good a story was bad"),
    ("", "film"),
    ("film", ""),
    ("the film", "the film"),
    ("the long long story was bad", "good"),
]
SMALL = {"embeddings": "random", "dimension": 8, "hidden": 6, "relu": 5}
STUDENTS = {
    "last": SMALL,
    "max, two layers": {**SMALL, "pooling": "max", "layers": 2},
    "mean": {**SMALL, "pooling": "mean"},
    "attention": {**SMALL, "pooling": "attention"},
    "static": {**SMALL, "pooling": "mean", "layers": 0},
    "static attention": {**SMALL, "pooling": "attention", "layers": 0},
}

KINDS = [(family, SMALL) for family in SPECIAL] + [("bert", values) for values in STUDENTS.values()][1:]


def tokeniser_like(family: str) -> PreTrainedTokenizerFast:
    """Whole words, put together as a family's tokenisers do."""
    if family == "words":
        return word_tokeniser(WORDS, sides=True)
    start, end = SPECIAL[family]
    names = ["[PAD]", "[UNK]", *filter(None, (start, end)), *WORDS]
    backend = Tokenizer(pieces.WordLevel({name: n for n, name in enumerate(names)}, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    before = f"{start} " if start else ""
    between = f" {end} {end} $B {end}" if family == "roberta" else f" {end} $B:1 {end}:1"
    backend.post_processor = processors.TemplateProcessing(
        single=f"{before}$A {end}",
        pair=f"{before}$A{between if family != 't5' else f' {end} $B {end}'}",
        special_tokens=[(name, names.index(name)) for name in (start, end) if name],
    )
    typed = ["token_type_ids"] if family == "bert" else []
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="[PAD]", unk_token="[UNK]",
        **({"cls_token": start} if start else {}), sep_token=end,
        model_input_names=["input_ids", "attention_mask", *typed],
    )  # fmt: skip


def student_of(tokeniser, values, labels=("no", "yes")) -> SiameseForSequenceClassification:
    settings = models.settings_for("siamese", values)
    model = models.build("siamese", settings, labels=labels, tokeniser=tokeniser, teacher=None, seed=3).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)) * 0.3)
    return model


def logits_of(model, tokeniser, pairs, max_length=64):
    examples = [Example(str(n), first, second=second) for n, (first, second) in enumerate(pairs)]
    return predict(model, encode(tokeniser, examples, None, max_length))


def by_hand(model, ids) -> np.ndarray:
    """What Tang et al. make of the ids of two texts, each through PyTorch's own two-way LSTM by itself."""
    config = model.config
    lstm = nn.LSTM(config.embedding_size, config.hidden_size, batch_first=True, bidirectional=True)
    weights = {}
    for directions, ending in ((model.forward_lstms, ""), (model.backward_lstms, "_reverse")):
        weights |= {f"{name}{ending}": value for name, value in directions[0].named_parameters()}
    with torch.no_grad():
        sides = []
        for side in ids:
            if not side:
                sides.append(np.zeros(2 * config.hidden_size, np.float32))
                continue
            _, (last, _) = torch.func.functional_call(lstm, weights, (model.embeddings.weight[side][None],))
            sides.append(last[:, 0].flatten().numpy())
        u, v = sides
        w1, b1 = (p.numpy() for p in (model.hidden.weight, model.hidden.bias))
        w2, b2 = (p.numpy() for p in (model.classifier.weight, model.classifier.bias))
        return w2 @ np.maximum(w1 @ np.concatenate([u, v, u * v, np.abs(u - v)]) + b1, 0) + b2


@pytest.mark.parametrize("family", SPECIAL)
def test_logits_are_the_papers_of_each_text_by_itself(family):
    tokeniser = tokeniser_like(family)
    model = student_of(tokeniser, STUDENTS["last"])
    vocabulary = tokeniser.get_vocab()
    expected = [by_hand(model, [[vocabulary[w] for w in side.split()] for side in pair]) for pair in PAIRS]
    found = logits_of(model, tokeniser, PAIRS)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    alone = np.concatenate([logits_of(model, tokeniser, [pair]) for pair in PAIRS])
    np.testing.assert_allclose(alone, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("family", "values"), KINDS, ids=lambda given: given if isinstance(given, str) else ""
)
def test_padding_and_company_change_nothing(family, values):
    tokeniser = tokeniser_like(family)
    model = student_of(tokeniser, values)
    inputs = tokeniser(*map(list, zip(*PAIRS, strict=True)), padding=True, return_tensors="pt")
    wide = {name: nn.functional.pad(value, (0, 5)) for name, value in inputs.items()}
    wide["input_ids"][:, -5:] = 5  # what stands in the padding does not matter
    with torch.no_grad():
        batch, padded = model(**inputs).logits, model(**wide).logits
        turned = model(**{name: value.flip(0) for name, value in inputs.items()}).logits.flip(0)
    torch.testing.assert_close(batch, padded, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(batch, turned, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("family", SPECIAL)
@pytest.mark.parametrize("length", [6, 9])
def test_cutting_leaves_something_of_both_sides(family, length):
    tokeniser = tokeniser_like(family)
    model = student_of(tokeniser, SMALL)
    long = "the film was good a story"
    pairs = [(long, "bad"), ("bad", long), (long, long)]
    examples = [Example(str(n), first, second=second) for n, (first, second) in enumerate(pairs)]
    encoded = encode(tokeniser, examples, None, length)
    types = None if encoded.types is None else encoded.types
    for number in range(3):
        row = slice(*encoded.offsets[number : number + 2])
        ids = torch.from_numpy(encoded.tokens[row].astype(np.int64))[None]
        side = None if types is None else torch.from_numpy(types[row].astype(np.int64))[None]
        _, lengths = places_of_sides(
            ids, torch.ones_like(ids), side, model.config.separator_id, model.config.special_ids
        )
        assert (lengths > 0).all()
        added = tokeniser.num_special_tokens_to_add(pair=True)
        assert lengths.sum() == min(length - added, 7 if number < 2 else 12)


@effort(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=4), st.booleans())
def test_sides_are_cut_out_as_they_stand(sizes, typed):
    """[1] a.. [2] b.. [2], in which a side may hold the 1 in its midst, as where a person wrote it."""
    generator = np.random.default_rng(0)
    texts = [[generator.integers(3, 9, size).tolist() for size in pair] for pair in sizes]
    for side in (side for pair in texts for side in pair if len(side) > 2):
        side[1] = 1
    rows = [[1, *a, 2, *b, 2] for a, b in texts]
    width = max(map(len, rows)) + 1
    ids = torch.tensor([row + [0] * (width - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])
    types = torch.tensor([[0] * (len(a) + 2) + [1] * (width - len(a) - 2) for a, _ in texts])
    starts, lengths = places_of_sides(ids, mask, types if typed else None, 2, [1, 2])
    cut, real = apart(ids.unsqueeze(-1).float(), starts, lengths)
    found = [side[there.bool()].long().tolist() for side, there in zip(cut.squeeze(-1), real, strict=True)]
    assert found == [side for pair in texts for side in pair]


@pytest.mark.parametrize(
    ("family", "values"), KINDS, ids=lambda given: given if isinstance(given, str) else ""
)
def test_the_bundle_answers_as_pytorch_does(family, values, tmp_path):
    tokeniser = tokeniser_like(family)
    model = student_of(tokeniser, values)
    generator = np.random.default_rng(0)
    asked = PAIRS + [
        tuple(" ".join(generator.choice(WORDS, generator.integers(0, 20))) for _ in range(2))
        for _ in range(40)
    ]
    report = export(
        model, tokeniser, tmp_path, texts=asked, max_length=24, settings=Export(changed=0.3), card={}
    )
    assert report["pairs"]
    expected = logits_of(model, tokeniser, asked, max_length=24)
    scale = np.abs(expected).max()
    bundle = Bundle(tmp_path, "fp32", threads=1)
    assert ("token_type_ids" in bundle.reads) == (family in ("bert", "words"))
    np.testing.assert_allclose(bundle.logits(asked, batch_size=7), expected, atol=1e-5 * scale)
    one_by_one = np.concatenate([bundle.logits([pair]) for pair in asked])
    np.testing.assert_allclose(one_by_one, expected, atol=1e-5 * scale)
    assert np.abs(Bundle(tmp_path, threads=1).logits(asked) - expected).max() < 0.2 * scale


@pytest.mark.parametrize("family", SPECIAL)
def test_saved_and_asked_by_the_pipeline(family, tmp_path):
    tokeniser = tokeniser_like(family)
    model = student_of(tokeniser, STUDENTS["last"])
    model.save_pretrained(tmp_path)
    tokeniser.save_pretrained(tmp_path)
    loaded = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    assert type(loaded) is SiameseForSequenceClassification
    assert type(loaded.config) is SiameseConfig
    ask = pipeline("text-classification", str(tmp_path), device="cpu")
    told = [ask({"text": first, "text_pair": second}, top_k=None) for first, second in PAIRS]
    scores = [
        [next(s["score"] for s in one if s["label"] == label) for label in ("no", "yes")] for one in told
    ]
    expected = torch.from_numpy(logits_of(model, tokeniser, PAIRS)).softmax(-1)
    np.testing.assert_allclose(scores, expected, atol=1e-5)


def test_a_batch_without_tokens_is_answered():
    model = student_of(tokeniser_like("words"), SMALL)
    nothing = torch.zeros(2, 0, dtype=torch.long)
    expected = model.classifier(model.hidden(torch.zeros(2, model.hidden.in_features)).relu())
    torch.testing.assert_close(model(nothing, nothing, nothing).logits, expected)
    model.train()
    model(nothing, nothing, nothing).logits.sum().backward()


def test_hidden_words_do_not_move_the_sides():
    """Dropping words in training must not make a special token into text, nor text into one."""
    tokeniser = tokeniser_like("roberta")
    quiet = {**SMALL, "dropout": 0, "embedding_dropout": 0, "word_dropout": 0.9}
    model = student_of(tokeniser, quiet)
    model.config.word_dropout_id = tokeniser.convert_tokens_to_ids("</s>")
    inputs = tokeniser("the film was good", "a story", return_tensors="pt")
    seen = []
    model.read, read = lambda sides, mask: seen.append(mask.sum(1).tolist()) or read(sides, mask), model.read
    model.train()
    for _ in range(5):
        model(**inputs)
    assert seen == [[4, 2]] * 5


def test_a_tokeniser_that_parts_no_texts_is_refused():
    tokeniser = word_tokeniser(WORDS)
    with pytest.raises(
        LimbeckError, match="does not say where the second text begins. Set student.tokeniser to 'words'"
    ):
        models.build("siamese", tiny(), labels=("a", "b"), tokeniser=tokeniser, teacher=None, seed=1)


def test_a_word_tokeniser_is_made_to_tell():
    settings = models.settings_for("siamese", {**SMALL, "tokeniser": "words"})
    own = models.tokeniser_for(settings, teacher_tokeniser=None, texts=["the film", "a story"])
    assert "token_type_ids" in own.model_input_names
    model = models.build("siamese", settings, labels=("a", "b"), tokeniser=own, teacher=None, seed=1)
    assert model.config.reads_types


def test_a_length_without_room_for_both_texts_is_refused():
    tokeniser = tokeniser_like("roberta")
    with pytest.raises(
        LimbeckError, match="max_length 5 leaves no room beside the tokeniser's 4 special tokens"
    ):
        encode(tokeniser, [Example("1", "film", second="story")], None, 5)


def test_without_layers_there_is_no_last_state():
    with pytest.raises(LimbeckError, match="no states to take the last of: set 'pooling' to mean"):
        models.settings_for("siamese", {"layers": 0})


def test_the_page_of_a_bundle_of_scores_tells_of_pairs(tmp_path):
    from limbeck.models import siamese

    tokeniser = tokeniser_like("bert")
    model = models.build(
        "siamese",
        siamese.tiny(),
        labels=["score"],
        tokeniser=tokeniser,
        teacher=None,
        seed=1,
        task="regression",
    )
    export(model, tokeniser, tmp_path, texts=PAIRS, max_length=24, settings=Export(changed=1), card={})
    page = (tmp_path / "README.md").read_text()
    assert "model that gives texts a score, for pairs of texts" in page
    assert (
        'ScoreBundle("path/to/this/folder")' in page and 'predict([("The first text.", "The second.")' in page
    )
