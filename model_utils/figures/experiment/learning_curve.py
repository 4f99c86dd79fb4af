"""How the regression head learned."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from model_utils.figures.style import OBSERVED, PREDICTED, QUIET, label, mark_simulated, new_figure


def draw_learning_curve(history: pd.DataFrame, best_epoch: int, simulated: str = "no") -> Figure:
    """Draws training and validation loss over the epochs and marks the epoch that was kept.

    Args:
        history: Columns epoch, train_loss, validation_loss (in standardised units).
        best_epoch: The epoch whose head was kept.
        simulated: Which part of the data is simulated, as `archive.json` says it.
    """
    figure = new_figure(5.5, 3.6)
    axes = figure.subplots()
    axes.axvline(best_epoch, color=QUIET, linestyle="--", linewidth=1, label=f"kept: epoch {best_epoch}")
    axes.plot(history["epoch"], history["train_loss"], color=OBSERVED, label="training stations")
    axes.plot(history["epoch"], history["validation_loss"], color=PREDICTED, label="validation stations")
    label(axes, "Learning curve of the PM2.5 head", "epoch", "loss (standardised)")
    axes.legend(fontsize=9, frameon=False)
    mark_simulated(figure, simulated)
    return figure
