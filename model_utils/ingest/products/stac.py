"""Scenes that a STAC item describes: which file is which band, what its numbers mean, the mask and the time.

Read as dictionaries of version 1.0 or 1.1: an item of an old download is not brought to a newer version on the way.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from model_utils.errors import InputError
from model_utils.ingest.products.metadata import finite_number, read_json
from model_utils.ingest.products.reflectance import Scaling, baseline_offset
from model_utils.ingest.products.source_scene import SourceBand, SourceScene, mask_in
from model_utils.ingest.products.specification import Product, compiled
from model_utils.ingest.products.times import Stamp, parsed_time
from model_utils.ingest.scenes.header import Header, read_header
from model_utils.ingest.scenes.masks import MASKS
from model_utils.ingest.scenes.scene import Band, QualityMask

ITEM = "stac-item"
"""What a product is called whose collection is none that is known."""

_MASKS = {"scl": "scl", "qa_pixel": "qa_pixel", "fmask": "fmask", "udm2": "udm2", "ortho_udm2": "udm2"}
_FOR_THE_EYE = ("visual", "thumbnail", "overview", "preview", "rendered_preview", "tilejson", "tci")
_BAND_NAME = re.compile(r"(?:.*_)?(?P<band>(?:SR_)?B\d{1,2}A?)", re.IGNORECASE)
_PRODUCT_IDS = ("s2:product_uri", "sentinel:product_id", "sentinel2:product_id")
_OFFSET_APPLIED = ("earthsearch:boa_offset_applied", "sentinel:boa_offset_applied")
_BASELINES = ("s2:processing_baseline", "sentinel:processing_baseline", "processing:version")
_RASTERS = (".tif", ".tiff", ".jp2")


@dataclass(frozen=True)
class Item:
    """A STAC item, and those of its assets whose files are here.

    Attributes:
        path: The JSON file, of this item or of several.
        content: The item.
        files: By the asset's key.
        alone: Whether the file holds no other item.
    """

    path: Path
    content: Mapping[str, Any]
    files: Mapping[str, Path]
    alone: bool = True

    @property
    def properties(self) -> Mapping[str, Any]:
        """What the item says of the whole scene."""
        found = self.content.get("properties")
        return found if isinstance(found, dict) else {}

    @property
    def scene_id(self) -> str:
        """The provider's name of the scene."""
        return str(self.content.get("id") or self.path.stem)

    @property
    def time(self) -> Stamp | None:
        """When the scene was taken.

        Raises:
            InputError: The item says it in no way that is a time.
        """
        stamps = {}
        for key in ("datetime", "start_datetime", "end_datetime"):
            if (text := self.properties.get(key)) is not None:
                stamp = parsed_time(str(text), "metadata")
                if stamp is None:
                    raise InputError(f"{self.path}: properties.{key} is {text!r:.60}, expected an ISO 8601 time")
                stamps[key] = stamp
        if stamp := stamps.get("datetime"):
            midnight = isinstance(stamp.value, datetime) and stamp.value.time() == time()
            # no satellite of the day passes at midnight to the second: it is what daily items say for their day
            return Stamp(stamp.day(), "metadata", utc_day=True) if midnight else stamp
        if "start_datetime" in stamps and "end_datetime" in stamps:
            first, last = (stamps[key].day() for key in ("start_datetime", "end_datetime"))
            if (last - first).days > 1:
                raise InputError(f"{self.path}: {self.scene_id} covers {first} to {last}, expected a scene of one time")
        return stamps.get("start_datetime")


