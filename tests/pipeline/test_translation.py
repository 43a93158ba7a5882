"""Whole runs of translators, over a made-up language: what is made, what is done again and what not, who may teach."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file
from transformers import (
    MBart50Tokenizer,
    MBartConfig,
    MBartForConditionalGeneration,
    MBartTokenizer,
    T5Config,
    T5ForConditionalGeneration,
)

from limbeck import distill
from limbeck.core import progress
from limbeck.core.decoding import Decoding
from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.recipe import FineTune, Recipe, load
from limbeck.core.schema import validate
from limbeck.pipeline import Result, Run, steps
from limbeck.pipeline.checks import check, check_student
from limbeck.pipeline.distilling import TEXT
from limbeck.pipeline.measuring import is_installed
from limbeck.pipeline.plan import Plan, plan
from limbeck.pipeline.plan_translation import seconds_to_align
from limbeck.pipeline.tasks import TASKS
from limbeck.serve.opening import open_bundle
from limbeck.serve.translator import TranslatorBundle
from limbeck.text.subwords import Subwords
from limbeck.transfer.ask import LiveAnswers
from limbeck.transfer.decoded import count_undecoded
from limbeck.transfer.transfer_set import TransferSet
from pipeline.translation_recipe import BEAM, SIZE, SOURCE, TARGET, said, sentences, translated, values, write

pytestmark = pytest.mark.recipe
GREEDY = {"search": "greedy", "max_length": 8}
METHODS = [
    {"name": "sequence_level", "decoding": BEAM},
    {"name": "sequence_interpolation", "decoding": BEAM},
    {"name": "born_again", "decoding": GREEDY},
]


@dataclass
class Listener(progress.Reporter):
    """Hears what is said."""

    lines: list[str] = field(default_factory=list)

    def say(self, text: str, **facts: Any) -> None:
        self.lines.append(text)

    warn = say


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    listener = Listener()
    monkeypatch.setattr(progress, "_reporter", listener)
    return listener.lines


def run_of(folder: Path, **more: Any) -> Run:
    return Run.of(validate(Recipe, values(folder, **more)))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Result:
    """A run from start to end; tests that change it take a copy."""
    return distill(run_of(tmp_path_factory.mktemp("whole"), method=METHODS))


@pytest.fixture
def copied(whole: Result, tmp_path: Path) -> Path:
    """A folder with a copy of the run, its store and its data."""
    shutil.copytree(whole.folder.parent.parent, tmp_path / "copy")
    return tmp_path / "copy"


def again(folder: Path, **more: Any) -> Run:
    """The copied run with other settings; its data are the first one's, whose paths ids do not hold."""
    recipe = load(folder / "runs/toy/recipe.yaml")
    return Run.of(validate(Recipe, {**recipe.model_dump(), "out": str(folder / "runs"), **more}))


def made(folder: Path) -> dict[str, int]:
    """When each step's folder was finished."""
    finished = (folder / "runs/toy").rglob("done.json")
    return {
        path.parent.relative_to(folder / "runs/toy").as_posix(): path.stat().st_mtime_ns for path in finished
    }


def changed(before: dict[str, int], folder: Path) -> set[str]:
    return {name for name, time in made(folder).items() if before.get(name) != time}


# A whole run.


def test_a_run_is_made_and_judged(whole: Result) -> None:
    rows = {row["name"]: row for row in whole.rows}
    assert [*rows] == ["teacher", "gold", "sequence_level", "sequence_interpolation", "born_again"]
    assert rows["gold"]["role"] == "control"
    assert rows["teacher"]["bleu"] > 50
    assert all(0 <= row["bleu"] <= 100 and row["bytes"] > 10_000 for row in rows.values())
    # Ten passes over five hundred words teach the map from word to word, well above chance.
    assert max(row["bleu"] for row in rows.values() if row["role"] == "student") > 10
    predicted = pq.read_table(whole.folder / "evaluation/predictions.parquet")
    assert len(predicted) == 40
    assert predicted.num_columns == 4 + 5 + 5
    text = predicted["text"][0].as_py()
    assert predicted["references"][0].as_py() == [translated(text)]
    bundle = open_bundle(whole.bundle, "fp32", threads=1)
    assert isinstance(bundle, TranslatorBundle)
    assert set(bundle.translate(["ba be di"])[0].split()) <= set(TARGET)
    card = json.loads((whole.bundle / "bundle.json").read_text())
    assert "autoregressive, from scratch" in json.dumps(card)


