"""Place and day on small worlds whose truth is known: what it finds, how sure it is, and what it must not know."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from model_utils.errors import InputError
from model_utils.estimators.estimator import FittedEstimator, NothingLearnt, hidden
from model_utils.estimators.place_and_day import place_process
from model_utils.estimators.place_and_day.ground import describe_ground
from model_utils.estimators.place_and_day.place_and_day import FittedPlaceAndDay, PlaceAndDay
from model_utils.estimators.references.same_day import same_day_mean
from model_utils.estimators.saving import read_saved, write_saved
from model_utils.geography import great_circle_km

Floats = NDArray[np.float64]
PLACES, DAYS = ("coordinates", "images", "both"), ("readings", "images", "both")


class World:
    """ln PM2.5 = day + place + residual; images show ground and haze.

    Place: .06^2 of a field over 10 km, .12^2 of what images show, .05^2 of its own. Residual: .1^2 over 8 km, .1^2 of
    its own. The first `stations` sites are to be trained on; all have readings, so that predictions can be scored.
    """

    def __init__(self, seed: int = 0, sites: int = 60, stations: int = 20, dates: int = 40) -> None:
        random = np.random.default_rng(seed)
        latitude, longitude = 28.6 + random.uniform(-0.2, 0.2, sites), 77.2 + random.uniform(-0.2, 0.2, sites)
        km = great_circle_km(latitude[:, None], longitude[:, None], latitude, longitude)
        ground = random.normal(size=(sites, 4))

        def field(km_range: float) -> Floats:
            return np.asarray(np.linalg.cholesky(np.exp(-km / km_range) + 1e-9 * np.eye(sites)))

        own = 0.05 * random.normal(size=sites)
        self.place = 0.06 * field(10) @ random.normal(size=sites) + 0.12 * ground @ random.normal(size=4) / 2 + own
        level = 4 + random.normal(0, 0.5, dates)
        residual = 0.1 * field(8) @ random.normal(size=(sites, dates)) + 0.1 * random.normal(size=(sites, dates))
        site, date = np.nonzero(random.random((sites, dates)) < 0.5)
        haze = level[date, None] * random.normal(size=8)
        self.features = (ground[site] @ random.normal(size=(4, 8)) + haze).astype(np.float32)
        self.features += 0.3 * random.normal(size=self.features.shape).astype(np.float32)
        self.samples = pd.DataFrame(
            {
                "sample_id": [f"{a}_{b}" for a, b in zip(site, date, strict=True)],
                "site_id": [f"site{number:02d}" for number in site],
                "latitude": latitude[site],
                "longitude": longitude[site],
                "local_date": pd.Timestamp("2019-01-01") + pd.to_timedelta(date, "D"),
                "pm25": np.exp(level[date] + self.place[site] + residual[site, date]),
                "temperature_c": (15 + 5 * random.normal(size=dates))[date],
            }
        )
        self.training = site < stations
        self.sites = self.samples.drop_duplicates("site_id").sort_values("site_id")
        self.place = self.place - self.place[:stations].mean()

    def fit(self, place: str = "both", day: str = "both", samples: pd.DataFrame | None = None) -> FittedPlaceAndDay:
        rows = hidden(self.samples, self.training) if samples is None else samples
        estimator = PlaceAndDay(place=place, day=day)  # type: ignore[arg-type]
        fitted = estimator.fit(rows, self.features, self.training)
        assert isinstance(fitted, FittedPlaceAndDay)
        return fitted


def same(a: FittedEstimator, b: FittedEstimator, world: World) -> bool:
    """Whether two predict the same bit for bit."""
    first, second = (each.predict(world.samples, world.features) for each in (a, b))
    return first.mean.tobytes() == second.mean.tobytes() and first.sd.tobytes() == second.sd.tobytes()


def test_finds_the_places_and_says_how_sure_it_is() -> None:
    found: dict[str, list[tuple[float, ...]]] = {place: [] for place in PLACES}
    for seed in range(15):
        world = World(seed)
        for place in PLACES:
            mean, sd = world.fit(place, "readings").place_effects(world.sites, None)
            unseen = slice(20, 60)
            r = np.corrcoef(mean[unseen], world.place[unseen])[0, 1]
            within = (np.abs(mean - world.place) < sd)[unseen].mean()
            at_stations = np.corrcoef(mean[:20], world.place[:20])[0, 1]
            found[place].append((r, within, at_stations))
    r, within, at_stations = (
        dict(zip(PLACES, column, strict=True))
        for column in np.array([np.mean(found[place], axis=0) for place in PLACES]).T
    )
    assert r["both"] > max(0.7, r["coordinates"] + 0.2)
    assert r["images"] > 0.65
    for place in PLACES:
        assert 0.6 < within[place] < 0.77
        assert at_stations[place] > 0.9


@pytest.mark.parametrize("day", DAYS)
def test_predicts_readings_at_other_places_and_says_how_sure_it_is(day: str) -> None:
    errors, means, z, bias = [], [], [], []
    for seed in range(8):
        world = World(seed)
        found = world.fit(day=day).predict(world.samples, world.features)
        unseen = ~world.training
        observed = world.samples["pm25"].to_numpy()
        reference = same_day_mean(world.samples[world.training], world.samples)
        errors.append(np.nanmean((found.mean - observed)[unseen] ** 2))
        means.append(np.nanmean((reference - observed)[unseen] ** 2))
        z.append(((found.mean - observed) / found.sd)[unseen])
        bias.append(np.nanmean((found.mean - observed)[unseen]) / observed.mean())
    assert np.mean(errors) < (0.75 if day != "images" else 2) * np.mean(means)
    assert 0.55 < (np.abs(np.concatenate(z)) < 1).mean() < 0.80
    assert abs(np.mean(bias)) < 0.04


def test_two_sources_of_the_day_are_no_worse_than_either() -> None:
    squares = dict.fromkeys(DAYS, 0.0)
    for seed in range(8):
        world = World(seed, stations=4)
        for day in DAYS:
            found = world.fit(day=day).predict(world.samples, world.features)
            told = ~world.training & np.isfinite(found.mean)
            squares[day] += float(np.mean((np.log(found.mean) - np.log(world.samples["pm25"]))[told] ** 2))
    assert squares["both"] < min(squares["readings"], squares["images"])


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("day", DAYS)
def test_test_readings_change_no_prediction(place: str, day: str) -> None:
    """What is hidden cannot leak; a row's own reading, shown at prediction, is not looked at."""
    world = World()
    fitted = world.fit(place, day)
    moved = world.samples.copy()
    test = ~world.training
    moved.loc[test, "pm25"] = np.random.default_rng(0).permutation(moved.loc[test, "pm25"])
    assert same(fitted, world.fit(place, day, hidden(moved, world.training)), world)
    shown = fitted.predict(moved, world.features)
    assert shown.mean.tobytes() == fitted.predict(moved.drop(columns="pm25"), world.features).mean.tobytes()


