"""Scenes that are one scene: the same bytes, or the same pixels, under several names or dates."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from model_utils.ingest.scenes.scene import Scene


def without_byte_copies(
    scenes: Sequence[Scene], contents: Mapping[str, str]
) -> tuple[list[Scene], list[tuple[Scene, Scene]]]:
    """Takes scenes whose images are the same bytes once.

    Args:
        scenes: In the order in which one is preferred over the next.
        contents: By file of a band (as text), the SHA-256 of its bytes.

    Returns:
        The scenes that are left, and each copy with the scene it copies.
    """
    first: dict[tuple[tuple[str, int], ...], Scene] = {}
    copies = []
    for scene in scenes:
        original = first.setdefault(tuple((contents[str(band.file)], band.index) for band in scene.bands), scene)
        if original is not scene:
            copies.append((scene, original))
    return list(first.values()), copies


def pixel_digest(hashes: NDArray[np.uint64]) -> str | None:
    """What two scenes with the same tiles at the same sites share; None where the tiles are plain and prove nothing."""
    return hashlib.sha256(hashes.tobytes()).hexdigest() if hashes.any() else None


def repeated_tiles(hashes: Sequence[NDArray[np.uint64]]) -> int:
    """How many tiles show the same pixels as an earlier tile of the same site."""
    found = np.concatenate([*hashes, np.zeros(0, np.uint64)])
    found = found[found != 0]
    return len(found) - len(np.unique(found))