def test_what_the_teacher_says_is_what_students_learn(whole: Result) -> None:
    prepared = TransferSet.load(whole.folder / "prepared", "train")
    for name in ("sequence_level/sequence_level", "born_again/generation_1", "born_again/born_again"):
        text = TransferSet.load(whole.folder / "distilled" / name, TEXT)
        assert set(text.ids) <= set(prepared.ids)
        assert len(text) > 0.9 * len(prepared)
        assert all(len(example.targets) == 1 for example in text)
        right = [example.targets[0] == translated(example.text) for example in text]
        assert np.mean(right) > 0.3
    nearest, best = (
        TransferSet.load(whole.folder / "distilled" / name / name, TEXT)
        for name in ("sequence_interpolation", "sequence_level")
    )
    chosen, likeliest = (
        np.mean([example.targets[0] == translated(example.text) for example in text])
        for text in (nearest, best)
    )
    assert chosen > likeliest


@pytest.mark.skipif(not is_installed(), reason="eflomal is not installed")
def test_distilled_texts_are_measured_and_shown(whole: Result) -> None:
    found = {
        path.parent.relative_to(whole.folder / "distilled").as_posix(): json.loads(path.read_text())
        for path in whole.folder.rglob("measures.json")
    }
    assert set(found) == {
        "sequence_level/sequence_level",
        "sequence_interpolation/sequence_interpolation",
        "born_again/generation_1",
        "born_again/born_again",
    }
    assert len({json.dumps(one["real"]) for one in found.values()}) == 1  # aligned once
    assert all(one["against"]["bleu"] > 30 for one in found.values())
    page = whole.page.read_text()
    assert "What the text became" in page
    assert "born_again" in page


def test_a_second_call_does_nothing(copied: Path, told: list[str]) -> None:
    run, before = again(copied), made(copied)
    assert all(step.done for step in plan(run).steps if step.step in ("prepare", "teach", "ask", "train"))
    told.clear()
    distill(again(copied))
    assert changed(before, copied) == set()
    skipped = [line for line in told if "skipped" in line]
    assert len(skipped) >= 11
    assert not any("aligning" in line for line in told)


def test_a_run_folder_can_be_moved_and_opened(copied: Path, told: list[str]) -> None:
    run = Run.open(copied / "runs/toy")
    check(run)
    assert run.evaluation["summary"]
    steps.evaluate(run)
    assert told[-1].startswith("evaluate") and told[-1].endswith("skipped")


# What is done again.


def up_to_students(run: Run) -> None:
    for step in (steps.prepare, steps.teach, steps.ask, steps.train):
        step(run)


def test_another_beam_makes_that_text_anew_and_its_student(copied: Path) -> None:
    before = made(copied)
    other = {"name": "sequence_level", "decoding": {**BEAM, "beams": 3}}
    up_to_students(again(copied, method=[other, *METHODS[1:]]))
    assert changed(before, copied) == {
        "distilled/sequence_level/sequence_level",
        "students/sequence_level/seed-1",
    }


def test_another_seed_trains_that_seed_alone(copied: Path) -> None:
    before = made(copied)
    up_to_students(again(copied, method=METHODS[:1], seeds=[1, 2]))
    assert changed(before, copied) == {"students/sequence_level/seed-2", "students/gold/seed-2"}


