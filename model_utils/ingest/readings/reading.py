"""Readings of any known format, from a file or a folder to records of stations."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pandas as pd

from model_utils.cities import City
from model_utils.errors import InputError
from model_utils.ingest.readings.files import files_of, on_disk
from model_utils.ingest.readings.formats.combining import ReadingOptions
from model_utils.ingest.readings.formats.opening import holds_answers, tables_in
from model_utils.ingest.readings.formats.specification import (
    LISTED,
    Format,
    position,
    read_format,
    shipped_formats,
    with_columns,
)
from model_utils.ingest.readings.formats.table import read
from model_utils.ingest.readings.hours import HourStamp
from model_utils.ingest.readings.records import StationRecords
from model_utils.ingest.readings.stations import matched, read_stations
from model_utils.ingest.readings.text import Decimal

FORMATS = tuple(shipped_formats())
"""The formats, by the names that --readings-format takes."""

_PLAIN = "plain"


def read_readings(
    path: Path,
    city: City,
    format: str | None = None,
    timezone: str | None = None,
    hour_stamp: HourStamp | None = None,
    unit: str | None = None,
    columns: Mapping[str, str] | None = None,
    time_format: str | None = None,
    decimal: Decimal | None = None,
) -> StationRecords:
    """Reads station readings as an agency exported them.

    Args:
        path: A file, a zip archive, or a folder, with tables of one format and perhaps a stations.csv with coordinates.
        city: Whose readings these are.
        format: One of `FORMATS`, a YAML file that describes a format, or None to detect it from the files' content.
        timezone: IANA zone of times that name none; some formats have one by default.
        hour_stamp: Which end of its hour a time is; each format has a default, which the notes state.
        unit: Unit of PM2.5 where the files name none.
        columns: What columns of a plain table are called, by what they hold: time, station, pm25, and perhaps
            station_name, latitude, longitude, unit, parameter.
        time_format: The `strptime` format of times, where they do not say it themselves.
        decimal: What separates decimals; by default a comma where semicolons separate cells.

    Raises:
        InputError: Naming the file, line and column that is wrong, or the flag that is needed.
    """
    own = read_format(Path(format)) if format and Path(format).suffix in (".yaml", ".yml") else None
    if format is not None and own is None and format not in FORMATS:
        raise InputError(
            f"--readings-format: found {format!r}, expected one of {', '.join(FORMATS)}, or a YAML file with a format"
        )
    if columns and format not in (None, _PLAIN):
        raise InputError(f"--columns: names the columns of a plain table, and --readings-format says {format}")
    files, places = files_of(path)
    listed = read_stations(places) if places else None
    files, notes = _without_texts(files, city, listed)
    if format is None:
        format = _PLAIN if columns else detect(files[0], city, listed)
        for file in () if columns else files[1:]:
            if (other := detect(file, city, listed)) != format:
                raise InputError(f"{file}: found {other}, but {files[0]} is {format}, expected one format in a folder")
    described = own or shipped_formats()[format]
    if columns:
        described = with_columns(described, columns)
    options = ReadingOptions(city, listed, timezone, hour_stamp, unit, time_format, decimal)
    records = read(described, files, options, notes)
    return replace(records, files=tuple(dict.fromkeys((on_disk(places), *records.files)))) if places else records


def detect(path: Path, city: City, listed: pd.DataFrame | None = None) -> str:
    """Names the format of a file by its content.

    Args:
        path: The file.
        city: Whose readings these are.
        listed: The folder's list of stations, as `read_stations` gives it.

    Raises:
        InputError: None fits, or several do.
    """
    found = _fitting(path, city, listed)
    if len(found) != 1:
        what = f"fits {' and '.join(found)}" if found else "is of no known format"
        raise InputError(f"{path}: {what}, expected --readings-format with one of {', '.join(FORMATS)}")
    return found[0]


def _fitting(path: Path, city: City, listed: pd.DataFrame | None) -> list[str]:
    """The formats that a file may be of.

    Raises:
        InputError: It is not readable.
    """
    formats = shipped_formats()
    if holds_answers(path):
        return [name for name, format in formats.items() if format.recognised_by.answers]
    for name, format in formats.items():
        if format.recognised_by.above:
            with suppress(InputError):  # nowhere does a line look like its header
                if any(format.matches(table.names) for table in tables_in(path, format.matches, head=True)):
                    return [name]
    headers = [table.names for table in tables_in(path, head=True)]
    of_list = [name for name, format in formats.items() if format.recognised_by.stations == LISTED]
    known = [
        name
        for name, format in formats.items()
        if not format.recognised_by.answers and name not in of_list and any(map(format.matches, headers))
    ]
    return known or [
        name for name in of_list if any(_has_listed_stations(formats[name], names, city, listed) for names in headers)
    ]


def _has_listed_stations(format: Format, names: tuple[str, ...], city: City, listed: pd.DataFrame | None) -> bool:
    """Whether all columns behind the first are stations of a list; any other column could be anything."""
    begin = len(format.recognised_by.first)
    if any(position(names[at : at + 1], name) is None for at, name in enumerate(format.recognised_by.first)):
        return False
    if listed is None:
        own = [station.name for station in city.stations]
        listed = pd.DataFrame({"station": own, "aliases": [()] * len(own)})
    stations = [name for name in names[begin:] if name]
    return bool(stations) and len(matched(dict.fromkeys(stations, ""), listed)) == len(set(stations)) == len(stations)


def _without_texts(
    files: tuple[Path, ...], city: City, listed: pd.DataFrame | None
) -> tuple[tuple[Path, ...], list[str]]:
    """Leaves out .txt files of no known format, such as a README.txt beside the readings, and says so."""
    texts = []
    for file in files:
        if file.suffix.casefold() == ".txt":
            try:
                known = bool(_fitting(file, city, listed))
            except InputError:
                known = False
            texts += [] if known else [file]
    if len(texts) == len(files):  # they are all there is: the format may be named
        return files, []
    kept = tuple(file for file in files if file not in set(texts))
    return kept, [f"{file.name} is left out: a text file of no known format" for file in texts]
