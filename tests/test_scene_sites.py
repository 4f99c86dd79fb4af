"""The lattice and the places on it."""

from __future__ import annotations

import time
from datetime import time as clock

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.warp import transform

from model_utils.cities import BoundingBox, City, load_city
from model_utils.errors import InputError
from model_utils.ingest.scenes.grid import TileGrid, city_grid
from model_utils.ingest.scenes.sites import grid_sites, station_sites
from model_utils.project import SHIPPED_ROOT

DELHI = load_city("Delhi", SHIPPED_ROOT)
BOX = BoundingBox(28.60, 77.10, 28.65, 77.16)


@settings(max_examples=200, deadline=None)
@given(
    east=st.floats(100_000, 900_000),
    north=st.floats(0, 9_999_999),
    gsd=st.floats(0.3, 100),
    size=st.integers(1, 400),
    shift=st.integers(-1000, 1000),
)
def test_a_tile_is_centred_to_half_a_pixel_and_lies_on_whole_pixels(east, north, gsd, size, shift):
    grid = TileGrid("EPSG:32643", gsd, size)
    (left,), (top,) = grid.corners([east], [north])
    assert abs((left + size / 2) * gsd - east) <= gsd / 2 * (1 + 1e-6)
    assert abs(-(top + size / 2) * gsd - north) <= gsd / 2 * (1 + 1e-6)
    moved, down = grid.corners([(left + size / 2 + shift) * gsd], [-(top + size / 2 - shift) * gsd])
    assert (moved[0], down[0]) == (left + shift, top - shift)


@pytest.mark.parametrize(
    ("west", "south", "zone", "crs"),
    [(77.0, 28.0, "43N", "EPSG:32643"), (116.0, 39.0, "50N", "EPSG:32650"), (-47.0, -24.0, "23S", "EPSG:32723"),
     (-180.0, -18.0, "1S", "EPSG:32701"), (179.5, 0.1, "60N", "EPSG:32660"), (5.99, 60.0, "32N", "EPSG:32632")],
)  # fmt: skip
def test_the_zone_is_that_of_the_middle_of_the_city(west, south, zone, crs):
    box = BoundingBox(south, west, south + 0.2, min(west + 0.2, 180))
    grid = city_grid(City("Somewhere", box, "UTC", clock(10, 30), ()), 3, 100)
    assert (grid.crs, grid.zone.lstrip("0")) == (crs, zone)
    (easting,), (northing,) = transform("EPSG:4326", grid.crs, [west + 0.1], [south + 0.1])
    assert 160_000 < easting < 840_000
    assert 0 < northing < 10_000_000


@pytest.mark.parametrize(("crs", "gsd", "size"), [("EPSG:4326", 3, 9), ("EPSG:32661", 3, 9), ("EPSG:32643", 0, 9)])
def test_a_lattice_is_in_a_utm_zone_and_has_pixels(crs, gsd, size):
    with pytest.raises(ValueError, match="expected"):
        TileGrid(crs, gsd, size)


def test_stations_keep_their_order_and_place():
    grid = city_grid(DELHI, 3, 100)
    stations = pd.DataFrame(
        {
            "station": ["b", "a"],
            "station_name": ["Bee", "Ay"],
            "latitude": [28.7, 28.6],
            "longitude": [77.1, 77.2],
        },
        index=[7, 3],
    )
    sites = station_sites(grid, stations)
    assert list(sites.columns) == [
        "site_id", "site_name", "site_kind", "latitude", "longitude", "east_m", "north_m",
    ]  # fmt: skip
    assert sites["site_id"].tolist() == ["b", "a"]
    assert sites["site_name"].tolist() == ["Bee", "Ay"]
    assert set(sites["site_kind"]) == {"station"}
    longitude, latitude = transform(grid.crs, "EPSG:4326", sites["east_m"], sites["north_m"])
    np.testing.assert_allclose(longitude, [77.1, 77.2], atol=1e-9)
    np.testing.assert_allclose(latitude, [28.7, 28.6], atol=1e-9)


def test_a_station_without_coordinates_is_named():
    stations = pd.DataFrame(
        {"station": ["a", "lost"], "station_name": ["A", "L"], "latitude": [28.6, np.nan], "longitude": [77.0, 77.1]}
    )
    with pytest.raises(InputError, match=r"station lost: .*--stations"):
        station_sites(city_grid(DELHI, 3, 100), stations)


def test_the_cells_of_a_box_are_all_those_whose_centre_lies_in_it():
    grid, spacing = TileGrid("EPSG:32643", 10, 30), 500
    sites = grid_sites(grid, [BOX], spacing)
    east, north = np.meshgrid(np.arange(1000, 2000) * spacing + 250, np.arange(6000, 6500) * spacing + 250)
    longitude, latitude = map(np.array, transform(grid.crs, "EPSG:4326", east.ravel(), north.ravel()))
    wanted = (longitude >= BOX.west) & (longitude <= BOX.east) & (latitude >= BOX.south) & (latitude <= BOX.north)
    expected = set(zip(east.ravel()[wanted], north.ravel()[wanted], strict=True))
    assert len(expected) > 100
    assert set(zip(sites["east_m"], sites["north_m"], strict=True)) == expected
    first = sites.iloc[0]
    assert first["site_id"] == f"grid_43N_{int(first['east_m'] // 500)}_{int(first['north_m'] // 500)}_500"
    assert sites["north_m"].is_monotonic_decreasing
    assert set(sites["site_kind"]) == {"grid"}


@settings(max_examples=25, deadline=None)
@given(
    south=st.floats(28.55, 28.62), west=st.floats(77.02, 77.12), height=st.floats(0.01, 0.06),
    width=st.floats(0.01, 0.06), spacing=st.sampled_from([300, 512.5, 1000]),
)  # fmt: skip
def test_a_place_has_one_name_whatever_was_asked_for(south, west, height, width, spacing):
    grid = TileGrid("EPSG:32643", 10, 30)
    wide = grid_sites(grid, [BoundingBox(28.5, 77.0, 28.7, 77.2)], spacing).set_index("site_id")
    part = grid_sites(grid, [BoundingBox(south, west, south + height, west + width)], spacing).set_index("site_id")
    assert set(part.index) <= set(wide.index)
    pd.testing.assert_frame_equal(part, wide.loc[part.index])
    inside = wide["latitude"].between(south, south + height) & wide["longitude"].between(west, west + width)
    assert set(part.index) == set(wide.index[inside])


def test_boxes_that_overlap_give_each_cell_once_and_no_box_gives_none():
    grid = TileGrid("EPSG:32643", 10, 30)
    other = BoundingBox(28.62, 77.14, 28.68, 77.20)
    both = grid_sites(grid, [BOX, other], 300)
    assert both["site_id"].is_unique
    assert set(both["site_id"]) == {
        *grid_sites(grid, [BOX], 300)["site_id"],
        *grid_sites(grid, [other], 300)["site_id"],
    }
    none = grid_sites(grid, [], 300)
    assert len(none) == 0
    assert list(none.columns) == list(both.columns)


def test_a_whole_city_takes_a_moment_and_an_absurd_spacing_is_refused():
    grid = city_grid(DELHI, 10, 30)
    begin = time.perf_counter()
    sites = grid_sites(grid, [DELHI.bounding_box], 300)
    assert len(sites) > 80_000
    assert time.perf_counter() - begin < 5  # 0.3 s on an idle core
    with pytest.raises(InputError, match="--grid-metres: found 1, more than"):
        grid_sites(grid, [DELHI.bounding_box], 1)
