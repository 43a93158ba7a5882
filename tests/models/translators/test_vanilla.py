"""The vanilla parallel student, and what parallel students share."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
import torch
from torch.nn import functional
from transformers import AutoModelForSeq2SeqLM, MarianConfig, MarianMTModel

from limbeck import models
from limbeck.core.decoding import Decoding
from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.objective import NO_GOLD
from limbeck.core.sources import Vocabulary
from limbeck.models.translators import vanilla
from limbeck.models.translators.decode import translate
from limbeck.models.translators.guesses import guesses_of
from limbeck.models.translators.layers import others
from limbeck.models.translators.layout import real_places, uniform_copy
from limbeck.models.translators.lengths import length_classes, likely_lengths
from limbeck.models.translators.loading import load_translator
from limbeck.text.encode import collate
from limbeck.text.subwords import Subwords
from limbeck.text.translations import encode_translations

from .toys import END, SPECIAL, WORDS, batch_of, learnt, toy_pairs, vocabulary

pytestmark = pytest.mark.unit


def student_of(subwords, seed=0, teacher=None, **changes):
    torch.manual_seed(seed)
    values = {"layers": 2, "width": 32, "feed_forward": 48, "heads": 4, "dropout": 0.0, **changes}
    return vanilla.build(vanilla.Settings(**values), labels=(), tokeniser=subwords, teacher=teacher).eval()


@pytest.fixture(scope="module")
def student():
    """Untrained, with larger weights than a start has, so that everything matters."""
    model = student_of(vocabulary(), longest_offset=6)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(3)) * 0.1)
    return model


# ------------------------------------------------------------ layout and lengths


def test_uniform_copy_is_the_papers_rounding():
    sources, lengths = torch.arange(1, 14), torch.arange(1, 30)
    copied = uniform_copy(sources, lengths.expand(13, -1))
    assert copied.shape == (13, 29, 29)
    for row, source in enumerate(range(1, 14)):
        for column, length in enumerate(range(1, 30)):
            place = np.arange(1, length + 1)
            # Halves up, with no help from floating point: a tiny push is less than any other distance to a half.
            expected = np.maximum(np.floor(source * place / length + 0.5 + 1e-9), 1) - 1
            np.testing.assert_array_equal(copied[row, column, :length].numpy(), expected)
            assert (copied[row, column] < source).all()


def test_a_translation_as_long_as_its_source_copies_it_in_order():
    copied = uniform_copy(torch.tensor([5, 3]), torch.tensor([[5], [3]]))
    assert copied[0, 0].tolist() == [0, 1, 2, 3, 4]
    assert copied[1, 0, :3].tolist() == [0, 1, 2]


def test_a_place_sees_all_real_others_and_a_lone_one_itself():
    seen = others(real_places(torch.tensor([3, 1])))
    assert seen.long().tolist() == [[[0, 1, 1], [1, 0, 1], [1, 1, 0]], [[1, 0, 0]] * 3]


def test_lengths_out_of_the_window_count_as_its_edge():
    mask = torch.tensor([[1] * 11, [1] * 5 + [0] * 6, [1] * 3 + [0] * 8])  # 10, 4 and 2 tokens beside the end
    assert length_classes(torch.tensor([1, 4, 40]), mask, 3).tolist() == [0, 3, 6]


def test_likely_lengths_come_in_order_and_stay_possible():
    mask = torch.tensor([[1, 1, 1], [1, 1, 0]])
    scores = torch.tensor([[0.0, 1, 2, 5, 4], [9, 8, 1, 2, 3]])  # differences -2 to 2
    assert likely_lengths(scores, mask, 3, 100).tolist() == [[3, 4, 2], [1, 1, 3]]
    assert likely_lengths(scores, mask, 2, 3).tolist() == [[3, 3], [1, 1]]


# ------------------------------------------------------------ the model


def attend(weights, name, queries, keys, values, may_see, heads):
    """Multi-head attention of one sentence, as NumPy and loops say it."""

    def linear(part, states):
        return states @ weights[f"{name}.{part}.weight"].T + weights[f"{name}.{part}.bias"]

    q, k, v = linear("q_proj", queries), linear("k_proj", keys), linear("v_proj", values)
    width = q.shape[1] // heads
    seen = []
    for head in range(heads):
        part = slice(head * width, (head + 1) * width)
        scores = np.where(may_see, q[:, part] @ k[:, part].T / np.sqrt(width), -np.inf)
        shares = np.exp(scores - scores.max(1, keepdims=True))
        seen.append(shares / shares.sum(1, keepdims=True) @ v[:, part])
    return linear("out_proj", np.concatenate(seen, 1))


def normed(weights, name, states):
    scaled = (states - states.mean(1, keepdims=True)) / np.sqrt(states.var(1, keepdims=True) + 1e-5)
    return scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def waves(places, width):
    angles = np.arange(places)[:, None] / 10000 ** (2 * np.arange(width // 2) / width)
    return np.concatenate([np.sin(angles), np.cos(angles)], 1)


def decoded(student, memory, source, length):
    """Logits of a sentence's translation of a given length, ``(places, vocabulary)``, in double precision."""
    weights = {name: value.double().numpy() for name, value in student.state_dict().items()}
    width, heads = student.config.d_model, student.config.decoder_attention_heads
    words = len(source) - 1
    copied = [max(int(np.floor(words * t / length + 0.5)), 1) - 1 for t in range(1, length + 1)]
    table, places = weights["encoder.embed_tokens.weight"], waves(length, width)
    states = table[[source[token] for token in copied]] * np.sqrt(width) + places
    apart = np.ones((1, 1), bool) if length == 1 else ~np.eye(length, dtype=bool)
    every, everywhere = np.ones((length, length), bool), np.ones((length, len(source)), bool)
    for number in range(student.config.decoder_layers):
        name = f"layers.{number}."
        said = attend(weights, name + "self_attn", states, states, states, apart, heads)
        states = normed(weights, name + "self_attn_layer_norm", states + said)
        said = attend(weights, name + "position_attn", places, places, states, every, heads)
        states = normed(weights, name + "position_attn_layer_norm", states + said)
        said = attend(weights, name + "encoder_attn", states, memory, memory, everywhere, heads)
        states = normed(weights, name + "encoder_attn_layer_norm", states + said)
        units = np.maximum(states @ weights[name + "fc1.weight"].T + weights[name + "fc1.bias"], 0)
        said = units @ weights[name + "fc2.weight"].T + weights[name + "fc2.bias"]
        states = normed(weights, name + "final_layer_norm", states + said)
    return states @ table.T


