"""`pm25 inspect`: the text says it all, and any archive can be looked at."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import write_small_archive
from matplotlib.figure import Figure
from messy_archive import HELD_OUT, TRAINING, YEARS, messy_rows, write

from model_utils.archive.format import METADATA, ArchiveMetadata
from model_utils.archive.reader import TileArchive, open_archive
from model_utils.archive.verification import note_verified
from model_utils.cli.main import main
from model_utils.inspection.samples import read_samples
from model_utils.inspection.summary import by_site

FILES = ("inspect.txt", *(f"{name}.{kind}" for name in ("calendar", "contact_sheet", "map") for kind in ("pdf", "png")))


def inspected(root: Path, capsys: pytest.CaptureFixture[str], *flags: str) -> str:
    """Runs the verb on Delhi; all files are there, and the text is what was printed."""
    assert main(["inspect", "--city", "Delhi", "--root", str(root), *flags]) == 0
    said = capsys.readouterr().out
    folder = Path(flags[flags.index("--output") + 1]) if "--output" in flags else root / "data" / "Delhi" / "inspection"
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    text = (folder / "inspect.txt").read_text(encoding="utf-8")
    assert said.startswith(text)
    assert [Path(line).name for line in said[len(text) :].split()] == [
        "inspect.txt",
        "contact_sheet.png",
        "calendar.png",
        "map.png",
    ]
    return text


def value(text: str, name: str) -> str:
    """What the table of counts says beside a name, the lines that belong to it joined by ' / '."""
    block = re.search(rf"^  {re.escape(name)}  +(.*(?:\n {{12,}}.*)*)", text, re.MULTILINE)
    assert block, f"{name!r} is not in\n{text}"
    return " / ".join(line.strip() for line in block[1].split("\n"))


def test_the_text_says_it_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(
        tmp_path,
        messy_rows(),
        created_by={
            "command": "pm25 prepare",
            "version": "9.9",
            "scaling": {"product": "naip", "full_scale": 255},
            "report": ["left out: scene_7 (as scene_6)", "28 hours\nset aside"],
        },
        sources=[{"path": f"scene{number}.tif", "sha256": f"{number:064d}"} for number in range(7)],
        simulated="haze",
        licence="CC BY 4.0",
        attribution="Example Imaging",
    )
    rows = messy_rows()
    text = inspected(tmp_path, capsys)
    read = rows.dropna(subset="pm25")
    labelled = f"{len(read)} ({len(read) / len(rows):.1%}), at 3 stations on {read['local_date'].nunique()} dates"
    assert value(text, "tiles") == f"{len(rows)} of 8 x 8 px, 3 m a pixel (24 m a side)"
    assert value(text, "tiles with a reading") == labelled
    assert value(text, "local dates") == "2018-01-02 to 2018-02-10"  # 00:30 in India is the next day
    assert value(text, "sites") == "9: 4 stations, 5 other places"
    assert value(text, "simulated") == "simulated haze over a real surface; real readings"
    assert value(text, "made by") == "pm25 prepare 9.9"
    assert value(text, "scaling to 8 bits") == '{"product": "naip", "full_scale": 255}'
    assert value(text, "licence") == "CC BY 4.0"
    assert value(text, "sources").startswith("scene0.tif (sha256 000000000000) / scene1.tif")
    assert value(text, "sources").endswith(" / and 2 more, see archive.json")
    assert "stuck: 0 (0.0%)" in value(text, "quality flags")
    assert "  left out: scene_7 (as scene_6)\n  28 hours set aside\n" in text
    lines = {words[0]: words for line in text.split("4 stations; PM2.5")[1].split("\n") if (words := line.split())}
    site = by_site(read_samples(open_archive(tmp_path / "data" / "Delhi")), 0.5).set_index("site_id")
    for name, split in ((TRAINING, "train"), (HELD_OUT, "test"), ("new_station", "train")):
        row = site.loc[name]
        expected = [name, split, *(str(row[key]) for key in ("tiles", "cloudy", "days", "labelled_days"))]
        assert lines[name][:8] == [*expected, f"{row['mean']:.1f}", f"{row['std']:.1f}"]
    assert lines["silent"][5:8] == ["0", "-", "-"]


@pytest.mark.usefixtures("figures_unrendered")
def test_output_goes_where_it_is_asked_for(
    small_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    inspected(small_root, capsys, "--output", str(tmp_path / "elsewhere" / "deep"))
    assert not (small_root / "data" / "Delhi" / "inspection").exists()


@pytest.mark.usefixtures("figures_unrendered")
def test_the_archive_stays_as_it_is_and_can_be_written_again(
    small_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = small_root / "data" / "Delhi"
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    inspected(small_root, capsys)
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before
    write(small_root, messy_rows())
    assert sorted(path.name for path in (folder / "inspection").iterdir()) == sorted(FILES)


SINGLE = pd.DataFrame({"site_id": ["only"]})
ARCHIVES: dict[str, dict[str, Any]] = {
    "one tile without anything": {"rows": SINGLE},
    "one tile with a reading": {"rows": SINGLE.assign(pm25=12.5)},
    "stations only": {"rows": pd.DataFrame({"site_id": ["a", "b"], "pm25": [3.0, 5.0]})},
    "no labels": {"rows": messy_rows().assign(pm25=np.nan, pm25_unfiltered=np.nan)},
    "no stations": {"rows": pd.DataFrame({"site_id": [f"c{n}" for n in range(70)]})},
    "one band": {"rows": messy_rows(), "bands": ("panchromatic",)},
    "two bands": {"rows": messy_rows(), "bands": ("red", "nir")},
    "eight bands": {"rows": messy_rows(), "bands": ("coastal", "b", "g1", "$g$", "y", "r", "re", "nir")},
    "ten years with three dates": {"rows": pd.DataFrame({"site_id": ["a"] * 3, "time_utc": YEARS, "pm25": 9.0})},
    "all cloudy": {"rows": messy_rows().assign(cloud_fraction=1.0)},
    "black tiles": {"rows": SINGLE, "tiles": np.zeros((1, 4, 4, 3), np.uint8)},
    "odd names": {
        "rows": pd.DataFrame({"site_id": ["s$_{1", "s2"], "site_name": ["\u4e07\u5bff $_{$", ""], "pm25": 1.0})
    },
    "columns of other kinds": {
        "rows": messy_rows().assign(site_kind=7, valid_fraction="full", flag_spike="no", pm25_unfiltered="x")
    },
    "metadata of other kinds": {
        "rows": SINGLE,
        "created_by": {"command": 3, "report": {"a": [1]}, "scaling": [None]},
        "simulated": "half of $x$",
        "sources": [{"name": "x"}],
    },
    "at the pole": {"rows": SINGLE.assign(latitude=90.0, longitude=-180.0)},
}


@pytest.fixture
def pngs_unrendered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each figure is rendered once, as a PDF, and not for its PNG again."""
    savefig = Figure.savefig

    def save(self: Figure, path: Path, **options: Any) -> None:
        path.write_bytes(b"") if path.suffix == ".png" else savefig(self, path, **options)

    monkeypatch.setattr(Figure, "savefig", save)


