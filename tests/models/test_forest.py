from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import torch
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

from limbeck import models
from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.objective import Targets
from limbeck.core.recipe import Export
from limbeck.models.export import export
from limbeck.models.forest_graph import forest_graph
from limbeck.models.forest_told import feature_names, told
from limbeck.models.growing import estimators_of, featurise, grow
from limbeck.models.ngrams import base_of, digits_of, keys_in, tokens_of
from limbeck.serve.bundle import Bundle
from limbeck.text.encode import collate, encode

pytestmark = pytest.mark.unit

LABELS = ("bad", "good", "so-so")
WORDS = [f"word{number}" for number in range(25)]
KINDS = {
    "forest": {"trees": 12},
    "tree": {"trees": 1, "depth": 5},
    "few leaves": {"trees": 1, "leaves": 4},
    "counts": {"trees": 5, "values": "counts", "ngrams": (2, 3), "min_df": 1},
    "tfidf": {"trees": 5, "values": "tfidf"},
    "embeddings": {"trees": 5, "features": "embeddings", "embeddings": "random", "dimension": 6},
}


def sentences(count: int, seed: int = 0) -> list[str]:
    draw = np.random.default_rng(seed)
    return [" ".join(draw.choice(WORDS, size=draw.integers(1, 14))) for _ in range(count)]


def soft(texts: list[str], seed: int = 0) -> torch.Tensor:
    """Probabilities that depend on words, with noise."""
    draw = np.random.default_rng(seed)
    logits = draw.normal(size=(len(texts), len(LABELS)))
    for row, text in enumerate(texts):
        logits[row, 0] += 3 * ("word1 " in text)
        logits[row, 1] += 3 * ("word2" in text and "word3" in text)
    return torch.from_numpy(logits).float().softmax(-1)


def student(values, texts, seconds=(), targets=None, seed=1):
    """A grown student, its tokeniser, the texts as it reads them, and what was grown."""
    settings = models.settings_for("forest", values)
    known = [*texts, *seconds]
    own = models.tokeniser_for(settings, teacher_tokeniser=None, texts=known)
    examples = [Example(str(n), text, second=seconds[n] if seconds else None) for n, text in enumerate(texts)]
    encoded = encode(own, examples, None, 64)
    model = models.build("forest", settings, labels=LABELS, tokeniser=own, teacher=None, seed=seed)
    aims = targets or Targets(soft(texts))
    grown = grow(model, settings, encoded, aims, unknown=own.unk_token_id, seed=seed)
    return model.eval(), own, encoded, grown


@pytest.fixture(params=KINDS, scope="module")
def grown_student(request):
    return student(KINDS[request.param], sentences(300))


def logits_of(model, encoded):
    inputs = collate(encoded, np.arange(len(encoded))).inputs
    with torch.inference_mode():
        return model(**inputs).logits.numpy()


def test_answers_are_scikit_learns(grown_student):
    model, _, encoded, grown = grown_student
    expected = grown.estimator.predict(grown.features)
    assert model.config.nodes > len(grown.trees.roots)
    np.testing.assert_allclose(np.exp(logits_of(model, encoded)), expected.clip(1e-6), atol=2e-6)


def test_answers_on_new_text_are_scikit_learns(grown_student):
    model, tokeniser, _, grown = grown_student
    texts = [*sentences(100, seed=9), "never seen", "word1"]
    encoded = encode(tokeniser, [Example(str(n), text) for n, text in enumerate(texts)], None, 64)
    expected = grown.estimator.predict(featurise(model, encoded))
    np.testing.assert_allclose(np.exp(logits_of(model, encoded)), expected.clip(1e-6), atol=2e-6)


@pytest.mark.parametrize("values", ["presence", "counts", "tfidf"])
def test_ngrams_are_those_of_scikit_learns_vectorisers(values):
    texts = sentences(120)
    model, tokeniser, encoded, _ = student({"trees": 1, "values": values, "min_df": 3}, texts)
    kind = TfidfVectorizer if values == "tfidf" else CountVectorizer
    reference = kind(token_pattern=r"\S+", ngram_range=(1, 2), min_df=3, binary=values == "presence")
    expected = reference.fit_transform(texts).toarray()
    names = feature_names(model, tokeniser)
    assert sorted(names) == reference.get_feature_names_out().tolist()
    order = [reference.vocabulary_[name] for name in names]
    np.testing.assert_allclose(featurise(model, encoded).toarray(), expected[:, order], rtol=1e-6)


