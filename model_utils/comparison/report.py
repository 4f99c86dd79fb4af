"""Writes what a comparison found: tables, figures, and the hold-out's predictions of every method."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from model_utils import atomic
from model_utils.archive.reader import TileArchive
from model_utils.comparison.config import CompareConfig
from model_utils.comparison.hidden_truth.run import FIGURE as TRUTH
from model_utils.comparison.outcomes import Outcome
from model_utils.comparison.tables import write_tables
from model_utils.configuration import save_config
from model_utils.evaluation.coverage import coverage_table
from model_utils.figures.comparison.anomaly_panels import draw_anomaly_panels
from model_utils.figures.comparison.differences import draw_differences
from model_utils.figures.comparison.label_efficiency import draw_label_efficiency
from model_utils.figures.comparison.method_scores import draw_method_scores
from model_utils.figures.experiment.coverage import draw_coverage
from model_utils.figures.saving import save_figure

PREDICTIONS, COVERAGE = "predictions.parquet", "coverage.csv"
PREDICTION_COLUMNS = (
    *("sample_id", "site_id", "site_name", "latitude", "longitude", "time_utc", "local_date", "split", "method"),
    *("observed", "predicted", "lower", "upper", "predicted_other_dates"),
)


def write_report(
    folder: Path,
    table: pd.DataFrame,
    differences: pd.DataFrame,
    outcomes: Sequence[Outcome],
    heading: Sequence[str],
    config: CompareConfig,
    archive: TileArchive,
) -> None:
    """Writes the tables, `predictions.parquet` of the hold-out, its `coverage.csv`, and the figures.

    Args:
        folder: Of the comparison.
        table: As from `comparison_table`, with skipped methods.
        differences: As from `comparison_differences`.
        outcomes: As from `collect`.
        heading: What the data are.
        config: The comparison's.
        archive: Says which part is simulated.
    """
    before = [path for path in (folder / "figures").glob("*") if path.stem != TRUTH]
    stale = [*before, folder / PREDICTIONS, folder / COVERAGE]  # another run may have had other designs
    with atomic.replacing_files(folder, stale) as partial:
        save_config(partial / "config.yaml", config)
        write_tables(partial, table, differences, heading)
        simulated, scored = archive.metadata.simulated, table[table["skipped"].isna()] if "skipped" in table else table
        figures: dict[str, Figure] = {}
        if "label_efficiency" in config.designs:
            figures["label_efficiency"] = draw_label_efficiency(scored, simulated=simulated)
        for design in config.designs:
            first = {outcome.entry.name: outcome for outcome in outcomes if outcome.design == design}
            if design == "label_efficiency":
                continue
            figures[f"scores_{design}"] = draw_method_scores(scored, design, simulated)
            figures[f"differences_{design}"] = draw_differences(differences, design, simulated=simulated)
            figures[f"anomalies_{design}"] = draw_anomaly_panels(
                {name: _first_run(outcome) for name, outcome in first.items()}, _scores(scored, design), simulated
            )
            if design == "hold_out":
                _write_predictions(partial / PREDICTIONS, list(first.values()))
                covered = {
                    name: coverage_table(_first_run(outcome))
                    for name, outcome in first.items()
                    if _first_run(outcome)["lower"].notna().any()
                }
                if covered:
                    figures["coverage"] = draw_coverage(covered, config.interval_level, simulated)
                    _write_coverage(partial / COVERAGE, covered)
        for name, figure in figures.items():
            save_figure(figure, partial / "figures", name)


def _first_run(outcome: Outcome) -> pd.DataFrame:
    return outcome.runs[min(outcome.runs)]


def _scores(table: pd.DataFrame, design: str) -> dict[str, dict[str, Any]]:
    """spatial_r and its interval by method, None where undefined."""
    columns = ["spatial_r", "spatial_r_low", "spatial_r_high"]
    rows = table[table["design"] == design].set_index("method")[columns].astype(float)
    return {
        str(method): {
            "spatial_r": None if np.isnan(value) else value,
            "spatial_r_ci95": None if np.isnan(low) else [low, high],
        }
        for method, value, low, high in zip(rows.index, *rows.to_numpy().T, strict=True)
    }


def _write_predictions(path: Path, outcomes: Sequence[Outcome]) -> None:
    rows = pd.concat(
        [_first_run(outcome).assign(split="test", method=outcome.entry.name) for outcome in outcomes],
        ignore_index=True,
    )
    with atomic.replacing(path) as temporary:
        rows[list(PREDICTION_COLUMNS)].to_parquet(temporary, index=False)


def _write_coverage(path: Path, covered: dict[str, pd.DataFrame]) -> None:
    rows = pd.concat([table.assign(method=name) for name, table in covered.items()], ignore_index=True)
    with atomic.replacing(path) as temporary:
        rows.to_csv(temporary, index=False)
