"""Scenes found in a folder of GeoTIFFs: bands, times, scaling, and what is refused."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from scene_finding import find, refusal

from model_utils.errors import InputError
from model_utils.ingest.products.catalogue import Catalogue

REAL = Path(__file__).resolve().parents[2] / "shared" / "real"
NOTHING = "never read"


def write_raster(path: Path, count: int = 3, dtype: str = "uint8", **more: Any) -> Path:
    """A georeferenced raster of 8 x 8 pixels; `tags`, `imagery`, `names`, `scale`, `offset` are set where given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    extra = {key: more.pop(key, None) for key in ("tags", "imagery", "names", "scale", "offset")}
    profile = {"crs": "EPSG:32643", "transform": rasterio.Affine(10, 0, 7e5, 0, -10, 3.1e6), "width": 8, "height": 8}
    with rasterio.open(path, "w", count=count, dtype=dtype, **{**profile, **more}) as dataset:
        dataset.write(np.ones((count, 8, 8), dtype))
        dataset.update_tags(**(extra["tags"] or {}))
        dataset.update_tags(ns="IMAGERY", **(extra["imagery"] or {}))
        if extra["names"]:
            dataset.descriptions = extra["names"]
        if extra["scale"] is not None:
            dataset.scales, dataset.offsets = (extra["scale"],) * count, (extra["offset"],) * count
    return path


def numbers(catalogue: Catalogue) -> list[list[int]]:
    return [[band.index for band in scene.bands] for scene in catalogue.scenes]


def test_walks_folders_in_time_order_and_ignores_what_is_no_scene(tmp_path: Path) -> None:
    late = write_raster(tmp_path / "a" / "x_20190105_051230.TIFF")
    early = write_raster(tmp_path / "b" / "c" / "x_20190104T051230Z.tif")
    write_raster(tmp_path / ".hidden" / "x_20190101.tif")
    (tmp_path / "._x_20190104.tif").write_text(NOTHING)
    for name in ("notes.md", "order.json", "x.xml", "table.csv", "x_20190104T051230Z.tif.aux.xml"):
        (tmp_path / name).write_text("<x/>" if name.endswith("xml") else NOTHING)
    (tmp_path / "a" / "loop").symlink_to(tmp_path, target_is_directory=True)
    catalogue = find(tmp_path)
    assert [scene.bands[0].file for scene in catalogue.scenes] == [early, late]
    assert [scene.scene_id for scene in catalogue.scenes] == ["b/c/x_20190104T051230Z", "a/x_20190105_051230"]
    assert [scene.time_utc for scene in catalogue.scenes] == [
        datetime(2019, 1, 4, 5, 12, 30, tzinfo=UTC),
        datetime(2019, 1, 5, 5, 12, 30, tzinfo=UTC),
    ]
    assert catalogue.bands == ("red", "green", "blue")
    assert {scene.full_scale for scene in catalogue.scenes} == {255.0}
    assert "kept as they are" in catalogue.scaling
    assert any("1 of 2 scenes have a time that names no zone" in note for note in catalogue.notes)


def test_bands_by_colour_description_number_and_explicit_name(tmp_path: Path) -> None:
    write_raster(tmp_path / "20190104.tif", 4, photometric="rgb")
    assert numbers(find(tmp_path, bands=("blue", "red"))) == [[3, 1]]
    warning = "warning: red, green, blue of 1 of 1 scenes are taken from the colours the file states"
    assert any(note.startswith(warning) and "--bands red=1,..." in note for note in find(tmp_path).notes)
    assert any(note.startswith("warning: blue of 1") for note in find(tmp_path, bands=("3",)).notes)
    assert not any("colours" in note for note in find(tmp_path, bands=("red=1", "green=2", "blue=3")).notes)
    assert find(tmp_path, bands=("3", "nir=4")).bands == ("blue", "nir")
    named = tmp_path / "named"
    write_raster(named / "20190104.tif", 4, names=("Blue", "B03", "RED", "B8A"), photometric="minisblack")
    assert numbers(find(named, bands=("red", "blue"))) == [[3, 1]]
    assert numbers(find(named, bands=("green=b3", "nir=B8A", "Red"))) == [[2, 4, 3]]
    assert find(named, bands=("4", "2")).bands == ("b8a", "b03")
    message = refusal(named)
    assert "20190104.tif" in message
    assert "'green'" in message
    assert "1 (Blue), 2 (B03), 3 (RED), 4 (B8A)" in message
    assert "--bands" in message
    bare = tmp_path / "bare"
    write_raster(bare / "20190104.tif", 2, photometric="minisblack")
    assert find(bare, bands=("2", "1")).bands == ("band_2", "band_1")
    assert "no band number 3" in refusal(bare, bands=("3",))


