"""Every method for translators keeps the rules of the house, with a real translator, tested on arrival."""

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from transformers import PreTrainedModel

from limbeck import methods, models
from limbeck.core.decoding import Decoding
from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.method import Stage
from limbeck.core.objective import Batch, Loss, Objective
from limbeck.core.recipe import Training
from limbeck.core.signals import Signals
from limbeck.core.sources import Vocabulary
from limbeck.models.outputs import say
from limbeck.models.translators import flowseq, vanilla
from limbeck.models.translators.flows import FromZero
from limbeck.models.translators.next_tokens import next_tokens
from limbeck.models.translators.translator import ParallelTranslator
from limbeck.text.encode import Encoded, collate
from limbeck.text.subwords import Subwords
from limbeck.text.tokeniser import word_tokeniser
from limbeck.train import loop
from tiny_translation import Heard, make_pairs, make_translator

GUESSES = frozenset({"guesses"})
PAIRS = make_pairs(6, seed=1)


def of_translators(name: str) -> bool:
    return all(stage.objective.reads == GUESSES for stage in methods.get(name).tiny.stages())


@pytest.fixture(params=filter(of_translators, methods.names()))
def stages(request: pytest.FixtureRequest) -> tuple[Stage, ...]:
    return methods.get(str(request.param)).tiny.stages()


@pytest.fixture(params=["autoregressive", "vanilla", "flowseq"])
def student(request: pytest.FixtureRequest, stages: tuple[Stage, ...]) -> PreTrainedModel:
    """One that writes a token at a time, and one that writes all at once, which hears no next tokens."""
    if request.param == "autoregressive":
        return make_translator()
    if any(stage.objective.needs for stage in stages):
        pytest.skip("of autoregressive students")
    examples = [Example("1", "ein Hund", targets=("a dog",))]
    subwords = Subwords.learn(examples, Vocabulary(size=301))
    settings = {"vanilla": vanilla.tiny, "flowseq": flowseq.tiny}[request.param]()
    made = models.build(
        request.param,
        settings,
        labels=(),
        tokeniser=subwords,
        teacher=None,
        seed=1,
        task="translation",
    )
    if request.param == "flowseq":  # layers that start from zero keep gradients from what is before them
        with torch.no_grad():
            for layer in filter(lambda one: isinstance(one, FromZero), made.modules()):
                layer.weight.normal_(std=0.05, generator=torch.Generator().manual_seed(2))
    return made.eval()


def batch(*rows: int, of: Encoded = PAIRS) -> Batch:
    return collate(of, np.array(rows))


def said(teacher: PreTrainedModel, some: Batch, top_k: int) -> Signals:
    with torch.no_grad():
        return Signals(next_tokens=next_tokens(teacher, some.inputs, top_k))


def taught(objective: Objective, student: nn.Module, some: Batch) -> Loss:
    """The loss of a batch, beside a teacher that is asked where one is needed."""
    heard = said(make_translator(seed=2), some, top_k=4) if objective.needs else Signals()
    # At the end of the training, when all terms have their whole weight.
    loss: Loss = objective(say(student, some.inputs, objective.reads), heard, replace(some, done=1.0))
    return loss


def gradients(loss: torch.Tensor, student: nn.Module) -> list[torch.Tensor]:
    trained = [parameter for parameter in student.parameters() if parameter.requires_grad]
    return list(torch.autograd.grad(loss, trained))


def test_the_walk_finds_them() -> None:
    found = set(filter(of_translators, methods.names()))
    assert found >= {
        "translation_gold",
        "word_level",
        "sequence_level",
        "sequence_interpolation",
        "born_again",
        "random_selection",
    }


def test_accumulation_changes_no_gradient_and_padding_nothing(
    stages: tuple[Stage, ...], student: PreTrainedModel
) -> None:
    """Rows one by one, without padding, add up to the batch."""
    for stage in stages:
        whole = taught(stage.objective, student, batch(*range(6)))
        alone = [taught(stage.objective, student, batch(row)) for row in range(6)]
        assert PAIRS.targets is not None
        ends = len(PAIRS) if isinstance(student, ParallelTranslator) else 0  # it guesses the length instead
        assert whole.count == sum(one.count for one in alone) == len(PAIRS.targets.tokens) - ends
        for name, part in whole.parts.items():
            torch.testing.assert_close(part, torch.stack([one.parts[name] for one in alone]).sum())
        together = gradients(whole.total, student)
        added = [sum(parts) for parts in zip(*(gradients(one.total, student) for one in alone), strict=True)]
        for one, other in zip(together, added, strict=True):
            torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


def test_more_padding_changes_nothing(stages: tuple[Stage, ...], student: PreTrainedModel) -> None:
    plain = batch(0, 1)
    wider = {
        name: nn.functional.pad(values, (0, 3), value=-100 if name == "labels" else 0)
        for name, values in plain.inputs.items()
    }
    for stage in stages:
        loss = taught(stage.objective, student, plain)
        padded = taught(stage.objective, student, replace(plain, inputs=wider))
        assert loss.count == padded.count
        torch.testing.assert_close(loss.total, padded.total)


