"""The report of a translator's run: BLEU by length, faults, measures, sentences side by side, on paper and on a phone."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import sacrebleu
import yaml

from limbeck.analyse.aligned import Reading
from limbeck.analyse.measures import Comparison, Measures, TextMeasures
from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.recipe import Evaluation
from limbeck.evaluate.cost import Cost
from limbeck.evaluate.speed import Speed
from limbeck.evaluate.translation import TranslationModel, evaluate_translations
from limbeck.report import words
from limbeck.report.measures import measure_view
from limbeck.report.page import write
from limbeck.report.reading import read_run
from limbeck.report.samples import Piece, marked
from limbeck.report.triangle import Panel, write as write_picture

MakeRun = Callable[..., Path]

WHO = (
    ("A young man", "Ein junger Mann"),
    ("Two children", "Zwei Kinder"),
    ("The old woman", "Die alte Frau"),
)
DOES = (
    ("is riding a bicycle", "fährt Fahrrad"),
    ("are playing with a ball", "spielen mit einem Ball"),
    ("is reading a newspaper & a <b>book</b>", "liest eine Zeitung & ein <b>Buch</b>"),
    ("sleeps", "schläft"),
)
WHERE = (
    ("in the park", "im Park"),
    ("in front of a large red building", "vor einem großen roten Gebäude"),
    ("", ""),
    ("on the beach while the sun sets", "am Strand, während die Sonne untergeht"),
)
LATER = (
    ("", ""),
    (", and nobody is watching", ", und niemand schaut zu"),
    (", because it has been raining all day long", ", weil es den ganzen Tag lang geregnet hat"),
)
SLIPS = ("ein", "Hund", "die", "Straße", "geht", "Männer")


def sentence(random: np.random.Generator) -> tuple[str, str]:
    parts = [bank[random.integers(len(bank))] for bank in (WHO, DOES, WHERE, LATER)]
    english, german = (
        " ".join(" ".join(side).split()).replace(" ,", ",") for side in zip(*parts, strict=True)
    )
    return f"{english}.", f"{german}."


def translated(text: str, rate: float, random: np.random.Generator, twice: float = 0.0) -> str:
    """A translation with errors as models make them: words mistaken, left out, or said twice."""
    said: list[str] = []
    for word in text.split():
        luck = random.random()
        if luck < rate / 3:
            continue
        said.append(str(random.choice(SLIPS)) if luck < rate else word)
        if random.random() < twice:
            said.append(said[-1])
    return " ".join(said)


def cost(name: str, engine: str, parameters: int, size: int, p50: float) -> Cost:
    return Cost(name, engine, parameters, size, Speed(p50, 1.4 * p50, 1000 / p50))


COSTS = (
    cost("teacher", "pytorch", 44_000_000, 176_000_000, 312.0),
    cost("sequence_level", "pytorch", 9_300_000, 37_200_000, 18.3),
    cost("sequence_level", "onnx-int8", 9_300_000, 9_800_000, 6.2),
)
METHODS = {"sequence_level": 0.22, "word_level": 0.28}


@pytest.fixture
def make_translation_run(make_run: MakeRun) -> MakeRun:
    """``make_translation_run(name, **choices)`` writes a translator's run, judged by evaluate_translations itself."""

    def make(
        name: str = "de",
        methods: dict[str, float] = METHODS,
        teacher: float | None = 0.1,
        control: float | None = 0.4,
        sentences: int = 80,
        references: int = 1,
        pairs: Sequence[tuple[str, str]] | None = None,
        measures: bool = True,
    ) -> Path:
        folder = make_run(name, methods={method: 1 - rate for method, rate in methods.items()})
        random = np.random.default_rng(0)
        pairs = pairs or [sentence(random) for _ in range(sentences)]
        tests = [
            Example(
                f"test:{n}", english, origin=f"test.en:{n}", targets=(german, f"Da: {german}")[:references]
            )
            for n, (english, german) in enumerate(pairs, 1)
        ]
        rates = (
            ({"teacher": teacher} if teacher is not None else {})
            | ({"gold": control} if control else {})
            | methods
        )
        models = []
        for model, rate in rates.items():
            role = {"teacher": "teacher", "gold": "control"}.get(model, "student")
            for seed in (None,) if role == "teacher" else (1, 2, 3):
                twice = 0.0 if role == "teacher" else rate / 10
                said = [translated(german, rate, random, twice) for _, german in pairs]
                if role == "control":
                    said[0], said[1] = "", pairs[1][0]
                passes = [len(each.split()) + 1 for each in said] if role == "teacher" else [1] * len(said)
                models.append(TranslationModel(model, role, seed, said, 40 - 30 * rate, passes))
        costs = [each for each in COSTS if each.name in rates]
        few = Evaluation(resamples=200)
        evaluate_translations(
            folder / "evaluation", tests, models, costs=costs, settings=few, truncated={"student": 2}
        )
        as_translators(folder)
        if measures:
            for text, complexity in (("sequence_level", 1.87), ("word_level", 2.1)):
                (folder / "distilled" / text).mkdir(parents=True)
                told = json.dumps(measured(complexity).as_json())
                (folder / "distilled" / text / "measures.json").write_text(told)
        return folder

    return make


