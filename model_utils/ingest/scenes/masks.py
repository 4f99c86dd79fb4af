"""What the quality masks of the providers say of a pixel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model_utils.ingest.scenes.scene import MaskKind


@dataclass(frozen=True)
class MaskLayout:
    """How one kind of mask is laid out.

    Attributes:
        count: Bands that its file has.
        bands: Those that are read, by number from 1.
    """

    count: int
    bands: tuple[int, ...]


MASKS: dict[MaskKind, MaskLayout] = {
    "udm2": MaskLayout(8, (6, 8)),  # cloud, unusable
    "udm": MaskLayout(1, (1,)),
    "scl": MaskLayout(1, (1,)),
    "classi": MaskLayout(3, (1, 2)),  # opaque, cirrus
}
_BLACKFILL, _UDM_CLOUD = 1, 2  # bits 0 and 1
_SCL_CLOUDS = (8, 9, 10)  # medium and high probability, thin cirrus


def mask_flags(kind: MaskKind, codes: NDArray[np.number]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which pixels hold no data, and which are cloud.

    Haze, heavy haze included, is neither: it is what the method looks at. The bits of udm2's last band but the first
    (black fill) are doubts about single bands and no reason to leave a pixel out.

    Args:
        kind: The kind of mask.
        codes: The bands that `MASKS` names, k x H x W.

    Returns:
        Empty and cloudy, H x W each. Source: Planet, "UDM 2" and "Planet imagery product specification"; ESA,
        "Sentinel-2 products specification document" (SCL 0 no data, 8 and 9 cloud, 10 thin cirrus).
    """
    if kind == "udm2":
        empty, cloudy = codes[1].astype(int) & _BLACKFILL, codes[0] == 1
    elif kind == "udm":
        empty, cloudy = codes[0].astype(int) & _BLACKFILL, codes[0].astype(int) & _UDM_CLOUD
    elif kind == "scl":
        empty, cloudy = codes[0] == 0, np.isin(codes[0], _SCL_CLOUDS)
    else:
        empty, cloudy = np.zeros(codes.shape[1:]), (codes > 0).any(axis=0)
    return np.asarray(empty, bool), np.asarray(cloudy, bool)
