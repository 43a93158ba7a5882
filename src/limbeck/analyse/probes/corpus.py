"""Corpus: sentences with what people have written about them, out of which tasks are built.

A treebank gives words, tags and phrases; tagged text gives words and tags, or spans (entities, chunks). Tags of Penn's
set and of Brown's are understood; of others only that they differ.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from limbeck.analyse.probes.task import Words
from limbeck.core.errors import LimbeckError
from limbeck.core.sources import Source
from limbeck.text.readers import read
from limbeck.text.resources import resolve
from limbeck.text.tables import read_text
from limbeck.text.tags import Span, mark_spans, spans
from limbeck.text.treebank import Tree, read_trees

SLASHED = re.compile(r"\S+/[^\s/]+(?:\s+\S+/[^\s/]+)*")
"""A sentence as the Brown corpus has it: ``The/at jury/nn said/vbd``."""
PENN = frozenset({"NN", "DT", "IN", "VBD", "VBZ"})
"""Tags of which a text in Penn's set has some."""
BROWN: tuple[tuple[str, str], ...] = (
    (r"(vbd|hvd|dod|bed|bedz)", "VBD"),
    (r"(vbz|hvz|doz|bez)", "VBZ"),
    (r"(ber|bem)", "VBP"),
    (r"(vbn|hvn|ben)", "VBN"),
    (r"(vbg|hvg|beg)", "VBG"),
    (r"(vb|hv|do|be)", "VB"),
    (r"md", "MD"),
    (r"(nns|nns\$)", "NNS"),
    (r"(nn|nn\$|nr)", "NN"),
    (r"(nps|nps\$|nrs)", "NNPS"),
    (r"(np|np\$)", "NNP"),
    (r"(ppss|pps|ppo|pn|ppl|ppls)", "PRP"),
    (r"pp\$\$?", "PRP$"),
    (r"ex", "EX"),
    (r"(at|dt|dti|dts|dtx|ap|abn|abl|abx|pdt)", "DT"),
    (r"cc", "CC"),
    (r"cs", "IN"),
    (r"in", "IN"),
    (r"to", "TO"),
    (r"(jj|jjr|jjs|jjt|od)", "JJ"),
    (r"(rb|rbr|rbt|rn|ql|qlp|rp|\*)", "RB"),
    (r"cd", "CD"),
    (r"uh", "UH"),
    (r"w.*", "W"),
)
"""Brown's tags as Penn's; what is not here, punctuation above all, stays."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """A sentence.

    Attributes:
        words: Its words.
        tags: Part of speech of each, None where nobody says.
        tree: Its phrases.
        spans: Marked spans, entities or chunks; None where nobody marked any.
    """

    words: Words
    tags: tuple[str, ...] | None = None
    tree: Tree | None = None
    spans: tuple[Span, ...] | None = None


@dataclass(frozen=True, eq=False)
class Corpus:
    """Sentences of all sources, each once.

    Attributes:
        sentences: In the order of the sources.
    """

    sentences: Sequence[Parsed]

    @classmethod
    def of(cls, sentences: Iterable[Parsed]) -> Corpus:
        """Without repetitions: of equal sentences, upper and lower case apart, the one that is told most of."""
        best: dict[Words, Parsed] = {}
        for each in sentences:
            key = tuple(word.lower() for word in each.words)
            if key and (key not in best or _told(each) > _told(best[key])):
                best[key] = each
        return cls(list(best.values()))

    @cached_property
    def tagged(self) -> list[Parsed]:
        """Sentences whose words have tags of Penn's set."""
        return [each for each in self.sentences if each.tags is not None]

    @cached_property
    def parsed(self) -> list[Parsed]:
        """Sentences with trees."""
        return [each for each in self.sentences if each.tree is not None]

    @cached_property
    def spanned(self) -> list[Parsed]:
        """Sentences with marked spans."""
        return [each for each in self.sentences if each.spans is not None]


def _told(sentence: Parsed) -> tuple[bool, bool, bool]:
    return sentence.tree is not None, sentence.tags is not None, sentence.spans is not None


def from_treebank(path: Path) -> Iterator[Parsed]:
    """Sentences of a treebank, as :func:`limbeck.text.treebank.read_trees` finds them."""
    for tree in read_trees(path):
        leaves = tree.leaves
        yield Parsed(tuple(leaf.word for leaf in leaves), tuple(leaf.label for leaf in leaves), tree)


def from_tagged(source: Source) -> Iterator[Parsed]:
    """Sentences of tagged text.

    Args:
        source: As a recipe for a tagger names it; or, by its path alone, a file of ``word/TAG`` lines or a folder of
            such files.

    Raises:
        LimbeckError: It cannot be read, or has no tags.
    """
    files = _slashed_files(source)
    if files:
        for file in files:
            yield from _slashed(file)
        return
    examples = read(source, task="tagging")
    tags = {tag for example in examples for tag in example.tags or ()}
    if not tags:
        raise LimbeckError("the text has no tags", where=source.path, fix="Name their column in 'tags'")
    marked, known = mark_spans(tags), len(tags & PENN) > 1
    brown = "nn" in tags and "vbd" in tags
    for example in examples:
        if example.tags is None:
            continue
        if marked:
            yield Parsed(example.words, spans=tuple(spans(example.tags)))
        elif known:
            yield Parsed(example.words, example.tags)
        elif brown:
            yield Parsed(example.words, tuple(map(as_penn, example.tags)))
        else:  # plain tags of another set: each word is a span of its own
            places = enumerate(example.tags)
            yield Parsed(example.words, spans=tuple(Span(tag, place, place + 1) for place, tag in places))


def _slashed_files(source: Source) -> list[Path]:
    """Files of ``word/TAG`` lines; none where the source is something else."""
    place = resolve(source.path)
    if not isinstance(place, Path) or source.format != "auto":
        return []
    files = sorted(file for file in place.iterdir() if file.is_file()) if place.is_dir() else [place]
    return [file for file in files if SLASHED.fullmatch(_first_line(file))]


def _first_line(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(20_000).decode("utf-8", "ignore")
    return next((line.strip() for line in head.splitlines() if line.strip()), "")


def _slashed(path: Path) -> Iterator[Parsed]:
    for number, line in enumerate(read_text(path, "utf-8", "error").splitlines(), 1):
        if not line.strip():
            continue
        pairs = [cell.rpartition("/") for cell in line.split()]
        if not all(word and tag for word, _, tag in pairs):
            raise LimbeckError("a word has no tag", where=path, line=number, fix="Write word/TAG word/TAG")
        tags = [tag for _, _, tag in pairs]
        known = any(tag in PENN for tag in tags)
        yield Parsed(tuple(word for word, _, _ in pairs), tuple(tags if known else map(as_penn, tags)))


@cache
def as_penn(tag: str) -> str:
    """A tag of Brown's set as Penn's: of a contraction (``ppss+bez``) the first half's, titles and headlines alike."""
    plain = re.sub(r"^fw-|-(tl|hl|nc)\b", "", tag.lower()).partition("+")[0].removesuffix("*") or tag
    return next((penn for pattern, penn in BROWN if re.fullmatch(pattern, plain)), plain)
