"""Band statistics of tiles and the ridge on them, against slow loops and on worlds with a known answer."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from conftest import write_small_archive
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, LeaveOneGroupOut

from model_utils.archive.reader import TileArchive, open_archive
from model_utils.archive.writer import ArchiveWriter
from model_utils.estimators.estimator import hidden
from model_utils.estimators.references.cross_validated_ridge import PENALTIES, CrossValidatedRidge, left_out
from model_utils.features import band_statistics
from model_utils.features.band_statistics import band_feature_names, band_statistics_features


def archive_of(tiles: np.ndarray, folder) -> TileArchive:
    """An archive of given tiles, n x H x W x C."""
    count, size, _, bands = tiles.shape
    rows = pd.DataFrame(
        {
            "sample_id": [str(number) for number in range(count)],
            "site_id": "a",
            "latitude": 28.0,
            "longitude": 77.0,
            "time_utc": pd.Timestamp("2018-01-01", tz="UTC"),
            "local_date": pd.Timestamp("2018-01-01").date(),
        }
    )
    with ArchiveWriter(folder, size, tuple(f"b{number}" for number in range(bands))) as writer:
        writer.append(tiles, rows)
        writer.commit(city="Delhi", ground_sample_distance_m=3.0)
    return open_archive(folder)


def slow_statistics(tile: np.ndarray, bands: tuple[str, ...]) -> dict[str, float]:
    """The statistics of one tile, pixel by pixel."""
    result, means = {}, {}
    for number, band in enumerate(bands):
        plane = [[float(value) for value in row] for row in tile[:, :, number]]
        values = sorted(value for row in plane for value in row)
        mean = means[band] = sum(values) / len(values)
        result[f"band_{band}_mean"] = mean
        result[f"band_{band}_std"] = (sum((value - mean) ** 2 for value in values) / len(values)) ** 0.5
        for level in (10, 50, 90):
            place = (len(values) - 1) * level / 100
            low, high = values[int(place)], values[min(int(place) + 1, len(values) - 1)]
            result[f"band_{band}_p{level}"] = low + (high - low) * (place - int(place))
        rows, columns = len(plane), len(plane[0])
        right = [abs(plane[i][j + 1] - plane[i][j]) for i in range(rows) for j in range(columns - 1)]
        down = [abs(plane[i + 1][j] - plane[i][j]) for i in range(rows - 1) for j in range(columns)]
        result[f"band_{band}_gradient"] = sum(right) / len(right) + sum(down) / len(down)
    for i, first in enumerate(bands):
        for second in bands[i + 1 :]:
            a, b = means[first], means[second]
            result[f"band_{first}_{second}_normalised_difference"] = (a - b) / (a + b) if a + b else 0.0
    return result


@pytest.mark.parametrize("bands", [1, 3, 5])
def test_equals_a_slow_loop_whatever_the_chunks(tmp_path, monkeypatch, bands) -> None:
    random = np.random.default_rng(bands)
    tiles = random.integers(0, 256, (7, 9, 9, bands), dtype=np.uint8)
    tiles[2] = 0  # a black tile has no ratio of bands
    tiles[3] = 255
    archive = archive_of(tiles, tmp_path / "data")
    names = archive.metadata.bands
    expected = [slow_statistics(tile, names) for tile in tiles]
    for values_at_a_time in (1, 3 * 81 * bands, 2**22):
        monkeypatch.setattr(band_statistics, "_VALUES_AT_A_TIME", values_at_a_time)
        features = band_statistics_features(archive)
        assert features.dtype == np.float32
        found = pd.DataFrame(features, columns=band_feature_names(names))
        pd.testing.assert_frame_equal(found, pd.DataFrame(expected), check_like=True, check_dtype=False, rtol=1e-5)


def test_follows_the_rows_of_a_selection_and_reads_few_tiles_at_a_time(tmp_path, monkeypatch) -> None:
    tiles = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3), dtype=np.uint8)
    archive = archive_of(tiles, tmp_path / "data")
    whole = band_statistics_features(archive)
    read = []
    plain = TileArchive.tiles
    monkeypatch.setattr(band_statistics, "_VALUES_AT_A_TIME", 6 * 8 * 8 * 3)
    monkeypatch.setattr(TileArchive, "tiles", lambda self, at: read.append(len(plain(self, at))) or plain(self, at))
    rows = np.random.default_rng(1).permutation(20)[:15]
    np.testing.assert_array_equal(band_statistics_features(archive.subset(rows)), whole[rows])
    assert read == [6, 6, 3]


def test_a_single_pixel_has_no_gradient(tmp_path) -> None:
    archive = archive_of(np.full((2, 1, 1, 1), 7, np.uint8), tmp_path / "data")
    np.testing.assert_array_equal(band_statistics_features(archive), [[7, 0, 7, 7, 7, 0]] * 2)


def test_names_tell_bands_and_statistics_apart() -> None:
    names = band_feature_names(("red", "green", "blue", "nir"))
    assert len(set(names)) == len(names) == 4 * 6 + 6
    assert all(name.startswith("band_") for name in names)


def world(stations: int = 8, days: int = 20, features: int = 4, noise: float = 0.0, seed: int = 0) -> pd.DataFrame:
    """PM2.5 is linear in columns of very different size; stations differ in how many days they have."""
    random = np.random.default_rng(seed)
    station, day = (axis.ravel() for axis in np.meshgrid(np.arange(stations), np.arange(days)))
    kept = random.random(len(station)) < 0.5 + 0.5 * station / stations
    station, day = station[kept], day[kept]
    values = random.normal(size=(len(station), features)) * 10.0 ** np.arange(features) + 50
    weight = random.normal(size=features) * 10.0 ** -np.arange(features)
    return pd.DataFrame(values, columns=[f"band_{number}" for number in range(features)]).assign(
        site_id=[f"s{number:02d}" for number in station],
        local_date=pd.Timestamp("2019-01-01") + pd.to_timedelta(day, unit="D"),
        pm25=100 + 20 * values @ weight + random.normal(0, noise, len(values)),
    )


def band_statistics_ridge(train: pd.DataFrame, test: pd.DataFrame) -> np.ndarray:
    """Fits rows that carry their statistics as columns; those of `test` are there too, with the readings they have."""
    rows = pd.concat([train, test])
    features = rows[[name for name in rows if name.startswith("band_")]].to_numpy(np.float64)
    fitted = CrossValidatedRidge().fit(rows, features, np.arange(len(rows)) < len(train))
    return fitted.predict(test, features[len(train) :]).mean


def test_follows_a_world_made_of_the_columns() -> None:
    rows = world()
    test = rows["site_id"] > "s05"
    predicted = band_statistics_ridge(rows[~test], rows[test].drop(columns="pm25"))
    assert np.corrcoef(predicted, rows["pm25"][test])[0, 1] > 0.9999


@pytest.mark.parametrize("stations", [2, 8])
def test_equals_a_grid_search_written_out(stations) -> None:
    """Leave-group-out by hand: standardise, centre, solve, and take the penalty with the least error."""
    rows = world(stations=stations, days=40, noise=200, seed=3)
    rows.loc[rows.index[10:15], "pm25"] = np.nan
    columns = [name for name in rows if name.startswith("band_")]
    train, test = rows.iloc[10:], rows.iloc[:10]
    read = train.dropna(subset="pm25")
    mean, std = read[columns].mean(), read[columns].std(ddof=0)
    x, y = ((read[columns] - mean) / std).to_numpy(), read["pm25"].to_numpy()
    errors = []
    for penalty in PENALTIES:
        squared = []
        for fit, validate in left_out(read):
            centre = x[fit].mean(axis=0)
            gram = (x[fit] - centre).T @ (x[fit] - centre) + penalty * np.eye(len(columns))
            weight = np.linalg.solve(gram, (x[fit] - centre).T @ (y[fit] - y[fit].mean()))
            squared.append(np.mean(((x[validate] - centre) @ weight + y[fit].mean() - y[validate]) ** 2))
        errors.append(np.mean(squared))
    best = PENALTIES[int(np.argmin(errors))]
    assert 0.1 < best < 1e5  # inside the range, so that the search has something to find
    expected = Ridge(best).fit(x, y).predict(((test[columns] - mean) / std).to_numpy())
    np.testing.assert_allclose(band_statistics_ridge(train, test.drop(columns="pm25")), expected, rtol=1e-9)


def test_folds_keep_stations_whole_or_else_blocks_of_dates() -> None:
    rows = world().sample(frac=1, random_state=0)
    for fit, validate in left_out(rows):
        assert not set(rows["site_id"].iloc[fit]) & set(rows["site_id"].iloc[validate])
    few = rows[rows["site_id"] < "s04"]
    folds = left_out(few)
    assert len(folds) == 5
    assert sorted(np.concatenate([validate for _, validate in folds])) == list(range(len(few)))
    for fit, validate in folds:
        left, kept = few["local_date"].iloc[validate], few["local_date"].iloc[fit]
        assert not ((kept >= left.min()) & (kept <= left.max())).any()
    two = few[few["local_date"].isin(few["local_date"].unique()[:2])]
    assert len(left_out(two)) == 2


def test_leaving_out_stations_and_not_rows_decides_the_penalty() -> None:
    """Every station has its own colour and level: rows of one station would praise a small penalty."""
    random = np.random.default_rng(0)
    station = np.repeat(np.arange(10), 30)
    colour, level = random.normal(size=(10, 9)), random.normal(0, 30, 10)
    rows = pd.DataFrame(
        colour[station] + random.normal(0, 0.01, (300, 9)), columns=[f"band_{n}" for n in range(9)]
    ).assign(
        site_id=[f"s{number}" for number in station],
        local_date=pd.Timestamp("2019-01-01") + pd.to_timedelta(np.tile(np.arange(30), 10), unit="D"),
        pm25=100 + level[station] + random.normal(0, 1, 300),
    )
    features = rows.filter(like="band_")
    careless = GridSearchCV(Ridge(), {"alpha": PENALTIES}).fit(
        features.sample(frac=1, random_state=0), rows["pm25"].sample(frac=1, random_state=0)
    )
    assert careless.best_params_["alpha"] == min(PENALTIES)
    careful = GridSearchCV(Ridge(), {"alpha": PENALTIES}, cv=LeaveOneGroupOut(), scoring="neg_mean_squared_error")
    careful.fit(features, rows["pm25"], groups=rows["site_id"])
    assert careful.best_params_["alpha"] >= 1e3
    assert np.ptp(band_statistics_ridge(rows, rows)) < 0.2 * np.ptp(careless.predict(features))


def test_order_of_rows_and_readings_of_test_stations_do_not_matter() -> None:
    rows = world(noise=20)
    test = rows["site_id"] > "s05"
    plain = band_statistics_ridge(rows[~test], rows[test])
    shuffled = rows[~test].sample(frac=1, random_state=1)
    np.testing.assert_allclose(band_statistics_ridge(shuffled, rows[test]), plain, rtol=1e-9)
    np.testing.assert_array_equal(band_statistics_ridge(rows[~test], rows[test].assign(pm25=-1e9)), plain)
    known = hidden(rows, (~test).to_numpy())
    assert known.loc[test, "pm25"].isna().all()
    np.testing.assert_array_equal(band_statistics_ridge(known[~test], known[test]), plain)


def test_little_or_nothing_to_learn_from() -> None:
    rows = world()
    without = rows.drop(columns=[name for name in rows if name.startswith("band_")])
    assert np.isnan(band_statistics_ridge(without, without.iloc[:3])).all()
    assert np.isnan(band_statistics_ridge(rows.assign(pm25=np.nan), rows)).all()
    assert np.isnan(band_statistics_ridge(rows.iloc[:0], rows)).all()
    assert band_statistics_ridge(rows, rows.iloc[:0]).shape == (0,)
    one = rows[rows["site_id"] == "s07"]
    assert np.isfinite(band_statistics_ridge(one, rows)).all()
    assert np.isfinite(band_statistics_ridge(one.iloc[:2], rows)).all()
    assert np.isnan(band_statistics_ridge(one.iloc[:1], rows)).all()
    day = rows[rows["local_date"] == rows["local_date"].mode()[0]]
    assert day["site_id"].nunique() >= 5
    assert np.isfinite(band_statistics_ridge(day, rows)).all()
    constant = rows.assign(band_0=3.0)
    assert np.isfinite(band_statistics_ridge(constant, constant)).all()


def test_reads_the_haze_off_the_tiles_of_an_archive(tmp_path) -> None:
    write_small_archive(tmp_path, days=8)
    archive = open_archive(tmp_path / "data" / "Delhi")
    labelled = archive.subset(archive.samples["pm25"].notna().to_numpy())
    names = band_feature_names(labelled.metadata.bands)
    joined = [labelled.samples, pd.DataFrame(band_statistics_features(labelled), columns=names)]
    rows = pd.concat(joined, axis=1)
    test = rows["site_id"].isin(sorted(rows["site_id"].unique())[::3])
    predicted = band_statistics_ridge(rows[~test], rows[test].drop(columns="pm25"))
    assert np.corrcoef(predicted, rows["pm25"][test])[0, 1] > 0.95