def test_how_successors_are_taught_changes_their_own_chain_alone(copied: Path) -> None:
    before = made(copied)
    run = again(copied, method=[*METHODS[:2], {**METHODS[2], "epochs": 2}])
    steps.train(run)  # without 'ask': nobody hears the old successor
    assert changed(before, copied) == {
        "successors/born_again/generation_1",
        "distilled/born_again/born_again",
        "students/born_again/seed-1",
    }
    trained = json.loads((copied / "runs/toy/successors/born_again/generation_1/trained.json").read_text())
    assert trained["epochs"] <= 2


def test_another_decoding_is_the_bundles_too(copied: Path) -> None:
    run = again(copied, evaluate={"measures": False, "decoding": {"beams": 1, "max_length": 5}})
    steps.export(run)
    card = json.loads((run.bundle_folder.path / "bundle.json").read_text())
    assert (card["decoding"]["beams"], card["decoding"]["max_length"]) == (1, 5)


def test_what_changes_no_weights_makes_nothing_anew(copied: Path) -> None:
    before = made(copied)
    teacher = again(copied).recipe.teacher.model_dump()
    teacher["fine_tune"] |= {"checkpoint_seconds": 7.0}
    up_to_students(again(copied, teacher=teacher, evaluate={"measures": False}))
    assert changed(before, copied) == set()


def test_long_sentences_take_longer_to_align_and_many_sentences_fewer_rounds() -> None:
    def of(pairs: int, length: int) -> TransferSet:
        words = " ".join(["word"] * length)
        return TransferSet(tuple(Example(str(n), words, targets=(words,)) for n in range(pairs)), ())

    assert seconds_to_align(of(100, 6)) == pytest.approx(4 * seconds_to_align(of(100, 3)))
    assert seconds_to_align(of(400, 3)) == pytest.approx(2 * seconds_to_align(of(100, 3)))
    assert seconds_to_align(TransferSet((), ())) == 0


# Next tokens.


def words_alone(folder: Path, **more: Any) -> Run:
    """Word-level distillation of a student that writes one token after the other."""
    student = {"kind": "autoregressive", **SIZE, "max_length": 16}
    train = {"epochs": 1, "learning_rate": 0.005, "tokens_per_batch": 128, "evaluate": 1}
    return again(folder, student=student, train=train, control=False, **more)


