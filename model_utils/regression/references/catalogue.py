"""All references, in the order of the tables."""

from __future__ import annotations

from model_utils.regression.references.reference import Reference
from model_utils.regression.references.same_day import inverse_distance, same_day_mean

REFERENCES: tuple[Reference, ...] = (
    Reference("same_day_mean", uses_same_day_readings=True, predict=same_day_mean),
    Reference("inverse_distance", uses_same_day_readings=True, predict=inverse_distance),
)
