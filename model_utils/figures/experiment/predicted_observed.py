"""Every prediction against its reading."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

from model_utils.evaluation.spatial import evaluated
from model_utils.figures.style import PM25, SMALL, identity_line, label, mark_simulated, new_figure, note, score


def draw_predicted_observed(predictions: pd.DataFrame, statistics: Mapping[str, Any], simulated: str = "no") -> Figure:
    """Draws the density of predicted against observed PM2.5, on a logarithmic colour scale.

    Args:
        predictions: Rows with observed and predicted, ug/m3.
        statistics: What `evaluate` says of these rows.
        simulated: Which part of the data is simulated, as `archive.json` says it.
    """
    rows = evaluated(predictions)
    values = rows[["observed", "predicted"]]
    low, high = values.min().min(), values.max().max()
    figure = new_figure(5.4, 4.6)
    axes = figure.subplots()
    identity_line(axes, values)
    cells = axes.hexbin(
        rows["observed"],
        rows["predicted"],
        gridsize=50,
        extent=(low, high, low, high),
        bins="log",
        mincnt=1,
        cmap="viridis",
        linewidths=0.1,
    )
    bar = figure.colorbar(cells, ax=axes, shrink=0.8)
    bar.ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    bar.ax.yaxis.set_major_formatter(StrMethodFormatter("{x:.0f}"))
    bar.ax.yaxis.set_minor_locator(NullLocator())
    bar.set_label("samples per cell", fontsize=10)
    bar.ax.tick_params(labelsize=SMALL)
    nrmse = statistics["nrmse"]
    note(
        axes,
        f"RMSE {statistics['rmse']:.1f} µg/m³\n"
        + (f"NRMSE {nrmse:.0%}\n" if nrmse is not None else "")
        + f"r {score(statistics['pearson_r'])}",
    )
    label(axes, f"All {len(rows)} test samples", f"observed {PM25}", f"predicted {PM25}")
    mark_simulated(figure, simulated)
    return figure
