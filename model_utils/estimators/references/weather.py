"""PM2.5 from the weather alone: no image, no date, no place, no reading of the day.

Weather is nearly the same at all stations of a date and differs between dates. A forest fitted on other stations of a
date recognises the date by its weather and returns its level, which looks like skill in time and is none: that
skill is to be measured with the predicted dates left out of `train`. A ridge of three numbers can do so much less.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestRegressor

from model_utils.estimators.references.cross_validated_ridge import ridge_predictions
from model_utils.estimators.references.weather_inputs import WEATHER_COLUMNS, weather_inputs

TREES = 200
LEAF_ROWS = 5  # usual for regression (Liaw & Wiener 2002); fixed, so that no reading has a say in it


def weather_ridge(train: pd.DataFrame, test: pd.DataFrame) -> NDArray[np.float64]:
    """Ridge regression on temperature, relative humidity and pressure; NaN where nothing is known of them."""
    return ridge_predictions(train, *_weather(train, test))


def weather_forest(train: pd.DataFrame, test: pd.DataFrame) -> NDArray[np.float64]:
    """Random forest (Breiman 2001) on temperature, relative humidity and pressure; NaN where nothing is known of them.

    The order of the rows of `train` does not matter.
    """
    train_weather, test_weather = _weather(train, test)
    read = train["pm25"].notna().to_numpy()
    weather, pm25 = train_weather[read], train["pm25"].to_numpy(np.float64)[read]
    if not (weather.size and len(test)):
        return np.full(len(test), np.nan)
    order = np.lexsort((pm25, *weather.T))  # resampling goes by position
    forest = RandomForestRegressor(TREES, min_samples_leaf=LEAF_ROWS, random_state=0, n_jobs=1)
    predicted: NDArray[np.float64] = forest.fit(weather[order], pm25[order]).predict(test_weather)
    return predicted


def _weather(train: pd.DataFrame, test: pd.DataFrame) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weather inputs of both, gaps filled together: test stations' own weather counts."""
    columns = ["local_date", *(name for name in WEATHER_COLUMNS if name in train)]
    values = weather_inputs(pd.concat([train[columns], test[columns]]), np.arange(len(train) + len(test)) < len(train))
    return values.values[: len(train)], values.values[len(train) :]