@pytest.mark.usefixtures("pngs_unrendered")
@pytest.mark.parametrize("name", ARCHIVES)
def test_any_archive_can_be_looked_at(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, **ARCHIVES[name])
    text = inspected(tmp_path, capsys)
    assert value(text, "tiles").startswith(f"{len(ARCHIVES[name]['rows'])} of ")
    assert not re.search(r"\b1 (stations|dates|other places|local dates)", text)
    assert value(text, "simulated") == ("no" if name != "metadata of other kinds" else "simulated: half of $x$")


@pytest.mark.usefixtures("figures_unrendered")
def test_many_sites_read_only_the_tiles_that_are_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(0)
    count = 32_000
    time = pd.Timestamp("2018-01-01 05:00", tz="UTC") + pd.to_timedelta(random.integers(0, 300, count), "D")
    rows = pd.DataFrame(
        {
            "site_id": [f"p{number}" for number in range(count)],
            "time_utc": time,
            "latitude": random.uniform(28.2, 28.9, count),
            "longitude": random.uniform(76.9, 77.6, count),
            "pm25": np.where(np.arange(count) < 20_000, 50.0, np.nan),
        }
    )
    write(tmp_path, rows, np.zeros((count, 4, 4, 3), np.uint8))
    asked = []
    tiles = TileArchive.tiles
    monkeypatch.setattr(TileArchive, "tiles", lambda self, rows: asked.append(len(rows)) or tiles(self, rows))
    text = inspected(tmp_path, capsys)
    assert value(text, "sites") == "32,000: 20,000 stations, 12,000 other places"
    assert "60 of 20,000 stations" in text
    assert len(text.split("\n")) < 100
    assert sum(asked) <= 64


def broken_images(root: Path) -> list[str]:
    images = write_small_archive(root, days=1) / "images.npy"
    images.write_bytes(images.read_bytes()[:-5])
    return ["images.npy", "truncated"]


def broken_table(root: Path) -> list[str]:
    path = write_small_archive(root, days=1) / "samples.parquet"
    content = bytearray(path.read_bytes())
    content[4:3000] = bytes(2996)  # the pages; the footer stands
    path.write_bytes(content)
    note_verified(
        path.parent, ArchiveMetadata.read(path.parent / METADATA).content_sha256
    )  # a fault that left no trace
    return ["samples.parquet", "broken"]


def broken_metadata(root: Path) -> list[str]:
    (write_small_archive(root, days=1) / "archive.json").write_text("{", encoding="utf-8")
    return ["archive.json", "JSON"]


def no_archive(root: Path) -> list[str]:
    return ["data/Delhi", "no such folder"]


def output_is_a_file(root: Path) -> list[str]:
    write_small_archive(root, days=1)
    (root / "taken").write_text("mine", encoding="utf-8")
    return ["taken", "cannot be written"]


def cloud_beyond_all(root: Path) -> list[str]:
    return ["--max-cloud-fraction", "found 3"]


@pytest.mark.parametrize(
    "case", [broken_images, broken_table, broken_metadata, no_archive, output_is_a_file, cloud_beyond_all]
)
def test_what_is_wrong_is_one_line_and_exit_code_2(
    case: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = case(tmp_path)
    flags = ["--output", str(tmp_path / "taken")] if case is output_is_a_file else []
    flags += ["--max-cloud-fraction", "3"] if case is cloud_beyond_all else []
    assert main(["inspect", "--city", "Delhi", "--root", str(tmp_path), *flags]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.startswith("pm25 inspect: ")
    assert all(word in said for word in expected), said
    assert not list(tmp_path.rglob("*.partial*"))
    if case is output_is_a_file:
        assert (tmp_path / "taken").read_text(encoding="utf-8") == "mine"