def measured(complexity: float) -> Measures:
    """What limbeck measure finds, in its own form."""
    text = TextMeasures(
        pairs=29_000,
        empty=29,
        copies=0,
        source_words=380_000,
        target_words=361_000,
        length_ratio=0.95,
        types=14_200,
        type_token_ratio=0.0393,
        linked=0.91,
        vocabulary=9_800,
        complexity=complexity,
        complexity_by_link=1.1,
        reordering=0.71,
    )
    against = Comparison(
        faithfulness={"interpolated 0.1": 0.412, "additive 0.01": 0.634},
        partners=29_000,
        without_partner=0,
        bleu=41.3,
        chrf=63.9,
        signatures={"bleu": "nrefs:1"},
        length=0.978,
        unseen_types=120,
        unseen=0.0004,
    )
    return Measures(text, replace(text, complexity=2.64, types=18_700), against, Reading())


def as_translators(folder: Path) -> None:
    """The recipe and the journals of a run of translators."""
    for path in folder.rglob("journal.jsonl"):
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        for line in lines:
            if line["kind"] == "dev":
                line["scores"] = {
                    "bleu": 40 * line["scores"]["accuracy"],
                    "chrf": 60 * line["scores"]["accuracy"],
                }
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    path = folder / "recipe.yaml"
    recipe = yaml.safe_load(path.read_text()) | {"task": "translation"}
    recipe["train"]["metric"] = "bleu"
    recipe["student"]["kind"] = "vanilla"
    path.write_text(yaml.safe_dump(recipe, sort_keys=False))
    path = folder / "prepared" / "prepared.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "labels": {}}))


def test_the_headline_is_bleu(make_translation_run: MakeRun) -> None:
    run = read_run(make_translation_run())
    told = words.headline(run)
    assert re.match(
        r"Kept [\d.]+% of the teacher's BLEU, 50 times faster, 1/18 of the bytes; \+[\d.]+ points over the same",
        told.sentence,
    )
    assert run.main == run.metric == "bleu"
    assert run.student
    student, teacher = run.student.mean["bleu"], run.teacher.mean["bleu"] if run.teacher else 0
    assert told.figures[0].value == f"{100 * student / teacher:.1f}%"
    assert told.figures[0].basis == f"{student:.1f} against {teacher:.1f}"
    alone = words.headline(read_run(make_translation_run("alone", teacher=None, control=None)))
    assert re.match(r"BLEU of [\d.]+ on test, 6.20.ms a sentence", alone.sentence)


def test_costs_tell_the_passes_of_translators(make_translation_run: MakeRun, make_run: MakeRun) -> None:
    page = write([make_translation_run()])
    faults = json.loads((page.parent / "evaluation" / "evaluation.json").read_text())["faults"]
    (teacher,) = (row["passes"] for row in faults if row["name"] == "teacher")
    lines = page.with_suffix(".md").read_text(encoding="utf-8").splitlines()
    rows = [line.strip("| ").split(" | ") for line in lines if line.startswith("| ")]
    head = next(row for row in rows if row[-1] == "Passes" and "Faster" in row)
    costs = rows[rows.index(head) + 2 :][: len(COSTS)]
    assert [(row[0], row[-1]) for row in costs] == [
        ("teacher", f"{teacher:.1f}"),
        ("sequence\\_level", "1.0"),
        ("sequence\\_level", "1.0"),
    ]
    html = page.read_text(encoding="utf-8")
    assert "Passes: how often the decoder ran for a test sentence" in html
    assert "Passes" not in write([make_run("plain")]).read_text(encoding="utf-8")


