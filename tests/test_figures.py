"""Figures hold the data they were given and are written whole."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from model_utils.evaluation.coverage import coverage_table
from model_utils.evaluation.spatial import station_table
from model_utils.evaluation.statistics import evaluate
from model_utils.figures.archive.contact_sheet import draw_contact_sheet
from model_utils.figures.demo_summary import draw_demo_summary
from model_utils.figures.experiment.coverage import draw_coverage
from model_utils.figures.experiment.learning_curve import draw_learning_curve
from model_utils.figures.experiment.predicted_observed import draw_predicted_observed
from model_utils.figures.experiment.pretraining_curves import draw_pretraining_curves
from model_utils.figures.experiment.station_anomalies import ANOMALIES, draw_station_anomalies
from model_utils.figures.experiment.station_map import draw_station_map
from model_utils.figures.experiment.station_means import draw_station_means
from model_utils.figures.experiment.time_series import draw_time_series
from model_utils.figures.saving import save_figure
from model_utils.figures.style import OBSERVED, PREDICTED, usual_range

HISTORY = pd.DataFrame({"epoch": [0, 1, 2], "train_loss": [1.0, 0.5, 0.3], "validation_loss": [1.1, 0.7, 0.8]})
METRICS = pd.DataFrame(
    {
        "epoch": [0, 1, 2],
        "loss": [5.0, 4.0, 3.5],
        "feature_std": [0.03, 0.04, 0.041],
        "effective_rank": [10.0, 15.0, 18.0],
        "probe_ridge_r": [0.1, np.nan, 0.3],
    }
)
TRAINING = pd.DataFrame({"latitude": [28.5, 28.7, 28.5], "longitude": [77.0, 77.3, 77.0]})


def predict(stations: int = 6, days: int = 30) -> pd.DataFrame:
    random = np.random.default_rng(0)
    station, day = np.nonzero(random.random((stations, days)) < 0.8)
    offset, place = random.normal(0, 20, stations), random.random((2, stations))
    observed = 100 + 40 * np.sin(day / 5) + offset[station] + random.normal(0, 10, len(day))
    predicted = observed + random.normal(0, 15, len(day))
    predicted[:3] = np.nan
    return pd.DataFrame(
        {
            "site_id": [f"s{number}" for number in station],
            "site_name": [f"Name_{number}" for number in station],
            "latitude": 28.4 + 0.4 * place[0][station],
            "longitude": 77.0 + 0.4 * place[1][station],
            "local_date": pd.Timestamp("2019-01-01") + pd.to_timedelta(day, "D"),
            "observed": observed,
            "predicted": predicted,
            "lower": predicted - 20,
            "upper": predicted + 20,
        }
    ).sample(frac=1, random_state=0)


ROWS = predict()
STATISTICS = evaluate(ROWS, draws=50)
TILES = np.random.default_rng(0).integers(0, 255, (5, 8, 8, 4), dtype=np.uint8)


def summary() -> Figure:
    methods = {
        "SimCLR_regular": STATISTICS | {"uses_same_day_readings": False},
        "same_day_mean": STATISTICS | {"spatial_r": None, "spatial_r_ci95": None, "uses_same_day_readings": True},
        "inverse_distance": STATISTICS | {"spatial_r": 0.25, "uses_same_day_readings": True},
    }
    return draw_demo_summary("Delhi", TILES, [20, 50, 80, 200, 400.4], ROWS, TRAINING, methods)


FIGURES = {
    "learning_curve": lambda simulated: draw_learning_curve(HISTORY, 1, simulated),
    "predicted_observed": lambda simulated: draw_predicted_observed(ROWS, STATISTICS, simulated),
    "station_means": lambda simulated: draw_station_means(ROWS, STATISTICS, simulated),
    "station_anomalies": lambda simulated: draw_station_anomalies(ROWS, STATISTICS, simulated),
    "station_map": lambda simulated: draw_station_map(ROWS, TRAINING, simulated),
    "time_series": lambda simulated: draw_time_series(ROWS, simulated),
    "pretraining_curves": lambda simulated: draw_pretraining_curves(METRICS, 512, simulated),
    "coverage": lambda simulated: draw_coverage({"one": coverage_table(ROWS)}, 0.9, simulated),
    "contact_sheet": lambda simulated: draw_contact_sheet(TILES, list("abcde"), 3, simulated),
}


def offsets(axes: Axes, index: int = 0) -> np.ndarray[Any, Any]:
    """The points of a scatter, in the order they were given."""
    return np.asarray(axes.collections[index].get_offsets())


def texts(figure: Figure) -> str:
    return "\n".join(item.get_text() for item in figure.findobj() if hasattr(item, "get_text"))


def anomalies(column: str) -> pd.Series:
    rows = ROWS.dropna(subset="predicted")
    rows = rows[rows.groupby("local_date")["site_id"].transform("size") >= 3]
    return (rows[column] - rows.groupby("local_date")[column].transform("mean")).groupby(rows["site_id"]).mean()


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_is_written_and_says_which_part_is_simulated(name: str, tmp_path: Path) -> None:
    assert "simulated city" in texts(FIGURES[name]("all"))
    said = texts(FIGURES[name]("haze"))
    assert "simulated haze over a real surface; real readings" in said
    assert "simulated city" not in said
    assert "simulated: clouds, from $1 to $2" in texts(FIGURES[name]("clouds, from $1 to $2")).replace("\\", "")
    assert "simulated" not in texts(FIGURES[name]("no"))
    figure = FIGURES[name]("all")
    paths = save_figure(figure, tmp_path / "figures", name)
    assert sorted(path.name for path in (tmp_path / "figures").iterdir()) == [f"{name}.pdf", f"{name}.png"]
    png, pdf = (path.read_bytes() for path in paths)
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = (int.from_bytes(png[start : start + 4], "big") for start in (16, 20))
    assert (width, height) == tuple((figure.get_size_inches() * 150).astype(int))
    assert pdf[:5] == b"%PDF-"
    assert pdf.rstrip().endswith(b"%%EOF")


def test_a_pdf_is_the_same_bytes_when_drawn_again(tmp_path: Path) -> None:
    first, second = (save_figure(draw_station_map(ROWS, TRAINING), tmp_path / folder, "map")[1] for folder in "ab")
    assert first.read_bytes() == second.read_bytes()
    assert b"CreationDate" not in first.read_bytes()


def test_a_failed_save_leaves_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "map.png").write_bytes(b"old")
    broken = draw_learning_curve(HISTORY, 1)
    broken.axes[0].set_title("$unbalanced_{$")  # fails only when drawn
    with pytest.raises(ValueError, match="unbalanced"):
        save_figure(broken, tmp_path, "map")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("map.png", b"old")]


def test_nothing_is_left_in_pyplot() -> None:
    from matplotlib import pyplot as plt

    for draw in FIGURES.values():
        draw("no")
    assert plt.get_fignums() == []


def test_learning_curve_shows_both_losses_and_the_epoch_kept() -> None:
    kept, train, validation = draw_learning_curve(HISTORY, 1).axes[0].lines
    assert list(kept.get_xdata()) == [1, 1]
    assert list(train.get_ydata()) == [1.0, 0.5, 0.3]
    assert list(validation.get_ydata()) == [1.1, 0.7, 0.8]


def test_names_from_outside_are_drawn_as_they_are_or_by_their_id(tmp_path: Path) -> None:
    rows = ROWS.assign(
        site_name=ROWS["site_name"].replace({"Name_0": "five $_{ $", "Name_1": "\u4e07\u5bff\u897f\u5bab"})
    )
    figure = draw_station_means(rows, STATISTICS)
    save_figure(figure, tmp_path, "means")  # a formula would not parse, a missing glyph would warn
    assert r"five \$ { \$" in texts(figure)
    assert "s1" in texts(figure).split("\n")
    draw_time_series(rows.assign(site_name="\u4e07$_{$"))


def test_density_counts_every_pair_once() -> None:
    figure = draw_predicted_observed(ROWS, STATISTICS)
    counts = figure.axes[0].collections[0].get_array()
    assert counts.sum() == STATISTICS["n_samples"] == len(ROWS) - 3
    assert f"RMSE {STATISTICS['rmse']:.1f} µg/m³\nNRMSE {STATISTICS['nrmse']:.0%}" in texts(figure)
    assert figure.axes[0].get_xlim() == figure.axes[0].get_ylim()


def test_station_means_are_raw_means_with_names_where_few() -> None:
    figure = draw_station_means(ROWS, STATISTICS)
    means = ROWS.dropna(subset="predicted").groupby("site_id")[["observed", "predicted"]].mean()
    assert offsets(figure.axes[0]) == pytest.approx(means.to_numpy())
    for annotation in (item for item in figure.axes[0].texts if item.get_text().startswith("Name ")):
        x, y = annotation.xy
        site = "s" + annotation.get_text().removeprefix("Name ")
        assert (x, y) == pytest.approx(tuple(means.loc[site]))
    assert "Name 3" in texts(figure)
    many = predict(stations=20)
    assert "Name 3" not in texts(draw_station_means(many, evaluate(many, draws=10)))


def test_station_anomalies_are_those_of_the_headline() -> None:
    figure = draw_station_anomalies(ROWS, STATISTICS)
    points = offsets(figure.axes[0])
    assert points == pytest.approx(np.column_stack([anomalies("observed"), anomalies("predicted")]), abs=1e-9)
    assert np.corrcoef(points.T)[0, 1] == pytest.approx(STATISTICS["spatial_r"])
    low, high = STATISTICS["spatial_r_ci95"]
    assert f"spatial r {STATISTICS['spatial_r']:.2f} [{low:.2f}, {high:.2f}]" in texts(figure)


def test_map_has_places_one_symmetric_scale_and_true_proportions() -> None:
    left, right = draw_station_map(ROWS, TRAINING).axes[:2]
    places = ROWS.groupby("site_id")[["longitude", "latitude"]].first()
    limit = max(anomalies("observed").abs().max(), anomalies("predicted").abs().max())
    for axes, column in ((left, "observed"), (right, "predicted")):
        assert len(offsets(axes)) == 2, "repeated rows of a training station are one mark"
        assert offsets(axes, 1) == pytest.approx(places.to_numpy())
        assert np.asarray(axes.collections[1].get_array()) == pytest.approx(anomalies(column).to_numpy(), abs=1e-9)
        assert axes.collections[1].get_clim() == pytest.approx((-limit, limit))
        assert axes.get_aspect() == pytest.approx(1 / math.cos(math.radians(places["latitude"].mean())))


def test_time_series_takes_the_median_station_and_leaves_gaps_in_the_band() -> None:
    rows = ROWS.assign(lower=ROWS["lower"].mask(ROWS["local_date"] == pd.Timestamp("2019-01-15")))
    counts = rows.dropna(subset="predicted").groupby("site_id").size()
    axes = draw_time_series(rows).axes[0]
    observed, predicted = axes.lines
    assert len(observed.get_xdata()) == sorted(counts)[2]
    (name,) = (f"s{n}" for n in range(6) if axes.get_title(loc="left").startswith(f"Name {n},"))
    station = rows[rows["site_id"] == name].dropna(subset="predicted").sort_values("local_date")
    assert list(observed.get_ydata()) == list(station["observed"])
    assert list(predicted.get_ydata()) == list(station["predicted"])
    assert len(axes.collections[0].get_paths()) == 2, "the band is in two pieces"
    bare = draw_time_series(rows.assign(lower=np.nan, upper=np.nan)).axes[0]
    assert not bare.collections
    assert len(bare.get_legend().get_texts()) == 2


def test_pretraining_curves_show_what_was_measured_and_the_ideal_spread() -> None:
    loss, spread, rank, probe = draw_pretraining_curves(METRICS, 400).axes
    assert list(loss.lines[0].get_ydata()) == [5.0, 4.0, 3.5]
    assert list(spread.lines[0].get_ydata()) == [0.03, 0.04, 0.041]
    assert list(spread.lines[1].get_ydata()) == pytest.approx([0.05, 0.05])
    assert spread.get_ylim()[1] > 0.05
    assert list(rank.lines[0].get_ydata()) == [10, 15, 18]
    assert list(probe.lines[0].get_xdata()) == [0, 2]
    assert [text.get_text() for text in probe.get_legend().get_texts()] == ["ridge"]
    bare = draw_pretraining_curves(METRICS[["epoch", "loss"]], 400).axes
    assert ["not measured" in [text.get_text() for text in axes.texts] for axes in bare] == [False, True, True, True]


def test_contact_sheet_shows_the_first_three_bands_or_grey() -> None:
    axes = draw_contact_sheet(TILES, list("abcde"), 3).axes
    assert len(axes) == 6
    assert [panel.get_title() for panel in axes] == [*"abcde", ""]
    for panel, tile in zip(axes, TILES, strict=False):
        assert np.array_equal(panel.images[0].get_array(), tile[..., :3])
    grey = draw_contact_sheet(TILES[:1, ..., :1], ["a"], 1).axes[0].images[0]
    assert np.array_equal(grey.get_array(), TILES[0, ..., 0])
    assert grey.get_clim() == (0, 255)


def test_coverage_shows_every_group_of_every_method_in_its_row() -> None:
    rows = ROWS.assign(local_date=ROWS["local_date"] + pd.to_timedelta(9 * np.arange(len(ROWS)), "D"))
    tables = {"wide": coverage_table(rows), "none": coverage_table(rows.assign(lower=np.nan))}
    stations, seasons, levels, widths = draw_coverage(tables, 0.8).axes
    assert [text.get_text() for text in stations.get_yticklabels()] == ["wide", "none"]
    for axes, kind, value in (
        (stations, "station", "coverage"),
        (seasons, "season", "coverage"),
        (levels, "level", "coverage"),
        (widths, "level", "width"),
    ):
        shown = [
            (x, y)
            for line in axes.lines
            if line.get_marker() not in ("None", "o" if kind == "station" else "")
            for x, y in zip(np.atleast_1d(line.get_xdata()), np.atleast_1d(line.get_ydata()), strict=True)
        ]
        expected = tables["wide"].loc[tables["wide"]["kind"] == kind, value]
        assert sorted(shown) == [(pytest.approx(number), 0) for number in sorted(expected)]
    (whole,) = (line for line in stations.lines if line.get_marker() == "o")
    scored = rows.dropna(subset=["predicted"])
    assert whole.get_xdata()[0] == pytest.approx(scored["observed"].between(scored["lower"], scored["upper"]).mean())
    assert [line.get_xdata() for line in seasons.lines if line.get_linestyle() == "--"] == [[0.8, 0.8]]


def test_demo_summary_says_simulated_and_ranks_methods(tmp_path: Path) -> None:
    figure = summary()
    save_figure(figure, tmp_path, "demo_summary")
    assert "Delhi, simulated" in texts(figure)
    titles = [axes.get_title() for axes in figure.axes]
    assert titles[:6] == ["20", "50", "80", "200", "400", ""]
    axes = next(axes for axes in figure.axes if "Spatial skill" in axes.get_title(loc="left"))
    assert [text.get_text() for text in axes.get_yticklabels()] == [
        "SimCLR regular",
        "same day mean",
        "inverse distance",
    ]
    points = {line.get_ydata()[0]: line for line in axes.lines if line.get_marker() == "o"}
    assert {row: line.get_xdata()[0] for row, line in points.items()} == {0: STATISTICS["spatial_r"], 2: 0.25}
    assert points[0].get_markerfacecolor() == PREDICTED
    assert points[2].get_markerfacecolor() == "white"
    assert to_hex(points[2].get_color()) == OBSERVED
    assert "not defined" in texts(figure)


def test_two_stations_have_no_anomalies_and_still_draw(tmp_path: Path) -> None:
    rows = predict(stations=2)
    statistics = evaluate(rows, draws=10)
    save_figure(draw_station_map(rows, TRAINING), tmp_path, "map")
    save_figure(draw_station_means(rows, statistics), tmp_path, "means")
    figure = draw_station_anomalies(rows, statistics)
    save_figure(figure, tmp_path, "anomalies")
    assert "spatial r not defined" in texts(figure)


def with_an_outlier(shift: float) -> pd.DataFrame:
    """Twenty stations of which one reads far more than all others."""
    rows = predict(stations=20)
    return rows.assign(observed=rows["observed"] + np.where(rows["site_id"] == rows["site_id"].iloc[0], shift, 0.0))


def test_an_outlying_station_is_an_arrow_and_squeezes_nothing() -> None:
    rows = with_an_outlier(2000.0)
    stations = station_table(rows)
    far = stations["observed_anomaly"] > 1000
    axes = draw_station_anomalies(rows, evaluate(rows, draws=10)).axes[0]
    assert axes.get_xlim()[1] < 500 < stations["observed_anomaly"].max()
    assert offsets(axes) == pytest.approx(stations.loc[~far, list(ANOMALIES)].to_numpy(), abs=1e-9)
    (arrow,) = offsets(axes, 1)
    assert arrow[0] == pytest.approx(stations.loc[~far, list(ANOMALIES)].max().max())
    observed, predicted = stations.loc[far, list(ANOMALIES)].iloc[0]
    assert f"({observed:.0f}, {predicted:.0f})" in texts(axes.figure)
    left, right = draw_station_map(rows, TRAINING).axes[:2]
    assert left.collections[1].get_clim()[1] == right.collections[1].get_clim()[1] < 500


def test_without_an_outlier_every_station_is_a_point() -> None:
    for rows in (with_an_outlier(0.0), ROWS):
        axes = draw_station_anomalies(rows, evaluate(rows, draws=10)).axes[0]
        assert len(axes.collections) == 1
        assert len(offsets(axes)) == rows["site_id"].nunique()


def test_usual_range_leaves_out_few_or_nothing() -> None:
    narrow = pd.DataFrame({"a": np.linspace(0, 1, 20), "b": 0.0})
    assert usual_range(narrow) == (0, 1)
    assert usual_range(pd.concat([narrow, pd.DataFrame({"a": [99.0], "b": [0.0]})])) == (0, 1)
    half = pd.DataFrame({"a": np.r_[np.zeros(12), np.full(8, 50.0)]})  # two groups are no outliers
    assert usual_range(half) == (0, 50)
    assert usual_range(pd.DataFrame({"a": [0.0, 0.1, 99.0]})) == (0, 99)
    assert usual_range(pd.DataFrame({"a": [np.nan]})) == (0, 1)


def test_the_map_names_training_stations_only_where_it_draws_some() -> None:
    assert "training station" in texts(draw_station_map(ROWS, TRAINING))
    assert "training station" not in texts(draw_station_map(ROWS, TRAINING.iloc[:0]))


def test_the_bar_of_the_density_reads_whole_numbers() -> None:
    figure = draw_predicted_observed(pd.concat([ROWS] * 4), STATISTICS)
    figure.draw_without_rendering()
    ticks = [tick.get_text() for tick in figure.axes[1].get_yticklabels()]
    assert ticks
    assert all(text.isdigit() for text in ticks)
