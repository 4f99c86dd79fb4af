"""How deliveries really look: two sensors' numbering, items that share files, packages with links, days in UTC."""

from __future__ import annotations

import json
import os
import shutil
import tarfile
import zipfile
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rasterio import Affine
from scene_city import GSD, LEFT, TOP, config, make_root
from scene_deliveries import (
    CLOUD,
    DELIVERIES,
    REFLECTANCE,
    earth_engine_top_of_atmosphere,
    hls,
    landsat,
    numbers_of,
    raster,
    scl,
    stac,
)
from scene_finding import CITY, find, refusal

from model_utils.archive.reader import open_archive
from model_utils.cities import BoundingBox, City
from model_utils.ingest.prepare import prepare
from model_utils.ingest.products.times import Stamp
from model_utils.ingest.scenes.scene import Scene


def item_of(folder: Path) -> tuple[Path, dict[str, Any]]:
    (path,) = folder.rglob("*.json")
    return path, json.loads(path.read_text())


def names(scene: Scene) -> list[str]:
    return [band.file.name for band in scene.bands]


def band_files(folder: Path, value: int) -> None:
    for band in ("B02", "B03", "B04"):
        path = raster(folder / f"{band}.tif", np.full((120, 120), value, np.uint16) + (CLOUD * 3).astype(np.uint16))
        os.utime(path, ns=(10**18, 10**18))


def test_bands_that_are_called_alike_are_not_taken_for_the_same_file(tmp_path: Path) -> None:
    """Of equal size and age, as they come out of a package: a second run must not lose the new scene."""
    make_root(tmp_path)
    flags = {"bands": ("red=B04", "green=B03", "blue=B02"), "full_scale": 4000.0}
    band_files(tmp_path / "scenes" / "a" / "20240102T051221Z", 1000)
    prepare(config(tmp_path, **flags))
    band_files(tmp_path / "scenes" / "b" / "20240103T051221Z", 1700)
    prepare(config(tmp_path, **flags))
    assert open_archive(tmp_path / "data" / "Delhi").samples["scene_id"].nunique() == 2


@pytest.mark.parametrize(
    ("name", "red"),
    [
        ("LM05_L1TP_147040_19900102_20200103_02_T2", "B2"),
        ("LT05_L1TP_147040_19900102_20200103_02_T1", "B3"),
        ("LE07_L1TP_147040_20000102_20200103_02_T1", "B3"),
        ("LC08_L1TP_147040_20200102_20200103_02_T1", "B4"),
        ("LO08_L1TP_147040_20200102_20200103_02_T1", "B4"),
    ],
)
def test_each_landsat_numbers_its_bands_its_own_way(tmp_path: Path, name: str, red: str) -> None:
    for number in range(1, 5):
        raster(tmp_path / f"{name}_B{number}.TIF", numbers_of("red", 2e-5, -0.1))
    scene = find(tmp_path, bands=("red", "green"), full_scale=20_000.0).scenes[0]
    assert names(scene)[0] == f"{name}_{red}.TIF"
    if name.startswith("LM"):
        assert "'blue'" in refusal(tmp_path, full_scale=20_000.0)


def test_an_export_is_of_the_sensor_that_its_own_index_names(tmp_path: Path) -> None:
    colours = ("nir", "red", "green", "blue")
    image = np.stack([numbers_of(colour, 1e-4) for colour in colours])
    raster(tmp_path / "LC08_and_LT05_147040_20100102.tif", image, descriptions=("B4", "B3", "B2", "B1"))
    scene = find(tmp_path, full_scale=4000.0).scenes[0]
    assert [band.index for band in scene.bands] == [2, 3, 4]


def test_what_was_applied_to_the_copies_was_not_to_the_originals(tmp_path: Path) -> None:
    stac("earth-search")(tmp_path)
    path, item = item_of(tmp_path)
    for colour, band in (("red", "B04"), ("green", "B03"), ("blue", "B02")):
        (path.parent / f"{band}.tif").unlink()
        raster(path.parent / f"{band}.jp2", numbers_of(colour, 1e-4, -0.1))
        item["assets"][colour]["href"] = f"s3://sentinel-s2-l2a/tiles/R10m/{band}.jp2"
    path.write_text(json.dumps(item))
    assert {band.offset for band in find(tmp_path).scenes[0].bands} == {-0.1}


