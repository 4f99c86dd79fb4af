"""The files of a map, read by independent libraries."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pystac
import pytest
import rasterio
import xarray as xr
from pyproj import Transformer
from rio_cogeo.cogeo import cog_validate
from small_map import small_map

from model_utils.mapping.files.geotiff import time_label, write_geotiffs
from model_utils.mapping.files.netcdf import write_netcdf
from model_utils.mapping.files.stac import stac_item, write_item
from model_utils.mapping.layers import LAYERS


@pytest.fixture(scope="module")
def dataset() -> xr.Dataset:
    return small_map()


def test_every_layer_lies_where_it_should(dataset, tmp_path):
    """Values at the middles of the cells, as rasterio finds them; in WGS84 too."""
    files = write_geotiffs(dataset, tmp_path)
    assert set(files) == set(LAYERS)
    places = [(float(x), float(y)) for y in dataset["y"] for x in dataset["x"]]
    for name, paths in files.items():
        values = dataset[name].to_numpy().reshape(len(paths), -1)
        for number, path in enumerate(paths):
            with rasterio.open(path) as file:
                found = np.array([value[0] for value in file.sample(places)])
                np.testing.assert_array_equal(found, values[number])
                assert file.crs.to_epsg() == 32643
                assert file.units == (LAYERS[name].units,)
                assert np.isnan(file.nodata) if LAYERS[name].dtype == "float32" else file.nodata == -1


def test_layers_are_cloud_optimised(tmp_path):
    large = small_map(rows=700, columns=600, dates=1)
    for paths in write_geotiffs(large, tmp_path).values():
        valid, errors, warnings = cog_validate(str(paths[0]), strict=True)
        assert valid, (errors, warnings)
        with rasterio.open(paths[0]) as file:
            assert file.overviews(1)


@pytest.mark.parametrize(
    ("period", "start", "expected"),
    [
        ("day", "2019-11-01", "2019-11-01"),
        ("month", "2019-11-01", "2019-11"),
        ("season", "2019-12-01", "2019-12_DJF"),
        ("season", "2020-06-01", "2020-06_JJA"),
        ("year", "2020-01-01", "2020"),
    ],
)
def test_files_are_called_after_their_time(period, start, expected):
    bounds = np.array([[start, "2030-01-01"]], "datetime64[ns]")
    found = xr.Dataset({"time_bnds": (("time", "bounds"), bounds)}, attrs={"period": period})
    assert time_label(found, 0) == expected


def test_the_item_finds_its_files_and_is_valid(dataset, tmp_path):
    write_netcdf(dataset, tmp_path / "map.nc")
    files = write_geotiffs(dataset, tmp_path / "layers")
    hrefs = {name: [f"./layers/{path.name}" for path in paths] for name, paths in files.items()}
    write_item(stac_item(dataset, hrefs, {"all layers": "./map.nc"}), tmp_path / "item.json")
    item = pystac.Item.from_file(str(tmp_path / "item.json"))
    for asset in item.assets.values():
        assert Path(asset.get_absolute_href()).is_file()
    assert len(item.assets) == sum(len(paths) for paths in files.values()) + 1
    west, south, east, north = item.bbox
    with rasterio.open(files["pm25"][0]) as file:
        bounds = rasterio.warp.transform_bounds(file.crs, "EPSG:4326", *file.bounds)
    np.testing.assert_allclose([west, south, east, north], bounds, atol=1e-3)
    item.stac_extensions = []  # whose schemas lie on the network; those of an item come with pystac
    assert item.validate()


@pytest.mark.parametrize(
    ("zone", "start", "end"),
    [
        ("Asia/Kolkata", "2019-10-31T18:30:00Z", "2019-11-10T18:30:00Z"),
        ("Asia/Shanghai", "2019-10-31T16:00:00Z", "2019-11-10T16:00:00Z"),
        ("America/Sao_Paulo", "2019-11-01T03:00:00Z", "2019-11-11T03:00:00Z"),
    ],
)
def test_the_item_s_days_are_those_of_the_place(zone, start, end):
    """Bounds are local midnights, and a STAC time is UTC: a search by hours would miss the first ones of a day."""
    dataset = small_map(dates=2)
    properties = stac_item(dataset.assign_attrs(time_zone=zone), {}, {}).to_dict()["properties"]
    assert (properties["start_datetime"], properties["end_datetime"]) == (start, end)


def test_the_item_s_projection_is_that_of_every_file(dataset, tmp_path):
    """Fields of the projection extension, which say for all files what rasterio says of each."""
    files = write_geotiffs(dataset, tmp_path / "layers")
    hrefs = {name: [f"./layers/{path.name}" for path in paths] for name, paths in files.items()}
    write_item(stac_item(dataset, hrefs, {}), tmp_path / "item.json")
    item = json.loads((tmp_path / "item.json").read_text())
    properties = item["properties"]
    assert {name for name in properties if name.startswith("proj:")} == {
        *("proj:code", "proj:shape", "proj:transform", "proj:bbox")
    }
    assert "https://stac-extensions.github.io/projection/v2.0.0/schema.json" in item["stac_extensions"]
    for asset in item["assets"].values():
        with rasterio.open(tmp_path / asset["href"]) as file:
            assert properties["proj:code"] == file.crs.to_string()
            assert tuple(properties["proj:shape"]) == file.shape
            assert properties["proj:transform"] == list(file.transform)[:6]
            assert properties["proj:bbox"] == list(file.bounds)
            outline = Transformer.from_crs(file.crs, "EPSG:4326", always_xy=True).transform(
                [file.bounds.left, file.bounds.right, file.bounds.right, file.bounds.left],
                [file.bounds.bottom, file.bounds.bottom, file.bounds.top, file.bounds.top],
            )
    assert item["geometry"]["type"] == "Polygon"
    ring = item["geometry"]["coordinates"][0]
    assert ring[0] == ring[-1]
    np.testing.assert_allclose(ring[:-1], np.transpose(outline), atol=1e-7)
    west, south, east, north = item["bbox"]
    assert all(west <= x <= east and south <= y <= north for x, y in ring)


def test_a_killed_writer_leaves_no_map(dataset, tmp_path):
    """What is half-written has another name."""
    code = (
        "import sys, os, signal; sys.path.insert(0, sys.argv[2])\n"
        "from pathlib import Path; from small_map import small_map\n"
        "import model_utils.atomic\nfrom model_utils.mapping.files import netcdf\n"
        "model_utils.atomic.sync = lambda path: os.kill(os.getpid(), signal.SIGKILL)\n"
        "netcdf.write_netcdf(small_map(), Path(sys.argv[1]) / 'map.nc')\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path), str(Path(__file__).parent)], check=False)
    assert done.returncode == -9
    assert not (tmp_path / "map.nc").exists()