def test_the_decoder_is_the_papers(student):
    inputs = batch_of(toy_pairs(6, seed=5))
    lengths = torch.tensor([[1, 7], [3, 2], [9, 4], [5, 5], [2, 12], [1, 1]])
    with torch.no_grad():
        logits = student.token_scores(inputs["input_ids"], inputs["attention_mask"], lengths)
        memory = student.encode(inputs["input_ids"], inputs["attention_mask"]).double().numpy()
    assert logits.shape == (6, 2, 12, WORDS + len(SPECIAL))
    for row, real in enumerate(inputs["attention_mask"].sum(1).tolist()):
        source = inputs["input_ids"][row, :real].tolist()
        for column, length in enumerate(lengths[row].tolist()):
            expected = decoded(student, memory[row, :real], source, length)
            np.testing.assert_allclose(logits[row, column, :length].numpy(), expected, atol=2e-4, rtol=2e-4)


def test_guesses_are_all_tokens_but_ends_and_the_length(student):
    pairs = [*toy_pairs(5, seed=2), ([7, 8], [])]
    inputs = batch_of(pairs)
    inputs["labels"][2] = NO_GOLD  # no translation
    tokens, length = student.guesses(inputs)
    taught = [pairs[row] for row in (0, 1, 3, 4)]
    assert (tokens.name, length.name) == ("tokens", "length")
    assert tokens.truth.tolist() == [token for _, target in taught for token in target]
    differences = [len(target) - len(source) for source, target in taught]
    assert (length.truth - 6).tolist() == differences
    assert length.weights.tolist() == [1.0] * 4
    whole = torch.cat([student.guesses(batch_of([pair]))[0].scores for pair in taught])
    torch.testing.assert_close(tokens.scores, whole, atol=1e-4, rtol=1e-4)


def test_the_lengths_weight_is_the_settings():
    student = student_of(vocabulary(), length_weight=0.25)
    assert student.guesses(batch_of(toy_pairs(3)))[1].weights.tolist() == [0.25] * 3


def test_called_with_labels_it_gives_its_guesses(student):
    inputs = batch_of(toy_pairs(3))
    for called, asked in zip(student(**inputs), student.guesses(inputs), strict=True):
        torch.testing.assert_close(called.scores, asked.scores)


