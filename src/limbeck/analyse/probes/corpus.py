"""Corpus: sentences with what people have written about them, out of which tasks are built.

A treebank gives words, tags and phrases; tagged text gives words and tags, or spans (entities, chunks). Which set tags
are of, a whole source tells: those of Penn's and of Brown's are understood; of others only that they differ.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cache, cached_property
from pathlib import Path
from typing import Literal

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
PENN_TAGS = """
CC CD DT EX FW IN JJ JJR JJS LS MD NN NNS NNP NNPS PDT POS PRP PRP$ RB RBR RBS RP SYM TO UH VB VBD VBG VBN VBP VBZ WDT
WP WP$ WRB
"""
PENN = frozenset(PENN_TAGS.split())
"""Penn's set, but for marks; most tags of a text that is tagged so."""
BROWN_ALONE = frozenset({"at", "bez", "bedz", "ber", "hvd", "dod", "pps", "ppss"})
"""Tags, in small letters, that a text in Brown's set has some of, and no other set has."""
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
CHUNKS = frozenset({"NP", "VP", "PP", "ADVP", "SBAR", "ADJP", "PRT", "CONJP", "INTJ", "LST", "UCP"})
"""Spans of a text that has no others are chunks."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """A sentence.

    Attributes:
        words: Its words.
        tags: Part of speech of each in Penn's set, None where nobody says.
        tree: Its phrases.
        other_tags: Tags of each in another set.
        chunks: Marked chunks; None where nobody marked any.
        entities: Marked entities, likewise.
    """

    words: Words
    tags: tuple[str, ...] | None = None
    tree: Tree | None = None
    other_tags: tuple[str, ...] | None = None
    chunks: tuple[Span, ...] | None = None
    entities: tuple[Span, ...] | None = None

    def joined(self, other: Parsed) -> Parsed:
        """With what another source says of the same sentence."""
        told = {field.name: getattr(self, field.name) for field in fields(self)}
        return Parsed(**{name: getattr(other, name) if one is None else one for name, one in told.items()})


@dataclass(frozen=True, eq=False)
class Corpus:
    """Sentences of all sources, each once.

    Attributes:
        sentences: In the order of the sources.
    """

    sentences: Sequence[Parsed]

    @classmethod
    def of(cls, sentences: Iterable[Parsed]) -> Corpus:
        """Without repetitions: of equal sentences, upper and lower case apart, the first, with all that others tell."""
        found: dict[Words, Parsed] = {}
        for each in sentences:
            key = tuple(word.lower() for word in each.words)
            if key:
                found[key] = found[key].joined(each) if key in found else each
        return cls(list(found.values()))

    @cached_property
    def tagged(self) -> list[Parsed]:
        """Sentences whose words have tags of Penn's set."""
        return [each for each in self.sentences if each.tags is not None]

    @cached_property
    def parsed(self) -> list[Parsed]:
        """Sentences with trees."""
        return [each for each in self.sentences if each.tree is not None]

    def marked(self, what: Literal["other_tags", "chunks", "entities"]) -> list[Parsed]:
        """Sentences of which somebody said this."""
        return [each for each in self.sentences if getattr(each, what) is not None]


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
    if files := _slashed_files(source):
        sentences = [each for file in files for each in _slashed(file)]
    else:
        examples = read(source, task="tagging")
        sentences = [(example.words, example.tags) for example in examples if example.tags is not None]
    found = {tag for _, tags in sentences for tag in tags}
    if not found:
        raise LimbeckError("the text has no tags", where=source.path, fix="Name their column in 'tags'")
    if mark_spans(found):
        marked = [(words, tuple(spans(tags))) for words, tags in sentences]
        chunked = {span.type for _, spans_of in marked for span in spans_of} <= CHUNKS
        for words, spans_of in marked:
            yield Parsed(words, chunks=spans_of) if chunked else Parsed(words, entities=spans_of)
        return
    brown = "nn" in found or not BROWN_ALONE.isdisjoint(map(str.lower, found))
    named = [tag for tag in found if any(map(str.isalpha, tag))]
    penn = sum(tag in PENN for tag in named) > len(named) / 2
    for words, tags in sentences:
        if brown:
            yield Parsed(words, tuple(map(as_penn, tags)))
        elif penn:
            yield Parsed(words, tags)
        else:
            yield Parsed(words, other_tags=tags)


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


def _slashed(path: Path) -> Iterator[tuple[Words, tuple[str, ...]]]:
    """Words and tags of each sentence of a file."""
    for number, line in enumerate(read_text(path, "utf-8", "error").splitlines(), 1):
        if not line.strip():
            continue
        pairs = [cell.rpartition("/") for cell in line.split()]
        if not all(word and tag for word, _, tag in pairs):
            raise LimbeckError("a word has no tag", where=path, line=number, fix="Write word/TAG word/TAG")
        yield tuple(word for word, _, _ in pairs), tuple(tag for _, _, tag in pairs)


@cache
def as_penn(tag: str) -> str:
    """A tag of Brown's set as Penn's: of a contraction (``ppss+bez``) the first half's, titles and headlines alike."""
    plain = re.sub(r"^fw-|-(tl|hl|nc)\b", "", tag.lower()).partition("+")[0].removesuffix("*") or tag
    return next((penn for pattern, penn in BROWN if re.fullmatch(pattern, plain)), plain)
