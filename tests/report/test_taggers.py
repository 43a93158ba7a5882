"""The report of a tagger's run: scores by type, sentences with their spans in place, on paper and on a phone."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.recipe import Evaluation
from limbeck.evaluate.cost import Cost
from limbeck.evaluate.speed import Speed
from limbeck.evaluate.tagging import TagModel, evaluate_tagging
from limbeck.report import words
from limbeck.report.page import write
from limbeck.report.reading import read_run
from limbeck.report.tagged import TagDisputes

MakeRun = Callable[..., Path]

NER = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC", "B-ORG", "I-ORG", "B-MISC", "I-MISC")
POS = ("ADJ", "ADP", "DET", "NOUN", "PROPN", "PUNCT", "VERB")
NAMES = {
    "PER": ("Ada Lovelace", "Charles Babbage", "Grace Brewster Murray Hopper", "Turing"),
    "LOC": ("New York", "Bern", "Stratford - upon - Avon", "the Isle of Skye"),
    "ORG": ("Bank of England", "Royal Society", "Lyons & Co."),
    "MISC": ("Swiss", "World Cup", "<b>Nobel</b> Prize"),
}
FRAMES = (
    "{} met {} in {} .",
    "On Friday {} said that {} would , after all , not be coming to {} this year , which surprised nobody .",
    "{} 3 {} 1",
    "The {} of {} has never been to {} , said its chairman in a long and rather rambling interview with several "
    "newspapers on the morning after the meeting , which had gone on until two , and he then went home to {} .",
    "nothing to see here .",
    "yesterday {} rose by 3.5 percent while " + "shares fell , and " * 14 + "then {} bought {}",
)
METHODS = {"chain_posterior": 0.06, "chain_kbest": 0.09}


def ner_sentence(random: np.random.Generator) -> tuple[list[str], list[str]]:
    spoken, tags = [], []
    for part in re.split(r"(\{\})", FRAMES[random.integers(len(FRAMES))]):
        kind = list(NAMES)[random.integers(4)]
        filled = NAMES[kind][random.integers(len(NAMES[kind]))] if part == "{}" else part
        said = filled.split()
        spoken += said
        tags += [f"B-{kind}", *[f"I-{kind}"] * (len(said) - 1)] if part == "{}" else ["O"] * len(said)
    return spoken, tags


def pos_sentence(random: np.random.Generator) -> tuple[list[str], list[str]]:
    kinds = ["DET", "ADJ", "NOUN", "VERB", "ADP", "PROPN", "PUNCT"]
    chosen = {
        "DET": "the a",
        "ADJ": "old loud",
        "NOUN": "run dog",
        "VERB": "saw run",
        "ADP": "at by",
        "PROPN": "Bern Ada",
        "PUNCT": ". !",
    }
    return [chosen[kind].split()[random.integers(2)] for kind in kinds], kinds


def wrong(tags: Sequence[str], labels: Sequence[str], rate: float, random: np.random.Generator) -> np.ndarray:
    """Tags with errors as models make them: types mistaken, spans cut short, or missed, or made up."""
    said = list(tags)
    for place, tag in enumerate(tags):
        if random.random() >= (rate if tag != "O" else rate / 8):
            continue
        if labels is POS:
            said[place] = POS[random.integers(len(POS))]
        elif tag == "O":
            said[place] = "B-ORG"
        elif tag.startswith("I-") or random.random() < 0.4:
            said[place] = "O"
        else:
            kind = list(NAMES)[random.integers(4)]
            said[place] = f"B-{kind}"
            for after in range(place + 1, len(tags)):
                if not tags[after].startswith("I-"):
                    break
                said[after] = f"I-{kind}"
    return np.array([labels.index(tag) for tag in said])


def speed(p50: float) -> Speed:
    return Speed(p50, 1.4 * p50, 1000 / p50)


COSTS = (
    Cost("teacher", "pytorch", 22_714_752, 90_888_192, speed(16.2)),
    Cost("teacher", "onnx-int8", 22_714_752, 23_010_000, speed(5.6)),
    Cost("chain_posterior", "pytorch", 1_204_931, 4_819_724, speed(2.1)),
    Cost("chain_posterior", "onnx-int8", 1_204_931, 1_260_000, speed(0.52)),
)


@pytest.fixture
def make_tag_run(make_run: MakeRun) -> MakeRun:
    """``make_tag_run(name, **choices)`` writes a tagger's run, judged by evaluate_tagging itself."""

    def make(
        name: str = "tweets",
        labels: Sequence[str] = NER,
        examples: int = 240,
        teacher: float | None = 0.03,
        control: float | None = 0.16,
        methods: dict[str, float] = METHODS,
        sentence: Callable[..., Any] = ner_sentence,
    ) -> Path:
        folder = make_run(name, methods=dict.fromkeys(methods, 0.87), control=0.84 if control else None)
        random = np.random.default_rng(3)
        pairs = [sentence(random) for _ in range(examples)]
        tests = [
            Example(
                f"t:{n}",
                " ".join(spoken),
                origin=f"test.conll:{9 * n}",
                words=tuple(spoken),
                tags=tuple(tags),
            )
            for n, (spoken, tags) in enumerate(pairs)
        ]
        rates = ({"teacher": teacher} if teacher is not None else {}) | ({"gold": control} if control else {})
        models = []
        for model, rate in (rates | methods).items():
            role = {"teacher": "teacher", "gold": "control"}.get(model, "student")
            for seed in (None,) if role == "teacher" else (1, 2, 3):
                tags = [wrong(tags, labels, rate, random) for _, tags in pairs]
                models.append(TagModel(model, role, seed, tags, 0.9 - rate))
        costs = [cost for cost in COSTS if cost.name in rates | methods]
        few = Evaluation(resamples=300)
        evaluate_tagging(
            folder / "evaluation", labels, tests, models, costs=costs, settings=few, truncated={"student": 2}
        )
        as_taggers(folder)
        return folder

    return make


