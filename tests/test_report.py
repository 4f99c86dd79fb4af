"""What the page of a map holds: packed numbers, and text from outside that stays text."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import html.parser
import re
import tomllib
import zlib
from pathlib import Path

import numpy as np
import pytest
from map_page import SCALE, webp, write_page
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
from model_utils.project import SHIPPED_ROOT


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
