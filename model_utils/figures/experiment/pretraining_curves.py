"""How pre-training went, and whether its embeddings collapsed."""

from __future__ import annotations

import math

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from model_utils.figures.style import OBSERVED, PREDICTED, QUIET, label, mark_simulated, new_figure


def draw_pretraining_curves(metrics: pd.DataFrame, feature_width: int, simulated: str = "no") -> Figure:
    """Draws loss, spread and effective rank of the features, and the PM2.5 probes, over the epochs.

    Args:
        metrics: epoch, loss, and where measured (absent columns and NaN are left out) feature_std (mean standard
            deviation of a unit-length feature's entries), effective_rank, probe_ridge_r, probe_knn_r.
        feature_width: Number of entries d of a feature; a feature spread evenly over the sphere has
            a standard deviation of 1/sqrt(d), a collapsed one 0.
        simulated: Which part of the data is simulated, as `archive.json` says it.
    """
    figure = new_figure(8.4, 5.4)
    loss, spread, rank, probe = figure.subplots(2, 2, sharex=True).flat
    _draw(loss, metrics, {"loss": ("", PREDICTED)})
    loss.xaxis.set_major_locator(MaxNLocator(integer=True))  # shared by all panels
    label(loss, "Contrastive loss", "", "loss")

    _draw(spread, metrics, {"feature_std": ("", PREDICTED)})
    ideal = 1 / math.sqrt(feature_width)
    spread.axhline(ideal, color=QUIET, linestyle="--", label=f"evenly spread: 1/√{feature_width}")
    spread.set_ylim(0, 1.15 * max(ideal, spread.dataLim.ymax))
    spread.legend(fontsize=9, frameon=False, loc="lower right")
    label(spread, "Spread of the features (0 = collapsed)", "", "standard deviation")

    _draw(rank, metrics, {"effective_rank": ("", PREDICTED)})
    rank.set_ylim(bottom=0)
    label(rank, "Dimensions in use", "epoch", f"effective rank (of {feature_width})")

    _draw(probe, metrics, {"probe_ridge_r": ("ridge", OBSERVED), "probe_knn_r": ("nearest neighbours", PREDICTED)})
    if probe.lines:
        probe.legend(fontsize=9, frameon=False)
    probe.axhline(0, color=QUIET, linewidth=0.5)
    label(probe, "PM2.5 probe on validation stations", "epoch", "Pearson r")
    mark_simulated(figure, simulated)
    return figure


def _draw(axes: Axes, metrics: pd.DataFrame, curves: dict[str, tuple[str, str]]) -> None:
    """Draws columns (column -> name, colour) where they were measured, or says that none was."""
    for column, (name, colour) in curves.items():
        measured = metrics.dropna(subset=column) if column in metrics else metrics.iloc[:0]
        if len(measured):
            axes.plot(measured["epoch"], measured[column], ".-", color=colour, markersize=5, label=name)
    if not axes.lines:
        axes.text(0.5, 0.5, "not measured", transform=axes.transAxes, ha="center", fontsize=9, color=QUIET)
