from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model_utils.cities import available_cities, load_city, read_city
from model_utils.errors import InputError
from model_utils.project import SHIPPED_ROOT

SHIPPED = sorted((SHIPPED_ROOT / "data" / "cities").glob("*.yaml"))
GOOD: dict[str, Any] = {
    "name": "Somewhere",
    "bounding_box": {"south": 10.0, "west": 20.0, "north": 11.0, "east": 21.0},
    "time_zone": "Africa/Khartoum",
    "overpass_local_time": "10:30",
    "stations": [
        {"name": "a", "latitude": 10.5, "longitude": 20.5, "split": "train"},
        {"name": "b", "latitude": 10.6, "longitude": 20.6, "split": "test", "kind": "urban"},
    ],
    "simulation": {"sigma": 0.4},
}
# every place in the definition that can be dropped, renamed or replaced
PLACES: list[tuple[Any, ...]] = [
    *[(key,) for key in GOOD],
    *[("bounding_box", key) for key in GOOD["bounding_box"]],
    *[("stations", 1, key) for key in GOOD["stations"][1]],
    ("stations", 0),
]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.dates() | st.just(10**400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def write(folder: Path, definition: object) -> Path:
    path = folder / "Somewhere.yaml"
    path.write_text(yaml.safe_dump(definition, allow_unicode=True), encoding="utf-8")
    return path


def error_line(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_city(path)
    line = str(caught.value)
    assert "\n" not in line
    assert path.name in line
    return line


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_city_loads_and_its_stations_lie_in_its_box(path: Path) -> None:
    city = read_city(path)
    box = city.bounding_box
    assert city.name == path.stem
    assert all(
        box.south <= station.latitude <= box.north and box.west <= station.longitude <= box.east
        for station in city.stations
    )


def test_delhi_is_the_papers() -> None:
    delhi = load_city("Delhi", SHIPPED_ROOT)
    assert len(delhi.stations) == 51
    assert Counter(station.split for station in delhi.stations) == {"train": 24, "test": 27}


def test_beijing_holds_out_some_of_every_kind() -> None:
    beijing = load_city("Beijing", SHIPPED_ROOT)
    assert Counter(station.split for station in beijing.stations) == {"train": 25, "test": 10}
    kinds = {split: {s.kind for s in beijing.stations if s.split == split} for split in ("train", "test")}
    assert kinds["train"] == kinds["test"] == {"urban", "suburban", "background", "traffic"}


def test_a_new_city_is_one_file_and_wins_over_a_shipped_one(tmp_path: Path) -> None:
    cities = tmp_path / "data" / "cities"
    cities.mkdir(parents=True)
    write(cities, GOOD)
    (cities / "Delhi.yaml").write_text(yaml.safe_dump({**GOOD, "name": "Delhi", "stations": []}))
    assert [station.split for station in load_city("Somewhere", tmp_path).stations] == ["train", "test"]
    assert load_city("Delhi", tmp_path).stations == ()
    assert {"Beijing", "Delhi", "Somewhere"} <= set(available_cities(tmp_path))


def test_a_city_that_is_not_there_names_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"city 'Atlantis': no such city, expected one of .*Beijing, Delhi"):
        load_city("Atlantis", tmp_path)


@pytest.mark.parametrize("place", [place for place in PLACES if place[-1] != 0], ids=str)
def test_renamed_key_is_refused_by_name(tmp_path: Path, place: tuple[Any, ...]) -> None:
    definition = yaml.safe_load(yaml.safe_dump(GOOD))
    inner = definition
    for key in place[:-1]:
        inner = inner[key]
    inner["wrongly_called"] = inner.pop(place[-1])
    line = error_line(write(tmp_path, definition))
    assert "wrongly_called" in line or place[-1] in line


@pytest.mark.parametrize(
    "place", [place for place in PLACES if place[-1] not in ("split", "kind", "simulation", 0)], ids=str
)
def test_dropped_key_is_named(tmp_path: Path, place: tuple[Any, ...]) -> None:
    definition = yaml.safe_load(yaml.safe_dump(GOOD))
    inner = definition
    for key in place[:-1]:
        inner = inner[key]
    del inner[place[-1]]
    assert f"key '{place[-1]}' is missing" in error_line(write(tmp_path, definition))


@given(place=st.sampled_from(PLACES), value=VALUES)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_other_value_is_refused_in_one_line_or_kept(tmp_path: Path, place: tuple[Any, ...], value: Any) -> None:
    definition = yaml.safe_load(yaml.safe_dump(GOOD))
    inner = definition
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    path = write(tmp_path, definition)
    try:
        city = read_city(path)
    except InputError:
        error_line(path)
        return
    assert city.zone.key == definition["time_zone"]
    assert [station.name for station in city.stations] == [s["name"] for s in definition["stations"]]
    for station, given_station in zip(city.stations, definition["stations"], strict=True):
        assert station.latitude == given_station["latitude"]
        assert abs(station.latitude) <= 90


@given(content=st.binary(max_size=60) | st.text(alphabet="[]{}&*!:-'\"ab01 \n", max_size=60).map(str.encode))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_arbitrary_bytes_are_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "Somewhere.yaml"
    path.write_bytes(content)
    error_line(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"time_zone": "Asia"}, "expected an IANA time zone"),
        ({"time_zone": "../../etc/passwd"}, "expected an IANA time zone"),
        ({"overpass_local_time": 630}, "expected a quoted time"),  # what YAML makes of 10:30 without quotes
        ({"stations": GOOD["stations"] * 2}, "station 'a' is listed twice"),
        ({"stations": [{**GOOD["stations"][0], "split": "validation"}]}, "'validation', expected 'train' or 'test'"),
        ({"stations": [{**GOOD["stations"][0], "latitude": float("nan")}]}, "station 1: latitude is nan"),
        ({"stations": [{**GOOD["stations"][0], "latitude": "10,5"}]}, "latitude is '10,5', expected a number"),
        ({"stations": [{**GOOD["stations"][0], "lat": 1.0}]}, "unknown key 'lat'"),
        ({"stations": [["a", 10.5, 20.5]]}, "expected a mapping of name, latitude, longitude, split, kind"),
        ({"bounding_box": {**GOOD["bounding_box"], "south": 12}}, "expected -90 <= south < north <= 90"),
        ({"bounding_box": [10, 20, 11, 21]}, "expected a mapping of south, west, north, east"),
        ({"simulation": 3}, "simulation is 3, expected a mapping"),
        ({"name": "Elsewhere"}, "name is 'Elsewhere', expected 'Somewhere'"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_wrong_value_is_said_exactly(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    assert message in error_line(write(tmp_path, {**GOOD, **change}))


@pytest.mark.parametrize(
    "content", [b"day: 2020-13-45", b"[" * 5000, b"&a [*a]", b"{[1]: 2}", b"? {a: b}", b"!!python/object:os.system {}"]
)
def test_hostile_yaml_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "Somewhere.yaml"
    path.write_bytes(content)
    error_line(path)


@pytest.mark.parametrize("name", ["cities", "weights"])
def test_a_city_cannot_take_the_name_of_a_room(tmp_path: Path, name: str) -> None:
    path = tmp_path / f"{name}.yaml"
    path.write_text(yaml.safe_dump({**GOOD, "name": name}))
    assert "cannot be called" in error_line(path)


@pytest.mark.parametrize(
    ("box", "zone", "stations", "said"),
    [
        ((76.8, 28.4, 77.4, 28.9), "Asia/Kolkata", [], "3.6 hours off the sun, at 77.1 it is 0.4"),
        ((-46.9, -23.8, -46.3, -23.3), "America/Sao_Paulo", [(-23.5, -46.6)], "none of the 1 stations"),
        ((115.9, 39.5, 116.9, 40.5), "Asia/Shanghai", [], "expected -90 <= south"),
    ],
)
def test_a_box_with_latitude_and_longitude_exchanged_is_said_as_such(tmp_path, box, zone, stations, said) -> None:
    listed = [{"name": f"s{i}", "latitude": at[0], "longitude": at[1]} for i, at in enumerate(stations)]
    bounds = dict(zip(("south", "west", "north", "east"), box, strict=True))
    line = error_line(
        write(tmp_path, {**GOOD, "bounding_box": bounds, "time_zone": zone, "stations": listed, "simulation": None})
    )
    assert "latitude and longitude seem swapped" in line
    assert said in line


@pytest.mark.parametrize(
    ("box", "zone"),
    [
        ((39.2, 73.5, 39.9, 76.5), "Asia/Shanghai"),  # Kashgar: three hours off
        ((1.6, -157.6, 2.1, -157.1), "Pacific/Kiritimati"),  # a day ahead of its sun
        ((28.4, 76.8, 28.9, 77.4), "Asia/Kolkata"),
        ((64.0, -22.1, 64.2, -21.6), "Atlantic/Reykjavik"),
        ((28.4, 76.8, 28.9, 77.4), "UTC"),  # no place's clock
        ((28.4, 76.8, 28.9, 77.4), "Etc/GMT"),
    ],
)
def test_clocks_that_are_far_from_the_sun_are_no_exchange(tmp_path, box, zone) -> None:
    bounds = dict(zip(("south", "west", "north", "east"), box, strict=True))
    assert read_city(write(tmp_path, {**GOOD, "bounding_box": bounds, "time_zone": zone, "stations": []}))
