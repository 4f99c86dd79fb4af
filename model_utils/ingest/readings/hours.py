"""Hours: what their stamps mean, readings of shorter intervals, and several instruments at one station."""

from __future__ import annotations

from typing import Literal
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model_utils.ingest.readings.records import WEATHER

HourStamp = Literal["beginning", "ending"]

_HOUR = pd.Timedelta(hours=1)
_ORDINARY = (-10.0, 985.0)  # what an hour's mean is taken of; codes and saturated values would vanish in it


def hours_of(
    table: pd.DataFrame, station: NDArray[np.intp], stamp: HourStamp, zone: ZoneInfo
) -> tuple[pd.DataFrame, list[str]]:
    """Gives rows the beginning of their hour; readings of shorter intervals are averaged to hours of the local clock.

    The interval of a station's day (in UTC) is the median distance between its times, at most an hour.

    Args:
        table: N rows `station`, `utc`, `pm25` and weather, by station and time.
        station: A number for each row's station.
        stamp: Which end of its interval a time is.
        zone: The local clock.

    Returns:
        At most N rows with `time_utc`, and a note where readings were averaged.
    """
    shift = _HOUR if stamp == "ending" else pd.Timedelta(0)
    step = np.diff(table["utc"].to_numpy("datetime64[us]"))[np.diff(station) == 0]
    if not ((step > np.timedelta64(0)) & (step < _HOUR.to_timedelta64())).any():
        return table.assign(time_utc=(table["utc"] - shift).dt.as_unit("us")), []
    distinct = table[["station", "utc"]].drop_duplicates()
    gaps = distinct["utc"].groupby(distinct["station"]).diff()
    gaps = gaps.fillna(gaps.shift(-1))  # a station's first time has the gap behind it
    interval = gaps.groupby([distinct["station"], distinct["utc"].dt.normalize()]).transform("median")
    interval = interval.where(interval < _HOUR, _HOUR).reindex(table.index).ffill()
    begin = table["utc"] - interval if stamp == "ending" else table["utc"]
    table["time_utc"] = begin.dt.as_unit("us")
    short = interval < _HOUR
    if not short.any():
        return table, []
    parts = table[short].copy()
    offset = parts["time_utc"].dt.tz_convert(zone).dt.tz_localize(None) - parts["time_utc"].dt.tz_localize(None)
    clock = (parts["time_utc"].dt.tz_localize(None) + offset).dt.floor("h")
    parts["time_utc"] = (clock - offset).dt.tz_localize("UTC").dt.as_unit("us")
    ordinary = parts["pm25"].between(*_ORDINARY, inclusive="left")
    parts["mean"] = parts["pm25"].where(ordinary)
    weather = [name for name in WEATHER if name in parts]
    how = {"mean": "mean", "pm25": "first", **dict.fromkeys(weather, "mean"), "wind_direction": "first"}
    hours = parts.groupby(["station", "time_utc"], as_index=False).agg(
        {name: how[name] for name in how if name in parts}
    )
    hours["pm25"] = hours.pop("mean").fillna(hours["pm25"])
    odd = int((parts["pm25"].notna() & ~ordinary).sum())
    note = (
        f"{len(parts)} readings of less than an hour are averaged to {len(hours)} hours of the local clock; {odd} "
        f"below {_ORDINARY[0]:g} or from {_ORDINARY[1]:g} on are in no mean, and stand for an hour that has no other"
    )
    return pd.concat([table[~short], hours], ignore_index=True), [note]


def in_order(table: pd.DataFrame, time: str) -> tuple[pd.DataFrame, NDArray[np.intp]]:
    """The rows by station and time, numbered anew, and the place of each one's station among all in order.

    Rows of one time stay in their order.

    Args:
        table: N rows with `station` and the time.
        time: Name of the time column, without NaT.
    """
    code, _ = pd.factorize(table["station"], sort=True)
    when = table[time].to_numpy("datetime64[us]")
    ahead = np.diff(code)
    if ((ahead > 0) | ((ahead == 0) & (np.diff(when) >= np.timedelta64(0)))).all():
        return table.reset_index(drop=True), code
    order = np.lexsort((when, code))
    return table.take(order).reset_index(drop=True), code[order]


def first_instrument(table: pd.DataFrame, instrument: list[str], time: str) -> tuple[pd.DataFrame, str | None]:
    """Of a station's instruments, keeps at each time the first that has a reading; says how many rows that leaves out.

    An incomplete mean counts only where no instrument has another.

    Args:
        table: Rows with `station`, `pm25`, the time, and the columns that name an instrument.
        instrument: Those columns; the lowest comes first.
        time: Name of the time column.
    """
    several = table.drop_duplicates(["station", *instrument]).groupby("station").size()
    if not (several > 1).any():
        return table, None
    silent = (table["pm25"].isna() | table.get("incomplete", False)).rename("silent")
    order = pd.concat([table[["station", time, *instrument]], silent], axis=1)
    best = order.sort_values(["silent", *instrument], kind="stable").drop_duplicates(["station", time])
    chosen = order.reset_index().merge(best[["station", time, *instrument]]).set_index("index").sort_index().index
    note = (
        f"{int((several > 1).sum())} stations have several instruments: at each time the lowest "
        f"({', '.join(instrument)}) with a reading counts, {len(table) - len(chosen)} rows of others are left out"
    )
    return table.loc[chosen], note
