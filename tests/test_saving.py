"""Fitted estimators on disk: read back they predict the same bit for bit, and what was touched is refused in a line."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from conftest import write_small_archive
from golden_estimators import ESTIMATORS, seen_by
from golden_world import golden_world
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray
from safetensors.numpy import load, save

from contrastive_models.encoders import create_encoder, feature_width
from contrastive_models.weights import weights_hash
from model_utils import atomic
from model_utils.archive.reader import TileArchive, open_archive
from model_utils.errors import InputError
from model_utils.estimators import saving
from model_utils.estimators.added_to_field import FittedSum
from model_utils.estimators.city_model import CityModel, load_city_model, save_city_model
from model_utils.estimators.estimator import Constant, FittedEstimator, NothingLearnt, Prediction, hidden
from model_utils.estimators.finetuned import FittedFineTuned
from model_utils.estimators.head import HeadSettings, fit_head
from model_utils.estimators.ridge import FittedRidge
from model_utils.estimators.saving import ARRAYS, LARGEST_MODEL, MODEL, read_saved, write_saved

FINE_TUNED = "fine-tuned+mean"
NAMES = [*ESTIMATORS, FINE_TUNED, "nothing", "constant"]


class Fits(NamedTuple):
    """What was fitted in the golden world, and where it is saved."""

    fitted: dict[str, FittedEstimator]
    folder: Path
    archive: TileArchive


def fine_tuned(features: int) -> FittedFineTuned:
    """A random encoder and a head on its features."""
    encoder, random = create_encoder("test_resnet", 3, 32), np.random.default_rng(0)
    seen = random.normal(size=(40, feature_width(encoder))).astype(np.float32)
    head = fit_head(seen, random.normal(80, 20, 40), np.arange(40) % 5 == 0, HeadSettings(epochs=1))
    state = {name: tensor.numpy().copy() for name, tensor in encoder.state_dict().items()}
    return FittedFineTuned("test_resnet", 32, state, (0.4, 0.5, 0.6), (0.2,) * 3, head, ("s05",))


@pytest.fixture(scope="module")
def fits(tmp_path_factory: pytest.TempPathFactory) -> Fits:
    folder = tmp_path_factory.mktemp("saved")
    samples, features, training = golden_world()
    known = hidden(samples, training)
    fitted = {name: each.fit(known, seen_by(name, samples, features), training) for name, each in ESTIMATORS.items()}
    field = fitted["same_day_mean"]
    fitted |= {
        FINE_TUNED: FittedSum(field, fine_tuned(features.shape[1])),  # type: ignore[arg-type]
        "nothing": NothingLearnt(trials=7, chosen={"penalty": np.inf}),
        "constant": Constant(81.25),
    }
    for name, each in fitted.items():
        write_saved(folder / name, each)
    archive = open_archive(write_small_archive(folder, days=2, stations=6, cells=2))
    return Fits(fitted, folder, archive)


def rows_and_features(archive: TileArchive) -> tuple[pd.DataFrame, NDArray[np.float32], pd.DataFrame]:
    """Rows of the fit, of sites and dates that it has not seen, and of the tiles as if they lay in its city."""
    samples, features, _ = golden_world()
    unknown = samples.iloc[:60].assign(site_id="x" + samples["site_id"], latitude=samples["latitude"] + 0.013)
    later = samples.iloc[60:120].assign(local_date=pd.Timestamp("2021-05-05"), temperature_c=np.nan)
    both = samples.iloc[120:160].assign(site_id="y", local_date=pd.Timestamp("2021-06-06"))
    asked = pd.concat([samples, unknown, later, both], ignore_index=True).drop(columns="pm25")
    tiles = archive.samples.assign(local_date=samples["local_date"].iloc[: len(archive)].to_numpy())
    return asked, np.concatenate([features, features[:160] + np.float32(0.25)]), tiles


def predicted(name: str, fitted: FittedEstimator, archive: TileArchive) -> Prediction:
    asked, features, tiles = rows_and_features(archive)
    if fitted.sees() == "tiles":
        return fitted.predict(tiles, archive)
    return fitted.predict(asked, seen_by(name, asked, features))  # type: ignore[arg-type]


def bits(prediction: Prediction) -> bytes:
    return prediction.mean.tobytes() + prediction.sd.tobytes()


@pytest.mark.parametrize("name", NAMES)
def test_read_back_it_predicts_the_same_bit_for_bit(fits: Fits, name: str) -> None:
    fitted, found = fits.fitted[name], read_saved(fits.folder / name, FittedEstimator)
    assert type(found) is type(fitted)
    assert (found.trials, found.chosen, found.sees()) == (fitted.trials, fitted.chosen, fitted.sees())
    expected = predicted(name, fitted, fits.archive)
    assert bits(predicted(name, found, fits.archive)) == bits(expected)
    assert np.isfinite(expected.mean).any() == (name != "nothing")
    write_saved(fits.folder / "again", found)
    for file in (MODEL, ARRAYS):
        assert (fits.folder / "again" / file).read_bytes() == (fits.folder / name / file).read_bytes()


ELSEWHERE = """
import sys
from pathlib import Path
import numpy as np, torch
torch.set_num_threads(1)
from model_utils.estimators.estimator import FittedEstimator
from model_utils.estimators.saving import read_saved
read = {name: read_saved(Path(sys.argv[1]) / name, FittedEstimator) for name in sys.argv[2:]}
sys.path.insert(0, str(Path(sys.argv[1]) / "tests"))
from test_saving import open_archive, predicted
archive = open_archive(Path(sys.argv[1]) / "data" / "Delhi")
for name, fitted in read.items():
    prediction = predicted(name, fitted, archive)
    np.save(Path(sys.argv[1]) / name / "elsewhere.npy", [prediction.mean, prediction.sd])
