"""Same-day fields that leave a station's own reading out, and the anomalies from them."""

from __future__ import annotations

from typing import get_args, get_type_hints

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from model_utils.errors import InputError
from model_utils.estimators.references.fields import FIELDS, leave_own_out
from model_utils.estimators.references.kriging import fit_variogram, krige
from model_utils.estimators.references.same_day import inverse_distance, same_day_mean
from model_utils.estimators.targets import make_target
from model_utils.supervision.config import Field, SuperviseConfig

EACH = pytest.mark.parametrize("field", FIELDS)


def city(stations: int = 10, days: int = 12, present: float = 0.8, seed: int = 0) -> pd.DataFrame:
    """Shuffled readings with gaps, and rows without a reading."""
    random = np.random.default_rng(seed)
    latitude, longitude = 28.4 + 0.4 * random.random(stations), 77.0 + 0.4 * random.random(stations)
    station, day = np.nonzero(random.random((stations, days)) < present)
    level, place = random.gamma(4, 30, days), 1 + 0.3 * np.sin(20 * latitude + 15 * longitude)
    pm25 = (place[station] + random.normal(0, 0.1, len(station))) * level[day]
    rows = pd.DataFrame(
        {
            "site_id": [f"site{number}" for number in station],
            "latitude": latitude[station],
            "longitude": longitude[station],
            "local_date": pd.Timestamp("2019-01-01") + pd.to_timedelta(day, "D"),
            "pm25": np.where(random.random(len(station)) < 0.1, np.nan, pm25),
        }
    )
    return rows.sample(frac=1, random_state=seed, ignore_index=True)


def training_rows(rows: pd.DataFrame) -> NDArray[np.bool_]:
    return (~rows["site_id"].isin(["site1", "site4"])).to_numpy()


@EACH
def test_every_row_equals_the_reference_without_its_station(field: Field) -> None:
    rows = city()
    training = training_rows(rows)
    variogram = fit_variogram(rows[training])  # one for all: the weights of a row must not depend on which is left out
    result = leave_own_out(field, rows, training, training)
    for site, of_site in rows.groupby("site_id"):
        others = rows[training & (rows["site_id"] != site)]
        reference = krige(variogram, others, of_site) if field == "kriging" else FIELDS[field](others, of_site)
        np.testing.assert_allclose(result[of_site.index], reference, rtol=1e-9)
    assert np.isfinite(result).all()


@EACH
def test_a_station_does_not_see_its_own_reading(field: Field) -> None:
    rows = city(present=1)
    training = training_rows(rows)
    day = rows["local_date"] == rows["local_date"].min()
    own = (rows["site_id"] == "site0") & day
    variogram = fit_variogram(rows[training])  # held, because it is fitted to this reading among all others

    def fields(reading: float) -> NDArray[np.float64]:
        changed = rows.assign(pm25=rows["pm25"].where(~own, reading))
        if field == "kriging":
            return krige(variogram, changed[training], changed)
        return leave_own_out(field, changed, training, training)

    before, after = fields(50.0), fields(300.0)
    np.testing.assert_allclose(after[own], before[own], rtol=1e-9)
    assert (np.abs(after / before - 1)[(day & ~own).to_numpy()] > 1e-3).all()


@EACH
def test_readings_that_are_not_known_change_nothing(field: Field) -> None:
    rows = city()
    training = training_rows(rows)
    hidden = rows.assign(pm25=rows["pm25"].where(training))
    before, after = (leave_own_out(field, frame, training, training) for frame in (rows, hidden))
    np.testing.assert_array_equal(before, after)


@EACH
def test_later_known_readings_make_later_fields_and_only_those(field: Field) -> None:
    rows = city()
    known = training_rows(rows)
    late = (rows["local_date"] > "2019-01-09").to_numpy()
    training = known & ~late
    result = leave_own_out(field, rows, training, known)
    assert np.isfinite(result[late]).all()
    np.testing.assert_array_equal(result[~late], leave_own_out(field, rows, training, training)[~late])
    assert np.isnan(leave_own_out(field, rows, training, training)[late]).all()


@EACH
def test_a_station_alone_has_no_field(field: Field) -> None:
    rows = city(stations=3, present=1)
    training = (rows["site_id"] == "site0").to_numpy()
    result = leave_own_out(field, rows, training, training)
    assert np.isnan(result[training]).all()
    reading = rows[training].set_index("local_date")["pm25"]
    np.testing.assert_allclose(result[~training], rows.loc[~training, "local_date"].map(reading), rtol=1e-12)


@EACH
def test_an_anomaly_is_a_reading_less_the_field_of_the_others(field: Field) -> None:
    rows = city()
    training = training_rows(rows)
    target = make_target("anomaly", rows, training, field)
    np.testing.assert_array_equal(target.offset, leave_own_out(field, rows, training, training))
    np.testing.assert_array_equal(target.values(rows["pm25"].to_numpy()), rows["pm25"] - target.offset)
    known = training & (rows["local_date"] < "2019-01-04").to_numpy()
    assert np.isnan(make_target("anomaly", rows, training, field, known).offset).any()
    assert not make_target("absolute", rows, training).offset.any()


def test_two_stations_are_too_few_for_an_anomaly() -> None:
    rows = city()
    with pytest.raises(InputError, match="found 2 training stations, expected at least 3"):
        make_target("anomaly", rows, rows["site_id"].isin(["site0", "site2"]).to_numpy())


def test_references_and_fields_are_the_same_functions() -> None:
    rows = city()
    training = training_rows(rows)
    for field, reference in {"mean": same_day_mean, "inverse_distance": inverse_distance}.items():
        np.testing.assert_array_equal(
            leave_own_out(field, rows, training, training),  # type: ignore[arg-type]
            reference(rows[training], rows.drop(columns="pm25")),
        )


def test_the_flag_knows_every_field_and_wants_an_anomaly() -> None:
    assert get_args(get_type_hints(SuperviseConfig)["field"]) == get_args(Field) == tuple(FIELDS)
    config = SuperviseConfig(
        city="Delhi", start="randomly_initialized", target="anomaly", field="kriging", spatial_weight=0.5
    )
    assert config.experiment == "supervised_randomly_initialized_resnet50_anomaly_kriging_spatial0.5"
    plain = SuperviseConfig(city="Delhi", start="randomly_initialized", target="anomaly")
    assert plain.experiment == "supervised_randomly_initialized_resnet50_anomaly"
    with pytest.raises(ValueError, match="--field: found kriging with --target absolute"):
        SuperviseConfig(city="Delhi", start="randomly_initialized", field="kriging")
    for weight in (-0.1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="--spatial_weight: found"):
            SuperviseConfig(city="Delhi", start="randomly_initialized", spatial_weight=weight)
