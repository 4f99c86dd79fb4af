"""Files beside an archive that keep what its labels were made from."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from model_utils.archive.writer import ArchiveWriter

READINGS, FINDINGS = "readings.parquet", "weather_findings.csv"


def keep_readings(writer: ArchiveWriter, labels: pd.DataFrame, findings: pd.DataFrame) -> None:
    """Writes the labels with their flags, whether a scene shows them or not, and the findings about the weather.

    They become visible with the archive.
    """
    with writer.beside(READINGS) as path:
        labels.to_parquet(path)
    with writer.beside(FINDINGS) as path:
        findings.to_csv(path, index=False)


def forget_readings(folder: Path) -> None:
    """Removes those of an archive that is no longer there."""
    for name in (READINGS, FINDINGS):
        (folder / name).unlink(missing_ok=True)


def has_readings(folder: Path) -> bool:
    """Whether both files are there."""
    return all((folder / name).is_file() for name in (READINGS, FINDINGS))
