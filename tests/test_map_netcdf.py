"""A map in NetCDF follows CF, gives back the same map, and does not hide damage."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import rasterio
import xarray as xr
from pyproj import CRS
from small_map import small_map

from model_utils.errors import InputError
from model_utils.mapping.files.netcdf import read_map, write_netcdf
from model_utils.mapping.layers import LAYERS, as_dataset
from model_utils.mapping.places.grid import MapGrid


@pytest.fixture
def written(tmp_path: Path) -> Path:
    path = tmp_path / "map.nc"
    write_netcdf(small_map(), path)
    return path


@pytest.mark.parametrize("shape", [(20, 30, 3), (4, 5, 1), (4, 600, 2)])
def test_the_same_map_comes_back(tmp_path: Path, shape: tuple[int, int, int]) -> None:
    dataset = small_map(*shape)
    before = dataset.copy(deep=True)
    write_netcdf(dataset, tmp_path / "map.nc")
    back = read_map(tmp_path / "map.nc")
    xr.testing.assert_identical(back, before)
    xr.testing.assert_identical(dataset, before)
    assert {name: str(back[name].dtype) for name in LAYERS} == {name: layer.dtype for name, layer in LAYERS.items()}
    assert back["time"].dtype == "datetime64[ns]"


def test_the_same_map_gives_the_same_bytes(tmp_path: Path, written: Path) -> None:
    write_netcdf(small_map(), tmp_path / "again.nc")
    write_netcdf(read_map(written), tmp_path / "returned.nc")
    reordered = small_map()[list(reversed(list(small_map().data_vars)))]
    write_netcdf(reordered, tmp_path / "reordered.nc")
    for name in ("again.nc", "returned.nc", "reordered.nc"):
        assert (tmp_path / name).read_bytes() == written.read_bytes()


@pytest.mark.parametrize("only", [None, "pm25"])
def test_compliance_checker_finds_nothing_to_correct(tmp_path: Path, only: str | None) -> None:
    dataset = small_map().assign_attrs(
        institution="a", source="a model", history="made by a test", references="none", comment="none"
    )
    if only:
        grid = MapGrid("EPSG:32643", 300.0, 700_200.0, 3_180_000.0, 30, 20)
        values = {only: dataset[only].to_numpy()}
        dataset = as_dataset(grid, dataset["time_bnds"].to_numpy(), values, dataset.attrs)
    write_netcdf(dataset, tmp_path / "map.nc")
    with warnings.catch_warnings(action="ignore"):  # the checker's own
        from compliance_checker.runner import CheckSuite, ComplianceChecker

        CheckSuite.load_all_available_checkers()
        passed, broken = ComplianceChecker.run_checker(
            str(tmp_path / "map.nc"),
            ["cf:1.11"],
            verbose=1,
            criteria="strict",
            output_filename=str(tmp_path / "report.json"),
            output_format="json",
        )
    found = json.loads((tmp_path / "report.json").read_text())["cf:1.11"]
    assert passed
    assert not broken
    assert found["high_count"] + found["medium_count"] + found["low_count"] == 0, found


def test_other_readers_find_times_projection_and_fill_values(written: Path) -> None:
    dataset = small_map()
    with xr.open_dataset(written, decode_coords="all") as opened:
        assert opened["time"].values.tolist() == dataset["time"].values.tolist()
        assert opened["time_bnds"].values.tolist() == dataset["time_bnds"].values.tolist()
        np.testing.assert_array_equal(opened["aqi"], dataset["aqi"].where(dataset["aqi"] >= 0))
        assert CRS.from_cf(opened["crs"].attrs).to_epsg() == 32643
    with netCDF4.Dataset(written) as opened:
        assert opened.Conventions == "CF-1.11"
        for name, layer in LAYERS.items():
            np.testing.assert_equal(opened[name]._FillValue, np.dtype(layer.dtype).type(layer.fill))
            assert opened[name].grid_mapping == "crs"
        names = opened["pm25"].ancillary_variables.split()
        assert set(names) == {"pm25_lower", "pm25_upper", "pm25_sd", "reason"}
        assert opened["pm25"].cell_methods == "time: mean area: mean"
        assert opened[opened["time"].bounds].shape == (3, 2)


def test_gdal_reads_it_as_the_same_raster(written: Path) -> None:
    dataset = small_map()
    if "netCDF" not in rasterio.drivers.raster_driver_extensions().values():
        pytest.skip("this build of rasterio cannot read NetCDF")
    with rasterio.open(f"netcdf:{written}:pm25") as raster:
        assert raster.crs.to_epsg() == 32643
        assert tuple(raster.transform)[:6] == (300.0, 0.0, 700_200.0, 0.0, -300.0, 3_180_000.0)
        np.testing.assert_array_equal(raster.read(), dataset["pm25"])


def test_no_chunk_holds_two_times(tmp_path: Path) -> None:
    write_netcdf(small_map(rows=700, columns=900, dates=2), tmp_path / "map.nc")
    with netCDF4.Dataset(tmp_path / "map.nc") as opened:
        assert opened["pm25"].chunking() == [1, 512, 512]
        assert opened["place_effect"].chunking() == [512, 512]
        assert opened["reason"].filters()["zlib"]
        assert opened["pm25"].filters()["fletcher32"]


def test_times_that_are_no_whole_minutes_are_refused_not_rounded(tmp_path: Path) -> None:
    dataset = small_map()
    shifted = dataset.assign_coords(time=dataset["time"] + np.timedelta64(1, "s"))
    shifted["time"].attrs = dataset["time"].attrs
    with pytest.raises(ValueError, match="expected whole minutes"):
        write_netcdf(shifted, tmp_path / "map.nc")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("shape", "fewest"), [((6, 7, 2), 10), ((60, 70, 3), 100)])
def test_a_flipped_bit_is_found_or_changes_nothing(tmp_path: Path, shape: tuple[int, int, int], fewest: int) -> None:
    dataset = small_map(*shape)
    write_netcdf(dataset, tmp_path / "map.nc")
    whole = (tmp_path / "map.nc").read_bytes()
    generator = np.random.default_rng(0)
    found = 0
    for number, place in enumerate(generator.integers(0, len(whole), 150)):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << int(generator.integers(8))
        path = tmp_path / f"{number}.nc"  # the library may keep a file open that it could not read
        path.write_bytes(damaged)
        message = _refusal(path, dataset)
        found += message is not None
        assert message is None or (message.startswith(f"{path}: ") and len(message.splitlines()) == 1)
    assert found > fewest


def _refusal(path: Path, expected: xr.Dataset) -> str | None:
    try:
        back = read_map(path)
    except InputError as error:
        return str(error)
    xr.testing.assert_identical(back, expected)
    return None


def test_text_that_somebody_edits_is_found(written: Path) -> None:
    with netCDF4.Dataset(written, "a") as opened:
        opened.city = "Delhj"
    with pytest.raises(InputError, match=r"content that differs from its content_sha256, expected the map"):
        read_map(written)


def test_what_is_no_map_is_refused_in_one_line(
    tmp_path: Path, written: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    whole = written.read_bytes()
    for name, data in {"empty": b"", "text": b"pm25,1\n", "half": whole[: len(whole) // 2], "end": whole[:-1]}.items():
        (tmp_path / name).write_bytes(data)
    with xr.open_dataset(written) as opened:
        del opened.attrs["content_sha256"]
        opened.to_netcdf(tmp_path / "unsealed", engine="netcdf4")
    xr.Dataset({"t2m": ("x", [1.0])}).to_netcdf(tmp_path / "other", engine="netcdf4")
    for name in ("empty", "text", "half", "end", "unsealed", "other", "absent"):
        with pytest.raises(InputError) as caught:
            read_map(tmp_path / name)
        assert str(caught.value).startswith(f"{tmp_path / name}: ")
        assert len(str(caught.value).splitlines()) == 1
    assert capfd.readouterr() == ("", "")
