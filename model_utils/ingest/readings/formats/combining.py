"""From the rows of several files to readings of stations in the shape that all formats share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model_utils.cities import City
from model_utils.errors import InputError
from model_utils.ingest.readings.files import on_disk
from model_utils.ingest.readings.hours import HourStamp, hours_of, in_order
from model_utils.ingest.readings.records import WEATHER, StationRecords
from model_utils.ingest.readings.stations import matched
from model_utils.ingest.readings.text import Decimal, Rows
from model_utils.ingest.readings.times import time_zone, to_utc
from model_utils.ingest.readings.units import micrograms_in, to_micrograms_per_cubic_metre

_PLACE = {"station": "str", "station_name": "str", "latitude": "float64", "longitude": "float64"}


@dataclass(frozen=True)
class ReadingOptions:
    """What files of readings do not say themselves.

    Attributes:
        city: Whose readings these are; its time zone decides local dates.
        listed: The folder's stations.csv as `read_stations` gives it, or None.
        timezone: Zone of times that name none, or None.
        hour_stamp: What an hour's stamp means, or None.
        unit: Unit of PM2.5 where the files name none, or None.
        time_format: The `strptime` format of times, or None.
        decimal: What separates decimals, or None for what the delimiter suggests.
    """

    city: City
    listed: pd.DataFrame | None = None
    timezone: str | None = None
    hour_stamp: HourStamp | None = None
    unit: str | None = None
    time_format: str | None = None
    decimal: Decimal | None = None

    def zone(self, default: str) -> ZoneInfo:
        """The zone of times that name none: --timezone, else the format's own."""
        return time_zone(self.timezone or default)

    def micrograms(self, values: NDArray[np.float64], units: str | pd.Series, rows: Rows) -> NDArray[np.float64]:
        """Converts readings.

        Args:
            values: N readings.
            units: Their unit, or that of each of them; where it is '' --unit says it, else it is ug/m3.
            rows: Where they are from.

        Raises:
            InputError: A unit is no mass per volume, or --unit contradicts it.
        """
        if isinstance(units, str):
            return self._micrograms(values, units, lambda: str(rows.path))
        out = values.copy()
        for unit in units.unique():
            if micrograms_in(unit) == 1 and self.unit is None:
                continue
            of_unit = (units == unit).to_numpy()
            first = int(of_unit.argmax())
            out[of_unit] = self._micrograms(values[of_unit], unit, partial(rows.where, first))
        return out

    def _micrograms(self, values: NDArray[np.float64], unit: str, where: Callable[[], str]) -> NDArray[np.float64]:
        if unit and self.unit and micrograms_in(unit) != micrograms_in(self.unit):
            raise InputError(f"{where()}: PM2.5 is in {unit[:60]!r}, but --unit says {self.unit!r}")
        named = unit or self.unit or "ug/m3"
        return values if micrograms_in(named) == 1 else to_micrograms_per_cubic_metre(values, named, where())


@dataclass
class Findings:
    """What shows while files are read.

    Attributes:
        places: Rows `station`, `station_name`, `latitude`, `longitude`; the first that is known counts.
        units: Unit of each weather column as the first header states it.
        notes: What a person should know.
        left_out: How many rows are not meant, by what they are.
        unread: Why columns are not read, and the files they are in.
        words: Readings that are words, by kind.
        nothing: What there was none of, where a selection left no row.
    """

    places: list[pd.DataFrame] = field(default_factory=list)
    units: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    unread: dict[str, list[str]] = field(default_factory=dict)
    words: Counter[str] = field(default_factory=Counter)
    nothing: str = ""

    def weather_in(self, units: dict[str, str], path: Path) -> None:
        """Keeps the units of a file's weather.

        Raises:
            InputError: It is in other units than in files before.
        """
        for name, unit in units.items():
            if self.units.setdefault(name, unit) != unit:
                raise InputError(f"{path}: {name} is in {unit!r}, but in {self.units[name]!r} in files before it")

    def last_notes(self) -> list[str]:
        """What is said once for all files."""
        unread = [f"left out of {some(files)}: {why}" for why, files in self.unread.items()]
        words = ", ".join(f"{count} {kind}" for kind, count in self.words.items())
        return [*unread, *([f"no numbers, taken as missing: {words}"] if words else [])]


