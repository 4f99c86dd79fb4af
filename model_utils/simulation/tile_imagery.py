"""Tiles drawn each for itself, over synthetic or real ground: there is nothing between them."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model_utils.cities import City
from model_utils.simulation.config import SimulateConfig
from model_utils.simulation.haze import Sky
from model_utils.simulation.land_use import LandUse
from model_utils.simulation.optics import Reflectance
from model_utils.simulation.parameters import LandUseParameters
from model_utils.simulation.places import grid_places
from model_utils.simulation.random_fields import Floats, stream
from model_utils.simulation.readings import place_keys
from model_utils.simulation.real_surface import read_surface
from model_utils.simulation.rendering import MARGIN, SceneRenderer
from model_utils.simulation.surface import render_surface


class TileImagery:
    """The tiles of a city's places.

    Attributes:
        places: Those that have ground.
        air: Where the haze has to be known: at the places.
        land_use: Under the places, or None where it is not known.
        left_out: Number of places that have none.
    """

    def __init__(
        self, config: SimulateConfig, city: City, parameters: LandUseParameters, labelled: pd.DataFrame
    ) -> None:
        """Draws or reads the ground of the labelled places and of the grid between them."""
        asked = pd.concat([labelled, grid_places(city, config.grid_km)], ignore_index=True)
        self._city, self._key = city, (config.seed, city.name)
        size = config.tile_size + 2 * MARGIN
        ground: Reflectance
        self.land_use: LandUse | None
        if config.surface:
            coordinates = asked["latitude"].to_numpy(), asked["longitude"].to_numpy()
            ground, inside = read_surface(config.surface, *coordinates, size, config.gsd, config.bands)
            self.places, self.land_use = asked[inside].reset_index(drop=True), None
        else:
            land_use = LandUse(parameters, *self._key)
            self.places, self.land_use = asked, land_use
            shares = land_use.shares(asked["east_km"].to_numpy(), asked["north_km"].to_numpy())
            ground = np.stack(
                [
                    render_surface(share, size, config.gsd, config.bands, stream(*self._key, "ground", place))
                    for share, place in zip(shares, place_keys(asked), strict=True)
                ]
            )
        self.air, self.left_out = self.places, len(asked) - len(self.places)
        self._renderer = SceneRenderer(ground, config.bands, stream(*self._key, "cloud shapes"))

    def optical_depth(self, tau550: Floats) -> Floats:
        """At the places: as it is."""
        return tau550

    def scene_id(self, time_utc: datetime) -> str:
        """Called after the local date."""
        return f"{self._city.name}_{time_utc.astimezone(self._city.zone):%Y-%m-%d}"

    def render(self, time_utc: datetime, sky: Sky) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """uint8 tiles, places x tile x tile x bands, and the share of each under cloud."""
        random = stream(*self._key, "scene", time_utc.astimezone(self._city.zone).date())
        return self._renderer.render(sky.tau550, sky.sun, sky.angstrom, sky.cloud_cover, random)
