"""What the other stations at the same times say against a station's readings.

Arrays are T x S: a row a time (ascending, each once), a column a station, NaN where there is no usable reading.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model_utils.geography import great_circle_km

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

NEIGHBOUR_KM = 50.0
NEIGHBOURS = 10
MIN_NEIGHBOURS = 3
SPIKE_SCORE = 3.5
"""Cut of the modified z-score |x - median| / (1.4826 MAD): Iglewicz & Hoaglin 1993, How to detect outliers."""
SPIKE_FLOOR = 10.0
SPIKE_SHARE = 0.2
"""The scale is at least 10 ug/m3 and 20 % of the neighbours' median: the stations of a city differ by 17-24 % of their
mean on a day (Beijing, Delhi), and an hour of a beta monitor is good to some 5-10 ug/m3. So a few neighbours that
agree by chance do not make a spike of an ordinary reading: it takes 35 ug/m3 and 70 % at the least."""

COLOCATED_KM = 0.05
DISAGREE_SHARE = 0.2
DISAGREE_FLOOR = 5.0
"""Twice the 10 % that 40 CFR 58 appendix A asks of collocated PM2.5 samplers, and 5 ug/m3."""

UNIT_FACTOR = 100.0
PLAUSIBLE_MEDIAN = (1.0, 1000.0)
"""Medians of city air, ug/m3; of two stations that are a factor 1000 apart the one outside is in doubt."""

COMMON = 24
"""Times in common below which nothing is said of a station as a whole."""


def spikes(
    values: Array, time: NDArray[np.datetime64], step: np.timedelta64, latitude: Array, longitude: Array
) -> Mask:
    """Finds single readings that are far from the neighbours and from the station's own readings around them.

    A reading is a spike if it lies, all on the same side, more than 3.5 scales from the median of the neighbours
    at the same time, from its own reading one step before and from the one a step after (one of the two may be
    missing). The scale is 1.4826 times the median absolute deviation of the neighbours, but at least 10 ug/m3 and 20 %
    of their median. Neighbours are the nearest 10 stations within 50 km; it takes 3 with a reading. Episodes that the
    stations share are never spikes, and neither are excursions of two hours or more at one station: smoke or
    fireworks nearby look alike.

    Args:
        values: T x S, ug/m3.
        time: T.
        step: One hour or one day.
        latitude: S, WGS84 degrees.
        longitude: S.

    Returns:
        T x S.
    """
    found = np.zeros(values.shape, dtype=bool)
    if not len(values):
        return found
    distance = _distances(latitude, longitude)
    gap = (np.diff(time) != step)[:, None]
    nothing = np.full((1, values.shape[1]), np.nan)
    before = np.concatenate([nothing, np.where(gap, np.nan, values[:-1])])
    after = np.concatenate([np.where(gap, np.nan, values[1:]), nothing])
    for station in range(values.shape[1]):
        nearest = np.argsort(distance[station], kind="stable")[:NEIGHBOURS]
        others = values[:, nearest[distance[station, nearest] <= NEIGHBOUR_KM]]
        if others.shape[1] < MIN_NEIGHBOURS:
            continue
        median = _row_median(others)
        scale = 1.4826 * _row_median(np.abs(others - median[:, None]))
        limit = SPIKE_SCORE * np.maximum(scale, np.maximum(SPIKE_FLOOR, SPIKE_SHARE * median))
        enough = np.isfinite(others).sum(axis=1) >= MIN_NEIGHBOURS
        around = np.column_stack([before[:, station], after[:, station]])
        known = np.isfinite(around)
        away = values[:, station, None] - np.column_stack([median, around])
        for side in (1, -1):
            far = side * away > limit[:, None]
            found[:, station] |= enough & far[:, 0] & (far[:, 1:] | ~known).all(axis=1) & known.any(axis=1)
    return found


def colocated(values: Array, latitude: Array, longitude: Array) -> Mask:
    """Finds stations within 50 m of one that reads something else.

    Two stations disagree if, over at least 24 common times, the median of their absolute difference exceeds both
    5 ug/m3 and 20 % of the median of their mean. Both are marked.

    Returns:
        S.
    """
    found = np.zeros(values.shape[1], dtype=bool)
    near = np.triu(_distances(latitude, longitude) <= COLOCATED_KM, k=1)
    for one, other in np.argwhere(near):
        pair = values[:, [one, other]]
        pair = pair[np.isfinite(pair).all(axis=1)]
        if len(pair) < COMMON:
            continue
        limit = max(DISAGREE_FLOOR, DISAGREE_SHARE * float(np.median(pair.mean(axis=1))))
        if np.median(np.abs(pair[:, 0] - pair[:, 1])) > limit:
            found[[one, other]] = True
    return found


def unit_doubt(values: Array) -> Mask:
    """Finds stations whose readings seem to be in another unit, such as mg/m3 among ug/m3.

    Each station's median ratio to the median of all stations at the same times is compared with the other stations'
    ratios: 100 times or more away is in doubt, if the station's own median is none of a city either. Only positive
    readings at times with two stations or more count, and it takes 24 of them.

    Returns:
        S.
    """
    found = np.zeros(values.shape[1], dtype=bool)
    positive = np.where(values > 0, values, np.nan)
    positive = positive[np.isfinite(positive).sum(axis=1) >= 2]
    judged = np.flatnonzero(np.isfinite(positive).sum(axis=0) >= COMMON)
    if len(judged) < 2:
        return found
    logarithm = np.log10(positive)
    ratio = np.nanmedian((logarithm - _row_median(logarithm)[:, None])[:, judged], axis=0)
    own = np.nanmedian(positive[:, judged], axis=0)
    others = np.array([np.median(np.delete(ratio, place)) for place in range(len(judged))])
    low, high = PLAUSIBLE_MEDIAN
    found[judged] = (np.abs(ratio - others) >= np.log10(UNIT_FACTOR)) & ((own < low) | (own > high))
    return found


def _distances(latitude: Array, longitude: Array) -> Array:
    """S x S in km, infinite on the diagonal."""
    distance = great_circle_km(latitude[:, None], longitude[:, None], latitude, longitude)
    np.fill_diagonal(distance, np.inf)
    return distance


def _row_median(values: Array) -> Array:
    """Median of each row without its NaN, NaN where there is nothing else; many times faster than np.nanmedian."""
    ordered = np.sort(values, axis=1)  # NaN last
    count = np.isfinite(ordered).sum(axis=1, keepdims=True)
    middle = np.concatenate([(count - 1) // 2, count // 2], axis=1)  # -1, the last, is NaN where there is none
    median: Array = np.take_along_axis(ordered, middle, axis=1).mean(axis=1)
    return median
