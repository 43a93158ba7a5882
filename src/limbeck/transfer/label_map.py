"""Label maps: a teacher's labels as ours. Some are called otherwise, several may become one, and some are left out.

Where a text (or a word) has one label of several, ours is as likely as all of the teacher's that become it together,
among those that are not left out:

    p'(o) = sum_{t becomes o} p(t) / sum_{t kept} p(t),    z'(o) = log sum_{t becomes o} exp z(t),    p = softmax(z)

Where each label stands by itself, ours is there where any of the teacher's is; that of the others does not change:

    1 - p'(o) = prod_{t becomes o} (1 - p(t)),    p = sigmoid(z)

for given a text the teacher takes them to be independent. Scores, and the tags of a chain, do not merge. Without
the scores of some tags a chain is what it was on condition that none of them stands in the sentence: the paths that are
left score as before, and only Z changes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from limbeck.core.errors import LimbeckError
from limbeck.core.tasks import Task
from limbeck.losses.link import LINKS
from limbeck.structure.chain import Chain

if TYPE_CHECKING:
    from torch import Tensor

Renamed = Mapping[str, str | None]
"""The teacher's labels to ours, where they differ; None leaves one out."""
APART: Mapping[Task, str] = {
    "regression": "scores of several outputs do not add up to one",
    "tagging": "this teacher is a CRF, which scores tags in pairs: a sum over tags is no chain",
}
"""Why labels cannot be merged, of tasks where they cannot."""
OUTSIDE = "O"
"""The tag of words outside of all spans."""
SHOWN = 10
"""Names that an error lists."""


@dataclass(frozen=True, slots=True)
class LabelMap:
    """Where our labels stand among a teacher's.

    Attributes:
        places: For each of our labels the places of the teacher's that become it, at least one.
        task: What the teacher's numbers mean. A tagger whose words are independent is a classifier of words.
    """

    places: tuple[tuple[int, ...], ...]
    task: Task = "classification"

    @classmethod
    def of_columns(cls, columns: Sequence[int]) -> LabelMap:
        """One of the teacher's labels for each of ours, given by its place."""
        return cls(tuple((column,) for column in columns))

    @property
    def merges(self) -> bool:
        """Whether several labels become one."""
        return any(len(several) > 1 for several in self.places)

    @property
    def columns(self) -> list[int]:
        """For each of our labels the first place."""
        return [several[0] for several in self.places]

    @property
    def key(self) -> list[Any]:
        """What tells it from other maps of the same teacher, for fingerprints."""
        return [self.task, *map(list, self.places)] if self.merges else self.columns

    def over_ours(self, logits: Tensor) -> Tensor:
        """Logits of our labels, differentiable: ``(..., theirs) -> (..., ours)``."""
        if not self.merges:
            return logits[..., self.columns]
        either = LINKS[self.task].either
        assert either is not None  # as arrange insists
        return torch.stack([either(logits[..., list(several)]) for several in self.places], -1)

    def chain_over_ours(self, chain: Chain) -> Chain:
        """The chain of our tags; tags merge where there are no transitions."""
        columns = torch.tensor(self.columns, device=chain.emissions.device)
        return Chain(
            self.over_ours(chain.emissions),
            chain.transitions[columns][:, columns],
            chain.lengths,
            None if chain.start is None else chain.start[columns],
            None if chain.end is None else chain.end[columns],
        )


