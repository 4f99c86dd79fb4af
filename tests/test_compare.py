"""`pm25 compare`: the whole instrument on a small simulated city."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

from contrastive_models.encoders import create_encoder
from model_utils.archive.reader import open_archive
from model_utils.archive.writer import ArchiveWriter
from model_utils.cities import load_city
from model_utils.cli.command import execute
from model_utils.cli.verbs import COMPARE
from model_utils.comparison.config import CompareConfig
from model_utils.comparison.run import compare
from model_utils.configuration import from_preset
from model_utils.estimators.estimator import hidden
from model_utils.estimators.references.catalogue import REFERENCES
from model_utils.project import SHIPPED_ROOT
from model_utils.simulation.city import simulate
from model_utils.simulation.config import SimulateConfig

pytestmark = pytest.mark.slow  # whole comparisons, minutes together

DESIGNS = ("hold_out", "label_efficiency", "folds", "temporal")
STARTS = ("SimCLR_regular", "randomly_initialized", "transfer_learning")
IMAGE_METHODS = {
    "SimCLR_regular",
    "random_frozen",
    "random_trained",
    "imagenet",
    "band_statistics",
    "random_frozen+mean",
    "random_frozen+inverse_distance",
    "random_frozen+kriging",
    "joint_random_frozen",
    "cnn_rf_random_frozen",
    "place_and_day_SimCLR_regular",
    "place_and_day_imagenet",
    "place_and_day_random_frozen",
    "place_and_day_random_frozen_images",
    "place_and_day_random_frozen_ring",
    "place_and_day_random_frozen_without_readings",
}
CEILINGS = {"ceiling_true_land_use", "ceiling_true_optical_depth", "ceiling_true_both"}
TABLES = ("comparison.csv", "differences.csv", "comparison.md")
METHODS = IMAGE_METHODS | CEILINGS | set(REFERENCES)


def config(root: Path, **values) -> CompareConfig:
    fields = {
        "starts": STARTS,
        "combined_starts": ("randomly_initialized",),
        "imagenet_weights": root / "imagenet.safetensors",
    }
    return from_preset(CompareConfig, "smoke", city="Delhi", root=root, **{**fields, **values})


def results(root: Path) -> Path:
    return root / "results" / "Delhi" / "compare_smoke"


def simulated(root: Path, **values) -> None:
    simulate(SimulateConfig(city="Delhi", days=120, day_step=8, grid_km=25.0, tile_size=32, root=root, **values))
    torch.manual_seed(7)
    save_file(create_encoder("test_resnet", 3, 32).state_dict(), root / "imagenet.safetensors")


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """A root with everything compared once."""
    root = tmp_path_factory.mktemp("compared")
    simulated(root)
    compare(config(root, designs=DESIGNS, jobs=1))
    return root


def test_every_station_is_predicted_by_those_beyond_the_buffer(compared, tmp_path):
    root = shutil.copytree(compared, tmp_path / "copy")
    values = {"starts": ("randomly_initialized",), "imagenet_weights": None, "trained": False}
    compare(config(root, designs=("leave_one_out",), **values))
    table = pd.read_csv(results(root) / "comparison.csv").set_index("method")
    slow = {"joint_random_frozen", "cnn_rf_random_frozen", "random_trained"}
    named = {name for name in METHODS - slow if "SimCLR" not in name and "imagenet" not in name}
    assert set(table.index) == named
    assert (table["n_stations"] == 51).all()


def test_every_method_stands_in_every_design(compared):
    table = pd.read_csv(results(compared) / "comparison.csv")
    assert set(table["design"]) == set(DESIGNS)
    for design, rows in table.groupby("design"):
        everywhere = design in ("hold_out", "folds", "temporal")
        slow = set() if everywhere else {"joint_random_frozen", "cnn_rf_random_frozen"}
        trained = {"random_trained"} if design != "hold_out" else set()
        assert set(rows["method"]) == METHODS - slow - trained
    hold_out = table[table["design"] == "hold_out"].set_index("method")
    assert (hold_out["n_stations"] == 27).all()
    assert (hold_out["stations"] == 24).all()
    assert set(hold_out.index[hold_out["uses_same_day_readings"]]) == {
        "same_day_mean",
        "inverse_distance",
        "ordinary_kriging",
        "gaussian_process",
        *(name for name in METHODS if name.startswith("place_and_day") and not name.endswith("without_readings")),
        *(f"random_frozen+{field}" for field in ("mean", "inverse_distance", "kriging")),
    }
    alike = ["SimCLR_regular", "random_frozen", "imagenet"]
    assert hold_out.loc[alike, "trials"].nunique() == 1  # the same budget
    assert not hold_out["transductive"].astype(bool).any()
    written = {path.name for path in results(compared).iterdir()}
    assert {"comparison.md", "comparison.tex", "differences.csv", "predictions.parquet", "config.yaml"} <= written
    figures = {path.stem for path in (results(compared) / "figures").glob("*.png")}
    assert {"label_efficiency", "coverage", "differences_hold_out", "anomalies_hold_out"} <= figures


def test_predictions_carry_intervals_and_agree_with_the_table(compared):
    predictions = pd.read_parquet(results(compared) / "predictions.parquet")
    table = pd.read_csv(results(compared) / "comparison.csv")
    hold_out = table[table["design"] == "hold_out"].set_index("method")
    assert set(predictions["method"]) == METHODS
    rows = predictions[predictions["method"] == "SimCLR_regular"]
    assert hold_out.loc["SimCLR_regular", "rmse"] == pytest.approx(
        np.sqrt(((rows["observed"] - rows["predicted"]) ** 2).mean())
    )
    assert (rows["lower"] <= rows["predicted"]).all()
    assert (rows["predicted"] <= rows["upper"]).all()
    inside = (rows["observed"] >= rows["lower"]) & (rows["observed"] <= rows["upper"])
    assert hold_out.loc["SimCLR_regular", "coverage"] == pytest.approx(inside.mean())


def test_a_second_run_computes_nothing_and_a_changed_setting_only_what_it_changes(compared, tmp_path, capsys):
    root = shutil.copytree(compared, tmp_path / "copy")
    written = {path: path.stat().st_mtime_ns for path in results(root).glob("cells/*/*.parquet")}
    designs = ("hold_out", "temporal")
    asked = [path for path in written if path.parent.name.startswith(designs)]
    compare(config(root, designs=designs))
    assert f"{len(asked)} cells, {len(asked)} of them there already" in capsys.readouterr().out

    torn = results(root) / "cells" / "temporal_stations24_draw0" / "random_frozen_seed0.parquet"
    torn.write_bytes(b"torn")
    compare(config(root, designs=designs, interval_level=0.8, trained=False))
    changed = {path for path, when in written.items() if path.stat().st_mtime_ns != when}
    untrained = {path for path in asked if path.parent.name.startswith("hold_out") and "trained_" not in path.name}
    assert changed == {torn, *untrained}


def test_neither_two_jobs_nor_a_kill_change_a_number(compared, tmp_path):
    """One job without interruption, and two jobs that are killed and go on, end with the same tables."""
    root = shutil.copytree(compared, tmp_path / "copy")
    designs = ("hold_out", "label_efficiency", "temporal")
    compare(config(root, designs=designs, jobs=1))  # whose cells are there, of one job without interruption
    expected = [(results(root) / name).read_bytes() for name in TABLES]
    cells = sum(path.parent.name.startswith(designs) for path in results(root).glob("cells/*/*.parquet"))
    shutil.rmtree(results(root))

    words = ["--city", "Delhi", "--preset", "smoke", "--root", str(root), "--starts", ",".join(STARTS)]
    words += ["--combined-starts", "randomly_initialized", "--imagenet-weights", str(root / "imagenet.safetensors")]
    words += ["--designs", ",".join(designs), "--jobs", "2"]
    process = subprocess.Popen(
        [sys.executable, "-m", "model_utils.cli.main", "compare", *words],
        cwd=SHIPPED_ROOT,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 600  # processors may be busy with other tests
    while len(list(results(root).glob("cells/*/*.parquet"))) < 20 and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    _wait_until_gone(process.pid)
    kept = {path: path.stat().st_mtime_ns for path in results(root).glob("cells/*/*.parquet")}
    assert 20 <= len(kept) < cells
    assert not (results(root) / "comparison.csv").exists()
    assert execute(COMPARE, words) == 0
    assert [(results(root) / name).read_bytes() for name in TABLES] == expected
    assert all(path.stat().st_mtime_ns == when for path, when in kept.items())


def _wait_until_gone(group: int, seconds: float = 30) -> None:
    """The processes that a killed comparison started end by themselves."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    raise AssertionError(f"processes of group {group} outlived their parent")


