"""Saved models of the weather: they come back equal, and a tampered one never gets as far as being walked."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestRegressor

from model_utils.errors import InputError
from model_utils.estimators.forests import checkpoint
from model_utils.estimators.forests.checkpoint import FILE, RtRfMetadata, kept_rt_rf, load_rt_rf, save_rt_rf
from model_utils.estimators.forests.rt_rf import RtRf, fit_rt_rf

NAMES = ("temperature_c", "relative_humidity_pct", "pressure_hpa")
METADATA = RtRfMetadata("Delhi", "a" * 64, "b" * 64, ("Alipur", "Lodhi Road"), 3, NAMES)
Weather = NDArray[np.float64]


def rows(seed: int, count: int = 80) -> tuple[Weather, Weather]:
    generator = np.random.default_rng(seed)
    weather = generator.uniform([5, 20, 960], [40, 100, 1000], (count, 3))
    return weather, 150 - 3 * weather[:, 0] + generator.normal(0, 5, count)


@pytest.fixture(scope="module")
def model() -> RtRf:
    return fit_rt_rf(*rows(0), seed=3)


@pytest.fixture(scope="module")
def whole(model: RtRf, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("Delhi")
    save_rt_rf(folder, model, METADATA)
    return (folder / FILE).read_bytes()


def members(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(parts: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def with_schema(data: bytes, change: Callable[[dict[str, Any]], None]) -> bytes:
    parts = members(data)
    schema = json.loads(parts["schema.json"])
    change(schema["content"])
    return packed(parts | {"schema.json": json.dumps(schema).encode()})


def with_array(data: bytes, trees: str, name: str, change: Callable[[Any], Any]) -> bytes:
    """Changes one array inside the file; the change may work in place."""
    parts = members(data)
    file = json.loads(parts["schema.json"])["content"][trees]["content"][name]["file"]
    array = np.load(io.BytesIO(parts[file]))
    changed = change(array)
    buffer = io.BytesIO()
    np.save(buffer, array if changed is None else changed)
    return packed(parts | {file: buffer.getvalue()})


def put(index: int, value: float) -> Callable[[Any], Any]:
    def change(array: Any) -> None:
        array[index] = value

    return change


def refusal(folder: Path, data: bytes) -> str:
    """What loading says; one line that begins with the file."""
    (folder / FILE).write_bytes(data)
    with pytest.raises(InputError) as caught:
        load_rt_rf(folder)
    message = str(caught.value)
    assert message.startswith(f"{folder / FILE}: ")
    assert "\n" not in message
    assert len(message) < 500 + len(str(folder))
    return message


def test_comes_back_equal(model: RtRf, whole: bytes, tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(whole)
    loaded, metadata = load_rt_rf(tmp_path)
    assert metadata == METADATA
    weather, _ = rows(1)
    np.testing.assert_array_equal(loaded.forest(weather), model.forest(weather))
    np.testing.assert_array_equal(loaded.embedding(weather), model.embedding(weather))
    assert len(whole) < 2**20


def test_a_killed_writer_leaves_the_old_file(
    model: RtRf, whole: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / FILE).write_bytes(whole)

    def broken(content: Any, path: Path, **_: Any) -> None:
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(skops.io, "dump", broken)
    with pytest.raises(KeyboardInterrupt):
        save_rt_rf(tmp_path, model, METADATA)
    assert [path.name for path in tmp_path.iterdir()] == [FILE]
    assert (tmp_path / FILE).read_bytes() == whole


@pytest.mark.parametrize("trees", ["embedding_trees", "forest_trees"])
@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("left", put(0, 10**9), "node 0 has left child 1000000000, expected 1 to "),
        ("right", put(0, -(10**9)), "node 0 has right child -1000000000"),
        ("left", put(1, 0), "left child 0"),  # a ring
        ("right", put(0, 1), "two parents"),
        ("left", put(0, 0), "node 0 is a leaf on one side only"),
        ("feature", put(0, 10**6), "node 0 looks at feature 1000000, expected 0 to "),
        ("feature", put(0, -2), "looks at feature -2"),
        ("threshold", put(0, np.nan), "not finite"),
        ("value", put(-1, np.inf), "not finite"),
        ("root", put(0, 1), "not ascending"),
        ("root", put(1, 0), "not ascending"),
        ("root", put(-1, 10**12), "not ascending"),
        ("root", lambda array: array[:-1], "trees, expected "),
        ("root", lambda array: array[:0], "found 0 trees"),
        ("root", lambda array: array.astype(np.float64), "expected int64 numbers"),
        ("left", lambda array: array[:-1], "differ in length"),
        ("value", lambda array: array[:0], "differ in length"),
        ("value", lambda array: array[:, None], "expected float64 numbers"),
        ("value", lambda array: np.float64(1), "expected float64 numbers"),
        ("left", lambda array: array.astype(">i8"), "expected int64 numbers"),
        ("feature", lambda array: array.astype("U20"), "expected int64 numbers"),
    ],
)
def test_trees_out_of_bounds(
    trees: str, name: str, change: Callable[[Any], Any], said: str, whole: bytes, tmp_path: Path
) -> None:
    message = refusal(tmp_path, with_array(whole, trees, name, change))
    assert said in message
    assert trees in message


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_number_changed_is_refused_or_walkable(data: st.DataObject, whole: bytes, tmp_path_factory: Any) -> None:
    folder = tmp_path_factory.mktemp("Delhi")
    trees = data.draw(st.sampled_from(["embedding_trees", "forest_trees"]))
    name = data.draw(st.sampled_from(["root", "left", "right", "feature"]))
    where, value = data.draw(st.integers(0, 49)), data.draw(st.integers(-(2**63), 2**63 - 1) | st.integers(-3, 300))
    (folder / FILE).write_bytes(with_array(whole, trees, name, put(where, value)))
    try:
        loaded, _ = load_rt_rf(folder)
    except InputError:
        return
    assert np.isfinite(loaded.forest(rows(2)[0])).all()


def as_type(loader: str, module: str, name: str, **more: Any) -> Callable[[dict[str, Any]], None]:
    def change(content: dict[str, Any]) -> None:
        content["format"] = {"__class__": name, "__module__": module, "__loader__": loader, **more}

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (as_type("TreeNode", "sklearn.tree._tree", "Tree"), "sklearn.tree._tree.Tree"),
        (as_type("ObjectNode", "sklearn.linear_model._base", "LinearRegression"), "LinearRegression"),
        (as_type("ObjectNode", "somewhere", "Unknown"), "somewhere.Unknown"),
        (as_type("FunctionNode", "os", "system"), "os.system"),
        (as_type("TypeNode", "subprocess", "Popen"), "subprocess.Popen"),
        (as_type("ConstructorFromReduceNode", "builtins", "exec"), "builtins.exec"),
        (as_type("DictNode", "collections", "OrderedDict", content={}), "collections.OrderedDict"),
        (as_type("NdArrayNode", "numpy", "void", type="numpy", file="x"), "numpy.void"),
        (as_type("JsonNode", "builtins", "eval", content="1"), "builtins.eval"),
        (as_type("NoSuchNode", "builtins", "dict"), "NoSuchNode"),
        (as_type("CachedNode", "builtins", "dict"), "CachedNode"),
        (as_type(["ListNode"], "builtins", "list"), "no readable model"),  # type: ignore[arg-type]
        (as_type("NdArrayNode", "numpy", "ndarray", type="json", content=[]), "no readable model"),
        (as_type("NdArrayNode", "numpy", "ndarray", type="numpy", file="../../x.npy"), "no readable model"),
        (as_type("JsonNode", "builtins", "str", content="2"), "format: found 2, expected 1"),
        (as_type("JsonNode", "builtins", "str", content="{"), "no readable model"),
        (lambda content: content.pop("metadata"), "no readable model (KeyError: 'metadata')"),
        (lambda content: content.pop("forest_trees"), "forest_trees"),
        (lambda content: content.update(forest_trees=content["metadata"]), "no readable model"),
        (lambda content: content["forest_trees"]["content"].pop("root"), "root"),
        (lambda content: content["forest_trees"]["content"].update(root=content["format"]), "forest_trees: root"),
    ],
)
def test_types_that_do_not_belong(
    change: Callable[[dict[str, Any]], None], said: str, whole: bytes, tmp_path: Path
) -> None:
    assert said in refusal(tmp_path, with_schema(whole, change))


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("seed", "true", "seed: found 'True', expected int"),
        ("seed", "1.5", "seed: found '1.5', expected int"),
        ("city", "null", "city: found 'None', expected str"),
        ("weather", '["temperature_c", "wind"]', "weather: found"),
        ("weather", "[]", "weather: found"),
        ("training_stations", "[1]", "training_stations: found '[1]'"),
        ("training_stations", '"Alipur"', "training_stations: found 'Alipur'"),
        ("weather", '["temperature_c"]', "embedding_trees: node"),  # the trees look at more
    ],
)
def test_metadata_are_checked(name: str, value: str, said: str, whole: bytes, tmp_path: Path) -> None:
    def change(content: dict[str, Any]) -> None:
        json_node = {"__class__": "str", "__module__": "builtins", "__loader__": "JsonNode", "content": value}
        content["metadata"]["content"][name] = json_node

    assert said in refusal(tmp_path, with_schema(whole, change))


def test_metadata_with_other_keys(whole: bytes, tmp_path: Path) -> None:
    assert "metadata: found" in refusal(
        tmp_path, with_schema(whole, lambda content: content["metadata"]["content"].pop("city"))
    )


def test_a_forest_of_scikit_learn_is_refused(tmp_path: Path) -> None:
    weather, pm25 = rows(0)
    data = skops.io.dumps({"format": 1, "forest": RandomForestRegressor(3).fit(weather, pm25)})
    assert "expected arrays and plain values only" in refusal(tmp_path, data)


@pytest.mark.parametrize("content", [b"", b"PK", b"not a zip" * 100])
def test_not_a_zip(content: bytes, tmp_path: Path) -> None:
    assert "no readable model" in refusal(tmp_path, content)


def test_truncated_or_flipped(whole: bytes, tmp_path: Path) -> None:
    for length in np.linspace(0, len(whole) - 1, 12).astype(int):
        refusal(tmp_path, whole[:length])
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        largest = max(archive.infolist(), key=lambda member: member.compress_size)
    at = largest.header_offset + 200  # within its compressed bytes
    refusal(tmp_path, whole[:at] + bytes([whole[at] ^ 255]) + whole[at + 1 :])


def test_missing_or_a_directory(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not found"):
        load_rt_rf(tmp_path)
    (tmp_path / FILE).mkdir()
    with pytest.raises(InputError, match="not found"):
        load_rt_rf(tmp_path)


def test_size_limits(whole: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LARGEST_FILE", "LARGEST_SCHEMA", "LARGEST_ARRAYS"):
        with monkeypatch.context() as limits:
            limits.setattr(checkpoint, name, 1000)
            assert "bytes, expected at most 1,000" in refusal(tmp_path, whole)


def bombs(whole: bytes) -> dict[str, bytes]:
    """Files that would take much memory if they were read first and judged afterwards."""
    parts, zeros = members(whole), bytes(2**27)

    def one_array_many_times(content: dict[str, Any]) -> None:
        node = content["forest_trees"]["content"]["left"]
        copies = [{**node, "__id__": number, "file": "large.npy"} for number in range(2000)]
        content["more"] = {"__class__": "list", "__module__": "builtins", "__loader__": "ListNode", "content": copies}

    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<i8", "fortran_order": False, "shape": (10**13,)})
    file = json.loads(parts["schema.json"])["content"]["forest_trees"]["content"]["left"]["file"]
    many = members(with_schema(whole, one_array_many_times)) | {"large.npy": zeros[: 2**22]}
    return {
        "schema": packed(parts | {"schema.json": zeros}),
        "array": packed(parts | {file: zeros}),
        "often": packed(many),
        "header": packed(parts | {file: header.getvalue()}),
        "deep": packed(parts | {"schema.json": b"[" * 500_000}),
    }


LOAD = """
import resource, sys
from pathlib import Path
from model_utils.errors import InputError
from model_utils.estimators.forests.checkpoint import load_rt_rf

