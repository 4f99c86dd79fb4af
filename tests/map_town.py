"""A town with scenes, an archive with a grid, and a fitted model: what tests of maps share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import rasterio
import torch
from rasterio.warp import transform
from readings_town import utc, write_city
from scene_rasters import smooth

from contrastive_models.encoders import create_encoder
from contrastive_models.weights import weights_hash
from model_utils.archive.reader import open_archive
from model_utils.cli.main import main
from model_utils.estimators.city_model import city_model, save_city_model
from model_utils.estimators.place_and_day.ground import describe_ground
from model_utils.estimators.place_and_day.place_and_day import PlaceAndDay
from model_utils.estimators.refitting import predict_fold
from model_utils.features.embeddings import cached_embeddings
from model_utils.features.labelled import clear_archive, with_reading
from model_utils.features.starting_encoder import StartingEncoder
from model_utils.sampling.designs import Fold

ZONE, GSD, TILE, SIZE, SPACING = "EPSG:32643", 50.0, 32, 180, 800.0
BOX = (28.60, 77.19, 28.67, 77.26)
MIDDLE = (28.635, 77.225)
DAYS = pd.date_range("2019-01-01", periods=14, freq="3D")
IN_ARCHIVE = 12
"""The model knows these days; the later ones are scenes only."""


def write_town(root: Path) -> None:
    """City, scenes (all/ and known/), readings, archive and model (model/)."""
    generator = np.random.default_rng(4)
    places = {f"s{number:02d}": (28.612 + 0.016 * (number // 4), 77.202 + 0.015 * (number % 4)) for number in range(14)}
    lines = [f"\n  - {{name: {name}, latitude: {at[0]}, longitude: {at[1]}}}" for name, at in places.items()]
    write_city(root, "Town", "Asia/Kolkata", BOX, "".join(lines))
    level = 100 * np.exp(0.4 * generator.normal(size=len(DAYS)))
    (x,), (y,) = transform("EPSG:4326", ZONE, [MIDDLE[1]], [MIDDLE[0]])
    left, top = (round(x / GSD) - SIZE // 2) * GSD, (round(y / GSD) + SIZE // 2) * GSD
    ground = smooth((3, SIZE, SIZE), seed=7, high=150).astype(float)
    for folder in ("all", "known"):
        (root / folder).mkdir()
    for number, day in enumerate(DAYS):
        haze = 40 * np.log(level[number] / 50)
        values = np.clip(ground + haze + generator.normal(0, 4, ground.shape), 1, 255).astype(np.uint8)
        name = f"scene_{utc(f'{day:%Y-%m-%d}T10:42:00', 'Asia/Kolkata'):%Y%m%dT%H%M%S}.tif"
        for folder in ("all", "known")[: 2 if number < IN_ARCHIVE else 1]:
            with rasterio.open(
                root / folder / name,
                "w",
                driver="GTiff",
                dtype="uint8",
                count=3,
                height=SIZE,
                width=SIZE,
                photometric="RGB",
                crs=ZONE,
                transform=rasterio.Affine(GSD, 0, left, 0, -GSD, top),
            ) as file:
                file.write(values)
    rows = [
        (name, f"{day:%Y-%m-%d}", level[number] * np.exp(2 * (at[0] - 28.63) + generator.normal(0, 0.1)))
        for name, at in places.items()
        for number, day in enumerate(DAYS[:IN_ARCHIVE])
    ]
    pd.DataFrame(rows, columns=["station", "date", "pm25"]).to_csv(root / "readings.csv", index=False)
    given = ["--city", "Town", "--root", str(root), "--gsd", f"{GSD:g}", "--tile-size", str(TILE), "--workers", "1"]
    words = ["--scenes", str(root / "known"), "--readings", str(root / "readings.csv"), "--grid-metres", f"{SPACING:g}"]
    assert main(["prepare", *given, *words]) == 0
    write_model(root, root / "model")


def write_model(root: Path, folder: Path, **settings: str) -> None:
    """Fits place and day, on an encoder of random weights, to all stations and saves it."""
    archive = open_archive(root / "data" / "Town")
    clear = clear_archive(archive, 0.5)
    labelled = with_reading(clear)
    torch.manual_seed(0)
    encoder = create_encoder("test_resnet", 3, TILE).eval()
    start = StartingEncoder("test_resnet", encoder, (0.4,) * 3, (0.2,) * 3, weights_hash(encoder), None)
    embeddings = cached_embeddings(clear, start, "cpu")
    ground = describe_ground(clear.samples, embeddings)
    features = embeddings[np.isin(clear.rows, labelled.rows)]
    everyone = np.ones(len(labelled), bool)
    said = predict_fold(
        PlaceAndDay(ground=ground, **settings),  # type: ignore[arg-type]
        labelled.samples,
        features,
        Fold(everyone, everyone, ~everyone),
        other_dates=False,
    )
    save_city_model(folder, city_model("Town", said.fitted, start, archive.metadata, 0.5, said.reach), encoder)