def test_mean_embedding_is_numpys():
    many = ["word1 word2 word1", "word3", *sentences(40)]
    model, tokeniser, encoded, _ = student(KINDS["embeddings"], many)
    table = model.embeddings.weight.detach().numpy()
    for row, text in enumerate(many):
        ids = tokeniser.convert_tokens_to_ids(text.split())
        np.testing.assert_allclose(featurise(model, encoded)[row], table[ids].mean(0), rtol=1e-5, atol=1e-6)


def test_keys_tell_all_ngrams_apart_and_can_be_read_back():
    vocabulary = 4
    ids = torch.tensor([[0, 3, 1, 0, 2, 3]])
    types = torch.tensor([[0, 0, 0, 1, 1, 1]])
    real = torch.tensor([[True, True, True, True, False, True]])
    found = torch.cat(list(keys_in(digits_of(ids, real, types, vocabulary), vocabulary, 1, 3)), 1)[0].tolist()
    read = [tokens_of(key, vocabulary) for key in found if key >= 0]
    # Nothing reaches over what is not real, nor from one text into the other; the second text's ids are raised by 4.
    assert read == [[0], [3], [1], [4], [7], [0, 3], [3, 1], [0, 3, 1]]
    assert len({key for key in found if key >= 0}) == len(read)
    assert base_of(500_000) ** 3 < 2**63


def test_saved_without_pickle_and_loaded_by_the_auto_class(grown_student, tmp_path):
    model, tokeniser, encoded, _ = grown_student
    model.save_pretrained(tmp_path)
    tokeniser.save_pretrained(tmp_path)
    assert {path.suffix for path in tmp_path.iterdir()} <= {".json", ".safetensors"}
    loaded = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    assert type(loaded) is type(model)
    assert np.array_equal(logits_of(loaded, encoded), logits_of(model, encoded))
    assert loaded.num_parameters() == model.num_parameters()
    again = AutoTokenizer.from_pretrained(tmp_path)
    assert again("word1 word9")["input_ids"] == tokeniser("word1 word9")["input_ids"]


def test_pipeline_answers(grown_student, tmp_path):
    model, tokeniser, encoded, _ = grown_student
    model.save_pretrained(tmp_path)
    tokeniser.save_pretrained(tmp_path)
    texts = sentences(300)[:2]
    answers = pipeline("text-classification", str(tmp_path), device="cpu")(texts)
    expected = torch.from_numpy(logits_of(model, encoded)[:2]).softmax(-1)
    assert [answer["label"] for answer in answers] == [LABELS[row.argmax()] for row in expected]


def test_graph_answers_as_the_model_whatever_is_in_the_padding(grown_student):
    model, _, encoded, _ = grown_student
    inputs = collate(encoded, np.arange(len(encoded))).inputs
    inputs["input_ids"][inputs["attention_mask"] == 0] = 3
    session = onnxruntime.InferenceSession(forest_graph(model).SerializeToString())
    found = session.run(None, {name: value.numpy() for name, value in inputs.items()})[0]
    np.testing.assert_allclose(found, logits_of(model, encoded), atol=1e-4)


@pytest.mark.parametrize("kind", ["tree", "tfidf", "embeddings"])
def test_bundle_has_no_int8_and_answers_alike(kind, tmp_path):
    texts = sentences(300)
    model, tokeniser, encoded, _ = student(KINDS[kind], texts)
    made = export(
        model, tokeniser, tmp_path / "bundle", texts=texts, max_length=64, settings=Export(), card={}
    )
    assert set(made["parity"]) == {"fp32"} and made["parity"]["fp32"]["changed"] == 0
    assert "model.int8.onnx" not in made["files"]
    bundle = Bundle(tmp_path / "bundle")
    assert bundle.precision == "fp32"
    np.testing.assert_allclose(bundle.logits(texts), logits_of(model, encoded), atol=1e-4)
    assert bundle.predict([""])[0].label in LABELS


