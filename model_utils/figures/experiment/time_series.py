"""One test station over time."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from model_utils.evaluation.spatial import evaluated
from model_utils.figures.style import OBSERVED, PM25, PREDICTED, label, mark_simulated, new_figure, place_names


def draw_time_series(predictions: pd.DataFrame, simulated: str = "no") -> Figure:
    """Draws readings, predictions and their interval at the station with the median number of samples.

    The choice looks at counts only, never at how well a station is predicted.

    Args:
        predictions: site_id, site_name, local_date, observed, predicted, lower, upper (NaN where there is no
            interval; the band is blank there).
        simulated: Which part of the data is simulated, as `archive.json` says it.
    """
    rows = evaluated(predictions)
    counts = rows.groupby("site_id").size().sort_values(kind="stable")
    site = counts.index[(len(counts) - 1) // 2]
    station = rows[rows["site_id"] == site].sort_values("local_date")
    date = station["local_date"].to_numpy()
    figure = new_figure(9.0, 3.4)
    axes = figure.subplots()
    lower, upper = station["lower"].to_numpy(float), station["upper"].to_numpy(float)
    finite = np.isfinite(lower) & np.isfinite(upper)
    if finite.any():
        axes.fill_between(date, lower, upper, where=finite, color=PREDICTED, alpha=0.2, linewidth=0, label="interval")
    axes.plot(date, station["observed"], ".", color=OBSERVED, markersize=5, label="observed")
    axes.plot(date, station["predicted"], color=PREDICTED, linewidth=1, label="predicted")
    name = place_names(station.iloc[:1])[0]
    label(axes, f"{name}, the test station with the median number of samples", "date", PM25)
    axes.legend(fontsize=9, frameon=False, ncols=3, loc="lower right", bbox_to_anchor=(1, 1), borderpad=0)
    mark_simulated(figure, simulated)
    return figure
