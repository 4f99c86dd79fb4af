"""Daily station readings as CPCB exports them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from model_utils.errors import InputError
from model_utils.ingest.daily_readings import read_daily_readings

REAL = Path(__file__).resolve().parents[2] / "shared" / "real" / "delhi_labels"
HEADING = "Timestamp,PM2.5 (µg/m³),AT (°C),RH (%),BP (mmHg),Datetime"


def write_folder(folder: Path) -> Path:
    """Two stations whose names begin alike; Timestamp lies on purpose."""
    (folder / "stations").mkdir(parents=True)
    (folder / "stations.csv").write_text("station,lat,lon\nLodhi,28.5,77.2\nLodhi_Road,28.6,77.3\n")
    (folder / "stations" / "Lodhi_Road_2018.csv").write_text(
        f"{HEADING}\n"
        "1999-01-01,80.5,25,60,990,2018-01-02\n"
        "1999-01-01,-3,25,60,745,2018-01-01\n"
        "1999-01-01,999,99,0,12,2018-01-03\n"
        "1999-01-01,,,,,2018-01-04\n"
    )
    (folder / "stations" / "Lodhi_2018.csv").write_text(f"{HEADING}\n1999-01-01,984.9,25,60,800.5,2018-01-01\n")
    return folder


def test_reads_values_and_says_why_one_was_set_aside(tmp_path: Path) -> None:
    table = read_daily_readings(write_folder(tmp_path / "in"))
    assert table["station"].tolist() == ["Lodhi", *["Lodhi_Road"] * 4]
    assert table["latitude"].tolist() == [28.5, 28.6, 28.6, 28.6, 28.6]
    assert table["local_date"].dt.strftime("%d").tolist() == ["01", "01", "02", "03", "04"]
    np.testing.assert_array_equal(table["pm25"], [984.9, np.nan, 80.5, np.nan, np.nan])
    assert table["quality"].tolist() == ["", "negative", "", "saturated", ""]
    np.testing.assert_allclose(table["pressure_hpa"], [np.nan, 745 * 1.33322387, 990, np.nan, np.nan], rtol=1e-6)
    np.testing.assert_array_equal(table["temperature_c"], [25, 25, 25, np.nan, np.nan])
    np.testing.assert_array_equal(table["relative_humidity_pct"], [60, 60, 60, np.nan, np.nan])


@pytest.mark.parametrize(("value", "valid"), [(0, True), (984.99, True), (985, False), (1000, False), (-0.01, False)])
def test_ends_of_the_scale(tmp_path: Path, value: float, valid: bool) -> None:
    folder = write_folder(tmp_path / "in")
    (folder / "stations" / "Lodhi_2018.csv").write_text(f"{HEADING}\n,{value},25,60,990,2018-01-01\n")
    first = read_daily_readings(folder).iloc[0]
    assert (not np.isnan(first["pm25"])) == valid
    assert (first["quality"] == "") == valid


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: (f / "stations.csv").unlink(), "stations.csv: not found"),
        (lambda f: (f / "stations.csv").write_text("station,lat\n"), "column 'lon' is missing"),
        (lambda f: (f / "stations.csv").write_text("station,lat,lon\nLodhi,91,0\n"), "row 2: 91.0, 0.0"),
        (lambda f: (f / "stations.csv").write_text("station,lat,lon\nA,1,2\nA,1,2\n"), "'A' is listed twice"),
        (lambda f: (f / "stations" / "Rohini.csv").write_text("a\n"), "Rohini.csv: no station"),
        (lambda f: (f / "stations" / "Lodhi_2019.csv").write_text(f"{HEADING}\n"), "second file of station 'Lodhi'"),
        (lambda f: (f / "stations" / "Lodhi_2018.csv").unlink(), "no file of station 'Lodhi'"),
        (lambda f: (f / "stations" / "Lodhi_2018.csv").write_text("Datetime\n"), "column 'PM2.5 .* is missing"),
        (
            lambda f: (f / "stations" / "Lodhi_2018.csv").write_text(
                f"{HEADING}\n,9,,,,2018-01-01\n,high,,,,2018-01-02\n"
            ),
            "row 3: PM2.5 .* is 'high', expected a number",
        ),
        (
            lambda f: (f / "stations" / "Lodhi_2018.csv").write_text(f"{HEADING}\n,9,,,,soon\n"),
            "row 2: Datetime is 'soon'",
        ),
        (
            lambda f: (f / "stations" / "Lodhi_2018.csv").write_text(
                f"{HEADING}\n,9,,,,2018-01-01\n,9,,,,2018-01-01\n"
            ),
            "row 3: 2018-01-01 came before",
        ),
    ],
)
def test_names_what_is_wrong(tmp_path: Path, spoil: Callable[[Path], object], message: str) -> None:
    folder = write_folder(tmp_path / "in")
    spoil(folder)
    with pytest.raises(InputError, match=message) as caught:
        read_daily_readings(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.real
@pytest.mark.skipif(not REAL.is_dir(), reason="the real data are not here")
def test_real_stations_are_all_read() -> None:
    table = read_daily_readings(REAL)
    columns = [pd.read_csv(path)["PM2.5 (µg/m³)"] for path in sorted((REAL / "stations").glob("*.csv"))]
    counts = sum(int(((column >= 0) & (column < 985)).sum()) for column in columns)
    assert table["station"].nunique() == len(columns) == 37
    assert table.groupby("station").size().eq(1096).all()
    assert table["pm25"].count() == counts
    assert table["pressure_hpa"].dropna().between(900, 1100).all()
    shadipur = table.loc[table["station"] == "Shadipur", "pressure_hpa"]  # it reports mmHg, median 748
    assert shadipur.median() == pytest.approx(997, abs=3)
