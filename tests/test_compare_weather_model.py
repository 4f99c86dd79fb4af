"""The hold-out's model of the weather: made once, taken again, never trusted when it has been touched."""

from __future__ import annotations

import numpy as np
import pytest

from model_utils.archive.reader import open_archive
from model_utils.archive.writer import ArchiveWriter
from model_utils.comparison.config import CompareConfig
from model_utils.comparison.weather_model import keep_weather_model
from model_utils.estimators.forests.rt_rf import fit_rt_rf


@pytest.fixture
def labelled(small_root):
    """The stations' tiles of an archive with weather."""
    archive = open_archive(small_root / "data" / "Delhi")
    tiles, samples = archive.tiles(), archive.samples
    random = np.random.default_rng(0)
    weather = {"temperature_c": random.normal(20, 8, len(samples)), "pressure_hpa": random.normal(990, 5, len(samples))}
    with ArchiveWriter(archive.folder, 32, ("red", "green", "blue"), overwrite=True) as writer:
        writer.append(tiles, samples.assign(**{name: values.astype("float32") for name, values in weather.items()}))
        writer.commit(city="Delhi", ground_sample_distance_m=3.0)
    archive = open_archive(archive.folder)
    return archive.subset(archive.samples["pm25"].notna().to_numpy())


def test_it_is_made_once_and_equals_a_fresh_fit(small_root, labelled, capsys):
    config = CompareConfig(city="Delhi", root=small_root)
    training = np.arange(len(labelled)) % 2 == 0
    kept = keep_weather_model(config, labelled, training)
    file = small_root / "rt_rf_checkpoint" / "Delhi" / "rt_rf.skops"
    written = file.stat().st_mtime_ns
    again = keep_weather_model(config, labelled, training)
    assert file.stat().st_mtime_ns == written
    weather = np.random.default_rng(1).normal((20, 990), (8, 5), (30, 2))
    expected = fit_rt_rf(kept.weather, kept.pm25, 0).forest(weather)
    np.testing.assert_array_equal(kept.model.forest(weather), expected)
    np.testing.assert_array_equal(again.model.forest(weather), expected)

    assert again(kept.weather, kept.pm25, 0) is again.model
    for other in ((kept.weather, kept.pm25 + 1, 0), (kept.weather, kept.pm25, 1), (kept.weather[1:], kept.pm25[1:], 0)):
        assert again(*other) is not again.model

    file.write_bytes(file.read_bytes()[:-100])
    touched = keep_weather_model(config, labelled, training)
    assert "rt_rf.skops" in capsys.readouterr().out
    np.testing.assert_array_equal(touched.model.forest(weather), expected)
    keep_weather_model(config, labelled, ~training)  # other stations: another model
    assert file.stat().st_mtime_ns != written


def test_without_weather_there_is_none(small_root):
    archive = open_archive(small_root / "data" / "Delhi")
    labelled = archive.subset(archive.samples["pm25"].notna().to_numpy())
    assert not {"temperature_c", "pressure_hpa"} & set(labelled.samples.dropna(axis=1, how="all").columns)
    config = CompareConfig(city="Delhi", root=small_root)
    assert keep_weather_model(config, labelled, np.ones(len(labelled), dtype=bool)) is None
