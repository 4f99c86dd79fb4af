"""What images show of places and dates, against loops over rows; and that no reading gets into it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from model_utils.errors import InputError
from model_utils.estimators.place_and_day.ground import Ground, describe_ground
from model_utils.estimators.saving import read_saved, write_saved
from model_utils.geography import great_circle_km

WIDTH = 6
Rows = tuple[pd.DataFrame, NDArray[np.float32]]


def tiles(sites: int = 12, dates: int = 7, seed: int = 0, present: float = 0.6) -> Rows:
    """Rows with gaps, some station-days twice, one site of a single date, in random order, with embeddings."""
    random = np.random.default_rng(seed)
    site, date = np.nonzero(random.random((sites, dates)) < present)
    once = site != 0
    site, date = np.append(site[once], 0), np.append(date[once], 2)
    twice = random.random(len(site)) < 0.2
    site, date = np.append(site, site[twice]), np.append(date, date[twice])
    order = random.permutation(len(site))
    site, date = site[order], date[order]
    latitude, longitude = random.uniform(-0.05, 0.05, (2, sites))
    rows = pd.DataFrame(
        {
            "site_id": [f"site{number:02d}" for number in site],
            "latitude": 28.6 + latitude[site],
            "longitude": 77.2 + longitude[site],
            "local_date": pd.Timestamp("2019-01-01") + pd.to_timedelta(date, "D"),
            "pm25": random.gamma(4, 30, len(site)),
        }
    )
    features = random.normal(size=(sites, WIDTH))[site] + random.normal(size=(dates, WIDTH))[date]
    return rows, (features + 0.3 * random.normal(size=features.shape)).astype(np.float32)


def cells(rows: pd.DataFrame, features: NDArray[np.float32]) -> pd.DataFrame:
    """Embeddings by site and date, means of rows."""
    table = pd.DataFrame(features.astype(np.float64)).assign(
        site=rows["site_id"].to_numpy(), date=rows["local_date"].to_numpy()
    )
    return table.groupby(["site", "date"]).mean()


def air_by_loops(table: pd.DataFrame, date: pd.Timestamp, known: dict[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    """Mean over the date's sites of embedding less the known mean, or the mean over the site's other dates."""
    found = []
    for site in table.index.unique("site"):
        own = table.loc[site]
        if date not in own.index:
            continue
        others = own.drop(date)
        if site in known:
            found.append(own.loc[date].to_numpy() - known[site])
        elif len(others):
            found.append(own.loc[date].to_numpy() - others.to_numpy().mean(axis=0))
    return np.mean(found, axis=0) if found else np.full(WIDTH, np.nan)


def test_means_and_air_equal_loops() -> None:
    rows, features = tiles()
    ground = describe_ground(rows, features)
    table = cells(rows, features)
    assert list(ground.sites) == sorted(rows["site_id"].unique())
    for site, mean in zip(ground.sites, ground.means, strict=True):
        np.testing.assert_allclose(mean, table.loc[site].to_numpy().mean(axis=0), atol=1e-5)
    for date, air in zip(ground.dates, ground.air, strict=True):
        np.testing.assert_allclose(air, air_by_loops(table, pd.Timestamp(date), {}), atol=1e-5)


def test_what_belongs_to_a_site_is_not_in_the_air() -> None:
    rows, features = tiles()
    site = pd.factorize(rows["site_id"])[0]
    belongs = np.random.default_rng(1).normal(0, 10, (site.max() + 1, WIDTH)).astype(np.float32)
    before, after = (describe_ground(rows, each).air for each in (features, features + belongs[site]))
    np.testing.assert_allclose(after, before, atol=1e-4)


def test_a_date_that_only_sites_of_one_date_saw_is_unknown() -> None:
    rows, features = tiles(sites=3, dates=3, present=1)
    lonely = (rows["site_id"] == "site00") | (rows["local_date"] != "2019-01-03")
    ground = describe_ground(rows[lonely], features[lonely])
    np.testing.assert_array_equal(np.isnan(ground.air).all(axis=1), [False, False, True])


def test_components_are_those_of_the_site_means_scaled_by_one_number() -> None:
    rows, features = tiles()
    ground = describe_ground(rows, features, components=3)
    scores = ground.scores(rows, None)
    first = ~rows["site_id"].duplicated().to_numpy()
    order = np.argsort(rows["site_id"].to_numpy()[first])
    of_sites = scores[first][order]
    expected = PCA(3).fit_transform(ground.means.astype(np.float64))
    expected /= np.sqrt((expected**2).sum(axis=1).mean())
    sign = np.sign((of_sites * expected).sum(axis=0))
    np.testing.assert_allclose(of_sites, expected * sign, atol=1e-6)
    assert (of_sites**2).sum(axis=1).mean() == pytest.approx(1)


def test_components_do_not_depend_on_the_order_of_rows_nor_on_readings() -> None:
    rows, features = tiles()
    ground = describe_ground(rows, features)
    order = np.random.default_rng(0).permutation(len(rows))
    moved = describe_ground(rows.iloc[order], features[order])
    np.testing.assert_allclose(moved.directions, ground.directions, atol=1e-4)
    np.testing.assert_allclose(moved.air, ground.air, atol=1e-5)
    for changed in (
        rows.assign(pm25=rows["pm25"].to_numpy()[order]),
        rows.assign(pm25=np.nan),
        rows.drop(columns="pm25"),
    ):
        again = describe_ground(changed, features)
        for name in ("means", "air", "centre", "directions"):
            assert getattr(again, name).tobytes() == getattr(ground, name).tobytes()


def test_other_sites_are_seen_by_their_rows_and_known_ones_are_not() -> None:
    rows, features = tiles()
    known = ~rows["site_id"].isin(["site04", "site07"]).to_numpy()
    ground = describe_ground(rows[known], features[known])
    scores = ground.scores(rows, features)
    np.testing.assert_array_equal(scores[known], ground.scores(rows[known], None))
    np.testing.assert_array_equal(scores[known], ground.scores(rows, features + 1)[known])
    table = cells(rows, features)
    for site in ("site04", "site07"):
        here = (rows["site_id"] == site).to_numpy()
        expected = ground.directions @ (table.loc[site].to_numpy().mean(axis=0) - ground.centre)
        np.testing.assert_allclose(scores[here], np.tile(expected, (here.sum(), 1)), atol=1e-5)
        np.testing.assert_allclose(ground.scores(rows[here], features[here]), scores[here], atol=1e-5)
    assert np.isnan(ground.scores(rows, None)[~known]).all()
    # a site that is seen as a known one is described as that one
    twin = rows[rows["site_id"] == "site05"]
    found = ground.scores(twin.assign(site_id="twin"), features[twin.index])
    np.testing.assert_allclose(found, ground.scores(twin, None), atol=1e-5)


def test_air_of_other_dates_is_told_by_known_sites_and_by_sites_of_several_dates() -> None:
    rows, features = tiles()
    known_dates = (rows["local_date"] < "2019-01-05").to_numpy()
    known_sites = ~rows["site_id"].isin(["site04", "site07"]).to_numpy()
    known = known_dates & known_sites
    ground = describe_ground(rows[known], features[known])
    air = ground.air_of(rows, features)
    table = cells(rows, features)
    means = dict(zip(ground.sites, ground.means.astype(np.float64), strict=True))
    for number, date in enumerate(rows["local_date"]):
        if date in pd.DatetimeIndex(ground.dates):
            np.testing.assert_array_equal(air[number], ground.air[np.searchsorted(ground.dates, date.to_datetime64())])
        else:
            np.testing.assert_allclose(air[number], air_by_loops(table, date, means), atol=1e-5)
    np.testing.assert_array_equal(np.isnan(ground.air_of(rows, None)).any(axis=1), ~known_dates)
    alone = rows.iloc[:1].assign(site_id="new", local_date=pd.Timestamp("2020-01-01"))
    assert np.isnan(ground.air_of(alone, features[:1])).all()


def test_a_ring_is_the_mean_over_the_sites_around() -> None:
    rows, features = tiles()
    ring = describe_ground(rows, features, ring_km=4.0)
    km = great_circle_km(ring.latitude[:, None], ring.longitude[:, None], ring.latitude, ring.longitude)
    around = np.array([ring.means[near].astype(np.float64).mean(axis=0) for near in km <= 4.0])
    assert 1.5 < (km <= 4).sum(axis=1).mean() < 10
    np.testing.assert_allclose(ring.centre, around.mean(axis=0), atol=1e-6)
    places = pd.DataFrame({"site_id": ring.sites, "latitude": ring.latitude, "longitude": ring.longitude})
    np.testing.assert_allclose(ring.scores(places, None), (around - ring.centre) @ ring.directions.T, atol=1e-6)
    new = rows[rows["site_id"] == "site03"].assign(site_id="new", latitude=28.6, longitude=77.2)
    near = great_circle_km(ring.latitude, ring.longitude, np.array(28.6), np.array(77.2)) <= 4
    own = cells(new, features[new.index]).to_numpy().mean(axis=0)
    mean = np.vstack([ring.means[near], own]).mean(axis=0)
    found = ring.scores(new, features[new.index])
    np.testing.assert_allclose(found, np.tile((mean - ring.centre) @ ring.directions.T, (len(new), 1)), atol=1e-5)
    alone = describe_ground(rows, features, ring_km=1e-6)
    np.testing.assert_allclose(alone.directions, describe_ground(rows, features).directions, atol=1e-6)


def test_rows_that_are_not_finite_are_left_out() -> None:
    rows, features = tiles()
    broken = features.copy()
    lost = np.random.default_rng(2).random(len(rows)) < 0.2
    lost |= (rows["site_id"] == "site03").to_numpy()
    broken[lost, 2] = np.nan
    ground, expected = describe_ground(rows, broken), describe_ground(rows[~lost], features[~lost])
    np.testing.assert_array_equal(ground.means, expected.means)
    np.testing.assert_array_equal(ground.air, expected.air)
    unknown = (rows["site_id"] == "site03").to_numpy()
    np.testing.assert_array_equal(np.isnan(ground.scores(rows, broken)).any(axis=1), unknown)
    np.testing.assert_array_equal(
        ground.air_of(rows.assign(local_date=pd.Timestamp("2021-01-01")), broken)[0],
        ground.air_of(rows[~lost].assign(local_date=pd.Timestamp("2021-01-01")), features[~lost])[0],
    )
    with pytest.raises(InputError, match="no tile with finite features"):
        describe_ground(rows, np.full_like(features, np.nan))


def test_one_site_or_sites_that_look_alike_have_no_components() -> None:
    rows, features = tiles()
    for lonely in (rows["site_id"] == "site03", np.ones(len(rows), bool)):
        alike = np.ones_like(features)[lonely]
        ground = describe_ground(rows[lonely], alike)
        assert ground.directions.shape == (0, WIDTH)
        assert ground.scores(rows, features).shape == (len(rows), 0)


def test_saved_and_loaded_it_says_the_same(tmp_path: Path) -> None:
    rows, features = tiles()
    known = (rows["local_date"] < "2019-01-05").to_numpy() & (rows["site_id"] != "site05").to_numpy()
    ground = describe_ground(rows[known], features[known], ring_km=3.0)
    write_saved(tmp_path, ground)
    again = read_saved(tmp_path, Ground)
    np.testing.assert_array_equal(again.scores(rows, features), ground.scores(rows, features))
    np.testing.assert_array_equal(again.air_of(rows, features), ground.air_of(rows, features))
