"""Predictions of each date by fits that have not seen it."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model_utils.estimators.estimator import FitPredict

DATE_GROUPS = 5


def predict_other_dates(
    fit_predict: FitPredict,
    samples: pd.DataFrame,
    training: NDArray[np.bool_],
    readings: NDArray[np.float64],
    seed: int = 0,
) -> NDArray[np.float64]:
    """Predicts every row by a fit that never trained on a reading of its date.

    All tiles of a date share one sensor's gain, one sun and one haze. A method that trains on some stations of a date
    can recognise the date by these and return its readings' level at the others: skill in time that needs no haze
    at all.

    So dates are dealt at random into five groups in an order, and each group is predicted by a fit on the groups dealt
    before it; the first group has no prediction. Cross-validation would predict it too, but uses each pair of dates
    twice: date a helps to predict b, and b helps to predict a. That correlates the predictions of different dates,
    and an interval that resamples dates is then too narrow: in simulated worlds without skill, of 60 and of 120 dates,
    nominal 95 % intervals of `temporal_r` held zero in 84 and 81 %; with each pair of dates used once, in 94 and 95 %
    (`benchmarks/interval_coverage.py`).

    The mean reading of a fit's training rows is replaced by that of all training rows, or the level of the dates that
    happened to come first would pass for skill or its opposite.

    Args:
        fit_predict: The method; asked at most four times, each time with more dates.
        samples: n rows: `local_date`.
        training: Rows of training stations, n.
        readings: What the method predicts (PM2.5 or its anomaly), ug/m3, n; looked at in training rows only, and those
            without one are left out.
        seed: Deals the dates.

    Returns:
        Predictions, ug/m3, n; NaN for the dates dealt first.
    """
    dates, date = np.unique(samples["local_date"].to_numpy(), return_inverse=True)
    group = np.random.default_rng(seed).permutation(len(dates))[date] % DATE_GROUPS
    training = training & np.isfinite(readings)
    predicted = np.full(len(samples), np.nan)
    for number in range(1, DATE_GROUPS):
        earlier, shown = training & (group < number), group == number
        if earlier.any() and shown.any():
            level = readings[training].mean() - readings[earlier].mean()
            predicted[shown] = fit_predict(earlier)[shown] + level
    return predicted