def test_a_page_has_every_section_of_a_translator(make_translation_run: MakeRun) -> None:
    page = write([make_translation_run(references=2)])
    html = page.read_text(encoding="utf-8")
    assert re.findall(r"<h2 id[^>]*>([^<]*)</h2>", html) == [
        "Results on test",
        "Gains, with intervals",
        "Quality against latency",
        "How they learned",
        "BLEU by length",
        "Lengths and faults",
        "What the text became",
        "Sentences side by side",
        "Data",
        "The bundle",
        "To do it again",
    ]
    for part in (
        "2 references at most",
        "BLEU on dev</b>",
        "Gap closed",
        "real translations only",
        "nrefs:2|case:mixed|eff:no|tok:13a|smooth:exp|version:",
        "Translations changed",
        "C(d)",
        "&lt;b&gt;Buch&lt;/b&gt;",
        "<em>nothing</em>",
    ):
        assert part in html, part
    for missing in ("None", "MCC", "calibration", "<b>Buch", "Accuracy on", "0 classes", "BLEU on test, %"):
        assert missing not in html, missing
    told = page.with_suffix(".md").read_text(encoding="utf-8")
    assert "## BLEU by words of the source" in told
    assert "| Translations of | Length ratio |" in told
    assert "Where the student gains most over the control:\n\n- " in told
    assert re.search(r"  - student \(BLEU \d+, chrF \d+\): ", told)
    assert "None" not in told


def test_how_far_a_bundle_is_from_pytorch_is_told_in_tokens_and_in_translations(
    make_translation_run: MakeRun,
) -> None:
    folder = make_translation_run()
    path = folder / "bundle" / "bundle.json"
    told = json.loads(path.read_text())
    far = {"largest_difference": 0.0125, "changed": 0.015, "sentences": 0.25, "bleu": 87.64}
    path.write_text(json.dumps(told | {"parity": {"int8": far}}))
    html = write([folder]).read_text(encoding="utf-8")
    table = html.partition('aria-label="Parity of the bundle with PyTorch"')[2].partition("</table>")[0]
    assert re.findall(r'<th scope="col"[^>]*>([^<]*)</th>', table) == [
        "File",
        "Largest log-probability difference",
        "Tokens changed",
        "Translations changed",
        "BLEU to PyTorch",
    ]
    assert re.findall(r"<td>([^<]*)</td>", table) == ["0.0125", "1.50%", "25.00%", "87.6"]


def test_every_number_of_the_pictures_is_in_a_table(make_translation_run: MakeRun) -> None:
    folder = make_translation_run()
    html = write([folder]).read_text(encoding="utf-8")
    lengths = json.loads((folder / "evaluation" / "evaluation.json").read_text())["lengths"]
    table = html.partition('aria-label="BLEU by length of the source"')[2].partition("</table>")[0]
    for each in lengths["bins"]:
        assert f"<td>{each['examples']}</td>" in table
    for values in lengths["bleu"].values():
        for value in values:
            assert f"<td>{value:.1f}</td>" in table


def test_measures_of_each_text_stand_beside_the_real_ones(make_translation_run: MakeRun) -> None:
    found = read_run(make_translation_run()).measures
    assert [*found] == ["distilled/sequence_level", "distilled/word_level"]
    view = measure_view(found)
    assert view and [name for name, _ in view.measures.rows] == ["real text", "sequence_level", "word_level"]
    columns = {
        name: dict(zip(view.measures.heads, values, strict=True)) for name, values in view.measures.rows
    }
    assert [columns[name]["C(d)"] for name in columns] == ["2.640", "1.870", "2.100"]
    assert [columns[name]["F(d)"] for name in columns] == ["–", "0.412", "0.412"]
    assert columns["sequence_level"] == {
        "Pairs": "29,000",
        "C(d)": "1.870",
        "F(d)": "0.412",
        "Reordering": "0.710",
        "BLEU": "41.3",
        "chrF": "63.9",
        "Length ratio": "0.978",
        "Different words": "14,200",
        "Unknown to real, %": "0.04",
        "Copies, %": "0",
        "Empty, %": "0.10",
    }
    assert view.smoothings and view.smoothings.heads == ("interpolated 0.1", "additive 0.01")
    assert "eflomal" in view.reading and "smoothing interpolated 0.1" in view.reading
    alone = measure_view({".": measured(1.5).as_json() | {"real": None, "against": None}})
    assert alone and "F(d)" not in alone.measures.heads and alone.smoothings is None
    assert measure_view({}) is None


