"""What the calls written down by `unpickler.ItemReader` stand for: arrays, numbers, times and pandas Series.

Nothing of pandas is asked for, so that files of pandas 1 are read whatever version is installed.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_utils.ingest.legacy.unpickler import Call

MAX_WEATHER = 1000
"""Values of one Meteo."""

_PLAIN = re.compile(r"b1|[iu][1248]|f[248]|[SU][0-9]{1,4}|M8")
_NANOSECONDS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9, "D": 86_400 * 10**9}
_RESOLUTIONS = {7: "s", 8: "ms", 9: "us", 10: "ns"}  # numpy's numbers for them, which pandas writes
_EPOCH = datetime(1970, 1, 1)


def array(value: object) -> NDArray[Any]:
    """A numpy array of numbers, texts or times.

    Raises:
        ValueError: It is something else, or its bytes do not fill its shape.
    """
    if not isinstance(value, Call):
        raise ValueError(f"found {kind(value)}, expected a numpy array")
    if value.role == "buffer" and len(value.arguments) == 4:  # protocol 5
        content, described, shape, order = value.arguments
    elif value.role == "array" and isinstance(value.state, tuple) and len(value.state) == 5:
        _, shape, described, fortran, content = value.state
        order = "F" if fortran is True else "C"
    else:
        raise ValueError(f"found {kind(value)}, expected a numpy array")
    dtype, data = _dtype(described), _bytes(content)
    if not (type(shape) is tuple and len(shape) <= 4 and all(type(n) is int and 0 <= n < 2**31 for n in shape)):
        raise ValueError("a numpy array has no proper shape")
    count = 1
    for n in shape:
        count *= n
    if count * dtype.itemsize != len(data):
        raise ValueError(f"a numpy array of {count} x {dtype} has {len(data)} bytes")
    flat: NDArray[Any] = np.frombuffer(data, dtype) if count else np.empty(0, dtype)
    return flat.reshape(shape, order="F" if order == "F" else "C")


def scalar(value: object) -> bool | int | float | str | datetime | None:
    """None, a number, a text or a time, whether it is Python's, numpy's or pandas'.

    Raises:
        ValueError: It is something else.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Call) and value.role == "scalar" and len(value.arguments) == 2:
        dtype, data = _dtype(value.arguments[0]), _bytes(value.arguments[1])
        if dtype.itemsize != len(data):
            raise ValueError(f"a {dtype} has {len(data)} bytes")
        item = np.frombuffer(data, dtype)[0]
        if dtype.kind != "M":
            plain: bool | int | float | str = item.item()
            return plain
        return _moment(int(item.astype(np.int64)), np.datetime_data(dtype)[0])
    if isinstance(value, Call) and value.role in ("timestamp", "datetime", "date"):
        return _time(value)
    raise ValueError(f"found {kind(value)}, expected a number, a text or a time")


def series(value: object) -> tuple[object, dict[str, object]]:
    """A pandas Series: its name as the pickle has it, and its values by label.

    Raises:
        ValueError: It is something else.
    """
    state = value.state if isinstance(value, Call) and value.role == "series" else None
    if not isinstance(state, dict):
        raise ValueError(f"found {kind(value)}, expected a pandas Series")
    index, values = _blocks(state.get("_mgr", state.get("_data")))
    labels = _values(_index_data(index))
    numbers = _values(values)
    if len(labels) != len(numbers) or not all(isinstance(label, str) and _is_label(label) for label in labels):
        raise ValueError("the labels of a Series are not one short text for each value")
    if len(set(labels)) != len(labels):
        raise ValueError("a Series has a label twice")
    return state.get("name", state.get("_name")), dict(zip(map(str, labels), map(scalar, numbers), strict=True))


def kind(value: object) -> str:
    """What a value is, without showing it."""
    return f"a pickled {value.role}" if isinstance(value, Call) else type(value).__name__


def _blocks(manager: object) -> tuple[object, object]:
    """Index and values of a Series' block manager, as a state (all versions) or as arguments (block, index)."""
    if isinstance(manager, Call) and manager.role == "manager":
        if len(manager.arguments) >= 2 and isinstance(manager.arguments[0], Call):
            block, index = manager.arguments[:2]
            if block.role == "block" and block.arguments:
                return index, block.arguments[0]
        state = manager.state
        extra = state[3] if isinstance(state, tuple) and len(state) > 3 else None
        inner = extra.get("0.14.1") if isinstance(extra, dict) else None
        if isinstance(inner, dict):
            block = _only(inner.get("blocks"))
            if isinstance(block, dict):
                return _only(inner.get("axes")), block.get("values")
    raise ValueError("a pandas Series is not built as pandas 0.25 to 3 build it")


def _only(value: object) -> Any:
    """The one entry of a list."""
    return value[0] if isinstance(value, list | tuple) and len(value) == 1 else None


