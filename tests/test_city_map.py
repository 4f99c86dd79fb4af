"""The figure of a map shows the map's numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from small_map import small_map

from model_utils.figures.city_map import draw_city_map
from model_utils.mapping.layers import REASON


def panels(figure):
    """Axes with an image, in their order: the colour bars hold none."""
    return [axes for axes in figure.axes if axes.get_title(loc="left")]


def test_every_panel_holds_its_layer():
    dataset = small_map()
    figure = draw_city_map(dataset, REASON, time=2)
    at = dataset.isel(time=2)
    width = at["pm25_upper"].to_numpy() - at["pm25_lower"].to_numpy()
    expected = [at["pm25"], at["dissimilarity"], width, at["place_effect"]]
    for axes, values in zip(panels(figure), expected, strict=True):
        shown = axes.images[0]
        np.testing.assert_array_equal(np.ma.filled(shown.get_array(), np.nan), np.asarray(values))
        west, east, south, north = shown.get_extent()
        assert (west, north) == (float(dataset["x"][0]) - 150, float(dataset["y"][0]) + 150)
        assert (east, south) == (float(dataset["x"][-1]) + 150, float(dataset["y"][-1]) - 150)
    low, high = panels(figure)[3].images[0].get_clim()
    assert low == -high


def test_empty_cells_say_why():
    figure = draw_city_map(small_map(), REASON, time=0)
    words = [text.get_text() for text in panels(figure)[0].get_legend().get_texts()]
    assert words == ["never clear", "unlike the stations", "no image"]


def test_stations_have_the_colours_of_what_they_read():
    dataset = small_map()
    stations = pd.DataFrame({"x": dataset["x"][[3, 9]], "y": dataset["y"][[4, 8]], "observed": [90.0, 130.0]})
    level = panels(draw_city_map(dataset, REASON, stations))[0]
    (circles,) = level.collections
    np.testing.assert_array_equal(circles.get_array(), [90.0, 130.0])
    assert circles.get_clim() == level.images[0].get_clim()


def test_the_scale_holds_the_readings_that_the_map_smooths_away():
    dataset = small_map()
    stations = pd.DataFrame({"x": [700_500.0] * 21, "y": [3_179_000.0] * 21, "observed": np.linspace(0, 400, 21)})
    low, high = panels(draw_city_map(dataset, REASON, stations))[0].images[0].get_clim()
    assert low == pytest.approx(40)
    assert high == pytest.approx(360)
    alone = panels(draw_city_map(dataset, REASON))[0].images[0].get_clim()
    np.testing.assert_allclose(alone, np.nanquantile(dataset["pm25"][0], [0.01, 0.99]))


def test_a_mean_says_of_how_many_days_it_is():
    dataset = small_map().assign_attrs(period="month", days_in_mean="10 7 1")
    assert draw_city_map(dataset, REASON, time=1).get_suptitle().endswith("November 2019 (days in the mean: 7)")


def test_truth_stands_beside_the_prediction_on_one_scale():
    dataset = small_map()
    truth = dataset["pm25"].to_numpy()[0] * 1.1
    truth[5, 5] = np.nan
    shown = panels(draw_city_map(dataset, REASON, truth=truth))
    assert shown[1].get_title(loc="left") == "Hidden truth (r = 1.00)"
    assert shown[0].images[0].get_clim() == shown[1].images[0].get_clim()


@pytest.mark.parametrize("time", [0, 1])
def test_a_time_without_any_value_is_drawn_too(time, tmp_path):
    draw_city_map(small_map(), REASON, time=time).savefig(tmp_path / "map.png")
    assert (tmp_path / "map.png").stat().st_size > 10_000
