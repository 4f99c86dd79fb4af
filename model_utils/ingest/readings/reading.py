"""Readings of any known format, from a file or a folder to records of stations."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pandas as pd

from model_utils.cities import City
from model_utils.errors import InputError
from model_utils.ingest.readings import (
    china_national,
    cpcb_ccr,
    cpcb_daily,
    epa_aqs,
    openaq_csv,
    openaq_json,
    plain,
    uci_beijing,
    wide,
)
from model_utils.ingest.readings.encoding import decoded
from model_utils.ingest.readings.formats import table
from model_utils.ingest.readings.formats.specification import read_format, shipped_formats
from model_utils.ingest.readings.hours import HourStamp
from model_utils.ingest.readings.records import StationRecords
from model_utils.ingest.readings.source import Source
from model_utils.ingest.readings.stations import read_stations
from model_utils.ingest.readings.text import Decimal, open_parquet, open_text

_MODULES: dict[str, Callable[[Source], StationRecords]] = {
    cpcb_daily.NAME: cpcb_daily.read,
    cpcb_ccr.NAME: cpcb_ccr.read,
    uci_beijing.NAME: uci_beijing.read,
    openaq_csv.NAME: openaq_csv.read,
    openaq_json.NAME: openaq_json.read,
    china_national.NAME: china_national.read,
    epa_aqs.HOURLY: epa_aqs.read_hourly,
    epa_aqs.DAILY: epa_aqs.read_daily,
    plain.NAME: plain.read,
    wide.NAME: wide.read,
}
FORMATS = (*_MODULES, *shipped_formats())
"""The formats, by the names that --readings-format takes."""

_HEADERS: dict[str, Callable[[tuple[str, ...]], bool]] = {
    cpcb_daily.NAME: cpcb_daily.matches,
    uci_beijing.NAME: uci_beijing.matches,
    openaq_csv.NAME: openaq_csv.matches,
    china_national.NAME: china_national.matches,
    epa_aqs.HOURLY: lambda names: epa_aqs.matches(names, epa_aqs.HOURLY),
    epa_aqs.DAILY: lambda names: epa_aqs.matches(names, epa_aqs.DAILY),
    plain.NAME: plain.matches,
    **{name: format.matches for name, format in shipped_formats().items()},
}
_SUFFIXES = (".csv", ".txt", ".tsv", ".gz", ".json", ".parquet", ".xlsx", ".xls")
_PLACES = "stations.csv"


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
        path: A file, or a folder with files of one format and perhaps a stations.csv with coordinates.
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
    if columns and format not in (None, plain.NAME):
        raise InputError(f"--columns: names the columns of a plain table, and --readings-format says {format}")
    files, places = _files(path)
    listed = read_stations(places) if places else None
    files, notes = _without_texts(files, city, listed)
    if format is None and columns:
        format = plain.NAME
    if format is None:
        format = detect(files[0], city, listed)
        for file in files[1:]:
            if (other := detect(file, city, listed)) != format:
                raise InputError(f"{file}: found {other}, but {files[0]} is {format}, expected one format in a folder")
    source = Source(files, listed, city, timezone, hour_stamp, unit, columns or {}, time_format, decimal, notes)
    described = own or shipped_formats().get(format)
    records = table.read(described, source) if described else _MODULES[format](source)
    return replace(records, files=(places, *records.files)) if places else records


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
    if path.suffix.casefold() == ".parquet":
        return _known(open_parquet(path)[0], city, listed)
    if decoded(path, head=True)[0].lstrip()[:1] in (b"{", b"["):
        return [openaq_json.NAME]
    below = {name: format.matches for name, format in shipped_formats().items() if format.recognised_by.above}
    for name, is_header in {cpcb_ccr.NAME: cpcb_ccr.is_header, **below}.items():
        with suppress(InputError):  # nowhere does a line look like its header
            open_text(path, is_header, head=True)
            return [name]
    return _known(open_text(path, head=True).names, city, listed)


def _known(names: tuple[str, ...], city: City, listed: pd.DataFrame | None) -> list[str]:
    found = [name for name, matches in _HEADERS.items() if matches(names)]
    return found or ([wide.NAME] if wide.matches(names, city, listed) else [])


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


def _files(path: Path) -> tuple[tuple[Path, ...], Path | None]:
    """The files with readings at a path, and the list of stations that came with them."""
    if path.is_file():
        return (path,), None
    if not path.is_dir():
        raise InputError(f"{path}: not found, expected a file or folder of station readings")
    files = []
    for folder, folders, names in os.walk(path):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__")))
        files += [Path(folder) / name for name in names if not name.startswith(".")]
    files = [file for file in files if file.suffix.casefold() in _SUFFIXES and file.name != _PLACES]
    if not files:
        raise InputError(f"{path}: found no file with readings ({', '.join(_SUFFIXES)})")
    places = path / _PLACES
    return tuple(sorted(files)), places if places.is_file() else None
