"""One scene as the provider delivered it, before the flags choose bands, time and scale."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from model_utils.errors import InputError
from model_utils.ingest.scenes.header import Header, read_header
from model_utils.ingest.scenes.masks import MASKS
from model_utils.ingest.scenes.scene import Band, MaskKind
from model_utils.ingest.scenes.times import Stamp


@dataclass(frozen=True)
class DeliveredBand:
    """One band of a delivery.

    Attributes:
        band: Where it lies and what its numbers mean.
        number: What `--bands 3` means by 3; None where each band is a file of its own.
        name: Its name by the product's fixed order, or ''.
        description: Its name in the file, or ''.
        colour: GDAL's colour interpretation, such as 'red' or 'undefined'.
    """

    band: Band
    number: int | None
    name: str
    description: str
    colour: str


@dataclass(frozen=True)
class Delivery:
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
        mask_kind: See `Scene`.
        mask_file: See `Scene`.
        surface_reflectance: See `Scene`.
        sidecars: See `Scene`.
    """

    path: Path
    scene_id: str
    product: str
    bands: tuple[DeliveredBand, ...]
    dtype: str
    reflectance: bool
    missing: str
    metadata_time: Stamp | None
    name_time: Stamp | None
    tags: Mapping[str, str]
    mask_kind: MaskKind
    mask_file: Path | None
    surface_reflectance: bool
    sidecars: tuple[Path, ...]


def delivered_bands(
    header: Header, names: tuple[str, ...] = (), gains: tuple[float, ...] | None = None
) -> tuple[DeliveredBand, ...]:
    """The bands of one raster.

    Args:
        header: The raster's header.
        names: Of the bands in the product's order; shorter where the last ones have no name.
        gains: Of the bands; None takes the scale and offset in the raster's tags.
    """
    return tuple(
        DeliveredBand(
            band=Band(
                header.path,
                at + 1,
                gain=header.scales[at] if gains is None else gains[at],
                offset=header.offsets[at] if gains is None else 0.0,
            ),
            number=at + 1,
            name=names[at] if at < len(names) else "",
            description=header.descriptions[at],
            colour=header.colours[at],
        )
        for at in range(header.count)
    )


def check_mask(path: Path, kind: MaskKind) -> None:
    """Reads the header of a quality mask.

    Raises:
        InputError: It is damaged, or not laid out as such a mask is.
    """
    header, count = read_header(path), MASKS[kind].count
    if header.count != count or header.dtype != "uint8":
        raise InputError(
            f"{path}: found {header.count} bands of {header.dtype}, expected {count} of uint8 as a {kind} mask has"
        )


def plain_name(text: str) -> str:
    """How names of bands are compared: without case, and B04 is B4."""
    return re.sub(r"^b0+(?=\d)", "b", text.strip().lower())
