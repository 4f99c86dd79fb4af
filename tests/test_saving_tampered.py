"""Saved models that were touched: each is refused in a line that names the file, and nothing of it runs."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from golden_estimators import seen_by
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.numpy import load, save
from saved_estimators import FINE_TUNED, NAMES, Fits, predicted, rows_and_features, save_fits

from model_utils.errors import InputError
from model_utils.estimators import saving
from model_utils.estimators.estimator import FittedEstimator
from model_utils.estimators.saving import ARRAYS, LARGEST_MODEL, MODEL, read_saved


@pytest.fixture(scope="module")
def fits(tmp_path_factory: pytest.TempPathFactory) -> Fits:
    return save_fits(tmp_path_factory.mktemp("saved"))


class Parts:
    """A saved model in pieces: what may be changed before it is written with hashes that fit."""

    def __init__(self, folder: Path) -> None:
        self.model: Any = json.loads((folder / MODEL).read_text())["model"]
        self.arrays = load((folder / ARRAYS).read_bytes())

    def write(self, folder: Path) -> None:
        self.write_with(folder, save(self.arrays))

    def write_with(self, folder: Path, data: bytes) -> None:
        folder.mkdir(exist_ok=True)
        content = {
            "format": saving.FORMAT,
            "arrays_sha256": saving.hashlib.sha256(data).hexdigest(),
            "model_sha256": saving._hash_of(self.model),
            "model": self.model,
        }
        (folder / ARRAYS).write_bytes(data)
        (folder / MODEL).write_text(json.dumps(content))


class RunsWhenRead:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch /tmp/never",)


def flipped(file: str, where: float) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        data = bytearray((folder / file).read_bytes())
        data[int(where * len(data))] ^= 1
        (folder / file).write_bytes(bytes(data))

    return change


def content_of(file: str, content: bytes) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / file).write_bytes(content)

    return change


def replaced(old: str, new: str) -> Callable[[Path], None]:
    """Edits the text of the JSON, as with an editor."""

    def change(folder: Path) -> None:
        text = (folder / MODEL).read_text()
        assert old in text
        (folder / MODEL).write_text(text.replace(old, new, 1))

    return change


def rehashed(edit: Callable[[Parts], None]) -> Callable[[Path], None]:
    """Edits what is said, and puts the hashes right."""

    def change(folder: Path) -> None:
        parts = Parts(folder)
        edit(parts)
        parts.write(folder)

    return change


def said(*path: str | int, value: Any) -> Callable[[Path], None]:
    def edit(parts: Parts) -> None:
        place = parts.model
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value

    return rehashed(edit)


def array(name: str, change: Callable[[NDArray[Any]], Any]) -> Callable[[Path], None]:
    def edit(parts: Parts) -> None:
        copy = parts.arrays[f"model.{name}"].copy()
        changed = change(copy)
        parts.arrays[f"model.{name}"] = np.ascontiguousarray(copy if changed is None else changed)

    return rehashed(edit)


def put(index: Any, value: float) -> Callable[[NDArray[Any]], None]:
    def change(values: NDArray[Any]) -> None:
        values[index] = value

    return change


def header(change: Callable[[dict[str, Any]], None]) -> Callable[[Path], None]:
    """Edits the header of the arrays, and puts the hashes right."""

    def edit(folder: Path) -> None:
        parts, data = Parts(folder), (folder / ARRAYS).read_bytes()
        length = int.from_bytes(data[:8], "little")
        described = json.loads(data[8 : 8 + length])
        change(described)
        text = json.dumps(described).encode()
        parts.write_with(folder, len(text).to_bytes(8, "little") + text + data[8 + length :])

    return edit


def sparse(file: str, size: int) -> Callable[[Path], None]:
    return lambda folder: os.truncate(folder / file, size)


def gone(file: str, made: Callable[[Path], None]) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / file).unlink()
        made(folder / file)

    return change


def deep(folder: Path) -> None:
    """Sums of sums, deeper than they can be walked."""
    parts = Parts(folder)
    for _ in range(2000):
        parts.model = {**parts.model, "anomaly": parts.model}
    data = save(parts.arrays)
    opening = json.dumps({**parts.model, "anomaly": None})[:-5]
    (folder / ARRAYS).write_bytes(data)
    (folder / MODEL).write_text('{"format": 2, "model": ' + opening * 2000 + "null" + "}" * 2000 + "}")


OTHER = {"kind": "Constant", "trials": 0, "chosen": {"items": {}}, "value": 1.0}
NO_WEIGHTS = np.zeros((512, 0), np.float32)

TOUCHED: dict[str, tuple[str, Callable[[Path], None], str]] = {
    # by accident, or by hand: the hashes tell
    "byte of an array": ("ridge", flipped(ARRAYS, 0.99), f"{ARRAYS} is not the file that it was written with"),
    "byte of a header": ("ridge", flipped(ARRAYS, 0.1), f"{ARRAYS} is not the file that it was written with"),
    "arrays cut": ("ridge", sparse(ARRAYS, 100), f"{ARRAYS} is not the file that it was written with"),
    "number": ("constant", replaced("81.25", "18.25"), "model: is not what was written"),
    "digit": ("ridge", replaced('"intercept": ', '"intercept": 1'), "model: is not what was written"),
    "kind": ("latitude_longitude", replaced("FittedPlane", "FittedRidge"), "model: is not what was written"),
    "type": ("constant", replaced("81.25", '"81.25"'), "model: is not what was written"),
    "hash": ("constant", replaced('_sha256": "', '_sha256": "0'), "is not the file"),
    "other arrays": ("ridge", lambda folder: content_of(ARRAYS, save({}))(folder), "is not the file"),
    # the file as such
    "empty": ("ridge", content_of(MODEL, b""), "Expecting value"),
    "no JSON": ("ridge", content_of(MODEL, b"\x80\x04K\x01."), "can't decode byte"),
    "text": ("ridge", content_of(MODEL, b"the model\nof Delhi\n"), "Expecting value"),
    "a list": ("ridge", content_of(MODEL, b"[]"), "file: found []"),
    "pickle for JSON": ("ridge", content_of(MODEL, pickle.dumps(RunsWhenRead())), "can't decode byte"),
    "pickle for arrays": ("ridge", content_of(ARRAYS, pickle.dumps(RunsWhenRead())), "is not the file"),
    "text for arrays": ("ridge", content_of(ARRAYS, b"weights"), "is not the file"),
    "NaN": ("constant", replaced("81.25", "NaN"), "not JSON compliant"),
    "long number": ("constant", replaced("81.25", "9" * 5000), "integer string conversion"),
    "format": ("ridge", replaced('"format": 2', '"format": 1'), "format: found 1, expected 2"),
    "no format": ("ridge", replaced('"format"', '"fromat"'), "file: lacks 'format'"),
    "one key more": ("ridge", replaced("{", '{"run": "os.system",'), "file: found 'run' beside format"),
    "deep lists": ("ridge", content_of(MODEL, b"[" * 500_000), "recursion"),
    "deep sums": ("ridge+mean", deep, "recursion"),
    "huge": ("ridge", sparse(MODEL, LARGEST_MODEL + 1), f"bytes, expected at most {LARGEST_MODEL:,}"),
    "missing": ("ridge", lambda folder: (folder / MODEL).unlink(), "not found"),
    "arrays missing": ("ridge", lambda folder: (folder / ARRAYS).unlink(), "not found"),
    "a folder": ("ridge", gone(MODEL, Path.mkdir), "not found"),
    "a pipe": ("ridge", gone(ARRAYS, os.mkfifo), "not found"),
    # on purpose: the hashes are right
    "unknown kind": ("ridge", said("kind", value="Popen"), "found {'kind': 'Popen'"),
    "kind of no estimator": ("ridge", said("kind", value="Fold"), "found {'kind': 'Fold'"),
    "kind of another base": ("ridge", said("kind", value="Variogram"), "expected a FittedEstimator"),
    "kind that predicts nothing": (
        "nothing",
        said("kind", value="FittedEstimator"),
        "FittedEstimator: predicts nothing itself",
    ),
    "kind is no text": ("ridge", said("kind", value=["FittedRidge"]), "expected a FittedEstimator"),
    "no kind": ("ridge", rehashed(lambda parts: parts.model.pop("kind")), "expected a FittedEstimator"),
    "null": ("ridge", lambda folder: rehashed(lambda parts: setattr(parts, "model", None))(folder), "found None"),
    "missing key": ("ridge", rehashed(lambda parts: parts.model.pop("intercept")), "model: lacks 'intercept'"),
    "unknown key": ("ridge", said("command", value="ls"), "model: found 'command' beside kind"),
    "text for a number": ("ridge", said("intercept", value="1"), "model.intercept: found '1', expected float"),
    "bool for a number": ("ridge", said("intercept", value=True), "model.intercept: found True, expected float"),
    "number for a count": ("ridge", said("trials", value=1.5), "model.trials: found 1.5, expected int"),
    "too large a number": ("ridge", said("intercept", value=10**400), "int too large to convert to float"),
    "a number's name": ("ridge", said("intercept", value={"float": "1e5"}), "model.intercept: found {'float'"),
    "list for a mapping": ("ridge", said("chosen", value=[]), "model.chosen: found [], expected values by name"),
    "an array's name": ("ridge", said("weights", "array", value="model.other"), "expected the name of an array"),
    "no array": ("ridge", said("weights", value=[1.0, 2.0]), "model.weights: found [1.0, 2.0], expected an array"),
    "texts for numbers": (
        "ridge",
        said("weights", value={"texts": ["a"], "which": "model.weights"}),
        "expected int64",
    ),
    "lines in a text": (
        "same_day_mean",
        said("field", value="mean\x1b[31m\nTraceback:\r\u2028 line"),
        "field: found 'mean\\x1b[31m\\nTraceback",
    ),
    "another part": ("ridge+kriging", said("field", value=OTHER), "model.field: found {'kind': 'Constant'"),
    "shape": ("ridge", array("weights", lambda values: values[:, None]), "ridge: found (12, 1) weights"),
    "type of numbers": ("ridge", array("weights", lambda values: values.astype("f4")), "an array of float32"),
    "bools": ("latitude_longitude", array("slope", lambda values: values > 0), "an array of bool, expected float64"),
    "numbers too few": ("latitude_longitude", array("slope", lambda values: values[:1]), "found (2,) and (1,)"),
    "width": ("weather_ridge", array("fitted.weights", lambda values: values[:2]), "linear model: found (3,)"),
    "widths that agree": (
        "weather_ridge",
        rehashed(
            lambda parts: parts.arrays.update(
                {key: each[:2] for key, each in parts.arrays.items() if key.startswith("model.fitted.")}
            )
        ),
        "weather: found 3, expected the 2 that it sees",
    ),
    "child out of bounds": (
        "weather_forest",
        array("fitted.trees.left", put(0, 10**9)),
        "node 0 has left child 1000000000, expected 1 to ",
    ),
    "ring of nodes": ("joint", array("model.forest_trees.left", put(1, 0)), "left child 0"),
    "feature out of bounds": (
        "cnn_rf",
        array("trees.feature", put(0, 500)),
        "node 0 looks at feature 500, expected 0 to 14",
    ),
    "no trees": ("cnn_rf", array("trees.root", lambda values: values[:0]), "not ascending"),
    "components": ("joint", array("components", lambda values: values[:, 1:]), "components: found (16, "),
    "a head too narrow": (
        "joint",
        array("head.weights", lambda values: values[:15]),
        "head: sees 15, expected features and 16",
    ),
    "a head on a forest's place": ("joint", said("model", value=OTHER), "model.model: found {'kind': 'Constant'"),
    "layer": ("paper", array("state.3.weight", lambda values: values[1:]), "expected the layers of a head on 12"),
    "layers": ("paper", said("state", "items", value={}), "head: found () first weights"),
    "a wide layer of nothing": (
        "paper",
        array("state.0.weight", lambda values: np.empty((0, 10**12), values.dtype)),
        "head: found (0, 1000000000000) first weights",
    ),
    "date twice": (
        "weather_ridge",
        array("weather.dates", lambda values: values[[0, *range(len(values) - 1)]]),
        "dates",
    ),
    "text beyond the texts": (
        "same_day_mean",
        array("readings.site_id", put(3, 99)),
        "model.readings.site_id: found the texts 0 to 99 of 10",
    ),
    "rows": ("same_day_mean", said("readings", "rows", value=3), "columns of different lengths, or not of 3 rows"),
    "column": (
        "inverse_distance",
        rehashed(lambda parts: parts.model["readings"]["columns"].pop("pm25")),
        "the columns",
    ),
    "reading": ("same_day_mean", array("readings.pm25", put(0, np.inf)), "pm25 that is no number"),
    "numbers for dates": (
        "same_day_mean",
        said("readings", "columns", "local_date", value={"array": "model.readings.local_date"}),
        "local_date that is none",
    ),
    "variogram": ("ordinary_kriging", said("variogram", "range_km", value=0.0), "variogram: found "),
    "field": ("same_day_mean", said("field", value="os.system"), "field: found 'os.system'"),
    "columns": ("ceiling_true_both", said("columns", value=["pm25"]), "hidden truth: found (4,) weights"),
    "scores": ("place_and_day", array("process.blocks.0", lambda values: values[:, :1]), "no ground for a process"),
    "site twice": ("place_and_day", array("ground.sites", put(1, 0)), "ground: found a site or a date twice"),
    "heads": ("place_and_day_images", array("day_from_images.group", put(0, 5)), "day: found a group beyond 0 to 4"),
    "encoder": (FINE_TUNED, said("anomaly", "encoder", value="hf-hub:someone/else"), "timm has no such model"),
    "encoder of other layers": (FINE_TUNED, said("anomaly", "encoder", value="test_vit"), "encoder: "),
    "tile size": (FINE_TUNED, said("anomaly", "tile_size", value=10**9), "encoder: found tiles of 1000000000 px"),
    "bands": (FINE_TUNED, said("anomaly", "std", value=[0.2]), "encoder: found tiles of 32 px, means"),
    "bytes beyond the file": (
        "ridge",
        header(lambda described: described["model.weights"].update(data_offsets=[0, 10**12])),
        "invalid shape, data type, or offset",
    ),
    "type of the file": (
        "ridge",
        header(lambda described: described["model.weights"].update(dtype="BF16", shape=[48])),
        "KeyError: 'BF16'",
    ),
    "length of a header": (
        "ridge",
        lambda folder: Parts(folder).write_with(folder, b"\xff" * 8 + (folder / ARRAYS).read_bytes()[8:]),
        "header",
    ),
}


@pytest.fixture(scope="module")
def touched(fits: Fits) -> dict[str, Path]:
    """A folder for each of TOUCHED."""
    folders = {}
    for number, (name, (model, change, _)) in enumerate(TOUCHED.items()):
        folders[name] = fits.folder / f"touched{number}"
        folders[name].mkdir()
        for file in (MODEL, ARRAYS):
            (folders[name] / file).write_bytes((fits.folder / model / file).read_bytes())
        change(folders[name])
    return folders


@pytest.mark.parametrize("name", TOUCHED)
def test_what_was_touched_is_refused_in_one_line_that_names_the_file(touched: dict[str, Path], name: str) -> None:
    with pytest.raises(InputError) as caught:
        read_saved(touched[name], FittedEstimator)
    message = str(caught.value)
    assert message.startswith((f"{touched[name] / MODEL}: ", f"{touched[name] / ARRAYS}: not found"))
    assert len(message.splitlines()) == 1
    assert message.isprintable()
    assert len(message) < 400 + len(str(touched[name]))
    assert TOUCHED[name][2] in message


WATCHED = """
import os, resource, sys
from pathlib import Path
from model_utils.errors import InputError
from model_utils.estimators.estimator import FittedEstimator
from model_utils.estimators.saving import read_saved

