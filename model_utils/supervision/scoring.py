"""What `statistics.json` says of a supervised experiment."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model_utils.archive.quality import quality_counts
from model_utils.archive.reader import TileArchive
from model_utils.configuration import library_versions
from model_utils.estimators.conformal import INTERVAL_LEVEL
from model_utils.estimators.estimator import Method, hidden
from model_utils.estimators.other_dates import predict_other_dates
from model_utils.estimators.references.catalogue import REFERENCES
from model_utils.estimators.references.ceilings import ceilings
from model_utils.estimators.references.methods import reference_method
from model_utils.evaluation.coverage import coverage
from model_utils.evaluation.levels import round_level
from model_utils.evaluation.paired import paired_differences
from model_utils.evaluation.spatial import evaluated
from model_utils.evaluation.statistics import evaluate
from model_utils.features.band_statistics import with_band_statistics
from model_utils.features.starting_encoder import StartingEncoder
from model_utils.supervision.config import SuperviseConfig
from model_utils.supervision.rounds import Round


def experiment_statistics(
    config: SuperviseConfig,
    archive: TileArchive,
    labelled: TileArchive,
    rounds: list[Round],
    start: StartingEncoder,
    test: pd.DataFrame,
    field_alone: pd.DataFrame,
    cloudy: int,
) -> dict[str, Any]:
    """Scores of the method and of the references on the same test rows, and where all of it comes from.

    Args:
        config: The experiment.
        archive: All tiles.
        labelled: Those that were learnt from and predicted.
        rounds: Their splits.
        start: The encoder.
        test: The test rows' predictions.
        field_alone: The same rows with the same-day field as the prediction; looked at with anomaly targets.
        cloudy: How many labelled tiles were left out.

    Returns:
        Ready for JSON.
    """
    samples = labelled.samples
    seen = None if start.seen_sites is None else len(start.seen_sites & set(test["site_id"]))
    scored = samples["sample_id"].isin(evaluated(test)["sample_id"])
    trained_on = np.logical_or.reduce([each.training for each in rounds])
    intervals = coverage(test, INTERVAL_LEVEL, config.bootstrap_draws, config.seed)
    return {
        "experiment": config.experiment,
        "city": config.city,
        "simulated": archive.metadata.simulated,
        **_scores(test, config),
        **{key: intervals[key] for key in ("interval_level", "coverage", "coverage_ci95", "mean_width")},
        **(_added_over_field(test, field_alone, config) if config.target == "anomaly" else {}),
        "uses_same_day_readings": config.target == "anomaly",
        "split": f"{config.folds} contiguous folds" if config.folds else "hold-out list of the city",
        "n_samples_cloudy_left_out": cloudy,
        "quality_counts": quality_counts(samples.loc[scored, "quality"]),
        "quality_counts_training": quality_counts(samples.loc[trained_on, "quality"]),
        "quality_counts_archive": quality_counts(archive.samples["quality"]),
        "n_stations_training": int(np.median([samples.loc[each.training, "site_id"].nunique() for each in rounds])),
        "transductive": None if seen is None else seen > 0,  # None: 2022 weights do not say it
        "test_stations_seen_in_pretraining": seen,
        "seeds": {"seed": config.seed, "draw": config.draw},
        "versions": library_versions(),
        "archive_sha256": archive.metadata.content_sha256,
        "weights_sha256": start.sha256,
        "references": _reference_statistics(config, labelled, rounds),
    }


def _reference_statistics(
    config: SuperviseConfig, labelled: TileArchive, rounds: list[Round]
) -> dict[str, dict[str, Any]]:
    """Scores of each reference, each round fitted anew.

    What does not read the day's stations has its `temporal_r` from fits that never saw the date, as the method has.
    """
    samples = with_band_statistics(labelled)
    readings = samples["pm25"].to_numpy(np.float64)
    statistics = {}
    for reference in (*REFERENCES, *ceilings(samples)):
        method = reference_method(reference)

        def fit_predict(training: NDArray[np.bool_], method: Method = method) -> NDArray[np.float64]:
            return method.predict(hidden(samples, training, seed=config.seed)).values

        frames = []
        for each in rounds:
            predicted = other_dates = fit_predict(each.training)
            if not reference.uses_same_day_readings:
                other_dates = predict_other_dates(fit_predict, samples, each.training, readings, config.seed)
            rows = samples.assign(observed=readings, predicted=predicted, predicted_other_dates=other_dates)
            if len(rounds) > 1:
                rows = rows.assign(predicted_level=round_level(predicted, each.training, samples["local_date"]))
            frames.append(rows[each.test])
        statistics[reference.name] = {
            **_scores(pd.concat(frames), config),
            "uses_same_day_readings": reference.uses_same_day_readings,
        }
    return statistics


def _scores(test: pd.DataFrame, config: SuperviseConfig) -> dict[str, Any]:
    """Scores of the test rows; `temporal_r` is that of fits which never trained on the date they predict.

    The correlation of the predictions themselves is kept as `temporal_r_paper`, as the paper's hold-out has it. With
    anomaly targets both hold the same-day field, which knows the date from readings by design.
    """
    scores = evaluate(test, config.bootstrap_draws, config.seed)
    other = evaluate(test.assign(predicted=test["predicted_other_dates"]), config.bootstrap_draws, config.seed)
    for key in ("temporal_r", "temporal_r_ci95"):
        scores[key.replace("temporal_r", "temporal_r_paper")] = scores[key]
        scores[key] = other[key]
    return scores


def _added_over_field(test: pd.DataFrame, field_alone: pd.DataFrame, config: SuperviseConfig) -> dict[str, Any]:
    """What the image adds to the field: differences of scores, with intervals over the same resampled stations.

    The same-day mean says nothing of places, so over it there is no difference in `spatial_r`.
    """
    keys = ("spatial_r", "rmse")
    found = paired_differences([test], [field_alone], keys, config.bootstrap_draws, config.seed)
    added = {name: found[name] for key in keys for name in (key, f"{key}_ci95")}
    return {"field": config.field, "added_over_field": added}
