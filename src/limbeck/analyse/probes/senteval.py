"""SentEval: the ten probing tasks as they were published (Conneau et al. 2018).

The paper: "What you can cram into a single vector: Probing sentence embeddings for linguistic properties". A file holds
an example a line, ``tr``, ``va`` or ``te``, its class, and its words with spaces between them, with tabs between the
three.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np

from limbeck.analyse.probes.task import PARTS, Part, SentenceTask, Sizes, Words
from limbeck.core.errors import LimbeckError

FILES: Mapping[str, str] = MappingProxyType(
    {
        "sentence_length": "sentence_length.txt",
        "word_content": "word_content.txt",
        "tree_depth": "tree_depth.txt",
        "top_constituents": "top_constituents.txt",
        "bigram_shift": "bigram_shift.txt",
        "tense": "past_present.txt",
        "subject_number": "subj_number.txt",
        "object_number": "obj_number.txt",
        "odd_man_out": "odd_man_out.txt",
        "coordination_inversion": "coordination_inversion.txt",
    }
)
"""The tasks, each with the name of its published file."""
MARKS: Mapping[str, Part] = MappingProxyType({"tr": "train", "va": "dev", "te": "test"})
FORM = "A line is written tr<tab>CLASS<tab>SENTENCE, with tr, va or te"


def read(folder: Path, names: Sequence[str] | None, sizes: Sizes, seed: int) -> list[SentenceTask]:
    """Those tasks whose files are in a folder.

    Args:
        folder: Holds the published files.
        names: Which tasks; None for all that there are.
        sizes: How many examples of each part at most; drawn by the seed.
        seed: Says which ones.

    Raises:
        LimbeckError: There is no such folder or file, or a file is malformed (with the line).
    """
    if not folder.is_dir():
        raise LimbeckError("no such folder of SentEval's tasks", where=folder)
    wanted = [name for name in FILES if (folder / FILES[name]).is_file()] if names is None else names
    if names is None and not wanted:
        raise LimbeckError(
            "the folder holds none of SentEval's tasks", where=folder, fix=f"Such as {FILES['tense']}"
        )
    return [read_file(folder / FILES[name], name, sizes, seed) for name in wanted]


def read_file(path: Path, name: str, sizes: Sizes, seed: int) -> SentenceTask:
    """One task.

    Args:
        path: Its file.
        name: What it is called.
        sizes: How many examples of each part at most.
        seed: Says which ones are drawn.

    Raises:
        LimbeckError: There is no such file, a line is malformed, or a part is empty.
    """
    if not path.is_file():
        raise LimbeckError("no such file", where=path)
    by_part: dict[Part, list[tuple[Words, str]]] = {part: [] for part in PARTS}
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    part, label, words = _example(line, path, number)
                    by_part[part].append((words, label))
    except UnicodeDecodeError:
        raise LimbeckError("not UTF-8", where=path) from None
    for mark, part in MARKS.items():
        if not by_part[part]:
            raise LimbeckError(
                f"there are no '{mark}' lines in it, and {part} needs some", where=path, fix=FORM
            )
    random = np.random.default_rng(seed)
    rows = [
        (*by_part[part][row], part)
        for part in PARTS
        for row in np.sort(random.permutation(len(by_part[part]))[: sizes.of(part)])
    ]
    return SentenceTask(name, [row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows])


def _example(line: str, path: Path, number: int) -> tuple[Part, str, Words]:
    cells = line.rstrip("\n").split("\t")
    if len(cells) != 3 or cells[0] not in MARKS or not cells[1] or not cells[2].split():
        raise LimbeckError("this is no example of a probing task", where=path, line=number, fix=FORM)
    return MARKS[cells[0]], cells[1], tuple(cells[2].split())
