"""Pickles of the 2022 code: what they hold comes out."""

from __future__ import annotations

import copyreg
import io
import pickle
import subprocess
import sys
from datetime import date, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest
from legacy_samples import PROTOCOLS, WEATHER, sample, written_to

from model_utils.ingest.legacy.samples import LegacySample, read_legacy


def assert_same(read: list[LegacySample], written: list[dict[str, Any]]) -> None:
    assert [each.number for each in read] == list(range(1, len(written) + 1))
    for found, expected in zip(read, written, strict=True):
        np.testing.assert_array_equal(found.image, expected["Image"])
        assert found.image.dtype == np.uint8
        assert found.pm25 == expected["PM25"]
        assert found.station == str(expected["Station_index"])
        assert found.time == expected["Meteo"].name
        assert pd.Series(found.weather).equals(pd.Series(expected["Meteo"].to_dict()))
        assert (found.latitude, found.longitude) == (expected["lat"], expected["lon"])


class OldPickler(pickle._Pickler):
    """Writes the names and the states that numpy 1 and pandas 1 wrote (their `__reduce__` and `__getstate__`)."""

    def __init__(self, file: io.BytesIO, protocol: int, mgr_key: str = "_mgr") -> None:
        super().__init__(file, protocol)
        self.mgr_key = mgr_key

    def save_global(self, obj: Any, name: str | None = None) -> None:
        module, name = obj.__module__, obj.__qualname__
        module = module.replace("numpy._core", "numpy.core")
        module = {pd.Series: "pandas.core.series", pd.Index: "pandas.core.indexes.base"}.get(obj, module)
        if self.proto >= 4:
            self.save(module)
            self.save(name)
            self.write(pickle.STACK_GLOBAL)
        else:
            self.write(pickle.GLOBAL + f"{module}\n{name}\n".encode())
        self.memoize(obj)

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, pd.Timestamp):  # without the resolution that pandas 2 added
            function = pd._libs.tslibs.timestamps._unpickle_timestamp
            return (function if self.mgr_key == "_mgr" else pd.Timestamp), (obj.as_unit("ns").value, None, None)
        if isinstance(obj, pd.Series):
            state = {self.mgr_key: obj._mgr, "_typ": "series", "_metadata": ["name"], "attrs": {}, "name": obj.name}
            return copyreg.__newobj__, (pd.Series,), state
        return obj.__qualname__ if isinstance(obj, type(sample)) else NotImplemented


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("by_date", [False, True])
@pytest.mark.parametrize("dumps", [pickle.dumps, pickle._dumps], ids=["C", "Python"])
def test_both_layouts_in_every_protocol(tmp_path, protocol, by_date, dumps) -> None:
    samples = [sample(number) for number in range(7)]
    content = [samples[:3], samples[3:4], [], samples[4:]] if by_date else samples
    path = written_to(tmp_path, dumps(content, protocol=protocol))
    assert_same(list(read_legacy(path)), samples)


@pytest.mark.parametrize("protocol", range(2, 6))
@pytest.mark.parametrize("mgr_key", ["_mgr", "_data"])
def test_names_and_states_of_pandas_1(tmp_path, protocol, mgr_key) -> None:
    samples = [sample(number) for number in range(5)]
    file = io.BytesIO()
    OldPickler(file, protocol, mgr_key).dump(samples)
    for name in (b"pandas.core.series", b"numpy.core.", mgr_key.encode()):
        assert name in file.getvalue()
    assert b"numpy._core" not in file.getvalue()
    assert_same(list(read_legacy(written_to(tmp_path, file.getvalue()))), samples)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_rows_of_one_table_and_parts_shared_between_samples(tmp_path, protocol) -> None:
    table = pd.DataFrame(
        np.arange(80.0).reshape(20, 4), columns=WEATHER, index=pd.date_range("2019-01-01 10:30", periods=20, freq="D")
    )
    rows = [table.iloc[number] for number in range(20)]
    reading = np.float64(55.5)
    samples = [sample(number, Meteo=rows[number % 7], PM25=reading) for number in range(20)]
    samples += [sample(number, Meteo=table.iloc[number]) for number in range(20)]
    assert_same(list(read_legacy(written_to(tmp_path, samples, protocol))), samples)


