"""Scenes of a city from a catalogue on loopback: searched, sorted out by cloud over the city, cut, and prepared."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from fetch_granules import reflectance, write_granule
from fetch_scene_server import World, faults_at, serving
from rasterio.warp import transform, transform_bounds

from model_utils.archive.reader import open_archive
from model_utils.cli.main import main
from model_utils.errors import IncompleteError
from model_utils.fetching.config import FetchScenesConfig
from model_utils.fetching.scenes import search
from model_utils.fetching.scenes import window as window_module
from model_utils.fetching.scenes.fetch import fetch_scenes
from model_utils.fetching.scenes.writing import is_whole
from model_utils.ingest.config import PrepareConfig
from model_utils.ingest.prepare import prepare

# a town across the border of UTM zones 43 and 44, at 78 degrees east
BOX = {"south": 28.60, "west": 77.98, "north": 28.63, "east": 78.02}
PLACE = (28.615, 77.992)


@pytest.fixture(autouse=True)
def _quick_and_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries without waiting, and no proxy."""
    quick = {"GDAL_HTTP_RETRY_DELAY": "0.01", "GDAL_HTTP_LOW_SPEED_TIME": "1", "GDAL_HTTP_CONNECTTIMEOUT": "5"}
    monkeypatch.setattr(window_module, "REMOTE", {**window_module.REMOTE, **quick})
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    cities = tmp_path / "root" / "data" / "cities"
    cities.mkdir(parents=True)
    box = ", ".join(f"{name}: {value}" for name, value in BOX.items())
    (cities / "Town.yaml").write_text(
        f"name: Town\nbounding_box: {{{box}}}\ntime_zone: Asia/Kolkata\noverpass_local_time: '10:30'\n"
        f"stations:\n  - {{name: A, latitude: {PLACE[0]}, longitude: {PLACE[1]}}}\n"
    )
    return tmp_path / "root"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "server")


@pytest.fixture
def endpoint(world: World) -> Iterator[str]:
    with serving(world) as address:
        yield address


def config(root: Path, endpoint: str, **more: Any) -> FetchScenesConfig:
    days = {"from_": "2024-01-01", "to": "2024-01-31"}
    return FetchScenesConfig(city="Town", endpoint=endpoint, root=root, **{**days, **more})


def scenes(root: Path) -> dict[str, bytes]:
    """All files of the scenes, by name."""
    folder = root / "downloads" / "Town" / "scenes"
    found = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def both_zones(world: World, day: int, **more: Any) -> None:
    """An overpass of two granules, in either zone."""
    write_granule(world, f"S2A_T43RGM_202401{day:02d}", f"2024-01-{day:02d}T05:22:26.000Z", 43, **more)
    write_granule(world, f"S2A_T44RKS_202401{day:02d}", f"2024-01-{day:02d}T05:22:31.000Z", 44, **more)


