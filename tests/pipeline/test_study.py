"""The study of modes: a tiny run with three made-up languages, every number of its rows counted anew."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from sacrebleu import corpus_bleu

from limbeck.analyse import alignment
from limbeck.core import progress
from limbeck.core.errors import LimbeckError
from limbeck.core.recipe import Recipe
from limbeck.models.translators.decode import translate
from limbeck.pipeline import Run
from limbeck.pipeline.study import Study, learned_by, study
from limbeck.pipeline.translation import TranslationRun

pytestmark = pytest.mark.recipe
LANGUAGES = ("la", "lb", "lc")
GREEDY = {"search": "greedy", "max_length": 12}
SMALL = {"layers": 1, "width": 32, "heads": 2}


def table(path: Path, rows: int = 90) -> Path:
    """Texts of one to three of ten words, and each word's name in three languages; the second writes backwards."""
    generator = random.Random(4)
    texts = list({tuple(generator.choices(range(10), k=generator.randint(1, 3))) for _ in range(rows)})
    lines = ["\t".join(("en", *LANGUAGES))]
    for text in sorted(texts):
        cells = [" ".join(f"w{n}" for n in text)]
        for language in LANGUAGES:
            words = [f"{language}{n}" for n in text]
            cells.append(" ".join(reversed(words) if language == "lb" else words))
        lines.append("\t".join(cells))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def sources(path: Path) -> list[dict[str, Any]]:
    return [{"path": str(path), "text": "en", "target": each, "language": each} for each in LANGUAGES]


