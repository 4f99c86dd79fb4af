"""The small files beside a scene: JSON with its time, XML with its calibration."""

from __future__ import annotations

import json
import math
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from model_utils.errors import InputError
from model_utils.ingest.scenes.times import Stamp, parsed_time


def json_time(path: Path) -> Stamp | None:
    """The time in a GeoJSON feature (properties.acquired) or STAC item (properties.datetime); None without either.

    Raises:
        InputError: The file is no JSON, or the time is none.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: not readable as JSON ({' '.join(str(error).split())})") from None
    properties = content.get("properties") if isinstance(content, dict) else None
    for key in ("acquired", "datetime"):
        if isinstance(properties, dict) and properties.get(key) is not None:
            if stamp := parsed_time(str(properties[key]), "metadata"):
                return stamp
            raise InputError(f"{path}: properties.{key} is {properties[key]!r}, expected an ISO 8601 time")
    return None


def read_xml(path: Path) -> ElementTree.Element:
    """The root of an XML file.

    Raises:
        InputError: It is not readable as XML.
    """
    try:
        return ElementTree.parse(path).getroot()
    except (ElementTree.ParseError, OSError, ValueError, LookupError) as error:
        raise InputError(f"{path}: not readable as XML ({' '.join(str(error).split())})") from None


def local_name(element: ElementTree.Element) -> str:
    """An element's name without its namespace."""
    return element.tag.rpartition("}")[2]


def finite_number(text: str) -> float | None:
    """A number, or None where the text is none or not finite."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
