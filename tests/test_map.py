"""`pm25 map` and `pm25 predict`, from a saved model to what they say of cells."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from map_town import DAYS, GSD, IN_ARCHIVE, SPACING, write_model

from model_utils.archive.reader import open_archive
from model_utils.cli.main import main
from model_utils.estimators.city_model import load_city_model
from model_utils.mapping.config import MapConfig
from model_utils.mapping.job import grid_spacing, map_job, opened
from model_utils.mapping.layers import REASON
from model_utils.mapping.points import predict_at
from model_utils.mapping.run import predict_map


def config(town: Path, **changes) -> MapConfig:
    fixed = {"city": "Town", "model": town / "model", "root": town, "keep_outside": True, "precision": "32-true"}
    return MapConfig(**{**fixed, **changes})


def test_a_grid_cell_has_what_the_model_says_of_its_tile(town):
    """From the archive's grid: the map is `FittedPlaceAndDay.predict` of the archive's own rows."""
    dataset = predict_map(config(town))
    job = map_job(config(town))
    archive = open_archive(town / "data" / "Town")
    loaded = load_city_model(town / "model")
    said = loaded.predict(archive)
    cells = pd.concat(job.blocks)
    assert (
        len(cells)
        == (archive.samples["site_id"].str.startswith("grid")).groupby(archive.samples["site_id"]).first().sum()
    )
    found = 0
    for row, mean, sd in zip(archive.samples.itertuples(), said.mean, said.sd, strict=True):
        cell = cells[cells["site_id"] == row.site_id]
        if not len(cell):
            continue
        at = {"y": int(cell["row"].iloc[0]), "x": int(cell["column"].iloc[0])}
        value = dataset.sel(time=pd.Timestamp(row.local_date)).isel(at)
        np.testing.assert_allclose([value["pm25"], value["pm25_sd"]], [mean, sd], rtol=1e-5)
        reach = loaded.model.reach["day"]
        np.testing.assert_allclose(value["pm25_upper"], mean + reach * sd, rtol=1e-5)
        np.testing.assert_allclose(value["pm25_lower"], max(mean - reach * sd, 0), rtol=1e-4, atol=1e-4)
        found += 1
    assert found == len(cells) * IN_ARCHIVE


def test_scenes_and_archive_give_the_same_map(town):
    """Cells of the grid that the archive holds are known; others are cut from the scenes."""
    whole = predict_map(config(town))
    scenes = predict_map(config(town, scenes=town / "known", spacing_metres=SPACING))
    np.testing.assert_allclose(scenes["pm25"], whole["pm25"], rtol=1e-5)
    finer = predict_map(config(town, scenes=town / "known", spacing_metres=400.0))
    assert finer["pm25"].shape[1] > 1.8 * whole["pm25"].shape[1]
    # a lattice of 400 m and one of 800 m share no middle: fields must agree about as well as neighbours do
    near = finer["place_effect"].interp(x=whole["x"], y=whole["y"]).to_numpy()
    both = np.isfinite(near) & np.isfinite(whole["place_effect"].to_numpy())
    assert np.corrcoef(near[both], whole["place_effect"].to_numpy()[both])[0, 1] > 0.6


@pytest.mark.parametrize("spacing", [192.0, 640.0, 1000.0, 1280.0])
def test_cells_have_the_size_of_the_archives_grid(spacing):
    """To the metre: a cell of 1300 m on sites 1280 m apart would show some of them twice."""
    east, north = (each.ravel() * spacing for each in np.meshgrid(np.arange(9), np.arange(7)))
    wobble = np.random.default_rng(0).uniform(-0.05, 0.05, east.shape)
    assert grid_spacing(pd.DataFrame({"east_m": east + wobble, "north_m": north})) == spacing


def test_an_unknown_cell_is_seen_as_a_new_site_would_be(town):
    """Cut from scenes, embedded, averaged over dates: the same as the estimator given these tiles as rows."""
    job = map_job(config(town, scenes=town / "known", spacing_metres=400.0))
    every = job.blocks[0]
    cells = every.iloc[len(every) // 2 :][:7].reset_index(drop=True)
    said, _ = job.predict(cells, job.air())
    rows, tiles = [], []
    for part in job.source.clear_tiles(cells):
        rows.append(cells.iloc[part.positions].assign(local_date=part.date))
        tiles.append(part.tiles)
    samples = pd.concat(rows, ignore_index=True)
    features = job.loaded.embedded(np.concatenate(tiles))
    place, sd = job.fitted.place_effects(samples, features)
    for number, name in enumerate(cells["site_id"]):
        at = (samples["site_id"] == name).to_numpy()
        np.testing.assert_allclose(said.place[number], place[at], rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(said.place_sd[number], sd[at], rtol=1e-5)


def test_a_day_without_readings_is_told_by_its_images(town):
    """The later scenes have no readings: their air tells the level; a day with neither has none, and says so."""
    late = DAYS[IN_ARCHIVE:]
    dates = f"{late[0]:%Y-%m-%d}..{late[-1]:%Y-%m-%d}"
    dataset = predict_map(config(town, scenes=town / "all", spacing_metres=SPACING, dates=dates))
    days = pd.DatetimeIndex(dataset["time"].to_numpy())
    seen = days.isin(late)
    assert seen.sum() == 2
    assert np.isfinite(dataset["pm25"].to_numpy()[seen]).any(axis=(1, 2)).all()
    unseen = dataset.isel(time=~seen)
    assert np.isnan(unseen["pm25"]).all()
    assert set(np.unique(unseen["reason"])) == {REASON["day_unknown"], REASON["outside_area"]}


def test_only_scenes_of_new_days_are_cut_for_their_air(town, monkeypatch):
    """The model knows the air of the others: cutting them at all its sites takes longer than the map."""
    from model_utils.mapping.places import sources

    job = opened(config(town, scenes=town / "all", spacing_metres=SPACING))
    whole, cut = job.air(), []

    def counted(scene, *given):
        cut.append(scene.time_utc.date())
        return cut_scene(scene, *given)

    cut_scene = sources.cut_scene
    monkeypatch.setattr(sources, "cut_scene", counted)
    np.testing.assert_array_equal(job.air(), whole)
    assert np.isfinite(whole).all()
    assert cut == [day.date() for day in DAYS[IN_ARCHIVE:]]


def test_points_have_what_the_map_has_around_them(town):
    given = config(town, scenes=town / "all", spacing_metres=400.0, period="month", keep_outside=False)
    dataset = predict_map(given)
    job = map_job(given)
    points = pd.concat(job.blocks).sample(12, random_state=1)[["latitude", "longitude"]].assign(label="p")
    points["latitude"] += 0.0008  # within its cell of 400 m
    outside = pd.DataFrame({"latitude": [28.9], "longitude": [77.9], "label": ["far"]})
    said = predict_at(given, pd.concat([points, outside], ignore_index=True))
    assert len(said) == 13 * len(dataset["time"])
    assert said.loc[said["label"] == "far", "reason"].eq("outside_images").all()
    assert said.loc[said["label"] == "far", ["pm25", "aqi"]].isna().all(axis=None)  # -1 would enter a mean
    from rasterio.warp import transform

    for row in said[said["label"] == "p"].itertuples():
        (x,), (y,) = transform("EPSG:4326", job.cells.grid.crs, [row.longitude], [row.latitude])
        cell = dataset.sel(time=row.time).sel(x=x, y=y, method="nearest")
        assert REASON[row.reason] == int(cell["reason"])
        assert (-1 if pd.isna(row.aqi) else row.aqi) == int(cell["aqi"])
        for name in ("pm25", "pm25_lower", "pm25_upper", "pm25_sd"):
            np.testing.assert_allclose(getattr(row, name), float(cell[name]), rtol=1e-4)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_how_many_points_are_worked_on_at_once_changes_nothing(town, tmp_path, monkeypatch, suffix):
    """One cell's prediction serves all its points, wherever they stand in the file."""
    import model_utils.mapping.points as module

    random = np.random.default_rng(0)
    points = pd.DataFrame(random.uniform((28.59, 77.18), (28.68, 77.27), (300, 2)), columns=["latitude", "longitude"])
    points["label"] = [f"p{number}" for number in range(len(points))]
    points["note"] = pd.Series([None] * 250 + ["x"] * 50, dtype="str")
    points = pd.concat([points, points.sample(200, random_state=1)], ignore_index=True)
    given = config(town, period="month", keep_outside=False)
    whole = predict_at(given, points)
    assert len(whole) == 2 * len(points)
    pd.testing.assert_frame_equal(whole[list(points)], pd.concat([points, points], ignore_index=True))
    assert whole["pm25"].notna().sum() > 200
    places = whole.drop_duplicates([*points, "time"]).set_index(["label", "time"])
    again = places.loc[pd.MultiIndex.from_frame(whole[["label", "time"]])].reset_index()[list(whole)]
    pd.testing.assert_frame_equal(again, whole)

    monkeypatch.setattr(module, "CELLS_AT_ONCE", 7)
    monkeypatch.setattr(module, "POINTS_AT_ONCE", 33)
    pd.testing.assert_frame_equal(predict_at(given, points), whole, rtol=1e-5, atol=1e-5)
    points.to_csv(tmp_path / "points.csv", index=False)
    words = ["--points", str(tmp_path / "points.csv"), "--out", str(tmp_path / f"out{suffix}"), "--period", "month"]
    assert main(["predict", "--city", "Town", "--root", str(town), "--model", str(town / "model"), *words]) == 0
    path = tmp_path / f"out{suffix}"
    found = pd.read_csv(path, parse_dates=["time"]) if suffix == ".csv" else pd.read_parquet(path)
    assert list(found) == list(whole)
    found, whole = found.convert_dtypes(), whole.convert_dtypes()
    pd.testing.assert_frame_equal(found, whole, rtol=1e-5, atol=1e-5, check_dtype=False)


