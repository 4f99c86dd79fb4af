"""What flags let one choose of estimators; light, so that `--help` is quick."""

from __future__ import annotations

from typing import Literal

Field = Literal["mean", "inverse_distance", "kriging"]
"""Same-day fields: of the other stations' readings."""

PlaceSource = Literal["coordinates", "images", "both"]
"""What tells places apart."""

DaySource = Literal["readings", "images", "both"]
"""What tells days: the other stations' readings of the day, images and weather, or both."""
