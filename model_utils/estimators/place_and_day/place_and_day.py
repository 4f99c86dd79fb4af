"""Place and day: ln PM2.5(place, day) = day + place + residual, each learnt from what tells most of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model_utils.errors import InputError
from model_utils.estimators.estimator import Features, FittedEstimator, NothingLearnt, Prediction
from model_utils.estimators.place_and_day.day_from_images import DayFromImages, fit_day_from_images
from model_utils.estimators.place_and_day.day_from_readings import (
    DayFromReadings,
    effect_errors,
    residual_variogram,
)
from model_utils.estimators.place_and_day.ground import Ground, describe_ground
from model_utils.estimators.place_and_day.place_process import PlaceProcess, fit_place_process
from model_utils.estimators.place_and_day.smearing import Smearing, smearing
from model_utils.estimators.place_and_day.two_way_effects import TwoWayEffects, two_way_effects
from model_utils.estimators.references.same_day import READING_COLUMNS, station_days
from model_utils.estimators.references.weather_inputs import weather_inputs

Floats = NDArray[np.float64]

LOWEST = 1.0
"""Readings count as at least this, ug/m3: below it an instrument tells nothing, and its logarithm would tell a lot."""
LEAST_RESIDUAL_SD = 1e-3
"""Of residuals in log units: no instrument is better than a thousandth."""
RESIDUAL_SD = 0.2
"""Of residuals in log units, where no reading can tell (.185 in Delhi, .15 in Beijing)."""


@dataclass(frozen=True)
class PlaceAndDay:
    """The model of a city.

    Attributes:
        ground: What the images show, of all clear tiles; by default made of the rows of the fit.
        place: What tells the effect of a place.
        day: What tells the level of a day.
        seed: Deals the dates into groups.
    """

    ground: Ground | None = None
    place: Literal["coordinates", "images", "both"] = "both"
    day: Literal["readings", "images", "both"] = "both"
    seed: int = 0

    @property
    def uses_same_day_readings(self) -> bool:
        """Unless the day is told by images and weather alone."""
        return self.day != "images"

    def fit(self, samples: pd.DataFrame, features: Features, training: NDArray[np.bool_]) -> FittedEstimator:
        """Learns effects, process and heads from the training rows; other rows' readings are those of their day.

        Raises:
            InputError: The place is to be told by images, and there are none.
        """
        shown = _embeddings(features)
        rows = samples.assign(pm25=np.log(np.maximum(samples["pm25"].to_numpy(np.float64), LOWEST)))
        training = training & rows["pm25"].notna().to_numpy()
        if not training.any():
            return NothingLearnt()
        ground = self._described(samples, shown)

        table = station_days(rows[training])
        values, dates = table.to_numpy(), table.columns.to_numpy("datetime64[ns]")
        effects = two_way_effects(values)
        residual_sd = effects.residual_sd if effects.degrees_of_freedom > 0 else RESIDUAL_SD
        residual_variance = max(residual_sd, LEAST_RESIDUAL_SD) ** 2
        first = np.flatnonzero(training)[~rows["site_id"][training].duplicated().to_numpy()]
        first = first[pd.Index(samples["site_id"].to_numpy(object)[first]).get_indexer(table.index)]
        stations = rows.iloc[first]
        blocks = (ground.scores(samples, shown)[first],) if ground is not None and self.place != "coordinates" else ()
        variogram = residual_variogram(stations, dates, values, effects, residual_variance)
        errors = effect_errors(stations, values, variogram, residual_variance)
        process = self._process(stations, effects, errors, blocks)

        fitted = FittedPlaceAndDay(
            place=self.place,
            ground=ground,
            process=process,
            day_from_readings=None,
            day_from_images=None,
            residual_variance=residual_variance,
            back=smearing(np.empty(0)),
        )
        if self.day != "images":
            mean, _ = fitted.places(samples, shown)
            told = rows.assign(pm25=rows["pm25"] - mean)[list(READING_COLUMNS)]
            told = told[np.isfinite(told["pm25"])].reset_index(drop=True)
            fitted = replace(fitted, day_from_readings=DayFromReadings(told, variogram))
        if self.day != "readings":
            compared = np.isfinite(values[effects.component == 0]).any(axis=0)
            weather = weather_inputs(samples, training)
            heads = fit_day_from_images(dates[compared], effects.day[compared], weather, ground, self.seed)
            fitted = replace(fitted, day_from_images=heads)
        fitted = replace(fitted, back=fitted.smearing_of(rows[training], None if shown is None else shown[training]))
        return replace(fitted, chosen=fitted.settings())

    def _described(self, samples: pd.DataFrame, shown: NDArray[np.float32] | None) -> Ground | None:
        """What images show, if anything asks for it."""
        if self.ground is not None:
            return self.ground
        if shown is not None and (self.place != "coordinates" or self.day != "readings"):
            return describe_ground(samples, shown)
        if self.place != "coordinates":
            raise InputError(f"place and day: found no features, expected embeddings for place={self.place!r}")
        return None

    def _process(
        self, stations: pd.DataFrame, effects: TwoWayEffects, errors: Floats, blocks: tuple[Floats, ...]
    ) -> PlaceProcess:
        """Of the stations that can be compared with most others, and are seen."""
        used = effects.component == 0
        for block in blocks:
            used &= np.isfinite(block).all(axis=1)
        return fit_place_process(
            stations["latitude"].to_numpy(np.float64)[used],
            stations["longitude"].to_numpy(np.float64)[used],
            effects.place[used],
            errors[np.ix_(used, used)],
            tuple(block[used] for block in blocks),
            stations["site_id"].to_numpy(object)[used],
            coordinates=self.place != "images",
        )


@dataclass(frozen=True, kw_only=True)
class FittedPlaceAndDay(FittedEstimator):
    """A fitted city.

    Attributes:
        place: What tells the effect of a place: coordinates, images, both.
        ground: What the images show.
        process: Of the places.
        day_from_readings: Level of a day from its readings.
        day_from_images: Level of a day from air, weather and season.
        residual_variance: Of a reading around day + place, log units squared.
        back: To ug/m3.
    """

    place: str
    ground: Ground | None
    process: PlaceProcess
    day_from_readings: DayFromReadings | None
    day_from_images: DayFromImages | None
    residual_variance: float
    back: Smearing

    def __post_init__(self) -> None:
        if bool(self.process.blocks) != (self.place != "coordinates"):
            raise ValueError(f"place and day: found {len(self.process.blocks)} blocks for place={self.place!r}")
        of_blocks = [block.shape[1] for block in self.process.blocks]
        if of_blocks and (self.ground is None or of_blocks != [len(self.ground.directions)]):
            raise ValueError(f"place and day: found no ground for a process on images of {of_blocks} components")
        if self.day_from_images is not None and self.ground is not None:
            seen, expected = len(self.day_from_images.air_centre), self.ground.means.shape[1]
            if seen != expected:
                raise ValueError(f"place and day: found air of {seen} features, expected {expected} as of the ground")

    def sees(self) -> int | None:
        """The embeddings that the ground is described by."""
        return None if self.ground is None else int(self.ground.means.shape[1])

    def predict(self, samples: pd.DataFrame, features: Features) -> Prediction:
        """Place and day at every row, back in ug/m3; NaN where place or day cannot be told.

        A row's own station is left out of the readings of its day.
        """
        shown = _embeddings(features)
        place, place_variance = self.places(samples, shown)
        day, day_variance = self.days(samples, shown)
        return Prediction(*self.back.back(place + day, np.sqrt(place_variance + day_variance)))

    def place_effects(self, samples: pd.DataFrame, features: Features) -> tuple[Floats, Floats]:
        """Mean and standard deviation of the effect of each row's place, log units.

        Relative to the mean of the training stations; the level that all places share belongs to the day. At a place
        without training readings the standard deviation includes what is peculiar to the place (the nugget).
        """
        mean, variance = self.places(samples, _embeddings(features))
        return mean, np.sqrt(variance)

    def places(self, samples: pd.DataFrame, shown: NDArray[np.float32] | None) -> tuple[Floats, Floats]:
        """Mean and variance of the effect of each row's place, log units."""
        site, sites, latitude, longitude, blocks = self._sites(samples, shown)
        mean, variance = self.process.predict(latitude, longitude, blocks, sites)
        return mean[site], variance[site]

    def dissimilarity(self, samples: pd.DataFrame, features: Features) -> Floats:
        """How unlike the training stations each row's place is, n; NaN where nothing shows it (see `Applicability`)."""
        site, _, latitude, longitude, blocks = self._sites(samples, _embeddings(features))
        return self.process.dissimilarity(latitude, longitude, blocks)[site]

    def inside_applicability(self, samples: pd.DataFrame, features: Features) -> NDArray[np.bool_]:
        """Whether each row's place lies in the area of applicability, n."""
        return np.asarray(self.dissimilarity(samples, features) <= self.process.applicability().threshold)

    def _sites(
        self, samples: pd.DataFrame, shown: NDArray[np.float32] | None
    ) -> tuple[NDArray[np.int64], NDArray[np.object_], Floats, Floats, tuple[Floats, ...]]:
        """The number of each row's site; and of the sites site_id, latitude, longitude and scores."""
        site, sites = pd.factorize(samples["site_id"].to_numpy(object))
        first = np.full(len(sites), -1)
        first[site[::-1]] = np.arange(len(site))[::-1]
        rows = samples.iloc[first]
        blocks: tuple[Floats, ...] = ()
        if self.process.blocks and self.ground is not None:
            blocks = (self.ground.scores(samples, shown)[first],)
        latitude, longitude = (rows[name].to_numpy(np.float64) for name in ("latitude", "longitude"))
        return site, np.asarray(sites, dtype=object), latitude, longitude, blocks

    def days(self, samples: pd.DataFrame, shown: NDArray[np.float32] | None) -> tuple[Floats, Floats]:
        """Mean and variance of day + residual at each row, log units; NaN where nothing tells them.

        Where there are two predictions they are weighted by their variances without the part that neither can know
        and both err by, the residual of the place alone (the variogram's nugget).
        """
        by_images = None
        if self.day_from_images is not None:
            mean, variance = self.day_from_images.predict(samples, shown, self.ground)
            by_images = mean, variance + self.residual_variance
        if self.day_from_readings is None:
            nothing = np.full(len(samples), np.nan)
            return by_images or (nothing, nothing)
        by_readings = self.day_from_readings.predict(samples)
        if by_images is None:
            return by_readings
        alone = min(self.day_from_readings.variogram.nugget, self.residual_variance)
        first, second = (np.maximum(variance - alone, 1e-12) for _, variance in (by_readings, by_images))
        weight = second / (first + second)
        mean = weight * by_readings[0] + (1 - weight) * by_images[0]
        variance = first * second / (first + second) + alone
        told = np.isfinite(by_readings[0])
        return np.where(told, mean, by_images[0]), np.where(told, variance, by_images[1])

    def smearing_of(self, train: pd.DataFrame, shown: NDArray[np.float32] | None) -> Smearing:
        """What errors look like at training stations that are predicted as if they had no reading.

        Args:
            train: Training rows, pm25 in logarithms.
            shown: Their embeddings.
        """
        mean, variance = self.process.left_out()
        station = pd.Index(self.process.stations).get_indexer(pd.Index(train["site_id"].to_numpy(object)))
        day, day_variance = self.days(train, shown)
        errors = train["pm25"].to_numpy() - np.append(mean, np.nan)[station] - day
        return smearing(errors / np.sqrt(np.append(variance, np.nan)[station] + day_variance))

    def settings(self) -> dict[str, float]:
        """What was chosen, by name."""
        found = self.process.chosen(("images",) * len(self.process.blocks))
        found["residual_sd"] = self.residual_variance**0.5
        if self.day_from_images is not None:
            heads = self.day_from_images
            found["day_sd_without_air"] = heads.without_air.variance**0.5
            if heads.with_air is not None:
                found["day_sd_with_air"] = heads.with_air.variance**0.5
        return found


def _embeddings(features: Features) -> NDArray[np.float32] | None:
    """Features that are numbers."""
    if features is None or isinstance(features, np.ndarray):
        return features
    raise ValueError("place and day: found tiles, expected their embeddings")