@pytest.mark.slow
def test_a_million_points_take_the_memory_of_their_table(town, tmp_path):
    """10^6 points in 10^6 answers a time, in a process of its own, beside 1000 of them."""
    random = np.random.default_rng(0)
    peaks, heads = [], []
    code = (
        "import sys; from pathlib import Path; from model_utils.cli.main import main\n"
        "assert main(sys.argv[1:]) == 0\n"
        "print(next(line for line in Path('/proc/self/status').read_text().splitlines() if 'VmHWM' in line).split()[1])"
    )
    places = random.uniform((28.60, 77.19), (28.67, 77.26), (1_000_000, 2))
    for count in (1000, 1_000_000):
        points = tmp_path / f"{count}.parquet"
        pd.DataFrame(places[:count], columns=["latitude", "longitude"]).to_parquet(points)
        out = tmp_path / f"said_{count}.parquet"
        words = ["predict", "--city", "Town", "--root", town, "--model", town / "model"]
        words += ["--points", points, "--out", out]
        done = subprocess.run(
            [sys.executable, "-c", code, *map(str, words)], capture_output=True, text=True, check=True, timeout=600
        )
        peaks.append(float(done.stdout.split()[-1]) / 1024)
        said = pq.ParquetFile(out)
        assert said.metadata.num_rows == count * IN_ARCHIVE
        heads.append(said.read_row_group(0).to_pandas().head(1000))
    pd.testing.assert_frame_equal(*heads, rtol=1e-6)
    assert peaks[1] < peaks[0] + 600, "ten numbers and a text a point"


