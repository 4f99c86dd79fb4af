"""Numbers in another unit or on another scale than an archive needs are said, with what to do."""

from __future__ import annotations

import numpy as np
import pytest
from chips_city import config as chips_config
from chips_city import make_root as chips_root
from readings_town import prepared, utc, write_city, write_scenes
from scene_city import config, make_root, pixels, scene_name, write_scene

from model_utils.errors import InputError
from model_utils.ingest.brightness import Brightness
from model_utils.ingest.prepare import prepare


@pytest.mark.parametrize(
    ("full_scale", "said"),
    [(None, ""), (40_000.0, "between 0 and 2"), (8.0, "0% of all values are 0 and 9")],
)
def test_a_full_scale_that_leaves_little_of_the_image_is_said(tmp_path, capsys, full_scale, said) -> None:
    make_root(tmp_path)
    write_scene(tmp_path, scene_name(1), pixels(1))
    prepare(config(tmp_path, full_scale=full_scale))
    lines = [line for line in capsys.readouterr().out.splitlines() if "--full-scale says" in line]
    assert len(lines) == bool(said)
    assert all(said in line for line in lines)


@pytest.mark.parametrize("full_scale", [1e-3, 1e6])
def test_a_full_scale_that_leaves_nothing_is_refused_with_one_that_fits(tmp_path, full_scale) -> None:
    make_root(tmp_path)
    path = write_scene(tmp_path, scene_name(1), pixels(1))
    with pytest.raises(InputError, match=r"2nd and 98th percentile.*--full-scale") as caught:
        prepare(config(tmp_path, full_scale=full_scale))
    assert str(path) in str(caught.value)
    assert not list((tmp_path / "data").rglob("archive.json"))
    named = float(str(caught.value).rsplit(" ", 1)[1])
    assert 0.9 <= named / np.percentile(pixels(1), 98) <= 1.2
    prepare(config(tmp_path, full_scale=named))


def test_a_scene_on_another_scale_than_the_others_is_refused_by_name(tmp_path) -> None:
    make_root(tmp_path)
    for day in (1, 2, 3):
        write_scene(tmp_path, scene_name(day), pixels(day).astype(np.uint16) * 16)
    odd = write_scene(tmp_path, scene_name(4), pixels(4).astype(np.uint16) * 150 + 15_000)
    with pytest.raises(InputError, match="expected scenes of one level and one scale") as caught:
        prepare(config(tmp_path, full_scale=4000.0))
    assert str(odd) in str(caught.value)
    write_scene(tmp_path, scene_name(4), np.maximum(pixels(4) // 16, 1).astype(np.uint16))
    with pytest.raises(InputError, match="expected scenes of one level and one scale"):
        prepare(config(tmp_path, full_scale=4000.0))
    write_scene(tmp_path, scene_name(4), pixels(4).astype(np.uint16) * 16 + 5000)  # a white cloud
    prepare(config(tmp_path, full_scale=4000.0))


@pytest.mark.parametrize("value", [0, 255])
def test_tiles_of_black_and_white_are_refused(tmp_path, value) -> None:
    chips_root(tmp_path)
    np.save(tmp_path / "chips.npy", np.full((4, 5, 5, 3), value, np.uint8))
    with pytest.raises(InputError, match=r"chips\.npy: .*100% .*expected images that use the range") as caught:
        prepare(chips_config(tmp_path))
    assert ("100% are 255" in str(caught.value)) == (value == 255)
    assert not list((tmp_path / "data").rglob("archive.json"))


@pytest.mark.parametrize("seed", range(5))
def test_the_warning_follows_a_count_of_the_bytes(seed) -> None:
    generator = np.random.default_rng(seed)
    share = generator.choice([0.9, 0.94, 0.96, 1.0])
    tiles = generator.integers(1, 255, (64, 32, 32, 3), dtype=np.uint8)
    tiles[generator.random(tiles.shape) < share] = generator.choice([0, 255])
    brightness = Brightness()
    for part in np.array_split(tiles, 3):
        brightness.count(part)
    looked_at = tiles[:, ::4, ::4]
    assert bool(brightness.lines("x")) == (np.isin(looked_at, (0, 255)).mean() >= 0.95)


def test_readings_in_milligrams_that_name_no_unit_are_refused_until_it_is_given(tmp_path, capsys) -> None:
    write_city(tmp_path, "Town", "Asia/Kolkata", (28.5, 77.1, 28.8, 77.4))
    times = [utc(f"2019-01-0{day}T10:42:00", "Asia/Kolkata") for day in (1, 2)]
    write_scenes(tmp_path / "scenes", times, "EPSG:32643", (28.65, 77.25), 100.0, 200)
    rows = [f"s{s},28.6{s},77.2{s},2019-01-0{day},0.{day}{s}" for s in (4, 5, 6) for day in (1, 2)]
    (tmp_path / "readings.csv").write_text("station,latitude,longitude,date,pm25\n" + "\n".join(rows) + "\n")
    given = {"readings": tmp_path / "readings.csv"}
    with pytest.raises(InputError, match=r"mean of 0\.2 ug/m3.*--unit mg/m3") as caught:
        prepared(tmp_path, tmp_path / "scenes", **given)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "data" / "Town" / "archive.json").exists()
    prepared(tmp_path, tmp_path / "scenes", **given, unit="mg/m3")
    prepared(tmp_path, tmp_path / "scenes", **given, unit="ug/m3", overwrite=True)


def test_a_column_in_milligrams_beside_tiles_is_said(tmp_path, capsys) -> None:
    chips_root(tmp_path)
    table = tmp_path / "chips.csv"
    prepare(chips_config(tmp_path))
    assert "mean of" not in capsys.readouterr().out
    table.write_text(table.read_text().replace("12.5", "0.0125").replace(",30\n", ",0.03\n"))
    prepare(chips_config(tmp_path, overwrite=True))
    assert "warning: column 'pm25' has a mean of 0.021" in capsys.readouterr().out
