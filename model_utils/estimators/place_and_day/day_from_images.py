"""The level of a day from its air in the images, its weather and its season: no reading of the day."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model_utils.estimators.place_and_day.ground import Ground
from model_utils.estimators.references.weather_inputs import WeatherInputs
from model_utils.estimators.saving import Saved

Floats = NDArray[np.float64]

AIR_COMPONENTS = 16
"""Principal components of the air of all dates that are kept at most."""
GROUPS = 5
"""Of training dates; each has a head that did not train on it."""
LEAST_DATES = 2 * GROUPS
"""With fewer training dates there is no regression, but their mean."""
PENALTIES = (np.inf, 1e2, 1e1, 1e0, 1e-1, 1e-2, 1e-3)
"""Of squares of standardised weights beside the mean squared error, from rigid to flexible; air and the rest apart."""
DAY_SD = 0.5
"""Of day effects in log units, where a single date cannot tell (.42 in Delhi, .9 in Beijing)."""


@dataclass(frozen=True)
class Heads(Saved):
    """Ridge regressions of one set of inputs.

    Attributes:
        weights: Of the inputs, (groups + 1) x k: by each group left out, and by all training dates.
        intercepts: Log units, groups + 1.
        variance: Mean square of the errors at training dates by the heads that did not train on them.
        penalties: Of the air and of the rest; 0 stands for none of it.
    """

    weights: Floats
    intercepts: Floats
    variance: float
    penalties: tuple[float, ...]

    def __post_init__(self) -> None:
        if self.weights.ndim != 2 or not self.intercepts.shape == self.weights.shape[:1] == (GROUPS + 1,):
            raise ValueError(f"heads: found {self.weights.shape} weights and {self.intercepts.shape} intercepts")


@dataclass(frozen=True)
class DayFromImages(Saved):
    """Day effects predicted for any date.

    Attributes:
        weather: Weather of the fitted dates.
        air_centre: Of the principal components of the air of all dates, d.
        air_directions: m x d, in standard deviations over all dates.
        dates: Training dates, t.
        group: Of each, t: the head that did not train on it.
        with_air: Heads on air, weather and season; none without images.
        without_air: Heads on weather and season, for dates whose air is not seen.
    """

    weather: WeatherInputs
    air_centre: Floats
    air_directions: Floats
    dates: NDArray[np.datetime64]
    group: NDArray[np.int64]
    with_air: Heads | None
    without_air: Heads

    def __post_init__(self) -> None:
        dates = self.dates.shape
        if not dates == self.group.shape == np.unique(self.dates).shape or np.isnat(self.dates).any():
            raise ValueError(f"day: found {self.group.shape} groups of {dates} dates, expected each date once")
        if len(self.group) and not 0 <= self.group.min() <= self.group.max() < GROUPS:
            raise ValueError(f"day: found a group beyond 0 to {GROUPS - 1}")
        if self.air_directions.ndim != 2 or self.air_centre.shape != self.air_directions.shape[1:]:
            raise ValueError(f"day: found {self.air_directions.shape} directions about {self.air_centre.shape}")
        rest, air = len(self.weather.names) + 2, len(self.air_directions)
        for heads, expected in ((self.without_air, rest), (self.with_air, rest + air)):
            if heads is not None and heads.weights.shape[1] != expected:
                raise ValueError(f"day: found heads of {heads.weights.shape[1]} inputs, expected {expected}")

    def predict(
        self, samples: pd.DataFrame, features: NDArray[np.float32] | None, ground: Ground | None
    ) -> tuple[Floats, Floats]:
        """Mean and variance of the day effect at n rows, by heads that never trained on the row's date.

        Weather that is not known counts as typical, and the variance has what it could have told.
        """
        known = pd.Index(self.dates).get_indexer(pd.Index(samples["local_date"].to_numpy("datetime64[ns]")))
        head = np.where(known >= 0, np.append(self.group, GROUPS)[known], GROUPS)
        rest, unknown = _weather_and_season(self.weather, samples)
        mean = self.without_air.intercepts[head] + (rest * self.without_air.weights[head]).sum(axis=1)
        variance = self.without_air.variance + self._untold(unknown, self.without_air.weights[head])
        if self.with_air is None or ground is None:
            return mean, variance
        air_of_dates, date = ground.air_of_dates(samples, features)
        air = ((air_of_dates - self.air_centre) @ self.air_directions.T)[date]
        inputs = np.column_stack([air, rest])
        seen = np.isfinite(air).all(axis=1)
        by_air = self.with_air.intercepts[head] + (inputs * self.with_air.weights[head]).sum(axis=1)
        by_air_variance = self.with_air.variance + self._untold(unknown, self.with_air.weights[head][:, air.shape[1] :])
        return np.where(seen, by_air, mean), np.where(seen, by_air_variance, variance)

    def _untold(self, unknown: NDArray[np.bool_], weights: Floats) -> Floats:
        """Mean square of what weather would add to n rows if it were known, log units.

        Args:
            unknown: Which names of the weather are not known, n x k.
            weights: Of weather and season, n x (k + 2).
        """
        whole = self.weather.of_date[np.isfinite(self.weather.of_date).all(axis=1)] - self.weather.typical
        moments = whole.T @ whole / max(len(whole), 1)
        missed = unknown * weights[:, : unknown.shape[1]]
        return np.asarray(((missed @ moments) * missed).sum(axis=1))


def fit_day_from_images(
    dates: NDArray[np.datetime64], effects: Floats, weather: WeatherInputs, ground: Ground | None, seed: int
) -> DayFromImages:
    """Fits the heads.

    Args:
        dates: Training dates, t.
        effects: Day effects, log units, t, finite.
        weather: Of all dates (no label).
        ground: With the air of all dates (no label).
        seed: Deals the dates into groups.
    """
    width = 0 if ground is None else ground.air.shape[1]
    centre, directions = np.zeros(width), np.zeros((0, width))
    air = np.zeros((len(dates), 0))
    rows = pd.DataFrame({"local_date": dates, "site_id": ""})
    if ground is not None:
        centre, directions = _air_components(ground)
        air = (ground.air_of(rows, None) - centre) @ directions.T
    group = np.random.default_rng(seed).permutation(len(dates)) % GROUPS
    rest, _ = _weather_and_season(weather, rows)
    seen = np.isfinite(air).all(axis=1)
    with_air = None
    if len(directions) and seen.sum() >= LEAST_DATES:
        with_air = _heads(np.column_stack([air, rest])[seen], effects[seen], group[seen], air.shape[1])
    without_air = _heads(rest, effects, group, 0)
    return DayFromImages(weather, centre, directions, dates, group, with_air, without_air)


def _heads(inputs: Floats, effects: Floats, group: NDArray[np.int64], width_of_air: int) -> Heads:
    """Heads whose penalties have the least squared error at the dates of the group that is left out."""
    count, width = inputs.shape
    if count < LEAST_DATES:
        spread = float(effects.var(ddof=1)) * (1 + 1 / count) if count > 1 else DAY_SD**2
        of_others = [
            effects[group != number].mean() if (group != number).any() else effects.mean() for number in range(GROUPS)
        ]
        return Heads(np.zeros((GROUPS + 1, width)), np.array([*of_others, effects.mean()]), spread, (0.0, 0.0))
    pairs = [(air, rest) for air in (PENALTIES if width_of_air else PENALTIES[:1]) for rest in PENALTIES]
    is_air = np.arange(width) < width_of_air
    penalties = np.array([np.where(is_air, *pair) for pair in pairs])
    kept = [group != number for number in range(GROUPS)] + [np.ones(count, bool)]
    solved = [_ridge(inputs[each], effects[each], penalties) for each in kept]
    errors = np.empty((count, len(pairs)))
    for each, (weights, intercepts) in zip(kept[:-1], solved, strict=False):
        errors[~each] = effects[~each, None] - inputs[~each] @ weights.T - intercepts
    losses = (errors**2).mean(axis=0)
    # of settings that differ by rounding only the most rigid is taken
    best = int(np.flatnonzero(losses <= losses.min() * (1 + 1e-9))[0])
    return Heads(
        np.array([weights[best] for weights, _ in solved]),
        np.array([intercepts[best] for _, intercepts in solved]),
        float(losses[best]),
        tuple(float(penalty) if np.isfinite(penalty) else 0.0 for penalty in pairs[best]),
    )


def _ridge(inputs: Floats, target: Floats, penalties: Floats) -> tuple[Floats, Floats]:
    """Weights, settings x k, and intercepts, settings, of inputs as they are; a penalty per standardised input.

    Args:
        inputs: t x k.
        target: t.
        penalties: Settings x k; infinite leaves an input out.
    """
    mean, spread = inputs.mean(axis=0), inputs.std(axis=0)
    spread = np.where(spread > 1e-9, spread, np.inf)
    z = (inputs - mean) / spread
    used = np.isfinite(penalties)
    gram = (z.T @ z / len(z)) * (used[:, :, None] & used[:, None, :])
    gram = gram + np.where(used, penalties, 1.0)[:, :, None] * np.eye(len(mean))
    right = np.where(used, z.T @ (target - target.mean()) / len(z), 0.0)
    weights = np.linalg.solve(gram, right[:, :, None])[:, :, 0] / spread
    return weights, target.mean() - weights @ mean


def _air_components(ground: Ground) -> tuple[Floats, Floats]:
    """Centre and directions of the principal components of the air of all dates, each of standard deviation 1."""
    air = ground.air[np.isfinite(ground.air).all(axis=1)].astype(np.float64)
    if len(air) < 2:
        return np.zeros(ground.air.shape[1]), np.zeros((0, ground.air.shape[1]))
    centre = air.mean(axis=0)
    _, spread, directions = np.linalg.svd(air - centre, full_matrices=False)
    kept = (spread > 1e-6 * spread[0]) & (np.arange(len(spread)) < AIR_COMPONENTS)
    return centre, directions[kept] / spread[kept, None] * np.sqrt(len(air))


def _weather_and_season(weather: WeatherInputs, samples: pd.DataFrame) -> tuple[Floats, NDArray[np.bool_]]:
    """Weather and season of each row, and which of the weather is not known.

    Returns:
        Of the row's date as `weather.names` has it, typical where it is not known, and the year's cosine and sine,
        n x (k + 2); and where it is not known, n x k.
    """
    date = samples["local_date"].to_numpy("datetime64[ns]")
    known = pd.Index(weather.dates).get_indexer(pd.Index(date))
    names = list(weather.names)
    of_date = np.full((len(samples), len(names)), np.nan)
    of_date[known >= 0] = weather.of_date[known[known >= 0]]
    other = known < 0
    if other.any() and set(names) <= set(samples):
        medians = samples.loc[other, names].astype(np.float64).groupby(date[other]).median()
        of_date[other] = medians.loc[date[other]].to_numpy()
    filled = np.where(np.isnan(of_date), weather.typical, of_date)
    w = 2 * np.pi * pd.DatetimeIndex(date).day_of_year.to_numpy() / 365.25
    return np.column_stack([filled, np.cos(w), np.sin(w)]), np.isnan(of_date)
