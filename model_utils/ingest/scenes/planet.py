"""PlanetScope orders: scenes, masks and metadata, told apart by name and brought together by the scene's id.

Names, band orders and the reflectance coefficients are those of Planet's imagery product specification
(https://assets.planet.com/docs/Planet_Combined_Imagery_Product_Specs_letter_screen.pdf). An order may put the files of
a scene into different folders.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from model_utils.errors import InputError
from model_utils.ingest.scenes.delivery import Delivery, check_mask, delivered_bands
from model_utils.ingest.scenes.header import Header, read_header
from model_utils.ingest.scenes.scene import MaskKind
from model_utils.ingest.scenes.sidecars import finite_number, json_time, local_name, read_xml
from model_utils.ingest.scenes.times import Stamp, name_times

_ID = r"(?P<id>\d{8}_\d{6}(?:_\d\d)?_[0-9a-z]{4})"
_TOOLS = r"(?:_clip|_reproject|_file_format)*"  # order tools that leave the numbers as they are
_ASSET = r"(?P<asset>Visual|AnalyticMS_SR|AnalyticMS|Analytic)(?P<eight>_8b)?(?P<harmonized>_harmonized)?"
_SCENE = re.compile(rf"{_ID}_3B_{_ASSET}{_TOOLS}\.tiff?", re.IGNORECASE)
_MASK = re.compile(rf"(?:{_ID}_)?(?:.*_)?udm2?{_TOOLS}\.tiff?", re.IGNORECASE)
_COEFFICIENTS = re.compile(rf"{_ID}_3B_(?P<asset>Analytic(?:MS)?)(?P<eight>_8b)?_metadata.*\.xml", re.IGNORECASE)
_METADATA = re.compile(rf"{_ID}(?:_metadata)?\.json", re.IGNORECASE)

PRODUCTS = {
    "visual": "planetscope-visual",
    "analyticms_sr": "planetscope-analytic-sr",
    "analyticms": "planetscope-analytic",
    "analytic": "planetscope-analytic",
}
_RGB = ("red", "green", "blue")
_EIGHT = ("coastal", "blue", "green_i", "green", "yellow", "red", "rededge", "nir")
_ORDERS: dict[str, dict[int, tuple[str, ...]]] = {
    "visual": {3: _RGB, 4: _RGB},
    "analytic": {3: _RGB},
    "analyticms": {3: _RGB, 4: ("blue", "green", "red", "nir"), 8: _EIGHT},
    "analyticms_sr": {4: ("blue", "green", "red", "nir"), 8: _EIGHT},
}


def product_of(raster: Path) -> str | None:
    """The product that a file's name says it is, or None where the name is not PlanetScope's."""
    found = _SCENE.fullmatch(raster.name)
    return PRODUCTS[found["asset"].lower()] if found else None


def is_mask(raster: Path) -> bool:
    """True for usable-data masks, which are no scenes."""
    return _MASK.fullmatch(raster.name) is not None


@dataclass(frozen=True)
class Companions:
    """The masks and sidecars of all PlanetScope scenes of a folder, by scene id."""

    masks: dict[str, tuple[Path, ...]]
    coefficients: dict[str, tuple[Path, ...]]
    metadata: dict[str, tuple[Path, ...]]


def companions(rasters: Iterable[Path], others: Iterable[Path]) -> Companions:
    """Sorts a folder's files by the scene they belong to."""
    others = tuple(others)
    return Companions(_by_id(_MASK, rasters), _by_id(_COEFFICIENTS, others), _by_id(_METADATA, others))


def _by_id(pattern: re.Pattern[str], paths: Iterable[Path]) -> dict[str, tuple[Path, ...]]:
    grouped: dict[str, tuple[Path, ...]] = {}
    for path in paths:
        if (found := pattern.fullmatch(path.name)) and found["id"]:
            grouped[found["id"].lower()] = (*grouped.get(found["id"].lower(), ()), path)
    return grouped


