"""Clean: drop text that no model should learn from, and count what went, by reason."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from limbeck.core.example import Example
from limbeck.core.sources import Clean

EMPTY, DAMAGED, LONG, UNEVEN = "empty", "damaged", "too long", "of unlike lengths"
DUPLICATE, CONTRADICTORY = "duplicate", "contradictory"
REASONS = (EMPTY, DAMAGED, LONG, UNEVEN, DUPLICATE, CONTRADICTORY)

CONTROL = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x9f\ufffd-\uffff\ud800-\udfff]")
"""Control characters that are no white space (of Latin-1's second block too: bytes that were no Latin-1), the
replacement character, and halves of surrogate pairs."""

# UTF-8 read with another table leaves tell-tale pairs: a letter that stands for a lead byte, then the signs
# that stand for bytes 80 to BF. TAIL is all of those; ODD leaves out the ones that may follow a letter in
# good text (closing quotes, dashes, dots). Where a lead letter is common, only several pairs count.
_TAIL = "\x80-\xbf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ"
_ODD = "\x80-\xaa\xac-\xb6\xb8-\xba\xbc-\xbf€‚ƒ„†‡ˆ‰Š‹ŒŽ•˜™šœžŸ"
_MOJIBAKE = (
    f"Ã[{_ODD}]",  # é è ü ñ
    "Â[\xa0-\xa9\xac-\xba\xbc-\xbf]",  # no-break space, pound, degree
    "â€",  # typographic quotes, dashes, dots
    f"â[„†ˆ‰‚‡Œœžž˜™š\x80-\x9f][{_TAIL}]",  # arrows, stars, the trade mark
    f"ð[Ÿ\x9f][{_TAIL}]",  # emoji
    "ï¿½|ï»¿|ï¸",  # replacement character, byte order mark, variation selector
    "[ÄÅ][\x80-\x9f¡-©¬-±´-¶¹¼-¿€‚ƒ„†‡ˆ‰Š‹ŒŽ˜šœžŸ]",  # Polish, Czech, Turkish
    f"(?:[ÐÑ][{_TAIL}]){{2}}|(?:[ÎÏ][{_TAIL}]){{2}}",  # Cyrillic, Greek
    f"(?:[×ØÙÚÛ][{_TAIL}]){{2}}",  # Hebrew, Arabic
    f"(?:[à-ï][{_TAIL}]{{2}}){{2}}",  # scripts of Asia
    "‚Ä[ôúùìîò¶¢]|√[©®†º∂§ß¢¥≠≥±°]",  # the same through the old Macintosh table
)
MOJIBAKE = re.compile("|".join(_MOJIBAKE))
"""UTF-8 that was decoded with Windows-1252, Latin-1 or Mac Roman."""

LEAD = re.compile("[ÂÃÄÅÎÏÐÑ×ØÙÚÛà-ð‚√][^\x00-\x7f]")
"""What every one of them starts with; most good text is told by this quick look."""


def clean(examples: Sequence[Example], settings: Clean) -> tuple[list[Example], Counter[str]]:
    """The examples that are fit for use, in their order, and how many others there were by reason.

    Reasons are ``empty`` (always dropped), ``damaged``, ``too long``, ``of unlike lengths`` (a text and a translation
    of it), ``duplicate`` (of equal texts the first that has gold stays, or else the first), and ``contradictory``
    (equal texts with different labels: none stays). Two translations of one text contradict nothing: both stay, and
    what is equal in text and translation is a duplicate. A translation that is no use takes its text along.

    Args:
        examples: As read.
        settings: What to drop.
    """
    dropped = Counter(dict.fromkeys(REASONS, 0))
    kept = []
    for example in examples:
        if reason := _unfit(example, settings):
            dropped[reason] += 1
        else:
            kept.append(example)
    if settings.duplicates:
        is_parallel = any(example.targets for example in kept)
        kept = (_first_of_equal_pairs if is_parallel else _first_of_equals)(kept, dropped)
    return kept, +dropped


def _unfit(example: Example, settings: Clean) -> str | None:
    """Why an example is of no use, whatever the others are."""
    if not example.text or example.text.isspace():
        return EMPTY
    sides = (example.shown, *example.targets)
    if settings.damaged and any(map(is_damaged, sides)):
        return DAMAGED
    if settings.longest is None and settings.ratio is None:
        return None
    lengths = [len(side.split()) for side in sides]
    if settings.longest is not None and max(lengths) > settings.longest:
        return LONG
    text, *targets = lengths
    ratio = max((max(text, target) / max(1, min(text, target)) for target in targets), default=1.0)
    return UNEVEN if settings.ratio is not None and targets and ratio >= settings.ratio else None


def is_damaged(text: str) -> bool:
    """Whether characters were lost on the text's way here, or put in by a wrong decoding."""
    if text.isascii():
        return not text.isprintable() and bool(CONTROL.search(text))
    return bool(CONTROL.search(text) or (LEAD.search(text) and MOJIBAKE.search(text)))


def text_key(text: str) -> str:
    """The text but for case and spaces: what duplicates have in common."""
    return " ".join(text.casefold().split())


def example_key(example: Example) -> str:
    """What equal examples have in common: the text but for case and spaces; a tagger's words as they are.

    A tagger reads capitals as signs, and where words end, so examples that differ in these are two.
    """
    return "\n".join(example.words or map(text_key, example.texts))


def _first_of_equals(examples: Sequence[Example], dropped: Counter[str]) -> list[Example]:
    """Of equal texts the one to keep; counts the others."""
    keys = [example_key(example) for example in examples]
    golds: dict[str, str | float | tuple[str, ...]] = {}
    chosen: dict[str, int] = {}
    contradictory = set()
    for number, (key, example) in enumerate(zip(keys, examples, strict=True)):
        chosen.setdefault(key, number)
        gold = example.truth
        if gold is None:
            continue
        if key not in golds:
            golds[key] = gold
            chosen[key] = number
        elif golds[key] != gold:
            contradictory.add(key)
    kept = []
    for number, (key, example) in enumerate(zip(keys, examples, strict=True)):
        if key in contradictory:
            dropped[CONTRADICTORY] += 1
        elif chosen[key] == number:
            kept.append(example)
        else:
            dropped[DUPLICATE] += 1
    return kept


def _first_of_equal_pairs(examples: Sequence[Example], dropped: Counter[str]) -> list[Example]:
    """Of equal pairs the first, and of a text without translation one where it stands nowhere with one."""
    translated = {example_key(example) for example in examples if example.targets}
    seen: set[tuple[str, str]] = set()
    kept = []
    for example in examples:
        pair = (example_key(example), text_key(example.targets[0]) if example.targets else "")
        if pair in seen or (not example.targets and pair[0] in translated):
            dropped[DUPLICATE] += 1
        else:
            seen.add(pair)
            kept.append(example)
    return kept
