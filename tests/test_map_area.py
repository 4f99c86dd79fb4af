"""`--area`: what it takes, what lies in it, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from model_utils.cities import BoundingBox
from model_utils.errors import InputError
from model_utils.mapping.places.area import read_area
from model_utils.mapping.places.cells import map_cells

BOX = BoundingBox(28.60, 77.19, 28.67, 77.26)
SQUARE = [[77.20, 28.61], [77.25, 28.61], [77.25, 28.66], [77.20, 28.66], [77.20, 28.61]]
HOLE = [[77.22, 28.63], [77.23, 28.63], [77.23, 28.64], [77.22, 28.64], [77.22, 28.63]]
BESIDE = [[77.24, 28.60], [77.26, 28.60], [77.26, 28.67], [77.24, 28.67], [77.24, 28.60]]
BOWTIE = [[77.20, 28.61], [77.25, 28.66], [77.25, 28.61], [77.20, 28.66], [77.20, 28.61]]


def polygon(*rings: list[list[float]]) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": list(rings)}


def feature(geometry: dict[str, Any] | None) -> dict[str, Any]:
    return {"type": "Feature", "properties": {}, "geometry": geometry}


def collection(*geometries: dict[str, Any] | None, **members: Any) -> dict[str, Any]:
    return {"type": "FeatureCollection", "features": [feature(geometry) for geometry in geometries], **members}


def named(system: str) -> dict[str, Any]:
    return {"type": "name", "properties": {"name": system}}


def written(tmp_path: Path, content: Any) -> str:
    path = tmp_path / "area.geojson"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(path)


def surrounded(ring: list[list[float]], x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.bool_]:
    """By hand: a line from the place eastwards crosses the ring an odd number of times."""
    crossings = np.zeros(x.shape, int)
    for (x1, y1), (x2, y2) in zip(ring, ring[1:] + ring[:1], strict=True):
        if y1 != y2:
            crossings += ((y1 <= y) != (y2 <= y)) & (x < x1 + (y - y1) / (y2 - y1) * (x2 - x1))
    return np.asarray(crossings % 2 == 1)


AREAS: dict[str, tuple[Any, list[list[list[float]]], bool]] = {
    "a polygon": (polygon(SQUARE), [SQUARE], False),
    "a ring that is not closed": (polygon(SQUARE[:-1]), [SQUARE], False),
    "heights": (polygon([[*corner, 200.0] for corner in SQUARE]), [SQUARE], False),
    "a hole": (feature(polygon(SQUARE, HOLE)), [SQUARE, HOLE], True),
    "a ring that crosses itself": (polygon(BOWTIE), [BOWTIE], False),
    "features that overlap": (collection(polygon(SQUARE), polygon(BESIDE)), [SQUARE, BESIDE], False),
    "parts that overlap": ({"type": "MultiPolygon", "coordinates": [[SQUARE], [BESIDE]]}, [SQUARE, BESIDE], False),
    "degrees by name": (collection(polygon(SQUARE), crs=named("urn:ogc:def:crs:OGC:1.3:CRS84")), [SQUARE], False),
}


@pytest.mark.parametrize("name", AREAS)
def test_cells_whose_middle_lies_in_the_area(tmp_path: Path, name: str) -> None:
    content, rings, odd = AREAS[name]
    cells = map_cells("EPSG:32643", 100.0, BOX, written(tmp_path, content))
    latitude, longitude = cells.grid.degrees()
    of_ring = np.stack([surrounded(ring, longitude, latitude) for ring in rings])
    expected = of_ring.sum(axis=0) % 2 == 1 if odd else of_ring.any(axis=0)
    assert 500 < expected.sum() < 5000
    # sides are straight in degrees or in the zone: 9 km of them part by some metres
    assert (cells.inside != expected).sum() < 0.01 * expected.sum()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "not readable as GeoJSON"),
        ("[1, 2]", "found list, expected a GeoJSON object"),
        ("{}", "found None, expected polygons"),
        (collection(), "found no feature"),
        (collection(None), "found no geometry, expected polygons"),
        (collection(polygon(SQUARE), {"type": "Point", "coordinates": SQUARE[0]}), "found Point, expected polygons"),
        ({"type": "LineString", "coordinates": SQUARE}, "found LineString, expected polygons"),
        ({"type": "GeometryCollection", "geometries": [polygon(SQUARE)]}, "found GeometryCollection"),
        ({"type": "MultiPolygon", "coordinates": []}, "found no polygon"),
        (polygon(), "found a polygon without corners"),
        (polygon([]), "found a polygon without corners"),
        (polygon([[77.2, float("nan")]] * 4), "found a polygon without corners, expected three or more of finite"),
        (polygon([["a", "b"]] * 4), "found corners that are no pairs of numbers"),
        ({"type": "Polygon"}, "found corners that are no pairs of numbers"),
        (polygon([SQUARE[0], SQUARE[1], SQUARE[0]]), "of a polygon that has an area"),
        (polygon([[715e3, 3165e3], [720e3, 3165e3], [720e3, 3170e3]]), "from 715000 to 720000 and from 3165000 to"),
        (collection(polygon(SQUARE), crs=named("EPSG:3857")), "found the coordinate reference system EPSG:3857"),
    ],
)
def test_what_is_no_area_is_one_line_that_names_the_file(tmp_path: Path, content: Any, expected: str) -> None:
    area = written(tmp_path, content)
    with pytest.raises(InputError) as refused:
        read_area(area)
    assert str(refused.value).startswith(f"--area {area}: ")
    assert expected in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("area", "expected"),
    [
        (
            "77.25,28.61,77.20,28.66",
            "found west 77.25, south 28.61, east 77.2, north 28.66, expected WGS84 degrees with",
        ),
        ("77.2,28.66,77.25,28.61", "west < east and south < north"),
        ("715000,3165000,720000,3170000", "found west 715000, south 3165000"),
        ("nan,28.6,77.2,28.7", "found west nan"),
        ("77.2,28.6,77.3", "not found, expected a GeoJSON file or west,south,east,north"),
        (".", "is a directory, expected a GeoJSON file"),
    ],
)
def test_what_is_no_box_is_refused(area: str, expected: str) -> None:
    with pytest.raises(InputError, match=rf"^--area {area}: .*{expected}"):
        read_area(area)


def test_a_box_is_taken_as_it_is() -> None:
    area = read_area("77.2,28.61,77.25,28.66")
    assert area.box == BoundingBox(28.61, 77.2, 28.66, 77.25)
    assert not area.polygons


@pytest.mark.parametrize(
    ("area", "expected"),
    [
        ("164.9,-1,165.1,1", "cannot be shown in EPSG:32643, the zone of the city"),
        ("70,20,80,30", "found [0-9,]+ cells, expected at most 4,000,000: a larger spacing or a smaller --area"),
        ("77.2,28.61,77.2001,28.6101", "no middle of a cell of 100 m lies in it"),
    ],
)
def test_an_area_that_is_too_large_or_too_small_is_refused(area: str, expected: str) -> None:
    with pytest.raises(InputError, match=expected):
        map_cells("EPSG:32643", 100.0, BOX, area)
