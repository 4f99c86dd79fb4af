"""The ground that tiles show, and whether two sets of tiles show some of the same."""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model_utils.archive.format import ArchiveMetadata
from model_utils.geography import EARTH_RADIUS_KM

METRES_PER_DEGREE = 1000 * float(np.radians(EARTH_RADIUS_KM))
SLIVER_M = 0.25
"""Tiles that share less than this width share nothing: places are kept to a tenth of a metre, pixels are metres."""
_UNIT = 1e-6  # degrees, a tenth of a metre

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class TileGround:
    """Square tiles of one size, with sides to the east and north.

    Attributes:
        latitude: Of the tiles' middles, WGS84 degrees, n; ascending.
        longitude: WGS84 degrees, n.
        side_m: Side of a tile, metres.
    """

    latitude: Floats
    longitude: Floats
    side_m: float

    def shown_in(self, latitude: Floats, longitude: Floats, side_m: float) -> NDArray[np.bool_]:
        """Whether each of m other tiles shows ground that one of these shows, m.

        Args:
            latitude: Of their middles, WGS84 degrees, m.
            longitude: WGS84 degrees, m.
            side_m: Their side, metres.
        """
        places, place = np.unique(np.stack([latitude, longitude], axis=1), axis=0, return_inverse=True)
        north = ((self.side_m + side_m) / 2 - SLIVER_M) / METRES_PER_DEGREE
        firsts = np.searchsorted(self.latitude, places[:, 0] - north, side="right")
        ends = np.searchsorted(self.latitude, places[:, 0] + north, side="left")
        shown = np.zeros(len(places), bool)
        for number, (first, end) in enumerate(zip(firsts.tolist(), ends.tolist(), strict=True)):
            east = np.abs((self.longitude[first:end] - places[number, 1] + 180) % 360 - 180)
            shown[number] = (east * np.cos(np.radians(places[number, 0])) < north).any()
        return shown[place]

    def as_text(self) -> str:
        """To be kept beside weights; places to a millionth of a degree, compressed."""
        places = np.rint(np.stack([self.latitude, self.longitude]) / _UNIT)
        steps = np.diff(places, axis=1, prepend=0).astype("<i4")
        packed = base64.b64encode(zlib.compress(steps.tobytes(), 9)).decode("ascii")
        return json.dumps({"side_m": self.side_m, "places": packed})

    @classmethod
    def from_text(cls, text: str) -> TileGround:
        """Reads what `as_text` wrote.

        Raises:
            ValueError: It is something else.
        """
        try:
            said = json.loads(text)
            side, packed = float(said["side_m"]), base64.b64decode(said["places"], validate=True)
            unpacked = zlib.decompressobj().decompress(packed, 1 << 28)  # so that a small file cannot fill the memory
            places = np.cumsum(np.frombuffer(unpacked, "<i4").reshape(2, -1), axis=1, dtype=np.int64)
        except (KeyError, TypeError, ValueError, binascii.Error, zlib.error) as error:
            raise ValueError(f"not the places of tiles ({error})") from None
        latitude, longitude = _UNIT * places
        inside = (np.abs(latitude) <= 90).all() and (np.abs(longitude) <= 360).all()
        if not (side > 0 and np.isfinite(side) and inside and (np.diff(latitude) >= 0).all()):
            raise ValueError("not the places of tiles (impossible numbers)")
        return cls(latitude, longitude, side)


def tile_side_m(metadata: ArchiveMetadata) -> float:
    """Side of an archive's tiles, metres."""
    return metadata.tile_size * metadata.ground_sample_distance_m


def tile_ground(samples: pd.DataFrame, side_m: float) -> TileGround:
    """The ground that the tiles of some rows show.

    Args:
        samples: latitude, longitude (WGS84 degrees).
        side_m: Side of a tile, metres.
    """
    places = np.unique(samples[["latitude", "longitude"]].to_numpy(np.float64), axis=0)
    return TileGround(places[:, 0], places[:, 1], side_m)


NO_GROUND = TileGround(np.empty(0), np.empty(0), 1.0)
"""Of an encoder that no tile of a city has trained."""
