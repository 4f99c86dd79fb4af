"""`pm25 simulate`: a city's archive, composed of readings, ground, haze and sensor."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model_utils.archive.writer import ArchiveWriter
from model_utils.cities import City, load_city
from model_utils.configuration import package_version, record
from model_utils.ingest.chips import file_hash
from model_utils.ingest.daily_readings import read_daily_readings
from model_utils.ingest.progress import shown
from model_utils.project import archive_folder
from model_utils.simulation.config import SimulateConfig
from model_utils.simulation.haze import Haze, simulate_haze
from model_utils.simulation.land_use import CLASSES, LandUse
from model_utils.simulation.optics import Reflectance
from model_utils.simulation.parameters import simulation_parameters
from model_utils.simulation.places import grid_places, station_places
from model_utils.simulation.random_fields import stream
from model_utils.simulation.readings import place_keys
from model_utils.simulation.real_surface import read_surface
from model_utils.simulation.rendering import MARGIN, SceneRenderer
from model_utils.simulation.surface import render_surface
from model_utils.simulation.weather import simulate_weather
from model_utils.simulation.worlds import World, real_dates, real_world, synthetic_world

DEFAULT_DAYS = 600

_SIMULATED = {  # (real surface, real readings)
    (False, False): "all",
    (True, False): "haze and readings",
    (False, True): "surface and haze",
    (True, True): "haze",
}


def simulate(config: SimulateConfig) -> None:
    """Writes the archive of a simulated city, and says what it holds.

    Raises:
        InputError: Naming the city, file or flag that is wrong; nothing is written then.
    """
    city = load_city(config.city, config.root)
    parameters = simulation_parameters(city)
    stations = station_places(city, ((s.name, s.latitude, s.longitude) for s in city.stations))
    grid = grid_places(city, config.grid_km)
    land_use = None if config.surface else LandUse(parameters.land_use, config.seed, city.name)
    notes = []
    if config.readings:
        readings = read_daily_readings(config.readings)
        listed = readings.drop_duplicates("station")[["station", "latitude", "longitude"]]
        labelled = station_places(city, listed.itertuples(index=False, name=None))
        dates, without = real_dates(readings)
        dates = dates[: config.days]
        notes.append(f"left out: {without} days without a reading at any station")
    else:
        labelled = stations
        dates = pd.date_range(config.start, periods=config.days or DEFAULT_DAYS)
    grounds, places = _grounds(config, pd.concat([labelled, grid], ignore_index=True), city.name, land_use)
    if missed := len(labelled) + len(grid) - len(places):
        notes.append(f"left out: {missed} sites whose window leaves {config.surface}")

    key, day_of_year = (config.seed, city.name), dates.day_of_year.to_numpy(float)
    weather = simulate_weather(parameters.weather, day_of_year, stream(*key, "weather"))
    coupling = config.land_use_coupling
    if config.readings:
        world = real_world(readings, places, dates, coupling)
    else:
        world = synthetic_world(parameters.readings, stations, places, dates, land_use, weather, coupling, *key)
    middle = (city.bounding_box.south + city.bounding_box.north) / 2
    haze = simulate_haze(world.driving, places, dates, weather, parameters, config.haze_coupling, middle, *key)

    written = range(0, len(dates), config.day_step)
    folder = archive_folder(config.root, city.name)
    simulated = _SIMULATED[config.surface is not None, config.readings is not None]
    renderer = SceneRenderer(grounds, config.bands, stream(*key, "cloud shapes"))
    constant = _constant_columns(places, land_use)
    with ArchiveWriter(folder, config.tile_size, config.bands, config.overwrite) as writer:
        for (day,) in shown(([day] for day in written), len(written), "scenes"):
            random = stream(*key, "scene", dates[day].date())
            tiles, covered = renderer.render(
                haze.tau550[day], haze.sun[day], haze.angstrom[day], haze.cloud_cover[day], random
            )
            writer.append(tiles, _rows(constant, city, dates[day], day, world, haze, covered))
        writer.commit(
            city=city.name,
            ground_sample_distance_m=config.gsd,
            created_by={"command": "pm25 simulate", "version": package_version(), **record(config)},
            sources=[{"path": str(path), "sha256": file_hash(path)} for path in _sources(config)],
            simulated=simulated,
            licence="MIT" if simulated == "all" else "that of the sources",
            attribution="simulated by pm25-contrastive; not an observation",
        )
    count = len(written) * len(places)
    print(f"{folder}: {count} tiles, {len(written)} days x {len(places)} sites, simulated: {simulated}")
    for note in notes:
        print(f"  {note}")


def _grounds(
    config: SimulateConfig, places: pd.DataFrame, city: str, land_use: LandUse | None
) -> tuple[Reflectance, pd.DataFrame]:
    """The ground of each place with a margin, and the places that have one."""
    size = config.tile_size + 2 * MARGIN
    if land_use is None:
        assert config.surface is not None
        grounds, inside = read_surface(
            config.surface,
            places["latitude"].to_numpy(),
            places["longitude"].to_numpy(),
            size,
            config.gsd,
            config.bands,
        )
        return grounds, places[inside].reset_index(drop=True)
    shares = land_use.shares(places["east_km"].to_numpy(), places["north_km"].to_numpy())
    grounds = np.stack(
        [
            render_surface(share, size, config.gsd, config.bands, stream(config.seed, city, "ground", place))
            for share, place in zip(shares, place_keys(places), strict=True)
        ]
    )
    return grounds, places


def _constant_columns(places: pd.DataFrame, land_use: LandUse | None) -> pd.DataFrame:
    """What does not change from day to day."""
    constant = places[["site_id", "site_name", "site_kind", "latitude", "longitude"]]
    if land_use is None:
        return constant
    shares = land_use.shares(places["east_km"].to_numpy(), places["north_km"].to_numpy())
    return constant.assign(**{f"land_use_{name}": shares[:, index] for index, name in enumerate(CLASSES)})


def _rows(
    constant: pd.DataFrame,
    city: City,
    date: pd.Timestamp,
    day: int,
    world: World,
    haze: Haze,
    covered: NDArray[np.float32],
) -> pd.DataFrame:
    """The archive rows of one scene."""
    local = datetime.combine(date.date(), city.overpass_local_time, tzinfo=city.zone)
    daily = {name: table[min(day, len(table) - 1)] for name, table in world.columns.items()}
    return constant.assign(
        sample_id=constant["site_id"] + f"_{date.date()}",
        time_utc=local.astimezone(UTC),
        local_date=date.date(),
        scene_id=f"{city.name}_{date.date()}",
        cloud_fraction=covered,
        true_optical_depth=haze.tau550[day],
        **daily,
    )


def _sources(config: SimulateConfig) -> list[Path]:
    surface = [config.surface] if config.surface else []
    folder = config.readings
    return surface + ([folder / "stations.csv", *sorted((folder / "stations").glob("*.csv"))] if folder else [])
