"""Said: a teacher's signals as the blocks that the answer store keeps, and back again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from limbeck.core.errors import LimbeckError
from limbeck.core.example import Example
from limbeck.core.signals import NextTokens, SignalName, Signals
from limbeck.core.teacher import Teacher
from limbeck.structure.chain import Chain
from limbeck.text.ragged import offsets_of
from limbeck.transfer.shards import NEXT_TOKEN, Block, Kept


def asked(teacher: Teacher, examples: Sequence[Example], signal: SignalName) -> Block:
    """The teacher's answers about some examples, checked.

    Raises:
        LimbeckError: An answer holds NaN or infinity, or is of another size than the teacher says.
    """
    said = teacher.answer(examples, frozenset({signal}))
    if signal == "logits":
        block = _logits(said, examples, teacher)
    else:
        block = block_of(said.named("potentials")) if signal == "potentials" else _next_tokens(said)
    if len(unsound := block.unsound()):
        example = examples[int(unsound[0])]
        raise LimbeckError(
            f"the teacher's answer for '{example.id}' holds NaN or infinity ('{example.text[:60]}')",
            where=name_of(teacher),
            fix="Its weights are broken, or overflow; nothing of this answer was stored",
        )
    return block


def signals_of(block: Block, signal: Kept, device: torch.device) -> Signals:
    """The other way round, on a device."""
    if signal == "logits":
        return Signals(logits=torch.from_numpy(block.rows).to(device))
    if signal == "potentials":
        return Signals(potentials=chain_of(block).to(device))
    ids = torch.from_numpy(block.rows["id"].astype(np.int64)).to(device)
    logs = torch.from_numpy(np.ascontiguousarray(block.rows["log_probability"])).to(device)
    return Signals(next_tokens=NextTokens(ids, logs))


def name_of(teacher: Teacher) -> str:
    """What a person calls a teacher; one without a name goes by its fingerprint."""
    return str(getattr(teacher, "name", teacher.fingerprint))


def _logits(said: Signals, examples: Sequence[Example], teacher: Teacher) -> Block:
    """One row of logits an example."""
    values = said.named("logits").detach().float().cpu().numpy()
    expected = (len(examples), len(teacher.labels))
    if values.shape != expected:
        what = f"it gave logits of shape {values.shape} instead of {expected}"
        raise LimbeckError(what, where=name_of(teacher))
    return Block(values)


def block_of(chain: Chain) -> Block:
    """A row of emissions a word; transitions, start and end, ``(tags + 2, tags)``, in common."""
    assert chain.shared
    chain = chain.detach().to(torch.device("cpu")).wide()
    none = chain.transitions.new_zeros(chain.transitions.shape[1])
    ends = [none if part is None else part for part in (chain.start, chain.end)]
    common = torch.cat([chain.transitions, torch.stack(ends)])
    offsets = offsets_of(chain.lengths.numpy())
    return Block(chain.emissions[chain.mask].float().numpy(), offsets, common.float().numpy())


def chain_of(block: Block) -> Chain:
    """The other way round."""
    assert block.offsets is not None and block.common is not None
    lengths = torch.from_numpy(np.diff(block.offsets))
    common = torch.from_numpy(block.common)
    emissions = torch.zeros(len(lengths), int(lengths.max()) if len(lengths) else 0, block.rows.shape[1])
    chain = Chain(emissions, common[:-2], lengths, common[-2], common[-1])
    emissions[chain.mask] = torch.from_numpy(block.rows)
    return chain


def _next_tokens(said: Signals) -> Block:
    """A row of the likeliest tokens and their log-probabilities a token of the translation."""
    found, mask = said.named("next_tokens"), said.mask
    assert mask is not None  # of the translations' tokens: it says how many each has
    rows = np.empty(tuple(found.ids.shape), NEXT_TOKEN)
    rows["id"] = found.ids.cpu().numpy()
    rows["log_probability"] = found.log_probabilities.detach().float().cpu().numpy()
    return Block(rows, offsets_of(mask.sum(1).cpu().numpy()))
