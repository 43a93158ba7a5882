"""Decoding into the store: every text once, in the order asked for, by any number of processes, whatever is killed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from killed_store import kill_after
from limbeck.cli import store as shown
from limbeck.core.decoding import Decoding
from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.transfer.decoded import Decoded, Translations, count_undecoded, decode, describe
from limbeck.transfer.shards import Block
from limbeck.transfer.store import AnswerStore
from limbeck.transfer.tables import digest_texts

pytestmark = pytest.mark.unit
BEAM = Decoding(beams=3, keep=2)


class Reverser:
    """Turns texts round; it remembers what it was asked."""

    fingerprint, name, engine = "reverser", "the reverser", "pytorch"

    def __init__(self) -> None:
        self.asked: list[str] = []

    def decode(self, examples: Sequence[Example], decoding: Decoding) -> list[Translations]:
        self.asked += [example.text for example in examples]
        return [
            tuple((f"{e.text[::-1]} ż{n}", -len(e.text) - n / 3) for n in range(decoding.keep))
            for e in examples
        ]


def wanted(asked: Sequence[Example], keep: int = 2) -> dict[str, Translations]:
    return {e.id: tuple((f"{e.text[::-1]} ż{n}", -len(e.text) - n / 3) for n in range(keep)) for e in asked}


def texts(count: int) -> list[Example]:
    """Of unlike lengths, in no order of length."""
    generator = np.random.default_rng(0)
    return [Example(f"id-{n}", f"{'lang ' * generator.integers(0, 9)}{n}") for n in range(count)]


@pytest.fixture
def store(tmp_path: Path) -> AnswerStore:
    return AnswerStore(tmp_path / "store", shard_rows=4)


@pytest.fixture
def said(listener: Any) -> list[str]:
    heard: list[str] = listener.said
    return heard


def test_who_translated_is_told_alike_wherever_a_run_lies(store: AnswerStore, tmp_path: Path) -> None:
    translator = Reverser()
    translator.name = str(tmp_path / "teacher")
    assert decode(translator, texts(1), BEAM, store).by == f"{translator.name}, beam 3"  # no folder, a name
    (tmp_path / "teacher").mkdir()
    assert decode(translator, texts(1), BEAM, store).by == "teacher, beam 3"


def test_translations_come_in_the_order_of_the_examples(store: AnswerStore) -> None:
    asked = texts(30)
    translator = Reverser()
    decoded = decode(translator, asked, BEAM, store)
    assert translator.asked != [example.text for example in asked]  # by length, inside a shard
    assert list(decoded) == [example.id for example in asked]
    assert decoded.translations == wanted(asked)
    assert decoded.by == "the reverser, beam 3"
    turned = decode(translator, asked[::-1], BEAM, store)
    assert list(turned) == [example.id for example in asked[::-1]]
    assert len(translator.asked) == 30


def test_a_text_is_decoded_once_whichever_id_it_has(store: AnswerStore, said: list[str]) -> None:
    decode(Reverser(), [Example("1", "a"), Example("2", "b"), Example("3", "a")], BEAM, store)
    later = Reverser()
    asked = [Example("x", "c"), Example("y", "b")]
    assert count_undecoded(later, asked, BEAM, store) == 1
    assert decode(later, asked, BEAM, store).translations == wanted(asked)
    assert later.asked == ["c"]
    assert said == [
        "ask       0 translations stored, 2 texts to translate",
        "ask       1 translations stored, 1 texts to translate",
    ]


def test_each_way_of_decoding_has_a_table_and_what_it_does_not_read_is_no_other_way(
    store: AnswerStore,
) -> None:
    asked, translator = texts(3), Reverser()
    quick = Reverser()
    quick.engine = "ctranslate2"
    for way in (BEAM, Decoding(beams=4, keep=2), Decoding(search="sampling", seed=1, keep=2)):
        decode(translator, asked, way, store)
    decode(quick, asked, BEAM, store)
    assert (len(translator.asked), len(quick.asked)) == (9, 3)
    decode(translator, asked, BEAM.model_copy(update={"seed": 7, "temperature": 2.0}), store)
    assert len(translator.asked) == 9
    decode(translator, asked, Decoding(search="sampling", seed=2, keep=2), store)
    assert len(translator.asked) == 12
    assert len(store.list()) == 5
    for _ in range(2):
        decode(translator, asked, BEAM.model_copy(update={"passes": 1}), store)
    assert len(translator.asked) == 15


def test_the_listing_says_how_they_were_found(store: AnswerStore) -> None:
    decode(Reverser(), texts(7), BEAM, store)
    listing = shown.listing(store.folder)
    assert "the reverser" in listing
    assert (
        "translations, search beam, beams 3, length_penalty 1.0, keep 2, max_length 128, candidates 1, "
        "engine pytorch" in listing
    )
    assert store.list()[0].rows == 7
    assert store.prune(key=store.list()[0].key).tables == 1


def test_ways_of_decoding_have_names() -> None:
    assert describe(Decoding(length_penalty=0.6)) == "beam 5, length penalty 0.6"
    assert describe(Decoding(search="greedy")) == "greedy"
    assert (
        describe(Decoding(search="sampling", top_k=10, temperature=0.5))
        == "sampling among 10, temperature 0.5"
    )


def test_a_text_that_was_not_decoded() -> None:
    with pytest.raises(LimbeckError, match="'b' was not translated by me. Decode the whole transfer set"):
        Decoded({"a": (("x", 0.0),)}, "me")["b"]


@pytest.mark.parametrize("found", [(("x", float("nan")),), (("x", float("-inf")),), ()])
def test_nothing_broken_is_stored(store: AnswerStore, found: Translations) -> None:
    class Broken(Reverser):
        def decode(self, examples: Sequence[Example], decoding: Decoding) -> list[Translations]:
            good = super().decode(examples, decoding)
            return [found if e.text == "lang 2" else g for e, g in zip(examples, good, strict=True)]

    asked = [Example(str(n), f"lang {n}") for n in range(6)]
    with pytest.raises(
        LimbeckError, match="the reverser: no translation with a finite score was found for '2'"
    ):
        decode(Broken(), asked, BEAM, store)
    assert count_undecoded(Reverser(), asked, BEAM, store) == 6


def test_empty_translations_and_strange_signs_survive(store: AnswerStore) -> None:
    class Odd(Reverser):
        def decode(self, examples: Sequence[Example], decoding: Decoding) -> list[Translations]:
            return [(("", -1e-300), ('"\\\n\u2028\U0001f600', -1 / 3)) for _ in examples]

    found = decode(Odd(), texts(2), BEAM, store)
    assert found["id-1"] == (("", -1e-300), ('"\\\n\u2028\U0001f600', -1 / 3))


# Several processes.


def test_shards_share_the_texts_and_a_later_run_finds_all(store: AnswerStore, said: list[str]) -> None:
    asked = texts(200)
    workers = [Reverser() for _ in range(3)]
    parts = [decode(worker, asked, BEAM, store, shard=(n, 3)) for n, worker in enumerate(workers, 1)]
    sizes = [len(worker.asked) for worker in workers]
    assert sum(sizes) == 200 and min(sizes) > 40
    for worker, part in zip(workers, parts, strict=True):
        assert sorted(worker.asked) == sorted(e.text for e in asked if e.id in part.translations)
        assert list(part) == [e.id for e in asked if e.id in part.translations]
    assert said[-1] == f"ask       0 translations stored, {sizes[2]} texts to translate (shard 3 of 3)"
    whole = Reverser()
    assert decode(whole, asked, BEAM, store).translations == wanted(asked)
    assert whole.asked == []


@pytest.mark.parametrize("shard", [(0, 2), (3, 2), (1, 0)])
def test_there_is_no_such_shard(store: AnswerStore, shard: tuple[int, int]) -> None:
    with pytest.raises(
        LimbeckError, match=f"there is no shard {shard[0]} of {shard[1]}. Shards are counted from 1"
    ):
        decode(Reverser(), texts(2), BEAM, store, shard=shard)


SLOW = """
import os, sys, time
from pathlib import Path
sys.path[:0] = sys.argv[4].split(os.pathsep)
from test_decoded import BEAM, Reverser, texts
from limbeck.transfer.decoded import decode
from limbeck.transfer.store import AnswerStore

