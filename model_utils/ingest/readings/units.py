"""Units of PM2.5."""

from __future__ import annotations

import re
import unicodedata

import numpy as np
from numpy.typing import NDArray

from model_utils.errors import InputError

_MICROGRAMS = {"ug": 1.0, "mg": 1000.0, "ng": 0.001}
_WORDS = (
    (r"micro-?grams?", "ug"),
    (r"milligrams?", "mg"),
    (r"nanograms?", "ng"),
    (r"mcg", "ug"),
    (r"cubicmet(?:er|re)s?", "m3"),
    (r"per", "/"),
    (r"m-3", "/m3"),
)
_NINES = (9999.0, 99999.0, 999999.0)

CLEANEST_CITY = 1.0
"""No city has a lower mean, ug/m3: a mean below it is in another unit."""


def micrograms_in(unit: str) -> float | None:
    """Micrograms per cubic metre in one of `unit`, in whatever spelling; None where it is no mass concentration."""
    text = unicodedata.normalize("NFKC", unit.replace("Â", "")).casefold()  # both micro signs and the raised 3 as one
    text = re.sub(
        r"[\s^*·._]|\(lc\)|\(local conditions\)|\blc$",
        "",
        text.replace("\N{MINUS SIGN}", "-").replace("\N{GREEK SMALL LETTER MU}", "u"),
    )
    for pattern, short in _WORDS:
        text = re.sub(pattern, short, text)
    found = re.fullmatch(r"(ug|mg|ng)/{0,2}m3", text)
    return _MICROGRAMS[found[1]] if found else None


def to_micrograms_per_cubic_metre(values: NDArray[np.float64], unit: str, where: str = "--unit") -> NDArray[np.float64]:
    """Converts PM2.5; missing codes (-900 and below, 9999, 99999, 999999) stay the numbers they are.

    Args:
        values: Concentrations in `unit`, NaN where missing, any shape.
        unit: As a file or a person writes it: ug/m3, µg/m³, mg m-3, Micrograms/cubic meter (LC), ...
        where: The file, or the flag, that names the unit, for the message.

    Raises:
        InputError: `unit` is no mass per volume: ppb and indices cannot be converted.
    """
    factor = micrograms_in(unit)
    if factor is None:
        raise InputError(f"{where}: PM2.5 is in {unit[:60]!r}, expected ug/m3, mg/m3 or ng/m3")
    if factor == 1:
        return values
    codes = (values <= -900) | np.isin(values, _NINES)
    return np.where(codes, values, values * factor)
