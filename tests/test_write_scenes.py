"""`pm25 simulate --write-scenes`: scenes, their masks, and the tiles that are windows of them."""

from __future__ import annotations

import json
import shutil
from collections import namedtuple
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import rasterio
import yaml
from rasterio.warp import transform

from model_utils.archive.reader import TileArchive, open_archive
from model_utils.cities import load_city
from model_utils.cli.main import main
from model_utils.errors import InputError
from model_utils.project import SHIPPED_ROOT
from model_utils.simulation.city import simulate
from model_utils.simulation.cloud_field import CloudField
from model_utils.simulation.config import SimulateConfig
from model_utils.simulation.haze import Sky
from model_utils.simulation.optics import BANDS
from model_utils.simulation.places import station_places
from model_utils.simulation.rendering import FULL_SCALE_REFLECTANCE, GAMMA
from model_utils.simulation.scenes import NOISE_ROWS, SceneSet

BOX = {"south": 28.600, "west": 77.200, "north": 28.640, "east": 77.235}  # about 4.4 x 3.4 km
TIME = datetime(2018, 7, 1, 5, tzinfo=UTC)


def make_city(root: Path) -> None:
    """A small town with Delhi's air."""
    raw = yaml.safe_load((SHIPPED_ROOT / "data" / "cities" / "Delhi.yaml").read_text(encoding="utf-8"))
    random = np.random.default_rng(1)
    raw |= {"name": "Town", "bounding_box": BOX}
    raw["stations"] = [
        {
            "name": f"S{number}",
            "latitude": float(random.uniform(28.605, 28.635)),
            "longitude": float(random.uniform(77.205, 77.230)),
            "split": "train" if number % 2 else "test",
        }
        for number in range(8)
    ]
    (root / "data" / "cities").mkdir(parents=True)
    (root / "data" / "cities" / "Town.yaml").write_text(yaml.safe_dump(raw), encoding="utf-8")


def make_surface(path: Path, values: np.ndarray | None = None) -> Path:
    """An RGB scene in degrees that covers the town but for its northernmost 300 m."""
    side = 520
    if values is None:
        values = np.random.default_rng(2).integers(0, 256, (3, side, side), dtype=np.uint8)
    step = 1e-4
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        dtype="uint8",
        count=3,
        width=side,
        height=side,
        crs="EPSG:4326",
        photometric="RGB",
        transform=rasterio.Affine(step, 0, 77.19, 0, -step, BOX["north"] - 0.0027),
    ) as scene:
        scene.write(values)
    return path


@pytest.fixture
def town(tmp_path: Path) -> Path:
    make_city(tmp_path)
    make_surface(tmp_path / "surface.tif")
    return tmp_path


def config_of(root: Path, **flags: object) -> SimulateConfig:
    defaults = {"days": 3, "grid_km": 0.7, "tile_size": 17, "gsd": 10.0, "write_scenes": root / "order"}
    return SimulateConfig("Town", surface=root / "surface.tif", root=root, **{**defaults, **flags})


def written(root: Path, **flags: object) -> TileArchive:
    simulate(config_of(root, **flags))
    return open_archive(root / "data" / "Town")


def scene_set(root: Path, folder: str = "order", **options: int) -> SceneSet:
    city = load_city("Town", root)
    stations = station_places(city, ((s.name, s.latitude, s.longitude) for s in city.stations))
    return SceneSet(config_of(root, write_scenes=root / folder), city, stations, 1, **options)


def image_of(folder: Path, name: str, asset: str = "Visual") -> np.ndarray:
    with rasterio.open(folder / name / f"{name}_3B_{asset}.tif") as scene:
        return scene.read()


def rendered(root: Path, sky_of: object, folder: str = "order", **options: int) -> tuple[np.ndarray, np.ndarray]:
    """Image and mask of one scene; `sky_of` makes the sky from the nodes of the haze grid."""
    with scene_set(root, folder, **options) as scenes:
        scenes.render(TIME, sky_of(scenes.air))  # type: ignore[operator]
        scenes.commit()
        name = scenes.scene_id(TIME)
        return image_of(scenes.folder, name), image_of(scenes.folder, name, "udm2")


