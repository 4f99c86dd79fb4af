"""Predicts the folds of an experiment, and says what `statistics.json` says of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model_utils.archive.format import ArchiveMetadata
from model_utils.archive.quality import quality_counts
from model_utils.archive.reader import TileArchive
from model_utils.configuration import library_versions
from model_utils.estimators.conformal import INTERVAL_LEVEL
from model_utils.estimators.estimator import FittedEstimator, Method
from model_utils.estimators.place_and_day.place_and_day import FittedPlaceAndDay
from model_utils.estimators.references.catalogue import ON_WEATHER, REFERENCES
from model_utils.estimators.references.ceilings import ceilings
from model_utils.estimators.references.fields import SameDayField
from model_utils.estimators.references.weather_inputs import weather_inputs
from model_utils.estimators.refitting import FoldPredictions, predict_fold
from model_utils.evaluation.coverage import coverage
from model_utils.evaluation.paired import paired_differences
from model_utils.evaluation.spatial import evaluated
from model_utils.evaluation.statistics import evaluate
from model_utils.features.band_statistics import band_statistics_features
from model_utils.features.starting_encoder import StartingEncoder
from model_utils.hardware import machine, resolve_precision
from model_utils.sampling.designs import Run
from model_utils.sampling.tile_ground import TileGround, tile_side_m
from model_utils.supervision.config import SuperviseConfig

PLACES = ("sample_id", "site_id", "site_name", "latitude", "longitude", "time_utc", "local_date")


def predict_run(
    method: Method, samples: pd.DataFrame, run: Run, config: SuperviseConfig, intervals: bool = True
) -> tuple[pd.DataFrame, list[FoldPredictions]]:
    """Fits every fold and predicts its test rows; with a single fold its training rows as well.

    Args:
        method: What fits.
        samples: The labelled rows.
        run: The folds.
        config: Its seed.
        intervals: Whether prediction intervals are asked for.

    Returns:
        `PLACES`, split (test or train), observed, predicted, predicted_sd, lower, upper, predicted_other_dates, and
        with several folds the level of each row's fold, predicted_level; and what each fold said.
    """
    several = len(run.folds) > 1
    frames, every = [], []
    for fold in run.folds:
        said = predict_fold(
            method.estimator,
            samples,
            method.features,
            fold,
            interval_level=INTERVAL_LEVEL if intervals else None,
            seed=config.seed,
        )
        frame = samples[list(PLACES)].assign(
            split=np.select([fold.test, fold.training], ["test", "train"], ""),
            observed=samples["pm25"].astype(float),
            predicted=said.predicted.mean,
            predicted_sd=said.predicted.sd,
            lower=np.where(fold.test, said.lower, np.nan),  # intervals say nothing of stations that were trained on
            upper=np.where(fold.test, said.upper, np.nan),
            predicted_other_dates=said.other_dates,
        )
        if several:
            frame = frame.assign(predicted_level=said.level)
        frames.append(frame[fold.test if several else frame["split"] != ""])
        every.append(said)
    return pd.concat(frames, ignore_index=True), every


def share_inside_applicability(samples: pd.DataFrame, run: Run, fitted: Sequence[FittedEstimator]) -> float | None:
    """Share of the test stations that are like the training stations of their fold, as place and day sees them.

    Args:
        samples: The labelled rows; images of their stations belong to what is known of the ground.
        run: The folds.
        fitted: What each fold has learnt.

    Returns:
        None where another estimator was fitted, or to fewer than three stations.
    """
    inside: list[NDArray[np.bool_]] = []
    for fold, each in zip(run.folds, fitted, strict=True):
        if not isinstance(each, FittedPlaceAndDay) or np.isnan(each.process.applicability().threshold):
            return None
        stations = samples[fold.test].drop_duplicates("site_id")
        inside.append(each.inside_applicability(stations, None))
    return float(np.concatenate(inside).mean())


def experiment_statistics(
    config: SuperviseConfig,
    archive: TileArchive,
    labelled: TileArchive,
    run: Run,
    split: str,
    start: StartingEncoder,
    predictions: pd.DataFrame,
    fitted: Sequence[FittedEstimator],
    others: Mapping[str, Method],
    cloudy: int,
) -> dict[str, Any]:
    """Scores of the method and of the references on the same test rows, and where all of it comes from.

    Args:
        config: The experiment.
        archive: All tiles.
        labelled: Those that were learnt from and predicted.
        run: Their split.
        split: That in words.
        start: The encoder.
        predictions: As from `predict_run`.
        fitted: What each fold has learnt.
        others: Further methods on the same encoder, a row each.
        cloudy: How many labelled tiles were left out.

    Returns:
        Ready for JSON.
    """
    samples, test = labelled.samples, predictions[predictions["split"] == "test"]
    precision = resolve_precision(config.precision, config.accelerator) if config.finetune else "32-true"
    seen = None if start.seen_ground is None else _stations_seen(start.seen_ground, test, archive.metadata)
    transductive = {"transductive": None if seen is None else seen > 0}  # None: the weights do not say it
    scored = samples["sample_id"].isin(evaluated(test)["sample_id"])
    trained_on = np.logical_or.reduce([fold.training for fold in run.folds])
    same_day = config.target == "anomaly" or (config.estimator == "place_and_day" and config.day != "images")
    return {
        "experiment": config.experiment,
        "city": config.city,
        "simulated": archive.metadata.simulated,
        **_scores(test, config),
        **_covered(test, config),
        "share_inside_applicability": share_inside_applicability(samples, run, fitted),
        **(_added_over_field(test, samples, run, config) if config.target == "anomaly" else {}),
        "uses_same_day_readings": same_day,
        "split": split,
        "n_samples_cloudy_left_out": cloudy,
        "quality_counts": quality_counts(samples.loc[scored, "quality"]),
        "quality_counts_training": quality_counts(samples.loc[trained_on, "quality"]),
        "quality_counts_archive": quality_counts(archive.samples["quality"]),
        "n_stations_training": int(np.median([samples.loc[fold.training, "site_id"].nunique() for fold in run.folds])),
        **transductive,
        "test_stations_seen_in_pretraining": seen,
        "seeds": {"seed": config.seed, "draw": config.draw},
        "versions": library_versions(),
        "machine": machine(precision, config.accelerator),
        "machine_of_pretraining": dict(start.machine),
        "archive_sha256": archive.metadata.content_sha256,
        "weights_sha256": start.sha256,
        "other_estimators": {
            name: _row(method, samples, run, config, True) | transductive for name, method in others.items()
        },
        "references": _references(config, labelled, run),
    }


def _stations_seen(seen: TileGround, test: pd.DataFrame, metadata: ArchiveMetadata) -> int:
    """How many test stations have a tile of which some ground was seen."""
    places = test[["latitude", "longitude"]].to_numpy(np.float64)
    shown = seen.shown_in(places[:, 0], places[:, 1], tile_side_m(metadata))
    return int(test.loc[shown, "site_id"].nunique())


def _references(config: SuperviseConfig, labelled: TileArchive, run: Run) -> dict[str, dict[str, Any]]:
    """Scores of each reference, each fold fitted anew; those on weather only where any is known."""
    samples, bands = labelled.samples, band_statistics_features(labelled)
    named = {**REFERENCES, **ceilings(samples)}
    if not weather_inputs(samples, np.ones(len(samples), dtype=bool)).names:
        named = {name: estimator for name, estimator in named.items() if name not in ON_WEATHER}
    return {name: _row(Method(estimator, bands), samples, run, config, False) for name, estimator in named.items()}


def _row(method: Method, samples: pd.DataFrame, run: Run, config: SuperviseConfig, intervals: bool) -> dict[str, Any]:
    predictions, said = predict_run(method, samples, run, config, intervals)
    learnt = [each.fitted for each in said]
    test = predictions[predictions["split"] == "test"]
    return {
        **_scores(test, config),
        **(_covered(test, config) if intervals else {}),
        "share_inside_applicability": share_inside_applicability(samples, run, learnt),
        "uses_same_day_readings": method.estimator.uses_same_day_readings,
    }


def _scores(test: pd.DataFrame, config: SuperviseConfig) -> dict[str, Any]:
    """Scores of the test rows; `temporal_r` is that of fits which never trained on the date they predict.

    The correlation of the predictions themselves is kept as `temporal_r_paper`, as the paper's hold-out has it. What
    reads the day's stations knows the date by design, in both.
    """
    scores = evaluate(test, config.bootstrap_draws, config.seed)
    apart = test.assign(predicted=test["predicted_other_dates"])
    other = evaluate(apart, config.bootstrap_draws, config.seed, ("temporal_r",))
    for key in ("temporal_r", "temporal_r_ci95"):
        scores[key.replace("temporal_r", "temporal_r_paper")] = scores[key]
        scores[key] = other[key]
    return scores


def _covered(test: pd.DataFrame, config: SuperviseConfig) -> dict[str, Any]:
    found = coverage(test, INTERVAL_LEVEL, config.bootstrap_draws, config.seed)
    return {key: found[key] for key in ("interval_level", "coverage", "coverage_ci95", "mean_width")}


def _added_over_field(test: pd.DataFrame, samples: pd.DataFrame, run: Run, config: SuperviseConfig) -> dict[str, Any]:
    """What the image adds to the field: differences of scores, with intervals over the same resampled stations.

    The same-day mean says nothing of places, so over it there is no difference in `spatial_r`.
    """
    alone, _ = predict_run(Method(SameDayField(config.field), None), samples, run, config, intervals=False)
    keys = ("spatial_r", "rmse")
    found = paired_differences([test], [alone[alone["split"] == "test"]], keys, config.bootstrap_draws, config.seed)
    added = {name: found[name] for key in keys for name in (key, f"{key}_ci95")}
    return {"field": config.field, "added_over_field": added}