class Slow(Reverser):
    def decode(self, examples, decoding):
        time.sleep(0.02)
        with Path(sys.argv[2]).open("a") as log:
            log.write("".join(e.text + "\\n" for e in examples))
        return super().decode(examples, decoding)

shard = tuple(map(int, sys.argv[3].split("/"))) if sys.argv[3] else None
decode(Slow(), texts(64), BEAM, AnswerStore(Path(sys.argv[1]), shard_rows=4), shard=shard)
"""


def start(store: Path, log: Path, shard: str = "") -> subprocess.Popen[bytes]:
    here = os.pathsep.join(map(str, Path(__file__).parents[:2]))
    return subprocess.Popen([sys.executable, "-c", SLOW, str(store), str(log), shard, here])


def test_two_processes_fill_one_store(tmp_path: Path) -> None:
    logs = [tmp_path / "one.txt", tmp_path / "two.txt"]
    workers = [start(tmp_path / "store", log, f"{n}/2") for n, log in enumerate(logs, 1)]
    assert [worker.wait(120) for worker in workers] == [0, 0]
    done = [set(log.read_text().splitlines()) for log in logs]
    assert not done[0] & done[1]
    assert done[0] | done[1] == {example.text for example in texts(64)}
    whole, store = Reverser(), AnswerStore(tmp_path / "store")
    assert decode(whole, texts(64), BEAM, store).translations == wanted(texts(64))
    assert whole.asked == []
    assert store.verify() == ()


@pytest.mark.parametrize("shards_before", [1, 6])
def test_a_killed_process_loses_at_most_the_shard_in_progress(tmp_path: Path, shards_before: int) -> None:
    folder, log = tmp_path / "store", tmp_path / "asked.txt"
    process = start(folder, log)
    kill_after(process, folder, shards_before)

    store, asked, again = AnswerStore(folder, shard_rows=4), texts(64), Reverser()
    left = count_undecoded(again, asked, BEAM, store)
    assert left <= 64 - 4 * shards_before
    assert len(log.read_text().splitlines()) - (64 - left) <= 4
    assert decode(again, asked, BEAM, store).translations == wanted(asked)
    assert len(again.asked) == left
    assert store.verify() == ()


# Damage.


def shard_files(store: AnswerStore, name: str) -> list[Path]:
    return sorted(store.folder.glob(f"*/shard-*/{name}"))


@pytest.mark.parametrize("name", ["rows.npy", "texts.npy", "offsets.npy"])
def test_a_truncated_shard_is_told_of_and_decoded_again(store: AnswerStore, name: str) -> None:
    asked = texts(12)
    decode(Reverser(), asked, BEAM, store)
    path = shard_files(store, name)[1]
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(LimbeckError, match="this file of the answer store is damaged") as caught:
        decode(Reverser(), asked, BEAM, store)
    assert caught.value.where == path
    assert [problem.path for problem in store.verify()] == [path]
    assert store.prune(damaged=True).shards == 1
    again = Reverser()
    assert decode(again, asked, BEAM, store).translations == wanted(asked)
    assert len(again.asked) == 4


def test_a_flipped_bit_is_found_and_no_traceback(store: AnswerStore) -> None:
    decode(Reverser(), texts(4), BEAM, store)
    (path,) = shard_files(store, "rows.npy")
    content = bytearray(path.read_bytes())
    content[content.index(b"[[")] ^= 4
    path.write_bytes(content)
    assert [problem.path for problem in store.verify()] == [path]
    with pytest.raises(LimbeckError, match="cannot be read. 'limbeck store verify"):
        decode(Reverser(), texts(4), BEAM, store)


def test_bytes_of_another_kind_are_no_translations(store: AnswerStore) -> None:
    settings = {"search": "greedy"}
    table = store.open("t", "translations", (), settings=settings)
    with pytest.raises(ValueError, match="answers with rows of"):
        table.add(digest_texts(["a"]), Block(np.zeros((1, 2), np.uint8), np.array([0, 1])))
    table.add(digest_texts(["a"]), Block(np.zeros(3, np.uint8), np.array([0, 3])))
    (path,) = shard_files(store, "rows.npy")
    np.save(path, np.zeros(3, np.float32))
    with pytest.raises(LimbeckError, match="float32 of shape"):
        store.open("t", "translations", (), settings=settings)
