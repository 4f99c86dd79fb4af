"""The flags of `pm25 simulate`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal

from model_utils.errors import flag
from model_utils.project import SHIPPED_ROOT

Band = Literal["red", "green", "blue", "nir"]


@dataclass(frozen=True)
class SimulateConfig:
    """One simulated archive.

    Args:
        city: Name of the city; the archive is written to data/<city> under the root.
        days: Number of days; by default 600, or with --readings all that have a reading.
        start: First local date (ISO); with --readings their dates hold instead.
        day_step: Write every n-th day only.
        grid_km: Spacing of the unlabelled grid tiles over the city's bounding box, km; 0 for none.
        grid_day_step: Write the grid tiles on every n-th of the written days only.
        tile_size: Height and width of a tile, pixels.
        gsd: Ground sample distance, metres per pixel.
        bands: Bands in their order, of red, green, blue, nir.
        land_use_coupling: 1 as calibrated; 0: where a station stands says nothing about its readings (with real
            readings it can only take the local increments out of the haze).
        haze_coupling: Share of the days that show their own haze; 0: haze says nothing about PM2.5.
        surface: A georeferenced uint8 scene (red, green, blue) that gives the ground instead of the synthetic one.
        readings: Real readings in any format that prepare takes; their daily means are labels and drive the haze.
        write_scenes: Folder for whole scenes as GeoTIFF in the layout of a Planet order, one a written day; the tiles
            are then cut out of these. Needs --surface; --days and --day-step say how many.
        seed: Keys every random draw.
        overwrite: Replace the archive that is there.
        root: Folder that holds data/ and results/.
    """

    city: str
    days: int | None = None
    start: str = "2018-07-01"
    day_step: int = 1
    grid_km: float = 8.0
    grid_day_step: int = 1
    tile_size: int = 64
    gsd: float = 3.0
    bands: tuple[Band, ...] = ("red", "green", "blue")
    land_use_coupling: float = 1.0
    haze_coupling: float = 1.0
    surface: Path | None = None
    readings: Path | None = None
    write_scenes: Path | None = None
    seed: int = 0
    overwrite: bool = False
    root: Path = SHIPPED_ROOT

    def __post_init__(self) -> None:
        try:
            known_year = 1900 <= date.fromisoformat(self.start).year <= 2100
        except ValueError:
            known_year = False
        if not known_year:
            raise ValueError(f"--start: found {self.start!r}, expected a date such as 2018-07-01, 1900 to 2100")
        limits: dict[str, tuple[float | None, float, float]] = {
            "days": (self.days, 1, 36525),
            "day_step": (self.day_step, 1, 36525),
            "grid_day_step": (self.grid_day_step, 1, 36525),
            "tile_size": (self.tile_size, 4, 1024),
            "gsd": (self.gsd, 0.1, 1000),
            "land_use_coupling": (self.land_use_coupling, 0, 1),
            "haze_coupling": (self.haze_coupling, 0, 1),
            "seed": (self.seed, 0, 2**63 - 1),
        }
        for name, (value, low, high) in limits.items():
            if value is not None and not low <= value <= high:
                raise ValueError(f"{flag(name)}: found {value}, expected {low} to {high}")
        if self.grid_km != 0 and not 0.5 <= self.grid_km <= 1000:
            raise ValueError(f"--grid-km: found {self.grid_km}, expected 0 (no grid) or 0.5 to 1000")
        if not self.bands or len(set(self.bands)) != len(self.bands):
            raise ValueError(f"--bands: found {list(self.bands)}, expected at least one band, each once")
        if self.write_scenes and not self.surface:
            raise ValueError("--write-scenes: needs --surface, which is missing")
        if self.write_scenes and self.bands != ("red", "green", "blue"):
            raise ValueError(f"--write-scenes: found --bands {','.join(self.bands)}, expected red,green,blue")
