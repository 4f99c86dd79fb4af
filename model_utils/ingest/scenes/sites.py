"""The places that tiles are cut at: stations, and the cells of a grid."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rasterio.warp import transform, transform_bounds

from model_utils.cities import BoundingBox
from model_utils.errors import InputError
from model_utils.ingest.scenes.grid import TileGrid

STATION, GRID = "station", "grid"
_WGS84 = "EPSG:4326"
MOST_CELLS = 4_000_000


def station_sites(grid: TileGrid, stations: pd.DataFrame) -> pd.DataFrame:
    """The places of stations.

    Args:
        grid: The archive's lattice.
        stations: A row a station: `station`, `station_name`, `latitude`, `longitude` (WGS84 degrees).

    Returns:
        A row a station in the same order: `site_id`, `site_name`, `site_kind` ('station'), `latitude`, `longitude`,
        `east_m`, `north_m` (in the lattice's zone).

    Raises:
        InputError: A station has no coordinates.
    """
    unknown = stations[["latitude", "longitude"]].isna().any(axis=1).to_numpy()
    if unknown.any():
        name = stations["station"].iloc[int(unknown.argmax())]
        raise InputError(f"station {name}: its coordinates are not known, expected them in a table given by --stations")
    east, north = transform(_WGS84, grid.crs, stations["longitude"].to_numpy(), stations["latitude"].to_numpy())
    return pd.DataFrame(
        {
            "site_id": stations["station"].astype(str),
            "site_name": stations["station_name"].astype(str),
            "site_kind": STATION,
            "latitude": stations["latitude"].astype(float),
            "longitude": stations["longitude"].astype(float),
            "east_m": np.asarray(east),
            "north_m": np.asarray(north),
        }
    ).reset_index(drop=True)


def nearly_one_place(stations: pd.DataFrame, metres: float) -> list[str]:
    """A line for each two stations whose tiles nearly coincide: one image with two labels.

    Args:
        stations: As `station_sites` gives them.
        metres: They are no farther apart than this, on both axes.
    """
    from scipy.spatial import KDTree  # half a second to import, which no refusal waits for

    names = stations["site_id"].tolist()
    pairs = KDTree(stations[["east_m", "north_m"]].to_numpy()).query_pairs(metres, p=np.inf) if names else set()
    return [f"warning: stations {names[a]} and {names[b]} lie within half a tile" for a, b in sorted(pairs)]


def grid_sites(grid: TileGrid, boxes: Sequence[BoundingBox], spacing_metres: float) -> pd.DataFrame:
    """The cells of a square grid whose centres lie in some area.

    The centre of a cell is at (k + 0.5) times the spacing in the lattice's zone, on both axes; its name says which
    cell of which grid it is. So a place has one name, whatever the area that was asked for.

    Args:
        grid: The archive's lattice.
        boxes: The area is their union: the city's bounding box, or the footprints of the scenes.
        spacing_metres: Distance between centres.

    Returns:
        A row a cell as `station_sites` gives them, from north to south and from west to east; `site_kind` is 'grid'.

    Raises:
        InputError: There would be more than some million cells.
    """
    found = np.concatenate([np.empty((0, 2), np.int64), *(_inside(grid, box, spacing_metres) for box in boxes)])
    southwards, columns = np.unique(np.column_stack([-found[:, 1], found[:, 0]]), axis=0).T
    longitude, latitude = _degrees(grid, columns, -southwards, spacing_metres)
    names = cell_names(grid.zone, columns, -southwards, spacing_metres)
    return pd.DataFrame(
        {
            "site_id": pd.Series(names, dtype="str"),
            "site_name": pd.Series(names, dtype="str"),
            "site_kind": GRID,
            "latitude": latitude,
            "longitude": longitude,
            "east_m": (columns + 0.5) * spacing_metres,
            "north_m": (0.5 - southwards) * spacing_metres,
        }
    )


def cell_names(zone: str, columns: NDArray[np.integer], rows: NDArray[np.integer], spacing_metres: float) -> list[str]:
    """What cells are called: zone, number east and north of its origin, and spacing; a map's cells as well."""
    pairs = zip(columns.tolist(), rows.tolist(), strict=True)
    return [f"grid_{zone}_{column}_{row}_{spacing_metres:g}" for column, row in pairs]


def _inside(grid: TileGrid, box: BoundingBox, spacing: float) -> NDArray[np.int64]:
    """Column and row (northwards) of the cells in a box, n x 2."""
    west, south, east, north = transform_bounds(
        _WGS84, grid.crs, box.west, box.south, box.east, box.north, densify_pts=99
    )
    edges = np.array([[west, east], [south, north]]) / spacing
    if not np.isfinite(edges).all() or np.prod(np.diff(edges)) > MOST_CELLS:
        raise InputError(
            f"--grid-metres: found {spacing:g}, more than {MOST_CELLS} cells between {box.south:g}, {box.west:g} and "
            f"{box.north:g}, {box.east:g} degrees, expected a wider grid or a smaller area"
        )
    first, last = np.floor(edges[:, 0]).astype(int) - 1, np.ceil(edges[:, 1]).astype(int) + 1
    rows, columns = (index.ravel() for index in np.mgrid[first[1] : last[1], first[0] : last[0]])
    longitude, latitude = _degrees(grid, columns, rows, spacing)
    inside = (box.west <= longitude) & (longitude <= box.east) & (box.south <= latitude) & (latitude <= box.north)
    return np.column_stack([columns[inside], rows[inside]])


def _degrees(
    grid: TileGrid, columns: NDArray[np.integer], rows: NDArray[np.integer], spacing: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Longitude and latitude of cells' centres."""
    longitude, latitude = transform(grid.crs, _WGS84, (columns + 0.5) * spacing, (rows + 0.5) * spacing)
    return np.asarray(longitude), np.asarray(latitude)
