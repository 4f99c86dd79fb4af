"""`pm25 simulate` from flags to archive, and its null worlds."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from test_simulation_readings import REAL, assert_as_real, statistics

from model_utils.archive.reader import TileArchive, open_archive
from model_utils.cli.main import main
from model_utils.errors import InputError
from model_utils.simulation.city import simulate
from model_utils.simulation.config import SimulateConfig
from model_utils.simulation.land_use import CLASSES
from model_utils.simulation.optics import BANDS
from model_utils.simulation.random_fields import stream
from model_utils.simulation.rendering import FULL_SCALE_REFLECTANCE, GAMMA, SceneRenderer
from model_utils.simulation.surface import REFLECTANCE, render_surface


def simulated(root: Path, city: str = "Delhi", **flags: object) -> TileArchive:
    simulate(SimulateConfig(city=city, root=root, **{"grid_km": 0, "tile_size": 8, **flags}))
    return open_archive(root / "data" / city)


def band_statistics(tiles: NDArray[np.uint8]) -> NDArray[np.float64]:
    """What a simple image method sees of a tile: means, spreads and extremes of its bands."""
    values = tiles.astype(float)
    low, high = np.percentile(values, [5, 95], axis=(1, 2))
    return np.column_stack([values.mean(axis=(1, 2)), values.std(axis=(1, 2)), low, high])


def held_out_r(features: NDArray[np.float64], target: NDArray[np.float64]) -> float:
    """Correlation of a ridge regression's predictions in five random folds."""
    fold = np.random.default_rng(0).permutation(len(target)) % 5
    predicted = np.empty(len(target))
    for k in range(5):
        model = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-2, 4, 13)))
        predicted[fold == k] = model.fit(features[fold != k], target[fold != k]).predict(features[fold == k])
    return float(np.corrcoef(predicted, target)[0, 1])


@pytest.mark.parametrize("city", ["Delhi", "Beijing"])
def test_an_archive_of_600_days_keeps_the_statistics_of_the_record(tmp_path: Path, city: str) -> None:
    tables, depths = [], []
    for seed in range(4):
        samples = simulated(tmp_path / str(seed), city, seed=seed, tile_size=4).samples
        tables.append(statistics(samples.pivot(index="local_date", columns="site_id", values="pm25").to_numpy()))
        depths.append(samples["true_optical_depth"].mean())
    assert_as_real(pd.DataFrame(tables).mean(), REAL[city])
    if city == "Delhi":
        assert 0.7 < np.mean(depths) < 0.95


def test_rows_say_where_when_and_what_is_true(tmp_path: Path) -> None:
    archive = simulated(tmp_path, days=5, grid_km=30, day_step=2)
    samples = archive.samples
    stations = samples[samples["site_kind"] == "station"]
    grid = samples[samples["site_kind"] == "grid"]
    assert samples["local_date"].dt.day.unique().tolist() == [1, 3, 5]
    assert stations["site_id"].nunique() == 51
    assert stations["pm25"].gt(0).all()
    assert grid["pm25"].isna().all()
    assert grid["site_id"].str.fullmatch(r"grid_\d{4}_\d{4}").all()
    assert (samples["time_utc"].dt.strftime("%H:%M") == "05:00").all()  # 10:30 in Delhi
    assert samples.groupby("scene_id")["local_date"].nunique().eq(1).all()
    assert (samples["sample_id"] == samples["site_id"] + "_" + samples["local_date"].dt.strftime("%Y-%m-%d")).all()
    np.testing.assert_allclose(samples[[f"land_use_{name}" for name in CLASSES]].sum(axis=1), 1)
    bias = np.log(stations["pm25"] / stations["true_pm25"]).groupby(stations["site_id"]).agg(["mean", "std"])
    assert (bias["mean"].abs() > 1e-6).sum() == 10  # a fifth of 51 operators
    assert bias["std"].max() < 1e-6
    assert archive.metadata.simulated == "all"
    assert archive.metadata.created_by["seed"] == 0


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(tmp_path: Path) -> None:
    hashes = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        simulated(tmp_path / name, days=3, grid_km=40, seed=seed)
        folder = tmp_path / name / "data" / "Delhi"
        hashes.append([(folder / file).read_bytes() for file in ("images.npy", "samples.parquet", "archive.json")])
    assert hashes[0] == hashes[1]
    assert hashes[0][0] != hashes[2][0]


def test_a_station_does_not_depend_on_the_grid_or_on_the_number_of_days(tmp_path: Path) -> None:
    few = simulated(tmp_path / "few", days=4, tile_size=16, start="2018-10-15")
    many = simulated(tmp_path / "many", days=9, tile_size=16, start="2018-10-15", grid_km=25)
    chosen = many.samples["sample_id"].isin(few.samples["sample_id"]).to_numpy()
    shared = many.subset(chosen)
    columns = few.samples.columns.drop("cloud_fraction")
    pd.testing.assert_frame_equal(shared.samples[columns], few.samples[columns])
    clear = (few.samples["cloud_fraction"] == 0) & (shared.samples["cloud_fraction"] == 0)
    difference = few.tiles()[clear].astype(int) - shared.tiles()[clear]
    assert clear.sum() > 20
    assert np.abs(difference).mean() < 20  # the same ground under other noise and shadows
    ground = [tiles.astype(float)[clear].mean(axis=(1, 2)) for tiles in (few.tiles(), shared.tiles())]
    assert np.corrcoef(ground[0].ravel(), ground[1].ravel())[0, 1] > 0.9


