"""`pm25 fetch weather`: what is asked for, and what `pm25 prepare --meteorology` makes of the answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from fetch_runs import asked_quickly, contents, run
from fetch_server import Answer, Asked, LoopbackServer
from fetch_world import KEY, UNITS, OpenMeteo, write_city

from model_utils import FetchWeatherConfig, fetch_weather
from model_utils.cities import BoundingBox, load_city
from model_utils.fetching.weather import era5
from model_utils.fetching.weather.days import span_of
from model_utils.fetching.weather.open_meteo import points_over
from model_utils.ingest.weather.sources import read_weather

VERB = "fetch weather --city Lucknow --from 2018-12-30 --to 2019-01-02"
ERA5 = f"{VERB} --source era5"
COLUMNS = {
    "temperature_2m": "temperature_c",
    "dew_point_2m": "dew_point_c",
    "relative_humidity_2m": "relative_humidity_pct",
    "surface_pressure": "pressure_hpa",
    "wind_speed_10m": "wind_speed_ms",
    "wind_direction_10m": "wind_direction_deg",
    "boundary_layer_height": "boundary_layer_height_m",
}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LoopbackServer]:
    """And a root with the city."""
    write_city(tmp_path)
    with asked_quickly() as server:
        yield server


@pytest.fixture
def meteo(server: LoopbackServer, monkeypatch: pytest.MonkeyPatch) -> OpenMeteo:
    meteo = OpenMeteo(server)
    for name, value in meteo.environment.items():
        monkeypatch.setenv(name, value)
    return meteo


def folder_of(root: Path, source: str = "open-meteo") -> Path:
    return root / "downloads" / "Lucknow" / "weather" / source


# days


@pytest.mark.parametrize(
    ("zone", "begin", "end"),
    [
        ("UTC", "2019-03-30T00", "2019-04-01T00"),
        ("Asia/Kolkata", "2019-03-29T18", "2019-03-31T19"),  # half past
        ("America/Los_Angeles", "2019-03-30T07", "2019-04-01T07"),
        ("Pacific/Kiritimati", "2019-03-29T10", "2019-03-31T10"),
        ("Europe/Berlin", "2019-03-29T23", "2019-03-31T22"),  # a day of 23 hours
    ],
)
def test_local_days_are_hours_of_utc(zone: str, begin: str, end: str) -> None:
    span = span_of(date(2019, 3, 30), date(2019, 3, 31), ZoneInfo(zone))
    assert (f"{span.begin:%Y-%m-%dT%H}", f"{span.end:%Y-%m-%dT%H}") == (begin, end)
    assert span.days[0] == span.begin.date()
    assert span.days[-1] == span.end.date()


def test_points_are_the_middles_of_cells_of_a_quarter_degree() -> None:
    assert points_over(BoundingBox(10, 20, 10.25, 20.25)) == [(10.125, 20.125)]
    assert points_over(BoundingBox(10, 20, 10.25, 20.5)) == [(10.125, 20.125), (10.125, 20.375)]
    assert len(points_over(BoundingBox(28.2, 76.8, 28.9, 77.5))) == 9


# Open-Meteo


def test_the_table_is_read_by_prepare(meteo: OpenMeteo, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each hour of the local days, each value at its time, precipitation at the beginning of its hour."""
    code, said, _ = run(VERB, tmp_path, capsys)
    assert code == 0
    assert (
        f"next: pm25 prepare --city Lucknow --scenes FOLDER --readings FOLDER --meteorology {folder_of(tmp_path)}"
        in said
    )
    city = load_city("Lucknow", tmp_path)
    table, files, lines = read_weather(folder_of(tmp_path), city, None)
    assert files == (folder_of(tmp_path) / "Lucknow.csv",)
    assert "of 4 grid points, 2018-12-29 to 2019-01-02" in lines[0]  # an hour of UTC begins at half past 23 there
    whole = table[table["local_date"].between("2018-12-30", "2019-01-02")]
    assert (whole.groupby(["latitude", "longitude", "local_date"]).size() == 24).all()
    assert len(whole) == 4 * 4 * 24
    hour = timedelta(hours=1)
    for row in whole.sample(50, random_state=0).itertuples():
        time = row.time_utc.to_pydatetime()
        for name, column in COLUMNS.items():
            assert getattr(row, column) == pytest.approx(OpenMeteo.value(name, row.latitude, time)), column
        assert row.precipitation_mm == pytest.approx(OpenMeteo.value("precipitation", row.latitude, time + hour))


