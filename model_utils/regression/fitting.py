"""One round of the supervised stage: fit on training stations, predict test stations."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contrastive_models.embedding import embed
from model_utils.archive.reader import TileArchive
from model_utils.errors import InputError
from model_utils.regression.config import SuperviseConfig
from model_utils.regression.embeddings import cached_embeddings
from model_utils.regression.finetune import finetune
from model_utils.regression.head import FittedHead, HeadSettings, fit_head
from model_utils.regression.rounds import Round
from model_utils.regression.starts import StartingEncoder
from model_utils.regression.targets import make_target
from model_utils.sampling.splits import validation_rows

DATE_GROUPS = 5


@dataclass(frozen=True)
class FittedRound:
    """What a round gives for every labelled row, in ug/m3.

    Attributes:
        fitted: The head.
        predicted: Its predictions.
        predicted_other_dates: Predictions by heads that trained on other dates only, NaN where there are none.
    """

    fitted: FittedHead
    predicted: NDArray[np.float64]
    predicted_other_dates: NDArray[np.float64]


def fit_round(config: SuperviseConfig, labelled: TileArchive, each: Round, start: StartingEncoder) -> FittedRound:
    """Fits a head on frozen features, or encoder and head together with --finetune.

    Args:
        config: How to train.
        labelled: All labelled tiles.
        each: Which rows train, validate and test.
        start: The encoder; fine-tuning trains it in place.

    Returns:
        The head and predictions of all rows.
    """
    samples = labelled.samples
    target = make_target(config.target, samples, each.training)
    learnt = target.values(samples["pm25"].to_numpy(np.float64))
    training = np.flatnonzero(each.training)
    if config.finetune:
        tiles = labelled.subset(training)
        fitted = finetune(tiles, learnt[training], each.validation[training], start, config)
        features = embed(start.encoder, labelled.tiles, len(labelled), start.mean, start.std)
        # the encoder itself has seen every date, and one fine-tuning a date group is too much to ask
        other_dates = np.full(len(samples), np.nan)
    else:
        settings = HeadSettings(**{item.name: getattr(config, item.name) for item in fields(HeadSettings)})
        features = cached_embeddings(labelled, start, config.accelerator)
        fitted = fit_head(features[training], learnt[training], each.validation[training], settings)
        other_dates = predict_other_dates(features, learnt, samples, training, settings, config.validation_share)
    return FittedRound(fitted, fitted.predict(features) + target.offset, other_dates + target.offset)


def predict_other_dates(
    features: NDArray[np.float32],
    learnt: NDArray[np.float64],
    samples: pd.DataFrame,
    training: NDArray[np.int64],
    settings: HeadSettings,
    validation_share: float,
) -> NDArray[np.float64]:
    """Predicts every row with a head that never trained on a reading of that date.

    All tiles of a date share one sensor's gain, one sun and one haze. A head that trains on some stations of a date
    can recognise the date by these and return its readings' level at the others: skill in time that needs no haze
    at all (in simulated worlds without haze its interval excluded zero in 11 of 15 cities). So dates are dealt
    into five groups, and each group is predicted from the other four. The other dates' mean level is then replaced by
    that of all training rows: it is low just where the group is high, and would give a head that knows nothing a
    negative correlation.

    Args:
        features: Embeddings of all rows, n x d.
        learnt: What the regression learns, ug/m3, n.
        samples: The rows: `site_id`, `local_date`.
        training: Positions of the rows of training stations.
        settings: How a head trains; its seed also deals the dates.
        validation_share: For early stopping, as in the round itself.

    Returns:
        Predictions, n; NaN where the other dates are too few to train on.
    """
    dates, date = np.unique(samples["local_date"].to_numpy(), return_inverse=True)
    group = np.random.default_rng(settings.seed).permutation(len(dates))[date] % DATE_GROUPS
    predicted = np.full(len(samples), np.nan)
    for number in np.unique(group):
        others = training[group[training] != number]
        try:
            validation = validation_rows(samples.iloc[others], validation_share, settings.seed)
        except InputError:
            continue
        fitted = fit_head(features[others], learnt[others], validation, settings)
        shown = group == number
        level = learnt[training].mean() - float(fitted.head.target_mean)
        predicted[shown] = fitted.predict(features[shown]) + level
    return predicted
