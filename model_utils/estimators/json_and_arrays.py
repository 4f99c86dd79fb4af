"""Dataclasses as JSON beside named arrays, and back by the types of their fields."""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints

import numpy as np
import pandas as pd
from numpy.typing import NDArray


@dataclass(frozen=True)
class JsonAndArrays:
    """Turns values into JSON and arrays, or these into values.

    Attributes:
        base: Of the dataclasses that may occur.
        kind_named: The one of a name.
        arrays: Grow with what is described, or are there for what is restored.
    """

    base: type[Any]
    kind_named: Callable[[str], type[Any] | None]
    arrays: dict[str, NDArray[Any]]

    def described(self, value: Any, name: str) -> Any:
        """JSON of a value; its arrays are kept by the name that it has.

        Raises:
            TypeError: It holds what has no JSON.
        """
        if value is None or isinstance(value, bool | str):
            return value
        if isinstance(value, int | np.integer):
            return int(value)
        if isinstance(value, float | np.floating):
            return float(value) if np.isfinite(value) else {"float": repr(float(value))}
        if isinstance(value, self.base) and is_dataclass(value):
            held = {item.name: getattr(value, item.name) for item in fields(value)}
            return {"kind": type(value).__name__, **self._described_items(held, name)}
        if isinstance(value, np.ndarray):
            return self._described_array(value, name)
        if isinstance(value, pd.DataFrame):
            if not value.index.equals(pd.RangeIndex(len(value))):
                raise TypeError(f"{name}: a table whose rows have names cannot be saved")
            columns = {key: value[key].to_numpy() for key in value}
            return {"columns": self._described_items(columns, name), "rows": len(value)}
        if isinstance(value, Mapping):
            return {"items": self._described_items(value, name)}
        if isinstance(value, tuple):
            return [self.described(each, f"{name}.{number}") for number, each in enumerate(value)]
        raise TypeError(f"{name}: a {type(value).__name__} cannot be saved")

    def _described_items(self, values: Mapping[Any, Any], name: str) -> dict[str, Any]:
        for key in values:
            if not isinstance(key, str):
                raise TypeError(f"{name}: found the key {key!r}, expected a text")
        return {key: self.described(each, f"{name}.{key}") for key, each in values.items()}

    def _described_array(self, value: NDArray[Any], name: str) -> dict[str, Any]:
        """Numbers as an array; dates as nanoseconds since 1970; of texts each once, and which one is where."""
        if value.dtype.kind in "OUT":
            flat = value.ravel().astype(object)
            if not all(isinstance(each, str) for each in flat):
                raise TypeError(f"{name}: an array of other things than texts cannot be saved")
            which, texts = pd.factorize(flat)
            return {"texts": texts.tolist(), "which": self._kept(which.reshape(value.shape), name)}
        if value.dtype.kind == "M":
            return {"dates": self._kept(value.astype("datetime64[ns]").view(np.int64), name)}
        if value.dtype.kind not in "biuf" or value.dtype.itemsize > 8:
            raise TypeError(f"{name}: an array of {value.dtype} cannot be saved")
        return {"array": self._kept(value, name)}

    def _kept(self, array: NDArray[Any], name: str) -> str:
        while name in self.arrays:  # "a.b", and "b" of "a"
            name += "_"
        self.arrays[name] = np.asarray(array, order="C")
        return name

    def restored(self, found: Any, expected: Any, name: str) -> Any:
        """The value of a type that JSON and arrays describe.

        Args:
            found: JSON.
            expected: The type.
            name: For messages.

        Raises:
            ValueError: They describe none; or the class itself finds that it cannot be.
        """
        origin, arguments = get_origin(expected), get_args(expected)
        if origin in (Union, types.UnionType):
            return self.restored(found, self._alternative(found, arguments), name)
        if origin is np.ndarray:
            return _of_type(self._array(found, name), get_args(arguments[1])[0], name)
        if origin is tuple:
            return self._restored_tuple(found, arguments, name)
        if origin is not None and issubclass(origin, Mapping):
            expect_keys(found, name, ("items",))
            items = _expect_any_keys(found["items"], name)
            return {key: self.restored(each, arguments[1], f"{name}.{key}") for key, each in items.items()}
        if expected is pd.DataFrame:
            return self._restored_table(found, name)
        if isinstance(expected, type) and issubclass(expected, self.base):
            kind: Any = self._kind(found)
            if kind is None or not issubclass(kind, expected):
                raise ValueError(f"{name}: found {short(found)}, expected a {expected.__name__}")
            of_fields = _types_of_fields(kind)
            expect_keys(found, name, ("kind", *of_fields))
            return kind(**{key: self.restored(found[key], each, f"{name}.{key}") for key, each in of_fields.items()})
        return _restored_plain(found, expected, name)

    def _restored_tuple(self, found: Any, expected: tuple[Any, ...], name: str) -> tuple[Any, ...]:
        if not isinstance(found, list) or (expected[-1] is not ... and len(found) != len(expected)):
            raise ValueError(f"{name}: found {short(found)}, expected a list of {expected}")
        of_each = [expected[0]] * len(found) if expected[-1] is ... else expected
        pairs = enumerate(zip(found, of_each, strict=True))
        return tuple(self.restored(each, kind, f"{name}.{number}") for number, (each, kind) in pairs)

    def _restored_table(self, found: Any, name: str) -> pd.DataFrame:
        expect_keys(found, name, ("columns", "rows"))
        described = _expect_any_keys(found["columns"], name)
        columns = {key: self._array(each, f"{name}.{key}") for key, each in described.items()}
        if any(column.shape != (found["rows"],) for column in columns.values()):
            raise ValueError(f"{name}: found columns of different lengths, or not of {short(found['rows'])} rows")
        return pd.DataFrame(columns, index=pd.RangeIndex(found["rows"]))

    def _alternative(self, found: Any, candidates: tuple[Any, ...]) -> Any:
        """The member of a union that JSON has the outer form of, else the first."""
        kind = self._kind(found)
        for each in candidates:
            if isinstance(each, type) and issubclass(each, self.base):
                if kind is not None and issubclass(kind, each):
                    return each
            elif type(found) is each:  # a bool, number, text or None
                return each
        return candidates[0]

    def _kind(self, found: Any) -> type[Any] | None:
        """The class that JSON names."""
        name = found.get("kind") if isinstance(found, dict) else None
        return self.kind_named(name) if isinstance(name, str) else None

    def _array(self, found: Any, name: str) -> NDArray[Any]:
        """An array of numbers, of texts or of dates."""
        form = next(iter(found), None) if isinstance(found, dict) else None
        if form == "array":
            return self._named(found, "array", name)
        if form == "dates":
            return _of_type(self._named(found, "dates", name), np.int64, name).view("datetime64[ns]")
        if form == "texts":
            which, texts = _of_type(self._named(found, "which", name, "texts"), np.int64, name), found["texts"]
            if not isinstance(texts, list) or not all(isinstance(each, str) for each in texts):
                raise ValueError(f"{name}: found {short(texts)}, expected texts")
            if which.size and not 0 <= which.min() <= which.max() < len(texts):
                raise ValueError(f"{name}: found the texts {which.min()} to {which.max()} of {len(texts)}")
            return np.asarray(np.array(texts, dtype=object)[which.ravel()].reshape(which.shape))
        raise ValueError(f"{name}: found {short(found)}, expected an array")

    def _named(self, found: dict[str, Any], key: str, name: str, *more: str) -> NDArray[Any]:
        """The array that one of the keys names."""
        expect_keys(found, name, (key, *more))
        if not isinstance(found[key], str) or found[key] not in self.arrays:
            raise ValueError(f"{name}: found {short(found[key])}, expected the name of an array")
        return self.arrays[found[key]]


