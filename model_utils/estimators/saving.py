"""What was fitted, on disk: JSON that names everything and safetensors that hold the arrays; nothing that can run."""

from __future__ import annotations

import hashlib
import json
import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from model_utils import atomic
from model_utils.errors import InputError

MODEL, ARRAYS = "model.json", "arrays.safetensors"
FORMAT = 1
LARGEST_MODEL = 2**28
"""Bytes of JSON that are read at most."""

S = TypeVar("S", bound="Saved")


class Saved:
    """A frozen dataclass that `write_saved` can write: its fields tell all, and their types say what may be read back.

    A field may be a bool, int, float, str, None, an array of numbers, bools or texts, a DataFrame of such columns and
    dates, another `Saved`, and tuples and mappings (by str) of these. `__post_init__` should raise ValueError for what
    cannot be used, in words: a file that was tampered with gets there.
    """

    kinds: ClassVar[dict[str, type[Saved]]] = {}

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        Saved.kinds[cls.__name__] = cls


def write_saved(folder: Path, item: Saved) -> None:
    """Writes `model.json` and `arrays.safetensors` into a folder; the JSON, which holds the arrays' hash, is last."""
    arrays: dict[str, NDArray[Any]] = {}
    described = _described(item, "model", arrays)
    data = save(arrays)
    content = {"format": FORMAT, "arrays_sha256": hashlib.sha256(data).hexdigest(), "model": described}
    atomic.write_bytes(folder / ARRAYS, data)
    atomic.write_text(folder / MODEL, json.dumps(content, indent=1, allow_nan=False) + "\n")


def read_saved(folder: Path, expected: type[S]) -> S:
    """Reads what `write_saved` wrote.

    Raises:
        InputError: A file is missing, damaged, not of the other, or says what no `expected` can be.
    """
    path = folder / MODEL
    try:
        text, data = path.read_bytes(), (folder / ARRAYS).read_bytes()
    except OSError as error:
        raise InputError(f"{error.filename}: {error.strerror}, expected a fitted model") from None
    try:
        if len(text) > LARGEST_MODEL:
            raise ValueError(f"found {len(text):,} bytes, expected at most {LARGEST_MODEL:,}")
        content = json.loads(text)
        if content["format"] != FORMAT:
            raise ValueError(f"format: found {content['format']!r}, expected {FORMAT}")
        if hashlib.sha256(data).hexdigest() != content["arrays_sha256"]:
            raise ValueError(f"{ARRAYS} is not the file that it was written with")
        found = _restored(content["model"], expected, load(data), "model")
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError, SafetensorError) as error:
        reason = f"lacks {error}" if isinstance(error, KeyError) else " ".join(str(error).split())[:300]
        raise InputError(f"{path}: no fitted model that can be used: {reason}") from None
    if not isinstance(found, expected):
        raise InputError(f"{path}: found a {type(found).__name__}, expected a {expected.__name__}")
    return found


