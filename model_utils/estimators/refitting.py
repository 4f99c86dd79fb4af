"""Predictions that a fit must not have made itself: at stations it has not seen, and on dates it has not seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model_utils.errors import InputError
from model_utils.estimators.conformal import calibrated_intervals, period_reach
from model_utils.estimators.estimator import Estimator, Features, FittedEstimator, NothingLearnt, Prediction, hidden
from model_utils.estimators.finetuned import FittedFineTuned
from model_utils.evaluation.levels import round_level
from model_utils.evaluation.periods import MIN_DAYS_OF_PERIOD, PERIOD_OF, years
from model_utils.sampling.designs import Fold
from model_utils.sampling.splits import LEAST_STATIONS, VALIDATION_GROUPS, validation_groups

DATE_GROUPS = 5

Refit = Callable[[NDArray[np.bool_]], Prediction]
"""Fits on the rows of a mask and predicts every row."""


@dataclass(frozen=True)
class FoldPredictions:
    """What an estimator says of every row, having learnt from the training rows of a fold; ug/m3, n.

    Attributes:
        fitted: What it has learnt.
        predicted: Mean and standard deviation.
        other_dates: Predictions by fits that trained on no reading of the date, or of what reads the day its own; NaN
            where there are none.
        lower: Lower bounds of the intervals, NaN where there are none; they hold at stations nobody trained on.
        upper: Upper bounds.
        level: Of the predictions at the training stations, see `round_level`.
        reach: See `reach_of_periods`; empty without intervals.
    """

    fitted: FittedEstimator
    predicted: Prediction
    other_dates: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    level: NDArray[np.float64]
    reach: Mapping[str, float]


def predict_fold(
    estimator: Estimator,
    samples: pd.DataFrame,
    features: Features,
    fold: Fold,
    *,
    other_dates: bool = True,
    interval_level: float | None = 0.9,
    seed: int = 0,
) -> FoldPredictions:
    """Fits the training rows of a fold and predicts every row.

    Args:
        estimator: What fits.
        samples: n rows with all their readings; those that the fold does not know are hidden from the estimator.
        features: Of these rows.
        fold: Which rows train, and which may be known.
        other_dates: Whether dates are predicted by refits without them as well. What reads stations of the day knows
            it by design: its predictions stand.
        interval_level: Of the prediction intervals; None for none. What was fine-tuned is not refitted for them: they
            rest on the validation stations, which chose the epoch but gave no gradient.
        seed: Deals dates and stations into groups.

    Raises:
        InputError: The training rows do not suffice.
    """
    known = hidden(samples, fold.training, fold.known)
    fitted = estimator.fit(known, features, fold.training)
    predicted = fitted.predict(known, features)

    def refit(training: NDArray[np.bool_], rows: pd.DataFrame) -> Prediction:
        try:
            again = estimator.fit(rows, features, training)
        except InputError:  # too few rows are left to keep some apart
            again = NothingLearnt()
        return again.predict(rows, features)

    trained = isinstance(fitted, FittedFineTuned)
    nothing = np.full(len(samples), np.nan)
    dates, intervals = nothing, (nothing, nothing)
    reach: Mapping[str, float] = {}
    if other_dates and estimator.uses_same_day_readings:
        dates = predicted.mean
    elif other_dates and not trained:
        dates = predict_other_dates(lambda training: refit(training, known).mean, known, fold.training, seed)
    if interval_level is not None:
        unseen = _unseen(fitted, predicted, known, fold.training) if isinstance(fitted, FittedFineTuned) else None
        if unseen is None:
            unseen = predict_unseen_stations(
                lambda training: refit(training, hidden(known, training)), known, fold.training, seed
            )
        site, pm25 = known["site_id"].to_numpy(), known["pm25"].to_numpy(np.float64)
        intervals = calibrated_intervals(pm25, unseen, site, predicted, interval_level)
        reach = reach_of_periods(known, unseen, interval_level)
    of_day = round_level(predicted.mean, fold.training, samples["local_date"])
    return FoldPredictions(fitted, predicted, dates, *intervals, of_day, reach)


def predict_other_dates(
    fit_predict: Callable[[NDArray[np.bool_]], NDArray[np.float64]],
    samples: pd.DataFrame,
    training: NDArray[np.bool_],
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
        samples: n rows: `local_date`, `pm25` (ug/m3; looked at in training rows only).
        training: Rows of training stations, n.
        seed: Deals the dates.

    Returns:
        Predictions, ug/m3, n; NaN for the dates dealt first.
    """
    dates, date = np.unique(samples["local_date"].to_numpy(), return_inverse=True)
    group = np.random.default_rng(seed).permutation(len(dates))[date] % DATE_GROUPS
    readings = samples["pm25"].to_numpy(np.float64)
    training = training & np.isfinite(readings)
    predicted = np.full(len(samples), np.nan)
    for number in range(1, DATE_GROUPS):
        earlier, shown = training & (group < number), group == number
        if earlier.any() and shown.any():
            level = readings[training].mean() - readings[earlier].mean()
            predicted[shown] = fit_predict(earlier)[shown] + level
    return predicted


