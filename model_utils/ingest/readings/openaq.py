"""Measurements as OpenAQ gives them, whatever file they came in.

Times are those of the *end* of the average, unless a measurement names both ends
(https://docs.openaq.org/using-the-api/dates-datetimes).
"""

from __future__ import annotations

import pandas as pd

from model_utils.errors import InputError
from model_utils.ingest.readings.hours import first_instrument
from model_utils.ingest.readings.source import Gathered, Source
from model_utils.ingest.weather.quantities import known_unit

WEATHER = {"temperature": "temperature", "relativehumidity": "relative_humidity", "pressure": "pressure"}
"""OpenAQ's names of the weather quantities that stations report."""


def gather(measurements: pd.DataFrame, source: Source, time: str) -> Gathered:
    """Puts each station's weather beside its pm25 of the same time.

    Args:
        measurements: Rows `station`, `station_name`, `sensor`, `latitude`, `longitude`, `parameter` ('pm25' in ug/m3,
            or a key of `WEATHER`), `unit`, `value`, and the time.
        source: Where they come from.
        time: Name of the time column: 'utc' or 'date'.

    Raises:
        InputError: No pm25 at all.
    """
    gathered = Gathered()
    pm25 = measurements[measurements["parameter"] == "pm25"].rename(columns={"value": "pm25"})
    if pm25.empty:
        raise InputError(f"{source.files[0]}: found no measurement of pm25")
    pm25, note = first_instrument(pm25, ["sensor"], time)
    gathered.notes += [note] if note else []
    table = pm25[["station", time, "pm25"]]
    for parameter, name in WEATHER.items():
        weather = measurements[(measurements["parameter"] == parameter) & measurements["value"].notna()]
        units = sorted(weather["unit"].unique())
        if len(units) > 1:
            gathered.notes.append(f"{name} is left out: it is in {' and in '.join(units)}")
        elif units:
            try:
                known_unit(name, units[0], f"parameter {parameter!r}")
            except InputError as error:
                gathered.leave_out([str(error)], source.files[0])
                continue
            gathered.units[name] = units[0]
            first = weather.drop_duplicates(["station", time])[["station", time, "value"]]
            table = table.merge(first.rename(columns={"value": name}), on=["station", time], how="left")
    gathered.tables.append(table)
    gathered.places.append(
        measurements[["station", "station_name", "latitude", "longitude"]].drop_duplicates(ignore_index=True)
    )
    return gathered