def test_no_prediction_depends_on_a_test_reading(compared, tmp_path):
    """Test stations' readings are shuffled in the archive; each method's predictions stay what they were."""
    root = tmp_path / "shuffled"
    shutil.copytree(compared / "data", root / "data")
    shutil.copy(compared / "imagenet.safetensors", root)
    archive = open_archive(root / "data" / "Delhi")
    tiles, samples, metadata = archive.tiles(), archive.samples.copy(), archive.metadata
    held = {station.name for station in load_city("Delhi", SHIPPED_ROOT).stations if station.split == "test"}
    hide = samples["site_id"].isin(held).to_numpy()
    readings = samples["pm25"].to_numpy(copy=True)
    readings[hide] = np.random.default_rng(0).permutation(readings[hide])
    with ArchiveWriter(archive.folder, metadata.tile_size, metadata.bands, overwrite=True) as writer:
        writer.append(tiles, samples.assign(pm25=readings))
        writer.commit(city="Delhi", ground_sample_distance_m=3.0, simulated="all")
    compare(config(root, designs=("hold_out", "temporal")))
    before, after = (pd.read_parquet(results(each) / "predictions.parquet") for each in (compared, root))
    assert not before["observed"].equals(after["observed"])
    assert set(after["method"]) == METHODS
    told = ["sample_id", "method", "predicted", "lower", "upper", "predicted_other_dates"]
    pd.testing.assert_frame_equal(before[told], after[told], check_exact=True)
    for name in METHODS - {"random_trained"}:
        one, other = (
            pd.read_parquet(next(results(each).glob(f"cells/temporal_*/{name}_seed0.parquet")))
            for each in (compared, root)
        )
        np.testing.assert_array_equal(one["predicted"], other["predicted"], err_msg=name)


