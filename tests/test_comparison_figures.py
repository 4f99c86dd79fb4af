"""The figures of a comparison hold the numbers of its tables."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Text

from model_utils.estimators.references.catalogue import REFERENCES
from model_utils.evaluation.words import FAMILIES
from model_utils.figures.comparison.anomaly_panels import draw_anomaly_panels
from model_utils.figures.comparison.differences import draw_differences
from model_utils.figures.comparison.label_efficiency import columns_of_panels, count_names, draw_label_efficiency
from model_utils.figures.comparison.method_scores import draw_method_scores
from model_utils.figures.methods import STARTS, method_colour, method_marker

METHODS = {
    "same_day_mean": ("reference", True),
    "latitude_longitude": ("reference", False),
    "SimCLR_spatiotemporal": ("start", False),
    "SimCLR_regular": ("start", False),
    "SimCLR_spatiotemporal+kriging": ("field", True),
    "joint_SimCLR_spatiotemporal": ("joint", False),
    "ceiling_true_land_use": ("ceiling", False),
}
COUNTS = (1, 5, 24)


def comparison() -> pd.DataFrame:
    """Every method in two designs; the same-day mean has no spatial r, and one method was skipped."""
    random = np.random.default_rng(0)
    rows: list[dict[str, Any]] = []
    for design, counts in (("label_efficiency", COUNTS), ("hold_out", (24,))):
        for method, (family, same_day) in METHODS.items():
            for stations in counts:
                row: dict[str, Any] = {"design": design, "stations": stations, "method": method, "family": family}
                row["uses_same_day_readings"] = same_day
                for key in ("spatial_r", "temporal_r", "nrmse"):
                    value = np.nan if (method, key) == ("same_day_mean", "spatial_r") else random.uniform(-0.3, 0.8)
                    row |= {key: value, f"{key}_low": value - 0.2, f"{key}_high": value + 0.1}
                rows.append(row)
        rows.append({"design": design, "method": "imagenet", "family": "start", "skipped": "no file"})
    return pd.DataFrame(rows).astype({"stations": "Int64"})


TABLE = comparison()


def differences() -> pd.DataFrame:
    columns = ["method", "against", "difference", "low", "high", "p_adjusted"]
    rows = [
        ("SimCLR_spatiotemporal", "random_frozen", 0.3, 0.1, 0.5, 0.01),
        ("SimCLR_regular", "random_frozen", -0.1, -0.4, 0.2, 0.4),
        ("SimCLR_regular", "latitude_longitude", np.nan, np.nan, np.nan, np.nan),
    ]
    table = pd.DataFrame(rows, columns=columns)
    other = table.assign(key="rmse", difference=7.0)
    return pd.concat([table.assign(key="spatial_r"), other]).assign(design="hold_out", stations=24, runs=3)


def texts(figure: Figure) -> list[str]:
    return [item.get_text() for item in figure.findobj() if hasattr(item, "get_text")]


def named(figure: Figure, method: str) -> bool:
    name = " ".join(method.replace("_", " ").replace("+", " + ").split())
    return any(name in " ".join(text.split()) for text in texts(figure))


def curve(axes: Axes, method: str) -> Any:
    return next(line for line in axes.lines if line.get_label() == method)


def values(method: str, key: str) -> np.ndarray[Any, Any]:
    rows = TABLE[(TABLE["design"] == "label_efficiency") & (TABLE["method"] == method)]
    return rows.sort_values("stations")[key].to_numpy(float)


def panels_of(figure: Figure) -> dict[str, Axes]:
    return {" ".join(axes.get_title(loc="left").split()): axes for axes in figure.axes if axes.get_title(loc="left")}


def legend_of(figure: Figure) -> list[str]:
    return [" ".join(text.get_text().split()) for text in figure.legends[0].get_texts()]


def test_label_efficiency_draws_every_value_and_names_every_method() -> None:
    figure = draw_label_efficiency(TABLE.sample(frac=1, random_state=0))
    panels = panels_of(figure)
    learnt = [name for name, (family, _) in METHODS.items() if family not in ("reference", "ceiling")]
    assert sorted(panels) == sorted(name.replace("_", " ").replace("+", " + ") for name in learnt)
    for panel in learnt:
        axes = panels[panel.replace("_", " ").replace("+", " + ")]
        shown = ["latitude_longitude", "ceiling_true_land_use", panel]
        assert [line.get_label() for line in axes.lines if len(line.get_xdata()) == len(COUNTS)] == shown
        for method in shown:
            line = curve(axes, method)
            assert list(line.get_xdata()) == list(COUNTS)
            assert list(line.get_ydata()) == pytest.approx(values(method, "spatial_r"))
            assert to_hex(line.get_color()) == method_colour(method)
        assert axes.get_ylim() == figure.axes[0].get_ylim()
    headings = [text for text in texts(figure) if text in FAMILIES.values()]
    assert sorted(headings) == ["image encoders", "joint with weather", "same-day field plus image"]
    assert " ".join(figure.legends[0].get_title().get_text().split()).endswith("Not defined: same day mean.")
    assert all(named(figure, method) for method in METHODS)
    assert not named(figure, "imagenet")
    assert [tick.get_text() for tick in figure.axes[0].get_xticklabels()] == ["1", "5", "24\n(all)"]


def test_label_efficiency_has_bands_of_the_learnt_and_dashes_for_same_day_readings() -> None:
    table = TABLE[TABLE["method"] != "same_day_mean"].replace({"method": {"latitude_longitude": "inverse_distance"}})
    table.loc[table["method"] == "inverse_distance", "uses_same_day_readings"] = True
    panels = panels_of(draw_label_efficiency(table))
    for method in ("SimCLR_spatiotemporal", "SimCLR_regular", "joint_SimCLR_spatiotemporal"):
        axes = panels[method.replace("_", " ")]
        assert curve(axes, "inverse_distance").get_linestyle() == "--"
        assert curve(axes, "ceiling_true_land_use").get_linestyle() == "-"
        (band,) = axes.collections
        low, high = (values(method, f"spatial_r_{side}") for side in ("low", "high"))
        assert set(np.round([*low, *high], 9)) <= set(np.round(band.get_paths()[0].vertices[:, 1], 9))
        assert to_hex(band.get_facecolor()[0]) == method_colour(method)
        assert curve(axes, method).get_markerfacecolor() == method_colour(method)
    combined = "SimCLR_spatiotemporal+kriging"
    assert curve(panels["SimCLR spatiotemporal + kriging"], combined).get_markerfacecolor() == "white"


def test_label_efficiency_has_the_untrained_encoder_behind_every_other_panel() -> None:
    figure = draw_label_efficiency(TABLE.replace({"method": {"SimCLR_regular": "random_frozen"}}))
    panels = panels_of(figure)
    own = curve(panels.pop("random frozen"), "random_frozen")
    assert (to_hex(own.get_color()), own.get_marker()) == (method_colour("random_frozen"), "o")
    assert len(panels) == 3
    for axes in panels.values():
        line = curve(axes, "random_frozen")
        assert list(line.get_ydata()) == pytest.approx(list(own.get_ydata()))
        assert (line.get_marker(), to_hex(line.get_color())) == ("None", "#222222")
        assert len(axes.collections) == 1, "no band but the method's own"
    assert legend_of(figure)[0] == "random frozen: untrained encoder"
    assert not any("untrained" in text for text in legend_of(draw_label_efficiency(TABLE)))


SCORED_REFERENCES = {
    "ordinary_kriging": ("reference", True, (0.1, 0.5)),
    "inverse_distance": ("reference", True, (0.6, 0.3)),
    "latitude_longitude": ("reference", False, (0.2, 0.2)),
    "weather_ridge": ("reference", False, (0.9, 0.1)),
    "ceiling_true_both": ("ceiling", False, (0.8, 0.95)),
    "ceiling_true_land_use": ("ceiling", False, (0.9, 0.7)),
}


@pytest.mark.parametrize(
    ("key", "best", "others"),
    [
        (
            "spatial_r",
            ("ordinary kriging", "latitude longitude", "ceiling true both"),
            "inverse distance, weather ridge",
        ),
        (
            "rmse",
            ("inverse distance", "weather ridge", "ceiling true land use"),
            "ordinary kriging, latitude longitude",
        ),
    ],
)
def test_label_efficiency_names_the_best_references_with_all_stations(
    key: str, best: tuple[str, ...], others: str
) -> None:
    rows = [
        {"method": method, "family": family, "uses_same_day_readings": same_day, "stations": stations, key: value}
        for method, (family, same_day, scores) in {**SCORED_REFERENCES, "joint": ("joint", False, (0.0, 0.0))}.items()
        for stations, value in zip((5, 24), scores, strict=True)
    ]
    figure = draw_label_efficiency(pd.DataFrame(rows).assign(design="label_efficiency"), key)
    same_day, without, ceiling, faint = legend_of(figure)
    assert same_day == f"{best[0]}: best reference with same-day readings"
    assert without == f"{best[1]}: best reference without same-day readings"
    assert ceiling == f"{best[2]}: best ceiling"
    assert faint.startswith(f"others: {others}, ceiling true")
    (axes,) = panels_of(figure).values()
    drawn = [line.get_label().replace("_", " ") for line in axes.lines if line.get_color() == "#d0d0d0"]
    assert faint == f"others: {', '.join(drawn)}"


def test_label_efficiency_names_a_learnt_method_without_any_value() -> None:
    table = TABLE.copy()
    table.loc[table["method"] == "SimCLR_regular", "spatial_r"] = np.nan
    panels = panels_of(draw_label_efficiency(table))
    axes = panels["SimCLR regular: not defined"]
    assert [line.get_label() for line in axes.lines[:2]] == ["latitude_longitude", "ceiling_true_land_use"]
    assert not axes.collections
    assert sum("not defined" in title for title in panels) == 1


@pytest.mark.parametrize("sizes", [(1,), (3,), (6, 6), (6, 2), (9, 18, 3)], ids=str)
def test_label_efficiency_is_legible_with_few_and_with_many_methods(sizes: tuple[int, ...]) -> None:
    names = [f"SimSiam_spatiotemporal+inverse_distance{number}" for number in range(sum(sizes))]
    families = np.repeat(["start", "field", "joint"][: len(sizes)], sizes)
    members = [(name, "reference") for name in REFERENCES] + list(zip(names, families, strict=True))
    one = TABLE[TABLE["method"] == "SimCLR_regular"]
    figure = draw_label_efficiency(pd.concat([one.assign(method=name, family=family) for name, family in members]))
    figure.draw_without_rendering()
    panels = panels_of(figure).values()
    assert len(panels) == sum(sizes)
    assert figure.get_size_inches()[0] <= 8
    said = [text for text in figure.findobj(Text) if text.get_text()]
    assert min(text.get_fontsize() for text in said) >= 7
    titles = {axes.get_title(loc="left") for axes in panels}
    boxes = [text.get_window_extent() for text in said if text.get_text() in titles | set(FAMILIES.values())]
    boxes += [box.get_window_extent() for box in (*panels, *figure.legends)]
    assert len(boxes) == 2 * sum(sizes) + len(sizes) + 1
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
    assert all(figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1 for box in boxes)
    assert np.ptp([axes.get_window_extent().width for axes in panels]) < 2, "columns are as wide in every family"


@pytest.mark.parametrize(
    ("sizes", "columns"), [((1,), 1), ((3,), 3), ((6, 6), 6), ((7, 9), 5), ((7,), 4), ((9, 18, 3), 6), ((1, 1), 1)]
)
def test_panels_take_few_lines_and_no_needless_column(sizes: tuple[int, ...], columns: int) -> None:
    assert columns_of_panels(sizes) == columns


def test_counts_are_named_where_there_is_room_and_the_last_always() -> None:
    assert count_names([1, 5, 10, 15, 20, 24]) == ["1", "5", "10", "15", "20", "24\n(all)"]
    assert count_names([1, 5, 10, 15, 16]) == ["1", "5", "10", "", "16\n(all)"]
    assert count_names([1, 2, 3, 24]) == ["", "", "3", "24\n(all)"]
    assert count_names([24]) == ["24\n(all)"]
    assert count_names([]) == []


def test_forest_plot_draws_each_difference_filled_where_real() -> None:
    figure = draw_differences(differences(), "hold_out")
    axes = figure.axes[0]
    rows = [label.get_text() for label in axes.get_yticklabels()]
    assert rows == [
        "against random frozen",
        "SimCLR spatiotemporal",
        "SimCLR regular",
        "against latitude longitude",
        "SimCLR regular",
    ]
    points = {line.get_ydata()[0]: line for line in axes.lines if line.get_marker() == "o"}
    assert {row: line.get_xdata()[0] for row, line in points.items()} == {1: 0.3, 2: -0.1}
    assert points[1].get_markerfacecolor() == method_colour("SimCLR_spatiotemporal")
    assert points[2].get_markerfacecolor() == "white"
    intervals = [list(line.get_xdata()) for line in axes.lines if line.get_linewidth() == 1.6]
    assert intervals == [[0.1, 0.5], [-0.4, 0.2]]
    assert [item.get_text() for item in axes.texts] == ["+0.30 [+0.10, +0.50]", "-0.10 [-0.40, +0.20]", "-"]
    low, high = axes.get_xlim()
    assert low == -high < -0.5


def test_forest_plot_says_which_side_is_better_and_grows() -> None:
    assert "right: the named method is better" in draw_differences(differences(), "hold_out").axes[0].get_xlabel()
    errors = draw_differences(differences(), "hold_out", "rmse")
    assert "left: the named method is better" in errors.axes[0].get_xlabel()
    many = pd.concat([differences()] * 20)
    assert draw_differences(many, "hold_out").get_size_inches()[1] > errors.get_size_inches()[1] + 8
    by_count = pd.concat([differences(), differences().assign(stations=1)])
    assert "against random frozen, 1 training station" in texts(draw_differences(by_count, "hold_out"))


@pytest.mark.parametrize(
    "empty",
    [differences().iloc[:0], pd.DataFrame(), differences().assign(design="folds")],
    ids=["no row", "no column", "other design"],
)
def test_forest_plot_of_nothing_says_so(empty: pd.DataFrame) -> None:
    figure = draw_differences(empty, "hold_out")
    figure.draw_without_rendering()
    assert "no difference was tested" in texts(figure)


def test_scores_side_by_side_hold_the_table() -> None:
    figure = draw_method_scores(TABLE, "hold_out")
    rows = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert rows[-2:] == ["ceilings", "ceiling true land use"]
    assert "imagenet" not in rows
    table = TABLE[(TABLE["design"] == "hold_out") & TABLE["stations"].notna()].set_index("method")
    heights = {method: rows.index(method.replace("_", " ").replace("+", " + ")) for method in METHODS}
    for axes, key in zip(figure.axes, ("spatial_r", "temporal_r", "nrmse"), strict=True):
        points = {line.get_ydata()[0]: line for line in axes.lines if line.get_marker() == "o"}
        drawn = {line.get_ydata()[0]: list(line.get_xdata()) for line in axes.lines if line.get_linewidth() == 1.6}
        defined = [method for method in METHODS if np.isfinite(table.loc[method, key])]
        assert len(points) == len(defined)
        for method in defined:
            row = table.loc[method]
            point = points[heights[method]]
            assert point.get_xdata()[0] == row[key]
            assert (point.get_markerfacecolor() == "white") == METHODS[method][1]
            assert drawn[heights[method]] == [row[f"{key}_low"], row[f"{key}_high"]]
    (missing,) = figure.axes[0].texts
    assert (missing.get_text(), missing.get_position()[1]) == ("not defined", heights["same_day_mean"])


def test_scores_of_label_efficiency_are_those_with_most_stations() -> None:
    axes = draw_method_scores(TABLE, "label_efficiency").axes[0]
    drawn = sorted(line.get_xdata()[0] for line in axes.lines if line.get_marker() == "o")
    last = TABLE[(TABLE["design"] == "label_efficiency") & (TABLE["stations"] == 24)]["spatial_r"].dropna()
    assert drawn == sorted(last)


def predictions(seed: int) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    station, day = np.divmod(np.arange(5 * 8), 8)
    observed = random.normal(100, 30, len(day))
    return pd.DataFrame(
        {
            "site_id": [f"s{number}" for number in station],
            "site_name": "x",
            "latitude": 28.0,
            "longitude": 77.0,
            "local_date": pd.Timestamp("2019-01-01") + pd.to_timedelta(day, "D"),
            "observed": observed,
            "predicted": observed + random.normal(0, 20, len(day)),
        }
    )


def test_anomaly_panels_hold_each_methods_stations_on_common_axes() -> None:
    methods = {name: predictions(number) for number, name in enumerate(METHODS)}
    scores: dict[str, Any] = {name: {"spatial_r": 0.1, "spatial_r_ci95": [-0.2, 0.4]} for name in methods}
    scores["same_day_mean"] = {"spatial_r": None, "spatial_r_ci95": None}
    figure = draw_anomaly_panels(methods, scores)
    panels = [axes for axes in figure.axes if axes.collections]
    assert len(panels) == len(methods)
    for axes, (method, rows) in zip(panels, methods.items(), strict=True):
        anomalies = rows[["observed", "predicted"]] - rows.groupby("local_date")[["observed", "predicted"]].transform(
            "mean"
        )
        points = np.asarray(axes.collections[0].get_offsets())
        assert points == pytest.approx(anomalies.groupby(rows["site_id"]).mean().to_numpy(), abs=1e-9)
        *name, said = axes.get_title(loc="left").split("\n")
        assert " ".join(name) == method.replace("_", " ").replace("+", " + ")
        assert said == "spatial r " + ("not defined" if method == "same_day_mean" else "0.10 [-0.20, 0.40]")
        assert axes.get_xlim() == axes.get_ylim() == panels[0].get_xlim()
        low, high = axes.get_xlim()
        assert low < points.min() < points.max() < high


def figures(table: pd.DataFrame, simulated: str) -> list[Figure]:
    rows = {"a_method": predictions(0), "says_nothing": predictions(0).assign(predicted=np.nan)}
    undefined = {name: {"spatial_r": None, "spatial_r_ci95": None} for name in rows}
    return [
        draw_label_efficiency(table, simulated=simulated),
        draw_method_scores(table, "hold_out", simulated),
        draw_differences(differences(), "hold_out", simulated=simulated),
        draw_anomaly_panels(rows, undefined, simulated),
    ]


SCORED = TABLE["stations"].notna()


@pytest.mark.parametrize(
    "table",
    [
        TABLE,
        TABLE[TABLE["method"] == "SimCLR_regular"],
        TABLE[TABLE["family"] == "reference"],
        TABLE.assign(**{name: np.nan for name in TABLE if str(name).startswith(("spatial", "temporal", "nrmse"))}),
        TABLE[~SCORED],
        TABLE.iloc[:0],
    ],
    ids=["all", "one method", "references only", "all undefined", "all skipped", "no row"],
)
def test_every_figure_is_laid_out_whatever_the_table_and_says_simulated(table: pd.DataFrame) -> None:
    for figure in figures(table, "all"):
        assert "simulated city" in texts(figure)
        figure.draw_without_rendering()
    assert all("simulated" not in "".join(texts(figure)) for figure in figures(table, "no"))


def test_a_method_looks_the_same_everywhere_and_starts_differ() -> None:
    assert len({method_colour(start) for start in STARTS}) == len(STARTS)
    for built in ("joint_{}", "cnn_rf_{}", "{}+mean", "{}+kriging"):
        assert [method_colour(built.format(start)) for start in STARTS] == list(STARTS.values())
    assert len({method_marker(f"imagenet{field}") for field in ("+mean", "+inverse_distance", "+kriging", "")}) == 4
    assert method_colour("unheard_of") == method_colour("unheard_of")