def test_the_tiles_of_the_archive_are_windows_of_the_scenes(town: Path) -> None:
    archive = written(town, tile_size=16)
    samples, size = archive.samples, 16
    folder = town / "order" / "Town_SIMULATED"
    assert samples["scene_id"].nunique() == 3
    assert {path.name for path in folder.iterdir()} == {*samples["scene_id"], "SIMULATED.txt"}
    assert (samples["site_kind"] == "grid").sum() > 3 * 10
    for name, rows in samples.groupby("scene_id"):
        with rasterio.open(folder / name / f"{name}_3B_Visual.tif") as scene:
            image, grid, crs = scene.read(), scene.transform, scene.crs
            assert scene.colorinterp == tuple(map(rasterio.enums.ColorInterp, (3, 4, 5)))
            assert scene.tags(ns="IMAGERY")["ACQUISITIONDATETIME"] == rows["time_utc"].iloc[0].isoformat()[:19] + "Z"
            assert "SIMULATED" in scene.tags()["TIFFTAG_IMAGEDESCRIPTION"]
        assert crs.to_epsg() == 32643
        assert (grid.c % 10, grid.f % 10) == (0, 0)
        cloud = image_of(folder, name, "udm2")[5]
        metadata = json.loads((folder / name / f"{name}_metadata.json").read_text(encoding="utf-8"))
        assert metadata["properties"]["acquired"] == rows["time_utc"].iloc[0].isoformat()[:19] + "Z"
        x, y = transform("EPSG:4326", crs, rows["longitude"].to_numpy(), rows["latitude"].to_numpy())
        middles_x = grid.c + 10 * (np.arange(image.shape[2] - size + 1) + size / 2)
        middles_y = grid.f - 10 * (np.arange(image.shape[1] - size + 1) + size / 2)
        tiles = archive.tiles(rows.index.to_numpy())
        for tile, share, east, north in zip(tiles, rows["cloud_fraction"], x, y, strict=True):
            column, row = np.abs(middles_x - east).argmin(), np.abs(middles_y - north).argmin()
            window = slice(row, row + size), slice(column, column + size)
            np.testing.assert_array_equal(tile, image[:, *window].transpose(1, 2, 0))
            assert share == pytest.approx((cloud[window] == 1).mean(), abs=1e-6)


def test_prepare_cuts_the_same_tiles(town: Path) -> None:
    archive = written(town)
    other = town / "prepared"
    shutil.copytree(town / "data" / "cities", other / "data" / "cities")
    flags = ["--gsd", "10", "--tile-size", "17", "--grid-metres", "700", "--workers", "1", "--min-valid-fraction", "1"]
    assert main(["prepare", "--city", "Town", "--scenes", str(town / "order"), "--root", str(other), *flags]) == 0
    prepared = open_archive(other / "data" / "Town")
    pairs = archive.samples.reset_index().merge(
        prepared.samples.reset_index(), on=["site_id", "time_utc"], suffixes=("", "_prepared")
    )
    assert len(pairs) == len(archive)
    np.testing.assert_array_equal(
        archive.tiles(pairs["index"].to_numpy()), prepared.tiles(pairs["index_prepared"].to_numpy())
    )
    np.testing.assert_array_equal(pairs["cloud_fraction"], pairs["cloud_fraction_prepared"])
    assert (pairs["scene_id"] == pairs["scene_id_prepared"]).all()
    assert prepared.metadata.simulated == "haze"  # as the scenes' tags say


