"""NT-Xent against lightly, a naive loop, analytic values, and itself in two processes."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
import torch.multiprocessing as mp
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from lightly.loss import NTXentLoss
from two_processes import SmallNetwork, batch_of_pairs, half_batch_gradients

from contrastive_models.losses import negative_cosine_similarity, nt_xent_loss


def naive_loss(z1, z2, temperature, ids1, ids2):
    """Row by row and entry by entry, in float64."""
    z = F.normalize(torch.cat([z1, z2]).double(), dim=1)
    own, partner = [*ids1, *ids2], [*ids2, *ids1]
    count = len(z1)
    losses = []
    for i in range(2 * count):
        positive = (i + count) % (2 * count)
        terms = [
            math.exp(float(z[i] @ z[j]) / temperature)
            for j in range(2 * count)
            if j == positive or own[j] not in (own[i], partner[i])
        ]
        losses.append(-math.log(math.exp(float(z[i] @ z[positive]) / temperature) / sum(terms)))
    return sum(losses) / len(losses)


@pytest.mark.parametrize("temperature", [0.05, 0.1, 0.5])
def test_equals_lightly_with_unique_ids(temperature):
    generator = torch.Generator().manual_seed(1)
    z1, z2 = torch.randn(2, 24, 16, generator=generator)
    expected = NTXentLoss(temperature=temperature)(z1, z2)
    ids = torch.arange(24)
    torch.testing.assert_close(nt_xent_loss(z1, z2, temperature), expected, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(nt_xent_loss(z1, z2, temperature, ids, ids), expected, atol=1e-6, rtol=1e-6)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_equals_a_naive_masked_loop_with_repeated_ids(data):
    count = data.draw(st.integers(1, 7))
    ids1 = data.draw(st.lists(st.integers(0, 4), min_size=count, max_size=count))
    ids2 = data.draw(st.lists(st.integers(0, 4), min_size=count, max_size=count))
    seed = data.draw(st.integers(0, 2**16))
    z1, z2 = torch.randn(2, count, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    found = nt_xent_loss(z1, z2, 0.3, torch.tensor(ids1), torch.tensor(ids2))
    assert float(found) == pytest.approx(naive_loss(z1, z2, 0.3, ids1, ids2), abs=1e-9)


def test_perfect_embedding_of_mutual_neighbours_is_perfect_only_when_masked():
    # four pairs of mutual neighbours; a pair shares one corner of the space, and both members are anchors
    ids1 = torch.arange(8)
    ids2 = torch.tensor([1, 0, 3, 2, 5, 4, 7, 6])
    places = torch.eye(4).repeat_interleave(2, dim=0)
    masked = nt_xent_loss(places, places[ids2], 0.05, ids1, ids2)
    unmasked = nt_xent_loss(places, places[ids2], 0.05)
    assert float(masked) < 1e-6
    assert float(unmasked) > 1


def test_bfloat16_autocast_changes_nothing_that_matters():
    z1, z2 = torch.randn(2, 64, 32, generator=torch.Generator().manual_seed(3))
    exact = nt_xent_loss(z1.double(), z2.double(), 0.05)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = nt_xent_loss(z1, z2, 0.05)
    assert found.dtype == torch.float32
    assert torch.isfinite(found)
    assert abs(float(found) - float(exact)) < 1e-3
    # identical views at a low temperature: the original's sum(exp) - e^(1/t) is NaN or negative here
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.isfinite(nt_xent_loss(z1.bfloat16(), z1.bfloat16(), 0.01))


def test_uninformative_embedding_scores_the_logarithm_of_the_candidates():
    z = torch.ones(10, 4)
    assert float(nt_xent_loss(z, z, 0.2)) == pytest.approx(math.log(2 * 10 - 1), abs=1e-6)


def test_gradient_is_that_of_finite_differences():
    z1, z2 = torch.randn(2, 4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    ids1, ids2 = torch.tensor([0, 1, 2, 3]), torch.tensor([1, 0, 3, 1])
    z1.requires_grad_()
    assert torch.autograd.gradcheck(lambda z: nt_xent_loss(z, z2, 0.5, ids1, ids2), (z1,))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((torch.zeros(2, 3), torch.zeros(3, 3), 0.1), "n x d"),
        ((torch.zeros(2, 3), torch.zeros(2, 3), 0.0), "temperature"),
        ((torch.zeros(2, 3), torch.zeros(2, 3), 0.1, torch.arange(2)), "both"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        nt_xent_loss(*arguments)


def test_negative_cosine_similarity():
    p = torch.tensor([[3.0, 0.0], [0.0, 2.0], [1.0, 1.0]])
    z = torch.tensor([[1.0, 0.0], [0.0, -5.0], [1.0, -1.0]])
    assert float(negative_cosine_similarity(p, z)) == pytest.approx(-(1 - 1 + 0) / 3, abs=1e-6)


def test_two_gloo_processes_give_the_gradients_of_one(tmp_path: Path):
    mp.spawn(half_batch_gradients, args=(str(tmp_path),), nprocs=2)
    network = SmallNetwork()
    x1, x2, ids1, ids2 = batch_of_pairs()
    z1, z2 = network(torch.cat([x1, x2])).chunk(2)
    whole = nt_xent_loss(z1, z2, 0.1, ids1, ids2)
    whole.backward()
    parts = [torch.load(tmp_path / f"rank{rank}.pt", weights_only=True) for rank in (0, 1)]
    for gradients, _, _ in parts:
        for found, parameter in zip(gradients, network.parameters(), strict=True):
            torch.testing.assert_close(found, parameter.grad, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close((parts[0][1] + parts[1][1]) / 2, whole.detach())
    torch.testing.assert_close((parts[0][2] + parts[1][2]) / 2, nt_xent_loss(z1, z2, 0.1).detach())
