"""One scene in the layouts of all providers: the tiles have its reflectance and its cloud, however it is packed."""

from __future__ import annotations

import json
import shutil
import tarfile
import zipfile
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scene_city import GSD, STATIONS, TILE, config, make_root
from scene_deliveries import CLOUD, DAY, DELIVERIES, REFLECTANCE, Delivered, landsat, raster, stac
from scene_finding import CITY, refusal

from model_utils.archive.reader import open_archive
from model_utils.cities import load_city
from model_utils.cli.main import main
from model_utils.ingest.prepare import prepare
from model_utils.ingest.products.catalogue import find_scenes
from model_utils.ingest.products.grouping import named_scenes
from model_utils.ingest.products.settings import SceneSettings
from model_utils.ingest.products.specification import shipped_products

FORMATS = Path(__file__).resolve().parents[2] / "shared" / "formats"


def expected_tile(station: str) -> np.ndarray:
    column, row = (at - TILE // 2 for at in STATIONS[station])
    window = slice(row, row + TILE), slice(column, column + TILE)
    values = np.stack([REFLECTANCE[colour][window] for colour in ("red", "green", "blue")], axis=-1)
    return 255 * values / 0.4


def cloud_share(station: str) -> float:
    column, row = (at - TILE // 2 for at in STATIONS[station])
    return float(CLOUD[row : row + TILE, column : column + TILE].mean())


def check(root: Path, delivered: Delivered) -> None:
    archive = open_archive(root / "data" / "Delhi")
    rows = archive.samples.set_index("site_id")
    assert sorted(rows.index) == sorted(STATIONS)
    for at, station in enumerate(archive.samples["site_id"]):
        tile = archive.tiles(np.array([at]))[0].astype(float)
        assert np.abs(tile - expected_tile(station)).max() <= 1, station
        cloud = rows.loc[station, "cloud_fraction"]
        assert cloud == pytest.approx(cloud_share(station)) if delivered.mask else np.isnan(cloud)
    assert cloud_share("Alpha") == 0.5
    time = pd.Timestamp(delivered.time)
    if delivered.time.hour == 0:  # the date alone is known
        time += timedelta(hours=5)  # 10:30 in Delhi
    assert set(archive.samples["time_utc"]) == {time}
    assert archive.metadata.created_by["product_found"] == delivered.product


@pytest.mark.parametrize("name", DELIVERIES)
def test_reflectance_cloud_and_time_of_a_delivery(tmp_path: Path, name: str) -> None:
    make_root(tmp_path)
    delivered = DELIVERIES[name](tmp_path / "scenes")
    prepare(config(tmp_path, **delivered.flags or {}))
    check(tmp_path, delivered)
    city = load_city("Delhi", tmp_path)
    catalogue = find_scenes(tmp_path / "scenes", SceneSettings(**delivered.flags or {}), city)
    scene = catalogue.scenes[0]
    assert scene.surface_reflectance == delivered.surface
    assert any("surface reflectance" in note for note in catalogue.notes) == delivered.surface
    assert (scene.mask.layout.name if scene.mask else "") == delivered.mask


def packed(folder: Path, how: str) -> None:
    """Puts all that lies in a folder into one file there."""
    inside = [path for path in folder.rglob("*") if path.is_file()]
    target = folder.parent / f"delivery.{how.partition(' ')[0]}"
    if how == "tar":
        with tarfile.open(target, "w") as file:
            for path in inside:
                file.add(path, path.relative_to(folder).as_posix())
    else:
        with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED if "stored" in how else zipfile.ZIP_DEFLATED) as file:
            file.writestr("__MACOSX/._x.tif", b"resource fork")
            for path in inside:
                file.write(path, path.relative_to(folder).as_posix())
    shutil.rmtree(folder)
    folder.mkdir()
    target.rename(folder / target.name)


@pytest.mark.parametrize("how", ["zip", "zip stored", "tar"])
@pytest.mark.parametrize(
    "name", ["sentinel2 L1C SAFE", "stac earth-search", "landsat L1 txt", "planet analytic", "hls S30", "band files"]
)
def test_a_packed_delivery_is_read_where_it_lies(tmp_path: Path, name: str, how: str) -> None:
    make_root(tmp_path)
    delivered = DELIVERIES[name](tmp_path / "scenes")
    packed(tmp_path / "scenes", how)
    flags = delivered.flags or {}
    prepare(config(tmp_path, **flags))
    check(tmp_path, delivered)
    before = (tmp_path / "data" / "Delhi" / "images.npy").read_bytes()
    prepare(config(tmp_path, **flags, workers=2, overwrite=True))  # other processes find it there too
    assert (tmp_path / "data" / "Delhi" / "images.npy").read_bytes() == before
    assert [path.name for path in (tmp_path / "scenes").iterdir()] == [f"delivery.{how.partition(' ')[0]}"]


def test_a_second_run_over_a_packed_delivery_does_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_root(tmp_path)
    DELIVERIES["landsat L2 json"](tmp_path / "scenes")
    packed(tmp_path / "scenes", "zip")
    prepare(config(tmp_path))
    capsys.readouterr()
    prepare(config(tmp_path))
    assert "nothing to do, all 1 scenes are in the archive" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda path: path.write_bytes(b""), "not readable as a .zip file"),
        (lambda path: path.write_bytes(path.read_bytes()[:-200]), "not readable as a .zip file"),
        (lambda path: add(path, "../outside.tif", b"x"), "expected names below it"),
        (lambda path: add(path, "/root.tif", b"x"), "expected names below it"),
        (lambda path: add(path, "inner.zip", b"x"), "expected it unpacked once"),
        (lambda path: add(path, "broken_20240103.tif", b"x"), "not readable as an image"),
    ],
)
def test_a_damaged_delivery_is_refused_in_a_line(tmp_path: Path, make, expected: str) -> None:
    DELIVERIES["hls S30"](tmp_path / "scenes")
    packed(tmp_path / "scenes", "zip")
    make(tmp_path / "scenes" / "delivery.zip")
    message = refusal(tmp_path / "scenes", product="geotiff" if "broken" in expected or "image" in expected else None)
    assert "delivery.zip" in message
    assert expected in message


