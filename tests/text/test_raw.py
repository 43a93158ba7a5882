"""Raw text: which files are read, in which order, and what is said of those that cannot be."""

import gzip

import pytest
from hypothesis import given, strategies as st

from limbeck.core.errors import LimbeckError
from limbeck.text import raw as module
from limbeck.text.raw import RawText, fingerprint_raw, raw_files


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    data = text if isinstance(text, bytes) else text.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def test_folders_are_read_in_sorted_order_and_files_as_they_are_named(tmp_path):
    for name in (
        "b/2.txt",
        "b/10.txt",
        "a.txt.gz",
        "B.txt",
        "c/wiki_00",
        "c/notes.md",
        ".git/x.txt",
        "c/.y.txt",
    ):
        write(tmp_path / "corpus" / name, f"{name}\n")
    named = write(tmp_path / "named.en", "named\n")
    files = raw_files([str(named), str(tmp_path / "corpus")])
    assert list(RawText(files)) == ["named", "B.txt", "a.txt.gz", "b/10.txt", "b/2.txt", "c/wiki_00"]


def test_lines_lose_space_and_blank_ones_are_passed_over(tmp_path):
    first = write(tmp_path / "a.txt", b"\xef\xbb\xbf  one \r\n\n \t\ntwo\rthree\n")
    second = write(tmp_path / "b.gz", "vier\n\nfünf")
    text = RawText([first, second])
    assert list(text) == ["one", "two", "three", "vier", "fünf"]
    assert text.bytes_read == text.bytes == first.stat().st_size + second.stat().st_size


def test_it_is_read_on_from_any_place(tmp_path):
    files = [write(tmp_path / f"{n}.txt", f"a{n}\n\nb{n}\n") for n in range(3)]
    text = RawText(files)
    places = [(line, text.file, text.line, text.bytes_read) for line in text]
    assert [reached for *_, reached in places] == sorted(reached for *_, reached in places)
    for number, (_, file, line, _) in enumerate(places, 1):
        assert list(RawText(files, file, line)) == [one for one, *_ in places[number:]]


@given(words=st.lists(st.text("abé", min_size=1, max_size=30)), ended=st.booleans())
def test_long_lines_are_cut_at_spaces(tmp_path_factory, words, ended):
    path = tmp_path_factory.mktemp("long") / "a.txt"
    path.write_text(" ".join(words) + "\n" * ended)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "LONGEST", 40)
        lines = list(RawText([path]))
    assert " ".join(lines) == " ".join(words)
    assert all(len(line) < 80 for line in lines)


@pytest.mark.parametrize("ending", ["txt", "gz"])
@pytest.mark.parametrize(("bad", "line"), [(b"caf\xe9\n", 3), (b"\xc3", 3), (b"x" * 5000 + b"\n\xff", 4)])
def test_another_encoding_is_told_with_its_line(tmp_path, monkeypatch, ending, bad, line):
    monkeypatch.setattr(module, "CHUNK", 7)
    path = write(tmp_path / f"a.{ending}", "fünf\n\n".encode() + bad)
    with pytest.raises(
        LimbeckError, match=rf"a.{ending}:{line}: not UTF-8 \(byte 0x(e9|c3|ff)\). Convert it"
    ):
        list(RawText([path]))


def test_what_cannot_be_read_is_told_in_one_sentence(tmp_path):
    with pytest.raises(LimbeckError, match="nowhere: no such file or folder of text"):
        raw_files([str(tmp_path / "nowhere")])
    write(tmp_path / "folder" / "a.csv", "a")
    with pytest.raises(LimbeckError, match="folder: the folder holds no text"):
        raw_files([str(tmp_path / "folder")])
    half = write(tmp_path / "half.gz", "a b c d e f g" * 100)
    half.write_bytes(half.read_bytes()[:-12])
    (tmp_path / "plain.gz").write_text("plain")
    for path in (half, tmp_path / "plain.gz"):
        with pytest.raises(LimbeckError, match=r"gz: damaged, or not compressed by gzip"):
            list(RawText([path]))


def test_fingerprints_tell_contents_and_order_and_not_names(tmp_path):
    one, two, same = (write(tmp_path / name, text) for name, text in (("1", "a"), ("2", "b"), ("3", "a")))
    assert fingerprint_raw([one, two]) == fingerprint_raw([same, two]) != fingerprint_raw([two, one])
    before = fingerprint_raw([one])
    write(one, "a\nb")
    assert fingerprint_raw([one]) != before
