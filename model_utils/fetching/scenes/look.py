"""How much of the city an overpass shows, and how much of that under cloud, by its quality mask at a coarse scale."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from model_utils.cities import City
from model_utils.fetching.scenes.search import Overpass
from model_utils.fetching.scenes.sources import SceneSource
from model_utils.fetching.scenes.tokens import Sign
from model_utils.fetching.scenes.window import city_window, read_codes
from model_utils.ingest.scenes.masks import MASKS, mask_flags

ACROSS = 200
"""Points that are looked at along the longer side of the city: the overviews of the mask are enough for them."""


@dataclass(frozen=True)
class Look:
    """What is known of an overpass before it is fetched.

    Attributes:
        covered: Share of the city's bounding box with data.
        cloudy: Share of that under cloud; 1 where it shows nothing.
    """

    covered: float
    cloudy: float


def look_at(overpass: Overpass, source: SceneSource, city: City, sign: Sign) -> Look:
    """Reads the masks of an overpass at some ten thousand points.

    Raises:
        InputError: One cannot be read.
    """
    finest = city_window(city, source.pixel)
    window = city_window(city, max(source.pixel, max(finest.height, finest.width) * source.pixel / ACROSS))
    layout = MASKS[source.mask]
    empty = empty_code(source)
    codes = read_codes(overpass.masks(sign), window, empty)
    empty_pixels, cloudy = mask_flags(layout, codes[None])
    shown = ~empty_pixels & (codes != empty)
    return Look(float(shown.mean()), float(np.mean(cloudy[shown])) if shown.any() else 1.0)


def empty_code(source: SceneSource) -> int:
    """The number of a mask that stands for no data."""
    (codes,) = MASKS[source.mask].empty
    return codes.values[0] if codes.values else 1 << codes.bits[0]
