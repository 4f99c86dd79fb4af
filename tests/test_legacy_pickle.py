"""Pickles of the 2022 code: what they hold comes out, what they would run does not."""

from __future__ import annotations

import copyreg
import functools
import io
import operator
import os
import pickle
import subprocess
import sys
import tracemalloc
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model_utils.archive.reader import open_archive
from model_utils.cities import load_city
from model_utils.cli.main import main
from model_utils.errors import InputError
from model_utils.ingest.legacy.samples import LegacySample, read_legacy
from model_utils.project import SHIPPED_ROOT

WEATHER = pd.Index(["AT", "RH", "BP", "WS"], dtype=object)
PROTOCOLS = range(6)


def sample(number: int, size: int = 4, **changed: Any) -> dict[str, Any]:
    """A sample as the 2022 code held it: an image, a reading and the weather of its time."""
    generator = np.random.default_rng(number)
    time = pd.Timestamp("2019-01-04 10:30") + pd.Timedelta(days=number)
    meteo = pd.Series([12.5 + number, 61.0, 990.25, np.nan], index=WEATHER, name=time)
    return {
        "Image": generator.integers(0, 256, (size, size, 3), dtype=np.uint8),
        "PM25": np.float64(100.5 + number),
        "Station_index": number,
        "Meteo": meteo,
        "lat": 28.5 + 0.01 * number,
        "lon": 77.2,
        **changed,
    }


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


def written_to(folder: Path, content: object, protocol: int = 4) -> Path:
    path = folder / "data.pkl"
    path.write_bytes(content if isinstance(content, bytes) else pickle.dumps(content, protocol=protocol))
    return path


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


# What must be refused


