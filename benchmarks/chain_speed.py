"""Speed of the chain programs and of the losses on them: Limbeck against pytorch-crf, torch-struct and the obvious.

    python benchmarks/chain_speed.py          # two cores: about 5 minutes
    python benchmarks/chain_speed.py --full   # more rounds

Every program runs as its users call it, forwards and backwards where it is trained through, on the same random
scores and lengths; the contenders take turns of ten calls (after one that
does not count), round by round, and the median of the turns' means counts.
PyTorch may use all cores. What torch-struct reads, the tensor of all pairs of tags, is built within its time: no model
gives it. Each loss has a contender that computes the same value the obvious way: with torch-struct's distributions for
the exact ones, over the tensor of all pairs for sub-structures. Before anything is timed, values and gradients are
compared.

At 8 x 512 words and 50 tags torch-struct runs for likelihood, marginals and Viterbi only: its three best would take
more than 9 GB for one product, and its losses minutes.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

import command
from limbeck.core.errors import LimbeckError
from limbeck.losses import chain as losses
from limbeck.structure import chain as chains
from limbeck.structure.chain import Chain
from results_file import Aim, Row

SHAPES = ((32, 40, 9), (32, 40, 23), (32, 128, 9), (8, 512, 50))
"""Batch, words, tags."""
NLL = "negative log-likelihood"
K = 3
SECONDS = 2.0
"""Spent on a contender at one shape, at most, once it has had its least number of rounds."""
ROUNDS = (5, 30)
"""Least and most."""
TURN = 10
"""Calls in a turn of a contender, after one that does not count."""
LONG = 0.1
"""Seconds of a call from which it is a turn by itself."""
WARM = 0.5
"""Seconds for which a contender is called before its turns begin."""
FEW = 3
"""Rounds at least where a contender's call is long."""

BEYOND = {"3-best", "k-best loss", "posterior loss", "structural loss"}
"""What torch-struct is not asked for at 50 tags."""

Call = Callable[[], Any]


