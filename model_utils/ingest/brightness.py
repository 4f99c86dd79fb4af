"""Whether an archive's bytes use their range, or lie nearly all at its ends."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

_STEP = 4
"""Every fourth row and column of a tile is looked at: a sixteenth of the values tells their spread."""

_NEARLY_ALL = 0.95
_ALL = 0.99
_FEW_LEVELS = 8


class Brightness:
    """Counts the bytes of tiles while they are written."""

    def __init__(self) -> None:
        self._counts: dict[str, NDArray[np.int64]] = defaultdict(lambda: np.zeros(256, dtype=np.int64))

    def count(self, tiles: NDArray[np.uint8], scene: str = "") -> None:
        """Adds tiles, n x H x W x C, of a scene."""
        self._counts[scene] += np.bincount(tiles[:, ::_STEP, ::_STEP].reshape(-1), minlength=256)

    def ends(self) -> str:
        """Which shares of all values are 0 and 255, in words; '' unless that is all of them."""
        shares = self._shares()
        return _words(shares) if shares[0] + shares[255] >= _ALL else ""

    def scenes_at_the_ends(self) -> list[str]:
        """The scenes all of whose values are 0 or 255, or as good as 0."""
        shares = {scene: counts / max(int(counts.sum()), 1) for scene, counts in self._counts.items()}
        return [name for name, share in shares.items() if max(share[0] + share[255], share[0] + share[1]) >= _ALL]

    def lines(self, remedy: str) -> list[str]:
        """A warning where nearly all values are 0 or 255, or where they share a few levels; else nothing.

        Args:
            remedy: What to do, in words.
        """
        shares = self._shares()
        if shares[0] + shares[255] >= _NEARLY_ALL:
            return [f"warning: {_words(shares)}: {remedy}"]
        held = np.cumsum(shares)
        low, high = (int(np.searchsorted(held, part)) for part in (1 - _NEARLY_ALL, _NEARLY_ALL))
        if shares.any() and high - low < _FEW_LEVELS:
            return [f"warning: of 0 to 255 nearly all values lie between {low} and {high}: {remedy}"]
        return []

    def _shares(self) -> NDArray[np.float64]:
        total = sum(self._counts.values(), np.zeros(256, dtype=np.int64))
        return np.asarray(total / max(int(total.sum()), 1))


def _words(shares: NDArray[np.float64]) -> str:
    return f"{shares[0]:.0%} of all values are 0 and {shares[255]:.0%} are 255"
