"""Every kind of fitted estimator, saved: what tests of saving share."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from conftest import write_small_archive
from golden_estimators import ESTIMATORS, seen_by
from golden_world import golden_world
from numpy.typing import NDArray

from contrastive_models.encoders import create_encoder, feature_width
from model_utils.archive.reader import TileArchive, open_archive
from model_utils.estimators.added_to_field import FittedSum
from model_utils.estimators.estimator import Constant, FittedEstimator, NothingLearnt, Prediction, hidden
from model_utils.estimators.finetuned import FittedFineTuned
from model_utils.estimators.head import HeadSettings, fit_head
from model_utils.estimators.saving import write_saved

FINE_TUNED = "fine-tuned+mean"
NAMES = [*ESTIMATORS, FINE_TUNED, "nothing", "constant"]


class Fits(NamedTuple):
    """What was fitted in the golden world, and where it is saved."""

    fitted: dict[str, FittedEstimator]
    folder: Path
    archive: TileArchive


def fine_tuned(features: int) -> FittedFineTuned:
    """A random encoder and a head on its features."""
    encoder, random = create_encoder("test_resnet", 3, 32), np.random.default_rng(0)
    seen = random.normal(size=(40, feature_width(encoder))).astype(np.float32)
    head = fit_head(seen, random.normal(80, 20, 40), np.arange(40) % 5 == 0, HeadSettings(epochs=1))
    state = {name: tensor.numpy().copy() for name, tensor in encoder.state_dict().items()}
    return FittedFineTuned("test_resnet", 32, state, (0.4, 0.5, 0.6), (0.2,) * 3, head, ("s05",))


def save_fits(folder: Path) -> Fits:
    """Fits every kind to the golden world, each into a folder of its name."""
    samples, features, training = golden_world()
    known = hidden(samples, training)
    fitted = {name: each.fit(known, seen_by(name, samples, features), training) for name, each in ESTIMATORS.items()}
    field = fitted["same_day_mean"]
    fitted |= {
        FINE_TUNED: FittedSum(field, fine_tuned(features.shape[1])),  # type: ignore[arg-type]
        "nothing": NothingLearnt(trials=7, chosen={"penalty": np.inf}),
        "constant": Constant(81.25),
    }
    for name, each in fitted.items():
        write_saved(folder / name, each)
    archive = open_archive(write_small_archive(folder, days=2, stations=6, cells=2))
    return Fits(fitted, folder, archive)


def rows_and_features(archive: TileArchive) -> tuple[pd.DataFrame, NDArray[np.float32], pd.DataFrame]:
    """Rows of the fit, of sites and dates that it has not seen, and of the tiles as if they lay in its city."""
    samples, features, _ = golden_world()
    unknown = samples.iloc[:60].assign(site_id="x" + samples["site_id"], latitude=samples["latitude"] + 0.013)
    later = samples.iloc[60:120].assign(local_date=pd.Timestamp("2021-05-05"), temperature_c=np.nan)
    both = samples.iloc[120:160].assign(site_id="y", local_date=pd.Timestamp("2021-06-06"))
    asked = pd.concat([samples, unknown, later, both], ignore_index=True).drop(columns="pm25")
    tiles = archive.samples.assign(local_date=samples["local_date"].iloc[: len(archive)].to_numpy())
    return asked, np.concatenate([features, features[:160] + np.float32(0.25)]), tiles


def predicted(name: str, fitted: FittedEstimator, archive: TileArchive) -> Prediction:
    """At `rows_and_features`, whatever it sees."""
    asked, features, tiles = rows_and_features(archive)
    if fitted.sees() == "tiles":
        return fitted.predict(tiles, archive)
    return fitted.predict(asked, seen_by(name, asked, features))  # type: ignore[arg-type]


def bits(prediction: Prediction) -> bytes:
    """To compare by."""
    return prediction.mean.tobytes() + prediction.sd.tobytes()
