"""Same-day fields that leave a station's own reading out, and the anomalies from them."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args, get_type_hints

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from model_utils.estimators.added_to_field import AddedToField, FittedSum
from model_utils.estimators.choices import Field
from model_utils.estimators.estimator import Constant, Features, FittedEstimator, NothingLearnt, hidden
from model_utils.estimators.references.catalogue import FIELD_REFERENCES, REFERENCES
from model_utils.estimators.references.fields import FIELDS, FittedField, SameDayField
from model_utils.estimators.references.kriging import fit_variogram, krige, ordinary_kriging
from model_utils.estimators.references.same_day import inverse_distance, same_day_mean
from model_utils.supervision.config import SuperviseConfig

EACH = pytest.mark.parametrize("field", get_args(Field))


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


def fitted_field(
    field: Field, rows: pd.DataFrame, training: NDArray[np.bool_], known: NDArray[np.bool_] | None = None
) -> FittedField:
    return SameDayField(field).fit(hidden(rows, training, known), None, training)


def at_every_row(
    field: Field, rows: pd.DataFrame, training: NDArray[np.bool_], known: NDArray[np.bool_] | None = None
) -> NDArray[np.float64]:
    return fitted_field(field, rows, training, known).predict(rows, None).mean


@EACH
def test_every_row_equals_the_reference_without_its_station(field: Field) -> None:
    rows = city()
    training = training_rows(rows)
    variogram = fit_variogram(rows[training])  # one for all: the weights of a row must not depend on which is left out
    result = at_every_row(field, rows, training)
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
    variogram = fitted_field(field, rows, training).variogram
    assert (variogram is not None) == (field == "kriging")

    def fields(reading: float) -> NDArray[np.float64]:
        changed = rows.assign(pm25=rows["pm25"].where(~own, reading))
        # the variogram is held, because it is fitted to this reading among all others
        return replace(fitted_field(field, changed, training), variogram=variogram).predict(changed, None).mean

    before, after = fields(50.0), fields(300.0)
    np.testing.assert_allclose(after[own], before[own], rtol=1e-9)
    assert (np.abs(after / before - 1)[(day & ~own).to_numpy()] > 1e-3).all()


@EACH
def test_readings_that_are_not_known_change_nothing(field: Field) -> None:
    rows = city()
    training = training_rows(rows)
    before = at_every_row(field, rows, training)
    other = rows.assign(pm25=rows["pm25"].where(training, 999.0))
    np.testing.assert_array_equal(at_every_row(field, other, training), before)
    fitted = fitted_field(field, rows, training)
    for shown in (other, rows.assign(pm25=1.0), rows.drop(columns="pm25")):  # of what is predicted none is looked at
        np.testing.assert_array_equal(fitted.predict(shown, None).mean, before)


@EACH
def test_later_known_readings_make_later_fields_and_only_those(field: Field) -> None:
    rows = city()
    known = training_rows(rows)
    late = (rows["local_date"] > "2019-01-09").to_numpy()
    training = known & ~late
    result = at_every_row(field, rows, training, known)
    assert np.isfinite(result[late]).all()
    np.testing.assert_array_equal(result[~late], at_every_row(field, rows, training)[~late])
    assert np.isnan(at_every_row(field, rows, training)[late]).all()


@EACH
def test_a_station_alone_has_no_field(field: Field) -> None:
    rows = city(stations=3, present=1)
    training = (rows["site_id"] == "site0").to_numpy()
    result = at_every_row(field, rows, training)
    assert np.isnan(result[training]).all()
    reading = rows[training].set_index("local_date")["pm25"]
    np.testing.assert_allclose(result[~training], rows.loc[~training, "local_date"].map(reading), rtol=1e-12)


class Recorder:
    """Keeps what it is given, and says zero."""

    uses_same_day_readings = False

    def __init__(self) -> None:
        self.given: list[tuple[pd.DataFrame, NDArray[np.bool_]]] = []

    def fit(self, samples: pd.DataFrame, features: Features, training: NDArray[np.bool_]) -> FittedEstimator:
        self.given.append((samples, training))
        return Constant(0.0)


@EACH
def test_an_anomaly_is_a_reading_less_the_field_of_the_others(field: Field) -> None:
    rows = city()
    training = training_rows(rows)
    recorder = Recorder()
    fitted = AddedToField(recorder, field).fit(hidden(rows, training), None, training)
    assert isinstance(fitted, FittedSum)
    ((given, trained),) = recorder.given
    offset = at_every_row(field, rows, training)
    np.testing.assert_array_equal(given["pm25"], np.where(training, rows["pm25"] - offset, np.nan))
    np.testing.assert_array_equal(trained, training)
    np.testing.assert_array_equal(fitted.predict(rows, None).mean, offset)
    early = training & (rows["local_date"] < "2019-01-04").to_numpy()
    recorder.given.clear()
    nowhere = AddedToField(recorder, field).fit(hidden(rows, early), None, early).predict(rows, None).mean
    np.testing.assert_array_equal(np.isnan(nowhere), rows["local_date"] >= "2019-01-04")


def test_two_stations_are_too_few_for_an_anomaly() -> None:
    rows = city()
    for sites, enough in ((["site0", "site2"], False), (["site0", "site2", "site3"], True)):
        training = rows["site_id"].isin(sites).to_numpy()
        recorder = Recorder()
        fitted = AddedToField(recorder).fit(hidden(rows, training), None, training)
        assert isinstance(fitted, NothingLearnt) != enough
        assert bool(recorder.given) == enough


def test_references_and_fields_are_the_same_functions() -> None:
    rows = city()
    training = training_rows(rows)
    functions = {"mean": same_day_mean, "inverse_distance": inverse_distance, "kriging": ordinary_kriging}
    assert tuple(functions) == get_args(Field) == tuple(FIELD_REFERENCES)
    for field, reference in functions.items():
        expected = reference(rows[training], rows.drop(columns="pm25"))
        np.testing.assert_array_equal(at_every_row(field, rows, training), expected)  # type: ignore[arg-type]
        assert REFERENCES[FIELD_REFERENCES[field]] == SameDayField(field)  # type: ignore[arg-type, index]
        assert SameDayField(field).uses_same_day_readings  # type: ignore[arg-type]


def test_the_flag_knows_every_field_and_wants_an_anomaly() -> None:
    assert get_args(get_type_hints(SuperviseConfig)["field"]) == get_args(Field) == (*FIELDS, "kriging")
    config = SuperviseConfig(
        city="Delhi",
        start="randomly_initialized",
        estimator="paper",
        target="anomaly",
        field="kriging",
        spatial_weight=0.5,
    )
    assert config.experiment == "supervised_randomly_initialized_resnet50_anomaly_kriging_spatial0.5"
    plain = SuperviseConfig(city="Delhi", start="randomly_initialized", estimator="paper", target="anomaly")
    assert plain.experiment == "supervised_randomly_initialized_resnet50_anomaly"
    with pytest.raises(ValueError, match="--field: found kriging with --target absolute"):
        SuperviseConfig(city="Delhi", start="randomly_initialized", estimator="paper", field="kriging")
    for weight in (-0.1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="--spatial-weight: found"):
            SuperviseConfig(city="Delhi", start="randomly_initialized", estimator="paper", spatial_weight=weight)
