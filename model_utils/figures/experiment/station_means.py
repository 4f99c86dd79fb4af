"""Raw station means, the paper's spatial comparison."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
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
    place_names,
    score,
)

MOST_LABELS = 12


def draw_station_means(predictions: pd.DataFrame, statistics: Mapping[str, Any], simulated: str = "no") -> Figure:
    """Draws each station's mean prediction against its mean reading, over whatever dates it has.

    Args:
        predictions: As for `evaluate`, with site_name, latitude, longitude.
        statistics: What `evaluate` says of these rows.
        simulated: Which part of the data is simulated, as `archive.json` says it.
    """
    stations = station_table(predictions)
    values = stations[["observed", "predicted"]]
    figure = new_figure(6.2 if len(stations) <= MOST_LABELS else 4.6, 4.6)
    axes = figure.subplots()
    identity_line(axes, values)
    axes.scatter(stations["observed"], stations["predicted"], s=28, color=PREDICTED)
    if len(stations) <= MOST_LABELS:
        # names stand in a column beside the axes, in the order of their points, so that none covers another
        ranked = stations.sort_values("predicted")
        ranked["site_name"] = place_names(ranked)
        for row, station in enumerate(ranked.to_dict("records")):
            axes.annotate(
                station["site_name"],
                (station["observed"], station["predicted"]),
                xytext=(1.05, (row + 0.5) / len(stations)),
                textcoords="axes fraction",
                va="center",
                fontsize=SMALL,
                arrowprops={"arrowstyle": "-", "color": QUIET, "linewidth": 0.5, "relpos": (0, 0.5)},
            )
    note(axes, f"r {score(statistics['spatial_r_paper'], statistics['spatial_r_paper_ci95'])}")
    label(axes, "Raw station means (mixes place and season)", f"observed {PM25}", f"predicted {PM25}")
    mark_simulated(figure, simulated)
    return figure
