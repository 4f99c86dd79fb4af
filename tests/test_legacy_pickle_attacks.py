"""Pickles that the 2022 code never wrote: nothing in them runs, and one line says why they are refused."""

from __future__ import annotations

import functools
import operator
import os
import pickle
import subprocess
import sys
import tracemalloc
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from legacy_samples import PROTOCOLS, sample, written_to

from model_utils.cli.main import main
from model_utils.errors import InputError
from model_utils.ingest.legacy.samples import read_legacy


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
