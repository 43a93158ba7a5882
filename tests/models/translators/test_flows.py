"""Flows: gone both ways exactly, determinants against autograd's Jacobian, and nothing but real places counts."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch

from limbeck.models.configs import FlowseqConfig
from limbeck.models.translators.flows import ActNorm, Chain, Coupling, Given, InvertibleLinear, Level, unit

pytestmark = pytest.mark.unit

WIDTH = 8
CONFIG = FlowseqConfig(d_model=WIDTH, decoder_attention_heads=2, decoder_ffn_dim=12, flow_steps=[1, 2])


def given(lengths, starting=False, dtype=torch.float32):
    """Rows of sources of three tokens and two, one after the other."""
    generator = torch.Generator().manual_seed(0)
    memory = torch.randn(2, 3, WIDTH, generator=generator).to(dtype)
    positions = torch.randn(max(lengths), WIDTH, generator=generator).to(dtype)
    real = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    mask = torch.tensor([[True, True, True], [True, True, False]])
    return Given(memory, mask, real, positions, starting)


def stirred(flow, by=0.1):
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.add_(torch.randn(parameter.shape) * by)
    return flow.eval()


FLOWS = {
    "actnorm": lambda: ActNorm(WIDTH),
    "linear": lambda: InvertibleLinear(WIDTH, 2, strided=False),
    "strided linear": lambda: InvertibleLinear(WIDTH, 4, strided=True),
    **{
        f"{split}{', turned' * turned}": lambda split=split, turned=turned: Coupling(CONFIG, split, turned)
        for split, turned in product(("halves", "alternate", "places"), (False, True))
    },
    "chain": lambda: Chain([ActNorm(WIDTH), InvertibleLinear(WIDTH, 2, True)]),
    "levels": lambda: Level(CONFIG, 0),
}


@pytest.fixture(params=FLOWS)
def flow(request):
    torch.manual_seed(0)
    return stirred(FLOWS[request.param](), by=0.3)


def latents(rows, places, seed=5):
    return torch.randn(rows, places, WIDTH, generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-5)])
def test_it_is_gone_both_ways(flow, dtype, tolerance):
    """In single precision, what a flow of many layers stretches it stretches with its rounding."""
    flow.to(dtype)
    some, z = given([6, 4, 2, 6], dtype=dtype), latents(4, 6).to(dtype)
    real = some.real.unsqueeze(2)
    noise, _ = flow.normalise(z, some)
    assert not torch.allclose(noise, z, atol=0.1), "it changes something"
    if isinstance(flow, Level) and dtype == torch.float32:
        tolerance = 5e-3
    assert ((flow.generate(noise, some) - z) * real).abs().max() < tolerance
    again, _ = flow.normalise(flow.generate(z, some), some)
    assert ((again - z) * real).abs().max() < tolerance


@torch.no_grad()
def test_as_it_starts_a_deep_flow_is_gone_both_ways_in_single_precision():
    torch.manual_seed(0)
    flow, some, z = stirred(Level(CONFIG, 0), by=0.02), given([6, 4, 2, 6]), latents(4, 6)
    noise, _ = flow.normalise(z, some)
    assert ((flow.generate(noise, some) - z) * some.real.unsqueeze(2)).abs().max() < 1e-5


def test_its_determinant_is_that_of_the_jacobian(flow):
    flow.double()
    one = given([4, 4], dtype=torch.float64)
    one = Given(one.memory[:1], one.source_mask[:1], one.real[:1], one.positions)
    z = latents(1, 4).double()
    jacobian = torch.autograd.functional.jacobian(lambda values: flow.normalise(values, one)[0], z)
    expected = torch.linalg.slogdet(jacobian.reshape(4 * WIDTH, 4 * WIDTH)).logabsdet
    _, found = flow.normalise(z, one)
    torch.testing.assert_close(found, expected[None], atol=1e-8, rtol=1e-8)
    assert found.abs() > 1e-3


@torch.no_grad()
def test_a_row_is_the_same_alone_and_beside_longer_ones(flow):
    flow.double()
    together, z = given([6, 2], dtype=torch.float64), latents(2, 6).double()
    noise, determinants = flow.normalise(z, together)
    made = flow.generate(z, together)
    alone = Given(
        together.memory[1:, :2],
        together.source_mask[1:, :2],
        together.real[1:, :2],
        together.positions[:2],
    )
    mine, determinant = flow.normalise(z[1:, :2], alone)
    torch.testing.assert_close(mine, noise[1:, :2], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(determinant, determinants[1:], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(flow.generate(z[1:, :2], alone), made[1:, :2], atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_the_first_batch_gives_actnorm_its_values():
    flow, z = ActNorm(WIDTH), 3 + 2 * latents(2, 6)
    some = given([6, 2], starting=True)
    noise = flow.normalise(z, some)[0][some.real]
    torch.testing.assert_close(noise.mean(0), torch.zeros(WIDTH), atol=1e-5, rtol=0)
    torch.testing.assert_close(noise.var(0, unbiased=False), torch.ones(WIDTH), atol=1e-4, rtol=0)
    kept = flow.mean.clone()
    flow.normalise(latents(2, 6), given([6, 2]))
    assert torch.equal(flow.mean, kept)


@torch.no_grad()
def test_heads_share_one_matrix():
    some, z = given([1, 1]), latents(2, 1)
    for strided, whole in ((False, lambda m: np.kron(np.eye(2), m)), (True, lambda m: np.kron(m, np.eye(2)))):
        flow = stirred(InvertibleLinear(WIDTH, 2, strided))
        matrix = whole(flow.weight.numpy())
        expected = z.numpy()[:, 0] @ matrix.T
        np.testing.assert_allclose(flow.generate(z, some)[:, 0], expected, atol=1e-5)
        _, determinant = flow.normalise(z, some)
        np.testing.assert_allclose(determinant, -np.linalg.slogdet(matrix)[1], atol=1e-4)


@torch.no_grad()
def test_half_of_the_first_levels_features_are_noise_after_it():
    """They depend on what goes on to the next level, and nothing there on them."""
    flow, some, z = stirred(Level(CONFIG, 0)), given([4, 4]), latents(2, 4)
    other = z.clone()
    other[:, :, WIDTH // 2 :] += 1
    inner = flow.steps
    flow.steps = Chain([])
    first, second = flow.generate(z, some), flow.generate(other, some)
    torch.testing.assert_close(first[:, :, : WIDTH // 2], second[:, :, : WIDTH // 2])
    torch.testing.assert_close(second[:, :, WIDTH // 2 :], other[:, :, WIDTH // 2 :])
    flow.steps = inner
    assert isinstance(inner.flows[-1], Coupling)


def test_units_double_from_level_to_level():
    assert [unit(steps) for steps in ([3], [1, 1], [2, 2, 1])] == [1, 2, 4]
