"""Findings about the weather, as rows that a report prints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model_utils.ingest.weather.consensus import TOLERANCES, Consensus
from model_utils.ingest.weather.quantities import QUANTITIES

COLUMNS = ["station", "column", "first", "last", "count", "found", "done"]
SET_ASIDE, KEPT = "set aside", "kept"
ALL_STATIONS = "(all)"

_SPELL_DAYS = 92  # findings of one kind that lie further apart are told apart
_METRES_PER_HPA = 8.4  # near sea level
_TELLING_OFFSET = 5.0  # hPa
_SEA_LEVEL = (1003.0, 1023.0)  # hPa: means over a year at sea level


@dataclass
class Findings:
    """Findings of one table, T times of S stations.

    Attributes:
        stations: Names as they are shown, S.
        times: The first and last time of a finding are of these, T.
        days: Local date of each time, T.
        rows: What has been found, in the order of telling.
    """

    stations: list[str]
    times: pd.Index
    days: NDArray[np.datetime64]
    rows: list[dict[str, object]] = field(default_factory=list)

    def table(self) -> pd.DataFrame:
        """The findings, a row each."""
        return pd.DataFrame(self.rows, columns=COLUMNS)

    def tell(
        self, column: str, marked: NDArray[np.bool_], describe: Callable[[NDArray[np.intp], int], str], done: str
    ) -> None:
        """Adds a finding for each station and spell of marked cells.

        Args:
            column: The archive's column.
            marked: T x S.
            describe: Says what was found at some times of a station.
            done: What was done about it.
        """
        for station in np.flatnonzero(marked.any(axis=0)):
            times = np.flatnonzero(marked[:, station])
            breaks = np.flatnonzero(np.diff(self.days[times]) > np.timedelta64(_SPELL_DAYS, "D")) + 1
            for spell in np.split(times, breaks):
                self._add(self.stations[station], column, spell, describe(spell, int(station)), done)

    def tell_unchecked(self, column: str, values: NDArray[np.float64], consensus: Consensus) -> None:
        """Says how many values had too few others to be compared with."""
        alone = ~np.isnan(values) & np.isnan(consensus.rest)
        if alone.any():
            times = np.flatnonzero(alone.any(axis=1))
            found = "fewer than three stations report sound values at these times: only physical limits were checked"
            self._add(ALL_STATIONS, column, times, found, KEPT, int(alone.sum()))

    def tell_offsets(self, column: str, values: NDArray[np.float64], consensus: Consensus) -> None:
        """States constant differences in pressure."""
        for station in np.flatnonzero(np.abs(consensus.offset) >= _TELLING_OFFSET):
            times = np.flatnonzero(~np.isnan(values[:, station]) & ~np.isnan(consensus.reference))
            if not times.size:
                continue
            offset, mean = consensus.offset[station], float(values[times, station].mean())
            cause = f"about {abs(offset) * _METRES_PER_HPA:.0f} m {'lower' if offset > 0 else 'higher'}"
            if offset > 0 and _SEA_LEVEL[0] < mean < _SEA_LEVEL[1]:
                cause += ", or reduced to sea level"
            side = "above" if offset > 0 else "below"
            found = f"constantly {abs(offset):.1f} hPa {side} the other stations (mean {mean:.0f} hPa): {cause}"
            self._add(self.stations[station], column, times, found, KEPT)

    def tell_swapped(
        self, raw: dict[str, NDArray[np.float64]], faults: dict[str, NDArray[np.int8]], fits: dict[str, Consensus]
    ) -> None:
        """Says which faulty columns look like another quantity of the same city."""
        for name, values in raw.items():
            for other, consensus in fits.items():
                if other == name:
                    continue
                apart = np.abs(values - consensus.reference[:, None])
                for station in np.flatnonzero((faults[name] > 0).any(axis=0)):
                    times = np.flatnonzero((faults[name][:, station] > 0) & ~np.isnan(apart[:, station]))
                    if times.size < 10 or np.median(apart[times, station]) > TOLERANCES[other].lasting:
                        continue
                    pair = np.corrcoef(values[times, station], consensus.reference[times])
                    if pair[0, 1] > 0.8:
                        column, found = QUANTITIES[name].column, f"looks like {QUANTITIES[other].column}"
                        self._add(self.stations[station], column, times, found, SET_ASIDE)

    def _add(
        self, station: str, column: str, times: NDArray[np.intp], found: str, done: str, count: int | None = None
    ) -> None:
        first, last = self.times[times[0]], self.times[times[-1]]
        row = (station, column, first, last, len(times) if count is None else count, found, done)
        self.rows.append(dict(zip(COLUMNS, row, strict=True)))


def span(values: NDArray[np.float64]) -> str:
    """The range of some values as text."""
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    return f"{low:.4g}" if low == high else f"{low:.4g} to {high:.4g}"
