"""Opens a tile archive: memory-mapped, validated without reading it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from model_utils.archive.commit import finish_commit
from model_utils.archive.format import COLUMNS, IMAGES, METADATA, SAMPLES, ArchiveMetadata
from model_utils.archive.npy import read_npy_header
from model_utils.archive.verification import verify
from model_utils.errors import InputError

_OTHER_TEXTS = (pa.large_string(), pa.string_view())  # what current pandas writes of texts


@dataclass(frozen=True)
class TileArchive:
    """Tiles and their rows, or a selection of them.

    A selection shares the memory map: it holds row numbers, never images. Archives pickle by path, so that
    data loader workers open the map themselves.

    Attributes:
        folder: Where the archive lies.
        metadata: What `archive.json` says.
        rows: Rows of the files that this object shows, in its order.
    """

    folder: Path
    metadata: ArchiveMetadata
    rows: NDArray[np.int64] = field(repr=False)

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def _images(self) -> NDArray[np.uint8]:
        images: NDArray[np.uint8] = np.load(self.folder / IMAGES, mmap_mode="r", allow_pickle=False)
        return images

    @cached_property
    def samples(self) -> pd.DataFrame:
        """The rows of the sample table, numbered 0..len-1 in the order of `rows`."""
        try:
            table = pd.read_parquet(self.folder / SAMPLES)
        except (OSError, UnicodeError, pa.ArrowException) as error:
            raise InputError(f"{self.folder / SAMPLES}: broken ({' '.join(str(error).split())})") from None
        table["local_date"] = pd.to_datetime(table["local_date"])
        return table.iloc[self.rows].reset_index(drop=True)

    def tiles(self, indices: NDArray[np.integer] | slice = slice(None)) -> NDArray[np.uint8]:
        """Reads tiles into memory.

        Args:
            indices: Positions in this selection.

        Returns:
            uint8, n x H x W x C, a copy.
        """
        return np.ascontiguousarray(self._images[self.rows[indices]])

    def subset(self, indices: NDArray[np.integer] | NDArray[np.bool_]) -> TileArchive:
        """A selection by positions or by a boolean mask; no image is read."""
        if np.asarray(indices).dtype == bool and len(indices) != len(self):
            raise ValueError(f"mask has {len(indices)} entries for {len(self)} rows")
        selection = TileArchive(self.folder, self.metadata, self.rows[indices])
        if "samples" in self.__dict__:  # read already
            selection.__dict__["samples"] = self.samples.iloc[_positions(indices)].reset_index(drop=True)
        return selection

    def __getstate__(self) -> dict[str, object]:
        return {"folder": self.folder, "metadata": self.metadata, "rows": self.rows}


def _positions(indices: NDArray[np.integer] | NDArray[np.bool_]) -> NDArray[np.integer]:
    return np.flatnonzero(indices) if np.asarray(indices).dtype == bool else np.asarray(indices)


def open_archive(folder: Path) -> TileArchive:
    """Opens and validates an archive in O(1) memory; its content is read only where a file was touched.

    Raises:
        InputError: Naming the file, what was found and what was expected.
    """
    metadata = validated_metadata(folder)
    verify(folder, metadata.content_sha256)
    return TileArchive(folder, metadata, np.arange(metadata.samples))


def validated_metadata(folder: Path) -> ArchiveMetadata:
    """What `archive.json` says, if the other files have the shape that it says.

    Raises:
        InputError: Naming the file, what was found and what was expected.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder, expected a tile archive (pm25 simulate or pm25 prepare makes one)")
    finish_commit(folder)
    metadata = ArchiveMetadata.read(folder / METADATA)
    _check_images(folder / IMAGES, metadata)
    _check_samples(folder / SAMPLES, metadata)
    return metadata


def _check_images(path: Path, metadata: ArchiveMetadata) -> None:
    if not path.is_file():
        raise InputError(f"{path}: not found")
    expected = (metadata.samples, metadata.tile_size, metadata.tile_size, len(metadata.bands))
    try:
        with path.open("rb") as file:
            shape, fortran, dtype = read_npy_header(file)
            start = file.tell()
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not an NPY file ({' '.join(str(error).split())})") from None
    if dtype != np.uint8 or fortran:
        order = "Fortran" if fortran else "C"
        raise InputError(f"{path}: found {dtype} in {order} order, expected uint8 in C order")
    if shape != expected:
        raise InputError(f"{path}: found shape {shape}, archive.json expects {expected}")
    size, whole = path.stat().st_size, start + int(np.prod(expected, dtype=np.int64))
    if size != whole:
        word = "truncated" if size < whole else "too long"
        raise InputError(f"{path}: {word}, found {size} bytes, expected {whole}")


def _check_samples(path: Path, metadata: ArchiveMetadata) -> None:
    if not path.is_file():
        raise InputError(f"{path}: not found")
    try:
        with pq.ParquetFile(path) as file:
            rows, schema = file.metadata.num_rows, file.schema_arrow
    except (OSError, UnicodeError, pa.ArrowException) as error:
        raise InputError(f"{path}: not a Parquet file ({' '.join(str(error).split())})") from None
    if rows != metadata.samples:
        raise InputError(f"{path}: found {rows} rows, archive.json expects {metadata.samples}")
    for name, kind in COLUMNS.items():
        if name not in schema.names:
            raise InputError(f"{path}: column {name!r} is missing")
        found = schema.field(name).type
        if found != kind and not (pa.types.is_string(kind) and found in _OTHER_TEXTS):
            raise InputError(f"{path}: column {name!r} holds {found}, expected {kind}")
