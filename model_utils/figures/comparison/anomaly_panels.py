"""Station anomalies of many methods, side by side."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import fill
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from model_utils.evaluation.spatial import station_table
from model_utils.figures.experiment.station_anomalies import ANOMALIES, draw_anomalies
from model_utils.figures.methods import method_colour, method_name
from model_utils.figures.style import PM25, SMALL, label, mark_simulated, new_figure, score

MOST_COLUMNS = 5


def draw_anomaly_panels(
    predictions: Mapping[str, pd.DataFrame], scores: Mapping[str, Mapping[str, Any]], simulated: str = "no"
) -> Figure:
    """Draws each method's station anomalies, predicted against observed, on common axes.

    Args:
        predictions: Method -> its rows, as for `station_table`.
        scores: Method -> `spatial_r` and `spatial_r_ci95`, None where undefined, as `evaluate` gives them.
        simulated: Which part of the data is simulated, as `archive.json` says it.
    """
    stations = {method: station_table(rows).dropna(subset=ANOMALIES) for method, rows in predictions.items()}
    everything = pd.concat([table[ANOMALIES] for table in stations.values()]) if stations else pd.DataFrame()
    columns = min(MOST_COLUMNS, max(len(stations), 1))
    lines = max(-(-len(stations) // columns), 1)
    figure = new_figure(max(2.3 * columns + 0.4, 4.4), 2.7 * lines + 0.8, "compressed")
    grid: Any = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
    for axes in grid.flat[len(stations) :]:
        axes.set_axis_off()
    for number, (method, table) in enumerate(stations.items()):
        axes = grid.flat[number]
        draw_anomalies(axes, table, everything, method_colour(method))
        label(axes, "", "observed", "predicted" if number % columns == 0 else "")
        r = score(scores[method]["spatial_r"], scores[method]["spatial_r_ci95"])
        axes.set_title(f"{fill(method_name(method), 32)}\nspatial r {r}", fontsize=SMALL, loc="left")
        axes.tick_params(labelsize=SMALL, labelbottom=number + columns >= len(stations))
        axes.xaxis.label.set_visible(number + columns >= len(stations))
    title = f"Stations against the same-day city mean, {PM25}"
    figure.suptitle(fill(title, int(13 * figure.get_size_inches()[0])), fontsize=10)
    mark_simulated(figure, simulated)
    return figure
