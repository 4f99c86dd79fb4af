"""Damaged scenes, sidecars, city files and archives: one line, or a correct archive."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from fuzzing import (
    LEFT,
    NASTY,
    REAL,
    SIZE,
    TOP,
    ZONE,
    Arena,
    Seeds,
    check_all,
    damaged,
    damaged_json,
    make_quick,
    pixels,
    write_scene,
)
from rasterio.warp import transform_bounds

NUMBERED = ("--full-scale", "1", "--bands", "1,2,3")
LAYOUTS: dict[str, dict[str, Any]] = {
    "strips": {},
    "tiles": {"tiled": True, "blockxsize": 16, "blockysize": 16, "compress": "deflate"},
    "lzw": {"compress": "lzw", "predictor": 2},
    "bigtiff": {"BIGTIFF": "YES"},
    "jpeg": {"compress": "jpeg", "photometric": "ycbcr"},
    "nodata": {"nodata": 0},
}


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        make_quick(monkeypatch)
        yield Arena(tmp_path_factory.mktemp("fuzz"))


@pytest.fixture(autouse=True)
def _whole_again(arena: Arena) -> Iterator[None]:
    """Whatever a test does to the scenes and the city is undone."""
    scene, city = arena.scene.read_bytes(), arena.city.read_text()
    yield
    shutil.rmtree(arena.scenes)
    arena.scenes.mkdir()
    arena.scene.write_bytes(scene)
    arena.city.write_text(city)


@pytest.mark.parametrize("head", [None, 400], ids=["anywhere", "header"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_damaged_geotiff(arena: Arena, layout: str, head: int | None, seeds: Seeds) -> None:
    """What is read of a damaged file is what GDAL reads of it; a tile can only hold that, or nothing."""
    whole = write_scene(arena.scene, pixels(), **LAYOUTS[layout]).read_bytes()

    def case(chance: random.Random) -> None:
        arena.begin(chance)
        arena.scene.write_bytes(damaged(whole, chance, head))
        arena.run_scenes(*chance.choice(((), ("--overwrite",), ("--overwrite", "--skip-broken"))))

    check_all(case, seeds(60))


def test_damaged_float_scene(arena: Arena, seeds: Seeds) -> None:
    whole = write_scene(arena.scene, np.random.default_rng(0).random((3, SIZE, SIZE)).astype("f4")).read_bytes()

    def case(chance: random.Random) -> None:
        arena.begin(chance)
        arena.scene.write_bytes(damaged(whole, chance, chance.choice((None, 600))))
        arena.run_scenes("--overwrite", *NUMBERED)

    check_all(case, seeds(60))


NAN, INF = float("nan"), float("inf")
PLACES = [
    *((NAN, 0, LEFT, 0, -10, TOP), (10, 0, INF, 0, -10, TOP), (0, 0, LEFT, 0, 0, TOP), (10, 0, LEFT, 0, 0, TOP)),
    *((7, 7, LEFT, 7, -7, TOP), (7, 7, LEFT, 7, 7, TOP), (1e-9, 0, LEFT, 0, -1e-9, TOP), (1e9, 0, LEFT, 0, -1e9, TOP)),
    *((1e-300, 0, LEFT, 0, -1e-300, TOP), (1e-160, 0, LEFT, 0, -1e-160, TOP), (10, 0, 1e300, 0, -10, TOP)),
    *((1e4, 0, LEFT, 0, -1e4, TOP), (3, 0, LEFT, 0, -30, TOP), (10, 0, LEFT, 0, -10, 1e17)),
]
SYSTEMS = [
    *(None, "EPSG:4326", "EPSG:3857", "EPSG:4978", "EPSG:32743", "EPSG:5070", "EPSG:5773", "EPSG:7415", "+proj=moll"),
    *("+proj=ortho +lat_0=0 +lon_0=-100", "+proj=geos +h=35785831 +lon_0=76", 'LOCAL_CS["a",UNIT["metre",1]]'),
    "+proj=ob_tran +o_proj=longlat +o_lon_p=10 +o_lat_p=20 +lon_0=3",
]


@pytest.mark.parametrize("numbers", PLACES)
def test_impossible_places(arena: Arena, numbers: tuple[float, ...]) -> None:
    for system in (ZONE, "EPSG:4326"):
        arena.restore(arena.good)
        write_scene(arena.scene, pixels(), transform=rasterio.Affine(*numbers), crs=system)
        arena.run_scenes("--overwrite")


@pytest.mark.parametrize("system", SYSTEMS)
def test_impossible_systems(arena: Arena, system: str | None) -> None:
    arena.restore(arena.good)
    write_scene(arena.scene, pixels(), crs=system)
    assert arena.run_scenes("--overwrite").code == 2


@pytest.mark.parametrize("dtype", ["int8", "int16", "uint32", "int64", "float32", "complex64"])
def test_other_numbers(arena: Arena, dtype: str) -> None:
    arena.restore({})
    write_scene(arena.scene, pixels().astype(dtype))
    known = ("--full-scale", "255", "--bands", "1,2,3")
    assert arena.run_scenes(*known).code == (0 if dtype in ("int16", "float32") else 2)
    arena.restore({})
    assert arena.run_scenes().code == 2  # which band is red, and what is white?


@pytest.mark.parametrize("value", [NAN, INF, -INF])
def test_pixels_that_are_no_numbers_hold_no_data(arena: Arena, value: float) -> None:
    arena.restore({})
    values = np.full((3, SIZE, SIZE), 0.5, np.float32)
    values[:, :28] = value
    write_scene(arena.scene, values)
    outcome = arena.run_scenes(*NUMBERED)
    assert outcome.code == 0
    assert set(arena.opened().samples["site_id"]) == {"Beta"}


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _link(path: Path, to: str) -> None:
    path.unlink()
    path.symlink_to(to)


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _claims(path: Path, tag: int, number: int) -> None:
    """Writes another number into the header's field: 256 width, 257 height, 277 bands, 322 and 323 block size."""
    content = bytearray(path.read_bytes())
    start = int.from_bytes(content[4:8], "little")
    for at in range(start + 2, start + 2 + 12 * int.from_bytes(content[start : start + 2], "little"), 12):
        if int.from_bytes(content[at : at + 2], "little") == tag:
            content[at + 2 : at + 12] = (
                (4).to_bytes(2, "little") + (1).to_bytes(4, "little") + number.to_bytes(4, "little")
            )
    path.write_bytes(content)


