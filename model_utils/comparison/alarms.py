"""Results that are too good: the instrument's own check for leaks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

KNOWLEDGE = {
    "spatial_r": ("land_use_coupling", "places"),
    "temporal_r": ("haze_coupling", "the day's PM2.5"),
}
"""Score -> the simulation's setting without which no image can raise it, and what images then say nothing about."""


def alarms(table: pd.DataFrame, made: Mapping[str, Any]) -> list[str]:
    """Names what a simulated city makes impossible, or next to it.

    In a world without land-use coupling nobody who reads no station on the day can know places, in one without haze
    coupling no image shows the day's PM2.5; elsewhere nobody who reads no station on the day passes the regression
    on the hidden truth. An interval that excludes what is possible is chance in some 2.5 % of them, else a leak.

    Args:
        table: As from `comparison_table`.
        made: `created_by` of the archive: the simulation's settings, or nothing of the kind.

    Returns:
        One line a finding.
    """
    methods = table[~table["uses_same_day_readings"].astype(bool) & (table["family"] != "ceiling")]
    ceilings = table[table["method"] == "ceiling_true_both"].set_index(["design", "stations"])
    found = []
    for key, (coupling, knowledge) in KNOWLEDGE.items():
        if key not in table:
            continue
        # the weather is that of the day, and coordinates are no image: these may know one without any leak
        judged = methods[methods["uses_images"] & ~(methods["uses_weather"] & (key == "temporal_r"))]
        for row in judged.dropna(subset=f"{key}_low").to_dict("records"):
            score = f"{row['method']} ({row['design']}, {row['stations']} stations): {key} {row[key]:.2f} "
            score += f"[{row[f'{key}_low']:.2f}, {row[f'{key}_high']:.2f}]"
            if made.get(coupling) == 0 and row[f"{key}_low"] > 0:
                found.append(f"{score} where images say nothing about {knowledge}: chance, or a leak")
            where = (row["design"], row["stations"])
            highest = ceilings[f"{key}_high"].to_dict().get(where, float("nan"))
            if row[f"{key}_low"] > highest:
                found.append(f"{score} lies above the ceiling's {highest:.2f}: chance, or a leak")
    return found
