"""What a reference is: a way to predict PM2.5 without a learnt image encoder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray


@dataclass(frozen=True)
class Reference:
    """A way to predict PM2.5 without images.

    Attributes:
        name: Its row in every table.
        uses_same_day_readings: Whether it reads training stations on the day it predicts.
        predict: (train, test) -> one prediction per row of `test`, ug/m3, NaN where it has none. Both frames have
            site_id, latitude, longitude (WGS84 degrees), local_date, and whatever else the reference
            documents; `train` has pm25 (ug/m3, NaN = no reading). `test`'s pm25 is never looked at.
        trials: How many settings it tries on validation stations taken out of the training stations.
    """

    name: str
    uses_same_day_readings: bool
    predict: Callable[[pd.DataFrame, pd.DataFrame], NDArray[np.float64]]
    trials: int = 0
