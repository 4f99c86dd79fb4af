"""Models of a city's weather on disk: skops files that are checked in full before anything walks their trees."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
import skops.io
from numpy.typing import NDArray

from model_utils import atomic
from model_utils.configuration import package_version
from model_utils.errors import InputError
from model_utils.estimators.forests.rt_rf import EMBEDDING_TREES, FOREST_TREES, RtRf, fit_rt_rf
from model_utils.estimators.forests.trees import Trees, fault
from model_utils.estimators.references.weather_inputs import WEATHER_COLUMNS

FILE = "rt_rf.skops"
FORMAT = 1

LARGEST_FILE = 16 * 2**20
LARGEST_SCHEMA = 2**20
LARGEST_ARRAYS = 64 * 2**20
"""Bytes. A model of 20,000 rows has about 12 MB of arrays."""

TRUSTED = {
    ("DictNode", "builtins", "dict"),
    ("TypeNode", "builtins", "str"),  # of a dict's keys
    ("ListNode", "builtins", "list"),
    ("JsonNode", "builtins", "str"),
    ("NdArrayNode", "numpy", "ndarray"),
}
"""All that a file may hold: containers, JSON and arrays. skops itself would also take any scikit-learn estimator."""


@dataclass(frozen=True)
class RtRfMetadata:
    """What a saved model was fitted to; equal metadata mean an equal model.

    Attributes:
        city: Its name.
        archive_sha256: The archive's content.
        rows_sha256: Which of its rows, and their readings, the model was chosen from.
        training_stations: Site ids, sorted.
        seed: Of embedding and forest.
        weather: Names of its inputs, in order.
        scikit_learn: Version that fitted it.
        package: Version of this package.
    """

    city: str
    archive_sha256: str
    rows_sha256: str
    training_stations: tuple[str, ...]
    seed: int
    weather: tuple[str, ...]
    scikit_learn: str = sklearn.__version__
    package: str = field(default_factory=package_version)


def save_rt_rf(folder: Path, model: RtRf, metadata: RtRfMetadata) -> None:
    """Writes `rt_rf.skops` into a folder, whole or not at all."""
    described = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(metadata).items()}
    content = {
        "format": FORMAT,
        "metadata": described,
        "embedding_trees": vars(model.embedding_trees),
        "forest_trees": vars(model.forest_trees),
    }
    with atomic.replacing(folder / FILE) as temporary:
        skops.io.dump(content, temporary, compression=zipfile.ZIP_DEFLATED)


def kept_rt_rf(folder: Path, weather: NDArray[np.float64], pm25: NDArray[np.float64], metadata: RtRfMetadata) -> RtRf:
    """The saved model if it is whole and was fitted to the same; else a new one, which is saved.

    Args:
        folder: Of the city's model.
        weather: Training rows, n x d.
        pm25: ug/m3, n.
        metadata: Describe them.
    """
    if (folder / FILE).exists():
        try:
            model, found = load_rt_rf(folder)
            if found == metadata:
                return model
        except InputError as error:
            print(f"{error}; it is fitted anew", flush=True)
    model = fit_rt_rf(weather, pm25, metadata.seed)
    save_rt_rf(folder, model, metadata)
    return model


def load_rt_rf(folder: Path) -> tuple[RtRf, RtRfMetadata]:
    """Reads what `save_rt_rf` wrote.

    Before skops builds anything, every type that the file names is compared with `TRUSTED`; before a tree is walked,
    every node is checked (`fault`). The version of scikit-learn is no matter: the file holds plain arrays.

    Raises:
        InputError: The file is missing, too large, damaged, holds other types, or its trees are out of bounds.
    """
    path = folder / FILE
    if not path.is_file():
        raise InputError(f"{path}: not found, expected a saved model of the weather")
    try:
        content = _read(path)
        metadata = _metadata(content["metadata"])
        embedding_trees = _trees(content, "embedding_trees", EMBEDDING_TREES, len(metadata.weather))
        leaves = int(embedding_trees.is_leaf.sum())
        return RtRf(embedding_trees, _trees(content, "forest_trees", FOREST_TREES, leaves)), metadata
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except Exception as error:  # a damaged archive, skops and numpy each raise their own kinds
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path}: no readable model ({type(error).__name__}: {reason})") from None


def _read(path: Path) -> dict[str, Any]:
    """Contents of a file, of trusted types only."""
    with path.open("rb") as file:
        data = file.read(LARGEST_FILE + 1)
    _at_most(len(data), LARGEST_FILE, "file")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:  # never expands a member beyond the size it states
        _at_most(archive.getinfo("schema.json").file_size, LARGEST_SCHEMA, "schema")
        files = _array_files(json.loads(archive.read("schema.json")))
        _at_most(sum(archive.getinfo(name).file_size for name in files), LARGEST_ARRAYS, "arrays")
    content = skops.io.loads(data, trusted=[])
    if content["format"] != FORMAT:
        raise InputError(f"format: found {content['format']!r}, expected {FORMAT}")
    return dict(content)


def _at_most(found: int, most: int, what: str) -> None:
    if found > most:
        raise InputError(f"{what}: found {found:,} bytes, expected at most {most:,}")


def _array_files(schema: Any) -> list[str]:
    """The members that skops will read, as often as it will; raises where it would meet another type."""
    files, pending = [], [schema]
    while pending:
        item = pending.pop()
        if isinstance(item, dict):
            if "__loader__" in item or "__class__" in item:
                kind = item.get("__loader__"), item.get("__module__"), item.get("__class__")
                if kind not in TRUSTED:
                    raise InputError(f"holds a {kind[1]}.{kind[2]} ({kind[0]}), expected arrays and plain values only")
                if kind[0] == "NdArrayNode":
                    files.append(item["file"])
            pending += item.values()
        elif isinstance(item, list):
            pending += item
    return files


def _metadata(found: dict[str, Any]) -> RtRfMetadata:
    expected = {item.name: item.type for item in fields(RtRfMetadata)}
    if set(found) != set(expected):
        raise InputError(f"metadata: found {sorted(found)}, expected {sorted(expected)}")
    for name, kind in expected.items():
        value = found[name]
        good = {
            "str": type(value) is str,
            "int": type(value) is int,
            "tuple[str, ...]": type(value) is list and all(type(each) is str for each in value),
        }
        if not good[str(kind)]:
            raise InputError(f"metadata: {name}: found {str(value)[:50]!r}, expected {kind}")
    values: dict[str, Any] = {name: tuple(value) if type(value) is list else value for name, value in found.items()}
    metadata = RtRfMetadata(**values)
    if not metadata.weather or not set(metadata.weather) <= set(WEATHER_COLUMNS):
        raise InputError(f"metadata: weather: found {metadata.weather}, expected some of {WEATHER_COLUMNS}")
    return metadata


def _trees(content: dict[str, Any], name: str, count: int, width: int) -> Trees:
    """Trees that can be walked safely."""
    arrays = content[name]
    for item in fields(Trees):
        array, dtype = arrays[item.name], np.float64 if item.name in ("threshold", "value") else np.int64
        if type(array) is not np.ndarray or array.dtype != dtype or array.ndim != 1:
            raise InputError(f"{name}: {item.name}: found {str(array)[:50]!r}, expected {dtype.__name__} numbers")
    trees = Trees(**arrays)
    if len(trees.root) != count:
        raise InputError(f"{name}: found {len(trees.root)} trees, expected {count}")
    if found := fault(trees, width):
        raise InputError(f"{name}: {found}")
    return trees
