"""What is known of one scene before a pixel of it is read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from model_utils.ingest.scenes.masks import MaskLayout


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
class QualityMask:
    """Where the quality mask of a scene lies, and what its numbers mean.

    Attributes:
        file: The raster; one of the scene's bands may lie there too.
        layout: What its bands mean.
        bands: Numbers in the file, from 1, of the bands `layout.bands`.
    """

    file: Path
    layout: MaskLayout
    bands: tuple[int, ...]


@dataclass(frozen=True)
class Scene:
    """One scene: an image taken at one time, by one sensor.

    Attributes:
        scene_id: The provider's name for it, or the file's.
        product: The kind of product, such as 'planetscope-analytic-sr'; an archive holds one kind.
        bands: The bands that were asked for, in that order.
        time_utc: Acquisition, aware, in UTC.
        time_source: Where the time comes from, for the report: 'metadata', 'tag ...', 'name', 'name (date only)', ...
        mask: The quality mask that came with it, or None.
        full_scale: The physical value that becomes 255; the same in every scene of an archive.
        surface_reflectance: True where the provider has corrected for the atmosphere, haze included.
        sidecars: Further files that the above was read from.
        simulated: True for scenes of `pm25 simulate --write-scenes`, whose tag SIMULATED says so.
        licence: Of the imagery, where a file beside it states it.
        attribution: Who must be named, likewise.
    """

    scene_id: str
    product: str
    bands: tuple[Band, ...]
    time_utc: datetime
    time_source: str
    mask: QualityMask | None
    full_scale: float
    surface_reflectance: bool
    sidecars: tuple[Path, ...] = ()
    simulated: bool = False
    licence: str = ""
    attribution: str = ""

    @property
    def rasters(self) -> tuple[Path, ...]:
        """The files that pixels are read from, each once."""
        mask = (self.mask.file,) if self.mask else ()
        return tuple(dict.fromkeys([*(band.file for band in self.bands), *mask]))

    @property
    def files(self) -> tuple[Path, ...]:
        """All files the scene's tiles depend on, each once."""
        return tuple(dict.fromkeys([*self.rasters, *self.sidecars]))