@pytest.mark.parametrize("names", [("swir", "nir", "red edge"), ("", "swir", ""), ("red", "nir", "swir")])
def test_colours_do_not_speak_against_descriptions(tmp_path: Path, names: tuple[str, ...]) -> None:
    """GDAL marks three bytes as red, green, blue whatever they are; what a person called them stands."""
    path = write_raster(tmp_path / "20190104.tif", names=names)
    with rasterio.open(path) as dataset:
        assert [colour.name for colour in dataset.colorinterp] == ["red", "green", "blue"]
    message = refusal(tmp_path)
    assert "20190104.tif" in message
    assert all(name in message for name in names)
    assert "--bands" in message
    assert numbers(find(tmp_path, bands=("red=3", "green=2", "blue=1"))) == [[3, 2, 1]]


@pytest.mark.real
@pytest.mark.skipif(not REAL.is_dir(), reason="the real data folder is absent")
def test_real_files_with_and_without_colours(tmp_path: Path) -> None:
    clip = next((REAL / "other_rasters").glob("1056417_*.tif"))
    for files in ([clip], sorted((REAL / "duplicated_dates").glob("*.tif"))):
        folder = tmp_path / files[0].stem
        folder.mkdir()
        for file in files:
            (folder / file.name).symlink_to(file)
        catalogue = find(folder)
        assert numbers(catalogue) == [[1, 2, 3]] * len(files)
        assert any(note.startswith("warning: red, green, blue") for note in catalogue.notes)
    folder = tmp_path / "landsat"
    folder.mkdir()
    (folder / "1985.tif").symlink_to(REAL / "landsat_multidate" / "1985.tif")
    assert "does not say which band is 'red'" in refusal(folder)


@pytest.mark.parametrize(
    "bands", [(), ("",), ("red", "red"), ("red=1", "red=2"), ("a=1", "b=1"), ("0",), ("=3",), ("red=",)]
)
def test_refuses_bands_that_say_nothing(tmp_path: Path, bands: tuple[str, ...]) -> None:
    write_raster(tmp_path / "20190104.tif")
    assert "--bands" in refusal(tmp_path, bands=bands)


def test_band_names_must_mean_the_same_in_every_scene(tmp_path: Path) -> None:
    write_raster(tmp_path / "20190104.tif", 2, names=("red", "nir"), photometric="minisblack")
    write_raster(tmp_path / "20190105.tif", 2, names=("nir", "red"), photometric="minisblack")
    assert numbers(find(tmp_path, bands=("red", "nir"))) == [[1, 2], [2, 1]]
    assert "same in every scene" in refusal(tmp_path, bands=("1",))
    write_raster(tmp_path / "20190106.tif", 2, names=("red", "red"), photometric="minisblack")
    assert "2 bands 'red'" in refusal(tmp_path, bands=("red",))


def test_colour_tables_are_not_brightness(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "20190104.tif", 1)
    with rasterio.open(path, "r+") as dataset:
        dataset.write_colormap(1, {0: (0, 0, 0, 255), 1: (9, 9, 9, 255)})
    assert "colour table" in refusal(tmp_path, bands=("1",))


def stamp_of(folder: Path, **flags: Any) -> tuple[datetime, str]:
    scene = find(folder, **flags).scenes[0]
    return scene.time_utc, scene.time_source


