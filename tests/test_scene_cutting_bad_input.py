"""Scenes that cannot be cut: one line that names the file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from scene_rasters import EAST, NORTH, bands_of, cut, scene_of, sites_at, smooth, write, write_four_bands

from model_utils.errors import InputError


@pytest.fixture(scope="module")
def raster(tmp_path_factory):
    return write_four_bands(tmp_path_factory.mktemp("scene"))


def test_a_mask_with_other_bands_is_refused(tmp_path, raster):
    mask = write(tmp_path / "mask.tif", np.zeros((7, 90, 110), np.uint8))
    with pytest.raises(InputError, match=r"mask\.tif: found 7 bands, expected the 8"):
        cut(scene_of(bands_of(raster[0], 1), kind="udm2", mask=mask), sites_at([0], [0]))


@pytest.mark.parametrize(
    ("name", "profile", "word"),
    [
        ("unplaced.tif", {"crs": None}, "coordinate reference system"),
        ("nan.tif", {"place": rasterio.Affine(10, 0, float("nan"), 0, -10, NORTH)}, "geotransform"),
        ("flat.tif", {"place": rasterio.Affine(10, 0, EAST, 0, 0, NORTH)}, "geotransform"),
    ],
)
def test_a_raster_without_a_place_is_refused(tmp_path, name, profile, word):
    path = write(tmp_path / name, np.ones((1, 20, 20), np.uint8), **profile)
    with pytest.raises(InputError, match=rf"{name}: .*{word}"):
        cut(scene_of(bands_of(path, 1)), sites_at([0], [0]))


def test_a_band_that_is_not_there_and_complex_numbers_are_refused(tmp_path, raster):
    with pytest.raises(InputError, match=r"four\.tif: found 4 bands, expected band 5 too"):
        cut(scene_of(bands_of(raster[0], 5)), sites_at([0], [0]))
    path = write(tmp_path / "radar.tif", np.ones((1, 20, 20), np.complex64))
    with pytest.raises(InputError, match=r"radar\.tif: found complex64"):
        cut(scene_of(bands_of(path, 1)), sites_at([0], [0]))


def test_broken_files_become_one_line_and_nothing_on_stderr(tmp_path, raster):
    whole = write(
        tmp_path / "whole.tif", smooth((3, 90, 110)), compress="deflate", tiled=True, blockxsize=32, blockysize=32
    )
    bytes_ = whole.read_bytes()
    (tmp_path / "folder.tif").mkdir()
    (tmp_path / "empty.tif").touch()
    (tmp_path / "text.tif").write_text("not a raster\n")
    (tmp_path / "half.tif").write_bytes(bytes_[: len(bytes_) // 2])
    generator, spoiled = np.random.default_rng(11), np.frombuffer(bytes_, np.uint8).copy()
    spoiled[len(bytes_) // 2 :: 7] = generator.integers(0, 256, len(spoiled[len(bytes_) // 2 :: 7]))
    (tmp_path / "spoiled.tif").write_bytes(spoiled.tobytes())
    code = (
        "import sys; sys.path[:0] = [sys.argv[1]]\n"
        "from pathlib import Path\n"
        "from scene_rasters import cut, scene_of, bands_of, sites_at\n"
        "from model_utils.errors import InputError\n"
        "for name in sys.argv[2:]:\n"
        "    try:\n"
        "        cut(scene_of(bands_of(Path(name), 1)), sites_at(range(0, 90, 10), range(0, 72, 8)))\n"
        "        print('no error')\n"
        "    except InputError as error:\n"
        "        print(error)\n"
    )
    names = [str(tmp_path / f"{stem}.tif") for stem in ("folder", "empty", "text", "half", "spoiled", "absent")]
    here = str(Path(__file__).parent)
    done = subprocess.run([sys.executable, "-c", code, here, *names], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert len(lines) == len(names)
    assert all(line.startswith(f"{name}: not readable (") for line, name in zip(lines, names, strict=True))


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_spoiled_bytes_never_end_in_anything_but_tiles_or_one_line(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("fuzz")
    path = write(folder / "scene.tif", smooth((2, 40, 40)), compress="lzw")
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 12))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(1, len(content)))])
    said = f"{path}: "
    try:
        cut(scene_of(bands_of(path, 1, 2)), sites_at([0, 10, 20], [0, 10, 20]))
    except InputError as error:
        said = str(error)
    assert said.startswith(f"{path}: ")
    assert "\n" not in said
