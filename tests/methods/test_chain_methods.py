"""The four methods for chains: equal to sums over every path, and mixed with gold as their schedule says."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from limbeck import methods
from limbeck.core.objective import NO_GOLD, Batch, Loss, Objective
from limbeck.core.signals import Signals
from limbeck.losses.chain import in_common
from limbeck.structure import chain as chains
from limbeck.structure.chain import Chain

NAMES = ("chain_kbest", "chain_posterior", "chain_structural", "chain_substructure")
LENGTHS = (4, 1, 3)
TAGS = 3


def chain(seed: int, lengths: tuple[int, ...] = LENGTHS) -> Chain:
    generator = torch.Generator().manual_seed(seed)
    shapes = ((len(lengths), max(lengths), TAGS), (TAGS, TAGS), (TAGS,), (TAGS,))
    emissions, transitions, start, end = (
        torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes
    )
    return Chain(emissions, transitions, torch.tensor(lengths), start, end)


def batch(gold: Tensor, done: float = 0.0, last_epoch: bool = False) -> Batch:
    return Batch(tuple(map(str, range(len(gold)))), {}, gold, done, last_epoch)


GOLD = torch.tensor([[0, 1, 2, 0], [1, NO_GOLD, NO_GOLD, NO_GOLD], [2, 2, 1, NO_GOLD]])


def objective(name: str, **settings: object) -> Objective:
    (stage,) = methods.get(name).stages(settings)
    return stage.objective


def loss(name: str, student: Chain, teacher: Chain, gold: Tensor = GOLD, **settings: object) -> Loss:
    found: Loss = objective(name, schedule="constant", **settings)(
        Signals(potentials=student), Signals(potentials=teacher), batch(gold)
    )
    return found


def distribution(of: Chain, sentence: int) -> tuple[list[tuple[int, ...]], Tensor]:
    """Every path of a sentence and its probability, by enumeration."""
    n = int(of.lengths[sentence])
    paths = list(itertools.product(range(TAGS), repeat=n))
    tags = torch.tensor(paths).view(len(paths), n)
    one = Chain(of.emissions[sentence, :n].expand(len(paths), -1, -1), of.transitions,
                torch.full((len(paths),), n), of.start, of.end)  # fmt: skip
    return paths, chains.log_score(one, tags).softmax(0)


def test_k_best_is_the_cross_entropy_on_the_best_paths() -> None:
    student, teacher, wanted = chain(1), chain(2), 0.0
    for s in range(len(LENGTHS)):
        p, q = distribution(teacher, s)[1], distribution(student, s)[1]
        best = p.topk(3).indices
        wanted += float(-(p[best] / p[best].sum() * q[best].log()).sum())
    assert float(loss("chain_kbest", student, teacher, k=3).parts["k_best"]) == pytest.approx(wanted)


def test_structural_is_the_cross_entropy_on_every_path() -> None:
    student, teacher = chain(1), chain(2)
    wanted = sum(
        float(-(distribution(teacher, s)[1] * distribution(student, s)[1].log()).sum())
        for s in range(len(LENGTHS))
    )
    assert float(loss("chain_structural", student, teacher).parts["structural"]) == pytest.approx(wanted)


def test_posterior_is_the_divergence_between_the_tags_of_words() -> None:
    student, teacher, wanted = chain(1), chain(2), 0.0
    for s, n in enumerate(LENGTHS):
        posteriors = []
        for one in (teacher, student):
            paths, p = distribution(one, s)
            posterior = torch.zeros(n, TAGS, dtype=torch.float64)
            for path, share in zip(paths, p, strict=True):
                for word, tag in enumerate(path):
                    posterior[word, tag] += share
            posteriors.append(posterior)
        wanted += float((posteriors[0] * (posteriors[0] / posteriors[1]).log()).sum())
    assert float(loss("chain_posterior", student, teacher).parts["posterior"]) == pytest.approx(wanted)


def test_substructure_is_the_mean_over_pairs_of_tags() -> None:
    student, teacher, wanted = chain(1), chain(2), 0.0
    for s, n in enumerate(LENGTHS):
        scores = []
        for one in (student.folded(), teacher.folded()):
            first = one.emissions[s, 0]
            pairs = one.transitions[None] + one.emissions[s, 1:n, None, :]
            scores.append(torch.cat([first, pairs.flatten()]))
        wanted += float((scores[0] - scores[1]).square().mean())
    assert float(loss("chain_substructure", student, teacher).parts["substructure"]) == pytest.approx(wanted)


@pytest.mark.parametrize("name", NAMES)
def test_a_student_equal_to_its_teacher_has_nothing_to_learn(name: str) -> None:
    if name == "chain_kbest":
        pytest.skip("the best paths are not the whole distribution")
    teacher = chain(2)
    student = Chain(teacher.emissions.clone().requires_grad_(), *(
        part.clone() for part in (teacher.transitions, teacher.lengths, teacher.start, teacher.end)  # type: ignore[union-attr]
    ))  # fmt: skip
    loss(name, student, teacher).total.backward()
    assert student.emissions.grad is not None
    assert float(student.emissions.grad.abs().max()) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_halves_add_up_to_the_whole_and_padding_changes_nothing(name: str) -> None:
    student, teacher = chain(1), chain(2)
    whole = loss(name, student, teacher, weight=0.6)

    def part(one: Chain, rows: slice, words: int) -> Chain:
        return Chain(one.emissions[rows, :words], one.transitions, one.lengths[rows], one.start, one.end)

    halves = [
        loss(name, part(student, rows, words), part(teacher, rows, words), GOLD[rows, :words], weight=0.6)
        for rows, words in ((slice(0, 1), 4), (slice(1, 3), 3))
    ]
    assert whole.count == sum(half.count for half in halves)
    torch.testing.assert_close(whole.total, halves[0].total + halves[1].total)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_flow_to_the_student_alone(name: str) -> None:
    student, teacher = chain(1), chain(2)
    parts = [
        part.requires_grad_() for part in (student.emissions, student.transitions, student.start, student.end)
    ]  # type: ignore[union-attr]
    theirs = teacher.emissions.requires_grad_()
    loss(name, student, teacher).total.backward()
    assert all(part.grad is not None and float(part.grad.abs().sum()) > 0 for part in parts)
    assert theirs.grad is None


@pytest.mark.parametrize(
    ("schedule", "done", "last", "share"),
    [("constant", 0.9, True, 0.8), ("linear", 0.0, False, 0.8), ("linear", 0.75, False, 0.2),
     ("until_last_epoch", 0.5, False, 0.8), ("until_last_epoch", 0.9, True, 0.0)],
)  # fmt: skip
def test_the_schedule_mixes_the_teacher_with_gold(
    schedule: str, done: float, last: bool, share: float
) -> None:
    student, teacher = chain(1), chain(2)
    mixed = objective("chain_structural", schedule=schedule, weight=0.8)(
        Signals(potentials=student), Signals(potentials=teacher), batch(GOLD, done, last)
    )
    taught = chains.cross_entropy(teacher, student).sum()
    gold = chains.negative_log_likelihood(student, GOLD.clamp(min=0)).sum()
    torch.testing.assert_close(mixed.parts["structural"], share * taught)
    torch.testing.assert_close(mixed.parts["gold"], (1 - share) * gold)


def test_a_sentence_without_gold_is_taught_by_the_teacher_alone() -> None:
    student, teacher = chain(1), chain(2)
    hidden = GOLD.clone()
    hidden[0] = NO_GOLD
    hidden[2, 1] = NO_GOLD  # a tag that the student does not know
    mixed = loss("chain_structural", student, teacher, hidden, weight=0.5)
    one = chains.negative_log_likelihood(student, GOLD.clamp(min=0))[1]
    torch.testing.assert_close(mixed.parts["gold"], 0.5 * one)


def test_a_sentence_that_one_of_them_read_shorter_is_compared_as_far_as_both_read() -> None:
    student, teacher = chain(1, (4, 2)), chain(2, (3, 2))
    cut, whole = in_common(student, teacher)
    assert cut.lengths.tolist() == whole.lengths.tolist() == [3, 2]
    for name in NAMES:
        assert torch.isfinite(loss(name, student, teacher, torch.zeros(2, 4, dtype=torch.long)).total)


def test_defaults_are_the_papers() -> None:
    assert methods.get("chain_kbest").settings({}).model_dump() == {
        "weight": 1.0,
        "schedule": "linear",
        "k": 3,
    }
    assert methods.get("chain_substructure").settings({}).model_dump()["schedule"] == "until_last_epoch"


def test_a_student_that_is_very_wrong_still_has_a_gradient() -> None:
    """Its posterior would be nought in float32; over one word it is the structural loss, but for the teacher's entropy."""
    found = {}
    for name in ("chain_posterior", "chain_structural"):
        emissions = torch.tensor([[[0.0, -95.0]]], requires_grad=True)
        student = Chain(emissions, torch.zeros(2, 2), torch.tensor([1]))
        teacher = Chain(torch.tensor([[[-30.0, 0.0]]]), torch.zeros(2, 2), torch.tensor([1]))
        total = loss(name, student, teacher, torch.full((1, 1), NO_GOLD)).total
        total.backward()
        found[name] = (float(total.detach()), emissions.grad[0, 0].tolist())
    assert found["chain_posterior"][0] == pytest.approx(95, rel=1e-6)
    assert found["chain_posterior"][1] == pytest.approx(found["chain_structural"][1], abs=1e-6)
