"""PM2.5 from weather: a random forest on a totally random trees embedding."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestRegressor, RandomTreesEmbedding

from model_utils.estimators.forests.trees import Trees, trees_of
from model_utils.estimators.saving import Saved

EMBEDDING_TREES = 800
EMBEDDING_DEPTH = 2

# On training stations left out in turn, 500 such trees were 0.7 % better than 50, and 200 with a third of the 3,200
# columns a split, 40 times as slow, were no better.
FOREST_TREES = 50
LEAST_ROWS_IN_LEAF = 3


@dataclass(frozen=True)
class RtRf(Saved):
    """Random trees and a random forest on top (Zheng et al. 2021; Jiang et al. 2022).

    Attributes:
        embedding_trees: Grown without labels on weather; an indicator of every leaf is a column of the embedding.
        forest_trees: On the embedding, ug/m3.
    """

    embedding_trees: Trees
    forest_trees: Trees

    def embedding(self, weather: NDArray[np.float64]) -> NDArray[np.float32]:
        """Which leaf of each random tree a row lies in: 0 or 1, n x k (k about 3,200); weather is n x d."""
        return leaf_indicators(self.embedding_trees, weather)

    def forest(self, weather: NDArray[np.float64]) -> NDArray[np.float64]:
        """PM2.5, ug/m3, n; weather is n x d."""
        return self.forest_trees.predict(self.embedding(weather))


def fit_rt_rf(weather: NDArray[np.float64], pm25: NDArray[np.float64], seed: int) -> RtRf:
    """Fits embedding and forest; the order of the rows does not matter.

    Args:
        weather: Training rows, n x d, finite. Its units do not matter: a random tree splits uniformly between
            the lowest and the highest value of a column.
        pm25: ug/m3, n.
        seed: Keys both.
    """
    order = np.lexsort((pm25, *weather.T))
    weather, pm25 = weather[order], pm25[order]
    trees = fit_embedding(weather, seed)
    return RtRf(trees, fit_forest(leaf_indicators(trees, weather), pm25, seed))


def fit_embedding(weather: NDArray[np.float64], seed: int) -> Trees:
    """Grows totally random trees on n x d weather (Geurts et al. 2006, section 2.2); no label is involved."""
    grown = RandomTreesEmbedding(EMBEDDING_TREES, max_depth=EMBEDDING_DEPTH, random_state=seed, n_jobs=1)
    return trees_of(grown.fit(weather.astype(np.float32)).estimators_)


def leaf_indicators(trees: Trees, weather: NDArray[np.float64]) -> NDArray[np.float32]:
    """0/1 columns, one for each leaf of the trees, n x k."""
    column = np.cumsum(trees.is_leaf) - 1
    indicators = np.zeros((len(weather), int(trees.is_leaf.sum())), dtype=np.float32)
    np.put_along_axis(indicators, column[trees.leaves(weather.astype(np.float32))], 1, axis=1)
    return indicators


def fit_forest(embedding: NDArray[np.float32], pm25: NDArray[np.float64], seed: int) -> Trees:
    """Fits the forest to embedded rows, n x k, and ug/m3, n."""
    forest = RandomForestRegressor(
        FOREST_TREES, max_features="sqrt", min_samples_leaf=LEAST_ROWS_IN_LEAF, random_state=seed, n_jobs=1
    )
    return trees_of(forest.fit(embedding, pm25).estimators_)
