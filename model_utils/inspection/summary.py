"""Counts of what an archive holds, in all and by station."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model_utils.archive.quality import quality_counts
from model_utils.archive.site_doubts import site_doubts
from model_utils.inspection.samples import WEATHER
from model_utils.sampling.clouds import clear_tiles


def summarise(samples: pd.DataFrame, station: NDArray[np.bool_], max_cloud_fraction: float) -> dict[str, Any]:
    """Counts an archive's rows.

    Args:
        samples: Rows as `read_samples` gives them.
        station: Which rows are of stations.
        max_cloud_fraction: Tiles under more known cloud count as cloudy.

    Returns:
        Counts: tiles, scenes, timestamps, dates, sites, stations, labelled (tiles with a reading), labelled_stations,
        labelled_dates, set_aside (a reading was there and was kept out of the labels), cloudy, cloud_known. `first`
        and `last` local date (Timestamp). `pm25`: mean, std, min, max over labelled tiles, ug/m3. `valid`: mean, min
        of the known valid fractions, and their number. `flags`: flag -> (tiles, of which labelled). `weather`: column
        -> tiles that know it. `doubts`: what `site_doubts` says. Where nothing is known the numbers are NaN.
    """
    pm25 = samples["pm25"].astype("float64")
    read = pm25.notna()
    # columns flag_<name> also name the flags that were looked for and found nowhere
    columns = {str(name).removeprefix("flag_"): name for name in samples if str(name).startswith("flag_")}
    flags = dict.fromkeys(columns, (0, 0))
    labelled_flags = quality_counts(samples.loc[read, "quality"])
    for flag, rows in quality_counts(samples["quality"]).items():
        flags[flag] = (rows, labelled_flags.get(flag, 0))
    for flag, column in columns.items():
        if not flags[flag][0]:
            raised = samples[column].fillna(False).astype(bool)
            flags[flag] = (int(raised.sum()), int((raised & read).sum()))
    scenes = samples["scene_id"].dropna()
    unfiltered = samples.get("pm25_unfiltered", pm25).notna()
    valid = samples.get("valid_fraction", pd.Series(dtype="float64")).astype("float64")
    return {
        "tiles": len(samples),
        "scenes": int(scenes[scenes != ""].nunique()),
        "timestamps": int(samples["time_utc"].nunique()),
        "dates": int(samples["local_date"].nunique()),
        "first": samples["local_date"].min(),
        "last": samples["local_date"].max(),
        "sites": int(samples["site_id"].nunique()),
        "stations": int(samples.loc[station, "site_id"].nunique()),
        "labelled": int(read.sum()),
        "labelled_stations": int(samples.loc[read, "site_id"].nunique()),
        "labelled_dates": int(samples.loc[read, "local_date"].nunique()),
        "set_aside": int((unfiltered & ~read).sum()),
        "cloudy": int((~clear_tiles(samples, max_cloud_fraction)).sum()),
        "cloud_known": int(samples["cloud_fraction"].notna().sum()),
        "pm25": {name: float(pm25.agg(name)) for name in ("mean", "std", "min", "max")},
        "valid": {"mean": float(valid.mean()), "min": float(valid.min()), "known": int(valid.notna().sum())},
        "flags": dict(sorted(flags.items(), key=lambda item: (-item[1][0], item[0]))),
        "weather": {name: int(samples[name].notna().sum()) for name in WEATHER},
        "doubts": site_doubts(samples),
    }


def by_site(samples: pd.DataFrame, max_cloud_fraction: float) -> pd.DataFrame:
    """One row a site, sorted by `site_id`.

    Args:
        samples: Rows as `read_samples` gives them, of the sites asked for.
        max_cloud_fraction: Tiles under more known cloud count as cloudy.

    Returns:
        site_id, site_name, latitude, longitude, tiles, cloudy (tiles), days (local dates with a tile), labelled_days,
        mean and std of PM2.5 over the labelled days (a day with two tiles counts once; ug/m3, NaN where unknown),
        flags (such as 'spike 3, low 1').
    """
    sites = samples.assign(cloudy=~clear_tiles(samples, max_cloud_fraction)).groupby("site_id", observed=True)
    table = sites.agg(
        site_name=("site_name", "first"),
        latitude=("latitude", "first"),
        longitude=("longitude", "first"),
        tiles=("pm25", "size"),
        cloudy=("cloudy", "sum"),
        days=("local_date", "nunique"),
    )
    read = samples[samples["pm25"].notna()].astype({"pm25": "float64"})
    daily = read.groupby(["site_id", "local_date"], observed=True)["pm25"].mean()
    table = table.join(daily.groupby("site_id", observed=True).agg(labelled_days="size", mean="mean", std="std"))
    table["labelled_days"] = table["labelled_days"].fillna(0).astype(int)
    flagged = samples[samples["quality"].notna() & (samples["quality"] != "")]
    flags = {
        site: ", ".join(f"{flag} {rows}" for flag, rows in quality_counts(quality).items())
        for site, quality in flagged.groupby("site_id", observed=True)["quality"]
    }
    table["flags"] = [flags.get(name, "") for name in table.index]
    table = table.set_axis(table.index.astype(object)).rename_axis("site_id").sort_index().reset_index()
    return table.assign(site_name=table["site_name"].astype(object).fillna(""))  # sorts by letters, not by category
