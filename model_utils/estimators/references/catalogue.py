"""All references, in the order of the tables."""

from __future__ import annotations

from model_utils.estimators.references.bands import band_statistics_ridge
from model_utils.estimators.references.coordinates import latitude_longitude
from model_utils.estimators.references.cross_validated_ridge import PENALTIES
from model_utils.estimators.references.kriging import ordinary_kriging
from model_utils.estimators.references.reference import Reference
from model_utils.estimators.references.same_day import inverse_distance, same_day_mean
from model_utils.estimators.references.weather import weather_forest, weather_ridge

REFERENCES: tuple[Reference, ...] = (
    Reference("same_day_mean", uses_same_day_readings=True, predict=same_day_mean),
    Reference("inverse_distance", uses_same_day_readings=True, predict=inverse_distance),
    Reference("ordinary_kriging", uses_same_day_readings=True, predict=ordinary_kriging),
    Reference("latitude_longitude", uses_same_day_readings=False, predict=latitude_longitude),
    Reference(
        "band_statistics_ridge", uses_same_day_readings=False, predict=band_statistics_ridge, trials=len(PENALTIES)
    ),
    Reference("weather_ridge", uses_same_day_readings=False, predict=weather_ridge, trials=len(PENALTIES)),
    Reference("weather_forest", uses_same_day_readings=False, predict=weather_forest),
)