def test_every_parameter_learns(stages: tuple[Stage, ...], student: PreTrainedModel) -> None:
    for stage in stages:
        found = gradients(taught(stage.objective, student, batch(*range(6))).total, student)
        assert all(one.isfinite().all() for one in found)
        # The bias of keys has none: it adds the same to all scores of a query.
        named = dict(zip((n for n, p in student.named_parameters() if p.requires_grad), found, strict=True))
        idle = {name for name, one in named.items() if float(one.abs().max()) < 1e-6}
        assert all(name.endswith("k_proj.bias") for name in idle), idle


@pytest.mark.parametrize("top_k", [1, 4, 24])
@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_word_level_has_no_gradient_where_student_equals_teacher(top_k: int, temperature: float) -> None:
    (stage,) = methods.get("word_level").stages(
        {"gold_weight": 0, "top_k": top_k, "temperature": temperature}
    )
    student, some = make_translator(), batch(*range(6))
    heard = said(make_translator(), some, top_k)
    loss = stage.objective(say(student, some.inputs, GUESSES), heard, some)
    assert float(loss.total.detach()) == pytest.approx(0, abs=1e-5)
    assert max(float(one.abs().max()) for one in gradients(loss.total, student)) < 1e-4
    other = stage.objective(say(make_translator(5), some.inputs, GUESSES), heard, some)
    assert float(other.total.detach()) > 1


def test_tiny_settings_train_in_seconds(
    stages: tuple[Stage, ...], student: PreTrainedModel, tmp_path: Path
) -> None:
    data, dev = make_pairs(40, seed=1), make_pairs(8, seed=2)
    settings = Training(epochs=1, tokens_per_batch=64, evaluate=1, metric="bleu", schedule="inverse_sqrt")
    started = time.monotonic()
    for stage in stages:
        answers = Heard(make_translator(2), data, 4) if stage.objective.needs else None
        trained = loop.train(
            student,
            word_tokeniser([str(number) for number in range(20)]),
            stage.objective,
            data,
            answers,
            dev,
            settings,
            tmp_path / stage.name,
            1,
            score=lambda gold, said: {"bleu": float(len(said))},
            stage=stage.name,
        )
        assert trained.dev_score == len(dev)
    assert time.monotonic() - started < 30


# ------------------------------------------------------------ what each of them asks for


def test_who_reads_what() -> None:
    (gold,) = methods.get("translation_gold").stages({})
    (words,) = methods.get("word_level").stages({"top_k": 3})
    (sequences,) = methods.get("sequence_level").stages({"gold": 0.2, "decoding": {"beams": 3}})
    assert (gold.hears, gold.distilled, gold.objective.needs) == ("labelled", None, frozenset())
    assert (words.hears, words.objective.needs, words.objective.top_k) == ("labelled", {"next_tokens"}, 3)
    assert (sequences.hears, sequences.objective.needs) == ("all", frozenset())
    assert sequences.distilled is not None
    assert (sequences.distilled.gold, sequences.distilled.decoding.beams) == (0.2, 3)
    (both,) = methods.get("sequence_level").stages({"word_level": 0.5})
    assert both.objective.needs == {"next_tokens"}


def test_random_selection_asks_for_gold_alone() -> None:
    (stage,) = methods.get("random_selection").stages({"label_smoothing": 0.2})
    assert stage.distilled is not None
    assert (stage.distilled.by, stage.distilled.decoding, stage.hears) == ("gold", None, "labelled")
    assert stage.objective.needs == frozenset()


def test_interpolation_keeps_all_beams_to_choose_from() -> None:
    (stage,) = methods.get("sequence_interpolation").stages({"decoding": {"beams": 7}})
    assert stage.distilled is not None and stage.distilled.nearest
    assert stage.distilled.decoding == Decoding(beams=7, keep=7)
    (drawn,) = methods.get("sequence_interpolation").stages({"decoding": {"search": "sampling", "keep": 3}})
    assert drawn.distilled is not None and drawn.distilled.decoding.keep == 3
    for decoding in ({"search": "greedy"}, {"beams": 1}, {"search": "sampling"}):
        with pytest.raises(LimbeckError, match="leaves nothing to choose from"):
            methods.get("sequence_interpolation").settings({"decoding": decoding})


def test_born_again_passes_on_from_one_to_the_next() -> None:
    stages = methods.get("born_again").stages({"generations": 3, "epochs": 2})
    assert [stage.name for stage in stages] == ["generation_1", "generation_2", "generation_3", "born_again"]
    assert [stage.trains for stage in stages] == ["successor"] * 3 + ["student"]
    assert [stage.distilled and stage.distilled.by for stage in stages] == ["teacher"] + ["previous"] * 3
    assert [stage.epochs for stage in stages] == [2, 2, 2, None]
