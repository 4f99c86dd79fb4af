"""Hourly readings of China's national network as archived day by day: `date,hour,type,1001A,1002A,...`."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pyarrow.compute as pc

from model_utils.errors import InputError
from model_utils.ingest.readings.records import StationRecords
from model_utils.ingest.readings.source import Gathered, Source
from model_utils.ingest.readings.stations import matched
from model_utils.ingest.readings.text import Rows
from model_utils.ingest.readings.times import iso_times
from model_utils.ingest.readings.units import to_micrograms_per_cubic_metre

NAME = "china-national"


def matches(names: tuple[str, ...]) -> bool:
    """Whether a header is that of such a file."""
    first = tuple(name.casefold() for name in names[:3])
    return first == ("date", "hour", "type") and any(re.fullmatch(r"[0-9]{3,5}[A-Z]", name) for name in names[3:])


def read(source: Source) -> StationRecords:
    """Reads the rows of type PM2.5 (PM2.5_24h is a running mean); the stations' coordinates come from stations.csv.

    Hour H is the mean of the hour that ends at H: the network publishes the mean from 3 to 4 pm as that of 4 pm
    (introduction of the China National Environmental Monitoring Centre's reporting system, 2010).

    Raises:
        InputError: Naming the file and line that is wrong.
    """
    gathered = Gathered()
    others = 0
    for path in source.files:
        table = source.open(path)
        if not matches(table.names):
            raise InputError(f"{path}: expected date,hour,type,1001A,..., found {', '.join(table.names)[:120]}")
        stations = np.array(table.names[3:])
        columns = {name or f"column {at}": at for at, name in enumerate(table.names)}
        if len(columns) < len(table.names):
            raise InputError(f"{path}: a station is there twice, expected one column a station")
        if source.places is not None:
            mine = set(matched(dict.fromkeys(stations.tolist(), ""), source.places))
            others += len(set(stations) - mine)
            stations = np.array([name for name in stations if name in mine])
            if stations.size == 0:
                raise InputError(
                    f"{path}: none of its stations is in stations.csv, found {', '.join(table.names[3:])[:60]}"
                )
        kept = {name: at for name, at in columns.items() if at < 3 or source.places is None or name in mine}
        rows = _of_type(table.rows(kept), "PM2.5")
        names = list(rows.columns)
        hour = rows.numbers(names[1])
        rows.refuse(names[1], ~((hour >= 0) & (hour <= 23) & (hour == np.floor(hour))), "an hour from 0 to 23")
        clock = iso_times(rows, names[0], zoned=False).dt.normalize() + pd.to_timedelta(hour, unit="h")
        values = np.stack([rows.numbers(name) for name in names[3:]], axis=1)
        frame = pd.DataFrame(
            {
                "station": np.tile(np.array(names[3:], dtype=object), len(clock)),
                "clock": np.repeat(clock.to_numpy(), len(names) - 3),
                "pm25": to_micrograms_per_cubic_metre(values.ravel(), source.unit_of(None, path)),
            }
        )
        gathered.add(frame.astype({"station": "str"}), {}, path)
    if others:
        gathered.notes.append("stations that stations.csv does not list are left out")
    return gathered.records(source, NAME, source.hour_stamp or "ending", source.zone("Asia/Shanghai"))


def _of_type(rows: Rows, kind: str) -> Rows:
    """The rows of one pollutant."""
    column = rows.columns[list(rows.columns)[2]]
    chosen = np.flatnonzero(np.asarray(pc.equal(column, kind)))
    if chosen.size == 0:
        found = ", ".join(map(str, pc.unique(column).to_pylist()))
        raise InputError(f"{rows.path}: found no row of type {kind}, only {found[:120]}")
    return rows.taken(chosen)
