"""`pm25 prepare --scenes` as a whole: scenes and readings in, an archive out, again and again."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import rasterio
from rasterio.enums import Resampling
from rasterio.warp import reproject, transform, transform_bounds

from model_utils.archive.reader import open_archive
from model_utils.cli.main import main
from model_utils.ingest.config import PrepareConfig
from model_utils.ingest.prepare import prepare
from model_utils.ingest.scenes import spool

REAL = Path(__file__).resolve().parents[2] / "shared" / "real"
ZONE, GSD, TILE, SIZE = "EPSG:32643", 10.0, 16, 120
LEFT, TOP = 716_000.0, 3_170_000.0  # in Delhi, on the lattice
CITY = """\
name: Delhi
bounding_box: {south: 28.61, west: 77.19, north: 28.65, east: 77.24}
time_zone: Asia/Kolkata
overpass_local_time: "10:30"
stations:
"""


def centre(column: float, row: float) -> tuple[float, float]:
    """Latitude and longitude of a pixel corner of the test scenes."""
    (longitude,), (latitude,) = transform(ZONE, "EPSG:4326", [LEFT + column * GSD], [TOP - row * GSD])
    return latitude, longitude


STATIONS = {"Alpha": (30, 40), "Beta": (70, 60), "Gamma": (100, 100)}  # column, row


def make_root(root: Path) -> Path:
    folder = root / "data" / "cities"
    folder.mkdir(parents=True)
    lines = [
        f"  - {{name: {name}, latitude: {place[0]:.8f}, longitude: {place[1]:.8f}}}"
        for name, place in ((name, centre(*at)) for name, at in STATIONS.items())
    ]
    (folder / "Delhi.yaml").write_text(CITY + "\n".join(lines) + "\n")
    (root / "scenes").mkdir()
    return root


def pixels(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, 255, (3, SIZE, SIZE), dtype=np.uint8)


def write_scene(root: Path, name: str, values: np.ndarray, **profile: Any) -> Path:
    path = root / "scenes" / f"{name}.tif"
    settings = {
        "driver": "GTiff",
        "count": 3,
        "height": SIZE,
        "width": SIZE,
        "dtype": values.dtype,
        "crs": ZONE,
        "transform": rasterio.Affine(GSD, 0, LEFT, 0, -GSD, TOP),
        "photometric": "RGB",
        **profile,
    }
    with rasterio.open(path, "w", **settings) as file:
        file.write(values)
    return path


def scene_name(day: int) -> str:
    return f"scene_201901{day:02d}T051200"


def config(root: Path, **changes: Any) -> PrepareConfig:
    settings = {"scenes": root / "scenes", "gsd": GSD, "tile_size": TILE, "workers": 1, "root": root, **changes}
    return PrepareConfig(city="Delhi", **settings)


def last_line(capsys: pytest.CaptureFixture[str]) -> str:
    """The error; progress may stand before it, and nothing else."""
    *before, error = capsys.readouterr().err.splitlines()
    assert all(line.startswith("scenes: ") for line in before)
    return error


def run(root: Path, *flags: str) -> int:
    words = ["--city", "Delhi", "--scenes", str(root / "scenes"), "--gsd", "10", "--tile-size", str(TILE)]
    return main(["prepare", *words, "--workers", "1", "--root", str(root), *flags])


def contents(root: Path) -> dict[str, Any]:
    folder = root / "data" / "Delhi"
    metadata = json.loads((folder / "archive.json").read_text().replace(str(root), "ROOT"))
    for source in metadata["sources"]:
        source.pop("changed_ns", None)
    return {
        "images": (folder / "images.npy").read_bytes(),
        "samples": pd.read_parquet(folder / "samples.parquet").to_csv(),
        "metadata": metadata,
    }


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A city of three stations and four scenes."""
    make_root(tmp_path)
    for day in (1, 2, 3, 4):
        write_scene(tmp_path, scene_name(day), pixels(day))
    return tmp_path


def test_a_station_tile_is_the_window_around_the_station(root: Path) -> None:
    prepare(config(root))
    archive = open_archive(root / "data" / "Delhi")
    assert len(archive) == 12
    for number, row in archive.samples.iterrows():
        column, line = STATIONS[row["site_id"]]
        day = row["local_date"].day
        half = TILE // 2
        expected = pixels(day)[:, line - half : line + half, column - half : column + half].transpose(1, 2, 0)
        np.testing.assert_array_equal(archive.tiles(np.array([number]))[0], expected)
        assert row["time_utc"] == pd.Timestamp(datetime(2019, 1, day, 5, 12, tzinfo=UTC))
        assert row["valid_fraction"] == 1
        assert np.isnan(row["cloud_fraction"])


