"""The `quality` column: flags joined by a vertical bar."""

from __future__ import annotations

from collections import Counter

import pandas as pd


def quality_counts(quality: pd.Series) -> dict[str, int]:
    """Rows that carry each flag; a row with two flags counts under both.

    Args:
        quality: The column, such as 'spike|low'; empty where nothing is known against a row.

    Returns:
        Flag -> rows, by name; flags that no row carries are absent.
    """
    counts: Counter[str] = Counter()
    for joined, rows in quality.value_counts().items():
        for flag in set(str(joined).split("|")) - {""}:
            counts[flag] += int(rows)
    return {flag: counts[flag] for flag in sorted(counts) if counts[flag]}
