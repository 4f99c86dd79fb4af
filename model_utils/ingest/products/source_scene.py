"""One scene as the provider delivered it, before the flags choose bands, time and scale."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from model_utils.errors import InputError
from model_utils.ingest.products.times import Stamp
from model_utils.ingest.scenes.header import Header, read_header
from model_utils.ingest.scenes.masks import MaskLayout
from model_utils.ingest.scenes.scene import Band, QualityMask


@dataclass(frozen=True)
class SourceBand:
    """One band of a scene as it was delivered.

    Attributes:
        band: Where it lies and what its numbers mean.
        number: What `--bands 3` means by 3; None where each band is a file of its own.
        name: Its name by the product's fixed order, or ''.
        description: Its name in the file, or ''.
        colour: GDAL's colour interpretation, such as 'red' or 'undefined'.
        grid: Its pixels, which those of the scene's other bands should have too; None where they need not.
    """

    band: Band
    number: int | None
    name: str
    description: str
    colour: str
    grid: tuple[object, ...] | None = None


@dataclass(frozen=True)
class SourceScene:
    """A scene whose headers and sidecars have been read.

    Attributes:
        path: The file or folder that messages name.
        scene_id: See `Scene`.
        product: See `Scene`.
        bands: All bands that can be asked for.
        dtype: Type of the files' numbers.
        reflectance: True where the bands' gains and offsets give reflectance.
        missing: What would have to be there for the reflectance to be known, or ''.
        metadata_time: The time in the provider's metadata, or None.
        name_time: The time in a name whose pattern is the provider's own, or None.
        tags: The raster's tags by upper-case name.
        mask: See `Scene`.
        masked: Whether such products come with a mask.
        surface_reflectance: See `Scene`.
        variant: A processing that the scenes of an archive should share, such as 'harmonized', or ''.
        sidecars: See `Scene`.
        licence: See `Scene`.
        attribution: See `Scene`.
    """

    path: Path
    scene_id: str
    product: str
    bands: tuple[SourceBand, ...]
    dtype: str
    reflectance: bool = False
    missing: str = ""
    metadata_time: Stamp | None = None
    name_time: Stamp | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    mask: QualityMask | None = None
    masked: bool = False
    surface_reflectance: bool = False
    variant: str = ""
    sidecars: tuple[Path, ...] = ()
    licence: str = ""
    attribution: str = ""


def source_bands(
    header: Header, names: Sequence[str] = (), scalings: Sequence[tuple[float, float]] | None = None
) -> tuple[SourceBand, ...]:
    """The bands of one raster.

    Args:
        header: The raster's header.
        names: Of the bands in the product's order; shorter where the last ones have no name.
        scalings: Gain and offset of the bands; None takes the scale and offset in the raster's tags.
    """
    scalings = list(zip(header.scales, header.offsets, strict=True)) if scalings is None else scalings
    return tuple(
        SourceBand(
            band=Band(header.path, at + 1, *scalings[at]),
            number=at + 1,
            name=names[at] if at < len(names) else "",
            description=header.descriptions[at],
            colour=header.colours[at],
        )
        for at in range(header.count)
    )


def band_file(
    header: Header, name: str, description: str, scaling: tuple[float, float] | None, one_grid: bool = False
) -> SourceBand:
    """The one band of a raster that holds no other.

    Args:
        header: The raster's header.
        name: See `SourceBand`.
        description: See `SourceBand`.
        scaling: Gain and offset; those of the raster's tags where None is given.
        one_grid: Whether the scene's bands have the same pixels.
    """
    gain, offset = scaling or (header.scales[0], header.offsets[0])
    grid = header.grid if one_grid else None
    return SourceBand(Band(header.path, 1, gain, offset), None, name, description, "undefined", grid)


def mask_in(path: Path, layout: MaskLayout) -> QualityMask:
    """A quality mask in a file of its own.

    Raises:
        InputError: It is damaged, or not laid out as such a mask is.
    """
    header = read_header(path)
    if header.count != layout.count or header.dtype != layout.dtype:
        raise InputError(
            f"{path}: found {header.count} bands of {header.dtype}, expected {layout.count} of {layout.dtype} as a "
            f"{layout.name} mask has"
        )
    return QualityMask(path, layout, layout.bands)


def plain_name(text: str) -> str:
    """How names of bands are compared: without case, and B04 is B4."""
    return re.sub(r"^b0+(?=\d)", "b", text.strip().lower())
