"""What is wrong with a map's flags, model, scenes or points is one line, exit code 2, and nothing is written."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from map_town import DAYS, GSD
from numpy.typing import NDArray
from placed_scenes import around_town, moved, write_scene

from model_utils.cli.main import main
from model_utils.mapping.config import MapConfig
from model_utils.mapping.layers import REASON
from model_utils.mapping.run import predict_map

AREA = "--area=77.215,28.625,77.235,28.645"


def refusal(town: Path, capsys: pytest.CaptureFixture[str], verb: str, *words: str) -> str:
    """The one line that a command says when it refuses; files for a next run to go on from are hidden."""

    def files() -> list[Path]:
        return sorted(path for path in town.rglob("*") if path.is_file() and not path.parent.name.startswith("."))

    before = files()
    given = [verb, "--city", "Town", "--root", str(town)]
    given += [] if "--model" in words else ["--model", str(town / "model")]
    capsys.readouterr()
    try:
        code: object = main([*given, *words])
    except SystemExit as stopped:
        code = stopped.code
    captured = capsys.readouterr()
    assert code == 2, captured
    assert captured.out == ""
    assert captured.err.count("\n") == 1, captured.err
    assert captured.err.startswith(f"pm25 {verb}: ")
    assert files() == before
    return captured.err


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--dates", "2019-13-01"], "--dates: found '2019-13-01'"),
        (["--dates", "20190101"], "expected a date such as 2019-11-01"),
        (["--dates", "2019-W01-1"], "expected a date such as 2019-11-01"),
        (["--dates", "0001-01-01..9999-12-31"], "expected a date such as 2019-11-01"),
        (["--dates", "2019-02-01..2019-01-01"], "expected the first and the last date"),
        (["--dates", "2010-01-01..2024-12-31"], "found 5479 days, expected at most 5000"),
        (["--dates", "2025-01-01"], "no date with readings or images, which are of 2019-01-01 to 2019-02-03"),
        (["--dates", "2019-01-02..2019-01-03"], "no date with readings or images"),
        (["--spacing-metres", "0.05"], "--spacing-metres: found 0.05"),
        (["--spacing-metres", "0.5"], "found 220,476,788 cells, expected at most 4,000,000"),
        (["--area=77.2,28.6,77.2000001,28.6000001"], "no middle of a cell"),
        (["--area=80,28,80.1,28.1"], "--area 80,28,80.1,28.1: found 169 cells, and no image shows any of them"),
        (["--area=28.61,77.20,28.66,77.25"], "are exchanged, expected longitude first: 77.2,28.61,77.25,28.66"),
        (["--area=77.21,20.61,77.25,20.66"], "expected some around Town, 77.19 to 77.26 degrees east"),
        (["--model", "nowhere"], "--model nowhere: holds no model.json"),
        (["--product", "x"], "--product: goes with --scenes"),
        (["--bands", "red"], "--bands: goes with --scenes"),
        (["--scheduler", "tcp://127.0.0.1:9"], "no Dask scheduler answers there"),
    ],
)
def test_flags(town: Path, capsys: pytest.CaptureFixture[str], words: list[str], expected: str) -> None:
    assert expected in refusal(town, capsys, "map", *words)


def test_a_model_of_another_city(town: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(town / "data" / "cities", tmp_path / "data" / "cities")
    city = (tmp_path / "data" / "cities" / "Town.yaml").read_text().replace("name: Town", "name: Village", 1)
    (tmp_path / "data" / "cities" / "Village.yaml").write_text(city)
    said = refusal(tmp_path, capsys, "map", "--city", "Village", "--model", str(town / "model"))
    assert "found a model of Town, expected one of Village" in said


@pytest.mark.parametrize("more", [[], ["--overwrite", "true"]])
def test_a_map_takes_no_place_but_that_of_a_map(
    town: Path, capsys: pytest.CaptureFixture[str], more: list[str]
) -> None:
    """Above all not that of the experiment whose model it is made with."""
    experiment = town / "results" / "Town" / "experiment"
    shutil.copytree(town / "model", experiment / "model")
    try:
        line = refusal(town, capsys, "map", "--model", str(experiment), "--name", "experiment", *more)
    finally:
        shutil.rmtree(experiment)
    assert line.endswith(
        f"{experiment}: found something else, expected a map or nothing; --name names another folder\n"
    )


@pytest.mark.parametrize("missing", ["encoder.safetensors", "arrays.safetensors", "model.json"])
def test_a_model_of_which_a_file_is_missing(
    town: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], missing: str
) -> None:
    shutil.copytree(town / "model", tmp_path / "model")
    (tmp_path / "model" / missing).unlink()
    said = refusal(town, capsys, "map", "--model", str(tmp_path / "model"))
    assert missing in said
    assert "not found" in said or "holds no" in said


Change = Callable[[NDArray[np.uint8], dict[str, object]], NDArray[np.generic]]


def rewritten(town: Path, folder: Path, change: Change, count: int = 3) -> Path:
    """Some of the town's scenes, changed."""
    folder.mkdir()
    for path in sorted((town / "known").glob("*.tif"))[:count]:
        with rasterio.open(path) as file:
            pixels, profile = file.read(), dict(file.profile)
        pixels = change(pixels, profile)
        profile |= dict(zip(("count", "height", "width"), pixels.shape, strict=True)) | {"dtype": str(pixels.dtype)}
        with rasterio.open(folder / path.name, "w", **profile) as file:
            file.write(pixels)
    return folder


