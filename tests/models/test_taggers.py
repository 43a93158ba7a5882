"""Taggers: what they compute, that it does not depend on padding, and that they learn, load and answer."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torchcrf import CRF
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForTokenClassification,
    BertConfig,
    BertForTokenClassification,
    pipeline,
)

from limbeck import models
from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.objective import NO_GOLD
from limbeck.models.configs import BiLSTMTaggerConfig, TransformerTaggerConfig
from limbeck.models.heads import encoder_with_tag_head, load_tagger
from limbeck.models.outputs import predict_emissions, predict_tags, say
from limbeck.models.taggers import bilstm, transformer
from limbeck.models.taggers.head import TagHead
from limbeck.models.taggers.spelling import Spelling
from limbeck.models.taggers.tagger import Inputs, mean_of_word
from limbeck.structure.chain import log_score
from limbeck.text.encode import collate, encode
from limbeck.text.words import encode_words

pytestmark = pytest.mark.unit

TAGS = ("O", "B-X", "I-X", "B-Y", "I-Y")
SENTENCES = [
    ["films", "very", "greats"],
    ["bad"],
    [],
    ["not", "at", "all", "a", "longly", "story", ",", "zyzzyva", "\u200b"],
    ["fine", "dull", "movies", "."],
]
SMALL = {"dimension": 8, "hidden": 6}
TAGGERS = {
    "bilstm": ("bilstm", SMALL),
    "two layers": ("bilstm", {**SMALL, "layers": 2, "head": "softmax"}),
    "words": ("bilstm", {**SMALL, "embeddings": "random", "tokeniser": "words"}),
    "cnn": ("bilstm", {**SMALL, "spelling": "cnn", "spelling_size": 6}),
    "characters": ("bilstm", {**SMALL, "spelling": "bilstm", "spelling_size": 6}),
    "from teacher": ("transformer", {"from_teacher": [0, 2]}),
    "mean": ("transformer", {"layers": 1, "hidden_size": 8, "heads": 2, "pooling": "mean"}),
    "softmax": ("transformer", {"from_teacher": [1], "head": "softmax"}),
    "constrained": ("transformer", {"from_teacher": [1], "constrain": True}),
}


def examples(sentences, tags=None):
    tags = tags or [None] * len(sentences)
    return [
        Example(str(n), " ".join(words), words=tuple(words), tags=of)
        for n, (words, of) in enumerate(zip(sentences, tags, strict=True))
    ]


def build(kind, values, tokeniser, teacher, tags=TAGS, seed=3):
    settings = models.settings_for(kind, values, task="tagging")
    texts = [" ".join(words) for words in SENTENCES]
    own = models.tokeniser_for(settings, teacher_tokeniser=tokeniser, texts=texts, task="tagging")
    model = models.build(
        kind, settings, labels=tags, tokeniser=own, teacher=teacher, seed=seed, task="tagging"
    )
    return model.eval(), own


def shaken(model):
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return model


@pytest.fixture(params=TAGGERS, scope="module")
def tagger(request, tokeniser, teacher):
    model, own = build(*TAGGERS[request.param], tokeniser, teacher)
    return shaken(model), own


def padded(inputs, more):
    wider = dict(inputs)
    for name, value, by in (("input_ids", 5, (0, more)), ("attention_mask", 0, (0, more))):
        wider[name] = nn.functional.pad(inputs[name], by, value=value)
    for name in ("word_starts", "word_ends"):
        wider[name] = nn.functional.pad(inputs[name], (0, more), value=-1)
    wider["word_bytes"] = nn.functional.pad(inputs["word_bytes"], (0, more, 0, more))
    return wider


def test_padding_changes_no_emission(tagger):
    model, tokeniser = tagger
    encoded = encode_words(tokeniser, examples(SENTENCES), None, 20)
    inputs = collate(encoded, np.arange(len(SENTENCES))).inputs
    with torch.no_grad():
        batch, wider = model(**inputs).logits, model(**padded(inputs, 4)).logits
        for row, words in enumerate(SENTENCES):
            alone = model(**collate(encoded, np.array([row])).inputs).logits
            for other in (alone[0], wider[row]):
                torch.testing.assert_close(
                    batch[row, : len(words)], other[: len(words)], atol=1e-5, rtol=1e-5
                )
    assert batch.shape == (5, 9, len(TAGS))
    flat, offsets = predict_emissions(model, encoded, tokens_per_batch=24)
    assert offsets.tolist() == [0, 3, 4, 4, 13, 17]
    for row, words in enumerate(SENTENCES):
        np.testing.assert_allclose(flat[offsets[row] : offsets[row + 1]], batch[row, : len(words)], atol=1e-5)


def test_saved_and_loaded_by_the_auto_class(tagger, tmp_path):
    model, tokeniser = tagger
    model.save_pretrained(tmp_path)
    tokeniser.save_pretrained(tmp_path)
    assert (tmp_path / "model.safetensors").is_file()
    loaded, report = AutoModelForTokenClassification.from_pretrained(tmp_path, output_loading_info=True)
    assert type(loaded) is type(model)
    assert not any(report.values())
    assert loaded.config.id2label == dict(enumerate(TAGS))
    assert loaded.config.to_dict() == AutoConfig.from_pretrained(tmp_path).to_dict()
    encoded = encode_words(tokeniser, examples(SENTENCES), None, 20)
    np.testing.assert_allclose(
        predict_emissions(loaded, encoded)[0], predict_emissions(model, encoded)[0], atol=1e-6
    )
    for one, other in zip(predict_tags(loaded, encoded), predict_tags(model, encoded), strict=True):
        assert np.array_equal(one, other)
    state, other = model.state_dict(), loaded.state_dict()
    assert all(torch.equal(state[name], other[name]) for name in state)


@pytest.mark.parametrize("family", ["bert", "distilbert", "roberta", "electra"])
def test_a_token_classifier_of_transformers_tags_words_by_their_first_tokens(family, tokeniser, tmp_path):
    config = AutoConfig.for_model(
        family, vocab_size=len(tokeniser), hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=8, max_position_embeddings=40, n_layers=1, n_heads=2, dim=8, hidden_dim=8,
        id2label=dict(enumerate(TAGS)), label2id={tag: n for n, tag in enumerate(TAGS)},
    )  # fmt: skip
    theirs = shaken(AutoModelForTokenClassification.from_config(config)).eval()
    theirs.save_pretrained(tmp_path)
    ours = load_tagger(tmp_path)
    encoded = encode_words(tokeniser, examples(SENTENCES), None, 30)
    inputs = collate(encoded, np.arange(len(SENTENCES))).inputs
    with torch.no_grad():
        tokens = theirs(inputs["input_ids"], attention_mask=inputs["attention_mask"]).logits
    flat, offsets = predict_emissions(ours, encoded)
    for row, words in enumerate(SENTENCES):
        starts = inputs["word_starts"][row, : len(words)]
        np.testing.assert_allclose(flat[offsets[row] : offsets[row + 1]], tokens[row, starts], atol=1e-5)
    best = tokens.argmax(-1)
    for row, tags in enumerate(predict_tags(ours, encoded)):
        assert tags.tolist() == best[row, inputs["word_starts"][row, : len(tags)]].tolist()


def test_a_token_classifier_that_scores_otherwise_is_refused(tmp_path):
    class Odd(BertForTokenClassification):
        def forward(self, *args, **keys):
            output = super().forward(*args, **keys)
            output.logits = output.logits * 2
            return output

    odd = Odd(BertConfig(vocab_size=9, hidden_size=8, num_hidden_layers=1, num_attention_heads=2))
    with pytest.raises(LimbeckError, match="Odd does not score tokens by one linear layer"):
        transformer.of_token_classifier(odd)


def test_pipeline_tags_tokens(tagger, tmp_path):
    model, tokeniser = tagger
    model.save_pretrained(tmp_path)
    tokeniser.save_pretrained(tmp_path)
    ask = pipeline("token-classification", str(tmp_path), device="cpu", ignore_labels=[])
    if getattr(model, "spelling", None) is not None:
        with pytest.raises(
            LimbeckError, match="reads words' spelling, and was given tokens alone. Give it words"
        ):
            ask("the film")
        return
    answers = ask("the film was very good")
    ids = tokeniser("the film was very good", return_tensors="pt")["input_ids"]
    with torch.no_grad():
        scores = model(ids).logits[0].softmax(-1)
    if tokeniser.cls_token:
        scores = scores[1:-1]  # the pipeline leaves special tokens out
    assert [answer["entity"] for answer in answers] == [TAGS[row.argmax()] for row in scores]
    np.testing.assert_allclose([answer["score"] for answer in answers], scores.amax(1), rtol=1e-4)


def test_same_seed_same_weights(tokeniser, teacher):
    for kind, values in TAGGERS.values():
        one, again, other = (
            build(kind, values, tokeniser, teacher, seed=n)[0].state_dict() for n in (1, 1, 2)
        )
        assert all(torch.equal(one[name], again[name]) for name in one)
        assert any(not torch.equal(one[name], other[name]) for name in one)


def batch_with_gold(tokeniser, seed=0):
    random = np.random.default_rng(seed)
    tags = [tuple(random.choice(TAGS, len(words))) for words in SENTENCES]
    encoded = encode_words(tokeniser, examples(SENTENCES, tags), TAGS, 20)
    return collate(encoded, np.array([0, 1, 3, 4]))


def test_loss_and_gradients_are_those_of_pytorch_crf(tokeniser, teacher):
    model = shaken(build("bilstm", SMALL, tokeniser, teacher)[0])
    batch = batch_with_gold(tokeniser)
    reference = CRF(len(TAGS), batch_first=True)
    reference.transitions, reference.start_transitions, reference.end_transitions = (
        model.head.transitions,
        model.head.start,
        model.head.end,
    )
    output = model(**batch.inputs, labels=batch.gold)
    mask = batch.gold != NO_GOLD
    expected = -reference(output.logits, batch.gold.clamp(min=0), mask=mask, reduction="mean")
    torch.testing.assert_close(output.loss, expected)
    parameters = list(model.parameters())
    ours = torch.autograd.grad(output.loss, parameters, retain_graph=True)
    theirs = torch.autograd.grad(expected, parameters)
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-4)
    assert ours[[name for name, _ in model.named_parameters()].index("head.transitions")].abs().max() > 0.01
    with torch.no_grad():
        paths = reference.decode(output.logits, mask=mask)
    encoded = encode_words(tokeniser, examples([SENTENCES[n] for n in (0, 1, 3, 4)]), None, 20)
    assert [tags.tolist() for tags in predict_tags(model, encoded)] == paths


def test_a_softmax_head_is_independent_words(tokeniser, teacher):
    model = shaken(build("transformer", {"from_teacher": [1], "head": "softmax"}, tokeniser, teacher)[0])
    assert {name for name, _ in model.head.named_parameters()} == {"emissions.weight", "emissions.bias"}
    batch = batch_with_gold(tokeniser)
    output = model(**batch.inputs, labels=batch.gold)
    summed = nn.functional.cross_entropy(
        output.logits.flatten(0, 1), batch.gold.flatten(), ignore_index=NO_GOLD, reduction="sum"
    )
    torch.testing.assert_close(output.loss, summed / 4)
    encoded = encode_words(tokeniser, examples(SENTENCES), None, 20)
    flat, offsets = predict_emissions(model, encoded)
    for row, tags in enumerate(predict_tags(model, encoded)):
        assert np.array_equal(tags, flat[offsets[row] : offsets[row + 1]].argmax(1))


def test_sentences_without_gold_count_nothing(tokeniser, teacher):
    model = shaken(build("bilstm", SMALL, tokeniser, teacher)[0])
    batch = batch_with_gold(tokeniser)
    whole = model(**batch.inputs, labels=batch.gold).loss
    hidden = batch.gold.clone()
    hidden[1] = NO_GOLD
    rest = {name: value[[0, 2, 3]] for name, value in batch.inputs.items()}
    expected = model(**rest, labels=batch.gold[[0, 2, 3]]).loss
    found = model(**batch.inputs, labels=hidden).loss
    torch.testing.assert_close(found, expected)
    assert not torch.isclose(found, whole)
    assert model(**batch.inputs, labels=torch.full_like(hidden, NO_GOLD)).loss == 0


@pytest.mark.parametrize("place", [(0, 1), (0, 0), (2, 8)])
def test_gold_for_some_words_only_is_refused(place, tokeniser, teacher):
    model, _ = build("bilstm", SMALL, tokeniser, teacher)
    batch = batch_with_gold(tokeniser)
    batch.gold[place] = NO_GOLD
    with pytest.raises(LimbeckError, match="gold tags are there for some words of a sentence only"):
        model(**batch.inputs, labels=batch.gold)


def valid(path):
    before = "O"
    for tag in path:
        if tag.startswith("I-") and before[2:] != tag[2:]:
            return False
        before = tag
    return True


@pytest.mark.parametrize("head", ["chain", "softmax"])
@pytest.mark.parametrize("constrain", [False, True])
def test_decoding_is_the_best_of_all_paths_and_iob2_where_asked(head, constrain, tokeniser, teacher):
    values = {"from_teacher": [1], "head": head, "constrain": constrain}
    model = shaken(build("transformer", values, tokeniser, teacher)[0])
    with torch.no_grad():
        model.head.emissions.bias.copy_(torch.tensor([0.0, 0.0, 3.0, 0.0, 2.0]))  # tempts to I- anywhere
    sentences = [words[:4] for words in SENTENCES]
    encoded = encode_words(tokeniser, examples(sentences), None, 20)
    inputs = collate(encoded, np.arange(len(sentences))).inputs
    with torch.no_grad():
        chain = say(model, inputs, frozenset({"potentials"})).potentials
    assert torch.isfinite(chain.transitions).all()  # training and teaching are not constrained
    broken = 0
    for row, (words, tags) in enumerate(zip(sentences, predict_tags(model, encoded), strict=True)):
        paths = [
            path
            for path in itertools.product(range(len(TAGS)), repeat=len(words))
            if not constrain or valid([TAGS[tag] for tag in path])
        ]
        every = torch.zeros(len(paths), chain.emissions.shape[1], dtype=torch.long)
        every[:, : len(words)] = torch.tensor(paths).view(len(paths), len(words))
        one = type(chain)(
            chain.emissions[row : row + 1].expand(len(paths), -1, -1),
            chain.transitions,
            torch.full((len(paths),), len(words)),
            chain.start,
            chain.end,
        )
        assert tuple(tags) == paths[int(log_score(one, every).argmax())]
        broken += not valid([TAGS[tag] for tag in tags])
    assert (broken == 0) == constrain


def test_words_cut_off_are_outside(tokeniser, teacher):
    for tags, nothing in ((TAGS, 0), (("B-X", "I-X", "O"), 2), (("noun", "verb"), 0)):
        model = shaken(build("bilstm", SMALL, tokeniser, teacher, tags)[0])
        encoded = encode_words(tokeniser, examples(SENTENCES), None, 6)
        found = predict_tags(model, encoded)
        assert [len(one) for one in found] == [3, 1, 0, 9, 4]
        assert encoded.words.kept.tolist() == [3, 1, 0, 4, 3]
        assert (found[3][4:] == nothing).all()
    assert predict_tags(model, encode_words(tokeniser, [], None, 6)) == []


def test_what_a_tagger_says(tokeniser, teacher):
    model, _ = build("transformer", {"from_teacher": [0, 2]}, tokeniser, teacher)
    inputs = collate(encode_words(tokeniser, examples(SENTENCES), None, 20), np.arange(5)).inputs
    tokens = inputs["input_ids"].shape[1]
    only = say(model, inputs, frozenset({"potentials"}))
    assert only.logits is only.hidden is only.mask is None
    assert only.potentials.lengths.tolist() == [3, 1, 0, 9, 4]
    assert only.potentials.transitions is model.head.transitions
    said = say(model, inputs, frozenset({"logits", "hidden", "attention", "embeddings", "potentials"}))
    torch.testing.assert_close(said.logits, only.potentials.emissions)
    assert [state.shape for state in said.hidden] == [(5, tokens, 16)] * 2
    assert [one.shape for one in said.attention] == [(5, 2, tokens, tokens)] * 2
    torch.testing.assert_close(said.embeddings, model.backbone.embeddings(inputs["input_ids"]))
    assert torch.equal(said.mask, inputs["attention_mask"])
    features = said.hidden[-1][torch.arange(5)[:, None], inputs["word_starts"].clamp(min=0)]
    torch.testing.assert_close(model.head(features)[0, :3], said.logits[0, :3])
    bi, _ = build("bilstm", {**SMALL, "layers": 2}, tokeniser, teacher)
    said = say(bi, inputs, frozenset({"hidden", "embeddings"}))
    assert [state.shape for state in said.hidden] == [(5, tokens, 12)] * 2
    assert torch.equal(said.embeddings, bi.embeddings(inputs["input_ids"]))


def test_what_is_no_tagger_and_what_has_no_words_is_told(tokeniser, teacher, texts):
    encoded = encode(tokeniser, [Example("0", texts[0])], None, 20)
    with pytest.raises(LimbeckError, match="a BertForSequenceClassification scores no tags of words"):
        say(teacher, collate(encoded, np.array([0])).inputs, frozenset({"potentials"}))
    model, _ = build("bilstm", SMALL, tokeniser, teacher)
    with pytest.raises(
        LimbeckError, match="a tagger needs sentences that are cut into words. Encode them with"
    ):
        predict_tags(model, encoded)


def test_mean_pooling_is_the_mean_over_a_words_tokens(tokeniser):
    inputs = collate(encode_words(tokeniser, examples(SENTENCES), None, 20), np.arange(5)).inputs
    states = torch.randn(*inputs["input_ids"].shape, 7)
    starts, ends = inputs["word_starts"], inputs["word_ends"]
    found = mean_of_word(states, Inputs(inputs["input_ids"], inputs["attention_mask"], starts, ends, None))
    for row, words in enumerate(SENTENCES):
        for word in range(len(words)):
            mine = states[row, starts[row, word] : ends[row, word] + 1]
            torch.testing.assert_close(found[row, word], mine.mean(0))
    assert (ends > starts).any()
    with pytest.raises(LimbeckError, match="needs 'word_starts' and 'word_ends'"):
        mean_of_word(states, Inputs(inputs["input_ids"], inputs["attention_mask"], starts, None, None))


@pytest.mark.parametrize("kind", ["cnn", "bilstm"])
def test_spelling_is_read_word_by_word(kind):
    torch.manual_seed(0)
    spelling = Spelling(kind, 5, 6)
    words = [b"film", b"a", b"", "é!".encode()]
    padded = torch.zeros(2, 2, 6, dtype=torch.uint8)
    for place, word in enumerate(words):
        padded[place // 2, place % 2, : len(word)] = torch.tensor(list(word), dtype=torch.uint8)
    found = spelling(padded).flatten(0, 1)
    assert not found[2].any()
    for place, word in enumerate(words):
        if not word:
            continue
        embedded = spelling.embeddings(torch.tensor([list(word)]))
        if kind == "cnn":
            expected = spelling.convolution(embedded.transpose(1, 2)).amax(2)[0]
        else:
            ahead, _ = spelling.forward_lstms[0](embedded)
            back, _ = spelling.backward_lstms[0](embedded.flip(1))
            expected = torch.cat((ahead[0, -1], back[0, -1]))
        torch.testing.assert_close(found[place], expected)


def test_spelling_reaches_all_tokens_of_its_word_and_no_other(tokeniser, teacher):
    model, _ = build("bilstm", {**SMALL, "spelling": "cnn", "spelling_size": 6}, tokeniser, teacher)
    inputs = collate(encode_words(tokeniser, examples([["films", "a"]]), None, 20), np.array([0])).inputs
    spelled = model._spelled(Inputs(*inputs.values()))[0]  # [CLS] film ##s a [SEP]
    expected = model.spelling(inputs["word_bytes"])[0]
    torch.testing.assert_close(spelled[1:4], expected[[0, 0, 1]])
    assert not spelled[[0, 4]].any()


def test_a_tokeniser_of_words_keeps_words_whole(tokeniser, teacher):
    settings = models.settings_for("bilstm", {"tokeniser": "words", "embeddings": "random"}, task="tagging")
    texts = ["U.S. and don't", "1996-08-22"]
    own = models.tokeniser_for(settings, teacher_tokeniser=tokeniser, texts=texts, task="tagging")
    encoded = encode_words(own, examples([text.split() for text in texts]), None, 20)
    assert own.convert_ids_to_tokens(encoded.tokens.tolist()) == ["u.s.", "and", "don't", "1996-08-22"]
    assert own(texts[0])["input_ids"] == encoded.tokens[:3].tolist()


def test_an_encoder_becomes_a_tagger(tokeniser, teacher, tmp_path):
    teacher.base_model.save_pretrained(tmp_path)
    tokeniser.save_pretrained(tmp_path)
    model, again, other = (encoder_with_tag_head(tmp_path, TAGS, seed) for seed in (1, 1, 2))
    theirs = AutoModel.from_pretrained(tmp_path, add_pooling_layer=False).state_dict()
    assert model.backbone.state_dict().keys() == theirs.keys()
    for name, value in theirs.items():
        assert torch.equal(model.backbone.state_dict()[name], value), name
    one, same, different = (m.head.emissions.weight for m in (model, again, other))
    assert torch.equal(one, same)
    assert not torch.equal(one, different)
    assert not model.head.transitions.any()
    assert model.get_input_embeddings() is model.backbone.embeddings.word_embeddings
    assert model.config.max_position_embeddings == 64
    settings = models.settings_for("transformer", {"encoder": str(tmp_path), "dropout": 0.2}, task="tagging")
    own = models.tokeniser_for(settings, teacher_tokeniser=None, texts=[], task="tagging")
    assert own.get_vocab() == tokeniser.get_vocab()
    student = models.build(
        "transformer", settings, labels=TAGS, tokeniser=own, teacher=None, seed=1, task="tagging"
    )
    assert student.backbone.config.hidden_dropout_prob == 0.2
    assert torch.equal(
        student.backbone.embeddings.word_embeddings.weight, theirs["embeddings.word_embeddings.weight"]
    )


def test_an_encoder_that_is_none_is_told(tokeniser, teacher, tmp_path):
    with pytest.raises(LimbeckError, match="no encoder can be loaded"):
        encoder_with_tag_head(tmp_path / "nowhere", TAGS, 1)
    build("bilstm", SMALL, tokeniser, teacher)[0].save_pretrained(tmp_path / "bilstm")
    with pytest.raises(LimbeckError, match="a BiLSTMForTokenClassification has no encoder inside"):
        encoder_with_tag_head(tmp_path / "bilstm", TAGS, 1)
    teacher.base_model.save_pretrained(tmp_path)
    weights = tmp_path / "model.safetensors"
    state = load_file(weights)
    save_file(
        {name: value for name, value in state.items() if "layer.1" not in name}, weights, {"format": "pt"}
    )
    with pytest.raises(LimbeckError, match="no weights for bert.encoder.layer.1.attention"):
        encoder_with_tag_head(tmp_path, TAGS, 1)
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(LimbeckError, match="no encoder can be loaded"):
        encoder_with_tag_head(tmp_path, TAGS, 1)


def test_a_taggers_encoder_can_be_taken_again(tokeniser, teacher, tmp_path):
    tagger, _ = build("transformer", {"from_teacher": [0]}, tokeniser, teacher)
    tagger.save_pretrained(tmp_path)
    tokeniser.save_pretrained(tmp_path)
    values = {"encoder": str(tmp_path), "dropout": 0.25, "head_dropout": 0.5}
    again, _ = build("transformer", values, tokeniser, None, ("noun", "verb"))
    theirs = tagger.backbone.state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in again.backbone.state_dict().items())
    assert again.backbone.config.hidden_dropout_prob == 0.25
    assert (again.config.dropout, again.config.encoder["hidden_dropout_prob"]) == (0.5, 0.25)


def test_layers_of_a_tagger_are_copied(tokeniser, teacher, tmp_path):
    teacher.base_model.save_pretrained(tmp_path)
    theirs = encoder_with_tag_head(tmp_path, TAGS, 1)
    student, _ = build("transformer", {"from_teacher": [3, 1]}, tokeniser, theirs)
    assert student.backbone.config.num_hidden_layers == 2
    ours, weights = student.backbone.state_dict(), theirs.backbone.state_dict()
    for name, value in ours.items():
        for mine, its in ((0, 3), (1, 1)):
            name = name.replace(f"encoder.layer.{mine}.", f"encoder.layer.@{its}.")
        assert torch.equal(value, weights[name.replace("@", "")]), name
    narrow, _ = build("bilstm", {"dimension": 16}, tokeniser, theirs)
    assert torch.equal(narrow.embeddings.weight, theirs.get_input_embeddings().weight)


@pytest.mark.parametrize("family", ["distilbert", "roberta", "electra", "albert", "deberta-v2"])
def test_other_families_tag_too(family, tokeniser, tmp_path):
    values = {"family": family, "layers": 1, "hidden_size": 12, "heads": 2, "intermediate": 20}
    model, _ = build("transformer", values, tokeniser, None)
    encoded = encode_words(tokeniser, examples(SENTENCES), None, 20)
    expected, _ = predict_emissions(model, encoded)
    assert np.isfinite(expected).all()
    model.save_pretrained(tmp_path)
    loaded = AutoModelForTokenClassification.from_pretrained(tmp_path)
    assert type(loaded.backbone) is type(model.backbone)
    np.testing.assert_allclose(predict_emissions(loaded, encoded)[0], expected, atol=1e-6)


TOY = {"film": "B-X", "movie": "B-X", "story": "B-Y", "good": "O", "bad": "O", "the": "O", "was": "O"}


def toy(seed, size):
    """A word after the beginning of a chunk, if it is ``very``, goes on with it; else it is outside."""
    random = np.random.default_rng(seed)
    sentences, tags = [], []
    for _ in range(size):
        words = random.choice([*TOY, "very", "very", "very"], random.integers(1, 9)).tolist()
        own, before = [], "O"
        for word in words:
            before = TOY.get(word) or ("O" if before == "O" else f"I-{before[2:]}")
            own.append(before)
        sentences.append(words)
        tags.append(tuple(own))
    return examples(sentences, tags)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("bilstm", {"dimension": 16, "hidden": 16}),
        ("bilstm", {"dimension": 4, "hidden": 16, "spelling": "cnn", "spelling_size": 12}),
        ("transformer", {"from_teacher": [0, 1], "dropout": 0.0, "head_dropout": 0.0}),
        (
            "transformer",
            {
                "from_teacher": [0, 1],
                "dropout": 0.0,
                "head_dropout": 0.0,
                "head": "softmax",
                "pooling": "mean",
            },
        ),
    ],
)
def test_a_toy_task_is_learnt(kind, values, tokeniser, teacher):
    torch.manual_seed(0)
    model, own = build(kind, values, tokeniser, teacher)
    train, test = (encode_words(own, toy(seed, size), TAGS, 20) for seed, size in ((1, 256), (2, 100)))
    optimiser = torch.optim.AdamW(model.parameters(), lr=5e-3)
    random = np.random.default_rng(0)
    model.train()
    for _ in range(250):
        batch = collate(train, random.choice(len(train), 32, replace=False))
        optimiser.zero_grad()
        model(**batch.inputs, labels=batch.gold).loss.backward()
        optimiser.step()
    accuracy = (np.concatenate(predict_tags(model, test)) == test.words.gold).mean()
    assert model.training
    assert accuracy > 0.95
    if model.config.head == "chain":
        assert model.head.transitions.abs().max() > 0.1


@pytest.mark.parametrize(
    ("kind", "values", "tags", "sentence"),
    [
        ("static", {}, TAGS, "'student.kind': no student 'static'. There are: bilstm, transformer."),
        ("bilstm", {"head": "crf"}, TAGS, "'student.head': input should be 'chain' or 'softmax'"),
        ("bilstm", {"pooling": "max"}, TAGS, "unknown key 'student.pooling'"),
        (
            "bilstm",
            {"spelling": "bilstm", "spelling_size": 5},
            TAGS,
            "'spelling_size' 5 is odd; a BiLSTM has two directions alike",
        ),
        (
            "bilstm",
            {"constrain": True},
            ("noun", "verb"),
            "'student.constrain' is for IOB2, and the tag 'noun' is not of it. Leave out 'constrain', or convert the tags.",
        ),
        (
            "transformer",
            {"constrain": True},
            ("O", "B-X", "I-Z"),
            "'student.constrain' is for IOB2, and the tag 'I-Z' is not of it.",
        ),
        (
            "transformer",
            {"encoder": "x", "layers": 2},
            TAGS,
            "'encoder' has a shape of its own; leave out layers",
        ),
        ("transformer", {"encoder": "x", "tokeniser": "words"}, TAGS, "'encoder' brings its tokeniser"),
        ("transformer", {"family": "vit"}, TAGS, "'student': no vit of this shape can be made: "),
    ],
)
def test_bad_settings_are_told_in_a_sentence(kind, values, tags, sentence, tokeniser, teacher):
    with pytest.raises(LimbeckError) as caught:
        build(kind, values, tokeniser, teacher, tags)
    assert sentence in str(caught.value)


def test_kinds_have_settings_that_take_seconds(tokeniser, teacher):
    assert models.kinds("tagging") == ["bilstm", "transformer"]
    for module in (bilstm, transformer):
        model = module.build(module.tiny(), labels=TAGS, tokeniser=tokeniser, teacher=teacher)
        assert model.num_parameters() < 20_000
        assert model.config.model_type in (BiLSTMTaggerConfig.model_type, TransformerTaggerConfig.model_type)


def test_a_head_starts_with_no_opinion_of_pairs():
    head = TagHead(4, TAGS)
    head.start_parameters()
    assert not any(scores.any() for scores in (head.transitions, head.start, head.end, head.emissions.bias))
    assert head.emissions.weight.abs().max() <= 0.5
