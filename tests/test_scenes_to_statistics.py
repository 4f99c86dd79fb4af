"""The whole job, from scenes and readings to statistics."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from readings_town import utc, write_city, write_scenes

from model_utils.cli.main import main


@pytest.mark.usefixtures("figures_unrendered")
def test_the_whole_job_on_scenes_and_readings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    generator = np.random.default_rng(2)
    listed = [f"s{number:02d}" for number in range(12)]
    places = {name: (28.615 + 0.018 * (at // 4), 77.205 + 0.017 * (at % 4)) for at, name in enumerate(listed)}
    held_out = {name for number, name in enumerate(listed) if number % 3 == 1}
    lines = [
        f"\n  - {{name: {name}, latitude: {latitude}, longitude: {longitude}, split: {split}}}"
        for name, (latitude, longitude) in places.items()
        for split in ("test" if name in held_out else "train",)
    ]
    write_city(tmp_path, "Town", "Asia/Kolkata", (28.60, 77.19, 28.69, 77.27), "".join(lines))
    days = pd.date_range("2019-01-01", periods=8)
    times = [utc(f"{day:%Y-%m-%d}T10:42:00", "Asia/Kolkata") for day in days]
    write_scenes(tmp_path / "scenes", times, "EPSG:32643", (28.6425, 77.231), 50.0, 200)
    rows = [(name, f"{day:%Y-%m-%d}", 90 + 20 * np.sin(day.day)) for name in listed for day in days]
    readings = pd.DataFrame(rows, columns=["station", "date", "pm25"])
    readings["pm25"] += generator.normal(0, 8, len(readings)).round(1)
    readings.loc[[3, 20, 21, 50], "pm25"] = [-999, 1000, np.nan, -2]
    readings.loc[80:86, "pm25"] = 77.7
    readings.to_csv(tmp_path / "readings.csv", index=False)
    given = ["--city", "Town", "--root", str(tmp_path)]
    scenes = ["--scenes", str(tmp_path / "scenes"), "--gsd", "50", "--tile-size", "32", "--workers", "1"]
    assert main(["prepare", *given, *scenes, "--readings", str(tmp_path / "readings.csv")]) == 0
    assert main(["inspect", *given]) == 0
    smoke = ["--preset", "smoke", "--accelerator", "cpu"]
    assert main(["pretrain", *given, *smoke, "--method", "SimCLR", "--pairs", "spatiotemporal"]) == 0
    assert main(["supervise", *given, *smoke, "--start", "SimCLR_spatiotemporal"]) == 0, capsys.readouterr().err
    samples = pd.read_parquet(tmp_path / "data" / "Town" / "samples.parquet")
    (written,) = (tmp_path / "results" / "Town").glob("*/statistics.json")
    statistics = json.loads(written.read_text())
    read, test = samples["pm25"].notna(), samples["site_id"].isin(held_out)
    for key, chosen in (
        ("quality_counts", read & test),
        ("quality_counts_training", read & ~test),
        ("quality_counts_archive", read | ~read),
    ):
        counts: dict[str, int] = {}
        for quality in samples.loc[chosen, "quality"]:
            for flag in filter(None, quality.split("|")):
                counts[flag] = counts.get(flag, 0) + 1
        assert statistics[key] == counts, key
    assert statistics["quality_counts_archive"] == {
        "missing": 1,
        "missing_code": 1,
        "saturated": 1,
        "low": 1,
        "stuck": 7,
    }
    assert statistics["n_samples"] == (read & test).sum() > 0
