"""What the quality masks of the providers say of a pixel."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Codes:
    """Numbers of a mask that mean one thing.

    Attributes:
        band: The mask's band, from 1.
        values: Any of these, or
        bits: any of these bits set, counted from 0.
    """

    band: int = 1
    values: tuple[int, ...] = ()
    bits: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.band < 1 or bool(self.values) == bool(self.bits):
            raise ValueError("codes of a mask: expected a band from 1, and values or bits")
        if not all(0 <= bit < 32 for bit in self.bits):
            raise ValueError(f"bits of a mask: found {list(self.bits)}, expected 0 to 31")

    def among(self, numbers: NDArray[np.number]) -> NDArray[np.bool_]:
        """Which numbers of the band are of them."""
        if self.values:
            return np.isin(numbers, self.values)
        mask = reduce(lambda bits, bit: bits | 1 << bit, self.bits, 0)
        whole = np.nan_to_num(numbers).astype(np.int64) if numbers.dtype.kind == "f" else numbers
        found: NDArray[np.bool_] = (whole.astype(np.int64) & mask) != 0
        return found


@dataclass(frozen=True)
class MaskLayout:
    """How one kind of mask is laid out.

    Haze, heavy haze included, is neither empty nor cloud: it is what the method looks at.

    Attributes:
        name: What notes call it.
        empty: Pixels that hold no data.
        cloud: Pixels under cloud.
        count: Bands that its file has.
        dtype: Type of their numbers.
    """

    name: str
    empty: tuple[Codes, ...] = ()
    cloud: tuple[Codes, ...] = ()
    count: int = 1
    dtype: str = "uint8"

    def __post_init__(self) -> None:
        if not self.cloud and not self.empty:
            raise ValueError("a mask: expected cloud or empty")
        if max(self.bands) > self.count:
            raise ValueError(f"a mask: found codes of band {max(self.bands)}, expected bands up to its count")

    @property
    def bands(self) -> tuple[int, ...]:
        """Those that are read, by number from 1."""
        return tuple(sorted({codes.band for codes in (*self.empty, *self.cloud)}))


_ANY = tuple(range(8))

MASKS = {
    layout.name: layout
    for layout in (
        # Planet, "UDM 2": band 6 is cloud; of the last band's bits all but the first (black fill) are doubts about
        # single bands and no reason to leave a pixel out
        MaskLayout("udm2", (Codes(8, bits=(0,)),), (Codes(6, values=(1,)),), count=8),
        # Planet, "Planet imagery product specification": black fill, cloud
        MaskLayout("udm", (Codes(bits=(0,)),), (Codes(bits=(1,)),)),
        # ESA, "Sentinel-2 products specification document": no data; cloud of medium and high probability, thin cirrus
        MaskLayout("scl", (Codes(values=(0,)),), (Codes(values=(8, 9, 10)),)),
        # ESA, the same, level 1C: opaque cloud, cirrus
        MaskLayout("classi", cloud=(Codes(1, bits=_ANY), Codes(2, bits=_ANY)), count=3),
        # USGS, "Landsat 8-9 Collection 2 level 2 science product guide": fill; dilated cloud, cirrus, cloud
        MaskLayout("qa_pixel", (Codes(bits=(0,)),), (Codes(bits=(1, 2, 3)),), dtype="uint16"),
        # NASA, "HLS product user guide" 2.0: fill; cloud (bit 0 is not used)
        MaskLayout("fmask", (Codes(values=(255,)),), (Codes(bits=(1,)),)),
    )
}


def mask_flags(layout: MaskLayout, codes: NDArray[np.number]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which pixels hold no data, and which are cloud.

    Args:
        layout: Of the mask.
        codes: Its bands `layout.bands`, k x H x W.

    Returns:
        Empty and cloudy, H x W each.
    """
    nowhere = np.zeros(codes.shape[1:], bool)
    by_band = dict(zip(layout.bands, codes, strict=True))
    empty, cloudy = (
        reduce(np.logical_or, (some.among(by_band[some.band]) for some in each), nowhere)
        for each in (layout.empty, layout.cloud)
    )
    return empty, cloudy