@pytest.mark.parametrize(
    ("baseline", "offset", "expected"),
    [("05.10", None, -0.1), ("02.13", None, 0.0), ("05.10", 0, 0.0), ("05.10", -0.1, -0.1), ("02.13", -0.1, "02.13")],
)
def test_offset_and_baseline_agree(tmp_path: Path, baseline: str, offset: float | None, expected: float | str) -> None:
    stac("collection-1")(tmp_path)
    path, item = item_of(tmp_path)
    item["properties"]["s2:processing_baseline"] = baseline
    for asset in item["assets"].values():
        if "raster:bands" in asset:
            asset["raster:bands"][0].pop("offset")
            asset["raster:bands"][0] |= {} if offset is None else {"offset": offset}
    path.write_text(json.dumps(item))
    if isinstance(expected, str):
        assert f"processing baseline {expected}" in refusal(tmp_path)
    else:
        assert {band.offset for band in find(tmp_path).scenes[0].bands} == {expected}


def test_an_offset_that_seems_to_be_applied_twice_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_root(tmp_path)
    stac("earth-search")(tmp_path / "scenes")
    path, item = item_of(tmp_path / "scenes")
    item["properties"]["earthsearch:boa_offset_applied"] = False
    path.write_text(json.dumps(item))
    prepare(config(tmp_path))
    assert "warning: values below 0 at the darkest of" in capsys.readouterr().out


def test_two_items_that_name_one_file_are_refused(tmp_path: Path) -> None:
    stac("collection-1")(tmp_path)
    path, item = item_of(tmp_path)
    other = {**item, "id": "another", "properties": {**item["properties"], "datetime": "2023-12-28T05:22:26Z"}}
    (path.parent / "search.json").write_text(json.dumps({"type": "FeatureCollection", "features": [other]}))
    message = refusal(tmp_path)
    assert "both name it" in message
    assert "another" in message


def test_the_item_beside_its_files_and_the_search_that_found_it_are_one_scene(tmp_path: Path) -> None:
    stac("collection-1")(tmp_path)
    path, item = item_of(tmp_path)
    search = {"type": "FeatureCollection", "features": [item]}
    (tmp_path / "items.geojson").write_text(json.dumps(search))
    (scene,) = find(tmp_path).scenes
    assert scene.sidecars == (path,)
    path.unlink()
    (scene,) = find(tmp_path).scenes
    assert scene.sidecars == ()  # a search grows, and its scenes stay what they are


def test_a_collection_with_assets_is_no_item(tmp_path: Path) -> None:
    DELIVERIES["open eo"](tmp_path)
    assets = {"openEO_2024-01-02Z.tif": {"href": "./openEO_2024-01-02Z.tif"}}
    results = {"type": "Collection", "stac_version": "1.0.0", "id": "job", "assets": assets}
    (tmp_path / "job-results.json").write_text(json.dumps(results))
    assert find(tmp_path, bands=("red=B04",), full_scale=4000.0).scenes[0].product == "geotiff"


def bare_item(folder: Path, collection: str, scene_id: str, platform: str, files: dict[str, np.ndarray]) -> None:
    """An item that names its bands as the provider does, and says no colour."""
    assets = {}
    for band, numbers in files.items():
        raster(folder / f"{band}.tif", numbers)
        assets[band] = {"href": f"https://x.org/{scene_id}.{band}.tif", "eo:bands": [{"name": band}]}
    properties = {"datetime": "2024-01-02T05:02:11Z", "platform": platform}
    item = {
        "type": "Feature", "stac_version": "1.0.0", "id": scene_id, "collection": collection,
        "properties": properties, "assets": assets,
    }  # fmt: skip
    (folder / "item.json").write_text(json.dumps(item))


