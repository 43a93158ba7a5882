"""Input embeddings of students, and the tokeniser that goes with them.

Embeddings start random, from the teacher's own input embeddings, or from a word-vector file; wider ones than
asked for are reduced by principal component analysis, which keeps what can be kept of the distances between
tokens.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from limbeck.core import progress
from limbeck.core.errors import LimbeckError
from limbeck.core.schema import Settings
from limbeck.models.vectors import WordVectors, files_of_vectors, open_vectors
from limbeck.text.pieces import MARKS
from limbeck.text.resources import resolve
from limbeck.text.tokeniser import UNKNOWN, load_tokeniser, word_tokeniser

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from transformers import PreTrainedModel, PreTrainedTokenizerBase, PreTrainedTokenizerFast

DIMENSION = 128
"""Width of embeddings where neither the recipe nor a word-vector file says one."""


OF_NO_FILE = ("auto", "teacher", "random")
"""Embeddings that start from no file of word vectors."""


class TokeniserSettings(Settings):
    """How a student reads text."""

    of_pairs: ClassVar[bool] = False
    """Whether a student reads nothing but pairs of texts."""
    tells_sides: ClassVar[bool] = False
    """Whether a student is told which of a pair's texts a word is of."""
    tokeniser: Literal["auto", "teacher", "words"] = "auto"
    """``auto``: words for a word-vector file or without a teacher model, else the teacher's pieces."""
    vocabulary: int = Field(30_000, gt=0)
    """Words kept by a tokeniser of words: those of the transfer text first, most frequent first, then the
    word-vector file's, in its order."""
    lowercase: bool = True
    """Whether a tokeniser of words lower-cases text."""


class EmbeddingSettings(TokeniserSettings):
    """How a student reads text, and what its embeddings start from."""

    embeddings: str = "auto"
    """``teacher``, ``random``, or a word-vector file: a path, or ``package:NAME/FILE``; ``auto`` is the
    teacher's where it is a model whose pieces are read."""
    words: str | None = None
    """The word list of an npy file of word vectors; null looks beside it."""
    dimension: int | None = Field(None, gt=0)
    """Width of the embeddings; null is the word-vector file's own, else 128 (or the teacher's, if less)."""
    embedding_scale: float | None = Field(None, gt=0)
    """Standard deviation that start embeddings are brought to; null leaves them as they are."""

    @model_validator(mode="after")
    def _fit(self) -> EmbeddingSettings:
        if self.embeddings == "teacher" and self.tokeniser == "words":
            raise ValueError(
                "embeddings 'teacher' are of the teacher's pieces; they need tokeniser 'teacher'"
            )
        if self.words is not None and self.embeddings in OF_NO_FILE:
            raise ValueError("'words' is the word list of a word-vector file, and 'embeddings' names none")
        return self


def tokeniser_for(
    settings: TokeniserSettings,
    teacher_tokeniser: PreTrainedTokenizerFast | None,
    texts: Sequence[str],
    punctuation: bool = True,
    mask: str | None = None,
) -> PreTrainedTokenizerFast:
    """The student's tokeniser; see :func:`limbeck.models.tokeniser_for`.

    Args:
        settings: The student's.
        teacher_tokeniser: None where there is none.
        texts: The transfer set.
        punctuation: Whether a tokeniser of words makes marks tokens of their own.
        mask: What stands in these texts for a word that was left out.
    """
    encoder = getattr(settings, "encoder", None)
    if encoder is not None:
        return load_tokeniser(encoder)
    path = _vectors_path(settings)
    wants_words = path is not None or teacher_tokeniser is None
    if settings.tokeniser == "words" or (settings.tokeniser == "auto" and wants_words):
        own = [] if path is None else _open(settings, path).words
        vocabulary = _vocabulary(texts, own, settings, punctuation)
        return word_tokeniser(vocabulary, settings.lowercase, punctuation, settings.tells_sides, mask)
    if teacher_tokeniser is None:
        fix = "Choose tokeniser: words"
        raise LimbeckError("'student.tokeniser': a file of answers has no tokeniser to share", fix=fix)
    return teacher_tokeniser


def start_embeddings(
    settings: EmbeddingSettings,
    tokeniser: PreTrainedTokenizerFast,
    teacher: PreTrainedModel | None,
    spread: float,
) -> Tensor:
    """The student's embeddings before training, ``(vocabulary, dimension)`` float32.

    Args:
        settings: Which, and how wide.
        tokeniser: The student's.
        teacher: Whose embeddings are taken where the settings say so.
        spread: Standard deviation of random ones.

    Raises:
        LimbeckError: There is no such teacher or file, or it is narrower than asked for.
    """
    size = vocabulary_size(tokeniser)
    path = _vectors_path(settings)
    if path is not None:
        matrix = _from_vectors(_open(settings, path), tokeniser, size, settings.dimension)
    elif settings.embeddings == "teacher" or (
        settings.embeddings == "auto" and settings.tokeniser != "words" and teacher is not None
    ):
        matrix = _from_teacher(teacher, size, settings.dimension)
    else:
        matrix = torch.randn(size, settings.dimension or DIMENSION) * spread
    if settings.embedding_scale is not None:
        matrix = matrix * (settings.embedding_scale / matrix.std())
    return matrix


def vocabulary_size(tokeniser: PreTrainedTokenizerBase) -> int:
    """One more than the largest id that the tokeniser gives."""
    return 1 + int(max(tokeniser.get_vocab().values()))


