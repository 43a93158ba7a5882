"""The published tagged sets, read whole: sentences, words and spans as their makers counted them."""

import pytest

from limbeck.core.sources import Source
from limbeck.text.readers import read
from limbeck.text.tags import ordered, spans


def counted(data, path, form):
    """Sentences, words, spans by type, tags."""
    examples = read(Source(path=str(data / path), format=form), task="tagging")
    found = [span.type for example in examples for span in spans(example.tags)]
    by_type = {kind: found.count(kind) for kind in set(found)}
    labels = ordered(tag for example in examples for tag in example.tags)
    return len(examples), sum(len(example.words) for example in examples), by_type, labels


@pytest.mark.data
@pytest.mark.parametrize(
    ("part", "sentences", "words", "entities"),
    [
        ("train", 14_041, 203_621, {"LOC": 7140, "PER": 6600, "ORG": 6321, "MISC": 3438}),
        ("valid", 3_250, 51_362, {"LOC": 1837, "PER": 1842, "ORG": 1341, "MISC": 922}),
        ("test", 3_453, 46_435, {"LOC": 1668, "PER": 1617, "ORG": 1661, "MISC": 702}),
    ],
)
def test_conll2003(data, listener, part, sentences, words, entities):
    found = counted(data, f"conll2003/{part}.txt", "conll")
    assert found[:3] == (sentences, words, entities)
    assert len(found[3]) == 9
    assert (listener.said, listener.warnings) == ([], [])  # IOB2 without a fault


@pytest.mark.data
@pytest.mark.parametrize(
    ("part", "sentences", "words", "chunks", "tags"),
    [("train", 8_936, 211_727, 106_978, 22), ("test", 2_012, 47_377, 23_852, 19)],
)
def test_conll2000(data, listener, part, sentences, words, chunks, tags):
    found = counted(data, f"conll2000/{part}.txt", "conll")
    assert (found[:2], sum(found[2].values()), len(found[3])) == ((sentences, words), chunks, tags)
    assert (listener.said, listener.warnings) == ([], [])


@pytest.mark.data
@pytest.mark.parametrize(
    ("part", "sentences", "tags"), [("train", 13_084, 72), ("valid", 700, 70), ("test", 700, 70)]
)
def test_snips(data, part, sentences, tags):
    found = counted(data, f"snips/{part}/seq.in", "parallel")
    assert (found[0], len(found[3])) == (sentences, tags)
    # Every word that is not O stands in a span, and every span has one B-.
    lines = (data / f"snips/{part}/seq.out").read_text(encoding="utf-8").split()
    assert found[1] == len(lines)
    assert sum(found[2].values()) == sum(tag.startswith("B-") for tag in lines)


@pytest.mark.data
@pytest.mark.parametrize(
    ("part", "sentences", "broken"), [("train", 30_521, 1), ("valid", 4_181, 0), ("test", 8_621, 2)]
)
def test_facebook_multilingual(data, listener, part, sentences, broken):
    found = counted(data, f"fb_multilingual/en/{part}", "word_tag")
    assert found[0] == sentences
    text = (data / f"fb_multilingual/en/{part}").read_text(encoding="utf-8")
    assert found[1] == sum(":" in word for word in text.split())
    # Three spans of the publisher's open with I-.
    assert sum(found[2].values()) == text.count(":B-") + broken
    assert [warning.split()[1] for warning in listener.warnings] == [str(broken)] * bool(broken)
