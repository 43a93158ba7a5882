"""Generative flows over sequences: what the prior of the ``flowseq`` student is made of.

A flow is a map between latent sequences z and noise that can be gone both ways, given a source:

- *normalising*, ``z -> noise``, with the logarithm of ``|det d noise / d z|``, so that
  ``log p(z) = log N(noise; 0, I) + log |det d noise / d z|`` (change of variables);
- *generating*, ``noise -> z``, its inverse.

Layers are those of Glow (Kingma and Dhariwal 2018, section 3), made for sequences by Ma, Zhou, Li, Neubig and Hovy
(EMNLP 2019, "FlowSeq", section 3.4): :class:`ActNorm`, :class:`InvertibleLinear` with several heads, and affine
:class:`Coupling` whose network is a transformer's decoder layer. A step is the first two and then couplings that split
features in the middle, every other feature, and every other place, each both ways, with actnorm between. After the
steps of a level half of the features are noise; the others go on to the next level, two places side by side as one
(the multi-scale architecture of Dinh et al. 2017).

What is no place of a translation is not normalised: it adds nothing to determinants, and no real place sees it.

Axes: ``rows`` (latent sequences; of a source's candidates side by side), ``places`` (of the longest, a multiple of
what :func:`unit` says), ``tokens`` (of sources), ``width`` (features of a place).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal, NamedTuple

import torch
from torch import Tensor, nn

from limbeck.models.configs import ParallelConfig
from limbeck.models.translators.layers import DecoderLayer

if TYPE_CHECKING:
    from limbeck.models.configs import FlowseqConfig

Split = Literal["halves", "alternate", "places"]


class Given(NamedTuple):
    """What a flow is conditioned on.

    Attributes:
        memory: The encoder's states, ``(batch, tokens, width)``; rows are a multiple of the batch.
        source_mask: True where a source's token is real, ``(batch, tokens)``.
        real: True where a latent sequence has a place, ``(rows, places)``.
        positions: Encodings of the places, ``(places, width)``.
        starting: Whether actnorms take their first values from what they normalise.
    """

    memory: Tensor
    source_mask: Tensor
    real: Tensor
    positions: Tensor
    starting: bool = False

    @property
    def halved(self) -> Given:
        """For every other place."""
        real = self.real[:, ::2]
        return self._replace(real=real, positions=self.positions[: real.shape[1]])


def unit(steps: Iterable[int]) -> int:
    """Latent sequences are as long as a multiple of this, so that levels can put places side by side.

    Args:
        steps: Of each level.
    """
    return 1 << (len(tuple(steps)) - 1)


class Flow(nn.Module):
    """A map that can be gone both ways; ``(rows, places, width)`` stays what it is."""

    def normalise(self, latent: Tensor, given: Given) -> tuple[Tensor, Tensor]:
        """Noise, and the logarithm of the determinant ``|det d noise / d latent|``, ``(rows,)``."""
        raise NotImplementedError

    def generate(self, noise: Tensor, given: Given) -> Tensor:
        """The latent sequence."""
        raise NotImplementedError


class Chain(Flow):
    """Flows one after the other, in the order of normalising."""

    def __init__(self, flows: Iterable[Flow]) -> None:
        super().__init__()
        self.flows = nn.ModuleList(flows)

    def normalise(self, latent: Tensor, given: Given) -> tuple[Tensor, Tensor]:
        """See :class:`Flow`."""
        total = latent.new_zeros(latent.shape[0])
        for flow in self.flows:
            assert isinstance(flow, Flow)
            latent, determinant = flow.normalise(latent, given)
            total = total + determinant
        return latent, total

    def generate(self, noise: Tensor, given: Given) -> Tensor:
        """See :class:`Flow`."""
        for flow in reversed(self.flows):
            assert isinstance(flow, Flow)
            noise = flow.generate(noise, given)
        return noise


class ActNorm(Flow):
    """``noise = (z - mean) exp(-log_scale)``, feature by feature (Kingma and Dhariwal 2018, section 3.1).

    The first batch that is trained on gives mean and scale, so that what comes of it has mean zero and variance one;
    from then on they are weights like others. Untrained, it changes nothing.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(width))
        self.log_scale = nn.Parameter(torch.zeros(width))

    def normalise(self, latent: Tensor, given: Given) -> tuple[Tensor, Tensor]:
        """See :class:`Flow`."""
        if given.starting:
            self._start(latent.detach(), given.real)
        noise = (latent - self.mean) * torch.exp(-self.log_scale)
        return noise, -self.log_scale.sum() * given.real.sum(1)

    def generate(self, noise: Tensor, given: Given) -> Tensor:
        """See :class:`Flow`."""
        return noise * torch.exp(self.log_scale) + self.mean

    @torch.no_grad()
    def _start(self, latent: Tensor, real: Tensor) -> None:
        """Mean and scale from a batch; from those of all processes, which must have the same weights."""
        values = latent[real].double()  # (real places, width)
        sums = torch.stack((torch.ones_like(values), values, values.square())).sum(1)
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.all_reduce(sums)
        count, total, squares = sums
        mean = total / count
        variance = (squares / count - mean.square()).clamp(min=1e-6)
        self.mean.copy_(mean)
        self.log_scale.copy_(variance.log() / 2)


