"""The study of modes: in which of several languages a model writes that was never told in which to write.

The case study on toy data of the slides "Knowledge Distillation in NLP" (Zhou, Gu and Neubig 2020, "Understanding
Knowledge Distillation in Non-autoregressive Machine Translation"): every text has a translation into each of three
languages, and nothing marks which one is wanted. The slides' four panels are an autoregressive teacher and a parallel
student that learned this mixture, and the student on one translation of each text, drawn at random, and on the
teacher's. A run has a panel for its teacher, for its control, and for each of its methods.

A panel has a point for every test text and seed, the posterior of the languages given the output
(:mod:`limbeck.analyse.modes`), and the complexity C(d) of the text that was learned (:mod:`limbeck.analyse.lexical`),
of which equal pairs are measured once: a distilled text is as long as a random reduction then.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from string import ascii_lowercase
from typing import TYPE_CHECKING, Any

import numpy as np

from limbeck.analyse.aligned import Reading, target_of
from limbeck.analyse.alignment import installed_aligner
from limbeck.analyse.measures import measure
from limbeck.analyse.modes import CORNERS, LEAST, Languages, decided, decided_for
from limbeck.core import progress
from limbeck.core.errors import LimbeckError
from limbeck.core.files import StepFolder, read_json, write_json
from limbeck.evaluate.bleu import score
from limbeck.models.translators.decode import translate
from limbeck.pipeline import steps
from limbeck.pipeline.checks import check_student
from limbeck.pipeline.distilling import text_of
from limbeck.pipeline.inputs import student_inputs
from limbeck.pipeline.run import TEACHER, Run
from limbeck.pipeline.translation import TranslationRun
from limbeck.report.triangle import Panel, write as write_picture
from limbeck.text.parallel import language_of

if TYPE_CHECKING:
    from limbeck.core.example import Example
    from limbeck.core.method import Stage
    from limbeck.transfer.transfer_set import TransferSet

RESULTS, PICTURE = "modes.json", "modes.svg"
"""What the study writes into the run's folder ``study``."""
MIXTURE = "the mixture"
REDUCED = {"gold": "a random reduction", "teacher": "distilled text", "previous": "distilled text"}
"""What a model learned from, by whose translations these are."""
OF_TEXT = ("pairs", "vocabulary", "complexity", "complexity_by_link", "reordering")
"""What is told of the text that a model learned from."""


@dataclass(frozen=True, slots=True)
class Study:
    """What a study found.

    Attributes:
        folder: Where it lies: ``modes.json``, and ``modes.svg`` where there are three languages.
        content: Of ``modes.json``: ``languages``, ``rows`` (one a panel), and how they were made.
    """

    folder: Path
    content: dict[str, Any]

    @property
    def rows(self) -> list[dict[str, Any]]:
        """One a panel."""
        rows: list[dict[str, Any]] = self.content["rows"]
        return rows

    @property
    def results(self) -> Path:
        """The numbers."""
        return self.folder / RESULTS

    @property
    def picture(self) -> Path | None:
        """The panels; None where there are not three languages."""
        path = self.folder / PICTURE
        return path if path.is_file() else None


@dataclass(frozen=True, slots=True)
class Learner:
    """A model of the study.

    Attributes:
        model: What the run calls it: ``teacher``, ``gold`` (the control), or a method.
        kind: ``autoregressive``, ``vanilla``, ...
        learned: What it learned from, in words.
        text: The same.
        outputs: By seed, what it says to the test texts.
    """

    model: str
    kind: str
    learned: str
    text: TransferSet
    outputs: list[list[str]]


def study(run: Run) -> Study:
    """Do the steps of a run that are not done, up to its students, and study in which languages all models write.

    Args:
        run: Of translators, whose sources of training text name their languages.

    Raises:
        LimbeckError: The recipe has no such mixture, or no teacher that learns it; or eflomal is not installed.
    """
    translators, languages = _checked(run)
    installed_aligner()
    rewrite = [steps.rewrite] if run.rewriters else []
    for step in (steps.prepare, *rewrite, check_student, steps.teach, steps.ask, steps.train):
        step(run)
    folder, inputs = StepFolder(run.folder / "study"), _inputs(translators)
    if folder.is_done(inputs):
        progress.say("study     done before, skipped", step="study", skipped=True)
    else:
        with folder.writing(inputs) as partial:
            _Modes(translators, languages).write(partial)
        steps.note(run)
    return Study(folder.path, read_json(folder.path / RESULTS))


def _checked(run: Run) -> tuple[TranslationRun, tuple[str, ...]]:
    """The run, and its languages in the order of the recipe's sources."""
    if not isinstance(run, TranslationRun):
        raise LimbeckError(
            "the study of modes is of translators", where="task", fix="Set 'task: translation'"
        )
    named = [source.language for source in run.recipe.data.train]
    languages = tuple(dict.fromkeys(filter(None, named)))
    if len(languages) < 2 or None in named:
        what = (
            "the study of modes needs training text in two languages or more, and the language of all of it"
        )
        fix = "List the same texts once a language, each with its 'target' and 'language'"
        raise LimbeckError(what, where="data.train", fix=fix)
    if run.recipe.teacher.fine_tune is None:
        what = "the teacher of the study learns the mixture, and this recipe's is not trained"
        raise LimbeckError(what, where="teacher", fix="Say how in 'teacher.scratch' and 'teacher.fine_tune'")
    return run, languages