@dataclass(frozen=True)
class Case:
    """Random scores of a student and a teacher, lengths and gold."""

    batch: int
    words: int
    tags: int

    @cached_property
    def lengths(self) -> Tensor:
        """Half to all of the words; the first sentence has them all."""
        found = torch.randint(self.words // 2, self.words + 1, (self.batch,), generator=self._generator(0))
        found[0] = self.words
        return found

    @cached_property
    def mask(self) -> Tensor:
        return torch.arange(self.words) < self.lengths[:, None]

    @cached_property
    def gold(self) -> Tensor:
        return torch.randint(0, self.tags, (self.batch, self.words), generator=self._generator(1))

    @cached_property
    def student(self) -> tuple[Tensor, ...]:
        """Emissions, transitions, start and end, with gradients."""
        return tuple(part.requires_grad_() for part in self._scores(2))

    @cached_property
    def teacher(self) -> tuple[Tensor, ...]:
        return self._scores(3)

    def _scores(self, seed: int) -> tuple[Tensor, ...]:
        generator, tags = self._generator(seed), self.tags
        shapes = ((self.batch, self.words, tags), (tags, tags), (tags,), (tags,))
        return tuple(torch.randn(shape, generator=generator) for shape in shapes)

    def _generator(self, seed: int) -> torch.Generator:
        return torch.Generator().manual_seed(seed)

    def chain(self, scores: Sequence[Tensor]) -> Chain:
        """As Limbeck's users write it."""
        emissions, transitions, start, end = scores
        return Chain(emissions, transitions, self.lengths, start, end)

    def struct(self, scores: Sequence[Tensor]) -> Any:
        """As torch-struct's users write it; of a pair of tags the later comes first."""
        from torch_struct import LinearChainCRF

        LinearChainCRF.arg_constraints = {}  # else it warns
        emissions, transitions, start, end = scores
        ends = torch.arange(self.words) == self.lengths[:, None] - 1
        words = emissions + ends[..., None] * end
        first = torch.zeros_like(emissions[:, :1]) + emissions[:, :1] + start
        pairs = words[:, 1:, :, None] + transitions.T
        pairs = torch.cat([pairs[:, :1] + first[:, :, None, :], pairs[:, 1:]], dim=1)
        return LinearChainCRF(pairs, lengths=self.lengths)


class Obvious:
    """The losses written with torch-struct, or over the tensor of all pairs; each gives a sum over sentences."""

    def __init__(self, case: Case) -> None:
        self.case = case

    def likelihood(self) -> Tensor:
        """Negative log-likelihood of gold."""
        case = self.case
        chain = case.struct(case.student)
        gold = chain.struct.to_parts(case.gold, case.tags, lengths=case.lengths).type_as(case.student[0])
        return -chain.log_prob(gold).sum()

    def structural(self) -> Tensor:
        """Cross-entropy over all paths."""
        total: Tensor = (
            self.case.struct(self.case.teacher).cross_entropy(self.case.struct(self.case.student)).sum()
        )
        return total

    def posterior(self) -> Tensor:
        """Divergence between the posteriors of words' tags."""
        case = self.case
        target, own = (tokens(case.struct(scores).marginals, case) for scores in (case.teacher, case.student))
        tiny, target = torch.finfo(own.dtype).tiny, target.detach()
        return (target * (target.clamp_min(tiny).log() - own.clamp_min(tiny).log())).sum()

    def k_best(self) -> Tensor:
        """Cross-entropy on the best paths."""
        teacher, student = self.case.struct(self.case.teacher), self.case.struct(self.case.student)
        best = teacher.topk(K)  # (k, batch, words - 1, tags, tags)
        weights = torch.stack([teacher.log_prob(one) for one in best]).softmax(0).detach()
        return -torch.stack(
            [(w * student.log_prob(one)).sum() for w, one in zip(weights, best, strict=True)]
        ).sum()

    def substructure(self) -> Tensor:
        """Mean squared difference over all pairs of adjacent tags."""
        case = self.case
        mine, other = (case.chain(scores).folded() for scores in (case.student, case.teacher))
        words = mine.emissions[:, 0] - other.emissions[:, 0]
        pairs = (mine.emissions[:, 1:, None, :] + mine.transitions) - (
            other.emissions[:, 1:, None, :] + other.transitions
        )
        total = (words**2).sum(1) + (pairs**2 * case.mask[:, 1:, None, None]).sum((1, 2, 3))
        return (total / (case.tags + (case.lengths - 1) * case.tags**2)).sum()


def trained(value: Callable[[], Tensor], scores: Sequence[Tensor]) -> Call:
    """A call of a loss, forwards and backwards; it gives the loss and its gradients."""

    def call() -> list[Tensor]:
        for part in scores:
            part.grad = None
        total = value()
        total.backward()
        return [total.detach(), *(part.grad for part in scores if part.grad is not None)]

    return call


def programs(case: Case) -> Mapping[str, Mapping[str, Call]]:
    """What is timed at a shape: programs by name, each by contender; a call gives what is compared."""
    from torchcrf import CRF

    crf, student, obvious = CRF(case.tags, batch_first=True), case.student, Obvious(case)
    fixed = tuple(part.detach() for part in student)
    crf_scores = (student[0], crf.transitions, crf.start_transitions, crf.end_transitions)
    for mine, theirs in zip(student[1:], crf_scores[1:], strict=True):
        theirs.data.copy_(mine.data)

    def distilled(loss: Callable[[Chain, Chain], Tensor]) -> Call:
        return trained(lambda: loss(case.chain(student), case.chain(case.teacher)).sum(), student)

    return {
        NLL: {
            "limbeck": trained(
                lambda: chains.negative_log_likelihood(case.chain(student), case.gold).sum(), student
            ),
            "pytorch-crf": trained(lambda: -crf(student[0], case.gold, case.mask, "sum"), crf_scores),
            "torch-struct": trained(obvious.likelihood, student),
        },
        "marginals": {
            "limbeck": lambda: [chains.token_marginals(case.chain(fixed))],
            "torch-struct": lambda: [tokens(case.struct(fixed).marginals, case)],
        },
        "Viterbi": {
            "limbeck": lambda: [chains.viterbi(case.chain(fixed))[0]],
            "pytorch-crf": lambda: crf.decode(fixed[0], case.mask) and [],
            "torch-struct": lambda: [case.struct(fixed).max],
        },
        "3-best": {
            "limbeck": lambda: [chains.k_best(case.chain(fixed), K)[0].T],
            "torch-struct": lambda: [case.struct(fixed).kmax(K)],
        },
        "k-best loss": {
            "limbeck": distilled(lambda mine, other: losses.k_best_cross_entropy(mine, other, K)),
            "torch-struct": trained(obvious.k_best, student),
        },
        "posterior loss": {
            "limbeck": distilled(losses.posterior_divergence),
            "torch-struct": trained(obvious.posterior, student),
        },
        "structural loss": {
            "limbeck": distilled(losses.structural_cross_entropy),
            "torch-struct": trained(obvious.structural, student),
        },
        "sub-structure loss": {
            "limbeck": distilled(losses.substructure_distance),
            "full tensor": trained(obvious.substructure, student),
        },
    }


def tokens(pairs: Tensor, case: Case) -> Tensor:
    """Marginals of words' tags from torch-struct's of pairs, ``(batch, words, tags)``."""
    return torch.cat([pairs[:, :1].sum(2), pairs.sum(3)], dim=1) * case.mask[..., None]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is not there yet, then judge the aims."""
    full = command.asked_for_all(__doc__, arguments, "four times the rounds")
    results = command.opened("chain_speed", full)
    for shape in SHAPES:
        case = Case(*shape)
        for name, contenders in programs(case).items():
            contenders = {title: call for title, call in contenders.items() if fits(case, name, title)}
            place = dict(zip(("batch", "words", "tags"), shape, strict=True)) | {"program": name}
            if not results.has(**place):
                compare(name, contenders)
                row = results.append(**place, **measured(contenders, 4 if full else 1))
                print(
                    *shape, name, {key: round(value, 3) for key, value in row.items() if key.endswith("_ms")}
                )
    command.judged(results, AIMS)


def fits(case: Case, name: str, title: str) -> bool:
    """Whether a contender can do it in this machine's memory, and in minutes."""
    return not (title == "torch-struct" and name in BEYOND and case.tags == 50)


def compare(name: str, contenders: Mapping[str, Call]) -> None:
    """All contenders compute the same.

    Raises:
        LimbeckError: They do not: then times mean nothing.
    """
    ours = contenders["limbeck"]()
    for title, call in contenders.items():
        for mine, theirs in zip(ours, call(), strict=False):
            # float32: of a gradient of torch-struct's up to 0.3 % of the largest are rounding (against float64).
            if (mine - theirs.reshape(mine.shape)).abs().max() > 5e-3 * mine.abs().max() + 1e-3:
                raise LimbeckError(f"{name}: {title} computes something else")


def measured(contenders: Mapping[str, Call], more: int) -> Row:
    """Median milliseconds of each, in turns; and how many times faster Limbeck is than each other."""
    taken: dict[str, list[float]] = {title: [] for title in contenders}
    for call in contenders.values():
        warm_up(call)
    turns = {title: TURN if timed(call, 1) < LONG else 1 for title, call in contenders.items()}
    least, most = (ROUNDS[0] if min(turns.values()) > 1 else FEW), ROUNDS[1]
    began = time.perf_counter()
    while len(taken["limbeck"]) < more * most:
        for title, call in contenders.items():
            taken[title].append(timed(call, turns[title]))
        if len(taken["limbeck"]) >= least and time.perf_counter() - began > more * SECONDS * len(contenders):
            break
    medians = {title: 1000 * statistics.median(times) for title, times in taken.items()}
    return {
        "threads": torch.get_num_threads(),
        "rounds": len(taken["limbeck"]),
        **{f"{title}_ms": value for title, value in medians.items()},
        **{
            f"times_faster_than_{title}": value / medians["limbeck"]
            for title, value in medians.items()
            if title != "limbeck"
        },
    }


def warm_up(call: Call) -> None:
    """Call for a while: a process's first calls, of whatever, take up to three times as long."""
    start = time.perf_counter()
    while time.perf_counter() - start < WARM:
        call()


def timed(call: Call, times: int) -> float:
    """Seconds of a call, the mean over some; what the turn before left is collected first, and not within."""
    gc.collect()
    if times > 1:
        call()  # finds the caches full of another's tensors, and pages that the system took back meanwhile
    gc.disable()
    try:
        start = time.perf_counter()
        for _ in range(times):
            call()
        return (time.perf_counter() - start) / times
    finally:
        gc.enable()


def least(program: str, field: str) -> Callable[[Sequence[Row]], float | None]:
    """The least over the shapes, once all of them are there."""

    def measure(rows: Sequence[Row]) -> float | None:
        found = [row[field] for row in rows if row["program"] == program and field in row]
        return min(found) if len(found) == len(SHAPES) else None

    return measure


def structural_against_full(rows: Sequence[Row]) -> float | None:
    """The least over the shapes of: the full tensor's time over that of the exact structural loss."""
    times = {(row["batch"], row["words"], row["tags"], row["program"]): row for row in rows}
    try:
        return min(
            times[*shape, "sub-structure loss"]["full tensor_ms"]
            / times[*shape, "structural loss"]["limbeck_ms"]
            for shape in SHAPES
        )
    except KeyError:
        return None


AIMS = [
    Aim(f"{NLL}: times faster than pytorch-crf, least over the shapes",
        least(NLL, "times_faster_than_pytorch-crf"), at_least=20),
    Aim(f"{NLL}: times faster than torch-struct, least over the shapes",
        least(NLL, "times_faster_than_torch-struct"), at_least=20),
    Aim("exact structural loss: times faster than the sub-structure loss over the full tensor, least over the shapes",
        structural_against_full, at_least=1),
    Aim("sub-structure loss in closed form: times faster than over the full tensor, least over the shapes",
        least("sub-structure loss", "times_faster_than_full tensor"), at_least=5),
]  # fmt: skip

if __name__ == "__main__":
    command.run(main)