def test_sources_of_time_in_their_order(tmp_path: Path) -> None:
    """Each source, with all weaker ones present too, by taking the strongest away one by one."""
    path = tmp_path / "a_20190103_2018-05-06.tif"
    tags = {"TIFFTAG_DATETIME": "2021:01:01 00:00:00", "acquisition_date": "2019-01-06"}
    write_raster(path, tags=tags, imagery={"ACQUISITIONDATETIME": "2019-01-05 01:02:03.5"})
    sidecar = tmp_path / "a_20190103_2018-05-06_metadata.json"
    sidecar.write_text('{"properties": {"acquired": "2019-01-04T10:42:30+05:30"}}')
    overpass = datetime(2018, 5, 6, 5, 0, tzinfo=UTC)
    assert stamp_of(tmp_path, time_pattern="%Y-%m-%d") == (overpass, "pattern (date only)")
    assert stamp_of(tmp_path) == (datetime(2019, 1, 4, 5, 12, 30, tzinfo=UTC), "metadata")
    assert find(tmp_path).scenes[0].sidecars == (sidecar,)
    sidecar.unlink()
    expected = datetime(2019, 1, 5, 1, 2, 3, 500_000, tzinfo=UTC)
    assert stamp_of(tmp_path) == (expected, "tag ACQUISITIONDATETIME")
    write_raster(path, tags=tags)
    assert stamp_of(tmp_path) == (datetime(2019, 1, 6, 5, 0, tzinfo=UTC), "tag ACQUISITION_DATE (date only)")
    del tags["acquisition_date"]
    path = write_raster(path, tags=tags)
    message = refusal(tmp_path)
    assert "2019-01-03 and 2018-05-06" in message
    assert "--time-pattern" in message
    path = path.rename(tmp_path / "a_20190103.tif")
    assert stamp_of(tmp_path) == (datetime(2019, 1, 3, 5, 0, tzinfo=UTC), "name (date only)")
    assert any("1 of 1 scenes have a date" in note and "10:30 (Asia/Kolkata)" in note for note in find(tmp_path).notes)
    path = path.rename(tmp_path / "2019.tif")
    assert stamp_of(tmp_path) == (datetime(2021, 1, 1, tzinfo=UTC), "tag TIFFTAG_DATETIME")
    assert any("time of processing" in note for note in find(tmp_path).notes)
    write_raster(path)
    assert "2019.tif: found no acquisition time" in refusal(tmp_path)


def test_a_time_of_day_goes_before_a_date(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "img_20190104_231230.tif", tags={"ACQUISITION_DATE": "2019-01-04"})
    timed = datetime(2019, 1, 4, 23, 12, 30, tzinfo=UTC)
    assert stamp_of(tmp_path) == (timed, "name")
    for near in ("2019-01-03", "2019-01-05"):  # the local date of that time, in some zone
        write_raster(path, tags={"ACQUISITION_DATE": near})
        assert stamp_of(tmp_path) == (timed, "name")
    for far in ("2019-01-02", "2019-01-06"):
        write_raster(path, tags={"ACQUISITION_DATE": far})
        message = refusal(tmp_path)
        assert "img_20190104_231230.tif" in message
        assert f"{far} (tag ACQUISITION_DATE) and 2019-01-04 23:12:30+00:00 (name)" in message
        assert stamp_of(tmp_path, time_pattern="%Y%m%d_%H%M%S") == (timed, "pattern")
    tags = {"ACQUISITION_DATE": "2019-01-02", "ACQUISITION_TIME": "2019-01-02T05:00:01Z"}
    write_raster(path, tags=tags)
    assert stamp_of(tmp_path) == (datetime(2019, 1, 2, 5, 0, 1, tzinfo=UTC), "tag ACQUISITION_TIME")
    sidecar = tmp_path / "img_20190104_231230_metadata.json"
    sidecar.write_text('{"properties": {"datetime": "2019-01-03"}}')
    assert stamp_of(tmp_path) == (datetime(2019, 1, 2, 5, 0, 1, tzinfo=UTC), "tag ACQUISITION_TIME")
    sidecar.write_text('{"properties": {"datetime": "2019-01-30"}}')
    assert "2019-01-30 (metadata) and 2019-01-02 05:00:01" in refusal(tmp_path)
    sidecar.unlink()
    write_raster(path, tags={"ACQUISITION_DATE": "2019-01-04"})
    path.rename(tmp_path / "img_20190104_231230_20190130.tif")
    assert "expected one time" in refusal(tmp_path)


