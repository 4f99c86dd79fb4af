"""Reading ahead, and putting tiles into batches: nothing is lost, and nothing changes its order."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pytest

from model_utils.mapping.places.ahead import read_ahead
from model_utils.mapping.places.sources import Tiles, in_batches


def readers() -> int:
    return sum(thread.name == "read ahead" for thread in threading.enumerate())


def test_items_come_in_their_order_from_one_other_thread():
    makers = set()

    def items() -> Iterator[int]:
        for number in range(50):
            makers.add(threading.get_ident())
            yield number

    assert list(read_ahead(items())) == list(range(50))
    assert len(makers) == 1
    assert threading.get_ident() not in makers
    assert readers() == 0


def test_what_goes_wrong_is_raised_where_it_would_have_come():
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("broken scene")

    ahead = read_ahead(items())
    assert next(ahead) == 1
    with pytest.raises(ValueError, match="broken scene"):
        next(ahead)
    assert readers() == 0


def test_who_stops_early_leaves_no_thread_and_nothing_open():
    closed = []

    def items() -> Iterator[int]:
        try:
            yield from range(1000)
        finally:
            closed.append(threading.current_thread().name)

    with closing(read_ahead(items())) as ahead:
        assert next(ahead) == 0
    assert closed == ["read ahead"]
    assert readers() == 0


def test_no_more_is_read_than_there_is_room_for():
    made = []

    def items() -> Iterator[int]:
        for number in range(100):
            made.append(number)
            yield number

    with closing(read_ahead(items(), most=3)) as ahead:
        next(ahead)
        time.sleep(0.3)
        assert len(made) <= 5, "one was taken, three are ready, one waits to be"


def test_batches_hold_the_tiles_of_their_date_in_order():
    random = np.random.default_rng(0)
    parts, expected = [], {}
    for day in range(3):
        date = np.datetime64("2019-01-01") + day
        for count in random.integers(0, 23, 6).tolist():
            positions = random.integers(0, 99, count)
            tiles = random.integers(0, 255, (count, 2, 2, 1), np.uint8)
            parts.append(Tiles(date, positions, tiles))
            expected.setdefault(date, []).append((positions, tiles))
    found = {}
    for batch in in_batches(iter(parts), 10):
        found.setdefault(batch.date, []).append(batch)
    assert list(found) == list(expected)
    for date, batches in found.items():
        assert [len(batch.tiles) for batch in batches[:-1]] == [10] * (len(batches) - 1)
        assert 1 <= len(batches[-1].tiles) <= 10
        positions, tiles = (np.concatenate(each) for each in zip(*expected[date], strict=True))
        np.testing.assert_array_equal(np.concatenate([batch.positions for batch in batches]), positions)
        np.testing.assert_array_equal(np.concatenate([batch.tiles for batch in batches]), tiles)