def expect_keys(found: Any, name: str, expected: tuple[str, ...]) -> None:
    """Raises ValueError where JSON is no mapping of these keys."""
    keys = _expect_any_keys(found, name)
    for key in expected:
        if key not in keys:
            raise ValueError(f"{name}: lacks {key!r}")
    if more := set(keys) - set(expected):
        raise ValueError(f"{name}: found {short(min(more))} beside {', '.join(expected)}")


def short(found: Any) -> str:
    """The beginning of what was found, for a message."""
    return repr(found)[:60]


def _expect_any_keys(found: Any, name: str) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise ValueError(f"{name}: found {short(found)}, expected values by name")
    return found


@cache
def _types_of_fields(kind: Any) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {item.name: hints[item.name] for item in fields(kind)}


def _restored_plain(found: Any, expected: Any, name: str) -> Any:
    """A bool, number, text or None."""
    if expected is float:
        if isinstance(found, dict) and tuple(found) == ("float",) and found["float"] in ("nan", "inf", "-inf"):
            return float(found["float"])
        if type(found) in (int, float):
            return float(found)
    elif expected in (bool, int, str, types.NoneType) and type(found) is expected:
        return found
    raise ValueError(f"{name}: found {short(found)}, expected {getattr(expected, '__name__', expected)}")


def _of_type(array: NDArray[Any], expected: Any, name: str) -> NDArray[Any]:
    """An array whose numbers are of a type, or of a kind of types."""
    if array.dtype == object and expected is np.str_:
        return array.astype(str)
    if expected is not Any and isinstance(expected, type) and not np.issubdtype(array.dtype, expected):
        raise ValueError(f"{name}: found an array of {array.dtype}, expected {expected.__name__}")
    return array
