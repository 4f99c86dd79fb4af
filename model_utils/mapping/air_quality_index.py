"""The PM2.5 sub-index of air quality scales: what a day's mean concentration is called in a country."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from model_utils.cities import City

ScaleName = Literal["us", "india", "china"]
NO_VALUE = -1
"""The sub-index of what is not known."""


@dataclass(frozen=True)
class Category:
    """A range of a scale as legends show it.

    Attributes:
        name: As the scale calls it.
        colour: Red, green and blue in hexadecimal digits.
        highest: The largest sub-index of the range; that of the last one holds for all above.
    """

    name: str
    colour: str
    highest: int


@dataclass(frozen=True)
class Edition:
    """A scale as it was published.

    Attributes:
        name: Country, publisher and year.
        source: Where it is laid down.
        start: First local date that it is used for here.
        concentrations: 24 h means, ug/m3, rising from 0.
        indices: Sub-indices at these; linear between them and constant beyond.
        truncated: Whether concentrations are cut to 0.1 ug/m3 first.
        rounded_up: Whether a sub-index is rounded up; else to the nearest, halves up.
        categories: From clean to polluted.
    """

    name: str
    source: str
    start: np.datetime64
    concentrations: tuple[float, ...]
    indices: tuple[float, ...]
    truncated: bool
    rounded_up: bool
    categories: tuple[Category, ...]

    def sub_index(self, pm25: NDArray[np.float64]) -> NDArray[np.float64]:
        """Of finite 24 h means, ug/m3, any shape; below 0 counts as 0."""
        # to a thousandth first: a breakpoint stays one in numbers of 32 bits, and with the last digit of a product
        concentration = np.floor(np.round(10 * pm25, 3)) / 10 if self.truncated else pm25
        index = np.round(np.interp(concentration, self.concentrations, self.indices), 3)
        return np.asarray(np.ceil(index) if self.rounded_up else np.floor(index + 0.5))


def _categories(highest: tuple[int, ...], *named: tuple[str, str]) -> tuple[Category, ...]:
    return tuple(Category(name, colour, top) for top, (name, colour) in zip(highest, named, strict=True))


_EVER = np.datetime64("0001-01-01", "D")
_CHINESE = _categories(
    (50, 100, 150, 200, 300, 500),
    ("Excellent", "#00e400"),
    ("Good", "#ffff00"),
    ("Lightly polluted", "#ff7e00"),
    ("Moderately polluted", "#ff0000"),
    ("Heavily polluted", "#99004c"),
    ("Severely polluted", "#7e0023"),
)

US_EPA_2024 = Edition(
    "us_epa_2024",
    "US EPA, Technical Assistance Document for the Reporting of Daily Air Quality, EPA-454/B-24-002, table 6",
    _EVER,
    # A range begins 0.1 above the one before it, and so does its index by 1: truncated, nothing lies between. Above
    # 500 the last range's line goes on, as the document asks; here for a hundred times its length.
    (0, 9.0, 9.1, 35.4, 35.5, 55.4, 55.5, 125.4, 125.5, 225.4, 225.5, 325.4, 325.4 + 100 * 99.9),
    (0, 50, 51, 100, 101, 150, 151, 200, 201, 300, 301, 500, 500 + 100 * 199),
    truncated=True,
    rounded_up=False,
    categories=_categories(
        (50, 100, 150, 200, 300, 500),
        ("Good", "#00e400"),
        ("Moderate", "#ffff00"),
        ("Unhealthy for sensitive groups", "#ff7e00"),
        ("Unhealthy", "#ff0000"),
        ("Very unhealthy", "#8f3f97"),
        ("Hazardous", "#7e0023"),
    ),
)
INDIA_CPCB_2014 = Edition(
    "india_cpcb_2014",
    "Central Pollution Control Board, National Air Quality Index, New Delhi 2014, and its calculator",
    _EVER,
    # The report has ranges of whole numbers, 31-60 after 0-30; its calculator leaves no gap: 30-60 is 50-100. It has
    # no upper end for the last range and gives it the slope of the one before.
    (0, 30, 60, 90, 120, 250, 380),
    (0, 50, 100, 200, 300, 400, 500),
    truncated=False,
    rounded_up=False,
    categories=_categories(
        (50, 100, 200, 300, 400, 500),
        ("Good", "#00b050"),
        ("Satisfactory", "#92d050"),
        ("Moderately polluted", "#ffff00"),
        ("Poor", "#ff9900"),
        ("Very poor", "#ff0000"),
        ("Severe", "#c00000"),
    ),
)
CHINA_HJ633_2012 = Edition(
    "china_hj633_2012",
    "Ministry of Environmental Protection, HJ 633-2012",
    _EVER,
    (0, 35, 75, 115, 150, 250, 350, 500),
    (0, 50, 100, 150, 200, 300, 400, 500),
    truncated=False,
    rounded_up=True,
    categories=_CHINESE,
)
CHINA_HJ633_2026 = Edition(
    "china_hj633_2026",
    "Ministry of Ecology and Environment, HJ 633-2026",
    np.datetime64("2026-03-01", "D"),
    (0, 35, 60, 115, 150, 250, 350, 500),
    (0, 50, 100, 150, 200, 300, 400, 500),
    truncated=False,
    rounded_up=True,
    categories=_CHINESE,
)

SCALES: dict[ScaleName, tuple[Edition, ...]] = {
    "us": (US_EPA_2024,),
    "india": (INDIA_CPCB_2014,),
    "china": (CHINA_HJ633_2012, CHINA_HJ633_2026),
}
"""Editions of each scale in the order of their first dates; the first one is used for all earlier dates."""

_TIME_ZONES: dict[str, ScaleName] = {
    **dict.fromkeys(("Asia/Kolkata", "Asia/Calcutta"), "india"),
    **dict.fromkeys(
        ("Asia/Shanghai", "Asia/Chongqing", "Asia/Chungking", "Asia/Harbin", "Asia/Urumqi", "Asia/Kashgar", "PRC"),
        "china",
    ),
}


def scale_of(city: City) -> ScaleName:
    """The scale of the city's country, which its time zone tells: India's, mainland China's, else that of the US."""
    return _TIME_ZONES.get(city.time_zone, "us")


