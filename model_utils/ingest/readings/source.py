"""What every format's reader is given, and how its rows become records."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model_utils.cities import City
from model_utils.errors import InputError
from model_utils.ingest.readings.hours import HourStamp, hours_of
from model_utils.ingest.readings.records import WEATHER, StationRecords
from model_utils.ingest.readings.stations import matched
from model_utils.ingest.readings.text import Decimal, Rows, TextTable, open_text
from model_utils.ingest.readings.times import time_zone, to_utc
from model_utils.ingest.readings.units import micrograms_in, to_micrograms_per_cubic_metre


@dataclass(frozen=True)
class Source:
    """Files of one format, and what the user said of them.

    Attributes:
        files: The files with readings, sorted.
        places: The folder's stations.csv as `read_stations` gives it, or None.
        city: Whose readings these are; its time zone decides local dates.
        timezone: Zone of times that name none, or None.
        hour_stamp: What an hour's stamp means, or None.
        unit: Unit of PM2.5 where the files name none, or None.
        columns: The name of a column for what it holds, of a plain table whose names nobody knows.
        time_format: The `strptime` format of its times, or None.
        decimal: What separates decimals, or None for what the delimiter suggests.
        notes: What showed when the files were opened.
    """

    files: tuple[Path, ...]
    places: pd.DataFrame | None
    city: City
    timezone: str | None = None
    hour_stamp: HourStamp | None = None
    unit: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    time_format: str | None = None
    decimal: Decimal | None = None
    notes: list[str] = field(default_factory=list)

    def open(self, path: Path, is_header: Callable[[Sequence[str]], bool] | None = None) -> TextTable:
        """Opens one of the files as `open_text` does, and notes a guessed encoding."""
        table = open_text(path, is_header)
        if table.encoding == "latin-1":
            self.notes.append(f"{path.name} is not UTF-8: read as Latin-1")
        return replace(table, decimal=self.decimal or table.decimal)

    def zone(self, default: str) -> ZoneInfo:
        """The zone of times that name none: --timezone, else the format's own."""
        return time_zone(self.timezone or default)

    def unit_of(self, named: str | None, where: Path | str) -> str:
        """The unit that a file names, else --unit, else ug/m3.

        Raises:
            InputError: --unit contradicts the file.
        """
        if named and self.unit and micrograms_in(named) != micrograms_in(self.unit):
            raise InputError(f"{where}: PM2.5 is in {named[:60]!r}, but --unit says {self.unit!r}")
        return named or self.unit or "ug/m3"

    def micrograms(
        self, values: NDArray[np.float64], units: pd.Series, where: Callable[[int], str]
    ) -> NDArray[np.float64]:
        """Converts readings whose unit each row names ('' where it does not); `where` says where a row comes from.

        Raises:
            InputError: A unit is no mass per volume, or --unit contradicts it.
        """
        out = values.copy()
        for unit in units.unique():
            rows = (units == unit).to_numpy()
            if micrograms_in(unit) == 1 and self.unit is None:
                continue
            first = where(int(rows.argmax()))
            out[rows] = to_micrograms_per_cubic_metre(values[rows], self.unit_of(unit, first), first)
        return out