def test_no_label_enters_the_components() -> None:
    world = World()
    moved = world.samples.assign(pm25=np.random.default_rng(0).permutation(world.samples["pm25"]))
    first, second = world.fit(), world.fit(samples=hidden(moved, world.training))
    assert first.ground is not None
    assert second.ground is not None
    for name in ("means", "air", "centre", "directions"):
        assert getattr(first.ground, name).tobytes() == getattr(second.ground, name).tobytes()
    assert first.process.blocks[0].tobytes() == second.process.blocks[0].tobytes()
    assert not same(first, second, world)


def test_readings_of_other_rows_are_those_of_their_day_and_nothing_else() -> None:
    world = World()
    known = (world.samples["site_id"] >= "site40").to_numpy()
    told = hidden(world.samples, world.training, known)
    other = told.assign(pm25=told["pm25"].where(world.training, 2 * told["pm25"]))
    for day in DAYS:
        alone, more, doubled = (world.fit(day=day, samples=rows) for rows in (None, told, other))
        assert alone.process.inverse.tobytes() == more.process.inverse.tobytes() == doubled.process.inverse.tobytes()
        assert alone.chosen == doubled.chosen
        assert same(alone, doubled, world) == (day == "images")
        assert same(more, doubled, world) == (day == "images")
    assert [PlaceAndDay(day=day).uses_same_day_readings for day in DAYS] == [True, False, True]  # type: ignore[arg-type]