def test_a_month_is_the_mean_of_its_days(town):
    days = predict_map(config(town))
    months = predict_map(config(town, period="month"))
    by_hand = days["pm25"].groupby("time.month").mean()
    np.testing.assert_allclose(months["pm25"], by_hand, rtol=1e-5)
    reach = load_city_model(town / "model").model.reach
    spread = days["pm25_sd"].groupby("time.month").mean().to_numpy()
    np.testing.assert_allclose(months["pm25_upper"], by_hand + reach["month"] * spread, rtol=1e-5)
    np.testing.assert_allclose(months["pm25_sd"], spread * reach["month"] / reach["day"], rtol=1e-5)
    assert reach["month"] < reach["day"]
    assert [str(value)[:10] for value in months["time_bnds"].to_numpy().ravel()] == [
        *("2019-01-01", "2019-02-01", "2019-02-01", "2019-03-01")
    ]


def test_blocks_and_workers_change_no_number(town, monkeypatch):
    import model_utils.mapping.places.cells as cells

    given = config(town, scenes=town / "all", spacing_metres=400.0)
    one = predict_map(given)
    three = predict_map(config(town, scenes=town / "all", spacing_metres=400.0, workers=3))
    assert one.equals(three)
    monkeypatch.setattr(cells.MapCells.blocks, "__defaults__", (2000.0,))
    map_job.cache_clear()
    small = predict_map(given)
    assert len(map_job(given).blocks) > 4
    np.testing.assert_allclose(small["pm25"], one["pm25"], rtol=1e-4)
    map_job.cache_clear()


