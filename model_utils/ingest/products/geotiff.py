"""Rasters that no known product stands behind: a scene a file, or a scene a folder of files of one band each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from model_utils.errors import InputError
from model_utils.ingest.products.metadata import read_metadata
from model_utils.ingest.products.source_scene import SourceScene, band_file, mask_in, source_bands
from model_utils.ingest.scenes.header import Header, read_header
from model_utils.ingest.scenes.masks import MASKS
from model_utils.ingest.storage import is_file

GEOTIFF, BAND_FILES = "geotiff", "band-files"
_DTYPES = ("uint8", "uint16", "int16", "float32", "float64")
_TIME_KEYS = ("properties.acquired", "properties.datetime")
_COLOURS = "coastal|blue|green|yellow|red|rededge[1-3]?|nir|nir08|swir1|swir2|swir16|swir22"
_MASKS = {"scl": "scl", "qa_pixel": "qa_pixel", "fmask": "fmask"}
_NAMES = rf"(?:SR_)?B\d{{1,2}}A?|{_COLOURS}|{'|'.join(_MASKS)}"
_BAND = re.compile(rf"(?P<before>.*?)(?:^|[_.\- ])(?P<band>{_NAMES})(?:_\d+m)?", re.IGNORECASE)


@dataclass(frozen=True)
class BandFiles:
    """Files that lie together and differ in their names by what is the name of a band.

    Attributes:
        path: What they have in common: the folder, or its path with the beginning of their names.
        files: By the name of the band as they write it.
    """

    path: Path
    files: Mapping[str, Path]


def band_files(rasters: Iterable[Path]) -> list[BandFiles]:
    """Groups rasters by what their names have before a band's name; two at least that hold one band each."""
    grouped: dict[Path, dict[str, Path]] = {}
    for path in rasters:
        if found := _BAND.fullmatch(path.stem):
            before = found["before"].rstrip("_.- ")
            grouped.setdefault(path.parent / before if before else path.parent, {}).setdefault(found["band"], path)
    return [
        BandFiles(path, files)
        for path, files in grouped.items()
        if len(files.keys() - _masks_of(files)) > 1 and all(_bands_in(file) == 1 for file in files.values())
    ]


def _masks_of(files: Mapping[str, Path]) -> set[str]:
    return {band for band in files if band.lower() in _MASKS}


def _bands_in(path: Path) -> int:
    try:
        return read_header(path).count
    except InputError:
        return 1  # reading the scene says what is wrong


def read_band_files(scene: BandFiles, folder: Path) -> SourceScene:
    """Reads the headers of files of one band each; which band is which colour their names need not say.

    Args:
        scene: The files.
        folder: The scene's id is its path below it.

    Raises:
        InputError: A file is damaged, or its numbers are of a type that is not read.
    """
    masks = _masks_of(scene.files)
    headers = {band: _header(path) for band, path in scene.files.items() if band not in masks}
    first = next(iter(headers.values()))
    if len({header.dtype for header in headers.values()}) > 1:
        types = ", ".join(f"{band} {header.dtype}" for band, header in headers.items())
        raise InputError(f"{scene.path}: found numbers of several types ({types}), expected one")
    mask = next((mask_in(scene.files[band], MASKS[_MASKS[band.lower()]]) for band in sorted(masks)), None)
    return SourceScene(
        path=scene.path,
        scene_id=scene.path.name if scene.path == folder else scene.path.relative_to(folder).as_posix(),
        product=BAND_FILES,
        bands=tuple(band_file(header, "", band, None) for band, header in headers.items()),
        dtype=first.dtype,
        tags=first.tags,
        mask=mask,
    )


def read_geotiff(raster: Path, folder: Path) -> SourceScene:
    """Reads the header of any other raster; its id is its path below the folder.

    Raises:
        InputError: It is damaged, or its numbers are of a type that is not read.
    """
    header = _header(raster)
    sidecar = raster.with_name(f"{raster.stem}_metadata.json")
    time = read_metadata(sidecar).time(_TIME_KEYS) if is_file(sidecar) else None
    return SourceScene(
        path=header.path,
        scene_id=raster.relative_to(folder).with_suffix("").as_posix(),
        product=GEOTIFF,
        bands=source_bands(header),
        dtype=header.dtype,
        metadata_time=time,
        tags=header.tags,
        sidecars=(sidecar,) if time else (),
    )


def _header(path: Path) -> Header:
    header = read_header(path)
    if header.dtype not in _DTYPES:
        raise InputError(
            f"{path}: found {header.dtype} numbers, expected {', '.join(_DTYPES)} (gdal_translate -ot converts)"
        )
    return header