@pytest.mark.parametrize("text", ["{", "\xff", '{"properties": {"acquired": "soon"}}', "[" * 100_000, ""])
def test_refuses_a_damaged_sidecar(tmp_path: Path, text: str) -> None:
    write_raster(tmp_path / "a_20190103.tif")
    (tmp_path / "a_20190103_metadata.json").write_text(text, encoding="latin-1")
    assert "a_20190103_metadata.json" in refusal(tmp_path)


def test_patterns_that_do_not_fit_or_say_too_little(tmp_path: Path) -> None:
    write_raster(tmp_path / "LC08_147040_20190104_20190130_T1.tif")
    assert "fits several times (2019-01-04, 2019-01-30)" in refusal(tmp_path, time_pattern="%Y%m%d")
    assert stamp_of(tmp_path, time_pattern="%Y%m%d_20")[0] == datetime(2019, 1, 4, 5, 0, tzinfo=UTC)
    assert "does not fit" in refusal(tmp_path, time_pattern="%Y-%m-%d")
    for pattern in ("%Y", "%H%M%S", "%Y%m", "%Y%m%d%Y", "%Y%m%d%Q", "%Y%m%d%", "", "%c"):
        assert "--time-pattern" in refusal(tmp_path, time_pattern=pattern)
    zoned = tmp_path / "zoned"
    write_raster(zoned / "20190104T1030+0530.tif")
    assert stamp_of(zoned, time_pattern="%Y%m%dT%H%M%z") == (datetime(2019, 1, 4, 5, 0, tzinfo=UTC), "pattern")


def test_scaling_is_stated_and_asked_for_where_it_is_not_known(tmp_path: Path) -> None:
    write_raster(tmp_path / "20190104.tif", dtype="uint16", photometric="rgb")
    message = refusal(tmp_path)
    assert "uint16" in message
    assert "--full-scale" in message
    catalogue = find(tmp_path, full_scale=4000.0)
    assert catalogue.scenes[0].full_scale == 4000
    assert catalogue.scenes[0].bands[0].gain == 1
    assert "round(255 x value / 4000)" in catalogue.scaling
    write_raster(tmp_path / "20190105.tif", dtype="float32", photometric="rgb")
    assert "float32 numbers, but 20190104.tif holds uint16" in refusal(tmp_path, full_scale=4000.0)
    for wrong in (0.0, -1.0, float("nan"), float("inf")):
        assert "--full-scale" in refusal(tmp_path, full_scale=wrong)


def test_scale_and_offset_tags_are_applied(tmp_path: Path) -> None:
    write_raster(tmp_path / "20190104.tif", dtype="int16", photometric="rgb", scale=2e-5, offset=-0.1)
    assert "scale and offset in the tags" in refusal(tmp_path)
    catalogue = find(tmp_path, full_scale=0.5)
    assert [(band.gain, band.offset) for band in catalogue.scenes[0].bands] == [(2e-5, -0.1)] * 3
    assert "scale + offset" in catalogue.scaling
    write_raster(tmp_path / "20190104.tif", scale=0.01, offset=0.0)
    assert "--full-scale" in refusal(tmp_path)  # 255 means nothing once a byte has a unit
    write_raster(tmp_path / "20190104.tif", scale=0.0, offset=0.0)
    assert "expected numbers and a scale that is not 0" in refusal(tmp_path, full_scale=1.0)


@pytest.mark.parametrize("dtype", ["complex64", "int32", "uint32"])
def test_refuses_other_types_of_numbers(tmp_path: Path, dtype: str) -> None:
    write_raster(tmp_path / "20190104.tif", dtype=dtype)
    assert dtype in refusal(tmp_path, bands=("1",), full_scale=1.0)


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"crs": None}, "no coordinate reference system"),
        ({"transform": rasterio.Affine(10, 0, float("nan"), 0, -10, 0)}, "geotransform"),
        ({"transform": rasterio.Affine(10, 10, 7e5, 10, 10, 3.1e6)}, "geotransform"),  # pixels without an area
        ({"crs": 'LOCAL_CS["site",UNIT["metre",1]]'}, "not on the earth"),
        ({"transform": rasterio.Affine(1e300, 0, 7e5, 0, -1e300, 3.1e6)}, "not on the earth"),
        (
            {
                "transform": None,
                "gcps": [rasterio.control.GroundControlPoint(r, c, c, r) for r, c in [(0, 0), (0, 8), (8, 0)]],
            },
            "ground control points",
        ),
    ],
)
def test_refuses_scenes_without_a_place(tmp_path: Path, more: dict[str, Any], expected: str) -> None:
    write_raster(tmp_path / "20190104.tif", **more)
    message = refusal(tmp_path)
    assert "20190104.tif" in message
    assert expected in message


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_refuses_a_raster_without_geotransform(tmp_path: Path) -> None:
    write_raster(tmp_path / "20190104.tif", transform=None)
    assert "geotransform" in refusal(tmp_path)


