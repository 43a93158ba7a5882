"""Judging a run: what every model answers on the test set, and what each of them costs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedModel

from limbeck.core import progress
from limbeck.core.tasks import shown
from limbeck.evaluate.evaluate import Model, Role, evaluate
from limbeck.evaluate.outcomes import evaluate_outcomes
from limbeck.evaluate.tagging import TagModel, evaluate_tagging
from limbeck.evaluate.translation import TranslationModel, evaluate_translations
from limbeck.models.outputs import predict
from limbeck.models.taggers.chains import predict_chain
from limbeck.models.translators.decode import log_probability, translate
from limbeck.pipeline.chosen import CONTROL
from limbeck.pipeline.costs import costs
from limbeck.pipeline.run import TEACHER, Run
from limbeck.pipeline.translation import TranslationRun
from limbeck.structure.chain import Chain, word_answers
from limbeck.transfer.translation_teacher import prefixed


def judge(run: Run, folder: Path) -> None:
    """Score and time the models of a run; write ``evaluation.json`` and ``predictions.parquet``."""
    judged = folder, run.labels, run.prepared.test.examples
    told: dict[str, Any] = {
        "costs": costs(run),
        "settings": run.recipe.evaluate,
        "truncated": _truncated(run),
    }
    if isinstance(run, TranslationRun):
        examples, language = run.prepared.test.examples, run.language
        evaluate_translations(folder, examples, list(_translators(run)), **told, language=language)
    elif run.recipe.task == "tagging":
        evaluate_tagging(*judged, [*_tagger_teacher(run), *_taggers(run)], **told)
    elif run.recipe.task == "regression" or run.recipe.task == "multilabel":
        models = [*_teacher(run), *_students(run)]
        evaluate_outcomes(run.recipe.task, *judged, models, **told, metric=run.recipe.train.metric)
    else:
        told |= {"metric": run.recipe.train.metric, "positive": run.recipe.positive}
        evaluate(*judged, [*_teacher(run), *_students(run)], **told)


def card(run: Run, title: str, seed: int) -> dict[str, Any]:
    """What the bundle's card says about where the student comes from."""
    return {
        "name": run.recipe.name,
        "method": title,
        "seed": seed,
        "student": run.recipe.student.kind,
        "teacher": run.teacher_name,
        f"dev {run.training.metric}": round(run.dev_score(title, seed), 4),
        "transfer sentences": len(run.transfer_set.examples),
    }


def parity_line(report: Mapping[str, Any]) -> str:
    """How far the exported models are from PyTorch, in a line."""
    answers = "tokens" if report.get("task") == "translation" else "predictions"
    parts = [
        f"{precision} differs by at most {each['largest_difference']:.2g} and changes "
        f"{100 * each['changed']:.1f}% of {answers}"
        for precision, each in report["parity"].items()
    ]
    return "; ".join(parts)


def _teacher(run: Run) -> list[Model]:
    """The teacher, where it has answers for the test set."""
    if run.test_answers is None:
        return []
    logits = run.test_answers.signals(run.prepared.test.ids, torch.device("cpu")).logits
    assert logits is not None
    _tell_members(run)
    return [Model(TEACHER, "teacher", None, logits.numpy())]


def _tell_members(run: Run) -> None:
    """How each of an ensemble's members does on test, beside the ensemble."""
    if not run.members:
        return
    by, metric = run.yardstick, run.training.metric
    gold = by.gold(run.prepared.test.examples)
    for each in run.members:
        (alone,) = _teacher(each)
        score = by.scores(gold, by.chosen(alone.logits))[metric]
        progress.say(f"evaluate  {each.teacher_called}: {metric} {shown(metric, score)} on test, alone")


def _students(run: Run) -> list[Model]:
    """Every student and control, answering with the weights that were saved."""
    return [
        Model(title, role, seed, predict(model, run.encoded_test), run.dev_score(title, seed))
        for title, role, seed, model in _trained(run)
    ]


def _tagger_teacher(run: Run) -> list[TagModel]:
    """The teacher by its answers."""
    if run.test_answers is None:
        return []
    chain = run.test_answers.signals(run.prepared.test.ids, torch.device("cpu")).potentials
    assert chain is not None
    return [TagModel(TEACHER, "teacher", None, **_of_words(run, chain))]


def _taggers(run: Run) -> Iterator[TagModel]:
    """Every student and control that tags."""
    for title, role, seed, model in _trained(run):
        told = _of_words(run, predict_chain(model, run.encoded_test, decoding=True))
        yield TagModel(title, role, seed, dev_score=run.dev_score(title, seed), **told)


def _of_words(run: Run, chain: Chain) -> dict[str, Any]:
    """The best tags of each test sentence and how sure they are; words that were not read are ``O``, and unsure."""
    outside = run.labels.index("O") if "O" in run.labels else 0
    counts = [len(example.words) for example in run.prepared.test.examples]
    read = np.arange(max(counts, default=0)) < chain.lengths.numpy()[:, None]
    real = np.arange(read.shape[1]) < np.array(counts)[:, None]
    there, ends = read[real], np.cumsum(counts)[:-1]

    def by_sentence(values: Tensor, otherwise: float) -> list[NDArray[Any]]:
        found = np.full(len(there), otherwise, dtype=values.numpy().dtype)
        found[there] = values.numpy()
        return np.split(found, ends)

    tags, probabilities, entropies = word_answers(chain)
    return {
        "tags": by_sentence(tags, outside),
        "confidence": by_sentence(probabilities, np.nan),
        "entropy": by_sentence(entropies, np.nan),
    }


def _translators(run: TranslationRun) -> Iterator[TranslationModel]:
    """The teacher by what it was asked, and every student and control, translating test."""
    decoding = run.students_search
    found = [run.test_translations[id][0] for id in run.prepared.test.ids]
    texts = [text for text, _ in found]
    sure = run.teacher.log_probabilities(found, run.teachers_search)
    yield TranslationModel(TEACHER, "teacher", None, texts, log_probabilities=sure)
    for title, role, seed, model in _trained(run):
        hypotheses = [best[0] for best in translate(model, run.encoded_test, decoding)]
        yield TranslationModel(
            title,
            role,
            seed,
            [run.tokeniser.decode(one.tokens) for one in hypotheses],
            run.dev_score(title, seed),
            [one.passes for one in hypotheses],
            [log_probability(model, one, decoding) for one in hypotheses],
        )


def _trained(run: Run) -> Iterator[tuple[str, Role, int, PreTrainedModel]]:
    """Every student and control, with the weights that were saved."""
    pairs = [(title, seed) for title in run.methods for seed in run.recipe.seeds]
    with progress.task("evaluate", len(pairs)) as task:
        for title, seed in pairs:
            role: Role = "control" if title == CONTROL and run.recipe.control else "student"
            yield title, role, seed, run.load_student(title, seed)
            task.advance()


def _truncated(run: Run) -> dict[str, int]:
    """How many test sentences each tokeniser cut."""
    counts = {"student": run.encoded_test.truncated}
    if run.teacher_tokeniser is not None:
        choice = next((each for each in run.recipe.teacher.each if each.model), run.recipe.teacher)
        examples = prefixed(run.prepared.test.examples, choice.prefix)
        counts[TEACHER] = run.task.encode(run.teacher_tokeniser, examples, None, choice.max_length).truncated
    return counts
