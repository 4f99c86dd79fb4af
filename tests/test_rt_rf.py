"""The forest on weather: trees as arrays against scikit-learn, and what a fit depends on."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestRegressor, RandomTreesEmbedding

from model_utils.estimators.forests import rt_rf
from model_utils.estimators.forests.rt_rf import RtRf, fit_rt_rf
from model_utils.estimators.forests.trees import fault, trees_of


def made_weather(rows: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Temperature, humidity, pressure, and PM2.5 that depends on the first two, with noise of 5 ug/m3."""
    generator = np.random.default_rng(seed)
    weather = np.column_stack(
        [generator.uniform(5, 40, rows), generator.uniform(20, 100, rows), generator.uniform(960, 1000, rows)]
    )
    pm25 = 150 - 3 * weather[:, 0] + 40 * (weather[:, 1] > 60) + generator.normal(0, 5, rows)
    return weather, pm25


@pytest.fixture(scope="module")
def fitted() -> RtRf:
    return fit_rt_rf(*made_weather(300, 0), seed=3)


def test_embedding_and_forest_equal_scikit_learn(fitted: RtRf) -> None:
    weather, pm25 = made_weather(300, 0)
    order = np.lexsort((pm25, *weather.T))
    new, _ = made_weather(200, 1)
    new = new.astype(np.float32)
    embedding = RandomTreesEmbedding(800, max_depth=2, random_state=3).fit(weather[order].astype(np.float32))
    np.testing.assert_array_equal(fitted.embedding(new), embedding.transform(new).toarray())
    forest = RandomForestRegressor(rt_rf.FOREST_TREES, max_features="sqrt", min_samples_leaf=3, random_state=3)
    forest.fit(embedding.transform(weather[order].astype(np.float32)).toarray(), pm25[order])
    np.testing.assert_allclose(fitted.forest(new), forest.predict(embedding.transform(new).toarray()), rtol=1e-12)


def test_every_row_lies_in_one_leaf_of_each_tree(fitted: RtRf) -> None:
    embedding = fitted.embedding(made_weather(50, 2)[0])
    assert set(np.unique(embedding)) == {0.0, 1.0}
    assert (embedding.sum(axis=1) == 800).all()
    assert 3000 < embedding.shape[1] <= 3200  # four leaves a tree, fewer where a split leaves a single row


def test_forest_learns_what_weather_says(fitted: RtRf) -> None:
    weather, pm25 = made_weather(300, 4)
    error = fitted.forest(weather) - pm25
    assert np.sqrt(np.mean(error**2)) < 0.5 * pm25.std()


def test_labels_do_not_reach_the_embedding(fitted: RtRf) -> None:
    weather, pm25 = made_weather(300, 0)
    order = np.lexsort((pm25, *weather.T))
    assert (np.diff(weather[order, 2]) > 0).all()  # no ties: the rows' order does not depend on labels either
    other = fit_rt_rf(weather, 1000 - 7 * pm25, seed=3)
    np.testing.assert_array_equal(fitted.embedding(weather), other.embedding(weather))
    assert not np.allclose(fitted.forest(weather), other.forest(weather))


def test_rows_in_another_order_give_the_same_model(fitted: RtRf) -> None:
    weather, pm25 = made_weather(300, 0)
    order = np.random.default_rng(5).permutation(300)
    again = fit_rt_rf(weather[order], pm25[order], seed=3)
    np.testing.assert_array_equal(again.forest(weather), fitted.forest(weather))


def test_seed_decides(fitted: RtRf) -> None:
    weather, pm25 = made_weather(300, 0)
    assert not np.array_equal(fit_rt_rf(weather, pm25, seed=4).forest(weather), fitted.forest(weather))


def test_units_of_weather_do_not_matter() -> None:
    weather, pm25 = made_weather(120, 6)
    scale = np.array([2.0, 0.5, 4.0])  # powers of two: exact in float32
    one, other = fit_rt_rf(weather, pm25, seed=0), fit_rt_rf(weather * scale, pm25, seed=0)
    np.testing.assert_array_equal(one.embedding(weather), other.embedding(weather * scale))


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_few_rows(rows: int) -> None:
    weather, pm25 = made_weather(rows, 7)
    predicted = fit_rt_rf(weather, pm25, seed=0).forest(made_weather(10, 8)[0])
    assert (predicted >= pm25.min() - 1e-9).all()
    assert (predicted <= pm25.max() + 1e-9).all()


@pytest.mark.parametrize("width", [1, 4])
def test_trees_of_any_depth_are_sound(width: int) -> None:
    generator = np.random.default_rng(9)
    x = generator.normal(size=(200, width)).astype(np.float32)
    forest = RandomForestRegressor(5, random_state=0).fit(x, generator.normal(size=200))
    trees = trees_of(forest.estimators_)
    assert fault(trees, width) is None
    np.testing.assert_allclose(trees.predict(x), forest.predict(x), rtol=1e-12)
    np.testing.assert_array_equal(
        trees.leaves(x) - trees.root, np.column_stack([tree.apply(x) for tree in forest.estimators_])
    )
