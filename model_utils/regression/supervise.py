"""`pm25 supervise`: from an encoder to predictions, statistics and figures."""

from __future__ import annotations

import json
import shutil
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from safetensors.torch import save_file

from contrastive_models.embedding import embed
from contrastive_models.weights import weights_hash
from model_utils import atomic
from model_utils.archive.reader import TileArchive, open_archive
from model_utils.cities import load_city
from model_utils.configuration import library_versions, record, save_config
from model_utils.errors import InputError
from model_utils.evaluation.statistics import evaluate
from model_utils.evaluation.table import format_table
from model_utils.project import archive_folder, results_folder
from model_utils.regression.ceilings import ceilings
from model_utils.regression.config import SuperviseConfig
from model_utils.regression.embeddings import cached_embeddings
from model_utils.regression.finetune import finetune
from model_utils.regression.head import FittedHead, HeadSettings, fit_head
from model_utils.regression.references import REFERENCES
from model_utils.regression.report import write_figures, write_predictions, write_statistics
from model_utils.regression.rounds import Round, make_rounds
from model_utils.regression.starts import StartingEncoder, starting_encoder
from model_utils.regression.targets import make_target
from model_utils.sampling.clouds import clear_tiles

IDENTITY = "experiment.json"


def supervise(config: SuperviseConfig) -> None:
    """Runs one experiment and prints its table.

    Raises:
        InputError: As `run_experiment` says.
    """
    statistics = run_experiment(config)
    print(format_table({config.experiment: statistics, **statistics["references"]}))
    if statistics["simulated"] != "no":
        print(f"simulated: {statistics['simulated']} (no number here says anything about the real city)")
    print(f"results: {results_folder(config.root, config.city, config.experiment)}")


def run_experiment(config: SuperviseConfig) -> dict[str, Any]:
    """Runs one experiment; a finished one of the same settings, weights and archive is kept as it is.

    Returns:
        What `statistics.json` says.

    Raises:
        InputError: The city, its archive, the weights or the settings are wrong, or another experiment is in the way.
    """
    city = load_city(config.city, config.root)
    archive = open_archive(archive_folder(config.root, config.city))
    read = archive.samples["pm25"].notna().to_numpy()
    labelled = archive.subset(read & clear_tiles(archive.samples, config.max_cloud_fraction))
    if not len(labelled):
        raise InputError(f"{archive.folder}: found no clear tile with a reading, so there is nothing to supervise")
    cloudy = int(read.sum()) - len(labelled)
    print(f"{len(labelled)} tiles with a reading; {cloudy} cloudy ones are left out", flush=True)
    samples = labelled.samples
    rounds = make_rounds(samples, city, config)
    for each in rounds:  # before any weights are read: a target that cannot be made costs nothing
        make_target(config.target, samples, each.training)
    start = starting_encoder(config, labelled.subset(rounds[0].training))

    folder = results_folder(config.root, config.city, config.experiment)
    identity = json.dumps(
        {
            "config": record(config),
            "archive_sha256": archive.metadata.content_sha256,
            "weights_sha256": start.sha256,
        },
        indent=2,
    )
    if _stands(folder, identity, config.overwrite):
        print(f"{folder}: already done with these settings; nothing to do")
        kept: dict[str, Any] = json.loads((folder / "statistics.json").read_text(encoding="utf-8"))
        return kept
    shutil.rmtree(folder, ignore_errors=True)

    predictions, fitted = _predict(config, labelled, rounds, start, folder)
    test = predictions[predictions["split"] == "test"]
    statistics = _statistics(config, archive, samples, rounds, start, test, cloudy)
    write_predictions(folder / "predictions.parquet", predictions)
    write_statistics(folder, config.experiment, statistics)
    write_figures(folder / "figures", predictions, statistics, fitted, archive.metadata.simulated != "no")
    save_config(folder / "config.yaml", config)
    atomic.write_text(folder / IDENTITY, identity)  # last: it marks the experiment as finished
    return statistics


def _stands(folder: Path, identity: str, overwrite: bool) -> bool:
    described = folder / IDENTITY
    if overwrite or not described.exists():
        return False
    if described.read_text(encoding="utf-8") != identity:
        raise InputError(
            f"{folder}: holds an experiment with other settings, weights or archive; --overwrite replaces it"
        )
    return True