def read_items(others: Iterable[Path], rasters: Collection[Path]) -> list[Item]:
    """The STAC items among some files, and in collections of features, of which at least one asset is here.

    An asset is the file that its address names, from where the item lies; for an address elsewhere, the file beside
    the item that is called as it ends, or as the asset's key with the ending of a raster.

    Args:
        others: Any files; what is no JSON or no item is left out.
        rasters: All rasters.
    """
    here = set(rasters)
    items = []
    for path in others:
        if path.suffix.lower() not in (".json", ".geojson"):
            continue
        try:
            content = read_json(path)
        except InputError:  # whatever it is, it is no scene
            continue
        collected = content.get("features") if isinstance(content, dict) else None
        for feature in collected if isinstance(collected, list) else [content]:
            assets = feature.get("assets") if isinstance(feature, dict) else None
            if not (isinstance(feature, dict) and feature.get("type") == "Feature" and isinstance(assets, dict)):
                continue
            if "stac_version" in feature:
                found = {
                    str(key): file
                    for key, asset in assets.items()
                    if isinstance(asset, dict) and (file := _file(path, feature, str(key), asset, here))
                }
                items += [Item(path, feature, found, alone=feature is content)] if found else []
    return items


def _file(item: Path, content: Mapping[str, Any], key: str, asset: Mapping[str, Any], here: set[Path]) -> Path | None:
    """The file of an asset, if it is here."""
    address = urlsplit(str(asset.get("href", "")))
    text = unquote(address.path)
    name = PurePosixPath(text).name
    folders = [item.parent, item.parent / str(content.get("id", "")).replace("/", "_")]
    candidates = []
    if address.scheme in ("", "file"):
        candidates.append(_within(item.parent, text))
    candidates += [folder / name for folder in folders if name]
    stems = (key, f"{content.get('id')}_{key}", f"{content.get('id')}.{key}")
    candidates += [folder / f"{stem}{suffix}" for folder in folders for stem in stems for suffix in _RASTERS]
    return next((path for path in candidates if path in here), None)


def _within(folder: Path, text: str) -> Path:
    """A path from a folder, without . and .. in it."""
    parts: list[str] = []
    for part in (folder / text).parts:
        if part == "..":
            parts = parts[:-1]
        elif part != ".":
            parts.append(part)
    return Path(*parts)


def product_of(item: Item, products: Iterable[Product]) -> Product | None:
    """The product that an item's collection holds, or None where none is known of it."""
    collection = str(item.content.get("collection", "")).casefold()
    known = (product for product in products if collection in map(str.casefold, product.collections))
    return next(known, None)


def read_item(item: Item, product: Product | None) -> SourceScene:
    """Reads the headers of an item's files.

    Raises:
        InputError: A file is damaged, or the item says what cannot be.
    """
    masks = {key: _MASKS[name] for key in item.files if (name := _plain(key)) in _MASKS}
    headers = {key: read_header(path) for key, path in item.files.items() if _is_raster(path)}
    images = _images_of(item, product)
    data = _data(item, [key for key in headers if key not in masks], headers, images)
    bands, scaled = [], []
    for key in data:
        for at, texts in enumerate(band_texts(item.content["assets"][key], headers[key].count)):
            scaling = scaling_of(item, key, texts, product)
            scaled.append(scaling is not None)
            bands.append((headers[key].pixels, _band(headers[key], key, at, texts, scaling, images)))
    reflectance = all(scaled) and _is_reflectance(item, data, product)
    if not reflectance and len({headers[key].dtype for key in data}) > 1:
        raise InputError(f"{item.path}: its bands hold numbers of several types, expected one")
    best = max(masks, key=lambda key: headers[key].pixels if key in headers else 0, default=None)
    mask: QualityMask | None = mask_in(item.files[best], MASKS[masks[best]]) if best else None
    return SourceScene(
        path=item.path,
        scene_id=item.scene_id,
        product=product.name if product else ITEM,
        bands=_finest(bands),
        dtype=headers[data[0]].dtype,
        reflectance=reflectance,
        metadata_time=item.time,
        mask=mask,
        masked=bool(product and product.masks),
        surface_reflectance=_is_surface(item, product),
        sidecars=(item.path,) if item.alone else (),  # a file of a whole search grows with every search
        licence=_stated(item, "license"),
        attribution=_stated(item, "attribution"),
    )


