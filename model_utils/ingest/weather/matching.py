"""Weather for the tiles: of the same place and the same hours as their readings."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model_utils.cities import plain_letters
from model_utils.ingest.weather.quantities import QUANTITIES

WEATHER_COLUMNS = tuple(quantity.column for quantity in QUANTITIES.values())
DAY_SHARE = 0.75
"""A local day counts where this share of its hours is known, as for readings: 18 of 24."""

_HOUR, _DAY = 3600.0, 86_400.0
_EAST, _NORTH = "_direction_east", "_direction_north"


class WeatherIndex:
    """Weather that is averaged or sorted once, and then asked for the rows of any table."""

    def __init__(self, source: pd.DataFrame, window_hours: float | None = None, instantaneous: bool = False) -> None:
        """Averages the local days, or sorts the times.

        Args:
            source: Weather with local_date, time_utc (UTC; NaT throughout, or no such column, where it is daily) and
                some of `WEATHER_COLUMNS`. With a column station it holds for the sites of that name (letters and digits
                agree), with latitude and longitude for the sites nearest to each, otherwise for all.
            window_hours: Hours before and after a row's time, or None for its local day.
            instantaneous: Values are those at time_utc, as in a reanalysis. Otherwise, and for precipitation always,
                they are of the hour (or part of it) that begins then; times further apart are those of observations.
        """
        self.columns = [name for name in WEATHER_COLUMNS if name in source]
        places, self._known = _places_of(source)
        values = source[self.columns].astype(np.float64)
        if "wind_direction_deg" in self.columns:
            angle = np.radians(values["wind_direction_deg"])
            values = values.assign(**{_EAST: np.sin(angle), _NORTH: np.cos(angle)})
        self._names = list(values.columns)
        daily = "time_utc" not in source or source["time_utc"].isna().all()
        self._window = None if daily else window_hours
        if self._window is None:
            self._values_of_whole = 1.0 if daily else _DAY / _step(source, values, places)
            keyed = values.groupby([places, _microseconds(source["local_date"])])
            self._days = keyed.mean().where(keyed.count() >= DAY_SHARE * self._values_of_whole)
            return
        step = _step(source, values, places)
        self._values_of_whole = 2 * self._window * _HOUR / step
        half = np.timedelta64(round(step / 2) if step <= _HOUR else 0, "s")
        self._middles = [
            (at, np.timedelta64(0, "s") if instantaneous and name != "precipitation_mm" else half)
            for at, name in enumerate(self._names)
        ]
        times, numbers = _microseconds(source["time_utc"]).to_numpy(), values.to_numpy()
        order = np.argsort(times, kind="stable")
        of_place = pd.Series(places[order]).groupby(places[order]).indices
        self._hours = {place: (times[order[rows]], numbers[order[rows]]) for place, rows in of_place.items()}

    def at(self, rows: pd.DataFrame) -> pd.DataFrame:
        """The weather of each row.

        Hourly weather is averaged over the row's local day, where `DAY_SHARE` of it is known, or over the hours whose
        middle is within the window of its time, at least one; values of an instant by their own time. Wind directions
        are averaged as unit vectors; precipitation is the sum, scaled up where hours are missing. Daily weather is that
        of the local date.

        Args:
            rows: N rows with site_id, latitude, longitude (WGS84 degrees), time_utc (UTC) and local_date (datetime64).

        Returns:
            N rows with the index of `rows` and the weather columns of the source; NaN where nothing is known.
        """
        places = _places_among(rows, self._known)
        if self._window is None:
            wanted = pd.MultiIndex.from_arrays([places, _microseconds(rows["local_date"])])
            found = self._days.reindex(wanted).to_numpy()
        else:
            found = np.full((len(rows), len(self._names)), np.nan)
            centres = _microseconds(rows["time_utc"]).to_numpy()
            for place, mine in pd.Series(places).groupby(places).indices.items():
                if place in self._hours:
                    found[mine] = self._means_around(centres[mine], *self._hours[place])
        table = pd.DataFrame(found, columns=self._names, index=rows.index)
        if "wind_direction_deg" in self.columns:
            table["wind_direction_deg"] = np.degrees(np.arctan2(table[_EAST], table[_NORTH])) % 360
        if "precipitation_mm" in self.columns:
            table["precipitation_mm"] *= self._values_of_whole
        return table[self.columns]

    def _means_around(
        self, centres: NDArray[np.datetime64], times: NDArray[np.datetime64], values: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Means of the sorted values around each centre, len(centres) x columns."""
        assert self._window is not None
        means = np.full((len(centres), values.shape[1]), np.nan)
        for later in {later for _, later in self._middles}:
            columns = [at for at, of_column in self._middles if of_column == later]
            means[:, columns] = _window_means(times + later, values[:, columns], centres, self._window)
        return means


