"""The figures of `pm25 inspect` hold what they were given."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from conftest import write_small_archive
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from model_utils.archive.reader import open_archive
from model_utils.figures.archive.calendar import CLOUDY, NO_IMAGE, NO_READING, READING, STATES, draw_calendar
from model_utils.figures.archive.site_map import KM_PER_DEGREE, draw_site_map
from model_utils.figures.archive.tiles_by_date import draw_tiles_by_date
from model_utils.inspection.inspect import _as_shown, _contact_sheet
from model_utils.inspection.samples import read_samples
from model_utils.inspection.summary import by_site


def test_calendar_paints_each_state_at_its_day() -> None:
    days = pd.date_range("2019-01-01", periods=3)
    table = pd.DataFrame([[NO_IMAGE, CLOUDY, NO_READING], [READING, READING, NO_IMAGE]], columns=days)
    axes = draw_calendar(table, ["first", "second"], "t").axes[0]
    painted = axes.images[0].get_array()
    for (row, column), state in np.ndenumerate(table.to_numpy()):
        assert tuple(painted[row, column]) == to_rgb(STATES[state][1])
    assert axes.images[0].get_extent() == [0, 3, 2, 0]
    assert axes.get_xlabel() == "local date"
    grey = [np.dot(to_rgb(colour), (0.2126, 0.7152, 0.0722)) for _, colour in STATES.values()]
    assert np.abs(np.subtract.outer(grey, grey))[~np.eye(4, dtype=bool)].min() > 0.1, "told apart without colour"


def test_contact_sheet_shows_each_tile_in_its_cell() -> None:
    tiles = np.random.default_rng(0).integers(0, 255, (3, 4, 4, 3), dtype=np.uint8)
    number = np.array([[0, -1], [1, 2]])
    figure = draw_tiles_by_date(tiles, number, ["a", "b"], ["d1", "d2"], ["10", "20", "30"], "h", "haze")
    axes = np.reshape(np.array(figure.axes, dtype=object), (2, 2))
    for (row, column), tile in np.ndenumerate(number):
        assert len(axes[row, column].images) == (tile >= 0)
        if tile >= 0:
            assert np.array_equal(axes[row, column].images[0].get_array(), tiles[tile])
    assert [panel.get_title() for panel in axes.ravel()] == ["d1\n10", "d2\n", "20", "30"]
    assert [panel.texts[0].get_text() for panel in axes[:, 0]] == ["a", "b"]


def test_tiles_are_shown_in_true_colour_and_brightened_by_one_factor() -> None:
    tiles = np.random.default_rng(0).integers(150, 255, (2, 4, 4, 4), dtype=np.uint8)
    shown, words = _as_shown(tiles, ("blue", "green", "red", "nir"))
    assert np.array_equal(shown, tiles[..., [2, 1, 0]])
    assert words == "true colour"
    dark = np.stack([np.full((4, 4, 3), 20, np.uint8), np.full((4, 4, 3), 40, np.uint8)])
    shown, words = _as_shown(dark, ("swir1", "nir", "red"))
    assert (shown[0] == 100).all()
    assert (shown[1] == 200).all()
    assert words == "swir1, nir, red shown as red, green, blue, all tiles 5.0 times as bright as they are"
    assert _as_shown(tiles[..., :2], ("red", "nir"))[0].shape == (2, 4, 4, 1)


def scale_bar(figure: Figure) -> tuple[float, float]:
    """Length that the bar of a map says, and the length that it has, in kilometres."""
    (line,) = figure.axes[0].lines
    (start, end), (latitude, _) = line.get_xdata(), line.get_ydata()
    said = next(text.get_text() for text in figure.axes[0].texts if text.get_text().endswith(" km"))
    return float(said.removesuffix(" km")), (end - start) * KM_PER_DEGREE * math.cos(math.radians(latitude))


@pytest.mark.parametrize("size", [0.0, 0.01, 0.5, 4.0])
def test_map_places_stations_with_their_means_and_a_true_scale(size: float) -> None:
    stations = pd.DataFrame(
        {
            "latitude": [28.5, 28.5 + size, 28.5],
            "longitude": [77.0, 77.0, 77.0 + size],
            "mean": [50.0, 150.0, np.nan],
            "split": ["train", "test", "train"],
        }
    )
    others = pd.DataFrame({"latitude": [28.5], "longitude": [77.0 + size / 2]})
    figure = draw_site_map(stations, others, "t")
    axes = figure.axes[0]
    by_label = {collection.get_label(): collection for collection in axes.collections}
    assert set(by_label) == {"other place", "station without a reading", "training station", "held-out station"}
    assert np.asarray(by_label["training station"].get_offsets()).tolist() == [[77.0, 28.5]]
    assert np.asarray(by_label["held-out station"].get_array()).tolist() == [150.0]
    assert by_label["training station"].get_clim() == by_label["held-out station"].get_clim() == (50.0, 150.0)
    assert axes.get_aspect() == pytest.approx(1 / math.cos(math.radians(28.5 + size / 2)))
    said, long = scale_bar(figure)
    assert long == pytest.approx(said, rel=0.05)  # the bar lies a little south of the middle
    assert f"{said:e}"[0] in "125"
    west, east = axes.get_xlim()
    assert 0.05 < long / ((east - west) * KM_PER_DEGREE * math.cos(math.radians(28.5 + size / 2))) < 0.3


def test_contact_sheet_says_how_many_of_how_many_it_shows(tmp_path) -> None:
    archive = open_archive(write_small_archive(tmp_path, days=11, tile_size=8, stations=12, cells=2))
    samples = read_samples(archive)
    stations = by_site(samples[samples["pm25"].notna()], 0.5)
    heading = " ".join(_contact_sheet(archive, samples, stations, 0.5).get_suptitle().split())
    assert heading.startswith("Delhi, 8 of 12 places and 8 of 11 dates: ")
    once = samples[samples.groupby("site_id", observed=True).cumcount() == samples["site_id"].cat.codes % 11]
    once = once.reset_index(drop=True)
    heading = " ".join(_contact_sheet(archive, once, by_site(once, 0.5), 0.5).get_suptitle().split())
    assert heading.startswith("Delhi, 14 of 14 tiles: ")