def test_a_row_does_not_see_its_own_station_on_its_day() -> None:
    """A reading, changed on its day, moves the day of every other place but its own."""
    world = World()
    rows = world.samples
    mine = rows.index[rows["site_id"] == "site03"][4]
    today = (rows["local_date"] == rows.loc[mine, "local_date"]).to_numpy()
    fitted = world.fit("coordinates", "readings")
    day = fitted.day_from_readings
    assert day is not None
    changed = (day.readings["site_id"] == "site03") & (day.readings["local_date"] == rows.loc[mine, "local_date"])
    assert changed.sum() == 1
    readings = day.readings.assign(pm25=day.readings["pm25"] + changed)
    moved = replace(fitted, day_from_readings=replace(day, readings=readings))
    before, after = (each.predict(rows, None).mean for each in (fitted, moved))
    assert after[mine] == pytest.approx(before[mine], rel=1e-9)
    others = today & (rows.index != mine)
    assert (after[others] / before[others] > 1.001).mean() > 0.9
    np.testing.assert_array_equal(after[~today], before[~today])


SCRIPT = """
import sys
from pathlib import Path
import numpy as np, pandas as pd
from model_utils.estimators.estimator import FittedEstimator
from model_utils.estimators.place_and_day.place_and_day import FittedPlaceAndDay
from model_utils.estimators.saving import read_saved
folder = Path(sys.argv[1])
found = read_saved(folder / "model", FittedEstimator)
rows, features = pd.read_parquet(folder / "rows.parquet"), np.load(folder / "features.npy")
prediction = found.predict(rows, features)
np.save(folder / "out.npy", np.array([prediction.mean, prediction.sd, *found.place_effects(rows, features)]))
"""


def test_saved_and_loaded_in_a_new_process_it_predicts_the_same_bit_for_bit(tmp_path: Path) -> None:
    world = World(dates=25)
    cells = pd.DataFrame(
        {"site_id": ["cell0", "cell0", "cell1", "site05"], "latitude": 28.61, "longitude": [77.2, 77.2, 77.25, 77.1]}
    ).assign(local_date=pd.to_datetime(["2019-01-03", "2019-03-01", "2019-01-03", "2019-03-01"]))
    rows = pd.concat([world.samples.drop(columns="pm25"), cells], ignore_index=True)
    features = np.concatenate([world.features, world.features[:4] + np.float32(0.1)])
    rows.to_parquet(tmp_path / "rows.parquet")
    np.save(tmp_path / "features.npy", features)
    for place, day in (("both", "both"), ("coordinates", "readings"), ("images", "images")):
        fitted = world.fit(place, day)
        write_saved(tmp_path / "model", fitted)
        subprocess.run([sys.executable, "-W", "error", "-c", SCRIPT, tmp_path], check=True)
        prediction = fitted.predict(rows, features)
        expected = np.array([prediction.mean, prediction.sd, *fitted.place_effects(rows, features)])
        assert np.load(tmp_path / "out.npy").tobytes() == expected.tobytes()
        assert np.isfinite(expected[:, -4]).all()
        if day != "readings":
            assert np.isfinite(expected).all()
        assert read_saved(tmp_path / "model", FittedPlaceAndDay).chosen == fitted.chosen


def test_a_file_that_was_tampered_with_is_refused(tmp_path: Path) -> None:
    fitted = World(dates=12).fit()
    for broken in ({"ground": None}, {"place": "coordinates"}, {"process": {"kind": "Ground"}}, {"back": 3}):
        write_saved(tmp_path, fitted)
        content = json.loads((tmp_path / "model.json").read_text())
        content["model"].update(broken)
        (tmp_path / "model.json").write_text(json.dumps(content))
        with pytest.raises(InputError, match="no fitted model"):
            read_saved(tmp_path, FittedPlaceAndDay)


