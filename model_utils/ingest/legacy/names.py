"""The names a pickle of the 2022 code may contain, and the role each plays."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Name:
    """A name that a pickle refers to. It is never imported: its role says what the reader makes of it."""

    module: str
    name: str
    role: str


def _named(role: str, name: str, *modules: str) -> dict[tuple[str, str], str]:
    return {(module, name): role for module in modules}


_MULTIARRAY = ("numpy.core.multiarray", "numpy._core.multiarray")
_TIMESTAMPS = ("pandas._libs.tslibs.timestamps", "pandas._libs.tslib", "pandas")
_OFFSETS = ("pandas._libs.tslibs.offsets", "pandas.tseries.offsets")

# Where numpy 1 and 2 and pandas 1 to 3 keep them. copy_reg and __builtin__ are the names of Python 2, which protocols
# 0 to 2 write.
ROLES: dict[tuple[str, str], str] = {
    **_named("array", "_reconstruct", *_MULTIARRAY),
    **_named("scalar", "scalar", *_MULTIARRAY),
    **_named("buffer", "_frombuffer", "numpy.core.numeric", "numpy._core.numeric"),
    **_named("ndarray", "ndarray", "numpy"),
    **_named("dtype", "dtype", "numpy"),
    **_named("series", "Series", "pandas.core.series", "pandas"),
    **_named("manager", "SingleBlockManager", "pandas.core.internals.managers", "pandas.core.internals"),
    **_named("block", "_unpickle_block", "pandas._libs.internals"),
    **_named("new_index", "_new_Index", "pandas.core.indexes.base"),
    **_named("index", "Index", "pandas.core.indexes.base", "pandas"),
    **_named("timestamp", "_unpickle_timestamp", "pandas._libs.tslibs.timestamps"),
    **_named("timestamp", "Timestamp", *_TIMESTAMPS),
    **{(module, unit): "frequency" for module in _OFFSETS for unit in ("Day", "Hour", "Minute", "Second")},
    **_named("datetime", "datetime", "datetime"),
    **_named("date", "date", "datetime"),
    **_named("slice", "slice", "builtins", "__builtin__"),
    **_named("encode", "encode", "_codecs"),
    **_named("reconstructor", "_reconstructor", "copyreg", "copy_reg"),
    **_named("object", "object", "builtins", "__builtin__"),
}
"""Where each name may stand -> what it stands for."""

CALLED = {
    "array",
    "scalar",
    "buffer",
    "dtype",
    "manager",
    "block",
    "new_index",
    "timestamp",
    "frequency",
    "datetime",
    "date",
    "slice",
    "encode",
    "reconstructor",
}
"""Roles that a pickle calls with arguments."""

CREATED = {"series", "manager", "frequency"}
"""Roles that a pickle creates empty and gives a state."""

STATEFUL = {"array", "dtype", "series", "manager", "frequency"}
"""Roles that take a state."""

SHARED = {"scalar", "dtype", "series", "new_index", "timestamp", "frequency", "datetime", "date", "encode"}
"""Small things that several samples may share: one Meteo for all stations of a time, one dtype for all images."""
