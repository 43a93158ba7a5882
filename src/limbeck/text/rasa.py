"""Rasa: the training files of chat bots, read and written: YAML, and the older Markdown and JSON."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from limbeck.core import progress
from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.files import atomic_write, parse_json
from limbeck.core.schema import reading_yaml
from limbeck.core.sources import Source
from limbeck.text.delimited import lines_of
from limbeck.text.rows import Row
from limbeck.text.sentences import SURROGATES
from limbeck.text.tables import ending_of, read_text

ENTITY = re.compile(r"\[(?P<words>[^\[\]]+)\](?:\([^()]*\)|\{[^{}]*\}|\[[^\]]*\])")
"""``[words](entity)``, ``[words](entity:value)``, ``[words]{"entity": ...}`` and ``[words][{"entity": ...}, ...]``."""
ITEM = re.compile(r"\s*[-*+]\s*(\S.*)")
HEADING = re.compile(r"##\s*([^:]*?)\s*:\s*(.*?)\s*")
COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
YAML, MARKDOWN, JSON = (".yml", ".yaml"), ".md", ".json"
JSON_LISTS = ("common_examples", "intent_examples", "entity_examples")
VERSION = "3.1"
"""Of the YAML that is written."""


def is_like(path: Path, head: str) -> bool:
    """Whether a YAML file has ``nlu``, a Markdown file an intent's heading, or JSON ``rasa_nlu_data``."""
    ending = ending_of(path)
    if ending in YAML:
        return re.search("^nlu:", head, re.MULTILINE) is not None
    if ending == MARKDOWN:
        return re.search(r"^##\s*intent\s*:", head, re.MULTILINE) is not None
    return ending == JSON and head.lstrip().startswith("{") and '"rasa_nlu_data"' in head


def read(path: Path, source: Source) -> Iterator[Row]:
    """The examples of all intents, without the marks of entities; synonyms, lookups and the like are passed over.

    Args:
        path: The file: JSON or Markdown by its ending, and else YAML.
        source: Its encoding.

    Raises:
        LimbeckError: The file is not what its ending says, or an example is malformed.
    """
    return _reader(ending_of(path))(path, read_text(path, source.encoding, source.undecodable))


def _reader(ending: str) -> Callable[[Path, str], Iterator[Row]]:
    return {MARKDOWN: _markdown, JSON: _json}.get(ending, _yaml)


def write(path: Path, examples: Iterable[Example]) -> None:
    """Write labelled examples as a training file of Rasa, by intent in their order.

    Args:
        path: The file; ``.yml`` or ``.yaml`` (Rasa 2 and 3), ``.md`` or ``.json`` (Rasa 1) tells the form.
        examples: Their ``gold`` is the intent; spaces and line breaks in a text become one space.

    Raises:
        LimbeckError: Another ending, an example without gold or text, a pair, or a text or intent that the form
            would read as something else.
    """
    writers = {MARKDOWN: _as_markdown, JSON: _as_json, **dict.fromkeys(YAML, _as_yaml)}
    ending = path.suffix.lower()
    if ending not in writers:
        what = f"Rasa has no training files that end in '{path.suffix}'"
        raise LimbeckError(what, where=path, fix="Name it .yml, .md or .json")
    intents: dict[str, list[str]] = {}
    for example in examples:
        _check(example, path)
        intents.setdefault(str(example.gold), []).append(" ".join(example.text.split()))
    written = writers[ending](intents)
    _check_told(path, ending, written, intents)
    with atomic_write(path) as file:
        file.write(written)


def _check(example: Example, path: Path) -> None:
    if example.gold is None or not example.text.strip():
        what = f"the example {example.id} has no {'label' if example.gold is None else 'text'}"
        raise LimbeckError(what, where=path, fix="Rasa's examples are texts under an intent")
    if example.second is not None:
        raise LimbeckError(f"the example {example.id} is a pair, and Rasa's are single texts", where=path)
    if any(SURROGATES.search(text) for text in (example.text, example.gold)):
        raise LimbeckError(f"the example {example.id} holds half of a character", where=path)


def _check_told(path: Path, ending: str, written: str, intents: Mapping[str, list[str]]) -> None:
    """Insist that what is written is read as it was meant."""
    meant = [(text, intent) for intent, texts in intents.items() for text in texts]
    try:
        told = [(row.text, row.label or "") for row in _reader(ending)(path, written)]
    except LimbeckError:
        told = []
    for number, one in enumerate(meant):
        if told[number : number + 1] != [one]:
            what = f"Rasa would read '{one[0]}' of the intent '{one[1]}' otherwise: as the mark of an entity, a comment"
            fix = "Write a .json file, which has no marks in texts" if ending != JSON else None
            raise LimbeckError(what + ", or without the space at its ends", where=path, fix=fix)


def _plain(text: str) -> str:
    return ENTITY.sub(lambda found: found["words"], text)


# YAML: nlu, a list of intents with their examples.


