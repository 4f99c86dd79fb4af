"""Design `truth`: what it draws, what it hides, and what it says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from conftest import write_small_archive

from model_utils.cli.command import execute
from model_utils.cli.verbs import COMPARE
from model_utils.comparison.config import CompareConfig
from model_utils.comparison.hidden_truth.draws import TruthWork, scored_draw, truth_tasks, work_on_truth
from model_utils.comparison.hidden_truth.table import truth_differences, truth_pairs, truth_table
from model_utils.comparison.hidden_truth.worlds import drawn_sites, truth_world
from model_utils.configuration import from_preset
from model_utils.estimators.estimator import Method
from model_utils.estimators.ridge import RidgeHead
from model_utils.project import archive_folder
from model_utils.simulation.city import simulate
from model_utils.simulation.config import SimulateConfig

STARTS = ("randomly_initialized",)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("truth")
    simulate(SimulateConfig(city="Delhi", days=90, day_step=9, grid_km=20.0, tile_size=32, root=root))
    return root


@pytest.fixture(scope="module")
def config(root):
    return from_preset(
        CompareConfig, "smoke", city="Delhi", root=root, starts=STARTS, designs=("truth",), truth_counts=(12,), jobs=1
    )


@pytest.fixture(scope="module")
def world(root, config):
    return truth_world(archive_folder(root, "Delhi"), config)


def test_every_site_has_a_reading_and_the_stations_keep_theirs(world):
    samples, original = world.samples, world.shared.samples
    stations = original["pm25"].notna().to_numpy()
    np.testing.assert_array_equal(samples["pm25"][stations], original["pm25"][stations].astype(float))
    np.testing.assert_array_equal(samples["pm25"][~stations], original["true_pm25"][~stations])
    assert len(world.places) == samples["site_id"].nunique() > 60


def test_draws_repeat_differ_and_do_not_depend_on_the_order_of_the_archive(world):
    first = drawn_sites(world, 12, 0)
    assert len(set(first)) == 12
    assert first == drawn_sites(world, 12, 0) != drawn_sites(world, 12, 1)
    backwards = replace(world)
    backwards.__dict__["places"] = world.places.iloc[::-1].sort_index()
    assert drawn_sites(backwards, 12, 0) == first


@pytest.mark.parametrize("name", ["place_and_day_random_frozen", "gaussian_process", "random_frozen"])
def test_no_method_sees_a_reading_of_a_judged_site(world, name):
    method, sites = world.entries[name].build(world.shared, 0), drawn_sites(world, 12, 0)
    before = scored_draw(world, method, sites)
    shuffled = replace(world)
    samples = world.samples.copy()
    judged = ~samples["site_id"].isin(sites).to_numpy()
    samples.loc[judged, "pm25"] = np.random.default_rng(0).permutation(samples.loc[judged, "pm25"].to_numpy())
    shuffled.__dict__.update(samples=samples, places=world.places, entries=world.entries)
    assert scored_draw(shuffled, method, sites) == before


def test_features_that_are_the_truth_score_one_by_a_head_and_by_place_and_day(world):
    truth = world.samples["true_increment"].to_numpy(np.float32)[:, None]
    sites = drawn_sites(world, 24, 0)
    head = scored_draw(world, Method(RidgeHead(), np.hstack([truth, truth**2])), sites)
    assert head["truth_r"] > 0.97
    assert np.isnan(head["within_one_sd"])
    knows_land_use = scored_draw(world, world.entries["ceiling_true_land_use"].build(world.shared, 0), sites)
    blind = scored_draw(world, world.entries["gaussian_process"].build(world.shared, 0), sites)
    assert knows_land_use["truth_r_seen"] > 0.6 > blind["truth_r_seen"]
    assert 0 <= knows_land_use["within_one_sd"] <= 1


def test_a_task_writes_its_draws_once(world, tmp_path):
    tasks = truth_tasks([world], (12, 10_000), range(1))
    assert {key[2] for key in tasks} == {12}  # ten thousand sites leave none to judge
    key = (0, "gaussian_process", 12, 0)
    assert tasks[key] == "gaussian_process"
    work = TruthWork(tmp_path, [world], draws=2)
    assert not work.stands(key)
    assert work_on_truth(work, key) > 0
    assert work.stands(key)
    frame = pd.read_parquet(work.path(key))
    method = world.entries["gaussian_process"].build(world.shared, 0)
    expected = [scored_draw(world, method, drawn_sites(world, 12, draw))["truth_r"] for draw in range(2)]
    np.testing.assert_array_equal(frame["truth_r"], expected)
    assert not TruthWork(tmp_path, [world], draws=3).stands(key)
    work.path(key).write_bytes(b"torn")
    assert not work.stands(key)


def made_draws(cities: int) -> pd.DataFrame:
    """Method b is above a by .1 in each draw, whatever the draw gives."""
    random = np.random.default_rng(0)
    rows = []
    for city in range(cities):
        for draw in range(30):
            r = random.uniform(0.2, 0.8)
            for method, gain in (("gaussian_process", 0.0), ("place_and_day_random_frozen", 0.1)):
                row = {"world": f"c{city}", "method": method, "sites": 12, "seed": 0, "draw": draw}
                rows.append({**row, "truth_r": r + gain, "truth_r_seen": r, "truth_rmse": 0.1, "within_one_sd": np.nan})
    return pd.DataFrame(rows)


@pytest.mark.parametrize("cities", [1, 4])
def test_means_intervals_and_paired_differences(world, cities):
    draws = made_draws(cities)
    table = truth_table(draws, world.entries).set_index("method")
    values = draws[draws["method"] == "gaussian_process"]
    units = values["truth_r"] if cities == 1 else values.groupby("world")["truth_r"].mean()
    row = table.loc["gaussian_process"]
    assert row["truth_r"] == pytest.approx(units.mean())
    from scipy.stats import ttest_1samp

    expected = ttest_1samp(units, 0).confidence_interval(0.95)
    assert (row["truth_r_low"], row["truth_r_high"]) == pytest.approx((expected.low, expected.high))
    assert (row["cities"], row["draws"]) == (cities, 30)
    assert np.isnan(row["within_one_sd"])
    differences = truth_differences(draws, truth_pairs(world.entries)).set_index(["method", "against", "key"])
    found = differences.loc["place_and_day_random_frozen", "gaussian_process", "truth_r"]
    assert found[["difference", "low", "high"]].to_numpy(float) == pytest.approx([0.1, 0.1, 0.1])


@pytest.mark.slow
def test_the_command_writes_its_tables_and_computes_nothing_twice(root, config, capsys):
    words = ["--city", "Delhi", "--preset", "smoke", "--root", str(root), "--starts", "randomly_initialized"]
    words += ["--designs", "truth", "--truth-counts", "12", "--jobs", "1"]
    assert execute(COMPARE, words) == 0
    folder = root / "results" / "Delhi" / "compare_smoke"
    table = pd.read_csv(folder / "truth.csv")
    assert {"place_and_day_random_frozen", "gaussian_process", "ceiling_true_land_use"} <= set(table["method"])
    assert (folder / "figures" / "truth.png").stat().st_size > 10_000
    assert "r with the whole place effect" in (folder / "truth.md").read_text()
    capsys.readouterr()
    assert execute(COMPARE, words) == 0
    assert f"{len(table)} of them done already" in capsys.readouterr().out


def test_an_archive_without_a_hidden_truth_is_refused_in_one_line(tmp_path, capsys):
    write_small_archive(tmp_path, days=2)
    words = ["--city", "Delhi", "--preset", "smoke", "--root", str(tmp_path), "--designs", "truth"]
    assert execute(COMPARE, words) == 2
    error = capsys.readouterr().err.strip()
    assert "\n" not in error
    assert "'true_pm25' is missing, expected a wholly simulated city" in error
