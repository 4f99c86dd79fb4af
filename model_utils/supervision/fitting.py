"""One round of the supervised stage: fit on training stations, predict test stations."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contrastive_models.embedding import embed
from model_utils.archive.reader import TileArchive
from model_utils.errors import InputError
from model_utils.estimators.conformal import calibrated_intervals, station_intervals
from model_utils.estimators.finetuned import finetune
from model_utils.estimators.head import FittedHead, HeadSettings, fit_head
from model_utils.estimators.other_dates import predict_other_dates
from model_utils.estimators.targets import make_target
from model_utils.features.embeddings import cached_embeddings
from model_utils.features.starting_encoder import StartingEncoder
from model_utils.sampling.splits import validation_rows
from model_utils.supervision.config import SuperviseConfig
from model_utils.supervision.rounds import Round


@dataclass(frozen=True)
class FittedRound:
    """What a round gives for every labelled row, in ug/m3.

    Attributes:
        fitted: The head.
        predicted: Its predictions.
        predicted_other_dates: Predictions by heads that trained on other dates only, NaN where there are none. With
            anomaly targets that is the image's part; the same-day field is that of the date itself.
        lower: Lower bounds of the intervals, NaN where there are none; they hold at test stations only.
        upper: Upper bounds.
        field: What the image's part was added to: the same-day field, or 0.
    """

    fitted: FittedHead
    predicted: NDArray[np.float64]
    predicted_other_dates: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    field: NDArray[np.float64]


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
    samples = labelled.samples.assign(pm25=labelled.samples["pm25"].astype(float).where(each.training))
    target = make_target(config.target, samples, each.training, config.field)
    learnt = target.values(samples["pm25"].to_numpy())
    training = each.training & np.isfinite(learnt)  # a field may say nothing at a station that is alone
    if config.finetune:
        validation = _validation(config, samples, training)
        tiles = labelled.subset(np.flatnonzero(training))
        fitted = finetune(tiles, learnt[training], validation[training], start, config)
        features = embed(start.encoder, labelled.tiles, len(labelled), start.mean, start.std)
        predicted = fitted.predict(features) + target.offset
        # one fine-tuning a group of dates or of stations is too much to ask: there are no predictions of other dates,
        # and intervals rest on the validation stations, which chose the epoch but gave no gradient
        other_dates = np.full(len(samples), np.nan)
        site = samples["site_id"]
        unseen = np.where(validation & ~site.isin(site[training & ~validation]), predicted, np.nan)
        intervals = calibrated_intervals(samples["pm25"].to_numpy(), unseen, site.to_numpy(), predicted)
    else:
        frozen = _FrozenEncoder(config, samples, cached_embeddings(labelled, start, config.accelerator))
        fitted = frozen.fit(learnt, training)
        predicted = fitted.predict(frozen.features) + target.offset
        other_dates = predict_other_dates(partial(frozen.learn, learnt), samples, training, learnt, config.seed)
        intervals = station_intervals(frozen.fit_predict, samples, training, predicted, seed=config.seed)
    return FittedRound(fitted, predicted, other_dates + target.offset, *intervals, target.offset)


@dataclass(frozen=True)
class _FrozenEncoder:
    """Heads on features that were computed once."""

    config: SuperviseConfig
    samples: pd.DataFrame
    features: NDArray[np.float32]

    def fit(self, learnt: NDArray[np.float64], training: NDArray[np.bool_]) -> FittedHead:
        """Fits on the rows of a mask."""
        settings = HeadSettings(**{item.name: getattr(self.config, item.name) for item in fields(HeadSettings)})
        validation = _validation(self.config, self.samples, training)[training]
        dates = self.samples["local_date"].to_numpy()[training]
        return fit_head(self.features[training], learnt[training], validation, settings, dates)

    def learn(self, learnt: NDArray[np.float64], training: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Predicts what was learnt, every row; NaN where the rows of the mask are too few to keep some apart."""
        try:
            return self.fit(learnt, training).predict(self.features)
        except InputError:
            return np.full(len(self.samples), np.nan)

    def fit_predict(self, training: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Predicts PM2.5 from the readings of the rows of a mask alone."""
        target = make_target(self.config.target, self.samples, training, self.config.field)
        learnt = target.values(self.samples["pm25"].to_numpy())
        return self.learn(learnt, training & np.isfinite(learnt)) + target.offset


def _validation(config: SuperviseConfig, samples: pd.DataFrame, training: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The rows that early stopping looks at, as a mask over all rows."""
    validation = np.zeros(len(samples), dtype=bool)
    validation[training] = validation_rows(samples[training], config.validation_share, config.seed)
    return validation
