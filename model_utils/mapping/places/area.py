"""The area of a map: a box, or the polygons of a GeoJSON file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from model_utils.cities import BoundingBox
from model_utils.errors import InputError

_DEGREES = ("CRS84", "4326")
"""How names of WGS84 degrees end, in the member `crs` of older GeoJSON: urn:ogc:def:crs:OGC:1.3:CRS84, EPSG:4326."""


@dataclass(frozen=True)
class Area:
    """Where a map is.

    Attributes:
        named: As the flag has it.
        box: Around it.
        polygons: GeoJSON polygons in WGS84 degrees: the area is what lies in any of them, or the box where there are
            none. Where the rings of one cross or lie in each other, what an odd number of them surrounds is inside.
    """

    named: str
    box: BoundingBox
    polygons: tuple[dict[str, Any], ...] = ()

    def refuse_exchanged(self, city: BoundingBox) -> None:
        """Raises InputError where it is not in the city, and would be if latitude were longitude."""
        box = self.box
        if box.intersection(city) is not None or box.west < -90 or box.east > 90:
            return
        if BoundingBox(box.west, box.south, box.east, box.north).intersection(city) is not None:
            raise InputError(
                f"--area {self.named}: latitude and longitude are exchanged, expected longitude first: "
                f"{box.south:.10g},{box.west:.10g},{box.north:.10g},{box.east:.10g}"
            )


def read_area(area: str) -> Area:
    """Reads what `--area` says.

    Args:
        area: A GeoJSON file (polygons in WGS84 degrees), or `west,south,east,north` in degrees.

    Raises:
        InputError: It is neither.
    """
    box = _numbers(area)
    if box is not None:
        found = f"found west {box[0]:.10g}, south {box[1]:.10g}, east {box[2]:.10g}, north {box[3]:.10g}"
        return Area(area, _box(area, box, f"{found}, expected WGS84 degrees with west < east and south < north"))
    polygons = tuple(_polygons(Path(area)))
    if not polygons:  # a MultiPolygon of none
        raise InputError(f"--area {area}: found no polygon, expected some in WGS84 degrees")
    corners = np.array([corner for polygon in polygons for ring in polygon["coordinates"] for corner in ring])
    (west, south), (east, north) = corners.min(axis=0), corners.max(axis=0)
    found = f"found corners from {west:.10g} to {east:.10g} and from {south:.10g} to {north:.10g}"
    expected = "expected WGS84 degrees, longitude before latitude, of a polygon that has an area"
    return Area(area, _box(area, (west, south, east, north), f"{found}, {expected}"), polygons)


def _numbers(area: str) -> tuple[float, float, float, float] | None:
    """Four numbers, or None where the text is none of four."""
    try:
        west, south, east, north = (float(part) for part in area.split(","))
    except ValueError:
        return None
    return west, south, east, north


def _box(area: str, edges: tuple[float, float, float, float], wrong: str) -> BoundingBox:
    west, south, east, north = map(float, edges)
    if not (-180 <= west < east <= 180 and -84 <= south < north <= 84):
        raise InputError(f"--area {area}: {wrong}")
    return BoundingBox(south, west, north, east)


def _polygons(path: Path) -> Iterator[dict[str, Any]]:
    """Each polygon of a file by itself."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        reason = "not found" if isinstance(error, FileNotFoundError) else (error.strerror or str(error)).lower()
        raise InputError(f"--area {path}: {reason}, expected a GeoJSON file or west,south,east,north") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"--area {path}: not readable as GeoJSON ({' '.join(str(error).split())[:200]})") from None
    if not isinstance(content, dict):
        raise InputError(f"--area {path}: found {type(content).__name__}, expected a GeoJSON object")
    _refuse_other_systems(path, content)
    geometries = list(_geometries(content))
    if not geometries:
        raise InputError(f"--area {path}: found no feature, expected polygons in WGS84 degrees")
    for geometry in geometries:
        kind = geometry.get("type") if isinstance(geometry, dict) else "no geometry"
        if kind not in ("Polygon", "MultiPolygon"):
            raise InputError(f"--area {path}: found {kind}, expected polygons in WGS84 degrees")
        parts = geometry.get("coordinates")
        for rings in parts if kind == "MultiPolygon" and isinstance(parts, list) else [parts]:
            yield {"type": "Polygon", "coordinates": _rings(path, rings)}


def _geometries(content: Mapping[str, Any]) -> Iterator[Any]:
    if content.get("type") == "FeatureCollection":
        features = content.get("features")
        for feature in features if isinstance(features, list) else []:
            yield feature.get("geometry") if isinstance(feature, dict) else None
    else:
        yield content.get("geometry") if content.get("type") == "Feature" else content


def _rings(path: Path, rings: Any) -> list[list[list[float]]]:
    """The rings of a polygon, corners without height.

    Raises:
        InputError: They are no lists of corners.
    """
    try:
        found = [[[float(east), float(north)] for east, north, *_ in ring] for ring in rings]
    except (TypeError, ValueError):
        raise InputError(f"--area {path}: found corners that are no pairs of numbers") from None
    numbers = [number for ring in found for corner in ring for number in corner]
    if not found or min(map(len, found)) < 3 or not np.isfinite(numbers).all():
        raise InputError(f"--area {path}: found a polygon without corners, expected three or more of finite numbers")
    return found


def _refuse_other_systems(path: Path, content: Mapping[str, Any]) -> None:
    """Older GeoJSON may be in any system, and says so; the standard knows degrees only."""
    system = content.get("crs")
    properties = system.get("properties") if isinstance(system, dict) else None
    name = properties.get("name") if isinstance(properties, dict) else None
    if system is not None and not str(name).endswith(_DEGREES):
        raise InputError(
            f"--area {path}: found the coordinate reference system {name}, expected WGS84 degrees "
            "(ogr2ogr -t_srs EPSG:4326 makes them)"
        )
