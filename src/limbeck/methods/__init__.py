"""One file per method: card, settings, objective, ``tiny()``. A method is found by its file's name.

A method of your own lives in any importable module; a recipe names it by its dotted path.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from limbeck.core.errors import LimbeckError
from limbeck.core.method import Card, MethodSettings, Stage
from limbeck.core.schema import validate
from limbeck.core.signals import OF_TOKENS, SAID, SignalName

if TYPE_CHECKING:
    from limbeck.core.objective import Objective
    from limbeck.core.tasks import Task


@dataclass(frozen=True, slots=True)
class Method:
    """A method as its file defines it.

    Attributes:
        name: The file's name, or the dotted path of a third party's module.
        card: What a person should know before choosing it.
        settings_class: The class whose fields are the recipe's keys.
    """

    name: str
    card: Card
    settings_class: type[MethodSettings]
    tiny: MethodSettings

    def settings(self, values: Mapping[str, Any], where: str | Path | None = None) -> MethodSettings:
        """The settings for a recipe's keys.

        Raises:
            LimbeckError: An unknown key, or a value that does not fit.
        """
        return validate(self.settings_class, values, where=where, prefix="method")

    def stages(self, values: Mapping[str, Any], task: Task | None = None) -> tuple[Stage, ...]:
        """The training runs for a recipe's keys, and its task."""
        settings = self.settings(values)
        return settings.stages() if task is None else settings.stages_for(task)

    @property
    def tasks(self) -> tuple[Task, ...]:
        """What it can teach: what its card says, or else the tasks whose models say what it reads."""
        if self.card.tasks is not None:
            return self.card.tasks
        return tuple(task for task, said in SAID.items() if self._read_for(task) - OF_TOKENS <= said)

    def _read_for(self, task: Task) -> set[SignalName]:
        objectives = [stage.objective for stage in self.tiny.stages_for(task)]
        return {name for objective in objectives for name in objective.reads | objective.needs}


def names() -> list[str]:
    """Names of the methods that come with Limbeck."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def get(name: str) -> Method:
    """The method of that name: a file of this folder, or a dotted path to a module made like one.

    Raises:
        LimbeckError: There is no such method, or the module lacks one of its parts.
    """
    module_name = name if "." in name.strip(".") else f"{__name__}.{name.strip('.')}"
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not module_name.startswith(error.name):
            raise
        close = difflib.get_close_matches(name, names(), n=1, cutoff=0.4)
        fix = f"Did you mean '{close[0]}'?" if close else f"There are: {', '.join(names())}"
        if module_name == name:
            fix = f"No module of that name can be imported from here; methods of Limbeck are {', '.join(names())}"
        if name.startswith("ensemble"):
            fix = "An ensemble is a teacher: say 'teacher.members' or 'teacher.ensemble', with any method on answers"
        raise LimbeckError(f"no method '{name}'", where="method", fix=fix) from None
    missing = [part for part in ("CARD", "Settings", "tiny") if not hasattr(module, part)]
    if missing:
        fix = "A method's module defines CARD, Settings and tiny()"
        raise LimbeckError(f"the module '{module_name}' lacks {', '.join(missing)}", where="method", fix=fix)
    return Method(name, module.CARD, module.Settings, module.tiny())


def require(method: Method, task: Task, title: str | None = None) -> None:
    """Insist that a method can teach a task.

    Args:
        method: Which one.
        task: What its student shall do.
        title: What the recipe calls it.

    Raises:
        LimbeckError: It cannot.
    """
    if task in method.tasks:
        return
    suited = [name for name in names() if task in get(name).tasks]
    raise LimbeckError(
        f"'{title or method.name}' teaches {' and '.join(method.tasks)}, and this recipe's task is {task}",
        where="method",
        fix=f"Methods for {task}: {', '.join(suited)}",
    )


def objective(name: str, *, stage: str | None = None, task: Task | None = None, **settings: Any) -> Objective:
    """What a method teaches, for a training loop of one's own, such as :class:`limbeck.DistillationTrainer`.

    Args:
        name: As of :func:`get`.
        stage: Which one, of a method of several.
        task: What the student does, of a method whose stages depend on it, as those of ``born_again`` do.
        settings: The recipe's keys under ``method``, e.g. ``temperature=4``.

    Raises:
        LimbeckError: No such method or stage, settings that do not fit, or a method of several stages and none named.
    """
    stages = {one.name: one.objective for one in get(name).stages(settings, task)}
    if stage is None and len(stages) == 1:
        return next(iter(stages.values()))
    if stage not in stages:
        what = (
            f"no stage '{stage}'"
            if stage is not None
            else "several stages, to be trained one after the other"
        )
        raise LimbeckError(f"the method '{name}' has {what}", fix=f"Name one: {', '.join(stages)}")
    return stages[stage]