def test_an_estimator_is_not_even_given_a_test_reading():
    samples = pd.DataFrame({"site_id": list("aabb"), "pm25": [1.0, 2.0, 3.0, 4.0]})
    training = np.array([True, True, False, False])
    assert hidden(samples, training)["pm25"].isna().tolist() == [False, False, True, True]
    assert hidden(samples, training, known=~training)["pm25"].notna().all()


def test_without_weights_or_weather_methods_are_skipped_with_a_reason(tmp_path, monkeypatch, capsys):
    from conftest import write_small_archive

    write_small_archive(tmp_path, days=12)

    def unreachable(*args, **kwargs):
        raise OSError("the hub cannot be reached")

    monkeypatch.setattr("model_utils.quiet._answers", lambda address: True)  # asked of no real hub
    monkeypatch.setattr("model_utils.features.starting_encoder.create_encoder", unreachable)
    values = {"starts": ("transfer_learning",), "combined_starts": None, "imagenet_weights": None, "trained": False}
    compare(config(tmp_path, designs=("hold_out",), **values))
    table = pd.read_csv(results(tmp_path) / "comparison.csv").set_index("method")
    assert "hub cannot be reached" in table.loc["imagenet", "skipped"]
    assert "no temperature" in table.loc["weather_forest", "skipped"]
    assert table.loc["same_day_mean", "rmse"] > 0
    text = (results(tmp_path) / "comparison.md").read_text()
    assert "hub cannot be reached" in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--designs", "sideways"], "sideways"),
        (["--draws", "0"], "--draws: found 0"),
        (
            ["--combined-starts", "SimSiam_regular", "--starts", "SimCLR_regular"],
            "--combined-starts: found SimSiam_regular",
        ),
        (["--interval-level", "1"], "--interval-level: found 1"),
        (["--label-counts", "5,5"], "--label-counts: found 5, 5"),
        ([], "no such folder"),
    ],
)
def test_wrong_settings_are_one_line(tmp_path, capsys, words, message):
    assert_code = None
    try:
        assert_code = execute(COMPARE, ["--city", "Delhi", "--root", str(tmp_path), *words])
    except SystemExit as stopped:
        assert_code = stopped.code
    assert assert_code == 2
    error = capsys.readouterr().err.strip()
    assert message in error
    assert "\n" not in error
