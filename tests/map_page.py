"""The page of a small map, full of names that would do harm, which tests of pages share."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from PIL import Image

from model_utils.mapping.report.geometry import grid_of
from model_utils.mapping.report.page import write_report

EVIL = "</script ><!--<script>window.hurt = 1</script><img src=x onerror='window.hurt = 1'>{{data}}"
SCALE = [
    (50, "Good", "#009865", 30),
    (100, "Satisfactory", "#a3c853", 60),
    (200, "Moderate", "#fff833", 90.5),
    (300, EVIL, "#f29c33", 120),
    (float("inf"), "Severe", "#af2d24", float("inf")),
]
CELLS = [(5, 3), (10, 15), (12, 29), (19, 0), (8, 22)]


def stations_of(dataset: xr.Dataset) -> pd.DataFrame:
    """Two stations in the middles of cells (10, 15) and (6, 6); the second was not read on the first date."""
    latitude, longitude = grid_of(dataset).degrees()
    rows = [
        (site, name, latitude[cell], longitude[cell], time, 90.06 + time, 80.0)
        for site, name, cell in (("a", EVIL, (10, 15)), ("b", "Rohini", (6, 6)))
        for time in range(dataset.sizes["time"])
    ]
    stations = pd.DataFrame(
        rows, columns=["site_id", "site_name", "latitude", "longitude", "time", "observed", "predicted"]
    )
    stations.loc[(stations["site_id"] == "b") & (stations["time"] == 0), "observed"] = np.nan
    return stations


def write_page(path: Path, dataset: xr.Dataset, **options: Any) -> str:
    given: dict[str, Any] = {
        "stations": stations_of(dataset),
        "statistics": [{"method": EVIL, "r": "0.51 [0.22, 0.71]"}, {"method": "kriging", "RMSE": "41"}],
        "made": {"command": EVIL, EVIL: "licence"},
        "downloads": {"map & more": "a folder/map.nc", EVIL: "it's <b>.tif"},
        "scale": SCALE,
        "notes": [EVIL],
    }
    write_report(dataset.assign_attrs(title=EVIL), path, **given | options)
    return path.read_text(encoding="utf-8")


def webp() -> bytes:
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (8, 8, 3)).astype(np.uint8)
    Image.fromarray(noise).save(buffer, "WEBP", lossless=True)
    return buffer.getvalue()