@dataclass
class Gathered:
    """Rows of several files on their way to records.

    Attributes:
        tables: Rows `station`, `pm25`, weather, and one of `utc` (stamps in UTC), `clock` (stamps of a local clock,
            without zone) or `date` (local days), which all tables share.
        places: Rows `station`, `station_name`, `latitude`, `longitude`; the first that is known counts.
        units: Unit of each weather column as the first header states it.
        notes: What a person should know.
        unread: Why columns are not read, and the files they are in.
        missing: Readings that are words, by kind.
    """

    tables: list[pd.DataFrame] = field(default_factory=list)
    places: list[pd.DataFrame] = field(default_factory=list)
    units: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    unread: dict[str, list[str]] = field(default_factory=dict)
    missing: dict[str, int] = field(default_factory=dict)

    def leave_out(self, unread: list[str], path: Path) -> None:
        """Adds why columns of a file are not read; `records` says it once for all the files."""
        for why in unread:
            self.unread.setdefault(why, []).append(path.name)

    def add(self, table: pd.DataFrame, units: dict[str, str], path: Path) -> None:
        """Adds the rows of a file.

        Raises:
            InputError: Its rows average over another period, or its weather is in other units than in files before.
        """
        if self.tables and set(table) & {"utc", "clock", "date"} != set(self.tables[0]) & {"utc", "clock", "date"}:
            raise InputError(f"{path}: found hours beside daily values in other files, expected one of them")
        self.weather_in(units, path)
        self.tables.append(table)

    def weather_in(self, units: dict[str, str], path: Path) -> None:
        """Keeps the units of a file's weather.

        Raises:
            InputError: It is in other units than in files before.
        """
        for name, unit in units.items():
            if self.units.setdefault(name, unit) != unit:
                raise InputError(f"{path}: {name} is in {unit!r}, but in {self.units[name]!r} in files before it")

    def note_missing(self, rows: Rows, column: str) -> None:
        """Counts the cells of readings that hold a word in place of a number."""
        for kind, count in rows.missing_by_kind(column).items():
            self.missing[kind] = self.missing.get(kind, 0) + count

    def place(self, station: str, name: str, latitude: float = np.nan, longitude: float = np.nan) -> None:
        """Adds what is known of one station."""
        self.places.append(pd.DataFrame([[station, name, latitude, longitude]], columns=list(_PLACE)))

    def records(
        self, source: Source, format: str, stamp: HourStamp | None, zone: ZoneInfo | None = None
    ) -> StationRecords:
        """Puts the rows in the shape that all formats share.

        Args:
            source: Where they come from.
            format: The format's name.
            stamp: What an hour's stamp means; None where rows are days.
            zone: Where the clock of zone-less stamps hangs.

        Raises:
            InputError: A reading at a time that the zone's clocks skip.
        """
        table = pd.concat(self.tables, ignore_index=True)
        unread = [f"left out of {some(files)}: {why}" for why, files in self.unread.items()]
        words = ", ".join(f"{count} {kind}" for kind, count in self.missing.items())
        missing = [f"no numbers, taken as missing: {words}"] if words else []
        notes = list(dict.fromkeys([*source.notes, *self.notes, *unread, *missing]))
        if "date" in table:
            table["local_date"] = table["date"].dt.as_unit("us").dt.normalize()
            table["time_utc"] = pd.Series(pd.NaT, index=table.index, dtype="datetime64[us, UTC]")
        else:
            assert stamp is not None
            if "clock" in table:
                assert zone is not None
                where = str(source.files[0]) if len(source.files) == 1 else f"{source.files[0].parent}"
                table["utc"], lost = to_utc(table["clock"], table["station"], table["pm25"].notna(), zone, where)
                notes += [f"times are those of {zone.key}", *lost]
                table = table[table["utc"].notna()]
            notes.append(f"an hour's time is its {stamp}")
            table, more = hours_of(table, stamp, source.city.zone)
            notes += more
            table["local_date"] = table["time_utc"].dt.tz_convert(source.city.zone).dt.tz_localize(None).dt.normalize()
        weather = [name for name in WEATHER if name in table]
        extra = [name for name in (*weather, "incomplete") if name in table]
        table = table[["station", "time_utc", "local_date", "pm25", *extra]]
        order = ["station", "local_date" if stamp is None else "time_utc"]
        return StationRecords(
            table=table.sort_values(order, kind="stable", ignore_index=True),
            stations=self._stations(table["station"], source, notes),
            period="day" if stamp is None else "hour",
            format=format,
            units={name: self.units[name] for name in weather if name in self.units},
            files=source.files,
            notes=tuple(notes),
        )

    def _stations(self, station: pd.Series, source: Source, notes: list[str]) -> pd.DataFrame:
        """A row a station; says so where files disagree on where it is."""
        unnamed = pd.DataFrame(
            {"station": station.drop_duplicates(), "station_name": "", "latitude": np.nan, "longitude": np.nan}
        )
        places = pd.concat([frame.astype(_PLACE) for frame in [*self.places, unnamed]], ignore_index=True)
        places = places[places["station"].isin(unnamed["station"])]
        unlisted = []
        if source.places is not None:
            names = places.sort_values("station_name", kind="stable")  # '' first, so that a name counts
            rows = matched(dict(zip(names["station"], names["station_name"], strict=True)), source.places)
            listed = source.places.iloc[list(rows.values())].assign(station=list(rows))
            places = pd.concat([places, listed[list(_PLACE)].astype(_PLACE)], ignore_index=True)
            unlisted = sorted(set(unnamed["station"]) - set(rows))
        places["station_name"] = places["station_name"].where(places["station_name"] != "")
        where = places.groupby("station")[["latitude", "longitude"]]
        spread = (where.max() - where.min()).max(axis=1)
        if (moved := spread[spread > 0.001]).size:
            notes.append(
                f"{len(moved)} stations have coordinates over 0.001 degrees apart ({moved.index[0]}): the first count"
            )
        stations = places.groupby("station", sort=True).first().reset_index()
        if unlisted:
            notes.append(f"{len(unlisted)} stations are not in stations.csv ({some(unlisted)})")
        stations["station_name"] = stations["station_name"].fillna(stations["station"])
        return stations[list(_PLACE)].astype(_PLACE)


_PLACE = {"station": "str", "station_name": "str", "latitude": "float64", "longitude": "float64"}


def some(names: Sequence[str]) -> str:
    """The first few names, for a note."""
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