def one_band(pixels: NDArray[np.uint8], _: dict[str, object]) -> NDArray[np.generic]:
    return pixels[:1]


def other_numbers(pixels: NDArray[np.uint8], _: dict[str, object]) -> NDArray[np.generic]:
    return 40 * pixels.astype(np.uint16)


def coarser(pixels: NDArray[np.uint8], profile: dict[str, object]) -> NDArray[np.generic]:
    profile["transform"] = around_town(size=3 * GSD)
    return pixels


def elsewhere(pixels: NDArray[np.uint8], profile: dict[str, object]) -> NDArray[np.generic]:
    profile["transform"] = moved(around_town(), 10_000, 0)
    return pixels


def nowhere(pixels: NDArray[np.uint8], profile: dict[str, object]) -> NDArray[np.generic]:
    del profile["crs"]
    return pixels


@pytest.mark.parametrize(
    ("change", "words", "expected"),
    [
        (one_band, [], "scene_20190101T051200.tif: does not say which band is 'red'"),
        (one_band, ["--bands", "grey=1"], "found the bands grey, expected red, green, blue"),
        (lambda pixels, _: pixels, ["--bands", "red=3,blue=2,green=1"], "found the bands red, blue, green, expected"),
        (other_numbers, ["--bands", "red=1,green=2,blue=3"], "expected --full-scale"),
        (coarser, [], "scene_20190101T051200.tif: found pixels of 150 m, expected at most 100 m"),
        (elsewhere, [], "found 597 cells, and no image shows any of them"),
        (nowhere, [], "scene_20190101T051200.tif: has no coordinate reference system"),
    ],
)
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")  # of writing such a file
def test_scenes(
    town: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: Change, words: list[str], expected: str
) -> None:
    scenes = rewritten(town, tmp_path / "scenes", change)
    assert expected in refusal(town, capsys, "map", "--scenes", str(scenes), *words)


@pytest.mark.parametrize(
    ("key", "value", "flag", "expected"),
    [
        ("product_found", "naip", ["--product", "geotiff"], "found geotiff scenes, expected naip"),
        ("scaling", "in another way", ["--full-scale", "255"], "found numbers that would become other bytes"),
    ],
)
@pytest.mark.usefixtures("figures_unrendered")
def test_scenes_of_another_kind_than_the_archive_s_need_a_word(
    town: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], key: str, value: str, flag: list[str], expected: str
) -> None:
    root = tmp_path / "root"
    shutil.copytree(town / "data", root / "data")
    metadata = root / "data" / "Town" / "archive.json"
    content = json.loads(metadata.read_text())
    content["created_by"][key] = value
    metadata.write_text(json.dumps(content))
    scenes = ["--scenes", str(rewritten(town, tmp_path / "scenes", lambda pixels, _: pixels))]
    model = ["--model", str(town / "model")]
    assert expected in refusal(root, capsys, "map", *model, *scenes)
    flags = [*model, *scenes, AREA, *flag, "--dates", "2019-01-04"]
    assert main(["map", "--city", "Town", "--root", str(root), *flags]) == 0