def test_a_second_run_does_nothing_and_an_archive_that_grew_equals_one_made_at_once(root: Path, tmp_path, capsys):
    settings = {"grid_metres": 300.0}
    later = {day: root / "scenes" / f"{scene_name(day)}.tif" for day in (2, 4)}
    for path in later.values():
        path.rename(root / path.name)
    prepare(config(root, **settings))
    first = open_archive(root / "data" / "Delhi")
    before, tiles_before = first.samples, first.tiles()
    stamp = (root / "data" / "Delhi" / "images.npy").stat()
    capsys.readouterr()
    prepare(config(root, **settings))
    assert "nothing to do" in capsys.readouterr().out
    assert (root / "data" / "Delhi" / "images.npy").stat() == stamp

    for day in (4, 2):  # one behind the others, then one between them
        (root / later[day].name).rename(later[day])
        prepare(config(root, **settings))
        assert "1 scenes were cut" in capsys.readouterr().out
    grown = contents(root)
    archive = open_archive(root / "data" / "Delhi")
    old = archive.samples["scene_id"].isin(before["scene_id"]).to_numpy()
    pd.testing.assert_frame_equal(archive.samples[old].reset_index(drop=True), before)
    np.testing.assert_array_equal(archive.tiles()[old], tiles_before)

    prepare(config(root, overwrite=True, **settings))
    at_once = contents(root)
    for name in ("images", "samples"):
        assert at_once[name] == grown[name]
    assert at_once["metadata"] == grown["metadata"]


def test_two_workers_give_what_one_gives(root: Path) -> None:
    prepare(config(root, grid_metres=300.0))
    one = contents(root)
    prepare(config(root, grid_metres=300.0, workers=2, overwrite=True))
    assert contents(root) == one
    assert not list((root / "data" / "Delhi").glob(".spool*"))


def test_only_the_new_scene_is_cut(root: Path, monkeypatch) -> None:
    prepare(config(root))
    cut = []
    real = spool.cut_scene
    monkeypatch.setattr(spool, "cut_scene", lambda scene, *rest: cut.append(scene.scene_id) or real(scene, *rest))
    write_scene(root, scene_name(5), pixels(5))
    prepare(config(root))
    assert cut == [scene_name(5)]
    assert open_archive(root / "data" / "Delhi").samples["scene_id"].nunique() == 5


def test_copies_under_other_dates_are_taken_once(root: Path, capsys) -> None:
    shutil.copy(root / "scenes" / f"{scene_name(1)}.tif", root / "scenes" / f"{scene_name(7)}.tif")
    write_scene(root, scene_name(8), pixels(2), compress="deflate", tiled=True, blockxsize=64, blockysize=64)
    prepare(config(root))
    out = capsys.readouterr().out
    assert f"{scene_name(7)} (2019-01-07) is byte for byte {scene_name(1)} (2019-01-01)" in out
    assert f"{scene_name(8)} (2019-01-08) shows the same pixels as {scene_name(2)} (2019-01-02)" in out
    samples = open_archive(root / "data" / "Delhi").samples
    assert sorted(samples["local_date"].dt.day.unique()) == [1, 2, 3, 4]
    prepare(config(root))
    assert "nothing to do" in capsys.readouterr().out


def test_equal_plain_tiles_are_no_copies(tmp_path: Path) -> None:
    make_root(tmp_path)
    for day in (1, 2):
        write_scene(
            tmp_path,
            scene_name(day),
            np.full((3, SIZE, SIZE), 90, np.uint8) + np.uint8(0),
            tiled=day == 2,
            blockxsize=64,
            blockysize=64,
        )
    prepare(config(tmp_path))
    assert open_archive(tmp_path / "data" / "Delhi").samples["local_date"].nunique() == 2


