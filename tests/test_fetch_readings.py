"""`pm25 fetch readings` against OpenAQ's shapes on this machine."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import boto3
import pandas as pd
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from fetch_runs import asked_quickly, contents, run
from fetch_server import Answer, Asked, LoopbackServer
from fetch_world import KEY, PLACES, OpenAQ, Place, day_file, days, key_of, write_city
from moto.server import ThreadedMotoServer

from model_utils import FetchReadingsConfig, fetch_readings
from model_utils.cities import BoundingBox, load_city
from model_utils.errors import InputError
from model_utils.fetching.readings import openaq_locations
from model_utils.fetching.readings.openaq_archive import archived_files
from model_utils.fetching.readings.openaq_locations import Location, find_locations
from model_utils.fetching.transfer.http_source import HttpSource
from model_utils.ingest.readings.reading import read_readings

VERB = "fetch readings --city Lucknow --from 2019-01-01 --to 2019-01-07"
MONITORS = ["8118", "8119", "8120", "8121", "8122"]


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with asked_quickly() as server:
        yield server


@pytest.fixture
def world(server: LoopbackServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OpenAQ:
    """With files of three weeks, and a root with the city."""
    world = OpenAQ(server)
    world.fill("2018-12-25", "2019-01-14")
    for name, value in world.environment.items():
        monkeypatch.setenv(name, value)
    write_city(tmp_path)
    return world


def folder_of(root: Path) -> Path:
    return root / "downloads" / "Lucknow" / "readings"


def stations_of(root: Path) -> list[dict[str, str]]:
    with (folder_of(root) / "stations.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_monitors_of_the_city_come_as_the_archive_has_them(
    world: OpenAQ, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said, _ = run(VERB, tmp_path, capsys)
    assert code == 0
    found = contents(folder_of(tmp_path))
    wanted = [key_of(place, day) for place in PLACES[:5] for day in days("2018-12-31", "2019-01-08")]
    assert set(found) == {*wanted, "stations.csv", "manifest.jsonl"}
    assert all(found[key] == world.server.files[f"/bucket/{key}"] for key in wanted)
    assert [station["station"] for station in stations_of(tmp_path)] == MONITORS
    assert stations_of(tmp_path)[4] == {
        "station": "8122",
        "name": "US Consulate",
        "latitude": "26.8461",
        "longitude": "80.9366",
        "provider": "AirNow",
        "licence": "CC BY 4.0",
        "attribution": "AirNow of India",
    }
    lines = [json.loads(line) for line in found["manifest.jsonl"].decode().splitlines()]
    assert {line["licence"] for line in lines} == {"CC BY 4.0"}
    assert {line["attribution"] for line in lines} == {"CPCB of India", "AirNow of India"}
    assert "CC BY 4.0: AirNow of India, CPCB of India" in said
    assert "next: pm25 fetch scenes --city Lucknow --from 2019-01-01 --to 2019-01-07" in said
    assert load_city("Lucknow", tmp_path).stations == ()


def test_prepare_reads_the_folder_with_no_flag(
    world: OpenAQ, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every hour of the local days, at the stations of stations.csv."""
    assert run(f"{VERB} --update-city", tmp_path, capsys)[0] == 0
    table = tmp_path / "rows.csv"
    code, said, _ = run(f"inspect --city Lucknow --readings {folder_of(tmp_path)} --table {table}", tmp_path, capsys)
    assert code == 0
    assert "openaq-csv" in said
    rows = pd.read_csv(table, dtype={"station": str})
    assert sorted(rows["station"].unique()) == MONITORS
    place, day = PLACES[0], date(2019, 1, 4)
    first = rows[(rows["station"] == "8118") & (rows["time_utc"] == "2019-01-03T18:30:00Z")]  # 00:00 to 01:00 there
    expected = pd.read_csv(pd.io.common.BytesIO(day_file(place, day)), compression="gzip").set_index("datetime")[
        "value"
    ]["2019-01-04T01:00:00+05:30"]
    assert first["pm25"].item() == pytest.approx(expected)
    local = pd.to_datetime(rows["time_utc"]).dt.tz_convert("Asia/Kolkata").dt.date
    hours = rows[(local >= date(2019, 1, 1)) & (local <= date(2019, 1, 7))]
    assert len(hours) == 5 * 7 * 24