def as_taggers(folder: Path) -> None:
    """The recipe and the journals of a run of taggers."""
    for path in folder.rglob("journal.jsonl"):
        path.write_text(path.read_text().replace('"accuracy"', '"f1"').replace('"mcc"', '"token_accuracy"'))
    path = folder / "recipe.yaml"
    recipe = yaml.safe_load(path.read_text()) | {"task": "tagging"}
    recipe["train"]["metric"] = "f1"
    path.write_text(yaml.safe_dump(recipe, sort_keys=False))
    path = folder / "prepared" / "prepared.json"
    spans = '"spans": {"train": {"LOC": 2100, "PER": 1900, "ORG": 40}, "test": {"LOC": 210, "PER": 190, "ORG": 4}}'
    unseen = '"unseen": {"test": {"B-EVENT": 3}}'
    path.write_text(path.read_text().replace("{", f"{{{spans}, {unseen}, ", 1))


def test_the_headline_is_entity_f1(make_tag_run: MakeRun) -> None:
    run = read_run(make_tag_run())
    told = words.headline(run)
    assert re.match(
        r"Kept [\d.]+% of the teacher's entity F1, 31 times faster, 1/72 of the bytes; \+[\d.]+ points over the same",
        told.sentence,
    )
    assert "by entity F1 on dev" in " ".join(told.basis)
    assert run.student and run.main == run.metric == "f1"
    assert told.figures[0].what == "of the teacher's entity F1"
    assert read_run(make_tag_run("alone", teacher=None)).disputes is None


