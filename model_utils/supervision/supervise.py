"""`pm25 supervise`: from an encoder to predictions, statistics, figures and a model."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from model_utils import atomic
from model_utils.archive.format import simulated_caveat
from model_utils.archive.reader import TileArchive, open_archive
from model_utils.archive.site_doubts import site_doubts
from model_utils.cities import City, load_city
from model_utils.configuration import record, save_config
from model_utils.errors import InputError
from model_utils.estimators.added_to_field import LEAST_STATIONS
from model_utils.estimators.city_model import city_model, save_city_model
from model_utils.estimators.conformal import INTERVAL_LEVEL
from model_utils.estimators.estimator import FittedEstimator, Method
from model_utils.estimators.place_and_day.ground import describe_ground
from model_utils.estimators.refitting import predict_fold
from model_utils.estimators.saving import FORMAT
from model_utils.evaluation.table import format_table, marks_explained
from model_utils.features.embeddings import cached_embeddings
from model_utils.features.labelled import clear_archive, with_reading
from model_utils.features.starting_encoder import StartingEncoder, described_by_weights, starting_encoder
from model_utils.locking import locked
from model_utils.project import archive_folder, results_folder
from model_utils.sampling.designs import Fold, Run, folds, held_out_stations, hold_out
from model_utils.sampling.splits import station_table, validation_rows
from model_utils.supervision.config import SuperviseConfig
from model_utils.supervision.estimators import paper_estimator, place_and_day_estimator
from model_utils.supervision.report import learning_curve, write_figures, write_predictions, write_statistics
from model_utils.supervision.scoring import experiment_statistics, predict_run

IDENTITY = "experiment.json"


def supervise(config: SuperviseConfig) -> None:
    """Runs one experiment and prints its table.

    Raises:
        InputError: As `run_experiment` says.
    """
    if config.start is None and config.weights is not None:
        start, encoder = described_by_weights(config.weights)
        if config.encoder not in (None, encoder):
            raise InputError(f"{config.weights}: encoder: found {encoder}, expected {config.encoder} as --encoder says")
        config = replace(config, start=start, encoder=encoder)
    statistics = run_experiment(config)
    rows = {config.experiment: statistics, **statistics["other_estimators"], **statistics["references"]}
    print(format_table(rows))
    for line in marks_explained(rows):
        print(line)
    if (share := statistics.get("share_inside_applicability")) is not None:
        print(f"{share:.0%} of the test stations are like the training stations (area of applicability)")
    if caveat := simulated_caveat(statistics["simulated"]):
        print(caveat)
    print(f"results: {results_folder(config.root, config.city, config.experiment)}")


def run_experiment(config: SuperviseConfig) -> dict[str, Any]:
    """Runs one experiment; a finished one of the same settings, weights and archive is kept as it is.

    Returns:
        What `statistics.json` says.

    Raises:
        InputError: The city, its archive, the weights or the settings are wrong, or another experiment is in the way.
        InUseError: Another process writes this experiment.
    """
    city = load_city(config.city, config.root)
    folder = results_folder(config.root, config.city, config.experiment)
    with locked(folder):
        atomic.clear_leftovers(folder)
        return _kept_or_run(config, city, folder)


def _kept_or_run(config: SuperviseConfig, city: City, folder: Path) -> dict[str, Any]:
    """What stands in the folder of the experiment, else what a run puts there."""
    archive = open_archive(archive_folder(config.root, config.city))
    clear = clear_archive(archive, config.max_cloud_fraction)
    labelled = with_reading(clear)
    cloudy = int(archive.samples["pm25"].notna().sum()) - len(labelled)
    print(f"{len(labelled)} tiles with a reading; {cloudy} cloudy ones are left out", flush=True)
    for line in site_doubts(labelled.samples):
        print(line, flush=True)
    run, split = _split(labelled.samples, city, config)
    print(f"tested on: {split}", flush=True)
    start = starting_encoder(config.source, labelled.subset(~run.folds[0].test))

    identity = json.dumps(
        {
            "config": record(config),
            "archive_sha256": archive.metadata.content_sha256,
            "weights_sha256": start.sha256,
            "model_format": FORMAT,
        },
        indent=2,
    )
    if _stands(folder, identity, config.overwrite):
        print(f"{folder}: already done with these settings; nothing to do", flush=True)
        return _kept(folder / "statistics.json")

    with atomic.replacing_folder(folder) as partial:
        statistics = _run(config, archive, clear, labelled, run, split, start, cloudy, partial)
        atomic.write_text(partial / IDENTITY, identity)
    return statistics


def _split(samples: pd.DataFrame, city: City, config: SuperviseConfig) -> tuple[Run, str]:
    """Who is predicted from whom, and that in words."""
    if config.folds is not None:
        (run,) = folds(samples, config.folds, config.stations, config.draw)
        words = f"{config.folds} contiguous folds"
    else:
        held_out, words = held_out_stations(station_table(samples), city)
        (run,) = hold_out(samples, held_out, config.stations, config.draw)
    if config.target == "anomaly" and run.stations < LEAST_STATIONS:
        raise InputError(
            f"--target anomaly: found {run.stations} training stations, expected at least {LEAST_STATIONS}"
        )
    return run, words


def _run(
    config: SuperviseConfig,
    archive: TileArchive,
    clear: TileArchive,
    labelled: TileArchive,
    run: Run,
    split: str,
    start: StartingEncoder,
    cloudy: int,
    folder: Path,
) -> dict[str, Any]:
    """Fits, scores, and writes everything into a folder."""
    embeddings = cached_embeddings(clear, start, config.accelerator)
    features = embeddings[np.isin(clear.rows, labelled.rows)]
    ground = describe_ground(clear.samples, embeddings, config.components, config.ring_km)
    place_and_day = Method(place_and_day_estimator(config, ground), features)
    if config.estimator == "place_and_day":
        method, others = place_and_day, {}
    else:
        method = Method(paper_estimator(config), labelled if config.finetune else features)
        others = {f"place_and_day_{config.start}": place_and_day}

    predictions, said = predict_run(method, labelled.samples, run, config)
    learnt = [each.fitted for each in said]
    _tell(learnt)
    statistics = experiment_statistics(
        config, archive, labelled, run, split, start, predictions, learnt, others, cloudy
    )
    write_predictions(folder / "predictions.parquet", _rows_shown(predictions, config))
    write_statistics(folder, config.experiment, statistics)
    write_figures(folder / "figures", predictions, statistics, learning_curve(learnt[0]), archive.metadata.simulated)
    if len(run.folds) > 1:  # the folds judge the procedure: the model that a map is made of knows all stations
        everyone = np.ones(len(labelled), dtype=bool)
        fold = Fold(everyone, everyone, ~everyone)
        said = [
            predict_fold(
                method.estimator,
                labelled.samples,
                method.features,
                fold,
                other_dates=False,
                interval_level=INTERVAL_LEVEL,
                seed=config.seed,
            )
        ]
    product = said[0]
    model = city_model(config.city, product.fitted, start, archive.metadata, config.max_cloud_fraction, product.reach)
    save_city_model(folder / "model", model, start.encoder)
    save_config(folder / "config.yaml", config)
    return statistics


def _rows_shown(predictions: pd.DataFrame, config: SuperviseConfig) -> pd.DataFrame:
    """The rows for `predictions.parquet`; those that early stopping looked at are told from the other training rows."""
    training = (predictions["split"] == "train").to_numpy()
    if config.estimator == "place_and_day" or not training.any():
        return predictions
    validation = np.zeros(len(predictions), dtype=bool)
    validation[training] = validation_rows(predictions[training], config.validation_share, config.seed)
    return predictions.assign(split=np.where(validation, "validation", predictions["split"]))


def _stands(folder: Path, identity: str, overwrite: bool) -> bool:
    described = folder / IDENTITY
    if overwrite or not folder.exists():
        return False
    if not described.exists():
        raise InputError(f"{folder}: found something else than an experiment there; --overwrite replaces it")
    if described.read_text(encoding="utf-8") != identity:
        raise InputError(
            f"{folder}: holds an experiment with other settings, weights or archive; --overwrite replaces it"
        )
    return True


def _kept(path: Path) -> dict[str, Any]:
    """The statistics of a finished experiment."""
    try:
        statistics: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        raise InputError(
            f"{path}: missing or broken beside the rest of its experiment; --overwrite computes all of it again"
        ) from None
    return statistics


def _tell(fitted: list[FittedEstimator]) -> None:
    """Says of each fold what was learnt, in a line."""
    for each in fitted:
        curve = learning_curve(each)
        if curve is not None:
            print(f"best epoch {curve.best_epoch} of {len(curve.history)}", flush=True)
        elif each.chosen:
            print(", ".join(f"{name} {value:.3g}" for name, value in each.chosen.items()), flush=True)