def test_stored_next_tokens_teach_as_the_teacher_itself_does(
    copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = [
        {"name": "word_level", "gold_weight": 0.25},
        {"name": "sequence_level", "label": "both", "decoding": BEAM, "word_level": 0.5},
    ]
    planned = plan(words_alone(copied, method=both))
    counted = [step for step in planned.steps if "next tokens" in step.what]
    assert [step.what.split(":")[0] for step in counted] == ["word_level", "both"]
    assert all(step.seconds > 0 and not step.done for step in counted)
    up_to_students(words_alone(copied, method=both))
    asked = [step for step in plan(words_alone(copied, method=both)).steps if "next tokens" in step.what]
    assert all(step.done for step in asked)
    stored = {
        name: load_file(copied / f"runs/toy/students/{name}/seed-1/model.safetensors")
        for name in ("word_level", "both")
    }

    def live(teacher: Any, examples: Any, needs: Any, store: Any) -> LiveAnswers:
        return LiveAnswers(teacher, {example.id: example for example in examples}, needs)

    shutil.rmtree(copied / "runs/toy/students")
    monkeypatch.setattr("limbeck.pipeline.translation.ask", live)
    steps.train(words_alone(copied, method=both))
    for name, before in stored.items():
        after = load_file(copied / f"runs/toy/students/{name}/seed-1/model.safetensors")
        for key, tensor in before.items():
            # No softmax sees a bias of keys: its gradients are rounding, which Adam enlarges.
            if not key.endswith("k_proj.bias"):
                torch.testing.assert_close(after[key], tensor, rtol=1e-3, atol=1e-3)


# Parts of a text.


def test_machines_that_share_a_store_decode_parts(copied: Path, told: list[str]) -> None:
    shutil.rmtree(copied / "runs/store")
    shutil.rmtree(copied / "runs/toy/distilled")
    run = again(copied, method=METHODS[:1])
    texts = run.transfer_set.examples
    steps.ask(run, (1, 2))
    left = count_undecoded(run.teacher, texts, Decoding(**BEAM), run.store)
    assert 0.3 * len(texts) < left < 0.7 * len(texts)
    assert not (copied / "runs/toy/distilled").exists()
    steps.ask(again(copied, method=METHODS[:1]), (2, 2))
    told.clear()
    steps.ask(again(copied, method=METHODS[:1]))
    assert [line for line in told if "to translate" in line] == [
        f"ask       {len(texts):,} translations stored, 0 texts to translate",
        "ask       40 translations stored, 0 texts to translate",
    ]


# Other data, other teachers.


def lines(plan: Plan, step: str) -> list[str]:
    return [each.what for each in plan.steps if each.step == step]


def test_several_languages_texts_without_gold_and_an_ensemble(tmp_path: Path) -> None:
    pytest.importorskip("sentencepiece", reason="an extra: pip install 'limbeck[translation]'")
    sources = [{**write(tmp_path, 200), "language": "xx"}]
    other = [said(one, SOURCE) for one in sentences(60, seed=5)]
    (tmp_path / "other.tsv").write_text(
        "text\ttarget\tmore\n" + "".join(f"{t}\t{translated(t).upper()}\t{translated(t)}\n" for t in other)
    )
    sources.append({"path": str(tmp_path / "other.tsv"), "target": ["target", "more"], "language": "yy"})
    (tmp_path / "plain.txt").write_text("".join(said(one, SOURCE) + "\n" for one in sentences(90, seed=6)))
    run = run_of(
        tmp_path,
        data={
            "train": sources,
            "unlabelled": str(tmp_path / "plain.txt"),
            "dev": 20,
            "test": 20,
            "labelled": 150,
            "vocabulary": {"size": 330, "joint": False, "model": "unigram"},
        },
        teacher={
            "scratch": {"kind": "autoregressive", **SIZE},
            "members": 2,
            "fine_tune": {"epochs": 4, "tokens_per_batch": 128, "learning_rate": 0.01, "evaluate": 1},
            "max_length": 16,
        },
        method=[{"name": "sequence_level", "decoding": GREEDY, "gold": 0.5}, METHODS[1]],
        control=False,
    )
    planned = plan(run)
    assert "150 pairs" in lines(planned, "prepare")[0]
    assert "2 times" in lines(planned, "teach")[0]
    result = distill(run)
    text = TransferSet.load(result.folder / "distilled/sequence_level/sequence_level", TEXT)
    gold = {example.id: example for example in run.prepared.train.labelled}
    assert len(gold) == 150 < len(text) <= len(run.prepared.train)
    kept = [example.targets[0] == gold[example.id].targets[0] for example in text if example.id in gold]
    assert np.mean(kept) > 0.35
    nearest = TransferSet.load(
        result.folder / "distilled/sequence_interpolation/sequence_interpolation", TEXT
    )
    assert set(nearest.ids) <= set(gold)
    assert sorted(path.name for path in (result.folder / "teacher").glob("member-*")) == [
        "member-1",
        "member-2",
    ]
    costs = result.evaluation["cost"]
    (ensemble,) = [cost for cost in costs if cost["name"] == "teacher"]
    assert ensemble["engine"] == "pytorch"
    member = (result.folder / "teacher/member-1/model.safetensors").stat().st_size
    assert ensemble["bytes"] > 1.8 * member
    assert {row["name"] for row in result.rows} == {"teacher", "sequence_level", "sequence_interpolation"}


def test_a_model_of_transformers_teaches_as_it_is_and_trained_on(whole: Result, tmp_path: Path) -> None:
    marian = {"model": str(whole.folder / "teacher"), "max_length": 16}
    run = run_of(tmp_path, teacher=marian, method=METHODS[:1], control=False)
    assert "taken as it is" in lines(plan(run), "teach")[0]
    up_to_students(run)
    text = TransferSet.load(tmp_path / "runs/toy/distilled/sequence_level/sequence_level", TEXT)
    assert np.mean([example.targets[0] == translated(example.text) for example in text]) > 0.3
    more = {**marian, "fine_tune": {"epochs": 1, "learning_rate": 1e-3, "tokens_per_batch": 128}}
    other = run_of(tmp_path, name="more", teacher=more, method=METHODS[:1], control=False)
    steps.prepare(other)
    check_student(other)
    steps.teach(other)
    before, after = (
        load_file(folder / "teacher/model.safetensors") for folder in (whole.folder, other.folder)
    )
    assert before.keys() == after.keys()
    assert any(not torch.equal(before[name], after[name]) for name in before)


def test_a_teacher_with_pieces_of_its_own_is_scored_by_what_it_writes(whole: Result, tmp_path: Path) -> None:
    barely = {"epochs": 1, "learning_rate": 1e-9, "tokens_per_batch": 512, "evaluate": 1}
    marian = {"model": str(whole.folder / "teacher"), "max_length": 16, "fine_tune": barely}
    data = {"train": write(tmp_path), "dev": 30, "test": 40, "vocabulary": {"size": 330, "joint": False}}
    run = run_of(tmp_path, data=data, teacher=marian, method=METHODS[:1], control=False)
    steps.prepare(run)
    assert run.tokeniser.fingerprint != run.teacher_tokeniser.fingerprint
    steps.teach(run)
    trained = json.loads((run.folder / "teacher" / "trained.json").read_text())
    assert trained["dev_score"] > 30


def test_a_prefix_stands_before_each_text_in_training_and_in_asking(whole: Result, tmp_path: Path) -> None:
    folder, subwords = tmp_path / "t5", Subwords.load(whole.folder / "prepared/vocabulary")
    torch.manual_seed(0)
    size = {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 2}
    ids = {"pad_token_id": 0, "eos_token_id": 2, "decoder_start_token_id": 0}
    T5ForConditionalGeneration(T5Config(vocab_size=len(subwords.target), **size, **ids)).save_pretrained(
        folder
    )
    subwords.save_pretrained(folder)
    fine_tune = {"epochs": 1, "learning_rate": 0.01, "tokens_per_batch": 128, "evaluate": 1}
    teacher = {"model": str(folder), "prefix": "do do:", "fine_tune": fine_tune, "max_length": 20}
    run = run_of(tmp_path, teacher=teacher)
    steps.prepare(run)
    steps.teach(run)
    example = run.prepared.train.examples[0]
    read = run.as_teacher_reads([example])
    assert run.teacher_tokeniser.decode(read.tokens.tolist()).startswith("do do:")
    assert run.teacher.encode([example]).tokens.tolist() == read.tokens.tolist()
    bare = run_of(tmp_path, teacher={**teacher, "prefix": ""})
    with pytest.raises(LimbeckError, match=r"teacher: made from other data or settings"):
        steps.ask(bare)


@pytest.mark.parametrize(
    ("kind", "key"),
    [(MBart50Tokenizer, "forced_bos_token_id"), (MBartTokenizer, "decoder_start_token_id")],
)
def test_a_teacher_for_many_languages_that_is_trained_on_keeps_to_the_one(
    tmp_path: Path, kind: type, key: str
) -> None:
    words = [(f"▁{word}", -2.0) for word in SOURCE + TARGET]
    tokeniser = kind(vocab=[("<unk>", 0.0), ("<s>", 0.0), ("</s>", 0.0), ("▁", -3.0), *words])
    tokeniser.save_pretrained(tmp_path / "mbart")
    torch.manual_seed(0)
    sides = ("encoder", "decoder")
    size = {f"{side}_{key}": value for side in sides for key, value in (("layers", 1), ("ffn_dim", 64))}
    size |= {f"{side}_attention_heads": 2 for side in sides} | {"d_model": 32, "max_position_embeddings": 32}
    ids = {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2, "decoder_start_token_id": 2}
    config = MBartConfig(vocab_size=len(tokeniser), dropout=0.0, **size, **ids)
    MBartForConditionalGeneration(config).save_pretrained(tmp_path / "mbart")
    fine_tune = {"epochs": 6, "learning_rate": 0.005, "tokens_per_batch": 64, "evaluate": 2, "average": 2}
    teacher = {
        "model": str(tmp_path / "mbart"),
        "languages": ["en_XX", "de_DE"],
        "max_length": 16,
        "fine_tune": fine_tune,
    }
    run = run_of(tmp_path, teacher=teacher, method=METHODS[:1], control=False)
    for step in (steps.prepare, steps.teach, steps.ask):
        step(run)
    told = json.loads((run.folder / "teacher" / "generation_config.json").read_text())
    assert told[key] == tokeniser.convert_tokens_to_ids("de_DE")
    text = TransferSet.load(run.folder / "distilled/sequence_level/sequence_level", TEXT)
    assert {word for example in text for word in example.targets[0].split()} <= set(TARGET)
    assert len(text) > 200


def test_another_engine_makes_texts_anew_and_no_teacher(copied: Path) -> None:
    pytest.importorskip("ctranslate2")
    before = made(copied)
    teacher = again(copied).recipe.teacher.model_dump() | {"engine": "ctranslate2"}
    run = again(copied, teacher=teacher, method=METHODS[:1])
    drawn = [{"name": "sequence_level", "decoding": {"search": "sampling", "max_length": 8}}]
    with pytest.raises(LimbeckError, match="Sample with the engine .pytorch."):
        plan(again(copied, teacher=teacher, method=drawn))
    up_to_students(run)
    assert changed(before, copied) == {
        "distilled/sequence_level/sequence_level",
        "students/sequence_level/seed-1",
    }
    text = TransferSet.load(copied / "runs/toy/distilled/sequence_level/sequence_level", TEXT)
    assert np.mean([example.targets[0] == translated(example.text) for example in text]) > 0.3


def test_rewritten_texts_are_translated_by_the_teacher(tmp_path: Path) -> None:
    rewriter = {"name": "ngrams", "copies": 3}
    folder = distill(run_of(tmp_path, rewrite=[rewriter], method=METHODS[:1], control=False)).folder
    run = Run.open(folder)
    made = run.transfer_set.examples[len(run.prepared.train) :]
    assert made and not any(one.targets for one in made)
    told = json.loads((folder / "evaluation" / "transfer_text.json").read_text())["kinds"]
    assert [kind["name"] for kind in told] == ["gold", "ngrams"]
    assert "Transfer text" in (folder / "report.html").read_text()


def test_importance_weighted_students_stand_beside_a_teacher_that_beams(tmp_path: Path) -> None:
    """In PyTorch students draw; teacher and bundle search as they can."""
    search = {**BEAM, "search": "importance", "latents": 2, "samples": 2}
    shape = {"kind": "flowseq", **SIZE, "max_length": 16}
    made = distill(
        run_of(tmp_path, student=shape, control=False, evaluate={"latency_sentences": 2, "decoding": search})
    )
    run = Run.open(made.folder)
    assert (run.students_search.search, run.teachers_search.search) == ("importance", "beam")
    (faults,) = (one for one in made.evaluation["faults"] if one["name"] == "sequence_level")
    assert faults["passes"] == 2 * (1 + 2)
    assert json.loads((made.bundle / "bundle.json").read_text())["decoding"]["search"] == "beam"


def test_a_teachers_label_smoothing_is_the_recipes() -> None:
    assert TASKS["translation"].gold(FineTune(label_smoothing=0.3)).label_smoothing == 0.3
    assert TASKS["translation"].gold(FineTune()).label_smoothing == 0.1