def edition_of(scale: ScaleName, date: Any) -> Edition:
    """The edition for a local date.

    Raises:
        ValueError: No such scale.
    """
    day = np.asarray(date, dtype="datetime64[D]")
    return [edition for edition in _editions(scale) if day >= edition.start][-1]


def pm25_sub_index(pm25: ArrayLike, dates: Any, scale: ScaleName) -> NDArray[np.int16]:
    """PM2.5 sub-index of 24 h means: of PM2.5 alone, where an air quality index is the largest of several pollutants.

    Args:
        pm25: 24 h means, ug/m3, any shape.
        dates: Local dates, one or an array that broadcasts against them; they choose the edition.
        scale: us, india or china.

    Returns:
        As the two broadcast; -1 where concentration or date is no value. The Indian and the Chinese scale end at 500.

    Raises:
        ValueError: No such scale.
    """
    values, days = np.broadcast_arrays(np.asarray(pm25, np.float64), np.asarray(dates, dtype="datetime64[D]"))
    found = np.full(values.shape, NO_VALUE, np.int16)
    known = np.isfinite(values) & ~np.isnat(days)
    for edition in _editions(scale):  # a later one overwrites
        asked = known & (days >= edition.start)
        found[asked] = edition.sub_index(values[asked])
    return found


def _editions(scale: str) -> tuple[Edition, ...]:
    for name, editions in SCALES.items():
        if name == scale:
            return editions
    raise ValueError(f"air quality scale: found {scale!r}, expected one of {', '.join(get_args(ScaleName))}")
