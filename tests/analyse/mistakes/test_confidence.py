"""How sure taggers and translators are, by text and by span; and taggers' words at any temperature."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from limbeck.analyse.mistakes import confidence, sharpness, temperature
from limbeck.analyse.mistakes.rows import Background, rows_of
from limbeck.analyse.mistakes.slices import built_in, cut
from limbeck.analyse.mistakes.tempered import UNKNOWN, Answers, of_words
from limbeck.analyse.mistakes.units import Cast, units_of
from limbeck.core.example import Example
from limbeck.core.recipe import Analysis
from limbeck.evaluate.calibration import ece, reliability
from limbeck.evaluate.kept import Kept
from limbeck.structure.chain import Chain, sample, token_marginals

pytestmark = pytest.mark.unit
CAST = Cast("ours", "teacher", None)
TAGS = ("O", "B-LOC", "I-LOC")
EXAMPLES = [
    Example("a", "", words=("rome", "is", "old"), tags=("B-LOC", "O", "O")),
    Example("b", "", words=("new", "york"), tags=("B-LOC", "I-LOC")),
    Example("c", "", words=("far", "off"), tags=("O", "B-LOC")),
]
SURE: dict[str, Any] = {
    "confidence": {
        "teacher": [[[0.9, 1.0, 0.8], [0.6, 0.7], [0.5, None]]],
        "ours": [[[0.5, 0.5, 0.5], [0.2, 0.4], [None, None]], [[1.0, 1.0, 1.0], [0.6, 0.4], [None, None]]],
    },
    "entropy": {"teacher": [[[0.1, 0.0, 0.5], [1.0, 0.4], [1.5, None]]]},
}


def tagged(sure: dict[str, Any]) -> Kept:
    said = [[list(one.tags or ()) for one in EXAMPLES]]
    content = {"task": "tagging", "labels": [*TAGS], "test": {}, "models": []}
    return Kept(Path(), content, EXAMPLES, {"teacher": said, "ours": said * 2}, sure)


def test_of_a_sentence_the_mean_and_of_a_span_the_least_sure_word() -> None:
    run = tagged(SURE)
    sentences, spans = units_of(run, Analysis())
    rows = rows_of(run, sentences, CAST, Background())
    assert [row["confidence"] for row in rows] == pytest.approx([0.9, 0.65, 0.5])
    assert [row["entropy"] for row in rows] == pytest.approx([0.2, 0.7, 1.5])
    assert [row["student_confidence"] for row in rows] == pytest.approx([0.75, 0.4, math.nan], nan_ok=True)
    of_spans = rows_of(run, spans, CAST, Background())
    assert [row["entity"] for row in of_spans] == ["rome", "new york", "off"]
    assert [row["confidence"] for row in of_spans] == pytest.approx([0.9, 0.6, math.nan], nan_ok=True)
    assert [row["entropy"] for row in of_spans] == pytest.approx([0.1, 1.0, math.nan], nan_ok=True)
    assert [row["student_confidence"] for row in of_spans] == pytest.approx(
        [0.75, 0.3, math.nan], nan_ok=True
    )


def test_words_that_nobody_read_are_in_no_slice() -> None:
    run = tagged(SURE)
    rows = rows_of(run, units_of(run, Analysis())[1], CAST, Background())
    features = [one for one in built_in("tagging", with_spans=True) if one.name == "teacher's confidence"]
    found = cut(features, rows * 2, smallest=1)
    assert [one.name for one in found.slices] == ["teacher's confidence: 0.6", "teacher's confidence: 0.9"]
    assert not any(one.members[2] or one.members[5] for one in found.slices)


def test_all_but_sure_is_told_apart() -> None:
    rows = [{"confidence": value} for value in (0.99995, 0.99997, 0.999991, 1.0)]
    features = [one for one in built_in("tagging", with_spans=False) if one.name == "teacher's confidence"]
    names = [one.name for one in cut(features, rows, smallest=1).slices]
    assert len(set(names)) == 4 and names[0].endswith("0.999950")


def test_who_tells_nothing_has_no_columns() -> None:
    (row, *_) = rows_of(tagged({}), units_of(tagged({}), Analysis())[0], CAST, Background())
    assert not {"confidence", "entropy", "student_confidence"} & set(row)
    only = {"confidence": {"teacher": SURE["confidence"]["teacher"]}}
    (row, *_) = rows_of(tagged(only), units_of(tagged(only), Analysis())[0], CAST, Background())
    assert {"confidence", "entropy", "student_confidence"} & set(row) == {"confidence"}


def test_of_a_translation_the_geometric_mean_over_tokens() -> None:
    content = {"task": "translation", "test": {}, "models": []}
    examples = [Example(str(n), "x", targets=("y",)) for n in range(3)]
    said = {"teacher": [["a", "b", ""]], "ours": [["a", "b", "c"]] * 2}
    tokens = [[0.5, 0.5], [0.9, 0.4, 0.2]]
    means = [float(np.log(each).mean()) for each in tokens]
    sure = {"log_probability": {"teacher": [[*means, None]], "ours": [[0.0, -1.0, -2.0], [-1.0, -1.0, -2.0]]}}
    run = Kept(Path(), content, examples, said, sure)
    rows = rows_of(run, units_of(run, Analysis())[0], CAST, Background())
    wanted = [0.5, (0.9 * 0.4 * 0.2) ** (1 / 3), math.nan]
    assert [row["confidence"] for row in rows] == pytest.approx(wanted, nan_ok=True)
    assert rows[0]["student_confidence"] == pytest.approx((1 + math.exp(-1)) / 2)
    assert "entropy" not in rows[0]


# Words at any temperature.


def drawn(seed: int, sentences: int, words: int = 6) -> tuple[Chain, list[Example]]:
    """A chain, and gold drawn from it: then it is calibrated as it is."""
    generator = torch.Generator().manual_seed(seed)
    shapes = (sentences, words, 3), (3, 3), (3,), (3,)
    emissions, transitions, start, end = (
        torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes
    )
    lengths = torch.randint(1, words + 1, (sentences,), generator=generator)
    chain = Chain(1.5 * emissions, transitions, lengths, start, end)
    paths = sample(chain, 1, generator)[:, 0].tolist()
    examples = [
        Example(str(row), "", words=("w",) * size, tags=tuple(TAGS[tag] for tag in path[:size]))
        for row, (path, size) in enumerate(zip(paths, lengths.tolist(), strict=True))
    ]
    return chain, examples


def sharpened(chain: Chain, by: float) -> Chain:
    assert chain.start is not None and chain.end is not None
    return Chain(
        by * chain.emissions, by * chain.transitions, chain.lengths, by * chain.start, by * chain.end
    )


def answers(chain: Chain, examples: list[Example]) -> Answers:
    return of_words(lambda: chain, TAGS, examples)


@pytest.mark.parametrize("too_sure", [0.5, 1.0, 2.5])
def test_the_temperature_of_a_chain_that_was_planted_is_found(too_sure: float) -> None:
    chain, examples = drawn(0, 1500)
    assert temperature.fitted(answers(sharpened(chain, too_sure), examples)) == pytest.approx(
        too_sure, rel=0.08
    )


def test_calibration_of_words_before_and_after() -> None:
    (dev, of_dev), (test, of_test) = drawn(1, 600), drawn(2, 600)
    mine, theirs = (answers(sharpened(chain, 3.0), some) for chain, some in ((dev, of_dev), (test, of_test)))
    (row,) = temperature.calibrated({"m": [mine]}, {"m": [theirs]})
    gold = np.array([TAGS.index(tag) for example in of_test for tag in example.tags or ()])
    (fitted,) = row["temperature"]
    for when, scale in (("before", 3.0), ("after", 3.0 / fitted)):
        marginals = token_marginals(sharpened(test, scale))[test.mask].numpy()
        assert row[when]["nll"] == [pytest.approx(-np.log(marginals[np.arange(len(gold)), gold]).mean())]
        of_chosen = marginals[np.arange(len(gold)), theirs.chosen]
        wanted = reliability(
            np.stack([of_chosen, np.full(len(gold), -1.0)], 1), (theirs.chosen != gold).astype(int)
        )
        assert row[when]["ece"] == [pytest.approx(ece(wanted))]
        assert sum(bin_["count"] for bin_ in row[when]["bins"]) == len(gold)
    assert row["after"]["ece"][0] < row["before"]["ece"][0] and 2.4 < fitted < 3.6


def test_words_that_were_cut_off_and_strange_tags_do_not_disturb() -> None:
    chain, examples = drawn(3, 40)
    longer = [
        Example(one.id, "", words=(*one.words, "cut"), tags=("B-ODD", *(one.tags or ())[1:], "O"))
        for one in examples
    ]
    told = answers(chain, longer)
    assert len(told.gold) == len(told.chosen) == int(chain.lengths.sum())
    assert (told.gold == UNKNOWN).sum() == 40
    rest = answers(chain, examples)
    known = told.gold != UNKNOWN
    assert (told.gold[known] == rest.gold[known]).all()
    found = temperature.negative_log_likelihood(told.at(1.0), told.gold)
    assert found == pytest.approx(temperature.negative_log_likelihood(rest.at(1.0)[known], rest.gold[known]))


def test_sharpness_of_words_is_that_of_a_cooler_chain() -> None:
    chain, examples = drawn(4, 50)
    rows = sharpness.sharpness(answers(chain, examples), [3.0])
    chosen = answers(chain, examples).chosen
    for row in rows:
        said = token_marginals(sharpened(chain, 1 / row["temperature"]))[chain.mask].numpy()
        assert row["confidence"] == pytest.approx(said[np.arange(len(said)), chosen].mean())
        assert row["entropy"] == pytest.approx(confidence.entropy(said).mean())
        assert sum(row["bins"]) == len(said)
