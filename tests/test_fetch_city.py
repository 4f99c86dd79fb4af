"""The file of a new city, and the stations that are added to one."""

from __future__ import annotations

import itertools
import math
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from fetch_world import PLACES, write_city
from hypothesis import given, settings
from hypothesis import strategies as st

from model_utils import CityConfig, make_city
from model_utils.cities import BoundingBox, load_city, read_city
from model_utils.cli.main import main
from model_utils.fetching.readings.city_stations import add_stations
from model_utils.fetching.readings.hold_out import SAME_PLACE_KM, held_out
from model_utils.fetching.readings.openaq_locations import Location
from model_utils.geography import great_circle_km
from model_utils.project import SHIPPED_ROOT


def run(*words: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = main(list(words))
    said = capsys.readouterr()
    return code, said.out, said.err


def location(id: int, name: str, latitude: float, longitude: float) -> Location:
    return Location(id, name, latitude, longitude, "CPCB", "CC BY 4.0", "CPCB", True)


LOCATIONS = [location(place.id, place.name, place.latitude, place.longitude) for place in PLACES[:5]]


@pytest.mark.parametrize(
    ("name", "box", "zone"),
    [
        ("Lucknow", "26.70,80.80,27.00,81.10", "Asia/Kolkata"),
        ("Cape_Town", "-34.1,18.3,-33.8,18.7", "Africa/Johannesburg"),
        ("São-Paulo", "-23.8,-46.8,-23.4,-46.4", "America/Sao_Paulo"),
        ("Ürümqi", "43.7,87.4,43.95,87.75", "Asia/Urumqi"),
        ("Suva", "-18.2,178.3,-18.0,178.6", "Pacific/Fiji"),
    ],
)
def test_a_box_becomes_a_city_that_the_loader_reads(
    tmp_path: Path, name: str, box: str, zone: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said, _ = run("city", name, "--box", box, "--root", str(tmp_path), capsys=capsys)
    assert code == 0
    city = load_city(name, tmp_path)
    assert city.bounding_box == BoundingBox(*map(float, box.split(",")))
    assert city.time_zone == zone
    assert city.stations == ()
    assert f"{city.overpass_local_time:%H:%M}" == "10:30"
    assert f"next: pm25 fetch readings --city {name} --from " in said


def test_around_reaches_so_far_in_each_direction(tmp_path: Path) -> None:
    make_city(CityConfig("Oslo", around="59.91,10.75,20", overpass="11:00", root=tmp_path))
    box = load_city("Oslo", tmp_path).bounding_box
    for latitude, longitude in ((59.91, box.west), (59.91, box.east), (box.south, 10.75), (box.north, 10.75)):
        apart = great_circle_km(*(np.array(each) for each in (59.91, 10.75, latitude, longitude)))
        assert apart == pytest.approx(20, abs=0.02)


def test_a_city_is_not_overwritten_unless_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_city(tmp_path)
    before = path.read_bytes()
    words = ("city", "Lucknow", "--around", "26.85,80.95,15", "--root", str(tmp_path))
    assert run(*words, capsys=capsys) == (
        2,
        "",
        f"pm25 city: {path}: is already there, --overwrite replaces it\n",
    )
    assert path.read_bytes() == before
    assert run(*words, "--overwrite", "true", capsys=capsys)[0] == 0
    assert path.read_bytes() != before


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        (["Lucknow"], "expected one of --box south,west,north,east and --around latitude,longitude,km"),
        (["Lucknow", "--box", "1,2,3,4", "--around", "1,2,3"], "expected one of --box"),
        (["Lucknow", "--box", "1,2,3"], "--box: found '1,2,3', expected 4 numbers"),
        (["Lucknow", "--box", "a,b,c,d"], "--box: found 'a,b,c,d', expected 4 numbers"),
        (["Lucknow", "--box", "nan,1,2,3"], "expected -90 <= south < north <= 90"),
        (["Lucknow", "--box", "80.8,26.7,120,27"], "latitude and longitude seem swapped"),
        (["Lucknow", "--box", "80.8,26.7,81.1,27.0", "--time-zone", "Asia/Kolkata"], "seem swapped"),
        (["Suva", "--around", "-18.1,179.95,20"], "a box across the 180th meridian is two cities"),
        (["Suva", "--box", "-18.3,179.9,-18.0,-179.9"], "expected -90 <= south < north <= 90 and -180 <= west < east"),
        (["Pole", "--around", "89.95,0,20"], "expected -90 <= south < north <= 90"),
        (["Pole", "--around", "91,0,20"], "expected a latitude, a longitude, and 0 to 1000 km"),
        (["Flat", "--around", "10,10,0"], "0 to 1000 km"),
        (["New York", "--around", "10,10,5"], "--name: found 'New York', expected letters, digits"),
        (["../x", "--around", "10,10,5"], "--name: found '../x'"),
        (["_x", "--around", "10,10,5"], "--name: found '_x'"),
        (["cities", "--around", "10,10,5"], "a city cannot be called cities or weights"),
        (["Lucknow", "--around", "10,10,5", "--time-zone", "Nowhere"], "--time-zone: found 'Nowhere'"),
        (["Lucknow", "--around", "10,10,5", "--overpass", "noon"], "--overpass: found 'noon', expected a time"),
        (["--around", "10,10,5"], "missing: --name"),
    ],
)
def test_a_wrong_place_is_a_line_and_writes_nothing(
    tmp_path: Path, words: list[str], wrong: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code: object = main(["city", *words, "--root", str(tmp_path)])
    except SystemExit as end:
        code = end.code
    error = capsys.readouterr().err
    assert code == 2
    assert error.count("\n") == 1
    assert wrong in error
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_without_the_extra_the_command_that_installs_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "timezonefinder", None)
    words = ["city", "Lucknow", "--around", "26.85,80.95,15", "--root", str(tmp_path)]
    assert main(words) == 2
    assert capsys.readouterr().err == (
        "pm25 city: timezonefinder is not installed, expected the extra 'fetch'; in the project's folder: "
        ".venv/bin/pip install --editable '.[fetch]'\n"
    )
    assert main([*words, "--time-zone", "Asia/Kolkata"]) == 0


