"""Quality flags against brute force, constructed cases and the real readings."""

from itertools import pairwise
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_utils.ingest.readings.flags import DEFAULT_DROP, FLAGS, filter_line, flag_counts, flag_records
from model_utils.ingest.readings.records import StationRecords

REAL = Path(__file__).resolve().parents[2] / "shared" / "real"
START = pd.Timestamp("2019-01-01T00:00Z")
HOUR = pd.Timedelta(hours=1)


def station_table(names, spacing=0.05):
    """Stations on a line to the north, 5.6 km apart."""
    latitude = 28.5 + spacing * np.arange(len(names))
    return pd.DataFrame({"station": names, "station_name": names, "latitude": latitude, "longitude": 77.2})


def hourly(rows, stations=None):
    """Records from (station, hours since the start, value)."""
    table = pd.DataFrame(rows, columns=["station", "hour", "pm25"]).astype({"pm25": float})
    table["time_utc"] = (START + pd.to_timedelta(table.pop("hour"), unit="h")).astype("datetime64[us, UTC]")
    table["local_date"] = table["time_utc"].dt.tz_localize(None).dt.normalize()
    stations = station_table(sorted(set(table["station"]))) if stations is None else stations
    return StationRecords(table, stations, "hour", "test", {}, (), ())


def daily(rows):
    """Records from (station, days since the start, value)."""
    table = pd.DataFrame(rows, columns=["station", "day", "pm25"]).astype({"pm25": float})
    table["local_date"] = pd.Timestamp("2019-01-01") + pd.to_timedelta(table.pop("day"), unit="D")
    table["time_utc"] = pd.Series(pd.NaT, index=table.index, dtype="datetime64[us, UTC]")
    return StationRecords(table, station_table(sorted(set(table["station"]))), "day", "test", {}, (), ())


def flagged(records):
    return flag_records(records, records.stations)


def network(hours=200, stations=6, seed=0):
    """Hours x stations of a city: a shared course of the day, and 5 % of noise."""
    random = np.random.default_rng(seed)
    shared = 80 + 30 * np.sin(np.arange(hours) / 5)
    return np.round(shared[:, None] * random.normal(1, 0.05, (hours, stations)), 1)


def rows_of(values):
    return [(f"s{s:02}", hour, values[hour, s]) for s in range(values.shape[1]) for hour in range(len(values))]


def on_grid(table, flag, shape):
    return table[f"flag_{flag}"].to_numpy().reshape(shape[1], shape[0]).T


def test_each_value_has_its_flag():
    values = {
        "missing": [np.nan, np.inf, -np.inf],
        "missing_code": [-999, -9999, -99, -999.9, 9999, 99999],
        "invalid": [-10.1, -998, -11],
        "low": [-10, -0.1],
        "saturated": [985, 999, 1000, 5000],
        "": [0, -0.0, 984.9, 500],
    }
    rows = [(name, hour * 3, value) for name, group in values.items() for hour, value in enumerate(group)]
    table = flagged(hourly(rows))
    names = list(values)[:-1]
    found = table[[f"flag_{name}" for name in names]]
    assert (found.sum(axis=1) == (table["station"] != "")).all()
    for name in names:
        assert (found[f"flag_{name}"] == (table["station"] == name)).all()
    assert flag_counts(table)["missing_code"] == 6


def test_nothing_is_removed_and_the_records_are_left_alone():
    records = hourly([("b", 1, 5), ("b", 0, 4), ("a", 3, -999), ("a", 2, 7)])
    before = records.table.copy()
    table = flagged(records)
    pd.testing.assert_frame_equal(records.table, before)
    assert list(zip(table["station"], table["pm25"], strict=True)) == [("a", 7), ("a", -999), ("b", 4), ("b", 5)]
    assert [name for name in table if name.startswith("flag_")] == [
        f"flag_{name}" for name in FLAGS if name not in ("low_cost", "too_few_hours")
    ]
    assert table.filter(like="flag_").dtypes.eq(bool).all()


def test_no_rows_and_no_stations_are_fine():
    empty = hourly([])
    assert len(flagged(empty)) == 0
    alone = flag_records(hourly([("a", 0, 5)]), station_table([]))
    assert alone["flag_coordinates"].all()


