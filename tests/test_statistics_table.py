"""The table of methods."""

from __future__ import annotations

import math

import pandas as pd

from model_utils.evaluation.table import format_table, marks_explained, statistics_table

ROWS = {
    "same_day_mean": {
        "rmse": 31.24,
        "nrmse": 0.286,
        "spatial_r": None,
        "spatial_r_ci95": None,
        "temporal_r": 0.93,
        "uses_same_day_readings": True,
        "n_stations": 27,
        "n_days": 365,
        "n_samples": 9855,
        "versions": {"numpy": "2.0"},
    },
    "SimCLR_spatiotemporal": {
        "rmse": 40.0,
        "nrmse": 0.5,
        "spatial_r": 0.512,
        "spatial_r_ci95": [0.219, 0.708],
        "temporal_r": 0.8,
        "uses_same_day_readings": False,
        "n_stations": 27,
        "n_days": 365,
        "n_samples": 9855,
    },
}


def test_table_splits_intervals_and_keeps_plain_cells() -> None:
    table = statistics_table(ROWS)
    assert list(table.index) == list(ROWS)
    assert table.loc["SimCLR_spatiotemporal", "spatial_r_ci95_low"] == 0.219
    assert table.loc["SimCLR_spatiotemporal", "spatial_r_ci95_high"] == 0.708
    assert math.isnan(table.loc["same_day_mean", "spatial_r"])
    assert "versions" not in table
    assert "spatial_r_ci95" not in table


def test_table_survives_csv(tmp_path) -> None:  # type: ignore[no-untyped-def]
    statistics_table(ROWS).to_csv(tmp_path / "statistics.csv")
    back = pd.read_csv(tmp_path / "statistics.csv", index_col="method")
    assert back["rmse"].to_dict() == {name: row["rmse"] for name, row in ROWS.items()}


def test_text_aligns_and_says_who_used_same_day_readings() -> None:
    header, reference, method = format_table(ROWS).splitlines()
    assert len(header) == len(reference) == len(method)
    assert reference.split() == ["same_day_mean", "31.2", "28.6%", "-", "-", "0.93", "yes", "27", "365", "9855"]
    assert method.split() == (
        ["SimCLR_spatiotemporal", "40.0", "50.0%", "0.51", "[0.22,", "0.71]", "0.80", "no", "27", "365", "9855"]
    )


def test_what_saw_test_ground_is_marked_and_explained() -> None:
    rows = {
        name: {**ROWS["SimCLR_spatiotemporal"], **said}
        for name, said in {
            "saw": {"transductive": True},
            "fair": {"transductive": False},
            "unknown": {"transductive": None},
            "no_image": {},
        }.items()
    }
    names = [line.split("  ")[0] for line in format_table(rows).splitlines()[1:]]
    assert names == ["saw *", "fair", "unknown ?", "no_image"]
    star, question = marks_explained(rows)
    assert star.startswith("* its encoder was pre-trained on ground of test stations")
    assert question.startswith("? its weights do not say")
    assert marks_explained({"fair": rows["fair"]}) == []
