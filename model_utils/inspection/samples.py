"""The columns of a sample table that an inspection needs, and no others."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from model_utils.archive.format import SAMPLES
from model_utils.archive.reader import TileArchive
from model_utils.cities import City
from model_utils.errors import InputError

WEATHER = ("temperature_c", "relative_humidity_pct", "pressure_hpa")
_TEXTS = ("site_id", "site_name", "scene_id", "quality")
_NEEDED = (*_TEXTS, "latitude", "longitude", "time_utc", "local_date", "pm25", "cloud_fraction", *WEATHER)
_OPTIONAL = {  # what `pm25 prepare` adds; a column of that name and another type is somebody else's
    "site_kind": lambda kind: pa.types.is_string(kind) or pa.types.is_large_string(kind),
    "valid_fraction": pa.types.is_floating,
    "pm25_unfiltered": pa.types.is_floating,
}


def read_samples(archive: TileArchive) -> pd.DataFrame:
    """Reads what is counted and drawn: the texts as categories, the flags of `flag_*` columns as booleans.

    Returns:
        A row a tile, in the archive's order.

    Raises:
        InputError: The table cannot be read, or does not say where and when a tile was taken.
    """
    path = archive.folder / SAMPLES
    try:
        schema = pq.read_schema(path)
        columns = list(_NEEDED)
        columns += [n for n, fits in _OPTIONAL.items() if n in schema.names and fits(schema.field(n).type)]
        columns += [f.name for f in schema if f.name.startswith("flag_") and pa.types.is_boolean(f.type)]
        table = pq.read_table(path, columns=columns, read_dictionary=[*_TEXTS, "site_kind"])
        samples: pd.DataFrame = table.to_pandas(date_as_object=False, ignore_metadata=True)
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path}: broken ({' '.join(str(error).split())})") from None
    for name in ("site_id", "latitude", "longitude", "time_utc", "local_date"):
        if empty := int(samples[name].isna().sum()):
            raise InputError(f"{path}: column {name!r} is empty in {empty} rows, expected a value in each")
    if not (samples["latitude"].abs().le(90) & samples["longitude"].abs().le(180)).all():
        raise InputError(f"{path}: found places that are not WGS84 degrees")
    return samples


def station_rows(samples: pd.DataFrame, city: City) -> NDArray[np.bool_]:
    """Rows of stations: `site_kind` says so, the place has a reading, or (without `site_kind`) the city lists it."""
    read = samples.loc[samples["pm25"].notna(), "site_id"].unique()
    station = samples["site_id"].isin(read)
    if "site_kind" in samples:
        return (station | (samples["site_kind"] == "station")).to_numpy(bool)
    listed = {each.name for each in city.stations}
    return (station | samples["site_id"].isin(listed) | samples["site_name"].isin(listed)).to_numpy(bool)
