"""Catalogues: the messages of programs and their translations, which many packages ship.

Read are gettext's ``.po`` and ``.mo``, and JSON as jupyterlab's language packs have it (Jed 1.x). Fuzzy, obsolete and
untranslated messages are left out. A message with a plural is two texts: its singular, with the form that the
language uses of one; and its plural, with the other forms as translations of equal right (JSON does not hold the
plural text, and gives the first only). Line breaks in messages, which are layout, become spaces.
"""

from __future__ import annotations

import gettext
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.sources import Source
from limbeck.text import resources
from limbeck.text.parallel import translated

ENDINGS = (".json", ".po", ".mo")
"""Of catalogues; of one in several formats, the first of these is read."""
PATTERN = re.compile(r"[*?\[]")
"""What makes a path a pattern."""
PLURAL_FORMS = re.compile(r"plural\s*=\s*([^;]+)")
CONTEXT = "\x04"
"""Stands between a message's context and the message in the keys of JSON."""

Message = tuple[str, str, Sequence[str]]
"""Where it stands, the text, and its translations."""


def read_catalogues(source: Source, name: str) -> list[Example]:
    """The translated messages of a catalogue, or of several.

    Args:
        source: A catalogue, a folder of them, or a pattern.
        name: Stands for the file or folder in ids; of a pattern the folder before it does.

    Raises:
        LimbeckError: There is no catalogue, one is damaged, or none holds a translation.
    """
    base, found = _found(source.path)
    start = base.name if PATTERN.search(source.path) else name
    examples = []
    for path in found:
        one = start if path == base else f"{start}/{path.relative_to(base).as_posix()}"
        messages = _json(path) if path.suffix.lower() == ".json" else _gettext(path)
        examples += [
            translated(place, _in_line(text), [_in_line(form) for form in forms], source, one)
            for place, text, forms in messages
        ]
    if not examples:
        raise LimbeckError("no message here is translated", where=source.path)
    return examples


def files_of(ref: str) -> tuple[Path, ...]:
    """The catalogues that a path means: itself, those of a folder, or those that fit a pattern; sorted.

    Raises:
        LimbeckError: There is none.
    """
    return tuple(_found(ref)[1])


def _found(ref: str) -> tuple[Path, list[Path]]:
    """The file or folder that a reference names before any pattern, and the catalogues."""
    head, pattern = _cut(ref)
    base = resources.resolve(head)
    if not isinstance(base, Path):
        raise LimbeckError("no such file or folder of messages", where=ref)
    if base.is_file():
        return base, [base]
    inside = base.glob(pattern) if pattern else (path for path in base.rglob("*") if _is_catalogue(path))
    files = {path for path in inside if path.is_file() and path.suffix.lower() in ENDINGS}
    best: dict[Path, Path] = {}
    for path in sorted(files, key=lambda path: ENDINGS.index(path.suffix.lower())):
        best.setdefault(path.with_suffix(""), path)
    if not best:
        raise LimbeckError(f"no catalogue of messages ({', '.join(ENDINGS)}) is here", where=ref)
    return base, sorted(best.values())


def _cut(ref: str) -> tuple[str, str]:
    """A reference before its first part with a pattern sign, and from there on."""
    parts = ref.split("/")
    end = next((number for number, part in enumerate(parts) if PATTERN.search(part)), len(parts))
    head = "/".join(parts[:end]) or ("/" if ref.startswith("/") else "." if end < len(parts) else ref)
    is_package = head.startswith(resources.PACKAGE) and "/" not in head
    return head + "/" * is_package, "/".join(parts[end:])


def _is_catalogue(path: Path) -> bool:
    """Whether a file of a folder is one; most JSON is something else."""
    if path.suffix.lower() != ".json":
        return True
    try:
        return _messages(json.loads(path.read_bytes())) is not None
    except ValueError:
        return False


def _in_line(text: str) -> str:
    return " ".join(text.split())


# Gettext.


def _gettext(path: Path) -> Iterator[Message]:
    """Messages by line; a compiled catalogue has no lines, and its messages are counted."""
    for number, entry in enumerate(catalogue := _parsed(path), 1):
        place = str(getattr(entry, "linenum", number))
        if not getattr(entry, "translated", lambda: True)():
            continue
        if not entry.msgid_plural:
            yield place, entry.msgid, [entry.msgstr]
            continue
        forms = [entry.msgstr_plural[form] for form in sorted(entry.msgstr_plural)]
        one = _form_of_one(catalogue.metadata.get("Plural-Forms", ""), len(forms))
        yield place, entry.msgid, [forms[one]]
        others = dict.fromkeys(form for form in forms[:one] + forms[one + 1 :] or forms)
        yield f"{place}.plural", entry.msgid_plural, list(others)


def _parsed(path: Path) -> Any:
    try:
        import polib
    except ImportError:
        fix = "Install it: pip install 'limbeck[catalogues]'"
        raise LimbeckError("gettext's catalogues are read by polib", where=path, fix=fix) from None
    try:
        return polib.mofile(str(path)) if path.suffix.lower() == ".mo" else polib.pofile(str(path))
    except (OSError, ValueError, LookupError, IndexError) as error:
        reason = str(error).partition("\n")[0].rstrip(".") or type(error).__name__
        raise LimbeckError(f"no catalogue of messages ({reason})", where=path) from None


def _form_of_one(plural_forms: str, forms: int) -> int:
    """Which form the language uses of one thing, as the catalogue's header says."""
    found = PLURAL_FORMS.search(plural_forms)
    try:
        form = int(gettext.c2py(found[1].strip())(1)) if found else 0
    except ValueError:
        return 0
    return form if form < forms else 0


# JSON.


def _json(path: Path) -> Iterator[Message]:
    try:
        messages = _messages(json.loads(path.read_bytes()))
    except ValueError as error:
        raise LimbeckError(f"not JSON ({error})", where=path) from None
    if messages is None:
        fix = 'Messages are {"": {"plural_forms": ...}, "text": ["translation", ...], ...}'
        raise LimbeckError("no catalogue of messages", where=path, fix=fix)
    header = messages[""]
    plural_forms = str(header.get("plural_forms") or header.get("plural-forms") or "")
    rows = ((key, forms) for key, forms in messages.items() if key)
    for number, (key, forms) in enumerate(rows, 1):
        if not isinstance(forms, list) or not all(isinstance(form, str) for form in forms):
            raise LimbeckError(f"the translation of {key!r} is no list of strings", where=path)
        form = forms[_form_of_one(plural_forms, len(forms))] if forms else ""
        if form:
            yield str(number), key.rpartition(CONTEXT)[2], [form]


def _messages(value: Any) -> Mapping[str, Any] | None:
    """The messages of a JSON value, bare or as the one domain of Jed's ``locale_data``; None of any other value."""
    if isinstance(value, dict) and isinstance(inner := value.get("locale_data"), dict) and len(inner) == 1:
        value = next(iter(inner.values()))
    return value if isinstance(value, dict) and isinstance(value.get(""), dict) else None