def read_planet(raster: Path, beside: Companions) -> Delivery:
    """Reads the headers and sidecars of one PlanetScope scene.

    Raises:
        InputError: The file is not what its name says, or a sidecar is damaged.
    """
    found = _SCENE.fullmatch(raster.name)
    assert found is not None, "product_of has named it"
    asset, scene_id = found["asset"].lower(), found["id"]
    header = read_header(raster)
    orders = {8: _EIGHT} if found["eight"] else _ORDERS[asset]
    dtype = "uint8" if asset == "visual" else "uint16"
    if header.count not in orders or header.dtype != dtype:
        raise InputError(
            f"{raster}: found {header.count} bands of {header.dtype}, expected "
            f"{' or '.join(map(str, orders))} of {dtype} as its name says"
        )
    sidecars = []
    gains: tuple[float, ...] | None = None
    missing = ""
    if asset == "analyticms_sr":
        gains = (1e-4,) * header.count
    elif asset != "visual":
        missing = f"{scene_id}_3B_{found['asset']}{found['eight'] or ''}_metadata.xml with the reflectance coefficients"
        xml = _coefficient_file(beside.coefficients.get(scene_id.lower(), ()), asset, bool(found["eight"]))
        if xml:
            gains, missing = _reflectance_coefficients(xml, header), ""
            sidecars.append(xml)
    metadata = next(iter(beside.metadata.get(scene_id.lower(), ())), None)
    time = json_time(metadata) if metadata else None
    if metadata and time:
        sidecars.append(metadata)
    mask_kind, mask_file = _mask(raster, beside.masks.get(scene_id.lower(), ()))
    return Delivery(
        path=raster,
        scene_id=scene_id,
        product=PRODUCTS[asset],
        bands=delivered_bands(header, orders[header.count], gains),
        dtype=header.dtype,
        reflectance=gains is not None,
        missing=missing,
        metadata_time=time,
        name_time=_time_of_id(scene_id),
        tags=header.tags,
        mask_kind=mask_kind,
        mask_file=mask_file,
        surface_reflectance=asset == "analyticms_sr",
        sidecars=tuple(sidecars),
    )


def is_harmonized(raster: Path) -> bool:
    """True where Planet has matched the scene's spectral response to Sentinel-2's."""
    found = _SCENE.fullmatch(raster.name)
    return bool(found and found["harmonized"])


def _time_of_id(scene_id: str) -> Stamp | None:
    """Planet's ids begin with the acquisition in UTC."""
    stamps = name_times(scene_id)
    return Stamp(stamps[0].value, "name") if stamps else None


def _mask(raster: Path, masks: tuple[Path, ...]) -> tuple[MaskKind, Path | None]:
    """The scene's best mask: udm2 before udm, clipped as the scene is, then by name."""
    clipped = "_clip" in raster.name.lower()
    ranked = sorted(
        masks, key=lambda path: ("udm2" not in path.name.lower(), ("_clip" in path.name.lower()) != clipped, path)
    )
    if not ranked:
        return "none", None
    kind: MaskKind = "udm2" if "udm2" in ranked[0].name.lower() else "udm"
    check_mask(ranked[0], kind)
    return kind, ranked[0]


def _coefficient_file(files: tuple[Path, ...], asset: str, eight: bool) -> Path | None:
    for path in files:
        found = _COEFFICIENTS.fullmatch(path.name)
        if found and found["asset"].lower() == asset and bool(found["eight"]) == eight:
            return path
    return None


def _reflectance_coefficients(path: Path, header: Header) -> tuple[float, ...]:
    """Top-of-atmosphere reflectance = coefficient x number, for each band of the scene."""
    coefficients: dict[str, str] = {}
    for element in read_xml(path).iter():
        if local_name(element) == "bandSpecificMetadata":
            texts = {local_name(child): (child.text or "").strip() for child in element}
            coefficients[texts.get("bandNumber", "")] = texts.get("reflectanceCoefficient", "")
    gains = []
    for number in range(1, header.count + 1):
        text = coefficients.get(str(number), "")
        gain = finite_number(text)
        if gain is None or gain <= 0:
            raise InputError(
                f"{path}: reflectanceCoefficient of band {number} is {text!r}, expected a number above 0 for each of "
                f"the {header.count} bands of {header.path.name}"
            )
        gains.append(gain)
    return tuple(gains)
