"""The page of a map: what it packs, and what a reader sees of it in a real browser."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import html.parser
import io
import json
import re
import shutil
import tomllib
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from PIL import Image
from pyproj import Transformer
from small_map import small_map

from model_utils.cities import BoundingBox
from model_utils.errors import InputError
from model_utils.mapping.layers import as_dataset
from model_utils.mapping.places.grid import MapGrid
from model_utils.mapping.report import contents
from model_utils.mapping.report.contents import BaseImage, date_labels, page_contents
from model_utils.mapping.report.geometry import box_outline, degrees_lattice, graticules, grid_of, in_cells
from model_utils.mapping.report.ground_picture import MOST_BYTES
from model_utils.mapping.report.packing import MOST, Packed, pack_flags, pack_numbers
from model_utils.mapping.report.page import write_report
from model_utils.project import SHIPPED_ROOT

EVIL = "</script ><!--<script>window.hurt = 1</script><img src=x onerror='window.hurt = 1'>{{data}}"
SCALE = [
    (50, "Good", "#009865", 30),
    (100, "Satisfactory", "#a3c853", 60),
    (200, "Moderate", "#fff833", 90.5),
    (300, EVIL, "#f29c33", 120),
    (float("inf"), "Severe", "#af2d24", float("inf")),
]
CELLS = [(5, 3), (10, 15), (12, 29), (19, 0), (8, 22)]


def stations_of(dataset: xr.Dataset) -> pd.DataFrame:
    """Two stations in the middles of cells (10, 15) and (6, 6); the second was not read on the first date."""
    latitude, longitude = grid_of(dataset).degrees()
    rows = [
        (site, name, latitude[cell], longitude[cell], time, 90.06 + time, 80.0)
        for site, name, cell in (("a", EVIL, (10, 15)), ("b", "Rohini", (6, 6)))
        for time in range(dataset.sizes["time"])
    ]
    stations = pd.DataFrame(
        rows, columns=["site_id", "site_name", "latitude", "longitude", "time", "observed", "predicted"]
    )
    stations.loc[(stations["site_id"] == "b") & (stations["time"] == 0), "observed"] = np.nan
    return stations


def write_page(path: Path, dataset: xr.Dataset, **options: Any) -> str:
    given: dict[str, Any] = {
        "stations": stations_of(dataset),
        "statistics": [{"method": EVIL, "r": "0.51 [0.22, 0.71]"}, {"method": "kriging", "RMSE": "41"}],
        "made": {"command": EVIL, EVIL: "licence"},
        "downloads": {"map & more": "a folder/map.nc", EVIL: "it's <b>.tif"},
        "scale": SCALE,
        "notes": [EVIL],
    }
    write_report(dataset.assign_attrs(title=EVIL), path, **given | options)
    return path.read_text(encoding="utf-8")


def unpacked(packed: Packed) -> np.ndarray:
    """The numbers of a layer by its description, with loops: the reference for Python and for the browser."""
    raw = zlib.decompress(base64.b64decode(packed["data"]))
    if packed["bits"] == 8:
        return np.array([np.nan if code == 255 else code for code in raw])
    count, code, numbers = len(raw) // 2, 0, []
    for low, high in zip(raw[:count], raw[count:], strict=True):
        code = (code + low + 256 * high) % 65536
        numbers.append(np.nan if code == 65535 else (packed["offset"] + code) / round(1 / packed["step"]))
    return np.array(numbers)


@pytest.mark.parametrize("seed", range(4))
def test_numbers_survive_packing_as_python_rounds_them(seed: int) -> None:
    random = np.random.default_rng(seed)
    values = random.lognormal(4, 2, 500).clip(max=6000).astype(np.float32)
    values[:50] -= 40 * seed
    values[50:100] = np.arange(50) / 4  # halves of a tenth
    values[random.random(500) < 0.2] = np.nan
    expected = [np.nan if np.isnan(value) else round(float(value), 1) for value in values]
    np.testing.assert_array_equal(unpacked(pack_numbers(values, 0.1)), expected)


def test_a_number_too_large_for_its_code_is_the_largest_and_not_none() -> None:
    numbers = unpacked(pack_numbers(np.array([1.0, 9e6, np.nan]), 0.1))
    np.testing.assert_array_equal(numbers, [1.0, MOST / 10, np.nan])


def test_flags_survive_packing() -> None:
    np.testing.assert_array_equal(unpacked(pack_flags(np.array([-1, 0, 1, 5], np.int8))), [np.nan, 0, 1, 5])
    np.testing.assert_array_equal(unpacked(pack_flags(np.array([np.nan, 1.0]))), [np.nan, 1])


def test_a_layer_without_any_value_is_packed() -> None:
    assert np.isnan(unpacked(pack_numbers(np.full(5, np.nan), 0.1))).all()


def test_places_are_drawn_in_their_cells() -> None:
    dataset = small_map()
    grid = grid_of(dataset)
    assert dataclasses.astuple(grid) == ("EPSG:32643", 300.0, 700_200.0, 3_180_000.0, 30, 20)
    latitude, longitude = grid.degrees()
    column, row = in_cells(grid, latitude, longitude)
    np.testing.assert_allclose(column, np.broadcast_to(np.arange(30) + 0.5, (20, 30)), atol=1e-5)
    np.testing.assert_allclose(row, np.broadcast_to(np.arange(20)[:, None] + 0.5, (20, 30)), atol=1e-5)
    nodes = np.array(degrees_lattice(grid)["latitude"])
    assert nodes[0, 0] > latitude[0, 0] > latitude[-1, 0] > nodes[-1, 0]


def test_lines_of_the_graticule_lie_where_their_labels_say() -> None:
    grid = MapGrid("EPSG:32643", 300.0, 700_200.0, 3_180_000.0, 150, 140)
    coarse = graticules(grid)[0]
    parallel = next(line for line in coarse["lines"] if not line["meridian"])
    latitude = float(parallel["label"].split("°")[0])
    to_degrees = Transformer.from_crs(grid.crs, 4326, always_xy=True)
    for column, row in parallel["points"]:
        east, north = grid.left + column * grid.spacing, grid.top - row * grid.spacing
        assert to_degrees.transform(east, north)[1] == pytest.approx(latitude, abs=1e-5)
    gaps = [one["gap"] for one in graticules(grid)]
    assert gaps == sorted(gaps, reverse=True)


def test_the_box_is_closed_and_goes_through_its_corners() -> None:
    grid = grid_of(small_map())
    outline = box_outline(grid, BoundingBox(28.6, 77.0, 28.7, 77.1))
    assert outline[0] == outline[-1]
    corner = np.round(np.stack(in_cells(grid, [28.7], [77.1]), axis=1), 3).tolist()[0]
    assert corner in outline


def test_periods_name_their_first_and_last_day() -> None:
    dataset = small_map(dates=1)
    grid = grid_of(dataset)
    month = np.array([["2019-11-01", "2019-12-01"]], "datetime64[ns]")
    assert date_labels(as_dataset(grid, month, {}, {})) == ["2019-11-01 to 2019-11-30"]
    assert date_labels(dataset) == ["2019-11-01"]


@pytest.mark.parametrize(
    ("period", "days", "words"),
    [("month", "10 7", "means of 7 to 10 days"), ("month", "1 1", "means of 1 day"), ("day", "1 1", None)],
)
def test_a_mean_says_of_how_many_days_it_is(tmp_path: Path, period: str, days: str, words: str | None) -> None:
    dataset = small_map(dates=2).assign_attrs(period=period, days_in_mean=days)
    text = write_page(tmp_path / "report.html", dataset)
    assert (f" · {words} · " in text) if words else ("means of 1 day" not in text)


class Elements(html.parser.HTMLParser):
    """Counts elements as a browser would meet them."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attributes)))


