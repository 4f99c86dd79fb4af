"""What the ground of the synthetic city is made of: a continuous function of place and seed."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np

from model_utils.simulation.parameters import LandUseParameters
from model_utils.simulation.random_fields import FEATURES, Floats, MaternField, stream

CLASSES = ("industry", "road", "compact", "vegetation", "water", "soil")
EMISSION = np.array([1.0, 1.0, 0.5, -0.6, -0.5, 0.1])
"""What a share of each class adds to the land-use score: industry, roads and dense building raise PM2.5, parks
and water lower it."""

_RANGE_KM = (4.0, 5.0, 8.0, 4.0, 2.5, 6.0)
_SPREAD = (1.5, 0.6, 1.1, 1.0, 1.5, 1.0)


class LandUse:
    """Shares of the land-use classes at any point of a city."""

    def __init__(self, parameters: LandUseParameters, seed: int, city: str) -> None:
        shares = asdict(parameters)
        self._typical = np.log([shares[name] for name in CLASSES])
        self._trend = parameters.green_per_km_north
        self._fields = []
        for name, range_km in zip(CLASSES, _RANGE_KM, strict=True):
            random = stream(seed, city, "land use", name)
            field = MaternField(random, range_km, smoothness=1.5)
            self._fields.append((field, random.standard_normal(FEATURES)))

    def shares(self, east_km: Floats, north_km: Floats) -> Floats:
        """Shares that add up to one, of any shape of points x classes: a softmax of one Matern field a class."""
        fields = [field.basis(east_km, north_km) @ weights for field, weights in self._fields]
        logits = self._typical + np.stack(fields, axis=-1) * _SPREAD
        logits[..., CLASSES.index("vegetation")] += self._trend * north_km
        powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=-1, keepdims=True))

    def score(self, east_km: Floats, north_km: Floats) -> Floats:
        """The part of the shares that emits, not yet standardised."""
        return np.asarray(self.shares(east_km, north_km) @ EMISSION)
