"""Layers as text that a browser unpacks into typed arrays without a library."""

from __future__ import annotations

import base64
import zlib
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

NO_NUMBER = 65535
MOST = 65534
NO_FLAG = 255
PART = 1_000_000
"""Numbers that are rounded together."""


class Packed(TypedDict):
    """A layer in the page.

    Attributes:
        bits: 16 for numbers, 8 for flags.
        step: A number is step x (offset + code).
        offset: Lets codes start at the least number, in steps.
        data: Base64 of the deflated codes, row by row from the north.
    """

    bits: int
    step: float
    offset: int
    data: str


def pack_numbers(values: NDArray[np.generic], step: float) -> Packed:
    """Rounds numbers to whole steps, halves to even.

    Codes are written as differences to the code before, low bytes first and then high bytes: neighbours are alike, so
    this deflates best.

    Args:
        values: NaN stands for no value.
        step: 0.1 or 1: its inverse is whole, so that the rounding is that of the exact decimal number.

    Returns:
        Codes of 16 bits; 65535 for no value, 65534 for that number of steps above the least, or more.
    """
    numbers = np.asarray(values).ravel()
    parts = [slice(start, start + PART) for start in range(0, numbers.size, PART)]

    def steps(part: slice) -> NDArray[np.float64]:
        known = np.where(np.isfinite(numbers[part]), numbers[part], np.nan).astype(np.float64)
        return np.asarray(np.rint(known * round(1 / step)))

    offset = int(min((np.fmin.reduce(steps(part), initial=0.0) for part in parts), default=0.0))
    codes = np.empty(numbers.size, np.uint16)
    for part in parts:
        above = steps(part) - offset
        codes[part] = np.where(np.isfinite(above), above.clip(max=MOST), NO_NUMBER)
    differences = np.diff(codes, prepend=np.uint16(0))  # modulo 2^16
    planes = np.concatenate([differences & 255, differences >> 8]).astype(np.uint8)
    return {"bits": 16, "step": step, "offset": offset, "data": _deflate(planes)}


def pack_flags(values: NDArray[np.generic]) -> Packed:
    """Packs small whole numbers as bytes; 255 for no value, which is NaN or less than zero."""
    numbers = np.asarray(values).ravel()
    codes = np.where(numbers >= 0, numbers, NO_FLAG).astype(np.uint8)
    return {"bits": 8, "step": 1, "offset": 0, "data": _deflate(codes)}


def _deflate(codes: NDArray[np.uint8]) -> str:
    # Level 9 takes twenty times as long for one per cent fewer bytes.
    return base64.b64encode(zlib.compress(codes.tobytes(), 6)).decode("ascii")
