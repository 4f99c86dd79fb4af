"""What is known of one scene before a pixel of it is read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

MaskKind = Literal["none", "udm2", "udm", "scl", "classi"]


@dataclass(frozen=True)
class Band:
    """Where one band of a scene lies, and what its numbers mean.

    Attributes:
        file: The raster.
        index: Number of the band in it, from 1.
        gain: Physical value = gain x number + offset; reflectance for products that hold it.
        offset: See gain.
    """

    file: Path
    index: int
    gain: float = 1.0
    offset: float = 0.0


@dataclass(frozen=True)
class Scene:
    """One scene: an image taken at one time, by one sensor.

    Attributes:
        scene_id: The provider's name for it, or the file's.
        product: The kind of product, such as 'planetscope-analytic-sr'; an archive holds one kind.
        bands: The bands that were asked for, in that order.
        time_utc: Acquisition, aware, in UTC.
        time_source: Where the time comes from, for the report: 'metadata', 'tag ...', 'name', 'name (date only)', ...
        mask_kind: What kind of quality mask came with it.
        mask_file: The mask's raster, or None.
        full_scale: The physical value that becomes 255; the same in every scene of an archive.
        surface_reflectance: True where the provider has corrected for the atmosphere, haze included.
        sidecars: Further files that the above was read from.
        simulated: True for scenes of `pm25 simulate --write-scenes`, whose tag SIMULATED says so.
    """

    scene_id: str
    product: str
    bands: tuple[Band, ...]
    time_utc: datetime
    time_source: str
    mask_kind: MaskKind
    mask_file: Path | None
    full_scale: float
    surface_reflectance: bool
    sidecars: tuple[Path, ...] = ()
    simulated: bool = False

    @property
    def files(self) -> tuple[Path, ...]:
        """All files the scene's tiles depend on, each once."""
        mask = (self.mask_file,) if self.mask_file else ()
        return tuple(dict.fromkeys([*(band.file for band in self.bands), *mask, *self.sidecars]))