def reduce_width(matrix: NDArray[np.float32], dimension: int) -> NDArray[np.float32]:
    """The first principal components of the rows, ``(rows, width) -> (rows, dimension)``, without chance."""
    reduced = _principal_components(dimension).fit_transform(matrix.astype(np.float64))
    return np.asarray(reduced, dtype=np.float32)


def principal_axes(matrix: NDArray[np.float32], dimension: int) -> NDArray[np.float32]:
    """The axes that :func:`reduce_width` projects on, orthonormal columns: ``(width, dimension)``."""
    axes = _principal_components(dimension).fit(matrix.astype(np.float64)).components_.T
    return np.asarray(axes, dtype=np.float32)


def _principal_components(dimension: int) -> Any:
    from sklearn.decomposition import PCA

    return PCA(dimension, svd_solver="covariance_eigh")


def _from_teacher(teacher: PreTrainedModel | None, size: int, dimension: int | None) -> Tensor:
    if teacher is None:
        fix = "Choose embeddings: random, or a word-vector file"
        raise LimbeckError("'student.embeddings': a file of answers has no embeddings to start from", fix=fix)
    layer = teacher.get_input_embeddings()
    if not isinstance(layer, nn.Embedding):
        kind = type(layer).__name__
        raise LimbeckError(f"'student.embeddings': the teacher's are a {kind}, which cannot be copied")
    if layer.num_embeddings < size:
        counts = f"{size:,} tokens, and the teacher has embeddings for {layer.num_embeddings:,}"
        raise LimbeckError(f"'student.embeddings': the student's tokeniser knows {counts}")
    matrix = layer.weight.detach()[:size].float().cpu()
    wanted = min(DIMENSION, matrix.shape[1]) if dimension is None else dimension
    return _narrowed(matrix, wanted, "the teacher's embeddings")


def _from_vectors(
    vectors: WordVectors, tokeniser: PreTrainedTokenizerFast, size: int, dimension: int | None
) -> Tensor:
    """A token's vector is its word's, the unknown token's the mean; others are random, as widely spread."""
    rows = {
        number: row
        for token, number in sorted(tokeniser.get_vocab().items(), key=itemgetter(1))
        if (row := next((vectors.index[form] for form in _forms(token) if form in vectors.index), None))
        is not None
    }
    if not rows:
        raise LimbeckError("none of the student's tokens has a vector in this file", where=vectors.path)
    progress.say(f"{'':<10}embeddings: {len(rows):,} of {size:,} tokens have a vector in {vectors.path.name}")
    ids = torch.tensor(list(rows))
    found = torch.from_numpy(vectors.rows(list(rows.values())))  # (found, width)
    found = _narrowed(found, vectors.dimension if dimension is None else dimension, str(vectors.path))
    matrix = torch.randn(size, found.shape[1]) * found.std(0) + found.mean(0)
    if tokeniser.unk_token_id is not None:
        matrix[tokeniser.unk_token_id] = found.mean(0)
    matrix[ids] = found
    return matrix


def _narrowed(matrix: Tensor, dimension: int, whose: str) -> Tensor:
    width = matrix.shape[1]
    if dimension > min(matrix.shape):
        limit = f"{width} wide" if dimension > width else f"only {len(matrix)}"
        fix = f"Choose {min(matrix.shape)} or fewer, or null"
        raise LimbeckError(f"'student.dimension': {dimension} asked for, and {whose} are {limit}", fix=fix)
    return matrix.clone() if dimension == width else torch.from_numpy(reduce_width(matrix.numpy(), dimension))


def _forms(token: str) -> Iterator[str]:
    """What a token may stand under in a word-vector file, the likeliest first."""
    word = token.removeprefix(MARKS[0]).removeprefix(MARKS[1])
    yield from dict.fromkeys((token, word, word.lower()))


def _vocabulary(
    texts: Sequence[str], own: Sequence[str], settings: TokeniserSettings, punctuation: bool
) -> list[str]:
    """Words of the text by falling frequency, equals as they come, then the file's own, to the limit."""
    splitter = word_tokeniser([], settings.lowercase, punctuation).backend_tokenizer
    counts: Counter[str] = Counter()
    for text in texts:
        normal = splitter.normalizer.normalize_str(text)
        counts.update(word for word, _ in splitter.pre_tokenizer.pre_tokenize_str(normal))
    words = dict.fromkeys(word for word, _ in counts.most_common())
    for word in own:
        if len(words) >= settings.vocabulary:
            break
        words[word] = None
    return [word for word in words if word not in (UNKNOWN, "")][: settings.vocabulary]


def _vectors_path(settings: TokeniserSettings) -> Path | None:
    """The word-vector file that the settings name, if they name one.

    Raises:
        LimbeckError: There is no such file.
    """
    named = getattr(settings, "embeddings", "random")
    if named in OF_NO_FILE:
        return None
    path = resolve(named)
    if not isinstance(path, Path) or not path.is_file():
        fix = "Choose teacher, random, or a word-vector file"
        raise LimbeckError(f"'student.embeddings': no such file: {named}", fix=fix)
    return path


def files_read(settings: object) -> tuple[str, ...]:
    """The files that a student of these settings starts from, as the recipe names them: vectors, and their words."""
    named = getattr(settings, "embeddings", "random")
    return () if named in OF_NO_FILE else files_of_vectors(named, getattr(settings, "words", None))


def _open(settings: TokeniserSettings, path: Path) -> WordVectors:
    words = getattr(settings, "words", None)
    found = None if words is None else Path(resolve(words))
    if found is not None and not found.is_file():
        raise LimbeckError(f"'student.words': no such file: {words}")
    return open_vectors(path, found)
