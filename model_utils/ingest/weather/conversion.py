"""Which unit the values of a column are really in."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model_utils.ingest.weather.consensus import fit
from model_utils.ingest.weather.quantities import QUANTITIES

_PRESSURE_SPREAD = 0.14  # of ln p about the city's level: 5 % weather, 600 m of altitude; units lie 0.29 or more apart
_NEAR = 6.0  # K: a converted temperature agrees with the other stations
_FAR = 8.0  # K: one as the header has it does not
_NEIGHBOURS = {"pressure": 5}  # values; a unit is believed where most of them agree
_MORE_NEIGHBOURS = 31  # of temperatures, which may lie apart for some hours as if in another unit


def converted(name: str, values: NDArray[np.float64], stated: str) -> tuple[NDArray[np.float64], NDArray[np.int8]]:
    """Gives values the archive's unit, each from the unit that it is plausibly in.

    Pressure: of each value's candidates from 300 to 1085 hPa the one near the level on which most stations can agree.
    Temperature and dew point: the stated unit, unless the value is over 8 K from the median of the stations in it and
    within 6 K in another. Humidity: a fraction where a station never exceeds 1. A unit that most of the
    neighbouring values do not share is not believed: then the stated one holds. Other quantities: as stated.

    Args:
        name: A key of `QUANTITIES`.
        values: T x S in time order, NaN where there is none.
        stated: The unit of the header, a key of the quantity's units.

    Returns:
        Values in the archive's unit, T x S, and the index of each one's unit among the quantity's units.
    """
    units = list(QUANTITIES[name].units)
    candidates = np.stack([gain * values + offset for gain, offset in QUANTITIES[name].units.values()])
    native = units.index(stated)
    chosen = np.full(values.shape, native, np.int8)
    if name == "pressure":
        chosen = _pressure_units(candidates, native)
    elif name in ("temperature", "dew_point"):
        chosen = _temperature_units(candidates, native)
    elif name == "relative_humidity":
        largest = pd.DataFrame(values).quantile(0.99).to_numpy()
        chosen[:, (largest <= 1.0) & (pd.DataFrame(values).nunique().to_numpy() > 5)] = units.index("1")
    chosen = _agreed(chosen, values, native, _NEIGHBOURS.get(name, _MORE_NEIGHBOURS))
    return np.take_along_axis(candidates, chosen[None].astype(np.intp), axis=0)[0], chosen


def _pressure_units(candidates: NDArray[np.float64], native: int) -> NDArray[np.int8]:
    low, high = QUANTITIES["pressure"].limits
    possible = (candidates >= low) & (candidates <= high)
    logs = np.log(np.where(possible, candidates, 1.0))
    logs[~possible] = np.inf
    known = ~np.isnan(candidates[0])
    stations = known.any(axis=0)
    count = np.maximum(known.sum(axis=0), 1)
    levels = np.arange(np.log(low), np.log(high), 0.02)
    best, score = levels[0], -1.0
    for level in levels:
        near = np.abs(logs - level)
        explained = ((near.min(axis=0) < _PRESSURE_SPREAD / 2).sum(axis=0) / count)[stations].sum()
        as_stated = ((near[native] < _PRESSURE_SPREAD / 2).sum(axis=0) / count)[stations].sum()
        if explained + 0.1 * as_stated > score:
            best, score = level, explained + 0.1 * as_stated
    chosen = np.abs(logs - best).argmin(axis=0)
    picked = np.take_along_axis(logs, chosen[None], axis=0)[0]
    near_best = np.abs(picked - best) < _PRESSURE_SPREAD
    if near_best.any():
        best = float(np.median(picked[near_best]))
    chosen = np.abs(logs - best).argmin(axis=0)
    picked = np.take_along_axis(logs, chosen[None], axis=0)[0]
    return np.where(np.abs(picked - best) < _PRESSURE_SPREAD, chosen, -1).astype(np.int8)


def _temperature_units(candidates: NDArray[np.float64], native: int) -> NDArray[np.int8]:
    medians = np.stack([pd.DataFrame(of_unit).median().to_numpy() for of_unit in candidates])
    habitable = (medians > -45) & (medians < 45)  # a station's median over its record
    start = np.where(habitable[native] | ~habitable.any(axis=0), native, habitable.argmax(axis=0))
    first = np.take_along_axis(candidates, np.broadcast_to(start, candidates.shape[1:])[None], axis=0)[0]
    consensus = fit(first, ~np.isnan(first))
    apart = np.abs(candidates - consensus.reference[None, :, None])
    nearest = np.where(np.isnan(apart), np.inf, apart).argmin(axis=0)
    nearest_apart = np.take_along_axis(apart, nearest[None], axis=0)[0]
    explained = (apart[native] > _FAR) & (nearest_apart < _NEAR)
    judged = ~np.isnan(consensus.reference)[:, None]
    return np.where(judged, np.where(explained, nearest, native), start).astype(np.int8)


def _agreed(chosen: NDArray[np.int8], values: NDArray[np.float64], native: int, neighbours: int) -> NDArray[np.int8]:
    """The stated unit wherever most neighbouring values (of those that some unit explains) do not share the choice."""
    agreed = np.full(chosen.shape, native, np.int8)
    for station in range(chosen.shape[1]):
        rows = np.flatnonzero(~np.isnan(values[:, station]) & (chosen[:, station] >= 0))
        own = pd.Series(chosen[rows, station])
        for unit in own.unique():
            share = (own == unit).astype(float).rolling(neighbours, center=True, min_periods=1).mean()
            backed = rows[((own == unit) & (share > 0.5)).to_numpy()]
            agreed[backed, station] = unit
    return agreed
