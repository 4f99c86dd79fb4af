"""`pm25 inspect --readings`: what files of readings hold and how they are read, before any archive is made."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from model_utils import atomic
from model_utils.cities import City
from model_utils.errors import InputError
from model_utils.ingest.labelling import read_records
from model_utils.ingest.readings.flags import FLAGS, flag_counts, flag_records
from model_utils.ingest.readings.labels import flag_names
from model_utils.ingest.readings.records import StationRecords
from model_utils.ingest.readings.stations import locate_stations, read_stations
from model_utils.ingest.weather.plausibility import check_weather
from model_utils.inspection.config import InspectConfig
from model_utils.inspection.text import counted

MOST_STATIONS, FIRST_ROWS = 40, 5


def inspect_readings(config: InspectConfig, city: City) -> None:
    """Prints what readings there are and how they are read; `--table` keeps all rows.

    Raises:
        InputError: Naming the file, line or flag that is wrong.
    """
    if config.table is not None and config.table.exists() and not config.overwrite:
        raise InputError(f"--table {config.table}: is there already, --overwrite replaces it")
    records = read_records(config, city)
    located, notes = _located(records, config, city)
    weather, _ = check_weather(records.table, records.units, records.period)
    flagged = flag_records(replace(records, table=weather), located)
    rows = _rows(flagged, records)
    said = ", ".join(f"{name} {count}" for name, count in flag_counts(flagged).items() if count) or "none"
    print(f"{config.readings}: {records.format}, {counted(len(records.files), 'file')}")
    stations = counted(records.table["station"].nunique(), "station")
    print(
        f"{counted(len(rows), records.period)} of {stations}, "
        f"{flagged['local_date'].min():%Y-%m-%d} to {flagged['local_date'].max():%Y-%m-%d} in {city.time_zone}"
    )
    for line in (*records.notes, *notes, f"flags: {said}"):
        print(f"  {line}")
    print(f"\n{_stations(flagged, records, located)}")
    print(f"\nfirst rows\n{rows.head(FIRST_ROWS).to_string(index=False)}")
    if config.table is not None:
        with atomic.replacing(config.table) as temporary:
            rows.to_csv(temporary, index=False)
        print(f"\n{config.table}")


def _located(records: StationRecords, config: InspectConfig, city: City) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The stations that have a place, perhaps none, and notes."""
    try:
        return locate_stations(records, read_stations(config.stations) if config.stations else None, city)
    except InputError as error:  # the readings can be looked at all the same
        return records.stations.iloc[:0], (str(error),)


def _rows(flagged: pd.DataFrame, records: StationRecords) -> pd.DataFrame:
    """The rows as labels are made of them: station, time_utc or local_date, pm25, flags."""
    time = "time_utc" if records.period == "hour" else "local_date"
    shown = pd.DataFrame({"station": flagged["station"]})
    shown[time] = flagged[time].dt.strftime("%Y-%m-%dT%H:%M:%SZ" if time == "time_utc" else "%Y-%m-%d")
    shown["pm25"] = flagged["pm25"].round(6)
    flags = {name: flagged[f"flag_{name}"].to_numpy(bool) for name in FLAGS if f"flag_{name}" in flagged}
    shown["flags"] = flag_names(flags, len(flagged))
    return shown


def _stations(flagged: pd.DataFrame, records: StationRecords, located: pd.DataFrame) -> str:
    """A line a station."""
    number = flagged["pm25"].where(~flagged["flag_missing"] & ~flagged["flag_missing_code"])
    by_station = flagged.assign(number=number).groupby("station", sort=True)
    table = pd.DataFrame(
        {
            "rows": by_station.size(),
            "numbers": by_station["number"].count(),
            "first": by_station["local_date"].min().dt.strftime("%Y-%m-%d"),
            "last": by_station["local_date"].max().dt.strftime("%Y-%m-%d"),
            "mean": by_station["number"].mean().round(1),
        }
    )
    names = records.stations.set_index("station")["station_name"]
    table.insert(0, "name", names.reindex(table.index))
    places = located.set_index("station")[["latitude", "longitude"]].reindex(table.index)
    table = table.join(places.round(5).replace({np.nan: "-"})).reset_index()
    shown = table.head(MOST_STATIONS).to_string(index=False)
    more = len(table) - MOST_STATIONS
    return shown + (f"\n... and {more} more stations" if more > 0 else "")