def test_two_granules_of_an_overpass_become_one_scene_that_prepare_reads(
    root: Path, world: World, endpoint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    both_zones(world, 2)
    fetch_scenes(config(root, endpoint))
    said = capsys.readouterr().out
    assert "2024-01-02  100% of the city,   0% cloud" in said
    assert "next: pm25 prepare --city Town" in said
    (name,) = {path.partition("/")[0] for path in scenes(root)}
    assert name == "sentinel2-l2a_20240102T052226Z"
    prepare(
        PrepareConfig(
            city="Town", scenes=root / "downloads/Town/scenes", gsd=10.0, tile_size=32, root=root, workers=1,
            grid_metres=500,
        )
    )  # fmt: skip
    archive = open_archive(root / "data" / "Town")
    assert archive.metadata.created_by["product_found"] == "sentinel2-l2a"
    assert archive.metadata.attribution == "Contains modified Copernicus Sentinel data 2024"
    assert "Sentinel_Data_Legal_Notice" in archive.metadata.licence
    assert {f"{time:%Y-%m-%dT%H:%M:%S}" for time in archive.samples["time_utc"]} == {"2024-01-02T05:22:26"}
    assert archive.samples["cloud_fraction"].max() == 0
    assert len(archive) > 40
    places = archive.samples[["longitude", "latitude"]].to_numpy(float)
    assert places[:, 0].min() < 77.99 < 78.01 < places[:, 0].max()  # on both sides of the border
    middle = archive.tiles()[:, 15:17, 15:17].mean(axis=(1, 2))
    for band, colour in enumerate(("red", "green", "blue")):
        right = 255 * reflectance(colour, places[:, 0], places[:, 1]) / 0.4
        assert np.abs(middle[:, band] - right).max() <= 1


def test_pixels_of_the_citys_own_zone_are_those_of_the_granule(root: Path, world: World, endpoint: str) -> None:
    write_granule(world, "S2A_T44RKS", "2024-01-02T05:22:31.000Z", 44, seed=7)
    write_granule(world, "S2A_T43RGM", "2024-01-02T05:22:26.000Z", 43, seed=8)
    fetch_scenes(config(root, endpoint))
    (path,) = root.rglob("bands.tif")
    with rasterio.open(path) as fetched, rasterio.open(world.folder / "S2A_T44RKS" / "B04.tif") as granule:
        assert fetched.crs == granule.crs == "EPSG:32644"
        assert fetched.descriptions == ("red", "green", "blue")
        assert fetched.profile["tiled"]
        left = (fetched.transform.c - granule.transform.c) / 10
        top = (granule.transform.f - fetched.transform.f) / 10
        assert (left, top) == (round(left), round(top))
        window = rasterio.windows.Window(round(left), round(top), fetched.width, fetched.height)
        own, numbers = granule.read(1, window=window), fetched.read(1)
    # where the granule of the other zone, which was taken first, shows nothing
    assert own[:, -50:].all()
    assert np.array_equal(own[:, -50:], numbers[:, -50:])


def test_days_are_sorted_out_by_cloud_over_the_city(
    root: Path, world: World, endpoint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for day, cloud in ((2, 0.0), (7, 1.0), (12, 0.5), (17, 0.45), (22, 0.0)):
        both_zones(world, day, cloud=cloud)
    fetch_scenes(config(root, endpoint, dry_run=True))
    said = capsys.readouterr().out
    assert [line.split()[0] for line in said.splitlines() if line.startswith("  2024")] == ["2024-01-02", "2024-01-22"]
    assert not scenes(root)
    assert not any("B04" in path for path in world.sent)
    fetch_scenes(config(root, endpoint, max_cloud=0.6, limit=3))
    assert len({path.partition("/")[0] for path in scenes(root)}) == 3
    (item,) = root.rglob("*20240117*/item.json")
    assert 20 < json.loads(item.read_text())["properties"]["eo:cloud_cover"] < 60


def test_a_second_run_fetches_only_what_is_missing(
    root: Path, world: World, endpoint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    both_zones(world, 2)
    fetch_scenes(config(root, endpoint))
    first = scenes(root)
    both_zones(world, 7)
    world.forget()
    fetch_scenes(config(root, endpoint))
    assert "1 scenes are there already" in capsys.readouterr().out
    assert not any("20240102/B0" in path for path in world.sent)
    assert any("20240107/B0" in path for path in world.sent)
    assert {name: content for name, content in scenes(root).items() if name in first} == first
    (bands,) = root.rglob("*20240102*/bands.tif")
    content = bytearray(bands.read_bytes())
    content[len(content) // 2] ^= 1
    bands.write_bytes(content)
    fetch_scenes(config(root, endpoint))  # what is no longer what was fetched is fetched again
    assert {name: content for name, content in scenes(root).items() if name in first} == first


def test_an_item_without_an_asset_is_named_and_the_others_are_fetched(
    root: Path, world: World, endpoint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    both_zones(world, 2)
    both_zones(world, 7)
    del world.items[0]["assets"]["green"]
    del world.items[1]["assets"]["scl"]
    words = ["--city", "Town", "--root", str(root), "--from", "2024-01-01", "--to", "2024-01-31"]
    assert main(["fetch", "scenes", *words, "--endpoint", endpoint]) == 1
    said = capsys.readouterr().err
    assert "missing: S2A_T43RGM_20240102: its item has no green" in said
    assert "missing: S2A_T44RKS_20240102: its item has no scl" in said
    assert said.splitlines()[-1].startswith("pm25 fetch scenes: 2 images or days could not be had")
    assert {path.partition("/")[0] for path in scenes(root)} == {"sentinel2-l2a_20240107T052226Z"}


def test_nothing_found_is_said(root: Path, world: World, endpoint: str, capsys: pytest.CaptureFixture[str]) -> None:
    fetch_scenes(config(root, endpoint))
    assert "0 overpasses of Town" in capsys.readouterr().out


def test_an_offset_that_was_applied_is_not_applied_again(root: Path, world: World, endpoint: str) -> None:
    both_zones(world, 2, applied=True)
    fetch_scenes(config(root, endpoint))
    (path,) = root.rglob("item.json")
    assert {band["offset"] for band in json.loads(path.read_text())["assets"]["data"]["raster:bands"]} == {0.0}
    (bands,) = root.rglob("bands.tif")
    with rasterio.open(bands) as file:
        (longitude,), (latitude,) = transform(file.crs, "EPSG:4326", *[[value] for value in file.xy(50, 60)])
        assert file.read(1)[50, 60] == pytest.approx(10_000 * reflectance("red", longitude, latitude), abs=2)


def test_granules_with_and_without_the_offset_are_brought_together(root: Path, world: World, endpoint: str) -> None:
    write_granule(world, "S2A_T43RGM", "2024-01-02T05:22:26.000Z", 43, applied=True)
    write_granule(world, "S2A_T44RKS", "2024-01-02T05:22:31.000Z", 44)
    fetch_scenes(config(root, endpoint))
    (bands,) = root.rglob("bands.tif")
    with rasterio.open(bands) as file:
        numbers = file.read(1)
        rows, columns = np.mgrid[: file.height, : file.width]
        xs, ys = file.xy(rows.ravel(), columns.ravel())
        longitude, latitude = (np.array(values) for values in transform(file.crs, "EPSG:4326", xs, ys))
    right = 10_000 * reflectance("red", longitude, latitude).reshape(numbers.shape)
    assert np.abs(numbers - right).max() <= 2


@pytest.mark.parametrize(
    "kind", ["429", "cut", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("500", "503", "reset", "stall"))]
)
def test_faults_of_the_server_leave_what_an_undisturbed_run_leaves(
    tmp_path: Path, root: Path, world: World, endpoint: str, kind: str
) -> None:
    both_zones(world, 2)
    both_zones(world, 7)
    fetch_scenes(config(root, endpoint, out=tmp_path / "undisturbed"))
    requests = sum(world.asked.values())
    right = {path.relative_to(tmp_path / "undisturbed"): path.read_bytes() for path in files(tmp_path / "undisturbed")}
    for seed in range(2 if kind == "stall" else 5):
        world.fault = faults_at(random.Random(seed), (kind,), 4, requests)
        output = tmp_path / f"disturbed{seed}"
        for _ in range(2):
            try:
                fetch_scenes(config(root, endpoint, out=output))
                break
            except IncompleteError:
                world.fault = lambda path: ""
        world.fault = lambda path: ""
        assert {path.relative_to(output): path.read_bytes() for path in files(output)} == right


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))


CLIENT = """
import sys
from datetime import date
from pathlib import Path
from model_utils.fetching.config import FetchScenesConfig
from model_utils.fetching.scenes.fetch import fetch_scenes
root, endpoint, output = sys.argv[1:]
days = "2024-01-01", "2024-01-31"
fetch_scenes(FetchScenesConfig("Town", *days, endpoint=endpoint, root=Path(root), out=Path(output)))
"""


@pytest.mark.parametrize("turns", [2, pytest.param(48, marks=pytest.mark.slow)])
def test_a_killed_client_goes_on_where_it_was(
    tmp_path: Path, root: Path, world: World, endpoint: str, turns: int
) -> None:
    for day in (2, 7, 12):
        both_zones(world, day)
    output = tmp_path / "killed"
    command = [sys.executable, "-c", CLIENT, str(root), endpoint, str(output)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
    began = time.monotonic()
    subprocess.run(command, check=True, env=environment, capture_output=True)
    whole = time.monotonic() - began
    right = {path.name + path.parent.name: path.read_bytes() for path in files(output)}
    chance = random.Random(turns)
    for _ in range(turns):
        for path in files(output):
            if chance.random() < 0.5:
                path.unlink()
        child = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(whole * chance.uniform(0.3, 1.0))
        child.send_signal(signal.SIGKILL)
        child.wait()
        finished = {path.parent.name for path in files(output) if path.name == "item.json" and is_whole(path.parent)}
        world.forget()
        subprocess.run(command, check=True, env=environment, capture_output=True)
        assert {path.name + path.parent.name: path.read_bytes() for path in files(output)} == right
        for name in finished:
            day = name.partition("_")[2][:8]
            assert not any(f"{day}/B0" in path for path in world.sent)


@pytest.mark.slow
def test_a_city_of_thirty_kilometres_costs_a_seventh_of_a_granule(root: Path, world: World, endpoint: str) -> None:
    """A granule of Sentinel-2's own size, of noise, which compression makes no smaller than real ground."""
    item = write_granule(world, "S2A_T44RKS", "2024-01-02T05:22:31.000Z", 44)
    side, box = 10_980, 30_000
    city = root / "data" / "cities" / "Town.yaml"
    (east,), (north,) = transform("EPSG:4326", "EPSG:32644", [78.0], [28.615])
    left, top = round(east / 20) * 20 - side * 3, round(north / 20) * 20 + side * 4
    west, south, east_, north_ = transform_bounds(
        "EPSG:32644", "EPSG:4326", east - box / 2, north - box / 2, east + box / 2, north + box / 2
    )
    shown = f"bounding_box: {{south: {south}, west: {west}, north: {north_}, east: {east_}}}"
    city.write_text(re.sub(r"bounding_box: .*", shown, city.read_text()))
    item["bbox"] = list(transform_bounds("EPSG:32644", "EPSG:4326", left, top - 10 * side, left + 10 * side, top))
    generator = np.random.default_rng(0)
    for name, size, pixel, high, dtype in (("B04", side, 10, 4000, "uint16"), ("SCL", side // 2, 20, 8, "uint8")):
        profile = {
            "driver": "COG", "height": size, "width": size, "count": 1, "dtype": dtype, "crs": "EPSG:32644",
            "transform": rasterio.Affine(pixel, 0, left, 0, -pixel, top), "nodata": 0, "compress": "deflate",
            "blocksize": 1024 if name == "B04" else 512, "num_threads": 2,
        }  # fmt: skip
        with rasterio.open(world.folder / "S2A_T44RKS" / f"{name}.tif", "w", **profile) as file:
            file.write(generator.integers(1, high, (size, size)).astype(dtype), 1)
    fetch_scenes(config(root, endpoint, bands=("red",)))
    (path,) = root.rglob("bands.tif")
    with rasterio.open(path) as fetched:
        assert fetched.height * fetched.width > 3000**2
    files = [f"S2A_T44RKS/{name}.tif" for name in ("B04", "SCL")]
    sent = [world.sent[f"/files/{file}"] for file in files]
    sizes = [(world.folder / file).stat().st_size for file in files]
    print(f"{sum(sent) / sum(sizes):.1%} of the granule's bytes; band and mask: {sent} of {sizes}")
    assert sum(sent) < 0.15 * sum(sizes)


def test_a_catalogue_that_does_not_answer_is_named(root: Path, world: World, endpoint: str, monkeypatch) -> None:
    monkeypatch.setattr(search, "ATTEMPTS", 1)
    world.fault = lambda path: "500"
    with pytest.raises(IncompleteError, match=f"{endpoint}: no answer to a search of sentinel-2-c1-l2a"):
        fetch_scenes(config(root, endpoint))


def test_times_of_items_are_those_of_the_local_day(root: Path, world: World, endpoint: str) -> None:
    """05:22 UTC on 31 January is still January in Delhi; 20:00 UTC is not."""
    both_zones(world, 31)
    write_granule(world, "late", "2024-01-31T20:00:00.000Z", 44)
    fetch_scenes(config(root, endpoint))
    assert {path.partition("/")[0] for path in scenes(root)} == {"sentinel2-l2a_20240131T052226Z"}
