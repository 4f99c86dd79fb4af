"""Tables of readings, read as their format says."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from model_utils.cities import plain_letters
from model_utils.errors import InputError
from model_utils.ingest.readings.files import SUFFIXES
from model_utils.ingest.readings.formats.combining import Findings, ReadingOptions, some, station_records
from model_utils.ingest.readings.formats.functions import CHOICES, portal_name
from model_utils.ingest.readings.formats.layout import Layout, layout_of
from model_utils.ingest.readings.formats.opening import Table, open_table
from model_utils.ingest.readings.formats.row_times import row_times
from model_utils.ingest.readings.formats.selecting import left_out, nothing_found, rows_meant
from model_utils.ingest.readings.formats.specification import CITY, COMPASS, TOLD, WRITTEN, Format, folded
from model_utils.ingest.readings.hours import HourStamp, first_instrument
from model_utils.ingest.readings.records import StationRecords
from model_utils.ingest.readings.stations import matched
from model_utils.ingest.readings.text import Rows, joined
from model_utils.ingest.readings.times import time_zone
from model_utils.ingest.weather.quantities import known_unit

_STATION = "the file's station"  # a column that the file has not
_POINTS = ("N", "NNE", "NE", "ENE", "E", "ESE", "SE", "SSE", "S", "SSW", "SW", "WSW", "W", "WNW", "NW", "NNW")
_TIMES = ("date", "utc", "clock")


def read(format: Format, files: Sequence[Path], options: ReadingOptions, notes: Sequence[str] = ()) -> StationRecords:
    """Reads files of a format.

    Args:
        format: The format.
        files: The files.
        options: What they do not say.
        notes: What showed before they were read.

    Raises:
        InputError: Naming the file, line and column that is wrong.
    """
    return _Reader(format, tuple(files), options, list(notes)).read()


class _Reader:
    """Reads files of one format: their columns, of these the rows that are meant, and of those the readings."""

    def __init__(self, format: Format, files: tuple[Path, ...], options: ReadingOptions, notes: list[str]) -> None:
        self.format, self.files, self.options = format, files, options
        self.findings = Findings(notes=notes)
        self.layouts: list[Layout] = []
        self.stations: dict[str, str] = {}  # what the files call them, and the list of stations

    def read(self) -> StationRecords:
        format, notes = self.format, self.findings.notes
        frames = self._frames()
        time = next(name for name in _TIMES if name in frames[0])
        if any(time not in frame for frame in frames):
            raise InputError(
                f"{self.files[0].parent}: found hours beside daily values in other files, expected one of them"
            )
        table = pd.concat(frames, ignore_index=True) if len(frames) > 1 else frames[0]
        if format.choice:
            table, more = CHOICES[format.choice.by](table, ["station", *format.instrument, time])
            notes += more
        weather = table[table["measured"] != "pm25"] if format.measured else None
        table = table[table["measured"] == "pm25"] if format.measured else table
        if table.empty:
            raise InputError(f"{self.files[0]}: found {nothing_found(format, self.options, self.findings)}")
        if format.instrument:
            table, note = first_instrument(table, list(format.instrument), time)
            notes += [note] if note else []
        if weather is not None:
            table = self._with_weather(table, weather, time)
        if "incomplete" in table and (thin := int(table["incomplete"].sum())):
            notes.append(f"{thin} daily means rest on under 75 % of their hours and are no labels")
        notes += [*left_out(format, self.findings), *format.notes, *self._about_stations(table)]
        stamp, zone = self._stamp(time)
        records = station_records(table, self.findings, self.options, self.files, format.name, stamp, zone)
        return replace(records, low_cost=format.low_cost)

    def _frames(self) -> list[pd.DataFrame]:
        """The readings; files of one layout are converted at once, for an archive may have thousands."""
        runs: list[tuple[Layout, list[Rows]]] = []
        for path in self.files:
            table = open_table(path, self.format, self.options.decimal, self.findings.notes)
            if table is None:
                continue
            layout = layout_of(self.format, table, self.options, self.findings)
            rows = table.rows(layout.positions, _is_footer if self.format.footer else None)
            rows = rows_meant(self.format, layout, rows, self.options, self.findings)
            if not len(rows):
                continue
            rows = self._with_station(rows, table)
            self.layouts.append(layout)
            alike = runs and layout == runs[-1][0] and rows.decimal_comma == runs[-1][1][0].decimal_comma
            if alike and self.format.time.period != "either":  # where it is, each file's times say it
                runs[-1][1].append(rows)
            else:
                runs.append((layout, [rows]))
        if not runs:
            raise InputError(f"{self.files[0]}: found {nothing_found(self.format, self.options, self.findings)}")
        if self.options.listed is not None and self.format.station and self.format.station.preamble:
            found = matched(dict.fromkeys(self.stations, ""), self.options.listed)
            self.stations |= {name: str(self.options.listed["station"].iloc[row]) for name, row in found.items()}
        frame = self._long if self.format.station else self._wide
        return [frame(layout, joined(parts) if len(parts) > 1 else parts[0]) for layout, parts in runs]

    def _long(self, layout: Layout, rows: Rows) -> pd.DataFrame:
        """Rows of one station each."""
        format, named, findings = self.format, layout.named, self.findings
        assert format.station
        times = row_times(format.time, layout.time, named.get(format.time.end, ""), rows, self.options)
        frame = pd.DataFrame({"station": self._station(layout, rows), times.name: times})
        if format.measured:
            names = {format.measured.pm25: "pm25", **format.measured.weather}
            words, codes = rows.distinct(named[format.measured.column])
            frame["measured"] = words.str.lower().map(names).array.take(codes)
            frame["unit"] = rows.texts(named[format.pm25.unit_column]) if format.pm25 else ""
        frame["pm25"] = self._readings(layout, rows, frame)
        units = {}
        for column, quantity, unit in layout.weather:
            if unit == COMPASS:
                words, codes = rows.distinct(column)
                degrees = words.map({point: 22.5 * number for number, point in enumerate(_POINTS)})
                frame[quantity], units[quantity] = degrees.to_numpy(np.float64)[codes], "deg"
            else:
                frame[quantity], units[quantity] = rows.numbers(column), unit
        findings.weather_in(units, rows.path)
        for name in format.instrument:
            words, codes = rows.distinct(named[name])
            numbers: pd.Series = pd.to_numeric(words, errors="coerce")
            frame[name] = (numbers if numbers.notna().all() else words).array.take(codes)
        for name in format.choice.columns if format.choice else ():
            frame[name] = rows.texts(named[name]) if name in named else ""
        findings.places += self._places(layout, rows, frame["station"])
        return frame

    def _wide(self, layout: Layout, rows: Rows) -> pd.DataFrame:
        """A column for each station."""
        times = row_times(self.format.time, layout.time, "", rows, self.options)
        values = np.stack([rows.numbers(name) for name in layout.stations], axis=1)
        for name in layout.stations:
            self.findings.words.update(rows.missing_by_kind(name))
        self._note_assumed_unit(True)
        values = self.options.micrograms(values.ravel(), "", rows)
        count = len(layout.stations)
        names = pd.Series(list(layout.stations), dtype="str").array.take(np.tile(np.arange(count), len(rows)))
        return pd.DataFrame({"station": names, times.name: times.repeat(count).array, "pm25": values})

    def _readings(self, layout: Layout, rows: Rows, frame: pd.DataFrame) -> NDArray[np.float64]:
        """The readings in ug/m3; weather that has rows of its own stays as it is."""
        assert self.format.pm25
        of, reading = self.format.pm25, None
        for column, heading in layout.pm25.items():
            self.findings.words.update(rows.missing_by_kind(column, of.missing))
            units = rows.texts(layout.named[of.unit_column]) if of.unit_column in layout.named else of.unit or heading
            values = rows.numbers(column)
            if "measured" in frame:
                mine = np.flatnonzero(frame["measured"] == "pm25")
                of_pm25 = self.options.micrograms(
                    values[mine], frame["unit"].iloc[mine], rows.taken(mine) if len(mine) < len(rows) else rows
                )
                values = values.copy()
                values[mine] = of_pm25
            else:
                self._note_assumed_unit(units == "" if isinstance(units, str) else bool((units == "").any()))
                values = self.options.micrograms(values, units, rows)
            if reading is None:
                reading = values
                continue
            if differ := int(((reading != values) & ~np.isnan(reading) & ~np.isnan(values)).sum()):
                self.findings.notes.append(
                    f"{rows.path.name}: PM2.5 columns differ in {differ} rows; the first is taken"
                )
            reading = np.where(np.isnan(reading), values, reading)
        assert reading is not None
        return reading

    def _note_assumed_unit(self, unnamed: bool) -> None:
        """Of a table that nobody documents, what is assumed is said."""
        if unnamed and self.options.unit is None and self.format.time.zone == TOLD:
            self.findings.notes.append("readings without a unit are taken as ug/m3; --unit decides otherwise")

    def _station(self, layout: Layout, rows: Rows) -> pd.Series:
        """The station of each row."""
        station = self.format.station
        assert station
        if station.codes:
            codes = pd.DataFrame({name: rows.texts(layout.named[name]) for name in station.codes})
            first, *others = (codes[name].str.zfill(digits) for name, digits in station.codes.items())
            return first.str.cat(pd.concat(others, axis=1), sep="-") if others else first
        if not station.column:
            return rows.texts(_STATION).map(self.stations)
        column = layout.named[station.column]
        names = rows.texts(column)
        rows.refuse(column, names == "", "the name of a station")
        return names

    def _places(self, layout: Layout, rows: Rows, station: pd.Series) -> list[pd.DataFrame]:
        """A row for each place that a station is said to be at, and each of its names."""
        of = self.format.station
        assert of
        names = [layout.named[name] for name in (of.shown_name, of.latitude, of.longitude) if name in layout.named]
        names += [_STATION] if of.preamble else []
        if not names:
            return []
        code, _ = pd.factorize(station)
        for name in names:
            words, codes = rows.distinct(name)
            code = code * len(words) + codes
        first = np.flatnonzero(~pd.Series(code).duplicated())
        rows = rows.taken(first)
        places = pd.DataFrame({"station": station.iloc[first].reset_index(drop=True)})
        shown = _STATION if of.preamble else layout.named.get(of.shown_name, "")
        places["station_name"] = rows.texts(shown) if shown else ""
        for name, column in (("latitude", of.latitude), ("longitude", of.longitude)):
            places[name] = rows.numbers(layout.named[column]) if column in layout.named else np.nan
        return [places]

    def _with_weather(self, table: pd.DataFrame, weather: pd.DataFrame, time: str) -> pd.DataFrame:
        """Puts each station's weather, which has rows of its own, beside its PM2.5 of the same time."""
        assert self.format.measured
        for word, name in self.format.measured.weather.items():
            rows = weather[(weather["measured"] == name) & weather["pm25"].notna()]
            units = sorted(rows["unit"].unique())
            if len(units) > 1:
                self.findings.notes.append(f"{name} is left out: it is in {' and in '.join(units)}")
            elif units:
                try:
                    known_unit(name, units[0], f"parameter {word!r}")
                except InputError as error:
                    self.findings.unread.setdefault(str(error), []).append(self.files[0].name)
                    continue
                self.findings.units[name] = units[0]
                first = rows.drop_duplicates(["station", time])[["station", time, "pm25"]]
                table = table.merge(first.rename(columns={"pm25": name}), on=["station", time], how="left")
        return table

    def _stamp(self, time: str) -> tuple[HourStamp | None, ZoneInfo | None]:
        """Which end of its hour a time is, None of days; and the zone of a clock."""
        of, options, notes = self.format.time, self.options, self.findings.notes
        with_end = {bool(of.end) and of.end in layout.named for layout in self.layouts}
        if len(with_end) > 1:
            raise InputError(f"{self.files[0].parent}: found files that name the end of an hour beside others")
        if time == "date":
            words = f"times without a clock, or at midnight in {options.city.time_zone} throughout, are local days"
            if of.period == "day" or of.end:
                words = f"daily means of local days, as the column {self.layouts[0].time[0]} says"
            notes.append(of.note if of.note and of.period == "day" else words)
            return None, None
        stamp = options.hour_stamp or of.stamp
        if with_end == {True}:
            if options.hour_stamp == "ending":
                both = "measurements name both their ends"
                both = both if self.format.recognised_by.answers else "rows name their beginning and their end"
                raise InputError(f"{self.files[0]}: {both}, but --hour-stamp says ending")
            stamp = "beginning"
        elif not of.documented and options.hour_stamp is None:
            words = f"the provider does not say which end of its hour a time is: the {of.stamp} is assumed; "
            notes.append(of.note or f"{words}--hour-stamp decides otherwise")
        if time == "clock":
            own = {CITY: options.city.time_zone, TOLD: options.timezone or ""}.get(of.zone, of.zone)
            return stamp, time_zone(options.timezone or own)
        if options.timezone and of.zone in ("UTC", WRITTEN):
            notes.append("--timezone is not used: the times are in UTC, or name their offset from it")
        return stamp, None

    def _with_station(self, rows: Rows, table: Table) -> Rows:
        """With a column of the station, where the file has none."""
        station = self.format.station
        if station is None or station.column or station.codes:
            return rows
        name = self._from_preamble(table) if station.preamble else self._from_file_name(table.path)
        self.stations[name] = name
        return rows.having(_STATION, pa.chunked_array([pa.array([name] * len(rows), pa.string())]))

    def _from_preamble(self, table: Table) -> str:
        """What a line above the header calls the station; its commas are not always quoted."""
        assert self.format.station
        for cells in table.preamble:
            begins = folded(cells[0].rstrip(": ")) in map(folded, self.format.station.preamble)
            if begins and any(cells[1:]):
                return ", ".join(cell for cell in cells[1:] if cell)
        self.findings.notes.append(f"{table.path.name}: no row names the station; it is called as the file")
        return stem(table.path)

    def _from_file_name(self, path: Path) -> str:
        """The listed station whose name begins the file's, else the one that the pattern finds in it."""
        assert self.format.station
        called = stem(path)
        listed = [] if self.options.listed is None else list(map(str, self.options.listed["station"]))
        if begins := [name for name in listed if called == name or called.startswith(f"{name}_")]:
            return max(begins, key=len)
        found = re.fullmatch(self.format.station.file_name, called)
        name = found["station"] if found else called
        if self.format.station.portal_name:
            name = portal_name(name, self.options.city.name)
        return {plain_letters(text): text for text in listed}.get(plain_letters(name), name)

    def _about_stations(self, table: pd.DataFrame) -> list[str]:
        """Of files that are called as their stations: which stations have none."""
        if not (self.format.station and self.format.station.file_name):
            return []
        if self.options.listed is None:
            return ["no stations.csv in the folder: stations are called as their files"]
        without = sorted(set(self.options.listed["station"]) - set(table["station"].unique()))
        return [f"{len(without)} stations of stations.csv have no file ({some(without)})"] if without else []


def stem(path: Path) -> str:
    """A file's name without its endings."""
    name = path.name.split(", sheet ")[0]
    while (ending := Path(name).suffix).casefold() in SUFFIXES:
        name = name.removesuffix(ending)
    return name


def _is_footer(text: str) -> bool:
    return not text[:1].isdigit()
