"""Chosen: what a recipe names (task, student, rewriters, methods), checked before any work."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch

from limbeck import methods, models
from limbeck.core import progress
from limbeck.core.errors import LimbeckError
from limbeck.core.objective import Objective
from limbeck.core.recipe import Recipe, StudentChoice, TeacherChoice
from limbeck.core.signals import OF_TOKENS, SAID, Signals
from limbeck.core.tasks import OF_SENTENCES
from limbeck.pipeline.folders import Folders
from limbeck.pipeline.tasks import Task, task_of
from limbeck.transfer import rewrites

if TYPE_CHECKING:
    from limbeck.core.method import Stage
    from limbeck.core.schema import Settings as StudentSettings
    from limbeck.core.signals import SignalName
    from limbeck.methods import Method
    from limbeck.transfer.rewrites import RewriteSettings

CONTROL = "gold"
"""Name of the control."""
OF_TRANSLATORS = ("scratch", "engine", "prefix", "languages")
"""Keys of ``teacher`` that mean nothing to other tasks."""


def with_own_keys(recipe: Recipe, changes: Sequence[str]) -> Recipe:
    """A recipe whose kind of student was changed for this run, without what its file says of another kind.

    Keys that both kinds have stay, where they make sense together.

    Args:
        recipe: With the changes.
        changes: Each ``key=value``.
    """
    student, task = recipe.student, recipe.task
    changed = {change.partition("=")[0] for change in changes}
    if "student.kind" not in changed:
        return recipe
    kinds = frozenset[str]().union(*(models.keys_of(kind, task) for kind in models.kinds(task)))
    files = [key for key in student.settings if key in kinds and f"student.{key}" not in changed]
    known = models.keys_of(student.kind, task)
    others = [key for key in files if key not in known]
    try:
        models.settings_for(student.kind, _without(student, others).settings, task=task)
    except LimbeckError:
        others = files
    if not others:
        return recipe
    progress.say(f"student   the recipe's {', '.join(others)}: left out, for another kind")
    return recipe.model_copy(update={"student": _without(student, others)})


def _without(student: StudentChoice, keys: Sequence[str]) -> StudentChoice:
    return StudentChoice.model_validate(student.model_dump(exclude=set(keys)))


class Chosen(Folders):
    """A recipe's choices."""

    def check(self) -> None:
        """Insist on what this task wants of a recipe, beside what all do.

        Raises:
            LimbeckError: It is not there.
        """
        choice = self.recipe.teacher
        for key in OF_TRANSLATORS:
            if getattr(choice, key) != TeacherChoice.model_fields[key].default:
                what = f"'teacher.{key}' is for translators, and this recipe's task is {self.recipe.task}"
                raise LimbeckError(
                    what, where=f"teacher.{key}", fix="Leave it out, or set 'task: translation'"
                )

        if len(choice.each) > 1 and self.recipe.task not in OF_SENTENCES:
            what = f"an ensemble of teachers is for whole texts or translation, not for {self.recipe.task}"
            raise LimbeckError(what, where="teacher", fix="Name one teacher")
        if choice.weights == "fitted" and self.recipe.task != "classification":
            what = f"weights of an ensemble are fitted for classification, not for {self.recipe.task}"
            raise LimbeckError(what, where="teacher.weights", fix="Give equal ones, or a list")

    @cached_property
    def task(self) -> Task:
        """What teacher and student do."""
        return task_of(self.recipe)

    @property
    def needs(self) -> frozenset[SignalName]:
        """What the teacher is asked for."""
        return frozenset({self.task.signal})

    @cached_property
    def student_settings(self) -> StudentSettings:
        """The student's own settings."""
        choice = self.recipe.student
        return models.settings_for(choice.kind, choice.settings, task=self.recipe.task)

    @cached_property
    def rewriters(self) -> list[RewriteSettings]:
        """Settings of the ways to make more text."""
        return [rewrites.settings_for(choice.name, choice.settings) for choice in self.recipe.rewrite]

    @cached_property
    def methods(self) -> dict[str, tuple[Method, dict[str, Any]]]:
        """Every method to train, with its recipe's keys, by the name of its folder; the control comes last."""
        found: dict[str, tuple[Method, dict[str, Any]]] = {}
        for choice in self.recipe.method:
            if choice.title in found:
                fix = "Give each a 'label' of its own"
                raise LimbeckError(f"the recipe lists '{choice.title}' twice", where="method", fix=fix)
            found[choice.title] = (methods.get(choice.name), choice.settings)
        if self.recipe.control:
            found.setdefault(CONTROL, (methods.get(self.task.control), {}))
        for title, (method, settings) in found.items():
            self._check_keys(title, method, settings)
            self._check_method(title, method, settings)
        return found

    @property
    def grows(self) -> bool:
        """Whether students are grown from data in one go, and not trained by gradients."""
        return models.is_grown(self.recipe.student.kind)

    @property
    def control(self) -> str | None:
        """The name of the control, where there is one."""
        return CONTROL if self.recipe.control else None

    def stages_of(self, title: str) -> tuple[Stage, ...]:
        """The stages of a method, in order."""
        return self._stages(*self.methods[title])

    def _stages(self, method: Method, settings: dict[str, Any]) -> tuple[Stage, ...]:
        """Those of a method, with objectives that know what logits mean."""
        stages = method.stages(settings, self.recipe.task)
        for stage in stages:
            stage.objective.for_task(self.recipe.task)
        return stages

    def students_stages(self, title: str) -> list[Stage]:
        """Those that train the student."""
        return [stage for stage in self.stages_of(title) if stage.trains == "student"]

    def stages(self) -> Iterator[Stage]:
        """The stages of all methods."""
        for title in self.methods:
            yield from self.stages_of(title)

    @cached_property
    def hears_raw(self) -> bool:
        """Whether some method has a stage on raw text."""
        return any(stage.hears == "raw" for stage in self.stages())

    @property
    def learners_from_gold(self) -> list[str]:
        """Who cannot do without gold, as an error names them; other methods take what there is."""
        tuned = any(each.fine_tune is not None for each in self.recipe.teacher.each)
        titles = [
            title for title in self.methods if any(one.hears == "labelled" for one in self.stages_of(title))
        ]
        named = {CONTROL: "the control"} if self.recipe.control else {}
        return ["the teacher"] * tuned + [named.get(title, f"'{title}'") for title in titles]

    def _check_keys(self, title: str, method: Method, settings: dict[str, Any]) -> None:
        """Insist on keys that mean something to this task."""
        for key, tasks in method.settings_class.only_for.items():
            if key in settings and self.recipe.task not in tasks:
                suited = " and ".join(sorted(tasks))
                what = f"'{key}' of '{title}' is for {suited}, and this recipe's task is {self.recipe.task}"
                raise LimbeckError(what, where=f"method.{key}", fix="Leave it out")

    def _check_method(self, title: str, method: Method, settings: dict[str, Any]) -> None:
        """Insist that a method teaches this task, and reads what its students say."""
        task = self.recipe.task
        methods.require(method, task, title)
        stages = self._stages(method, settings)
        for stage in stages:
            strange = sorted((stage.objective.reads | stage.objective.needs) - SAID[task] - OF_TOKENS)
            if strange:
                suited = [name for name in methods.names() if task in methods.get(name).tasks]
                raise LimbeckError(
                    f"'{title}' compares {', '.join(strange)}, and in {task} there are {', '.join(sorted(SAID[task]))}",
                    where="method",
                    fix=f"Methods for {task}: {', '.join(suited)}",
                )
            epochs = self.recipe.train.epochs if stage.epochs is None else stage.epochs
            if stage.objective.last_apart and epochs <= 1:
                raise LimbeckError(
                    f"the last epoch of '{title}' is of gold alone, and with {epochs:g} there is none before it: the "
                    "teacher would not be heard",
                    where="train.epochs",
                    fix="Take 2 or more, or 'schedule: linear' in the method",
                )
        if self.grows:
            self._check_growable(title, stages)

    def _check_growable(self, title: str, stages: Sequence[Stage]) -> None:
        """Insist that a method says what a student should say, for one that follows no gradient."""
        if len(stages) == 1 and _has_targets(stages[0].objective):
            none = torch.zeros(0, 2)
            stages[0].objective.targets(Signals(logits=none), none[:, 0].long(), 2)
            return
        suited = [name for name in methods.names() if _grows(methods.get(name))]
        raise LimbeckError(
            f"a {self.recipe.student.kind} follows no gradient, and '{title}' is nothing but one",
            where="method",
            fix=f"Methods for it: {', '.join(suited)}",
        )


def _has_targets(objective: Objective) -> bool:
    return type(objective).targets is not Objective.targets


def _grows(method: Method) -> bool:
    stages = method.tiny.stages()
    return len(stages) == 1 and _has_targets(stages[0].objective)