used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 2**26, used + 2**26))  # half of what the bombs expand to
for folder in sys.argv[1:]:
    try:
        load_rt_rf(Path(folder))
    except InputError as error:
        print(error)
    else:
        sys.exit("was loaded")
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is limited as Linux does it")
def test_bombs_are_refused_in_little_memory(whole: bytes, tmp_path: Path) -> None:
    for name, data in bombs(whole).items():
        (tmp_path / name).mkdir()
        (tmp_path / name / FILE).write_bytes(data)
        assert len(data) < 2**21
    said = {"schema": "schema: found 134,217,728 bytes", "array": "arrays: found 134", "often": "arrays: found 8,3"}
    said |= {"header": "no readable model", "deep": "no readable model (RecursionError"}
    command = [sys.executable, "-c", LOAD, *(str(tmp_path / name) for name in said)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    for line, expected in zip(result.stdout.splitlines(), said.values(), strict=True):
        assert expected in line


def test_kept_model_is_used_while_it_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weather, pm25 = rows(0)
    fits = []

    def counted(*args: Any) -> RtRf:
        fits.append(args)
        return fit_rt_rf(*args)

    monkeypatch.setattr(checkpoint, "fit_rt_rf", counted)
    first = kept_rt_rf(tmp_path / "Delhi", weather, pm25, METADATA)
    again = kept_rt_rf(tmp_path / "Delhi", weather, pm25, METADATA)
    assert len(fits) == 1
    np.testing.assert_array_equal(first.forest(weather), again.forest(weather))
    other = RtRfMetadata("Delhi", "a" * 64, "b" * 64, ("Alipur",), 3, NAMES)
    kept_rt_rf(tmp_path / "Delhi", weather[:40], pm25[:40], other)
    assert len(fits) == 2
    (tmp_path / "Delhi" / FILE).write_bytes(b"damaged")
    kept_rt_rf(tmp_path / "Delhi", weather, pm25, METADATA)
    assert len(fits) == 3
    assert load_rt_rf(tmp_path / "Delhi")[1] == METADATA
