"""The level of a round: what its predictions say of its own training stations."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray


def round_level(
    predicted: NDArray[np.float64],
    training: NDArray[np.bool_],
    local_date: pd.Series | NDArray[np.generic],
) -> NDArray[np.float64]:
    """Mean of a round's predictions over its training rows of the same day, for `predicted_level`.

    Where stations are predicted in several rounds (folds, leave one out), each round's predictions lie around the mean
    of *its* training stations, and that is low just where the left-out stations are high: a predictor that knows
    nothing but this mean would have a `spatial_r` of -1. What a round says of its test stations is their difference
    from its level, and only such differences can be compared between rounds. In a single round the level is one
    number a day and changes no spatial score.

    On a day without training rows the level is the mean of all predictions of that day, less the mean departure of the
    non-training rows from the level on the other days (0 where there is none). So on every day adding a constant to
    all predictions of the day adds it to the level: what a round knows of days never looks like knowledge of
    places. Predictions only are used, never a reading.

    Args:
        predicted: One round's predictions of all rows, ug/m3, n; NaN where it has none.
        training: Its training rows, n.
        local_date: n.

    Returns:
        Level of each row's day, ug/m3, n; NaN on days without any prediction.
    """
    rows = pd.DataFrame({"predicted": predicted, "day": np.asarray(local_date), "training": training})
    rows["level"] = rows["day"].map(rows[rows["training"]].groupby("day")["predicted"].mean())
    departure = (rows["predicted"] - rows["level"])[~rows["training"]].mean()
    of_day = rows.groupby("day")["predicted"].transform("mean") - (0 if np.isnan(departure) else departure)
    return rows["level"].fillna(of_day).to_numpy(float)
