"""Simulated scenes on disk: the files of a Planet order, in a folder that appears whole or not at all."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp

from model_utils import atomic
from model_utils.errors import InputError
from model_utils.simulation.region import Region

BANDS = ("red", "green", "blue")
MASK_BANDS = ("clear", "snow", "shadow", "haze_light", "haze_heavy", "cloud", "confidence", "unusable")
"""Of Planet's usable data mask (UDM2), in its order; snow and light haze stay 0."""
BLOCK = 256  # height and width of a block of the files
_SIMULATED = "SIMULATED by pm25-contrastive: haze, clouds and sensor are computed; not an observation"


def scene_name(time_utc: datetime, seed: int) -> str:
    """What Planet calls an item: the time, and where it names the satellite, the last digits of the seed."""
    return f"{time_utc:%Y%m%d_%H%M%S}_{seed % 65536:04x}"


def scenes_folder(parent: Path, city: str, overwrite: bool) -> Path:
    """Where the scenes of a city will lie.

    Raises:
        InputError: They are there already and are not to be replaced.
    """
    folder = parent / f"{city}_SIMULATED"
    atomic.clear_leftovers(folder)  # of a killed run
    if folder.exists() and not overwrite:
        raise InputError(f"{folder}: scenes are already there, --overwrite replaces them")
    return folder


@contextmanager
def replacing_scenes(folder: Path, needed: int, surface: str) -> Iterator[Path]:
    """Gives an empty folder that takes the place of `folder` on success, and then says that it is simulated.

    Args:
        folder: As from `scenes_folder`.
        needed: Bytes that will be written at most.
        surface: Name of what the scenes lie over.

    Raises:
        InputError: The folder cannot be made, or the disk has no room.
    """
    with atomic.replacing_folder(folder) as partial:
        free = shutil.disk_usage(partial).free
        if needed > free:
            raise InputError(
                f"--write-scenes: {folder.parent} has {free / 1e9:.1f} GB free, the scenes may need "
                f"{needed / 1e9:.1f} GB, expected fewer days (--days, --day-step) or coarser pixels (--gsd)"
            )
        yield partial
        (partial / "SIMULATED.txt").write_text(f"{_SIMULATED}.\nOver {surface}.\n", encoding="utf-8")


class SceneFiles:
    """The files of one scene: `_3B_Visual.tif`, `_3B_udm2.tif` and `_metadata.json`; a context manager."""

    def __init__(self, folder: Path, name: str, region: Region, time_utc: datetime) -> None:
        self._folder, self._name, self._time = folder / name, name, time_utc
        self._folder.mkdir()
        self._region = region
        self._image = self._open("Visual", BANDS, photometric="RGB", interleave="pixel", nodata=0, predictor=2)
        self._image.colorinterp = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
        self._mask = self._open("udm2", MASK_BANDS, photometric="MINISBLACK", interleave="band")
        self._counts = dict.fromkeys(MASK_BANDS, 0)

    def __enter__(self) -> SceneFiles:
        return self

    def __exit__(self, *_: object) -> None:
        self._image.close()
        self._mask.close()

    def write(self, first: int, codes: NDArray[np.uint8], masks: dict[str, NDArray[np.uint8]]) -> None:
        """Writes rows from `first` on: codes (rows x width x bands) and the bands of the mask by name."""
        window = ((first, first + len(codes)), (0, self._region.width))
        self._image.write(np.ascontiguousarray(codes.transpose(2, 0, 1)), window=window)
        for name, values in masks.items():
            self._mask.write(values, MASK_BANDS.index(name) + 1, window=window)
            self._counts[name] += int(np.count_nonzero(values))

    def finish(self, sun: float) -> None:
        """Closes the rasters, describes the item as Planet does, and brings all to the disk."""
        self.__exit__()
        share = {name: count / max(self._counts["confidence"], 1) for name, count in self._counts.items()}
        properties = {
            "acquired": f"{self._time:%Y-%m-%dT%H:%M:%SZ}",
            "item_type": "PSScene",
            "provider": "simulated",
            "description": _SIMULATED,
            "pixel_resolution": self._region.grid.gsd,
            "sun_elevation": round(float(np.degrees(np.arcsin(sun))), 1),
            "cloud_cover": round(share["cloud"], 4),
            "clear_percent": round(100 * share["clear"]),
            "shadow_percent": round(100 * share["shadow"]),
            "heavy_haze_percent": round(100 * share["haze_heavy"]),
        }
        item = {"id": self._name, "type": "Feature", "properties": properties}
        (self._folder / f"{self._name}_metadata.json").write_text(json.dumps(item, indent=2) + "\n", encoding="utf-8")
        for path in (*self._folder.iterdir(), self._folder):
            atomic.sync(path)

    def _open(self, asset: str, names: tuple[str, ...], **options: Any) -> Any:
        """A tiled, packed GeoTIFF of uint8 whose bands have these names."""
        file = rasterio.open(
            self._folder / f"{self._name}_3B_{asset}.tif",
            "w",
            driver="GTiff",
            dtype="uint8",
            count=len(names),
            width=self._region.width,
            height=self._region.height,
            crs=self._region.grid.crs,
            transform=self._region.transform(),
            tiled=True,
            blockxsize=BLOCK,
            blockysize=BLOCK,
            compress="deflate",
            zlevel=1,
            sparse_ok=True,  # bands and blocks that are 0 take no room
            bigtiff="if_safer",
            **options,
        )
        file.update_tags(
            SIMULATED="yes", TIFFTAG_IMAGEDESCRIPTION=_SIMULATED, TIFFTAG_DATETIME=f"{self._time:%Y:%m:%d %H:%M:%S}"
        )
        file.update_tags(ns="IMAGERY", ACQUISITIONDATETIME=f"{self._time:%Y-%m-%dT%H:%M:%SZ}")
        file.descriptions = names
        return file