def test_padding_has_no_gradient_and_changes_nothing():
    student = student_of(vocabulary(WORDS, WORDS)).train()
    pairs = toy_pairs(8)
    padding = WORDS + len(SPECIAL) - 1
    pairs = [(sorted({min(token, padding - 1) for token in source}), target) for source, target in pairs]
    inputs = batch_of(pairs, pad=padding)
    guesses = student.guesses(inputs)
    sum(functional.cross_entropy(guess.scores, guess.truth, reduction="sum") for guess in guesses).backward()
    gradient = student.encoder.embed_tokens.weight.grad
    assert (gradient[padding] == 0).all()
    assert (gradient[pairs[0][0]] != 0).any(1).all()
    for guess, again in zip(guesses, student.guesses(batch_of(pairs, pad=3)), strict=True):
        torch.testing.assert_close(guess.scores, again.scores, atol=0, rtol=0)


@pytest.mark.parametrize("candidates", [1, 4, 1000])
def test_a_sentence_decodes_the_same_alone_and_in_any_batch(student, candidates):
    inputs = batch_of(toy_pairs(40, seed=9))
    decoding = Decoding(candidates=candidates, max_length=14)
    together = student.decode(inputs, decoding)
    backwards = student.decode({name: value.flip(0) for name, value in inputs.items()}, decoding)[::-1]
    alone = []
    for row, real in enumerate(inputs["attention_mask"].sum(1).tolist()):
        one = {name: inputs[name][row : row + 1, :real] for name in ("input_ids", "attention_mask")}
        alone += student.decode(one, decoding)
    for other in (backwards, alone):
        assert [one.tokens for one in other] == [one.tokens for one in together]
        np.testing.assert_allclose([one.score for one in other], [one.score for one in together], atol=1e-5)
    assert all(one.passes == 1 and 1 <= len(one.tokens) <= 13 for one in together)
    assert not {0, 1, 2, 4} & {token for one in together for token in one.tokens}


def test_of_the_candidates_the_best_scored_is_taken(student):
    inputs = batch_of(toy_pairs(12, seed=4))
    with torch.no_grad():
        scores = student.length_scores(inputs["input_ids"], inputs["attention_mask"])
        lengths = likely_lengths(scores, inputs["attention_mask"], 3, 127)
        logits = student.token_scores(inputs["input_ids"], inputs["attention_mask"], lengths)
    found = student.decode(inputs, Decoding(candidates=3))
    for row, hypothesis in enumerate(found):
        tried = []
        for column, length in enumerate(lengths[row].tolist()):
            likely = logits[row, column, :length].log_softmax(-1)
            likely[:, [0, 1, 2, 4]] = -np.inf
            best = likely.max(-1)
            tokens = best.indices.tolist()
            kept = [token for place, token in enumerate(tokens) if not place or tokens[place - 1] != token]
            tried.append((best.values.mean().item(), tuple(kept)))
        score, tokens = max(tried)
        assert hypothesis.tokens == tokens
        assert hypothesis.score == pytest.approx(score, abs=1e-5)


@pytest.mark.parametrize("candidates", [1, 3])
def test_a_large_vocabulary_is_scored_in_smaller_batches(student, monkeypatch, candidates):
    random = np.random.default_rng(4)
    texts = [
        " ".join(f"w{word}" for word in random.integers(0, WORDS, length))
        for length in random.integers(1, 9, 60)
    ]
    examples = [Example(str(number), text) for number, text in enumerate(texts)]
    encoded = encode_translations(vocabulary(), examples, None, 32)
    decoding = Decoding(candidates=candidates, max_length=12)
    at_once = translate(student, encoded, decoding)
    sizes = []
    decode = type(student).decode
    seen = lambda model, inputs, how: sizes.append(inputs["input_ids"].shape) or decode(model, inputs, how)  # noqa: E731
    monkeypatch.setattr(type(student), "decode", seen)
    monkeypatch.setattr("limbeck.models.translators.decode.SCORES_A_TOKEN", 4)
    found = translate(student, encoded, decoding)
    assert [best.tokens for (best,) in found] == [best.tokens for (best,) in at_once]
    assert sum(rows for rows, _ in sizes) == 60
    assert all(rows * tokens * candidates * (WORDS + 5) <= 4 * 2048 for rows, tokens in sizes)


