"""Where it is dirtier than the city's mean: observed and predicted."""

from __future__ import annotations

import math

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure, SubFigure

from model_utils.evaluation.spatial import station_table
from model_utils.figures.style import QUIET, SMALL, label, mark_simulated, new_figure, usual_range


def draw_station_map(predictions: pd.DataFrame, training_stations: pd.DataFrame, simulated: str = "no") -> Figure:
    """Draws each station's anomaly from the same-day mean at its place, on one colour scale.

    Args:
        predictions: As for `evaluate`, with site_name, latitude, longitude.
        training_stations: latitude, longitude (repeated rows do no harm).
        simulated: Which part of the data is simulated, as `archive.json` says it.
    """
    figure = new_figure(7.5, 4.4, layout="compressed")
    figure.suptitle("Test stations against the same-day city mean", fontsize=11)
    panels = figure.subplots(1, 2, sharex=True, sharey=True)
    draw_map_panels(figure, panels[0], panels[1], predictions, training_stations)
    panels[1].set_ylabel("")
    mark_simulated(figure, simulated)
    return figure


def draw_map_panels(
    figure: Figure | SubFigure, left: Axes, right: Axes, predictions: pd.DataFrame, training_stations: pd.DataFrame
) -> None:
    """Draws the observed panel, the predicted panel and their colour bar (a part of two figures)."""
    stations = station_table(predictions)
    anomalies = stations[["observed_anomaly", "predicted_anomaly"]]
    low, high = usual_range(anomalies) if anomalies.notna().to_numpy().any() else (-1.0, 1.0)
    limit = max(abs(low), abs(high))
    beyond = bool((anomalies.abs() > limit).to_numpy().any())
    scale = Normalize(-limit, limit)
    training = training_stations[["longitude", "latitude"]].drop_duplicates()
    points: PathCollection
    for axes, name in ((left, "observed"), (right, "predicted")):
        axes.scatter(training["longitude"], training["latitude"], s=14, marker="x", color=QUIET, linewidths=0.8)
        points = axes.scatter(
            stations["longitude"],
            stations["latitude"],
            c=stations[f"{name}_anomaly"],
            s=55,
            cmap="RdBu_r",
            norm=scale,
            edgecolors="#333333",
            linewidths=0.6,
        )
        axes.set_aspect(1 / math.cos(math.radians(stations["latitude"].mean())))  # km east look like km north
        label(axes, name, "longitude (°E)", "latitude (°N)")
    bar = figure.colorbar(points, ax=[left, right], shrink=0.8, extend="both" if beyond else "neither")
    bar.set_label("difference from same-day\ncity mean, PM2.5 (µg/m³)", fontsize=9)
    bar.ax.tick_params(labelsize=SMALL)
    if len(training):
        left.annotate("x  training station", (0, -0.2), xycoords="axes fraction", fontsize=SMALL, color="#666666")
