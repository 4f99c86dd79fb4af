"""The archive's files, columns and metadata."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from model_utils.errors import InputError

SCHEMA_VERSION = 1
IMAGES, SAMPLES, METADATA = "images.npy", "samples.parquet", "archive.json"

TIMESTAMP = pa.timestamp("us", tz="UTC")
COLUMNS: dict[str, pa.DataType] = {
    "sample_id": pa.string(),
    "site_id": pa.string(),
    "site_name": pa.string(),
    "latitude": pa.float64(),
    "longitude": pa.float64(),
    "time_utc": TIMESTAMP,
    "local_date": pa.date32(),
    "scene_id": pa.string(),
    "pm25": pa.float32(),
    "quality": pa.string(),
    "cloud_fraction": pa.float32(),
    "temperature_c": pa.float32(),
    "relative_humidity_pct": pa.float32(),
    "pressure_hpa": pa.float32(),
}
"""Columns every archive has. More may follow; unknown numbers are NaN, `quality` is '' where nothing is
known against a row, else flags joined by '|'."""

_NUMBERS = [name for name, kind in COLUMNS.items() if pa.types.is_floating(kind)]
_TEXTS = [name for name, kind in COLUMNS.items() if pa.types.is_string(kind)]


@dataclass(frozen=True)
class ArchiveMetadata:
    """What `archive.json` says.

    Attributes:
        city: The city's name.
        bands: Band names in the order of the last image axis.
        ground_sample_distance_m: Metres per pixel.
        tile_size: Height and width of a tile, pixels.
        samples: Number of rows N.
        content_sha256: Hash of the image bytes followed by the sample table's file; keys every cache.
        created_by: Command, seed and package version that made the archive.
        sources: Source files with their SHA-256.
        simulated: What is simulated: 'no', 'all', 'haze' (real surface and readings), 'haze and readings' (real surface
            only) or 'surface and haze' (real readings only).
        licence: Licence of the content.
        attribution: Who must be named.
        schema_version: Version of this format.
    """

    city: str
    bands: tuple[str, ...]
    ground_sample_distance_m: float
    tile_size: int
    samples: int
    content_sha256: str
    created_by: dict[str, Any] = field(default_factory=dict)
    sources: list[dict[str, str]] = field(default_factory=list)
    simulated: str = "no"
    licence: str = ""
    attribution: str = ""
    schema_version: int = SCHEMA_VERSION

    def to_json(self) -> str:
        """Serialises to the text of `archive.json`."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def read(cls, path: Path) -> ArchiveMetadata:
        """Reads `archive.json`.

        Raises:
            InputError: Naming the key that is missing, unknown or of an unknown schema version.
        """
        try:
            raw = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise InputError(
                f"{path}: not found, expected a tile archive (pm25 simulate or pm25 prepare makes one)"
            ) from None
        except (OSError, ValueError, RecursionError) as error:
            raise InputError(f"{path}: not readable as JSON ({error})") from None
        if not isinstance(raw, dict) or "schema_version" not in raw:
            raise InputError(f"{path}: key 'schema_version' is missing")
        if raw["schema_version"] != SCHEMA_VERSION:
            raise InputError(
                f"{path}: schema_version is {raw['schema_version']!r}, this software reads {SCHEMA_VERSION}"
            )
        names = {item.name for item in fields(cls)}
        required = ("city", "bands", "ground_sample_distance_m", "tile_size", "samples", "content_sha256")
        for key in required:
            if key not in raw:
                raise InputError(f"{path}: key {key!r} is missing")
        if unknown := sorted(set(raw) - names):
            raise InputError(f"{path}: unknown key {unknown[0]!r}")
        if not isinstance(raw["bands"], list) or not all(isinstance(band, str) for band in raw["bands"]):
            raise InputError(f"{path}: bands is {raw['bands']!r}, expected a list of names")
        for key in ("tile_size", "samples"):
            if type(raw[key]) is not int or raw[key] < 1:
                raise InputError(f"{path}: {key} is {raw[key]!r}, expected a whole number above 0")
        distance = raw["ground_sample_distance_m"]
        if type(distance) not in (int, float) or not 0 < distance < float("inf"):
            raise InputError(f"{path}: ground_sample_distance_m is {distance!r}, expected metres above 0")
        for key in ("city", "content_sha256", "simulated", "licence", "attribution"):
            if not isinstance(raw.get(key, ""), str):
                raise InputError(f"{path}: {key} is {raw[key]!r}, expected text")
        for key, kind, word in (("created_by", dict, "a mapping"), ("sources", list, "a list")):
            if not isinstance(raw.get(key, kind()), kind):
                raise InputError(f"{path}: {key} is {raw[key]!r}, expected {word}")
        return cls(**{**raw, "bands": tuple(raw["bands"])})