def recipe(folder: Path, **keys: Any) -> Recipe:
    training = {"epochs": 40, "tokens_per_batch": 400, "learning_rate": 5e-3, "evaluate": 1}
    values: dict[str, Any] = {
        "name": "modes",
        "task": "translation",
        "data": {
            "train": sources(table(folder / "multi.tsv")),
            "dev": 12,
            "test": 30,
            "vocabulary": {"size": 330},
        },
        "teacher": {
            "scratch": {"kind": "autoregressive", **SMALL},
            "fine_tune": {**training, "epochs": 60},
            "max_length": 16,
        },
        "student": {"kind": "vanilla", **SMALL, "max_length": 16},
        "method": ["random_selection", {"name": "sequence_level", "decoding": GREEDY}],
        "seeds": 2,
        "train": training,
        "evaluate": {"decoding": GREEDY, "latency_sentences": 0},
        "out": str(folder / "runs"),
    }
    return Recipe.model_validate({**values, **keys})


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    return recipe(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module")
def run(made: Recipe) -> Run:
    return Run.of(made)


@pytest.fixture(scope="module")
def found(run: Run) -> Study:
    pytest.importorskip("eflomal", reason="the aligner is an extra: pip install 'limbeck[measure]'")
    return study(run)


def test_the_four_panels(found: Study) -> None:
    assert json.loads(found.results.read_text()) == found.content
    assert found.content["languages"] == list(LANGUAGES)
    told = [(row["panel"], row["model"], row["kind"], row["text"], row["seeds"]) for row in found.rows]
    assert told == [
        ("a", "teacher", "autoregressive", "the mixture", 1),
        ("b", "gold", "vanilla", "the mixture", 2),
        ("c", "random_selection", "vanilla", "a random reduction", 2),
        ("d", "sequence_level", "vanilla", "distilled text", 2),
    ]


def test_texts_are_measured_as_they_were_learned(found: Study, run: Run) -> None:
    mixture, teacher_text, reduced, distilled = (found.rows[n] for n in (1, 0, 2, 3))
    texts = len({example.text for example in run.prepared.train})
    assert mixture["pairs"] == 3 * texts and reduced["pairs"] == distilled["pairs"] == texts
    assert all(mixture[key] == teacher_text[key] for key in ("complexity", "complexity_by_link"))
    assert mixture["complexity_by_link"] > 0.8  # each word has three names: at most ln 3, but for alignment


def words_of(run: Run) -> dict[str, Counter[str]]:
    counts = {language: Counter[str]() for language in LANGUAGES}
    for example in run.prepared.train:
        counts[example.id[-2:]].update(example.targets[0].split())
    return counts


def posterior(output: str, counts: dict[str, Counter[str]]) -> list[float]:
    """By hand: the mean over words of p(word | language) over its sum, smoothed by 0.01."""
    vocabulary = set().union(*counts.values())
    found = []
    for word in output.split():
        known = word in vocabulary
        shares = [(c[word] + 0.01) / (c.total() + 0.01 * len(vocabulary)) for c in counts.values()]
        found.append([share / sum(shares) for share in shares] if known else [1 / 3] * 3)
    return [sum(column) / len(found) for column in zip(*found, strict=True)] if found else [1 / 3] * 3


def test_points_and_bleu_are_those_of_the_outputs(found: Study, run: Any) -> None:
    """The posterior of every output and BLEU against every language, without the study's own code."""
    texts = {example.text: example for example in run.prepared.test}
    assert len(run.prepared.test) == 3 * len(texts) == 3 * found.content["texts"]
    encoded = run.encoded(list(texts.values()))
    counts = words_of(run)
    for row in found.rows[1:]:
        outputs = []
        for seed in (1, 2):
            model = run.load_student(row["model"], seed)
            best = translate(model, encoded, run.recipe.evaluate.decoding)
            outputs.append([run.tokeniser.decode(one[0].tokens) for one in best])
        points = [posterior(output, counts) for said in outputs for output in said]
        assert row["top_posterior"] == pytest.approx(sum(map(max, points)) / len(points))
        assert row["decided"] == pytest.approx(sum(max(point) >= 0.6 for point in points) / len(points))
        for place, language in enumerate(LANGUAGES):
            mine = sum(point[place] >= 0.6 for point in points) / len(points)
            assert row["decided_for"][language] == pytest.approx(mine)
            wanted = {e.text: e.targets[0] for e in run.prepared.test if e.id.endswith(f"/{language}")}
            references = [[wanted[text] for text in texts]]
            scores = [corpus_bleu(said, references).score for said in outputs]
            assert row["bleu"][language] == pytest.approx(sum(scores) / 2)


def test_the_teacher_selects_modes(found: Study) -> None:
    """A greedy autoregressive model that has learned the mixture writes one language at a time, and so does who learns
    from it; a parallel student of the mixture mixes them."""
    teacher, mixed, _, distilled = (row["top_posterior"] for row in found.rows)
    assert found.rows[0]["decided"] > 0.9
    assert min(teacher, distilled) > mixed + 0.05


def test_the_picture_has_the_panels_with_their_complexity(found: Study) -> None:
    assert found.picture is not None
    drawn = ElementTree.parse(found.picture).getroot()
    panels = drawn.findall("{http://www.w3.org/2000/svg}g")
    told = [[text.text for text in panel.iter("{http://www.w3.org/2000/svg}text")] for panel in panels]
    assert " ".join(filter(None, told[2])).startswith("(c) vanilla on a random reduction")
    for row, words in zip(found.rows, told, strict=True):
        assert f"C(d) = {row['complexity']:.2f}" in words
        assert f"{100 * row['decided']:.0f}% in one language" in words


def test_what_is_done_is_skipped(found: Study, made: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[str] = []

    class Listener(progress.Reporter):
        def say(self, text: str, **facts: object) -> None:
            heard.append(text)

    monkeypatch.setattr(progress, "_reporter", Listener())
    before = found.results.read_bytes()
    assert study(Run.open(made.folder)).content == found.content
    assert found.results.read_bytes() == before
    assert heard[-1] == "study     done before, skipped"
    assert not any("aligning" in text or "steps" in text for text in heard)


def test_methods_that_learned_alike_are_told_apart(tmp_path: Path) -> None:
    beam, again = {"name": "sequence_level", "label": "beam"}, {"name": "translation_gold", "label": "again"}
    several = recipe(tmp_path, method=["random_selection", "sequence_level", beam, again])
    assert list(learned_by(of_translators(several)).items()) == [
        ("gold", "the mixture"),
        ("random_selection", "a random reduction"),
        ("sequence_level", "distilled text, sequence_level"),
        ("beam", "distilled text, beam"),
        ("again", "the mixture, again"),
    ]


# ------------------------------------------------------------ refusals, before any work


def of_translators(made: Recipe) -> TranslationRun:
    run = Run.of(made)
    assert isinstance(run, TranslationRun)
    return run


def refused(made: Recipe, match: str) -> None:
    with pytest.raises(LimbeckError, match=match):
        study(Run.of(made))
    assert not made.folder.exists()


def test_a_text_in_one_language(tmp_path: Path) -> None:
    one = sources(table(tmp_path / "multi.tsv"))[:1]
    refused(recipe(tmp_path, data={"train": one}), "training text in two languages or more")
    unnamed = [*one, {"path": one[0]["path"], "text": "en", "target": "lb"}]
    refused(recipe(tmp_path, data={"train": unnamed}), "data.train: .*'target' and 'language'")


def test_a_teacher_that_learns_no_mixture(tmp_path: Path) -> None:
    refused(recipe(tmp_path, teacher={"model": "somewhere"}), "this recipe's is not trained")


def test_another_task(tmp_path: Path) -> None:
    made = Recipe.model_validate(
        {
            "data": {"train": "reviews.csv"},
            "teacher": {"model": "x"},
            "name": "other",
            "out": str(tmp_path / "runs"),
        }
    )
    refused(made, "the study of modes is of translators")


def test_without_the_aligner_nothing_is_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "eflomal", None)
    with pytest.raises(LimbeckError, match="pip install eflomal"):
        alignment.installed_aligner()
    refused(recipe(tmp_path), "needs eflomal, which is not installed")
