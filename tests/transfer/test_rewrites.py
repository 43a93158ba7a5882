"""Rewriting: what n-gram sampling makes, and that nothing of dev or test gets in."""

import pytest
from hypothesis import given, strategies as st

from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.transfer.rewrites import rewrite, settings_for
from limbeck.transfer.rewrites.ngrams import Settings
from limbeck.transfer.transfer_set import TransferSet

sentences = st.lists(
    st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=9).map(" ".join), min_size=1, max_size=6
)


def examples(texts: list[str]) -> tuple[Example, ...]:
    return tuple(Example(f"t:{n}", text, "x", f"t:{n}") for n, text in enumerate(texts))


@given(sentences, st.integers(1, 5), st.integers(1, 3), st.integers(0, 2))
def test_ngrams_are_runs_of_the_sentence_they_name(
    texts: list[str], copies: int, shortest: int, seed: int
) -> None:
    old = examples(texts)
    by_id = {example.id: example for example in old}
    made = list(Settings(copies=copies, shortest=shortest, seed=seed).rewrite(old))
    assert made == list(Settings(copies=copies, shortest=shortest, seed=seed).rewrite(old))
    for new in made:
        source = by_id[new.id.partition("/")[0]]
        assert new.origin == f"ngrams of {source.id}"
        assert new.gold is None
        assert f" {new.text} " in f" {source.text} "
        assert shortest <= len(new.text.split()) < len(source.text.split())


def test_longest_bounds_the_run() -> None:
    made = Settings(copies=50, longest=2).rewrite(examples(["a b c d e f g h"]))
    assert {len(new.text.split()) for new in made} == {1, 2}


def test_every_run_is_equally_likely_of_its_length() -> None:
    made = [new.text for new in Settings(copies=6000, shortest=2, longest=2).rewrite(examples(["a b c d"]))]
    for run in ("a b", "b c", "c d"):
        assert 1800 < made.count(run) < 2200


def test_each_text_once_and_none_of_dev_or_test() -> None:
    before = TransferSet(examples(["A b c", "a b d"]), ("x", "y"))
    unseen = [Example("d:1", "B", "x")]
    after = rewrite(before, [Settings(copies=40)], unseen)
    texts = [example.text.lower() for example in after]
    assert after.examples[:2] == before.examples
    assert len(set(texts)) == len(texts)
    assert "b" not in texts[2:]
    assert {"a", "c", "d", "a b", "b c", "b d"} == set(texts[2:])
    assert after.labels == before.labels


@pytest.mark.parametrize(
    ("name", "values", "words"),
    [
        ("ngram", {}, "no rewriter 'ngram'. Did you mean 'ngrams'?"),
        ("ngrams", {"copeis": 2}, "unknown key 'rewrite.ngrams.copeis'. Did you mean 'copies'?"),
        ("ngrams", {"copies": 0}, "'rewrite.ngrams.copies'"),
    ],
)
def test_wrong_settings_are_told(name: str, values: dict[str, int], words: str) -> None:
    with pytest.raises(LimbeckError) as caught:
        settings_for(name, values)
    assert words in str(caught.value)
