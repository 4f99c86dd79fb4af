"""The ground that tiles show: overlap is geometry, whatever sites are called, and survives being written."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import shapely
from conftest import rewrite_small_archive, write_small_archive
from hypothesis import given, settings
from hypothesis import strategies as st

from contrastive_models.weights import read_encoder, save_encoder
from model_utils.archive.reader import open_archive
from model_utils.cities import load_city
from model_utils.comparison.config import CompareConfig
from model_utils.comparison.run import compare
from model_utils.configuration import from_preset
from model_utils.errors import InputError
from model_utils.features.starting_encoder import starting_encoder
from model_utils.pretraining.config import PretrainConfig
from model_utils.pretraining.run import pretrain, training_tiles
from model_utils.project import SHIPPED_ROOT, results_folder
from model_utils.sampling.tile_ground import (
    METRES_PER_DEGREE,
    NO_GROUND,
    SLIVER_M,
    TileGround,
    tile_ground,
    tile_side_m,
)
from model_utils.supervision.config import SuperviseConfig
from model_utils.supervision.supervise import supervise


def polygons(latitude, longitude, side, about):
    """Squares in metres about a place, each with the scale of the latitude that it is compared at."""
    east = (longitude - about[1]) * METRES_PER_DEGREE * np.cos(np.radians(about[0]))
    north = (latitude - about[0]) * METRES_PER_DEGREE
    half = side / 2
    return [shapely.box(x - half, y - half, x + half, y + half) for x, y in zip(east, north, strict=True)]


@settings(max_examples=200, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    middle=st.floats(-70, 70),
    sides=st.tuples(st.floats(20, 2000), st.floats(20, 2000)),
    count=st.integers(0, 30),
)
def test_overlap_is_that_of_polygons(seed, middle, sides, count):
    random = np.random.default_rng(seed)
    spread = 3 * max(sides) / METRES_PER_DEGREE
    places = [random.uniform(-spread, spread, (number, 2)) + np.array([middle, 77.0]) for number in (count, 12)]
    (latitude, longitude), (other_latitude, other_longitude) = (each.T for each in places)
    ground = tile_ground(pd.DataFrame({"latitude": latitude, "longitude": longitude}), sides[0])
    shown = ground.shown_in(other_latitude, other_longitude, sides[1])
    for number, about in enumerate(places[1]):
        (square,) = polygons(other_latitude[[number]], other_longitude[[number]], sides[1], about)
        shared = [square.intersection(each) for each in polygons(latitude, longitude, sides[0], about)]
        widths = [min(np.diff(np.reshape(each.bounds, (2, 2)), axis=0)[0]) if each.area else 0.0 for each in shared]
        widest = max(widths, default=0.0)
        if abs(widest - SLIVER_M) > 1e-6:
            assert shown[number] == (widest > SLIVER_M)


def test_the_date_line_is_no_border():
    ground = TileGround(np.array([0.0]), np.array([179.9999]), 100.0)
    assert ground.shown_in(np.zeros(2), np.array([-179.9999, -179.99]), 100.0).tolist() == [True, False]


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(0, 300))
def test_what_is_written_comes_back_to_a_tenth_of_a_metre(seed, count):
    random = np.random.default_rng(seed)
    places = pd.DataFrame({"latitude": random.uniform(-84, 84, count), "longitude": random.uniform(-180, 180, count)})
    ground = tile_ground(places, 96.0)
    found = TileGround.from_text(ground.as_text())
    assert found.side_m == 96.0
    np.testing.assert_allclose(found.latitude, ground.latitude, atol=5.1e-7, rtol=0)
    np.testing.assert_allclose(found.longitude, ground.longitude, atol=5.1e-7, rtol=0)
    assert found.shown_in(places["latitude"].to_numpy(), places["longitude"].to_numpy(), 96.0).all()


def test_twenty_thousand_tiles_take_little_room():
    east, north = np.meshgrid(np.arange(142), np.arange(142))
    places = pd.DataFrame({"latitude": 28.4 + 0.0027 * north.ravel(), "longitude": 76.8 + 0.0031 * east.ravel()})
    assert len(tile_ground(places, 300.0).as_text()) < 60_000


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[1]", '{"side_m": 3, "places": "AA"}', '{"side_m": "x", "places": ""}', '{"side_m": 3, "places": 7}',
     NO_GROUND.as_text().replace("1.0", "-1.0"), NO_GROUND.as_text().replace("1.0", "NaN")],
)  # fmt: skip
def test_what_is_no_ground_is_refused(text):
    with pytest.raises(ValueError, match="not the places of tiles"):
        TileGround.from_text(text)


WAYS = {
    "readings came later": (lambda rows: rows.assign(pm25=np.nan), "pm25"),
    "renamed": (lambda rows: rows.assign(site_name="was " + rows["site_name"]), "site_name"),
    "other ids": (lambda rows: rows.assign(site_id="s" + rows["site_id"], sample_id="s" + rows["sample_id"]), "ids"),
    "moved by some metres": (lambda rows: rows.assign(latitude=rows["latitude"] + 3e-4), "latitude"),
}


@pytest.mark.parametrize("way", WAYS)
def test_pretraining_leaves_test_ground_out_however_it_is_hidden(tmp_path, way):
    folder = write_small_archive(tmp_path, days=2, cells=8)
    before, city = open_archive(folder), load_city("Delhi", SHIPPED_ROOT)
    side = tile_side_m(before.metadata)
    test = [station.name for station in city.stations if station.split == "test"]
    ground = tile_ground(before.samples[before.samples["site_id"].isin(test)], side)
    rewrite_small_archive(tmp_path, WAYS[way][0])
    used = training_tiles(open_archive(folder), city).samples
    assert used["site_id"].nunique() == 24 + 8
    assert not ground.shown_in(used["latitude"].to_numpy(), used["longitude"].to_numpy(), side).any()


@pytest.mark.usefixtures("figures_unrendered")
@pytest.mark.parametrize("way", WAYS)
def test_ground_that_was_seen_is_known_however_it_is_hidden(tmp_path, way, monkeypatch, capsys):
    """The encoder sees all sites as they were first; then they come as they are."""
    monkeypatch.setattr("model_utils.supervision.scoring.REFERENCES", {})
    write_small_archive(tmp_path, days=4, cells=8)
    before = open_archive(tmp_path / "data" / "Delhi").samples.copy()
    rewrite_small_archive(tmp_path, WAYS[way][0])
    common = {"city": "Delhi", "root": tmp_path}
    pretrain(
        from_preset(PretrainConfig, "smoke", method="SimCLR", pairs="regular", epochs=1, transductive=True, **common)
    )
    rewrite_small_archive(tmp_path, lambda rows: before)
    experiment = from_preset(SuperviseConfig, "smoke", start="SimCLR_regular", bootstrap_draws=100, **common)
    supervise(experiment)
    folder = results_folder(tmp_path, "Delhi", experiment.experiment)
    statistics = json.loads((folder / "statistics.json").read_text())
    assert "* its encoder was pre-trained on ground of test stations" in capsys.readouterr().out
    assert statistics["transductive"] is True
    assert statistics["test_stations_seen_in_pretraining"] == 27


@pytest.mark.usefixtures("figures_unrendered")
def test_a_city_without_a_hold_out_list_trains_on_no_station(tmp_path, capsys):
    folder = write_small_archive(tmp_path, days=3, cells=8)
    archive, city = open_archive(folder), load_city("Delhi", SHIPPED_ROOT)
    unlisted = replace(city, stations=())
    stations = set(archive.samples.loc[archive.samples["pm25"].notna(), "site_id"])
    assert not stations & set(training_tiles(archive, unlisted).samples["site_id"])
    assert f"{len(stations)} stations" in capsys.readouterr().out
    only_stations = archive.subset(archive.samples["site_id"].isin(stations).to_numpy())
    with pytest.raises(InputError, match=r"a grid of tiles .* gives some, or --transductive takes these"):
        training_tiles(only_stations, unlisted)


@pytest.mark.slow
@pytest.mark.usefixtures("figures_unrendered")
@pytest.mark.parametrize("way", WAYS)
def test_a_comparison_knows_it_too(tmp_path, way):
    write_small_archive(tmp_path, days=4, cells=8)
    before = open_archive(tmp_path / "data" / "Delhi").samples.copy()
    rewrite_small_archive(tmp_path, WAYS[way][0])
    common = {"city": "Delhi", "root": tmp_path}
    pretrain(
        from_preset(PretrainConfig, "smoke", method="SimCLR", pairs="regular", epochs=1, transductive=True, **common)
    )
    rewrite_small_archive(tmp_path, lambda rows: before)
    starts = ("SimCLR_regular", "randomly_initialized")
    compare(from_preset(CompareConfig, "smoke", designs=("hold_out",), starts=starts, seeds=1, **common))
    table = pd.read_csv(results_folder(tmp_path, "Delhi", "compare_smoke") / "comparison.csv")
    told = table.set_index("method")["transductive"]
    assert told["SimCLR_regular"]
    assert not told["random_frozen"]


@pytest.mark.usefixtures("figures_unrendered")
def test_weights_that_do_not_say_what_they_saw_are_unknown_and_broken_ones_are_refused(tmp_path, capsys):
    write_small_archive(tmp_path, days=3, cells=8)
    pretrain(
        from_preset(PretrainConfig, "smoke", city="Delhi", method="SimCLR", pairs="regular", epochs=1, root=tmp_path)
    )
    (weights,) = (tmp_path / "data" / "weights").iterdir()
    experiment = from_preset(SuperviseConfig, "smoke", city="Delhi", start="SimCLR_regular", root=tmp_path)
    archive = open_archive(tmp_path / "data" / "Delhi")
    encoder = starting_encoder(experiment.source, archive)
    assert encoder.seen_ground is not None
    _, metadata = read_encoder(weights)
    save_encoder(weights, encoder.encoder, replace(metadata, seen_ground=""))
    assert starting_encoder(experiment.source, archive).seen_ground is None
    assert "does not say which ground it saw" in capsys.readouterr().out
    save_encoder(weights, encoder.encoder, replace(metadata, seen_ground=json.dumps({"side_m": 3})))
    with pytest.raises(InputError, match=f"{weights.name}: seen_ground: not the places of tiles"):
        starting_encoder(experiment.source, archive)
