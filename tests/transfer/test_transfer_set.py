"""Transfer sets: identity, what comes back from disk, and what is refused."""

from dataclasses import replace

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.transfer.transfer_set import TransferSet

EXAMPLES = (
    Example("a.csv:2", "good ✓", "pos", "a.csv:2"),
    Example("a.csv:3", "two\nlines", None, "a.csv:3"),
    Example("a.csv:5", "", "neg", "a.csv:5"),
)
LABELS = ("neg", "pos")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    rows=st.lists(
        st.tuples(
            st.text(st.characters(exclude_categories=["Cs"])),
            st.text(st.characters(exclude_categories=["Cs"])),
            st.sampled_from([None, *LABELS]),
        ),
        unique_by=lambda row: row[0],
    )
)
def test_what_is_saved_comes_back(tmp_path, rows):
    ours = TransferSet(tuple(Example(one, text, gold, f"o{one}") for one, text, gold in rows), LABELS)
    ours.save(tmp_path, "train")
    again = TransferSet.load(tmp_path, "train")
    assert again == ours
    assert again.fingerprint == ours.fingerprint
    assert [path.name for path in tmp_path.iterdir()] == ["train.arrow"]


def test_the_fingerprint_hears_ids_texts_gold_labels_and_order():
    ours = TransferSet(EXAMPLES, LABELS)
    others = [
        TransferSet((replace(EXAMPLES[0], id="x"), *EXAMPLES[1:]), LABELS),
        TransferSet((replace(EXAMPLES[0], text="good"), *EXAMPLES[1:]), LABELS),
        TransferSet((replace(EXAMPLES[0], gold="neg"), *EXAMPLES[1:]), LABELS),
        TransferSet((replace(EXAMPLES[0], gold=None), *EXAMPLES[1:]), LABELS),
        TransferSet(EXAMPLES, ("pos", "neg")),
        TransferSet(EXAMPLES[::-1], LABELS),
        TransferSet(EXAMPLES[:2], LABELS),
    ]
    assert len({ours.fingerprint, *(other.fingerprint for other in others)}) == len(others) + 1
    moved = TransferSet((replace(EXAMPLES[0], origin="b.csv:9"), *EXAMPLES[1:]), LABELS)
    assert moved.fingerprint == ours.fingerprint


def test_parts():
    ours = TransferSet(EXAMPLES, LABELS)
    assert ours.ids == ("a.csv:2", "a.csv:3", "a.csv:5")
    assert ours.labelled.ids == ("a.csv:2", "a.csv:5")
    assert ours.labelled.labels == LABELS
    assert (len(ours), list(ours)) == (3, list(EXAMPLES))


def test_an_id_that_comes_twice():
    twice = (*EXAMPLES, replace(EXAMPLES[0], text="other", origin="b.csv:7"))
    message = r"the id 'a\.csv:2' stands at 2 examples \(a\.csv:2, b\.csv:7\)\. Give every example its own id"
    with pytest.raises(LimbeckError, match=message):
        TransferSet(twice, LABELS)


def test_gold_that_is_no_label():
    with pytest.raises(LimbeckError, match=r"gold labels that are not among neg: pos"):
        TransferSet(EXAMPLES, ("neg",))


def test_files_that_are_missing_cut_short_or_something_else(tmp_path):
    with pytest.raises(
        LimbeckError, match=r"train\.arrow: no such transfer set\. 'limbeck prepare' writes it"
    ):
        TransferSet.load(tmp_path, "train")
    TransferSet(EXAMPLES, LABELS).save(tmp_path, "train")
    path = tmp_path / "train.arrow"
    whole = path.read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", b"not arrow at all"):
        path.write_bytes(damaged)
        with pytest.raises(
            LimbeckError, match=r"train\.arrow: a damaged transfer set \(.*\)\. Delete it and run"
        ):
            TransferSet.load(tmp_path, "train")
    table = pa.table({"id": ["a"], "text": ["b"]})
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)
    with pytest.raises(LimbeckError, match=r"train\.arrow: a damaged transfer set"):
        TransferSet.load(tmp_path, "train")