VRT = (
    '<VRTDataset rasterXSize="60" rasterYSize="60"><VRTRasterBand dataType="Byte" band="1"><SimpleSource>'
    "<SourceFilename>/etc/passwd</SourceFilename></SimpleSource></VRTRasterBand></VRTDataset>"
)
ODD: dict[str, Callable[[Path], object]] = {
    "folder": _folder,
    "loop": lambda path: _link(path, path.name),
    "dangling": lambda path: _link(path, "nowhere"),
    "device": lambda path: _link(path, "/dev/zero"),
    "pipe": _pipe,
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("hello"),
    "zeros": lambda path: path.write_bytes(bytes(5000)),
    "vrt": lambda path: path.write_text(VRT),
    "json": lambda path: path.write_text('{"type": "FeatureCollection"}'),
    "name": lambda path: path.write_text("GTIFF_DIR:1:/etc/passwd"),
    "start": lambda path: path.write_bytes(b"II*\0"),
    "no band": lambda path: _claims(path, 277, 0),
    **{
        f"{tag} of {number}": lambda path, tag=tag, number=number: _claims(path, tag, number)
        for tag in (256, 257, 277, 322, 323)
        for number in (10**9, 2**31 - 1, 2**32 - 1, 65_000)
    },
}


@pytest.mark.parametrize("kind", ODD)
def test_what_only_looks_like_a_scene(arena: Arena, kind: str) -> None:
    arena.restore(arena.good)
    write_scene(arena.scene, pixels(), tiled=True, blockxsize=16, blockysize=16)
    ODD[kind](arena.scene)
    outcome = arena.run_scenes("--overwrite")
    if outcome.code == 0:  # rows that are not there, below those that are
        assert kind.startswith("257")
        assert outcome.files["images.npy"] == arena.good["images.npy"]
    else:
        assert arena.scene.name in outcome.error or "none of 1 scenes gave a tile" in outcome.error
    if arena.scene.is_dir():
        arena.scene.rmdir()
    arena.scene.unlink(missing_ok=True)


