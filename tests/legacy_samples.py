"""Samples as the 2022 code held them, which tests of its pickles share."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

WEATHER = pd.Index(["AT", "RH", "BP", "WS"], dtype=object)
PROTOCOLS = range(6)


def sample(number: int, size: int = 4, **changed: Any) -> dict[str, Any]:
    """A sample as the 2022 code held it: an image, a reading and the weather of its time."""
    generator = np.random.default_rng(number)
    time = pd.Timestamp("2019-01-04 10:30") + pd.Timedelta(days=number)
    meteo = pd.Series([12.5 + number, 61.0, 990.25, np.nan], index=WEATHER, name=time)
    return {
        "Image": generator.integers(0, 256, (size, size, 3), dtype=np.uint8),
        "PM25": np.float64(100.5 + number),
        "Station_index": number,
        "Meteo": meteo,
        "lat": 28.5 + 0.01 * number,
        "lon": 77.2,
        **changed,
    }


def written_to(folder: Path, content: object, protocol: int = 4) -> Path:
    path = folder / "data.pkl"
    path.write_bytes(content if isinstance(content, bytes) else pickle.dumps(content, protocol=protocol))
    return path
