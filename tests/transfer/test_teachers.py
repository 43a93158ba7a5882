"""Teachers: any classifier of transformers, and files of answers as other people write them."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings, strategies as st
from transformers import (
    BartConfig,
    BartForSequenceClassification,
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    GPT2Config,
    GPT2ForSequenceClassification,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForSequenceClassification,
    XLNetConfig,
    XLNetForSequenceClassification,
)

from limbeck.core import progress
from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.signals import SignalName
from limbeck.text.tokeniser import word_tokeniser
from limbeck.transfer.answer_files import FLOOR
from limbeck.transfer.label_map import LabelMap, arrange, listing
from limbeck.transfer.teachers import LOGITS, FileTeacher, ModelTeacher, fingerprint_model

pytestmark = pytest.mark.unit
LABELS = ("bad", "good", "so-so")
WORDS = ("a", "film", "as", "fine", "dull", "any", "I", "saw")


def examples(*texts: str) -> list[Example]:
    return [Example(f"id-{number}", text) for number, text in enumerate(texts)]


# Models.


def config(**changes: Any) -> BertConfig:
    return BertConfig(
        vocab_size=len(WORDS) + 2,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=24,
        **changes,
    )


def tiny_bert(labels: Sequence[str] = LABELS, seed: int = 0) -> BertForSequenceClassification:
    torch.manual_seed(seed)
    model = BertForSequenceClassification(config(id2label=dict(enumerate(labels))))
    # A fresh classifier hardly tells texts apart; this one does.
    torch.nn.init.normal_(model.classifier.weight, std=2.0)
    return model


@pytest.fixture(scope="module")
def tokeniser() -> PreTrainedTokenizerFast:
    return word_tokeniser(WORDS)


def saved(folder: Path, labels: Sequence[str], tokeniser: PreTrainedTokenizerFast) -> Path:
    tiny_bert(labels).save_pretrained(folder)
    tokeniser.save_pretrained(folder)
    return folder


TEXTS = ("a fine film", "dull", "a film as dull as any film I saw", "I saw a fine film", "fine fine fine")


def one_by_one(model: BertForSequenceClassification, tokeniser: PreTrainedTokenizerFast) -> torch.Tensor:
    """The oracle: transformers alone, a text at a time."""
    model.eval()
    with torch.no_grad():
        return torch.cat([model(**tokeniser(text, return_tensors="pt")).logits for text in TEXTS])


def test_answers_are_the_models_in_the_asked_order(tokeniser: PreTrainedTokenizerFast) -> None:
    model = tiny_bert()
    model.train()
    teacher = ModelTeacher(model, tokeniser, LABELS, 16, tokens_per_batch=12)
    logits = teacher.answer(examples(*TEXTS), LOGITS).logits
    assert logits is not None
    torch.testing.assert_close(logits.cpu(), one_by_one(model.cpu(), tokeniser), atol=1e-5, rtol=1e-5)
    assert not logits.requires_grad
    assert logits.std(0).min() > 0.01  # The texts are told apart.


def test_texts_are_cut_at_max_length(tokeniser: PreTrainedTokenizerFast) -> None:
    teacher = ModelTeacher(tiny_bert(), tokeniser, LABELS, 3)
    logits = teacher.answer(examples("a fine film", "a fine film I saw"), LOGITS).logits
    assert logits is not None
    torch.testing.assert_close(logits[0], logits[1])


def test_labels_in_another_order_are_put_into_ours(
    tmp_path: Path, tokeniser: PreTrainedTokenizerFast
) -> None:
    folder = saved(tmp_path / "model", ("so-so", "bad", "good"), tokeniser)
    teacher = ModelTeacher.load(folder, LABELS, 16)
    assert teacher.labels == LABELS
    logits = teacher.answer(examples(*TEXTS), LOGITS).logits
    assert logits is not None
    expected = one_by_one(tiny_bert(("so-so", "bad", "good")), tokeniser)[:, [1, 2, 0]]
    torch.testing.assert_close(logits.cpu(), expected, atol=1e-5, rtol=1e-5)


def test_default_label_names_must_be_mapped(tmp_path: Path, tokeniser: PreTrainedTokenizerFast) -> None:
    folder = saved(tmp_path / "model", ("LABEL_0", "LABEL_1"), tokeniser)
    ours = ("negative", "positive")
    with pytest.raises(LimbeckError) as caught:
        ModelTeacher.load(folder, ours, 16)
    assert str(caught.value) == (
        f"{folder}: the teacher's labels (LABEL_0, LABEL_1) are not the data's (negative, positive). "
        'Say which is which, e.g. teacher.labels={"LABEL_0": negative, "LABEL_1": positive}, '
        "or take a teacher of these labels."
    )
    teacher = ModelTeacher.load(folder, ours, 16, {"LABEL_0": "positive", "LABEL_1": "negative"})
    assert teacher.label_map.key == [1, 0]
    assert ModelTeacher.load(folder, ("LABEL_0", "LABEL_1"), 16).label_map.key == [0, 1]


def test_an_encoder_without_classifier(tmp_path: Path, tokeniser: PreTrainedTokenizerFast) -> None:
    BertModel(config()).save_pretrained(tmp_path / "encoder")
    tokeniser.save_pretrained(tmp_path / "encoder")
    expected = r"no classifier for these labels \(no weights for classifier.bias\). Set teacher.fine_tune"
    with pytest.raises(LimbeckError, match=expected):
        ModelTeacher.load(tmp_path / "encoder", ("LABEL_0", "LABEL_1"), 16)


def test_a_model_without_padding_is_told_what_pads(
    tmp_path: Path, tokeniser: PreTrainedTokenizerFast
) -> None:
    torch.manual_seed(0)
    kept = GPT2Config(vocab_size=len(tokeniser), n_embd=16, n_layer=1, n_head=2, n_positions=24, num_labels=2)
    GPT2ForSequenceClassification(kept).save_pretrained(tmp_path / "gpt2")
    tokeniser.save_pretrained(tmp_path / "gpt2")
    teacher = ModelTeacher.load(tmp_path / "gpt2", ("LABEL_0", "LABEL_1"), 16)
    together = teacher.answer(examples(*TEXTS), LOGITS).logits
    alone = torch.cat([teacher.answer(examples(text), LOGITS).logits for text in TEXTS])  # type: ignore[misc]
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)


def test_a_model_that_reads_the_last_position_is_refused(
    tmp_path: Path, tokeniser: PreTrainedTokenizerFast
) -> None:
    kept = XLNetConfig(vocab_size=len(tokeniser), d_model=16, n_layer=1, n_head=2, d_inner=16, num_labels=2)
    XLNetForSequenceClassification(kept).save_pretrained(tmp_path / "xlnet")
    tokeniser.save_pretrained(tmp_path / "xlnet")
    with pytest.raises(LimbeckError, match="reads the last position"):
        ModelTeacher.load(tmp_path / "xlnet", ("LABEL_0", "LABEL_1"), 16)


def test_a_text_that_a_model_cannot_read_is_named() -> None:
    spelling = word_tokeniser([*WORDS, "</s>"])
    spelling.add_special_tokens({"eos_token": "</s>"})
    ends = spelling.eos_token_id
    kept = BartConfig(
        vocab_size=len(spelling),
        d_model=16,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=16,
        decoder_ffn_dim=16,
        max_position_embeddings=24,
        num_labels=2,
        pad_token_id=0,
        bos_token_id=ends,
        eos_token_id=ends,
        decoder_start_token_id=ends,
    )
    teacher = ModelTeacher(BartForSequenceClassification(kept), spelling, ("a", "b"), 16)
    with pytest.raises(LimbeckError, match="The example 'id-1' spells one of its special tokens"):
        teacher.answer(examples("a film", "a </s> film </s>"), LOGITS)


def test_folders_that_hold_no_model(tmp_path: Path, tokeniser: PreTrainedTokenizerFast) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(LimbeckError, match="no classifier can be loaded"):
        ModelTeacher.load(tmp_path / "empty", LABELS, 16)
    folder = saved(tmp_path / "model", LABELS, tokeniser)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(LimbeckError, match="no classifier can be loaded"):
        ModelTeacher.load(folder, LABELS, 16)


def test_pickled_weights_are_not_loaded(tmp_path: Path, tokeniser: PreTrainedTokenizerFast) -> None:
    folder = saved(tmp_path / "model", LABELS, tokeniser)
    (folder / "model.safetensors").unlink()
    torch.save(tiny_bert().state_dict(), folder / "pytorch_model.bin")
    with pytest.raises(LimbeckError, match="no classifier can be loaded"):
        ModelTeacher.load(folder, LABELS, 16)


def test_texts_longer_than_the_model_reads(tokeniser: PreTrainedTokenizerFast) -> None:
    assert ModelTeacher(tiny_bert(), tokeniser, LABELS, 24).max_length == 24
    expected = "'teacher.max_length' is 25, and this model reads at most 24 tokens. Set teacher.max_length=24"
    with pytest.raises(LimbeckError, match=expected):
        ModelTeacher(tiny_bert(), tokeniser, LABELS, 25)


def test_roberta_reads_fewer_tokens_than_it_has_positions(tokeniser: PreTrainedTokenizerFast) -> None:
    model = RobertaForSequenceClassification(
        RobertaConfig(
            vocab_size=len(WORDS) + 2,
            hidden_size=8,
            num_hidden_layers=1,
            num_attention_heads=1,
            intermediate_size=8,
            max_position_embeddings=10,
            pad_token_id=1,
            num_labels=3,
        )
    )
    longest = ModelTeacher(model, tokeniser, LABELS, 8)
    assert longest.answer(examples("film " * 30), LOGITS).logits is not None
    with pytest.raises(LimbeckError, match="at most 8 tokens"):
        ModelTeacher(model, tokeniser, LABELS, 9)


def test_other_signals_come_in_one_batch(tokeniser: PreTrainedTokenizerFast) -> None:
    needs = frozenset[SignalName]({"logits", "hidden"})
    model = tiny_bert(("so-so", "bad", "good"))
    teacher = ModelTeacher(model, tokeniser, LABELS, 16, label_map=LabelMap.of_columns([1, 2, 0]))
    signals = teacher.answer(examples(*TEXTS), needs)
    assert signals.hidden is not None
    assert signals.hidden[-1].shape == (5, 9, 16)
    assert signals.logits is not None
    expected = one_by_one(model.cpu(), tokeniser)[:, [1, 2, 0]]
    torch.testing.assert_close(signals.logits.cpu(), expected, atol=1e-5, rtol=1e-5)


def test_the_fingerprint_is_of_all_that_answers_depend_on(
    tmp_path: Path, tokeniser: PreTrainedTokenizerFast
) -> None:
    folder = saved(tmp_path / "model", LABELS, tokeniser)
    original = ModelTeacher.load(folder, LABELS, 16).fingerprint
    assert ModelTeacher(tiny_bert(), tokeniser, LABELS, 16).fingerprint == original
    moved = folder.rename(tmp_path / "elsewhere")
    assert ModelTeacher.load(moved, LABELS, 16).fingerprint == original
    changed = tiny_bert()
    with torch.no_grad():
        changed.classifier.bias[0] += 1e-3
    others = [
        ModelTeacher(changed, tokeniser, LABELS, 16),
        ModelTeacher(tiny_bert(), tokeniser, LABELS, 15),
        ModelTeacher(tiny_bert(), word_tokeniser(WORDS, lowercase=False), LABELS, 16),
        ModelTeacher(tiny_bert(), tokeniser, ("bad", "fine", "so-so"), 16),
        ModelTeacher(tiny_bert(), tokeniser, LABELS, 16, label_map=LabelMap.of_columns([0, 2, 1])),
    ]
    assert len({original, *(teacher.fingerprint for teacher in others)}) == 6


def test_the_models_fingerprint_counts_its_configuration() -> None:
    model = tiny_bert()
    before = fingerprint_model(model)
    model.config.problem_type = "single_label_classification"
    assert fingerprint_model(model) == before
    model.config.hidden_act = "relu"
    assert fingerprint_model(model) != before


# Label names.


@settings(deadline=None)
@given(st.permutations(range(4)), st.booleans())
def test_arrange_finds_every_label(order: list[int], rename: bool) -> None:
    ours = [f"label {number}" for number in range(4)]
    theirs = [f"L{number}" if rename else ours[number] for number in order]
    columns = arrange(theirs, ours, {f"L{n}": ours[n] for n in range(4)} if rename else {}).key
    assert [order[column] for column in columns] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("theirs", "renamed", "expected"),
    [
        (
            ["a", "c"],
            {},
            r"labels \(a, c\) are not the data's \(a, b\); the teacher has no b; the data has no c",
        ),
        (
            ["a", "c"],
            {},
            r'Say which is which, e.g. teacher.labels=\{"c": b\}, or take a teacher of these labels',
        ),
        (["a"], {}, r"labels \(a\) are not the data's \(a, b\); the teacher has no b. Take a teacher of"),
        (
            ["a", "b", "c"],
            {},
            r"labels \(a, b, c\) are not the data's \(a, b\); the data has no c. Leave out",
        ),
        (["x", "y"], {"x": "a", "y": "a"}, r"labels \(x, y, which 'teacher.labels' makes a, a\) are not"),
        (["a", "b"], {"A": "b"}, "'teacher.labels' renames 'A', and the teacher's labels are: a, b"),
    ],
)
def test_labels_that_are_not_ours(theirs: list[str], renamed: dict[str, str], expected: str) -> None:
    with pytest.raises(LimbeckError, match=expected):
        arrange(theirs, ["a", "b"], renamed)


def test_labels_that_differ_are_told_where_the_lists_are_cut() -> None:
    ours = ["O", *(f"{prefix}-{kind}" for kind in "abcdefgh" for prefix in "BI")]
    with pytest.raises(LimbeckError, match="; the teacher has no I-h; the data has no B-i"):
        arrange([*ours[:-1], "B-i"], ours, {})


def test_long_lists_of_names_are_cut() -> None:
    assert listing([str(number) for number in range(77)]) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 67 more"


# Files.

PROBABILITIES = np.array([[0.2, 0.7, 0.1], [0.5, 0.25, 0.25], [0.0, 0.0, 1.0]])
OURS = examples("It was fine.", "It was, well, 'fine'.", "Nul ça")


def write(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(list(rows)), path)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    else:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(
                {k: json.dumps(v) if isinstance(v, dict | list) else v for k, v in row.items()}
                for row in rows
            )
    return path


def rows_of(layout: str, key: str, form: str = "probabilities") -> list[dict[str, Any]]:
    """The same answers in every layout; labels in another order than ours."""
    order = [2, 0, 1]
    rows = []
    for example, values in zip(OURS, PROBABILITIES.tolist(), strict=True):
        named = {LABELS[place]: values[place] for place in order}
        row: dict[str, Any] = {key: getattr(example, key)}
        if layout == "columns":
            row |= named
        elif layout == "object":
            row[form] = named
        else:
            row |= {form: list(named.values()), "labels": list(named)}
        rows.append(row)
    return rows


@pytest.mark.parametrize("key", ["id", "text"])
@pytest.mark.parametrize("layout", ["columns", "object", "list"])
@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
def test_every_layout_in_every_format(tmp_path: Path, ending: str, layout: str, key: str) -> None:
    path = write(tmp_path / f"answers.{ending}", rows_of(layout, key)[::-1])
    teacher = FileTeacher.load(path, LABELS)
    logits = teacher.answer(OURS, LOGITS).logits
    assert logits is not None
    assert logits.dtype == torch.float32
    np.testing.assert_allclose(logits.numpy(), np.log(np.maximum(PROBABILITIES, FLOOR)), rtol=1e-6)


@pytest.mark.parametrize("ending", ["jsonl", "csv"])
def test_what_predict_writes_is_read(tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch) -> None:
    warned: list[str] = []
    monkeypatch.setattr(progress, "warn", warned.append)
    rows = [
        {
            "text": example.text,
            "label": max(scores, key=scores.__getitem__),
            "score": max(scores.values()),
            **({"scores": scores} if ending == "jsonl" else scores),
        }
        for example, values in zip(OURS, PROBABILITIES.tolist(), strict=True)
        for scores in [dict(zip(LABELS, values, strict=True))]
    ]
    logits = FileTeacher.load(write(tmp_path / f"said.{ending}", rows), LABELS).answer(OURS, LOGITS).logits
    assert logits is not None
    np.testing.assert_allclose(logits.numpy(), np.log(np.maximum(PROBABILITIES, FLOOR)), rtol=1e-6)
    assert not warned


def test_logits_are_taken_as_they_are(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", [{"id": "id-0", "bad": -3.5, "good": 7, "so-so": "1e-3"}])
    logits = FileTeacher.load(path, LABELS, "logits").answer(OURS[:1], LOGITS).logits
    assert logits is not None
    assert logits.tolist() == [[-3.5, 7, pytest.approx(1e-3)]]


def test_other_names_are_mapped(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", [{"id": "id-0", "NEG": 0.9, "POS": 0.1}])
    teacher = FileTeacher.load(path, ("bad", "good"), renamed={"NEG": "bad", "POS": "good"})
    logits = teacher.answer(OURS[:1], LOGITS).logits
    assert logits is not None
    torch.testing.assert_close(logits.exp(), torch.tensor([[0.9, 0.1]]))


def test_a_list_by_position(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", [{"id": "id-0", "probabilities": [0.9, 0.1], "labels": "positive"}])
    with pytest.raises(LimbeckError) as caught:
        FileTeacher.load(path, ("bad", "good"))
    assert str(caught.value) == (
        f"{path}:1: a list of probabilities does not say which label is first. "
        'Give each row "labels": ["bad", "good"], or map positions to labels, '
        'e.g. teacher.labels={"0": bad, "1": good}.'
    )
    teacher = FileTeacher.load(path, ("bad", "good"), renamed={"0": "good", "1": "bad"})
    logits = teacher.answer(OURS[:1], LOGITS).logits
    assert logits is not None
    torch.testing.assert_close(logits.exp(), torch.tensor([[0.1, 0.9]]))
    assert FileTeacher.load(path, ("0", "1")).labels == ("0", "1")


def test_ids_that_are_numbers(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", [{"id": 7, "bad": 0.5, "good": 0.5}])
    assert FileTeacher.load(path, ("bad", "good")).require([Example("7", "x")]).tolist() == [0]


def test_an_answer_is_found_by_id_else_by_text(tmp_path: Path) -> None:
    rows = [
        {"id": "mine-1", "text": "  It was\tfine. ", "bad": 1, "good": 0},
        {"id": "id-1", "text": OURS[1].text, "bad": 0, "good": 1},
        {"id": "mine-3", "text": OURS[1].text, "bad": 1, "good": 0},
    ]
    teacher = FileTeacher.load(write(tmp_path / "a.jsonl", rows), ("bad", "good"))
    assert teacher.require(OURS[:2]).tolist() == [0, 1]
    # Two rows of other ids differ about this text: by text alone there is no answer.
    with pytest.raises(LimbeckError, match="have no answer"):
        teacher.require([Example("unknown", OURS[1].text)])


def test_an_id_that_is_answered_for_another_text(tmp_path: Path) -> None:
    rows = [{"id": "id-1", "text": "Something else", "bad": 1, "good": 0}]
    path = write(tmp_path / "a.jsonl", rows)
    with pytest.raises(LimbeckError, match=r"a\.jsonl:1: the answer for 'id-1' is for another text"):
        FileTeacher.load(path, ("bad", "good")).require(OURS[1:2])


def test_examples_without_an_answer(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", [{"id": "id-0", "bad": 1, "good": 0}, {"id": "9", "bad": 1, "good": 0}])
    with pytest.raises(LimbeckError) as caught:
        FileTeacher.load(path, ("bad", "good")).answer(OURS, LOGITS)
    assert str(caught.value) == (
        f"{path}: 2 of the 3 examples asked have no answer here, the first is 'id-1'. "
        "Answers are found by 'id' or by 'text'; the first answer here is for 'id-0'."
    )


def test_duplicates_may_agree_but_not_differ(tmp_path: Path) -> None:
    rows = [
        {"id": "a", "bad": 1, "good": 0},
        {"id": "b", "bad": 1, "good": 0},
        {"id": "a", "bad": 1, "good": 0},
    ]
    assert FileTeacher.load(write(tmp_path / "a.csv", rows), ("bad", "good")).fingerprint
    rows[2] |= {"bad": 0.5, "good": 0.5}
    path = write(tmp_path / "a.csv", rows)
    with pytest.raises(LimbeckError, match=r"a\.csv:4: another answer for the id 'a' than on line 2"):
        FileTeacher.load(path, ("bad", "good"))
    rows = [{"text": "So it is", "bad": 1, "good": 0}, {"text": "So  it is ", "bad": 0, "good": 1}]
    path = write(tmp_path / "a.jsonl", rows)
    with pytest.raises(
        LimbeckError, match=r"a\.jsonl:2: another answer for the text 'So it is' than on line 1"
    ):
        FileTeacher.load(path, ("bad", "good"))


def test_the_files_fingerprint(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", [{"id": "a", "bad": 1, "good": 0}])
    first = FileTeacher.load(path, ("bad", "good")).fingerprint
    assert FileTeacher.load(path, ("bad", "good"), "logits").fingerprint != first
    assert FileTeacher.load(path, ("good", "bad")).fingerprint != first
    assert FileTeacher.load(path.rename(tmp_path / "b.csv"), ("bad", "good")).fingerprint == first
    write(path, [{"id": "a", "bad": 0, "good": 1}])
    assert FileTeacher.load(path, ("bad", "good")).fingerprint != first


BAD_FILES = {
    "nan": (
        '{"id": "a", "bad": 1, "good": 0}\n{"id": "b", "bad": NaN, "good": 0}\n',
        r":2: the answer for 'bad' is missing or NaN \(example 'b'\)",
    ),
    "null": (
        '{"id": "a", "bad": null, "good": 0}\n',
        r":1: the answer for 'bad' is missing or NaN",
    ),
    "absent": (
        '{"id": "a", "bad": 1, "good": 0}\n{"id": "b", "bad": 1}\n',
        r":2: the answer for 'good' is missing",
    ),
    "infinite": (
        '{"id": "a", "bad": 0, "good": Infinity}\n',
        r":1: the answer for 'good' is infinite",
    ),
    "negative": (
        '{"id": "a", "bad": 1.5, "good": -0.5}\n',
        r":1: the probability of 'good' is negative \(-0.5\).*answers_are=logits",
    ),
    "sum": (
        '{"id": "a", "bad": 0.5, "good": 0.3}\n',
        r":1: the probabilities of bad, good sum to 0.8, not to one",
    ),
    "percent": (
        '{"id": "a", "bad": 50, "good": 50}\n',
        r"sum to 100, not to one.*Divide percentages by a hundred",
    ),
    "word": (
        '{"id": "a", "bad": "high", "good": 0.3}\n',
        r":1: 'high' is not a number \(column 'bad'\)",
    ),
    "nested word": (
        '{"id": "a", "probabilities": {"bad": "high", "good": 0}}\n',
        r":1: one of the probabilities is not a number",
    ),
    "nested nan": (
        '{"id": "a", "probabilities": {"bad": NaN, "good": 0}}\n',
        r":1: the answer for 'bad' is missing or NaN",
    ),
    "other label": (
        '{"id": "a", "probabilities": {"bad": 0.5, "fair": 0.5}}\n',
        r":1: the teacher's labels \(bad, fair\) are not",
    ),
    "one label short": (
        '{"id": "a", "bad": 1}\n',
        r"the teacher's labels \(bad\) are not the data's \(bad, good\)",
    ),
    "list too long": (
        '{"id": "a", "probabilities": [0.2, 0.2, 0.6]}\n',
        r":1: 3 probabilities for 2 labels",
    ),
    "scalar": (
        '{"id": "a", "probabilities": 0.5}\n',
        r":1: 'probabilities' is neither an object nor a list",
    ),
    "string": (
        '{"id": "a", "probabilities": "bad"}\n',
        r":1: 'bad' is not JSON",
    ),
    "no answers": (
        '{"id": "a", "says": "bad"}\n',
        r"no probabilities here; the columns are: id, says. Name a column after each label",
    ),
    "logits": (
        '{"id": "a", "logits": [1, 2]}\n',
        r"It has a column 'logits': set teacher.answers_are=logits",
    ),
    "no key": (
        '{"id": "a", "bad": 1, "good": 0}\n{"bad": 1, "good": 0}\n',
        r":2: an answer without id and text",
    ),
    "empty": (
        "",
        r"the file is empty",
    ),
    "not JSON": (
        '{"id": "a", "bad": 1, "good": 0}\n{"id"\n',
        r":2: not JSON",
    ),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_files_are_one_sentence(tmp_path: Path, name: str) -> None:
    content, expected = BAD_FILES[name]
    path = tmp_path / "a.jsonl"
    path.write_text(content)
    with pytest.raises(LimbeckError, match=expected) as caught:
        FileTeacher.load(path, ("bad", "good"))
    assert str(caught.value).startswith(str(path))


def test_files_that_do_not_parse(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"text,bad,good\nfine,0,1\ncaf\xe9,0,1\n")
    with pytest.raises(LimbeckError, match=r"a\.csv:3: not UTF-8"):
        FileTeacher.load(path, ("bad", "good"))
    path.write_text("id,bad,good\na,0,1\nb,0,1,9\n")
    with pytest.raises(LimbeckError, match=r"a\.csv:3: 4 columns where the header has 3"):
        FileTeacher.load(path, ("bad", "good"))
    with pytest.raises(LimbeckError, match="no such file"):
        FileTeacher.load(tmp_path / "none.csv", ("bad", "good"))
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    with pytest.raises(LimbeckError, match="not a Parquet file"):
        FileTeacher.load(tmp_path / "a.parquet", ("bad", "good"))


def test_rounded_probabilities_pass(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", [{"id": "a", "bad": 0.33, "good": 0.33, "so-so": 0.33}])
    assert FileTeacher.load(path, LABELS).labels == LABELS


def test_columns_of_numbers_that_are_no_label_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    warned: list[str] = []
    monkeypatch.setattr(progress, "warn", warned.append)
    row = {"id": "id-0", "bad": 1, "good": 2, "neutral": 7, "author": "A. N."}
    path = write(tmp_path / "a.csv", [row])
    FileTeacher.load(path, ("bad", "good"), "logits")
    assert warned == [
        f"{path}: no labels of the data are called neutral: columns not read "
        "(if they are the teacher's labels, name them in 'teacher.labels')"
    ]
