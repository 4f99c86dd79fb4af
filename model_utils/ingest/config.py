"""The flags of `pm25 prepare`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from model_utils.project import SHIPPED_ROOT


@dataclass(frozen=True)
class PrepareConfig:
    """Imagery that is already cut into tiles, and the table that says where and when each was taken.

    Args:
        city: Name of the city; it is defined by data/cities/<city>.yaml.
        images: N x H x W x C uint8 as .npy or .npz, or a folder of PNG or TIFF tiles.
        table: A .csv or .parquet file with a row a tile; data/requirements.md lists its columns.
        gsd: Ground sample distance, metres per pixel.
        bands: Band names in the order of the image channels, typed as red,green,blue.
        licence: Licence of the imagery and readings, kept in the archive.
        attribution: Who must be named when the archive is used, kept in the archive.
        overwrite: Replace the city's archive.
        root: Folder that holds data/.
    """

    city: str
    images: Path
    table: Path
    gsd: float
    bands: tuple[str, ...] = ("red", "green", "blue")
    licence: str = ""
    attribution: str = ""
    overwrite: bool = False
    root: Path = SHIPPED_ROOT

    def __post_init__(self) -> None:
        if not (math.isfinite(self.gsd) and self.gsd > 0):
            raise ValueError(f"--gsd: found {self.gsd}, expected metres per pixel above 0")
        if not self.bands or not all(self.bands) or len(set(self.bands)) != len(self.bands):
            raise ValueError(f"--bands: found {list(self.bands)}, expected different names")
