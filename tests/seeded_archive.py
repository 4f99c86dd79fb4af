"""Archives whose tiles and rows follow from a seed, which tests of archives share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from model_utils.archive.format import IMAGES, METADATA, SAMPLES, ArchiveMetadata
from model_utils.archive.reader import open_archive
from model_utils.archive.verification import NOTE
from model_utils.archive.writer import ArchiveWriter
from model_utils.errors import InputError

BANDS = ("red", "green", "blue")
FILES = {IMAGES, SAMPLES, METADATA}


def tiles_and_rows(count: int, size: int = 4, seed: int = 0) -> tuple[np.ndarray, pd.DataFrame]:
    generator = np.random.default_rng(seed)
    tiles = generator.integers(0, 256, (count, size, size, len(BANDS)), dtype=np.uint8)
    times = pd.Timestamp("2020-01-01T05:00:00Z") + pd.to_timedelta(np.arange(count), "D")
    rows = pd.DataFrame(
        {
            "sample_id": [f"s{number}" for number in range(count)],
            "site_id": [f"site{number % 3}" for number in range(count)],
            "latitude": 28.0 + np.arange(count) / 1000,
            "longitude": 77.0 + np.arange(count) / 1000,
            "time_utc": times,
            "local_date": times.tz_convert("Asia/Kolkata").tz_localize(None).normalize(),
            "pm25": np.where(np.arange(count) % 2, np.nan, 50.0 + np.arange(count)),
            "elevation_m": generator.normal(size=count),
        }
    )
    return tiles, rows


def write(folder: Path, count: int = 7, size: int = 4, seed: int = 0, overwrite: bool = False) -> ArchiveMetadata:
    tiles, rows = tiles_and_rows(count, size, seed)
    with ArchiveWriter(folder, size, BANDS, overwrite) as writer:
        for start in range(0, count, 3):
            writer.append(tiles[start : start + 3], rows.iloc[start : start + 3])
        return writer.commit(city="Delhi", ground_sample_distance_m=3.0, licence="CC0")


def refusal(folder: Path) -> str:
    with pytest.raises(InputError) as caught:
        open_archive(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def visible(folder: Path) -> set[str]:
    """What lies in the folder, but for the note of when it was verified."""
    return {path.name for path in folder.iterdir() if path.name != NOTE}