@pytest.mark.parametrize(
    ("collection", "scene_id", "platform", "right"),
    [
        (
            "hls2-s30",
            "HLS.S30.T43RGM.2024002T051221.v2.0",
            "sentinel-2a",
            {"red": "B04", "nir": "B8A", "swir16": "B11"},
        ),
        ("hls2-l30", "HLS.L30.T43RGM.2024002T051221.v2.0", "landsat-8", {"red": "B04", "nir": "B05", "swir16": "B06"}),
        ("landsat-c2-l2", "LC09_L2SP_147040_20240102_02_T1", "landsat-9", {"red": "B4", "blue": "B2", "nir": "B5"}),
        ("landsat-c2-l2", "LT05_L2SP_147040_19900102_02_T1", "landsat-5", {"red": "B3", "blue": "B1", "nir": "B4"}),
    ],
)
def test_an_item_without_colours_is_read_by_its_sensors_numbers(
    tmp_path: Path, collection: str, scene_id: str, platform: str, right: dict[str, str]
) -> None:
    bands = ("B04", "B05", "B8A", "B06", "B11") if "hls" in collection else ("B1", "B2", "B3", "B4", "B5")
    bare_item(tmp_path, collection, scene_id, platform, {band: numbers_of("red", 1e-4) for band in bands})
    assert names(find(tmp_path, bands=tuple(right)).scenes[0]) == [f"{band}.tif" for band in right.values()]


def test_the_narrow_infrared_of_sentinel_is_not_its_broad_one(tmp_path: Path) -> None:
    stac("collection-1")(tmp_path)
    path, item = item_of(tmp_path)
    nir = {**item["assets"].pop("nir"), "eo:bands": [{"name": "B8A", "common_name": "nir08"}]}
    item["assets"]["nir08"] = nir
    path.write_text(json.dumps(item))
    assert "'nir'" in refusal(tmp_path, bands=("nir",))
    assert find(tmp_path, bands=("nir08",)).bands == ("nir08",)


def test_a_picture_for_the_eye_is_no_reflectance(tmp_path: Path) -> None:
    stac("collection-1")(tmp_path)
    for path in tmp_path.rglob("*_10m.tif"):
        path.unlink()
    assert "visual for the eye" in refusal(tmp_path)


def test_the_finest_of_several_masks_counts(tmp_path: Path) -> None:
    stac("copernicus")(tmp_path)
    path, item = item_of(tmp_path)
    coarse = np.full((20, 20), 4, np.uint8)
    place = Affine(GSD * 6, 0, LEFT, 0, -GSD * 6, TOP)
    raster(path.parent / "SCL_60m.tif", coarse, height=20, width=20, transform=place)
    item["assets"] = {"SCL_60m": {"href": "./SCL_60m.tif"}, **item["assets"]}
    path.write_text(json.dumps(item))
    mask = find(tmp_path).scenes[0].mask
    assert mask is not None
    assert mask.file.name == "SCL.tif"


OWN = r"""
name: planetscope-analytic-sr
title: Planet's surface reflectance, scaled otherwise
documentation: https://example.org
scene: '\d{8}_\d{6}(?:_\d\d)?_[0-9a-z]{4}'
images: [{file: '{scene}_3B_AnalyticMS_SR(?:_clip)?\.tif', orders: [[blue, green, red, nir]]}]
reflectance: {gain: GAIN}
"""


def test_a_description_of_ones_own_goes_before_that_of_its_name_and_counts_in_a_second_run(tmp_path: Path) -> None:
    make_root(tmp_path)
    DELIVERIES["planet surface"](tmp_path / "scenes")
    own = tmp_path / "own.yaml"
    own.write_text(OWN.replace("GAIN", "0.0002"))
    (scene,) = find(tmp_path / "scenes", product=str(own)).scenes
    assert {band.gain for band in scene.bands} == {0.0002}
    prepare(config(tmp_path, product=str(own)))
    own.write_text(OWN.replace("GAIN", "0.0001"))
    with pytest.raises(Exception, match="scaling"):
        prepare(config(tmp_path, product=str(own)))


@pytest.mark.parametrize(("year", "known"), [("2021", True), ("2023", False)])
def test_a_mask_that_the_provider_left_empty_says_nothing(tmp_path: Path, year: str, known: bool) -> None:
    earth_engine_top_of_atmosphere(tmp_path)
    (path,) = tmp_path.glob("*.tif")
    path.rename(tmp_path / path.name.replace("2021", year))
    assert (find(tmp_path, full_scale=0.4).scenes[0].mask is not None) == known


