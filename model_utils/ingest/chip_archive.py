"""Tiles that are already cut, and their table, become an archive."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from model_utils.archive.site_doubts import site_doubts
from model_utils.archive.writer import ArchiveWriter
from model_utils.cities import City
from model_utils.configuration import package_version, record
from model_utils.errors import InputError
from model_utils.ingest.brightness import Brightness
from model_utils.ingest.chips import ArrayChips, FolderChips
from model_utils.ingest.config import PrepareConfig
from model_utils.ingest.samples import archive_rows, chip_numbers
from model_utils.ingest.side_files import forget_readings
from model_utils.ingest.storage import file_hash
from model_utils.ingest.table import read_table, texts
from model_utils.progress import shown
from model_utils.project import archive_folder


def prepare_chips(config: PrepareConfig, city: City, images: Path, path: Path, gsd: float) -> None:
    """Writes the archive of a city from tiles and a table, and says what it holds.

    Args:
        config: Bands, licence, attribution, and where to write.
        city: The city.
        images: The array of tiles, or their folder.
        path: The table.
        gsd: Metres per pixel.

    Raises:
        InputError: Naming the file, row or column that is wrong; nothing is written then.
    """
    table = read_table(path)
    rows, notes = archive_rows(table, path, city.zone)
    notes += _outside(rows, path, city)
    chips = _open_chips(images, path, config.bands, table)
    if isinstance(chips, FolderChips):
        numbers = pd.Series(range(chips.count))
        left_out = chips.unnamed()
    else:
        numbers = chip_numbers(table, path, chips.count)
        left_out = chips.count - len(numbers)
    order = numbers.argsort().to_numpy()
    rows = rows.iloc[order]

    folder = archive_folder(config.root, city.name)
    with ArchiveWriter(folder, chips.tile_size, config.bands, config.overwrite) as writer:
        done, brightness = 0, Brightness()
        blocks = chips.blocks(numbers.to_numpy()[order])
        for tiles in shown(blocks, len(rows), "tiles"):
            brightness.count(tiles)
            writer.append(tiles, rows.iloc[done : done + len(tiles)])
            done += len(tiles)
        if ends := brightness.ends():
            raise InputError(f"{images}: {ends}, expected images that use the range between")
        writer.commit(
            city=city.name,
            ground_sample_distance_m=gsd,
            created_by={"command": "pm25 prepare", "version": package_version(), **record(config)},
            sources=[*chips.sources(), {"path": str(path), "sha256": file_hash(path)}],
            licence=config.licence,
            attribution=config.attribution,
        )
        forget_readings(folder)
    size = f"{chips.tile_size} x {chips.tile_size} px of {gsd:g} m"
    print(f"{folder}: {len(rows)} tiles, {size}, bands {', '.join(config.bands)}")
    notes += site_doubts(rows)
    notes += brightness.lines("check how they were scaled to bytes")
    for line in [*_summary(rows), *notes, f"left out: {left_out} images that no row of the table names"]:
        print(f"  {line}")


def _open_chips(images: Path, path: Path, bands: Sequence[str], table: pd.DataFrame) -> ArrayChips | FolderChips:
    if images.is_dir():
        if "path" not in table:
            found = ", ".join(map(str, table.columns))
            raise InputError(f"{path}: column path is missing, which says where in {images} a tile lies, found {found}")
        return FolderChips(images, texts(table["path"]).tolist(), bands)
    if not images.exists():
        raise InputError(f"{images}: not found, expected a .npy or .npz file or a folder of tiles")
    if images.suffix.lower() not in (".npy", ".npz"):
        raise InputError(f"{images}: found {images.suffix or 'no suffix'}, expected .npy, .npz or a folder")
    return ArrayChips(images, bands)


def _outside(rows: pd.DataFrame, path: Path, city: City) -> list[str]:
    """Refuses a table that lies elsewhere altogether: latitude and longitude are easily swapped."""
    box = city.bounding_box
    inside = rows["latitude"].between(box.south, box.north) & rows["longitude"].between(box.west, box.east)
    if not inside.any():
        place = f"latitude {rows['latitude'].iloc[0]}, longitude {rows['longitude'].iloc[0]}"
        places = zip(rows["latitude"], rows["longitude"], strict=True)
        swapped = all(box.holds(longitude, latitude) for latitude, longitude in places)
        hint = "; latitude and longitude are swapped, here or in the city's file" if swapped else ""
        raise InputError(
            f"{path}: no row lies in the bounding box of {city.name} (row 1: {place}), "
            f"expected latitude {box.south} to {box.north}, longitude {box.west} to {box.east}{hint}"
        )
    outside = int((~inside).sum())
    return [f"{outside} tiles lie outside the bounding box of {city.name}; they are kept"] if outside else []


def _summary(rows: pd.DataFrame) -> list[str]:
    dates = rows["local_date"]
    return [
        f"{rows['site_id'].nunique()} sites",
        f"{rows['time_utc'].nunique()} timestamps on {dates.nunique()} local dates, "
        f"{dates.min():%Y-%m-%d} to {dates.max():%Y-%m-%d}",
        f"{int(rows['pm25'].notna().sum()) if 'pm25' in rows else 0} tiles with a PM2.5 reading",
    ]
