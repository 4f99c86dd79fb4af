"""`pm25 fetch readings`: the stations of a city, and their history as OpenAQ's archive has it."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from model_utils import atomic
from model_utils.cities import City, load_city
from model_utils.errors import InputError
from model_utils.fetching.config import FetchReadingsConfig
from model_utils.fetching.transfer.endpoint import endpoint
from model_utils.fetching.transfer.extra import extra_needed
from model_utils.fetching.transfer.keys import find_key, kept_secret

with extra_needed():
    from model_utils.fetching.readings.city_stations import add_stations
    from model_utils.fetching.readings.openaq_archive import ARCHIVE, ARCHIVE_VARIABLE, archived_files
    from model_utils.fetching.readings.openaq_locations import (
        API,
        API_VARIABLE,
        KEY_FROM,
        KEY_VARIABLE,
        Location,
        find_locations,
        rate_limit,
    )
    from model_utils.fetching.transfer.http_source import HttpSource
    from model_utils.fetching.transfer.many import fetch_files, plan
    from model_utils.fetching.transfer.remote_file import RemoteFile, megabytes

STATIONS = "stations.csv"
_COLUMNS = ("station", "name", "latitude", "longitude", "provider", "licence", "attribution")


def fetch_readings(config: FetchReadingsConfig) -> Path:
    """Fetches the readings of a city's stations, and says what came.

    The folder gets the archive's files under the archive's own paths, `stations.csv` and `manifest.jsonl`. What it has
    already is not fetched again.

    Args:
        config: Which readings.

    Returns:
        The folder, which `pm25 prepare --readings` reads.

    Raises:
        InputError: No such city, no key, a key that is refused, or no station.
        IncompleteError: Something could not be had.
    """
    city = load_city(config.city, config.root)
    api = endpoint(config.endpoint, API_VARIABLE, API, takes_key=True)
    archive = endpoint(config.archive_endpoint, ARCHIVE_VARIABLE, ARCHIVE, flag="--archive-endpoint")
    key = find_key(KEY_VARIABLE, config.key_file.expanduser(), KEY_FROM)
    folder = config.out or config.root / "downloads" / city.name / "readings"
    with kept_secret(key), HttpSource("OpenAQ", rate_limit(), key) as source:
        locations = find_locations(source, api, city.bounding_box, config.first, config.last, config.low_cost)
    if not locations:
        kind = "stations" if config.low_cost else "reference-grade stations (--low-cost takes all)"
        raise InputError(
            f"OpenAQ knows no {kind} of PM2.5 in the bounding box of {city.name} from {config.from_} to {config.to}"
        )
    with kept_secret(), HttpSource("OpenAQ's archive") as source:
        files = {each.id: archived_files(source, archive, each, config.first, config.last) for each in locations}
        measuring = [each for each in locations if files[each.id]]
        wanted = [file for each in measuring for file in files[each.id]]
        if not wanted:
            raise InputError(
                f"OpenAQ's archive has no file of the {len(locations)} stations in {city.name} from {config.from_} to "
                f"{config.to}; it is some days behind"
            )
        if config.dry_run:
            print("\n".join(_listing(measuring, files)))
            print(f"{plan(wanted, folder).line()} in {folder}")
            return folder
        _write_stations(folder / STATIONS, measuring)
        fetched = fetch_files(source, wanted, folder, "readings", config.connections)
    print(f"{folder}: {len(measuring)} stations, {len(fetched.files):,} files ({len(fetched.missing):,} fetched)")
    print("\n".join(_credits(measuring)))
    if config.update_city:
        _update(city, measuring, config.root)
    print(f"look: pm25 inspect --city {city.name} --readings {folder}")
    print(f"next: pm25 fetch scenes --city {city.name} --from {config.from_} --to {config.to} --source sentinel2-l2a")
    return folder


def _listing(locations: Sequence[Location], files: Mapping[int, Sequence[RemoteFile]]) -> list[str]:
    lines = [f"{'station':>9}  {'days':>6}  {'size':>9}  grade      name (provider)"]
    for each in locations:
        size = megabytes(sum(file.size or 0 for file in files[each.id]))
        grade = "reference" if each.is_monitor else "low-cost"
        lines.append(f"{each.id:>9}  {len(files[each.id]):>6,}  {size:>9}  {grade:<9}  {each.name} ({each.provider})")
    return lines


def _credits(locations: Sequence[Location]) -> list[str]:
    """Whom to name, and under which licence."""
    by_licence: dict[str, list[str]] = {}
    for each in locations:
        by_licence.setdefault(each.licence or "licence not stated", []).append(each.attribution)
    return [f"{licence}: {', '.join(sorted(set(named)))}" for licence, named in sorted(by_licence.items())]


def _write_stations(path: Path, locations: Sequence[Location]) -> None:
    """Stations of an earlier run, whose files are there too, stay in the list."""
    rows: dict[str, Sequence[str]] = {
        str(each.id): [
            *(str(each.id), each.name, str(each.latitude), str(each.longitude)),
            *(each.provider, each.licence, each.attribution),
        ]
        for each in locations
    }
    if path.exists():
        with path.open(encoding="utf-8", newline="") as file:
            earlier = list(csv.reader(file))
        if not earlier or tuple(earlier[0]) != _COLUMNS:
            raise InputError(f"{path}: found {earlier[:1]}, expected the stations of an earlier run: {_COLUMNS}")
        rows = {row[0]: row for row in earlier[1:] if row} | rows
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow(_COLUMNS)
    table.writerows(rows[station] for station in sorted(rows, key=lambda station: (len(station), station)))
    atomic.write_text(path, text.getvalue())


def _update(city: City, locations: Sequence[Location], root: Path) -> None:
    path, added, held_out = add_stations(city, locations, root)
    if added:
        print(f"{path}: {added} stations added, {held_out} of them held out (split: test)")
    else:
        print(f"{path}: lists all {len(locations)} stations already")
