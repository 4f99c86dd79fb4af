"""Batches: everything is seen, at one time, in every process's own part."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_utils.sampling.batches import (
    PairBatchSampler,
    group_by_timestamp,
    regular_batches,
    timestamp_batches,
)


@settings(max_examples=60, deadline=None)
@given(count=st.integers(0, 200), size=st.integers(1, 64))
def test_regular_batches_are_full_and_drop_less_than_one(count, size):
    batches = regular_batches(count, size, (0, 0))
    seen = np.concatenate(batches) if batches else np.empty(0)
    assert len(set(seen.tolist())) == len(seen)
    assert {len(batch) for batch in batches} <= {min(size, count)}
    assert count - len(seen) < max(size, 1)


@settings(max_examples=80, deadline=None)
@given(
    days=st.lists(st.integers(0, 40), min_size=1, max_size=8),
    size=st.integers(2, 20),
    least=st.integers(1, 12),
    seed=st.integers(0, 99),
)
def test_timestamp_batches_hold_one_time_and_drop_nothing(days, size, least, seed):
    day = np.repeat(np.arange(len(days)), days)
    time = pd.Series(pd.Timestamp("2018-01-01", tz="UTC") + pd.to_timedelta(day, unit="D"))
    usable = np.random.default_rng(seed).random(len(day)) < 0.8
    found = group_by_timestamp(time, usable, least)
    counts = np.bincount(day[usable], minlength=len(days))
    assert sorted(map(len, found.groups)) == sorted(counts[counts >= least].tolist())
    assert found.left_out_timestamps == int(((counts > 0) & (counts < least)).sum())
    assert found.left_out_tiles == int(counts[counts < least].sum())
    batches = timestamp_batches(found.groups, size, (seed, 3))
    seen = np.concatenate(batches) if batches else np.empty(0, int)
    assert sorted(seen.tolist()) == sorted(np.flatnonzero(usable & (counts[day] >= least)).tolist())
    for batch in batches:
        assert len(set(day[batch])) == 1
        assert len(batch) <= size
        chunks = -(-counts[day[batch[0]]] // size)
        assert len(batch) in (counts[day[batch[0]]] // chunks, -(-counts[day[batch[0]]] // chunks))


def samplers(world_size: int, groups=None):
    return [PairBatchSampler(60, groups, 16, seed=5, rank=rank, world_size=world_size) for rank in range(world_size)]


@pytest.mark.parametrize("grouped", [False, True])
def test_every_rank_takes_its_own_part_of_the_same_batch(grouped):
    groups = [np.arange(0, 25), np.arange(25, 60)] if grouped else None
    whole = PairBatchSampler(60, groups, 16, seed=5).batches()
    first, second = (list(sampler) for sampler in samplers(2, groups))
    assert len(first) == len(second) == len(whole)
    for batch, left, right in zip(whole, first, second, strict=True):
        assert len(left) == len(right) == len(batch) // 2
        assert batch[: 2 * len(left)].tolist() == [*left, *right]
        if grouped:
            assert len({int(tile) // 25 > 0 for tile in [*left, *right]}) == 1


def test_arrangement_depends_on_seed_and_epoch_alone():
    sampler = PairBatchSampler(60, None, 16, seed=5)
    first = [batch.tolist() for batch in sampler]
    assert first == [batch.tolist() for batch in sampler]
    sampler.set_epoch(1)
    second = [batch.tolist() for batch in sampler]
    assert first != second
    sampler.set_epoch(0)
    assert first == [batch.tolist() for batch in sampler]
