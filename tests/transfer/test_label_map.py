"""A teacher's labels as ours: merged, left out, and what is refused; held against probabilities added up in NumPy."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from transformers import (
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    PreTrainedModel,
)

from limbeck.core import fingerprint, progress
from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.models.heads import encoder_with_tag_head
from limbeck.structure.chain import Chain, log_partition, token_marginals
from limbeck.text.encode import encode
from limbeck.text.tokeniser import fingerprint_tokeniser, load_tokeniser
from limbeck.transfer.inner import InnerFolder, Part
from limbeck.transfer.label_map import LabelMap, Renamed, arrange
from limbeck.transfer.tagger_teacher import POTENTIALS, TaggerTeacher
from limbeck.transfer.teachers import LOGITS, FileTeacher, ModelTeacher, fingerprint_model
from limbeck.transfer.tokenwise import TokenAnswers

pytestmark = pytest.mark.unit
STARS = ("1 star", "2 stars", "3 stars", "4 stars", "5 stars")
CLASSES: Renamed = {"1 star": "bad", "2 stars": "bad", "3 stars": None, "4 stars": "good", "5 stars": "good"}
OURS = ("good", "bad")  # not the teacher's order
TAGS = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC", "B-MISC", "I-MISC")
KNOWN = ("O", "B-LOC", "B-PER", "I-LOC", "I-PER")
MERGED = {"B-MISC": "O", "I-MISC": "O"}
DROPPED = {"B-MISC": None, "I-MISC": None}


def softmax(logits: Any) -> Any:
    exponentials = np.exp(logits - logits.max(-1, keepdims=True))
    return exponentials / exponentials.sum(-1, keepdims=True)


def sigmoid(logits: Any) -> Any:
    return 1 / (1 + np.exp(-logits))


@st.composite
def maps(draw: st.DrawFn) -> tuple[list[str], dict[str, str | None]]:
    """What up to seven labels become: each of ours is there at least once, others are left out."""
    ours = ["a", "b", "c"][: draw(st.integers(2, 3))]
    rest = draw(st.lists(st.sampled_from([*ours, None]), max_size=4))
    order = draw(st.permutations([*ours, *rest]))
    return ours, {f"L{number}": name for number, name in enumerate(order)}


# Probabilities.


@settings(deadline=None)
@given(maps(), st.integers(0, 2**32 - 1))
def test_probabilities_of_classes_add_up_among_those_that_are_kept(
    drawn: tuple[list[str], dict[str, str | None]], seed: int
) -> None:
    ours, renamed = drawn
    logits = np.random.default_rng(seed).normal(scale=3, size=(4, len(renamed)))
    found = arrange(list(renamed), ours, renamed).over_ours(torch.from_numpy(logits)).numpy()
    becomes, theirs = list(renamed.values()), softmax(logits)
    sums = np.stack([theirs[:, [name == label for name in becomes]].sum(1) for label in ours], 1)
    np.testing.assert_allclose(softmax(found), sums / sums.sum(1, keepdims=True), atol=1e-12)


@settings(deadline=None)
@given(maps(), st.integers(0, 2**32 - 1))
def test_a_set_has_our_label_where_it_has_any_of_the_teachers(
    drawn: tuple[list[str], dict[str, str | None]], seed: int
) -> None:
    """Every set of the teacher's labels, as likely as the teacher has it."""
    ours, renamed = drawn
    logits = np.random.default_rng(seed).normal(scale=3, size=len(renamed))
    wanted = np.zeros(len(ours))
    for present in itertools.product((False, True), repeat=len(renamed)):
        share = np.where(present, sigmoid(logits), sigmoid(-logits)).prod()
        names = {name for name, there in zip(renamed.values(), present, strict=True) if there}
        wanted += share * np.array([label in names for label in ours])
    found = arrange(list(renamed), ours, renamed, "multilabel").over_ours(torch.from_numpy(logits))
    np.testing.assert_allclose(sigmoid(found.numpy()), wanted, atol=1e-12)


def test_large_and_small_logits_stay_finite() -> None:
    logits = torch.tensor([[-200.0, -300.0, 0.0], [300.0, 200.0, 0.0]])
    for task, wanted in (("classification", [-200.0, 300.0]), ("multilabel", [-200.0, 500.0])):
        found = LabelMap(((0, 1), (2,)), task).over_ours(logits)  # type: ignore[arg-type]
        assert found[:, 0].tolist() == wanted
        assert found[:, 1].tolist() == [0, 0]