def test_a_folder_that_holds_itself_and_odd_names(arena: Arena) -> None:
    expected = arena.good["images.npy"]
    (arena.scenes / "inside").mkdir()
    (arena.scenes / "inside" / "again").symlink_to("..")
    for name in ["a\nb_20190101.tif", "%s_20190101.tif", '"&<>_20190101.tif', "20190101:1:.tif", "-20190101.TIF"]:
        arena.restore({})
        path = arena.scene.rename(arena.scenes / name)
        assert arena.run_scenes().files["images.npy"] == expected
        path.rename(arena.scene)
    path = arena.scene.rename(os.fsdecode(os.fsencode(arena.scenes) + b"/\xff_20190101.tif"))
    arena.restore({})
    assert arena.run_scenes().code == 2
    path.rename(arena.scene)


PLANET = "20190101_051200_0f12_3B_AnalyticMS"
COEFFICIENTS = "".join(
    f"<p:bandSpecificMetadata><p:bandNumber>{number}</p:bandNumber><p:reflectanceCoefficient>2e-05"
    "</p:reflectanceCoefficient></p:bandSpecificMetadata>"
    for number in range(1, 5)
)
XML = f'<?xml version="1.0" encoding="UTF-8"?>\n<p:E xmlns:p="http://a/b">{COEFFICIENTS}</p:E>'
SENTINEL = (
    "<P><DATATAKE_SENSING_START>2019-01-01T05:12:00Z</DATATAKE_SENSING_START>"
    "<QUANTIFICATION_VALUE>10000</QUANTIFICATION_VALUE>"
    + "".join(f'<RADIO_ADD_OFFSET band_id="{band}">-1000</RADIO_ADD_OFFSET>' for band in range(13))
    + "</P>"
)
LAUGHS = "".join(f'<!ENTITY {chr(98 + step)} "{f"&{chr(97 + step)};" * 10}">' for step in range(9))
BOMBS = [
    f'<!DOCTYPE r [<!ENTITY a "haha">{LAUGHS}]><r>&j;</r>',
    f'<!DOCTYPE r [<!ENTITY a "{"a" * 100_000}">]><r>{"&a;" * 20_000}</r>',
    '<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]><r>&x;</r>',
    "<a>" * 100_000,
    "<a>" * 100_000 + "</a>" * 100_000,
    '<?xml version="1.0" encoding="utf-99"?><r/>',
    "",
]


def planet(arena: Arena) -> tuple[Path, Path, Path]:
    """An order of one scene: its mask, coefficients and metadata."""
    arena.scene.unlink()
    numbers = np.random.default_rng(0).integers(1, 9999, (4, SIZE, SIZE), dtype=np.uint16)
    write_scene(arena.scenes / f"{PLANET}_clip.tif", numbers)
    mask = write_scene(arena.scenes / f"{PLANET[:23]}_udm2_clip.tif", np.zeros((8, SIZE, SIZE), np.uint8))
    xml, metadata = arena.scenes / f"{PLANET}_metadata_clip.xml", arena.scenes / f"{PLANET[:20]}_metadata.json"
    xml.write_text(XML)
    metadata.write_text(json.dumps({"properties": {"acquired": "2019-01-01T05:12:00Z", "x": 1}, "id": "a"}))
    return mask, xml, metadata