class Evil:
    """Pickles as a call."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


def text(word: str) -> bytes:
    return b"\x8c" + bytes([len(word)]) + word.encode()


def named(module: str, name: str) -> bytes:
    return text(module) + text(name) + b"\x93"


def in_sample(value: bytes) -> bytes:
    """The instructions of a value, as the image of a sample."""
    return b"\x80\x04](}(" + text("Meteo") + b"N" + text("Image") + value + b"ue."


SHELL = text("touch sentinel")
ARRAY = named("numpy.core.multiarray", "_reconstruct") + named("numpy", "ndarray") + b"K\x00\x85C\x01b\x87R"
DTYPE = named("numpy", "dtype") + text("O8") + b"\x89\x88\x87R"
SERIES = named("pandas.core.series", "Series")


def attacks() -> dict[str, bytes]:
    def dumped(value: object) -> bytes:
        return pickle.dumps([{"Image": value}], protocol=4)

    shell = "touch sentinel"
    nested = pickle.dumps(Evil(os.system, shell))
    objects = np.empty(1, dtype=object)
    objects[0] = Evil(os.system, shell)
    return {
        "os.system": in_sample(named("os", "system") + SHELL + b"\x85R"),
        "posix.system": dumped(Evil(os.system, shell)),
        "old protocol": b"cos\nsystem\n(S'touch sentinel'\ntR.",
        "old names": b"(lp0\n(dp1\nVPM25\nc__builtin__\neval\n(Vopen('sentinel','w')\ntRsa.",
        "eval": dumped(Evil(eval, "open('sentinel', 'w')")),
        "exec": dumped(Evil(exec, "open('sentinel', 'w')")),
        "__import__": dumped(Evil(__import__, "antigravity")),
        "getattr": dumped(Evil(getattr, Evil(__import__, "os"), "system")),
        "subprocess": dumped(Evil(subprocess.Popen, ["touch", "sentinel"])),
        "partial": dumped(Evil(functools.partial(os.system, shell))),
        "methodcaller": dumped(Evil(operator.methodcaller("system", shell), "os")),
        "reduce chain": dumped(Evil(next, Evil(map, os.system, [shell]))),
        "object array": dumped(objects),
        "payload in the labels": in_sample(
            ARRAY + b"(K\x01K\x01\x85" + DTYPE + b"\x89](" + named("os", "system") + SHELL + b"\x85Retb"
        ),
        "nested pickle": dumped(Evil(pickle.loads, nested)),
        "torch gadget": in_sample(
            named("torch.storage", "_load_from_bytes") + b"C" + bytes([len(nested)]) + nested + b"\x85R"
        ),
        "numpy.load": dumped(Evil(np.load, "sentinel.npy", None, True)),
        "pandas.read_pickle": dumped(Evil(pd.read_pickle, "sentinel.pkl")),
        "function": in_sample(named("types", "FunctionType") + b")R"),
        "code": in_sample(named("types", "CodeType") + b")R"),
        "dotted name": in_sample(named("os", "path.os.system") + SHELL + b"\x85R"),
        "dotted name in numpy": in_sample(named("numpy", "ndarray.__class__.__base__") + b")R"),
        "numpy's own eval": in_sample(named("numpy.core.multiarray", "os.system") + SHELL + b"\x85R"),
        "a class is called": in_sample(SERIES + b")R"),
        "ndarray is called": in_sample(named("numpy", "ndarray") + b"K\x01\x85\x85R"),
        "reconstructor of object": in_sample(
            named("copyreg", "_reconstructor") + named("builtins", "object") * 2 + b"N\x87R"
        ),
        "reconstructor of slice": in_sample(
            named("copyreg", "_reconstructor") + named("builtins", "slice") + named("builtins", "object") + b"N\x87R"
        ),
        "state of a name": in_sample(SERIES + b"}" + text("__reduce__") + SHELL + b"sb"),
        "__setstate__": in_sample(SERIES + b")\x81}" + text("__setstate__") + named("os", "system") + b"sb"),
        "state given twice": in_sample(SERIES + b")\x81}b}b"),
        "state of a dict": in_sample(b"}}" + text("__class__") + SHELL + b"sb"),
        "state of a slice": in_sample(named("builtins", "slice") + b"K\x01\x85R}b"),
        "NEWOBJ of a function": in_sample(named("_codecs", "encode") + b")\x81"),
        "NEWOBJ_EX": in_sample(SERIES + b")}\x92"),
        "INST": b"\x80\x02](ios\nsystem\ne.",
        "INST of a known name": b"\x80\x02](ipandas\nSeries\ne.",
        "OBJ": b"\x80\x02](cpandas\nSeries\noe.",
        "EXT1": in_sample(b"\x82\x01"),
        "EXT4": in_sample(b"\x84\x01\x00\x00\x00"),
        "PERSID": in_sample(b"Pos.system\n"),
        "BINPERSID": in_sample(SHELL + b"Q"),
        "out-of-band buffer": in_sample(b"\x97"),
        "codec": in_sample(named("_codecs", "decode") + b")R"),
        "a memo entry that is not there": in_sample(b"h\x7f"),
        "a memo entry written twice": in_sample(b"}q\x00}q\x00"),
        "the list inside itself": b"\x80\x04]\x94h\x00a.",
        "a list of lists of lists": b"\x80\x04]]]aa.",
        "no list": b"\x80\x04}.",
        "a number": b"\x80\x04K\x01.",
        "a name as the list": b"\x80\x04" + named("os", "system") + b".",
        "a set": in_sample(b"\x8f"),
        "bytes of Python 2": in_sample(b"U\x01a"),
        "numbers as keys": b"\x80\x04]}K\x01K\x02sa.",
        "two pickles": pickle.dumps([]) + pickle.dumps([]),
        "ends early": pickle.dumps([sample(0)])[:-40],
        "nothing": b"",
        "text": b"PM25,Image\n1,2\n",
        "laughs": in_sample(b")\x94" + b"".join(b"h" + bytes([n]) + b"\x86\x94" for n in range(100))),
        "deep": in_sample(b"(" * 10_000),
        "many": in_sample(b"}" * 200_000),
        "claims": in_sample(b"\x8e" + (10**18).to_bytes(8, "little")),
        "claims text": in_sample(b"\x8d" + (10**18).to_bytes(8, "little")),
        "claims a bytearray": in_sample(b"\x96" + (2**63).to_bytes(8, "little")),
        "long number": in_sample(b"\x8b\xff\xff\xff\x7f"),
        "long digits": in_sample(b"L" + b"9" * 10_000 + b"L\n"),
    }


ATTACKS = attacks()
EVENTS: list[str] = []
WATCHED = {"os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.Popen", "pickle.find_class", "code.__new__"}
_watching = False


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if _watching and event in WATCHED:
        EVENTS.append(event)


sys.addaudithook(_audit)


@pytest.mark.parametrize("name", ATTACKS)
def test_is_refused_and_nothing_ran(tmp_path, monkeypatch, name) -> None:
    global _watching
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "attack.pkl"
    path.write_bytes(ATTACKS[name])
    EVENTS.clear()
    tracemalloc.start()
    _watching = True
    try:
        with pytest.raises(InputError) as refused:
            list(read_legacy(path))
    finally:
        _watching = False
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert EVENTS == []
    assert [file.name for file in tmp_path.iterdir()] == ["attack.pkl"]
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < len(str(path)) + 250
    assert "is missing" not in str(refused.value)
    assert peak < 60e6


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("os.system", "os.system"),
        ("posix.system", "posix.system"),
        ("eval", "builtins.eval"),
        ("old names", "__builtin__.eval"),
        ("subprocess", "subprocess.Popen"),
        ("nested pickle", "_pickle.loads"),
        ("torch gadget", "torch.storage._load_from_bytes"),
        ("dotted name", "os.path.os.system"),
        ("pandas.read_pickle", f"{pd.read_pickle.__module__}.read_pickle"),
        ("INST", "os.system"),
    ],
)
def test_what_it_asked_for_is_named(tmp_path, name, asked) -> None:
    with pytest.raises(InputError, match=f"refers to {asked}, which no file of the 2022 code needs"):
        list(read_legacy(written_to(tmp_path, ATTACKS[name])))


def test_an_attack_behind_good_samples_leaves_no_archive(tmp_path, capsys) -> None:
    content = [sample(number) for number in range(1200)] + [{"Image": Evil(os.system, "touch sentinel")}]
    path = written_to(tmp_path, content)
    words = ["prepare", "--city", "Delhi", "--legacy", str(path), "--gsd", "3", "--root", str(tmp_path)]
    assert main(words) == 2
    assert "posix.system" in capsys.readouterr().err
    assert not (tmp_path / "data" / "Delhi" / "archive.json").exists()


VALID = {
    protocol: pickle.dumps([sample(number, size=2) for number in range(3)], protocol=protocol) for protocol in PROTOCOLS
}


@settings(max_examples=400, deadline=2000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_mutated_files_are_refused_or_read(tmp_path, data) -> None:
    content = bytearray(VALID[data.draw(st.sampled_from(PROTOCOLS))])
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        kind = data.draw(st.sampled_from(["change", "cut", "insert", "repeat", "remove"]))
        if kind == "change":
            content[place] = data.draw(st.integers(0, 255))
        elif kind == "cut":
            content = content[: place + 1]
        elif kind == "insert":
            content[place:place] = data.draw(st.binary(min_size=1, max_size=9))
        elif kind == "repeat":
            content[place:place] = content[place : place + data.draw(st.integers(1, 200))]
        else:
            del content[place : place + data.draw(st.integers(1, 20))]
            content = content or bytearray(b".")
    path = tmp_path / "mutated.pkl"
    path.write_bytes(bytes(content))
    refusal = f"{path}:"
    tracemalloc.start()
    try:
        for read in read_legacy(path):
            assert read.image.dtype == np.uint8
            assert read.image.ndim == 3
            assert type(read.pm25) is float
            assert type(read.time) is datetime
            assert all(type(value) in (float, str) for value in read.weather.values())
    except InputError as error:
        refusal = str(error)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert refusal.startswith(f"{path}:")
    assert "\n" not in refusal
    assert peak < 20e6


# What becomes of the samples


def prepare(root: Path, content: list[Any], *words: str) -> int:
    path = written_to(root, content)
    return main(["prepare", "--city", "Delhi", "--legacy", str(path), "--gsd", "3", "--root", str(root), *words])


def test_samples_become_the_rows_of_an_archive(tmp_path, capsys) -> None:
    samples = [sample(number) for number in range(5)]
    samples[1]["PM25"], samples[2]["PM25"], samples[3]["PM25"] = -999, 985.0, None
    midnight = samples[4]["Meteo"].copy()
    midnight.name = pd.Timestamp("2019-06-01")
    samples[4]["Meteo"] = midnight
    assert prepare(tmp_path, [samples[:2], samples[2:]]) == 0
    said = capsys.readouterr().out
    archive = open_archive(tmp_path / "data" / "Delhi")
    rows = archive.samples
    np.testing.assert_array_equal(archive.tiles(), np.stack([each["Image"] for each in samples]))
    np.testing.assert_array_equal(rows["pm25"], np.float32([100.5, np.nan, np.nan, np.nan, 104.5]))
    np.testing.assert_array_equal(rows["pm25_unfiltered"], [100.5, -999, 985, np.nan, 104.5])
    assert rows["quality"].tolist() == ["", "missing_code", "saturated", "", ""]
    assert str(rows["time_utc"][0]) == "2019-01-04 05:00:00+00:00"  # 10:30 in Delhi
    assert str(rows["time_utc"][4]) == "2019-06-01 05:00:00+00:00"  # the overpass at 10:30
    assert rows["local_date"].astype(str).tolist()[::4] == ["2019-01-04", "2019-06-01"]
    assert rows["temperature_c"].tolist() == [12.5, 13.5, 14.5, 15.5, 16.5]
    assert rows["pressure_hpa"].tolist() == [990.25] * 5
    assert rows["weather_WS"].isna().all()
    assert rows["latitude"].tolist() == [28.5 + 0.01 * number for number in range(5)]
    assert rows["site_id"].tolist() == list("01234")
    assert rows["sample_id"].is_unique
    for words in ("local time of Asia/Kolkata", "1 samples have a date without a time", "1 missing_code"):
        assert words in said


def test_pressure_in_mmhg_and_impossible_weather(tmp_path, capsys) -> None:
    samples = [sample(number) for number in range(3)]
    for number, each in enumerate(samples):
        each["Meteo"] = each["Meteo"].copy()
        each["Meteo"]["BP"] = 742.0
        each["Meteo"]["RH"] = (50.0, 130.0, -1.0)[number]
    assert prepare(tmp_path, samples) == 0
    said = capsys.readouterr().out
    rows = open_archive(tmp_path / "data" / "Delhi").samples
    np.testing.assert_allclose(rows["pressure_hpa"], 742 * 1013.25 / 760, rtol=1e-6)
    np.testing.assert_array_equal(rows["relative_humidity_pct"], np.float32([50, np.nan, np.nan]))
    assert "taken as mmHg" in said
    assert "2 weather values are impossible" in said


def test_stations_by_the_citys_names_or_from_a_table(tmp_path, capsys) -> None:
    station = load_city("Delhi", SHIPPED_ROOT).stations[3]
    named_so = station.name.replace("_", " ").upper()
    without = [{**sample(number), "Station_index": (named_so, 7)[number]} for number in range(2)]
    for each in without:
        del each["lat"], each["lon"]
    assert prepare(tmp_path, without) == 2
    assert "station 7 has no lat and lon" in capsys.readouterr().err
    table = tmp_path / "stations.csv"
    table.write_text("station,latitude,longitude\n7,28.61,77.21\n")
    assert prepare(tmp_path, without, "--stations", str(table)) == 0
    rows = open_archive(tmp_path / "data" / "Delhi").samples
    assert rows["site_id"].tolist() == [station.name, "7"]
    assert rows["latitude"].tolist() == [station.latitude, 28.61]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"Image": np.zeros((5, 5, 3), np.uint8)}, "sample 2: Image is 5 x 5 x 3, sample 1 has 4 x 4 x 3"),
        ({"Image": np.zeros((4, 5, 3), np.uint8)}, "sample 2: Image is 4 x 5 x 3, expected a square"),
        ({"Image": np.zeros((4, 4, 4), np.uint8)}, "sample 2: Image is 4 x 4 x 4, expected a square of 3 bands"),
        ({"Image": np.zeros((4, 4, 3))}, "sample 2: Image is float64 4 x 4 x 3, expected uint8"),
        ({"Image": "x"}, "sample 2: Image: found str, expected a numpy array"),
        ({"PM25": "high"}, "sample 2: PM25 is 'high', expected a number"),
        ({"PM25": True}, "sample 2: PM25 is True, expected a number"),
        ({"Station_index": 1.5}, "sample 2: Station_index is 1.5"),
        ({"Station_index": 0}, "sample 2: station 0 is at 28.51, 77.2, but since sample 1 at 28.5, 77.2"),
        ({"lat": 95.0}, "sample 2: lat, lon are 95, 77.2"),
        ({"Meteo": None}, "sample 2: Meteo: found NoneType, expected a pandas Series"),
        (
            {"Meteo": pd.Series([1.0], index=pd.Index(["AT"], dtype=object), name="monday")},
            "sample 2: Meteo is named 'monday'",
        ),
        ({"Meteo": pd.Series([1.0], index=pd.Index(["AT"], dtype=object), name="2019-01-01T10:30Z")}, "without a zone"),
    ],
)
def test_wrong_samples_are_named(tmp_path, capsys, changed, words) -> None:
    assert prepare(tmp_path, [sample(0), sample(1, **changed)]) == 2
    said = capsys.readouterr()
    assert words in said.err
    assert said.err.count("\n") == 1
    assert not (tmp_path / "data" / "Delhi" / "archive.json").exists()


def test_wrong_paths(tmp_path, capsys) -> None:
    for path in (tmp_path, tmp_path / "missing.pkl"):
        words = ["prepare", "--city", "Delhi", "--legacy", str(path), "--gsd", "3", "--root", str(tmp_path)]
        assert main(words) == 2
        assert f"{path}: not readable" in capsys.readouterr().err
    assert prepare(tmp_path, []) == 2
    assert "the list is empty" in capsys.readouterr().err
    assert prepare(tmp_path, [sample(0, lat=51.5, lon=-0.1)]) == 2
    assert "no station lies in the bounding box of Delhi" in capsys.readouterr().err


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
    images = [np.full((320, 320, 3), value, np.uint8) for value in range(256)]
    numbers = [range(start, start + 1000) for start in range(0, 7000, 1000)]
    samples = (
        ({**sample(number, size=1), "Image": images[number % 256].copy()} for number in batch) for batch in numbers
    )
    expected = sum(number % 256 for number in range(7000))
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
