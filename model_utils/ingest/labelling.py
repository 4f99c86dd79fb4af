"""From station readings and weather to the label columns of an archive's rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from model_utils.cities import City
from model_utils.errors import InputError
from model_utils.ingest.config import PrepareConfig
from model_utils.ingest.readings.config import ReadingsConfig
from model_utils.ingest.readings.flags import DEFAULT_DROP, FLAGS, SATURATION, filter_line, flag_counts, flag_records
from model_utils.ingest.readings.labels import daily_labels, overpass_labels
from model_utils.ingest.readings.reading import read_readings
from model_utils.ingest.readings.records import StationRecords
from model_utils.ingest.readings.stations import locate_stations, read_stations
from model_utils.ingest.readings.units import CLEANEST_CITY
from model_utils.ingest.weather.findings import ALL_STATIONS
from model_utils.ingest.weather.matching import WeatherIndex
from model_utils.ingest.weather.plausibility import check_weather
from model_utils.ingest.weather.sources import read_weather

_LOCATED = ("station", "station_name", "latitude", "longitude")


@dataclass(frozen=True)
class StationReadings:
    """Readings of the stations whose place is known, flagged, with plausible weather.

    Attributes:
        flagged: `StationRecords.table` with the weather in the archive's columns, and flag_<name>.
        stations: station, station_name, latitude, longitude.
        weather_findings: What was found against the weather and done about it, as `check_weather` says it.
        files: What it was read from.
        report: What a person should know.
    """

    flagged: pd.DataFrame
    stations: pd.DataFrame
    weather_findings: pd.DataFrame
    files: tuple[Path, ...]
    report: tuple[str, ...]


def read_records(config: ReadingsConfig, city: City) -> StationRecords:
    """Reads the files behind --readings as the flags say.

    Raises:
        InputError: Naming the file, line or flag that is wrong.
    """
    assert config.readings is not None
    return read_readings(
        config.readings,
        city,
        config.readings_format,
        config.timezone,
        config.hour_stamp,
        config.unit,
        config.column_names,
        config.time_format,
        config.decimal,
    )


def station_readings(config: ReadingsConfig, city: City) -> StationReadings:
    """Reads, locates and judges the readings of a city.

    Raises:
        InputError: Naming the file, line or flag that is wrong.
    """
    records = read_records(config, city)
    listed = read_stations(config.stations) if config.stations else None
    located, place_notes = locate_stations(records, listed, city)
    _refuse_other_unit(records, config)
    checked, findings = check_weather(records.table, records.units, records.period)
    flagged = flag_records(replace(records, table=checked), located)
    report = [
        f"readings: {records.format}, {len(flagged)} {records.period}s at {len(located)} stations, "
        f"{flagged['local_date'].min():%Y-%m-%d} to {flagged['local_date'].max():%Y-%m-%d}",
        *records.notes,
        *place_notes,
        "flags: " + (", ".join(f"{name} {count}" for name, count in flag_counts(flagged).items() if count) or "none"),
        *_told(findings),
    ]
    files = (*records.files, *((config.stations,) if config.stations else ()))
    return StationReadings(flagged[~flagged["flag_coordinates"]], located, findings, files, tuple(report))


def _refuse_other_unit(records: StationRecords, config: ReadingsConfig) -> None:
    """A city's mean below 1 ug/m3 is that of mg/m3, unless somebody says otherwise.

    Raises:
        InputError: No unit was given.
    """
    pm25 = records.table["pm25"]
    mean = pm25[pm25.between(0, SATURATION)].mean()
    if config.unit is None and 0 < mean < CLEANEST_CITY:
        raise InputError(
            f"{config.readings}: PM2.5 has a mean of {mean:.2g} ug/m3, and in no city is it below {CLEANEST_CITY:g}: "
            "expected --unit mg/m3 if these are mg/m3, or --unit ug/m3 if they are not"
        )


@dataclass(frozen=True)
class Labels:
    """What is known of stations: where they are, what they read, and the weather.

    Attributes:
        stations: station, station_name, latitude, longitude of the places that get station tiles.
        readings: Their readings, or None.
        weather: Weather from elsewhere, or None; it precedes that of the readings.
        drop: Readings with one of these flags enter no label.
        min_hours: Hours that a daily mean needs.
        window_hours: Half the window around an overpass, or None for daily means.
        files: What it was read from.
        report: What a person should know.
    """

    stations: pd.DataFrame
    readings: StationReadings | None
    weather: WeatherIndex | None
    drop: tuple[str, ...]
    min_hours: int
    window_hours: float | None
    files: tuple[Path, ...]
    report: tuple[str, ...]

    def table(self, times: pd.DatetimeIndex) -> pd.DataFrame | None:
        """A label for each station and day, or for each station and overpass; None without readings.

        Args:
            times: The overpasses, UTC; only labels around overpasses need them.
        """
        if self.readings is None:
            return None
        if self.window_hours is None:
            return daily_labels(self.readings.flagged, self.drop, self.min_hours)
        names = self.stations["station"].to_numpy()
        overpasses = pd.DataFrame({"station": np.tile(names, len(times)), "time_utc": times.repeat(len(names))})
        return overpass_labels(self.readings.flagged, overpasses, self.window_hours, self.drop)

    def attached(self, rows: pd.DataFrame, table: pd.DataFrame | None) -> pd.DataFrame:
        """Adds the label and weather columns to rows of an archive.

        Args:
            rows: N rows with site_id, site_kind, latitude, longitude, time_utc, local_date.
            table: As from `table`.

        Returns:
            N rows in the same order; the same columns and types for any rows.
        """
        out = rows
        if table is not None:
            key = "local_date" if self.window_hours is None else "time_utc"
            known = table.rename(columns={"station": "site_id"}).astype({key: rows[key].dtype})
            out = rows.merge(known, on=["site_id", key], how="left", validate="many_to_one")
            out["quality"] = out["quality"].fillna("").astype(str)
            for name in [name for name in known.columns if name.startswith("flag_")]:
                out[name] = out[name].eq(True)
        if self.weather is not None:
            found = self.weather.at(rows.reset_index(drop=True))
            for name in map(str, found.columns):
                before = out.get(name, np.nan)
                out[name] = found[name].where(found[name].notna(), before)
        return out


def read_labels(config: PrepareConfig, city: City) -> Labels:
    """Reads stations, readings and weather as the flags say.

    Without readings the station tiles are those of --stations, else those of the city's list.

    Raises:
        InputError: Naming the file, line or flag that is wrong.
    """
    drop = _drop(config.drop_flags)
    readings = None
    files: list[Path] = []
    report: list[str] = []
    if config.readings is not None:
        readings = station_readings(config, city)
        stations = readings.stations
        files += readings.files
        report += [*readings.report, filter_line(drop)]
    elif config.stations is not None:
        listed = read_stations(config.stations)
        stations = listed.assign(station_name=listed["station"])[list(_LOCATED)]
        files.append(config.stations)
    else:
        places = [(item.name, item.name, item.latitude, item.longitude) for item in city.stations]
        stations = pd.DataFrame(places, columns=list(_LOCATED))
    weather = None
    if config.meteorology is not None:
        table, weather_files, lines = read_weather(config.meteorology, city, config.timezone)
        weather = WeatherIndex(table, config.window_hours, table.attrs.get("instantaneous", False))
        files += weather_files
        report += lines
    return Labels(stations, readings, weather, drop, config.min_hours, config.window_hours, tuple(files), tuple(report))


def _told(findings: pd.DataFrame) -> list[str]:
    """Findings about the weather in a line for each column and what was done; the whole list is a file."""
    lines = []
    of_all = findings["station"] == ALL_STATIONS
    for column, count, found in findings.loc[of_all, ["column", "count", "found"]].itertuples(index=False, name=None):
        lines.append(f"weather: {column}: {count} values: {found}")
    for (column, done), group in findings[~of_all].groupby(["column", "done"], sort=True):
        stations = sorted(group["station"].unique())
        names = "; ".join(stations[:6]) + ("; ..." if len(stations) > 6 else "")
        lines.append(f"weather: {column}: {done}: {group['count'].sum()} values of {len(stations)} stations ({names})")
    return lines


def _drop(names: tuple[str, ...] | None) -> tuple[str, ...]:
    if names is None:
        return DEFAULT_DROP
    if names == ("none",):
        return ()
    for name in names:
        if name not in FLAGS:
            raise InputError(f"--drop-flags: found {name!r}, expected 'none' or some of {', '.join(FLAGS)}")
    return names
