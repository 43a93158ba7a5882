"""Word alignments: which word of a translation stands for which word of its source.

Both directions are aligned by eflomal (Östling and Tiedemann 2016, "Efficient Word Alignment with Markov Chain Monte
Carlo") and then made one: their intersection, their union, or what grows from the one within the other (Koehn, Och and
Marcu 2003, "Statistical Phrase-Based Translation", with the last step of Moses' ``grow-diag-final-and``).

eflomal draws its random numbers from the operating system and takes no seed: two runs differ a little, and so does
whatever is measured on them. A word that either side leaves unlinked, or that the aligner gives to NULL, has no link.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from limbeck.analyse.bitext import Bitext, Ints, Side
from limbeck.core import progress
from limbeck.core.errors import LimbeckError

Point = tuple[int, int]
"""A source word and a target word of one pair, counted from nought."""
Points = set[Point]
Taken = tuple[set[int], set[int]]
"""Source words and target words that have a link."""

LONGEST = 1000
"""Words of a sentence that is aligned; the aligner takes no sentence of more than 1023."""

NEIGHBOURS = ((-1, 0), (0, -1), (1, 0), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1))


@dataclass(frozen=True)
class Links:
    """Links of a whole text, sorted by pair, then by source word, then by target word; arrays of one length.

    Attributes:
        pair: Rows of the text.
        source: Places of source words in their sentences.
        target: Places of target words in theirs.
    """

    pair: Ints
    source: Ints
    target: Ints

    @classmethod
    def of(cls, points: Sequence[Points]) -> Links:
        """Links of one set of points a pair."""
        rows = [(row, *point) for row, these in enumerate(points) for point in sorted(these)]
        table: Ints = np.array(rows, dtype=np.int64).reshape(-1, 3)
        return cls(*table.T)

    def __len__(self) -> int:
        """How many there are."""
        return len(self.pair)


def align(text: Bitext, symmetrised: str = "grow-diag-final-and", effort: float = 1.0) -> Links:
    """Align a parallel text, both directions made one.

    Args:
        text: Its words. Upper and lower case are one to the aligner. Pairs of which a side is empty or longer than
            ``LONGEST`` words are left without links.
        symmetrised: A key of ``SYMMETRISED``.
        effort: Rounds of sampling, as a multiple of eflomal's own number for a text of this size.

    Raises:
        LimbeckError: eflomal is not installed, or failed.
    """
    join = SYMMETRISED[symmetrised]
    alignable = _alignable(text)
    points: list[Points] = [set() for _ in range(len(text))]
    if not alignable.any():
        return Links.of(points)
    rows = np.flatnonzero(alignable).tolist()
    progress.say(f"measure   aligning the words of {len(rows):,} pairs, both ways", pairs=len(rows))
    directions = _directions(text, rows, effort)
    with progress.task("measure   making both ways one", total=len(rows)) as task:
        for row, forward, backward in zip(rows, *directions, strict=True):
            points[row] = join(forward, backward)
            task.advance()
    return Links.of(points)


def aligner() -> str:
    """What aligns, with its version: ``eflomal 2.0.0``."""
    try:
        return f"eflomal {metadata.version('eflomal')}"
    except metadata.PackageNotFoundError:
        return "eflomal"


def installed_aligner() -> Callable[..., Any]:
    """The class of eflomal's aligners; who works for hours before aligning calls this first.

    Raises:
        LimbeckError: eflomal is not installed.
    """
    try:
        from eflomal import Aligner
    except ImportError as error:
        fix = (
            "Run: pip install eflomal==2.0.0 (it is built by a C compiler), or pip install 'limbeck[measure]'"
        )
        raise LimbeckError("aligning words needs eflomal, which is not installed", fix=fix) from error
    found: Callable[..., Any] = Aligner
    return found


def _alignable(text: Bitext) -> NDArray[np.bool_]:
    sides = (text.source.lengths, text.target.lengths)
    shorter, longer = np.minimum(*sides), np.maximum(*sides)
    return np.asarray((shorter > 0) & (longer <= LONGEST))


def _directions(text: Bitext, rows: Sequence[int], effort: float) -> tuple[list[Points], list[Points]]:
    """What eflomal says: each target word's source word, and each source word's target word."""
    aligner = installed_aligner()
    with TemporaryDirectory(prefix="limbeck-") as folder:
        files = [Path(folder) / name for name in ("forward", "backward")]
        try:
            aligner(rel_iterations=effort).align(
                list(_lines(text.source, rows)),
                list(_lines(text.target, rows)),
                links_filename_fwd=str(files[0]),
                links_filename_rev=str(files[1]),
            )
            forward, backward = ([*map(_points, file.read_text().splitlines())] for file in files)
        except (OSError, RuntimeError, ValueError) as error:
            raise LimbeckError(f"eflomal failed ({str(error).rstrip('.')})") from error
    if not len(forward) == len(backward) == len(rows):
        raise LimbeckError(f"eflomal aligned {len(forward):,} of {len(rows):,} pairs")
    return forward, backward


def _lines(side: Side, rows: Sequence[int]) -> Iterator[str]:
    """Sentences of numbers, which hold no spaces and no case, whatever the words do."""
    folded: dict[str, str] = {}
    names = [folded.setdefault(word.lower(), str(len(folded))) for word in side.types]
    return (" ".join([names[word] for word in side.sentence(row).tolist()]) for row in rows)


def _points(line: str) -> Points:
    """A pair's links as eflomal writes them: ``0-0 1-2``."""
    links = (link.partition("-") for link in line.split())
    return {(int(source), int(target)) for source, _, target in links}


# Two directions made one.


def intersection(forward: Points, backward: Points) -> Points:
    """Links that both directions have: few, and mostly right."""
    return forward & backward


def union(forward: Points, backward: Points) -> Points:
    """Links that either direction has: many, and more of them wrong."""
    return forward | backward


def grow_diag_final_and(forward: Points, backward: Points) -> Points:
    """The intersection, grown to neighbouring links of the union; then links that join two words free by then.

    Args:
        forward: Links of the one direction, whose turn comes first in the last step.
        backward: Links of the other.
    """
    links = forward & backward
    taken = ({source for source, _ in links}, {target for _, target in links})
    if forward != backward:
        _grow(links, taken, forward | backward)
    for direction in (forward, backward):
        for source, target in sorted(direction):
            if source not in taken[0] and target not in taken[1]:
                _add(links, taken, (source, target))
    return links


def _grow(links: Points, taken: Taken, candidates: Points) -> None:
    """Add candidates beside a link that a word without links has, until there are none."""
    before = -1
    while before != len(links):
        before = len(links)
        for source, target in sorted(candidates):
            if (source, target) not in links:
                continue
            for across, down in NEIGHBOURS:
                new = (source + across, target + down)
                if new in candidates and (new[0] not in taken[0] or new[1] not in taken[1]):
                    _add(links, taken, new)


def _add(links: Points, taken: Taken, point: Point) -> None:
    links.add(point)
    for words, word in zip(taken, point, strict=True):
        words.add(word)


SYMMETRISED: Mapping[str, Callable[[Points, Points], Points]] = {
    "grow-diag-final-and": grow_diag_final_and,
    "intersection": intersection,
    "union": union,
}
"""Ways to make two directions one, by name."""