whole, touched = (argument.split(os.pathsep) for argument in sys.argv[1:])
for folder in [*whole, *touched[:2]]:  # once, so that all modules are there and the types of all classes are known
    try:
        read_saved(Path(folder), FittedEstimator)
    except InputError as error:
        print(error)
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 2**29, used + 2**29))
happened = []

def watch(event, arguments):
    looks = event in ("builtins.id", "sys._getframe")
    reads = event == "open" and arguments[1] in ("r", "rb") and not arguments[2] & (os.O_WRONLY | os.O_RDWR)
    if not looks and not (reads and Path(arguments[0]).parent.name.startswith("touched")):
        happened.append(f"{event} {arguments}")

sys.addaudithook(watch)
said = []
for folder in touched:
    try:
        said.append(type(read_saved(Path(folder), FittedEstimator)))
    except InputError as error:
        said.append(str(error))
seen = "\\n".join(happened)
os.system("")
print(*said, sep="\\n")
sys.exit(seen or None if len(happened) > 0 and happened[-1].startswith("os.system") else "the hook is blind")
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is limited as Linux does it")
def test_what_was_touched_runs_nothing_writes_nothing_and_takes_little_memory(
    fits: Fits, touched: dict[str, Path]
) -> None:
    """An audit hook sees whatever Python does beside computing: processes, imports, files, sockets, code."""
    new = ("unknown kind", "kind that predicts nothing")
    folders = [touched[name] for name in sorted(touched, key=lambda name: name not in new)]
    groups = [os.pathsep.join(map(str, group)) for group in ([fits.folder / name for name in NAMES], folders)]
    command = [sys.executable, "-c", WATCHED, *groups]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 2 + len(folders)
    assert all(line.startswith(f"{folder}{os.sep}") for line, folder in zip(lines[2:], folders, strict=True))
    assert not Path("/tmp/never").exists()


