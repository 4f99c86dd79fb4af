"""`pm25 prepare --images`: what is wrong is said in one line, and nothing is written."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import rasterio
from chips_city import GOOD_TABLE, QUIET, config, folder_root, make_root, opened, random_tiles, refusal, save_images
from hypothesis import event, given, settings
from hypothesis import strategies as st
from PIL import Image

from model_utils.archive.writer import ArchiveWriter
from model_utils.cli.command import execute
from model_utils.cli.verbs import PREPARE
from model_utils.errors import InputError
from model_utils.ingest import chips as chips_module
from model_utils.ingest.prepare import prepare


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_root(tmp_path)


def text_case(old: str, new: str) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        assert old in GOOD_TABLE
        (root / "chips.csv").write_text(GOOD_TABLE.replace(old, new))

    return change


def bytes_case(name: str, content: bytes) -> Callable[[Path], None]:
    return lambda root: (root / name).write_bytes(content) and None


def image_case(array: np.ndarray) -> Callable[[Path], None]:
    return lambda root: np.save(root / "chips.npy", array, allow_pickle=True)


def cut(root: Path) -> None:
    (root / "chips.npy").write_bytes((root / "chips.npy").read_bytes()[:-7])


HEADER = "longitude,latitude,acquired_utc,site,pm25"
TROUBLES: dict[str, tuple[Callable[[Path], None], str]] = {
    "no table": (lambda root: (root / "chips.csv").unlink(), "chips.csv: not found, expected a table"),
    "no images": (lambda root: (root / "chips.npy").unlink(), "chips.npy: not found, expected a .npy or .npz"),
    "no longitude": (text_case("longitude", "lon"), "column longitude is missing, found lon, latitude, acquired_utc"),
    "no time": (text_case("acquired_utc", "when"), "column time_utc or acquired_utc or time is missing, found"),
    "semicolons": (text_case(HEADER, HEADER.replace(",", ";")), "row 1: found 5 fields, expected 1"),
    "empty latitude": (text_case("37.6,2016-07-23", ",2016-07-23"), "row 2: latitude is empty"),
    "latitude NaN": (text_case("37.6,2016-07-24", "nan,2016-07-24"), "row 4: latitude is empty"),
    "latitude 376": (text_case("37.6,2016-07-24", "376,2016-07-24"), "row 4: latitude is 376, expected a number"),
    "latitude inf": (text_case("37.6,2016-07-24", "inf,2016-07-24"), "row 4: latitude is inf, expected a number"),
    "latitude word": (text_case("37.6,2016-07-24", "north,2016-07-24"), "row 4: latitude is north, expected a number"),
    "decimal comma": (text_case("37.6,2016-07-24", '"37,6",2016-07-24'), "row 4: latitude is 37,6, expected a number"),
    "no such day": (
        text_case("2016-07-24T03:00:00Z,north", "2016-02-30T03:00:00Z,north"),
        "row 3: acquired_utc is 2016-02-30",
    ),
    "no time of day": (
        text_case("2016-07-24T03:00:00Z,north", "2016-07-24,north"),
        "row 3: acquired_utc is 2016-07-24, exp",
    ),
    "empty time": (text_case("2016-07-24T03:00:00Z,north", ",north"), "row 3: acquired_utc is , expected a date"),
    "seconds since 1970": (
        text_case("2016-07-24T03:00:00Z,north", "1469329200,north"),
        "row 3: acquired_utc is 1469329200",
    ),
    "year 16": (text_case("2016-07-24T03:00:00Z,north", "0016-07-24T03:00:00Z,north"), "row 3: acquired_utc is 0016"),
    "day first": (
        text_case("2016-07-24T03:00:00Z,north", "24/07/2016 03:00,north"),
        "row 3: acquired_utc is 24/07/2016",
    ),
    "word for pm25": (text_case("12.5", "low"), "row 1: pm25 is low, expected a number from 0 to 10000"),
    "code for pm25": (text_case("12.5", "-999"), "row 1: pm25 is -999, expected a number from 0"),
    "empty site": (text_case("Z,south,NA", "Z,,NA"), "row 4: site is empty"),
    "column twice": (text_case("site,pm25", "site,site"), "column 'site' is there twice"),
    "column without a name": (text_case("site,pm25", "site,"), "column 5 has no name"),
    "field too many": (text_case("north,30", "north,30,7"), "row 3: found 6 fields, expected 5"),
    "field too few": (text_case("north,30", "north"), "row 3: found 4 fields, expected 5"),
    "open quote": (text_case("north,30", '"north,30'), "not readable as CSV"),
    "row too few": (text_case(GOOD_TABLE.splitlines()[4], ""), "found 3 rows for 4 images, expected as many"),
    "row too many": (
        lambda root: (root / "chips.csv").write_text(GOOD_TABLE + GOOD_TABLE.splitlines()[1]) and None,
        "found 5 rows for 4 images",
    ),
    "only a header": (bytes_case("chips.csv", HEADER.encode()), "the table has no rows"),
    "nothing": (bytes_case("chips.csv", b""), "the file is empty"),
    "Latin-1": (
        bytes_case("chips.csv", GOOD_TABLE.replace("north", "m\xfcnchen").encode("latin-1")),
        "not UTF-8 at byte",
    ),
    "UTF-16": (bytes_case("chips.csv", GOOD_TABLE.encode("utf-16")), "not UTF-8 at byte 0"),
    "elsewhere": (text_case("37.", "57."), "no row lies in the bounding box of Bay (row 1: latitude 57.7"),
    "cut": (cut, "chips.npy: truncated, found 421 bytes, expected 428"),
    "not an array": (bytes_case("chips.npy", b"hello"), "chips.npy: not a .npy file"),
    "float": (image_case(np.zeros((4, 5, 5, 3))), "found float64 in C order, expected uint8"),
    "uint16": (image_case(np.zeros((4, 5, 5, 3), np.uint16)), "found uint16"),
    "objects": (image_case(np.full((4, 5, 5, 3), None)), "found object in C order, expected uint8"),
    "Fortran": (image_case(np.zeros((4, 5, 5, 3), np.uint8, order="F")), "found uint8 in Fortran order"),
    "not square": (image_case(np.zeros((4, 5, 6, 3), np.uint8)), "found shape (4, 5, 6, 3), expected tiles x size"),
    "bands first": (image_case(np.zeros((4, 3, 5, 5), np.uint8)), "found shape (4, 3, 5, 5)"),
    "four bands": (image_case(np.zeros((4, 5, 5, 4), np.uint8)), "expected tiles x size x size x 3 (red, green, blue)"),
    "grey": (image_case(np.zeros((4, 5, 5), np.uint8)), "found shape (4, 5, 5)"),
    "no tiles": (image_case(np.zeros((0, 5, 5, 3), np.uint8)), "found shape (0, 5, 5, 3)"),
}


@pytest.mark.parametrize("name", TROUBLES)
def test_trouble_is_one_clear_line(root: Path, name: str) -> None:
    change, message = TROUBLES[name]
    change(root)
    assert message in refusal(config(root))


@pytest.mark.parametrize(
    ("chips", "message"),
    [
        ([0, 1, 1, 2], "row 3: chip 1 is there already in row 2"),
        ([0, 1, 2, 4], "row 4: chip is 4, expected a number from 0 to 3"),
        ([0, 1, 2, -1], "row 4: chip is -1, expected a number from 0 to 3"),
        ([0, 1, 2, 2.5], "row 4: chip is 2.5, expected a whole number"),
        ([0, 1, 2, ""], "row 4: chip is , expected a whole number"),
    ],
)
def test_chip_that_is_no_images_number_is_refused(root: Path, chips: list[Any], message: str) -> None:
    pd.read_csv(root / "chips.csv").assign(chip=pd.Series(chips, dtype=object)).to_csv(root / "chips.csv", index=False)
    assert message in refusal(config(root))


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("t9.png", "t9.png: not found"),
        ("", "row 4: path is '', expected a path inside"),
        ("../chips.png", "row 4: path is '../chips.png', expected a path inside"),
        ("/etc/t3.png", "row 4: path is '/etc/t3.png', expected a path inside"),
        ("t3.jpg", "row 4: path is 't3.jpg', expected a .png, .tif or .tiff file"),
        ("broken.png", "broken.png: not readable"),
        ("cut.png", "cut.png: not readable"),
        ("large.png", "large.png: found 6 x 6 px, expected 5 x 5 as in t0.png"),
        ("wide.png", "wide.png: found uint8 5 x 6 x 3, expected uint8 size x size x 3"),
        ("palette.png", "palette.png: not readable (PNG mode P, expected 8-bit L, RGB or RGBA)"),
        ("grey.png", "grey.png: found uint8 5 x 5 x 1"),
        ("deep.tif", "deep.tif: found uint16 5 x 5 x 3, expected uint8"),
        ("text.tif", "text.tif: not readable"),
    ],
)
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_trouble_with_a_folder_is_one_clear_line(root: Path, path: str, message: str) -> None:
    paths = folder_root(root)
    tiles = root / "tiles"
    (tiles / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nrest")
    (tiles / "cut.png").write_bytes((tiles / "t0.png").read_bytes()[:60])
    Image.new("RGB", (6, 6)).save(tiles / "large.png")
    Image.new("RGB", (6, 5)).save(tiles / "wide.png")
    Image.new("P", (5, 5)).save(tiles / "palette.png")
    Image.new("L", (5, 5)).save(tiles / "grey.png")
    (tiles / "text.tif").write_text("not a raster")
    with rasterio.open(tiles / "deep.tif", "w", "GTiff", 5, 5, 3, dtype="uint16") as dataset:
        dataset.write(np.zeros((3, 5, 5), np.uint16))
    table = pd.read_csv(root / "chips.csv").assign(path=[*paths[:3], path])
    table.to_csv(root / "chips.csv", index=False)
    assert message in refusal(config(root, "tiles"))


def test_folder_needs_a_column_path(root: Path) -> None:
    folder_root(root)
    assert "chips.csv: column path is missing, which says where in" in refusal(config(root, "tiles"))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a": random_tiles(4), "b": random_tiles(4)}, "found the arrays a, b, expected one or 'images'"),
        ({}, "found the arrays none"),
        ({"images": np.full((4, 5, 5, 3), None)}, "found object in C order"),
    ],
)
def test_npz_that_does_not_fit_is_refused(root: Path, arrays: dict[str, np.ndarray], message: str) -> None:
    np.savez(root / "chips.npz", **arrays)
    assert message in refusal(config(root, "chips.npz"))


def test_array_that_lies_about_its_size_is_refused(root: Path) -> None:
    with zipfile.ZipFile(root / "chips.npz", "w") as archive:
        content = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            content, {"descr": "|u1", "fortran_order": False, "shape": (10**12, 100, 100, 3)}
        )
        archive.writestr("images.npy", content.getvalue() + b"x" * 100)
    assert "chips.npz: truncated" in refusal(config(root, "chips.npz"))


def test_flags_that_do_not_fit_are_one_line(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = {"city": "Bay", "images": root / "chips.npy", "table": root / "chips.csv", "gsd": "3", "root": root}
    cases = [
        ({"gsd": "0"}, "--gsd: found 0.0, expected 0.01 to 10000"),
        ({"bands": "[red, red, blue]"}, "--bands: found ['red', 'red', 'blue'], expected different names"),
        ({"bands": "[red, nir]"}, "expected tiles x size x size x 2 (red, nir)"),
        ({"city": "Atlantis"}, "city 'Atlantis': no such city, expected one of"),
        ({"table": root / "chips.xlsx"}, "chips.xlsx: not found"),
    ]
    for change, message in cases:
        argv = [word for key, value in {**good, **change}.items() for word in (f"--{key}", str(value))]
        assert execute(PREPARE, argv) == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
    assert execute(PREPARE, [word for key, value in good.items() for word in (f"--{key}", str(value))]) == 0


BYTES_OF = ("chips.npy", "chips.npz", "chips.csv", "tiles/t2.png", "tiles/t2.tif", "chips.parquet")


@given(data=st.data(), name=st.sampled_from(BYTES_OF))
@settings(max_examples=60, deadline=None, suppress_health_check=QUIET)
def test_mutated_input_is_refused_or_arrives_whole(root: Path, data: st.DataObject, name: str) -> None:
    kind = "tif" if name.endswith("tif") else "png"
    for each in ("npy", "npz, packed, among others") if name.startswith("chips.np") else (kind,):
        save_images(root, each, random_tiles(4))
    table = pd.read_csv(io.StringIO(GOOD_TABLE)).assign(path=[f"t{number}.{kind}" for number in range(4)])
    table.to_csv(root / "chips.csv", index=False)
    table.to_parquet(root / "chips.parquet")
    content = bytearray((root / name).read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(content)))
        stop = data.draw(st.integers(start, min(len(content), start + 8)) | st.just(len(content)))
        content[start:stop] = data.draw(st.binary(max_size=8) | st.text(',."\n0Zz-;\t ', max_size=4).map(str.encode))
    (root / name).write_bytes(content)
    images = name if name.startswith("chips.np") else "tiles"
    given_table = name if name.endswith(("csv", "parquet")) else "chips.csv"
    try:
        prepare(config(root, images, given_table, overwrite=True))
    except InputError as error:
        event(f"{name} refused")
        message = str(error)
    else:
        event(f"{name} arrived")
        message = ""
    assert "\n" not in message
    if not (root / "data" / "Bay" / "archive.json").exists():
        assert message
        return
    archive = opened(root)  # this example's, or that of one before: whole in any case
    samples = archive.samples
    assert archive.tiles().shape == (len(archive), 5, 5, 3)
    if name == "chips.npz" and not message:  # a checksum guards it, so either the file or nothing arrives
        np.testing.assert_array_equal(archive.tiles(), random_tiles(4))
    assert samples["sample_id"].is_unique
    assert samples[["latitude", "longitude", "time_utc", "local_date"]].notna().all(axis=None)
    assert samples["latitude"].abs().max() <= 90
    assert not (samples["pm25"] < 0).any()


@pytest.mark.parametrize("trouble", ["broken tile", "Ctrl-C"])
def test_trouble_on_the_way_keeps_the_old_archive(root: Path, trouble: str, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = folder_root(root)
    prepare(config(root))
    before = opened(root).metadata
    table = pd.read_csv(root / "chips.csv").assign(path=paths)
    table.to_csv(root / "chips.csv", index=False)
    monkeypatch.setattr(chips_module, "tiles_per_block", lambda *_: 2)
    if trouble == "broken tile":
        (root / "tiles" / "t3.png").write_bytes(b"")
        expected: type[BaseException] = InputError
    else:
        original = ArchiveWriter.append

        def interrupted(writer: ArchiveWriter, tiles: np.ndarray, rows: pd.DataFrame) -> None:
            original(writer, tiles, rows)
            raise KeyboardInterrupt

        monkeypatch.setattr(ArchiveWriter, "append", interrupted)
        expected = KeyboardInterrupt
    with pytest.raises(expected):
        prepare(config(root, "tiles", overwrite=True))
    assert opened(root).metadata == before
    assert not list((root / "data" / "Bay").glob("*.partial")) + list((root / "data" / "Bay").glob(".*.partial"))
    with pytest.raises(InputError, match="an archive is already there, --overwrite replaces it"):
        prepare(config(root))
