"""Whether an archive's bytes use their range, or lie nearly all at its ends."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_STEP = 4
"""Every fourth row and column of a tile is looked at: a sixteenth of the values tells their spread."""

_NEARLY_ALL = 0.95
_FEW_LEVELS = 8


class Brightness:
    """Counts the bytes of tiles while they are written."""

    def __init__(self) -> None:
        self._counts = np.zeros(256, dtype=np.int64)

    def count(self, tiles: NDArray[np.uint8]) -> None:
        """Adds tiles, n x H x W x C."""
        self._counts += np.bincount(tiles[:, ::_STEP, ::_STEP].reshape(-1), minlength=256)

    def lines(self, remedy: str) -> list[str]:
        """A warning where nearly all values are 0 or 255, or where they share a few levels; else nothing.

        Args:
            remedy: What to do, in words.
        """
        shares = self._counts / max(int(self._counts.sum()), 1)
        ends = shares[0] + shares[255]
        if ends >= _NEARLY_ALL:
            return [f"warning: {shares[0]:.0%} of all values are 0 and {shares[255]:.0%} are 255: {remedy}"]
        held = np.cumsum(shares)
        low, high = (int(np.searchsorted(held, part)) for part in (1 - _NEARLY_ALL, _NEARLY_ALL))
        if shares.any() and high - low < _FEW_LEVELS:
            return [f"warning: of 0 to 255 nearly all values lie between {low} and {high}: {remedy}"]
        return []
