"""A pickle of the 2022 code becomes the archive of a city."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd

from model_utils.archive.site_doubts import site_doubts
from model_utils.archive.writer import ArchiveWriter
from model_utils.cities import City
from model_utils.configuration import package_version, record
from model_utils.ingest.chips import tiles_per_block
from model_utils.ingest.config import PrepareConfig
from model_utils.ingest.legacy.rows import Site, Survey, legacy_rows, locate, survey
from model_utils.ingest.legacy.samples import LegacySample, read_legacy
from model_utils.ingest.readings.flags import FLAGS
from model_utils.ingest.readings.stations import read_stations
from model_utils.ingest.side_files import forget_readings
from model_utils.ingest.storage import file_hash
from model_utils.progress import shown
from model_utils.project import archive_folder


def prepare_legacy(config: PrepareConfig, city: City, path: Path, gsd: float) -> None:
    """Writes the archive of a city from a pickle of the 2022 code, and says what it holds.

    The file is read twice, a sample at a time: once to see what it holds, and once to write. Nothing in it is run.

    Args:
        config: Bands, station coordinates, licence, attribution, and where to write.
        city: The city.
        path: The pickle.
        gsd: Metres per pixel.

    Raises:
        InputError: Naming the sample, key or byte that is wrong; nothing is written then.
    """
    found = survey(read_legacy(path), path, config.bands)
    listed = _listed_places(config.stations) if config.stations else {}
    sites = locate(found, path, city, listed)
    folder = archive_folder(config.root, city.name)
    size = found.shape[0]
    flags: Counter[str] = Counter()
    readings = implausible = 0
    written: list[pd.DataFrame] = []
    with ArchiveWriter(folder, size, config.bands, config.overwrite) as writer:
        blocks = _blocks(read_legacy(path), tiles_per_block(size, len(config.bands)))
        for samples in shown(blocks, found.count, "tiles"):
            tiles, rows = legacy_rows(samples, found, sites, city)
            writer.append(tiles, rows)
            flags.update(rows["quality"])
            written.append(rows[["site_id", "local_date", "latitude", "longitude", "pm25"]])
            readings += int(rows["pm25"].notna().sum())
            implausible += _implausible(samples, found, rows[list(found.columns.values())].to_numpy(float))
        writer.commit(
            city=city.name,
            ground_sample_distance_m=gsd,
            created_by={"command": "pm25 prepare", "version": package_version(), **record(config)},
            sources=[{"path": str(path), "sha256": file_hash(path)}],
            licence=config.licence,
            attribution=config.attribution,
        )
        forget_readings(folder)
    print(f"{folder}: {found.count} tiles, {size} x {size} px of {gsd:g} m, bands {', '.join(config.bands)}")
    print(f"  {len(sites)} sites, {readings} tiles with a PM2.5 reading")
    for line in [*_notes(found, sites, city, flags, implausible), *site_doubts(pd.concat(written))]:
        print(f"  {line}")


def _blocks(samples: Iterator[LegacySample], size: int) -> Iterator[list[LegacySample]]:
    while block := list(islice(samples, size)):
        yield block


def _listed_places(path: Path) -> dict[str, tuple[float, float]]:
    """Latitude and longitude by station."""
    columns = (read_stations(path)[name].tolist() for name in ("station", "latitude", "longitude"))
    return {str(station): (latitude, longitude) for station, latitude, longitude in zip(*columns, strict=True)}


def _listed(names: set[str]) -> str:
    return ", ".join(ascii(name)[1:-1][:40] for name in sorted(names)[:20]) + (" ..." if len(names) > 20 else "")


def _implausible(samples: list[LegacySample], found: Survey, kept: np.ndarray) -> int:
    """Weather values that the file has and the rows do not."""
    written = [[float(sample.weather.get(name, np.nan)) for name in found.columns] for sample in samples]
    return int(np.isfinite(written).sum() - np.isfinite(kept).sum())


def _notes(found: Survey, sites: dict[str, Site], city: City, flags: Counter[str], implausible: int) -> list[str]:
    box = city.bounding_box
    outside = sum(
        not (box.south <= site.latitude <= box.north and box.west <= site.longitude <= box.east)
        for site in sites.values()
    )
    weather = ", ".join(f"{name} as {column}" for name, column in found.columns.items())
    clock = f"{city.overpass_local_time:%H:%M}"
    lines = [
        (True, f"times name no zone: taken as local time of {city.time_zone}"),
        (found.midnights, f"{found.midnights} samples have a date without a time: taken at {clock}, the overpass"),
        (
            any(flags[name] for name in FLAGS),
            "readings flagged: " + ", ".join(f"{flags[name]} {name}" for name in FLAGS if flags[name]),
        ),
        (found.columns, f"weather: {weather}"),
        (found.pressure_factor != 1, "pressure has a median of 650 to 800: taken as mmHg and turned into hPa"),
        (implausible, f"{implausible} weather values are impossible and left out"),
        (found.texts, f"left out: {_listed(found.texts)} in Meteo, which hold text"),
        (found.other_keys, f"left out: the keys {_listed(found.other_keys)}"),
        (outside, f"{outside} sites lie outside the bounding box of {city.name}; they are kept"),
    ]
    return [line for wanted, line in lines if wanted]
