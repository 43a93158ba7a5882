"""Chains: classifiers that are trained before the student and teach it, as those of ``assistant`` and ``born_again``.

The teacher teaches the first, it the next one, and the last one the student; or all of them together do. They are made
once for all seeds of the student, each in a folder of its own, and go on after a kill like students. They are trained
as the recipe trains students, on the same text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from limbeck import models
from limbeck.core import progress
from limbeck.core.errors import LimbeckError
from limbeck.core.tasks import shown
from limbeck.models import between
from limbeck.pipeline.outside import outside
from limbeck.train.loop import train
from limbeck.transfer.ask import ask
from limbeck.transfer.ensemble import EnsembleTeacher
from limbeck.transfer.teachers import ModelTeacher

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from limbeck.core.method import Stage
    from limbeck.core.recipe import Training
    from limbeck.core.schema import Settings
    from limbeck.pipeline.run import Run
    from limbeck.transfer.ask import Answers

OF_SUCCESSORS = ("previous", "successors")
"""Teachers of a stage that other stages have trained."""
SEED = 1_000_000
"""Seed of a chain's first model; the next one has the next. No student's, for then two of them would start alike."""


def successors(run: Run) -> Iterator[tuple[str, int, Stage]]:
    """Title, place and stage of all that train a model before the student."""
    for title in run.methods:
        for number, stage in enumerate(run.stages_of(title)):
            if stage.trains == "successor":
                yield title, number, stage


def train_all(run: Run) -> None:
    """Train every chain, and ask its end what students will hear of it."""
    for title, number, _ in successors(run):
        train_successor(run, title, number)
    for title in run.methods:
        for stage in run.students_stages(title):
            if stage.teacher in OF_SUCCESSORS:
                answers_of(run, title, stage)


def train_successor(run: Run, title: str, number: int) -> None:
    """Train the model that a stage asks for, where it is not there yet."""
    stage = run.stages_of(title)[number]
    folder, inputs = run.successor_folder(title, stage), successor_inputs(run, title, number)
    what = f"ask       {title}, {stage.name}"
    if folder.is_done(inputs):
        progress.say(f"{what}: trained before, skipped", step="ask", skipped=True)
        return
    settings = settings_of(run, stage)
    with folder.writing(inputs) as partial:
        trained = train(
            untaught(run, stage, number),
            run.tokeniser,
            stage.objective,
            run.encoded_part_for(stage),
            answers_of(run, title, stage) if stage.objective.needs else None,
            run.encoded_dev,
            settings,
            partial,
            SEED + number,
            score=run.score,
            stage=stage.name,
            keeps=stage.keeps,
            what=what,
        )
    told = (
        f"{settings.metric} {shown(settings.metric, trained.dev_score)} on dev after {trained.steps:,} steps"
    )
    progress.say(f"{what}: {told}, {trained.parameters:,} parameters")


def settings_of(run: Run, stage: Stage) -> Training:
    """How the model of a stage is trained: as students are, in passes of its own maybe."""
    return run.training if stage.epochs is None else run.training.model_copy(update={"epochs": stage.epochs})


def untaught(run: Run, stage: Stage, number: int) -> PreTrainedModel:
    """The model that a stage trains, as it begins."""
    kind, settings = shape_of(run, stage)
    return run.started(
        models.build(
            kind,
            settings,
            labels=run.labels,
            tokeniser=run.tokeniser,
            teacher=run.teacher_model,
            seed=SEED + number,
            task=run.recipe.task,
        )
    )


def shape_of(run: Run, stage: Stage) -> tuple[str, Settings]:
    """Kind and settings of the model that a stage trains: the student's, but for its size.

    Raises:
        LimbeckError: No such kind or key, or there are no sizes between this student and its teacher.
    """
    student, size = run.recipe.student, stage.size
    if size is None:
        return student.kind, run.student_settings
    if isinstance(size, Mapping):
        keys = {key: value for key, value in size.items() if key != "kind"}
        kind = size.get("kind", student.kind)
        known = student.settings if kind == student.kind else {}
        return kind, models.settings_for(kind, {**known, **keys}, task=run.recipe.task, prefix="method.sizes")
    if run.teacher_model is None:
        fix = "Give the assistants' sizes: method.sizes=[{hidden: 300}], say"
        raise LimbeckError("the size of a file of answers is not known", where="method.sizes", fix=fix)
    student_model = run.pattern
    keys = between.keys(student.kind, run.student_settings, student_model, run.teacher_model, size)
    return student.kind, run.student_settings.model_validate(keys)


def successor_inputs(run: Run, title: str, number: int) -> dict[str, Any]:
    """What the model that a stage trains depends on; those before it are in it, one inside the other."""
    stage = run.stages_of(title)[number]
    method, settings = run.methods[title]
    kind, shape = shape_of(run, stage)
    return {
        "task": run.recipe.task,
        "stage": stage.name,
        "method": {"name": method.name, **method.settings(settings).model_dump(mode="json")},
        "student": {"kind": kind, **shape.model_dump(mode="json")},
        "max_length": run.recipe.student.max_length,
        "train": settings_of(run, stage).model_dump(mode="json", exclude={"checkpoint_seconds", "trackers"}),
        "data": [run.text_of(title, stage).fingerprint, run.prepared.dev.fingerprint],
        "tokeniser": run.tokeniser_fingerprint,
        "teacher": run.teacher.fingerprint,
        "heard": [successor_inputs(run, title, each) for each in _heard(run, title, number)],
        **outside(run, method.name, shape),
    }


def inputs_heard(run: Run, title: str) -> list[dict[str, Any]]:
    """What the models that teach a method's student depend on."""
    stages = run.stages_of(title)
    heard = [_heard(run, title, n) for n, stage in enumerate(stages) if stage.trains == "student"]
    return [successor_inputs(run, title, each) for several in heard for each in several]


def answers_of(run: Run, title: str, stage: Stage) -> Answers:
    """What the teacher of a stage, be it the recipe's or one of a chain, says about the stage's text."""
    if stage.teacher not in OF_SUCCESSORS:
        return run.answers
    text = run.text_of(title, stage)
    return ask(teacher_of(run, title, stage), text.examples, stage.objective.needs, run.store)


def teacher_of(run: Run, title: str, stage: Stage) -> ModelTeacher | EnsembleTeacher:
    """Whom a stage hears that other stages have trained; what is not trained yet is trained now."""
    number = [each.name for each in run.stages_of(title)].index(stage.name)
    members = [_as_teacher(run, title, each) for each in _heard(run, title, number)]
    if len(members) == 1:
        return members[0]
    return EnsembleTeacher(members, None, f"{title} of {run.recipe.name}", run.recipe.task)


def _heard(run: Run, title: str, number: int) -> list[int]:
    """Places of the stages whose models a stage hears."""
    stages = run.stages_of(title)
    before = [place for place in range(number) if stages[place].trains == "successor"]
    return {"previous": before[-1:], "successors": before}.get(stages[number].teacher, [])


def _as_teacher(run: Run, title: str, number: int) -> ModelTeacher:
    stage = run.stages_of(title)[number]
    folder = run.successor_folder(title, stage)
    if not folder.is_done(successor_inputs(run, title, number)):
        train_successor(run, title, number)
    name = f"{run.recipe.name}/{title}/{stage.name}"
    model = run.task.load(folder.path)
    return ModelTeacher(model, run.tokeniser, run.labels, run.recipe.student.max_length, name=name)
