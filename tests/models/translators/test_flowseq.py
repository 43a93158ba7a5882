"""FlowSeq: its bound against the likelihood itself, its samples, its decoding; flows have tests of their own."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from transformers import AutoModelForSeq2SeqLM

from limbeck import models
from limbeck.core.decoding import Decoding
from limbeck.core.errors import LimbeckError
from limbeck.core.objective import NO_GOLD
from limbeck.core.recipe import Export
from limbeck.models.translators import flowseq
from limbeck.models.translators.decode import translate
from limbeck.models.translators.export import export_translator
from limbeck.models.translators.flows import ActNorm
from limbeck.models.translators.lengths import likely_lengths
from limbeck.models.translators.sampling import normals

from .toys import batch_of, toy_pairs, vocabulary

pytestmark = pytest.mark.unit

WEIGHTED = Decoding(search="importance", candidates=2, latents=3, samples=2, temperature=0.5, max_length=14)


def built(subwords=None, stir=0.1, **changes):
    """One with larger weights than a start has, so that everything matters."""
    settings = flowseq.Settings(**{**flowseq.tiny().model_dump(), "dropout": 0.0, **changes})
    model = models.build(
        "flowseq",
        settings,
        labels=(),
        tokeniser=subwords or vocabulary(),
        teacher=None,
        seed=1,
        task="translation",
    )
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn(parameter.shape) * stir)
    return model.eval()


@pytest.fixture(scope="module")
def student():
    return built()


def texts_of(inputs):
    return [
        row[:real].tolist()
        for row, real in zip(inputs["input_ids"], inputs["attention_mask"].sum(1), strict=True)
    ]


# ------------------------------------------------------------ the bound


@pytest.fixture(scope="module")
def enumerable():
    """Eight tokens; prior and posterior are not far apart, so that a few hundred samples tell of the one by the other."""
    model = built(vocabulary(3), width=4, heads=1, feed_forward=8, stir=0.03)
    torch.manual_seed(7)
    with torch.no_grad():
        model.lm_head.weight.add_(torch.randn(8, 4) * 0.5)
        model.posterior.log_variance.bias.add_(0.3)  # wider than the prior, so that no weight is large
    return model


@torch.inference_mode()
def likelihoods(model, inputs, lengths, translations, samples):
    """``p(Y | T, X)`` of each translation: its mean over latent sequences of the prior."""
    memory = model.encode(inputs["input_ids"], inputs["attention_mask"])
    given = model.given(memory, inputs["attention_mask"], lengths.expand(1, samples))
    noise = torch.randn(samples, given.real.shape[1], 4)
    states = model.decoder_states(model.prior.generate(noise, given), given, lengths.expand(samples))
    chances = model.lm_head(states).double().softmax(2)
    return [chances[:, range(len(one)), one].prod(1).mean().item() for one in translations]


@pytest.mark.parametrize("length", [1, 2])
def test_importance_sampling_estimates_the_likelihood(enumerable, length):
    inputs = batch_of([([5, 7], [6])])
    lengths = torch.tensor([length])
    translations = list(product(range(8), repeat=length))
    torch.manual_seed(0)
    expected = np.array(likelihoods(enumerable, inputs, lengths, translations, 20000))
    assert expected.sum() == pytest.approx(1)
    torch.manual_seed(1)
    rows = len(translations)
    with torch.inference_mode():
        memory = enumerable.encode(inputs["input_ids"], inputs["attention_mask"])
        given = enumerable.given(memory, inputs["attention_mask"], lengths.expand(1, rows))
        noise = torch.randn(600, rows, given.real.shape[1], 4)
        tokens = torch.tensor(translations)
        found = enumerable.log_probability(tokens, noise, given, lengths.expand(rows)).exp().numpy()
        assert found.sum() == pytest.approx(1, abs=0.15)
        np.testing.assert_allclose(found, expected, rtol=0.5)
        each = [enumerable.log_probability(tokens, one[None], given, lengths.expand(rows)) for one in noise]
    bound = torch.stack(each).mean(0).numpy()
    assert (bound < np.log(expected)).all()


def test_guesses_add_up_to_the_bound(student):
    """Tokens and divergence are one sample of it, the one that a text's own numbers draw."""
    pairs = toy_pairs(6, seed=2)
    inputs = batch_of(pairs)
    with torch.no_grad():
        tokens, _, divergence = student.guesses(inputs)
        chances = tokens.scores.log_softmax(1).gather(1, tokens.truth[:, None]).squeeze(1)
    assert divergence.name == "divergence" and divergence.warmup == student.config.kl_warmup
    owners = torch.tensor([row for row, (_, target) in enumerate(pairs) for _ in target])
    for row, (text, (_, target)) in enumerate(zip(texts_of(inputs), pairs, strict=True)):
        one = batch_of([pairs[row]])
        memory = student.encode(one["input_ids"], one["attention_mask"])
        lengths = torch.tensor([len(target)])
        given = student.given(memory, one["attention_mask"], lengths[None])
        drawn = normals(np.array(text), 0, 1, (given.real.shape[1], 16))
        with torch.no_grad():
            expected = student.log_probability(
                torch.tensor([target]), torch.from_numpy(drawn)[None], given, lengths
            )
        found = chances[owners == row].sum() - divergence.values[row]
        torch.testing.assert_close(found, expected[0], atol=1e-3, rtol=1e-4)