def _is_label(text: str) -> bool:
    return len(text) <= 100 and text.isprintable()


def _index_data(index: object) -> object:
    if isinstance(index, Call) and index.role == "new_index" and len(index.arguments) == 2:
        described = index.arguments[1]
        if isinstance(described, dict):
            return described.get("data")
    raise ValueError(f"found {kind(index)}, expected the texts of a pandas Index")


def _values(value: object) -> list[Any]:
    """One-dimensional array to a list; only here may it be one of Python objects, which `scalar` looks at."""
    state = value.state if isinstance(value, Call) and value.role == "array" else None
    if isinstance(state, tuple) and len(state) == 5 and isinstance(state[4], list):
        if _code(state[2]) not in ("O8", "O4") or state[1] not in ((len(state[4]),), [len(state[4])]):
            raise ValueError("an array of Python objects has no proper shape")
        values: list[Any] = state[4]
    else:
        numbers = array(value)
        if numbers.ndim != 1 or numbers.dtype.kind == "M":
            raise ValueError(f"found an array of {numbers.ndim} dimensions of {numbers.dtype}, expected numbers")
        if len(numbers) <= MAX_WEATHER:
            values = numbers.tolist()
    if len(values) > MAX_WEATHER:
        raise ValueError(f"a Series has {len(values)} values, expected at most {MAX_WEATHER}")
    return values


def _code(described: object) -> str:
    if isinstance(described, Call) and described.role == "dtype" and described.arguments:
        code = described.arguments[0]
        if isinstance(code, str):
            return code
    raise ValueError(f"found {kind(described)}, expected a numpy type")


def _dtype(described: object) -> np.dtype[Any]:
    """A type of numbers, texts or times; never one of Python objects."""
    code = _code(described)
    if not _PLAIN.fullmatch(code):
        raise ValueError(f"found an array of the type {code[:20]!r}, expected numbers or texts")
    state = described.state  # type: ignore[attr-defined]  # _code has seen that it is a Call
    order, unit = "|", ""
    if isinstance(state, tuple) and len(state) >= 8:
        if type(state[1]) is not str or state[1] not in "<>|=" or any(part is not None for part in state[2:5]):
            raise ValueError("found a numpy type with fields, expected a plain one")
        order = state[1]
        unit = _time_unit(state[8]) if code == "M8" and len(state) == 9 else ""
    if code == "M8" and not unit:
        raise ValueError("found times without a unit")
    return np.dtype(f"{'=' if order == '|' else order}{code}{unit}")


def _time_unit(metadata: object) -> str:
    """The unit in (None or {}, (unit, 1, 1, 1))."""
    if isinstance(metadata, tuple) and len(metadata) == 2 and isinstance(metadata[1], tuple) and metadata[1]:
        parts = metadata[1]
        unit = parts[0] if isinstance(parts[0], str) else _bytes(parts[0]).decode("ascii")
        if unit in _NANOSECONDS and all(type(part) is int and part == 1 for part in parts[1:]):
            return f"[{unit}]"
    raise ValueError("found times of an unknown unit")


def _bytes(value: object) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, Call) and value.role == "encode" and len(value.arguments) == 2:  # before protocol 3
        text, encoding = value.arguments
        if isinstance(text, str) and type(encoding) is str and encoding in ("latin1", "latin-1"):
            return text.encode("latin-1")
    raise ValueError(f"found {kind(value)}, expected bytes")


def _time(value: Call) -> datetime:
    """A Timestamp of pandas (number, frequency, time zone, resolution), or Python's datetime or date."""
    arguments = value.arguments
    if value.role != "timestamp":
        data = _bytes(arguments[0]) if len(arguments) == 1 else b""
        if len(data) != (10 if value.role == "datetime" else 4):
            raise ValueError(f"a {value.role} is not naive and whole")
        clock = (*data[4:7], int.from_bytes(data[7:], "big")) if len(data) == 10 else ()
        return datetime(int.from_bytes(data[:2], "big"), data[2] & 0x7F, data[3], *clock)
    if len(arguments) not in (3, 4) or type(arguments[0]) is not int:
        raise ValueError("a Timestamp is not built as pandas builds it")
    if arguments[2] is not None:
        raise ValueError("a Timestamp has a time zone, expected local time without one")
    resolution = arguments[3] if len(arguments) == 4 else 10
    if type(resolution) is not int or resolution not in _RESOLUTIONS:
        raise ValueError("a Timestamp has an unknown resolution")
    return _moment(arguments[0], _RESOLUTIONS[resolution])


def _moment(number: int, unit: str) -> datetime:
    microseconds = number * _NANOSECONDS[unit] // 1000
    if not abs(microseconds) < 5 * 10**15:  # 1811 to 2128; pandas' NaT lies far outside
        raise ValueError("a time is not between 1811 and 2128")
    return _EPOCH + timedelta(microseconds=microseconds)
