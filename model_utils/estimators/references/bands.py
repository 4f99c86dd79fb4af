"""PM2.5 from the colour and texture of a tile, without a learnt encoder."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model_utils.estimators.references.cross_validated_ridge import ridge_predictions
from model_utils.features.band_statistics import BAND_COLUMN_PREFIX


def band_statistics_ridge(train: pd.DataFrame, test: pd.DataFrame) -> NDArray[np.float64]:
    """Ridge regression on the columns of `band_statistics_features`; NaN where the rows have none.

    All tiles of a date share their haze, so it knows the level of a date from the training stations' tiles if these
    are of that date: skill in time is to be measured with the predicted dates left out of `train`.
    """
    columns = [name for name in train.columns if name.startswith(BAND_COLUMN_PREFIX)]
    features = (rows[columns].to_numpy(np.float64) for rows in (train, test))
    return ridge_predictions(train, *features)
