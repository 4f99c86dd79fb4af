"""Files of OpenAQ's archive: a row a measurement, with its local time and offset from UTC."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from model_utils.errors import InputError
from model_utils.ingest.readings.headers import position_of
from model_utils.ingest.readings.openaq import WEATHER, gather
from model_utils.ingest.readings.records import StationRecords
from model_utils.ingest.readings.source import Source
from model_utils.ingest.readings.text import Rows, joined
from model_utils.ingest.readings.times import have_zone, iso_times

NAME = "openaq-csv"

_COLUMNS = ("location_id", "sensors_id", "location", "datetime", "lat", "lon", "parameter", "units", "value")


def matches(names: tuple[str, ...]) -> bool:
    """Whether a header is that of such a file."""
    return all(position_of(names, (name,)) is not None for name in _COLUMNS)


def read(source: Source) -> StationRecords:
    """Reads pm25 and the weather; a station is a location, called by its id.

    Raises:
        InputError: Naming the file and line that is wrong.
    """
    parts: dict[bool, list[Rows]] = {}
    for path in source.files:
        table = source.open(path)
        at = {name: position_of(table.names, (name,)) for name in _COLUMNS}
        found = {name: position for name, position in at.items() if position is not None}
        if len(found) < len(_COLUMNS):
            raise InputError(f"{path}: expected columns {','.join(_COLUMNS)}, found {', '.join(table.names)[:120]}")
        rows = table.rows(found)
        parameter = pc.utf8_lower(rows.columns["parameter"])
        wanted = np.flatnonzero(pc.is_in(parameter, value_set=pa.array(["pm25", *WEATHER])))
        if wanted.size:
            parts.setdefault(rows.decimal_comma, []).append(rows.taken(wanted))
    if not parts:
        raise InputError(f"{source.files[0]}: found no measurement of pm25")
    # the archive has a file a day and location: thousands of small ones are converted at once
    frames = [_measurements(joined(alike), source) for alike in parts.values()]
    gathered = gather(pd.concat(frames, ignore_index=True), source, "utc")
    if source.timezone:
        gathered.notes.append("--timezone is not used: all times name their offset from UTC")
    return gathered.records(source, NAME, source.hour_stamp or "ending")


def _measurements(rows: Rows, source: Source) -> pd.DataFrame:
    if not have_zone(rows, "datetime"):
        raise InputError(
            f"{rows.where(0)}: datetime is {rows.columns['datetime'][0]} without an offset from UTC, expected one"
        )
    frame = pd.DataFrame(
        {
            "station": rows.texts("location_id"),
            "station_name": rows.texts("location"),
            "sensor": rows.numbers("sensors_id"),
            "latitude": rows.numbers("lat"),
            "longitude": rows.numbers("lon"),
            "parameter": rows.texts("parameter").str.lower(),
            "unit": rows.texts("units"),
            "value": rows.numbers("value"),
            "utc": iso_times(rows, "datetime", zoned=True),
        }
    )
    rows.refuse("location_id", frame["station"] == "", "the id of a location")
    mine = np.flatnonzero(frame["parameter"] == "pm25")
    values = frame["value"].to_numpy(copy=True)
    values[mine] = source.micrograms(values[mine], frame["unit"].iloc[mine], rows.taken(mine).where)
    frame["value"] = values
    return frame
