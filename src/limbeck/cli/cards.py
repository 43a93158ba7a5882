"""``limbeck methods``: the method cards, on the terminal and as Markdown pages."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, BeforeValidator
from pydantic.fields import FieldInfo

from limbeck import methods, models
from limbeck.core.decoding import Decoding
from limbeck.core.files import atomic_write
from limbeck.core.recipe import (
    Analysis,
    Evaluation,
    Export,
    FineTune,
    MethodChoice,
    Recipe,
    StudentChoice,
    TeacherChoice,
    Training,
)
from limbeck.core.sources import Clean, Data, Source, Vocabulary
from limbeck.core.tasks import METRICS_OF
from limbeck.transfer import rewrites

ENSEMBLE = (
    "An ensemble is a teacher, and goes with every method that reads answers: `teacher.members` trains several, "
    "`teacher.ensemble` lists several, `teacher.weights` says how they are averaged."
)
CHOICE = "[Which method for my data](../which_method.md): by labels, text, and what the model is for."


def overview() -> str:
    """One line a method."""
    cards = {name: methods.get(name).card for name in methods.names()}
    width = max(map(len, cards))
    lines = [
        _fill(f"{name:<{width}}  ", f"{card.title} — {card.paper.split(':')[0]}")
        for name, card in cards.items()
    ]
    return "\n".join([*lines, "", _fill("", ENSEMBLE), "", "limbeck methods NAME tells more of one."])


def card(name: str) -> str:
    """A method's card for the terminal."""
    method = methods.get(name)
    told = method.card
    blocks = [
        f"{told.title}  ({name})",
        _fill("", told.what),
        _fill("    ", told.equation),
        _fill("Paper: ", told.paper),
        _fill("When:  ", told.when),
        _fill("Reads: ", told.reads),
        _fill("Tasks: ", ", ".join(method.tasks)),
    ]
    settings = [
        f"  {key}: {_kind(field)} = {_default(field)}\n      {_told(field)}"
        for key, field in _fields(method.settings_class)
    ]
    blocks.append("Settings:\n" + "\n".join(settings) if settings else "Settings: none")
    return "\n\n".join(blocks)


def page(name: str) -> str:
    """A method's card as a Markdown page."""
    method = methods.get(name)
    told, bar = method.card, "\\|"  # a bare one would end the table's cell
    rows = [
        f"| `{key}` | {_kind(field).replace('|', bar)} | {_default(field)} | {_told(field)} |"
        for key, field in _fields(method.settings_class)
    ]
    table = (
        ["| setting | type | default | what it does |", "| --- | --- | --- | --- |", *rows]
        if rows
        else ["None."]
    )
    return "\n".join(
        [
            f"# {told.title}",
            "",
            told.what,
            "",
            "```text",
            told.equation,
            "```",
            "",
            f"**Paper.** {told.paper}",
            "",
            f"**When.** {told.when}",
            "",
            f"**Reads.** {told.reads}",
            "",
            f"**Tasks.** {', '.join(method.tasks)}",
            "",
            "## Settings",
            "",
            *table,
            "",
            "## In a recipe",
            "",
            "```yaml",
            "method:",
            f"  name: {name}",
            *(f"  {key}: {_in_recipe(value)}" for key, value in _example(method)),
            "```",
            "",
        ]
    )