def test_both_precisions_give_the_same_map(town):
    """Within what `--precision` promises, and the layers that no image touches to the digit."""
    by_float32, by_bfloat16 = (
        predict_map(config(town, scenes=town / "all", spacing_metres=400.0, precision=precision))
        for precision in ("32-true", "bf16-mixed")
    )
    assert not by_float32["place_effect"].equals(by_bfloat16["place_effect"]), "both were computed alike"
    assert by_float32["reason"].equals(by_bfloat16["reason"])
    for name in ("pm25", "pm25_lower", "pm25_upper"):
        np.testing.assert_allclose(by_bfloat16[name], by_float32[name], rtol=0.005)
    spread = float(by_float32["place_effect"].std())
    np.testing.assert_allclose(by_bfloat16["place_effect"], by_float32["place_effect"], atol=0.05 * spread)


def test_a_model_of_coordinates_needs_no_images(town, tmp_path):
    write_model(town, tmp_path / "model", place="coordinates", day="readings")
    dataset = predict_map(config(town, model=tmp_path / "model", spacing_metres=500.0))
    assert np.isfinite(dataset["pm25"].to_numpy()[dataset["reason"].to_numpy() == 0]).all()
    assert (dataset["reason"] == 0).sum() > 1000


@pytest.mark.usefixtures("figures_unrendered")
def test_a_finished_map_is_kept_and_an_interrupted_one_goes_on(town, capsys, monkeypatch):
    words = ["map", "--city", "Town", "--root", str(town), "--model", str(town / "model"), "--name", "whole"]
    folder = town / "results" / "Town" / "whole"
    import model_utils.mapping.blocks as blocks

    def stopped(*_args: object, **_more: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("model_utils.mapping.run.write_map", stopped)
        assert main(words) == 130
    assert not folder.exists()
    with monkeypatch.context() as patched:  # the blocks are there: nothing is predicted again
        patched.setattr(blocks, "predict_cells", stopped)
        assert main(words) == 0
    assert {path.name for path in folder.iterdir()} >= {"map.nc", "layers", "item.json", "map.json", "config.yaml"}
    first = (folder / "map.nc").read_bytes()
    capsys.readouterr()
    assert main(words) == 0
    assert "nothing to do" in capsys.readouterr().out
    assert main([*words, "--period", "month"]) == 2
    assert "--overwrite replaces it" in capsys.readouterr().err
    assert main([*words, "--overwrite"]) == 0
    assert (folder / "map.nc").read_bytes() == first
    assert not list(folder.parent.glob(".whole*"))


def test_the_page_of_a_map_of_scenes_shows_their_ground(town):
    words = ["map", "--city", "Town", "--root", str(town), "--model", str(town / "model"), "--period", "month"]
    scenes = ["--scenes", str(town / "known"), "--spacing-metres", f"{SPACING:g}"]
    shown, page = {}, ""
    for name, more in {"archive_page": [], "scenes_page": scenes}.items():
        assert main([*words, *more, "--name", name]) == 0
        page = (town / "results" / "Town" / name / "report.html").read_text(encoding="utf-8")
        shown[name] = json.loads(page.split('id="data">')[1].split("</script>")[0])
    assert shown["archive_page"]["image"] is None
    image = shown["scenes_page"]["image"]
    assert image["uri"].startswith("data:image/webp;base64,UklGR")
    reach = shown["scenes_page"]["columns"], shown["scenes_page"]["rows"]
    assert [image["left"], image["top"]] == pytest.approx([0, 0], abs=GSD / SPACING)
    assert [image["width"], image["height"]] == pytest.approx(reach, abs=2 * GSD / SPACING)
    count = len(list((town / "known").iterdir()))
    assert f"and {count - 4} more files" in page
