"""The rows of TinyBERT's ablation tables (Jiao et al. 2020, tables 5 to 7), for a recipe of one's own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from limbeck import methods
from limbeck.core.errors import LimbeckError
from limbeck.core.recipe import MethodChoice, Recipe
from limbeck.evaluate.table import markdown_table
from limbeck.losses.mapping import Strategy
from limbeck.methods.tinybert import InnerObjective, Settings

Over = Literal["procedures", "objectives", "mappings"]

METHOD = "tinybert"
WHOLE = "TinyBERT"
NO_GD, NO_DA = "no GD", "no DA"

PROCEDURES: Mapping[str, Mapping[str, Any]] = {
    NO_GD: {"general_epochs": 0},
    "no TD": {"intermediate_epochs": 0, "prediction": "gold"},
    NO_DA: {"augmented": False},
}
"""Table 5: no general distillation; no task-specific one, fine-tuned on gold instead; no augmented text, but as many
steps."""

OBJECTIVES: Mapping[str, Mapping[str, Any]] = {
    "no Embd": {"embeddings": False},
    "no Pred": {"prediction": "gold"},
    "no Trm": {"hidden": False, "attention": None},
    "no Attn": {"attention": None},
    "no Hidn": {"hidden": False},
}
"""Table 6: without the loss of embeddings; of answers (gold instead); of states and attention; of either alone."""

MAPPINGS: Mapping[str, Mapping[str, Any]] = {name: {"mapping": name} for name in get_args(Strategy)}
"""Table 7."""

ROWS: Mapping[Over, Mapping[str, Mapping[str, Any]]] = {
    "procedures": PROCEDURES,
    "objectives": OBJECTIVES,
    "mappings": MAPPINGS,
}
LACKING = {
    NO_GD: "the recipe has no general stage",
    NO_DA: "the recipe's TinyBERT hears no text that was made",
}
"""Why a row that equals the whole does so."""


@dataclass(frozen=True)
class Row:
    """A row of a table.

    Attributes:
        name: As the paper calls it.
        label: Its students' in the run.
        settings: What it changes in the recipe's method.
    """

    name: str
    label: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def changes(self) -> str:
        """The changed settings in one line."""
        shown = {k: v if isinstance(v, str) else json.dumps(v) for k, v in self.settings.items()}
        return ", ".join(f"{key}: {value}" for key, value in shown.items()) or "nothing"


@dataclass(frozen=True)
class Design:
    """What an ablation trains.

    Attributes:
        over: Which of the tables.
        recipe: The recipe that is taken apart.
        rows: Those of the table; the first is the recipe's own TinyBERT.
        left_out: Rows that would equal another, and why.
    """

    over: Over
    recipe: Recipe
    rows: tuple[Row, ...]
    left_out: Mapping[str, str]

    @property
    def run_recipe(self) -> Recipe:
        """That of the run whose methods are the rows. None of them is deployed, so speed and int8 are of no concern."""
        recipe, own = self.recipe, _choice(self.recipe).settings
        return recipe.model_copy(
            update={
                "name": f"{recipe.name}-ablation",
                "method": [
                    MethodChoice(name=METHOD, label=row.label, **{**own, **row.settings}) for row in self.rows
                ],
                "evaluate": recipe.evaluate.model_copy(update={"latency_sentences": 0}),
                "export": recipe.export.model_copy(update={"int8": False}),
            }
        )

    def text(self) -> str:
        """What will be run, for a person."""
        seeds = "1 seed" if len(self.recipe.seeds) == 1 else f"{len(self.recipe.seeds)} seeds"
        lines = [(row.name, row.changes) for row in self.rows]
        table = markdown_table(("row", "changes"), lines, frozenset({"row", "changes"}))
        title = f"{self.recipe.name}: TinyBERT's {self.over}, {seeds} a row, in {self.run_recipe.folder}"
        left_out = [f"left out: {name}, for {why}" for name, why in self.left_out.items()]
        return "\n".join([title, "", table, *left_out])


def design(recipe: Recipe, over: Over) -> Design:
    """The rows of a table for a recipe.

    Args:
        recipe: One whose method is ``tinybert``.
        over: ``procedures`` (table 5 of the paper), ``objectives`` (6) or ``mappings`` (7).

    Raises:
        LimbeckError: The recipe has another method, its student is no transformer, or there are no inner states to
            take apart.
    """
    settings = _settings(recipe)
    if over != "procedures" and not any(isinstance(s.objective, InnerObjective) for s in settings.stages()):
        fix = "Leave 'intermediate_epochs' out of the method, or set it above 0"
        raise LimbeckError("this TinyBERT compares no inner states", where="method", fix=fix)

    def work(changes: Mapping[str, Any]) -> Settings:
        """What is done under these changes, to be compared."""
        changed = settings.model_copy(update=changes)
        return changed if recipe.rewrite else changed.model_copy(update={"augmented": False})

    named = settings.mapping if over == "mappings" and isinstance(settings.mapping, str) else WHOLE
    rows, left_out = {work({}): Row(named, WHOLE)}, {}
    for name, changes in ROWS[over].items():
        same = rows.setdefault(work(changes), Row(name, name.replace(" ", "-"), changes)).name
        if same != name:
            left_out[name] = LACKING.get(name, f"it is the same as {same} here")
    return Design(over, recipe, tuple(rows.values()), left_out)


def _choice(recipe: Recipe) -> MethodChoice:
    """The recipe's TinyBERT; other methods beside it are of no concern.

    Raises:
        LimbeckError: There is none, or more than one, or the student is no transformer.
    """
    found = [choice for choice in recipe.method if choice.name == METHOD]
    if not found:
        names = ", ".join(choice.name for choice in recipe.method)
        what = f"an ablation takes '{METHOD}' apart, and this recipe's method is {names}"
        raise LimbeckError(what, where="method", fix=f"Set method={METHOD}")
    if len(found) > 1:
        what = f"the recipe lists '{METHOD}' {len(found)} times"
        raise LimbeckError(what, where="method", fix="Leave the one that is to be taken apart")
    if recipe.student.kind != "transformer":
        what = (
            f"the student is no transformer but of kind '{recipe.student.kind}': it has no layers to compare"
        )
        raise LimbeckError(what, where="student.kind", fix="Set it to 'transformer'")
    return found[0]


def _settings(recipe: Recipe) -> Settings:
    settings = methods.get(METHOD).settings(_choice(recipe).settings)
    assert isinstance(settings, Settings)
    return settings