def recipe_page() -> str:
    """Every key of a recipe, as a Markdown page."""
    students = {task: ", ".join(f"`{kind}`" for kind in models.kinds(task)) for task in METRICS_OF}
    lines = [
        "# Recipes: every key",
        "",
        "A recipe is YAML. `limbeck init` writes one, `limbeck plan` checks it, and any key can be changed for one",
        "run: `limbeck distill recipe.yaml train.epochs=3 method=soft_labels`. A run folder keeps the recipe with",
        "every default spelt out. This page is made from the code (`limbeck methods --pages docs/methods`).",
        "",
        *_keys("The recipe", Recipe),
        *_keys("`data`", Data),
        *_keys(
            "A source of examples (`data.train`, `dev`, `test`, `unlabelled`); a path alone will do", Source
        ),
        *_keys("`data.clean`", Clean),
        *_keys("`data.vocabulary`", Vocabulary),
        *(
            line
            for name in rewrites.names()
            for line in _keys(f"`rewrite`: `{name}`", rewrites.schema_of(name))
        ),
        *_keys("`teacher`", TeacherChoice),
        *_keys("`train`", Training),
        *_keys(
            "`teacher.fine_tune`: the keys of `train`; other defaults, or more", FineTune, beyond=Training
        ),
        *_keys("`student`", StudentChoice),
        "The other keys are those of its kind, which for",
        "",
        *(f"- {task} is one of {kinds}" for task, kinds in students.items()),
        "",
    ]
    for task in METRICS_OF:
        for kind in models.kinds(task):
            settings = type(models.settings_for(kind, {}, task=task))
            lines += _keys(f"`student` for {task}, kind `{kind}`", settings)
    lines += [
        *_keys("`method`; a name alone will do, and so will a list", MethodChoice),
        "The other keys are those of the [method](methods/README.md).",
        "",
        *_keys("`evaluate`", Evaluation),
        *_keys("`evaluate.decoding`, and `decoding` of methods", Decoding),
        *_keys("`export`", Export),
        *_keys("`analyse`", Analysis),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _keys(title: str, schema: type[BaseModel], beyond: type[BaseModel] | None = None) -> list[str]:
    """A heading, and a table of a schema's keys; ``beyond`` another, of those that are other than there."""
    known = {} if beyond is None else beyond.model_fields
    fields = {key: field for key, field in schema.model_fields.items() if not _same(field, known.get(key))}
    rows = [
        f"| `{key}` | {_default(field)} | {_told(field) or _told(known[key])} |"
        for key, field in fields.items()
    ]
    return [f"## {title}", "", "| key | default | what it does |", "| --- | --- | --- |", *rows, ""]


def _same(one: FieldInfo, other: FieldInfo | None) -> bool:
    return other is not None and one.default == other.default


def write_pages(folder: Path) -> None:
    """Write every method's page and an index into a folder, and beside it the page of the recipe's keys."""
    with atomic_write(folder.parent / "recipes.md") as file:
        file.write(recipe_page())
    index = ["# Methods", "", CHOICE, "", "| method | paper |", "| --- | --- |"]
    for name in methods.names():
        told = methods.get(name).card
        index.append(f"| [`{name}`]({name}.md): {told.title} | {told.paper} |")
        with atomic_write(folder / f"{name}.md") as file:
            file.write(page(name))
    with atomic_write(folder / "README.md") as file:
        file.write("\n".join([*index, "", f"{ENSEMBLE} Every key: [recipes](../recipes.md)."]) + "\n")


def _fields(schema: type[BaseModel], within: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every key and what it is; keys of settings within settings by dotted key, after the key that holds them."""
    for key, field in schema.model_fields.items():
        yield within + key, field
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _fields(field.annotation, f"{within}{key}.")


def _example(method: methods.Method) -> Iterator[tuple[str, Any]]:
    """Settings to start from: those with a plain default, and of the required ones what the tests give."""
    of_others = method.settings_class.only_for.keys() - method.tiny.model_fields_set
    for key, field in method.settings_class.model_fields.items():
        value = (
            getattr(method.tiny, key) if field.is_required() else field.get_default(call_default_factory=True)
        )
        plain = not isinstance(value, BaseModel) and value not in (None, (), [])
        if key not in of_others and plain:
            yield key, value


def _in_recipe(value: Any) -> str:
    """A value as YAML has it on one line; of settings within settings what is not the default."""
    if isinstance(value, tuple):
        within = (
            one.model_dump(mode="json", exclude_defaults=True) if isinstance(one, BaseModel) else one
            for one in value
        )
        value = list(within)
    return yaml.safe_dump(value, default_flow_style=True, sort_keys=False).removesuffix("...\n").strip()


def _kind(field: FieldInfo) -> str:
    return _named(field.annotation) + _bounded(field.metadata)


def _named(annotation: Any) -> str:
    """A type as a person writes its values: ``scores | probabilities | null``."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _named(parts[0]) + _bounded(parts[1:])
    if origin is Literal:
        return " | ".join(map(str, parts))
    if origin in (Union, UnionType):
        return " | ".join(map(_named, parts))
    if origin is tuple:
        return f"list of {_named(parts[0])}"
    return "null" if annotation is NoneType else getattr(annotation, "__name__", str(annotation))


def _bounded(bounds: Iterable[Any]) -> str:
    """What values are held to; how they may be written otherwise (a validator) the key's own words say."""
    told = ", ".join(_bound(str(bound)) for bound in bounds if not isinstance(bound, BeforeValidator))
    return told and f" ({told})"


def _bound(text: str) -> str:
    """``Ge(ge=0)`` as ``≥ 0``."""
    sign, _, number = text.partition("(")[2].rstrip(")").partition("=")
    return f"{ {'ge': '≥', 'gt': '>', 'le': '≤', 'lt': '<'}.get(sign, sign) } {number}"


def _default(field: FieldInfo) -> str:
    """The default as YAML has it."""
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, BaseModel) or (
        isinstance(value, list) and value and isinstance(value[0], BaseModel)
    ):
        return "see below"
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else f"{value}" or '""'


def _told(field: FieldInfo) -> str:
    return " ".join((field.description or "").split()).replace("``", "`").replace("|", "\\|")


def _fill(head: str, text: str) -> str:
    width = min(100, shutil.get_terminal_size().columns)
    return textwrap.fill(head + text, width, subsequent_indent=" " * len(head))
