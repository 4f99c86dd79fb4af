"""`pm25 fetch weather`: the weather over a city, for `pm25 prepare --meteorology`."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from model_utils.cities import City, load_city
from model_utils.errors import InputError
from model_utils.fetching.config import FetchWeatherConfig
from model_utils.fetching.transfer.endpoint import endpoint
from model_utils.fetching.transfer.extra import extra_needed
from model_utils.fetching.transfer.keys import kept_secret
from model_utils.fetching.weather.days import span_of

with extra_needed():
    from model_utils.fetching.transfer.http_source import HttpSource
    from model_utils.fetching.transfer.many import fetch_files, plan
    from model_utils.fetching.weather import open_meteo


def fetch_weather(config: FetchWeatherConfig) -> Path:
    """Fetches the weather over a city, and says what came.

    Args:
        config: Which weather.

    Returns:
        The folder, which `pm25 prepare --meteorology` reads.

    Raises:
        InputError: No such city, no key, a key that is refused, or days that the source does not have yet.
        IncompleteError: Something could not be had.
    """
    city = load_city(config.city, config.root)
    folder = config.out or config.root / "downloads" / city.name / "weather" / config.source
    (_open_meteo if config.source == "open-meteo" else _era5)(config, city, folder)
    return folder


def _open_meteo(config: FetchWeatherConfig, city: City, folder: Path) -> None:
    archive = endpoint(config.endpoint, open_meteo.ARCHIVE_VARIABLE, open_meteo.ARCHIVE)
    _refuse_days_to_come(config, open_meteo.DAYS_BEHIND[config.model])
    span = span_of(config.first, config.last, city.zone)
    files = open_meteo.requests_for(archive, city.bounding_box, span, config.model)
    if config.dry_run:
        points = open_meteo.points_over(city.bounding_box)
        print(f"{config.model} at {len(points)} points, {span.begin:%Y-%m-%d %H:%M} to {span.end:%Y-%m-%d %H:%M} UTC:")
        print(f"{', '.join(open_meteo.VARIABLES)}")
        print(f"{plan(files, folder).line()} in {folder}; they count as {sum(file.cost for file in files)} requests")
        return
    with kept_secret(), HttpSource("Open-Meteo", open_meteo.rate_limit()) as source:
        fetched = fetch_files(source, files, folder, "weather", config.connections)
    path, empty = open_meteo.write_table(folder, files, city, span)
    print(f"{path}: {len(files)} answers ({len(fetched.missing)} fetched)")
    if empty:
        print(f"without any value, left out: {', '.join(empty)}")
    print(f"{open_meteo.LICENCE}: {open_meteo.ATTRIBUTION}")
    _say_next(city, folder)


def _era5(config: FetchWeatherConfig, city: City, folder: Path) -> None:
    with extra_needed():
        from model_utils.fetching.weather import era5
    store, key = era5.find_account(config.endpoint)
    _refuse_days_to_come(config, era5.DAYS_BEHIND)
    span = span_of(config.first, config.last, city.zone)
    files = era5.requests_for(store, key, city, span)
    if config.dry_run:
        print(f"{era5.COLLECTION}, {span.begin:%Y-%m-%d %H:%M} to {span.end:%Y-%m-%d %H:%M} UTC:")
        print(", ".join(name for names in era5.VARIABLES.values() for name in names))
        print(f"{plan(files, folder).line()} in {folder}; each is made when it is asked for, which may take hours")
        return
    with kept_secret(key), HttpSource("the Climate Data Store") as source:
        fetched = fetch_files(source, files, folder, "weather", config.connections)
    print(f"{folder}: {len(files)} files ({len(fetched.missing)} fetched)")
    print(f"{era5.LICENCE}: {era5.ATTRIBUTION}")
    _say_next(city, folder)


def _refuse_days_to_come(config: FetchWeatherConfig, behind: int) -> None:
    known: date = datetime.now(UTC).date() - timedelta(days=behind)
    if config.last > known:
        raise InputError(f"--to: found {config.to}, expected up to {known}: {config.source} is some days behind")


def _say_next(city: City, folder: Path) -> None:
    print(f"next: pm25 prepare --city {city.name} --scenes FOLDER --readings FOLDER --meteorology {folder} --gsd 10")