def test_numbers_that_mean_something_else_than_in_the_archive(
    town: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The archive took bytes as they are; a reflectance-like scale given there would be taken here as well."""
    scenes = rewritten(town, tmp_path / "scenes", other_numbers)
    for path in scenes.glob("*.tif"):
        with rasterio.open(path, "r+") as file:
            file.scales, file.offsets = (0.025,) * 3, (0.0,) * 3
            file.colorinterp = [rasterio.enums.ColorInterp[name] for name in ("red", "green", "blue")]
    said = refusal(town, capsys, "map", "--scenes", str(scenes), "--bands", "red=1,green=2,blue=3")
    assert "expected --full-scale" in said
    given = {"scenes": scenes, "area": AREA.removeprefix("--area="), "keep_outside": True, "dates": f"{DAYS[0].date()}"}
    given["precision"] = "32-true"
    bands = {"bands": ("red=1", "green=2", "blue=3")}
    of_bytes = rewritten(town, tmp_path / "bytes", lambda pixels, _: pixels)
    decided = predict_map(MapConfig("Town", town / "model", **given, **bands, full_scale=255.0, root=town))
    plain = predict_map(MapConfig("Town", town / "model", **{**given, "scenes": of_bytes}, root=town))
    np.testing.assert_allclose(decided["place_effect"], plain["place_effect"], atol=1e-4)


def test_finer_scenes_are_averaged(town: Path, tmp_path: Path) -> None:
    """Pixels of a fifth, around one tile: the same map."""
    for day in DAYS[:2]:
        write_scene(tmp_path / "plain", day)
        write_scene(tmp_path / "finer", day, place=around_town(size=GSD / 5))
    given = {"spacing_metres": 50.0, "area": "77.2245,28.6345,77.2255,28.6355", "keep_outside": True, "root": town}
    given["precision"] = "32-true"
    plain, finer = (
        predict_map(MapConfig("Town", town / "model", scenes=tmp_path / name, **given))["place_effect"].to_numpy()
        for name in ("plain", "finer")
    )
    assert np.isfinite(plain).sum() > 1
    np.testing.assert_allclose(finer, plain, atol=0.2)


def test_a_broken_scene_is_named_or_left_out_as_a_whole(
    town: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its header is whole, and so are the pixels that the map asks for in the north."""
    scenes = rewritten(town, tmp_path / "scenes", lambda pixels, _: pixels, count=3)
    without = rewritten(town, tmp_path / "without", lambda pixels, _: pixels, count=3)
    victim = sorted(scenes.glob("*.tif"))[1]
    (without / victim.name).unlink()
    victim.write_bytes(victim.read_bytes()[: victim.stat().st_size * 4 // 5])
    assert f"{victim}: not readable" in refusal(town, capsys, "map", "--scenes", str(scenes))
    given = {"area": "77.20,28.64,77.25,28.66", "dates": "2019-01-01", "root": town, "keep_outside": True}
    skipped = predict_map(MapConfig("Town", town / "model", scenes=scenes, skip_broken=True, **given))
    expected = predict_map(MapConfig("Town", town / "model", scenes=without, **given))
    assert np.isfinite(expected["pm25"]).any()
    np.testing.assert_array_equal(skipped["pm25"], expected["pm25"])


@pytest.mark.usefixtures("figures_unrendered")
def test_what_was_left_out_is_said(town: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scenes = rewritten(town, tmp_path / "scenes", lambda pixels, _: pixels)
    victim = sorted(scenes.glob("*.tif"))[0]
    victim.write_bytes(b"no image")
    words = ["--scenes", str(scenes), "--skip-broken", AREA, "--name", "left_out", "--dates", "2019-01-04"]
    assert main(["map", "--city", "Town", "--root", str(town), "--model", str(town / "model"), *words]) == 0
    assert f"warning: a scene was left out: {victim}" in capsys.readouterr().out


@pytest.mark.parametrize("period", ["day", "month"])
def test_cells_that_are_never_clear_have_no_value_and_say_so(town: Path, tmp_path: Path, period: str) -> None:
    scenes = rewritten(town, tmp_path / "scenes", lambda pixels, _: np.zeros_like(pixels))
    given = {"scenes": scenes, "area": AREA.removeprefix("--area="), "period": period, "root": town}
    dataset = predict_map(MapConfig("Town", town / "model", **given))  # type: ignore[arg-type]
    assert np.isnan(dataset["pm25"]).all()
    assert set(np.unique(dataset["reason"])) == {REASON["never_clear"], REASON["outside_area"]}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "not readable"),
        ("latitude,longitude\n", "holds no row"),
        ("Latitude,Longitude\n28.6,77.2\n", "column 'latitude' is missing, found Latitude, Longitude"),
        ("latitude;longitude\n28.6;77.2\n", "column 'latitude' is missing, found latitude;longitude"),
        ("latitude,longitude,latitude\n28.6,77.2,28.7\n", "column 'latitude' is there twice"),
        ("latitude,longitude\n28.6,77.2\n91,77.2\n", "row 2: latitude is '91'"),
        ("latitude,longitude\n28.6,77.2\n28.6,\n", "row 2: longitude is 'nan'"),
        ("latitude,longitude\n28.6,x\n", "row 1: longitude is 'x'"),
        ("latitude,longitude\n28.6,inf\n", "row 1: longitude is 'inf'"),
        ("latitude,longitude\nTrue,77.2\n", "row 1: latitude is 'True'"),
        ("latitude,longitude\n7,28.6,77.2\n8,28.6,77.2\n", "found rows of more fields than there are column names"),
        ("latitude,longitude\n77.22,28.63\n77.21,28.62\n", "latitude and longitude are exchanged"),
        ("latitude,longitude,pm25\n28.63,77.22,3\n", "column 'pm25' is one of the answer's"),
        ("latitude,longitude,time\n28.63,77.22,3\n", "column 'time' is one of the answer's"),
    ],
)
def test_points(town: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, expected: str) -> None:
    points, out = tmp_path / "points.csv", tmp_path / "out.csv"
    points.write_text(content)
    assert expected in refusal(town, capsys, "predict", "--points", str(points), "--out", str(out))
    assert not out.exists()


def test_columns_without_a_name_are_kept(town: Path, tmp_path: Path) -> None:
    """As spreadsheets write them; and a column that only looks like pandas' own name for a second one."""
    points, out = tmp_path / "points.csv", tmp_path / "out.csv"
    points.write_text("latitude,longitude,latitude.1,,\n28.635,77.225,a,,\n")
    words = ["--points", str(points), "--out", str(out), "--dates", "2019-01-01"]
    assert main(["predict", "--city", "Town", "--root", str(town), "--model", str(town / "model"), *words]) == 0
    assert out.read_text().startswith("latitude,longitude,latitude.1,Unnamed: 3,Unnamed: 4,time,pm25,")


def test_the_file_for_the_answer(town: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    points = tmp_path / "points.csv"
    points.write_text("latitude,longitude\n28.635,77.225\n")
    (tmp_path / "there.csv").write_text("mine")
    (tmp_path / "folder.csv").mkdir()
    for name, expected in {
        "there.csv": "exists already; --overwrite replaces it",
        "folder.csv": "found a folder, expected the name of a file",
        "out.xlsx": "expected a .csv or .parquet file",
        "there.csv/out.csv": "cannot be written: file exists",
    }.items():
        said = refusal(town, capsys, "predict", "--points", str(points), "--out", str(tmp_path / name))
        assert expected in said
    assert (tmp_path / "there.csv").read_text() == "mine"
    words = ["--points", str(points), "--out", str(tmp_path / "new" / "folder" / "out.csv")]
    assert main(["predict", "--city", "Town", "--root", str(town), "--model", str(town / "model"), *words]) == 0
    assert (tmp_path / "new" / "folder" / "out.csv").is_file()