def test_samples_are_those_of_the_largest_differences(make_translation_run: MakeRun) -> None:
    folder = make_translation_run(sentences=150)
    samples = read_run(folder).samples
    assert samples and samples.student.startswith("sequence_level, seed ")
    rows = pq.read_table(folder / "evaluation" / "predictions.parquet").to_pylist()
    column = samples.student.replace(", seed ", "@")

    def chrf(row: dict[str, Any], name: str) -> float:
        return float(sacrebleu.sentence_chrf(row[name], row["references"]).score)

    over_teacher = {row["id"]: round(chrf(row, column) - chrf(row, "teacher"), 6) for row in rows}
    tally = next(each for each in samples.tallies if each.over == "teacher")
    assert (tally.better, tally.alike, tally.worse) == (
        sum(gain > 0 for gain in over_teacher.values()),
        sum(gain == 0 for gain in over_teacher.values()),
        sum(gain < 0 for gain in over_teacher.values()),
    )
    seen: list[str] = []
    for group in samples.groups:
        for sample in group.samples:
            by_role = {one.role: one.chrf for one in sample.renderings}
            assert [*by_role] == ["teacher", "student", "control"]
            if group.over:
                assert (by_role["student"] > by_role[group.over]) == group.wins
        seen += [sample.id for sample in group.samples]
    assert len(seen) == len(set(seen)) == 12 * 5
    first = samples.groups[0].samples[0]
    row = next(row for row in rows if row["id"] == first.id)
    said = {
        one.role: " ".join(piece.text for piece in one.pieces if piece.kind != "missing")
        for one in first.renderings
    }
    assert said["student"] == row[column]
    assert said["teacher"] == row["teacher"]
    losses = next(group for group in samples.groups if (group.over, group.wins) == ("teacher", False))
    earlier = {sample.id for group in samples.groups[:3] for sample in group.samples}
    worst = [
        gain for name, gain in sorted(over_teacher.items(), key=lambda each: each[1]) if name not in earlier
    ]
    assert [over_teacher[sample.id] for sample in losses.samples] == worst[:12]


def test_words_are_marked_against_the_nearest_reference() -> None:
    references = ("ganz etwas anderes", "ein Hund läuft schnell über die Wiese")
    assert list(marked("ein Hund Hund läuft die Straße", references)) == [
        Piece("ein Hund", "same"),
        Piece("Hund", "other"),
        Piece("läuft", "same"),
        Piece("schnell über", "missing"),
        Piece("die", "same"),
        Piece("Straße", "other"),
    ]
    assert list(marked("", ("ein Hund",))) == [Piece("ein Hund", "missing")]
    long = " ".join(["Wort"] * 200)
    assert len(list(marked(long + " x", (long,)))) <= 2


def test_runs_of_two_tasks_side_by_side(make_run: MakeRun, make_translation_run: MakeRun) -> None:
    page = write([make_translation_run("de"), make_run("moods")])
    assert "| Run | Student | Score | Kept |" in page.with_suffix(".md").read_text(encoding="utf-8")
    page = write([make_translation_run("fr"), make_translation_run("es")])
    assert "| Run | Student | BLEU | Kept |" in page.with_suffix(".md").read_text(encoding="utf-8")


def test_damaged_predictions_are_told(make_translation_run: MakeRun) -> None:
    folder = make_translation_run()
    path = folder / "evaluation" / "predictions.parquet"
    pq.write_table(pq.read_table(path).drop_columns(["references"]), path)
    with pytest.raises(LimbeckError, match="the column 'references' is missing"):
        read_run(folder)
    path.write_bytes(b"PAR1 and no more")
    with pytest.raises(LimbeckError, match="not a readable Parquet file"):
        read_run(folder)
    path.unlink()
    assert read_run(folder).samples is None


# ---------------------------------------------------------------- in a browser

OVERFLOWING = """[...document.querySelectorAll('body *')].filter(e => {
    if (e.closest('.scroll') && !e.matches('.scroll')) return false;
    const box = e.getBoundingClientRect();
    return box.width > 0 && (box.right > innerWidth + 0.5 || box.left < -0.5);
}).map(e => e.tagName + '.' + e.getAttribute('class')).slice(0, 5).join(', ')"""