def _described(value: Any, name: str, arrays: dict[str, NDArray[Any]]) -> Any:
    """JSON of a value; arrays of numbers go to `arrays` under the value's name."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else {"float": repr(float(value))}
    if isinstance(value, Saved) and is_dataclass(value):
        held = {
            item.name: _described(getattr(value, item.name), f"{name}.{item.name}", arrays) for item in fields(value)
        }
        return {"kind": type(value).__name__, **held}
    if isinstance(value, pd.DataFrame):
        return {"columns": {key: _described(value[key].to_numpy(), f"{name}.{key}", arrays) for key in value}}
    if isinstance(value, np.ndarray):
        if value.dtype.kind in "OUT":
            return {"texts": [str(each) for each in value]}
        if value.dtype.kind == "M":
            return {"dates": [str(each) for each in value.astype("datetime64[ns]")]}
        arrays[name] = np.ascontiguousarray(value)
        return {"array": name}
    if isinstance(value, Mapping):
        return {"items": {key: _described(each, f"{name}.{key}", arrays) for key, each in value.items()}}
    if isinstance(value, tuple):
        return [_described(each, f"{name}.{number}", arrays) for number, each in enumerate(value)]
    raise TypeError(f"{name}: a {type(value).__name__} cannot be saved")


def _restored(found: Any, expected: Any, arrays: dict[str, NDArray[Any]], name: str) -> Any:
    """The value of a type that JSON and arrays describe; ValueError where they do not."""
    origin, arguments = get_origin(expected), get_args(expected)
    if origin in (Union, types.UnionType):
        if found is None and type(None) in arguments:
            return None
        candidates = [each for each in arguments if each is not type(None)]
        for each in candidates[:-1]:
            if _looks_like(found, each):
                return _restored(found, each, arrays, name)
        return _restored(found, candidates[-1], arrays, name)
    wrong = ValueError(f"{name}: found {str(found)[:60]!r}, expected {getattr(expected, '__name__', expected)}")
    if isinstance(expected, type) and origin is None and issubclass(expected, Saved):
        kind = (
            Saved.kinds.get(found["kind"]) if isinstance(found, dict) and isinstance(found.get("kind"), str) else None
        )
        if kind is None or not issubclass(kind, expected):
            raise wrong
        hints = get_type_hints(kind)
        held = {
            item.name: _restored(found[item.name], hints[item.name], arrays, f"{name}.{item.name}")
            for item in fields(kind)  # type: ignore[arg-type]
        }
        return kind(**held)
    if expected is float:
        if isinstance(found, dict) and found.get("float") in ("nan", "inf", "-inf"):
            return float(found["float"])
        if isinstance(found, bool) or not isinstance(found, int | float):
            raise wrong
        return float(found)
    if expected in (bool, int, str):
        if type(found) is not expected:
            raise wrong
        return found
    if origin is tuple:
        if not isinstance(found, list) or (arguments[-1] is not ... and len(found) != len(arguments)):
            raise wrong
        of_each = [arguments[0]] * len(found) if arguments[-1] is ... else arguments
        return tuple(
            _restored(each, kind, arrays, f"{name}.{number}")
            for number, (each, kind) in enumerate(zip(found, of_each, strict=True))
        )
    if not isinstance(found, dict) or len(found) != 1:
        raise wrong
    ((form, content),) = found.items()
    if form == "items" and origin is not None and issubclass(origin, Mapping) and isinstance(content, dict):
        return {key: _restored(each, arguments[1], arrays, f"{name}.{key}") for key, each in content.items()}
    if form == "columns" and expected is pd.DataFrame and isinstance(content, dict):
        columns = {key: _array(each, arrays, f"{name}.{key}") for key, each in content.items()}
        return pd.DataFrame(columns)
    if expected is np.ndarray or origin is np.ndarray:
        array = _array(found, arrays, name)
        if arguments and (dtype := get_args(arguments[1])) and isinstance(dtype[0], type):
            text = array.dtype.kind in "OU" and issubclass(dtype[0], np.str_ | np.object_)
            if not text and not np.issubdtype(array.dtype, dtype[0]):
                raise ValueError(f"{name}: found {array.dtype} numbers, expected {dtype[0].__name__}")
        return array
    raise wrong


def _kind(found: Any) -> type[Saved] | None:
    """The class that JSON names, of those that are known."""
    name = found.get("kind") if isinstance(found, dict) else None
    return Saved.kinds.get(name) if isinstance(name, str) else None


def _looks_like(found: Any, expected: Any) -> bool:
    """Whether JSON has the outer form of a type in a union."""
    if isinstance(expected, type) and issubclass(expected, Saved):
        kind = (
            Saved.kinds.get(found["kind"]) if isinstance(found, dict) and isinstance(found.get("kind"), str) else None
        )
        return kind is not None and issubclass(kind, expected)
    forms = {bool: bool, int: int, float: float, str: str}
    return type(found) is forms.get(expected)


def _array(found: Any, arrays: dict[str, NDArray[Any]], name: str) -> NDArray[Any]:
    """An array of numbers by its name, of texts, or of dates."""
    if isinstance(found, dict) and len(found) == 1:
        ((form, content),) = found.items()
        if form == "array" and isinstance(content, str) and content in arrays:
            return arrays[content]
        if isinstance(content, list) and all(isinstance(each, str) for each in content):
            if form == "texts":
                return np.array(content, dtype=object)
            if form == "dates":
                return np.array(content, dtype="datetime64[ns]")
    raise ValueError(f"{name}: found {str(found)[:60]!r}, expected an array")
