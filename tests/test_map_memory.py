"""What a map needs of memory does not grow with its cells."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from map_town import write_model, write_town

PEAK = """
import sys
from pathlib import Path
from model_utils.mapping.config import MapConfig
from model_utils.mapping.run import make_map
root, model, scenes, spacing = sys.argv[1:]
make_map(
    MapConfig(
        city="Town", model=Path(model), root=Path(root), scenes=Path(scenes) if scenes else None, period="month",
        spacing_metres=float(spacing), keep_outside=True, overwrite=True,
    )
)
lines = Path("/proc/self/status").read_text().splitlines()
print(next(line for line in lines if line.startswith("VmHWM")).split()[1])
"""


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("town")
    write_town(root)
    write_model(root, root / "coordinates", place="coordinates", day="readings")
    (root / "one").mkdir()
    shutil.copy(max((root / "all").glob("*.tif")), root / "one")
    return root


def cells_and_peak(root: Path, model: str, scenes: str, spacing: float) -> tuple[int, float]:
    """How many cells a map has, and the megabytes that a process held at most which makes it and does nothing else."""
    words = [str(root), str(root / model), str(root / scenes) if scenes else "", str(spacing)]
    done = subprocess.run([sys.executable, "-c", PEAK, *words], capture_output=True, text=True, check=True)
    cells, *_, peak = done.stdout.split()
    return int(cells), float(peak) / 1024


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="the peak of a process is read from /proc")
@pytest.mark.parametrize(
    ("model", "scenes", "coarse", "fine"), [("coordinates", "", 52.0, 16.4), ("model", "one", 73.0, 23.0)]
)
def test_ten_times_the_cells_need_less_than_a_fifth_more(town, model, scenes, coarse, fine):
    few, peak = cells_and_peak(town, model, scenes, coarse)
    many, larger = cells_and_peak(town, model, scenes, fine)
    assert many > 9.8 * few > 90_000
    assert larger < 1.2 * peak, f"{few} cells: {peak:.0f} MB; {many} cells: {larger:.0f} MB"