def predict_unseen_stations(
    refit: Refit, samples: pd.DataFrame, training: NDArray[np.bool_], seed: int = 0
) -> Prediction:
    """Predicts each training station by a fit that has not seen it, for intervals.

    Rows of one station share its error, so calibration by rows held out would be far too narrow at a new
    station. The training stations are therefore dealt at random into five groups, and each group is predicted by a fit
    on the others (cross-conformal: Vovk 2015, with groups of stations for folds). These see fewer stations than the
    fit on all, so intervals are a little too wide. They hold for stations like the training stations, on dates like
    theirs: a temporal hold-out promises nothing.

    Args:
        refit: The method.
        samples: n rows: `site_id`.
        training: Rows to learn from, n.
        seed: Deals the stations.

    Returns:
        NaN outside of the training rows, and everywhere with fewer than `LEAST_STATIONS` training stations: a fit on
        the few others says too little of a fit on all.
    """
    mean, sd = np.full((2, len(samples)), np.nan)
    if samples.loc[training, "site_id"].nunique() < LEAST_STATIONS:
        return Prediction(mean, sd)
    group = np.full(len(samples), -1)
    group[training] = validation_groups(samples[training], seed)
    for number in range(VALIDATION_GROUPS):
        held = group == number
        said = refit(training & ~held)
        mean[held], sd[held] = said.mean[held], said.sd[held]
    return Prediction(mean, sd)


def reach_of_periods(samples: pd.DataFrame, unseen: Prediction, level: float) -> dict[str, float]:
    """Half-widths of intervals in predicted standard deviations, by length of the period.

    Args:
        samples: n rows: site_id, local_date, pm25.
        unseen: Predictions at training stations by fits that have not seen them, n; NaN for all other rows.
        level: Share to cover.

    Returns:
        day, month, season, year -> reach; without those that too few stations tell.
    """
    dates = pd.Index(samples["local_date"])
    day = np.unique(dates.to_numpy(), return_inverse=True)[1]
    periods = {"day": day, "year": years(dates)} | {name: period_of(dates) for name, period_of in PERIOD_OF.items()}
    site, pm25 = samples["site_id"].to_numpy(object), samples["pm25"].to_numpy(np.float64)
    found = {
        length: period_reach(pm25, unseen, site, period, {"day": 1, "year": 3, **MIN_DAYS_OF_PERIOD}[length], level)
        for length, period in periods.items()
    }
    return {length: reach for length, reach in found.items() if np.isfinite(reach)}


def _unseen(
    fitted: FittedFineTuned, predicted: Prediction, samples: pd.DataFrame, training: NDArray[np.bool_]
) -> Prediction:
    """What was fine-tuned says of the training stations that gave it no gradient."""
    unseen = training & samples["site_id"].isin(fitted.unseen_sites).to_numpy()
    return Prediction(*(np.where(unseen, values, np.nan) for values in (predicted.mean, predicted.sd)))
