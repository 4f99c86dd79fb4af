"""The files of a folder of scenes, by what they are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from model_utils.errors import InputError
from model_utils.ingest.storage import PACKED, members

_SAFE_METADATA = ("MTD_MSIL1C.xml", "MTD_MSIL2A.xml")
_RASTERS = (".tif", ".tiff", ".jp2")
_COMPRESSED = (".tgz", ".tar.gz", ".tar.bz2", ".tar.xz", ".tif.gz", ".7z", ".rar")
_OTHER_RASTERS = (
    *(".nc", ".nc4", ".img", ".hdf", ".hdf5", ".h5", ".he5", ".grib", ".grb"),
    *(".vrt", ".ntf", ".bil", ".ecw", ".sid"),
)


@dataclass(frozen=True)
class Files:
    """What lies in a folder, in the order of the names.

    Attributes:
        rasters: GeoTIFFs and JPEG 2000 files.
        safe_folders: Sentinel-2 products; their files are among the others of this table.
        others: All else.
    """

    rasters: tuple[Path, ...]
    safe_folders: tuple[Path, ...]
    others: tuple[Path, ...]


def list_files(folder: Path) -> Files:
    """Walks a folder and all below it, and into .zip and .tar files; or one such file.

    Names that begin with a dot are left out, links are followed once.

    Raises:
        InputError: It is no folder, holds no scene, or holds imagery of a kind that is not read.
    """
    packed = folder.is_file() and folder.suffix.lower() in PACKED
    if not (folder.is_dir() or packed):
        raise InputError(f"{folder}: {'a file' if folder.exists() else 'not found'}, expected a folder of scenes")
    found: list[Path] = [*members(folder)] if packed else []
    pending, seen = [] if packed else [folder], set()
    safe_folders = set()
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
        if here.name.upper().endswith(".SAFE"):
            safe_folders.add(here)
        for entry in entries:
            if entry.suffix.lower() in _RASTERS and not entry.is_file():
                raise InputError(f"{entry}: not a file, expected a GeoTIFF")
            if entry.is_dir():
                pending.append(entry)
            elif entry.suffix.lower() in PACKED:
                found += members(entry)
            elif entry.is_file():  # no pipe, which would never end
                found.append(entry)
    safe_folders |= {path.parent for path in found if path.name in _SAFE_METADATA}
    safe_folders |= {parent for path in found for parent in path.parents if parent.name.upper().endswith(".SAFE")}
    for path in found:
        if not safe_folders.intersection(path.parents):
            _refuse_unread(path)
    rasters = tuple(sorted(path for path in found if path.suffix.lower() in _RASTERS))
    if not rasters and not safe_folders:
        raise InputError(f"{folder}: found no scene, expected .tif files or Sentinel-2 .SAFE folders in it or below it")
    others = tuple(sorted(set(found) - set(rasters)))
    return Files(rasters, tuple(sorted(safe_folders)), others)


def _refuse_unread(path: Path) -> None:
    name = path.name.lower()
    if path.parent.name.lower() == "gap_mask":  # of Landsat 7, a folder of compressed files beside the bands
        return
    if name.endswith(_COMPRESSED):
        raise InputError(
            f"{path}: compressed as a whole, expected a .zip, a .tar or what is in it: unpack it first and move it "
            "elsewhere"
        )
    if name.endswith(tuple(PACKED)):
        raise InputError(f"{path}: a package in a package, expected it unpacked once")
    if name.endswith(_OTHER_RASTERS):
        raise InputError(
            f"{path}: {path.suffix} files are not read, expected a GeoTIFF for each time "
            "(gdal_translate -of GTiff makes one)"
        )
