"""What the fields of a saved estimator may hold, and that a writer who is killed leaves no mixture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from model_utils import atomic
from model_utils.errors import InputError
from model_utils.estimators import saving
from model_utils.estimators.estimator import Constant, FittedEstimator
from model_utils.estimators.ridge import FittedRidge
from model_utils.estimators.saving import ARRAYS, MODEL, read_saved, write_saved


@dataclass(frozen=True)
class Leaf(saving.Saved):
    """One of everything."""

    flag: bool
    whole: int
    number: float
    text: str
    perhaps: float | None
    numbers: NDArray[np.float64]
    any_numbers: NDArray[Any]
    texts: NDArray[np.object_]
    names: NDArray[np.str_]
    dates: NDArray[np.datetime64]
    table: pd.DataFrame


@dataclass(frozen=True)
class Branch(saving.Saved):
    """Others, in all that holds others."""

    one: Leaf | Branch | None
    several: tuple[saving.Saved, ...]
    pair: tuple[int, str]
    named: Mapping[str, saving.Saved]
    arrays: Mapping[str, Mapping[str, NDArray[np.generic]]]


def arrays_of(kinds: str) -> st.SearchStrategy[NDArray[Any]]:
    """Of any shape and order in memory, also of no element and of no dimension."""
    shapes = array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)
    plain = st.sampled_from(kinds.split()).flatmap(lambda kind: arrays(kind, shapes))
    return (
        plain | plain.map(np.transpose) | plain.map(lambda each: np.repeat(each, 2, axis=0)[::2] if each.ndim else each)
    )


DATES = st.datetimes(pd.Timestamp("1700-01-01"), pd.Timestamp("2250-01-01"))
TABLES = st.lists(
    st.tuples(st.text(), st.floats(width=32), st.integers(-(2**60), 2**60), st.booleans(), DATES), max_size=4
).map(
    lambda rows: pd.DataFrame(
        {
            "text": np.array([row[0] for row in rows], dtype=object),
            "number": np.array([row[1] for row in rows], dtype=np.float32),
            "": np.array([row[2] for row in rows], dtype=np.int64),
            "flag.of": np.array([row[3] for row in rows], dtype=bool),
            "date": np.array([row[4] for row in rows], dtype="datetime64[ns]"),
        }
    )
)
TEXTS = st.lists(st.text(), max_size=4).map(lambda texts: np.array([*texts, None], dtype=object)[:-1])
LEAVES = st.builds(
    Leaf,
    flag=st.booleans(),
    whole=st.integers(),
    number=st.floats(),
    text=st.text(st.characters()),  # lone surrogates too
    perhaps=st.none() | st.floats(),
    numbers=arrays_of("f8 >f8"),
    any_numbers=arrays_of("f4 f2 i8 i4 i2 i1 u8 u4 u2 u1 ? >i4"),
    texts=TEXTS | TEXTS.map(lambda texts: texts[:, None]),
    names=st.lists(st.text(st.characters(exclude_characters="\0")), max_size=3).map(
        lambda texts: np.array(texts, dtype=str)
    ),
    dates=st.lists(DATES, max_size=3).map(lambda each: np.array([*each, "NaT"], dtype="datetime64[ns]")),
    table=TABLES,
)
KEYS = st.text() | st.sampled_from(["a", "a.b", "b", ""])
TREES = st.recursive(
    LEAVES,
    lambda inner: st.builds(
        Branch,
        one=st.none() | inner,
        several=st.lists(inner, max_size=2).map(tuple),
        pair=st.tuples(st.integers(), st.text()),
        named=st.dictionaries(KEYS, inner, max_size=2),
        arrays=st.dictionaries(KEYS, st.dictionaries(KEYS, arrays_of("f4 i8"), max_size=3), max_size=3),
    ),
    max_leaves=4,
)


def same(a: Any, b: Any) -> bool:
    """Whether two values are of one type and equal to the last bit; NaN is NaN."""
    if isinstance(a, np.ndarray):
        a = a.astype(a.dtype.newbyteorder("="))
        if a.dtype.kind in "OU":
            return bool(a.dtype.kind == b.dtype.kind and a.shape == b.shape and (a == b).all())
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if type(a) is not type(b):
        return False
    if isinstance(a, saving.Saved):
        return all(same(getattr(a, item.name), getattr(b, item.name)) for item in fields(a))  # type: ignore[arg-type]
    if isinstance(a, pd.DataFrame):
        return list(a) == list(b) and all(same(a[name].to_numpy(), b[name].to_numpy()) for name in a)
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    return repr(a) == repr(b)  # to the sign of zero


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(tree=TREES)
def test_whatever_the_fields_may_hold_survives(tmp_path_factory: pytest.TempPathFactory, tree: Leaf | Branch) -> None:
    folder = tmp_path_factory.getbasetemp() / "tree"
    write_saved(folder, tree)
    assert same(tree, read_saved(folder, type(tree)))
    assert same(tree, read_saved(folder, saving.Saved))


LEAF = Leaf(
    True, 1, 1.0, "", None, np.ones(1), np.ones(1), *(np.array(["a"]),) * 2, np.ones(1, "M8[ns]"), pd.DataFrame()
)


def test_arrays_whose_paths_read_alike_are_kept_apart(tmp_path: Path) -> None:
    numbers = iter(range(9))
    alike = {"a": {"b.c": 0, "b.c_": 0}, "a.b": {"c": 0, "c_": 0, "c__": 0}}
    arrays = {key: {name: np.array([float(next(numbers))]) for name in inner} for key, inner in alike.items()}
    branch = Branch(None, (), (1, ""), {}, arrays)
    write_saved(tmp_path, branch)
    assert same(branch, read_saved(tmp_path, Branch))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("texts", np.array(["a", None], dtype=object)),
        ("texts", np.array([pd.Timestamp("2019-01-01", tz="UTC")], dtype=object)),
        ("any_numbers", np.ones(2, dtype=complex)),
        ("any_numbers", np.ones(2, dtype=np.longdouble)),
        ("any_numbers", np.ones(2, dtype="m8[s]")),
        ("any_numbers", np.zeros(2, dtype=[("a", "f8")])),
        ("table", pd.DataFrame({"a": [1.0]}, index=["x"])),
        ("table", pd.DataFrame({"a": [1.0, 2.0]}, index=[1, 0])),
        ("table", pd.DataFrame({0: [1.0]})),
        ("table", pd.DataFrame({"a": pd.to_datetime(["2019-01-01"]).tz_localize("UTC")})),
        ("table", pd.DataFrame({"a": ["b", None]})),
        ("text", b"bytes"),
        ("number", [1.0]),
        ("number", {1: 2.0}),
        ("number", len),
        ("number", Leaf),
    ],
)
def test_what_would_not_come_back_as_it_was_is_not_written(tmp_path: Path, field: str, value: Any) -> None:
    write_saved(tmp_path / "whole", LEAF)
    with pytest.raises(TypeError, match=f"model.{field}"):
        write_saved(tmp_path / "not", replace(LEAF, **{field: value}))
    assert not (tmp_path / "not").exists()


def test_a_killed_writer_leaves_no_mixture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_saved(tmp_path, Constant(1.0))
    write_text = atomic.write_text

    def killed(path: Path, text: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(atomic, "write_text", killed)
    with pytest.raises(KeyboardInterrupt):
        write_saved(tmp_path, FittedRidge(np.ones(3), 2.0))
    with pytest.raises(InputError, match="is not the file that it was written with"):
        read_saved(tmp_path, FittedEstimator)
    monkeypatch.setattr(atomic, "write_text", write_text)
    write_saved(tmp_path, FittedRidge(np.ones(3), 2.0))
    assert read_saved(tmp_path, FittedRidge).intercept == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == [ARRAYS, MODEL]


def test_two_classes_of_one_name_cannot_both_be_saved() -> None:
    with pytest.raises(TypeError, match=r"Constant: model_utils\.estimators\.estimator has a saved class of this name"):
        type("Constant", (FittedEstimator,), {"__module__": "elsewhere"})
    assert saving.Saved.kinds["Constant"] is Constant
