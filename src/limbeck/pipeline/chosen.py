"""Chosen: what a recipe names (task, student, rewriters, methods), checked before any work."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from limbeck import methods, models
from limbeck.core.errors import LimbeckError
from limbeck.core.recipe import TeacherChoice
from limbeck.core.signals import OF_TOKENS, SAID
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
OF_TRANSLATORS = ("scratch", "members", "engine", "prefix", "languages")
"""Keys of ``teacher`` that mean nothing to other tasks."""


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
            self._check_method(title, method, method.stages(settings))
        return found

    @property
    def control(self) -> str | None:
        """The name of the control, where there is one."""
        return CONTROL if self.recipe.control else None

    def stages(self) -> Iterator[Stage]:
        """The stages of all methods."""
        for method, settings in self.methods.values():
            yield from method.stages(settings)

    @cached_property
    def hears_raw(self) -> bool:
        """Whether some method has a stage on raw text."""
        return any(stage.hears == "raw" for stage in self.stages())

    def _check_method(self, title: str, method: Method, stages: Sequence[Stage]) -> None:
        """Insist that a method teaches this task, and reads what its students say."""
        task = self.recipe.task
        methods.require(method, task, title)
        for stage in stages:
            strange = sorted((stage.objective.reads | stage.objective.needs) - SAID[task] - OF_TOKENS)
            if strange:
                suited = [name for name in methods.names() if task in methods.get(name).tasks]
                raise LimbeckError(
                    f"'{title}' compares {', '.join(strange)}, and in {task} there are {', '.join(sorted(SAID[task]))}",
                    where="method",
                    fix=f"Methods for {task}: {', '.join(suited)}",
                )
            stage.objective.for_task(task)