def test_answers_are_kept_and_asked_for_once(
    meteo: OpenMeteo, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(VERB, tmp_path, capsys)
    asked = len(meteo.server.asked)
    assert asked == 4 * 2  # points and years
    before = contents(folder_of(tmp_path))
    assert "8 answers (0 fetched)" in run(VERB, tmp_path, capsys)[1]
    assert contents(folder_of(tmp_path)) == before
    assert len(meteo.server.asked) == asked
    run(VERB.replace("2019-01-02", "2019-01-03"), tmp_path, capsys)
    assert len(meteo.server.asked) == asked + 4  # those of 2019
    lines = [json.loads(line) for line in before["manifest.jsonl"].decode().splitlines()]
    assert {line["licence"] for line in lines} == {"CC BY 4.0"}
    assert all("Open-Meteo.com" in line["attribution"] for line in lines)


def test_a_dry_run_asks_nothing(meteo: OpenMeteo, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = contents(tmp_path)
    code, said, _ = run(f"{VERB.replace('2018-12-30', '2018-01-01')} --dry-run", tmp_path, capsys)
    assert code == 0
    assert "era5 at 4 points, 2017-12-31 18:00 to 2019-01-02 19:00 UTC" in said
    assert "12 files to fetch; 0 are there" in said  # days of three calendar years of UTC
    assert f"they count as {4 * (1 + 27 + 1)} requests" in said
    assert contents(tmp_path) == before
    assert not meteo.server.asked


def test_best_match_names_no_model(meteo: OpenMeteo, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(VERB, tmp_path, capsys)
    assert {asked.parameters["models"] for asked in meteo.server.asked} == {"era5"}
    meteo.server.asked.clear()
    run(f"{VERB} --model best_match", tmp_path, capsys)
    assert len(meteo.server.asked) == 8
    assert not any("models" in asked.parameters for asked in meteo.server.asked)


def test_a_variable_without_values_is_left_out(
    meteo: OpenMeteo, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    meteo.without = {"boundary_layer_height", "precipitation"}
    code, said, _ = run(VERB, tmp_path, capsys)
    assert code == 0
    assert "without any value, left out: precipitation_mm, boundary_layer_height_m" in said
    table, _, _ = read_weather(folder_of(tmp_path), load_city("Lucknow", tmp_path), None)
    assert not {"boundary_layer_height_m", "precipitation_mm"} & set(table.columns)
    assert table["temperature_c"].notna().all()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda content: content["hourly"]["time"].pop(), "hours from"),
        (lambda content: content["hourly"]["precipitation"].pop(), "hours from"),
        (lambda content: content["hourly"].pop("surface_pressure"), "hours from"),
        (lambda content: content["hourly_units"].update(wind_speed_10m="km/h"), "found wind_speed_10m in 'km/h'"),
        (lambda content: content.pop("hourly"), "found no hourly values"),
    ],
)
def test_an_answer_that_is_not_what_was_asked_for_is_not_kept(
    meteo: OpenMeteo, tmp_path: Path, change: Any, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def changed(asked: Asked) -> Answer | None:
        if asked.parameters["start_date"] < "2019":
            return None
        content = json.loads(meteo.archive(asked).body)  # type: ignore[union-attr]
        change(content)
        return Answer(json.dumps(content).encode())

    meteo.server.routes.insert(0, changed)
    code, _, error = run(VERB, tmp_path, capsys)
    assert code == 1
    assert error.count("missing: answers/era5_") == 4
    assert said in error
    assert len(list(folder_of(tmp_path).glob("answers/*.json"))) == 4
    assert not (folder_of(tmp_path) / "Lucknow.csv").exists()
    meteo.server.routes.remove(changed)
    assert run(VERB, tmp_path, capsys)[0] == 0


def test_what_the_service_says_of_a_wrong_question_is_passed_on(
    meteo: OpenMeteo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(UNITS, "boundary_layer_height")
    code, _, error = run(VERB, tmp_path, capsys)
    assert code == 1
    assert "Open-Meteo: 400 Bad Request (Data corrupted at path ''. Cannot initialize" in error


def test_days_to_come_are_refused(meteo: OpenMeteo, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    today = datetime.now(UTC).date()
    code, _, error = run(VERB.replace("2019-01-02", str(today)), tmp_path, capsys)
    assert (code, error.count("\n")) == (2, 1)
    assert f"--to: found {today}, expected up to {today - timedelta(days=6)}: open-meteo is some days behind" in error
    assert not meteo.server.asked


def test_as_a_function_of_its_config(meteo: OpenMeteo, tmp_path: Path) -> None:
    config = FetchWeatherConfig("Lucknow", "2019-01-01", "2019-01-01", out=tmp_path / "w", root=tmp_path)
    assert fetch_weather(config) == tmp_path / "w"
    assert len(pd.read_csv(tmp_path / "w" / "Lucknow.csv")) == 4 * 25  # one more, as the day begins at half past


# ERA5


class ClimateDataStore:
    """Enough of the store for `cdsapi`: OGC API Processes, as ECMWF's client asks it.

    https://github.com/ecmwf/ecmwf-datastores-client (processing.py): a process, its execution, the job, its results.

    Attributes:
        ordered: Contents of the requests.
        waits: How often a job answers that it is not done.
        damage: Is applied to a file's bytes.
    """

    def __init__(self, server: LoopbackServer, folder: Path) -> None:
        self.server, self._folder = server, folder
        self.ordered: list[dict[str, Any]] = []
        self.waits, self.fails = 0, False
        self.damage: Any = lambda data: data
        server.routes.append(self.answer)

    def answer(self, asked: Asked) -> Answer | None:
        if not asked.path.startswith("/cds/"):
            return None
        base, path = f"{self.server.url}/cds/retrieve/v1", asked.path.removeprefix("/cds/")
        if path == "catalogue/v1/messages":
            return _json({"messages": []})
        if asked.headers.get("private-token") != KEY:
            return _json(
                {"type": "permission denied", "title": "permission denied", "detail": "operation not allowed"}, 403
            )
        job = path.removeprefix("retrieve/v1/jobs/").split("/")[0]
        if path == f"retrieve/v1/processes/{era5.COLLECTION}":
            return _json({"id": era5.COLLECTION, "links": []})
        if path == f"retrieve/v1/processes/{era5.COLLECTION}/execution":
            self.ordered.append(json.loads(asked.headers["body"])["inputs"])
            job = str(len(self.ordered) - 1)
            links = [{"rel": "monitor", "href": f"{base}/jobs/{job}"}]
            return _json({"jobID": job, "status": "accepted", "links": links}, 201)
        if path == f"retrieve/v1/jobs/{job}":
            self.waits -= 1
            status = "running" if self.waits >= 0 else "failed" if self.fails else "successful"
            links = [{"rel": "results", "href": f"{base}/jobs/{job}/results"}]
            return _json({"jobID": job, "status": status, "links": links})
        if self.fails:
            return _json({"title": "the job failed", "detail": "cost limits exceeded"}, 400)
        data = self.damage(_netcdf(self.ordered[int(job)], self._folder))
        self.server.files[f"/store/{job}.nc"] = data
        asset = {"href": f"{self.server.url}/store/{job}.nc", "file:size": len(data), "type": "application/netcdf"}
        return _json({"asset": {"value": asset}})


def _json(content: Any, status: int = 200) -> Answer:
    return Answer(json.dumps(content).encode(), "application/json", status)


def _netcdf(request: dict[str, Any], folder: Path) -> bytes:
    """A file as the store makes it, of a request."""
    names = {
        "2m_temperature": ("t2m", "K", 290.0),
        "2m_dewpoint_temperature": ("d2m", "K", 280.0),
        "surface_pressure": ("sp", "Pa", 99_000.0),
        "10m_u_component_of_wind": ("u10", "m s**-1", 3.0),
        "10m_v_component_of_wind": ("v10", "m s**-1", 4.0),
        "boundary_layer_height": ("blh", "m", 500.0),
        "total_precipitation": ("tp", "m", 0.001),
    }
    (year,), (month,) = request["year"], request["month"]
    times = pd.DatetimeIndex(
        [f"{year}-{month}-{day}T{time}" for day in request["day"] for time in request["time"]]
    ).as_unit("ns")
    north, west, south, east = request["area"]
    grid = {
        "valid_time": times,
        "latitude": np.arange(north, south - 0.01, -0.25),
        "longitude": np.arange(west, east + 0.01, 0.25),
    }
    shape = [len(axis) for axis in grid.values()]
    variables = {
        names[variable][0]: (tuple(grid), np.full(shape, names[variable][2], np.float32), {"units": names[variable][1]})
        for variable in request["variable"]
    }
    path = folder / "made.nc"
    with era5.ONE_AT_A_TIME:
        xr.Dataset(variables, grid).to_netcdf(path)
        return path.read_bytes()


@pytest.fixture
def store(server: LoopbackServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ClimateDataStore:
    monkeypatch.setenv("CDSAPI_URL", f"{server.url}/cds")
    monkeypatch.setenv("CDSAPI_KEY", KEY)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(era5, "_SECONDS_BETWEEN", 0.01)
    return ClimateDataStore(server, tmp_path)


def test_era5_is_ordered_by_month_and_read_by_prepare(
    store: ClimateDataStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store.waits = 1
    code, said, _ = run(f"{ERA5} --connections 1", tmp_path, capsys)
    assert code == 0
    assert "4 files (4 fetched)" in said
    assert "ERA5, Hersbach et al. 2020" in said
    assert [(request["year"], request["month"], request["variable"]) for request in store.ordered] == [
        (["2018"], ["12"], list(era5.VARIABLES["instant"])),
        (["2018"], ["12"], ["total_precipitation"]),
        (["2019"], ["01"], list(era5.VARIABLES["instant"])),
        (["2019"], ["01"], ["total_precipitation"]),
    ]
    assert store.ordered[0] == {
        "product_type": ["reanalysis"],
        "variable": list(era5.VARIABLES["instant"]),
        "year": ["2018"],
        "month": ["12"],
        "day": ["29", "30", "31"],
        "time": [f"{hour:02d}:00" for hour in range(24)],
        "data_format": "netcdf",
        "download_format": "unarchived",
        "area": [27.0, 80.75, 26.5, 81.25],
    }
    table, files, _ = read_weather(folder_of(tmp_path, "era5"), load_city("Lucknow", tmp_path), None)
    assert len(files) == 4
    whole = table[table["local_date"].between("2018-12-30", "2019-01-02")]
    assert (whole.groupby(["latitude", "longitude", "local_date"]).size() == 24).all()
    values = whole.drop(columns=["time_utc", "local_date", "latitude", "longitude"]).drop_duplicates().iloc[0]
    assert values["temperature_c"] == pytest.approx(16.85)
    assert values["pressure_hpa"] == pytest.approx(990)
    assert values["wind_speed_ms"] == pytest.approx(5)
    assert values["precipitation_mm"] == pytest.approx(1)
    assert values["boundary_layer_height_m"] == pytest.approx(500)
    assert whole["precipitation_mm"].notna().all()


def test_era5_is_ordered_once(store: ClimateDataStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(ERA5, tmp_path, capsys)
    before = contents(folder_of(tmp_path, "era5"))
    assert "4 files (0 fetched)" in run(ERA5, tmp_path, capsys)[1]
    assert len(store.ordered) == 4
    assert contents(folder_of(tmp_path, "era5")) == before
    run(ERA5.replace("2019-01-02", "2019-01-03"), tmp_path, capsys)
    assert len(store.ordered) == 6


@pytest.mark.parametrize(
    "damage", [lambda data: b"PK\x03\x04" + data[:500], lambda data: data[:-2000], lambda data: b""]
)
def test_a_file_that_is_no_netcdf_is_not_kept(
    store: ClimateDataStore, tmp_path: Path, damage: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    store.damage = damage
    code, _, error = run(ERA5, tmp_path, capsys)
    assert code == 1
    assert error.count("found no NetCDF file") == 4
    assert not list(folder_of(tmp_path, "era5").glob("*.nc"))


def test_a_job_that_fails_is_named(store: ClimateDataStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store.fails = True
    code, _, error = run(ERA5, tmp_path, capsys)
    assert code == 1
    assert error.count("missing: era5_Lucknow_") == 4
    assert "cost limits exceeded" in error
    assert "Traceback" not in error


def test_a_key_that_the_store_refuses(
    store: ClimateDataStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CDSAPI_KEY", "another-0123456789")
    code, _, error = run(ERA5, tmp_path, capsys)
    assert (code, error.count("\n")) == (2, 1)
    assert "the Climate Data Store refuses the key of CDSAPI_KEY, or its licence: 403" in error
    assert "another-0123456789" not in error


def test_the_key_of_cdsapirc(
    store: ClimateDataStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("CDSAPI_KEY")
    code, _, error = run(ERA5, tmp_path, capsys)
    assert code == 2
    assert "no key: expected one in the environment variable CDSAPI_KEY or a line 'key: ...' in" in error
    file = tmp_path / "home" / ".cdsapirc"
    file.parent.mkdir()
    file.write_text(f"url: https://cds.example.org/api\nkey: {KEY}\n")
    file.chmod(0o640)
    code, _, error = run(ERA5, tmp_path, capsys)
    assert code == 2
    assert f"{file}: others can read this key (mode 0640), expected 0600: chmod 600 {file}" in error
    assert not store.ordered
    file.chmod(0o600)
    assert run(ERA5, tmp_path, capsys)[0] == 0
    assert len(store.ordered) == 4


def test_a_dry_run_orders_nothing(store: ClimateDataStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said, _ = run(f"{ERA5} --dry-run true", tmp_path, capsys)
    assert code == 0
    assert "4 files to fetch; 0 are there" in said
    assert not store.server.asked
