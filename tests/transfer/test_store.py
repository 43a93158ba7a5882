"""The answer store: found again, never corrupted, and plain about damage."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from limbeck.core.errors import LimbeckError
from limbeck.transfer import shards
from limbeck.transfer.shards import Block
from limbeck.transfer.store import AnswerStore
from limbeck.transfer.tables import AnswerTable, digest_texts

pytestmark = pytest.mark.unit
LABELS = ("bad", "good")


def fill(store: AnswerStore, texts: list[str], start: float = 0.0, teacher: str = "t1") -> AnswerTable:
    """One shard more; the answer to the n-th text is (start + n, -n)."""
    table = store.open(teacher, "logits", LABELS, name="a teacher")
    numbers = np.arange(len(texts), dtype=np.float32)
    table.add(digest_texts(texts), Block(np.stack([start + numbers, -numbers], axis=1)))
    table.refresh()
    return table


@pytest.fixture
def store(tmp_path: Path) -> AnswerStore:
    return AnswerStore(tmp_path / "store")


def only_shard(store: AnswerStore) -> Path:
    (shard,) = store.folder.glob("*/shard-*")
    return shard


def test_answers_are_found_under_their_text_in_every_shard(store: AnswerStore) -> None:
    fill(store, ["a", "b", "c"])
    table = fill(store, ["d", "ä", ""], start=10)
    rows = table.find(digest_texts(["ä", "a", "no such", "d", "", "a"]))
    assert rows[2] == -1
    found = table.gather(np.delete(rows, 2)).rows
    assert found.tolist() == [[11, -1], [0, 0], [10, 0], [12, -2], [0, 0]]
    assert found.dtype == np.float32


def test_an_empty_table_writes_nothing(store: AnswerStore) -> None:
    table = store.open("t1", "logits", LABELS)
    assert table.find(digest_texts(["a"])).tolist() == [-1]
    assert table.find(digest_texts([])).tolist() == []
    table.add(digest_texts([]), Block(np.empty((0, 2), np.float32)))
    assert not store.folder.exists()


def test_of_two_answers_the_first_counts(store: AnswerStore) -> None:
    fill(store, ["a", "b"])
    table = fill(store, ["b", "c"], start=50)
    assert table.gather(table.find(digest_texts(["b", "c"]))).rows.tolist() == [[1, -1], [51, -1]]
    assert len(table) == 4


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.text(st.characters(exclude_categories=[]), max_size=5), max_size=8), max_size=5))
def test_the_table_is_a_dictionary(parts: list[list[str]]) -> None:
    """Against a dict: whatever the texts (lone surrogates too) and however they are spread over shards."""
    with tempfile.TemporaryDirectory() as folder:
        table = AnswerStore(Path(folder)).open("t", "logits", ("x",))
        oracle: dict[str, float] = {}
        for number, texts in enumerate(parts):
            values = np.arange(len(texts), dtype=np.float32)[:, None] + 100 * number
            table.add(digest_texts(texts), Block(values))
            for text, value in zip(texts, values[:, 0].tolist(), strict=True):
                oracle.setdefault(text, value)
        table.refresh()
        asked = [*oracle, "never asked about"]
        rows = table.find(digest_texts(asked))
        assert (rows >= 0).tolist() == [True] * len(oracle) + [False]
        assert table.gather(rows[:-1]).rows[:, 0].tolist() == list(oracle.values())


def test_tables_are_apart_by_teacher(store: AnswerStore) -> None:
    fill(store, ["a"], teacher="t1")
    assert len(store.open("t2", "logits", LABELS)) == 0


def test_seventy_thousand_texts_are_found_at_once(store: AnswerStore) -> None:
    texts = [f"sentence number {number}" for number in range(70_000)]
    table = fill(store, texts)
    digests = digest_texts(texts)
    started = time.perf_counter()
    rows = table.find(digests)
    assert time.perf_counter() - started < 1
    assert np.array_equal(rows, np.arange(len(texts)))


def test_shards_grow_with_the_table(store: AnswerStore) -> None:
    table = store.open("t", "logits", LABELS)
    assert table.shard_rows == 1024
    table.add(digest_texts(map(str, range(32_000))), Block(np.zeros((32_000, 2), np.float32)))
    assert table.shard_rows == 2000
    table.refresh()
    assert table.shard_rows == 2000


def test_answers_are_memory_mapped_and_no_pickle(store: AnswerStore) -> None:
    table = fill(store, ["a"])
    assert all(isinstance(block.rows, np.memmap) for block in table._blocks)
    np.save(only_shard(store) / "rows.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(LimbeckError, match=r"rows\.npy.* is damaged"):
        table.refresh()


def test_wrong_shapes_are_refused_before_anything_is_written(store: AnswerStore) -> None:
    table = store.open("t", "logits", LABELS)
    with pytest.raises(ValueError, match="answers with rows of"):
        table.add(digest_texts(["a"]), Block(np.zeros((1, 3), np.float32)))
    assert not store.folder.exists()


def test_only_logits_and_potentials_have_a_place(store: AnswerStore) -> None:
    with pytest.raises(
        LimbeckError,
        match=r"keeps logits, potentials, next_tokens, translations, pooled, words, and 'hidden' was asked for\. Take live",
    ):
        store.open("t", "hidden", LABELS)


# Damage.


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


def cut_header(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:40])


def make_empty(path: Path) -> None:
    path.write_bytes(b"")


def remove(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize("harm", [truncate, cut_header, make_empty, remove])
@pytest.mark.parametrize("file", ["texts.npy", "rows.npy"])
def test_a_truncated_shard_is_one_sentence_and_is_mended_by_prune(
    store: AnswerStore, file: str, harm: object
) -> None:
    fill(store, ["a", "b"])
    path = only_shard(store) / file
    whole = fill(store, ["c"])
    harm(path)  # type: ignore[operator]
    with pytest.raises(LimbeckError) as caught:
        store.open("t1", "logits", LABELS)
    assert str(caught.value).startswith(f"{path}: this file of the answer store is damaged (")
    assert f"limbeck store verify {store.folder}" in str(caught.value)
    assert f"limbeck store prune {store.folder} --damaged" in str(caught.value)
    (problem,) = store.verify()
    assert (problem.path, problem.shard, problem.key) == (path, path.parent, whole.folder.name)
    pruned = store.prune(damaged=True)
    assert (pruned.tables, pruned.shards) == (0, 1)
    assert store.verify() == ()
    table = store.open("t1", "logits", LABELS)
    assert table.find(digest_texts(["a", "b", "c"])).tolist() == [-1, -1, 0]


def test_verify_sees_a_flipped_bit_which_opening_cannot(store: AnswerStore) -> None:
    fill(store, ["a", "b"])
    path = only_shard(store) / "rows.npy"
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    store.open("t1", "logits", LABELS)
    (problem,) = store.verify()
    assert str(problem) == (
        f"{path}: this file of the answer store is damaged (it is not as it was written: another SHA-256)"
    )


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 170), st.binary(min_size=1, max_size=12), st.sampled_from(["texts.npy", "rows.npy"]))
def test_overwritten_bytes_never_escape_as_another_exception(place: int, junk: bytes, file: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = AnswerStore(Path(folder))
        fill(store, ["a", "b", "c"])
        path = only_shard(store) / file
        content = path.read_bytes()
        overwritten = content[:place] + junk + content[place + len(junk) :]
        path.write_bytes(overwritten)
        try:
            store.open("t1", "logits", LABELS)
        except LimbeckError as error:
            assert error.where == path  # noqa: PT017
        assert bool(store.verify()) == (overwritten != content)


def test_facts_that_do_not_fit_the_arrays(store: AnswerStore) -> None:
    fill(store, ["a"])
    facts = only_shard(store) / "shard.json"
    facts.write_text(facts.read_text().replace('"rows": 1', '"rows": 7'))
    assert "it tells of 7 answers, and there are 1" in store.verify()[0].what
    facts.write_text("{")
    assert "it cannot be read" in store.verify()[0].what
    facts.unlink()
    assert "it is missing" in store.verify()[0].what
    assert store.list()[0].rows == 0


def test_verify_sees_nan(store: AnswerStore) -> None:
    table = store.open("t1", "logits", LABELS)
    table.add(digest_texts(["a"]), Block(np.array([[0, np.nan]], np.float32)))
    assert "an answer is NaN or infinite" in store.verify()[0].what


def test_a_damaged_manifest_costs_the_table(store: AnswerStore) -> None:
    table = fill(store, ["a"])
    (table.folder / "manifest.json").write_text("{}")
    with pytest.raises(LimbeckError, match=r"manifest\.json: this file of the answer store is damaged"):
        store.open("t1", "logits", LABELS)
    assert store.list()[0].name == "(damaged)"
    assert store.verify()[0].shard is None
    assert store.prune(damaged=True).tables == 1
    assert store.list() == ()


def test_other_labels_are_noticed(store: AnswerStore) -> None:
    fill(store, ["a"])
    expected = "stored answers are for the labels bad, good, and this teacher's are bad, fair"
    with pytest.raises(LimbeckError, match=expected) as caught:
        store.open("t1", "logits", ("bad", "fair"))
    assert f"limbeck store prune {store.folder} --key {store.list()[0].key}" in str(caught.value)


def test_answers_of_a_newer_limbeck_are_left_alone(store: AnswerStore) -> None:
    table = fill(store, ["a"])
    (table.folder / "manifest.json").write_text('{"format": 99, "layout": "other"}')
    with pytest.raises(LimbeckError, match=r"newer Limbeck\. Upgrade Limbeck"):
        store.open("t1", "logits", LABELS)
    assert store.verify() == ()
    assert store.prune(damaged=True).tables == 0
    assert store.list()[0].name == "(newer format)"


# Looking after it.


def test_list_tells_who_what_and_how_much(store: AnswerStore) -> None:
    fill(store, ["a", "b"])
    fill(store, ["c"])
    os.utime(store.open("t1", "logits", LABELS).folder / "manifest.json", (1e9, 1e9))
    fill(store, ["a"], teacher="t2")
    second, first = store.list()
    assert (first.teacher, first.name, first.signal, first.labels, first.rows) == (
        "t1",
        "a teacher",
        "logits",
        LABELS,
        3,
    )
    assert first.bytes == sum(
        path.stat().st_size for path in (store.folder / first.key).rglob("*") if path.is_file()
    )
    assert first.last_used.timestamp() == 1e9
    assert second.teacher == "t2"


def test_opening_counts_as_use(store: AnswerStore) -> None:
    table = fill(store, ["a"])
    os.utime(table.folder / "manifest.json", (1e9, 1e9))
    store.open("t1", "logits", LABELS)
    assert time.time() - store.list()[0].last_used.timestamp() < 60


def test_prune_by_age_and_by_key(store: AnswerStore) -> None:
    for teacher in ("t1", "t2", "t3"):
        fill(store, ["a"], teacher=teacher)
    old = store.open("t1", "logits", LABELS)
    os.utime(old.folder / "manifest.json", (time.time() - 10 * 86400,) * 2)
    assert store.prune(keep_days=11).tables == 0
    size = next(entry.bytes for entry in store.list() if entry.teacher == "t1")
    pruned = store.prune(keep_days=9)
    assert (pruned.tables, pruned.bytes) == (1, size)
    assert {entry.teacher for entry in store.list()} == {"t2", "t3"}
    key = next(entry.key for entry in store.list() if entry.teacher == "t2")
    store.prune(key=key)
    assert [entry.teacher for entry in store.list()] == ["t3"]
    with pytest.raises(LimbeckError, match=f"no table has the key '{key}'. There are: "):
        store.prune(key=key)


def test_no_store_is_one_sentence(store: AnswerStore) -> None:
    for look in (store.list, store.verify, store.prune):
        with pytest.raises(LimbeckError, match="there is no answer store here"):
            look()


def test_prune_clears_what_killed_processes_left(store: AnswerStore) -> None:
    table = fill(store, ["a"])
    for age, name in ((7200, ".shard-1.partial"), (7200, ".shard-2.x.removed"), (1, ".shard-3.partial")):
        (table.folder / name).mkdir()
        (table.folder / name / "rows.npy").write_bytes(b"half")
        os.utime(table.folder / name, (time.time() - age,) * 2)
    (table.folder / ".manifest.json.7.partial").write_text("{")
    os.utime(table.folder / ".manifest.json.7.partial", (1e9, 1e9))
    assert store.verify() == ()
    assert store.prune().bytes == 9
    assert [path.name for path in table.folder.glob(".*")] == [".shard-3.partial"]
    assert len(store.open("t1", "logits", LABELS)) == 1


def test_a_table_pruned_under_a_writer_comes_back_whole(store: AnswerStore) -> None:
    table = fill(store, ["a"])
    store.prune(key=table.folder.name)
    table.add(digest_texts(["b"]), Block(np.ones((1, 2), np.float32)))
    assert store.verify() == ()
    assert store.open("t1", "logits", LABELS).find(digest_texts(["a", "b"])).tolist() == [-1, 0]


def test_reading_goes_on_while_another_process_prunes(store: AnswerStore) -> None:
    table = fill(store, ["a", "b"])
    store.prune(key=table.folder.name)
    assert table.gather(table.find(digest_texts(["b"]))).rows.tolist() == [[1, -1]]


WRITER = """
import sys, numpy as np
from pathlib import Path
from limbeck.transfer.shards import Block
from limbeck.transfer.store import AnswerStore
from limbeck.transfer.tables import digest_texts
store, name = AnswerStore(Path(sys.argv[1])), sys.argv[2]
table = store.open("t1", "logits", ("bad", "good"))
for number in range(40):
    table.add(digest_texts([f"{name}-{number}", f"both-{number}"]), Block(np.full((2, 2), number, np.float32)))