def _inputs(run: TranslationRun) -> dict[str, Any]:
    """What the study depends on."""
    pairs = [(title, seed) for title in run.methods for seed in run.recipe.seeds]
    return {
        "students": [student_inputs(run, *pair) for pair in pairs],
        "teacher": run.teacher.fingerprint,
        "test": run.prepared.test.fingerprint,
        "decoding": run.recipe.evaluate.decoding.model_dump(mode="json"),
    }


def _last_stage(run: TranslationRun, title: str) -> Stage:
    """The stage of a method that its student ends with."""
    return run.students_stages(title)[-1]


def learned_by(run: TranslationRun) -> dict[str, str]:
    """What each method's student learned from, in words, the control first; by which method, where several share it."""
    by = {title: _last_stage(run, title).distilled for title in run.methods}
    words = {title: MIXTURE if each is None else REDUCED[each.by] for title, each in by.items()}
    common = Counter(words.values())
    order = sorted(words, key=lambda title: title != run.control)
    return {
        title: words[title] + f", {title}" * (common[words[title]] > 1 and title != run.control)
        for title in order
    }


class _Modes:
    """The study of a run whose models are trained.

    Args:
        run: The run.
        languages: Of its texts.
    """

    def __init__(self, run: TranslationRun, languages: Sequence[str]) -> None:
        self.run = run
        self.languages = languages

    def write(self, folder: Path) -> None:
        """Measure every panel; write both files, the picture only of three languages."""
        rows, panels = [], []
        told: dict[str, dict[str, Any]] = {}
        for letter, learner in zip(ascii_lowercase, self.learners(), strict=False):
            text = learner.text.fingerprint
            told[text] = told.get(text) or _measured(learner.text)
            points = np.concatenate([self.known.posteriors(said) for said in learner.outputs])
            rows.append({"panel": letter, **self._row(learner, told[text], points)})
            title = f"({letter}) {learner.kind} on {learner.learned}"
            panels.append(Panel(title, points, told[text]["complexity"]))
        write_json(folder / RESULTS, {**self._how(), "rows": rows})
        if len(self.languages) == len(CORNERS):
            write_picture(panels, self.languages, folder / PICTURE)

    def _how(self) -> dict[str, Any]:
        decoding = self.run.recipe.evaluate.decoding.model_dump(mode="json")
        return {
            "languages": self.languages,
            "texts": len(self.texts),
            "decoding": decoding,
            "decided_from": LEAST,
            "reading": Reading().as_json(),
        }

    def _row(self, learner: Learner, told: Mapping[str, Any], points: np.ndarray[Any, Any]) -> dict[str, Any]:
        return {
            "model": learner.model,
            "kind": learner.kind,
            "text": learner.learned,
            "seeds": len(learner.outputs),
            **{name: told[name] for name in OF_TEXT},
            "decided": decided(points),
            "top_posterior": float(points.max(axis=1).mean()),
            "decided_for": dict(zip(self.languages, decided_for(points).tolist(), strict=True)),
            "bleu": {language: self._bleu(learner.outputs, language) for language in self.languages},
        }

    # Models, and what they say.

    def learners(self) -> Iterator[Learner]:
        """The teacher, the control, and every method's student."""
        recipe, found = self.run.recipe, self.run.test_translations
        kind = recipe.teacher.scratch.kind if recipe.teacher.scratch else TEACHER
        said = [found[example.id][0][0] for example in self.texts]
        yield Learner(TEACHER, kind, MIXTURE, self.run.transfer_set.labelled, [said])
        for title, learned in learned_by(self.run).items():
            text = text_of(self.run, title, _last_stage(self.run, title))
            yield Learner(title, recipe.student.kind, learned, text, self._said(title))

    @cached_property
    def texts(self) -> list[Example]:
        """Each test text once: it stands there with every language."""
        return list({example.text: example for example in self.run.prepared.test}.values())

    def _said(self, title: str) -> list[list[str]]:
        """By seed, what the students of a method say."""
        encoded, decoding = self.run.encoded(self.texts), self.run.students_search
        models = (self.run.load_student(title, seed) for seed in self.run.recipe.seeds)
        return [
            [self.run.tokeniser.decode(best.tokens) for best, *_ in translate(model, encoded, decoding)]
            for model in models
        ]

    # What is measured.

    @cached_property
    def known(self) -> Languages:
        """What the training text tells of each language."""
        texts: dict[str, list[str]] = {language: [] for language in self.languages}
        for example in self.run.transfer_set:
            if language := language_of(example.id, self.languages):
                texts[language].extend(example.targets)
        return Languages.of(texts)

    @cached_property
    def references(self) -> dict[str, dict[str, tuple[str, ...]]]:
        """By language, translations of the test texts."""
        found: dict[str, dict[str, tuple[str, ...]]] = {language: {} for language in self.languages}
        for example in self.run.prepared.test:
            if language := language_of(example.id, self.languages):
                found[language][example.text] = found[language].get(example.text, ()) + example.targets
        return found

    def _bleu(self, outputs: Sequence[Sequence[str]], language: str) -> float | None:
        """BLEU against one language, the mean over seeds; None where test has no text in it."""
        wanted = self.references[language]
        rows = [row for row, example in enumerate(self.texts) if example.text in wanted]
        if not rows:
            return None
        references = [wanted[self.texts[row].text] for row in rows]
        scores = (score([said[row] for row in rows], references, language=language) for said in outputs)
        return statistics.fmean(each["bleu"] for each in scores)


def _measured(text: TransferSet) -> dict[str, Any]:
    """The measures of a text's distinct pairs."""
    distinct = {(example.text, target_of(example)): example for example in text}
    told: dict[str, Any] = measure(distinct.values()).as_json()["text"]
    return told
