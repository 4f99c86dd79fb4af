"""Whether an archive's sites are places: splits go by site, so one monitor under many names reads itself."""

from __future__ import annotations

import numpy as np
import pandas as pd

MOST_KM = 2.0
"""Tiles of one place lie closer than this; a station that was moved along its street does."""

_MORE_THAN_CHANCE = 2.0
_LEAST_SHARE = 0.1
_LEAST_ROWS, _LEAST_DAYS = 10, 5
_DECIMALS = 4


def site_doubts(samples: pd.DataFrame) -> list[str]:
    """Says where many sites share readings to the last digit, and where one site is many places.

    Args:
        samples: Rows with site_id, local_date, latitude, longitude (WGS84 degrees), and pm25 (ug/m3) where known.

    Returns:
        A line for each doubt, with what to do; none where there is none.
    """
    shared = _shared_readings(samples) if "pm25" in samples else None
    return [line for line in (shared, _far_apart(samples)) if line]


def _shared_readings(samples: pd.DataFrame) -> str | None:
    """Sites that agree on all their days, or that agree on a day more often than chance has it.

    Coarse readings agree by chance, about half as many pairs as are one step apart; copies agree more often, which
    tells them even where each site has a single day. The lowest and highest value are a sensor's limits: left out.
    """
    rows = samples.loc[samples["pm25"].notna(), ["site_id", "local_date", "pm25"]]
    rows = rows.assign(pm25=rows["pm25"].astype(float).round(_DECIMALS), site_id=rows["site_id"].astype(object))
    rows = rows[(rows["pm25"] > rows["pm25"].min()) & (rows["pm25"] < rows["pm25"].max())].drop_duplicates()
    if len(rows) < _LEAST_ROWS:
        return None
    sites = rows.groupby(["local_date", "pm25"], sort=True)["site_id"].agg(["size", "first", "last"]).reset_index()
    count, value = sites["size"].to_numpy(np.float64), sites["pm25"].to_numpy()
    equal = (count * (count - 1) / 2).sum()
    same_day = np.diff(sites["local_date"].to_numpy()) == np.timedelta64(0)
    step = np.diff(value)[same_day].round(_DECIMALS)
    pairs = pd.Series((count[:-1] * count[1:])[same_day]).groupby(step).sum()  # by how far apart they are
    by_chance = pairs.max() / 2 if len(pairs) else 0.0
    copied = sites[count > 1]
    part = int(copied["size"].sum())
    if equal <= _MORE_THAN_CHANCE * by_chance and not _whole_series_repeat(rows):
        return None
    if part < _LEAST_SHARE * len(rows):
        return None
    most = copied.loc[copied["size"].idxmax()]
    return (
        f"warning: {part} of {len(rows)} readings are the same to the last digit as another site's on the same day "
        f"({most['size']} sites have {most['pm25']:g} ug/m3 on {most['local_date']:%Y-%m-%d}, such as {most['first']} "
        f"and {most['last']}): if they are one monitor's, give them one name (column 'station' of the table, or one "
        "file of readings), or tests are not of places unseen"
    )


def _whole_series_repeat(rows: pd.DataFrame) -> bool:
    """Whether a good part of the readings are of sites whose days and values are all those of another site."""
    hashes = pd.util.hash_pandas_object(rows[["local_date", "pm25"]], index=False)
    of_site = hashes.groupby(rows["site_id"].to_numpy()).agg(["sum", "size"])
    long = of_site[of_site["size"] >= _LEAST_DAYS]
    repeated = long[long.duplicated(["sum", "size"], keep=False)]
    return bool(repeated["size"].sum() >= _LEAST_SHARE * len(rows))


def _far_apart(samples: pd.DataFrame) -> str | None:
    """Sites whose tiles spread over kilometres."""
    place = samples.groupby("site_id", observed=True)[["latitude", "longitude"]].agg(["min", "max"])
    north = 111.2 * (place["latitude", "max"] - place["latitude", "min"])
    east = place["longitude", "max"] - place["longitude", "min"]
    east = east.where(east < 180, 360 - east)
    km = np.hypot(north, 111.2 * east * np.cos(np.radians(place["latitude", "max"])))
    far = km[km > MOST_KM]
    if not len(far):
        return None
    return (
        f"warning: {len(far)} of {len(km)} sites have tiles kilometres apart (such as {far.idxmax()}: {far.max():.1f} "
        "km): a site is one place, so give each place a name of its own in the table, or none and they go by "
        "coordinates"
    )
