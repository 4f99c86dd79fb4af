"""Numbers of a sensor to bytes, by one rule for every scene of an archive."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model_utils.ingest.scenes.scene import Band


def to_bytes(numbers: NDArray[np.number], band: Band, full_scale: float) -> NDArray[np.uint8]:
    """round(255 x (gain x number + offset) / full_scale), clipped to 0..255; NaN becomes 0.

    Args:
        numbers: What the file holds, any shape.
        band: Its gain and offset.
        full_scale: The physical value that becomes 255.

    Returns:
        The same shape; bytes with gain 1, offset 0 and full scale 255 are handed back as they are.
    """
    if numbers.dtype == np.uint8 and (band.gain, band.offset, full_scale) == (1, 0, 255):
        return numbers  # type: ignore[return-value]
    with np.errstate(over="ignore", invalid="ignore"):
        values = 255 * (band.gain * numbers.astype(np.float64) + band.offset) / full_scale
        scaled: NDArray[np.uint8] = np.nan_to_num(np.rint(values).clip(0, 255), copy=False).astype(np.uint8)
    return scaled