def stuck_hours(rows):
    """Brute force: walks from hour to hour; of two different values at one time neither counts."""
    readings = {}
    for station, hour, value in rows:
        if np.isfinite(value) and value not in (-999, 9999):
            readings.setdefault((station, hour), set()).add(value)
    stuck = set()
    for (station, hour), values in readings.items():
        run = [(station, hour)]
        while len(values) == 1 and readings.get((station, run[-1][1] + 1)) == values:
            run.append((station, run[-1][1] + 1))
        if len(run) >= 4:
            stuck.update(run)
    return stuck


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from("ab"),
            st.sampled_from([0, 1, 1, 1, 1, 1, 2]),
            st.sampled_from([3, 3, 3, 3, 7, -999, np.nan, 999]),
        ),
        max_size=60,
    )
)
def test_stuck_hours_equal_brute_force(steps):
    hour, rows = 0, []
    for station, step, value in steps:
        hour += step
        rows.append((station, hour, float(value)))
    rows += [("c", hour, float(value)) for hour, (_, _, value) in enumerate(steps)]
    table = flagged(hourly(rows))
    hours = (table["time_utc"] - START) // HOUR
    numbers = np.isfinite(table["pm25"]) & (table["pm25"] != -999)
    stuck = stuck_hours(rows)
    expected = np.array([key in stuck for key in zip(table["station"], hours, strict=True)], dtype=bool)
    assert (table["flag_stuck"] == (numbers & expected)).all()


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([1, 1, 1, 1, 1, 1, 2]), st.sampled_from([50, 50.02, 50.03, 50.05, 50.06, -999, np.nan])
        ),
        max_size=40,
    )
)
def test_stuck_days_equal_brute_force(steps):
    days = np.cumsum([step for step, _ in steps]).tolist()
    readings = {day: value for day, (_, value) in zip(days, steps, strict=True) if value > 0}
    expected = set()
    for day in readings:
        window = [readings.get(day + offset, np.inf) for offset in range(5)]
        if round(max(window) - min(window), 6) <= 0.05:
            expected.update(range(day, day + 5))
    table = flagged(daily([("a", day, float(value)) for day, (_, value) in zip(days, steps, strict=True)]))
    found = table.loc[table["flag_stuck"], "local_date"] - pd.Timestamp("2019-01-01")
    assert set(found.dt.days) == expected


def test_runs_do_not_cross_gaps_stations_or_codes():
    rows = [("a", hour, 5) for hour in (0, 1, 2, 4, 5, 6)] + [("b", hour, 5) for hour in (7, 8, 9)]
    rows += [("c", hour, -999) for hour in range(10)]
    table = flagged(hourly(rows))
    assert not table["flag_stuck"].any()
    assert table.loc[table["station"] == "c", "flag_missing_code"].all()
    assert flagged(hourly([*rows, ("a", 3, 5)]))["flag_stuck"].sum() == 7


def test_a_repeated_time_keeps_its_first_value_or_none():
    rows = [("a", 0, 5), ("a", 1, 6), ("a", 1, 6), ("a", 1, 6), ("a", 2, 7), ("a", 2, 8), ("a", 3, 9), ("a", 3, -999)]
    table = flagged(hourly([*rows, ("b", 1, 6)]))
    assert table["flag_duplicate_time"].tolist() == [False, False, True, True, True, True, False, False, False]
    assert flagged(daily([("a", 0, 5), ("a", 0, 5.5)]))["flag_duplicate_time"].all()


def test_spikes_up_and_down_are_found_and_nothing_else():
    values = network()
    values[50, 2] += 200
    values[120, 4] = 2  # among 53 or so
    expected = np.zeros(values.shape, dtype=bool)
    expected[50, 2] = expected[120, 4] = True
    assert (on_grid(flagged(hourly(rows_of(values))), "spike", values.shape) == expected).all()


@pytest.mark.parametrize("stations", [4, 6])
def test_an_episode_of_all_stations_is_no_spike(stations):
    values = network(stations=stations)
    values[50] *= 6
    assert not flagged(hourly(rows_of(values)))["flag_spike"].any()


def test_a_spike_lasts_one_hour_and_needs_evidence():
    values = network()
    values[50:52, 2] += 200  # two hours: smoke nearby, perhaps
    values[80:, 3] += 200  # a step
    assert not flagged(hourly(rows_of(values)))["flag_spike"].any()
    values = network()
    values[50, 2] += 200
    rows = rows_of(values)

    def count(left_out):
        return int(flagged(hourly([row for row in rows if row[:2] not in left_out]))["flag_spike"].sum())

    assert count(set()) == 1
    assert count({("s02", 49)}) == 1
    assert count({("s02", 49), ("s02", 51)}) == 0  # nothing of its own to compare with
    assert count({("s00", 50), ("s01", 50), ("s03", 50)}) == 0  # two neighbours are too few
    everywhere = {(f"s{s:02}", hour) for s in range(6) for hour in (49, 51)}
    assert count(everywhere) == 0  # the hour before is not the one before the gap
    far = station_table([f"s{s:02}" for s in range(6)], spacing=1.0)  # 111 km apart
    assert not flag_records(hourly(rows), far)["flag_spike"].any()


