"""`pm25 simulate`: a city's archive, composed of readings, ground, haze and sensor."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model_utils.archive.writer import ArchiveWriter
from model_utils.cities import City, load_city
from model_utils.configuration import package_version, record
from model_utils.errors import InputError
from model_utils.ingest.chips import file_hash
from model_utils.ingest.daily_readings import read_daily_readings
from model_utils.ingest.progress import shown
from model_utils.project import archive_folder
from model_utils.simulation.config import SimulateConfig
from model_utils.simulation.haze import simulate_haze
from model_utils.simulation.land_use import CLASSES, LandUse
from model_utils.simulation.optics import Reflectance
from model_utils.simulation.parameters import SimulationParameters, simulation_parameters
from model_utils.simulation.places import STATION, grid_places, station_places
from model_utils.simulation.random_fields import stream
from model_utils.simulation.readings import place_keys
from model_utils.simulation.real_surface import read_surface
from model_utils.simulation.rendering import MARGIN, SceneRenderer
from model_utils.simulation.scenes import SceneSet, SceneSky, scene_name
from model_utils.simulation.surface import render_surface
from model_utils.simulation.weather import simulate_weather
from model_utils.simulation.worlds import World, real_dates, real_world, synthetic_world

DEFAULT_DAYS = 600
_BATCH_BYTES = 16_000_000  # tiles held before they are written

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
    labelled, notes = stations, []
    if config.readings:
        readings = read_daily_readings(config.readings)
        listed = readings.drop_duplicates("station")[["station", "latitude", "longitude"]]
        labelled = station_places(city, listed.itertuples(index=False, name=None))
        dates, without = real_dates(readings)
        dates = dates[: config.days]
        notes.append(f"left out: {without} days without a reading at any station")
    else:
        dates = pd.date_range(config.start, periods=config.days or DEFAULT_DAYS)
    asked = pd.concat([labelled, grid_places(city, config.grid_km)], ignore_index=True)
    written = np.arange(0, len(dates), config.day_step)
    overpass = [datetime.combine(date.date(), city.overpass_local_time, city.zone).astimezone(UTC) for date in dates]
    key, coupling = (config.seed, city.name), config.land_use_coupling
    folder = archive_folder(config.root, city.name)
    simulated = _SIMULATED[config.surface is not None, config.readings is not None]
    count = 0
    with ExitStack() as stack:
        scenes = stack.enter_context(_scene_set(config, city, len(written))) if config.write_scenes else None
        if scenes:
            places, land_use = _with_station(scenes.place(asked), config), None
        else:
            ground, places, land_use = _ground(config, city.name, parameters, asked)
        if len(places) < len(asked):
            notes.append(f"left out: {len(asked) - len(places)} sites whose window leaves {config.surface}")
        weather = simulate_weather(parameters.weather, dates.day_of_year.to_numpy(float), *key, "weather")

        def world_of(where: pd.DataFrame) -> World:
            if config.readings:
                return real_world(readings, labelled, where, dates, coupling)
            return synthetic_world(parameters.readings, stations, where, dates, land_use, weather, coupling, *key)

        world = world_of(places)
        if scenes:
            nodes, step = scenes.grid.nodes, 256  # at a time: the smoothing asks at 13 points around each
            parts = [world_of(nodes[first : first + step]).driving for first in range(0, len(nodes), step)]
            driving, where = np.concatenate(parts, axis=1), nodes
        else:
            driving, where = world.driving, places
        middle = (city.bounding_box.south + city.bounding_box.north) / 2
        haze = simulate_haze(driving, where, dates, weather, parameters, config.haze_coupling, middle, *key)
        depth = scenes.optical_depth(haze.tau550) if scenes else haze.tau550
        columns = {**world.columns, "true_optical_depth": depth}
        if scenes:
            names = [scene_name(time, config.seed) for time in overpass]
        else:
            names = [f"{city.name}_{date:%Y-%m-%d}" for date in dates]
            renderer = SceneRenderer(ground, config.bands, stream(*key, "cloud shapes"))

        def render(day: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
            sky = haze.tau550[day], haze.sun[day], haze.angstrom[day], haze.cloud_cover[day]
            if scenes:
                return scenes.render(overpass[day], SceneSky(*sky))
            return renderer.render(*sky, stream(*key, "scene", dates[day].date()))

        constant = _constant_columns(places, land_use)
        scene_bytes = len(places) * config.tile_size**2 * len(config.bands)
        batches = np.array_split(written, range(0, len(written), max(1, _BATCH_BYTES // scene_bytes))[1:])
        writer = stack.enter_context(ArchiveWriter(folder, config.tile_size, config.bands, config.overwrite))
        for batch in shown(batches, len(written), "scenes"):
            tiles, covered = (np.concatenate(parts) for parts in zip(*map(render, batch), strict=True))
            daily = {name: table[batch].ravel() for name, table in columns.items()}
            rows = _rows(constant, dates[batch], [overpass[day] for day in batch], [names[day] for day in batch])
            rows = rows.assign(cloud_fraction=covered, **daily)
            with_grid = np.repeat(batch % (config.day_step * config.grid_day_step) == 0, len(places))
            chosen = np.flatnonzero(with_grid | (rows["site_kind"] == STATION))
            writer.append(tiles[chosen], rows.iloc[chosen])
            count += len(chosen)
        if scenes:
            scenes.commit()
            notes.append(f"scenes: {scenes.folder}")
        writer.commit(
            city=city.name,
            ground_sample_distance_m=config.gsd,
            created_by={"command": "pm25 simulate", "version": package_version(), **record(config)},
            sources=[{"path": str(path), "sha256": file_hash(path)} for path in _sources(config)],
            simulated=simulated,
            licence="MIT" if simulated == "all" else "that of the sources",
            attribution="simulated by pm25-contrastive; not an observation",
        )
    print(f"{folder}: {count} tiles, {len(written)} days, {len(places)} sites")
    for note in [*notes, f"simulated: {simulated}"]:
        print(f"  {note}")


def _ground(
    config: SimulateConfig, city: str, parameters: SimulationParameters, places: pd.DataFrame
) -> tuple[Reflectance, pd.DataFrame, LandUse | None]:
    """The ground of each place with a margin, the places that have one, and the land use where it is known."""
    size = config.tile_size + 2 * MARGIN
    if config.surface:
        coordinates = places["latitude"].to_numpy(), places["longitude"].to_numpy()
        ground, inside = read_surface(config.surface, *coordinates, size, config.gsd, config.bands)
        return ground, _with_station(places[inside].reset_index(drop=True), config), None
    land_use = LandUse(parameters.land_use, config.seed, city)
    shares = land_use.shares(places["east_km"].to_numpy(), places["north_km"].to_numpy())
    tiles = [
        render_surface(share, size, config.gsd, config.bands, stream(config.seed, city, "ground", place))
        for share, place in zip(shares, place_keys(places), strict=True)
    ]
    return np.stack(tiles), places, land_use


def _scene_set(config: SimulateConfig, city: City, count: int) -> SceneSet:
    """The scenes to write; refused where the disk would not hold them."""
    assert config.write_scenes and config.surface  # the config sees to it
    options = config.gsd, config.tile_size, config.seed, config.overwrite
    return SceneSet(config.write_scenes, city, config.surface, *options)


def _with_station(places: pd.DataFrame, config: SimulateConfig) -> pd.DataFrame:
    """The places, if there is a station among them."""
    if not (places["site_kind"] == STATION).any():
        raise InputError(f"{config.surface}: no station lies in the scene with its whole window")
    return places


def _constant_columns(places: pd.DataFrame, land_use: LandUse | None) -> pd.DataFrame:
    """What does not change from day to day."""
    constant = places[["site_id", "site_name", "site_kind", "latitude", "longitude"]]
    if land_use is None:
        return constant
    shares = land_use.shares(places["east_km"].to_numpy(), places["north_km"].to_numpy())
    return constant.assign(**{f"land_use_{name}": shares[:, index] for index, name in enumerate(CLASSES)})


def _rows(constant: pd.DataFrame, dates: pd.DatetimeIndex, overpass: list[datetime], scenes: list[str]) -> pd.DataFrame:
    """What identifies the samples of some scenes: all sites on the first date, then on the next."""
    rows = pd.concat([constant] * len(dates), ignore_index=True)
    days = pd.Series(np.repeat(dates.strftime("%Y-%m-%d"), len(constant)))
    return rows.assign(
        sample_id=rows["site_id"] + "_" + days,
        time_utc=np.repeat(pd.DatetimeIndex(overpass), len(constant)),
        local_date=np.repeat(dates, len(constant)),
        scene_id=np.repeat(scenes, len(constant)),
    )


def _sources(config: SimulateConfig) -> list[Path]:
    surface = [config.surface] if config.surface else []
    folder = config.readings
    return surface + ([folder / "stations.csv", *sorted((folder / "stations").glob("*.csv"))] if folder else [])
