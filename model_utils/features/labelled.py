"""Which tiles a method learns from and predicts."""

from __future__ import annotations

from model_utils.archive.reader import TileArchive
from model_utils.errors import InputError
from model_utils.sampling.clouds import clear_tiles


def clear_labelled(archive: TileArchive, max_cloud_fraction: float) -> TileArchive:
    """The tiles that have a reading and show the ground.

    Raises:
        InputError: There is none.
    """
    read = archive.samples["pm25"].notna().to_numpy()
    labelled = archive.subset(read & clear_tiles(archive.samples, max_cloud_fraction))
    if not len(labelled):
        raise InputError(f"{archive.folder}: found no clear tile with a reading, so there is nothing to learn from")
    return labelled