def test_a_page_has_every_section_of_a_tagger(make_tag_run: MakeRun) -> None:
    page = write([make_tag_run()])
    html = page.read_text(encoding="utf-8")
    assert re.findall(r"<h2 id[^>]*>([^<]*)</h2>", html) == [
        "Results on test",
        "Gains, with intervals",
        "Quality against latency",
        "How they learned",
        "What is found, type by type",
        "Where teacher and student part ways",
        "Data",
        "The bundle",
        "To do it again",
    ]
    for part in (
        "Entity F1 on test, %",
        "Entity F1 on dev, %",
        "Token accuracy",
        "9 tags",
        "Entity F1 as",
        "f1|spans:conlleval|average:micro",
        "B-EVENT",
        "&lt;b&gt;Nobel&lt;/b&gt; Prize",
    ):
        assert part.replace("Entity F1 as", "entity F1 as") in html, part
    assert re.search(r"<title>chain_posterior in ONNX int8: 0.520.ms, entity F1 [\d.]+ ± ", html)
    for missing in ("None", "MCC", "calibration", "<b>Nobel", "Accuracy on"):
        assert missing not in html, missing
    told = page.with_suffix(".md").read_text(encoding="utf-8")
    assert "## Entities by type" in told
    assert "| Type | In gold | teacher P | teacher R | teacher F1 | control P |" in told
    assert re.search(r"\n- gold, teacher: .+\n  - student: ", told)
    assert re.search(r"\n- gold: .+\n  - teacher: .+\n  - student: ", told)
    assert "**New York** (LOC)" in told


def test_disputes_are_those_that_counting_one_by_one_finds(make_tag_run: MakeRun) -> None:
    from limbeck.text.tags import spans

    folder = make_tag_run()
    found = read_run(folder).disputes
    assert isinstance(found, TagDisputes)
    rows = pq.read_table(folder / "evaluation" / "predictions.parquet").to_pylist()
    column = found.student.replace(", seed ", "@")
    counts: dict[str, int] = {}
    for row in rows:
        gold, teacher, student = (spans(row[name]) for name in ("gold", "teacher", column))
        kind = (teacher == gold, student == gold, teacher == student)
        counts[str(kind)] = counts.get(str(kind), 0) + 1
    assert found.both == counts[str((True, True, True))]
    assert found.agreed == counts.get(str((False, False, True)), 0)
    expected = [counts.get(str((*kind, False)), 0) for kind in ((True, False), (False, True), (False, False))]
    assert [kind.count for kind in found.kinds] == expected
    assert found.total == len(rows)
    for kind in found.kinds:
        errors = [sum(line.missed + line.added for line in each.lines) for each in kind.sentences]
        assert errors == sorted(errors, reverse=True)
        assert len(kind.sentences) == min(25, kind.count)


def test_spans_stand_in_place_with_their_types(tmp_path: Path, make_run: MakeRun) -> None:
    labels = ("O", "B-LOC", "I-LOC", "B-PER")
    long = ["word"] * 30
    sentences = [
        (["Ada", "in", "New", "York"], ["B-PER", "O", "B-LOC", "I-LOC"]),
        ([*long, "Bern", *long], ["O"] * 30 + ["B-LOC"] + ["O"] * 30),
        (["Bern", *long[:23], "Bern"], ["B-LOC", *["O"] * 23, "B-LOC"]),
    ]
    tests = [Example(f"t:{n}", "", words=tuple(a), tags=tuple(b)) for n, (a, b) in enumerate(sentences)]
    right = [np.array([labels.index(tag) for tag in tags]) for _, tags in sentences]
    student = [np.array([3, 0, 3, 0]), np.zeros(61, dtype=int), np.zeros(25, dtype=int)]
    folder = make_run("small")
    models = [TagModel("teacher", "teacher", None, right), TagModel("chain_kbest", "student", 1, student)]
    evaluate_tagging(folder / "evaluation", labels, tests, models, settings=Evaluation(resamples=9))
    found = read_run(folder).disputes
    assert isinstance(found, TagDisputes)
    only_teacher, only_student, neither = found.kinds
    assert (found.both, only_teacher.count, only_student.count, neither.count) == (0, 3, 0, 0)
    gold, teacher, said = only_teacher.sentences[0].lines
    assert [(piece.text, piece.type) for piece in gold.pieces] == [
        ("Ada", "PER"),
        ("in", None),
        ("New York", "LOC"),
    ]
    assert gold.pieces == teacher.pieces
    assert [(piece.text, piece.type, piece.wrong) for piece in said.pieces] == [
        ("Ada", "PER", False), ("in", None, False), ("New", "PER", True), ("York", None, False),
    ]  # fmt: skip
    assert (teacher.right, said.missed, said.added) == (True, 1, 1)
    gold, _, said = only_teacher.sentences[2].lines
    around = " ".join(["word"] * 10)
    assert [piece.text for piece in gold.pieces] == [f"… {around}", "Bern", f"{around} …"]
    assert [piece.text for piece in said.pieces] == [f"… {around} Bern {around} …"]
    gold, _, _ = only_teacher.sentences[1].lines
    told = f"{around} word word word {around}"
    assert [piece.text for piece in gold.pieces] == ["Bern", told, "Bern"], (
        "a small gap is not worth its dots"
    )