def test_text_from_outside_makes_no_element_and_is_no_template(tmp_path: Path) -> None:
    text = write_page(tmp_path / "report.html", small_map())
    elements = Elements()
    elements.feed(text)
    tags = [tag for tag, _ in elements.found]
    assert (tags.count("script"), tags.count("img"), tags.count("b")) == (2, 0, 0)
    links = [attributes["href"] for tag, attributes in elements.found if tag == "a"]
    assert links == ["a%20folder/map.nc", "it%27s%20%3Cb%3E.tif"]
    assert text.count('"layers":') == 1


def test_the_policy_allows_only_the_own_script_and_style(tmp_path: Path) -> None:
    text = write_page(tmp_path / "report.html", small_map())
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]+)"', text)
    assert policy.startswith("default-src 'none'; img-src data:;")
    for tag in ("style", "script"):
        body = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)[-1]
        assert base64.b64encode(hashlib.sha256(body.encode()).digest()).decode() in policy
    assert not re.findall(r"https?://", text)


def test_one_map_makes_one_page_byte_for_byte(tmp_path: Path) -> None:
    dataset = small_map()
    assert write_page(tmp_path / "a.html", dataset) == write_page(tmp_path / "b.html", dataset)


def test_a_map_whose_fills_were_read_as_nan_makes_the_same_page(tmp_path: Path) -> None:
    dataset = small_map()
    decoded = dataset.copy()
    for name in ("aqi", "hotspot", "inside_applicability", "reason"):
        decoded[name] = dataset[name].where(dataset[name] >= 0).astype("float32")
    assert decoded["aqi"].isnull().any()
    assert write_page(tmp_path / "a.html", decoded) == write_page(tmp_path / "b.html", dataset)


