"""Judging a run: what every model answers on the test set, and what each of them costs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel

from limbeck.core import progress
from limbeck.core.tasks import shown
from limbeck.evaluate.evaluate import Model, Role, evaluate
from limbeck.evaluate.outcomes import evaluate_outcomes
from limbeck.evaluate.tagging import TagModel, evaluate_tagging
from limbeck.evaluate.translation import TranslationModel, evaluate_translations
from limbeck.models.outputs import predict, predict_tags
from limbeck.models.translators.decode import translate
from limbeck.pipeline.chosen import CONTROL
from limbeck.pipeline.costs import costs
from limbeck.pipeline.run import TEACHER, Run
from limbeck.pipeline.translation import TranslationRun
from limbeck.structure.chain import viterbi
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
    """The teacher's best tags by its answers; words that it did not read are ``O``."""
    if run.test_answers is None:
        return []
    chain = run.test_answers.signals(run.prepared.test.ids, torch.device("cpu")).potentials
    assert chain is not None
    _, paths = viterbi(chain)
    outside = run.labels.index("O") if "O" in run.labels else 0
    tags = []
    for example, path, read in zip(run.prepared.test.examples, paths, chain.lengths.tolist(), strict=True):
        found = np.full(len(example.words), outside, dtype=np.int64)
        found[:read] = path[:read].numpy()
        tags.append(found)
    return [TagModel(TEACHER, "teacher", None, tags)]


def _taggers(run: Run) -> list[TagModel]:
    """Every student and control that tags."""
    return [
        TagModel(title, role, seed, predict_tags(model, run.encoded_test), run.dev_score(title, seed))
        for title, role, seed, model in _trained(run)
    ]


def _translators(run: TranslationRun) -> Iterator[TranslationModel]:
    """The teacher by what it was asked, and every student and control, translating test."""
    found = [run.test_translations[id] for id in run.prepared.test.ids]
    yield TranslationModel(TEACHER, "teacher", None, [best[0][0] for best in found])
    for title, role, seed, model in _trained(run):
        hypotheses = [best[0] for best in translate(model, run.encoded_test, run.recipe.evaluate.decoding)]
        texts = [run.tokeniser.decode(one.tokens) for one in hypotheses]
        passes = [one.passes for one in hypotheses]
        yield TranslationModel(title, role, seed, texts, run.dev_score(title, seed), passes)


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
