"""Treebank: trees in Penn's brackets, ``(S (NP-SBJ (DT The) (NN cat)) (VP (VBD sat)))``, on one line or on several.

What stands in no sentence is left out as it is read: traces (``-NONE-``), phrases that hold nothing else, and the
unnamed bracket around a whole tree. Labels keep their functions (``NP-SBJ``); :attr:`Tree.category` is without.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from limbeck.core.errors import LimbeckError
from limbeck.text.tables import read_text
from limbeck.text.trees import BRACKETS

TOKEN = re.compile(r"\(|\)|[^\s()]+")
TRACE = "-NONE-"
ENDINGS = (".mrg", ".ptb", ".tree", ".trees", ".parse")
"""Files that a folder of trees is searched for."""


@dataclass(frozen=True, slots=True)
class Tree:
    """A phrase, or a word with its tag.

    Attributes:
        label: Category and functions, or the word's tag.
        children: Phrases and words below; none of a word.
        word: The word; empty of a phrase.
        start: Number of its first word in the sentence.
        end: Number after its last word.
    """

    label: str
    children: tuple[Tree, ...]
    word: str
    start: int
    end: int

    @property
    def category(self) -> str:
        """The label without functions and numbers: ``NP`` of ``NP-SBJ-1``; of a tag such as ``-LRB-`` itself."""
        return re.split(r"(?<=.)[-=|]", self.label, maxsplit=1)[0] if self.label[0] != "-" else self.label

    @property
    def functions(self) -> frozenset[str]:
        """What the label says beside the category: ``{"SBJ", "1"}`` of ``NP-SBJ-1``."""
        return frozenset(re.split("[-=|]", self.label)[1:]) if self.label[0] != "-" else frozenset()

    @property
    def leaves(self) -> tuple[Tree, ...]:
        """Its words, each a tree without children."""
        return tuple(each for each in self.phrases() if each.word)

    @property
    def depth(self) -> int:
        """Phrases on the longest way from here down to a tag, this one among them; 0 of a word."""
        return 0 if self.word else 1 + max(child.depth for child in self.children)

    def phrases(self) -> Iterator[Tree]:
        """This and all below it, from the left, each before what it holds."""
        yield self
        for child in self.children:
            yield from child.phrases()


def read_trees(path: Path) -> list[Tree]:
    """The trees of a file, or of all files of a folder, in the order of their names.

    Raises:
        LimbeckError: There is no such file, the folder holds none, or brackets do not match (with the line).
    """
    if not path.exists():
        raise LimbeckError("no such file or folder", where=path)
    if not path.is_dir():
        return list(_of_file(path))
    files = sorted(file for file in path.rglob("*") if file.suffix.lower() in ENDINGS)
    if not files:
        raise LimbeckError(f"the folder holds no trees ({', '.join(ENDINGS)})", where=path)
    return [tree for file in files for tree in _of_file(file)]


def _of_file(path: Path) -> Iterator[Tree]:
    """Trees that hold words."""
    found = 0
    for line, text in _bracketed(path):
        found += 1
        tree = parse(text, path, line)
        if tree is not None:
            yield tree
    if not found:
        raise LimbeckError(
            "the file holds no trees", where=path, fix="A tree is written (S (NP (NN Rain)) (VP (VBZ falls)))"
        )


def _bracketed(path: Path) -> Iterator[tuple[int, str]]:
    """The text of each tree, and the line that it begins on."""
    opened, first, part = 0, 0, list[str]()
    for number, line in enumerate(read_text(path, "utf-8", "error").splitlines(), 1):
        if not opened and line.strip() and not line.lstrip().startswith("("):
            raise LimbeckError("the line is outside of all brackets", where=path, line=number)
        first = first if opened else number
        for token in TOKEN.findall(line):
            opened += (token == "(") - (token == ")")
            if opened < 0:
                raise LimbeckError("a bracket is closed that was not opened", where=path, line=number)
            part.append(token)
            if not opened:
                yield first, " ".join(part)
                part, first = [], number
    if opened:
        raise LimbeckError("a bracket is not closed", where=path, line=first)


def parse(text: str, path: Path | None = None, line: int | None = None) -> Tree | None:
    """The tree of a text in brackets; None where it holds no word.

    Args:
        text: One tree.
        path: Of its file, for errors.
        line: Where it begins there.

    Raises:
        LimbeckError: It is none.
    """
    tokens = TOKEN.findall(text)
    stack: list[tuple[str, list[Tree]]] = [("", [])]
    words, place = 0, 0
    while place < len(tokens):
        token = tokens[place]
        if token == "(":
            named = place + 1 < len(tokens) and tokens[place + 1] not in "()"
            stack.append((tokens[place + 1] if named else "", []))
            place += 1 + named
        elif token == ")":
            label, children = stack.pop()
            if not stack:
                raise _no_tree(path, line)
            stack[-1][1].extend(_phrase(label, children))
            place += 1
        else:
            label, children = stack[-1]
            if children or len(stack) == 1 or not label:
                raise _no_tree(path, line)
            if label != TRACE:
                children.append(Tree(label, (), clean(token), words, words + 1))
                words += 1
            place += 1
    if len(stack) != 1 or len(stack[0][1]) > 1:
        raise _no_tree(path, line)
    return stack[0][1][0] if stack[0][1] else None


def _phrase(label: str, children: list[Tree]) -> list[Tree]:
    """What a closed bracket adds to the one around it: itself, its children where it has no name, or nothing."""
    if len(children) == 1 and children[0].word and children[0].label == label and not children[0].children:
        return children
    if not label or not children:
        return children
    return [Tree(label, tuple(children), "", children[0].start, children[-1].end)]


def clean(word: str) -> str:
    """The word as it is read: brackets and slashes are written otherwise in trees."""
    return BRACKETS.get(word, word.replace(r"\/", "/").replace(r"\*", "*"))


def _no_tree(path: Path | None, line: int | None) -> LimbeckError:
    fix = "A tree is written (S (NP (NN Rain)) (VP (VBZ falls)))"
    return LimbeckError("this is no tree in brackets", where=path, line=line, fix=fix)
