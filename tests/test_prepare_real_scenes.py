"""`pm25 prepare --scenes` on real imagery, against independent readings of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rasterio
from rasterio.enums import Resampling
from rasterio.warp import reproject, transform, transform_bounds
from scene_city import (
    last_line,
)

from model_utils.archive.reader import open_archive
from model_utils.cli.main import main
from model_utils.ingest.config import PrepareConfig
from model_utils.ingest.prepare import prepare

REAL = Path(__file__).resolve().parents[2] / "shared" / "real"
needs_real = pytest.mark.skipif(not REAL.exists(), reason="real data is not here")


@needs_real
@pytest.mark.real
def test_naip_gives_two_hundred_tiles_that_an_independent_reading_confirms(tmp_path: Path, capsys) -> None:
    scenes = tmp_path / "scenes"
    shutil.copytree(REAL / "naip_multidate", scenes)
    places = []
    with rasterio.open(sorted(scenes.glob("*.tif"))[0]) as first:
        for number in range(20):
            x = first.bounds.left + 300 + (number % 5) * 950 + 7.3 * number
            y = first.bounds.top - 300 - (number // 5) * 850 - 3.1 * number
            (longitude,), (latitude,) = transform(first.crs, "EPSG:4326", [x], [y])
            places.append((f"site{number:02d}", latitude, longitude))
    latitudes, longitudes = [place[1] for place in places], [place[2] for place in places]
    box = (min(latitudes) - 0.1, min(longitudes) - 0.1, max(latitudes) + 0.1, max(longitudes) + 0.1)
    folder = tmp_path / "data" / "cities"
    folder.mkdir(parents=True)
    text = (
        "name: Plains\nbounding_box: {{south: {:.5f}, west: {:.5f}, north: {:.5f}, east: {:.5f}}}\n".format(*box)
        + 'time_zone: America/Chicago\noverpass_local_time: "12:00"\nstations:\n'
        + "".join(f"  - {{name: {name}, latitude: {lat:.9f}, longitude: {lon:.9f}}}\n" for name, lat, lon in places)
    )
    (folder / "Plains.yaml").write_text(text)
    settings = {"city": "Plains", "scenes": scenes, "gsd": 5.0, "tile_size": 64, "root": tmp_path, "workers": 1}
    prepare(PrepareConfig(**settings))
    archive = open_archive(tmp_path / "data" / "Plains")
    assert len(archive) == 200
    assert archive.samples["local_date"].nunique() == 10
    files = {path.stem: path for path in scenes.glob("*.tif")}
    worst = 1.0
    for number, row in archive.samples.iterrows():
        (x,), (y,) = transform("EPSG:4326", "EPSG:32614", [row["longitude"]], [row["latitude"]])
        left, top = round(x / 5 - 32) * 5, round(y / 5 + 32) * 5
        window = np.zeros((3, 64, 64), np.uint8)
        with rasterio.open(files[row["scene_id"]]) as source:
            reproject(
                source.read([1, 2, 3]),
                window,
                src_transform=source.transform,
                src_crs=source.crs,
                dst_transform=rasterio.Affine(5, 0, left, 0, -5, top),
                dst_crs="EPSG:32614",
                resampling=Resampling.bilinear,
                tolerance=0,
            )
        expected = window.transpose(1, 2, 0).astype(int)
        close = np.abs(archive.tiles(np.array([number]))[0].astype(int) - expected) <= 1
        worst = min(worst, close.mean())
    assert worst >= 0.99
    before, tiles_before = archive.samples, archive.tiles()

    latest = sorted(scenes.glob("*.tif"))[-1]
    with rasterio.open(latest) as source:
        profile, values = source.profile, source.read()
    profile.update(
        driver="GTiff", transform=rasterio.Affine(5, 0, profile["transform"].c + 15, 0, -5, profile["transform"].f)
    )
    with rasterio.open(scenes / "m_4709963_se_14_1_20210815.tif", "w", **profile) as target:
        target.write(values)
    capsys.readouterr()
    prepare(PrepareConfig(**settings))
    assert "1 scenes were cut, 10 were there already" in capsys.readouterr().out
    archive = open_archive(tmp_path / "data" / "Plains")
    assert len(archive) == 220
    old = (archive.samples["scene_id"] != "m_4709963_se_14_1_20210815").to_numpy()
    pd.testing.assert_frame_equal(archive.samples[old].reset_index(drop=True), before)
    np.testing.assert_array_equal(archive.tiles()[old], tiles_before)


def prepared_real(root: Path, files: list[Path], box: tuple[float, float, float, float], *flags: str) -> int:
    """Runs prepare on copies of real files for a made city of that box (south, west, north, east) and one station."""
    scenes = root / "scenes"
    scenes.mkdir(parents=True, exist_ok=True)
    for file in files:
        shutil.copy(file, scenes)
    south, west, north, east = box
    cities = root / "data" / "cities"
    cities.mkdir(parents=True, exist_ok=True)
    (cities / "Place.yaml").write_text(
        f"name: Place\nbounding_box: {{south: {south}, west: {west}, north: {north}, east: {east}}}\n"
        'time_zone: UTC\noverpass_local_time: "10:30"\n'
        f"stations:\n  - {{name: Middle, latitude: {(south + north) / 2}, longitude: {(west + east) / 2}}}\n"
    )
    words = ["prepare", "--city", "Place", "--scenes", str(scenes), "--root", str(root), "--workers", "1"]
    return main([*words, *flags])


def box_of(path: Path) -> tuple[float, float, float, float]:
    with rasterio.open(path) as source:
        west, south, east, north = transform_bounds(source.crs, "EPSG:4326", *source.bounds)
    return south, west, north, east


@needs_real
@pytest.mark.real
def test_one_real_scene_under_three_dates_is_one_date_and_a_warning(tmp_path: Path, capsys) -> None:
    files = sorted((REAL / "duplicated_dates").glob("*.tif"))
    assert prepared_real(tmp_path, files, box_of(files[0]), "--gsd", "5", "--grid-metres", "500") == 0
    out = capsys.readouterr().out
    assert open_archive(tmp_path / "data" / "Place").samples["local_date"].nunique() == 1
    for copy in ("rgbn_20160401", "rgbn_20160517"):
        assert f"warning: {copy} ({copy[5:9]}-{copy[9:11]}-{copy[11:]}) is byte for byte rgbn_20160101" in out


@needs_real
@pytest.mark.real
def test_real_landsat_without_band_names_is_refused(tmp_path: Path, capsys) -> None:
    files = sorted((REAL / "landsat_multidate").glob("[12]*.tif"))
    assert prepared_real(tmp_path, files, box_of(files[0]), "--gsd", "90") == 2
    error = last_line(capsys)
    assert "1 (gray), 2 (undefined), 3 (undefined), 4 (undefined)" in error
    assert "--bands" in error
    named = ("--bands", "swir=1,nir=2,red=3,green=4", "--gsd", "90")
    assert prepared_real(tmp_path, [], box_of(files[0]), *named) == 2
    assert "--time-pattern" in last_line(capsys)  # a year is no date
    for file in files:
        (tmp_path / "scenes" / file.name).rename(tmp_path / "scenes" / f"{file.stem}0701.tif")
    assert prepared_real(tmp_path, [], box_of(files[0]), *named) == 0
    assert open_archive(tmp_path / "data" / "Place").metadata.bands == ("swir", "nir", "red", "green")


@needs_real
@pytest.mark.real
def test_real_transparent_area_counts_as_invalid(tmp_path: Path) -> None:
    file = REAL / "other_rasters" / "1056417_2017-03-08_RE3_3A_Visual_clip.tif"
    flags = (
        "--gsd",
        "5",
        "--tile-size",
        "32",
        "--grid-metres",
        "160",
        "--whole-scenes",
        "--min-valid-fraction",
        "0.05",
    )
    assert prepared_real(tmp_path, [file], box_of(file), *flags) == 0
    archive = open_archive(tmp_path / "data" / "Place")
    with rasterio.open(file) as source:
        alpha, place = source.read(4), source.transform
    samples = archive.samples
    x, y = transform("EPSG:4326", "EPSG:32610", samples["longitude"].tolist(), samples["latitude"].tolist())
    tiles = archive.tiles()
    partly = 0
    for number, (east, north) in enumerate(zip(x, y, strict=True)):
        column, row = round((east - place.c) / 5 - 16), round((place.f - north) / 5 - 16)
        window = np.zeros((32, 32), np.uint8)
        inside = alpha[max(row, 0) : row + 32, max(column, 0) : column + 32]
        window[: inside.shape[0], : inside.shape[1]] = inside
        if row >= 0 and column >= 0:
            assert samples["valid_fraction"][number] == pytest.approx((window > 0).mean(), abs=1e-6)
            partly += 0.05 < (window > 0).mean() < 0.95
            assert (tiles[number][window == 0] == 0).all()
    assert partly > 10


@needs_real
@pytest.mark.real
def test_real_float_reflectance_is_scaled_as_stated(tmp_path: Path, capsys) -> None:
    file = REAL / "other_rasters" / "delhi_s2_float64_tile.tif"
    flags = ("--gsd", "10", "--tile-size", "32", "--bands", "red=B4,green=B3,blue=B2")
    dated = tmp_path / "delhi_20190104.tif"
    shutil.copy(file, dated)
    assert prepared_real(tmp_path, [dated], box_of(file), *flags) == 2
    assert "--full-scale" in last_line(capsys)
    assert prepared_real(tmp_path, [], box_of(file), *flags, "--full-scale", "4000") == 0
    assert "4000" in capsys.readouterr().out
    archive = open_archive(tmp_path / "data" / "Place")
    assert "4000" in archive.metadata.created_by["scaling"]
    (row,) = archive.samples.to_dict("records")
    (x,), (y,) = transform("EPSG:4326", "EPSG:32643", [row["longitude"]], [row["latitude"]])
    place = rasterio.Affine(10, 0, round(x / 10 - 16) * 10, 0, -10, round(y / 10 + 16) * 10)
    window = np.zeros((3, 32, 32))
    with rasterio.open(file) as source:
        numbers = source.read()
        reproject(
            numbers,
            window,
            src_transform=source.transform,
            src_crs=source.crs,
            dst_transform=place,
            dst_crs="EPSG:32643",
            resampling=Resampling.bilinear,
        )
    expected = np.clip(np.round(255 * window / 4000), 0, 255).transpose(1, 2, 0)
    assert (np.abs(archive.tiles()[0].astype(float) - expected) <= 1).mean() >= 0.99


@needs_real
@pytest.mark.real
def test_the_real_netcdf_is_refused_by_a_clear_line(tmp_path: Path, capsys) -> None:
    file = REAL / "other_rasters" / "PLANET_SCOPE_3D.nc"
    assert prepared_real(tmp_path, [file], (28.0, 77.0, 29.0, 78.0), "--gsd", "3") == 2
    error = last_line(capsys)
    assert "PLANET_SCOPE_3D.nc" in error
    assert "gdal_translate" in error