"""


def test_two_processes_write_into_one_table(store: AnswerStore) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(store.folder), name]) for name in ("one", "two")
    ]
    while any(writer.poll() is None for writer in writers):
        store.open("t1", "logits", LABELS)  # A reader sees whole shards only, at any moment.
        time.sleep(0.01)
    assert [writer.returncode for writer in writers] == [0, 0]
    assert store.verify() == ()
    table = store.open("t1", "logits", LABELS)
    assert len(table) == 160
    for name in ("one", "two", "both"):
        rows = table.find(digest_texts(f"{name}-{number}" for number in range(40)))
        assert table.gather(rows).rows[:, 0].tolist() == list(range(40))


def test_a_disk_that_fills_up_leaves_earlier_shards_intact(
    store: AnswerStore,
) -> None:
    """A real refusal by the system (a limit on the size of files) half-way through a shard."""
    fill(store, ["a"])
    table = store.open("t1", "logits", LABELS)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with pytest.raises(LimbeckError, match="cannot be written \\(File too large\\)"):
            table.add(digest_texts(map(str, range(10_000))), Block(np.zeros((10_000, 2), np.float32)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(table.folder.glob(".*"))
    assert store.verify() == ()
    table.refresh()
    assert table.gather(table.find(digest_texts(["a"]))).rows.tolist() == [[0, 0]]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_says_so(store: AnswerStore, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = Path.open

    def on_a_full_disk(path: Path, *rest: object, **more: object) -> object:
        return opened(Path("/dev/full"), "wb") if path.name == shards.ROWS else opened(path, *rest, **more)

    monkeypatch.setattr(Path, "open", on_a_full_disk)
    with pytest.raises(
        LimbeckError, match=r"the disk is full\. Free some space and run the same command again"
    ):
        store.open("t", "logits", LABELS).add(digest_texts(["a"]), Block(np.zeros((1, 2), np.float32)))
