"""The flags of `pm25 map` and `pm25 predict`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal

from model_utils.errors import flag
from model_utils.project import SHIPPED_ROOT

Period = Literal["day", "month", "season", "year"]
Scale = Literal["us", "india", "china"]
FIRST_YEAR, LAST_YEAR = 1900, 2200  # what nanoseconds in 64 bits can count is hardly more
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
Precision = Literal["auto", "32-true", "bf16-mixed"]


@dataclass(frozen=True, kw_only=True)
class TimesAndImages:
    """What a map and predictions at points have in common.

    Args:
        dates: Local dates: 2019-11-01..2019-11-30, or a list 2019-11-01,2019-11-10; by default all that the model or
            the images know.
        period: A prediction a day, or means over months, seasons or years.
        scenes: Folder of scenes, cut around the cells; by default the cells are those of the archive's grid.
        spacing_metres: Size of a cell; a point gets what the cell around it has. By default 300 with --scenes, else the
            spacing of the archive's grid.
        keep_outside: Also give values outside of the area of applicability.
        scale: Whose air quality index: us, india or china; by default that of the city's country.
        bands: With --scenes, as in prepare; by default as the city's archive was prepared.
        product: With --scenes, likewise.
        time_pattern: With --scenes, likewise.
        full_scale: With --scenes, likewise.
        skip_broken: With --scenes, as in prepare.
        min_valid_fraction: With --scenes, leave out a tile with a smaller share of valid pixels: the black beyond a
            scene's edge would count as ground.
        precision: Of the encoder: auto (bf16 where the processor has it), 32-true or bf16-mixed; PM2.5 by the two
            agrees to half a per cent.
    """

    dates: str | None = None
    period: Period = "day"
    scenes: Path | None = None
    spacing_metres: float | None = None
    keep_outside: bool = False
    scale: Scale | None = None
    bands: tuple[str, ...] | None = None
    product: str | None = None
    time_pattern: str | None = None
    full_scale: float | None = None
    skip_broken: bool = False
    min_valid_fraction: float = 1.0
    precision: Precision = "auto"

    def __post_init__(self) -> None:
        _check_dates(self.dates)
        if self.spacing_metres is not None and not 0.1 <= self.spacing_metres <= 100_000:
            raise ValueError(f"--spacing-metres: found {self.spacing_metres}, expected 0.1 to 100000")
        if not 0 <= self.min_valid_fraction <= 1:
            raise ValueError(f"--min-valid-fraction: found {self.min_valid_fraction}, expected 0 to 1")
        if self.scenes is None:
            for name in ("bands", "product", "time_pattern", "full_scale", "skip_broken"):
                if getattr(self, name):
                    raise ValueError(f"{flag(name)}: goes with --scenes, which is missing")


@dataclass(frozen=True)
class MapConfig(TimesAndImages):
    """What to map.

    Args:
        city: Name of the city.
        model: Results of `pm25 supervise --estimator place_and_day`, or the model/ folder in them.
        area: A GeoJSON file, or west,south,east,north in degrees (write --area=77.0,28.4,...); by default the city's
            bounding box.
        workers: Processes on this machine.
        scheduler: Address of a Dask scheduler that stands, in place of --workers; its workers see the same files under
            the same names.
        name: Of the folder in results/<City>/; by default map_<experiment>.
        overwrite: Replace a map of other settings.
        root: Folder that holds data/ and results/.
    """

    city: str
    model: Path
    area: str | None = None
    workers: int = 1
    scheduler: str | None = None
    name: str | None = None
    overwrite: bool = False
    root: Path = SHIPPED_ROOT

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.workers <= 256:
            raise ValueError(f"--workers: found {self.workers}, expected 1 to 256")
        if self.name is not None and (not self.name or "/" in self.name or self.name.startswith(".")):
            raise ValueError(f"--name: found {self.name!r}, expected the name of a folder")


@dataclass(frozen=True)
class PredictConfig(TimesAndImages):
    """Where to predict.

    Args:
        city: Name of the city.
        model: Results of `pm25 supervise --estimator place_and_day`, or the model/ folder in them.
        points: A .csv or .parquet file with the columns latitude and longitude (WGS84 degrees); others are kept.
        out: File for the predictions, .csv or .parquet.
        overwrite: Replace the file that is there.
        root: Folder that holds data/ and results/.
    """

    city: str
    model: Path
    points: Path
    out: Path
    overwrite: bool = False
    root: Path = SHIPPED_ROOT

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("points", "out"):
            if getattr(self, name).suffix not in (".csv", ".parquet"):
                raise ValueError(f"{flag(name)}: found {getattr(self, name)}, expected a .csv or .parquet file")

    def map_config(self) -> MapConfig:
        """The map that the points lie on."""
        shared = MapConfig.__dataclass_fields__.keys() & self.__dataclass_fields__.keys()
        return MapConfig(**{name: getattr(self, name) for name in shared})


def _check_dates(dates: str | None) -> None:
    for word in () if dates is None else dates.replace("..", ",").split(","):
        try:
            if not _DATE.fullmatch(word) or not FIRST_YEAR <= date.fromisoformat(word).year <= LAST_YEAR:
                raise ValueError
        except ValueError:
            raise ValueError(
                f"--dates: found {dates!r}, expected a date such as 2019-11-01, a list, or 2019-11-01..2019-11-30"
            ) from None
    if dates is not None and ".." in dates:
        ends = dates.split("..")
        if len(ends) != 2 or "," in dates or not ends[0] <= ends[1]:
            raise ValueError(f"--dates: found {dates!r}, expected the first and the last date, 2019-11-01..2019-11-30")
