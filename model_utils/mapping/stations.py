"""The stations beside a map: what they read at its times."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from rasterio.warp import transform

from model_utils.mapping.dates import MapTimes
from model_utils.mapping.places.grid import WGS84


def station_readings(results: Path, times: MapTimes, crs: str) -> pd.DataFrame | None:
    """What the stations of an experiment read, as means over the days of each time.

    A station whose clear days were the dirty ones would look dirty: a mean over some of the days is moved by the
    difference of the network's mean over all days from its mean over these.

    Args:
        results: Folder of the experiment.
        times: Of the map.
        crs: Of the map.

    Returns:
        A row a station and time, by time: time (its number), site_id, site_name, latitude, longitude, x, y (metres),
        observed (ug/m3), predicted by the experiment; None where the folder holds no predictions.
    """
    path = results / "predictions.parquet"
    if not path.is_file():
        return None
    rows = pd.read_parquet(path)
    day = times.days.get_indexer(pd.DatetimeIndex(rows["local_date"]))
    rows = rows[day >= 0].assign(time=times.period[day[day >= 0]])
    level = rows.groupby("local_date")["observed"].mean()
    of_time = level.groupby(times.period[times.days.get_indexer(pd.DatetimeIndex(level.index))]).mean()
    missing = of_time.loc[rows["time"]].to_numpy() - level.loc[rows["local_date"]].to_numpy()
    rows = rows.assign(observed=rows["observed"] + missing, predicted=rows["predicted"] + missing)
    places = ["site_id", "site_name", "latitude", "longitude"]
    means = rows.groupby(["time", *places], observed=True)[["observed", "predicted"]].mean().reset_index()
    x, y = transform(WGS84, crs, means["longitude"].to_numpy(), means["latitude"].to_numpy())
    return means.assign(x=np.asarray(x), y=np.asarray(y))
