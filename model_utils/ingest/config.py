"""The flags of `pm25 prepare`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from model_utils.errors import flag
from model_utils.ingest.products.settings import SceneSettings
from model_utils.ingest.readings.config import ReadingsConfig
from model_utils.project import SHIPPED_ROOT

_ONLY_SCENES = (
    "product",
    "time_pattern",
    "time",
    "full_scale",
    "grid_metres",
    "whole_scenes",
    "stations",
    "readings",
    "readings_format",
    "timezone",
    "hour_stamp",
    "unit",
    "columns",
    "time_format",
    "decimal",
    "window_hours",
    "meteorology",
    "tile_size",
    "min_valid_fraction",
    "max_cloud_fraction",
    "min_hours",
    "drop_flags",
    "skip_broken",
    "scheduler",
)
_ONLY_READINGS = (
    *("readings_format", "hour_stamp", "unit", "columns", "time_format", "decimal"),
    *("min_hours", "drop_flags"),
)


@dataclass(frozen=True)
class PrepareConfig(ReadingsConfig, SceneSettings):
    """What to make an archive of: --scenes, or --images with --table, or --legacy.

    Args:
        city: Name of the city; it is defined by data/cities/<city>.yaml.
        scenes: Folder of satellite scenes as delivered, .zip and .tar included: Planet orders, Sentinel-2, Landsat,
            HLS, STAC items with their files, exports of Earth Engine, NAIP, any GeoTIFF.
        images: Tiles that are already cut: N x H x W x C uint8 as .npy or .npz, or a folder of PNG or TIFF tiles.
        table: With --images: a .csv or .parquet file with a row a tile; data/requirements.md lists its columns.
        legacy: A pickle of the 2022 research code (dicts of Image, PM25, Station_index, Meteo); it is read, never run.
        gsd: Ground sample distance of the tiles, metres per pixel; scenes are resampled to it.
        tile_size: Height and width of a tile cut from scenes, pixels.
        grid_metres: Spacing of unlabelled tiles between the stations, metres; 0 for none.
        whole_scenes: Spread the grid over all of every scene, not only over the city's bounding box.
        min_valid_fraction: Leave out a tile with a smaller share of valid pixels.
        max_cloud_fraction: Leave out a tile with a larger share under cloud, where a mask tells.
        window_hours: Label with the mean of the hours within so many of the overpass, instead of with the local day's.
        min_hours: Hours that a daily mean needs.
        drop_flags: Readings with these quality flags are kept out of labels ('none' for all in); by default those
            that the run prints.
        meteorology: Weather: a .csv file or folder of them, or ERA5 single levels as NetCDF; by default the
            weather columns of the readings.
        workers: Processes that cut scenes, each one at a time; by default as many as there are processors, at most 8.
            The archive does not depend on it.
        scheduler: With --scenes, address of a Dask scheduler that stands, in place of --workers; its workers see the
            same files under the same names.
        licence: Licence of the imagery and readings, kept in the archive; by default what files beside them state.
        attribution: Who must be named when the archive is used, likewise.
        overwrite: Replace the city's archive instead of adding new scenes to it.
        root: Folder that holds data/.
    """

    city: str
    scenes: Path | None = None
    images: Path | None = None
    table: Path | None = None
    legacy: Path | None = None
    gsd: float | None = None
    tile_size: int = 64
    grid_metres: float = 0.0
    whole_scenes: bool = False
    min_valid_fraction: float = 0.8
    max_cloud_fraction: float = 1.0
    window_hours: float | None = None
    min_hours: int = 18
    drop_flags: tuple[str, ...] | None = None
    meteorology: Path | None = None
    workers: int | None = None
    scheduler: str | None = None
    licence: str = ""
    attribution: str = ""
    overwrite: bool = False
    root: Path = SHIPPED_ROOT

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_source()
        limits: dict[str, tuple[float | None, float, float]] = {
            "gsd": (self.gsd, 0.01, 10_000),
            "tile_size": (self.tile_size, 4, 4096),
            "min_valid_fraction": (self.min_valid_fraction, 0, 1),
            "max_cloud_fraction": (self.max_cloud_fraction, 0, 1),
            "window_hours": (self.window_hours, 0.5, 24),
            "min_hours": (self.min_hours, 1, 24),
            "workers": (self.workers, 1, 256),
        }
        for name, (value, low, high) in limits.items():
            if value is not None and not low <= value <= high:
                raise ValueError(f"{flag(name)}: found {value}, expected {low:g} to {high:g}")
        if not 0 <= self.grid_metres <= 1_000_000:
            raise ValueError(f"--grid-metres: found {self.grid_metres}, expected 0 (no grid) to 1000000")
        if self.full_scale is not None and not (math.isfinite(self.full_scale) and self.full_scale > 0):
            raise ValueError(f"--full-scale: found {self.full_scale}, expected a number above 0")
        if not self.bands or not all(self.bands) or len(set(self.bands)) != len(self.bands):
            raise ValueError(f"--bands: found {list(self.bands)}, expected different names")
        if self.time is not None and self.time_pattern is not None:
            raise ValueError("--time and --time-pattern: expected one of them")
        if self.time_pattern is not None and "%" not in self.time_pattern:
            raise ValueError(f"--time-pattern: found {self.time_pattern!r}, expected codes such as %Y%m%d_%H%M%S")

    def _check_source(self) -> None:
        """Exactly one kind of imagery, with what belongs to it."""
        given = [flag(name) for name in ("scenes", "images", "legacy") if getattr(self, name) is not None]
        if len(given) != 1:
            found = " and ".join(given) or "no imagery"
            raise ValueError(f"{found}: expected one of --scenes, --images, --legacy")
        if (self.images is None) != (self.table is None):
            raise ValueError("--images and --table belong together, found only one of them")
        if self.gsd is None:
            raise ValueError("--gsd: is missing, expected metres per pixel")
        if self.scenes is None:
            for name in self._given(_ONLY_SCENES):
                if not (name == "stations" and self.legacy):
                    raise ValueError(f"{flag(name)}: goes with --scenes, found {given[0]}")
        for name in self._given(_ONLY_READINGS if self.readings is None else ()):
            raise ValueError(f"{flag(name)}: is about --readings, which is missing")
        for name in self._given(("timezone", "window_hours") if not (self.readings or self.meteorology) else ()):
            raise ValueError(f"{flag(name)}: is about --readings or --meteorology, which are missing")
        if self.window_hours is not None and self._given(("min_hours",)):
            raise ValueError("--min-hours: is about daily means, found --window-hours as well")

    def _given(self, names: tuple[str, ...]) -> list[str]:
        """Those of the fields that have another value than their default."""
        return [name for name in names if getattr(self, name) != type(self).__dataclass_fields__[name].default]
