"""Inputs: what each step's result depends on; a step whose inputs are those it was done with is done."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from limbeck.core import recipe
from limbeck.core.files import StepFolder
from limbeck.core.sources import RAW, Data, Source
from limbeck.core.tasks import OF_SENTENCES, main_metric
from limbeck.pipeline.budget import control_epochs
from limbeck.pipeline.ensembles import is_fitted
from limbeck.pipeline.hearing import model_heard
from limbeck.pipeline.outside import outside
from limbeck.text import resources
from limbeck.text.raw import fingerprint_raw, raw_files
from limbeck.text.readers import files_of
from limbeck.transfer.teachers import fingerprint_model

if TYPE_CHECKING:
    from limbeck.pipeline.run import Run


def prepare_inputs(run: Run) -> dict[str, Any]:
    """What ``prepare`` depends on: its settings, and the contents of the files that they name."""
    data = run.recipe.data
    cut_or_read = [each for each in (data.dev, data.test) if isinstance(each, Source)]
    sources = [*data.train, *data.unlabelled, *cut_or_read]
    paths = [path for each in sources for path in files_of(each)]
    return {
        "data": _told(data),
        "files": {path: resources.contents(path) for path in paths},
        **({} if run.recipe.task == "classification" else {"task": run.recipe.task}),
    }


def _told(data: Data) -> dict[str, Any]:
    """The settings of the data; a key that is newer than many runs only where it says something."""
    told: dict[str, Any] = data.model_dump(mode="json", exclude=RAW)
    for source in (*told["train"], *told["unlabelled"], told["dev"], told["test"]):
        if isinstance(source, dict) and source["separator"] is None:
            del source["separator"]
    return told


def rewrite_inputs(run: Run) -> dict[str, Any]:
    """What the rewritten text depends on: data, settings, and the contents of models and files that they name."""
    reads = {one: resources.contents(one) for rewriter in run.rewriters for one in rewriter.reads}
    return {
        "rewrite": [choice.model_dump(mode="json") for choice in run.recipe.rewrite],
        "data": [each.fingerprint for each in (run.prepared.train, run.prepared.dev, run.prepared.test)],
        **({"reads": reads} if reads else {}),
    }


def pack_inputs(run: Run) -> dict[str, Any]:
    """What the packed text depends on."""
    data = run.recipe.data
    return {
        "text": fingerprint_raw(raw_files(data.raw)),
        "tokeniser": run.tokeniser_fingerprint,
        "length": data.raw_length,
        "shuffle": [data.raw_shuffle, data.seed] if data.raw_shuffle else None,
    }


def teach_inputs(run: Run) -> dict[str, Any]:
    """What a fine-tuned teacher's weights depend on."""
    choice = run.recipe.teacher
    assert choice.fine_tune is not None
    fine_tune = lasting(choice.fine_tune)
    if run.recipe.task != "translation":
        del fine_tune["label_smoothing"]  # which nothing else reads
    return {
        **run.untaught_inputs,
        "fine_tune": fine_tune,
        "max_length": choice.max_length,
        "data": [run.prepared.train.labelled.fingerprint, run.prepared.dev.fingerprint],
        **({"positive": run.recipe.positive} if run.recipe.positive else {}),
    }


def weights_inputs(run: Run) -> dict[str, Any]:
    """What the fitted weights of an ensemble depend on."""
    members = [_member_inputs(each) for each in run.members]
    return {"members": members, "dev": run.prepared.dev.fingerprint}


def _member_inputs(member: Run) -> dict[str, Any]:
    choice = member.recipe.teacher
    if choice.fine_tune is not None:
        return teach_inputs(member)
    source = choice.model or choice.answers
    assert source is not None
    read_as = choice.model_dump(mode="json", include={"answers_are", "labels", "max_length"})
    return {"source": resources.contents(source), **read_as}