def test_twenty_thousand_cells_and_twelve_dates_stay_small(tmp_path: Path) -> None:
    dataset = small_map(rows=125, columns=160, dates=12)
    noise = np.random.default_rng(0).lognormal(0, 0.3, dataset["pm25"].shape)
    for name in ("pm25", "pm25_lower", "pm25_upper"):  # neighbours without likeness: the worst case
        dataset[name] = dataset[name] * noise
    grid = grid_of(dataset)
    largest = webp() + bytes(MOST_BYTES)
    image = BaseImage(largest, grid.left, grid.top - 9000, grid.left + 9000, grid.top)
    write_page(tmp_path / "report.html", dataset, base_image=image)
    assert (tmp_path / "report.html").stat().st_size < 5_000_000


@pytest.mark.parametrize("href", ["javascript:alert(1)", "https://example.org/map.nc", "//host/map.nc", "/etc/map.nc"])
def test_a_download_is_a_relative_path(tmp_path: Path, href: str) -> None:
    with pytest.raises(ValueError, match=r"download map: found .* expected a path relative to the page"):
        write_page(tmp_path / "report.html", small_map(), downloads={"map": href})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("scale", "message"),
    [
        ([(50, "Good", "red;background:url(x)", 30)], "expected #rrggbb"),
        ([(50, "Good", "#009865", 30), (50, "Poor", "#a3c853", 60)], "expected them to rise"),
    ],
)
def test_a_scale_rises_and_has_colours(
    tmp_path: Path, scale: list[tuple[float, str, str, float]], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        write_page(tmp_path / "report.html", small_map(), scale=scale)


def test_a_base_image_is_a_webp_with_an_extent() -> None:
    with pytest.raises(ValueError, match="expected the bytes of a WebP file"):
        BaseImage(b"<svg/>", 0, 0, 1, 1)
    with pytest.raises(ValueError, match="expected left < right"):
        BaseImage(webp(), 1, 0, 0, 1)


def test_a_map_too_large_for_a_browser_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "MOST_VALUES", 1000)
    dataset = small_map()
    with pytest.raises(InputError, match=r"found 1,800 cells x dates, expected at most 1,000"):
        page_contents(dataset, grid_of(dataset), None, SCALE, None, None)


def test_templates_are_shipped() -> None:
    project = tomllib.loads((SHIPPED_ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    listed = project["tool"]["setuptools"]["package-data"]["model_utils.mapping.report"]
    folder = Path(contents.__file__).parent
    assert sorted(listed) == sorted(path.name for path in folder.iterdir() if path.suffix not in (".py", ""))


def webp() -> bytes:
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (8, 8, 3)).astype(np.uint8)
    Image.fromarray(noise).save(buffer, "WEBP", lossless=True)
    return buffer.getvalue()


# ---- In a browser ---------------------------------------------------------------------------------------------------


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
