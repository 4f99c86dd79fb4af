"""Times that stand in the names of files."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_utils.ingest.products.times import TimePattern, name_times


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("rgbn_20160101", [date(2016, 1, 1)]),
        ("1056417_2017-03-08_RE3_3A_Visual_clip", [date(2017, 3, 8)]),
        ("20190104_051230_97_1063", [datetime(2019, 1, 4, 5, 12, 30, tzinfo=UTC)]),
        ("T43RGM_20190104T053221_x", [datetime(2019, 1, 4, 5, 32, 21, tzinfo=UTC)]),
        ("a 2019-01-04T05-32-21.tile", [datetime(2019, 1, 4, 5, 32, 21, tzinfo=UTC)]),
        ("x_20190104_996199", [date(2019, 1, 4)]),
        ("x_20190104_20190104T053221", [datetime(2019, 1, 4, 5, 32, 21, tzinfo=UTC)]),
        ("x_20190104_20191231", [date(2019, 1, 4), date(2019, 12, 31)]),
        ("2019", []),
        ("x_20191304", []),
        ("x_2019-0104", []),
        ("x_18990104_21010104", []),
        ("x20190104", []),
        ("x_120190104", []),
        ("m_4709963_se_14", []),
    ],
)
def test_times_in_names(name: str, expected: list[date]) -> None:
    assert [stamp.value for stamp in name_times(name)] == expected


@settings(max_examples=200, deadline=None)
@given(
    moment=st.datetimes(datetime(1970, 1, 1), datetime(2100, 12, 31)),
    pattern=st.sampled_from(
        ["%Y%m%d_%H%M%S", "%d.%m.%Y-%Hh%Mm%S", "%Y%j%H%M%S", "S%H%M%S_%d%b%Y_", "%%%Y_%B_%dT%H%M%S"]
    ),
    before=st.text("ab_-.(", max_size=5),
)
def test_a_pattern_finds_what_strftime_wrote(moment: datetime, pattern: str, before: str) -> None:
    moment = moment.replace(microsecond=0)
    stem = before + moment.strftime(pattern) + "_tile"
    stamp = TimePattern(pattern).find(stem, Path("x.tif"))
    assert stamp.value == moment.replace(tzinfo=UTC)
    assert stamp.zoneless