@pytest.mark.parametrize("verb", ["fetch readings", "fetch weather"])
def test_without_the_extra_nothing_is_fetched(
    monkeypatch: pytest.MonkeyPatch, verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.startswith("model_utils.fetching")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "requests", None)
    assert main([*verb.split(), "--city", "Delhi", "--from", "2019-01-01", "--to", "2019-01-02"]) == 2
    assert "requests is not installed, expected the extra 'fetch'" in capsys.readouterr().err


# stations


COMMENTED = """# a city, by hand
name: Lucknow
time_zone: Asia/Kolkata   # of all India
stations:{list}  # ours
# the end of the list
overpass_local_time: "10:30"
bounding_box: {{south: 26.70, west: 80.80, north: 27.00, east: 81.10}}
# the end of the file
"""


@pytest.mark.parametrize(
    ("listed", "held"),
    [
        (" []", 1),
        (
            "\n  - {name: Alambagh, latitude: 26.81, longitude: 80.89, split: test}  # first\n"
            "  # a comment in it\n  - {name: Chowk, latitude: 26.871, longitude: 80.911}",
            1,
        ),
        ("\n- name: Alambagh  # first\n  latitude: 26.81\n  longitude: 80.89\n  split: test", 0),
        (" [{name: Alambagh, latitude: 26.81, longitude: 80.89, split: test}]", 0),
    ],
)
def test_stations_are_added_and_all_else_stays(tmp_path: Path, listed: str, held: int) -> None:
    """About a quarter of all places is held out, with those that the list holds out."""
    path = write_city(tmp_path)
    path.write_text(COMMENTED.format(list=listed))
    before = load_city("Lucknow", tmp_path)
    assert add_stations(before, LOCATIONS, tmp_path)[1:] == (5, held)
    after = read_city(path)
    assert sum(station.split == "test" for station in after.stations[-5:]) == held
    assert after.stations[: len(before.stations)] == before.stations
    assert [station.name for station in after.stations[-5:]] == [each.name for each in LOCATIONS]
    lines = path.read_text().splitlines()
    kept = [line for line in COMMENTED.format(list=listed).splitlines() if "stations:" not in line]
    if "[{" not in listed:
        assert [line for line in lines if line in kept] == kept
    for comment in ("# a city, by hand", "# of all India", "# ours", "# the end of the list", "# the end of the file"):
        assert comment in path.read_text()
    text = path.read_text()
    assert add_stations(after, LOCATIONS, tmp_path)[1:] == (0, 0)
    assert path.read_text() == text


def test_a_file_without_a_last_line_end(tmp_path: Path) -> None:
    path = write_city(tmp_path)
    path.write_text(path.read_text().replace(" []\n", "\n  - {name: A, latitude: 26.9, longitude: 81.0}"))
    add_stations(load_city("Lucknow", tmp_path), LOCATIONS, tmp_path)
    assert len(read_city(path).stations) == 6


def test_a_shipped_city_gets_a_file_of_its_own(tmp_path: Path) -> None:
    """Delhi's hold-out is the paper's: it stays, and so do its comments."""
    shipped = load_city("Delhi", tmp_path)
    far = location(1, "Far away", 28.41, 76.85)
    near = location(2, "Another name", shipped.stations[0].latitude + 0.001, shipped.stations[0].longitude)
    named = location(3, shipped.stations[1].name.replace("_", " "), 28.42, 76.86)
    path, added, _ = add_stations(shipped, [far, near, named], tmp_path)
    assert added == 1
    city = read_city(path)
    assert city.stations[:-1] == shipped.stations
    assert city.simulation == shipped.simulation
    original = (SHIPPED_ROOT / "data" / "cities" / "Delhi.yaml").read_text()
    added_line = next(line for line in path.read_text().splitlines() if "Far away" in line)
    assert path.read_text().replace(f"{added_line}\n", "") == original