class _Literal(str):
    """A string that YAML writes line by line."""


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as blocks."""


_Dumper.add_representer(
    _Literal, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", str(text), style="|")
)


def _as_yaml(intents: Mapping[str, list[str]]) -> str:
    nlu = [
        {"intent": intent, "examples": _Literal("".join(f"- {text}\n" for text in texts))}
        for intent, texts in intents.items()
    ]
    value = {"version": VERSION, "nlu": nlu}
    return str(yaml.dump(value, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=100_000))


def _yaml(path: Path, text: str) -> Iterator[Row]:
    with reading_yaml(path):
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    nlu = _keys(root).get("nlu")
    rows_of: Counter[int] = Counter()
    if not isinstance(nlu, yaml.SequenceNode):
        raise LimbeckError(
            "there is no list 'nlu'", where=path, fix="Write nlu: [{intent: ..., examples: ...}]"
        )
    for node in nlu.value:
        keys = _keys(node)
        if "intent" not in keys:
            continue
        for row in _of_intent(path, node, keys):
            before = rows_of[row.line]
            rows_of[row.line] += 1
            yield replace(row, part=str(before)) if before else row


def _of_intent(path: Path, node: yaml.Node, keys: Mapping[str, yaml.Node]) -> Iterator[Row]:
    """The examples of an intent: a block of ``- text`` lines, or a list of objects with ``text``."""
    intent, examples = keys["intent"].value, keys.get("examples")
    line = node.start_mark.line + 1
    if isinstance(examples, yaml.ScalarNode) and isinstance(intent, str):
        yield from _of_block(path, examples, intent)
    elif isinstance(examples, yaml.SequenceNode) and isinstance(intent, str):
        for one in examples.value:
            text = _keys(one).get("text", one)
            if not isinstance(text, yaml.ScalarNode):
                raise LimbeckError("the example has no 'text'", where=path, line=one.start_mark.line + 1)
            plain = re.sub(r"^\s*-\s+", "", text.value)
            yield Row(one.start_mark.line + 1, _plain(plain), intent)
    else:
        raise LimbeckError("the intent has no 'examples'", where=path, line=line)


def _of_block(path: Path, block: yaml.ScalarNode, intent: str) -> Iterator[Row]:
    # A block's text begins on the line after its sign; text in quotes stands where it is.
    is_block = block.style in ("|", ">")
    start = block.start_mark.line + 1 + is_block
    for place, line in enumerate(block.value.split("\n")):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        number = start + place if is_block else start
        if not (found := ITEM.fullmatch(line.rstrip())):
            raise LimbeckError("the example does not begin with '- '", where=path, line=number)
        yield Row(number, _plain(found[1]), intent)


def _keys(node: yaml.Node | None) -> dict[str, yaml.Node]:
    if not isinstance(node, yaml.MappingNode):
        return {}
    return {key.value: value for key, value in node.value if isinstance(key, yaml.ScalarNode)}


# Markdown: a heading an intent, and a list of its examples.


def _as_markdown(intents: Mapping[str, list[str]]) -> str:
    blocks = [
        f"## intent:{intent}\n" + "".join(f"- {text}\n" for text in texts)
        for intent, texts in intents.items()
    ]
    return "\n".join(blocks)


def _markdown(path: Path, text: str) -> Iterator[Row]:
    # Comments go, and their line breaks stay, so that lines keep their numbers.
    text = COMMENT.sub(lambda found: "\n" * found[0].count("\n"), text)
    kind = intent = None
    passed_over: list[int] = []
    for number, line in enumerate(lines_of(text), 1):
        if heading := HEADING.fullmatch(line.rstrip()):
            kind, intent = heading[1].lower(), heading[2]
        elif kind == "intent" and line.strip():
            if found := ITEM.fullmatch(line.rstrip()):
                yield Row(number, _plain(found[1]), intent)
            else:
                passed_over.append(number)
    if passed_over:
        what = f"{len(passed_over)} lines below intents are no examples ('- text'), and Rasa passes them over"
        progress.warn(f"{path.name}:{passed_over[0]}: {what}")


# JSON: a list of examples.


def _as_json(intents: Mapping[str, list[str]]) -> str:
    examples = [
        {"text": text, "intent": intent, "entities": []}
        for intent, texts in intents.items()
        for text in texts
    ]
    value = {"rasa_nlu_data": {"common_examples": examples}}
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"


def _json(path: Path, text: str) -> Iterator[Row]:
    root = parse_json(text, path)
    data = root.get("rasa_nlu_data") if isinstance(root, dict) else None
    if not isinstance(data, dict):
        raise LimbeckError("there is no object 'rasa_nlu_data'", where=path, line=1)
    lists = {key: data.get(key) or [] for key in JSON_LISTS}
    for key, value in lists.items():
        if not isinstance(value, list):
            raise LimbeckError(f"'{key}' is no list of examples", where=path)
    examples: list[Any] = [one for value in lists.values() for one in value]
    for number, one in enumerate(examples, 1):
        if not isinstance(one, dict) or not isinstance(one.get("text"), str):
            raise LimbeckError(f"example {number} has no 'text'", where=path)
        intent = one.get("intent")
        yield Row(number, one["text"], None if intent is None else str(intent))