def test_other_settings_a_changed_scene_or_a_foreign_archive_are_refused(root: Path, capsys) -> None:
    prepare(config(root))
    whole = contents(root)
    for flags, words in (
        (["--grid-metres", "300"], "its scenes were cut with grid_metres 0.0, found 300.0; --overwrite"),
        (["--min-valid-fraction", "0.5"], "min_valid_fraction"),
    ):
        capsys.readouterr()
        assert run(root, *flags) == 2
        assert words in last_line(capsys)
    write_scene(root, scene_name(3), pixels(33))
    assert run(root) == 2
    assert f"scene {scene_name(3)} is not the one that is in the archive" in capsys.readouterr().err
    assert contents(root) == whole
    metadata = root / "data" / "Delhi" / "archive.json"
    metadata.write_text(metadata.read_text().replace('"pm25 prepare --scenes"', '"pm25 simulate"', 1))
    assert run(root) == 2
    assert "made by pm25 simulate; --overwrite replaces it" in capsys.readouterr().err


def test_a_broken_scene_stops_the_run_or_is_named_and_left_out(root: Path, capsys) -> None:
    path = root / "scenes" / f"{scene_name(3)}.tif"
    whole = path.read_bytes()
    path.write_bytes(whole[:20_000])  # the header is whole, the pixels are not
    assert run(root) == 2
    assert path.name in last_line(capsys)
    assert not (root / "data" / "Delhi" / "archive.json").exists()
    assert run(root, "--skip-broken") == 0
    assert f"scene {scene_name(3)} was left out" in capsys.readouterr().out
    assert open_archive(root / "data" / "Delhi").samples["local_date"].dt.day.unique().tolist() == [1, 2, 4]
    path.write_bytes(path.read_bytes()[:100])  # not even the header is whole
    assert run(root, "--overwrite") == 2
    assert path.name in last_line(capsys)
    assert run(root, "--overwrite", "--skip-broken") == 0
    assert f"warning: a scene was left out: {path}" in capsys.readouterr().out
    (root / "scenes" / f"{scene_name(9)}.tif").write_bytes(whole[:20_000])
    assert run(root, "--skip-broken") == 0
    path.unlink()
    assert run(root, "--skip-broken") == 0
    capsys.readouterr()
    assert run(root, "--skip-broken") == 0
    assert "nothing to do" in capsys.readouterr().out  # what is broken is known
    (root / "scenes" / f"{scene_name(9)}.tif").unlink()
    write_scene(root, scene_name(9), pixels(9))
    write_scene(root, scene_name(3), pixels(3))
    assert run(root, "--skip-broken") == 0  # mended since
    assert open_archive(root / "data" / "Delhi").samples["local_date"].dt.day.unique().tolist() == [1, 2, 3, 4, 9]


def test_no_scene_in_the_city_is_one_line(root: Path, capsys) -> None:
    for path in (root / "scenes").iterdir():
        path.unlink()
    write_scene(root, scene_name(1), pixels(1), transform=rasterio.Affine(GSD, 0, LEFT + 1e6, 0, -GSD, TOP))
    assert run(root) == 2
    assert "none of 1 scenes gave a tile: 3 outside of the scene" in last_line(capsys)


def hourly(days: int = 4) -> pd.DataFrame:
    """A plain long table: hour h of day d at a station is 100 d + h, in India's time."""
    rows = [
        (name, f"2019-01-{day:02d}T{hour:02d}:00:00+05:30", 100 * day + hour + number / 10)
        for number, name in enumerate(STATIONS)
        for day in range(1, days + 1)
        for hour in range(24)
    ]
    return pd.DataFrame(rows, columns=["station", "time", "value"])