def test_the_city_gets_its_stations_and_a_hold_out(
    world: OpenAQ, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said, _ = run(f"{VERB} --update-city true", tmp_path, capsys)
    assert code == 0
    assert "5 stations added, 1 of them held out" in said
    city = load_city("Lucknow", tmp_path)
    assert [station.name for station in city.stations] == [place.name for place in PLACES[:5]]
    assert sum(station.split == "test" for station in city.stations) == 1
    before = contents(tmp_path)
    code, said, _ = run(f"{VERB} --update-city true", tmp_path, capsys)
    assert "lists all 5 stations already" in said
    assert contents(tmp_path) == before


def test_a_second_run_fetches_only_what_is_missing(
    world: OpenAQ, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(VERB, tmp_path, capsys)
    before = world.server.times_asked()
    assert "(0 fetched)" in run(VERB, tmp_path, capsys)[1]
    assert "(10 fetched)" in run(VERB.replace("2019-01-07", "2019-01-09"), tmp_path, capsys)[1]
    after = world.server.times_asked()
    files = [path for path in after if path.endswith(".csv.gz")]
    assert len(files) == 5 * 11
    assert all(after[path] == 1 for path in files)
    assert sum(before[path] for path in files) == 5 * 9


def test_a_day_that_the_archive_has_changed_is_fetched_anew(
    world: OpenAQ, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(VERB, tmp_path, capsys)
    key = key_of(PLACES[1], date(2019, 1, 5))
    world.server.files[f"/bucket/{key}"] = day_file(PLACES[1], date(2019, 1, 5), hours=20)
    assert "(1 fetched)" in run(VERB, tmp_path, capsys)[1]
    assert contents(folder_of(tmp_path))[key] == world.server.files[f"/bucket/{key}"]


def test_stations_of_an_earlier_run_stay_in_the_list(
    world: OpenAQ, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(f"{VERB} --low-cost true", tmp_path, capsys)
    assert [station["station"] for station in stations_of(tmp_path)] == [*MONITORS, "9001"]
    run(VERB, tmp_path, capsys)
    assert [station["station"] for station in stations_of(tmp_path)] == [*MONITORS, "9001"]


def test_a_dry_run_shows_stations_and_bytes_and_writes_nothing(
    world: OpenAQ, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(tmp_path)
    code, said, _ = run(f"{VERB} --low-cost --dry-run", tmp_path, capsys)
    assert code == 0
    assert contents(tmp_path) == before
    size = sum(
        len(world.server.files[f"/bucket/{key_of(place, day)}"])
        for place in PLACES[:6]
        for day in days("2018-12-31", "2019-01-08")
    )
    assert f"54 files to fetch, {size / 1000:.1f} kB; 0 are there" in said
    assert "9001       9" in said
    assert "low-cost   Rooftop sensor (AirGradient)" in said
    assert not [path for path in world.server.times_asked() if path.endswith(".csv.gz")]


def test_pages_of_the_api_and_of_the_list(
    server: LoopbackServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(openaq_locations, "MOST_PER_PAGE", 3)
    places = [Place(number, f"Station {number}", 26.71 + number / 100, 80.9) for number in range(1, 13)]
    world = OpenAQ(server, places, keys_a_page=4)
    world.fill("2018-12-25", "2019-01-14")
    for name, value in world.environment.items():
        monkeypatch.setenv(name, value)
    write_city(tmp_path)
    assert run(VERB, tmp_path, capsys)[0] == 0
    assert len([path for path in contents(folder_of(tmp_path)) if path.endswith(".gz")]) == 12 * 9
    asked = server.times_asked()
    assert asked["/api/v3/locations"] == 5  # four full ones and an empty one
    assert asked["/bucket/"] == 12 * 3  # nine keys, of lists of four: the third one leads beyond the last day


def test_a_location_is_not_taken_for_one_whose_number_begins_alike(
    world: OpenAQ, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world.places.append(Place(81180, "Other", 26.75, 80.85))
    world.fill("2018-12-25", "2019-01-14")
    run(VERB, tmp_path, capsys)
    numbers = {path.split("/")[2] for path in contents(folder_of(tmp_path)) if path.endswith(".gz")}
    assert numbers == {f"locationid={each}" for each in [*MONITORS, "81180"]}


# the list of a bucket that is not ours


@pytest.mark.slow
def test_the_list_of_another_implementation_of_s3(tmp_path: Path) -> None:
    """moto answers as AWS does, in pages, with escaped keys; a client of AWS finds the same."""
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    try:
        host, port = moto.get_host_and_port()
        place = PLACES[0]
        client = boto3.client(
            "s3",
            region_name="us-east-1",
            endpoint_url=f"http://{host}:{port}",
            aws_access_key_id="none",
            aws_secret_access_key="none",
        )
        client.create_bucket(Bucket="openaq-data-archive")
        for day in days("2016-01-01", "2019-01-31"):
            client.put_object(Bucket="openaq-data-archive", Key=key_of(place, day), Body=day_file(place, day, 1))
        location = Location(place.id, place.name, place.latitude, place.longitude, "CPCB", "", "", True)
        with HttpSource("the archive") as source:
            archive = f"http://{host}:{port}/openaq-data-archive"
            files = archived_files(source, archive, location, date(2016, 1, 2), date(2019, 1, 10))
        anonymous = boto3.client(
            "s3",
            region_name="us-east-1",
            endpoint_url=f"http://{host}:{port}",
            config=Config(signature_version=UNSIGNED),
        )
        pages = anonymous.get_paginator("list_objects_v2").paginate(Bucket="openaq-data-archive")
        objects = [item for page in pages for item in page["Contents"]]
        wanted = [item for item in objects if "20160101" <= item["Key"][-15:-7] <= "20190111"]
        assert len(files) > 1000
        assert [(file.path, file.size, file.etag) for file in files] == [
            (item["Key"], item["Size"], item["ETag"]) for item in wanted
        ]
    finally:
        moto.stop()


# answers that are none


def locations(server: LoopbackServer) -> list[Location]:
    with HttpSource("OpenAQ") as source:
        box = BoundingBox(26.7, 80.8, 27.0, 81.1)
        return find_locations(source, f"{server.url}/api", box, date(2019, 1, 1), date(2019, 1, 7), low_cost=False)


def test_no_station_is_a_line(world: OpenAQ, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    world.places = [PLACES[5], PLACES[7]]
    code, _, error = run(VERB, tmp_path, capsys)
    assert (code, error.count("\n")) == (2, 1)
    assert "OpenAQ knows no reference-grade stations (--low-cost takes all) of PM2.5 in the bounding box" in error
    assert not folder_of(tmp_path).exists()


def test_an_empty_archive_is_a_line(world: OpenAQ, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    world.server.files.clear()
    code, _, error = run(VERB, tmp_path, capsys)
    assert (code, error.count("\n")) == (2, 1)
    assert "has no file of the 5 stations in Lucknow from 2019-01-01 to 2019-01-07" in error


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"coordinates": None}, 4),
        ({"coordinates": {"latitude": None, "longitude": None}}, 4),
        ({"licenses": None}, 5),
        ({"licenses": []}, 5),
        ({"name": None}, 5),
        ({"name": " two\nlines\u2028here "}, 5),
        ({"datetimeFirst": None}, 4),
        ({"datetimeLast": None}, 4),
        ({"datetimeLast": {"utc": "2018-12-31T23:00:00Z"}}, 5),
        ({"datetimeLast": {"utc": "2018-12-30T23:00:00Z"}}, 4),
        ({"datetimeFirst": {"utc": "2019-01-09T00:00:00Z"}}, 4),
        ({"isMonitor": False}, 4),
        ({"locality": "x", "a new key": 1}, 5),
    ],
)
def test_what_a_location_may_lack(
    world: OpenAQ, monkeypatch: pytest.MonkeyPatch, change: dict[str, object], found: int
) -> None:
    changed = {**PLACES[0].json(), **change}
    results = [changed, *(place.json() for place in PLACES[1:5])]
    world.server.routes.insert(0, lambda asked: Answer(json.dumps({"results": results}).encode()))
    given = locations(world.server)
    assert len(given) == found
    if found == 5 and change.get("name"):
        assert given[0].name == "two lines here"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"<html>please log in</html>", "found no JSON but"),
        (b"[" * 100_000, "found no JSON but"),
        (b"[]", "found no list 'results'"),
        (b'{"results": {}}', "found no list 'results'"),
        (b'{"results": [3]}', "found no location as documented"),
        (b'{"results": [{"datetimeFirst": {"utc": "soon"}, "datetimeLast": {"utc": "late"}}]}', "as documented"),
        (b'{"results": [{"datetimeFirst": {"utc": "2016-01-01T00:00:00Z"}, "datetimeLast": {"a": 1}}]}', "KeyError"),
    ],
)
def test_an_answer_that_is_none_is_a_line(
    world: OpenAQ, tmp_path: Path, body: bytes, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def route(asked: Asked) -> Answer | None:
        return Answer(body) if asked.path.startswith("/api/") else None

    world.server.routes.insert(0, route)
    code, _, error = run(VERB, tmp_path, capsys)
    if b'datetimeLast": {}' in body:
        assert code == 2  # no station
        return
    assert (code, error.count("\n")) == (1, 1)
    assert said in error


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"<html>", "found no list of a bucket"),
        (b"<Error><Code>AccessDenied</Code></Error>", "found Error, expected ListBucketResult"),
        (b"<ListBucketResult><Contents><Key>a</Key></Contents></ListBucketResult>", "found an object without its size"),
        (
            b"<ListBucketResult><Contents><Key>records/csv.gz/../../../x.csv.gz</Key><Size>1</Size></Contents>"
            b"</ListBucketResult>",
            "expected a path inside the folder",
        ),
    ],
)
def test_a_list_that_is_none_is_a_line(
    world: OpenAQ, tmp_path: Path, body: bytes, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    world.server.routes.insert(0, lambda asked: Answer(body) if asked.path == "/bucket/" else None)
    code, _, error = run(VERB, tmp_path, capsys)
    assert (code, error.count("\n")) == (1, 1)
    assert said in error


def test_a_source_that_is_not_there_is_a_line(
    world: OpenAQ, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PM25_OPENAQ_ENDPOINT", "http://127.0.0.1:9")
    code, _, error = run(VERB, tmp_path, capsys)
    assert (code, error.count("\n")) == (1, 1)
    assert "OpenAQ: " in error
    assert "Connection refused, after several tries" in error


def test_as_a_function_of_its_config(world: OpenAQ, tmp_path: Path) -> None:
    config = FetchReadingsConfig("Lucknow", "2019-01-01", "2019-01-02", out=tmp_path / "o", root=tmp_path)
    folder = fetch_readings(config)
    assert folder == tmp_path / "o"
    records = read_readings(folder, load_city("Lucknow", tmp_path))
    assert (records.format, len(records.table)) == ("openaq-csv", 5 * 4 * 24)
    world.key = "another"
    with pytest.raises(InputError, match="OpenAQ refuses the key of OPENAQ_API_KEY: 403") as error:
        fetch_readings(config)
    assert KEY not in str(error.value)
