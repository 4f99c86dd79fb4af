"""Day and station effects of an unbalanced table of log readings, by least squares."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

NONE = -1
"""Component of a station without a reading."""


@dataclass(frozen=True)
class TwoWayEffects:
    """ln reading = day + place + residual.

    Attributes:
        place: Effect of each station; NaN where it never read. Those of one component sum to zero.
        place_variance: Of the error of `place`: residual variance / number of days. NaN where it is not known.
        day: Effect of each day: the level of a station whose effect is zero; NaN where no station read.
        residual_sd: With the degrees of freedom that the effects leave; NaN where they leave none.
        degrees_of_freedom: Readings - stations - days + components.
        component: Of each station, from 0, the largest first; `NONE` where it never read. Stations of two components
            share no day, not even through others, so that nothing compares them.
    """

    place: NDArray[np.float64]
    place_variance: NDArray[np.float64]
    day: NDArray[np.float64]
    residual_sd: float
    degrees_of_freedom: int
    component: NDArray[np.int64]


def two_way_effects(values: NDArray[np.float64]) -> TwoWayEffects:
    """Least squares on a two-way table with gaps.

    With the days eliminated, the normal equations of the stations are those of a graph Laplacian: singular by one
    constant a component, which the condition that a component sums to zero settles.

    Args:
        values: Log readings, stations x days, NaN = none.
    """
    stations = len(values)
    present = np.isfinite(values)
    filled = np.where(present, values, 0.0)
    of_station, of_day = present.sum(axis=1), present.sum(axis=0)
    component = _components(present)
    read = component != NONE

    share = present / np.maximum(of_day, 1)
    laplacian = np.diag(of_station.astype(np.float64)) - share @ present.T
    right = filled.sum(axis=1) - share @ filled.sum(axis=0)
    # one for each pair of a component, scaled to the Laplacian: fixes the constants and changes nothing else
    together = (component[:, None] == component) & read & read[:, None]
    place = np.full(stations, np.nan)
    place[read] = np.linalg.solve((laplacian + together)[np.ix_(read, read)], right[read])

    known = np.where(read, place, 0.0)
    day = np.where(of_day > 0, (filled.sum(axis=0) - known @ present) / np.maximum(of_day, 1), np.nan)
    residual = (values - known[:, None] - day)[present]
    freedom = int(present.sum() - read.sum() - (of_day > 0).sum() + component.max(initial=NONE) + 1)
    variance = float(residual @ residual) / freedom if freedom > 0 else np.nan
    place_variance = np.where(read, variance / np.maximum(of_station, 1), np.nan)
    return TwoWayEffects(place, place_variance, day, float(np.sqrt(variance)), freedom, component)


def _components(present: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Connected components of the graph of stations and days, those with most stations first, ties by first station."""
    stations = len(present)
    rows, columns = np.nonzero(present)
    size = stations + present.shape[1]
    graph = csr_array((np.ones(len(rows)), (rows, columns + stations)), shape=(size, size))
    label = connected_components(graph, directed=False)[1][:stations]
    component = np.full(stations, NONE, dtype=np.int64)
    read = present.any(axis=1)
    if read.any():
        _, first, number, count = np.unique(label[read], return_index=True, return_inverse=True, return_counts=True)
        component[read] = np.argsort(np.lexsort((first, -count)))[number]
    return component