"""


def test_another_process_predicts_the_same_bit_for_bit(fits: Fits) -> None:
    """It has imported nothing but the interface when it reads."""
    (fits.folder / "tests").symlink_to(Path(__file__).parent)
    command = [sys.executable, "-W", "error", "-c", ELSEWHERE, str(fits.folder), *NAMES]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    for name in NAMES:
        elsewhere = np.load(fits.folder / name / "elsewhere.npy")
        assert elsewhere.tobytes() == bits(predicted(name, fits.fitted[name], fits.archive)), name


# ---------------------------------------------------------------- files that were touched


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


def test_a_city_s_model_refuses_an_encoder_of_another_width_and_one_of_other_bands(tmp_path: Path) -> None:
    encoder = create_encoder("test_resnet", 3, 32)
    width, described = feature_width(encoder), ("test_resnet", weights_hash(encoder), (0.5,) * 3, (0.2,) * 3)
    bands = ("red", "green", "blue"), 3.0, 32, 0.5

    def model(fitted: FittedEstimator, **changed: Any) -> CityModel:
        return replace(CityModel("Delhi", fitted, *described, *bands, {"day": 1.6}), **changed)

    save_city_model(tmp_path, model(FittedRidge(np.zeros(width), 80.0)), encoder)
    assert load_city_model(tmp_path).model.fitted.sees() == width
    save_city_model(tmp_path, model(FittedRidge(np.zeros(width - 1), 80.0)), encoder)
    with pytest.raises(InputError, match=f"{MODEL}: sees {width - 1} features, expected the {width} of test_resnet"):
        load_city_model(tmp_path)
    tuned = fine_tuned(12)
    assert model(tuned).fitted.sees() == "tiles"
    for changed in (
        {"bands": ("red",)},
        {"std": (0.2, 0.2, 0.0)},
        {"tile_size": 0},
        {"bands": (), "mean": (), "std": ()},
    ):
        with pytest.raises(ValueError, match="city model: found"):
            model(Constant(1.0), **changed)
    with pytest.raises(ValueError, match="city model: found an encoder of 3 bands and 32 px"):
        model(tuned, tile_size=64)


# ---------------------------------------------------------------- what can be written


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
        ("number", Fits),
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