def changes_of(values: NDArray[Any]) -> st.SearchStrategy[NDArray[Any]]:
    """Other shapes, other types, other numbers."""
    kinds = [np.float64, np.float32, np.int64, np.bool_, np.uint8]
    numbers = [np.nan, np.inf, 1e300, -1.0, 0.0] if values.dtype.kind == "f" else [2**62, -(2**62), -1, 0, 1]
    flat = values.ravel()
    options = [st.sampled_from(kinds).map(lambda kind: values.astype(kind)), st.just(flat), st.just(values[None])]
    if values.ndim:
        options += [
            st.integers(0, len(values)).map(lambda count: values[:count]),
            st.just(np.repeat(values, 2, axis=0)),
        ]
    if values.size and values.dtype.kind != "b":
        placed = st.tuples(st.integers(0, values.size - 1), st.sampled_from(numbers))
        options.append(placed.map(lambda at: np.where(np.arange(flat.size) == at[0], at[1], flat).astype(flat.dtype)))
        options.append(options[-1].map(lambda changed: changed.reshape(values.shape)))
    return st.one_of(options)


JSON = st.sampled_from([None, True, 0, -1, 3, 10**30, 1e300, {"float": "nan"}, "", "x", [], {}, ["a"], [0.5], OTHER])


def places(described: Any) -> Iterator[tuple[Any, Any]]:
    """Everything that holds something within JSON, and where."""
    for key, each in list(described.items() if isinstance(described, dict) else enumerate(described)):
        yield described, key
        if isinstance(each, dict | list):
            yield from places(each)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of numbers that are no numbers
def test_whatever_is_changed_is_refused_or_predicts(fits: Fits, data: st.DataObject) -> None:
    """With the hashes put right: a prediction may be nonsense then, but nothing is raised any more."""
    name = data.draw(st.sampled_from([each for each in NAMES if each != FINE_TUNED]))
    parts, folder = Parts(fits.folder / name), fits.folder / "changed"
    if parts.arrays and data.draw(st.booleans()):
        key = data.draw(st.sampled_from(sorted(parts.arrays)))
        parts.arrays[key] = np.asarray(data.draw(changes_of(parts.arrays[key])), order="C")
    else:
        every = list(places(parts.model))
        place, key = every[data.draw(st.integers(0, len(every) - 1))]
        place[key] = data.draw(JSON)
    parts.write(folder)
    try:
        fitted = read_saved(folder, FittedEstimator)
    except InputError:
        return
    features = seen_by(name, *rows_and_features(fits.archive)[:2]).shape[1]
    if fitted.sees() in (None, features):  # of another width it is refused beside its encoder, see below
        asked = len(rows_and_features(fits.archive)[0])
        prediction = predicted(name, fitted, fits.archive)
        assert prediction.mean.shape == prediction.sd.shape == (asked,)