def test_damaged_planet_sidecars(arena: Arena, seeds: Seeds) -> None:
    paths = planet(arena)
    whole = {path: path.read_bytes() for path in paths}
    metadata = paths[2]
    arena.restore({})
    assert arena.run_scenes().code == 0

    def case(chance: random.Random) -> None:
        arena.begin(chance)
        for path, content in whole.items():
            path.write_bytes(content)
        path = chance.choice(paths)
        path.write_bytes(damaged(whole[path], chance, chance.choice((None, 400))))
        if path == metadata and chance.random() < 0.5:
            path.write_text(json.dumps(damaged_json(json.loads(whole[path]), chance)))
        arena.run_scenes("--overwrite")

    check_all(case, seeds(200))


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "null", "[]", '{"properties":{"acquired":{}}}', ""])
def test_json_that_is_no_metadata(arena: Arena, text: str) -> None:
    planet(arena)[2].write_text(text)
    arena.restore(arena.good)
    arena.run_scenes("--overwrite")


@pytest.mark.parametrize(
    "profile",
    [{"count": 1}, {"dtype": "uint16"}, {"height": 5, "width": 5}, {"crs": "EPSG:32644"}, {"crs": None}],
)
def test_a_mask_of_another_kind(arena: Arena, profile: dict[str, Any]) -> None:
    mask, *_ = planet(arena)
    shape = (profile.pop("count", 8), profile.pop("height", SIZE), profile.pop("width", SIZE))
    write_scene(mask, np.zeros(shape, profile.pop("dtype", "uint8")), **profile)
    arena.restore(arena.good)
    assert arena.run_scenes("--overwrite").code == 2


def safe(arena: Arena) -> Path:
    """A Sentinel-2 product: its metadata."""
    arena.scene.unlink()
    folder = arena.scenes / "S2A_MSIL1C_20190101T051200_N0500_R105_T43RGM_20190101T080000.SAFE"
    values = np.random.default_rng(0).integers(1001, 9999, (1, SIZE, SIZE), dtype=np.uint16)
    images = folder / "GRANULE" / "L1C_T43RGM_A018475_20190101T051200" / "IMG_DATA"
    for band in ("B02", "B03", "B04"):
        write_scene(images / f"T43RGM_x_{band}.jp2", values, driver="JP2OpenJPEG")
    (folder / "MTD_MSIL1C.xml").write_text(SENTINEL)
    return folder / "MTD_MSIL1C.xml"


def test_damaged_sentinel_metadata(arena: Arena, seeds: Seeds) -> None:
    metadata = safe(arena)
    arena.restore({})
    assert arena.run_scenes().code == 0

    def case(chance: random.Random) -> None:
        arena.begin(chance)
        metadata.write_bytes(damaged(SENTINEL.encode(), chance))
        arena.run_scenes("--overwrite")

    check_all(case, seeds(60))


@pytest.mark.parametrize("text", BOMBS, ids=range(len(BOMBS)))
def test_xml_bombs(arena: Arena, text: str) -> None:
    arena.restore(arena.good)
    safe(arena).write_text(text)
    assert arena.run_scenes("--overwrite").code == (0 if text.endswith("</a>") else 2)
    shutil.rmtree(arena.scenes)
    write_scene(arena.scene, pixels())
    planet(arena)[1].write_text(text)
    arena.restore(arena.good)
    assert arena.run_scenes("--overwrite").code == 2


