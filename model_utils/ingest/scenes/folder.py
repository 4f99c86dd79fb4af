"""The files of a scene folder, by what they are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from model_utils.errors import InputError

SENTINEL_METADATA = ("MTD_MSIL1C.xml", "MTD_MSIL2A.xml")
_ARCHIVES = (".zip", ".tar", ".tgz", ".tar.gz", ".tif.gz", ".7z", ".rar")
_RASTERS = (
    ".nc",
    ".nc4",
    ".img",
    ".hdf",
    ".hdf5",
    ".h5",
    ".he5",
    ".grib",
    ".grb",
    ".vrt",
    ".ntf",
    ".bil",
    ".ecw",
    ".sid",
)


@dataclass(frozen=True)
class Files:
    """What lies in a folder, in the order of the names.

    Attributes:
        rasters: .tif and .tiff files.
        safe_folders: Sentinel-2 products.
        others: All else outside the SAFE folders.
    """

    rasters: tuple[Path, ...]
    safe_folders: tuple[Path, ...]
    others: tuple[Path, ...]


def list_files(folder: Path) -> Files:
    """Walks a folder and all below it; names that begin with a dot are left out, links are followed once.

    Raises:
        InputError: It is no folder, holds no scene, or holds imagery of a kind that is not read.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: {'a file' if folder.exists() else 'not found'}, expected a folder of scenes")
    pending, seen = [folder], set()
    rasters: list[Path] = []
    safe_folders: list[Path] = []
    others: list[Path] = []
    while pending:
        here = pending.pop()
        try:
            status = here.stat()
            entries = sorted(entry for entry in here.iterdir() if not entry.name.startswith("."))
        except OSError as error:
            raise InputError(f"{here}: not readable ({error.strerror})") from None
        if (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        if here.name.upper().endswith(".SAFE") or any(entry.name in SENTINEL_METADATA for entry in entries):
            safe_folders.append(here)
            continue
        for entry in entries:
            suffix = entry.suffix.lower()
            if suffix in (".tif", ".tiff"):
                if not entry.is_file():
                    raise InputError(f"{entry}: not a file, expected a GeoTIFF")
                rasters.append(entry)
            elif entry.is_dir():
                pending.append(entry)
            else:
                _refuse_unread(entry)
                others.append(entry)
    if not rasters and not safe_folders:
        raise InputError(f"{folder}: found no scene, expected .tif files or Sentinel-2 .SAFE folders in it or below it")
    return Files(tuple(sorted(rasters)), tuple(sorted(safe_folders)), tuple(sorted(others)))


def _refuse_unread(path: Path) -> None:
    name = path.name.lower()
    if name.endswith(_ARCHIVES):
        raise InputError(f"{path}: a packed archive, expected its content: unpack it first and move it elsewhere")
    if name.endswith(".jp2"):
        raise InputError(
            f"{path}: a JPEG 2000 file outside a .SAFE folder, expected the whole Sentinel-2 product folder, "
            "or a GeoTIFF (gdal_translate makes one)"
        )
    if name.endswith(_RASTERS):
        raise InputError(
            f"{path}: {path.suffix} files are not read, expected a GeoTIFF for each time "
            "(gdal_translate -of GTiff makes one)"
        )
