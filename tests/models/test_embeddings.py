from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from limbeck import models
from limbeck.core.errors import LimbeckError
from limbeck.models import embeddings
from limbeck.models.vectors import open_vectors

pytestmark = pytest.mark.unit

GLOVE = "the 1 2 3\nfilm 4 5 6\n. . . -1 -2 -3\ngood 7 8 9\nthe 0 0 0\n"
WORDS = ["the", "film", ". . .", "good", "the"]
MATRIX = np.array([[1, 2, 3], [4, 5, 6], [-1, -2, -3], [7, 8, 9], [0, 0, 0]], dtype=np.float32)


@pytest.fixture(params=["glove", "word2vec", "npy+txt", "npy+parquet", "npy+json"])
def vectors(request, tmp_path):
    if request.param in ("glove", "word2vec"):
        header = "5 3\n" if request.param == "word2vec" else ""
        (tmp_path / "vectors.txt").write_text(header + GLOVE)
        return open_vectors(tmp_path / "vectors.txt")
    np.save(tmp_path / "vectors.npy", MATRIX)
    ending = request.param.partition("+")[2]
    if ending == "txt":
        (tmp_path / "vectors.txt").write_text("\n".join(WORDS) + "\n")
    elif ending == "json":
        (tmp_path / "words.json").write_text(json.dumps(WORDS))
    else:
        pq.write_table(pa.table({"rank": range(5), "word": WORDS}), tmp_path / "index.parquet")
    return open_vectors(tmp_path / "vectors.npy")


def test_every_form_of_file_says_the_same(vectors):
    assert list(vectors.words) == WORDS
    assert vectors.dimension == 3
    assert vectors.index == {"the": 0, "film": 1, ". . .": 2, "good": 3}
    np.testing.assert_array_equal(vectors.rows([3, 0, 2]), MATRIX[[3, 0, 2]])


def broken(folder, name, content):
    (folder / name).write_bytes(content)
    return folder / name


@pytest.mark.parametrize(
    ("content", "line", "what"),
    [
        (b"the 1 2 3\nfilm 4 5\n", 2, "this line has 2 values, and the lines before it 3"),
        (b"the 1 2\n\xff\xfe 3 4\n", 2, "not UTF-8"),
        (b"the 1 2\nfilm x 4\n", 2, "a value is not a number"),
        (b"the 1 2\nfilm nan 4\n", None, "the vector of 'film' is not finite"),
        (b"", None, "no word vectors in this file"),
        (b"word\n", None, "no word vectors in this file"),
    ],
)
def test_a_damaged_text_file_is_told(tmp_path, content, line, what):
    path = broken(tmp_path, "v.txt", content)
    with pytest.raises(LimbeckError) as caught:
        open_vectors(path).rows([0, 1])
    place = f"{path}:{line}: " if line else f"{path}: "
    assert str(caught.value).startswith(place + what)


def test_a_damaged_matrix_is_told(tmp_path):
    (tmp_path / "w.txt").write_text("a\nb\n")
    path = broken(tmp_path, "v.npy", b"no matrix")
    with pytest.raises(LimbeckError, match="no npy matrix can be read"):
        open_vectors(path)
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(LimbeckError, match="no npy matrix can be read"):
        open_vectors(path)
    np.save(path, np.zeros(3))
    with pytest.raises(LimbeckError, match="a matrix of floats, and this has 1 axes of float64"):
        open_vectors(path)
    np.save(path, MATRIX)
    with pytest.raises(
        LimbeckError, match=r"it holds 5 vectors, and w.txt 2 words. Name the right list with 'words'"
    ):
        open_vectors(path)
    (tmp_path / "more.txt").write_text("a\n")
    with pytest.raises(LimbeckError, match=r"not clear which file holds its words. Name it with 'words'"):
        open_vectors(path)
    (tmp_path / "bad.json").write_text('{"a": 1}')
    with pytest.raises(LimbeckError, match="a word list is a list of strings"):
        open_vectors(path, tmp_path / "bad.json")
    (tmp_path / "bad.parquet").write_text("x")
    with pytest.raises(LimbeckError, match="not a Parquet file"):
        open_vectors(path, tmp_path / "bad.parquet")
    pq.write_table(pa.table({"rank": [1]}), tmp_path / "none.parquet")
    with pytest.raises(LimbeckError, match="no column of strings"):
        open_vectors(path, tmp_path / "none.parquet")
    (tmp_path / "latin.txt").write_bytes(b"\xe9\n")
    with pytest.raises(LimbeckError, match="the word list is not UTF-8"):
        open_vectors(path, tmp_path / "latin.txt")
    (tmp_path / "glove.txt").write_text(GLOVE)
    with pytest.raises(LimbeckError, match=r"holds its own words. Leave out 'words'"):
        open_vectors(tmp_path / "glove.txt", tmp_path / "w.txt")


def settings(**values):
    return models.settings_for("static", values)


