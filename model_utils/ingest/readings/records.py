"""What station files say, before anything is judged."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd

WEATHER = (
    "temperature",
    "relative_humidity",
    "pressure",
    "dew_point",
    "wind_speed",
    "wind_direction",
    "precipitation",
)
"""Weather columns that a format may bring, in the units its header names."""


@dataclass(frozen=True)
class StationRecords:
    """Readings of some stations in one shape, whatever the format was.

    Attributes:
        table: A row a station and time, sorted by both; duplicates are still there. Columns: `station` (text),
            `time_utc` (datetime64[us, UTC], the *beginning* of the averaging hour; NaT throughout where the period
            is a day), `local_date` (datetime64, midnight without zone: the local day on which the hour begins),
            `pm25` (float64, ug/m3 as reported: codes such as -999 are still there, NaN where the file says nothing),
            those of `WEATHER` that the format has (float64, in the unit that `units` names), and, where the format
            states it, `incomplete` (bool): the mean rests on under 75 % of its hours.
        stations: A row a station: `station`, `station_name`, `latitude`, `longitude` (WGS84 degrees, NaN unknown).
        period: What a row averages over.
        format: Name of the format, as --readings-format takes it.
        units: Unit of each weather column as the header states it, such as {'pressure': 'mmHg'}.
        files: The files that were read.
        notes: What a person should know: time zone, hour-ending or hour-beginning, rows that were left out and why.
        low_cost: The instruments are optical sensors without a reference.
    """

    table: pd.DataFrame
    stations: pd.DataFrame
    period: Literal["hour", "day"]
    format: str
    units: dict[str, str]
    files: tuple[Path, ...]
    notes: tuple[str, ...]
    low_cost: bool = False