class InvertibleLinear(Flow):
    """A product with one matrix for all heads of a place's features (section 3.4, "invertible multi-head linear").

    With heads the determinant and the inverse are of a small matrix. It is the matrix of generating that is kept, so
    that an exported graph needs no inverse.

    Args:
        width: Features.
        heads: How many groups they are in.
        strided: Whether a group is every so manyth feature, and not features side by side: with both in turn all
            features are mixed with all.
    """

    def __init__(self, width: int, heads: int, strided: bool) -> None:
        super().__init__()
        self.heads, self.strided = heads, strided
        self.weight = nn.Parameter(torch.eye(width // heads))

    def normalise(self, latent: Tensor, given: Given) -> tuple[Tensor, Tensor]:
        """See :class:`Flow`."""
        noise = self._product(latent, torch.linalg.inv(self.weight))
        determinant = -torch.linalg.slogdet(self.weight).logabsdet * self.heads
        return noise, determinant * given.real.sum(1)

    def generate(self, noise: Tensor, given: Given) -> Tensor:
        """See :class:`Flow`."""
        return self._product(noise, self.weight)

    def _product(self, values: Tensor, weight: Tensor) -> Tensor:
        grouped = (-1, self.heads) if self.strided else (self.heads, -1)
        groups: Tensor = values.unflatten(2, grouped)
        groups = groups.transpose(2, 3) if self.strided else groups  # (rows, places, heads, width of a head)
        with torch.autocast(values.device.type, enabled=False):  # in bfloat16 it would have no inverse
            mixed = groups.to(weight.dtype) @ weight.T
        return (mixed.transpose(2, 3) if self.strided else mixed).flatten(2)


class FromZero(nn.Linear):
    """A linear layer whose weights start at zero."""


class Coupling(Flow):
    """One half of the values is scaled and shifted as the other half and the source say (section 3.4).

    ``a, b = split(z)``, ``noise = (a, s(a, x) b + t(a, x))``; s and t come from a transformer's decoder layer on a, and
    ``log s`` is bounded by tanh, so that none is too small to be gone back from. At the start it changes nothing.

    Args:
        config: Of the student.
        split: Into ``halves`` of the features, ``alternate`` features, or ``places`` that alternate.
        turned: Whether the second half stays, and the first one changes.
    """

    def __init__(self, config: FlowseqConfig, split: Split, turned: bool) -> None:
        super().__init__()
        self.split, self.turned = split, turned
        width = config.d_model if split == "places" else config.d_model // 2
        self.source = nn.Linear(config.d_model, width, bias=False)
        self.layer = DecoderLayer(_of_couplings(config, width))
        self.output = FromZero(width, 2 * width)

    def normalise(self, latent: Tensor, given: Given) -> tuple[Tensor, Tensor]:
        """See :class:`Flow`."""
        kept, changed = self._halves(latent)
        log_scale, shift, real = self._said(kept, given)
        determinant = log_scale.sum(2).masked_fill(~real, 0.0).sum(1)
        return self._whole(kept, changed * torch.exp(log_scale) + shift), determinant

    def generate(self, noise: Tensor, given: Given) -> Tensor:
        """See :class:`Flow`."""
        kept, changed = self._halves(noise)
        log_scale, shift, _ = self._said(kept, given)
        return self._whole(kept, (changed - shift) * torch.exp(-log_scale))

    def _said(self, kept: Tensor, given: Given) -> tuple[Tensor, Tensor, Tensor]:
        """Logarithm of the scale and shift, ``(rows, places, features)`` each; and which places are real."""
        if self.split == "places":
            given = given.halved
            positions = given.positions
        else:
            positions = given.positions[:, ::2]  # waves of half as many lengths
        states = self.layer(
            kept + positions, given.real.unsqueeze(1), self.source(given.memory), given.source_mask
        )
        log_scale, shift = self.output(states).to(kept.dtype).chunk(2, 2)
        return torch.tanh(log_scale), shift, given.real

    def _halves(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """What stays and what changes."""
        if self.split == "halves":
            first, second = values.chunk(2, 2)
        elif self.split == "alternate":
            first, second = values[:, :, ::2], values[:, :, 1::2]
        else:
            first, second = values[:, ::2], values[:, 1::2]
        return (second, first) if self.turned else (first, second)

    def _whole(self, kept: Tensor, changed: Tensor) -> Tensor:
        pair = (changed, kept) if self.turned else (kept, changed)
        if self.split == "halves":
            return torch.cat(pair, 2)
        if self.split == "alternate":
            return torch.stack(pair, 3).flatten(2)
        return torch.stack(pair, 2).flatten(1, 2)


class Level(Flow):
    """Steps; after them the first half of the features may go on, two places side by side, to a level of their own."""

    def __init__(self, config: FlowseqConfig, number: int) -> None:
        super().__init__()
        last = number == len(config.flow_steps) - 1
        self.steps = Chain(_steps(config, number, last))
        self.next = None if last else Level(config, number + 1)

    def normalise(self, latent: Tensor, given: Given) -> tuple[Tensor, Tensor]:
        """See :class:`Flow`."""
        noise, determinant = self.steps.normalise(latent, given)
        if self.next is None:
            return noise, determinant
        going, done = noise.chunk(2, 2)
        going, more = self.next.normalise(_squeezed(going), given.halved)
        return torch.cat((_unsqueezed(going), done), 2), determinant + more

    def generate(self, noise: Tensor, given: Given) -> Tensor:
        """See :class:`Flow`."""
        if self.next is not None:
            going, done = noise.chunk(2, 2)
            going = self.next.generate(_squeezed(going), given.halved)
            noise = torch.cat((_unsqueezed(going), done), 2)
        return self.steps.generate(noise, given)


def _steps(config: FlowseqConfig, level: int, last: bool) -> list[Flow]:
    """The flows of a level; at the last one places need not come in pairs, and they are not split."""
    splits: tuple[Split, ...] = ("halves", "alternate") if last else ("halves", "alternate", "places")
    flows: list[Flow] = []
    for step in range(config.flow_steps[level]):
        strided = bool((level + step) % 2)
        linear = InvertibleLinear(config.d_model, config.decoder_attention_heads, strided)
        for split in splits:
            flows.append(ActNorm(config.d_model))
            flows.extend([linear] if split == splits[0] else [])
            flows.extend(Coupling(config, split, turned) for turned in (False, True))
    if not last:  # what is noise from here on still depends on the rest
        flows.append(Coupling(config, "halves", turned=False))
    return flows


def _squeezed(values: Tensor) -> Tensor:
    """Two places side by side: ``(rows, places, width) -> (rows, places / 2, 2 width)``."""
    squeezed: Tensor = values.unflatten(1, (-1, 2)).flatten(2)
    return squeezed


def _unsqueezed(values: Tensor) -> Tensor:
    """The inverse."""
    unsqueezed: Tensor = values.unflatten(2, (2, -1)).flatten(1, 2)
    return unsqueezed


def _of_couplings(config: FlowseqConfig, width: int) -> ParallelConfig:
    """A decoder layer's sizes within a coupling; without dropout, for a flow that changes cannot be gone back."""
    return ParallelConfig(
        d_model=width,
        decoder_attention_heads=config.decoder_attention_heads,
        decoder_ffn_dim=max(1, config.decoder_ffn_dim // 2),
        activation_function=config.activation_function,
        dropout=0.0,
        attention_dropout=0.0,
    )
