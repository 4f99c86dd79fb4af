"""The PM2.5 sub-index against the published tables, by hand at every breakpoint and a tenth beside it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_utils.cities import load_city
from model_utils.mapping.air_quality_index import SCALES, ScaleName, edition_of, pm25_sub_index, scale_of
from model_utils.project import SHIPPED_ROOT

BEFORE, FROM = "2026-02-28", "2026-03-01"
US = [
    *((-3, 0), (0, 0), (0.09, 0), (4.5, 25), (8.9, 49), (9.0, 50), (9.09, 50), (9.1, 51)),
    *((35.3, 100), (35.4, 100), (35.49, 100), (35.5, 101), (35.9, 102), (55.3, 150), (55.4, 150), (55.5, 151)),
    *((125.3, 200), (125.4, 200), (125.5, 201), (225.3, 300), (225.4, 300), (225.5, 301)),
    *((325.3, 500), (325.4, 500), (325.5, 500), (326.0, 501), (425.3, 699)),
]
"""35.9 -> 102 is the example of the technical assistance document; 199 an index per 99.9 ug/m3 above 225.5."""
INDIA = [
    *((-3, 0), (0, 0), (29.9, 50), (30, 50), (30.1, 50), (31, 52), (59.9, 100), (60, 100), (60.1, 100), (61, 103)),
    *((89.9, 200), (90, 200), (90.1, 200), (91, 203), (119.9, 300), (120, 300), (120.1, 300), (121, 301)),
    *((249.9, 400), (250, 400), (250.1, 400), (251, 401), (315, 450), (379.9, 500), (380, 500), (380.1, 500)),
    (2000, 500),
]
CHINA_2012 = [
    *((-3, 0), (0, 0), (0.1, 1), (34.9, 50), (35, 50), (35.1, 51), (74.9, 100), (75, 100), (75.1, 101)),
    *((114.9, 150), (115, 150), (115.1, 151), (149.9, 200), (150, 200), (150.1, 201), (249.9, 300), (250, 300)),
    *((250.1, 301), (349.9, 400), (350, 400), (350.1, 401), (499.9, 500), (500, 500), (500.1, 500), (2000, 500)),
]
CHINA_2026 = [(value, index) for value, index in CHINA_2012 if not 60 <= value <= 115] + [
    *((59.9, 100), (60, 100), (60.1, 101), (61.1, 101), (61.2, 102), (75, 114), (114.9, 150), (115, 150)),
]
TABLES = [("us", US, US), ("india", INDIA, INDIA), ("china", CHINA_2012, CHINA_2026)]


@pytest.mark.parametrize(("scale", "before", "after"), TABLES)
@pytest.mark.parametrize("kind", [np.float64, np.float32])
def test_every_breakpoint_and_a_tenth_beside_it(scale: ScaleName, before: list, after: list, kind: type) -> None:
    for date, table in ((BEFORE, before), (FROM, after), ("1999-12-31", before)):
        values, expected = np.array(table).T
        found = pm25_sub_index(values.astype(kind), date, scale)
        assert found.dtype == np.int16
        np.testing.assert_array_equal(found, expected.astype(int))


def test_every_tenth_is_the_published_equation_in_whole_tenths() -> None:
    """In integers: nothing can be lost."""
    ranges = [(0, 90, 0, 50), (91, 354, 51, 100), (355, 554, 101, 150), (555, 1254, 151, 200)]
    ranges += [(1255, 2254, 201, 300), (2255, 3254, 301, 500)]
    for low, high, first, last in ranges:
        for tenths in range(low, high + 1):
            length = high - low
            expected = (2 * ((last - first) * (tenths - low) + first * length) + length) // (2 * length)
            assert pm25_sub_index(tenths / 10, FROM, "us") == expected


@pytest.mark.parametrize("edition", [each for editions in SCALES.values() for each in editions], ids=lambda e: e.name)
def test_categories_end_at_breakpoints(edition) -> None:
    assert [each.highest for each in edition.categories] == sorted({each.highest for each in edition.categories})
    assert {each.highest for each in edition.categories} <= set(edition.indices)
    assert len({each.colour for each in edition.categories}) == len(edition.categories) == 6
    assert list(edition.concentrations) == sorted(set(edition.concentrations))


@pytest.mark.parametrize("scale", SCALES)
@given(values=st.lists(st.floats(-10, 1e6), min_size=2, max_size=20), date=st.sampled_from([BEFORE, FROM]))
def test_more_is_never_less(scale: ScaleName, values: list[float], date: str) -> None:
    found = pm25_sub_index(np.sort(values), date, scale)
    assert (np.diff(found) >= 0).all()
    assert found.min() >= 0


def test_no_value_stays_none_and_each_date_has_its_edition() -> None:
    dates = pd.DatetimeIndex([BEFORE, FROM, "NaT"]).to_numpy()[:, None, None]
    values = np.array([[60.0, np.nan], [np.inf, 75.0]])
    expected = [[[82, -1], [-1, 100]], [[100, -1], [-1, 114]], [[-1, -1], [-1, -1]]]
    np.testing.assert_array_equal(pm25_sub_index(values, dates, "china"), expected)
    assert pm25_sub_index(60.0, pd.Timestamp(FROM), "china").shape == ()
    assert pm25_sub_index(np.empty((0, 3)), FROM, "us").shape == (0, 3)
    assert [edition_of("china", date).name for date in (BEFORE, FROM)] == ["china_hj633_2012", "china_hj633_2026"]
    assert [edition_of(name, BEFORE).name for name in ("us", "india")] == ["us_epa_2024", "india_cpcb_2014"]


def test_an_unknown_scale_is_refused() -> None:
    with pytest.raises(ValueError, match="air quality scale: found 'uk', expected one of us, india, china"):
        pm25_sub_index(1.0, FROM, "uk")  # type: ignore[arg-type]


def test_a_city_has_the_scale_of_its_country() -> None:
    delhi, beijing = (load_city(name, SHIPPED_ROOT) for name in ("Delhi", "Beijing"))
    assert (scale_of(delhi), scale_of(beijing)) == ("india", "china")
    assert scale_of(replace(delhi, time_zone="America/New_York")) == "us"
