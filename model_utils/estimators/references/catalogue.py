"""All references, in the order of the tables: what a method must beat before its images can be said to help."""

from __future__ import annotations

from collections.abc import Mapping

from model_utils.estimators.choices import Field
from model_utils.estimators.estimator import Estimator
from model_utils.estimators.place_and_day.place_and_day import PlaceAndDay
from model_utils.estimators.references.coordinates import Plane
from model_utils.estimators.references.cross_validated_ridge import CrossValidatedRidge
from model_utils.estimators.references.fields import SameDayField
from model_utils.estimators.references.weather import weather_forest, weather_ridge

FIELD_REFERENCES: Mapping[Field, str] = {
    "mean": "same_day_mean",
    "inverse_distance": "inverse_distance",
    "kriging": "ordinary_kriging",
}
"""The reference that is a same-day field alone."""

ON_BAND_STATISTICS = "band_statistics_ridge"
"""The reference that looks at its features: band statistics of the tiles."""

ON_WEATHER = ("weather_ridge", "weather_forest")
"""References that say nothing where no weather is known."""

REFERENCES: Mapping[str, Estimator] = {
    **{name: SameDayField(field) for field, name in FIELD_REFERENCES.items()},
    "gaussian_process": PlaceAndDay(ground=None, place="coordinates", day="readings"),
    "latitude_longitude": Plane(),
    ON_BAND_STATISTICS: CrossValidatedRidge(),
    "weather_ridge": weather_ridge(),
    "weather_forest": weather_forest(),
}
