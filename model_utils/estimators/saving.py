"""What was fitted, on disk: JSON that names everything and safetensors that hold the arrays; nothing that can run."""

from __future__ import annotations

import hashlib
import importlib
import json
import pkgutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from safetensors.numpy import load, save

from model_utils import atomic
from model_utils.errors import InputError
from model_utils.estimators.json_and_arrays import JsonAndArrays, expect_keys

MODEL, ARRAYS = "model.json", "arrays.safetensors"
FORMAT = 2
LARGEST_MODEL = 2**26
"""Bytes of JSON that are read at most. Rows lie in the arrays, so a city's is far smaller."""

S = TypeVar("S", bound="Saved")


class Saved:
    """A frozen dataclass that `write_saved` can write: its fields tell all, and their types say what may be read back.

    A field may be a bool, int, float, str, None, an array of numbers, bools, dates or texts, a DataFrame of such
    columns, another `Saved`, and tuples and mappings (by str) of these. `__post_init__` should raise ValueError for
    what cannot be used, in words: a file that was tampered with gets there.
    """

    kinds: ClassVar[dict[str, type[Saved]]] = {}

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        other = Saved.kinds.setdefault(cls.__name__, cls)
        if other.__module__ != cls.__module__:
            raise TypeError(f"{cls.__name__}: {other.__module__} has a saved class of this name already")
        Saved.kinds[cls.__name__] = cls


def write_saved(folder: Path, item: Saved) -> None:
    """Writes `model.json` and `arrays.safetensors` into a folder; the JSON, which holds the hashes, is last."""
    parts = JsonAndArrays(Saved, _kind, {})
    described = parts.described(item, "model")
    data = save(parts.arrays)
    content = {
        "format": FORMAT,
        "arrays_sha256": hashlib.sha256(data).hexdigest(),
        "model_sha256": _hash_of(described),
        "model": described,
    }
    atomic.write_bytes(folder / ARRAYS, data)
    atomic.write_text(folder / MODEL, json.dumps(content, indent=1, allow_nan=False) + "\n")


def model_folder(path: Path) -> Path:
    """The folder of a model, from it or from the results that hold it.

    Raises:
        InputError: There is none.
    """
    path = Path(path)  # in a notebook a text will do
    for folder in (path, path / "model"):
        if (folder / MODEL).is_file():
            return folder
    raise InputError(f"--model {path}: holds no {MODEL}, expected the results of pm25 supervise")


def read_described(folder: Path) -> dict[str, Any]:
    """What `model.json` says, as JSON: `model` in it is the JSON of the fields, of which nothing is restored.

    Raises:
        InputError: It is missing or damaged, or of another format.
    """
    path = folder / MODEL
    text = _bytes(path, LARGEST_MODEL)
    with _named(path):
        content: dict[str, Any] = json.loads(text)
        expect_keys(content, "file", ("format", "arrays_sha256", "model_sha256", "model"))
        if content["format"] != FORMAT:
            raise ValueError(f"format: found {content['format']!r}, expected {FORMAT}")
        if _hash_of(content["model"]) != content["model_sha256"]:
            raise ValueError("model: is not what was written")
    return content


def read_saved(folder: Path, expected: type[S]) -> S:
    """Reads what `write_saved` wrote, of classes of this package's estimators only.

    Raises:
        InputError: A file is missing, damaged, not of the other, or says what no `expected` can be.
    """
    content, data = read_described(folder), _bytes(folder / ARRAYS)
    with _named(folder / MODEL):
        if hashlib.sha256(data).hexdigest() != content["arrays_sha256"]:
            raise ValueError(f"{ARRAYS} is not the file that it was written with")
        # as aligned and as writable as they were
        arrays = {name: array.copy() for name, array in load(data).items()}
        found: S = JsonAndArrays(Saved, _kind, arrays).restored(content["model"], expected, "model")
    return found


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Says in a line what is wrong with a model: json, safetensors, numpy, pandas and torch raise their own kinds."""
    try:
        yield
    except Exception as error:
        kind = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
        reason = " ".join(f"{kind}{error}".split())[:300]
        raise InputError(f"{path}: no fitted model that can be used: {reason}") from None


def _bytes(path: Path, most: int | None = None) -> bytes:
    try:
        if not path.is_file():  # but a folder or a pipe, or nothing
            raise InputError(f"{path}: not found, expected a file of a fitted model")
        if most is not None and path.stat().st_size > most:
            raise InputError(f"{path}: found {path.stat().st_size:,} bytes, expected at most {most:,}")
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}, expected a file of a fitted model") from None


def _hash_of(described: Any) -> str:
    """Of JSON as it reads, not of its spaces."""
    return hashlib.sha256(json.dumps(described, allow_nan=False).encode()).hexdigest()


def _kind(name: str) -> type[Saved] | None:
    """The class of a name, of this package or one that this process has."""
    if name not in Saved.kinds:
        _import_all()
    return Saved.kinds.get(name)


@cache
def _import_all() -> None:
    """Imports all modules of estimators, whatever a file says: what this process has not used yet may be in it."""
    package = importlib.import_module("model_utils.estimators")
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        importlib.import_module(module.name)
