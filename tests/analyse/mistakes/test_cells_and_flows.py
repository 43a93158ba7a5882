"""Cells, flows, agreement and overlap, against counting by hand and SciPy."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy.stats import binomtest
from sklearn.metrics import cohen_kappa_score, confusion_matrix

from finished_runs import LABELS, TAGS, write
from limbeck.analyse.mistakes import agreement, cells, flows
from limbeck.analyse.mistakes.units import Measure, Units, cast_of, units_of
from limbeck.core.errors import LimbeckError
from limbeck.core.recipe import Analysis
from limbeck.evaluate.kept import Kept, read_kept

pytestmark = pytest.mark.unit
ERRORS = {"teacher": 0.1, "gold": 0.4, "soft_labels": 0.25}
MEASURE = Measure("right")


def kept(folder: Path, task: str = "classification", **choices) -> Kept:
    return read_kept(write(folder / "run", task, ERRORS, **choices) / "evaluation")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_cells_are_counts_and_p_is_the_binomial_test(pairs: list[tuple[bool, bool]]) -> None:
    ours, theirs = np.array(pairs, dtype=np.float64).T
    found = cells.cells(ours, theirs, MEASURE)
    by_hand = Counter(pairs)
    told = (found.both, found.ours, found.theirs, found.neither)
    assert told == tuple(by_hand[key] for key in ((True, True), (True, False), (False, True), (False, False)))
    apart = found.ours + found.theirs
    assert found.p == pytest.approx(binomtest(found.ours, apart, 0.5).pvalue if apart else 1.0)


def test_translations_are_better_worse_or_alike() -> None:
    measure = Measure("chrF", 1.0, level=None, margin=10.0)
    found = cells.cells(np.array([50.0, 40.0, 30.0, 44.9]), np.array([40.0, 50.1, 30.0, 35.0]), measure)
    assert (found.ours, found.theirs, found.both, found.neither) == (1, 1, 2, None)


def test_every_seed_stands_against_the_teacher(tmp_path: Path) -> None:
    run = kept(tmp_path)
    (units,) = units_of(run, Analysis())
    gold = np.array([LABELS.index(example.gold) for example in run.examples])
    teacher = np.array(run.said["teacher"][0]).argmax(1) == gold
    found = cells.table(units, "soft_labels", "teacher", (1, 2))
    for row, seed, said in zip(found, (1, 2), run.said["soft_labels"], strict=True):
        ours = np.array(said).argmax(1) == gold
        assert (row.seed, row.both) == (seed, (ours & teacher).sum())
        assert (row.ours, row.theirs) == ((ours & ~teacher).sum(), (~ours & teacher).sum())
    assert cells.mean(found)["theirs"] == np.mean([row.theirs for row in found])


def test_flows_lead_from_one_confusion_matrix_to_the_other(tmp_path: Path) -> None:
    run = kept(tmp_path, examples=200)
    (units,) = units_of(run, Analysis())
    found = flows.flows(units, "teacher", "soft_labels")
    gold = [LABELS.index(example.gold) for example in run.examples]

    def matrix(name: str) -> np.ndarray:
        said = [np.array(one).argmax(1) for one in run.said[name]]
        return np.mean([confusion_matrix(gold, one, labels=range(3)) for one in said], axis=0)

    assert found["labels"] == list(LABELS)
    assert np.allclose(found["change"], matrix("soft_labels") - matrix("teacher"))
    assert sum(flow["count"] for flow in found["flows"]) + sum(found["stayed"].values()) == pytest.approx(200)
    for flow in found["flows"]:
        kind = {flow["before"]: "lost", flow["after"]: "won"}.get(flow["gold"], "moved")
        assert flow["kind"] == kind and flow["before"] != flow["after"]


def test_flows_of_taggers_are_of_gold_spans(tmp_path: Path) -> None:
    run = kept(tmp_path, "tagging")
    sentences, spans = units_of(run, Analysis())
    wanted = sum(tag.startswith("B-") for example in run.examples for tag in example.tags)
    loose = sum(  # an I that nothing opens begins a span, too
        tag.startswith("I-") and (place == 0 or example.tags[place - 1][2:] != tag[2:])
        for example in run.examples
        for place, tag in enumerate(example.tags)
    )
    assert len(sentences) == len(run.examples) and len(spans) == wanted + loose
    found = flows.flows(spans, "teacher", "soft_labels")
    assert set(found["labels"]) <= {"LOC", "PER", "missed", "other words"}
    assert sentences.quality["teacher"].mean() < spans.quality["teacher"].mean()


def test_plain_tags_are_judged_word_by_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("finished_runs.TAGS", ("DET", "NOUN", "VERB", "ADJ"))
    run = kept(tmp_path, "tagging")
    _, words = units_of(run, Analysis())
    gold = [tag for example in run.examples for tag in example.tags]
    assert words.name == "word" and words.gold.tolist() == gold
    said = [tag for sentence in run.said["teacher"][0] for tag in sentence]
    assert words.quality["teacher"][0].tolist() == [a == b for a, b in zip(gold, said, strict=True)]


@pytest.mark.parametrize("task", ["classification", "tagging"])
def test_agreement_and_kappa_are_those_of_scikit_learn(task: str, tmp_path: Path) -> None:
    run = kept(tmp_path, task)
    found = agreement.agreement(run)

    def labels(said) -> list:
        return [one for row in said for one in row] if task == "tagging" else list(np.array(said).argmax(1))

    ours, theirs = run.said["soft_labels"], run.said["teacher"]
    a, b = (found["models"].index(name) for name in ("soft_labels", "teacher"))
    shares = [np.mean([x == y for x, y in zip(labels(one), labels(theirs[0]), strict=True)]) for one in ours]
    kappas = [cohen_kappa_score(labels(one), labels(theirs[0])) for one in ours]
    assert found["share"][a][b] == found["share"][b][a] == pytest.approx(np.mean(shares))
    assert found["kappa"][a][b] == pytest.approx(np.mean(kappas))
    assert found["share"][b][b] is None, "the teacher has no other seed"
    assert found["kappa"][a][a] == pytest.approx(cohen_kappa_score(labels(ours[0]), labels(ours[1])))


def test_overlap_counts_what_two_models_lose_over_all_pairs_of_seeds() -> None:
    quality = {
        "teacher": np.array([[1, 1, 1, 1, 0]], dtype=float),
        "ours": np.array([[0, 0, 1, 1, 0], [0, 1, 1, 1, 0]], dtype=float),
        "theirs": np.array([[0, 1, 1, 0, 0], [0, 0, 1, 1, 1]], dtype=float),
    }
    units = Units("text", MEASURE, np.arange(5), quality)
    found = agreement.overlap(units, "teacher", "ours", "theirs", 200, 0.9)
    pairs = [(one, two) for one in quality["ours"] for two in quality["theirs"]]
    both = np.mean([((one == 0) & (two == 0))[:4].sum() for one, two in pairs])
    assert found.lost == 1.5 and found.share == pytest.approx(both / 1.5)
    assert found.luck == pytest.approx(np.mean([1 - two[:4].mean() for two in quality["theirs"]]))
    assert found.low <= found.share <= found.high
    own = agreement.overlap(units, "teacher", "ours", "ours", 200, 0.9)
    assert own.share == pytest.approx(1 / 1.5), "of 1.5 that a seed loses the other loses one"


def test_who_is_looked_at(tmp_path: Path) -> None:
    run = kept(tmp_path)
    assert cast_of(run).all == {"teacher": "teacher", "student": "soft_labels", "control": "gold"}
    with pytest.raises(LimbeckError, match=r"no student is called 'gold_'\. Choose from soft_labels"):
        cast_of(run, "gold_")
    alone = read_kept(write(tmp_path / "alone", "classification", {"gold": 0.3}) / "evaluation")
    assert cast_of(alone).all == {"student": "gold"}


def test_tags_of_the_fixture_mark_spans() -> None:
    assert TAGS[1] == "B-LOC"