def test_damaged_city(arena: Arena, seeds: Seeds) -> None:
    text = arena.city.read_text()
    values = [
        *("[", "{", "&a [*a]", "*x", "!!python/object/apply:os.system [id]", "2019-01-01", ".nan", ".inf", "12:30"),
        *("[1, 2]", "{a: 1}", "null", "Asia/Nowhere", "../../etc/passwd", "/etc/passwd", '"\\ud800"', '"\\0"', "1:2:3"),
    ]

    def case(chance: random.Random) -> None:
        arena.begin(chance)
        arena.city.write_bytes(damaged(text.encode(), chance))
        if chance.random() < 0.5:
            lines = text.splitlines()
            at = chance.randrange(len(lines))
            key = chance.choice((lines[at].split(":")[0], lines[at].rpartition(":")[0]))
            lines[at] = f"{key}: {chance.choice(values + NASTY)}"
            arena.city.write_text("\n".join(lines))
        arena.run_scenes("--overwrite")

    check_all(case, seeds(150))


def test_a_damaged_archive_is_refused_and_replaced(arena: Arena, seeds: Seeds) -> None:
    """A run that adds a scene to it gives what a run from nothing gives, or says what is damaged."""
    write_scene(arena.scenes / "new_20190102T051200.tif", pixels(2))
    arena.restore({})
    both = arena.run_scenes().files
    arena.restore(arena.good)
    assert arena.run_scenes().files["images.npy"] == both["images.npy"]

    def case(chance: random.Random) -> None:
        files = dict(arena.good)
        name = chance.choice(("archive.json", "archive.json", "samples.parquet", "images.npy"))
        if chance.random() < 0.1:
            del files[name]
        elif name == "archive.json" and chance.random() < 0.6:
            files[name] = json.dumps(damaged_json(json.loads(files[name]), chance)).encode()
        else:
            files[name] = damaged(files[name], chance, chance.choice((None, 200)))
        arena.restore(files)
        outcome = arena.run_scenes()
        if outcome.code:
            outcome = arena.run_scenes("--overwrite")
            assert outcome.code == 0, outcome.error
        assert outcome.files["images.npy"] == both["images.npy"]
        assert outcome.files["samples.parquet"] == both["samples.parquet"]

    check_all(case, seeds(150))


@pytest.mark.real
@pytest.mark.skipif(not REAL.exists(), reason="needs the real data")
@pytest.mark.parametrize(
    ("name", "flags"),
    [
        ("naip_multidate/m_4709963_se_14_1_20150926.tif", ("--bands", "1,2,3")),
        ("landsat_multidate/1985.tif", ("--bands", "3,4,2", "--full-scale", "200")),
        ("landsat_multidate/cog.tif", ("--bands", "1,2,3", "--full-scale", "2000")),
        ("other_rasters/1056417_2017-03-08_RE3_3A_Visual_clip.tif", ()),
        ("other_rasters/delhi_s2_float64_tile.tif", ("--bands", "1,2,3", "--full-scale", "10000")),
        ("duplicated_dates/rgbn_20160101.tif", ("--bands", "1,2,3", "--full-scale", "255")),
    ],
)
def test_damaged_real_scenes(arena: Arena, name: str, flags: tuple[str, ...], seeds: Seeds) -> None:
    with rasterio.open(REAL / name) as source:
        west, south, east, north = transform_bounds(source.crs, "EPSG:4326", *source.bounds)
    arena.city.write_text(
        f"name: Delhi\nbounding_box: {{south: {south}, west: {west}, north: {north}, east: {east}}}\n"
        "time_zone: UTC\noverpass_local_time: '10:30'\n"
        f"stations: [{{name: A, latitude: {(south + north) / 2}, longitude: {(west + east) / 2}}}]\n"
    )
    scene = arena.scene.rename(arena.scenes / "a_20190101.tif")
    whole = (REAL / name).read_bytes()
    scene.write_bytes(whole)
    arena.restore({})
    assert arena.run_scenes(*flags).code == 0

    def case(chance: random.Random) -> None:
        arena.begin(chance)
        scene.write_bytes(damaged(whole, chance, chance.choice((None, 1000))))
        arena.run_scenes("--overwrite", *flags)

    check_all(case, seeds(25))
