"""Trees in Penn's brackets: what is kept of them, and what is said of those that are none."""

from pathlib import Path

import pytest

from limbeck.core.errors import LimbeckError
from limbeck.text.treebank import parse, read_trees

KENT = """
( (S
    (NP-SBJ-1 (NP (NNS workers) ) (RRC (VP (VBN exposed) (NP (-NONE- *) ))))
    (VP (VBZ is) (NP-PRD (-NONE- *T*-1)) (NP (DT the) (NN\\/JJ end) ) (-LRB- -LRB-) )
    (. .) ))
( (NP (NN Rain)))
"""


@pytest.fixture
def kent(tmp_path: Path) -> Path:
    path = tmp_path / "wsj.mrg"
    path.write_text(KENT, encoding="utf-8")
    return path


def test_traces_and_phrases_that_hold_nothing_else_are_left_out(kent: Path) -> None:
    tree, rain = read_trees(kent)
    assert [leaf.word for leaf in tree.leaves] == ["workers", "exposed", "is", "the", "end", "(", "."]
    assert [leaf.start for leaf in tree.leaves] == list(range(7))
    assert [each.label for each in tree.phrases() if not each.word] == [
        "S",
        "NP-SBJ-1",
        "NP",
        "RRC",
        "VP",
        "VP",
        "NP",
    ]
    assert (rain.label, rain.depth, rain.end) == ("NP", 1, 1)


def test_categories_functions_and_depth(kent: Path) -> None:
    tree = read_trees(kent)[0]
    subject, verb, mark = tree.children
    assert (subject.category, subject.functions) == ("NP", {"SBJ", "1"})
    assert (verb.start, verb.end, mark.label) == (2, 6, ".")
    assert [leaf.category for leaf in tree.leaves][-2:] == ["-LRB-", "."]
    assert tree.depth == 4  # S, NP-SBJ, RRC, VP
    assert parse("(S (NP (-NONE- *)))") is None


def test_a_folder_is_read_in_the_order_of_names(kent: Path) -> None:
    (kent.parent / "a.mrg").write_text("(S (NN Sun))", encoding="utf-8")
    (kent.parent / "README").write_text("no tree", encoding="utf-8")
    assert [tree.leaves[0].word for tree in read_trees(kent.parent)] == ["Sun", "workers", "Rain"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "holds no trees"),
        ("(S (NN a)\n(NN b)", "bad.mrg:1: a bracket is not closed"),
        ("(S (NN a))\n)", "bad.mrg:2"),
        ("(S (NN a))\nsome prose", "bad.mrg:2: the line is outside of all brackets"),
        ("(S (NN a b))", "bad.mrg:1: this is no tree"),
        ("(S word)\n(S (NN a) b)", "bad.mrg:2: this is no tree"),
    ],
)
def test_what_is_no_tree_is_told_with_its_line(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "bad.mrg").write_text(text, encoding="utf-8")
    with pytest.raises(LimbeckError, match="bad.mrg") as caught:
        read_trees(tmp_path / "bad.mrg")
    assert words in str(caught.value)


def test_no_file_and_no_trees_in_a_folder(tmp_path: Path) -> None:
    with pytest.raises(LimbeckError, match="no such file or folder"):
        read_trees(tmp_path / "gone")
    with pytest.raises(LimbeckError, match="the folder holds no trees"):
        read_trees(tmp_path)
