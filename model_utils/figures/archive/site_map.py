"""Where the places are, and how dirty the air is at the stations."""

from __future__ import annotations

import math

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from model_utils.figures.style import QUIET, SMALL, label, mark_simulated, new_figure

KM_PER_DEGREE = 111.195  # of latitude, on a sphere of 6371 km


def draw_site_map(stations: pd.DataFrame, others: pd.DataFrame, title: str, simulated: str = "no") -> Figure:
    """Draws stations by their mean PM2.5, other places as faint dots, and a scale bar.

    Args:
        stations: latitude, longitude (WGS84 degrees), mean (PM2.5, ug/m3, NaN where there is no reading), split.
        others: latitude, longitude of places without a station.
        title: What is shown.
        simulated: Which part of the data is simulated.
    """
    figure = new_figure(7.0, 5.6, layout="compressed")
    axes = figure.subplots()
    places = pd.concat([stations, others])
    if len(others):
        axes.scatter(others["longitude"], others["latitude"], s=4, color="#c4c4c4", linewidths=0, label="other place")
    silent = stations[stations["mean"].isna()]
    read = stations.dropna(subset="mean")
    if len(silent):
        x, y = silent["longitude"], silent["latitude"]
        axes.scatter(x, y, s=26, facecolors="none", edgecolors=QUIET, label="station without a reading")
    for split, marker, name in (("train", "o", "training station"), ("test", "s", "held-out station")):
        shown = read[read["split"] == split]
        if len(shown):
            points = axes.scatter(
                shown["longitude"],
                shown["latitude"],
                c=shown["mean"],
                s=44,
                marker=marker,
                cmap="viridis_r",
                vmin=read["mean"].min(),
                vmax=read["mean"].max(),
                edgecolors="#222222",
                linewidths=0.7,
                label=name,
            )
    if len(read):
        bar = figure.colorbar(points, ax=axes, shrink=0.8)
        bar.set_label("mean PM2.5 over the days with a reading (µg/m³)", fontsize=9)
        bar.ax.tick_params(labelsize=SMALL)
    _frame(axes, places)
    label(axes, title, "longitude (°E)", "latitude (°N)")
    axes.ticklabel_format(useOffset=False)
    figure.legend(loc="outside lower left", ncols=2, fontsize=SMALL, frameon=False)
    mark_simulated(figure, simulated)
    return figure


def _frame(axes: Axes, places: pd.DataFrame) -> None:
    """Limits around the places, kilometres east as long as kilometres north, and a bar of a round length."""
    south, north = places["latitude"].min(), places["latitude"].max()
    west, east = places["longitude"].min(), places["longitude"].max()
    shrink = max(math.cos(math.radians((south + north) / 2)), 0.01)
    margin = max(0.06 * max(north - south, (east - west) * shrink), 0.005)
    axes.set(xlim=(west - margin / shrink, east + margin / shrink), ylim=(south - 2 * margin, north + margin))
    axes.set_aspect(1 / shrink)
    kilometres = _round_length((east - west + 2 * margin / shrink) * shrink * KM_PER_DEGREE / 4)
    start, height = west - 0.5 * margin / shrink, south - 1.5 * margin
    axes.plot([start, start + kilometres / (KM_PER_DEGREE * shrink)], [height, height], color="#222222", linewidth=2.5)
    axes.annotate(
        f"{kilometres:g} km", (start, height), (0, 4), textcoords="offset points", fontsize=SMALL, color="#222222"
    )


def _round_length(kilometres: float) -> float:
    """The largest of 1, 2, 5 times a power of ten that is not longer."""
    power = 10.0 ** math.floor(math.log10(kilometres))
    return next(factor * power for factor in (5, 2, 1) if factor * power <= kilometres * (1 + 1e-9))
