"""`pm25 prepare --scenes` as a whole: scenes and readings in, an archive out, again and again."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rasterio
from scene_city import (
    GSD,
    LEFT,
    SIZE,
    STATIONS,
    TILE,
    TOP,
    centre,
    config,
    contents,
    last_line,
    make_root,
    pixels,
    run,
    scene_name,
    write_scene,
)

from model_utils.archive.acceptance import accept_changes
from model_utils.archive.reader import open_archive
from model_utils.ingest.prepare import prepare
from model_utils.ingest.scene_archive import shards


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


def test_an_archive_that_grows_does_not_forget_that_it_was_changed_by_hand(root: Path) -> None:
    prepare(config(root))
    folder = root / "data" / "Delhi"
    first = open_archive(folder).metadata.content_sha256
    images = np.load(folder / "images.npy", mmap_mode="r+")
    images[0] = 255 - images[0]
    images.flush()
    changed = np.array(images[0])
    assert accept_changes(folder)
    for day in (5, 6):
        write_scene(root, scene_name(day), pixels(day))
        prepare(config(root))
        grown = open_archive(folder)
        assert grown.metadata.created_by["changed_by_hand"] == [first]
        np.testing.assert_array_equal(grown.tiles(np.array([0]))[0], changed)
    prepare(config(root, overwrite=True))  # cuts all again: nothing of it is left
    assert "changed_by_hand" not in open_archive(folder).metadata.created_by


def test_only_the_new_scene_is_cut(root: Path, monkeypatch) -> None:
    prepare(config(root))
    cut = []
    real = shards.cut_scene
    monkeypatch.setattr(shards, "cut_scene", lambda scene, *rest: cut.append(scene.scene_id) or real(scene, *rest))
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
        (["--drop-flags", "stuck"], "--drop-flags: is about --readings, which is missing"),
        (["--window-hours", "2"], "--window-hours: is about --readings or --meteorology"),
    ):
        assert run(root, *flags) == 2
        assert words in last_line(capsys)


def test_an_unknown_flag_to_drop_is_named(root: Path, capsys) -> None:
    hourly().to_csv(root / "readings.csv", index=False)
    assert run(root, "--readings", str(root / "readings.csv"), "--drop-flags", "stuk") == 2
    assert "--drop-flags: found 'stuk'" in capsys.readouterr().err