def test_rows_without_a_translation_have_no_part(student):
    inputs = batch_of(toy_pairs(4, seed=2))
    inputs["labels"][1] = NO_GOLD
    tokens, length, divergence = student.guesses(inputs)
    assert len(length.truth) == len(divergence.values) == 3
    assert len(tokens.truth) == int((inputs["labels"] != NO_GOLD).sum()) - 3


# ------------------------------------------------------------ samples, and the first batch


def test_training_draws_anew_and_hides_tokens_from_the_posterior():
    student = built(token_dropout=0.0).train()
    student.started.fill_(True)
    inputs = batch_of(toy_pairs(3))
    values = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        values.append(student.guesses(inputs)[2].values)
    assert torch.equal(values[0], values[1]) and not torch.allclose(values[0], values[2])
    student.posterior.token_dropout = 0.999999
    memory = student.encode(inputs["input_ids"], inputs["attention_mask"])
    given = student.given(memory, inputs["attention_mask"], torch.full((3, 1), 4))
    means = [student.posterior(torch.randn(3, 4, 16), given)[0] for _ in range(2)]
    torch.testing.assert_close(*means)  # it knows nothing of the translation


def test_untrained_the_posterior_is_the_prior():
    student = built(stir=0.0)
    (*_, divergence) = student.guesses(batch_of(toy_pairs(5)))
    torch.testing.assert_close(divergence.values, torch.zeros(5), atol=1e-3, rtol=0)


def test_the_first_batch_starts_the_flow_once_and_for_all(tmp_path):
    student = built().train()
    norms = [module for module in student.modules() if isinstance(module, ActNorm)]
    untaught = batch_of(toy_pairs(2))
    untaught["labels"][:] = NO_GOLD
    student.guesses(untaught)
    assert not student.started
    before = [norm.mean.clone() for norm in norms]
    student.guesses(batch_of(toy_pairs(8)))
    assert student.started
    assert all(not torch.equal(norm.mean, was) for norm, was in zip(norms, before, strict=True))
    student.save_pretrained(tmp_path)
    loaded = AutoModelForSeq2SeqLM.from_pretrained(tmp_path).train()
    assert loaded.started
    kept = {name: value.clone() for name, value in loaded.state_dict().items()}
    loaded.guesses(batch_of(toy_pairs(8, seed=4)))
    assert all(torch.equal(value, kept[name]) for name, value in loaded.state_dict().items())


def test_what_a_text_draws_is_its_own():
    text, other = np.array([7, 8, 2]), np.array([7, 9, 2])
    drawn = normals(text, 1, 2, (5, 4))
    np.testing.assert_array_equal(normals(text, 1, 3, (9, 4))[:2, :5], drawn)
    for different in (normals(other, 1, 2, (5, 4)), normals(text, 2, 2, (5, 4)), drawn[::-1]):
        assert not np.allclose(different, drawn)
    many = normals(text, 1, 1, (10000, 4))
    assert abs(many.mean()) < 0.03 and abs(many.std() - 1) < 0.03


# ------------------------------------------------------------ decoding