def _images_of(item: Item, product: Product | None) -> Mapping[str, str]:
    """How the provider's names of the item's bands are to be read: those of the sensor that it is of."""
    said = f"{item.scene_id} {item.content.get('collection', '')} {item.properties.get('platform', '')}"
    for images in product.images if product else ():
        if not images.item or compiled(images.item).match(said):
            return {band.upper(): name for band, name in images.bands.items()}
    return {}


def _data(item: Item, keys: Sequence[str], headers: Mapping[str, Header], bands: Mapping[str, str]) -> list[str]:
    """The assets that hold what can be asked for.

    Raises:
        InputError: There is none here.
    """
    found = [key for key in keys if not _for_the_eye(item, key)]
    marked = [key for key in found if "reflectance" in _roles(item, key)]
    if bands and not marked:  # beside bands, items of known products have layers such as aerosol, cloud and snow
        marked = [
            key
            for key in found
            for texts in band_texts(item.content["assets"][key], headers[key].count)[:1]
            if _common_name(texts) or _provider(key, 0, texts, headers[key]).upper() in bands
        ]
    if not (marked or found):
        pictures = f", but {', '.join(keys)} for the eye" if keys else ""
        raise InputError(
            f"{item.path}: found none of its bands beside it{pictures}, expected the files that its assets name"
        )
    return marked or found


def _common_name(texts: Mapping[str, Any]) -> str:
    return str(texts.get("common_name") or texts.get("eo:common_name") or "").lower()


def _provider(key: str, at: int, texts: Mapping[str, Any], header: Header) -> str:
    """The provider's name of a band, such as B04 where an item says B04_10m or OLI_B4."""
    name = str(texts.get("name") or (_plain(key) if header.count == 1 else header.descriptions[at]))
    found = _BAND_NAME.fullmatch(re.sub(r"_\d+m$", "", name))
    return found["band"] if found else name


def _band(
    header: Header, key: str, at: int, texts: Mapping[str, Any], scaling: Scaling | None, bands: Mapping[str, str]
) -> SourceBand:
    """One band of an asset."""
    provider, name = _provider(key, at, texts, header), _common_name(texts)
    known = bands.get(provider.upper(), "")
    # nir08 is the narrow near infrared beside nir for Sentinel-2; for sensors without another one, it is nir
    name = known if known and name in ("", "nir08") else name
    if name == "nir08" and bands and "B8" not in bands and "B08" not in bands:
        name = "nir"
    if provider.lower() in (_common_name(texts), name):  # the provider's own name is B04 all the same
        provider = next((band for band, called in bands.items() if called == name), header.path.stem)
    gain, offset = scaling or (header.scales[at], header.offsets[at])
    return SourceBand(Band(header.path, at + 1, gain, offset), None, name, provider, header.colours[at])


def _finest(bands: Sequence[tuple[int, SourceBand]]) -> tuple[SourceBand, ...]:
    """Of bands with one name that of the most pixels: an item may offer each at 10, 20 and 60 m."""
    best: dict[str, tuple[int, SourceBand]] = {}
    for at, (pixels, band) in enumerate(bands):
        key = band.name or f"{at}"
        if key not in best or pixels > best[key][0]:
            best[key] = (pixels, band)
    return tuple(band for _, band in best.values())


def band_texts(asset: Mapping[str, Any], count: int) -> list[dict[str, Any]]:
    """What an item says of each of the bands of an asset.

    Version 1.1 says it in `bands`, version 1.0 in `eo:bands` and `raster:bands`.
    """
    whole = {name: value for name, value in asset.items() if name.startswith(("raster:", "eo:common_name"))}
    found = []
    for at in range(count):
        texts: dict[str, Any] = {**whole}
        for name in ("raster:bands", "eo:bands", "bands"):
            listed = asset.get(name)
            if isinstance(listed, list) and len(listed) == count and isinstance(listed[at], dict):
                texts |= listed[at]
        found.append(texts)
    return found


