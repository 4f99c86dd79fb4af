"""Where the tiles around the cells come from: scenes as delivered, or the grid of an archive."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rasterio.warp import transform
from scipy.spatial import KDTree

from model_utils.archive.reader import TileArchive
from model_utils.cities import City
from model_utils.ingest.products.catalogue import Catalogue
from model_utils.ingest.scenes.cutting import cut_scene
from model_utils.ingest.scenes.grid import TileGrid
from model_utils.ingest.scenes.rasters import footprint
from model_utils.mapping.places.grid import WGS84

ARCHIVE_TILES = 1024


@dataclass(frozen=True)
class Tiles:
    """Some tiles of one date.

    Attributes:
        date: Local.
        positions: Of their cells in the table that was asked for, n.
        tiles: uint8, n x S x S x C.
    """

    date: np.datetime64
    positions: NDArray[np.int64]
    tiles: NDArray[np.uint8]


def in_batches(parts: Iterator[Tiles], size: int) -> Iterator[Tiles]:
    """The same tiles in the same order, so many at a time; only the last ones of a date may be fewer."""
    for date, of_date in groupby(parts, lambda part: part.date):
        positions, tiles = np.empty(0, np.int64), None
        for part in of_date:
            positions = np.concatenate([positions, part.positions])
            tiles = part.tiles if tiles is None or not len(tiles) else np.concatenate([tiles, part.tiles])
            whole = len(positions) - len(positions) % size
            for start in range(0, whole, size):
                yield Tiles(date, positions[start : start + size], tiles[start : start + size])
            positions, tiles = positions[whole:], tiles[whole:]
        if tiles is not None and len(tiles):
            yield Tiles(date, positions, tiles)


class TileSource(Protocol):
    """Gives clear tiles around places."""

    @property
    def dates(self) -> pd.DatetimeIndex:
        """Local dates on which it shows anything, sorted."""

    def named(self, cells: pd.DataFrame) -> pd.DataFrame:
        """The places that it shows for these cells: with their own names and coordinates."""

    def shows(self, cells: pd.DataFrame) -> NDArray[np.bool_]:
        """Whether its images reach each cell at all, under clouds or not."""

    def clear_tiles(self, cells: pd.DataFrame, dates: pd.DatetimeIndex | None = None) -> Iterator[Tiles]:
        """Clear tiles around some cells (east_m, north_m), date after date: of all dates, or of those given."""


@dataclass(frozen=True)
class SceneTiles:
    """Cuts scenes.

    Attributes:
        catalogue: The scenes.
        grid: The lattice of the model's tiles.
        city: Its time zone decides the local date.
        min_valid_fraction: Tiles with a smaller share of data are left out.
        max_cloud_fraction: Tiles with a larger share of cloud are left out.
    """

    catalogue: Catalogue
    grid: TileGrid
    city: City
    min_valid_fraction: float
    max_cloud_fraction: float

    @cached_property
    def _days(self) -> list[pd.Timestamp]:
        times = [pd.Timestamp(scene.time_utc) for scene in self.catalogue.scenes]
        return [pd.Timestamp(time.tz_convert(self.city.zone).date()) for time in times]

    @property
    def dates(self) -> pd.DatetimeIndex:
        """Of the scenes."""
        return pd.DatetimeIndex(sorted(set(self._days)))

    def named(self, cells: pd.DataFrame) -> pd.DataFrame:
        """The cells."""
        return cells

    def shows(self, cells: pd.DataFrame) -> NDArray[np.bool_]:
        """Whether a cell lies in the rectangle around any scene."""
        latitude, longitude = cells["latitude"].to_numpy(), cells["longitude"].to_numpy()
        shown = np.zeros(len(cells), bool)
        for box in {box for scene in self.catalogue.scenes for box in footprint(scene)}:
            in_height = (box.south <= latitude) & (latitude <= box.north)
            shown |= in_height & (box.west <= longitude) & (longitude <= box.east)
        return shown

    def clear_tiles(self, cells: pd.DataFrame, dates: pd.DatetimeIndex | None = None) -> Iterator[Tiles]:
        """A scene after the other, by their local dates."""
        by_date = sorted(zip(self._days, range(len(self._days)), strict=True))
        for day, number in by_date:
            if dates is not None and day not in dates:
                continue
            scene = self.catalogue.scenes[number]
            for cut in cut_scene(scene, cells, self.grid, self.min_valid_fraction, self.max_cloud_fraction):
                if len(cut.positions):
                    yield Tiles(day.to_datetime64(), cut.positions, cut.tiles)


@dataclass(frozen=True)
class ArchiveTiles:
    """Takes the nearest site of an archive's grid, where one is near enough.

    Attributes:
        archive: Its clear tiles.
        crs: Zone of the cells.
        reach_m: A cell whose middle is farther than this from the nearest site is not shown.
    """

    archive: TileArchive
    crs: str
    reach_m: float

    @property
    def dates(self) -> pd.DatetimeIndex:
        """Of the archive."""
        return pd.DatetimeIndex(np.unique(self.archive.samples["local_date"].to_numpy("datetime64[ns]")))

    @cached_property
    def _sites(self) -> pd.DataFrame:
        return grid_sites_of(self.archive.samples, self.crs)

    def _nearest(self, cells: pd.DataFrame) -> NDArray[np.int64]:
        """Number of each cell's site; -1 where none is near."""
        tree = KDTree(self._sites[["east_m", "north_m"]].to_numpy())
        distance, site = tree.query(cells[["east_m", "north_m"]].to_numpy(), distance_upper_bound=self.reach_m)
        return np.where(np.isfinite(distance), site, -1).astype(np.int64)

    def named(self, cells: pd.DataFrame) -> pd.DataFrame:
        """The sites; a cell without one keeps its own name."""
        site = self._nearest(cells)
        shown = self._sites.iloc[site].reset_index(drop=True)
        found = cells.copy()
        for name in ("site_id", "latitude", "longitude"):
            found[name] = shown[name].where(site >= 0, cells[name].reset_index(drop=True)).to_numpy()
        return found

    def shows(self, cells: pd.DataFrame) -> NDArray[np.bool_]:
        """Whether a site is near enough."""
        return self._nearest(cells) >= 0

    def clear_tiles(self, cells: pd.DataFrame, dates: pd.DatetimeIndex | None = None) -> Iterator[Tiles]:
        """A date after the other."""
        site = self._nearest(cells)
        names = self._sites["site_id"].to_numpy(object)
        samples = self.archive.samples
        number = pd.Index(names).get_indexer(pd.Index(samples["site_id"].to_numpy(object)))
        cells_of: dict[int, list[int]] = {}
        for position, each in enumerate(site.tolist()):
            if each >= 0:
                cells_of.setdefault(each, []).append(position)
        rows = np.flatnonzero(np.isin(number, list(cells_of)))
        date_of = samples["local_date"].to_numpy("datetime64[ns]")[rows]
        for date in np.unique(date_of):
            if dates is not None and date not in dates:
                continue
            chosen = rows[date_of == date]
            for start in range(0, len(chosen), ARCHIVE_TILES):
                some = chosen[start : start + ARCHIVE_TILES]
                positions = [cells_of[each] for each in number[some].tolist()]
                repeats = [len(each) for each in positions]
                tiles = self.archive.tiles(some)
                yield Tiles(date, np.concatenate(positions).astype(np.int64), np.repeat(tiles, repeats, axis=0))


def grid_sites_of(samples: pd.DataFrame, crs: str) -> pd.DataFrame:
    """The grid's sites of an archive, a row each: site_id, latitude, longitude, east_m, north_m in a zone."""
    kind = samples["site_kind"] == "grid" if "site_kind" in samples else samples["pm25"].isna()
    sites = samples.loc[kind, ["site_id", "latitude", "longitude"]].drop_duplicates("site_id")
    sites = sites.sort_values("site_id").reset_index(drop=True)
    if not len(sites):
        return sites.assign(east_m=[], north_m=[])
    east, north = transform(WGS84, crs, sites["longitude"].to_numpy(), sites["latitude"].to_numpy())
    return sites.assign(east_m=np.asarray(east), north_m=np.asarray(north))