def test_parts_of_speech(make_tag_run: MakeRun) -> None:
    folder = make_tag_run("pos", labels=POS, sentence=pos_sentence)
    run = read_run(folder)
    assert run.main == run.metric == "token_accuracy"
    html = write([folder]).read_text(encoding="utf-8")
    assert "Kept " in html and "of the teacher's token accuracy" in html.replace("&#39;", "'")
    assert "What is found, tag by tag" in html
    assert "Entity F1" not in html
    assert isinstance(run.disputes, TagDisputes)
    for line in run.disputes.kinds[0].sentences[0].lines:
        assert 0 < sum(piece.type is not None for piece in line.pieces) < 7, (
            "only the words in dispute are marked"
        )


def test_runs_of_two_tasks_side_by_side(make_run: MakeRun, make_tag_run: MakeRun) -> None:
    page = write([make_tag_run("names"), make_run("moods")])
    assert "| Run | Student | Score | Kept |" in page.with_suffix(".md").read_text(encoding="utf-8")
    page = write([make_tag_run("names1"), make_tag_run("names2")])
    assert "| Run | Student | Entity F1 | Kept |" in page.with_suffix(".md").read_text(encoding="utf-8")


def test_damaged_predictions_are_told(make_tag_run: MakeRun) -> None:
    folder = make_tag_run()
    path = folder / "evaluation" / "predictions.parquet"
    table = pq.read_table(path)
    pq.write_table(table.drop_columns(["words"]), path)
    with pytest.raises(LimbeckError, match="the column 'words' is missing"):
        read_run(folder)
    short = table.set_column(table.column_names.index("gold"), "gold", pa.array([["O"]] * len(table)))
    pq.write_table(short, path)
    with pytest.raises(LimbeckError, match="column 'gold' does not hold a tag for every word"):
        read_run(folder)
    path.write_bytes(b"PAR1 and no more")
    with pytest.raises(LimbeckError, match="not a readable Parquet file"):
        read_run(folder)


# ---------------------------------------------------------------- in a browser

OVERFLOWING = """[...document.querySelectorAll('body *')].filter(e => {
    if (e.closest('.scroll') && !e.matches('.scroll')) return false;
    const box = e.getBoundingClientRect();
    return box.width > 0 && (box.right > innerWidth + 0.5 || box.left < -0.5);
}).map(e => e.tagName + '.' + e.getAttribute('class')).slice(0, 5).join(', ')"""

RUNS: dict[str, dict[str, Any]] = {
    "entities": {},
    "parts of speech": {"labels": POS, "sentence": pos_sentence},
}


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("name", RUNS)
def test_it_fits_a_window(make_tag_run: MakeRun, browser: Any, name: str, width: int, dark: bool) -> None:
    browser.open(write([make_tag_run("tweets", **RUNS[name])]), width=width, dark=dark)
    for opened in ("false", "true"):
        browser.ask(f"document.querySelectorAll('details').forEach(each => each.open = {opened})")
        assert browser.ask("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        assert browser.ask(OVERFLOWING) == ""
    assert browser.ask("document.querySelectorAll('mark').length") > 10
    # No span is told by its colour alone.
    assert browser.ask(
        "[...document.querySelectorAll('mark')].every(each => each.querySelector('b').innerText)"
    )
    assert browser.requests() == [] or all(url.startswith(("file:", "data:")) for url in browser.requests())
