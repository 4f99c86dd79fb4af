"""Which places and days are shown, and what is known of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model_utils.figures.archive.calendar import CLOUDY, NO_IMAGE, NO_READING, READING
from model_utils.sampling.clouds import clear_tiles


def coverage(samples: pd.DataFrame, max_cloud_fraction: float) -> pd.DataFrame:
    """What each site has on each day: the best of the day's tiles counts.

    Args:
        samples: site_id, local_date, pm25, cloud_fraction of the sites asked for.
        max_cloud_fraction: Tiles under more known cloud count as cloudy.

    Returns:
        Sites x dates of `figures.calendar` states; columns are the days from the first to the last, or only those with
        an image where these are fewer than one in four.
    """
    clear = clear_tiles(samples, max_cloud_fraction)
    state = np.where(clear, np.where(samples["pm25"].notna(), READING, NO_READING), CLOUDY)
    best = samples.assign(state=state).groupby(["site_id", "local_date"], observed=True)["state"].max()
    table = best.unstack(fill_value=NO_IMAGE).sort_index(axis=1)
    days = pd.date_range(table.columns.min(), table.columns.max(), unit="s")
    if len(days) <= 4 * table.shape[1]:
        table = table.reindex(columns=days, fill_value=NO_IMAGE)
    return table


def choose_tiles(
    samples: pd.DataFrame, sites: list[str], most_dates: int, max_cloud_fraction: float
) -> tuple[NDArray[np.int64], list[pd.Timestamp]]:
    """Chooses a tile a site and date, on dates that show many of the sites clearly, spread over the whole period.

    A site's tile of a day is its clear one with a reading, else its clear one, else any; the earliest of these.

    Args:
        samples: All rows of the archive.
        sites: The sites to show.
        most_dates: At most so many dates.
        max_cloud_fraction: Tiles under more known cloud count as cloudy.

    Returns:
        Row of each site's tile on each date, sites x dates, -1 where there is none; and the dates.
    """
    rows = samples[samples["site_id"].isin(sites)]
    cloudy = ~clear_tiles(rows, max_cloud_fraction)
    ranked = rows.assign(row=rows.index, cloudy=cloudy, unread=rows["pm25"].isna())
    ranked = ranked.sort_values(["cloudy", "unread", "time_utc"], kind="stable")
    first = ranked.drop_duplicates(["site_id", "local_date"]).astype({"site_id": object})
    table = first.pivot(index="site_id", columns="local_date", values="row").reindex(sites).sort_index(axis=1)
    clear = first[~first["cloudy"]] if not first["cloudy"].all() else first
    counts = clear["local_date"].value_counts().sort_index()
    shared = counts.index[counts >= 0.75 * counts.max()]
    dates = shared[np.unique(np.linspace(0, len(shared) - 1, most_dates).round().astype(int))]
    return table[dates].fillna(-1).to_numpy(np.int64), list(dates)
