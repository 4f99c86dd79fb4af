"""The flags that say where readings are and how to read them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError


@dataclass(frozen=True, kw_only=True)
class ReadingsConfig:
    """Where readings are, and what their files do not say.

    Args:
        readings: File or folder of station readings as the agency exported them; the format is detected.
        readings_format: The format, where it is not detected; or a YAML file that describes one.
        stations: A .csv file of station coordinates (station, latitude, longitude); they precede the readings' own.
        timezone: Time zone of readings whose times name none, such as Asia/Kolkata.
        hour_stamp: Whether an hour is stamped with its beginning or its ending, where the format leaves it open.
        unit: Unit of readings that name none; by default ug/m3.
        columns: What the columns of a table of readings are called, typed as time=Zeit,station=Ort,pm25=Staub, where
            it is of no known format; station_name, latitude, longitude, unit and parameter can be named too.
        time_format: How its times are written, such as '%d.%m.%Y %H:%M', where no row says whether days come first.
        decimal: What separates decimals in readings; by default a comma where semicolons separate cells.
    """

    readings: Path | None = None
    readings_format: str | None = None
    stations: Path | None = None
    timezone: str | None = None
    hour_stamp: Literal["beginning", "ending"] | None = None
    unit: str | None = None
    columns: tuple[str, ...] | None = None
    time_format: str | None = None
    decimal: Literal[",", "."] | None = None

    def __post_init__(self) -> None:
        if wrong := [word for word in self.columns or () if not all(word.partition("="))]:
            raise ValueError(f"--columns: found {wrong[0]!r}, expected time=...,station=...,pm25=...")
        if self.timezone is not None:
            try:
                ZoneInfo(self.timezone)
            except (ZoneInfoNotFoundError, ValueError, OSError):
                raise ValueError(f"--timezone: found {self.timezone!r}, expected a name like Asia/Kolkata") from None

    @property
    def column_names(self) -> dict[str, str]:
        """What `columns` says: the name of a column by what it holds."""
        return dict(word.split("=", 1) for word in self.columns or ())