def station_records(
    table: pd.DataFrame,
    findings: Findings,
    options: ReadingOptions,
    files: Sequence[Path],
    format: str,
    stamp: HourStamp | None,
    zone: ZoneInfo | None,
) -> StationRecords:
    """Puts rows in the shape that all formats share.

    Args:
        table: Rows `station`, `pm25`, weather, perhaps `incomplete`, and one of `utc` (stamps in UTC), `clock` (stamps
            of a local clock, without zone) or `date` (local days).
        findings: What showed when they were read.
        options: What the files do not say.
        files: Where they are from.
        format: The format's name.
        stamp: What an hour's stamp means; None where rows are days.
        zone: Where the clock of zone-less stamps hangs.

    Raises:
        InputError: A reading at a time that the zone's clocks skip.
    """
    notes = list(dict.fromkeys([*findings.notes, *findings.last_notes()]))
    if stamp is None:
        table["local_date"] = table["date"].dt.as_unit("us").dt.normalize()
        table["time_utc"] = pd.Series(pd.NaT, index=table.index, dtype="datetime64[us, UTC]")
    else:
        if "clock" in table:
            assert zone is not None
            where = str(files[0]) if len(files) == 1 else f"{files[0].parent}"
            table["utc"], lost = to_utc(table["clock"], table["station"], table["pm25"].notna(), zone, where)
            notes += [f"times are those of {zone.key}", *lost]
            table = table[table["utc"].notna()] if lost else table
        notes.append(f"an hour's time is its {stamp}")
        table, station = in_order(table, "utc")
        table, averaged = hours_of(table, station, stamp, options.city.zone)
        notes += averaged
        local = table["time_utc"].dt.tz_convert(options.city.zone).dt.tz_localize(None)
        table["local_date"] = local.to_numpy("datetime64[D]").astype("datetime64[us]")
    weather = [name for name in WEATHER if name in table]
    extra = [name for name in (*weather, "incomplete") if name in table]
    table = table[["station", "time_utc", "local_date", "pm25", *extra]]
    if stamp is None or averaged:
        table, station = in_order(table, "local_date" if stamp is None else "time_utc")
    first = np.flatnonzero(np.diff(station, prepend=-1))
    return StationRecords(
        table=table,
        stations=_stations(table["station"].iloc[first], findings.places, options.listed, notes),
        period="day" if stamp is None else "hour",
        format=format,
        units={name: findings.units[name] for name in weather if name in findings.units},
        files=tuple(dict.fromkeys(map(on_disk, files))),
        notes=tuple(notes),
    )


def _stations(
    station: pd.Series, places: Sequence[pd.DataFrame], listed: pd.DataFrame | None, notes: list[str]
) -> pd.DataFrame:
    """A row for each of the stations; says so where files disagree on where it is."""
    unnamed = pd.DataFrame({"station": station, "station_name": "", "latitude": np.nan, "longitude": np.nan})
    known = pd.concat([frame.astype(_PLACE) for frame in [*places, unnamed]], ignore_index=True)
    known = known[known["station"].isin(unnamed["station"])]
    unlisted = []
    if listed is not None:
        names = known.sort_values("station_name", kind="stable")  # '' first, so that a name counts
        rows = matched(dict(zip(names["station"], names["station_name"], strict=True)), listed)
        of_list = listed.iloc[list(rows.values())].assign(station=list(rows))
        known = pd.concat([known, of_list[list(_PLACE)].astype(_PLACE)], ignore_index=True)
        unlisted = sorted(set(unnamed["station"]) - set(rows))
    known["station_name"] = known["station_name"].where(known["station_name"] != "")
    where = known.groupby("station")[["latitude", "longitude"]]
    spread = (where.max() - where.min()).max(axis=1)
    if (moved := spread[spread > 0.001]).size:
        notes.append(
            f"{len(moved)} stations have coordinates over 0.001 degrees apart ({moved.index[0]}): the first count"
        )
    stations = known.groupby("station", sort=True).first().reset_index()
    if unlisted:
        notes.append(f"{len(unlisted)} stations are not in stations.csv ({some(unlisted)})")
    stations["station_name"] = stations["station_name"].fillna(stations["station"])
    return stations[list(_PLACE)].astype(_PLACE)


def some(names: Sequence[str]) -> str:
    """The first few names, for a note."""
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
