"""Writes what a supervised experiment found."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from model_utils import atomic
from model_utils.estimators.added_to_field import FittedSum
from model_utils.estimators.estimator import FittedEstimator
from model_utils.estimators.finetuned import FittedFineTuned
from model_utils.estimators.head import FittedHead
from model_utils.evaluation.coverage import coverage_table
from model_utils.evaluation.table import statistics_table
from model_utils.figures.experiment.coverage import draw_coverage
from model_utils.figures.experiment.learning_curve import draw_learning_curve
from model_utils.figures.experiment.predicted_observed import draw_predicted_observed
from model_utils.figures.experiment.station_anomalies import draw_station_anomalies
from model_utils.figures.experiment.station_map import draw_station_map
from model_utils.figures.experiment.station_means import draw_station_means
from model_utils.figures.experiment.time_series import draw_time_series
from model_utils.figures.saving import save_figure


def write_predictions(path: Path, predictions: pd.DataFrame) -> None:
    """Writes `predictions.parquet`."""
    with atomic.replacing(path) as temporary:
        predictions.to_parquet(temporary, index=False)


def write_statistics(folder: Path, name: str, statistics: Mapping[str, Any]) -> None:
    """Writes `statistics.json`, and `statistics.csv` with a row for each estimator and reference."""
    atomic.write_text(folder / "statistics.json", json.dumps(statistics, indent=2) + "\n")
    table = statistics_table({name: statistics, **statistics["other_estimators"], **statistics["references"]})
    with atomic.replacing(folder / "statistics.csv") as temporary:
        table.to_csv(temporary)


def learning_curve(fitted: FittedEstimator) -> FittedHead | None:
    """The head that was trained in epochs, if any was."""
    if isinstance(fitted, FittedSum):
        return learning_curve(fitted.anomaly)
    if isinstance(fitted, FittedFineTuned):
        return fitted.head
    return fitted if isinstance(fitted, FittedHead) else None


def write_figures(
    folder: Path, predictions: pd.DataFrame, statistics: Mapping[str, Any], curve: FittedHead | None, simulated: str
) -> list[Path]:
    """Draws the figures of an experiment: intervals only where there are some, a learning curve where there is one.

    Args:
        folder: Where PNG and PDF go.
        predictions: All rows; the figures show the test rows, the map marks the training stations.
        statistics: Of the test rows.
        curve: The head whose learning curve is shown (of the first fold).
        simulated: Which part of the data is simulated, as `archive.json` says it; every figure then says so.

    Returns:
        The files.
    """
    test = predictions[predictions["split"] == "test"]
    figures = {
        "predicted_observed": draw_predicted_observed(test, statistics, simulated),
        "station_means": draw_station_means(test, statistics, simulated),
        "station_anomalies": draw_station_anomalies(test, statistics, simulated),
        "station_map": draw_station_map(test, predictions[predictions["split"] != "test"], simulated),
        "time_series": draw_time_series(test, simulated),
    }
    if curve is not None:
        figures["learning_curve"] = draw_learning_curve(curve.history, curve.best_epoch, simulated)
    if statistics["coverage"] is not None:
        tables = {statistics["experiment"]: coverage_table(test)}
        figures["coverage"] = draw_coverage(tables, statistics["interval_level"], simulated)
    return [path for name, figure in figures.items() for path in save_figure(figure, folder, name)]
