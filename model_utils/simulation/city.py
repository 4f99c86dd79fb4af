"""`pm25 simulate`: a city's archive, composed of readings, ground, haze and sensor."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import UTC, datetime

import numpy as np
import pandas as pd

from model_utils.archive.writer import ArchiveWriter
from model_utils.cities import load_city
from model_utils.configuration import package_version, record
from model_utils.errors import InputError
from model_utils.ingest.labelling import station_readings
from model_utils.ingest.readings.config import ReadingsConfig
from model_utils.ingest.readings.labels import daily_labels
from model_utils.ingest.side_files import forget_readings
from model_utils.ingest.storage import file_hash
from model_utils.locking import locked
from model_utils.progress import shown
from model_utils.project import archive_folder
from model_utils.simulation.config import SimulateConfig
from model_utils.simulation.haze import simulate_haze
from model_utils.simulation.land_use import CLASSES, LandUse
from model_utils.simulation.parameters import simulation_parameters
from model_utils.simulation.places import STATION, station_places
from model_utils.simulation.scenes import SceneSet
from model_utils.simulation.tile_imagery import TileImagery
from model_utils.simulation.weather import simulate_weather
from model_utils.simulation.worlds import World, real_dates, real_world, synthetic_world

DEFAULT_DAYS = 600
_BATCH_BYTES = 16_000_000  # tiles held before they are written
_POINTS = 256  # of the air between the places, at a time: the smoothing asks at 13 points around each

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
        InUseError: Another process writes this archive or these scenes.
    """
    city = load_city(config.city, config.root)
    parameters = simulation_parameters(city)
    stations = station_places(city, ((s.name, s.latitude, s.longitude) for s in city.stations))
    labelled, notes = stations, []
    files = [config.surface] if config.surface else []
    if config.readings:
        found = station_readings(ReadingsConfig(readings=config.readings), city)
        files += found.files
        readings = daily_labels(found.flagged)
        listed = found.stations[["station", "latitude", "longitude"]]
        labelled = station_places(city, listed.itertuples(index=False, name=None))
        dates, without = real_dates(readings)
        dates = dates[: config.days]
        notes.append(f"left out: {without} days without a reading at any station")
    else:
        dates = pd.date_range(config.start, periods=config.days or DEFAULT_DAYS)
    written = np.arange(0, len(dates), config.day_step)
    overpass = [datetime.combine(date.date(), city.overpass_local_time, city.zone).astimezone(UTC) for date in dates]
    key, coupling = (config.seed, city.name), config.land_use_coupling
    weather = simulate_weather(parameters.weather, dates.day_of_year.to_numpy(float), *key, "weather")
    folder = archive_folder(config.root, city.name)
    simulated = _SIMULATED[config.surface is not None, config.readings is not None]
    count = 0
    with ExitStack() as stack:
        imagery: TileImagery | SceneSet
        if config.write_scenes:
            stack.enter_context(locked(config.write_scenes))
            imagery = stack.enter_context(SceneSet(config, city, labelled, len(written)))
        else:
            imagery = TileImagery(config, city, parameters.land_use, labelled)
        places = imagery.places
        if not (places["site_kind"] == STATION).any():
            raise InputError(f"{config.surface}: no station lies in the scene with its whole window")
        if imagery.left_out:
            notes.append(f"left out: {imagery.left_out} sites whose window leaves {config.surface}")

        def world_at(points: pd.DataFrame) -> World:
            if config.readings:
                return real_world(readings, labelled, points, dates, coupling)
            land_use = imagery.land_use
            return synthetic_world(parameters.readings, stations, points, dates, land_use, weather, coupling, *key)

        world = world_at(places)
        driving = world.driving
        if imagery.air is not places:
            starts = range(0, len(imagery.air), _POINTS)
            driving = np.hstack([world_at(imagery.air[first : first + _POINTS]).driving for first in starts])
        middle = (city.bounding_box.south + city.bounding_box.north) / 2
        haze = simulate_haze(driving, imagery.air, dates, weather, parameters, config.haze_coupling, middle, *key)
        columns = {**world.columns, "true_optical_depth": imagery.optical_depth(haze.tau550)}

        constant = _constant_columns(places, imagery.land_use)
        scene_bytes = len(places) * config.tile_size**2 * len(config.bands)
        batches = np.array_split(written, range(0, len(written), max(1, _BATCH_BYTES // scene_bytes))[1:])
        writer = stack.enter_context(ArchiveWriter(folder, config.tile_size, config.bands, config.overwrite))
        for batch in shown(batches, len(written), "scenes"):
            scenes = [imagery.render(overpass[day], haze.on(day)) for day in batch]
            tiles, covered = (np.concatenate(parts) for parts in zip(*scenes, strict=True))
            daily = {name: table[batch].ravel() for name, table in columns.items()}
            times = [overpass[day] for day in batch]
            rows = _rows(constant, dates[batch], times, [imagery.scene_id(time) for time in times])
            rows = rows.assign(cloud_fraction=covered, **daily)
            with_grid = np.repeat(batch % (config.day_step * config.grid_day_step) == 0, len(places))
            chosen = np.flatnonzero(with_grid | (rows["site_kind"] == STATION))
            writer.append(tiles[chosen], rows.iloc[chosen])
            count += len(chosen)
        if isinstance(imagery, SceneSet):
            imagery.commit()
            notes.append(f"scenes: {imagery.folder}")
        writer.commit(
            city=city.name,
            ground_sample_distance_m=config.gsd,
            created_by={"command": "pm25 simulate", "version": package_version(), **record(config)},
            sources=[{"path": str(path), "sha256": file_hash(path)} for path in files],
            simulated=simulated,
            licence="MIT" if simulated == "all" else "that of the sources",
            attribution="simulated by pm25-contrastive; not an observation",
        )
        forget_readings(folder)
    print(f"{folder}: {count} tiles, {len(written)} days, {len(places)} sites")
    for note in [*notes, f"simulated: {simulated}"]:
        print(f"  {note}")


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