def add(path: Path, name: str, content: bytes) -> None:
    with zipfile.ZipFile(path, "a") as file:
        file.writestr(name, content)


def test_an_encrypted_delivery_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "delivery.zip"
    add(path, "x_20240102.tif", b"x")
    content = bytearray(path.read_bytes())
    for signature, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):  # the flags of the two headers of the file
        content[content.index(signature) + at] |= 1
    path.write_bytes(content)
    assert "encrypted" in refusal(tmp_path)


@pytest.mark.skipif(not FORMATS.is_dir(), reason="needs the folder of formats")
@pytest.mark.parametrize(
    "name",
    [
        "stac_item_sentinel2",
        "band_files_without_metadata",
        "landsat9_level1",
        "landsat9_level2",
        "earth_engine_export",
    ],
)
def test_the_examples_of_providers_layouts(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The right answers stand in expected.json: reflectance at the pixels, within one grey level."""
    expected = json.loads((FORMATS / "expected.json").read_text())
    case, station = expected["cases"][f"scenes/{name}"], expected["station"]
    (tmp_path / "data" / "cities").mkdir(parents=True)
    (tmp_path / "data" / "cities" / "Town.yaml").write_text(
        "name: Town\nbounding_box: {south: 26.82, west: 81.0, north: 26.86, east: 81.04}\ntime_zone: Asia/Kolkata\n"
        f'overpass_local_time: "10:30"\nstations:\n  - {{name: A, latitude: {station["latitude"]}, '
        f"longitude: {station['longitude']}}}\n"
    )
    words = ["--city", "Town", "--scenes", str(FORMATS / "scenes" / name), "--gsd", "10", "--root", str(tmp_path)]
    flags = case["flags"].split()
    if name == "band_files_without_metadata":
        assert main(["prepare", *words, *flags]) == 2
        error = capsys.readouterr().err
        for flag in ("--bands red=B04", "--full-scale"):
            assert flag.partition(" ")[0] in error
            flags += ["--bands", "red=B04,green=B03,blue=B02"] if "bands" in flag else ["--full-scale", "4000"]
            code = main(["prepare", *words, *flags])
            error = capsys.readouterr().err
        assert code == 0
    else:
        assert main(["prepare", *words, *flags]) == 0
    archive = open_archive(tmp_path / "data" / "Town")
    full_scale = float(flags[-1]) / 10_000 if "--full-scale" in flags else 0.4
    rows, columns = np.mgrid[150 - 32 : 150 + 32, 150 - 32 : 150 + 32]
    red, green = 0.05 + 0.2 * columns / 300, 0.05 + 0.2 * rows / 300
    right = 255 * np.stack([red, green, 0.05 + 0.1 * (columns + rows) / 300], axis=-1) / full_scale
    assert np.abs(archive.tiles(np.array([0]))[0] - right).max() <= 1
    if case["time_utc"]:
        assert archive.samples["time_utc"][0].floor("s") == pd.Timestamp(case["time_utc"], tz="UTC")
    if name not in ("band_files_without_metadata", "earth_engine_export"):
        corner = tmp_path / "corner"
        shutil.copytree(tmp_path / "data" / "cities", corner / "data" / "cities")
        text = (corner / "data" / "cities" / "Town.yaml").read_text()
        place = "latitude: 26.8505, longitude: 81.0026"  # near the upper left corner, where cloud lies
        before = f"latitude: {station['latitude']}, longitude: {station['longitude']}"
        (corner / "data" / "cities" / "Town.yaml").write_text(text.replace(before, place))
        tiny = ["--min-valid-fraction", "0.3", "--tile-size", "32"]
        assert main(["prepare", *words[:-1], str(corner), *flags, *tiny]) == 0
        assert open_archive(corner / "data" / "Town").samples["cloud_fraction"][0] > 0.2


def test_every_product_is_recognised_by_one_description_alone(tmp_path: Path) -> None:
    """Rasters of all deliveries against all descriptions: at most one fits, and that is the right one."""
    products = shipped_products()
    for name, write in DELIVERIES.items():
        folder = tmp_path / name.replace(" ", "_").replace(",", "")
        delivered = write(folder)
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        rasters = [path for path in files if path.suffix.lower() in (".tif", ".tiff", ".jp2")]
        others = [path for path in files if path not in rasters]
        fitting = {key for key, product in products.items() if named_scenes([product], rasters, others)}
        if name.startswith("stac") or delivered.product in ("band-files", "geotiff"):
            assert fitting == set(), name
            continue
        # Earth Engine's names are the same at both levels: the more special one, which is asked first, looks inside
        looked_into = any(images.described for images in products[delivered.product].images)
        general = {delivered.product.removesuffix("-sr")} if looked_into else set()
        assert {delivered.product} <= fitting <= {delivered.product} | general, name


OWN = r"""
name: gaofen-1
title: Gaofen-1 wide field of view, surface reflectance of our institute
documentation: https://example.org/gf1
level: surface
scene: 'GF1_WFV\d_E[\d.]+_N[\d.]+_(?P<time>\d{8})_L1A\d+'
images:
  - {file: '{scene}_SR\.tiff?', orders: [[blue, green, red, nir]], dtype: int16}
reflectance: {gain: 0.001, offset: -0.05}
masks:
  - {file: '{scene}_mask\.tif', empty: [{values: [255]}], cloud: [{values: [1, 2]}]}
time: {name: '%Y%m%d'}
"""


def test_a_product_of_the_users_own(tmp_path: Path) -> None:
    make_root(tmp_path)
    colours = ("blue", "green", "red", "nir")
    image = np.stack([np.rint((REFLECTANCE[colour] + 0.05) / 0.001).astype(np.int16) for colour in colours])
    raster(tmp_path / "scenes" / "GF1_WFV3_E77.2_N28.6_20240102_L1A0001_SR.tiff", image, nodata=-9999)
    raster(tmp_path / "scenes" / "GF1_WFV3_E77.2_N28.6_20240102_L1A0001_mask.tif", 2 * CLOUD.astype(np.uint8))
    own = tmp_path / "gaofen.yaml"
    own.write_text(OWN)
    assert len(OWN.strip().splitlines()) < 25
    prepare(config(tmp_path, product=str(own), workers=2))
    check(tmp_path, Delivered("gaofen-1", DAY, True, "own"))


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("level: surface", "level: low", "level: found 'low'"),
        ("scene: 'GF1", "scene: '(GF1", "no pattern"),
        ("orders: [[blue, green, red, nir]]", "order: [[blue]]", "images[0].order: unknown key"),
        ("orders: [[blue, green, red, nir]], ", "", "images: expected bands or orders"),
        ("gain: 0.001", "gain: much", "reflectance.gain: found 'much', expected a number"),
        ("{gain: 0.001, offset: -0.05}", "{offset: -0.05}", "reflectance: expected gain"),
        ("values: [1, 2]", "values: [1, x]", "masks[0].cloud[0].values[1]: found 'x'"),
        ("cloud: [{values: [1, 2]}]", "kind: fog", "masks.kind: found 'fog'"),
        ("{values: [255]}", "{values: [255], bits: [1]}", "values or bits"),
        ("{gain: 0.001, offset: -0.05}", "{gain: 1, needs: '{x}'}", "reflectance.needs: found {x}"),
        ("'{scene}_mask", "'.*_mask", "expected {scene} in it"),
        ("'%Y%m%d'", "'%Q'", "time.name: found '%Q'"),
        ("name: gaofen-1\n", "", "name: missing"),
        ("name: gaofen-1", "name: [", "not readable as YAML"),
        ("reflectance: {gain: 0.001, offset: -0.05}", "reflectance: {by: magic}", "reflectance.by: found 'magic'"),
    ],
)
def test_a_wrong_description_is_refused_by_key(tmp_path: Path, before: str, after: str, expected: str) -> None:
    own = tmp_path / "own.yaml"
    assert before in OWN
    own.write_text(OWN.replace(before, after))
    scenes = tmp_path / "scenes"
    DELIVERIES["geotiff"](scenes)
    message = refusal(scenes, product=str(own))
    assert message.startswith(f"{own}: ")
    assert expected in message


def item_of(folder: Path) -> tuple[Path, dict]:
    (path,) = folder.rglob("*.json")
    return path, json.loads(path.read_text())


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda item: item["properties"].update(datetime="soon"), "properties.datetime is 'soon'"),
        (lambda item: item["assets"]["red"]["raster:bands"][0].update(scale=0), "the scale of asset red is 0"),
        (lambda item: item["assets"]["red"]["raster:bands"][0].update(offset="x"), "the offset of asset red is 'x'"),
    ],
)
def test_an_item_that_cannot_be_is_refused(tmp_path: Path, change, expected: str) -> None:
    stac("collection-1")(tmp_path)
    path, item = item_of(tmp_path)
    change(item)
    path.write_text(json.dumps(item))
    assert expected in refusal(tmp_path)


def test_a_band_that_is_not_there_is_named(tmp_path: Path) -> None:
    stac("collection-1")(tmp_path)
    (tmp_path / "S2A_T43RGM_20240102T052226_L2A" / "T43RGM_20240102T052226_B03_10m.tif").unlink()
    message = refusal(tmp_path)
    assert "'green'" in message
    assert "(red)" in message


def test_sentinel_without_scale_or_baseline_is_refused(tmp_path: Path) -> None:
    stac("planetary-computer")(tmp_path)
    path, item = item_of(tmp_path)
    del item["properties"]["s2:processing_baseline"]
    path.write_text(json.dumps(item))
    assert "s2:processing_baseline" in refusal(tmp_path)
    item["properties"]["s2:processing_baseline"] = "03.00"
    path.write_text(json.dumps(item))
    (scene,) = find_scenes(tmp_path, SceneSettings(), CITY).scenes
    assert [(band.gain, band.offset) for band in scene.bands] == [(1e-4, 0.0)] * 3


def test_an_unknown_collection_needs_its_roles_or_the_full_scale(tmp_path: Path) -> None:
    stac("collection-1")(tmp_path)
    path, item = item_of(tmp_path)
    item["collection"] = "our-own"
    path.write_text(json.dumps(item))
    assert "--full-scale" in refusal(tmp_path)
    for asset in item["assets"].values():
        asset["roles"] = ["data", "reflectance"] if "raster:bands" in asset else ["visual"]
    path.write_text(json.dumps(item))
    (scene,) = find_scenes(tmp_path, SceneSettings(), CITY).scenes
    assert (scene.product, scene.full_scale) == ("stac-item", 0.4)


def test_the_only_time_of_one_scene_can_be_given(tmp_path: Path) -> None:
    DELIVERIES["band files"](tmp_path)
    (tmp_path / "S2A_43RGM_20240102").rename(tmp_path / "scene")
    flags = {"bands": ("red=B04", "green=B03", "blue=B02"), "full_scale": 4000.0}
    assert "--time for a single scene" in refusal(tmp_path, **flags)
    scenes = find_scenes(tmp_path, SceneSettings(**flags, time="2024-01-02T10:42:21+05:30"), CITY).scenes
    assert [f"{scene.time_utc:%Y-%m-%dT%H:%M:%S}" for scene in scenes] == ["2024-01-02T05:12:21"]
    assert "--time: found 'noon'" in refusal(tmp_path, **flags, time="noon")
    shutil.copytree(tmp_path / "scene", tmp_path / "other")
    assert "found 2 scenes" in refusal(tmp_path, **flags, time="2024-01-02")


def test_landsat_without_its_metadata_and_with_a_wrong_sun(tmp_path: Path) -> None:
    landsat(1, "json")(tmp_path)
    (path,) = tmp_path.rglob("*_MTL.json")
    text = path.read_text()
    for sun in ("-5", "0", "noon"):
        path.write_text(text.replace('"35.0"', f'"{sun}"'))
        assert "SUN_ELEVATION is" in refusal(tmp_path)
    path.write_text(text.replace("REFLECTANCE_MULT_BAND_3", "X"))
    assert "REFLECTANCE_MULT_BAND_3" in refusal(tmp_path)
    path.unlink()
    message = refusal(tmp_path)
    assert "_MTL.json" in message
    assert "--full-scale" in message


def test_levels_in_one_folder_are_refused_by_name(tmp_path: Path) -> None:
    landsat(1, "json")(tmp_path)
    landsat(2, "json")(tmp_path)
    assert "landsat-c2-l1 (1), landsat-c2-l2 (1)" in refusal(tmp_path)


def test_inspect_says_how_scenes_are_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_root(tmp_path)
    DELIVERIES["stac earth-search"](tmp_path / "scenes")
    words = ["inspect", "--city", "Delhi", "--root", str(tmp_path), "--scenes", str(tmp_path / "scenes")]
    table = tmp_path / "scenes.csv"
    assert main([*words, "--table", str(table)]) == 0
    said = capsys.readouterr().out
    assert "sentinel2-l2a" in said
    assert "surface reflectance: its atmospheric correction" in said
    assert "red (B04.tif), green (B03.tif), blue (B02.tif)" in said
    row = pd.read_csv(table).iloc[0]
    assert (row["time_utc"], row["level"], row["mask"]) == ("2024-01-02T05:22:26Z", "surface", "scl")
    low, middle, high = np.percentile(REFLECTANCE["red"], (2, 50, 98))
    assert row[["red_p2", "red_p50", "red_p98"]].tolist() == pytest.approx([low, middle, high], abs=0.01)
    box = load_city("Delhi", tmp_path).bounding_box
    metres = (box.north - box.south) * 111_000 * (box.east - box.west) * 111_000 * np.cos(np.radians(28.63))
    assert row["covered"] == pytest.approx((120 * GSD) ** 2 / metres, rel=0.1)
    assert row["cloudy"] == pytest.approx(CLOUD.mean(), abs=0.005)
    assert main([*words, "--table", str(table)]) == 2
    assert not (tmp_path / "data" / "Delhi").exists()


def test_inspect_warns_where_an_offset_seems_to_be_applied_twice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Earth Search has items that say it was not applied, and files to which it was."""
    make_root(tmp_path)
    stac("earth-search")(tmp_path / "scenes")
    words = ["inspect", "--city", "Delhi", "--root", str(tmp_path), "--scenes", str(tmp_path / "scenes")]
    assert main(words) == 0
    assert "below 0" not in capsys.readouterr().out
    path, item = item_of(tmp_path / "scenes")
    item["properties"]["earthsearch:boa_offset_applied"] = False
    path.write_text(json.dumps(item))
    assert main(words) == 0
    assert "warning: values below 0 at the darkest in 1 of 1" in capsys.readouterr().out


def test_inspect_names_a_full_scale_where_none_is_known(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_root(tmp_path)
    DELIVERIES["geotiff"](tmp_path / "scenes")
    assert main(["inspect", "--city", "Delhi", "--root", str(tmp_path), "--scenes", str(tmp_path / "scenes")]) == 0
    said = capsys.readouterr().out
    assert "expected --full-scale" in said
    assert "nearly all values here are below 2500" in said