def test_words_come_from_the_text_first_then_from_the_file(tmp_path):
    path = broken(tmp_path, "v.txt", GLOVE.encode())
    texts = ["A fine film ; fine FILM", "film"]
    tokeniser = models.tokeniser_for(settings(embeddings=str(path)), teacher_tokeniser=None, texts=texts)
    words = sorted(tokeniser.get_vocab(), key=tokeniser.get_vocab().get)
    assert words == ["[PAD]", "[UNK]", "film", "fine", "a", ";", "the", ". . .", "good"]
    few = settings(embeddings=str(path), vocabulary=5, lowercase=False)
    words = models.tokeniser_for(few, teacher_tokeniser=None, texts=texts).get_vocab()
    assert sorted(words, key=words.get)[2:] == ["fine", "film", "A", ";", "FILM"]


def test_which_tokeniser(tmp_path, tokeniser):
    path = str(broken(tmp_path, "v.txt", GLOVE.encode()))

    def is_teachers(teachers=tokeniser, **values):
        return models.tokeniser_for(settings(**values), teacher_tokeniser=teachers, texts=["a"]) is tokeniser

    assert is_teachers()
    assert is_teachers(embeddings="random")
    assert is_teachers(embeddings=path, tokeniser="teacher")
    assert not is_teachers(embeddings=path)
    assert not is_teachers(tokeniser="words")
    assert not is_teachers(teachers=None)
    with pytest.raises(
        LimbeckError, match=r"a file of answers has no tokeniser to share. Choose tokeniser: words"
    ):
        is_teachers(teachers=None, tokeniser="teacher")


def start(values, tokeniser, teacher=None):
    torch.manual_seed(1)
    return embeddings.start_embeddings(settings(**values), tokeniser, teacher, 0.1)


def test_word_vectors_stand_where_their_words_do(tmp_path, tokeniser):
    path = str(broken(tmp_path, "v.txt", GLOVE.encode()))
    matrix = start({"embeddings": path, "tokeniser": "teacher"}, tokeniser)
    vocabulary = tokeniser.get_vocab()
    assert matrix.shape == (len(vocabulary), 3)
    np.testing.assert_array_equal(matrix[vocabulary["film"]], MATRIX[1])
    np.testing.assert_array_equal(matrix[vocabulary["the"]], MATRIX[0])
    torch.testing.assert_close(matrix[vocabulary["[UNK]"]], torch.tensor([4.0, 5.0, 6.0]))
    assert torch.equal(matrix, start({"embeddings": path, "tokeniser": "teacher"}, tokeniser))


def test_wide_vectors_are_reduced(tmp_path, tokeniser):
    path = str(broken(tmp_path, "v.txt", GLOVE.encode()))
    assert start({"embeddings": path, "dimension": 2}, tokeniser).shape[1] == 2
    with pytest.raises(LimbeckError, match=r"'student.dimension': 4 asked for, and .*v.txt are 3 wide"):
        start({"embeddings": path, "dimension": 4}, tokeniser)


def test_no_word_in_common_and_no_file_are_told(tmp_path, tokeniser):
    path = str(broken(tmp_path, "v.txt", b"xx 1 2\nyy 3 4\n"))
    with pytest.raises(LimbeckError, match="none of the student's tokens has a vector in this file"):
        start({"embeddings": path}, tokeniser)
    with pytest.raises(LimbeckError, match=r"'student.embeddings': no such file: nowhere.txt"):
        start({"embeddings": "nowhere.txt"}, tokeniser)
    with pytest.raises(LimbeckError, match=r"'student.words': no such file: nowhere.txt"):
        start({"embeddings": path, "words": "nowhere.txt"}, tokeniser)


def test_teachers_embeddings_keep_their_distances_as_far_as_the_width_allows(tokeniser, teacher):
    theirs = teacher.get_input_embeddings().weight.detach()
    assert torch.equal(start({"embeddings": "teacher"}, tokeniser, teacher), theirs)
    assert torch.equal(start({}, tokeniser, teacher), theirs)
    reduced = start({"dimension": 5}, tokeniser, teacher)
    centred = (theirs - theirs.mean(0)).double().numpy()
    left, values, _ = np.linalg.svd(centred, full_matrices=False)
    expected = np.abs(left[:, :5] * values[:5])
    np.testing.assert_allclose(np.abs(reduced.numpy()), expected, atol=1e-5)
    reduced.zero_()
    assert theirs.any()


def test_a_tokeniser_with_more_tokens_than_the_teacher_is_told(teacher):
    words = models.tokeniser_for(settings(), teacher_tokeniser=None, texts=[" ".join(map(str, range(100)))])
    with pytest.raises(LimbeckError, match="knows 102 tokens, and the teacher has embeddings for 27"):
        start({"embeddings": "teacher"}, words, teacher)


def test_scale_is_the_standard_deviation(tokeniser, teacher):
    assert start({"embedding_scale": 0.5}, tokeniser, teacher).std().item() == pytest.approx(0.5)
    assert start({"embeddings": "random"}, tokeniser).std().item() == pytest.approx(0.1, rel=0.1)
    assert start({"embeddings": "random"}, tokeniser).shape[1] == 128