def arrange(
    theirs: Sequence[str],
    ours: Sequence[str],
    renamed: Renamed,
    task: Task = "classification",
    *,
    where: str | Path | None = None,
    line: int | None = None,
) -> LabelMap:
    """Find our labels among the teacher's.

    Args:
        theirs: The teacher's labels.
        ours: The data's labels.
        renamed: The teacher's names to ours, where they differ.
        task: What the teacher's numbers mean, as of :class:`LabelMap`.
        where: Where the teacher's labels stand, for the error.
        line: The line there.

    Raises:
        LimbeckError: The teacher lacks one of our labels, or it is not said what becomes of one of its own; a name in
            ``renamed`` is not the teacher's; labels would merge that cannot.
    """
    if (stranger := next((name for name in renamed if name not in theirs), None)) is not None:
        what = f"'teacher.labels' renames '{stranger}', and the teacher's labels are: {listing(theirs)}"
        raise LimbeckError(what, where=where, line=line)
    if twice := [name for name in theirs if list(theirs).count(name) > 1]:
        raise LimbeckError(f"two of the teacher's labels are called '{twice[0]}'", where=where, line=line)
    becomes = {name: renamed.get(name, name) for name in theirs}
    named = [name for name in becomes.values() if name is not None]
    if set(named) != set(ours):
        what, fix = _difference(becomes, ours, renamed, task)
        raise LimbeckError(what, where=where, line=line, fix=fix)
    places = tuple(
        tuple(place for place, name in enumerate(becomes.values()) if name == label) for label in ours
    )
    if task in APART:
        _insist_on_one(places, theirs, ours, renamed, APART[task], where)
    return LabelMap(places, task)


def _insist_on_one(
    places: Sequence[Sequence[int]],
    theirs: Sequence[str],
    ours: Sequence[str],
    renamed: Renamed,
    why: str,
    where: str | Path | None,
) -> None:
    """Raise where several of the teacher's labels become one."""
    for label, several in zip(ours, places, strict=True):
        names = [theirs[place] for place in several]
        if len(names) > 1:
            kept = label if label in names else names[0]
            out = dict.fromkeys(name for name in names if name != kept)
            what = f"several of the teacher's labels cannot become '{label}' ({listing(names)}): {why}"
            fix = f"Leave out those that the data does not have: {_line({**renamed, **out})}"
            raise LimbeckError(what, where=where, fix=fix)


def _difference(becomes: Renamed, ours: Sequence[str], renamed: Renamed, task: Task) -> tuple[str, str]:
    """What is wrong with labels of which either side lacks some, and what to do.

    Args:
        becomes: What each of the teacher's labels is called among ours.
        ours: The data's labels.
        renamed: What of it the recipe says.
        task: What the teacher's numbers mean.
    """
    lacking = [label for label in ours if label not in becomes.values()]
    strange = [name for name, label in becomes.items() if label is not None and label not in ours]
    after = ""
    if renamed:
        after = f", which 'teacher.labels' makes {listing([name or 'null' for name in becomes.values()])}"
    what = f"the teacher's labels ({listing(list(becomes))}{after}) are not the data's ({listing(ours)})"
    if len(lacking) < len(ours):
        what += f"; the teacher has no {listing(lacking)}" if lacking else ""
        what += f"; the data has no {listing(strange)}" if strange else ""
    if not strange:
        fix = "Take a teacher of the data's labels"
    elif lacking:
        example = _line({**renamed, **dict(zip(strange[:2], lacking[:2], strict=False))})
        more = " (several may become one, and null leaves one out)" * (len(strange) > len(lacking))
        fix = f"Say which is which, e.g. {example}{more}, or take a teacher of these labels"
    elif OUTSIDE in ours and task not in APART:
        outside = _line({**renamed, **dict.fromkeys(strange, OUTSIDE)})
        fix = f"Say what they become: {outside}, or null to leave them out"
    else:
        fix = f"Leave out what the data does not have: {_line({**renamed, **dict.fromkeys(strange)})}"
        fix += ", or say for null which of the data's labels it becomes" * (task not in APART)
    return what, fix


def _line(labels: Renamed) -> str:
    """The line of a recipe that says this."""
    entries = [f'"{name}": {label or "null"}' for name, label in labels.items()]
    return f"teacher.labels={{{listing(entries)}}}"


def listing(names: Sequence[str]) -> str:
    """The first few names, for an error."""
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