def test_with_haze_uncoupled_no_image_tells_the_day(tmp_path: Path) -> None:
    found = {}
    for coupling in (1.0, 0.0):
        archive = simulated(tmp_path / str(coupling), haze_coupling=coupling)
        features = pd.DataFrame(band_statistics(archive.tiles())).groupby(archive.samples["local_date"]).mean()
        day = np.log(archive.samples.groupby("local_date")["pm25"].mean().to_numpy())
        found[coupling] = held_out_r(features.to_numpy(), day)
    assert found[1.0] > 0.6
    assert found[0.0] < 0.13  # 3 / sqrt(600)


def test_with_land_use_uncoupled_no_image_tells_the_station(tmp_path: Path) -> None:
    found: dict[float, list[float]] = {1.0: [], 0.0: []}
    for coupling, values in found.items():
        for seed in range(3):
            root = tmp_path / f"{coupling}_{seed}"
            archive = simulated(root, land_use_coupling=coupling, seed=seed, days=80, tile_size=24)
            samples = archive.samples
            anomaly = samples["pm25"] - samples.groupby("local_date")["pm25"].transform("mean")
            features = pd.DataFrame(band_statistics(archive.tiles())).where(samples["cloud_fraction"] < 0.1)
            by_station = features.groupby(samples["site_id"]).mean()
            target = anomaly.groupby(samples["site_id"]).mean().to_numpy()
            values.append(held_out_r(by_station.to_numpy(), target))
    assert np.mean(found[1.0]) > 0.35
    assert np.mean(found[0.0]) < 0.15


def test_a_ground_has_the_reflectance_of_its_land_use() -> None:
    names = tuple(BANDS)
    for name in CLASSES:
        shares = np.array([float(other == name) for other in CLASSES])
        if name == "road":
            shares = np.array([0, 0.3, 0, 0.7, 0, 0])  # roads cross something
        ground = render_surface(shares, 66, 3.0, names, stream(0, name))
        expected = [np.dot(shares, REFLECTANCE[band]) for band in names]
        np.testing.assert_allclose(ground.mean(axis=(0, 1)), expected, rtol=0.12)


def test_eight_bits_stand_for_reflectance_to_the_power_of_gamma() -> None:
    ground = np.broadcast_to(np.linspace(0.02, 0.4, 50, dtype=np.float32)[:, None, None, None], (50, 34, 34, 1))
    renderer = SceneRenderer(ground, ("red",), stream(0, "clouds"))
    tiles, covered = renderer.render(np.zeros(50), 1.0, 1.0, 1e-9, stream(0, "scene"))
    reflectance = FULL_SCALE_REFLECTANCE * (tiles / 255) ** GAMMA
    seen = reflectance.mean(axis=(1, 2, 3))
    sky = 0.045 * 0.75 * 2 / 4
    expected = sky + np.exp(-0.045) * ground[:, 0, 0, 0]
    gain = (seen / expected).mean()
    assert covered.max() == 0
    assert abs(gain - 1) < 0.2  # 5 % a scene and 2 % a band
    np.testing.assert_allclose(seen / gain, expected, rtol=0.01)
    noise = reflectance[-1].std() / seen[-1]
    assert noise == pytest.approx(0.01, abs=0.003)
    assert seen.max() < FULL_SCALE_REFLECTANCE


@pytest.mark.parametrize("cover", [0.15, 0.6])
def test_clouds_cover_their_share_and_say_so(cover: float) -> None:
    ground = np.full((400, 18, 18, 3), 0.08, np.float32)
    renderer = SceneRenderer(ground, ("red", "green", "blue"), stream(0, "clouds"))
    tiles, covered = renderer.render(np.full(400, 0.3), 0.8, 1.0, cover, stream(1, "scene"))
    assert covered.mean() == pytest.approx(cover, abs=0.07)
    brightness = tiles.mean(axis=(1, 2, 3))
    assert brightness[covered > 0.95].min() > brightness[covered < 0.02].max() + 50


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--city", "Atlantis"], "no such city"),
        (["--city", "Delhi", "--start", "yesterday"], "--start: found 'yesterday'"),
        (["--city", "Delhi", "--haze-coupling", "2"], "--haze-coupling: found 2.0, expected 0 to 1"),
        (["--city", "Delhi", "--grid-km", "0.1"], "--grid-km: found 0.1"),
        (["--city", "Delhi", "--bands", "[red, thermal]"], "thermal"),
        (["--city", "Delhi", "--bands", "[red, red]"], "each once"),
        (["--city", "Delhi", "--days", "0"], "--days: found 0"),
    ],
)
def test_wrong_flags_are_named_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str], message: str
) -> None:
    try:
        code = main(["simulate", *flags, "--root", str(tmp_path)])
    except SystemExit as stop:
        code = stop.code
    stderr = capsys.readouterr().err
    assert code == 2
    assert message in stderr
    assert stderr.count("\n") == 1
    assert not list(tmp_path.rglob("archive.json"))


def test_an_archive_is_replaced_only_when_asked(tmp_path: Path) -> None:
    simulated(tmp_path, days=1)
    with pytest.raises(InputError, match="already there"):
        simulated(tmp_path, days=1)
    assert len(simulated(tmp_path, days=2, overwrite=True)) == 102
