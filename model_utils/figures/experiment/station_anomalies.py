"""Station anomalies from the same-day mean, the headline comparison."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from model_utils.evaluation.spatial import station_table
from model_utils.figures.style import (
    PM25,
    PREDICTED,
    QUIET,
    SMALL,
    identity_line,
    label,
    mark_simulated,
    new_figure,
    note,
    score,
    usual_range,
)

ANOMALIES = ["observed_anomaly", "predicted_anomaly"]


def draw_station_anomalies(predictions: pd.DataFrame, statistics: Mapping[str, Any], simulated: str = "no") -> Figure:
    """Draws how much dirtier than the same day's city mean each station is: predicted against observed.

    Args:
        predictions: As for `evaluate`, with site_name, latitude, longitude.
        statistics: What `evaluate` says of these rows.
        simulated: Which part of the data is simulated, as `archive.json` says it.
    """
    stations = station_table(predictions).dropna(subset=ANOMALIES)
    figure = new_figure(4.6, 4.6)
    axes = figure.subplots()
    draw_anomalies(axes, stations, stations[ANOMALIES])
    note(axes, f"spatial r {score(statistics['spatial_r'], statistics['spatial_r_ci95'])}")
    label(
        axes,
        "Stations against the same-day city mean",
        f"observed difference in {PM25}",
        f"predicted difference in {PM25}",
    )
    mark_simulated(figure, simulated)
    return figure


def draw_anomalies(
    axes: Axes,
    stations: pd.DataFrame,
    shown: pd.DataFrame,
    colour: str = PREDICTED,
) -> None:
    """Draws the anomalies of one set of predictions; an outlier is an arrow at the edge, with its two values.

    Args:
        axes: Where.
        stations: A row a station: `ANOMALIES`, ug/m3.
        shown: Values that the range of both axes holds, but for outliers.
        colour: Of the points.
    """
    low, high = usual_range(shown)
    identity_line(axes, shown.clip(low, high))
    axes.axhline(0, color=QUIET, linewidth=0.5)
    axes.axvline(0, color=QUIET, linewidth=0.5)
    values = stations[ANOMALIES].to_numpy(float)
    outside = ((values < low) | (values > high)).any(axis=1)
    axes.scatter(values[~outside, 0], values[~outside, 1], s=28, color=colour, zorder=3)
    for observed, predicted in values[outside]:
        marker = ">" if observed > high else "<" if observed < low else "^" if predicted > high else "v"
        x, y = np.clip((observed, predicted), low, high)
        axes.scatter(x, y, s=34, marker=marker, color=colour, edgecolors="#333333", linewidths=0.6, zorder=4)
        axes.annotate(
            f"({observed:.0f}, {predicted:.0f})",
            (x, y),
            xytext=(-6 if x > (low + high) / 2 else 6, -10 if y > (low + high) / 2 else 5),
            textcoords="offset points",
            ha="right" if x > (low + high) / 2 else "left",
            fontsize=SMALL,
        )