def test_readings_label_the_station_tiles_by_day_or_around_the_overpass(root: Path, capsys) -> None:
    table = hourly()
    table.loc[table["time"].str.startswith("2019-01-02") & (table["station"] == "Beta"), "value"] = -999
    table.to_csv(root / "readings.csv", index=False)
    prepare(config(root, readings=root / "readings.csv", grid_metres=300.0))
    samples = open_archive(root / "data" / "Delhi").samples
    stations = samples[samples["site_kind"] == "station"]
    for number, name in enumerate(STATIONS):
        rows = stations[stations["site_id"] == name].set_index(
            stations["local_date"].dt.day[stations["site_id"] == name]
        )
        for day in (1, 2, 3, 4):
            if (name, day) == ("Beta", 2):
                assert np.isnan(rows.loc[day, "pm25"])
                assert rows.loc[day, "quality"].split("|") == ["missing_code", "too_few_hours"]
                assert rows.loc[day, "flag_missing_code"]
            else:
                assert rows.loc[day, "pm25"] == pytest.approx(100 * day + 11.5 + number / 10, abs=1e-3)
                assert rows.loc[day, "quality"] == ""
    assert samples.loc[samples["site_kind"] == "grid", "pm25"].isna().all()
    out = capsys.readouterr().out
    assert "missing_code 24" in out
    assert "11 of 12 station tiles have a PM2.5 reading" in out
    days = pd.read_parquet(root / "data" / "Delhi" / "readings.parquet")
    assert len(days) == 12

    # 05:12 UTC is 10:42 in Delhi: the middles of hours 9 (9:30), 10 and 11 (11:30) lie within 1.2 hours of it
    prepare(config(root, readings=root / "readings.csv", window_hours=1.25, grid_metres=300.0))
    samples = open_archive(root / "data" / "Delhi").samples
    labelled = samples[samples["pm25"].notna()]
    assert len(labelled) == 11
    expected = (
        100 * labelled["local_date"].dt.day + 10 + labelled["site_id"].map({"Alpha": 0, "Beta": 0.1, "Gamma": 0.2})
    )
    np.testing.assert_allclose(labelled["pm25"], expected, atol=1e-3)


def test_new_readings_relabel_the_archive_without_cutting_a_scene(root: Path, capsys) -> None:
    hourly(2).to_csv(root / "readings.csv", index=False)
    prepare(config(root, readings=root / "readings.csv"))
    images = (root / "data" / "Delhi" / "images.npy").read_bytes()
    assert open_archive(root / "data" / "Delhi").samples["pm25"].notna().sum() == 6
    capsys.readouterr()
    hourly(4).to_csv(root / "readings.csv", index=False)
    prepare(config(root, readings=root / "readings.csv", workers=None))
    assert "0 scenes were cut, 4 were there already" in capsys.readouterr().out
    assert open_archive(root / "data" / "Delhi").samples["pm25"].notna().sum() == 12
    assert (root / "data" / "Delhi" / "images.npy").read_bytes() == images


def test_the_same_folder_by_another_name_is_the_same(root: Path, capsys) -> None:
    hourly(2).to_csv(root / "readings.csv", index=False)
    prepare(config(root, readings=root / "readings.csv"))
    (root / "readings.csv").rename(root / "other.csv")
    capsys.readouterr()
    prepare(config(root, scenes=root / "scenes" / ".." / "scenes", readings=root / "other.csv"))
    assert "nothing to do" in capsys.readouterr().out
    (root / "scenes" / f"{scene_name(1)}.tif").unlink()
    write_scene(root, scene_name(5), pixels(5))
    prepare(config(root, readings=root / "other.csv"))
    out = capsys.readouterr().out
    assert "1 of the archive's scenes are no longer in" in out
    metadata = open_archive(root / "data" / "Delhi").metadata
    assert sorted(item["scene"] for item in metadata.sources if item["role"] == "scene") == [
        scene_name(day) for day in (1, 2, 3, 4, 5)
    ]
    prepare(config(root, readings=root / "other.csv", overwrite=True))
    assert f"warning: 1 scenes of the replaced archive are not in {root / 'scenes'}" in capsys.readouterr().out


def test_files_beside_the_archive_are_those_of_its_readings(root: Path, capsys) -> None:
    folder = root / "data" / "Delhi"
    hourly(2).to_csv(root / "readings.csv", index=False)
    prepare(config(root, readings=root / "readings.csv"))
    (folder / "readings.parquet").unlink()  # as if killed behind the commit
    prepare(config(root, readings=root / "readings.csv"))
    assert (folder / "readings.parquet").exists()
    prepare(config(root))
    assert not (folder / "readings.parquet").exists()
    assert not (folder / "weather_findings.csv").exists()


def test_scenes_of_another_product_and_moved_stations_are_refused(root: Path, capsys) -> None:
    prepare(config(root))
    for path in (root / "scenes").iterdir():
        path.unlink()
    write_scene(root, "20190109_051200_1044_3B_Visual", pixels(9))
    assert run(root) == 2
    assert "product_found geotiff, found planetscope-visual" in last_line(capsys)
    (root / "stations.csv").write_text("station,latitude,longitude\nDelta,28.63,77.21\n")
    write_scene(root, scene_name(1), pixels(1))
    (root / "scenes" / "20190109_051200_1044_3B_Visual.tif").unlink()
    assert run(root, "--stations", str(root / "stations.csv")) == 2
    assert "'Alpha'" in last_line(capsys)


