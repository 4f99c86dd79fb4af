"""Area of applicability: where predictors are like those of the training points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

from model_utils.estimators.saving import Saved

Floats = NDArray[np.float64]

LEAST_POINTS = 3
"""Fewer training points have no distribution of distances."""


@dataclass(frozen=True)
class Applicability(Saved):
    """What is known of n training points in p predictors, as in Meyer & Pebesma 2021, doi 10.1111/2041-210X.13650.

    The dissimilarity of a point is its distance to the nearest training point in units of the mean distance between
    training points, in predictors that are standardised and weighted by importance.

    Attributes:
        centre: Mean of each predictor, p.
        weights: Importance / standard deviation of each predictor, p; 0 where all training points are alike.
        known: The training points, centred and weighted, n x p.
        mean_distance: Between two of them; NaN where nothing can be said, and so is then every dissimilarity.
        threshold: Largest dissimilarity of a point inside; NaN where nothing can be said, and then no point is inside.
    """

    centre: Floats
    weights: Floats
    known: Floats
    mean_distance: float
    threshold: float

    def __post_init__(self) -> None:
        if self.known.ndim != 2 or not self.centre.shape == self.weights.shape == self.known.shape[1:]:
            shapes = self.centre.shape, self.weights.shape, self.known.shape
            raise ValueError(f"applicability: found {shapes}, expected p, p and n x p")
        if not np.isfinite([*self.centre, *self.weights, *self.known.flat]).all():
            raise ValueError("applicability: found a number that is not finite")
        if self.mean_distance <= 0 or self.threshold < 0:
            raise ValueError(f"applicability: found distances of {self.mean_distance:g} and {self.threshold:g}")

    def dissimilarity(self, points: Floats) -> Floats:
        """Of m points in the same predictors, m x p -> m; NaN where a predictor that counts is not known."""
        found = np.full(len(points), np.nan)
        placed = _weighted(points, self.centre, self.weights)
        seen = np.isfinite(placed).all(axis=1)
        if np.isfinite(self.mean_distance) and seen.any():
            found[seen] = cKDTree(self.known).query(placed[seen])[0] / self.mean_distance
        return found

    def inside(self, points: Floats) -> NDArray[np.bool_]:
        """Which of m points are in the area of applicability, m x p -> m."""
        return np.asarray(self.dissimilarity(points) <= self.threshold)


def fit_applicability(points: Floats, importance: Floats, folds: NDArray[np.generic]) -> Applicability:
    """Learns the threshold: min(Q75 + 1.5 IQR, max) of the training points' dissimilarities to the other folds' points.

    Fewer than three training points, a single fold, or points that are all alike say nothing of any point.

    Args:
        points: Predictors of n training points, n x p, finite.
        importance: Of each predictor, p, not negative.
        folds: The fold of each training point, n: what is predicted together from the rest.

    Raises:
        ValueError: Shapes that do not fit, a predictor that is not finite, or an importance that is negative.
    """
    if points.ndim != 2 or importance.shape != points.shape[1:] or folds.shape != points.shape[:1]:
        raise ValueError(f"applicability: found {importance.shape} and {folds.shape} for points of {points.shape}")
    if not np.isfinite(points).all() or not (importance >= 0).all():
        raise ValueError("applicability: found an unknown predictor or a negative importance")
    count, names = len(points), np.unique(folds)
    centre, weights = np.zeros(points.shape[1]), np.zeros(points.shape[1])
    if count:
        differs = points.max(axis=0) > points.min(axis=0)  # an SD of equal numbers can be a rounding error
        centre = points.mean(axis=0)
        weights = np.where(differs, importance / np.where(differs, points.std(axis=0), 1.0), 0.0)
    known = _weighted(points, centre, weights)
    total, nearest = 0.0, np.zeros(count)
    if count >= LEAST_POINTS and len(names) > 1:
        for name in names:
            own = folds == name
            distances = cdist(known[own], known)
            total += distances.sum()
            nearest[own] = distances[:, ~own].min(axis=1)
    if total == 0:
        return Applicability(centre, weights, known, np.nan, np.nan)
    mean_distance = float(total / (count * (count - 1)))
    low, high = np.quantile(nearest / mean_distance, (0.25, 0.75))
    threshold = float(min(high + 1.5 * (high - low), nearest.max() / mean_distance))
    return Applicability(centre, weights, known, mean_distance, threshold)


def _weighted(points: Floats, centre: Floats, weights: Floats) -> Floats:
    """Centred and weighted; what has no weight is 0, known or not."""
    return np.asarray(np.where(weights > 0, points - centre, 0.0) * weights)
