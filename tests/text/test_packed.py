"""Packed text, against tokenising line by line; and packing that is interrupted anywhere."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from limbeck.core.errors import LimbeckError
from limbeck.core.objective import NO_GOLD
from limbeck.text import packing as module
from limbeck.text.encode import collate
from limbeck.text.packed import Numbered, load
from limbeck.text.packing import estimate, pack
from limbeck.text.tokeniser import word_tokeniser

LINES = st.lists(
    st.lists(st.sampled_from(["a", "b", "films", "good", ",", "zzz", "É", "\u200b"])).map(" ".join),
    max_size=9,
)


def bytes_and_end():
    """A byte-level tokeniser that ends a text and begins none."""
    signs = [*sorted(pre_tokenizers.ByteLevel.alphabet()), "<end>"]
    backend = Tokenizer(models.BPE({sign: n for n, sign in enumerate(signs)}, []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.post_processor = processors.TemplateProcessing(single="$A <end>", special_tokens=[("<end>", 256)])
    return PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<end>")


@pytest.fixture(params=["pieces", "words", "bytes"])
def tokeniser(request, pieces):
    return {"pieces": pieces, "words": word_tokeniser(["a", "good", ","]), "bytes": bytes_and_end()}[
        request.param
    ]


def blocks_of(encoded):
    return [encoded.tokens[a:b].tolist() for a, b in zip(encoded.offsets, encoded.offsets[1:], strict=False)]


def write(folder, parts):
    """One file a part, every second one compressed."""
    for number, lines in enumerate(parts):
        text = "".join(f"{line}\n" for line in lines).encode()
        name = f"{number}.txt" if number % 2 == 0 else f"{number}.txt.gz"
        (folder / name).write_bytes(text if number % 2 == 0 else gzip.compress(text))
    return [str(folder)]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(parts=st.lists(LINES, min_size=1, max_size=3), length=st.integers(3, 9), chunk=st.integers(1, 5))
def test_blocks_are_the_lines_tokens_one_after_the_other(tokeniser, tmp_path_factory, parts, length, chunk):
    folder = tmp_path_factory.mktemp("packed")
    (folder / "text").mkdir()
    refs = write(folder / "text", parts)
    lines = [line for lines in parts for line in lines]
    stream = [n for line in lines for n in tokeniser(line.strip(), add_special_tokens=False)["input_ids"]]
    frame = tokeniser("good")["input_ids"]
    inner = tokeniser("good", add_special_tokens=False)["input_ids"]
    at = next(n for n in range(len(frame)) if frame[n : n + len(inner)] == inner)
    before, after = frame[:at], frame[at + len(inner) :]
    room = length - len(before) - len(after)
    expected = [before + stream[n : n + room] + after for n in range(0, len(stream), room)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "LINES", chunk)
        if not stream:
            with pytest.raises(LimbeckError, match="text: the raw text is empty"):
                pack(refs, tokeniser, length, folder)
            return
        packed = pack(refs, tokeniser, length, folder)
    encoded = load(folder)
    assert blocks_of(encoded) == expected
    assert all(size == length for size in encoded.lengths[:-1])
    assert packed.blocks == len(encoded) == len(encoded.ids) == len(expected)
    assert (packed.lines, packed.files) == (sum(bool(line.strip()) for line in lines), len(parts))
    guessed = estimate(refs, tokeniser, length)
    assert guessed.blocks == len(expected)


def test_blocks_stay_on_disk_and_make_batches(pieces, tmp_path):
    (tmp_path / "a.txt").write_text("a b c\ngood films\n")
    pack([str(tmp_path / "a.txt")], pieces, 5, tmp_path / "out")
    encoded = load(tmp_path / "out")
    assert isinstance(encoded.tokens, np.memmap) and not encoded.tokens.flags.writeable
    batch = collate(encoded, np.array([1, 0]))
    assert batch.inputs["input_ids"].tolist() == [[2, 7, 8, 9, 3], [2, 4, 5, 6, 3]]
    assert batch.ids == ("raw:1", "raw:0")
    assert batch.gold.tolist() == [NO_GOLD, NO_GOLD]


def test_ids_are_made_from_numbers():
    ids = Numbered("raw", range(10**12))
    assert (len(ids), ids[7], ids[-1]) == (10**12, "raw:7", f"raw:{10**12 - 1}")
    assert list(ids[2:4]) == ["raw:2", "raw:3"]
    assert ids[np.int64(3)] == "raw:3"
    with pytest.raises(IndexError):
        ids[10**12]


LETTERS = "abcdefghijklmnopqrstuvwxyz"


def texts(folder):
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    return write(folder, [[" ".join(random.choice([*LETTERS], 5)) for _ in range(40)] for _ in range(4)])


@pytest.mark.parametrize("shuffle", [0, 7])
def test_an_interrupted_call_is_gone_on_with(tmp_path, monkeypatch, shuffle):
    monkeypatch.setattr(module, "SAVED", 0)
    monkeypatch.setattr(module, "LINES", 3)
    refs, tokeniser = texts(tmp_path / "text"), word_tokeniser([*LETTERS])
    straight = pack(refs, tokeniser, 8, tmp_path / "straight", shuffle=shuffle)
    read, ids = [], module._ids

    def counted(backend, lines):
        read.extend(lines)
        if len(read) in range(*limit):
            raise KeyboardInterrupt
        return ids(backend, lines)

    monkeypatch.setattr(module, "_ids", counted)
    limit = (95, 200)
    with pytest.raises(KeyboardInterrupt):
        pack(refs, tokeniser, 8, tmp_path / "out", shuffle=shuffle)
    assert not (tmp_path / "out" / "packed.json").exists()
    with pytest.raises(LimbeckError, match="packed.json: no such file"):
        load(tmp_path / "out")
    before, limit = len(read), (0, 0)
    text_class, opened = module.RawText, []
    monkeypatch.setattr(
        module, "RawText", lambda files, file, line: opened.append(file) or text_class(files, file, line)
    )
    assert pack(refs, tokeniser, 8, tmp_path / "out", shuffle=shuffle) == straight
    assert opened == [2]  # two files are finished
    assert 160 <= len(read) <= before + 160 - 80
    for name in ("tokens.int32", "packed.json"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "straight" / name).read_bytes()
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"tokens.int32", "packed.json"}


@pytest.mark.parametrize("change", ["length", "text", "tokeniser"])
def test_what_was_begun_with_something_else_is_begun_anew(tmp_path, monkeypatch, change):
    monkeypatch.setattr(module, "SAVED", 0)
    monkeypatch.setattr(module, "LINES", 3)
    refs, tokeniser = texts(tmp_path / "text"), word_tokeniser([*LETTERS])
    with monkeypatch.context() as patch:
        note = module._note

        def interrupted(out, state, *rest):
            note(out, state, *rest)
            if state.windows == 20:
                raise KeyboardInterrupt

        patch.setattr(module, "_note", interrupted)
        with pytest.raises(KeyboardInterrupt):
            pack(refs, tokeniser, 8, tmp_path / "out")
    assert json.loads((tmp_path / "out" / "unfinished.json").read_text())["windows"] == 20
    if change == "text":
        (tmp_path / "text" / "0.txt").write_text("z y x\n")
    tokeniser = word_tokeniser([*reversed(LETTERS)]) if change == "tokeniser" else tokeniser
    length = 9 if change == "length" else 8
    pack(refs, tokeniser, length, tmp_path / "out")
    pack(refs, tokeniser, length, tmp_path / "fresh")
    assert blocks_of(load(tmp_path / "out")) == blocks_of(load(tmp_path / "fresh"))


def test_killed_anywhere_it_ends_as_if_left_in_peace(tmp_path):
    refs = texts(tmp_path / "text")
    pack(refs, word_tokeniser([*LETTERS]), 8, tmp_path / "straight", shuffle=7)
    script = Path(__file__).with_name("killed_packing.py")
    command = [sys.executable, str(script), refs[0], str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 4, "hardly a child was killed: the test proves nothing"
    for name in ("tokens.int32", "packed.json"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "straight" / name).read_bytes()


def test_shuffling_moves_lines_inside_windows_by_the_seed(tmp_path):
    (tmp_path / "a.txt").write_text("".join(f"{letter}\n" for letter in LETTERS))
    words = word_tokeniser([*LETTERS])

    def packed(shuffle, seed=0):
        folder = tmp_path / f"{shuffle}-{seed}"
        pack([str(tmp_path / "a.txt")], words, 4, folder, shuffle=shuffle, seed=seed)
        return load(folder).tokens.tolist()

    plain, shuffled = packed(0), packed(10)
    assert plain == sorted(plain) != shuffled
    assert [sorted(shuffled[n : n + 10]) for n in (0, 10, 20)] == [plain[:10], plain[10:20], plain[20:]]
    assert shuffled != packed(10, seed=1)
    assert np.argsort(shuffled[:10]).tolist() != np.argsort(shuffled[10:20]).tolist()


def test_no_room_for_text_and_lost_tokens(pieces, tmp_path):
    (tmp_path / "a.txt").write_text("a b c\n")
    refs = [str(tmp_path / "a.txt")]
    with pytest.raises(
        LimbeckError, match="raw_length 2 leaves no room beside the tokeniser's 2 special tokens"
    ):
        pack(refs, pieces, 2, tmp_path / "out")
    pack(refs, pieces, 4, tmp_path / "out")
    path = tmp_path / "out" / "tokens.int32"
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(LimbeckError, match="tokens.int32: not the 7 tokens that were packed"):
        load(tmp_path / "out")


def test_the_tokenisers_own_settings_do_not_matter_and_come_back(pieces, tmp_path):
    (tmp_path / "a.txt").write_text("a b c a b c\n")
    pieces.backend_tokenizer.enable_truncation(3)
    pieces.backend_tokenizer.enable_padding(length=20)
    before = pieces.backend_tokenizer.truncation, pieces.backend_tokenizer.padding
    pack([str(tmp_path / "a.txt")], pieces, 6, tmp_path / "out")
    assert blocks_of(load(tmp_path / "out")) == [[2, 4, 5, 6, 4, 3], [2, 5, 6, 3]]
    assert (pieces.backend_tokenizer.truncation, pieces.backend_tokenizer.padding) == before
