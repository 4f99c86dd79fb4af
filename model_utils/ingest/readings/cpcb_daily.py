"""Daily means of India's Central Pollution Control Board (CPCB): a file a station."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from model_utils.errors import InputError
from model_utils.ingest.readings.headers import pm25_columns, position_of, weather_columns
from model_utils.ingest.readings.records import StationRecords
from model_utils.ingest.readings.source import Gathered, Source, some
from model_utils.ingest.readings.times import iso_times
from model_utils.ingest.readings.units import to_micrograms_per_cubic_metre

NAME = "cpcb-daily"


def matches(names: tuple[str, ...]) -> bool:
    """Whether a header is that of such a file."""
    return position_of(names, ("datetime",)) is not None and any(unit for _, unit in pm25_columns(names))


def read(source: Source) -> StationRecords:
    """Reads the local day from `Datetime` (`Timestamp` is not reliable), PM2.5 and weather.

    Raises:
        InputError: Naming the file and line that is wrong.
    """
    gathered = Gathered()
    for path in source.files:
        station = _station(path, source.places)
        table = source.open(path)
        day = position_of(table.names, ("datetime",))
        pm25 = pm25_columns(table.names)
        if day is None or not pm25:
            raise InputError(
                f"{path}: expected columns Datetime and PM2.5 (unit), found {', '.join(table.names)[:120]}"
            )
        weather, unread = weather_columns(table.names)
        gathered.leave_out(unread, path)
        rows = table.rows({"Datetime": day, "PM2.5": pm25[0][0], **{name: at for name, (at, _) in weather.items()}})
        dates = iso_times(rows, "Datetime", zoned=False)
        rows.refuse("Datetime", dates != dates.dt.normalize(), "a day: these are daily means")
        values = rows.numbers("PM2.5")
        frame = pd.DataFrame(
            {
                "station": station,
                "date": dates,
                "pm25": to_micrograms_per_cubic_metre(values, source.unit_of(pm25[0][1], path), str(path)),
                **{name: rows.numbers(name) for name in weather},
            }
        )
        gathered.add(frame, {name: unit for name, (_, unit) in weather.items()}, path)
    if source.places is None:
        gathered.notes.append("no stations.csv in the folder: stations are called as their files")
    else:
        read_stations = {frame["station"].iloc[0] for frame in gathered.tables}
        if without := sorted(set(source.places["station"]) - read_stations):
            gathered.notes.append(f"{len(without)} stations of stations.csv have no file ({some(without)})")
    gathered.notes.append("daily means of local days, as the column Datetime says")
    return gathered.records(source, NAME, stamp=None)


def _station(path: Path, places: pd.DataFrame | None) -> str:
    """The listed station whose name begins the file's, else the file's name without its years."""
    names = [] if places is None else list(places["station"])
    begins = [name for name in names if path.stem == name or path.stem.startswith(f"{name}_")]
    return max(begins, key=len) if begins else re.sub(r"(?:_Pollutants)?(?:_[0-9]{4}){1,2}$", "", path.stem)
