"""Slices: how they are cut, how they are tested (against enumeration and plain loops), and a person's own."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy.stats import binomtest, permutation_test

from limbeck.analyse.mistakes.expressions import features_of
from limbeck.analyse.mistakes.rows import Background, Training, rows_of
from limbeck.analyse.mistakes.slice_test import holm, membership, ranked, sign_flip
from limbeck.analyse.mistakes.slices import Feature, Slice, built_in, cut, is_negated
from limbeck.analyse.mistakes.units import Cast, Measure, Units
from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.recipe import Evaluation

pytestmark = pytest.mark.unit
CAST = Cast("ours", "teacher", "gold")


# The tests.


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(-3, 3), min_size=1, max_size=9))
def test_the_sign_flip_test_is_exact(thirds: list[int]) -> None:
    sizes = [abs(one) for one in thirds]
    sums = [
        abs(sum(sign * size for sign, size in zip(signs, sizes, strict=True)))
        for signs in product((-1, 1), repeat=len(sizes))
    ]
    wanted = np.mean([one >= abs(sum(thirds)) for one in sums])
    assert sign_flip(np.array(thirds) / 3, 3) == pytest.approx(wanted)


def test_of_one_seed_it_is_mcnemars() -> None:
    differences = np.array([-1.0] * 14 + [1.0] * 4 + [0.0] * 100)
    assert sign_flip(differences, 1) == pytest.approx(binomtest(4, 18).pvalue)


def test_of_other_numbers_it_is_normal() -> None:
    random = np.random.default_rng(0)
    differences = random.normal(-0.2, 1, 200)
    signs = random.choice([-1, 1], (20_000, 200))
    drawn = np.abs(signs @ np.abs(differences)) >= abs(differences.sum())
    assert sign_flip(differences, 1) == pytest.approx(drawn.mean(), abs=0.01)


def test_membership_is_the_permutation_test() -> None:
    random = np.random.default_rng(1)
    values, members = random.choice([-1.0, 0.0, 1.0], 300, p=(0.2, 0.7, 0.1)), random.random(300) < 0.2
    values[members] -= 0.15
    wanted = permutation_test(
        (values[members], values[~members]),
        lambda a, b, axis: a.mean(axis) - b.mean(axis),
        vectorized=True,
        n_resamples=5000,
        rng=2,
    ).pvalue
    found = membership(values * members, members.astype(float), values, np.ones(300))
    assert found == pytest.approx(wanted, abs=0.02)


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_by_the_book(p_values: list[float]) -> None:
    adjusted, order = holm(p_values), sorted(range(len(p_values)), key=lambda n: p_values[n])
    largest = 0.0
    for rank, n in enumerate(order):
        largest = max(largest, min(1.0, p_values[n] * (len(p_values) - rank)))
        assert adjusted[n] == pytest.approx(largest)


def units(quality: dict[str, np.ndarray], texts: np.ndarray | None = None) -> Units:
    size = next(iter(quality.values())).shape[1]
    return Units("text", Measure("right"), np.arange(size) if texts is None else texts, quality)


def test_gaps_intervals_and_ranks_are_those_of_plain_loops() -> None:
    random = np.random.default_rng(0)
    size, seeds = 150, 3
    bad = random.random(size) < 0.3
    quality = {
        "teacher": (random.random((1, size)) < 0.9).astype(float),
        "ours": (random.random((seeds, size)) < np.where(bad, 0.4, 0.85)).astype(float),
        "gold": (random.random((seeds, size)) < 0.7).astype(float),
    }
    slices = [Slice("good", "", ~bad), Slice("bad", "", bad), Slice("some", "", random.random(size) < 0.5)]
    found = ranked([(units(quality), slices)], CAST, Evaluation(resamples=400, interval=0.9))
    assert found[0].name == "bad" and found[-1].name == "good"
    draws = np.random.default_rng(0).integers(0, size, (400, size), dtype=np.int32)
    for one, members in ((found[0], bad), (found[-1], ~bad)):
        for role, name in (("teacher", "teacher"), ("control", "gold")):
            d = quality["ours"].mean(0) - quality[name].mean(0)
            gap = one.gaps[role]
            assert gap.gap == pytest.approx(d[members].mean())
            assert gap.excess == pytest.approx(d[members].mean() - d[~members].mean())
            drawn = [(d[rows][members[rows]].mean(), d[rows][~members[rows]].mean()) for rows in draws]
            here, there = np.array(drawn).T
            assert [gap.low, gap.high] == pytest.approx(np.quantile(here, [0.05, 0.95]))
            assert [gap.excess_low, gap.excess_high] == pytest.approx(np.quantile(here - there, [0.05, 0.95]))
    assert found[0].quality == pytest.approx(
        {role: quality[name].mean(0)[bad].mean() for role, name in CAST.all.items()}
    )
    p = [one.gaps["teacher"].excess_p for one in found]
    assert [one.gaps["teacher"].excess_adjusted for one in found] == holm(p)


def test_spans_of_a_sentence_are_drawn_together() -> None:
    """Ten copies of each unit in one text tell no more than one."""
    random = np.random.default_rng(3)
    quality = {
        name: (random.random((1, 80)) < share).astype(float)
        for name, share in (("teacher", 0.9), ("ours", 0.7), ("gold", 0.7))
    }
    members = np.arange(80) < 40
    once = ranked([(units(quality), [Slice("half", "", members)])], CAST, Evaluation(resamples=300))[0]
    many = {name: np.repeat(each, 10, axis=1) for name, each in quality.items()}
    ten = ranked(
        [(units(many, np.repeat(np.arange(80), 10)), [Slice("half", "", np.repeat(members, 10))])],
        CAST,
        Evaluation(resamples=300),
    )[0]
    ours, theirs = once.gaps["teacher"], ten.gaps["teacher"]
    for key in ("gap", "low", "high", "p", "excess_low", "excess_high", "excess_p"):
        assert getattr(theirs, key) == pytest.approx(getattr(ours, key)), key


def test_without_a_slice_or_an_other_there_is_nothing() -> None:
    quality = {"ours": np.ones((1, 30))}
    half = Slice("half", "", np.arange(30) < 15)
    assert ranked([(units(quality), [half])], Cast("ours", None, None), Evaluation()) == []
    both = units(quality | {"teacher": np.ones((1, 30))})
    assert ranked([(both, [])], Cast("ours", "teacher", None), Evaluation(resamples=10)) == []


# How slices are cut.


def by(values: list, smallest: int = 1) -> dict[str, list[int]]:
    rows = [{"value": value} for value in values]
    found = cut([Feature("it", lambda row: row["value"], ("value",))], rows, smallest)
    return {one.name: np.flatnonzero(one.members).tolist() for one in found.slices}


def test_values_of_each_kind_make_slices() -> None:
    assert by([True, False, None, True]) == {"it": [0, 3]}
    assert by(["a", "b", None, "a"]) == {"it: a": [0, 3], "it: b": [1]}
    assert by([("x", "y"), ("y",), (), ("x",)]) == {"it: x": [0, 3], "it: y": [0, 1]}
    assert by([5, 1, 9, 2, 1, 7, 3, 8]) == {
        "it: 1": [1, 4], "it: 2 to 3": [3, 6], "it: 5 to 7": [0, 5], "it: 8 to 9": [2, 7],
    }  # fmt: skip


def test_names_of_bins_have_the_digits_that_tell_them_apart() -> None:
    assert len(by([1230.1, 1230.2, 1230.3, 1230.4, 1230.5, 1230.6])) == 4
    assert list(by([0.123, 0.456])) == ["it: 0.123", "it: 0.456"]


def test_of_many_texts_of_a_size_the_same_are_kept() -> None:
    texts = [f"t{n:02}" for n in range(60)]
    assert by(texts) == {f"it: {text}": [n] for n, text in enumerate(texts[:50])}


@settings(deadline=None)
@given(st.lists(st.integers(0, 30), min_size=1, max_size=60))
def test_bins_part_all_numbers_and_no_two_equal_ones(values: list[int]) -> None:
    rows = [{"value": value} for value in values]
    found = cut([Feature("it", lambda row: row["value"], ("value",))], [*rows, {"value": None}], 1)
    members = np.array([one.members for one in found.slices])
    assert (members.sum(axis=0) == [1] * len(values) + [0]).all()
    for one in found.slices:
        inside = {value for value, there in zip(values, one.members, strict=False) if there}
        assert not inside & {value for value, there in zip(values, one.members, strict=False) if not there}


def test_what_is_small_or_the_same_is_left_out() -> None:
    rows = [{"n": n} for n in range(10)]
    features = [
        Feature("few", lambda row: row["n"] < 2, ("n",)),
        Feature("most", lambda row: row["n"] > 0, ("n",)),
        Feature("half", lambda row: row["n"] < 5, ("n",)),
        Feature("the same half", lambda row: row["n"] <= 4, ("n",)),
        Feature("lost", lambda row: row["m"], ("m",)),
    ]
    found = cut(features, rows, smallest=3)
    assert [one.name for one in found.slices] == ["half"]
    assert found.small == 2 and found.lacking == {"lost": ["m"]}


@pytest.mark.parametrize(
    "text", ["i do not know", "isn't it", "it is n't", "nobody came", "we don’t", "cant stop"]
)
def test_negation_is_found(text: str) -> None:
    assert is_negated(text.split())


@pytest.mark.parametrize("text", ["different wants", "a knot", "the movement went on", "t shirt", "n t"])
def test_and_nothing_else(text: str) -> None:
    assert not is_negated(text.split())


def test_rows_know_rare_and_unknown_words_pieces_and_spans(tagged_run) -> None:
    run, spans = tagged_run
    training = Training.of(
        [
            Example("1", "", words=("Rome", "is", "old"), tags=("B-LOC", "O", "O")),
            Example("2", "", words=("is", "is", "is"), tags=("O", "B-PER", "O")),
        ],
        plain=False,
    )
    assert training.words == {"rome": 1, "is": 4, "old": 1}
    background = Background(training, lambda word: None if word == "zz" else list(word), rare=2)
    rows = rows_of(run, spans, Cast("ours", None, None), background)
    assert [(row["entity"], row["seen"], row["place"]) for row in rows] == [
        ("rome", "as this type", 0.0),
        ("is", "as another type", 0.5),
        ("zz x", "never", 2 / 3),
    ]
    assert [(row["rare"], row["unknown"], row["unread"]) for row in rows] == [(2, 0, 0), (2, 0, 0), (2, 2, 1)]
    assert [row["split"] for row in rows] == [1.0, 1.0, 0.5], "of two letters or more; one is not read"
    assert rows[0]["words"] == ("rome", "is", "old") and rows[2]["entities"] == 1
    names = {one.name for one in built_in("tagging", with_spans=True)}
    assert {"type", "seen in training", "place in the sentence"} <= names and "gold" not in names


@pytest.fixture
def tagged_run():
    from limbeck.analyse.mistakes.units import units_of
    from limbeck.core.recipe import Analysis
    from limbeck.evaluate.kept import Kept

    examples = [
        Example("a", "", words=("rome", "is", "old"), tags=("B-LOC", "B-LOC", "O")),
        Example("b", "", words=("is", "is", "zz", "x"), tags=("O", "O", "B-LOC", "I-LOC")),
    ]
    content = {"task": "tagging", "labels": ["O", "B-LOC", "I-LOC", "B-PER"], "test": {}, "models": []}
    kept = Kept(Path(), content, examples, {"ours": [[list(one.tags) for one in examples]]})
    return kept, units_of(kept, Analysis())[1]


def test_rows_of_pairs_know_what_both_texts_share() -> None:
    from limbeck.analyse.mistakes.units import units_of
    from limbeck.core.recipe import Analysis
    from limbeck.evaluate.kept import Kept

    examples = [
        Example("a", "A dog runs.", "yes", second="The dog sleeps."),
        Example("b", "Is it?", "no", second="A cat, 3 cats"),
    ]
    content = {"task": "classification", "labels": ["no", "yes"], "test": {}, "models": []}
    said = {
        "ours": [[[0.2, 0.8], [0.4, 0.6]], [[0.1, 0.9], [0.9, 0.1]]],
        "teacher": [[[0.5, 0.5], [0.75, 0.25]]],
    }
    kept = Kept(Path(), content, examples, said)
    (texts,) = units_of(kept, Analysis())
    rows = rows_of(kept, texts, Cast("ours", "teacher", None), Background())
    assert [row["overlap"] for row in rows] == [0.5, 0.0], "dog and the full stop, of four"
    assert (
        rows[0]["words"] == ("a", "dog", "runs", ".", "the", "dog", "sleeps", ".") and rows[0]["length"] == 8
    )
    assert [row["student"] for row in rows] == ["yes", "no"], "of a draw the first label"
    assert [row["student_confidence"] for row in rows] == pytest.approx([0.85, 0.75])
    assert [row["confidence"] for row in rows] == [0.5, 0.75]
    assert [row["entropy"] for row in rows] == pytest.approx([1.0, 0.8112781])
    assert "rare" not in rows[0] and "split" not in rows[0], "nothing is known of the training text"


# A person's own.

ROW = {"id": "t:1", "text": "But why?", "words": ("but", "why", "?"), "length": 3, "gold": "good", "teacher": "bad", "confidence": 0.75}  # fmt: skip


@pytest.mark.parametrize(
    ("told", "value"),
    [
        ("length > 2 and 'why' in words", True),
        ("not length == 3 or gold != teacher", True),
        ("1 < length <= 2", False),
        ("length % 2 + length // 2 * 10 - 1 / 2", 10.5),
        ("gold", "good"),
        ("'sure' if confidence >= 0.9 else 'unsure'", "unsure"),
        ("words[-1] == '?' and words[0] in ('but', 'and')", True),
        ("has(words, 'though', 'but')", True),
        ("matches(text, '^B[a-z]+ ')", True),
        ("count(words, 'why') + len(text) + max(length, 7) + -1", 15),
        ("lower(text)", "but why?"),
        ("gold not in ['bad']", True),
        ("None", None),
    ],
)
def test_an_expression_means_what_python_means(told: str, value: object) -> None:
    (feature,) = features_of({"mine": told})
    assert feature.value(ROW) == value and feature.name == "mine"


@pytest.mark.parametrize(
    "told",
    [
        "__import__('os').system('true')",
        "text.upper()",
        "().__class__",
        "[word for word in words]",
        "lambda: 1",
        "open('x')",
        "length ** 9",
        "(n := 3)",
        "f'{text}'",
        "text[0:2]",
        "len(obj=text)",
        "length >> 1",
        "b'x'",
    ],
)
def test_nothing_else_is_an_expression(told: str) -> None:
    with pytest.raises(LimbeckError, match=r"analyse.slices.mine: .* may not stand in an expression"):
        features_of({"mine": told})


@pytest.mark.parametrize(
    ("told", "what"),
    [
        ("length >", r"'length >' is no expression \(invalid syntax\)\. Columns are id, "),
        ("lenght > 3", r"there is no column 'lenght'\. Columns are id, .*functions are len, "),
        ("no_such_module:function", "'no_such_module' cannot be imported"),
        ("json:no_such", "'json' has no function 'no_such'"),
        ("nowhere.py:function", "there is no file 'nowhere.py'"),
        ("(" * 3000 + "1" + ")" * 3000, r".* is no expression"),
    ],
)
def test_bad_slices_are_told_in_a_sentence(told: str, what: str) -> None:
    with pytest.raises(LimbeckError, match=f"analyse.slices.mine: {what}"):
        features_of({"mine": told})


def test_what_fails_on_a_row_names_it() -> None:
    (feature,) = features_of({"mine": "confidence + text"})
    with pytest.raises(LimbeckError, match=r"analyse.slices.mine: on example 't:1' it fails \(TypeError"):
        feature.value(ROW)


def test_a_module_that_cannot_be_run_is_told_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_slices.py").write_text("def f(:\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(LimbeckError, match="'broken_slices' cannot be imported .SyntaxError"):
        features_of({"mine": "broken_slices:f"})


def test_values_of_numpy_sets_and_numbers_without_bounds(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "import numpy as np\n\ndef count(row):\n    return np.int64(3)\n\ndef flag(row):\n    return np.bool_(True)\n\n"
        "def several(row):\n    return {'b', 'a', 'c'}\n\ndef endless(row):\n    return float('inf')\n"
    )
    (count, flag, several, endless) = (
        features_of({"mine": f"{file}:{name}"})[0].value for name in ("count", "flag", "several", "endless")
    )
    assert (count(ROW), flag(ROW), several(ROW)) == (3, True, ("a", "b", "c"))
    with pytest.raises(LimbeckError, match="it gives a number without bounds"):
        endless(ROW)


def test_a_function_in_a_file_is_given_rows(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "from dataclasses import dataclass\n\n@dataclass\nclass Kind:\n    name: str\n\n"
        "def shout(row):\n    return Kind('loud' if '!' in row.text else 'quiet').name\n\n"
        "def odd(row):\n    return object()\n"
    )
    (feature,) = features_of({"mine": f"{file}:shout"})
    assert feature.value(ROW) == "quiet" and feature.value(ROW | {"text": "ho!"}) == "loud"
    (odd,) = features_of({"mine": f"{file}:odd"})
    with pytest.raises(LimbeckError, match="it gives no value of a slice .object."):
        odd.value(ROW)
    file.write_text("1 / 0\n")
    with pytest.raises(LimbeckError, match="cannot be run .ZeroDivisionError"):
        features_of({"mine": f"{file}:shout"})