def test_repetitions_stay_where_the_settings_say_so(student):
    inputs = batch_of(toy_pairs(40, seed=6))
    without = student.decode(inputs, Decoding())
    student.config.deduplicate = False
    try:
        whole = student.decode(inputs, Decoding())
    finally:
        student.config.deduplicate = True
    assert any(len(one.tokens) < len(other.tokens) for one, other in zip(without, whole, strict=True))
    for one, other in zip(without, whole, strict=True):
        kept = [
            token for place, token in enumerate(other.tokens) if not place or other.tokens[place - 1] != token
        ]
        assert one.tokens == tuple(kept)
        assert one.score == other.score


@pytest.mark.parametrize("subwords", [vocabulary(), vocabulary(WORDS, 50)], ids=["joint", "separate"])
def test_saved_and_loaded_by_the_auto_class(subwords, tmp_path):
    student = student_of(subwords, length_weight=0.5, longest_offset=7)
    student.save_pretrained(tmp_path)
    loaded = AutoModelForSeq2SeqLM.from_pretrained(tmp_path).eval()
    assert type(loaded) is vanilla.VanillaForSeq2SeqLM
    assert loaded.config.to_diff_dict() == student.config.to_diff_dict()
    assert (loaded.config.length_weight, loaded.config.longest_offset) == (0.5, 7)
    tied = loaded.lm_head.weight is loaded.encoder.embed_tokens.weight
    assert tied == subwords.joint
    inputs = batch_of(toy_pairs(10))
    assert loaded.decode(inputs, Decoding(candidates=3)) == student.decode(inputs, Decoding(candidates=3))


def built(subwords, seed):
    settings = models.settings_for("vanilla", vanilla.tiny().model_dump(), task="translation")
    return models.build(
        "vanilla", settings, labels=(), tokeniser=subwords, teacher=None, seed=seed, task="translation"
    )


@pytest.mark.parametrize("joint", [True, False])
def test_it_reads_text_and_writes_text(joint, tmp_path):
    texts = ["a red car", "two men talk", "a dog", "the old man has a red dog and two cars"]
    targets = ["ein rotes Auto", "zwei Männer reden", "ein Hund", "der alte Mann hat zwei Autos"]
    examples = [
        Example(str(row), text, targets=(target,) if row else ())
        for row, (text, target) in enumerate(zip(texts, targets, strict=True))
    ]
    subwords = Subwords.learn(examples, Vocabulary(size=400, joint=joint))
    student = built(subwords, seed=4)
    encoded = encode_translations(subwords, examples, (), max_length=32)
    tokens, length = guesses_of(student, collate(encoded, np.arange(4)).inputs)
    # The first piece of each begins with a space.
    assert subwords.decode(tokens.truth.tolist()) == " ".join(targets[1:])
    assert len(length.truth) == 3
    found = translate(student, encoded, Decoding(candidates=2, max_length=20))
    assert all(isinstance(subwords.decode(best.tokens), str) and best.passes == 1 for (best,) in found)
    student.save_pretrained(tmp_path)
    assert translate(load_translator(tmp_path), encoded, Decoding(candidates=2, max_length=20)) == found


