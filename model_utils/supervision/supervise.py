"""`pm25 supervise`: from an encoder to predictions, statistics and figures."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from safetensors.torch import save_file

from model_utils import atomic
from model_utils.archive.format import simulated_caveat
from model_utils.archive.reader import TileArchive, open_archive
from model_utils.cities import load_city
from model_utils.configuration import record, save_config
from model_utils.errors import InputError
from model_utils.estimators.head import FittedHead
from model_utils.estimators.targets import make_target
from model_utils.evaluation.levels import round_level
from model_utils.evaluation.table import format_table
from model_utils.features.labelled import clear_labelled
from model_utils.features.starting_encoder import StartingEncoder, described_by_weights, starting_encoder
from model_utils.project import archive_folder, results_folder
from model_utils.supervision.config import SuperviseConfig
from model_utils.supervision.fitting import fit_round
from model_utils.supervision.report import write_figures, write_predictions, write_statistics
from model_utils.supervision.rounds import Round, make_rounds
from model_utils.supervision.scoring import experiment_statistics

IDENTITY = "experiment.json"


def supervise(config: SuperviseConfig) -> None:
    """Runs one experiment and prints its table.

    Raises:
        InputError: As `run_experiment` says.
    """
    config = described_by_weights(config)
    statistics = run_experiment(config)
    print(format_table({config.experiment: statistics, **statistics["references"]}))
    if caveat := simulated_caveat(statistics["simulated"]):
        print(caveat)
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
    labelled = clear_labelled(archive, config.max_cloud_fraction)
    cloudy = int(archive.samples["pm25"].notna().sum()) - len(labelled)
    print(f"{len(labelled)} tiles with a reading; {cloudy} cloudy ones are left out", flush=True)
    samples = labelled.samples
    rounds = make_rounds(samples, city, config)
    for each in rounds:  # before any weights are read: a target that cannot be made costs nothing
        make_target(config.target, samples, each.training, config.field)
    start = starting_encoder(config, labelled.subset(~rounds[0].test))

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

    partial = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
    try:
        statistics = _run(config, archive, labelled, rounds, start, cloudy, partial)
        atomic.write_text(partial / IDENTITY, identity)
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return statistics


def _run(
    config: SuperviseConfig,
    archive: TileArchive,
    labelled: TileArchive,
    rounds: list[Round],
    start: StartingEncoder,
    cloudy: int,
    folder: Path,
) -> dict[str, Any]:
    """Fits, scores, and writes everything into a folder."""
    predictions, field_alone, fitted = _predict(config, labelled, rounds, start, folder)
    test = predictions["split"] == "test"
    statistics = experiment_statistics(
        config, archive, labelled, rounds, start, predictions[test], field_alone[test], cloudy
    )
    write_predictions(folder / "predictions.parquet", predictions)
    write_statistics(folder, config.experiment, statistics)
    write_figures(folder / "figures", predictions, statistics, fitted, archive.metadata.simulated)
    save_config(folder / "config.yaml", config)
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
) -> tuple[pd.DataFrame, pd.DataFrame, FittedHead]:
    """Fits every round and predicts its test rows; with a single round its other rows as well.

    Returns:
        Predictions, the same rows predicted by the same-day field alone, and the first round's head. With several
        rounds each row carries the level of its round, `predicted_level`.
    """
    samples = labelled.samples
    places = samples[["sample_id", "site_id", "site_name", "latitude", "longitude", "time_utc", "local_date"]]
    several = len(rounds) > 1
    frames: list[list[pd.DataFrame]] = [[], []]
    heads = []
    for number, each in enumerate(rounds):
        if config.finetune:  # every round from the same start, which it then trains in place
            start = starting_encoder(config, labelled.subset(~each.test))
        done = fit_round(config, labelled, each, start)
        split = np.select([each.test, each.validation, each.fit], ["test", "validation", "train"], "")
        frame = places.assign(
            split=split,
            observed=samples["pm25"].astype(float),
            predicted=done.predicted,
            lower=np.where(each.test, done.lower, np.nan),  # intervals say nothing of stations that were trained on
            upper=np.where(each.test, done.upper, np.nan),
            predicted_other_dates=done.predicted_other_dates,
        )
        for into, predicted in zip(frames, (done.predicted, done.field), strict=True):
            rows = frame.assign(predicted=predicted)
            if several:
                rows = rows.assign(predicted_level=round_level(predicted, each.training, samples["local_date"]))
            into.append(rows[each.test if several else split != ""])
        _save_model(config, done.fitted, start, folder / "model", f"_fold{number}" if several else "")
        heads.append(done.fitted)
        count, epochs = int(each.training.sum()), len(done.fitted.history)
        print(f"fitted {count} rows, best epoch {done.fitted.best_epoch} of {epochs}", flush=True)
    predictions, field_alone = (pd.concat(of_rounds, ignore_index=True) for of_rounds in frames)
    return predictions, field_alone, heads[0]


def _save_model(config: SuperviseConfig, fitted: FittedHead, start: StartingEncoder, folder: Path, suffix: str) -> None:
    described = {"format": "pt", "target": config.target, "encoder": config.encoder, "mean": repr(start.mean)}
    described["std"] = repr(start.std)
    states = {"head": fitted.head.state_dict()}
    if config.finetune:
        states["encoder"] = start.encoder.state_dict()
    for name, state in states.items():
        with atomic.replacing(folder / f"{name}{suffix}.safetensors") as temporary:
            save_file({key: tensor.contiguous() for key, tensor in state.items()}, temporary, metadata=described)
