"""A wide table: a column of times, and behind it one for each station."""

from __future__ import annotations

import pandas as pd

from model_utils.cities import City
from model_utils.errors import InputError
from model_utils.ingest.readings.headers import position_of
from model_utils.ingest.readings.plain import ALIASES, opened, records, times
from model_utils.ingest.readings.records import StationRecords
from model_utils.ingest.readings.source import Gathered, Source
from model_utils.ingest.readings.stations import matched

NAME = "wide"


def matches(names: tuple[str, ...], city: City, listed: pd.DataFrame | None) -> bool:
    """Whether a header is a time and then names of stations that a list has; any other column could be anything."""
    stations = [name for name in names[1:] if name]
    return (
        position_of(names[:1], ALIASES["time"]) == 0
        and bool(stations)
        and len(matched(dict.fromkeys(stations, ""), _list(city, listed))) == len(set(stations)) == len(stations)
    )


def read(source: Source) -> StationRecords:
    """Reads times as a plain table has them, and a column for each station.

    Raises:
        InputError: Naming the file and line that is wrong, or the flag that is needed.
    """
    gathered = Gathered()
    for path in source.files:
        names, read_rows = opened(path, source)
        if position_of(names[:1], ALIASES["time"]) != 0:
            raise InputError(f"{path}: expected time,<station>,<station>,..., found {', '.join(names)[:120]}")
        stations = [name for name in names[1:] if name]
        if not stations or len(set(stations)) < len(stations):
            raise InputError(f"{path}: expected one column a station, found {', '.join(names)[:120]}")
        rows = read_rows({"time": 0, **{name: names.index(name, 1) for name in stations}})
        when = times(rows, source, utc=names[0].casefold() == "time_utc")
        for station in stations:
            gathered.note_missing(rows, station)
            frame = pd.DataFrame({"station": station, when.name: when})
            units = pd.Series("", index=range(len(rows)))
            frame["pm25"] = source.micrograms(rows.numbers(station), units, rows.where)
            gathered.add(frame.astype({"station": "str"}), {}, path)
    if source.unit is None:
        gathered.notes.append("readings without a unit are taken as ug/m3; --unit decides otherwise")
    return records(gathered, source, NAME)


def _list(city: City, listed: pd.DataFrame | None) -> pd.DataFrame:
    if listed is not None:
        return listed
    names = [station.name for station in city.stations]
    return pd.DataFrame({"station": names, "aliases": [()] * len(names)})
