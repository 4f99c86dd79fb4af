"""Simulated haze over a real surface and real readings."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rasterio
from rasterio.warp import transform

from model_utils.archive.reader import open_archive
from model_utils.cities import load_city
from model_utils.errors import InputError
from model_utils.simulation.city import simulate
from model_utils.simulation.config import SimulateConfig
from model_utils.simulation.places import station_places
from model_utils.simulation.real_surface import TYPICAL_REFLECTANCE, read_surface
from model_utils.simulation.worlds import real_dates, real_world

ROOT = Path(__file__).resolve().parents[1]
REAL = ROOT.parent / "shared" / "real"
BANDS = ("red", "green", "blue")


def write_scene(path: Path, values: np.ndarray, x: float, y: float, gsd: float, **profile: object) -> Path:
    """An RGB scene in UTM 43N whose upper left corner is (x, y)."""
    settings = {"driver": "GTiff", "crs": "EPSG:32643", "photometric": "RGB", **profile}
    with rasterio.open(
        path,
        "w",
        width=values.shape[2],
        height=values.shape[1],
        count=values.shape[0],
        dtype=values.dtype,
        transform=rasterio.Affine(gsd, 0, x, 0, -gsd, y),
        **settings,
    ) as scene:
        scene.write(values)
    return path


def to_degrees(x: float, y: float) -> tuple[np.ndarray, np.ndarray]:
    longitude, latitude = transform("EPSG:32643", "EPSG:4326", [x], [y])
    return np.array(latitude), np.array(longitude)


def test_a_window_is_centred_on_its_place_to_half_a_pixel(tmp_path: Path) -> None:
    values = np.full((3, 100, 100), 30, np.uint8)
    values[:, 40:42, 60:62] = 255  # a mark whose middle lies at the corner of four pixels
    scene = write_scene(tmp_path / "scene.tif", values, x=720_000, y=3_170_000, gsd=3.0)
    windows, inside = read_surface(scene, *to_degrees(720_000 + 61 * 3, 3_170_000 - 41 * 3), 10, 3.0, BANDS)
    assert inside.all()
    bright = windows[0, :, :, 0] > windows[0].min() * 1.5
    rows, columns = np.nonzero(bright)
    assert abs(rows.mean() + 0.5 - 5) <= 0.5
    assert abs(columns.mean() + 0.5 - 5) <= 0.5
    assert bright.sum() == 4


def test_reflectance_keeps_contrast_and_gets_a_plausible_mean(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(40, 120, (3, 60, 60)).astype(np.uint8)
    scene = write_scene(tmp_path / "scene.tif", values, 720_000, 3_170_000, 3.0)
    windows, _ = read_surface(scene, *to_degrees(720_090, 3_169_910), 60, 3.0, BANDS)
    np.testing.assert_allclose(windows.mean(axis=(0, 1, 2)), list(TYPICAL_REFLECTANCE.values()), rtol=0.02)
    decoded = (values / 255.0) ** 2.2
    expected = decoded * (0.12 / decoded[0].mean())
    np.testing.assert_allclose(windows[0, :, :, 0], expected[0], rtol=0.02, atol=2e-3)


def test_places_at_the_edge_and_in_the_void_are_dropped(tmp_path: Path) -> None:
    values = np.full((3, 100, 100), 90, np.uint8)
    values[:, :, 60:] = 0
    scene = write_scene(tmp_path / "scene.tif", values, 720_000, 3_170_000, 3.0, nodata=0)
    places = [to_degrees(720_000 + 3 * column, 3_170_000 - 150) for column in (30, 3, 57, 80, 300)]
    latitudes, longitudes = (np.concatenate(parts) for parts in zip(*places, strict=True))
    _, inside = read_surface(scene, latitudes, longitudes, 10, 3.0, BANDS)
    assert inside.tolist() == [True, False, False, False, False]


def test_a_scene_that_does_not_fit_is_named(tmp_path: Path) -> None:
    here = to_degrees(720_030, 3_169_970)
    values = np.full((3, 20, 20), 90, np.uint8)
    scene = write_scene(tmp_path / "scene.tif", values, 720_000, 3_170_000, 3.0)
    with pytest.raises(InputError, match="no nir band, found colours red, green, blue"):
        read_surface(scene, *here, 8, 3.0, ("nir",))
    wide = write_scene(tmp_path / "wide.tif", values.astype(np.uint16), 720_000, 3_170_000, 3.0)
    with pytest.raises(InputError, match="found uint16, expected uint8"):
        read_surface(wide, *here, 8, 3.0, BANDS)
    elsewhere = to_degrees(800_000, 3_000_000)
    with pytest.raises(InputError, match="none of the 1 sites"):
        read_surface(scene, *elsewhere, 8, 3.0, BANDS)
    (tmp_path / "text.tif").write_text("no raster")
    with pytest.raises(InputError, match="not readable as a raster"):
        read_surface(tmp_path / "text.tif", *here, 8, 3.0, BANDS)
    with pytest.raises(InputError, match="not readable as a raster"):
        read_surface(tmp_path / "absent.tif", *here, 8, 3.0, BANDS)


def test_real_haze_follows_the_days_readings_and_only_a_quarter_of_the_local_ones() -> None:
    city = load_city("Delhi", ROOT)
    names = ["a", "b", "far"]
    stations = station_places(city, [("a", 28.60, 77.20), ("b", 28.61, 77.20), ("far", 28.95, 77.55)])
    dates = pd.date_range("2018-01-01", periods=3)
    values = {"a": [100, 200, np.nan], "b": [100, 200, np.nan], "far": [100, 50, np.nan]}
    readings = pd.DataFrame(
        [(n, d, values[n][i], "", 20.0, 50.0, 990.0) for n in names for i, d in enumerate(dates)],
        columns=["station", "local_date", "pm25", "quality", "temperature_c", "relative_humidity_pct", "pressure_hpa"],
    )
    days, without = real_dates(readings)
    assert (len(days), without) == (2, 1)
    world = real_world(readings, stations, stations, days, 1.0)
    np.testing.assert_allclose(world.driving[0], 100)
    level = (200 * 200 * 50) ** (1 / 3)
    departure = world.driving[1] / level - 1
    full = np.array([200, 200, 50]) / level - 1
    assert (departure / full > 0.1).all()
    assert (departure / full <= 0.25).all()
    np.testing.assert_allclose(real_world(readings, stations, stations, days, 0.0).driving[1], level)
    np.testing.assert_array_equal(world.columns["pm25"], [[100, 100, 100], [200, 200, 50]])


def test_a_real_ground_under_simulated_readings_has_no_land_use(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(40, 120, (3, 300, 300)).astype(np.uint8)
    scene = write_scene(tmp_path / "scene.tif", values, 700_000, 3_190_000, 150.0)
    simulate(SimulateConfig(city="Delhi", surface=scene, days=30, grid_km=0, tile_size=8, root=tmp_path))
    archive = open_archive(tmp_path / "data" / "Delhi")
    samples = archive.samples
    assert archive.metadata.simulated == "haze and readings"
    assert 20 < samples["site_id"].nunique() < 51
    assert not [name for name in samples if name.startswith("land_use_")]
    assert not samples["true_land_use_increment"].any()
    assert samples.groupby("site_id")["true_increment"].first().std() == pytest.approx(0.135, abs=0.03)


def test_a_scene_without_stations_is_refused(tmp_path: Path) -> None:
    scene = write_scene(tmp_path / "s.tif", np.full((3, 60, 60), 90, np.uint8), 735_000, 3_128_000, 150.0)
    with pytest.raises(InputError, match="no station lies in the scene"):
        simulate(SimulateConfig(city="Delhi", surface=scene, days=2, grid_km=2, tile_size=8, root=tmp_path))
    assert not (tmp_path / "data").exists()


@pytest.mark.real
@pytest.mark.skipif(not REAL.is_dir(), reason="the real data are not here")
def test_real_readings_become_labels_on_every_date(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    simulate(
        SimulateConfig(
            city="Delhi",
            readings=REAL / "delhi_labels",
            surface=REAL / "delhi_surface" / "delhi_s2_rgb_10m.tif",
            grid_km=30,
            tile_size=4,
            gsd=10.0,
            root=tmp_path,
        )
    )
    archive = open_archive(tmp_path / "data" / "Delhi")
    samples = archive.samples
    stations = samples[samples["site_kind"] == "station"]
    files = sorted((REAL / "delhi_labels" / "stations").glob("*.csv"))
    columns = [pd.read_csv(path)["PM2.5 (µg/m³)"] for path in files]
    assert len(stations) == 37 * 1096
    assert samples["pm25"].count() == sum(int(((column >= 0) & (column < 985)).sum()) for column in columns)
    assert archive.metadata.simulated == "haze"
    assert len(archive.metadata.sources) == 39
    assert not {"true_pm25", "true_land_use_increment"} & set(samples.columns)
    day = stations.groupby("local_date")[["pm25", "true_optical_depth"]].mean()
    assert np.corrcoef(np.log(day["pm25"]), np.log(day["true_optical_depth"]))[0, 1] > 0.4
    assert "left out:" in capsys.readouterr().out
