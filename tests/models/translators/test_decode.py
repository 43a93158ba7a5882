"""Decoding against searches that list everything, against single steps, and against ``generate`` itself."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from transformers import (
    M2M100Config,
    M2M100ForConditionalGeneration,
    MarianConfig,
    MarianMTModel,
    MBartConfig,
    MBartForConditionalGeneration,
    PreTrainedConfig,
    T5Config,
    T5ForConditionalGeneration,
)

from limbeck.core.decoding import Decoding
from limbeck.core.errors import LimbeckError
from limbeck.core.signals import Guess
from limbeck.models.translators.decode import log_probability, translate
from limbeck.models.translators.ensemble import Averaged, Encoding
from limbeck.models.translators.sampling import uniforms
from limbeck.models.translators.translator import Hypothesis, ParallelTranslator
from limbeck.text.encode import collate

from .conftest import END, START, built, encoded_of, sentences

pytestmark = pytest.mark.unit

SEARCHES = {
    "greedy": Decoding(search="greedy", max_length=14),
    "beam": Decoding(beams=4, keep=3, max_length=14),
    "beam without penalty": Decoding(beams=3, keep=2, length_penalty=0.0, max_length=14),
    "sampling": Decoding(search="sampling", keep=3, max_length=14),
    "top-k": Decoding(search="sampling", top_k=3, temperature=0.7, seed=5, max_length=14),
}


def tokens_of(found):
    return [[one.tokens for one in some] for some in found]


def step(model, source, prefix):
    """Log-probabilities of the next token, by NumPy from the plain forward pass of one sentence, float64."""
    with torch.inference_mode():
        output = model(
            input_ids=torch.tensor([source]), decoder_input_ids=torch.tensor([prefix]), use_cache=False
        )
    logits = output.logits[0, -1].double().numpy()
    return logits - np.logaddexp.reduce(logits)


def everything(members, source, longest):
    """All translations of up to so many tokens, end included, with log-probability and length, of an ensemble."""
    size = members[0].config.vocab_size
    found, open_ones = [], [((), 0.0)]
    for length in range(1, longest + 1):
        longer = []
        for prefix, sum_so_far in open_ones:
            after = [step(model, source, [START, *prefix]) for model in members]
            after = np.logaddexp.reduce(after) - np.log(len(members))
            for token in range(size):
                if token == END:
                    found.append((prefix, sum_so_far + after[token], length))
                else:
                    longer.append(((*prefix, token), sum_so_far + after[token]))
        open_ones = longer
    return found + [(prefix, score, longest) for prefix, score in open_ones]


@pytest.mark.parametrize("penalty", [0.0, 0.6, 1.0, 2.0])
def test_a_beam_that_holds_all_finds_what_enumeration_finds(six, penalty):
    sources = [[5, 3, 4, END], [END]]
    decoding = Decoding(beams=160, keep=60, length_penalty=penalty, max_length=3)
    found = translate(six, encoded_of([source[:-1] for source in sources]), decoding)
    for source, some in zip(sources, found, strict=True):
        ranked = sorted(
            (
                (total / length**penalty, prefix, length, total / length)
                for prefix, total, length in everything([six], source, 3)
            ),
            reverse=True,
        )
        assert len(ranked) == 1 + 5 + 25 + 125
        scores, prefixes, lengths, means = zip(*ranked[:60], strict=True)
        assert [one.tokens for one in some] == [*prefixes]
        assert [one.score for one in some] == pytest.approx(scores, abs=1e-5)
        assert [one.passes for one in some] == [*lengths]
        assert [log_probability(six, one, decoding) for one in some] == pytest.approx(means, abs=1e-5)


def test_an_ensemble_averages_probabilities_under_reordered_beams(six):
    other = built(6, seed=8, layers=2, width=16, heads=2).eval()
    source = [4, 5, 5, 3, END]
    found = translate(
        six, encoded_of([[3], source[:-1]]), Decoding(beams=160, keep=40, max_length=3), others=[other]
    )
    ranked = sorted(
        ((score / length, prefix) for prefix, score, length in everything([six, other], source, 3)),
        reverse=True,
    )
    assert [one.tokens for one in found[1]] == [prefix for _, prefix in ranked[:40]]
    assert [one.score for one in found[1]] == pytest.approx([score for score, _ in ranked[:40]], abs=1e-5)


def best_first(members, source, longest, barred=()):
    """Argmax of the mean probability, token after token; tokens without the end, and their log-probability."""
    prefix, total = [START], 0.0
    for _ in range(longest):
        after = np.logaddexp.reduce([step(model, source, prefix) for model in members]) - np.log(len(members))
        allowed = after.copy()
        allowed[list(barred)] = -np.inf
        token = int(allowed.argmax())
        total += after[token]
        prefix.append(token)
        if token == END:
            break
    return tuple(token for token in prefix[1:] if token != END), total / (len(prefix) - 1)


@pytest.mark.parametrize("together", [False, True])
def test_greedy_takes_the_likeliest_token_at_every_step(reverser, together):
    others = [built(20, seed=9)] if together else []
    sources = sentences(12, 20, seed=4)
    found = translate(reverser, encoded_of(sources), Decoding(search="greedy", max_length=12), others=others)
    barred = reverser.generation_config.suppress_tokens
    members = [reverser, *(other.eval() for other in others)]
    for source, (one,) in zip(sources, found, strict=True):
        tokens, score = best_first(members, [*source, END], 12, barred)
        assert one.tokens == tokens
        assert one.score == pytest.approx(score, abs=1e-5)
        assert one.passes == min(12, len(tokens) + 1)


@pytest.mark.parametrize("family", ["mBART", "M2M-100"])
def test_the_token_that_an_ensembles_translations_begin_with_counts_for_nothing(family):
    model, pad = of_family(family)
    torch.manual_seed(1)
    other = type(model)(model.config).eval()
    encoded = encoded_of(sentences(6, 27, seed=3), pad=pad)
    read = (
        Encoding(model, collate(encoded, np.arange(6)).inputs),
        Encoding(other, collate(encoded, np.arange(6)).inputs),
    )
    forced = model.generation_config.forced_bos_token_id
    scores = torch.full((6, 30), -torch.inf)
    scores[:, forced] = 0.0
    prefixes = torch.full((6, 1), model.config.decoder_start_token_id)
    with torch.inference_mode():
        means = Averaged(read, normalised=True)(prefixes, scores)
    assert torch.equal(means, scores)


@pytest.mark.parametrize("search", SEARCHES)
def test_a_sentence_decodes_the_same_alone_and_in_any_batch(reverser, search):
    sources = sentences(40, 20, seed=2)
    together = translate(reverser, encoded_of(sources), SEARCHES[search], tokens_per_batch=10_000)
    some = translate(reverser, encoded_of(sources), SEARCHES[search], tokens_per_batch=40)
    alone = [translate(reverser, encoded_of([source]), SEARCHES[search])[0] for source in sources]
    backwards = translate(reverser, encoded_of(sources[::-1]), SEARCHES[search], tokens_per_batch=70)[::-1]
    assert tokens_of(together) == tokens_of(some) == tokens_of(alone) == tokens_of(backwards)
    assert len({one.tokens for found in together for one in found}) > 20
    assert len({len(one.tokens) for found in together for one in found}) > 5
    for one, other in zip(itertools.chain(*together), itertools.chain(*alone), strict=True):
        assert one.score == pytest.approx(other.score, abs=1e-5)
        assert one.passes == other.passes


def test_translations_come_best_first_and_the_best_of_a_beam_is_better_than_greedy(reverser):
    encoded = encoded_of(sentences(30, 20, seed=6))
    beam = translate(reverser, encoded, Decoding(beams=8, keep=8, length_penalty=0.0, max_length=14))
    greedy = translate(reverser, encoded, Decoding(search="greedy", max_length=14))
    for some, (one,) in zip(beam, greedy, strict=True):
        scores = [each.score for each in some]
        assert scores == sorted(scores, reverse=True)
        assert len({each.tokens for each in some}) == 8
        assert scores[0] >= one.score * one.passes - 1e-5


@pytest.mark.parametrize("search", ["greedy", "sampling"])
def test_lengths_are_penalised_where_beams_are_ranked_alone(reverser, search):
    # Answers are stored under the settings that their search reads, and the penalty is none of these.
    encoded = encoded_of(sentences(6, 20, seed=6))
    keep = 3 if search == "sampling" else 1
    one, other = (
        translate(
            reverser, encoded, Decoding(search=search, keep=keep, length_penalty=penalty, max_length=14)
        )
        for penalty in (0.0, 1.0)
    )
    assert one == other


@pytest.mark.parametrize(("top_k", "temperature"), [(None, 1.0), (3, 1.0), (None, 0.5), (2, 2.0)])
def test_draws_follow_the_distribution(six, top_k, temperature):
    source, draws = [5, 4, END], 3000
    decoding = Decoding(
        search="sampling", keep=draws, top_k=top_k, temperature=temperature, max_length=2, seed=1
    )
    (found,) = translate(six, encoded_of([source[:-1]]), decoding)

    def chances(prefix):
        scores = step(six, source, [START, *prefix]) / temperature
        if top_k is not None:
            scores[np.argsort(scores)[:-top_k]] = -np.inf
        return np.exp(scores - np.logaddexp.reduce(scores))

    expected = {}
    for token, chance in enumerate(chances(())):
        if token == END:
            expected[()] = expected.get((), 0) + chance
            continue
        for following, next_chance in enumerate(chances((token,))):
            whole = (token,) if following == END else (token, following)
            expected[whole] = expected.get(whole, 0) + chance * next_chance
    expected = {tokens: chance for tokens, chance in expected.items() if chance > 0}
    seen = dict.fromkeys(expected, 0)
    for one in found:
        seen[one.tokens] += 1
    assert chisquare(list(seen.values()), draws * np.array(list(expected.values()))).pvalue > 0.01


def test_draws_are_a_texts_own():
    text = np.array([7, 8, END], dtype=np.int32)
    first = uniforms(text, seed=0, draws=4, steps=10)
    assert first.shape == (4, 10)
    assert (uniforms(text, 0, 2, 6) == first[:2, :6]).all()
    assert len({*first.ravel()}) == 40
    assert not np.isin(uniforms(text, 1, 4, 10), first).any()
    assert not np.isin(uniforms(text[:2], 0, 4, 10), first).any()


def test_it_needs_no_random_state_and_leaves_none(reverser):
    encoded = encoded_of(sentences(5, 20))
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = translate(reverser, encoded, SEARCHES["sampling"])
    assert (torch.get_rng_state() == before).all()
    torch.manual_seed(2)
    assert translate(reverser, encoded, SEARCHES["sampling"]) == first


@pytest.mark.parametrize("search", SEARCHES)
def test_no_text_and_empty_texts(reverser, search):
    assert translate(reverser, encoded_of([]), SEARCHES[search]) == []
    found = translate(reverser, encoded_of([[], [7], []]), SEARCHES[search])
    assert tokens_of(found)[0] == tokens_of(found)[2]
    assert all(len(some) == SEARCHES[search].keep for some in found)


def test_the_mode_comes_back_and_dropout_stays_out():
    model = built(12, layers=1, width=16, heads=2, dropout=0.5).train()
    other = built(12, seed=4).eval()
    encoded = encoded_of(sentences(6, 12))
    once, again = (
        translate(model, encoded, Decoding(beams=2, max_length=6), others=[other]) for _ in range(2)
    )
    assert once == again
    assert model.training
    assert not other.training


def test_padding_start_and_mask_are_never_written():
    model = built(8, seed=2)
    with torch.no_grad():
        model.final_logits_bias[:, [0, 1, 4]] = 20.0
        model.final_logits_bias[:, END] = -5.0
    for decoding in (*SEARCHES.values(), Decoding(beams=4, max_length=9)):
        found = translate(model, encoded_of(sentences(5, 8)), decoding)
        written = {token for some in found for one in some for token in one.tokens}
        assert written
        assert not written & {0, 1, 2, 4}


def test_a_translation_is_no_longer_than_asked_or_than_the_model_can():
    model = built(8, seed=2)
    with torch.no_grad():
        model.final_logits_bias[:, END] = -50.0
    (found,) = translate(model, encoded_of([[5, 6]]), Decoding(search="greedy", max_length=7))
    assert len(found[0].tokens) == found[0].passes == 7
    model.config.max_position_embeddings = 5
    (found,) = translate(model, encoded_of([[5, 6]]), Decoding(search="sampling", max_length=7))
    assert len(found[0].tokens) == 4


SIZES = {"vocab_size": 30, "pad_token_id": 0, "eos_token_id": 2}
BART = SIZES | {
    f"{side}_{name}": value
    for side in ("encoder", "decoder")
    for name, value in (("layers", 1), ("attention_heads", 2), ("ffn_dim", 32))
}
FAMILIES: dict[str, tuple[type, PreTrainedConfig, dict[str, object]]] = {
    "Marian of the hub": (
        MarianMTModel,
        MarianConfig(**(BART | {"pad_token_id": 29}), d_model=16, decoder_start_token_id=29),
        {"bad_words_ids": [[29]], "num_beams": 6, "max_length": 512, "forced_eos_token_id": None},
    ),
    "T5": (
        T5ForConditionalGeneration,
        T5Config(**SIZES, d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2, decoder_start_token_id=0),
        {"num_beams": 3, "no_repeat_ngram_size": 2, "min_length": 5},
    ),
    "mBART": (
        MBartForConditionalGeneration,
        MBartConfig(**BART, d_model=16, decoder_start_token_id=2, forced_eos_token_id=None),
        {"forced_bos_token_id": 28, "length_penalty": 3.0, "early_stopping": True},
    ),
    "M2M-100": (
        M2M100ForConditionalGeneration,
        M2M100Config(**BART, d_model=16, decoder_start_token_id=2),
        {"forced_bos_token_id": 27, "num_beams": 5, "max_length": 200},
    ),
}


def of_family(name):
    kind, config, generation = FAMILIES[name]
    torch.manual_seed(0)
    model = kind(config).eval()
    with torch.no_grad():  # further from uniform than random weights are, and more attentive to the source
        for weight in model.parameters():
            if weight.ndim > 1 and weight.requires_grad:
                weight.mul_(0.3 / weight.std())
    for key, value in generation.items():
        setattr(model.generation_config, key, value)
    return model, config.pad_token_id


@pytest.mark.parametrize("family", FAMILIES)
def test_any_family_decodes_as_generate_does_for_one_sentence(family):
    model, pad = of_family(family)
    sources = sentences(8, 27, seed=3)
    decoding = Decoding(beams=3, keep=2, length_penalty=0.8, max_length=9)
    found = translate(model, encoded_of(sources, pad=pad), decoding)
    start = model.generation_config.forced_bos_token_id
    for source, some in zip(sources, found, strict=True):
        output = model.generate(
            torch.tensor([[*source, END]]),
            num_beams=3,
            num_return_sequences=2,
            length_penalty=0.8,
            early_stopping=False,
            max_length=10 + (start is not None),
            no_repeat_ngram_size=0,
            min_length=0,
            output_scores=True,
            return_dict_in_generate=True,
        )
        for one, sequence, score in zip(
            some, output.sequences.tolist(), output.sequences_scores, strict=True
        ):
            tokens = sequence[1:] if start is None else sequence[2:]
            assert one.tokens == tuple(itertools.takewhile(lambda token: token != END, tokens))
            assert one.score == pytest.approx(float(score), abs=1e-4)
    assert len({one.tokens for some in found for one in some}) > 4


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("search", ["greedy", "sampling"])
def test_any_family_decodes_the_same_alone_and_in_a_batch(family, search):
    model, pad = of_family(family)
    sources = sentences(8, 27, seed=3)
    together = translate(model, encoded_of(sources, pad=pad), SEARCHES[search])
    alone = [translate(model, encoded_of([source], pad=pad), SEARCHES[search])[0] for source in sources]
    assert tokens_of(together) == tokens_of(alone)


@pytest.mark.parametrize("search", ["greedy", "beam", "sampling"])
def test_of_a_models_own_settings_only_those_of_tokens_count(search):
    """What the answer store keeps is found under these alone."""
    model, pad = of_family("mBART")
    encoded = encoded_of(sentences(6, 27, seed=3), pad=pad)
    plain = translate(model, encoded, SEARCHES[search])
    own = model.generation_config
    others = {
        "max_new_tokens": 2,
        "min_new_tokens": 3,
        "num_return_sequences": 2,
        "max_time": 0.0,
        "sequence_bias": [[[7], 9.0]],
        "exponential_decay_length_penalty": (1, 9.0),
        "forced_eos_token_id": 9,
    }
    for key, value in others.items():
        setattr(own, key, value)
    assert translate(model, encoded, SEARCHES[search]) == plain
    assert model.generation_config is own
    own.suppress_tokens = sorted({token for best, *_ in plain for token in best.tokens})[:3]
    assert translate(model, encoded, SEARCHES[search]) != plain


class WordForWord(ParallelTranslator):
    """Writes for each token its best match among embeddings that are its weights: one pass, all places at once."""

    config_class = PreTrainedConfig

    def __init__(self, config):
        super().__init__(config)
        self.scores = torch.nn.Embedding(30, 30)
        self.post_init()

    def get_input_embeddings(self):
        return self.scores

    def guesses(self, inputs):
        scores = self.scores(inputs["input_ids"])[inputs["labels"] >= 0]
        return (Guess("tokens", scores, inputs["labels"][inputs["labels"] >= 0]),)

    def decode(self, inputs, decoding):
        best = self.scores(inputs["input_ids"]).max(-1)
        lengths = inputs["attention_mask"].sum(1) - 1
        return [
            Hypothesis(tuple(row[:length].tolist()), float(values[:length].sum()), 1)
            for row, values, length in zip(best.indices, best.values, lengths, strict=True)
        ]


def test_a_parallel_translator_decodes_by_itself():
    model = WordForWord(PreTrainedConfig())
    sources = sentences(20, 30)
    found = translate(model, encoded_of(sources), Decoding(), tokens_per_batch=30)
    best = model.scores.weight.argmax(-1).tolist()
    assert tokens_of(found) == [[tuple(best[token] for token in source)] for source in sources]


def test_what_parallel_translators_cannot_do_is_said():
    model, encoded = WordForWord(PreTrainedConfig()), encoded_of([[5]])
    with pytest.raises(LimbeckError, match="one after the other"):
        translate(model, encoded, Decoding(), others=[model])
    with pytest.raises(LimbeckError, match="'keep' is 2"):
        translate(model, encoded, Decoding(keep=2))


def test_an_ensemble_of_two_vocabularies_is_refused():
    with pytest.raises(LimbeckError, match="these have 8 and 9 tokens"):
        translate(built(8), encoded_of([[5]]), Decoding(beams=2), others=[built(9)])


def test_tokens_that_a_model_does_not_know_are_refused(six) -> None:
    with pytest.raises(LimbeckError, match="says token 6, and the model MarianMTModel knows 6 only"):
        translate(six, encoded_of([[5, 6]]), Decoding(search="greedy", max_length=4))