def test_the_same_seed_gives_the_same_scenes(town: Path) -> None:
    first = written(town, days=1)
    name = first.samples["scene_id"].iloc[0]
    image = image_of(town / "order" / "Town_SIMULATED", name)
    again = written(town, days=1, overwrite=True)
    assert again.metadata.content_sha256 == first.metadata.content_sha256
    np.testing.assert_array_equal(image_of(town / "order" / "Town_SIMULATED", name), image)
    other = written(town, days=1, overwrite=True, seed=1)
    assert other.samples["scene_id"].iloc[0] != name
    assert not (image_of(town / "order" / "Town_SIMULATED", other.samples["scene_id"].iloc[0]) == image).all()


def test_a_scene_does_not_depend_on_the_height_of_the_strips(town: Path) -> None:
    def sky_of(air: object) -> Sky:
        return Sky(np.random.default_rng(0).uniform(0.3, 2.0, len(air)), 0.7, 1.0, 0.4)  # type: ignore[arg-type]

    image, mask = rendered(town, sky_of)
    assert image.shape[1] > 5 * NOISE_ROWS
    for blocks in (3, 100):
        other_image, other_mask = rendered(town, sky_of, f"order{blocks}", strip_rows=blocks * NOISE_ROWS)
        np.testing.assert_array_equal(image, other_image)
        np.testing.assert_array_equal(mask, other_mask)


def test_without_ground_there_is_no_data_and_the_mask_says_so(town: Path) -> None:
    image, mask = rendered(town, lambda air: Sky(np.full(len(air), 0.6), 0.7, 1.0, 0.3))
    clear, snow, shadow, light, heavy, cloud, confidence, unusable = mask
    np.testing.assert_array_equal((image == 0).all(axis=0), (image == 0).any(axis=0))  # ground is never 0
    np.testing.assert_array_equal(unusable == 1, image[0] == 0)
    assert 0.001 < unusable.mean() < 0.2
    np.testing.assert_array_equal(clear + shadow + heavy + cloud + unusable, 1)
    np.testing.assert_array_equal(confidence, 100 * (1 - unusable))
    assert not snow.any()
    assert not light.any()
    assert not heavy.any()
    assert cloud.mean() == pytest.approx(0.3, abs=0.02)
    assert shadow.any()


def reflectance(path_tau: np.ndarray, sun: float, angstrom: float, surface: np.ndarray, band: str) -> np.ndarray:
    """The optics again, one band, from the formulas."""
    b = BANDS[band]
    tau = path_tau * (b.wavelength_um / 0.55) ** -angstrom
    path = b.rayleigh_depth * 0.75 * (1 + sun**2) / (4 * sun) + 0.93 * 0.30 * tau / (4 * sun) / (1 + 0.35 * tau)
    through = np.exp(-((0.07 + 0.12 * 0.93) * tau + b.rayleigh_depth / 2) * (1 / sun + 1))
    return path + through * surface / (1 - 0.12 * np.minimum(tau, 2) * surface)


def test_haze_brightens_and_reddens_the_scene_as_the_optics_say(town: Path) -> None:
    make_surface(town / "surface.tif", np.full((3, 520, 520), 100, np.uint8))  # becomes the typical reflectance
    linear = {}
    for depth in (0.2, 1.4):
        image, mask = rendered(town, lambda air, depth=depth: Sky(np.full(len(air), depth), 0.7, 1.0, 0.0), f"o{depth}")
        inside = (mask[5] == 0) & (mask[2] == 0) & (mask[7] == 0)
        linear[depth] = (FULL_SCALE_REFLECTANCE * (image[:, inside] / 255.0) ** GAMMA).mean(axis=1)
    ratio = linear[1.4] / linear[0.2]  # the sensor's gains belong to the scene's name: they cancel
    surface = {"red": 0.12, "green": 0.11, "blue": 0.09}
    expected = [
        reflectance(1.4, 0.7, 1.0, surface[band], band) / reflectance(0.2, 0.7, 1.0, surface[band], band)
        for band in ("red", "green", "blue")
    ]
    assert ratio == pytest.approx(expected, rel=0.005)
    assert min(abs(np.array(expected) - 1)) > 0.05


