"""Spatiotemporal pairs against brute force."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_utils.geography import great_circle_km
from model_utils.sampling.pairs import TIE_KM, nearest_site_pairs


def brute_force(samples: pd.DataFrame, max_km: float) -> list[tuple[int, float]]:
    """Every pair of rows, one at a time, with the textbook formula."""
    rows = samples.to_dict("records")
    out = []
    for anchor in rows:
        candidates = []
        for j, other in enumerate(rows):
            if other["time_utc"] != anchor["time_utc"] or other["site_id"] == anchor["site_id"]:
                continue
            a, b = (math.radians(row["latitude"]) for row in (anchor, other))
            dlon = math.radians(other["longitude"] - anchor["longitude"])
            h = math.sin((b - a) / 2) ** 2 + math.cos(a) * math.cos(b) * math.sin(dlon / 2) ** 2
            candidates.append((2 * 6371.0088 * math.asin(math.sqrt(min(1, h))), other["sample_id"], j))
        if not candidates:
            out.append((-1, math.nan))
            continue
        nearest = min(km for km, _, _ in candidates)
        tied = [(name, j) for km, name, j in candidates if km <= nearest + TIE_KM]
        out.append((min(tied)[1], nearest) if nearest <= max_km else (-1, math.nan))
    return out


coordinates = st.tuples(
    st.floats(28.2, 29.0).map(lambda x: round(x, 3)) | st.sampled_from([28.5, 28.6]),
    st.floats(76.9, 77.6).map(lambda x: round(x, 3)) | st.sampled_from([77.0, 77.1]),
)


@settings(max_examples=150, deadline=None)
@given(
    places=st.lists(coordinates, min_size=1, max_size=12),
    shows=st.lists(st.tuples(st.integers(0, 11), st.integers(0, 3)), min_size=1, max_size=40),
    max_km=st.sampled_from([1.0, 8.0, 30.0, math.inf]),
    shuffle=st.integers(0, 1000),
)
def test_equals_brute_force(places, shows, max_km, shuffle):
    times = pd.date_range("2018-01-01", periods=4, freq="D", tz="UTC")
    names = np.random.default_rng(shuffle).permutation(len(shows))
    rows = [
        {
            "sample_id": f"tile{name:03d}",
            "site_id": f"site{site % len(places)}",
            "latitude": places[site % len(places)][0],
            "longitude": places[site % len(places)][1],
            "time_utc": times[day],
        }
        for name, (site, day) in zip(names, shows, strict=True)
    ]
    samples = pd.DataFrame(rows)
    found = nearest_site_pairs(samples, max_km)
    expected = brute_force(samples, max_km)
    assert found.positive.tolist() == [position for position, _ in expected]
    np.testing.assert_allclose(found.distance_km, [km for _, km in expected], atol=2e-5)
    for row, positive in enumerate(found.positive):
        if positive >= 0:
            assert positive != row
            assert samples["site_id"][positive] != samples["site_id"][row]
            assert samples["time_utc"][positive] == samples["time_utc"][row]


def grid(order: np.ndarray) -> pd.DataFrame:
    """A regular grid, where every inner cell has neighbours at equal distance."""
    latitude, longitude = (axis.ravel() for axis in np.meshgrid(28 + 0.01 * np.arange(9), 77 + 0.01 * np.arange(9)))
    names = [f"cell{number:03d}" for number in range(81)]
    samples = pd.DataFrame({"sample_id": names, "site_id": names, "latitude": latitude, "longitude": longitude}).assign(
        time_utc=pd.Timestamp("2018-01-01", tz="UTC")
    )
    return samples.iloc[order].reset_index(drop=True)


def test_ties_break_by_sample_id_whatever_the_order_of_rows():
    def positives(order):
        samples = grid(order)
        positive = nearest_site_pairs(samples).positive
        return dict(zip(samples["sample_id"], samples["sample_id"].to_numpy()[positive], strict=True))

    expected = positives(np.arange(81))
    for seed in range(5):
        assert positives(np.random.default_rng(seed).permutation(81)) == expected
    assert [position for position, _ in brute_force(grid(np.arange(81)), math.inf)] == nearest_site_pairs(
        grid(np.arange(81))
    ).positive.tolist()


def test_great_circle_against_known_distances():
    # a degree of latitude on the mean sphere; a quarter of the equator; Delhi to Beijing (about 3,780 km)
    assert float(great_circle_km(*np.array([0.0, 0.0, 1.0, 0.0]))) == pytest.approx(111.195, abs=1e-3)
    assert float(great_circle_km(*np.array([0.0, 0.0, 0.0, 90.0]))) == pytest.approx(10007.56, abs=0.01)
    assert float(great_circle_km(*np.array([28.61, 77.21, 39.91, 116.39]))) == pytest.approx(3780, abs=20)