def test_same_seed_same_weights_other_seed_others():
    one, again, other = (built(vocabulary(), seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)


# ------------------------------------------------------------ starts


def teacher_of(subwords, **changes):
    torch.manual_seed(11)
    sizes = {
        "encoder_layers": 4,
        "d_model": 32,
        "encoder_ffn_dim": 48,
        "encoder_attention_heads": 4,
    } | changes
    return MarianMTModel(
        MarianConfig(
            **sizes,
            vocab_size=len(subwords.source),
            decoder_vocab_size=len(subwords.target),
            share_encoder_decoder_embeddings=subwords.joint,
            decoder_layers=1,
            decoder_ffn_dim=48,
            decoder_attention_heads=4,
            activation_function="relu",
            scale_embedding=True,
            pad_token_id=0,
            eos_token_id=END,
            decoder_start_token_id=1,
            forced_eos_token_id=None,
        )
    ).eval()


@pytest.mark.parametrize("subwords", [vocabulary(), vocabulary(WORDS, 50)], ids=["joint", "separate"])
def test_it_starts_from_the_teachers_encoder(subwords):
    teacher = teacher_of(subwords)
    student = student_of(subwords, teacher=teacher, start="encoder", layers=4)
    inputs = batch_of(toy_pairs(3))
    theirs = teacher.get_encoder()(inputs["input_ids"], inputs["attention_mask"]).last_hidden_state
    torch.testing.assert_close(student.encode(inputs["input_ids"], inputs["attention_mask"]), theirs)
    assert torch.equal(student.lm_head.weight, teacher.lm_head.weight)
    shallow = student_of(subwords, teacher=teacher, start="encoder", layers=2)
    for mine, its in ((0, 1), (1, 3)):
        copied, source = shallow.encoder.layers[mine], teacher.get_encoder().layers[its]
        assert all(
            torch.equal(copied.state_dict()[name], value) for name, value in source.state_dict().items()
        )


def test_it_starts_from_the_teachers_embeddings_alone():
    subwords = vocabulary()
    teacher = teacher_of(subwords, encoder_ffn_dim=64)
    student = student_of(subwords, teacher=teacher, start="embeddings")
    assert torch.equal(student.encoder.embed_tokens.weight, teacher.get_input_embeddings().weight)
    assert student.lm_head.weight is student.encoder.embed_tokens.weight
    assert not torch.equal(
        student.encoder.layers[0].fc2.bias, teacher.get_encoder().layers[0].fc1.bias[:32] + 1
    )


@pytest.mark.parametrize(
    ("teacher", "changes", "told"),
    [
        (None, {"start": "embeddings"}, "no teacher model"),
        ({}, {"start": "encoder", "layers": 5}, "'student.layers': 5 "),
        ({}, {"start": "encoder", "feed_forward": 64}, "'student.feed_forward': 64 "),
        ({}, {"start": "embeddings", "width": 16}, "'student.width': 16 "),
        ({"other": True}, {"start": "embeddings"}, "another vocabulary"),
    ],
)
def test_a_start_that_does_not_fit_is_refused(teacher, changes, told):
    subwords = vocabulary()
    made = None if teacher is None else teacher_of(vocabulary(50) if teacher else subwords)
    with pytest.raises(LimbeckError, match=told):
        student_of(subwords, teacher=made, **changes)


def test_another_family_is_no_start(teacher):
    with pytest.raises(LimbeckError, match="a bert has other parts"):
        student_of(vocabulary(), teacher=teacher, start="encoder")


# ------------------------------------------------------------ training and export


@pytest.mark.slow
@pytest.mark.data
def test_it_learns_64_captions_by_heart(data):
    sides = []
    for language in ("en", "de"):
        with gzip.open(data / "multi30k" / f"train.{language}.gz", "rt", encoding="utf-8") as file:
            sides.append([next(file).split() for _ in range(64)])
    ids = [
        {word: number for number, word in enumerate(sorted({w for s in side for w in s}), 5)}
        for side in sides
    ]
    pairs = [
        tuple([index[word] for word in side] for index, side in zip(ids, both, strict=True))
        for both in zip(*sides, strict=True)
    ]
    subwords = vocabulary(len(ids[0]), len(ids[1]))
    student = student_of(subwords, width=128, feed_forward=256, deduplicate=False)
    assert learnt(student, pairs, steps=150, rate=1e-3) > 95


class Searching(torch.nn.Module):
    def __init__(self, student):
        super().__init__()
        self.student = student

    def forward(self, *inputs):
        return self.student.search(*inputs)


@pytest.mark.filterwarnings("ignore")
def test_the_whole_search_is_one_graph(student, tmp_path):
    import onnxruntime

    names = ["input_ids", "attention_mask", "candidates", "longest"]
    few = batch_of(toy_pairs(2))
    student.set_attn_implementation("eager")
    try:
        torch.onnx.export(
            Searching(student),
            (few["input_ids"], few["attention_mask"], torch.tensor(2), torch.tensor(20)),
            str(tmp_path / "student.onnx"),
            input_names=names,
            output_names=["tokens", "scores"],
            dynamic_axes={name: {0: "batch", 1: "tokens"} for name in names[:2]},
            opset_version=17,
            dynamo=False,
        )
    finally:
        student.set_attn_implementation("sdpa")
    session = onnxruntime.InferenceSession(tmp_path / "student.onnx")
    for count, candidates, longest in ((30, 5, 60), (1, 1, 60), (7, 13, 3)):
        inputs = batch_of(toy_pairs(count, seed=8))
        values = (inputs["input_ids"], inputs["attention_mask"])
        with torch.no_grad():
            tokens, scores = student.search(*values, candidates, longest)
        fed = [value.numpy() for value in values] + [np.array(candidates), np.array(longest)]
        said, scored = session.run(None, dict(zip(names, fed, strict=True)))
        np.testing.assert_array_equal(said, tokens.numpy())
        np.testing.assert_allclose(scored, scores.numpy(), atol=1e-5)
