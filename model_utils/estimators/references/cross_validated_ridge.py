"""Ridge regression with its penalty chosen on stations it has not seen: what the linear references share."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import GroupKFold, PredefinedSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

PENALTIES = tuple(10.0**power for power in range(-1, 6))
FOLDS = 5


def ridge_predictions(
    train: pd.DataFrame, train_features: NDArray[np.float64], test_features: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Fits PM2.5 on standardised features (Hoerl & Kennard 1970) and predicts.

    Mean and spread of the features are those of the training rows. The penalty of `PENALTIES` with the least mean
    squared error at left-out stations is taken: five groups of whole stations, or with fewer than five
    training stations blocks of their dates.

    Args:
        train: n rows: `site_id`, `local_date`, `pm25` (ug/m3, NaN = no reading: such rows are left out).
        train_features: n x d, finite.
        test_features: m x d, finite.

    Returns:
        m predictions, ug/m3; NaN where d is 0 or there is nothing to choose the penalty on (fewer than five stations
        on a single date).
    """
    read = train["pm25"].notna().to_numpy()
    rows, features = train[read], train_features[read]
    enough = rows["site_id"].nunique() >= FOLDS or rows["local_date"].nunique() >= 2
    if not (enough and features.shape[1] and len(test_features)):
        return np.full(len(test_features), np.nan)
    ridge = RidgeCV(PENALTIES, scoring="neg_mean_squared_error", cv=left_out(rows))
    model = make_pipeline(StandardScaler(), ridge).fit(features, rows["pm25"].to_numpy(np.float64))
    predicted: NDArray[np.float64] = model.predict(test_features)
    return predicted


def left_out(rows: pd.DataFrame) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Folds as positions of the rows to fit on and to validate on.

    Args:
        rows: `site_id`, `local_date`; at least `FOLDS` stations or two dates.
    """
    if rows["site_id"].nunique() >= FOLDS:
        return list(GroupKFold(FOLDS).split(rows, groups=rows["site_id"].to_numpy()))
    dates, date = np.unique(rows["local_date"].to_numpy(), return_inverse=True)
    block = date * min(FOLDS, len(dates)) // len(dates)
    return list(PredefinedSplit(block).split())
