"""How the numbers of a product become reflectance: gain and offset of each band."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from model_utils.errors import InputError
from model_utils.ingest.products.metadata import Metadata, finite_number, local_name, read_xml
from model_utils.ingest.products.specification import SCENE, Reflectance

Scaling = tuple[float, float]
"""Gain and offset."""

_BASELINE = re.compile(r"_N(?P<baseline>\d{4})_")
_OF_AN_OWN_RUN = 99.99  # baseline that a user's own run of the processor writes: says nothing of the offset
_BAND_IDS = {"B02": "1", "B03": "2", "B04": "3", "B08": "7"}  # how the metadata's offsets name them


@dataclass(frozen=True)
class Known:
    """What is known of a scene whose numbers are to be reflectance.

    Attributes:
        path: The scene, for messages.
        groups: Of its pattern.
        bands: Each band's name by the provider, or its number in the file.
        metadata: What the files beside it say.
    """

    path: Path
    groups: Mapping[str, str]
    bands: Sequence[str]
    metadata: Sequence[Metadata]


def scalings(reflectance: Reflectance, known: Known) -> list[Scaling] | None:
    """Gain and offset of each band; None where it takes what is not there.

    Raises:
        InputError: The metadata does not hold what it should.
    """
    if reflectance.by:
        return FUNCTIONS[reflectance.by](known)
    metadata = next(iter(known.metadata), None)
    if reflectance.gain is not None and (metadata is None or not reflectance.gain_key):
        return [(reflectance.gain, reflectance.offset)] * len(known.bands)
    if metadata is None:
        return None
    sine = 1.0
    if reflectance.sun_elevation_key:
        elevation = _number(metadata, reflectance.sun_elevation_key)
        if not 0 < elevation <= 90:
            key = reflectance.sun_elevation_key
            raise InputError(f"{metadata.path}: {key} is {elevation:g}, expected degrees above 0 to 90")
        sine = math.sin(math.radians(elevation))
    found = []
    for band in known.bands:
        number = re.sub(r"\D", "", band).lstrip("0")
        gain = _number(metadata, reflectance.gain_key.replace("{band}", number))
        offset = _number(metadata, reflectance.offset_key.replace("{band}", number))
        if gain <= 0:
            raise InputError(f"{metadata.path}: the gain of {band} is {gain:g}, expected a number above 0")
        found.append((gain / sine, offset / sine))
    return found


def _number(metadata: Metadata, key: str) -> float:
    value = metadata.number(key)
    if value is None:
        raise InputError(f"{metadata.path}: found no {key}, expected it in a scene's metadata")
    return value


def planet_coefficients(known: Known) -> list[Scaling] | None:
    """Top-of-atmosphere reflectance = coefficient x number, a coefficient for each band of the scene.

    Source: Planet, "Planet imagery product specification".
    """
    path = next((metadata.path for metadata in known.metadata if metadata.path.suffix.lower() == ".xml"), None)
    if path is None:
        return None
    coefficients: dict[str, str] = {}
    for element in read_xml(path).iter():
        if local_name(element) == "bandSpecificMetadata":
            texts = {local_name(child): (child.text or "").strip() for child in element}
            coefficients[texts.get("bandNumber", "")] = texts.get("reflectanceCoefficient", "")
    found = []
    for number in known.bands:
        text = coefficients.get(number, "")
        gain = finite_number(text)
        if gain is None or gain <= 0:
            raise InputError(
                f"{path}: reflectanceCoefficient of band {number} is {text!r}, expected a number above 0 for each of "
                f"the {len(known.bands)} bands of {known.path.name}"
            )
        found.append((gain, 0.0))
    return found


def sentinel2_offsets(known: Known) -> list[Scaling]:
    """Reflectance = (number + offset) / quantification; from processing baseline 04.00 on the offset is -1000.

    Source: ESA, https://sentinels.copernicus.eu/web/sentinel/user-guides/sentinel-2-msi/processing-baseline.
    """
    by_id: dict[str, str] = {}
    quantification = 10_000.0
    for metadata in known.metadata:
        for element in read_xml(metadata.path).iter():
            if local_name(element) in ("RADIO_ADD_OFFSET", "BOA_ADD_OFFSET"):
                by_id[element.get("band_id", "")] = (element.text or "").strip()
        written = [metadata.number(key) for key in ("QUANTIFICATION_VALUE", "BOA_QUANTIFICATION_VALUE")]
        quantification = next((value for value in written if value is not None), quantification)
        if quantification <= 0:
            raise InputError(
                f"{metadata.path}: the quantification value is {quantification:g}, expected a number above 0"
            )
    offsets = []
    for band in known.bands:
        if not by_id:
            offsets.append(_offset_of_baseline(known))
            continue
        text = by_id.get(_BAND_IDS.get(band.upper(), ""))
        offset = finite_number(text or "")
        if offset is None:
            raise InputError(f"{known.metadata[0].path}: the offset of {band} is {text!r}, expected a number")
        offsets.append(offset)
    return [(1 / quantification, offset / quantification) for offset in offsets]


def baseline_offset(baseline: float) -> float:
    """What Sentinel-2's processing baseline adds to a number, 0 or -1000."""
    return -1000.0 if baseline >= 4 else 0.0


def _offset_of_baseline(known: Known) -> float:
    found = _BASELINE.search(known.groups[SCENE])
    baseline = int(found["baseline"]) / 100 if found else None
    if baseline is not None and baseline < _OF_AN_OWN_RUN:
        return baseline_offset(baseline)
    if known.metadata:
        return 0.0  # the metadata would name an offset
    raise InputError(
        f"{known.path}: the processing baseline is not known, expected MTD_MSIL1C.xml or MTD_MSIL2A.xml in it"
    )


FUNCTIONS: dict[str, Callable[[Known], list[Scaling] | None]] = {
    "planet_coefficients": planet_coefficients,
    "sentinel2_offsets": sentinel2_offsets,
}
"""What a product's description refers to by name."""
