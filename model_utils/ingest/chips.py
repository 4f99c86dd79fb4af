"""Tiles that are already cut: one array file, or a folder with one file a tile. Read in blocks, in order."""

from __future__ import annotations

import hashlib
import io
import lzma
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import IO

import numpy as np
import rasterio
from numpy.typing import NDArray
from PIL import Image
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning

from model_utils.archive.npy import read_npy_header
from model_utils.errors import InputError
from model_utils.ingest.scenes.header import SEALED, open_raster
from model_utils.ingest.storage import file_hash

_BROKEN_ZIP = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, OSError, EOFError, ValueError, RuntimeError)
_PNG_BANDS = {"L": 1, "RGB": 3, "RGBA": 4}
_SUFFIXES = (".png", ".tif", ".tiff")


def tiles_per_block(tile_size: int, bands: int) -> int:
    """A few thousand tiles, and at most 16 MiB of them."""
    return max(1, min(4096, 2**24 // (tile_size**2 * bands)))


class ArrayChips:
    """Tiles in a .npy file, or in a .npz file that holds one array or one called 'images'.

    Attributes:
        path: The file.
        count: Number of tiles.
        tile_size: Height and width of a tile, pixels.
    """

    def __init__(self, path: Path, bands: Sequence[str]) -> None:
        """Checks the header and the size of the file; reads no tile.

        Raises:
            InputError: Naming the file, what was found and what was expected.
        """
        self.path = path
        try:
            with self._open() as (stream, size):
                shape, fortran, dtype = read_npy_header(stream)
                whole = stream.tell() + int(np.prod(shape, dtype=object)) * dtype.itemsize
        except InputError:
            raise
        except _BROKEN_ZIP as error:
            raise InputError(f"{path}: not a {path.suffix} file ({' '.join(str(error).split())})") from None
        if dtype != np.uint8 or fortran:
            raise InputError(
                f"{path}: found {dtype} in {'Fortran' if fortran else 'C'} order, expected uint8 in C order"
            )
        if len(shape) != 4 or shape[1] != shape[2] or shape[3] != len(bands) or min(shape) < 1:
            raise InputError(
                f"{path}: found shape {shape}, expected tiles x size x size x {len(bands)} ({', '.join(bands)})"
            )
        if size != whole:
            word = "truncated" if size < whole else "too long"
            raise InputError(f"{path}: {word}, found {size} bytes, expected {whole}")
        self.count, self.tile_size = shape[0], shape[1]
        self._tile_shape = shape[1:]

    def blocks(self, numbers: NDArray[np.integer]) -> Iterator[NDArray[np.uint8]]:
        """Reads the file once, front to back.

        Args:
            numbers: The tiles that are wanted, ascending.

        Yields:
            The next n wanted tiles, uint8, n x H x W x C.

        Raises:
            InputError: The file ends early or its checksum is wrong.
        """
        tile_bytes = int(np.prod(self._tile_shape))
        step = tiles_per_block(self.tile_size, self._tile_shape[-1])
        try:
            with self._open() as (stream, _):
                read_npy_header(stream)
                for start in range(0, self.count, step):
                    n = min(step, self.count - start)
                    data = stream.read(n * tile_bytes)
                    block = np.frombuffer(data, np.uint8).reshape(n, *self._tile_shape)
                    low, high = np.searchsorted(numbers, (start, start + n))
                    if high > low:
                        yield block[numbers[low:high] - start]
                stream.read(1)  # past the end: a zip member's checksum is compared here
        except _BROKEN_ZIP as error:
            raise InputError(f"{self.path}: not readable ({' '.join(str(error).split())})") from None

    def sources(self) -> list[dict[str, str]]:
        """The file and its SHA-256."""
        return [{"path": str(self.path), "sha256": file_hash(self.path)}]

    @contextmanager
    def _open(self) -> Iterator[tuple[IO[bytes], int]]:
        """The bytes of the NPY file, packed or not, and how many there are."""
        if self.path.suffix.lower() == ".npy":
            with self.path.open("rb") as file:
                yield file, self.path.stat().st_size
            return
        with zipfile.ZipFile(self.path) as archive:
            members = {name.removesuffix(".npy"): name for name in archive.namelist()}
            name = members.get("images") or (next(iter(members.values())) if len(members) == 1 else None)
            if name is None:
                found = ", ".join(members) or "none"
                raise InputError(f"{self.path}: found the arrays {found}, expected one or 'images'")
            with archive.open(name) as member:
                yield member, archive.getinfo(name).file_size


class FolderChips:
    """Tiles as PNG or TIFF files in a folder, in the order of a table.

    Attributes:
        folder: The folder.
        count: Number of tiles that the table names.
        tile_size: Height and width of a tile, pixels; that of the first tile.
    """

    def __init__(self, folder: Path, names: Sequence[str], bands: Sequence[str]) -> None:
        """Checks that every file is there, and reads the first one.

        Args:
            folder: The folder.
            names: Paths relative to the folder, one a row of the table.
            bands: Band names.

        Raises:
            InputError: Naming the row or file that is wrong.
        """
        self.folder, self.count = folder, len(names)
        self._bands = bands
        for row, name in enumerate(names, start=1):
            pure = PurePath(name)
            if not name or pure.is_absolute() or ".." in pure.parts:
                raise InputError(f"row {row}: path is {name!r}, expected a path inside {folder}")
            if pure.suffix.lower() not in _SUFFIXES:
                raise InputError(f"row {row}: path is {name!r}, expected a .png, .tif or .tiff file")
            if not (folder / name).is_file():
                raise InputError(f"row {row}: {folder / name}: not found")
        self._paths = [folder / name for name in names]
        self.tile_size = len(_read_tile(self._paths[0], bands))

    def blocks(self, numbers: NDArray[np.integer]) -> Iterator[NDArray[np.uint8]]:
        """Reads the wanted tiles, block by block: uint8, n x H x W x C.

        Raises:
            InputError: Naming the file that is broken or differs from the first one.
        """
        step = tiles_per_block(self.tile_size, len(self._bands))
        for start in range(0, len(numbers), step):
            yield np.stack([self._tile(self._paths[number]) for number in numbers[start : start + step]])

    def sources(self) -> list[dict[str, str]]:
        """The folder, and the SHA-256 of the lines 'SHA-256 of a file, two spaces, path' in tile order."""
        listing = "".join(f"{file_hash(path)}  {path.relative_to(self.folder)}\n" for path in self._paths)
        digest = hashlib.sha256(listing.encode()).hexdigest()
        return [{"path": f"{self.folder}/ ({self.count} files)", "sha256": digest}]

    def unnamed(self) -> int:
        """How many tiles of the folder the table does not name."""
        there = {path for path in self.folder.rglob("*") if path.suffix.lower() in _SUFFIXES}
        return len(there - set(self._paths))

    def _tile(self, path: Path) -> NDArray[np.uint8]:
        tile = _read_tile(path, self._bands)
        if len(tile) != self.tile_size:
            size, expected = f"{len(tile)} x {len(tile)}", f"{self.tile_size} x {self.tile_size}"
            raise InputError(f"{path}: found {size} px, expected {expected} as in {self._paths[0].name}")
        return tile


def _read_tile(path: Path, bands: Sequence[str]) -> NDArray[np.uint8]:
    """Reads a square tile, uint8, H x W x C."""
    try:
        tile, alpha = _read_png(path) if path.suffix.lower() == ".png" else _read_tiff(path)
    except Exception as error:  # what a decoder raises on broken bytes is not listed anywhere
        raise InputError(f"{path}: not readable ({' '.join(str(error).split())})") from None
    if alpha and tile.shape[2] != len(bands):
        raise InputError(
            f"{path}: found an alpha channel behind {tile.shape[2] - 1} bands, expected {len(bands)} bands; "
            "remove it, or name it in --bands"
        )
    if tile.dtype != np.uint8 or tile.shape[0] != tile.shape[1] or tile.shape[2] != len(bands):
        found = f"{tile.dtype} {' x '.join(map(str, tile.shape))}"
        raise InputError(f"{path}: found {found}, expected uint8 size x size x {len(bands)}")
    return tile


def _read_png(path: Path) -> tuple[NDArray[np.uint8], bool]:
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(io.BytesIO(path.read_bytes()), formats=("PNG",)) as image:
            if image.mode not in _PNG_BANDS:
                raise ValueError(f"PNG mode {image.mode}, expected 8-bit L, RGB or RGBA")
            tile = np.asarray(image)
            return tile.reshape(image.height, image.width, _PNG_BANDS[image.mode]), image.mode == "RGBA"


def _read_tiff(path: Path) -> tuple[NDArray[np.uint8], bool]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)  # the table says where the tile lies
        with rasterio.Env(**SEALED), open_raster(path) as dataset:
            tile = np.ascontiguousarray(np.moveaxis(dataset.read(), 0, -1))
            return tile, ColorInterp.alpha in dataset.colorinterp