RUNS: dict[str, dict[str, Any]] = {
    "whole": {"references": 2},
    "long": {
        "pairs": [
            ("word " * 150, "Donaudampfschifffahrtsgesellschaftskapitän" * 3 + " Wort" * 120),
            ("a b", "c d"),
        ],
        "methods": {"y" * 60: 0.3},
    },
    "next to nothing": {"teacher": None, "control": None, "measures": False},
}


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("name", RUNS)
def test_it_fits_a_window(
    make_translation_run: MakeRun, browser: Any, name: str, width: int, dark: bool
) -> None:
    browser.open(write([make_translation_run("de", **RUNS[name])]), width=width, dark=dark)
    for opened in ("false", "true"):
        browser.ask(f"document.querySelectorAll('details').forEach(each => each.open = {opened})")
        assert browser.ask("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        assert browser.ask(OVERFLOWING) == ""
    assert browser.ask("document.querySelectorAll('mark.other, del').length") > 3
    assert browser.requests() == [] or all(url.startswith(("file:", "data:")) for url in browser.requests())
    assert [event for event in browser.events if event.get("method") == "Runtime.exceptionThrown"] == []


# What prepare counted, who taught, and the study of modes.

PAIRS = {
    "pairs": {"train": 29_000, "dev": 1_014, "test": 1_000},
    "sides": {
        "train": {"text": 345_678, "target": 321_000},
        "dev": {"text": 12_001, "target": 11_000},
        "test": {"text": 11_877, "target": 10_905},
    },
    "length_ratio": {"train": 321_000 / 345_678, "dev": 0.9166, "test": 0.9182},
    "references": {"train": 1, "dev": 2, "test": 2},
    "languages": {
        "train": {"de": 14_500, "fr": 14_500},
        "dev": {"de": 1_014},
        "test": {"de": 500, "fr": 500},
    },
}


def test_pairs_and_words_of_each_set_are_told(make_translation_run: MakeRun) -> None:
    folder = make_translation_run()
    path = folder / "prepared" / "prepared.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | PAIRS))
    page = write([folder])
    told = page.with_suffix(".md").read_text(encoding="utf-8")
    assert (
        "| Set | Pairs | Words | Words of translations | Length ratio | References at most | In de | In fr |"
        in told
    )
    assert "| train | 29,000 | 345,678 | 321,000 | 0.929 | 1 | 14,500 | 14,500 |" in told
    assert "| dev | 1,014 | 12,001 | 11,000 | 0.917 | 2 | 1,014 | 0 |" in told
    html = page.read_text(encoding="utf-8")
    table = html.partition('aria-label="Pairs and words by set"')[2].partition("</table>")[0]
    assert "<td>345,678</td>" in table


def test_members_and_successors_are_drawn(make_translation_run: MakeRun) -> None:
    folder = make_translation_run()
    assert "Before the student</h3>" not in write([folder]).read_text(encoding="utf-8")
    journal = (folder / "teacher" / "journal.jsonl").read_text()
    for place in ("teacher/member-1", "teacher/member-2", "successors/word_level/generation_1"):
        (folder / place).mkdir(parents=True)
        (folder / place / "journal.jsonl").write_text(journal)
    html = write([folder]).read_text(encoding="utf-8")
    section = html.partition("Before the student</h3>")[2].partition("</section>")[0]
    for title in (
        "BLEU on dev of teacher: member-1, member-2",
        "Loss of teacher: member-1, member-2",
        "BLEU on dev of word_level: generation_1",
        "Loss of word_level: generation_1",
    ):
        assert f">{title}</b>" in section, title
    lines = re.findall(r"<title>([^<]*?): best", section)
    assert lines == ["teacher, member-1", "teacher, member-2", "word_level, generation_1"]


def test_the_study_of_modes_is_on_the_page(make_translation_run: MakeRun) -> None:
    folder = make_translation_run()
    row = {
        "panel": "a",
        "kind": "vanilla",
        "text": "the mixture",
        "complexity": 1.234,
        "complexity_by_link": 1.1,
        "decided": 0.4,
        "top_posterior": 0.535,
        "decided_for": {"de": 0.25, "fr": 0.15, "es": 0.0},
        "bleu": {"de": 7.65, "fr": None, "es": 8.74},
    }
    (folder / "study").mkdir()
    content = json.dumps({"languages": ["de", "fr", "es"], "rows": [row]})
    (folder / "study" / "modes.json").write_text(content)
    picture = write_picture(
        [Panel("(a)", np.eye(3), 1.2)], ["de", "fr", "es"], folder / "study" / "modes.svg"
    )
    page = write([folder])
    shown = re.search(r'src="data:image/svg\+xml;base64,([^"]+)"', page.read_text(encoding="utf-8"))
    assert shown and base64.b64decode(shown[1]).decode() == picture.read_text(encoding="utf-8")
    told = page.with_suffix(".md").read_text(encoding="utf-8")
    assert (
        "| (a) vanilla on the mixture | 1.23 | 1.10 | 40.0 | 0.54 | 25.0 | 15.0 | 0.0 | 7.7 | – | 8.7 |"
        in told
    )
    picture.unlink()
    html = write([folder]).read_text(encoding="utf-8")
    assert "In which language" in html and "svg+xml;base64" not in html
