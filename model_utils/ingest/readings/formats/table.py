"""Tables of a format that a YAML file describes."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from model_utils.cities import plain_letters
from model_utils.errors import InputError
from model_utils.ingest.readings.clocks import in_iso
from model_utils.ingest.readings.formats.specification import (
    CITY,
    PARTS,
    PM25_WITH_UNIT,
    WRITTEN,
    Format,
    StationColumns,
    position,
)
from model_utils.ingest.readings.headers import pm25_columns, weather_columns
from model_utils.ingest.readings.hours import first_instrument
from model_utils.ingest.readings.records import StationRecords
from model_utils.ingest.readings.source import Gathered, Source, some
from model_utils.ingest.readings.stations import matched
from model_utils.ingest.readings.text import Rows, open_parquet
from model_utils.ingest.readings.times import iso_times

_MARGIN = 0.5  # degrees around the city that a nationwide table is cut to


@dataclass(frozen=True)
class _File:
    """One file: its header, and a function that reads columns by their positions in it."""

    path: Path
    names: tuple[str, ...]
    rows: Callable[[dict[str, int]], Rows]

    def has(self, column: str) -> bool:
        return position(self.names, column) is not None

    def first(self, columns: Sequence[str]) -> str:
        """The first of several names of a column that the header has, as the header writes it.

        Raises:
            InputError: It has none.
        """
        for column in columns:
            if (at := position(self.names, column)) is not None:
                return self.names[at]
        raise InputError(f"{self.path}: column {' or '.join(columns)} is missing, found {', '.join(self.names)[:120]}")


def read(format: Format, source: Source) -> StationRecords:
    """Reads files of a format.

    Raises:
        InputError: Naming the file, line and column that is wrong.
    """
    return replace(_read(format, source), low_cost=format.low_cost)


def _read(format: Format, source: Source) -> StationRecords:
    gathered = Gathered()
    counts: dict[str, int] = {}
    frames = []
    for path in source.files:
        file = _opened(path, format, source)
        if not format.matches(file.names):
            raise InputError(f"{path}: expected {_header(format)}, found {', '.join(file.names)[:120]}")
        frame = (_long if format.station else _wide)(format, file, source, gathered, counts)
        if frame is not None:
            frames.append(frame)
    if not frames:
        where = f" within {_MARGIN} degrees of {source.city.name}" if format.nationwide else ""
        raise InputError(f"{source.files[0]}: found no row of PM2.5{where}{_told(counts)}")
    table = pd.concat(frames, ignore_index=True)
    time = "date" if format.time.period == "day" else "utc" if "utc" in table else "clock"
    if format.instrument:
        table, note = first_instrument(table, [f"instrument {name}" for name in format.instrument], time)
        gathered.notes += [note.replace("instrument ", "")] if note else []
    gathered.tables.append(table[[name for name in table.columns if not name.startswith("instrument ")]])
    gathered.notes += [f"{count} rows left out: {why}" for why, count in counts.items()]
    gathered.notes += format.notes
    if time == "date":
        gathered.notes.append("daily means of local days")
        return gathered.records(source, format.name, stamp=None)
    if not format.time.documented and source.hour_stamp is None:
        gathered.notes.append(
            f"the provider does not say which end of its hour a time is: the {format.time.stamp} is assumed; "
            "--hour-stamp decides otherwise"
        )
    own = source.city.time_zone if format.time.zone == CITY else format.time.zone
    zone = source.zone(own) if time == "clock" else None
    return gathered.records(source, format.name, source.hour_stamp or format.time.stamp, zone)


def _opened(path: Path, format: Format, source: Source) -> _File:
    if path.suffix.casefold() == ".parquet":
        return _File(path, *open_parquet(path))
    table = source.open(path, format.matches if format.recognised_by.above else None)
    return _File(path, table.names, table.rows)


def _long(
    format: Format, file: _File, source: Source, gathered: Gathered, counts: dict[str, int]
) -> pd.DataFrame | None:
    """Rows of one station each."""
    assert format.station
    assert format.pm25
    station, value = format.station, file.first(format.pm25.columns)
    weather = {column: of for column, of in format.weather.items() if file.has(column)}
    headed, unread = weather_columns(file.names) if format.weather_headings else ({}, [])
    gathered.leave_out(unread, file.path)
    wanted = [value, *_time_names(format, file), *weather]
    wanted += [file.first([selection.column]) for selection in format.rows]
    wanted += [file.first([name]) for name in (*format.instrument, format.pm25.unit_column, station.column) if name]
    known = (station.shown_name, station.latitude, station.longitude)
    wanted += [name for name in known if name and (file.has(name) or format.nationwide)]
    columns = {name: _at(file, name) for name in wanted} | {name: at for name, (at, _) in headed.items()}
    rows = _selected(format, file.rows(columns), counts)
    if len(rows) and format.nationwide:
        rows = _near(rows, station, source, counts)
    if len(rows) == 0:
        return None
    heading = next((unit for at, unit in pm25_columns(file.names) if at == _at(file, value)), None)
    unit = format.pm25.unit or heading or ""
    units = rows.texts(format.pm25.unit_column) if format.pm25.unit_column else pd.Series(unit, index=range(len(rows)))
    names = _stations(station, rows, file.path, source)
    frame = pd.DataFrame({"station": names, "pm25": source.micrograms(rows.numbers(value), units, rows.where)})
    gathered.note_missing(rows, value)
    read_units = {}
    for column, (quantity, unit) in weather.items():
        frame[quantity], read_units[quantity] = rows.numbers(column), unit
    for quantity, (_, unit) in headed.items():
        frame[quantity], read_units[quantity] = rows.numbers(quantity), unit
    for name in format.instrument:
        frame[f"instrument {name}"] = rows.texts(name)
    times = _times(format, rows, source, _time_names(format, file))
    frame[times.name] = times
    gathered.weather_in(read_units, file.path)
    places = pd.DataFrame({"station": names})
    places["station_name"] = rows.texts(station.shown_name) if station.shown_name in rows.columns else ""
    for name, column in (("latitude", station.latitude), ("longitude", station.longitude)):
        places[name] = rows.numbers(column) if column in rows.columns else np.nan
    gathered.places.append(places.drop_duplicates(ignore_index=True))
    return frame


def _wide(
    format: Format, file: _File, source: Source, gathered: Gathered, counts: dict[str, int]
) -> pd.DataFrame | None:
    """A column for each station, behind those that the header begins with."""
    lead = len(format.recognised_by.first)
    stations = [name for name in file.names[lead:] if name]
    if len(set(file.names)) < len(file.names):
        raise InputError(f"{file.path}: a station is there twice, expected one column a station")
    if source.places is not None:
        mine = set(matched(dict.fromkeys(stations, ""), source.places))
        if unlisted := [name for name in stations if name not in mine]:
            gathered.notes.append(f"stations that stations.csv does not list are left out ({some(unlisted)})")
        stations = [name for name in stations if name in mine]
        if not stations:
            found = ", ".join(file.names[lead:])[:60]
            raise InputError(f"{file.path}: none of its stations is in stations.csv, found {found}")
    times = _time_names(format, file)
    selected = [file.first([selection.column]) for selection in format.rows]
    rows = _selected(format, file.rows({name: _at(file, name) for name in (*times, *selected, *stations)}), counts)
    if len(rows) == 0:
        return None
    time = _times(format, rows, source, times)
    values = np.stack([rows.numbers(name) for name in stations], axis=1)
    for name in stations:
        gathered.note_missing(rows, name)
    units = pd.Series("", index=range(values.size))
    frame = pd.DataFrame(
        {
            "station": np.tile(np.array(stations, dtype=object), len(rows)),
            "pm25": source.micrograms(values.ravel(), units, lambda row: rows.where(row // len(stations))),
            time.name: np.repeat(time.to_numpy(), len(stations)),
        }
    )
    if time.name == "utc":
        frame["utc"] = frame["utc"].dt.tz_localize("UTC")
    return frame.astype({"station": "str"})


def _at(file: _File, name: str) -> int:
    at = position(file.names, name)
    assert at is not None
    return at


def _time_names(format: Format, file: _File) -> tuple[str, ...]:
    """The columns of the time, as the header writes them."""
    time = format.time
    if time.parts:
        return tuple(file.first([name]) for name in time.parts)
    if len(time.columns) == 2 and all(file.has(name) for name in time.columns):
        return tuple(file.first([name]) for name in time.columns)
    return (file.first(time.columns),)


def _selected(format: Format, rows: Rows, counts: dict[str, int]) -> Rows:
    """The rows that are meant; counts the others."""
    for selection in format.rows:
        name = next(name for name in rows.columns if name.casefold() == selection.column.casefold())
        values = pa.array([value.casefold() for value in selection.values])
        kept = np.asarray(pc.is_in(pc.utf8_lower(rows.columns[name]), value_set=values))
        if not kept.all():
            why = selection.others or f"{selection.column} is not {' or '.join(selection.values)}"
            counts[why] = counts.get(why, 0) + int((~kept).sum())
            rows = rows.taken(np.flatnonzero(kept))
    return rows


def _near(rows: Rows, station: StationColumns, source: Source, counts: dict[str, int]) -> Rows:
    """The rows in and around the city."""
    box = source.city.bounding_box
    latitude, longitude = rows.numbers(station.latitude), rows.numbers(station.longitude)
    near = (latitude > box.south - _MARGIN) & (latitude < box.north + _MARGIN)
    near &= (longitude > box.west - _MARGIN) & (longitude < box.east + _MARGIN)
    if not near.all():
        why = f"over {_MARGIN} degrees outside the city"
        counts[why] = counts.get(why, 0) + int((~near).sum())
    return rows.taken(np.flatnonzero(near))


def _stations(station: StationColumns, rows: Rows, path: Path, source: Source) -> pd.Series:
    """The station of each row."""
    if station.column:
        names = rows.texts(station.column)
        rows.refuse(station.column, names == "", "the name of a station")
        return names
    found = re.fullmatch(station.file_name, path.name.split(".")[0] if path.suffix else path.stem)
    name = found["station"] if found else path.stem
    if station.portal_name:
        name = portal_name(name, source.city.name)
    if source.places is not None:
        listed = {plain_letters(text): text for text in source.places["station"]}
        name = listed.get(plain_letters(name), name)
    return pd.Series(name, index=range(len(rows)), dtype="str")


def portal_name(written: str, city: str) -> str:
    """The name of a station of the Indian portal, which its file names write with _ for every other sign.

    'Mandir_Marg_Delhi_DPCC' is 'Mandir Marg, Delhi - DPCC': the agency is last, and before it the city.
    """
    place, _, agency = " ".join(written.replace("_", " ").split()).rpartition(" ")
    if not place or not agency.isupper():
        return f"{place} {agency}".strip()
    head = re.fullmatch(rf"(.+) ({re.escape(city)})", place, re.IGNORECASE)
    return f"{head[1]}, {head[2]} - {agency}" if head else f"{place} - {agency}"


def _times(format: Format, rows: Rows, source: Source, names: tuple[str, ...]) -> pd.Series:
    """A column called `utc`, `clock` or `date`."""
    time = format.time
    if time.parts:
        column, rows = names[0], _joined_parts(rows, names)
    elif len(names) == 2:
        column, rows = names[0], _joined(rows, *names)
    else:
        column = names[0]
    rows = in_iso(rows, column, source.time_format, time.order)
    zoned = time.zone == WRITTEN
    times = iso_times(rows, column, zoned=zoned)
    if time.period == "day":
        times = times.dt.tz_convert(source.city.zone).dt.tz_localize(None) if zoned else times
        rows.refuse(column, times != times.dt.normalize(), "a day: these are daily means")
        return times.rename("date")
    if time.zone == "UTC":
        return (times if times.dt.tz is not None else times.dt.tz_localize("UTC")).rename("utc")
    return times.rename("utc" if zoned else "clock")


def _joined(rows: Rows, date: str, clock: str) -> Rows:
    """Date and clock as one text; a clock of whole hours may be a number."""
    hours = pc.replace_substring_regex(rows.columns[clock], r"^([0-9]{1,2})$", r"\1:00")
    joined = pc.binary_join_element_wise(rows.columns[date], hours, " ")
    return Rows(rows.path, {**rows.columns, date: joined}, rows.decimal_comma, rows.where)


def _joined_parts(rows: Rows, names: tuple[str, ...]) -> Rows:
    """Year, month, day and hour as one text."""
    limits = ((1970, 2100), (1, 12), (1, 31), (0, 24))
    for name, part, (low, high) in zip(names, PARTS, limits, strict=True):
        number = rows.numbers(name)
        wrong = ~((number >= low) & (number <= high) & (number == np.floor(number)))
        rows.refuse(name, wrong, f"a whole number from {low} to {high}, the {part}")
    year, month, day, hour = (pd.Series(rows.numbers(name).astype(int).astype(str)) for name in names)
    words = year + "-" + month.str.zfill(2) + "-" + day.str.zfill(2) + " " + hour.str.zfill(2) + ":00"
    joined = pa.chunked_array([pa.array(words, pa.string())])
    return Rows(rows.path, {**rows.columns, names[0]: joined}, rows.decimal_comma, rows.where)


def _header(format: Format) -> str:
    known = format.recognised_by
    columns = ", ".join("PM2.5 with its unit" if name == PM25_WITH_UNIT else name for name in known.columns)
    begins = f"a header that begins with {','.join(known.first)}" if known.first else ""
    return " and ".join(filter(None, [begins, f"columns {columns}" if columns else ""]))


def _told(counts: dict[str, int]) -> str:
    return "".join(f"; {count} rows left out: {why}" for why, count in counts.items())