def to_table(samples: pd.DataFrame) -> pa.Table:
    """Casts rows to the archive's column types, filling unknown numbers with NaN and texts with ''.

    Raises:
        InputError: A required column is missing or cannot hold its type, or a coordinate is impossible.
    """
    needed = ("sample_id", "site_id", "latitude", "longitude", "time_utc", "local_date")
    for name in needed:
        if name not in samples:
            raise InputError(f"samples: column {name!r} is missing")
        if samples[name].isna().any():
            row = int(samples[name].isna().to_numpy().argmax())
            raise InputError(f"samples: row {row}: column {name!r} is empty")
    filled = samples.reset_index(drop=True).copy()
    for name in _NUMBERS:
        try:
            filled[name] = filled[name].astype(float) if name in filled else float("nan")
        except (TypeError, ValueError) as error:
            raise InputError(f"samples: column {name!r} does not hold numbers ({error})") from None
    for name in _TEXTS:
        filled[name] = filled[name].fillna("").astype(str) if name in filled else ""
    bad = ~(filled["latitude"].abs().le(90) & filled["longitude"].abs().le(180))
    if bad.any():
        row = int(bad.to_numpy().argmax())
        place = f"{filled['latitude'].iloc[row]}, {filled['longitude'].iloc[row]}"
        raise InputError(f"samples: row {row}: {place} are not WGS84 degrees")
    extras = [name for name in filled.columns if name not in COLUMNS]
    arrays = []
    for name, kind in COLUMNS.items():
        try:
            column = pd.to_datetime(filled[name]).dt.date if name == "local_date" else filled[name]
            # NaN stays NaN (not null): unknown is a number's own value in this format
            arrays.append(pa.array(column, type=kind, from_pandas=not pa.types.is_floating(kind)))
        except (pa.ArrowException, TypeError, ValueError) as error:
            raise InputError(f"samples: column {name!r} does not hold {kind} ({error})") from None
    table = pa.table(arrays, schema=pa.schema(list(COLUMNS.items())))
    for name in extras:
        try:
            column = pa.array(filled[name], from_pandas=filled[name].dtype.kind != "f")
        except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
            raise InputError(f"samples: column {name!r} cannot be kept ({error})") from None
        table = table.append_column(name, column)
    return table


def simulated_caveat(simulated: str) -> str:
    """What is simulated and what may therefore not be concluded, in words; '' where nothing is.

    Args:
        simulated: As `ArchiveMetadata` has it.
    """
    if simulated == "no":
        return ""
    numbers = "number" if simulated == "all" or "readings" in simulated else "number of a method that sees images"
    return f"Simulated: {simulated}. No {numbers} says anything about the real city."


_SIMULATED = {
    "all": "simulated city",
    "haze": "simulated haze over a real surface; real readings",
    "haze and readings": "simulated haze and readings over a real surface",
    "surface and haze": "simulated surface and haze; real readings",
}


def simulated_words(simulated: str) -> str:
    """Says which part of an archive is simulated, from what its `archive.json` says; '' where none is."""
    return "" if simulated in ("no", "") else _SIMULATED.get(simulated, f"simulated: {simulated}")