def test_refuses_what_is_no_folder_of_scenes(tmp_path: Path) -> None:
    assert "not found" in refusal(tmp_path / "nowhere")
    file = write_raster(tmp_path / "20190104.tif")
    assert "a file" in refusal(file)
    empty = tmp_path / "empty"
    (empty / "below").mkdir(parents=True)
    assert "found no scene" in refusal(empty)
    (empty / "20190104.tif").mkdir()
    assert "not a file" in refusal(empty)
    (empty / "20190104.tif").rmdir()
    os.mkfifo(empty / "20190104.tif")
    assert "not a file" in refusal(empty)
    (empty / "20190104.tif").unlink()
    (empty / "20190104.tif").symlink_to(tmp_path / "gone.tif")
    assert "not a file" in refusal(empty)


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("order.zip", "not readable as a .zip file"),
        ("scene.tar.gz", "unpack it first"),
        ("x.nc", "gdal_translate"),
        ("x.HDF", "gdal_translate"),
        ("x.img", "gdal_translate"),
        ("T43RGM_20190104T053221_B02.jp2", "whole Sentinel-2 product folder"),
    ],
)
def test_refuses_imagery_of_other_kinds(tmp_path: Path, name: str, advice: str) -> None:
    write_raster(tmp_path / "20190104.tif")
    (tmp_path / name).write_text(NOTHING)
    message = refusal(tmp_path)
    assert name in message
    assert advice in message


def test_damaged_files_end_in_one_line_and_print_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    whole = write_raster(tmp_path / "20190104.tif", 4, "uint16", photometric="rgb").read_bytes()
    generator = np.random.default_rng(0)
    outcomes, messages = [], []
    for turn in range(400):
        spoilt = bytearray(whole[: generator.integers(len(whole))] if turn % 4 == 0 else whole)
        for at in generator.integers(0, max(1, min(len(spoilt), 700)), generator.integers(1, 20) if spoilt else 0):
            spoilt[at] = generator.integers(256)
        (tmp_path / "20190104.tif").write_bytes(spoilt)
        try:
            outcomes.append(len(find(tmp_path, bands=("1", "2"), full_scale=1.0).scenes))
        except InputError as error:
            outcomes.append(0)
            messages.append(str(error))
    assert set(outcomes) == {0, 1}
    assert not any("\n" in message for message in messages)
    assert capfd.readouterr() == ("", "")


def test_what_gdal_says_of_damaged_tags_is_not_printed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = write_raster(tmp_path / "20190104.tif", tags={"a": "b"})
    content = path.read_bytes()
    assert b"<GDALMetadata" in content
    path.write_bytes(content.replace(b"<GDALMetadata", b"<G\xffALMetadata"))  # rasterio's logger cannot decode this
    assert len(find(tmp_path).scenes) == 1
    assert capfd.readouterr() == ("", "")


def test_a_text_file_called_tif_opens_nothing_else(tmp_path: Path) -> None:
    target = write_raster(tmp_path / "elsewhere" / "secret.tif")
    vrt = (
        '<VRTDataset rasterXSize="8" rasterYSize="8"><VRTRasterBand dataType="Byte" band="1"><SimpleSource>'
        f"<SourceFilename>{target}</SourceFilename></SimpleSource></VRTRasterBand></VRTDataset>"
    )
    (tmp_path / "scenes").mkdir()
    (tmp_path / "scenes" / "20190104.tif").write_text(vrt)
    assert "not readable as an image" in refusal(tmp_path / "scenes")
