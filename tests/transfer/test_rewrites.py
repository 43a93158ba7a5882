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


def test_the_runs_of_a_sentence_do_not_depend_on_the_others() -> None:
    old = examples(["a b c d e f", "a b c d e f", "g h a b"])
    settings = Settings(copies=5, seed=3)
    drawn = {new.id: new.text for new in settings.rewrite(old)}
    assert drawn == {new.id: new.text for new in settings.rewrite(old[::-1])}
    alone = {new.id: new.text for new in settings.rewrite(old[1:2])}
    assert alone.items() <= drawn.items()
    assert sorted(alone.values()) != sorted(drawn[f"t:0/ngram-{n}"] for n in range(1, 6))


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
    done = rewrite(before, [Settings(copies=40)], {"dev": unseen})
    after, (made,) = done.transfer_set, done.made
    texts = [example.text.lower() for example in after]
    assert after.examples[:2] == before.examples
    assert len(set(texts)) == len(texts)
    assert "b" not in texts[2:]
    assert {"a", "c", "d", "a b", "b c", "b d"} == set(texts[2:])
    assert after.labels == before.labels
    assert (made.rewriter, made.drawn, made.kept) == ("ngrams", 80, 6)
    drawn = [new.text.lower() for new in Settings(copies=40).rewrite(before.examples)]
    assert made.dropped == {"duplicate": 80 - 6 - drawn.count("b"), "in dev": drawn.count("b")}


def test_the_same_rewriter_may_stand_in_a_chain_twice() -> None:
    before = TransferSet(examples(["a b c d e f g h", "h g f e d c b a"]), ("x",))
    chain = [Settings(copies=4), Settings(copies=4, seed=1), Settings(copies=4, seed=2)]
    done = rewrite(before, chain)
    assert len(done.transfer_set) == 2 + sum(each.kept for each in done.made)
    assert all(each.kept for each in done.made)
    assert len(set(done.transfer_set.ids)) == len(done.transfer_set)
    by_id = {example.id: example for example in done.transfer_set}
    for new in done.transfer_set.examples[2:]:
        source = by_id[new.id.rpartition("/")[0]]
        assert new.origin == f"ngrams of {source.id}"
        assert f" {new.text} " in f" {source.text} "
    assert rewrite(before, chain) == done


def test_of_a_pair_one_text_is_cut_at_a_time() -> None:
    pair = Example("1", "a b c d", "x", second="e f g")
    made = list(Settings(copies=9).rewrite([pair]))
    assert [new.text == pair.text for new in made].count(True) == 4
    for new in made:
        assert (new.text == pair.text) != (new.second == pair.second)
        assert new.text in pair.text and new.second in pair.second


def test_a_taggers_sentence_stays_one() -> None:
    old = Example("1", "a b c d", words=("a", "b", "c", "d"), tags=("O",) * 4)
    done = rewrite(TransferSet((old,), ("O",)), [Settings(copies=9)]).transfer_set
    assert len(done) > 3
    assert all(new.words == tuple(new.text.split()) and new.tags is None for new in done.examples[1:])


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
