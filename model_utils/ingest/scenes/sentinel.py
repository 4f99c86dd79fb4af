"""Sentinel-2 products as ESA delivers them: .SAFE folders of levels 1C and 2A, one tile each.

Reflectance = (number + offset) / quantification; from processing baseline 04.00 on the offset is -1000
(https://sentinels.copernicus.eu/web/sentinel/user-guides/sentinel-2-msi/processing-baseline).
"""

from __future__ import annotations

import re
from pathlib import Path

from model_utils.errors import InputError
from model_utils.ingest.scenes.delivery import DeliveredBand, Delivery, check_mask
from model_utils.ingest.scenes.folder import SENTINEL_METADATA
from model_utils.ingest.scenes.header import Header, read_header
from model_utils.ingest.scenes.scene import Band, MaskKind
from model_utils.ingest.scenes.sidecars import finite_number, local_name, read_xml
from model_utils.ingest.scenes.times import Stamp, name_times, parsed_time

L1C, L2A = "sentinel2-l1c", "sentinel2-l2a"
_NAME = re.compile(r"S2[A-D]_MSI(?P<level>L1C|L2A)_(?P<time>\d{8}T\d{6})_N(?P<baseline>\d{4})_.*", re.IGNORECASE)
_BANDS = {"B02": "blue", "B03": "green", "B04": "red", "B08": "nir"}
_BAND_IDS = {"B02": "1", "B03": "2", "B04": "3", "B08": "7"}  # how the metadata's offsets name them
_OFFSET_TAGS = ("RADIO_ADD_OFFSET", "BOA_ADD_OFFSET")
_QUANTIFICATION_TAGS = ("QUANTIFICATION_VALUE", "BOA_QUANTIFICATION_VALUE")
# the datatake's start is the same for all tiles of an overpass, so that they can be each other's neighbours
_TIME_TAGS = ("DATATAKE_SENSING_START", "PRODUCT_START_TIME")
_LOCAL_BASELINE = 99.99  # written by a user's own run of the processor: says nothing of the offset


def product_of(folder: Path) -> str:
    """The level of a product folder.

    Raises:
        InputError: It is no Sentinel-2 product of level 1C or 2A.
    """
    for name, product in zip(SENTINEL_METADATA, (L1C, L2A), strict=True):
        if (folder / name).is_file():
            return product
    found = _NAME.fullmatch(folder.name)
    if not found:
        raise InputError(f"{folder}: found no {' or '.join(SENTINEL_METADATA)}, expected a Sentinel-2 product")
    return L1C if found["level"].upper() == "L1C" else L2A


def read_sentinel(folder: Path) -> Delivery:
    """Reads the headers and metadata of one product.

    Raises:
        InputError: Bands or metadata are missing, damaged, or more than one tile's.
    """
    product = product_of(folder)
    where = "GRANULE/*/IMG_DATA/*_{}.jp2" if product == L1C else "GRANULE/*/IMG_DATA/R10m/*_{}_10m.jp2"
    headers = {band: header for band in _BANDS if (header := _header(folder, where.format(band)))}
    if not headers:
        raise InputError(f"{folder}: found no file {where.format('B02')}, expected the 10 m bands of a whole product")
    if len({header.grid for header in headers.values()}) > 1:
        raise InputError(
            f"{folder}: the 10 m bands {', '.join(headers)} do not cover the same pixels, expected one grid"
        )
    metadata = next((path for name in SENTINEL_METADATA if (path := folder / name).is_file()), None)
    offsets, quantification, time = _metadata(metadata) if metadata else ({}, 10_000.0, None)
    if not offsets:
        offset = _offset_of_baseline(folder, metadata is not None)
        offsets = dict.fromkeys(_BANDS, offset)
    found = _NAME.fullmatch(folder.name)
    stamps = name_times(found["time"]) if found else []
    mask_kind, mask_file = _mask(folder, product)
    return Delivery(
        path=folder,
        scene_id=folder.name.removesuffix(".SAFE"),
        product=product,
        bands=tuple(
            DeliveredBand(
                band=Band(header.path, 1, gain=1 / quantification, offset=offsets[band] / quantification),
                number=None,
                name=_BANDS[band],
                description=band,
                colour="undefined",
            )
            for band, header in headers.items()
        ),
        dtype="uint16",
        reflectance=True,
        missing="",
        metadata_time=time,
        name_time=Stamp(stamps[0].value, "name") if stamps else None,
        tags={},
        mask_kind=mask_kind,
        mask_file=mask_file,
        surface_reflectance=product == L2A,
        sidecars=(metadata,) if metadata else (),
    )


def _header(folder: Path, where: str) -> Header | None:
    """The header of one band, or None where the product came without it."""
    files = sorted(folder.glob(where))
    if len(files) > 1:
        raise InputError(f"{folder}: found {len(files)} files {where}, expected one: a product of one tile")
    if not files:
        return None
    header = read_header(files[0])
    if header.count != 1 or header.dtype != "uint16":
        raise InputError(f"{files[0]}: found {header.count} bands of {header.dtype}, expected 1 of uint16")
    return header


def _metadata(path: Path) -> tuple[dict[str, float], float, Stamp | None]:
    """Offsets by band ({} where the product has none), the quantification value and the time."""
    by_id: dict[str, str] = {}
    texts: dict[str, str] = {}
    for element in read_xml(path).iter():
        name, text = local_name(element), (element.text or "").strip()
        if name in _OFFSET_TAGS:
            by_id[element.get("band_id", "")] = text
        elif name in _QUANTIFICATION_TAGS or name in _TIME_TAGS:
            texts.setdefault(name, text)
    offsets = {}
    for band, identifier in _BAND_IDS.items() if by_id else ():
        offset = finite_number(by_id.get(identifier, ""))
        if offset is None:
            raise InputError(f"{path}: the offset of {band} is {by_id.get(identifier)!r}, expected a number")
        offsets[band] = offset
    text = next((texts[name] for name in _QUANTIFICATION_TAGS if name in texts), "10000")
    quantification = finite_number(text)
    if quantification is None or quantification <= 0:
        raise InputError(f"{path}: the quantification value is {text!r}, expected a number above 0")
    time = next((texts[name] for name in _TIME_TAGS if texts.get(name)), None)
    stamp = parsed_time(time, "metadata") if time else None
    if time and not stamp:
        raise InputError(f"{path}: the sensing time is {time!r}, expected an ISO 8601 time")
    return offsets, quantification, stamp


def _offset_of_baseline(folder: Path, with_metadata: bool) -> float:
    found = _NAME.fullmatch(folder.name)
    baseline = int(found["baseline"]) / 100 if found else None
    if baseline is not None and baseline < _LOCAL_BASELINE:
        return -1000.0 if baseline >= 4 else 0.0
    if with_metadata:
        return 0.0  # the metadata would name an offset
    raise InputError(f"{folder}: the processing baseline is not known, expected {' or '.join(SENTINEL_METADATA)} in it")


def _mask(folder: Path, product: str) -> tuple[MaskKind, Path | None]:
    kind: MaskKind = "classi" if product == L1C else "scl"
    where = "QI_DATA/MSK_CLASSI_B00.jp2" if product == L1C else "IMG_DATA/R20m/*_SCL_20m.jp2"
    files = sorted(folder.glob(f"GRANULE/*/{where}"))
    if not files:
        return "none", None
    check_mask(files[0], kind)
    return kind, files[0]
