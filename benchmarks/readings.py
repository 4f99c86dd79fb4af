"""Reading hours of stations: ours, to rows in UTC with local days, against a plain pandas `read_csv` of the same file.

`read_csv` gives texts and numbers; ours also finds the format, the times, the units and the stations, checks every
cell, and sorts. The files are made: 50 stations with the same hours, in three layouts. Both take turns in one process.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from timing import setting, spread, take_turns

from model_utils.cities import load_city
from model_utils.ingest.readings.reading import read_readings
from model_utils.project import SHIPPED_ROOT

STATIONS = 50


def main() -> None:
    """Prints seconds of both for each layout, and the ratio of their speeds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--turns", type=int, default=5)
    flags = parser.parse_args()
    city = load_city("Delhi", SHIPPED_ROOT)
    print(setting(flags.turns))
    with tempfile.TemporaryDirectory() as folder:
        for path in made_files(Path(folder), flags.rows // STATIONS):

            def plainly(path: Path = path) -> object:
                return pd.read_csv(path)

            def ours(path: Path = path) -> object:
                return read_readings(path, city)

            seconds = take_turns({"pandas.read_csv": plainly, "ours": ours}, flags.turns)
            print(f"\n{path.stem}: {flags.rows} rows, {path.stat().st_size / 1e6:.0f} MB")
            for name, values in seconds.items():
                print(f"  {name:24}{spread(values)} s")
            print(f"  speed, ours : pandas    {spread(seconds['pandas.read_csv'] / seconds['ours'])}")


def made_files(folder: Path, hours: int) -> list[Path]:
    """Writes the same readings as a plain table, as the compiled Indian one, and as UCI's of Beijing."""
    times = pd.date_range("2018-01-01", periods=hours, freq="h")
    station = np.repeat([f"S{number:02d}" for number in range(STATIONS)], hours)
    pm25 = np.random.default_rng(0).gamma(2, 60, STATIONS * hours).round(1)

    def column(values: object) -> object:
        return np.tile(np.asarray(values), STATIONS)

    clock = {part: column(getattr(times, part)) for part in ("year", "month", "day", "hour")}
    weather = {"TEMP": 1.5, "PRES": 1010.0, "DEWP": -5.0, "RAIN": 0.0, "wd": "NNW", "WSPM": 2.5}
    tables = {
        "plain": {"station": station, "time": column(times.strftime("%Y-%m-%dT%H:%MZ")), "value": pm25},
        "india-station-hour": {
            "StationId": station,
            "Datetime": column(times.strftime("%Y-%m-%d %H:%M:%S")),
            "PM2.5": pm25,
            "AQI_Bucket": "Poor",
        },
        "uci-beijing": {**clock, "PM2.5": pm25, **weather, "station": station},
    }
    paths = []
    for name, columns in tables.items():
        paths.append(folder / f"{name}.csv")
        pd.DataFrame(columns).to_csv(paths[-1], index=False)
    return paths


if __name__ == "__main__":
    main()