def test_more_samples_than_a_batch_of_the_pickler(tmp_path) -> None:
    samples = [sample(number % 50, size=2) for number in range(2500)]
    assert_same(list(read_legacy(written_to(tmp_path, samples))), samples)


@pytest.mark.parametrize(
    "name", ["2019-01-04 10:30:00", "2019-01-04", date(2019, 1, 4), datetime(2019, 1, 4, 10, 30, 5)]
)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_times_as_text_and_as_pythons(tmp_path, name, protocol) -> None:
    series = pd.Series([1.0], index=pd.Index(["AT"], dtype=object), name=name)
    (read,) = read_legacy(written_to(tmp_path, [sample(0, Meteo=series)], protocol))
    assert read.time == pd.Timestamp(name)


@pytest.mark.parametrize("unit", ["ns", "us", "ms", "s"])
def test_values_of_other_types(tmp_path, unit) -> None:
    time = np.datetime64("2019-01-04T10:30:00", unit)
    series = pd.Series([1, np.float32(2.5), "NW", None], index=WEATHER, name=time, dtype=object)
    image = np.asfortranarray(sample(0)["Image"])
    content = [
        sample(0, Image=image, PM25=None, Station_index=np.int64(3), Meteo=series, extra="x", lat=np.float32(28.5))
    ]
    (read,) = read_legacy(written_to(tmp_path, content))
    np.testing.assert_array_equal(read.image, image)
    assert np.isnan(read.pm25)
    assert (read.station, read.latitude, read.time) == ("3", 28.5, datetime(2019, 1, 4, 10, 30))
    assert read.weather.pop("WS") != read.weather["AT"]  # None is NaN
    assert read.weather == {"AT": 1.0, "RH": 2.5, "BP": "NW"}
    assert read.other_keys == ("extra",)


class LeanPickler(pickle._Pickler):
    """Writes what `pickle.dump` of a long list writes, and forgets each sample afterwards."""

    count = 0

    def memoize(self, obj: Any) -> None:
        self.write(pickle.MEMOIZE)
        self.memo[id(obj)] = self.count, obj
        self.count += 1

    def dump_batches(self, samples: Any) -> None:
        self.write(pickle.PROTO + bytes([4]) + pickle.EMPTY_LIST)
        self.memoize(samples)
        for batch in samples:
            self.write(pickle.MARK)
            for each in batch:
                self.save(each)
                kept = (str, type, type(lambda: 0), type(pickle.dumps))
                self.memo = {key: entry for key, entry in self.memo.items() if isinstance(entry[1], kept)}
            self.write(pickle.APPENDS)
        self.write(pickle.STOP)


@pytest.mark.slow
def test_two_gigabytes_stream_in_little_memory(tmp_path) -> None:
    path = tmp_path / "large.pkl"
    images = [np.full((1600, 1600, 3), value, np.uint8) for value in range(8)]
    numbers = [range(start, start + 40) for start in range(0, 280, 40)]
    samples = (
        ({**sample(number, size=1), "Image": images[number % 8].copy()} for number in batch) for batch in numbers
    )
    expected = sum(number % 8 for number in range(280))
    with path.open("wb") as file:
        LeanPickler(file, 4).dump_batches(samples)
    assert path.stat().st_size > 2 * 2**30
    program = (
        "import pathlib, sys\n"
        "from model_utils.ingest.legacy.samples import read_legacy\n"
        "total = sum(int(sample.image[0, 0, 0]) for sample in read_legacy(pathlib.Path(sys.argv[1])))\n"
        "status = pathlib.Path('/proc/self/status').read_text()\n"  # getrusage would count the parent's memory too
        "print(total, status.split('VmHWM:')[1].split()[0])\n"
    )
    try:
        done = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True)
    finally:
        path.unlink()
    total, kilobytes = map(int, done.stdout.split())
    assert total == expected
    assert kilobytes < 400 * 1024