def _places_of(source: pd.DataFrame) -> tuple[NDArray[np.intp], pd.Index | None]:
    """A number for the place of each row, and what the numbers stand for: names, points, or None for everywhere."""
    if "station" in source:
        codes, names = pd.factorize(source["station"].astype(str).map(plain_letters))
        return codes, pd.Index(names)
    if "latitude" in source:
        points = pd.MultiIndex.from_frame(source[["latitude", "longitude"]].astype(np.float64))
        known = points.unique()
        return known.get_indexer(points), known
    return np.zeros(len(source), np.intp), None


def _places_among(rows: pd.DataFrame, known: pd.Index | None) -> NDArray[np.intp]:
    """The number of each row's place: -1 where it is none of the names."""
    if known is None:
        return np.zeros(len(rows), np.intp)
    if not isinstance(known, pd.MultiIndex):
        return known.get_indexer(pd.Index(rows["site_id"].astype(str).map(plain_letters)))
    points = np.array(known.to_list(), np.float64).reshape(-1, 2)
    sites = rows[["latitude", "longitude"]].drop_duplicates()
    latitude, longitude = (sites[[name]].to_numpy(np.float64) for name in ("latitude", "longitude"))
    east = ((longitude - points[:, 1] + 180) % 360 - 180) * np.cos(np.radians(latitude))
    nearest = pd.Series(np.hypot(latitude - points[:, 0], east).argmin(axis=1), pd.MultiIndex.from_frame(sites))
    return nearest.reindex(pd.MultiIndex.from_frame(rows[["latitude", "longitude"]])).to_numpy(np.intp)


def _microseconds(column: pd.Series) -> pd.Series:
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        column = column.dt.tz_convert("UTC").dt.tz_localize(None)
    return column.astype("datetime64[us]")


def _step(source: pd.DataFrame, values: pd.DataFrame, places: NDArray[np.intp]) -> float:
    """Seconds from one value to the next: 3600 of hourly weather."""
    others = values.drop(columns="precipitation_mm", errors="ignore")  # it may stand at other times than the rest
    known = (others if others.shape[1] else values).notna().any(axis=1).to_numpy()
    times = _microseconds(source["time_utc"])[known]
    steps = times.groupby(places[known]).apply(
        lambda of_place: of_place.drop_duplicates().sort_values().diff().median()
    )
    return float(steps.dt.total_seconds().median()) if steps.notna().any() else _HOUR


def _window_means(
    times: NDArray[np.datetime64], values: NDArray[np.float64], centres: NDArray[np.datetime64], hours: float
) -> NDArray[np.float64]:
    """Means over the values whose sorted times are at most `hours` from each centre, len(centres) x columns."""
    reach = np.timedelta64(round(hours * 3_600_000_000), "us")
    first, last = np.searchsorted(times, centres - reach, "left"), np.searchsorted(times, centres + reach, "right")
    means = np.full((len(centres), values.shape[1]), np.nan)
    for row, (low, high) in enumerate(zip(first, last, strict=True)):
        known = ~np.isnan(values[low:high])
        count = known.sum(axis=0)
        total = np.where(known, values[low:high], 0).sum(axis=0)
        np.divide(total, count, out=means[row], where=count > 0)
    return means
