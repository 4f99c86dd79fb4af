"""Writes a tile archive: streamed, and visible only when it is whole."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from model_utils.archive.commit import commit, discard, finish_commit_locked, temporary
from model_utils.archive.format import IMAGES, METADATA, SAMPLES, ArchiveMetadata, to_table
from model_utils.archive.verification import note_verified
from model_utils.atomic import refusals_named
from model_utils.errors import InputError
from model_utils.locking import locked


class ArchiveWriter:
    """Appends tiles and their rows, then commits all three files of an archive.

    Files are written under temporary names, and those that belong to the archive and are not part of it may be
    (`beside`). Committing puts all of them in place, so that a writer killed at any moment leaves the old archive or
    the new one (`archive.commit`). Other files in the folder are not touched.
    Use it as a context manager; leaving with an exception, or without `commit`, discards what was written.

    Example:
        >>> with ArchiveWriter(folder, tile_size=64, bands=("red", "green", "blue")) as writer:
        ...     writer.append(tiles, rows)
        ...     writer.commit(city="Delhi", ground_sample_distance_m=3.0)
    """

    def __init__(self, folder: Path, tile_size: int, bands: Sequence[str], overwrite: bool = False) -> None:
        """Opens the temporary files and takes the folder's lock.

        Raises:
            InputError: An archive is there and `overwrite` is False.
            InUseError: Another process writes one.
        """
        self._folder = folder
        self._tile_shape = (tile_size, tile_size, len(bands))
        self._bands = tuple(bands)
        self._tables: list[pa.Table] = []
        self._count = 0
        self._hash = hashlib.sha256()
        with ExitStack() as until_the_end:
            until_the_end.enter_context(locked(folder))
            finish_commit_locked(folder)
            if (folder / METADATA).exists() and not overwrite:  # looked at under the lock
                raise InputError(f"{folder / METADATA}: an archive is already there, --overwrite replaces it")
            if not folder.exists():
                folder.mkdir(parents=True)
                until_the_end.callback(_remove_if_empty, folder)
            discard(folder)  # of a killed writer: we hold the lock, so nobody writes it
            with self.beside(IMAGES) as images:
                self._images: IO[bytes] = images.open("wb")
            self._header_length = self._write_header()
            self._until_the_end = until_the_end.pop_all()

    def __enter__(self) -> ArchiveWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):  # of a full disk, which has been told
            self._images.close()
        discard(self._folder)
        self._until_the_end.close()

    def append(self, tiles: NDArray[np.uint8], samples: pd.DataFrame) -> None:
        """Appends n tiles and their n rows.

        Args:
            tiles: uint8, n x H x W x C.
            samples: n rows with at least the columns that identify a sample (see `format.to_table`).

        Raises:
            InputError: Shapes, types or counts do not fit.
        """
        if tiles.dtype != np.uint8 or tiles.shape[1:] != self._tile_shape:
            expected = "x".join(map(str, self._tile_shape))
            found = f"{tiles.dtype} {'x'.join(map(str, tiles.shape[1:]))}"
            raise InputError(f"tiles: found {found}, expected uint8 {expected}")
        if len(tiles) != len(samples):
            raise InputError(f"tiles: {len(tiles)} tiles came with {len(samples)} rows")
        table = to_table(samples)
        if self._tables and table.schema != self._tables[0].schema:
            raise InputError("samples: the columns differ from those appended before")
        block = np.ascontiguousarray(tiles).data
        with self.beside(IMAGES):
            self._images.write(block)
        self._hash.update(block)
        self._tables.append(table)
        self._count += len(tiles)

    @contextmanager
    def beside(self, name: str) -> Iterator[Path]:
        """Gives where to write a file that is put in place with the archive.

        Raises:
            InputError: The disk is full.
        """
        path = temporary(self._folder, name)
        with refusals_named(self._folder / name, path):
            yield path

    def commit(
        self,
        city: str,
        ground_sample_distance_m: float,
        created_by: Mapping[str, Any] | None = None,
        sources: Sequence[Mapping[str, str]] = (),
        simulated: str = "no",
        licence: str = "",
        attribution: str = "",
    ) -> ArchiveMetadata:
        """Makes the archive visible.

        Raises:
            InputError: Nothing was appended, or a sample_id came twice.
        """
        if not self._count:
            raise InputError(f"{self._folder}: no tiles to write")
        table = pa.concat_tables(self._tables)
        identifiers = table.column("sample_id").to_pandas()
        if identifiers.duplicated().any():
            repeated = identifiers[identifiers.duplicated()].iloc[0]
            raise InputError(f"samples: sample_id {repeated!r} came twice")
        with self.beside(IMAGES):
            self._write_header()
            self._images.close()
        with self.beside(SAMPLES) as samples:
            pq.write_table(table, samples)
        self._hash.update(samples.read_bytes())
        metadata = ArchiveMetadata(
            city=city,
            bands=self._bands,
            ground_sample_distance_m=ground_sample_distance_m,
            tile_size=self._tile_shape[0],
            samples=self._count,
            content_sha256=self._hash.hexdigest(),
            created_by=dict(created_by or {}),
            sources=[dict(source) for source in sources],
            simulated=simulated,
            licence=licence,
            attribution=attribution,
        )
        with self.beside(METADATA) as described:
            described.write_text(metadata.to_json(), encoding="utf-8")
            commit(self._folder)
        note_verified(self._folder, metadata.content_sha256)
        return metadata

    def _write_header(self) -> int:
        """Writes the NPY header for the tiles appended so far; numpy pads it so that its length stays."""
        self._images.seek(0)
        header = {"descr": "|u1", "fortran_order": False, "shape": (self._count, *self._tile_shape)}
        np.lib.format.write_array_header_1_0(self._images, header)
        length = self._images.tell()
        if self._count and length != self._header_length:
            raise RuntimeError(f"NPY header grew from {self._header_length} to {length} bytes")
        return length


def _remove_if_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()