def test_pairs_ask_which_text_a_word_is_in(tmp_path):
    first, second = sentences(300), sentences(300, seed=5)
    is_good = torch.tensor(["word4" in text.split() for text in second]).long()
    targets = Targets(torch.nn.functional.one_hot(is_good, 3).float())
    model, tokeniser, encoded, grown = student({"trees": 1, "min_leaf": 1}, first, second, targets)
    assert np.array_equal(logits_of(model, encoded).argmax(1), is_good.numpy())
    facts = told(model, tokeniser, grown, targets)
    assert facts["used"][0]["name"] == "second: word4" and facts["shown"]["agreement"] == 1
    pairs = list(zip(first, second, strict=True))
    export(model, tokeniser, tmp_path / "bundle", texts=pairs, max_length=64, settings=Export(), card={})
    assert [p.label for p in Bundle(tmp_path / "bundle").predict(pairs)] == [LABELS[n] for n in is_good]


def test_what_is_told_of_a_tree_is_scikit_learns():
    texts = sentences(300)
    model, tokeniser, _, grown = student({"trees": 1, "depth": 4}, texts)
    facts = told(model, tokeniser, grown, Targets(soft(texts)))
    nodes, tree = facts["shown"]["nodes"], estimators_of(grown.estimator)[0].tree_
    assert facts["nodes"] == tree.node_count and len(nodes) == tree.node_count
    assert [node["texts"] for node in nodes] == tree.n_node_samples.tolist()
    np.testing.assert_allclose([node["shares"] for node in nodes], tree.value[:, :, 0], atol=1e-3)
    root = nodes[0]
    having = [root["name"] in text for text in texts]
    assert nodes[root["above"]]["texts"] == sum(having)
    assert sum(used["share"] for used in facts["used"]) == pytest.approx(1)


def test_of_a_large_tree_the_splits_are_told_that_gain_most():
    texts = sentences(300)
    model, tokeniser, _, grown = student({"trees": 3}, texts)
    facts = told(model, tokeniser, grown, Targets(soft(texts)))
    nodes = facts["shown"]["nodes"]
    leaves = [node for node in nodes if "name" not in node]
    assert len(leaves) == 24 and sum(node["texts"] for node in leaves) == 300
    left_out = sum(node.get("more", 0) for node in leaves)
    whole = estimators_of(grown.estimator)[facts["shown"]["tree"]].tree_
    assert left_out + len(nodes) - len(leaves) == (whole.node_count - 1) / 2


def test_weights_count_as_copies():
    texts = sentences(60)
    aims, shape = soft(texts), {"trees": 1, "depth": 3, "min_leaf": 1, "min_df": 1, "ngrams": (1, 1)}
    weights = torch.tensor([3.0] * 10 + [1.0] * 50)
    weighted, _, encoded, _ = student(shape, texts, targets=Targets(aims, weights))
    many = torch.cat([aims, *[aims[:10]] * 2])
    copied, _, own, _ = student(shape, [*texts, *texts[:10] * 2], targets=Targets(many))
    found = logits_of(weighted, encoded)
    np.testing.assert_allclose(found, logits_of(copied, own)[:60], atol=1e-5)
    assert np.abs(found - logits_of(student(shape, texts)[0], encoded)).max() > 1e-3


def test_same_seed_same_forest_other_seed_another():
    texts = sentences(200)
    one, again, other = (student({"trees": 4}, texts, seed=seed)[0].state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert one["features"].shape != other["features"].shape or not torch.equal(
        one["features"], other["features"]
    )


@pytest.mark.parametrize(
    ("values", "what"),
    [
        ({"ngrams": (1, 4)}, "from 1 to 3"),
        ({"ngrams": (2, 1)}, "from 1 to 3"),
        ({"dimension": 8}, "'dimension' is of features 'embeddings'"),
        ({"trees": 0}, "trees"),
        ({"layers": 2}, "layers"),
    ],
)
def test_settings_that_do_not_fit_are_refused(values, what):
    with pytest.raises(LimbeckError, match=what):
        models.settings_for("forest", values)


def test_no_ngram_frequent_enough_is_told():
    with pytest.raises(LimbeckError, match="no n-gram stands in 90 of the 20 texts"):
        student({"min_df": 90}, sentences(20))
