"""Every kind of estimator, to be fitted in the golden world."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from golden_world import golden_world
from numpy.typing import NDArray

from model_utils.estimators.added_to_field import AddedToField
from model_utils.estimators.estimator import Estimator
from model_utils.estimators.forests.cnn_rf import ForestOnFeatures
from model_utils.estimators.forests.joint import JointModel
from model_utils.estimators.head import HeadSettings
from model_utils.estimators.network import PaperHead, TunedHead
from model_utils.estimators.place_and_day.place_and_day import PlaceAndDay
from model_utils.estimators.references.ceilings import ceilings
from model_utils.estimators.references.coordinates import Plane
from model_utils.estimators.references.cross_validated_ridge import CrossValidatedRidge
from model_utils.estimators.references.fields import SameDayField
from model_utils.estimators.references.weather import Forest, OnWeather, weather_forest, weather_ridge
from model_utils.estimators.ridge import RidgeHead

SEED = 3
NETWORK = HeadSettings(epochs=4, patience=2, seed=SEED)
PAPER = replace(NETWORK, batch_size=32)
ON_BANDS = "band_statistics_ridge"
BANDS = ["band_red_mean", "band_red_std"]

GOLDEN_ESTIMATORS: dict[str, Estimator] = {
    "same_day_mean": SameDayField("mean"),
    "inverse_distance": SameDayField("inverse_distance"),
    "ordinary_kriging": SameDayField("kriging"),
    "latitude_longitude": Plane(),
    ON_BANDS: CrossValidatedRidge(),
    "weather_ridge": weather_ridge(),
    "weather_forest": weather_forest(),
    "ridge": RidgeHead(seed=SEED),
    "ridge_spatial": RidgeHead(2.0, seed=SEED),
    "ridge+mean": AddedToField(RidgeHead(seed=SEED), "mean"),
    "ridge+inverse_distance": AddedToField(RidgeHead(seed=SEED), "inverse_distance"),
    "ridge+kriging": AddedToField(RidgeHead(seed=SEED), "kriging"),
    "network": TunedHead(NETWORK, learning_rates=(1e-3, 3e-3), weight_decays=(1e-2,)),
    "joint": JointModel(RidgeHead(seed=SEED), seed=SEED),
    "cnn_rf": ForestOnFeatures(SEED),
    "paper": PaperHead(PAPER),
    "paper+kriging": AddedToField(PaperHead(PAPER), "kriging"),
    "paper_spatial": PaperHead(replace(PAPER, spatial_weight=2.0)),
    **ceilings(golden_world()[0]),
}
"""Those whose numbers are known from the time before they had one interface."""

LATER_ESTIMATORS: dict[str, Estimator] = {
    "gaussian_process": PlaceAndDay(place="coordinates", day="readings"),
    "place_and_day": PlaceAndDay(seed=SEED),
    "place_and_day_images": PlaceAndDay(place="images", day="images", seed=SEED),
    "nested": AddedToField(OnWeather(AddedToField(Forest(), "mean")), "inverse_distance"),
}
"""Those that came since, and one that holds several others."""

ESTIMATORS = {**GOLDEN_ESTIMATORS, **LATER_ESTIMATORS}


def seen_by(name: str, samples: pd.DataFrame, features: NDArray[np.float32]) -> NDArray[np.floating]:
    """The features that an estimator is given."""
    return samples[BANDS].to_numpy() if name == ON_BANDS else features
