"""Readings of any known format, from a file or a folder to records of stations."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

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
)
from model_utils.ingest.readings.encoding import decoded
from model_utils.ingest.readings.hours import HourStamp
from model_utils.ingest.readings.records import StationRecords
from model_utils.ingest.readings.source import Source
from model_utils.ingest.readings.stations import read_stations
from model_utils.ingest.readings.text import open_parquet, open_text

FORMATS: dict[str, Callable[[Source], StationRecords]] = {
    cpcb_daily.NAME: cpcb_daily.read,
    cpcb_ccr.NAME: cpcb_ccr.read,
    uci_beijing.NAME: uci_beijing.read,
    openaq_csv.NAME: openaq_csv.read,
    openaq_json.NAME: openaq_json.read,
    china_national.NAME: china_national.read,
    epa_aqs.HOURLY: epa_aqs.read_hourly,
    epa_aqs.DAILY: epa_aqs.read_daily,
    plain.NAME: plain.read,
}
"""What reads each format, by the name that --readings-format takes."""

_HEADERS: dict[str, Callable[[tuple[str, ...]], bool]] = {
    cpcb_daily.NAME: cpcb_daily.matches,
    uci_beijing.NAME: uci_beijing.matches,
    openaq_csv.NAME: openaq_csv.matches,
    china_national.NAME: china_national.matches,
    epa_aqs.HOURLY: lambda names: epa_aqs.matches(names, epa_aqs.HOURLY),
    epa_aqs.DAILY: lambda names: epa_aqs.matches(names, epa_aqs.DAILY),
    plain.NAME: plain.matches,
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
) -> StationRecords:
    """Reads station readings as an agency exported them.

    Args:
        path: A file, or a folder with files of one format and perhaps a stations.csv with coordinates.
        city: Whose readings these are.
        format: A key of `FORMATS`, or None to detect it from the files' content.
        timezone: IANA zone of times that name none; some formats have one by default.
        hour_stamp: Which end of its hour a time is; each format has a default, which the notes state.
        unit: Unit of PM2.5 where the files name none.

    Raises:
        InputError: Naming the file, line and column that is wrong, or the flag that is needed.
    """
    if format is not None and format not in FORMATS:
        raise InputError(f"--readings-format: found {format!r}, expected one of {', '.join(FORMATS)}")
    files, places = _files(path)
    files, notes = _without_texts(files)
    if format is None:
        format = detect(files[0])
        for file in files[1:]:
            if (other := detect(file)) != format:
                raise InputError(f"{file}: found {other}, but {files[0]} is {format}, expected one format in a folder")
    source = Source(files, read_stations(places) if places else None, city, timezone, hour_stamp, unit, notes)
    records = FORMATS[format](source)
    return replace(records, files=(places, *records.files)) if places else records


def detect(path: Path) -> str:
    """Names the format of a file by its content.

    Raises:
        InputError: None fits, or several do.
    """
    found = _fitting(path)
    if len(found) != 1:
        what = f"fits {' and '.join(found)}" if found else "is of no known format"
        raise InputError(f"{path}: {what}, expected --readings-format with one of {', '.join(FORMATS)}")
    return found[0]


def _fitting(path: Path) -> list[str]:
    """The formats that a file may be of.

    Raises:
        InputError: It is not readable.
    """
    if path.suffix.casefold() == ".parquet":
        return [plain.NAME] if plain.matches(open_parquet(path)[0]) else []
    if decoded(path, head=True)[0].lstrip()[:1] in (b"{", b"["):
        return [openaq_json.NAME]
    try:
        open_text(path, cpcb_ccr.is_header, head=True)
        return [cpcb_ccr.NAME]
    except InputError:
        names = open_text(path, head=True).names
        return [name for name, matches in _HEADERS.items() if matches(names)]


def _without_texts(files: tuple[Path, ...]) -> tuple[tuple[Path, ...], list[str]]:
    """Leaves out .txt files of no known format, such as a README.txt beside the readings, and says so."""
    texts = []
    for file in files:
        if file.suffix.casefold() == ".txt":
            try:
                known = bool(_fitting(file))
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
