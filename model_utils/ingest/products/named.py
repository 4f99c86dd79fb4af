"""Reads a scene whose product is described: the headers of its files, and what lies beside them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from model_utils.errors import InputError
from model_utils.ingest.products.grouping import NamedScene
from model_utils.ingest.products.metadata import Metadata, read_metadata
from model_utils.ingest.products.reflectance import Known, Scaling, scalings
from model_utils.ingest.products.source_scene import (
    SourceBand,
    SourceScene,
    band_file,
    mask_in,
    plain_name,
    source_bands,
)
from model_utils.ingest.products.specification import TIME, VARIANT
from model_utils.ingest.products.stac import Item
from model_utils.ingest.products.times import Stamp, plausible
from model_utils.ingest.scenes.header import Header, read_header
from model_utils.ingest.scenes.scene import QualityMask


def read_named(scene: NamedScene, item: Item | None = None) -> SourceScene:
    """Reads the headers and metadata of a scene.

    Args:
        scene: Its files.
        item: The STAC item that describes them too, which gives the time where the metadata does not.

    Raises:
        InputError: A file is not what its name says, is damaged, or there twice.
    """
    product = scene.product
    if scene.twice:
        raise InputError(f"{scene.twice[0]}: found a band of {scene.scene_id} that is there already, expected it once")
    headers = {band: _header(scene, path) for band, path in scene.files.items()}
    metadata = [read_metadata(path) for path in scene.metadata]
    scaled = _scalings(scene, headers, metadata)
    header = next(iter(headers.values()))
    if "" in headers:
        bands = source_bands(header, _names(scene, header), scaled)
    else:
        each: Sequence[Scaling | None] = scaled or [None] * len(headers)
        bands = tuple(
            band_file(found, scene.images.bands.get(band, ""), band, scaling, one_grid=True)
            for (band, found), scaling in zip(headers.items(), each, strict=True)
        )
    times = [time for each in metadata if (time := each.time(product.time.keys))]
    described = [item] if item is not None and not times and item.time else []
    times += [each.time for each in described if each.time]
    reflectance = product.reflectance
    missing = reflectance.needs.format(**scene.groups) if reflectance and scaled is None else ""
    return SourceScene(
        path=scene.path,
        scene_id=scene.scene_id,
        product=product.name,
        bands=bands,
        dtype=header.dtype,
        reflectance=scaled is not None,
        missing=missing,
        metadata_time=next(iter(times), None),
        name_time=_name_time(scene),
        tags=header.tags,
        mask=_mask(scene, header, bands, next(iter(times), None) or _name_time(scene)),
        masked=bool(product.masks),
        surface_reflectance=product.level == "surface",
        variant=scene.groups.get(VARIANT, "").strip("_").lower(),
        sidecars=(*scene.metadata, *(each.path for each in described)),
    )


def _header(scene: NamedScene, path: Path) -> Header:
    """The header of a file, which holds what its name says."""
    header, images = read_header(path), scene.images
    counts = sorted({len(order) for order in images.orders}) or ([1] if "" not in scene.files else [])
    if (counts and header.count not in counts) or images.dtype not in ("", header.dtype):
        many = " or ".join(map(str, counts)) or "some"
        raise InputError(
            f"{path}: found {header.count} bands of {header.dtype}, expected {many} of {images.dtype or 'numbers'} as "
            f"its {scene.product.name} name says"
        )
    return header


def _names(scene: NamedScene, header: Header) -> list[str]:
    """The bands' names: by the order of the product, or by their descriptions."""
    if scene.images.orders:
        return list(next(order for order in scene.images.orders if len(order) == header.count))
    known = {plain_name(band): name for band, name in scene.images.bands.items()}
    return [known.get(plain_name(text), "") for text in header.descriptions]


def _scalings(scene: NamedScene, headers: dict[str, Header], metadata: list[Metadata]) -> list[Scaling] | None:
    reflectance = scene.product.reflectance
    if reflectance is None or reflectance.dtype not in ("", next(iter(headers.values())).dtype):
        return None
    names = list(headers) if "" not in headers else [str(number + 1) for number in range(headers[""].count)]
    return scalings(reflectance, Known(scene.path, scene.groups, names, metadata))


def _name_time(scene: NamedScene) -> Stamp | None:
    """The time in the name; None where its digits are no time."""
    text, pattern = scene.groups.get(TIME, ""), scene.product.time.name
    try:
        time = datetime.strptime(text, pattern) if text and pattern else None
    except ValueError:
        return None
    if time is None:
        return None
    if "%H" in pattern:
        return plausible(Stamp(time.replace(tzinfo=UTC), "name"))
    return plausible(Stamp(time.date(), "name", utc_day=scene.product.time.days == "utc"))


def _mask(scene: NamedScene, header: Header, bands: tuple[SourceBand, ...], time: Stamp | None) -> QualityMask | None:
    """The best mask that was filled: a file of its own, or a band of the image."""
    day = time.day() if time else None
    for mask, path in scene.masks:
        if mask.is_filled(day):
            return mask_in(path, mask.layout)
    for mask in scene.product.masks:
        if not mask.is_filled(day):
            continue
        found = [band for band in bands if mask.band and plain_name(band.description) == plain_name(mask.band)]
        if found and found[0].number is not None:
            return QualityMask(header.path, mask.layout, (found[0].number,))
    return None
