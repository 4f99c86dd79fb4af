"""From the name of a city to its map: every command of the way, with all sources on loopback."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from fetch_granules import write_granule
from fetch_scene_server import World, serving
from fetch_server import loopback_server, only_loopback
from fetch_world import OpenAQ, OpenMeteo, Place, key_of
from rasterio.warp import transform
from scipy.ndimage import gaussian_filter

from model_utils.archive.reader import open_archive
from model_utils.cities import load_city
from model_utils.cli.main import main
from model_utils.ingest.scenes.grid import city_grid

MIDDLE, HALF = (77.5, 28.6), 0.055  # longitude and latitude, and half of the box's side, degrees
FIRST, DAYS, STATIONS = date(2024, 1, 1), 24, 24
SCENE_DAYS = range(1, 24, 3)
CELLS = 240
_FIELD = gaussian_filter(np.random.default_rng(5).standard_normal((CELLS, CELLS)), 9, mode="wrap")
CLASS = np.digitize(_FIELD, np.quantile(_FIELD, (1 / 3, 2 / 3)))
"""Fields, houses, works: what the ground is, over the box and a little around it."""

EFFECT = np.array([-0.25, 0.0, 0.3])
SPECTRA = {"red": (0.08, 0.14, 0.20), "green": (0.12, 0.13, 0.18), "blue": (0.06, 0.11, 0.17)}


def ground_class(longitude: np.ndarray, latitude: np.ndarray) -> np.ndarray:
    across = (longitude - MIDDLE[0]) / (2.6 * HALF) + 0.5
    up = (latitude - MIDDLE[1]) / (2.6 * HALF) + 0.5
    at = [np.clip((part * CELLS).astype(int), 0, CELLS - 1) for part in (up, across)]
    return CLASS[at[0], at[1]]


def ground(colour: str, longitude: np.ndarray, latitude: np.ndarray) -> np.ndarray:
    """Classes of their own colour, roofs and parcels of 50 m."""
    parcel = np.sin(longitude * 12_000) * np.sin(latitude * 12_000)
    return np.take(SPECTRA[colour], ground_class(longitude, latitude)) * (1 + 0.15 * parcel)


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[str]:
    world = World(tmp_path / "catalogue")
    for day in SCENE_DAYS:
        when = FIRST + timedelta(days=day)
        write_granule(
            world, f"S2A_T43RGM_{when:%Y%m%d}", f"{when}T05:22:26.000Z", 43, seed=day, ground=ground, middle=MIDDLE,
            size=1400, cloud=0.3 if day == SCENE_DAYS[-1] else 0.0,
        )  # fmt: skip
    with serving(world) as address:
        yield address


def stations() -> list[Place]:
    generator = np.random.default_rng(2)
    places = MIDDLE + generator.uniform(-0.8 * HALF, 0.8 * HALF, (STATIONS, 2))
    return [
        Place(7000 + number, f"Station {number}", round(float(latitude), 5), round(float(longitude), 5))
        for number, (longitude, latitude) in enumerate(places)
    ]


def day_of(place: Place, day: date, level: float, noise: np.random.Generator) -> bytes:
    """A file of the archive, hours by their ending."""
    effect = EFFECT[ground_class(np.array([place.longitude]), np.array([place.latitude]))[0]]
    lines = ['"location_id","sensors_id","location","datetime","lat","lon","parameter","units","value"']
    for hour in range(24):
        value = np.exp(level + effect + noise.normal(0, 0.08))
        where = f'"{place.latitude}","{place.longitude}","pm25","µg/m³","{value:.1f}"'
        lines.append(f'"{place.id}","{10 * place.id}","{place.name}","{day}T{hour:02d}:00:00+05:30",{where}')
    return gzip.compress("\n".join([*lines, ""]).encode(), mtime=0)


@pytest.mark.slow
def test_from_a_name_to_a_map(
    tmp_path: Path, catalogue: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "root"
    (root / "data" / "cities").mkdir(parents=True)
    noise = np.random.default_rng(9)
    fetched = root / "downloads" / "Newtown"
    levels = 4.6 + 0.35 * noise.standard_normal(DAYS)
    with only_loopback(), loopback_server() as server:
        openaq, meteo = OpenAQ(server, stations()), OpenMeteo(server)
        for number, level in enumerate(levels):
            day = FIRST + timedelta(days=number)
            for place in openaq.places:
                server.files[f"/bucket/{key_of(place, day)}"] = day_of(place, day, float(level), noise)
        for name, value in {**openaq.environment, **meteo.environment, "PM25_STAC_ENDPOINT": catalogue}.items():
            monkeypatch.setenv(name, value)
        for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
            monkeypatch.delenv(name, raising=False)

        def run(*words: str) -> str:
            assert main([*words, "--root", str(root)]) == 0, capsys.readouterr().err
            said = capsys.readouterr().out
            with capsys.disabled():
                print(words[:2], said[-1500:])
            return said

        box = f"{MIDDLE[1] - HALF},{MIDDLE[0] - HALF},{MIDDLE[1] + HALF},{MIDDLE[0] + HALF}"
        run("city", "Newtown", f"--box={box}")
        between = ("--city", "Newtown", "--from", str(FIRST), "--to", str(FIRST + timedelta(days=DAYS - 1)))
        run("fetch", "readings", *between, "--update-city", "true")
        run("fetch", "scenes", *between)
        run("fetch", "weather", *between)
        run(
            *("prepare", "--city", "Newtown", "--gsd", "10", "--tile-size", "32", "--grid-metres", "500"),
            *("--scenes", str(fetched / "scenes"), "--readings", str(fetched / "readings")),
            *("--meteorology", str(fetched / "weather" / "open-meteo"), "--workers", "1"),
        )
    archive = open_archive(root / "data" / "Newtown")
    labelled = archive.samples["pm25"].notna()
    assert labelled.sum() == STATIONS * (len(SCENE_DAYS) - 1)  # without the cloudy day
    assert archive.samples["temperature_c"].notna().all()
    assert "Copernicus" in archive.metadata.attribution
    assert "CPCB of India" in archive.metadata.attribution
    assert "CC BY 4.0" in archive.metadata.licence
    run("inspect", "--city", "Newtown")
    method = ("--method", "SimCLR", "--pairs", "spatiotemporal")
    run("pretrain", "--city", "Newtown", *method, "--preset", "demo", "--epochs", "3")
    run("supervise", "--city", "Newtown", "--preset", "demo", "--start", "SimCLR_spatiotemporal")
    (model,) = (root / "results" / "Newtown").glob("place_and_day_*")
    run("map", "--city", "Newtown", "--model", str(model))
    (path,) = root.rglob("map.nc")
    with xr.open_dataset(path) as dataset:
        effect = dataset["place_effect"].to_numpy()
        easts, norths = np.meshgrid(dataset["x"].to_numpy(), dataset["y"].to_numpy())
    effect = effect if effect.ndim == 2 else np.nanmean(effect, axis=0)
    zone = city_grid(load_city("Newtown", root), 10.0, 32).crs
    longitude, latitude = (
        np.reshape(values, easts.shape) for values in transform(zone, "EPSG:4326", easts.ravel(), norths.ravel())
    )
    truth = EFFECT[ground_class(longitude, latitude)]
    known = np.isfinite(effect)
    skill = np.corrcoef(effect[known], truth[known])[0, 1]
    print(f"r of the place effect with the truth at {known.sum()} cells: {skill:.2f}")
    assert skill > 0.6
    (page,) = root.rglob("report.html")
    assert "Contains modified Copernicus Sentinel data 2024" in page.read_text()
    assert len(load_city("Newtown", root).stations) == STATIONS
