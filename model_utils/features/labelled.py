"""Which tiles a model sees, and which of them it learns from and predicts."""

from __future__ import annotations

from model_utils.archive.reader import TileArchive
from model_utils.errors import InputError
from model_utils.sampling.clouds import clear_tiles


def clear_archive(archive: TileArchive, max_cloud_fraction: float) -> TileArchive:
    """The tiles that show the ground, with a reading or without."""
    return archive.subset(clear_tiles(archive.samples, max_cloud_fraction))


def with_reading(clear: TileArchive) -> TileArchive:
    """Those of them that have a reading.

    Raises:
        InputError: There is none.
    """
    labelled = clear.subset(clear.samples["pm25"].notna().to_numpy())
    if not len(labelled):
        raise InputError(f"{clear.folder}: found no clear tile with a reading, so there is nothing to learn from")
    return labelled
