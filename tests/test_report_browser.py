"""What a reader sees of the page of a map in a real browser."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from map_page import CELLS, EVIL, SCALE, stations_of, webp, write_page
from small_map import small_map

from model_utils.cities import BoundingBox
from model_utils.mapping.report.contents import BaseImage
from model_utils.mapping.report.geometry import grid_of


class Reader:
    """A person before a page: opens it, points, types and reads."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, path: Path, width: int = 1200, height: int = 900, scheme: str = "light") -> None:
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
        self.driver.get_log("performance")
        self.driver.get(path.as_uri())
        from selenium.webdriver.support.ui import WebDriverWait

        WebDriverWait(self.driver, 20, 0.05).until(lambda _: self.run("return document.documentElement.dataset.ready"))

    def run(self, script: str, *values: object) -> Any:
        return self.driver.execute_script(script, *values)

    def point(self, row: int, column: int) -> None:
        x, y = self.run(
            "const map = document.getElementById('map'); map.scrollIntoView({block: 'center'});"
            "const box = map.getBoundingClientRect(); const {left, top, scale} = map.dataset;"
            "return [box.left + Number(left) + (arguments[1] + 0.5) * scale,"
            "        box.top + Number(top) + (arguments[0] + 0.5) * scale];",
            row,
            column,
        )
        event = {"type": "mouseMoved", "x": x, "y": y}
        self.driver.execute_cdp_cmd("Input.dispatchMouseEvent", event)

    def press(self, *keys: str) -> None:
        from selenium.webdriver.common.action_chains import ActionChains

        ActionChains(self.driver, 0).send_keys(*keys).perform()

    def click(self, identifier: str) -> None:
        self.run("document.getElementById(arguments[0]).click()", identifier)

    def text(self, selector: str) -> str:
        return str(self.run("return document.querySelector(arguments[0])?.textContent ?? 'absent'", selector))

    def value(self, name: str) -> str:
        return self.text(f"#readout [data-value={name}]").replace("\N{MINUS SIGN}", "-")

    def date(self, number: int) -> None:
        self.run(
            "const slider = document.getElementById('date'); slider.value = arguments[0];"
            "slider.dispatchEvent(new Event('input'))",
            number,
        )

    def colour(self, row: int, column: int) -> str:
        """Of the map in a corner of a cell, where no circle lies."""
        red, green, blue = self.run(
            "const map = document.getElementById('map'); const {left, top, scale} = map.dataset;"
            "const pixel = new OffscreenCanvas(1, 1).getContext('2d', {willReadFrequently: true});"
            "pixel.drawImage(map, Math.round(Number(left) + (arguments[1] + 0.2) * scale),"
            "  Math.round(Number(top) + (arguments[0] + 0.2) * scale), 1, 1, 0, 0, 1, 1);"
            "return [...pixel.getImageData(0, 0, 1, 1).data].slice(0, 3);",
            row,
            column,
        )
        return f"#{red:02x}{green:02x}{blue:02x}"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium: pip install -e '.[dev]'")
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    chromedriver = shutil.which("chromedriver")
    if chromium is None or chromedriver is None:
        pytest.skip("needs chromium and chromedriver (Debian: apt-get install chromium chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(chromedriver))
    try:
        yield driver
    finally:
        driver.quit()


@pytest.fixture
def reader(browser: Any, tmp_path: Path) -> Iterator[Reader]:
    """Before the page of `small_map`; at the end nothing was fetched, nothing failed and no name ran."""
    reader = Reader(browser)
    write_page(tmp_path / "report.html", small_map(), box=BoundingBox(28.69, 77.06, 28.72, 77.12))
    reader.open(tmp_path / "report.html")
    yield reader
    assert browser.get_log("browser") == []
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [one["params"]["request"]["url"] for one in messages if one["method"] == "Network.requestWillBeSent"]
    assert any(url.startswith("file:") for url in asked)
    assert [url for url in asked if not url.startswith(("data:", tmp_path.as_uri() + "/"))] == []
    assert reader.run("return performance.getEntriesByType('resource').filter(one => !/^data:/.test(one.name))") == []
    assert reader.run("return [window.hurt ?? null, document.images.length, document.scripts.length]") == [None, 0, 2]


def test_under_the_pointer_stands_what_the_map_holds(reader: Reader) -> None:
    dataset = small_map()
    for date in (0, 2):
        reader.date(date)
        for row, column in CELLS:
            reader.point(row, column)
            cell = dataset.isel(x=column, y=row)
            timed = cell.isel(time=date)
            assert float(reader.value("pm25").split()[0]) == round(float(timed["pm25"]), 1)
            low, high = (round(float(timed[name]), 1) for name in ("pm25_lower", "pm25_upper"))
            assert [float(bound) for bound in reader.value("interval").split(" to ")] == [low, high]
            assert float(reader.value("width").split()[0]) == round(high - low, 1)
            assert int(reader.value("aqi").split()[0]) == int(timed["aqi"])
            assert reader.value("hotspot") == ("yes" if timed["hotspot"] else "no")
            assert float(reader.value("effect").split()[0]) == round(float(cell["place_effect"]), 1)
            assert float(reader.value("dissimilarity")) == round(float(cell["dissimilarity"]), 2)
            assert reader.value("inside") == "inside"
            latitude, longitude = re.findall(r"[\d.]+", reader.value("place"))
            expected = [degrees[row, column] for degrees in grid_of(dataset).degrees()]
            assert [float(latitude), float(longitude)] == pytest.approx(expected, abs=1e-4)


def test_a_cell_without_value_says_why(reader: Reader) -> None:
    for (row, column), reason in {
        (0, 4): "outside of the area that was asked for",
        (1, 2): "no date shows the cell without cloud",
        (2, 2): "like none that the model knows",
        (3, 2): "no image covers the cell",
    }.items():
        reader.point(row, column)
        assert reader.value("pm25").startswith("No value: ")
        assert reason in reader.value("pm25")
        assert reader.text("#tip") == "no value"
        assert reader.value("interval") == reader.value("aqi") == "absent"
        reader.click("layer-aqi")
        reader.point(row, column)
        assert reader.text("#tip") == "no value"
        reader.click("layer-pm25")
    reader.date(1)
    reader.point(10, 15)
    assert "neither readings nor clear images tell the level" in reader.value("pm25")


def test_layers_switch_and_each_has_its_legend_and_its_colours(reader: Reader) -> None:
    dataset = small_map()
    drawn = set()
    for key, title in {
        "pm25": "PM2.5, µg/m³",
        "lower": "Lower bound of PM2.5, µg/m³",
        "upper": "Upper bound of PM2.5, µg/m³",
        "width": "Width of the 90 % interval, µg/m³",
        "aqi": "PM2.5 sub-index",
        "hotspot": "Local hotspots of PM2.5",
        "effect": "Effect of the place on PM2.5, %",
        "inside": "Area of applicability",
    }.items():
        reader.click(f"layer-{key}")
        assert reader.text("#legend-title") == title
        drawn.add(tuple(reader.colour(row, column) for row, column in CELLS))
        if key == "hotspot":
            row, column = np.argwhere(dataset["hotspot"].to_numpy()[0] == 1)[0]
            assert reader.colour(int(row), int(column)) == "#d55e00"
        if key == "inside":
            assert (reader.colour(2, 2), reader.colour(12, 12)) == ("#e69f00", "#56b4e9")
        if key == "aqi":
            value = int(dataset["aqi"][0, 12, 12])
            assert reader.colour(12, 12) == next(colour for bound, _, colour, _ in SCALE if value <= bound)
            assert EVIL in reader.text("#legend")
            assert "201 to 300" in reader.text("#legend")
            assert "above 300" in reader.text("#legend")
            assert "above 60 to 90.5 µg/m³" in reader.text("#legend")
            assert "above 120 µg/m³" in reader.text("#legend")
    assert len(drawn) == 8


def test_colours_span_what_stations_read_too(reader: Reader, tmp_path: Path) -> None:
    dataset = small_map(dates=1)
    stations = stations_of(dataset)
    stations["observed"] = [40.0, 400.0]
    write_page(tmp_path / "stations.html", dataset, stations=stations)
    reader.open(tmp_path / "stations.html")
    ticks = reader.run("return [...document.querySelectorAll('.ticks span')].map(one => Number(one.textContent))")
    assert ticks == [100, 200, 300, 400]
    reader.click("layer-effect")
    assert float(reader.text(".ticks span:last-child")) < 40


def test_stations_show_observed_and_predicted(reader: Reader) -> None:
    reader.point(10, 15)
    assert reader.text("#tip") == f"{EVIL}\nobserved 90.1 µg/m³\npredicted 80.0 µg/m³"
    reader.point(6, 6)
    assert reader.text("#tip") == "Rohini\nobserved none\npredicted 80.0 µg/m³"
    assert reader.text("#stations tbody tr:nth-child(2)") == "Rohini\N{EN DASH}80.0"
    reader.date(2)
    assert reader.text("#stations tbody tr:nth-child(2)") == "Rohini92.180.0"


def test_the_keyboard_reaches_everything(reader: Reader) -> None:
    from selenium.webdriver.common.keys import Keys

    dataset = small_map()
    for _ in range(10):
        reader.press(Keys.TAB)
        if reader.run("return document.activeElement.id") == "map":
            break
    assert reader.run("return getComputedStyle(document.activeElement).outlineStyle") == "solid"
    reader.press(Keys.ARROW_LEFT)  # enters the map at its middle
    reader.press(Keys.ARROW_RIGHT, Keys.ARROW_DOWN, Keys.ARROW_DOWN, Keys.ARROW_LEFT, Keys.ARROW_LEFT)
    where = reader.run("const {row, column} = document.getElementById('readout').dataset; return [+row, +column]")
    assert where == [12, 14]
    assert f"{float(dataset['pm25'][0, 12, 14]):.1f} µg/m³" in reader.text("#live")
    reader.press("]", "]")
    assert reader.text("#day") == "2019-11-19"
    assert float(reader.value("pm25").split()[0]) == round(float(dataset["pm25"][2, 12, 14]), 1)
    reader.press("[")
    assert reader.text("#day") == "2019-11-10"
    assert "neither readings" in reader.text("#live")
    reader.press("l")
    assert reader.text("#legend-title") == "Lower bound of PM2.5, µg/m³"
    reader.press("n", "n")
    assert reader.text("#live").startswith("Rohini: observed 91.1 µg/m³")
    scale = reader.run("return +document.getElementById('map').dataset.scale")
    reader.press("+")
    assert reader.run("return +document.getElementById('map').dataset.scale") == pytest.approx(2 * scale)
    reader.point(12, 10)  # zoomed in, the pointer still finds its cell
    assert reader.run("const {row, column} = document.getElementById('readout').dataset; return [+row, +column]") == [
        12,
        10,
    ]
    reader.press("0")
    assert reader.run("return +document.getElementById('map').dataset.scale") == pytest.approx(scale)
    reader.press("p")
    assert reader.text("#play") == "Pause"
    reader.press("p")
    assert reader.text("#play") == "Play"


def test_a_phone_in_the_dark_needs_no_sideways_scrolling(reader: Reader, tmp_path: Path) -> None:
    light = reader.run("return getComputedStyle(document.body).backgroundColor")
    reader.open(tmp_path / "report.html", 360, 740, "dark")
    assert reader.run("return document.documentElement.scrollWidth") == 360
    assert reader.run("return getComputedStyle(document.body).backgroundColor") != light
    reader.point(12, 12)
    assert float(reader.value("pm25").split()[0]) == round(float(small_map()["pm25"][0, 12, 12]), 1)


def test_a_map_of_one_period_over_an_image_without_stations(reader: Reader, tmp_path: Path) -> None:
    dataset = small_map(dates=1).drop_vars(["hotspot", "place_effect", "dissimilarity", "inside_applicability"])
    grid = grid_of(dataset)
    picture = BaseImage(webp(), grid.left - 600, grid.top - 9000, grid.left + 12_000, grid.top + 600)
    write_page(tmp_path / "one.html", dataset, stations=None, base_image=picture, statistics=[], downloads={})
    reader.open(tmp_path / "one.html")
    assert reader.run("return [...document.querySelectorAll('#layers input')].map(one => one.id)") == [
        "layer-pm25",
        "layer-lower",
        "layer-upper",
        "layer-width",
        "layer-aqi",
    ]
    shown = "return ['date', 'play', 'stations-card', 'opacity-option'].map(id => !document.getElementById(id).hidden)"
    assert reader.run(shown) == [False, False, False, True]
    blended = reader.colour(12, 12)
    reader.run("const slider = document.getElementById('opacity'); slider.value = 100")
    reader.run("document.getElementById('opacity').dispatchEvent(new Event('input'))")
    assert reader.colour(12, 12) != blended
    reader.run("document.getElementById('opacity').value = 0")
    reader.run("document.getElementById('opacity').dispatchEvent(new Event('input'))")
    ground = reader.colour(12, 12)
    reader.click("layer-aqi")  # the map is invisible now, whatever its layer
    assert reader.colour(12, 12) == ground
    reader.click("layer-pm25")
    reader.run("document.getElementById('opacity').value = 100")
    reader.run("document.getElementById('opacity').dispatchEvent(new Event('input'))")
    assert reader.colour(0, 4) not in ("#eceff1", "#000000")  # the image shows where the map is empty
    assert "came without statistics" in reader.text("main")
