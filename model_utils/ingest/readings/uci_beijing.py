"""The UCI data set 'Beijing Multi-Site Air Quality' (Zhang et al. 2017, doi:10.1098/rspa.2017.0457)."""

from __future__ import annotations

import numpy as np
import pandas as pd

from model_utils.errors import InputError
from model_utils.ingest.readings.headers import position_of
from model_utils.ingest.readings.records import StationRecords
from model_utils.ingest.readings.source import Gathered, Source
from model_utils.ingest.readings.text import Rows
from model_utils.ingest.readings.times import checked
from model_utils.ingest.readings.units import to_micrograms_per_cubic_metre

NAME = "uci-beijing"

_CLOCK = ("year", "month", "day", "hour")
_WEATHER = {
    "TEMP": ("temperature", "°C"),
    "PRES": ("pressure", "hPa"),
    "DEWP": ("dew_point", "°C"),
    "RAIN": ("precipitation", "mm"),
    "WSPM": ("wind_speed", "m/s"),
}
_COMPASS = ["N", "NNE", "NE", "ENE", "E", "ESE", "SE", "SSE", "S", "SSW", "SW", "WSW", "W", "WNW", "NW", "NNW"]


def matches(names: tuple[str, ...]) -> bool:
    """Whether a header is that of such a file."""
    return all(position_of(names, (name,)) is not None for name in (*_CLOCK, "pm2.5", "station"))


def read(source: Source) -> StationRecords:
    """Reads hours of Beijing's clock; the documentation does not say which end `hour` is: the beginning is assumed.

    Raises:
        InputError: Naming the file and line that is wrong.
    """
    gathered = Gathered()
    for path in source.files:
        table = source.open(path)
        at = {
            name: position_of(table.names, (name.casefold(),))
            for name in (*_CLOCK, "PM2.5", "station", *_WEATHER, "wd")
        }
        if any(at[name] is None for name in (*_CLOCK, "PM2.5", "station")):
            raise InputError(
                f"{path}: expected year, month, day, hour, PM2.5, station, found {', '.join(table.names)[:120]}"
            )
        rows = table.rows({name: position for name, position in at.items() if position is not None})
        station = rows.texts("station")
        rows.refuse("station", station == "", "the name of a station")
        values = to_micrograms_per_cubic_metre(rows.numbers("PM2.5"), source.unit_of(None, path))
        frame = pd.DataFrame({"station": station, "clock": _clock(rows), "pm25": values})
        for name, (quantity, _) in _WEATHER.items():
            if name in rows.columns:
                frame[quantity] = rows.numbers(name)
        if "wd" in rows.columns:
            degrees = {point: 22.5 * number for number, point in enumerate(_COMPASS)}
            frame["wind_direction"] = rows.texts("wd").map(degrees).astype("float64")
        units = {**dict(_WEATHER.values()), "wind_direction": "deg"}
        gathered.add(frame, {name: unit for name, unit in units.items() if name in frame}, path)
    if source.hour_stamp is None:
        gathered.notes.append(
            "the data set does not say which end of its hour a row's time is; --hour-stamp decides otherwise"
        )
    return gathered.records(source, NAME, source.hour_stamp or "beginning", source.zone("Asia/Shanghai"))


def _clock(rows: Rows) -> pd.Series:
    """Times from year, month, day and hour."""
    year, month, day, hour = (rows.numbers(name) for name in _CLOCK)
    for name, part, low, high in (
        ("year", year, 1970, 2100),
        ("month", month, 1, 12),
        ("day", day, 1, 31),
        ("hour", hour, 0, 23),
    ):
        rows.refuse(
            name, ~((part >= low) & (part <= high) & (part == np.floor(part))), f"a whole number from {low} to {high}"
        )
    months = ((year - 1970) * 12 + month - 1).astype(np.int64).astype("datetime64[M]")
    days = months.astype("datetime64[D]") + (day - 1).astype("timedelta64[D]")
    rows.refuse("day", days.astype("datetime64[M]") != months, "a day of its month")
    times = pd.Series(days.astype("datetime64[us]") + hour.astype("timedelta64[h]"))
    return checked(rows, "year", times, "a year from 1970 to 2100")