def scaling_of(item: Item, key: str, texts: Mapping[str, Any], product: Product | None) -> Scaling | None:
    """Gain and offset of a band by its item, or by what is known of the collection; None where neither says it.

    Args:
        item: The item.
        key: Of the asset.
        texts: Of the band, as from `band_texts`.
        product: That the item's collection holds, or None.

    Raises:
        InputError: The item says what cannot be, or too little.
    """
    numbers = []
    for name in ("scale", "offset"):
        value = texts.get(f"raster:{name}", texts.get(name))
        number = None if value is None else finite_number(str(value))
        if value is not None and (number is None or (name == "scale" and number == 0)):
            raise InputError(f"{item.path}: the {name} of asset {key} is {value!r:.60}, expected a number")
        numbers.append(number)
    gain, offset = numbers
    reflectance = product.reflectance if product else None
    if reflectance is not None and reflectance.by == "sentinel2_offsets":
        return gain or 1e-4, _sentinel2_offset(item, key, offset)
    if gain is not None:
        return gain, offset or 0.0
    return (reflectance.gain, reflectance.offset) if reflectance is not None and reflectance.gain is not None else None


def _sentinel2_offset(item: Item, key: str, offset: float | None) -> float:
    """What is to be added to Sentinel-2's reflectance: what the item says, unless it was applied before.

    Raises:
        InputError: The item contradicts the processing baseline, or nothing says it.
    """
    # what was applied was to the copies as COGs; the JPEG 2000 files of the same item are ESA's own
    own = str(item.content["assets"][key].get("href", "")).partition("?")[0].lower().endswith(".jp2")
    if not own and any(item.properties.get(name) is True for name in _OFFSET_APPLIED):
        return 0.0
    baseline = _baseline(item)
    if offset is not None and baseline is not None and baseline < 4 and offset != 0:
        raise InputError(
            f"{item.path}: says the offset {offset:g} of asset {key}, but processing baseline {baseline:05.2f}, whose "
            "numbers have none, expected one of them mended"
        )
    if offset is None and baseline is None:
        raise InputError(
            f"{item.path}: found neither the offset of asset {key} nor s2:processing_baseline, expected one of them: "
            "which offset the numbers have depends on it"
        )
    return offset if offset is not None else baseline_offset(baseline or 0.0) * 1e-4


def _baseline(item: Item) -> float | None:
    """The processing baseline of Sentinel-2, by itself or in the product's name."""
    for name in _BASELINES:
        if (number := finite_number(str(item.properties.get(name, "")))) is not None:
            return number
    found = (re.search(r"_N(\d{4})_", str(item.properties.get(name, ""))) for name in _PRODUCT_IDS)
    return next((int(text[1]) / 100 for text in found if text), None)


def _is_reflectance(item: Item, data: Sequence[str], product: Product | None) -> bool:
    if product is not None:
        return product.reflectance is not None
    return all("reflectance" in _roles(item, key) for key in data)


def _stated(item: Item, key: str) -> str:
    """A line of text of the item's properties; '' without one."""
    text = item.properties.get(key)
    return " ".join(text.split())[:500] if isinstance(text, str) else ""


def _is_surface(item: Item, product: Product | None) -> bool:
    if product is not None:
        return product.level == "surface"
    said = f"{item.properties.get('processing:level', '')} {item.content.get('collection', '')} {item.scene_id}"
    return re.search(r"(?:^|[^a-z0-9])(?:L2|L2A|L2SP|SR)(?:[^a-z0-9]|$)", said, re.IGNORECASE) is not None


def _for_the_eye(item: Item, key: str) -> bool:
    return _plain(key) in _FOR_THE_EYE or bool(_roles(item, key) & {"visual", "overview", "thumbnail"})


def _roles(item: Item, key: str) -> set[str]:
    roles = item.content["assets"][key].get("roles")
    return {role for role in roles if isinstance(role, str)} if isinstance(roles, list) else set()


def _is_raster(path: Path) -> bool:
    return path.suffix.lower() in _RASTERS


def _plain(key: str) -> str:
    """An asset's key without its size of pixels and kind of file: B04_10m, scl-jp2."""
    return re.sub(r"(?:_\d+m|-jp2)$", "", key.lower())