def test_weighted_a_sentence_decodes_the_same_alone_and_in_any_batch(student):
    inputs = batch_of(toy_pairs(12, seed=9))
    together = student.decode(inputs, WEIGHTED)
    for row, text in enumerate(texts_of(inputs)):
        (alone,) = student.decode(
            {"input_ids": torch.tensor([text]), "attention_mask": torch.ones(1, len(text), dtype=torch.long)},
            WEIGHTED,
        )
        assert (alone.tokens, alone.passes) == (
            together[row].tokens,
            WEIGHTED.latents * (1 + WEIGHTED.samples),
        )
        assert alone.score == pytest.approx(together[row].score, abs=1e-4)
    again = student.decode(inputs, WEIGHTED.model_copy(update={"seed": 1}))
    assert any(mine.score != theirs.score for mine, theirs in zip(again, together, strict=True))


@torch.inference_mode()
def test_of_all_candidates_the_one_of_the_largest_estimate_is_taken(student):
    inputs = batch_of(toy_pairs(5, seed=4))
    found = student.decode(inputs, WEIGHTED)
    for row, text in enumerate(texts_of(inputs)):
        ids = torch.tensor([text])
        mask = torch.ones_like(ids)
        memory = student.encode(ids, mask)
        scores = student.length_head(memory, mask)
        tried = []
        likely = scores.log_softmax(1).topk(2).values[0]
        for length, of_length in zip(likely_lengths(scores, mask, 2, 13)[0].tolist(), likely, strict=True):
            lengths = torch.tensor([length])
            given = student.given(memory, mask, lengths[None])
            drawn = torch.from_numpy(normals(np.array(text), 0, 4, (given.real.shape[1], 16)))
            for noise in (torch.zeros_like(drawn[0]), 0.5 * drawn[0], 0.5 * drawn[1]):
                tokens, _ = student.written(noise[None], given, lengths)
                found_here = student.log_probability(tokens, drawn[2:, None], given, lengths)[0]
                said = tokens[0].tolist()
                kept = [token for place, token in enumerate(said) if not place or said[place - 1] != token]
                tried.append(((of_length + found_here).item() / length, tuple(kept)))
        score, tokens = max(tried)
        assert found[row].tokens == tokens
        assert found[row].score == pytest.approx(score, abs=1e-4)


@torch.inference_mode()
def test_argmax_is_the_mode_of_the_prior(student):
    inputs = batch_of(toy_pairs(4, seed=6))
    found = student.decode(inputs, Decoding(max_length=14))
    for text, hypothesis in zip(texts_of(inputs), found, strict=True):
        ids = torch.tensor([text])
        mask = torch.ones_like(ids)
        memory = student.encode(ids, mask)
        scores = student.length_head(memory, mask)
        lengths = likely_lengths(scores, mask, 1, 13)
        given = student.given(memory, mask, lengths)
        tokens, likely = student.written(torch.zeros(1, given.real.shape[1], 16), given, lengths[0])
        assert hypothesis.passes == 1
        expected = (likely[0].sum() + scores.log_softmax(1).max()) / lengths.item()
        assert hypothesis.score == pytest.approx(expected.item(), abs=1e-5)
        assert set(hypothesis.tokens) <= set(tokens[0].tolist())


def test_who_weighs_and_who_does_not(student, tmp_path, six):
    vanilla = models.build(
        "vanilla",
        models.settings_for("vanilla", {"layers": 1, "width": 16}, task="translation"),
        labels=(),
        tokeniser=vocabulary(),
        teacher=None,
        seed=1,
        task="translation",
    )
    for other in (vanilla, six):
        with pytest.raises(LimbeckError, match="cannot search by 'importance'"):
            translate(other, None, WEIGHTED)
    with pytest.raises(LimbeckError, match="draws none"):
        export_translator(
            student,
            vocabulary(),
            tmp_path,
            texts=["w1"],
            max_length=9,
            decoding=WEIGHTED,
            settings=Export(),
            card={},
        )


def test_settings_say_how_deep_the_flow_is():
    shallow, deep = built(flow_steps=[1]), built(flow_steps=[2, 1, 1], posterior_layers=2)
    assert (shallow.unit, deep.unit) == (1, 4)
    assert (len(shallow.posterior.layers), len(deep.posterior.layers)) == (1, 2)
    inputs = batch_of(toy_pairs(3))
    for model in (shallow, deep):
        assert len(model.decode(inputs, Decoding(candidates=2))) == 3
        assert torch.isfinite(model.guesses(inputs)[2].values).all()
    with pytest.raises(LimbeckError):
        models.settings_for("flowseq", {"flow_steps": []}, task="translation")