@pytest.mark.parametrize(
    "name",
    [
        "- {a: b}",
        "'quoted' \"twice\"",
        "# none",
        "Чистый воздух",
        "北京 站",
        "a: b, c",
        "yes",
        "12",
        "",
    ],
)
def test_any_name_of_a_provider_is_read_back(tmp_path: Path, name: str) -> None:
    path = write_city(tmp_path)
    add_stations(load_city("Lucknow", tmp_path), [location(7, name, 26.9, 80.9)], tmp_path)
    (station,) = read_city(path).stations
    assert station.name in (name, f"{name} 7")


def test_two_of_one_name_have_their_numbers(tmp_path: Path) -> None:
    path = write_city(tmp_path)
    both = [location(1, "Chowk", 26.9, 80.9), location(2, "chowk.", 26.8, 81.0)]
    add_stations(load_city("Lucknow", tmp_path), both, tmp_path)
    assert [station.name for station in read_city(path).stations] == ["Chowk 1", "chowk. 2"]


# the hold-out


def apart_km(latitude: np.ndarray, longitude: np.ndarray) -> np.ndarray:
    return great_circle_km(latitude[:, None], longitude[:, None], latitude, longitude)


@given(st.integers(0, 10_000), st.integers(1, 60))
@settings(max_examples=60, deadline=None)
def test_about_a_quarter_is_held_out_and_no_place_is_on_both_sides(seed: int, count: int) -> None:
    draw = np.random.default_rng(seed)
    latitude, longitude = 28 + draw.uniform(0, 0.4, count), 77 + draw.uniform(0, 0.4, count)
    twins = draw.integers(0, count, count // 3)  # beside others, within 500 m
    latitude = np.append(latitude, latitude[twins] + 0.001)
    longitude = np.append(longitude, longitude[twins])
    fixed: list[bool | None] = [None] * len(latitude)
    test = np.array(held_out(latitude.tolist(), longitude.tolist(), fixed))
    near = apart_km(latitude, longitude) < SAME_PLACE_KM
    assert (test[:, None] == test)[near].all()
    places = len({tuple(row) for row in np.linalg.matrix_power(near.astype(float), 64) > 0})  # what is linked
    held = len({tuple(row) for row in (np.linalg.matrix_power(near.astype(float), 64) > 0)[test]})
    assert held == (0 if places < 4 else round(places / 4))


def test_the_hold_out_is_spread_as_the_stations_are() -> None:
    """Against draws without strata: the cells of a city have test stations more evenly, and its edge has no more."""
    draw = np.random.default_rng(1)
    spread, plain, edge, plain_edge = [], [], [], []
    for _ in range(200):
        latitude, longitude = draw.uniform(0, 0.3, 40), draw.uniform(0, 0.3, 40)
        middle = np.hypot(latitude - 0.15, longitude - 0.15)
        stratified = np.array(held_out(latitude.tolist(), longitude.tolist(), [None] * 40, seed=int(draw.integers(99))))
        random = np.isin(np.arange(40), draw.choice(40, 10, replace=False))
        for test, gaps, far in ((stratified, spread, edge), (random, plain, plain_edge)):
            gaps.append(apart_km(latitude, longitude)[:, test].min(axis=1).mean())
            far.append(middle[test].mean() / middle.mean())
    assert np.mean(spread) < 0.93 * np.mean(plain)
    assert np.mean(edge) == pytest.approx(1, abs=0.03)
    assert np.mean(plain_edge) == pytest.approx(1, abs=0.03)


def test_stations_of_the_list_keep_their_side() -> None:
    latitude = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]
    for first, second in itertools.product([True, False], repeat=2):
        test = held_out(latitude, [0.0] * 8, [first, second, *[None] * 6])
        assert test[:2] == [first, second]
        assert sum(test) == 2
    beside = held_out([*latitude, 0.1001], [0.0] * 9, [False, True, *[None] * 7])
    assert beside[-1]


def test_yaml_of_a_new_city_has_no_surprise(tmp_path: Path) -> None:
    make_city(CityConfig("No", around="59.91,10.75,20", time_zone="Europe/Oslo", root=tmp_path))
    content = yaml.safe_load((tmp_path / "data" / "cities" / "No.yaml").read_text())
    assert content["name"] == "No"
    assert math.isclose(content["bounding_box"]["north"] - content["bounding_box"]["south"], 0.3597, abs_tol=2e-4)
