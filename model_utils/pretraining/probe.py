"""Does the representation know PM2.5? A cheap look during pre-training, on validation stations only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import pearsonr
from sklearn.linear_model import RidgeCV
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from contrastive_models.embedding import embed
from contrastive_models.module import ContrastiveModule
from model_utils.archive.reader import TileArchive
from model_utils.sampling.splits import validation_rows

MOST_ROWS = 512


def probe_correlations(
    features: NDArray[np.float32], pm25: NDArray[np.float64], validation: NDArray[np.bool_]
) -> dict[str, float]:
    """Pearson r of ridge and 10-nearest-neighbour predictions with readings at validation stations.

    Args:
        features: n x d.
        pm25: Readings, n, ug/m3.
        validation: Rows to predict; the others are fitted.

    Returns:
        `probe_ridge_r` and `probe_knn_r`, NaN where a prediction does not vary.
    """
    models = {
        "probe_ridge_r": RidgeCV(alphas=np.logspace(-1, 5, 7)),
        "probe_knn_r": KNeighborsRegressor(n_neighbors=min(10, int((~validation).sum()))),
    }
    scores = {}
    for name, model in models.items():
        pipeline = make_pipeline(StandardScaler(), model)
        predicted = pipeline.fit(features[~validation], pm25[~validation]).predict(features[validation])
        spread = np.ptp(predicted) > 1e-9 and np.ptp(pm25[validation]) > 0
        scores[name] = float(pearsonr(predicted, pm25[validation])[0]) if spread else float("nan")
    return scores


class EmbeddingProbe:
    """Scores an encoder on the labelled tiles of a run.

    Args:
        archive: The tiles of the run; only labelled rows of training stations are used.
        validation_share: Share of the stations that is predicted.
        seed: Keys the choice of stations and rows.

    Raises:
        InputError: There are too few labelled rows to keep some apart.
    """

    def __init__(self, archive: TileArchive, validation_share: float, seed: int) -> None:
        labelled = archive.subset(archive.samples["pm25"].notna().to_numpy())
        validation = validation_rows(labelled.samples, validation_share, seed)
        generator = np.random.default_rng(seed)
        chosen = [
            np.sort(generator.choice(rows, min(MOST_ROWS, len(rows)), replace=False))
            for rows in (np.flatnonzero(~validation), np.flatnonzero(validation))
        ]
        self._archive = labelled.subset(np.concatenate(chosen))
        self._validation = np.repeat([False, True], [len(rows) for rows in chosen])
        self._pm25 = self._archive.samples["pm25"].to_numpy(np.float64)

    def __call__(self, module: ContrastiveModule) -> dict[str, float]:
        """Embeds and scores."""
        settings = module.settings
        features = embed(module.encoder, self._archive.tiles, len(self._archive), settings.mean, settings.std)
        return probe_correlations(features, self._pm25, self._validation)
