"""References behind the interface of all methods."""

from __future__ import annotations

from dataclasses import dataclass

from model_utils.estimators.estimator import Method, Prediction, Problem
from model_utils.estimators.references.fields import leave_own_out
from model_utils.estimators.references.reference import Reference
from model_utils.supervision.config import Field

FIELD_REFERENCES: dict[Field, str] = {
    "mean": "same_day_mean",
    "inverse_distance": "inverse_distance",
    "kriging": "ordinary_kriging",
}
"""The reference that is a same-day field alone."""


@dataclass(frozen=True)
class FieldMethod:
    """A same-day field alone: the very one that `FrozenEncoder` adds images to."""

    field: Field

    @property
    def uses_same_day_readings(self) -> bool:
        """Always."""
        return True

    def predict(self, problem: Problem) -> Prediction:
        """The field of the known readings at every row, a station's own left out."""
        return Prediction(leave_own_out(self.field, problem.samples, problem.training, problem.known))


@dataclass(frozen=True)
class ReferenceMethod:
    """A reference behind the interface of all methods."""

    reference: Reference

    @property
    def uses_same_day_readings(self) -> bool:
        """As the reference says."""
        return self.reference.uses_same_day_readings

    def predict(self, problem: Problem) -> Prediction:
        """Gives the reference what it may know, and every row to predict."""
        rows = problem.known if self.uses_same_day_readings else problem.training
        values = self.reference.predict(problem.samples[rows], problem.samples.drop(columns="pm25"))
        return Prediction(values, trials=self.reference.trials)


def reference_method(reference: Reference) -> Method:
    """The method of a reference; a same-day field is computed as it is where images are added to it."""
    for field, name in FIELD_REFERENCES.items():
        if reference.name == name:
            return FieldMethod(field)
    return ReferenceMethod(reference)