def test_a_gradient_of_haze_shows_as_one_without_seams(town: Path) -> None:
    make_surface(town / "surface.tif", np.full((3, 520, 520), 60, np.uint8))
    image, mask = rendered(town, lambda air: Sky(1.5 + 0.2 * air["north_km"].to_numpy(), 0.7, 1.0, 0.0))
    valid = (mask[7] == 0) & (mask[5] == 0) & (mask[2] == 0)
    with rasterio.open(next((town / "order").rglob("*_Visual.tif"))) as scene:
        top = scene.transform.f
    middle = (BOX["west"] + BOX["east"]) / 2, (BOX["south"] + BOX["north"]) / 2
    _, (north,) = transform("EPSG:4326", "EPSG:32643", [middle[0]], [middle[1]])
    hazy = mask[4][:, mask.shape[2] // 2]  # an optical depth above 1.5: the northern half
    assert np.flatnonzero(hazy).max() == pytest.approx((top - north) / 10, abs=2)
    columns = valid.mean(axis=0) > 0.8
    rows = valid[:, columns].all(axis=1)
    blue = np.where(rows, image[2][:, columns].mean(axis=1), np.nan)
    # straight in the rows but for the noise: 1 % of a pixel, over some 300 columns
    curve = np.polynomial.Polynomial.fit(np.flatnonzero(rows), blue[rows], 3)
    residuals = blue - curve(np.arange(len(blue)))
    assert curve(np.flatnonzero(rows)[0]) - curve(np.flatnonzero(rows)[-1]) > 6  # the north is hazier
    steps = np.diff(residuals)
    borders = np.arange(NOISE_ROWS, len(blue), NOISE_ROWS) - 1
    borders = borders[np.isfinite(steps[borders])]
    assert len(borders) >= 5
    inner = np.delete(steps, borders)
    spread = np.nanstd(inner)
    assert spread < 0.3
    assert np.abs(steps[borders]).max() < 4 * spread


def test_the_true_optical_depth_is_that_of_the_scene_at_the_tile(town: Path) -> None:
    with scene_set(town) as scenes:
        air, places = scenes.air, scenes.places
        assert scenes.left_out > 0  # the surface does not reach the north of the town
        for power in (0, 1, 3):  # a cubic spline is exact
            field = 2 + 0.1 * (air["east_km"] - 0.5 * air["north_km"]) ** power
            known = 2 + 0.1 * (places["east_km"] - 0.5 * places["north_km"]) ** power
            depth = scenes.optical_depth(np.stack([field, 2 * field]))
            # half a pixel is 5 m
            np.testing.assert_allclose(depth, np.stack([known, 2 * known]), rtol=0.005, atol=0.001)


def test_clouds_take_their_share_and_shadows_are_their_copies() -> None:
    cloud = CloudField(300, 400, 10.0, 0.35, 0.6, True, np.random.default_rng(4))
    whole = cloud.cloud(0, 300)
    assert (whole >= 0.5).mean() == pytest.approx(0.35, abs=0.02)
    np.testing.assert_array_equal(np.concatenate([cloud.cloud(a, a + 100) for a in (0, 100, 200)]), whole)
    shift = 1500 * 0.8 / 0.6 / 10 / np.sqrt(2)  # height times the tangent, in pixels along each axis
    assert abs(shift - round(shift)) < 0.5
    shadow, step = cloud.shadow(0, 300), round(shift)
    # the sun stands in the south-east: the ground is shaded by the cloud to its south-east
    assert np.abs(shadow[: 300 - step, : 400 - step] - whole[step:, step:]).mean() < 0.03
    assert np.abs(shadow - whole).mean() > 0.1
    south = CloudField(300, 400, 10.0, 0.35, 0.6, False, np.random.default_rng(4))
    assert np.abs(south.shadow(0, 300)[step:, : 400 - step] - south.cloud(0, 300)[: 300 - step, step:]).mean() < 0.03


def test_scenes_are_replaced_only_when_asked(town: Path) -> None:
    written(town, days=1)
    folder = town / "order" / "Town_SIMULATED"
    with pytest.raises(InputError, match=r"Town_SIMULATED: scenes are already there, --overwrite replaces them"):
        written(town, days=2)
    assert len([path for path in folder.iterdir() if path.is_dir()]) == 1
    written(town, days=2, overwrite=True)
    assert len([path for path in folder.iterdir() if path.is_dir()]) == 2
    assert [path.name for path in (town / "order").iterdir()] == ["Town_SIMULATED"]
    assert not list(folder.rglob("*.npy"))


@pytest.mark.parametrize("fault", [KeyboardInterrupt, InputError])
def test_a_run_that_stops_leaves_no_scene(
    town: Path, monkeypatch: pytest.MonkeyPatch, fault: type[BaseException]
) -> None:
    render, calls = SceneSet.render, []

    def stops(self: SceneSet, *arguments: object) -> object:
        calls.append(arguments)
        if len(calls) == 2:
            raise fault
        return render(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(SceneSet, "render", stops)
    with pytest.raises(fault):
        written(town)
    assert len(calls) == 2
    assert not list((town / "order").iterdir())
    assert not (town / "data" / "Town" / "archive.json").exists()


def test_what_a_killed_run_left_is_taken_away(town: Path) -> None:
    leftover = town / "order" / ".Town_SIMULATED.partial"
    leftover.mkdir(parents=True)
    (leftover / "ground.npy").write_bytes(b"half")
    written(town, days=1)
    assert [path.name for path in (town / "order").iterdir()] == ["Town_SIMULATED"]


def test_scenes_that_a_killed_run_had_put_aside_come_back(town: Path) -> None:
    put_aside = town / "order" / ".Town_SIMULATED.old"
    put_aside.mkdir(parents=True)
    (put_aside / "scene.tif").write_bytes(b"old")
    with pytest.raises(InputError, match="scenes are already there, --overwrite replaces them"):
        written(town, days=1)
    assert (town / "order" / "Town_SIMULATED" / "scene.tif").read_bytes() == b"old"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--write-scenes", "{root}/order"], "--write-scenes: needs --surface"),
        (["--write-scenes", "{root}/order", "--surface", "{root}/surface.tif", "--bands", "red"], "found --bands red"),
        (
            ["--write-scenes", "{root}/surface.tif", "--surface", "{root}/surface.tif"],
            "cannot be written: not a directory",
        ),
        (["--write-scenes", "{root}/order", "--surface", "{root}/far.tif"], "far.tif: lies outside"),
        (["--write-scenes", "{root}/order", "--surface", "{root}/none.tif"], "none.tif: not found"),
    ],
)
def test_wrong_flags_are_named_in_one_line(
    town: Path, capsys: pytest.CaptureFixture[str], flags: list[str], message: str
) -> None:
    with rasterio.open(town / "surface.tif") as scene:
        profile, values = {**scene.profile, "photometric": "RGB"}, scene.read()
    with rasterio.open(
        town / "far.tif", "w", **{**profile, "transform": rasterio.Affine(1e-4, 0, 80, 0, -1e-4, 20)}
    ) as scene:
        scene.write(values)
    words = [word.format(root=town) for word in flags]
    assert main(["simulate", "--city", "Town", "--days", "1", "--gsd", "10", "--root", str(town), *words]) == 2
    stderr = capsys.readouterr().err
    assert message in stderr
    assert stderr.count("\n") == 1
    assert not (town / "order").exists() or not list((town / "order").iterdir())
    assert not (town / "data" / "Town" / "archive.json").exists()


def test_a_disk_without_room_is_noticed_first(town: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", ["total", "used", "free"])
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 10**9 - 10**6, 10**6))
    with pytest.raises(InputError, match=r"0\.0 GB free, the scenes may need 0\.0 GB, expected fewer days"):
        written(town)
    assert not list((town / "order").iterdir())
