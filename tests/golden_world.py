"""A small messy world, and the files of numbers that were predicted in it before estimators had one interface."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

GOLDEN = Path(__file__).parent / "golden_predictions.parquet"
STATIONS, DATES, WIDTH, TEST = 14, 24, 12, 4


def golden_world() -> tuple[pd.DataFrame, NDArray[np.float32], NDArray[np.bool_]]:
    """Rows with gaps in readings and weather, features that show day and place, and which rows train."""
    generator = np.random.default_rng(20_260_711)
    site, date = (axis.ravel() for axis in np.meshgrid(np.arange(STATIONS), np.arange(DATES)))
    day, place = generator.normal(0, 0.4, DATES), generator.normal(0, 0.15, STATIONS)
    pm25 = 90 * np.exp(day[date] + place[site] + generator.normal(0, 0.1, len(site)))
    features = np.column_stack([day[date], 3 * place[site]]) @ generator.normal(size=(2, WIDTH))
    features = (features + generator.normal(0, 0.2, features.shape)).astype(np.float32)
    latitude, longitude = 28.4 + generator.uniform(0, 0.5, STATIONS), 77 + generator.uniform(0, 0.5, STATIONS)
    temperature = 25 - 10 * day[date] + generator.normal(0, 0.5, len(site))
    samples = pd.DataFrame(
        {
            "sample_id": [f"s{s:02d}_{d:03d}" for s, d in zip(site, date, strict=True)],
            "site_id": [f"s{s:02d}" for s in site],
            "site_name": [f"Station {s}" for s in site],
            "latitude": latitude[site],
            "longitude": longitude[site],
            "time_utc": pd.Timestamp("2019-01-01 05:00", tz="UTC") + pd.to_timedelta(9 * date, "D"),
            "local_date": pd.Timestamp("2019-01-01") + pd.to_timedelta(9 * date, "D"),
            "temperature_c": np.where(generator.random(len(site)) < 0.1, np.nan, temperature),
            "relative_humidity_pct": 50 + 20 * day[date] + generator.normal(0, 3, len(site)),
            "pressure_hpa": np.where(date % 7 == 3, np.nan, 980 + generator.normal(0, 2, len(site))),
            "true_land_use_increment": 0.7 * place[site],
            "true_optical_depth": np.exp(day[date]),
            "band_red_mean": features[:, 0].astype(float),
            "band_red_std": features[:, 1].astype(float),
            "pm25": pm25,
        }
    )
    kept = np.flatnonzero(generator.random(len(samples)) < 0.85)
    kept = generator.permutation(kept)
    samples, features = samples.iloc[kept].reset_index(drop=True), features[kept]
    return samples, features, (site[kept] >= TEST)
