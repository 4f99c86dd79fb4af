"""Station anomalies from the same-day mean, the headline comparison."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from model_utils.evaluation.spatial import station_table
from model_utils.figures.style import (
    PM25,
    PREDICTED,
    QUIET,
    identity_line,
    label,
    mark_simulated,
    new_figure,
    note,
    score,
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
    """Draws the anomalies of one set of predictions.

    Args:
        axes: Where.
        stations: A row a station: `ANOMALIES`, ug/m3.
        shown: Values that the range of both axes holds.
        colour: Of the points.
    """
    identity_line(axes, shown)
    axes.axhline(0, color=QUIET, linewidth=0.5)
    axes.axvline(0, color=QUIET, linewidth=0.5)
    axes.scatter(stations["observed_anomaly"], stations["predicted_anomaly"], s=28, color=colour, zorder=3)