def student_inputs(run: Run, title: str, seed: int) -> dict[str, Any]:
    """What a student's weights depend on."""
    method, settings = run.methods[title]
    stages = run.stages_of(title)
    hears_teacher = any(stage.objective.needs or stage.distilled for stage in stages)
    starts_from_teacher = run.recipe.teacher.answers is None
    longest = control_epochs(run) if title == run.control else run.recipe.train.epochs
    untuned = [model_heard(run, stage) for stage in stages if stage.teacher == "pretrained"]
    return {
        "method": {"name": method.name, **method.settings(settings).model_dump(mode="json")},
        "student": {"kind": run.recipe.student.kind, **run.student_settings.model_dump(mode="json")},
        "max_length": run.recipe.student.max_length,
        "train": {"metric": run.training.metric} if run.grows else lasting(run.recipe.train),
        "seed": seed,
        "data": [run.transfer_set.fingerprint, run.prepared.dev.fingerprint],
        "tokeniser": run.tokeniser_fingerprint,
        "teacher": run.teacher.fingerprint if hears_teacher or starts_from_teacher else None,
        **(
            {"pretrained": [fingerprint_model(model) for model in dict.fromkeys(untuned) if model]}
            if untuned
            else {}
        ),
        **outside(run, method.name, run.student_settings),
        **run.text_inputs(title),
        **({"epochs": longest} if longest != run.recipe.train.epochs else {}),
        **({"raw": pack_inputs(run)} if any(stage.hears == "raw" for stage in stages) else {}),
    }


def export_inputs(run: Run) -> dict[str, Any]:
    """What the bundle depends on."""
    recipe, (title, seed) = run.recipe, run.best
    return {
        "student": {"title": title, **student_inputs(run, title, seed)},
        "export": recipe.export.model_dump(mode="json"),
        **(
            {"decoding": recipe.evaluate.decoding.model_dump(mode="json")}
            if recipe.task == "translation"
            else {}
        ),
    }


def evaluate_inputs(run: Run) -> dict[str, Any]:
    """What the evaluation depends on."""
    pairs = [(title, seed) for title in run.methods for seed in run.recipe.seeds]
    return {
        "students": [{"title": title, **student_inputs(run, title, seed)} for title, seed in pairs],
        "control": run.control,
        "test": run.prepared.test.fingerprint,
        "teacher": run.teacher.fingerprint,
        "evaluate": run.recipe.evaluate.model_dump(mode="json", exclude={"measures"}),
        **({"engine": engine} if (engine := run.recipe.teacher.engine) != "pytorch" else {}),
        **_decides(run),
        "bundle": run.bundle_folder.finished()["inputs"],
    }


def _decides(run: Run) -> dict[str, Any]:
    """The score of whole texts that decides, where it is not the task's first."""
    recipe = run.recipe
    if recipe.task not in OF_SENTENCES or recipe.train.metric == main_metric(recipe.task):
        return {}
    return {"metric": recipe.train.metric, **({"positive": recipe.positive} if recipe.positive else {})}


def made(run: Run, name: str) -> Iterator[tuple[StepFolder, dict[str, Any]]]:
    """The folders that a step makes for this recipe, and what each depends on."""
    if name == "prepare":
        yield run.prepared_folder, prepare_inputs(run)
    elif name == "rewrite" and run.rewriters:
        yield run.rewritten_folder, rewrite_inputs(run)
    elif name == "pack" and run.hears_raw:
        yield run.packed_folder, pack_inputs(run)
    elif name == "teach":
        yield from _taught(run)
    elif name == "train":
        for title in run.methods:
            for seed in run.recipe.seeds:
                yield run.student_folder(title, seed), student_inputs(run, title, seed)
    elif name == "export":
        yield run.bundle_folder, export_inputs(run)


def _taught(run: Run) -> Iterator[tuple[StepFolder, dict[str, Any]]]:
    for member in run.members:
        yield from _taught(member)
    if is_fitted(run):
        yield run.weights_folder, weights_inputs(run)
    if run.recipe.teacher.fine_tune is not None and not run.members:
        yield run.teacher_folder, teach_inputs(run)


def lasting(settings: recipe.Training) -> dict[str, Any]:
    """The settings that weights depend on."""
    return settings.model_dump(mode="json", exclude={"checkpoint_seconds", "trackers"})