def test_a_day_in_utc_is_that_of_the_overpass_there() -> None:
    sydney = City("Sydney", BoundingBox(-34, 150.9, -33.8, 151.2), "Australia/Sydney", time(10, 30), ())
    assert Stamp(date(2024, 1, 2), "name", utc_day=True).in_utc(sydney) == datetime(2024, 1, 2, 23, 30, tzinfo=UTC)
    assert Stamp(date(2024, 1, 2), "name").in_utc(sydney) == datetime(2024, 1, 1, 23, 30, tzinfo=UTC)
    assert Stamp(date(2024, 1, 2), "name", utc_day=True).in_utc(CITY) == datetime(2024, 1, 2, 5, 0, tzinfo=UTC)


def test_midnight_of_an_item_is_its_day_and_a_month_is_no_time(tmp_path: Path) -> None:
    stac("collection-1")(tmp_path)
    path, item = item_of(tmp_path)
    item["properties"]["datetime"] = "2024-01-02T00:00:00Z"
    path = path.rename(path.with_name("item.json"))  # no name says more
    path.write_text(json.dumps(item))
    scene = find(tmp_path).scenes[0]
    assert (scene.time_utc, scene.time_source) == (datetime(2024, 1, 2, 5, tzinfo=UTC), "metadata (date only)")
    item["properties"] |= {"datetime": None, "start_datetime": "2024-01-01T00:00:00Z"}
    path.write_text(json.dumps({**item, "properties": {**item["properties"], "end_datetime": "2024-01-31T23:59:59Z"}}))
    assert "covers 2024-01-01 to 2024-01-31" in refusal(tmp_path)


def test_a_month_of_the_browser_is_no_time_either(tmp_path: Path) -> None:
    for band in ("B02", "B03", "B04"):
        name = f"2024-01-01-00_00_2024-01-31-23_59_Sentinel-2_L2A_{band}_(Raw).tiff"
        raster(tmp_path / name, REFLECTANCE["red"].astype(np.float32))
    message = refusal(tmp_path, bands=("1",), full_scale=0.4)
    assert "2024-01-01 and 2024-01-31" in message


def test_metadata_of_another_day_than_the_name_is_refused(tmp_path: Path) -> None:
    landsat(1, "json")(tmp_path)
    (path,) = tmp_path.rglob("*_MTL.json")
    path.write_text(path.read_text().replace("2024-01-02", "2024-01-18"))
    assert "expected the same day" in refusal(tmp_path)


def test_one_image_that_was_processed_twice_is_said(tmp_path: Path) -> None:
    DELIVERIES["sentinel2 L2A SAFE"](tmp_path)
    (safe,) = tmp_path.iterdir()
    again = shutil.copytree(safe, tmp_path / safe.name.replace("N0510", "N0511"))
    band = next(again.rglob("*_B04_10m.jp2"))
    band.unlink()
    raster(band, numbers_of("red", 1e-4, -0.1) + np.uint16(1))
    catalogue = find(tmp_path)
    assert len(catalogue.scenes) == 2
    assert any("are of one tile and time" in note for note in catalogue.notes)


def test_numbers_of_two_types_in_one_scene_are_refused(tmp_path: Path) -> None:
    raster(tmp_path / "20240102" / "B02.tif", numbers_of("blue", 1e-4))
    raster(tmp_path / "20240102" / "B04.tif", REFLECTANCE["red"].astype(np.float32))
    assert "several types" in refusal(tmp_path, bands=("red=B04", "blue=B02"), full_scale=4000.0)


def test_links_and_dots_in_a_package(tmp_path: Path) -> None:
    hls("S30")(tmp_path / "whole")
    files = sorted((tmp_path / "whole").iterdir())
    (tmp_path / "tar").mkdir()
    (tmp_path / "zip").mkdir()
    with tarfile.open(tmp_path / "tar" / "x.tar", "w") as file:
        for path in files:
            file.add(path, f"./data/{path.name}")
            for kind, folder, target in (
                (tarfile.LNKTYPE, "hard", f"./data/{path.name}"),
                (tarfile.SYMTYPE, "soft", f"../data/{path.name}"),
            ):
                link = tarfile.TarInfo(f"./{folder}/{path.name}")
                link.type, link.linkname = kind, target
                file.addfile(link)
    with zipfile.ZipFile(tmp_path / "zip" / "x}y.zip", "w") as file:
        for path in files:
            file.write(path, f"./{path.name}")
    for folder in ("tar", "zip"):
        (scene,) = find(tmp_path / folder).scenes  # the links are the same bytes
        assert scene.mask is not None
    (scene,) = find(tmp_path / "tar" / "x.tar").scenes
    assert scene.product == "hls"


