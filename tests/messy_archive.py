"""Archives of Delhi with gaps, clouds and flags, which tests of `pm25 inspect` share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from model_utils.archive.writer import ArchiveWriter
from model_utils.cities import load_city
from model_utils.project import SHIPPED_ROOT

DELHI = load_city("Delhi", SHIPPED_ROOT)
TRAINING = next(station.name for station in DELHI.stations if station.split == "train")
HELD_OUT = next(station.name for station in DELHI.stations if station.split == "test")
YEARS = pd.to_datetime(["2009-07-01 17:00", "2012-07-01 17:00", "2020-07-01 17:00"], utc=True)


def write(
    root: Path,
    rows: pd.DataFrame,
    tiles: np.ndarray[Any, Any] | None = None,
    bands: tuple[str, ...] = ("red", "green", "blue"),
    **commit: Any,
) -> Path:
    """Writes an archive of Delhi with the given rows; what identifies a row is made up where it is missing."""
    count = len(rows)
    given = {
        "sample_id": [f"r{number}" for number in range(count)],
        "site_name": rows["site_id"],
        "time_utc": pd.Timestamp("2018-01-01 05:00", tz="UTC"),
        "latitude": 28.6,
        "longitude": 77.2,
    }
    rows = rows.assign(**{name: value for name, value in given.items() if name not in rows})
    if "local_date" not in rows:
        rows["local_date"] = rows["time_utc"].dt.tz_localize(None).dt.normalize()
    if tiles is None:
        tiles = np.random.default_rng(0).integers(0, 256, (count, 8, 8, len(bands)), dtype=np.uint8)
    folder = root / "data" / "Delhi"
    with ArchiveWriter(folder, tiles.shape[1], bands, overwrite=True) as writer:
        writer.append(tiles, rows)
        writer.commit(city="Delhi", ground_sample_distance_m=3.0, **commit)
    return folder


def messy_rows() -> pd.DataFrame:
    """Stations, one without a reading, grid cells; gaps, clouds, flags, two images on one day, two cities' nights."""
    random = np.random.default_rng(3)
    sites = [TRAINING, HELD_OUT, "new_station", "silent"] + [f"cell{number}" for number in range(5)]
    kind = ["station"] * 4 + ["grid"] * 5
    frames = []
    for day in range(40):
        for overpass in range(1 + (day % 5 == 0)):
            time = pd.Timestamp("2018-01-01 19:00", tz="UTC") + pd.Timedelta(days=day, minutes=overpass)
            frames.append(
                pd.DataFrame(
                    {
                        "site_id": sites,
                        "site_kind": kind,
                        "latitude": 28.4 + 0.05 * np.arange(9),
                        "longitude": 77.0 + 0.03 * np.arange(9),
                        "time_utc": time,
                        "local_date": time.tz_convert(DELHI.zone).tz_localize(None).normalize(),
                        "scene_id": f"scene{day}_{overpass}" if day else "",
                        "unfiltered": [*random.lognormal(4, 0.5, 3), *[np.nan] * 6],
                    }
                )
            )
    rows = pd.concat(frames, ignore_index=True)
    rows = rows[random.random(len(rows)) < 0.8].reset_index(drop=True)
    count = len(rows)
    saturated = random.random(count) < 0.05
    spike, few = random.random(count) < 0.1, random.random(count) < 0.07
    flags = pd.DataFrame({"saturated": saturated, "spike": spike, "few_hours": few})
    return rows.drop(columns="unfiltered").assign(
        pm25_unfiltered=rows["unfiltered"],
        pm25=rows["unfiltered"].where(~saturated & (random.random(count) < 0.9)),
        quality=["|".join(flags.columns[row]) for row in flags.to_numpy()],
        flag_saturated=saturated,
        flag_spike=spike,
        flag_few_hours=few,
        flag_stuck=False,
        cloud_fraction=np.where(random.random(count) < 0.2, np.nan, random.random(count)),
        valid_fraction=random.uniform(0.8, 1, count).astype(np.float32),
        temperature_c=np.where(random.random(count) < 0.3, np.nan, 20.0),
        extra=np.arange(count),
    )