def _predict(
    config: SuperviseConfig, labelled: TileArchive, rounds: list[Round], start: StartingEncoder, folder: Path
) -> tuple[pd.DataFrame, FittedHead]:
    """Fits every round and predicts its test rows; with a single round its other rows as well."""
    samples = labelled.samples
    pm25 = samples["pm25"].to_numpy(np.float64)
    frames, first = [], None
    settings = HeadSettings(**{item.name: getattr(config, item.name) for item in fields(HeadSettings)})
    for number, each in enumerate(rounds):
        target = make_target(config.target, samples, each.training)
        training = np.flatnonzero(each.training)
        learnt = target.values(pm25)[training]
        if config.finetune:
            start = starting_encoder(config, labelled.subset(training))  # every round from the same start
            fitted = finetune(labelled.subset(training), learnt, each.validation[training], start, config)
            features = embed(start.encoder, labelled.tiles, len(labelled), start.mean, start.std)
        else:
            features = cached_embeddings(labelled, start)
            fitted = fit_head(features[training], learnt, each.validation[training], settings)
        shown = np.flatnonzero(each.test if len(rounds) > 1 else each.training | each.test)
        frame = samples.loc[
            shown, ["sample_id", "site_id", "site_name", "latitude", "longitude", "time_utc", "local_date"]
        ]
        split = np.select([each.test[shown], each.validation[shown]], ["test", "validation"], "train")
        predicted = fitted.predict(features[shown]) + target.offset[shown]
        frames.append(frame.assign(split=split, observed=pm25[shown], predicted=predicted, lower=np.nan, upper=np.nan))
        _save_model(config, fitted, start, folder / "model", f"_fold{number}" if len(rounds) > 1 else "")
        first = first or fitted
        print(f"fitted {len(training)} rows, best epoch {fitted.best_epoch} of {len(fitted.history)}", flush=True)
    assert first is not None
    return pd.concat(frames, ignore_index=True), first


def _save_model(config: SuperviseConfig, fitted: FittedHead, start: StartingEncoder, folder: Path, suffix: str) -> None:
    described = {"format": "pt", "target": config.target, "encoder": config.encoder, "mean": repr(start.mean)}
    described["std"] = repr(start.std)
    states = {"head": fitted.head.state_dict()}
    if config.finetune:
        states["encoder"] = start.encoder.state_dict()
    for name, state in states.items():
        with atomic.replacing(folder / f"{name}{suffix}.safetensors") as temporary:
            save_file({key: tensor.contiguous() for key, tensor in state.items()}, temporary, metadata=described)


def _statistics(
    config: SuperviseConfig,
    archive: TileArchive,
    samples: pd.DataFrame,
    rounds: list[Round],
    start: StartingEncoder,
    test: pd.DataFrame,
    cloudy: int,
) -> dict[str, Any]:
    """Scores of the method and of the references on the same test rows, and where all of it comes from."""
    pretrained_on = start.seen_sites & set(test["site_id"])
    references: dict[str, Any] = {}
    for reference in (*REFERENCES, *ceilings(samples)):
        predicted = np.full(len(samples), np.nan)
        for each in rounds:
            predicted[each.test] = reference.predict(samples[each.training], samples[each.test].drop(columns="pm25"))
        rows = samples.assign(observed=samples["pm25"].astype(float), predicted=predicted)
        rows = rows[np.logical_or.reduce([each.test for each in rounds])]
        references[reference.name] = {
            **evaluate(rows, config.bootstrap_draws, config.seed),
            "uses_same_day_readings": reference.uses_same_day_readings,
        }
    return {
        "experiment": config.experiment,
        "city": config.city,
        "simulated": archive.metadata.simulated,
        **evaluate(test, config.bootstrap_draws, config.seed),
        "uses_same_day_readings": config.target == "anomaly",
        "split": f"{config.folds} contiguous folds" if config.folds else "hold-out list of the city",
        "n_samples_cloudy_left_out": cloudy,
        "n_stations_training": int(np.median([samples.loc[each.training, "site_id"].nunique() for each in rounds])),
        "transductive": bool(pretrained_on),
        "test_stations_seen_in_pretraining": len(pretrained_on),
        "seeds": {"seed": config.seed, "draw": config.draw},
        "versions": library_versions(),
        "archive_sha256": archive.metadata.content_sha256,
        "weights_sha256": start.sha256 if not config.finetune else weights_hash(start.encoder),
        "references": references,
    }