def test_a_package_beside_what_came_out_of_it_and_a_package_that_is_a_link(tmp_path: Path) -> None:
    landsat(2, "json")(tmp_path / "scenes")
    (folder,) = (tmp_path / "scenes").iterdir()
    (tmp_path / "store").mkdir()
    with zipfile.ZipFile(tmp_path / "store" / "c0ffee", "w") as file:
        for path in folder.iterdir():
            file.write(path, path.name)
    (tmp_path / "scenes" / "bundle.zip").symlink_to(tmp_path / "store" / "c0ffee")
    assert len(find(tmp_path / "scenes").scenes) == 1
    shutil.rmtree(folder)
    (scene,) = find(tmp_path / "scenes").scenes
    assert scene.mask is not None


@pytest.mark.parametrize("beside", [True, False])
def test_metadata_in_a_package_is_read_where_it_is_there(tmp_path: Path, beside: bool) -> None:
    raster(
        tmp_path / "town_20240102.tif", np.stack([numbers_of("red", 1e-4)] * 3), descriptions=("red", "green", "blue")
    )
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as file:
        file.write(tmp_path / "town_20240102.tif", "town_20240102.tif")
        if beside:
            file.writestr("town_20240102_metadata.json", '{"properties": {"acquired": "2024-01-02T05:12:21Z"}}')
    (scene,) = find(tmp_path / "x.zip", full_scale=4000.0).scenes
    assert scene.time_source == ("metadata" if beside else "name (date only)")


def test_items_about_side_files_are_no_scenes(tmp_path: Path) -> None:
    landsat(2, "json")(tmp_path)
    (folder,) = tmp_path.iterdir()
    for kind, files in (("SR", ("SR_B4", "QA_PIXEL")), ("ST", ("ST_B10", "QA_PIXEL"))):
        assets = {name: {"href": f"https://x.net/{folder.name}_{name}.TIF"} for name in files}
        item = {"type": "Feature", "stac_version": "1.0.0", "id": f"{folder.name}_{kind}", "assets": assets}
        item["properties"] = {"datetime": "2024-01-02T05:02:11Z"}
        (folder / f"{folder.name}_{kind}_stac.json").write_text(json.dumps(item))
    assert [scene.product for scene in find(tmp_path).scenes] == ["landsat-c2-l2"]


def test_only_the_bands_that_are_wanted_need_one_grid(tmp_path: Path) -> None:
    DELIVERIES["earth engine sentinel2 bands"](tmp_path)
    place = Affine(GSD * 6, 0, LEFT, 0, -GSD * 6, TOP)
    name = "20210102T051221_20210102T052050_T43RGM.B1.tif"
    raster(tmp_path / name, np.ones((20, 20), np.uint16), height=20, width=20, transform=place)
    assert len(find(tmp_path, full_scale=4000.0).scenes) == 1
    assert "one grid" in refusal(tmp_path, full_scale=4000.0, bands=("coastal", "red"))


def test_a_pipe_among_the_files_does_not_hang(tmp_path: Path) -> None:
    DELIVERIES["geotiff"](tmp_path)
    os.mkfifo(tmp_path / "a.json")
    assert len(find(tmp_path, full_scale=4000.0).scenes) == 1


def test_a_level_is_known_by_what_an_item_calls_itself(tmp_path: Path) -> None:
    bare_item(tmp_path, "s2_l2a", "S2A_20240102", "sentinel-2a", {"B04": numbers_of("red", 1e-4), "scl": scl()})
    catalogue = find(tmp_path, bands=("red=B04",), full_scale=4000.0)
    assert catalogue.scenes[0].surface_reflectance
