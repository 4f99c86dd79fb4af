"""Back from logarithms to ug/m3 without bias (Duan 1983), where each prediction has its own spread."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from model_utils.estimators.saving import Saved

KEPT = 200
"""Means of order statistics that are kept of the standardised errors."""
LEAST = 20
"""With fewer errors than this their distribution is taken for normal."""
LEAST_SPREAD = 1e-2
"""And where they differ by less than this: readings that never differ tell no distribution."""
FAR = 5.0
"""Errors count as at most this many standard deviations: one faulty reading must not raise every prediction."""


@dataclass(frozen=True)
class Smearing(Saved):
    """What errors in units of their predicted standard deviation look like.

    Attributes:
        errors: Of log readings, standardised, sorted, at most `KEPT`; each stands for as many errors as any other.
    """

    errors: NDArray[np.float64]

    def __post_init__(self) -> None:
        if self.errors.ndim != 1 or not 0 < len(self.errors) <= KEPT or not np.isfinite(self.errors).all():
            raise ValueError(f"smearing: found {self.errors.shape} errors, expected 1 to {KEPT} numbers")

    def back(
        self, mean: NDArray[np.float64], sd: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and standard deviation of y where ln y = mean + sd x error.

        Duan's estimate is the mean of exp(error) over the errors of the fit; here it is over the standardised errors,
        each times the row's own sd. Normal errors give exp(mean + sd^2 / 2).

        Args:
            mean: Of ln y, n.
            sd: Of ln y, n.

        Returns:
            In the unit of y, n each; NaN where either is.
        """
        first, second = np.zeros_like(mean), np.zeros_like(mean)
        for error in self.errors:
            factor = np.exp(sd * error)
            first += factor / len(self.errors)
            second += factor**2 / len(self.errors)
        level = np.exp(mean)
        return level * first, level * np.sqrt(np.maximum(second - first**2, 0))


def smearing(errors: NDArray[np.float64]) -> Smearing:
    """From standardised errors of log readings; those that are not finite are left out."""
    found = np.sort(np.clip(errors[np.isfinite(errors)], -FAR, FAR))
    if len(found) < LEAST or found.std() < LEAST_SPREAD:
        return Smearing(np.asarray(norm.ppf((np.arange(KEPT) + 0.5) / KEPT), dtype=np.float64))
    # means over equal shares of the errors; an error on a border is shared
    kept = min(KEPT, len(found))
    sums = np.interp(
        np.arange(kept + 1) / kept, np.arange(len(found) + 1) / len(found), np.append(0.0, np.cumsum(found))
    )
    return Smearing(np.diff(sums) * kept / len(found))