def test_a_row_is_predicted_the_same_in_any_company() -> None:
    world = World()
    for day in DAYS:
        fitted = world.fit(day=day)
        whole = fitted.predict(world.samples, world.features)
        order = np.random.default_rng(0).permutation(len(world.samples))[:100]
        part = fitted.predict(world.samples.iloc[order], world.features[order])
        np.testing.assert_allclose(part.mean, whole.mean[order], rtol=1e-9)
        np.testing.assert_allclose(part.sd, whole.sd[order], rtol=1e-9)


def test_order_of_rows_does_not_matter() -> None:
    world = World()
    before = world.fit().predict(world.samples, world.features)
    order = np.random.default_rng(0).permutation(len(world.samples))
    samples, features, training = world.samples, world.features, world.training
    world.samples, world.features = samples.iloc[order].reset_index(drop=True), features[order]
    world.training = training[order]
    after = world.fit().predict(samples, features)
    np.testing.assert_allclose(after.mean, before.mean, rtol=1e-3)
    np.testing.assert_allclose(after.sd, before.sd, rtol=1e-3)


@pytest.mark.parametrize("stations", [1, 2, 3])
def test_few_stations(stations: int) -> None:
    world = World(stations=stations)
    for place in PLACES:
        for day in DAYS:
            fitted = world.fit(place, day)
            found = fitted.predict(world.samples, world.features)
            told = np.isfinite(found.mean)
            today = np.isfinite(same_day_mean(world.samples[world.training], world.samples))
            np.testing.assert_array_equal(told, today if day == "readings" else np.ones(len(told), bool))
            assert (found.mean[told] > 1).all()
            assert (found.sd[told] > 0).all()
            mean, sd = fitted.place_effects(world.sites, None)
            assert (np.abs(mean) < 1).all()
            assert (sd[stations:] > 0.08).all()


def test_no_training_reading_says_nothing_and_no_images_is_told() -> None:
    world = World(dates=6)
    nothing = world.samples.assign(pm25=np.nan)
    assert isinstance(PlaceAndDay().fit(nothing, world.features, world.training), NothingLearnt)
    assert isinstance(PlaceAndDay().fit(world.samples, world.features, np.zeros(len(nothing), bool)), NothingLearnt)
    with pytest.raises(InputError, match="expected embeddings"):
        PlaceAndDay().fit(world.samples, None, world.training)
    plain = PlaceAndDay(place="coordinates").fit(hidden(world.samples, world.training), None, world.training)
    found = plain.predict(world.samples, None)
    assert np.isfinite(found.mean).all()


def test_a_place_that_no_image_shows_is_unknown_and_zero_readings_count_as_one() -> None:
    world = World()
    unseen = np.isin(world.samples["site_id"], ["site02", "site30"])
    ground = describe_ground(world.samples[~unseen], world.features[~unseen])
    rows = hidden(world.samples, world.training)
    rows.loc[5, "pm25"] = -1.0
    fitted = PlaceAndDay(ground).fit(rows, None, world.training)
    assert isinstance(fitted, FittedPlaceAndDay)
    assert "site02" not in fitted.process.stations
    found = fitted.predict(rows, None)
    np.testing.assert_array_equal(np.isnan(found.mean), unseen)
    shown = fitted.predict(rows, world.features)
    assert np.isfinite(shown.mean).all()
    lowest = PlaceAndDay(ground).fit(rows.assign(pm25=rows["pm25"].clip(lower=1.0)), None, world.training)
    np.testing.assert_array_equal(lowest.predict(rows, None).mean, found.mean)


def test_stations_that_share_no_day_are_not_compared() -> None:
    """Two networks of other years: the larger one tells the places, the other's readings still tell its days."""
    world = World()
    early = (world.samples["local_date"] < "2019-01-21").to_numpy()
    small = np.isin(world.samples["site_id"], [f"site{number:02d}" for number in range(6)])
    kept = (early & small) | (~early & ~small)
    rows = hidden(world.samples[kept].reset_index(drop=True), world.training[kept])
    fitted = PlaceAndDay().fit(rows, world.features[kept], world.training[kept])
    assert isinstance(fitted, FittedPlaceAndDay)
    assert len(fitted.process.stations) == 14
    found = fitted.predict(world.samples, world.features)
    assert np.isfinite(found.mean).all()
    ratio = np.log(found.mean / world.samples["pm25"])[early & ~world.training]
    assert np.sqrt((ratio**2).mean()) < 0.35


