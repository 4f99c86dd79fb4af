"""Weather for the tiles: of the same place and the same hours as their readings."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model_utils.ingest.weather.quantities import QUANTITIES

WEATHER_COLUMNS = tuple(quantity.column for quantity in QUANTITIES.values())
DAY_SHARE = 0.75
"""A local day counts where this share of its hours is known, as for readings: 18 of 24."""

_EAST, _NORTH = "_direction_east", "_direction_north"


def weather_for(rows: pd.DataFrame, source: pd.DataFrame, window_hours: float | None = None) -> pd.DataFrame:
    """The weather of each row.

    Hourly weather is averaged over the row's local day, or over the hours that begin within `window_hours` of its time;
    wind directions as unit vectors; precipitation is the sum, scaled up where hours are missing. Daily weather is that
    of the local date.

    Args:
        rows: N rows with site_id, latitude, longitude (WGS84 degrees), time_utc (UTC) and local_date (datetime64).
        source: Weather with local_date, time_utc (NaT throughout, or no such column, where it is daily) and some of
            `WEATHER_COLUMNS`. With a column station it holds for the sites of that name (letters and digits agree),
            with latitude and longitude for the sites nearest to each, otherwise for all.
        window_hours: Hours before and after time_utc, or None for the local day.

    Returns:
        N rows with the index of `rows` and the weather columns of `source`; NaN where nothing is known.
    """
    columns = [name for name in WEATHER_COLUMNS if name in source]
    place_of_source, place_of_row = _places(rows, source)
    values = source[columns].astype(np.float64)
    if "wind_direction_deg" in columns:
        angle = np.radians(values["wind_direction_deg"])
        values = values.assign(**{_EAST: np.sin(angle), _NORTH: np.cos(angle)})
    values = values.assign(_place=place_of_source, local_date=_microseconds(source["local_date"]))
    daily = "time_utc" not in source or source["time_utc"].isna().all()
    if daily or window_hours is None:
        hours = 1.0 if daily else _hours_in_day(source, place_of_source)
        keyed = values.groupby(["_place", "local_date"])
        mean = keyed.mean().where(keyed.count() >= DAY_SHARE * hours)
        wanted = pd.MultiIndex.from_arrays([place_of_row, _microseconds(rows["local_date"])])
        found = mean.reindex(wanted).to_numpy()
        names = list(mean.columns)
    else:
        names = [name for name in values.columns if name not in ("_place", "local_date")]
        found = np.full((len(rows), len(names)), np.nan)
        times, centres = _microseconds(source["time_utc"]).to_numpy(), _microseconds(rows["time_utc"]).to_numpy()
        for place in np.unique(place_of_row[place_of_row >= 0]):
            here, mine = place_of_source == place, place_of_row == place
            found[mine] = _window_means(times[here], values.loc[here, names].to_numpy(), centres[mine], window_hours)
        hours = 2 * window_hours * _hours_in_day(source, place_of_source) / 24
    table = pd.DataFrame(found, columns=names, index=rows.index)
    if "wind_direction_deg" in columns:
        table["wind_direction_deg"] = np.degrees(np.arctan2(table[_EAST], table[_NORTH])) % 360
    if "precipitation_mm" in columns:
        table["precipitation_mm"] *= hours
    return table[columns]


def _places(rows: pd.DataFrame, source: pd.DataFrame) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """A number for the place of each row of the source, and of each row: -1 where the source does not know it."""
    if "station" in source:
        codes, names = pd.factorize(_plain(source["station"]))
        return codes, pd.Index(names).get_indexer(pd.Index(_plain(rows["site_id"])))
    if "latitude" in source:
        points = source[["latitude", "longitude"]].drop_duplicates().to_numpy(np.float64)
        index = pd.MultiIndex.from_arrays([points[:, 0], points[:, 1]])
        codes = index.get_indexer(pd.MultiIndex.from_frame(source[["latitude", "longitude"]].astype(np.float64)))
        sites = rows[["latitude", "longitude"]].drop_duplicates()
        latitude, longitude = (sites[[name]].to_numpy(np.float64) for name in ("latitude", "longitude"))
        east = ((longitude - points[:, 1] + 180) % 360 - 180) * np.cos(np.radians(latitude))
        nearest = pd.Series(np.hypot(latitude - points[:, 0], east).argmin(axis=1), pd.MultiIndex.from_frame(sites))
        return codes, nearest.reindex(pd.MultiIndex.from_frame(rows[["latitude", "longitude"]])).to_numpy(np.intp)
    return np.zeros(len(source), np.intp), np.zeros(len(rows), np.intp)


def _plain(names: pd.Series) -> pd.Series:
    return names.astype(str).str.lower().str.replace(r"[\W_]+", "", regex=True)


def _microseconds(column: pd.Series) -> pd.Series:
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        column = column.dt.tz_convert("UTC").dt.tz_localize(None)
    return column.astype("datetime64[us]")


def _hours_in_day(source: pd.DataFrame, places: NDArray[np.intp]) -> float:
    """How many values a whole day has: 24 of hourly weather, 8 of three-hourly."""
    times = _microseconds(source["time_utc"])
    steps = times.groupby(places).apply(lambda of_place: of_place.drop_duplicates().sort_values().diff().median())
    return 86_400 / float(steps.dt.total_seconds().median()) if steps.notna().any() else 24.0


def _window_means(
    times: NDArray[np.datetime64], values: NDArray[np.float64], centres: NDArray[np.datetime64], hours: float
) -> NDArray[np.float64]:
    """Means over the values whose time is at most `hours` from each centre, len(centres) x columns."""
    order = np.argsort(times, kind="stable")
    times, values = times[order], values[order]
    reach = np.timedelta64(round(hours * 3_600_000_000), "us")
    first, last = np.searchsorted(times, centres - reach, "left"), np.searchsorted(times, centres + reach, "right")
    means = np.full((len(centres), values.shape[1]), np.nan)
    for row, (low, high) in enumerate(zip(first, last, strict=True)):
        known = ~np.isnan(values[low:high])
        count = known.sum(axis=0)
        total = np.where(known, values[low:high], 0).sum(axis=0)
        np.divide(total, count, out=means[row], where=count > 0)
    return means
