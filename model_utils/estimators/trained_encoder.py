"""Encoder and head trained together: what labels alone can teach."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from contrastive_models.embedding import embed
from model_utils.archive.reader import TileArchive
from model_utils.errors import InputError
from model_utils.estimators.estimator import Prediction, Problem
from model_utils.estimators.finetuned import finetune
from model_utils.features.starting_encoder import starting_encoder
from model_utils.sampling.splits import validation_rows
from model_utils.supervision.config import SuperviseConfig


@dataclass(frozen=True)
class TrainedEncoder:
    """Trains from `config.start` once for each learning rate and keeps the best on the validation stations.

    Attributes:
        labelled: The n tiles of the problem's rows.
        config: Start, epochs, patience, batch size.
        learning_rates: Tried for encoder and head alike.
    """

    labelled: TileArchive
    config: SuperviseConfig
    learning_rates: tuple[float, ...]
    uses_same_day_readings: bool = False

    def predict(self, problem: Problem) -> Prediction:
        """Trains on the training rows and predicts every row."""
        config = replace(self.config, seed=problem.seed)
        training = np.flatnonzero(problem.training)
        rows = problem.samples.iloc[training]
        try:
            validation = validation_rows(rows, config.validation_share, config.seed)
        except InputError:  # a single date of a few stations: nothing to stop early on
            return Prediction(np.full(len(problem.samples), np.nan))
        tiles, target = self.labelled.subset(training), rows["pm25"].to_numpy(float)
        best, chosen, values = np.inf, {}, np.full(len(problem.samples), np.nan)
        for rate in self.learning_rates:
            start = starting_encoder(config, tiles)
            rates = replace(config, learning_rate=rate, encoder_learning_rate=rate)
            fitted = finetune(tiles, target, validation, start, rates)
            loss = float(fitted.history["validation_loss"].min())
            if loss < best:
                best, chosen = loss, {"learning_rate": rate, "epochs": float(fitted.best_epoch)}
                features = embed(start.encoder, self.labelled.tiles, len(self.labelled), start.mean, start.std)
                values = fitted.predict(features)
        return Prediction(values, trials=len(self.learning_rates), chosen=chosen)
