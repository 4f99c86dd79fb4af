"""Stations beside a map."""

from __future__ import annotations

import numpy as np
import pandas as pd

from model_utils.mapping.dates import map_times
from model_utils.mapping.stations import station_readings


def test_a_station_that_missed_the_clean_days_does_not_look_dirty(tmp_path):
    """Readings = day + station: whatever days are missing, a station's mean is that of all days + its own part."""
    random = np.random.default_rng(0)
    days = pd.date_range("2019-01-01", periods=40)
    day, own = 100 + 60 * random.normal(size=40), np.array([-10.0, 0.0, 4.0, 6.0])
    rows = pd.DataFrame(
        [
            (name, name, 28.0 + number, 77.0, date, day[at] + own[number])
            for number, name in enumerate("abcd")
            for at, date in enumerate(days)
            if number == 0 or random.random() < 0.9
        ],
        columns=["site_id", "site_name", "latitude", "longitude", "local_date", "observed"],
    )
    rows.assign(predicted=rows["observed"]).to_parquet(tmp_path / "predictions.parquet")
    times = map_times(None, "month", days)
    found = station_readings(tmp_path, times, "EPSG:32643")
    assert len(found) == 8
    for time, start in enumerate((0, 31)):
        month = day[start : start + 31].mean()
        each = found[found["time"] == time].sort_values("site_id")
        np.testing.assert_allclose(each["observed"], month + own, atol=2.5)
        raw = (
            rows[rows["local_date"].isin(days[start : start + 31])].groupby("site_id")["observed"].mean() - own - month
        )
        assert np.abs(raw).max() > 2.5 or start


def test_no_predictions_no_stations(tmp_path):
    assert station_readings(tmp_path, map_times(None, "day", pd.date_range("2019", periods=3)), "EPSG:32643") is None