def test_spikes_equal_a_plain_loop():
    random = np.random.default_rng(3)
    values = np.round(60 * np.exp(0.6 * random.standard_t(2, (150, 7))), 1)
    values[random.random(values.shape) < 0.15] = np.nan
    stations = station_table([f"s{s:02}" for s in range(7)], spacing=0.11)  # 12 km, so that 50 km hold some only
    expected = np.zeros(values.shape, dtype=bool)
    for hour, s in np.argwhere(np.isfinite(values) & (values < 985)):
        near = [other for other in range(7) if other != s and abs(other - s) * 0.11 * 111.195 <= 50]
        others = [v for v in values[hour, near] if v < 985]
        own = [values[h, s] for h in (hour - 1, hour + 1) if 0 <= h < len(values) and values[h, s] < 985]
        if len(others) < 3 or not own:
            continue
        middle = median(others)
        limit = 3.5 * max(1.4826 * median(abs(v - middle) for v in others), 10, 0.2 * middle)
        away = [values[hour, s] - v for v in (middle, *own)]
        expected[hour, s] = min(away) > limit or max(away) < -limit
    assert expected.sum() > 10
    assert (on_grid(flag_records(hourly(rows_of(values)), stations), "spike", values.shape) == expected).all()


def test_a_day_is_no_spike():
    values = network(60)
    values[30, 1] += 300
    assert not flagged(daily(rows_of(values)))["flag_spike"].any()
    assert flagged(hourly(rows_of(values)))["flag_spike"].sum() == 1


@pytest.mark.parametrize("factor", [0.001, 1000])
@pytest.mark.parametrize("stations", [2, 3, 6])
def test_a_station_in_another_unit_is_doubted_and_no_other(factor, stations):
    values = network(stations=stations)
    values[:, 1] *= factor
    table = flagged(hourly(rows_of(values)))
    assert set(table.loc[table["flag_unit_doubt"], "station"]) == {"s01"}
    assert not table["flag_spike"].any()  # its readings are no neighbours either


def test_a_station_in_another_unit_is_no_neighbour():
    values = network(stations=5)
    values[50, 0] += 200
    assert flagged(hourly(rows_of(values)))["flag_spike"].sum() == 1
    values[:, 1:3] *= 0.001  # leaves s00 two neighbours
    table = flagged(hourly(rows_of(values)))
    assert set(table.loc[table["flag_unit_doubt"], "station"]) == {"s01", "s02"}
    assert not table["flag_spike"].any()


def test_a_clean_or_dirty_station_is_not_doubted():
    values = network()
    values[:, 1] *= 0.1
    values[:, 2] *= 5
    assert not flagged(hourly(rows_of(values)))["flag_unit_doubt"].any()


def test_colocated_stations_that_disagree_are_both_flagged():
    values = network(stations=4)
    stations = station_table(["s00", "s01", "s02", "s03"])
    stations.loc[1, "latitude"] = stations.loc[0, "latitude"] + 0.0004  # 44 m
    agreeing = flag_records(hourly(rows_of(values)), stations)
    assert not agreeing["flag_colocated"].any()
    values[:, 1] *= 1.5
    table = flag_records(hourly(rows_of(values)), stations)
    assert set(table.loc[table["flag_colocated"], "station"]) == {"s00", "s01"}
    stations.loc[1, "latitude"] = stations.loc[0, "latitude"] + 0.0005  # 56 m
    assert not flag_records(hourly(rows_of(values)), stations)["flag_colocated"].any()


def test_a_station_that_was_not_located_is_flagged():
    table = flag_records(hourly([("a", 0, 5), ("b", 0, 6)]), station_table(["b"]))
    assert table["flag_coordinates"].tolist() == [True, False]


def test_the_default_filter_is_told():
    assert set(DEFAULT_DROP) < set(FLAGS)
    left_out, kept = filter_line().split("; ")
    assert left_out == f"readings flagged {', '.join(DEFAULT_DROP)} enter no mean"
    assert kept == "those flagged low, stuck, colocated do"


@pytest.mark.real
@pytest.mark.skipif(not REAL.is_dir(), reason="no real data here")
def test_stuck_runs_of_beijing_equal_brute_force():
    folder = REAL / "beijing_labels"
    raw = pd.concat([pd.read_csv(path) for path in sorted(folder.glob("PRSA_Data_*.csv"))], ignore_index=True)
    local = pd.to_datetime(raw[["year", "month", "day", "hour"]])
    table = pd.DataFrame(
        {
            "station": raw["station"],
            "time_utc": local.dt.tz_localize("Asia/Shanghai").dt.tz_convert("UTC").dt.as_unit("us"),
            "local_date": local.dt.normalize(),
            "pm25": raw["PM2.5"].astype(float),
        }
    )
    stations = pd.read_csv(folder / "stations.csv").rename(columns={"lat": "latitude", "lon": "longitude"})
    found = flag_records(StationRecords(table, stations, "hour", "uci", {}, (), ()), stations)
    for station, group in found.groupby("station"):
        values, stuck = group["pm25"].tolist(), [False] * len(group)
        assert (group["time_utc"].diff().dropna() == HOUR).all()
        changes = [0, *(i + 1 for i, (one, two) in enumerate(pairwise(values)) if one != two), len(values)]
        for begin, end in pairwise(changes):
            if end - begin >= 4:
                stuck[begin:end] = [True] * (end - begin)
        assert group["flag_stuck"].tolist() == stuck, station
    assert found["flag_spike"].mean() < 0.002
