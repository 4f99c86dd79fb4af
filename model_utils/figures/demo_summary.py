"""The README's picture: what goes in, what comes out, and how sure that is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from model_utils.figures.archive.contact_sheet import draw_tile
from model_utils.figures.experiment.station_map import draw_map_panels
from model_utils.figures.style import OBSERVED, PREDICTED, QUIET, SMALL, label, new_figure


def draw_demo_summary(
    city: str,
    tiles: NDArray[np.uint8],
    tile_pm25: Sequence[float],
    predictions: pd.DataFrame,
    training_stations: pd.DataFrame,
    methods: Mapping[str, Mapping[str, Any]],
) -> Figure:
    """Draws one place under rising haze, the station map, and every method's spatial r with its interval.

    Args:
        city: The simulated city's name.
        tiles: N x H x W x C, one place in the order of its PM2.5 (6 look best).
        tile_pm25: Their PM2.5, ug/m3.
        predictions: One method's test rows, as for `evaluate`, with site_name, latitude, longitude.
        training_stations: latitude, longitude.
        methods: Method name -> what `evaluate` says of it and `uses_same_day_readings`, first on top. Methods that
            use same-day readings are drawn hollow; those without a spatial r are said to have none.
    """
    figure = new_figure(14.0, 4.6)
    figure.suptitle(f"{city}, simulated: all images and readings here come from a simulation", fontsize=12)
    panels: Any = figure.subfigures(1, 3, width_ratios=(2.6, 6.2, 5.4))
    haze, places, scores = panels

    columns = 2
    rows = -(-len(tiles) // columns)
    haze.suptitle("One place, rising PM2.5 (µg/m³)", fontsize=11)
    grid = haze.subplots(rows, columns, squeeze=False).ravel()
    for axes in grid:
        axes.set_axis_off()
    for axes, tile, pm25 in zip(grid, tiles, tile_pm25, strict=False):
        draw_tile(axes, tile, f"{pm25:.0f}")

    places.suptitle("Test stations: dirtier or cleaner than the city", fontsize=11)
    left, right = places.subplots(1, 2, sharex=True, sharey=True)
    draw_map_panels(places, left, right, predictions, training_stations)
    right.set_ylabel("")

    axes = scores.subplots()
    axes.axvline(0, color=QUIET, linewidth=0.8)
    for row, statistics in enumerate(methods.values()):
        if statistics["spatial_r"] is None:
            axes.text(0.05, row, "not defined", va="center", fontsize=SMALL)
            continue
        same_day = statistics["uses_same_day_readings"]
        colour = OBSERVED if same_day else PREDICTED
        if statistics["spatial_r_ci95"]:
            axes.plot(statistics["spatial_r_ci95"], [row, row], color=colour, linewidth=1.5)
        axes.plot(statistics["spatial_r"], row, "o", color=colour, markerfacecolor="white" if same_day else colour)
    axes.set_yticks(range(len(methods)), [name.replace("_", " ") for name in methods])
    axes.set(ylim=(len(methods) - 0.5, -0.5), xlim=(-1.02, 1.02))
    label(axes, "Spatial skill", "spatial r, 95 % interval\n(hollow: reads the day)")
    return figure