def every_path(tags: Sequence[int], words: int) -> list[tuple[int, ...]]:
    return list(itertools.product(tags, repeat=words))


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_a_chain_without_some_tags_is_the_chain_on_condition_that_they_are_not_there(
    words: int, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    emissions, transitions = generator.normal(size=(words, 4)), generator.normal(size=(4, 4))
    start, end = generator.normal(size=(2, 4))

    def score(path: tuple[int, ...]) -> float:
        steps = sum(transitions[one, two] for one, two in itertools.pairwise(path))
        return float(start[path[0]] + end[path[-1]] + emissions[range(words), path].sum() + steps)

    full = Chain(
        *(torch.from_numpy(each) for each in (emissions[None], transitions)),
        torch.tensor([words]),
        *(torch.from_numpy(each) for each in (start, end)),
    )
    columns = [3, 0, 1]
    kept = LabelMap(tuple((column,) for column in columns), "tagging").chain_over_ours(full)
    total = np.logaddexp.reduce([score(path) for path in every_path(range(4), words)])
    allowed = {path: np.exp(score(path) - total) for path in every_path(columns, words)}
    share = sum(allowed.values())
    wanted = np.zeros((words, 3))
    for path, probability in allowed.items():
        for word, tag in enumerate(path):
            wanted[word, columns.index(tag)] += probability / share
    np.testing.assert_allclose(token_marginals(kept)[0].numpy(), wanted, atol=1e-9)
    assert float(log_partition(kept)[0]) == pytest.approx(np.log(share) + total)


# What is refused.


def told(
    theirs: Sequence[str], ours: Sequence[str], renamed: Renamed | None = None, task: Any = "classification"
) -> str:
    with pytest.raises(LimbeckError) as caught:
        arrange(theirs, ours, renamed or {}, task)
    return str(caught.value)


def test_labels_that_the_data_does_not_have_are_told_with_the_line_to_write() -> None:
    what = (
        f"the teacher's labels ({', '.join(TAGS)}) are not the data's ({', '.join(KNOWN)}); "
        "the data has no B-MISC, I-MISC. "
    )
    assert told(TAGS, KNOWN) == (
        f'{what}Say what they become: teacher.labels={{"B-MISC": O, "I-MISC": O}}, or null to leave them out.'
    )
    out = 'Leave out what the data does not have: teacher.labels={"B-MISC": null, "I-MISC": null}'
    assert told(TAGS, KNOWN, task="tagging") == f"{what}{out}."
    assert told(["neg", "so-so", "pos"], ["neg", "pos"]).endswith(
        'the data has no so-so. Leave out what the data does not have: teacher.labels={"so-so": null}, '
        "or say for null which of the data's labels it becomes."
    )


def test_the_line_to_write_keeps_what_was_said_before() -> None:
    assert 'teacher.labels={"N": neg, "P": pos, "so-so": null}' in told(
        ["N", "so-so", "P"], ["neg", "pos"], {"N": "neg", "P": "pos"}
    )


def test_more_labels_of_other_names_may_become_one() -> None:
    assert told(STARS, OURS).endswith(
        'Say which is which, e.g. teacher.labels={"1 star": good, "2 stars": bad} '
        "(several may become one, and null leaves one out), or take a teacher of these labels."
    )


def test_our_labels_must_all_be_there() -> None:
    assert "the teacher has no bad. Take a teacher of the data's labels" in told(["good"], ["good", "bad"])
    left_out = told(["good", "bad"], ["good", "bad"], {"bad": None})
    assert "which 'teacher.labels' makes good, null) are not" in left_out
    assert "the teacher has no bad" in left_out


def test_a_stranger_and_labels_of_one_name() -> None:
    assert told(["a", "b"], ["a", "b"], {"A": None}) == (
        "'teacher.labels' renames 'A', and the teacher's labels are: a, b."
    )
    assert told(["a", "b", "b"], ["a", "b"]) == "two of the teacher's labels are called 'b'."


def test_what_does_not_add_up_does_not_merge() -> None:
    assert told(TAGS, KNOWN, MERGED, "tagging") == (
        "several of the teacher's labels cannot become 'O' (O, B-MISC, I-MISC): this teacher is a CRF, which scores "
        "tags in pairs: a sum over tags is no chain. Leave out those that the data does not have: "
        'teacher.labels={"B-MISC": null, "I-MISC": null}.'
    )
    outputs: Mapping[str, str] = {"joy": "score", "anger": "score"}
    assert 'teacher.labels={"joy": score, "anger": null}' in told(
        list(outputs), ["score"], outputs, "regression"
    )
    assert arrange(["joy", "anger"], ["score"], {"joy": "score", "anger": None}, "regression").key == [0]


# Models.


@pytest.fixture(scope="module")
def reviewer(encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier of five classes."""
    names = dict(enumerate(STARS))
    return saved(AutoModelForSequenceClassification, encoder, names, tmp_path_factory.mktemp("reviewer"))


@pytest.fixture(scope="module")
def tagger(encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A token classifier that knows more entities than the data."""
    names = dict(enumerate(TAGS))
    return saved(AutoModelForTokenClassification, encoder, names, tmp_path_factory.mktemp("tagger"))


def saved(auto: Any, encoder: Path, names: dict[int, str], folder: Path) -> Path:
    torch.manual_seed(0)
    model = auto.from_pretrained(encoder, num_labels=len(names), id2label=names)
    torch.nn.init.normal_(model.classifier.weight, std=2.0)  # tells texts apart
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(encoder).save_pretrained(folder)
    return folder


TEXTS = ("the plot was dull", "a lovely film", "music", "this story felt cold and the end was awful")
EXAMPLES = [Example(str(n), text, words=tuple(text.split())) for n, text in enumerate(TEXTS)]


def one_by_one(folder: Path, auto: Any) -> list[Any]:
    """The oracle: transformers alone, a text at a time."""
    model, tokeniser = auto.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        return [model(**tokeniser(text, return_tensors="pt")).logits[0].double().numpy() for text in TEXTS]


def test_five_stars_are_two_classes(reviewer: Path) -> None:
    teacher = ModelTeacher.load(reviewer, OURS, 32, CLASSES)
    theirs = softmax(np.stack(one_by_one(reviewer, AutoModelForSequenceClassification)))
    assert theirs.max(0).min() > 0.05  # each of them is said of some text
    wanted = np.stack([theirs[:, 3:].sum(1), theirs[:, :2].sum(1)], 1)
    wanted /= wanted.sum(1, keepdims=True)
    for needs in (LOGITS, LOGITS | {"hidden"}):
        said = teacher.answer(EXAMPLES, frozenset(needs)).named("logits")
        np.testing.assert_allclose(softmax(said.double().cpu().numpy()), wanted, atol=1e-5)


def test_the_task_says_how_labels_merge(reviewer: Path) -> None:
    theirs = sigmoid(np.stack(one_by_one(reviewer, AutoModelForSequenceClassification)))
    wanted = np.stack([1 - (1 - theirs[:, 3:]).prod(1), 1 - (1 - theirs[:, :2]).prod(1)], 1)
    said = (
        ModelTeacher.load(reviewer, OURS, 32, CLASSES, "multilabel").answer(EXAMPLES, LOGITS).named("logits")
    )
    np.testing.assert_allclose(sigmoid(said.double().numpy()), wanted, atol=1e-5)


def test_derivatives_are_those_of_merged_logits(reviewer: Path) -> None:
    """In the teacher's labels the direction is ours, times the share of each in those that become one."""
    model = AutoModelForSequenceClassification.from_pretrained(reviewer).eval()
    inputs = dict(AutoTokenizer.from_pretrained(reviewer)(list(TEXTS), padding=True, return_tensors="pt"))
    label_map = arrange(STARS, OURS, CLASSES)
    directions = torch.randn(len(TEXTS), 2, 2, generator=torch.Generator().manual_seed(0))
    needs = frozenset({"logits", "saliency", "sensitivity"})
    found = TokenAnswers(model, needs, label_map).on(inputs, directions=directions)  # type: ignore[arg-type]
    with torch.no_grad():
        logits = model(**inputs).logits
    own = torch.zeros(len(TEXTS), 2, len(STARS))
    for place, several in enumerate(label_map.places):
        shares = logits[:, list(several)].softmax(-1)[:, None]
        own[..., list(several)] = directions[..., [place]] * shares
    wanted = TokenAnswers(model, needs).on(inputs, directions=own)  # type: ignore[arg-type]
    torch.testing.assert_close(found.saliency, wanted.saliency)
    torch.testing.assert_close(found.sensitivity, wanted.sensitivity)
    torch.testing.assert_close(found.logits, label_map.over_ours(logits))


@pytest.mark.parametrize("renamed", [MERGED, DROPPED])
def test_a_tagger_that_knows_more_entities(tagger: Path, renamed: Renamed) -> None:
    teacher = TaggerTeacher.load(tagger, KNOWN, 32, renamed)
    chain = teacher.answer(EXAMPLES, POTENTIALS).potentials
    assert chain is not None
    found = token_marginals(chain).numpy()
    becomes = [renamed.get(tag, tag) for tag in TAGS]
    for row, logits in enumerate(one_by_one(tagger, AutoModelForTokenClassification)):
        theirs = softmax(logits[1:-1])  # the tiny encoder's words are one token each
        wanted = np.stack([theirs[:, [name == tag for name in becomes]].sum(1) for tag in KNOWN], 1)
        wanted /= wanted.sum(1, keepdims=True)
        np.testing.assert_allclose(found[row, : len(wanted)], wanted, atol=1e-5)
    both = teacher.answer(EXAMPLES, POTENTIALS | {"hidden"})
    assert both.potentials is not None and both.hidden is not None
    torch.testing.assert_close(both.potentials.emissions[chain.mask], chain.emissions[chain.mask])


def test_tags_of_a_crf_are_left_out_and_not_merged(encoder: Path, tmp_path: Path) -> None:
    model: PreTrainedModel = encoder_with_tag_head(encoder, TAGS, seed=0)
    with torch.no_grad():
        model.head.transitions.normal_()
    model.save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(encoder).save_pretrained(tmp_path)
    with pytest.raises(LimbeckError, match=f"{tmp_path}: several of the teacher's labels cannot become 'O'"):
        TaggerTeacher.load(tmp_path, KNOWN, 32, MERGED)
    said = TaggerTeacher.load(tmp_path, KNOWN, 32, DROPPED).answer(EXAMPLES, POTENTIALS).potentials
    places = [TAGS.index(tag) for tag in KNOWN]
    assert said is not None
    torch.testing.assert_close(said.transitions, model.head.transitions.detach()[places][:, places])


# Fingerprints.


def test_maps_of_one_to_one_are_kept_under_the_fingerprints_that_they_had(reviewer: Path) -> None:
    order = [3, 0, 2, 4, 1]
    ours = [STARS[place] for place in order]
    model, tokeniser = AutoModelForSequenceClassification.from_pretrained(reviewer), load_tokeniser(reviewer)
    parts = [fingerprint_model(model), fingerprint_tokeniser(tokeniser), 32]
    assert ModelTeacher.load(reviewer, ours, 32).fingerprint == fingerprint.of_value([*parts, ours, order])
    assert ModelTeacher(model, tokeniser, STARS, 32).fingerprint == fingerprint.of_value(
        [*parts, STARS, [0, 1, 2, 3, 4]]
    )


def test_other_maps_have_other_fingerprints(reviewer: Path) -> None:
    others: list[Renamed] = [
        CLASSES,
        {**CLASSES, "3 stars": "bad"},
        {**CLASSES, "2 stars": None},
        {**dict.fromkeys(STARS), "1 star": "bad", "5 stars": "good"},
        {**dict.fromkeys(STARS), "2 stars": "bad", "5 stars": "good"},
    ]
    found = {ModelTeacher.load(reviewer, OURS, 32, renamed).fingerprint for renamed in others}
    found.add(ModelTeacher.load(reviewer, OURS, 32, CLASSES, "multilabel").fingerprint)
    assert len(found) == 6


def test_kept_logits_are_found_by_their_map(encoder: Path, tmp_path: Path) -> None:
    folder = InnerFolder(tmp_path, "teacher", encode(load_tokeniser(encoder), EXAMPLES, None, 32))
    parts = frozenset({Part("logits"), Part("hidden", 1)})
    model = AutoModelForSequenceClassification.from_pretrained(encoder, num_labels=3).eval()
    needs = frozenset({"logits", "hidden"})
    live = TokenAnswers(model, needs, LabelMap.of_columns([2, 0]))  # type: ignore[arg-type]
    folder.fill(live, parts, torch.device("cpu"), "ask")
    done = json.loads((folder.path / "logits" / "done.json").read_text())
    assert done["inputs"]["columns"] == [2, 0]
    assert not folder.lacking(parts, LabelMap.of_columns([2, 0]))
    assert folder.lacking(parts, LabelMap(((2, 1), (0,)))) == [Part("logits")]


# Files of answers.

SAID = np.array([[0.1, 0.2, 0.3, 0.3, 0.1], [0.0, 0.0, 1.0, 0.0, 0.0], [0.5, 0.5, 0.0, 0.0, 0.0]])


def written(path: Path, layout: str, form: str, values: Any) -> Path:
    rows = []
    for number, row in enumerate(values.tolist()):
        order = np.random.default_rng(number).permutation(5) if layout != "columns" else range(5)
        names = [STARS[place] for place in order]
        numbers = [row[place] for place in order]
        answer: dict[str, Any] = dict(zip(names, numbers, strict=True))
        if layout == "object":
            answer = {form: answer}
        elif layout == "list":
            answer = {form: numbers, "labels": names}
        rows.append({"id": str(number), **answer})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize("layout", ["columns", "object", "list"])
def test_a_file_of_more_labels(tmp_path: Path, layout: str, listener: Any) -> None:
    path = written(tmp_path / "a.jsonl", layout, "probabilities", SAID)
    said = FileTeacher.load(path, OURS, renamed=CLASSES).answer(EXAMPLES[:3], LOGITS).named("logits").numpy()
    # Of a text of which nothing is left, nothing is known; a probability of nought is one of a millionth.
    np.testing.assert_allclose(softmax(said)[:, 0], [0.4 / 0.7, 0.5, 0], atol=1e-5)
    assert not listener.warnings
    path = written(path, layout, "logits", np.log(SAID + 1e-3))
    said = (
        FileTeacher.load(path, OURS, "logits", CLASSES).answer(EXAMPLES[:3], LOGITS).named("logits").numpy()
    )
    np.testing.assert_allclose(softmax(said)[:, 0], [0.402 / 0.704, 0.5, 0.002 / 1.004], atol=1e-5)


def test_a_file_of_sets_of_more_labels(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", "object", "probabilities", SAID)
    teacher = FileTeacher.load(path, OURS, renamed=CLASSES, task="multilabel")
    said = sigmoid(teacher.answer(EXAMPLES[:3], LOGITS).named("logits").numpy())
    np.testing.assert_allclose(said, [[0.37, 0.28], [0, 0], [0, 0.75]], atol=1e-5)


def test_a_list_of_more_labels_by_position(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"id": "0", "probabilities": [0.2, 0.6, 0.2]}\n')
    renamed = {"0": "bad", "1": None, "2": "good"}
    said = FileTeacher.load(path, OURS, renamed=renamed).answer(EXAMPLES[:1], LOGITS).named("logits")
    np.testing.assert_allclose(softmax(said.numpy()), [[0.5, 0.5]])
    with pytest.raises(LimbeckError, match="3 probabilities for 2 labels"):
        FileTeacher.load(path, OURS)


def test_what_a_file_must_hold_of_more_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    warned: list[str] = []
    monkeypatch.setattr(progress, "warn", warned.append)
    path = tmp_path / "a.jsonl"
    path.write_text('{"id": "0", "good": 0.2, "bad": 0.6, "so-so": 0.2}\n')
    with pytest.raises(LimbeckError, match="probabilities of good, bad sum to 0.8"):
        FileTeacher.load(path, OURS)
    assert "called so-so: columns not read" in warned[0] and "'teacher.labels'" in warned[0]
    assert FileTeacher.load(path, OURS, renamed={"so-so": None}).labels == OURS
    with pytest.raises(LimbeckError, match="renames 'neutral', and the teacher's labels are: good, bad"):
        FileTeacher.load(path, OURS, renamed={"neutral": None})
    path.write_text(
        '{"id": "0", "probabilities": {"good": 0.2, "bad": 0.6, "so-so": 0.2}}\n'
        '{"id": "1", "probabilities": {"good": 0.2, "bad": 0.8}}\n'
    )
    with pytest.raises(
        LimbeckError, match=r":2: probabilities of good, bad, and line 1 has those of good, bad, so-so"
    ):
        FileTeacher.load(path, OURS, renamed={"so-so": None})
    path.write_text('{"id": "0", "probabilities": {"good": 0.2, "bad": 0.6, "so-so": 0.3}}\n')
    with pytest.raises(LimbeckError, match="probabilities of good, bad, so-so sum to 1.1, not to one"):
        FileTeacher.load(path, OURS, renamed={"so-so": None})