def test_readings_that_never_differ_and_stations_at_one_place_are_survived() -> None:
    world = World(dates=12, stations=8)
    rows = hidden(world.samples, world.training)
    alike = rows.assign(pm25=rows["pm25"].where(rows["pm25"].isna(), 80.0))
    for frame in (alike, rows.assign(latitude=28.6, longitude=77.2)):
        for day in DAYS:
            found = world.fit(day=day, samples=frame).predict(frame, world.features)
            told = np.isfinite(found.mean)
            assert told.mean() > 0.9
            assert (found.sd[told] > 0).all()
    assert found.mean[told].max() < 2000
    constant = world.fit(samples=alike)
    np.testing.assert_allclose(constant.predict(alike, world.features).mean, 80, rtol=0.05)


@pytest.mark.parametrize("place", PLACES)
def test_dissimilarity_is_the_priors_distance_to_the_nearest_station(place: str) -> None:
    world = World()
    fitted = world.fit(place, "readings")
    process = fitted.process
    scores = np.empty((len(world.sites), 0))
    if process.blocks:
        assert fitted.ground is not None
        scores = fitted.ground.scores(world.sites, None) * process.block_variances[0] ** 0.5
    km = place_process.east_north_km(world.sites["latitude"], world.sites["longitude"], process.middle)
    points = np.column_stack([km * process.field_variance**0.5 / process.range_km, scores])
    apart = np.linalg.norm(points[:, None] - points[:20], axis=2)
    mean = apart[:20].sum() / (20 * 19)
    found = fitted.dissimilarity(world.sites, None)
    np.testing.assert_allclose(found, apart.min(axis=1) / mean, atol=1e-12)
    own = np.where(np.eye(20, dtype=bool), np.inf, apart[:20]).min(axis=1) / mean
    quarters = np.percentile(own, [25, 75])
    assert process.applicability().threshold == pytest.approx(min(2.5 * quarters[1] - 1.5 * quarters[0], own.max()))
    inside = fitted.inside_applicability(world.sites, None)
    assert inside[:20].all()
    assert 0.3 < inside[20:].mean() <= 1
    order = np.random.default_rng(0).permutation(len(world.samples))
    by_row = fitted.dissimilarity(world.samples.iloc[order], None)
    sites = pd.Index(world.sites["site_id"]).get_indexer(world.samples["site_id"].iloc[order])
    np.testing.assert_allclose(by_row, found[sites], atol=1e-12)


def test_a_place_unlike_all_stations_is_outside_and_one_that_is_seen_nowhere_has_no_dissimilarity() -> None:
    world = World()
    fitted = world.fit()
    cells = world.sites.iloc[:3].assign(site_id=["like", "unlike", "unseen"])
    ground = fitted.ground
    assert ground is not None
    seen = ground.means[:3].copy()  # as site00 to site02 look, which are stations
    seen[1] += 40 * ground.means.std(axis=0)
    seen[2] = np.nan
    found = fitted.dissimilarity(cells, seen)
    np.testing.assert_array_equal(fitted.inside_applicability(cells, seen), [True, False, False])
    assert found[0] == pytest.approx(0, abs=1e-5)
    assert found[1] > 3 * fitted.process.applicability().threshold
    assert np.isnan(found[2])
    assert np.isnan(fitted.dissimilarity(cells, None)).all()
    away = cells.assign(latitude=cells["latitude"] + 3)
    assert not fitted.inside_applicability(away, seen).any()
    assert world.fit("images", "readings").inside_applicability(away, seen)[0]


@pytest.mark.parametrize("stations", [1, 2])
def test_fewer_than_three_stations_have_no_area_of_applicability(stations: int) -> None:
    world = World(stations=stations)
    fitted = world.fit(day="readings")
    assert np.isnan(fitted.dissimilarity(world.sites, None)).all()
    assert not fitted.inside_applicability(world.sites, None).any()