def test_stations_that_share_their_tile_are_named(root: Path, capsys) -> None:
    latitude, longitude = centre(30, 40)
    (root / "stations.csv").write_text(
        f"station,latitude,longitude\nOne,{latitude},{longitude}\nTwo,{latitude + 0.0002},{longitude}\n"
    )
    prepare(config(root, stations=root / "stations.csv"))
    assert "warning: stations One and Two lie within half a tile" in capsys.readouterr().out


def test_settings_that_would_do_nothing_are_refused(root: Path, capsys) -> None:
    for flags, words in (
        (["--drop-flags", "stuck"], "--drop_flags: is about --readings, which is missing"),
        (["--window-hours", "2"], "--window_hours: is about --readings or --meteorology"),
    ):
        assert run(root, *flags) == 2
        assert words in last_line(capsys)


def test_an_unknown_flag_to_drop_is_named(root: Path, capsys) -> None:
    hourly().to_csv(root / "readings.csv", index=False)
    assert run(root, "--readings", str(root / "readings.csv"), "--drop-flags", "stuk") == 2
    assert "--drop-flags: found 'stuk'" in capsys.readouterr().err


FORKING = """
import os, sys
import model_utils.ingest.scene_archive
from model_utils.cli.main import main
for _ in sys.stdin:
    child = os.fork()
    if not child:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os._exit(main(sys.argv[1:]))
    print(child, flush=True)
    print(os.waitpid(child, 0)[1], flush=True)
"""


def test_fifty_kills_leave_a_whole_archive_or_none(tmp_path: Path) -> None:
    """SIGKILL at random moments of runs that begin from nothing, and of runs that add to an archive."""
    make_root(tmp_path)
    for day in range(1, 9):
        write_scene(tmp_path, scene_name(day), pixels(day))
    held_back = tmp_path / "scenes" / f"{scene_name(8)}.tif"
    folder = tmp_path / "data" / "Delhi"
    settings = {"grid_metres": 50.0}
    prepare(config(tmp_path, **settings))
    whole = contents(tmp_path)
    held_back.rename(tmp_path / held_back.name)
    prepare(config(tmp_path, overwrite=True, **settings))
    without = contents(tmp_path)
    (tmp_path / held_back.name).rename(held_back)
    small = tmp_path / "small"
    folder.rename(small)

    words = ["prepare", "--city", "Delhi", "--scenes", str(tmp_path / "scenes"), "--gsd", "10"]
    words += ["--tile-size", str(TILE), "--grid-metres", "50", "--workers", "1", "--root", str(tmp_path)]
    with subprocess.Popen(  # imports once; each run is a process of its own
        [sys.executable, "-c", FORKING, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        bufsize=1,
    ) as server:
        assert server.stdin
        assert server.stdout

        def run(kill_after: float | None) -> int:
            """One run, perhaps killed after some seconds; its exit status."""
            print(file=server.stdin)
            child = int(server.stdout.readline())
            if kill_after is not None:
                time.sleep(kill_after)
                with contextlib.suppress(ProcessLookupError):  # it was done
                    os.kill(child, signal.SIGKILL)
            return int(server.stdout.readline())

        run(None)
        shutil.rmtree(folder)
        began = time.monotonic()
        assert run(None) == 0
        duration = time.monotonic() - began
        assert contents(tmp_path) == whole

        moments = random.Random(0)
        mid_write = killed = 0
        for turn in range(50):
            grows = turn % 2 == 1
            shutil.rmtree(folder, ignore_errors=True)
            if grows:
                shutil.copytree(small, folder)
            killed += run(moments.uniform(0, duration)) == signal.SIGKILL
            mid_write += bool(list(folder.glob(".*partial"))) if folder.exists() else 0
            if (folder / "archive.json").exists():
                found = contents(tmp_path)
                assert found == whole or (grows and found == without)
                open_archive(folder)
            if turn % 5 == 4:
                assert run(None) == 0  # the next run completes it
                assert contents(tmp_path) == whole
                assert not list(folder.glob(".spool*"))
                assert not list(folder.glob(".*partial"))
    assert killed >= 25
    assert mid_write >= 5  # kills that came while files were being written


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
