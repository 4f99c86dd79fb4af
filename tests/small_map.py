"""A small map with every kind of cell, for tests of what is made of maps."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from model_utils.mapping.layers import as_dataset
from model_utils.mapping.places.grid import MapGrid


def small_map(rows: int = 20, columns: int = 30, dates: int = 3, seed: int = 0) -> xr.Dataset:
    """A Delhi of smooth fields; each reason occurs, and cells that have one have no value."""
    random = np.random.default_rng(seed)
    grid = MapGrid("EPSG:32643", 300.0, 700_200.0, 3_180_000.0, columns, rows)
    down, across = np.mgrid[:rows, :columns]
    place = 0.2 * np.sin(down / 5) * np.cos(across / 7) + random.normal(0, 0.02, (rows, columns))
    level = 100.0 + 40.0 * random.normal(size=dates)
    mean = level[:, None, None].clip(20) * np.exp(place)
    reason = np.zeros((dates, rows, columns), np.int8)
    reason[:, 0, :] = 1
    reason[:, 1, :5] = 2
    reason[:, 2, :5] = 4
    reason[:, 3, :5] = 5
    if dates > 1:
        reason[1] = np.where(reason[1] == 0, 3, reason[1])
    known = reason == 0
    hotspot = np.where(known, place > 0.19, -1)
    inside = np.where(reason[0] == 4, 0, np.where(np.isin(reason[0], (2, 5)), -1, 1))
    layers = {
        "pm25": np.where(known, mean, np.nan),
        "pm25_lower": np.where(known, 0.7 * mean, np.nan),
        "pm25_upper": np.where(known, 1.4 * mean, np.nan),
        "pm25_sd": np.where(known, 0.2 * mean, np.nan),
        "place_effect": np.where(np.isin(reason[0], (2, 5)), np.nan, 100 * np.expm1(place)),
        "dissimilarity": np.where(np.isin(reason[0], (2, 5)), np.nan, np.abs(place)),
        "inside_applicability": inside,
        "aqi": np.where(known, mean, -1),
        "hotspot": hotspot,
        "reason": reason,
    }
    days = pd.date_range("2019-11-01", periods=dates, freq="9D")
    attributes = {
        "title": "PM2.5 of Delhi",
        "city": "Delhi",
        "period": "day",
        "time_zone": "Asia/Kolkata",
        "spacing_m": 300.0,
        "epsg": 32643,
        "simulated": "all",
        "aqi_scale": "india",
        "interval_level": 0.9,
        "model_sha256": "0" * 64,
    }
    bounds = np.stack([days.to_numpy(), (days + pd.Timedelta(days=1)).to_numpy()], axis=1)
    return as_dataset(grid, bounds, layers, attributes)
