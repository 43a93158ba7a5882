"""The measures of whole texts: counts by hand, scores beside sacrebleu, and what a comparison needs."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from sacrebleu import corpus_bleu, corpus_chrf

from limbeck.analyse.aligned import AlignedText, Reading
from limbeck.analyse.bitext import cut_named
from limbeck.analyse.lexical import SMOOTHED, SMOOTHINGS
from limbeck.analyse.measures import measure
from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.transfer.transfer_set import TransferSet

Examples = tuple[Example, ...]

pytestmark = pytest.mark.usefixtures("eflomal")


@pytest.fixture(scope="module")
def aligned(examples: Examples, eflomal: None) -> AlignedText:
    return AlignedText.of(examples)


def test_a_text_of_one_translation_a_word(examples: Examples, aligned: AlignedText) -> None:
    told = measure(aligned).text
    words = sum(len(example.text.split()) for example in examples)
    assert (told.pairs, told.source_words, told.target_words) == (len(examples), words, words)
    assert (told.empty, told.copies, told.types, told.length_ratio) == (0, 0, 7, 1)
    assert told.type_token_ratio == 7 / words
    assert told.complexity < 0.2
    assert told.reordering > 0.95
    assert told.linked > 0.95


def test_counts_by_hand(examples: Examples) -> None:
    odd = (
        Example("c", "Berlin .", targets=("Berlin.",)),
        Example("d", "Same here!", targets=(" Same here! ", "anders")),
        Example("e", "nothing", targets=("  ",)),
        Example("f", "none at all"),
    )
    told = measure((*examples, *odd)).text
    plain = measure(examples).text
    assert told.pairs - plain.pairs == 4
    assert told.copies == 1
    assert told.empty == 2
    # Words as BLEU has them: "Berlin" and "." on both sides.
    assert told.source_words - plain.source_words == 2 + 3 + 1 + 3
    assert told.target_words - plain.target_words == 2 + 3
    assert told.types - plain.types == 5


def test_against_itself_a_text_is_faithful(aligned: AlignedText) -> None:
    told = measure(aligned, aligned)
    assert told.against is not None and told.real == told.text
    assert list(told.against.faithfulness) == [each.name for each in SMOOTHINGS]
    assert all(value == pytest.approx(0, abs=1e-12) for value in told.against.faithfulness.values())
    assert told.faithfulness == told.against.faithfulness[SMOOTHED.name]
    assert (told.against.bleu, told.against.chrf) == (pytest.approx(100), pytest.approx(100))
    assert (told.against.partners, told.against.without_partner) == (len(aligned.examples), 0)
    assert (told.against.unseen, told.against.unseen_types, told.against.length) == (0, 0, 1)


def test_against_other_translations(examples: Examples, aligned: AlignedText) -> None:
    said = [
        e.targets[0].replace("hund", "köter") if row % 2 else e.targets[0] for row, e in enumerate(examples)
    ]
    distilled = tuple(replace(e, targets=(new,)) for e, new in zip(examples, said, strict=True))
    told = measure(distilled, aligned)
    assert told.against is not None and told.real is not None
    references = [[example.targets[0] for example in examples]]
    assert told.against.bleu == pytest.approx(corpus_bleu(said, references).score)
    assert told.against.chrf == pytest.approx(corpus_chrf(said, references).score)
    assert "tok:13a" in told.against.signatures["bleu"]
    assert told.text.complexity > told.real.complexity
    assert told.faithfulness is not None and told.faithfulness > 0
    assert told.against.unseen_types == 1
    assert told.against.unseen == " ".join(said).split().count("köter") / told.text.target_words


def test_partners_by_id_or_by_source_in_any_order(examples: Examples, aligned: AlignedText) -> None:
    others = tuple(replace(e, id=f"line {row}") for row, e in enumerate(examples[::-1]))
    stranger = Example("x:0", "a stranger under a known id", targets=("der hund",))
    told = measure((*others[:-1], stranger), aligned).against
    assert told is not None
    assert (told.partners, told.without_partner, told.bleu) == (len(examples) - 1, 1, pytest.approx(100))


def test_nothing_in_common_leaves_no_score(examples: Examples, aligned: AlignedText) -> None:
    told = measure([replace(e, text=f"{e.text} now") for e in examples], aligned)
    assert told.against is not None
    assert (told.against.partners, told.against.bleu, told.against.chrf, told.against.length) == (
        0,
        None,
        None,
        None,
    )
    written = json.loads(json.dumps(told.as_json(), allow_nan=False))
    assert written["against"]["bleu"] is None
    assert written["text"]["pairs"] == len(examples)
    assert written["reading"]["words"] == "13a"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("我爱北京。", "我 爱 北 京 。"),
        ("GPT-4は速い!", "GPT-4 は 速 い !"),
        ("나는 서울을 사랑한다.", "나는 서울을 사랑한다 ."),
        ("It's 3,000 dogs.", "It's 3,000 dogs ."),
    ],
)
def test_scripts_without_spaces_are_cut_into_characters(text: str, words: str) -> None:
    assert list(cut_named("13a")(text)) == words.split()


def test_case_and_words_are_as_asked(examples: Examples) -> None:
    texts = (*examples, Example("y", "The DOG.", targets=("Der HUND.",)))
    types = {
        reading: measure(texts, reading=reading).text.types
        for reading in (Reading(), Reading(lowercase=True), Reading(words="spaces"))
    }
    assert list(types.values()) == [7 + 3, 7 + 1, 7 + 2]


def test_text_that_cannot_be_aligned_has_no_numbers_but_counts() -> None:
    told = measure([Example("a", "", targets=("x",))]).as_json()
    assert told["text"]["complexity"] is None and told["text"]["reordering"] is None
    assert told["text"]["target_words"] == 1


def test_a_transfer_set_is_measured(examples: Examples) -> None:
    assert measure(TransferSet(examples, ())).text.pairs == len(examples)


def test_refusals(examples: Examples, aligned: AlignedText) -> None:
    with pytest.raises(LimbeckError, match="no translations to measure"):
        measure([Example("a", "x")])
    with pytest.raises(LimbeckError, match="read differently"):
        measure(examples, aligned, reading=Reading(lowercase=True))
    with pytest.raises(LimbeckError, match="no way 'bpe' to cut"):
        Reading(words="bpe")
    with pytest.raises(LimbeckError, match="no way 'both'"):
        Reading(symmetrised="both")
    with pytest.raises(LimbeckError, match="above 0"):
        Reading(effort=0)
