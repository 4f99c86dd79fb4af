"""PlanetScope orders, Sentinel-2 products and NAIP tiles, made small, are read as their providers mean them."""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from scene_finding import find, refusal

from model_utils.ingest.products.catalogue import Catalogue
from model_utils.ingest.scenes.scene import Scene

REAL = Path(__file__).resolve().parents[2] / "shared" / "real"
ID = "20190104_051230_97_1063"
OTHER = "20190105_051300_1044"
L1C = "S2A_MSIL1C_20190104T053221_N0207_R105_T43RGM_20190104T073012.SAFE"
L2A = "S2B_MSIL2A_20220309T052649_N0400_R105_T43RGM_20220309T081012.SAFE"


def write(path: Path, count: int = 1, dtype: str = "uint16", size: int = 16, **more: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    driver = {".tif": "GTiff", ".jp2": "JP2OpenJPEG"}[path.suffix]
    transform = rasterio.Affine(160 / size, 0, 7e5, 0, -160 / size, 3.1e6)
    profile = {"driver": driver, "crs": "EPSG:32643", "transform": transform, "width": size, "height": size}
    with rasterio.open(path, "w", count=count, dtype=dtype, **{**profile, **more}) as dataset:
        dataset.write(np.ones((count, size, size), dtype))
    return path


def mask_of(scene: Scene) -> tuple[str, Path]:
    assert scene.mask is not None
    return scene.mask.layout.name, scene.mask.file


def indices(catalogue: Catalogue) -> list[int]:
    return [band.index for band in catalogue.scenes[0].bands]


def write_coefficients(path: Path, coefficients: list[object]) -> Path:
    bands = "".join(
        f"<ps:bandSpecificMetadata><ps:bandNumber>{number}</ps:bandNumber><ps:radiometricScaleFactor>0.01"
        f"</ps:radiometricScaleFactor><ps:reflectanceCoefficient>{value}</ps:reflectanceCoefficient>"
        "</ps:bandSpecificMetadata>"
        for number, value in enumerate(coefficients, 1)
    )
    path.write_text(f'<ps:Earth xmlns:ps="http://schemas.planet.com/ps/v1">{bands}</ps:Earth>')
    return path


@pytest.mark.parametrize(
    ("name", "count", "dtype", "product", "red_to_nir"),
    [
        ("Visual", 3, "uint8", "planetscope-visual", [1, 2, 3]),
        ("Visual_clip", 4, "uint8", "planetscope-visual", [1, 2, 3]),
        ("AnalyticMS_SR", 4, "uint16", "planetscope-analytic-sr", [3, 2, 1, 4]),
        ("AnalyticMS_SR_harmonized_clip", 4, "uint16", "planetscope-analytic-sr", [3, 2, 1, 4]),
        ("AnalyticMS_SR_8b_harmonized_clip", 8, "uint16", "planetscope-analytic-sr", [6, 4, 2, 8]),
        ("AnalyticMS", 4, "uint16", "planetscope-analytic", [3, 2, 1, 4]),
        ("AnalyticMS_8b_clip", 8, "uint16", "planetscope-analytic", [6, 4, 2, 8]),
        ("Analytic", 3, "uint16", "planetscope-analytic", [1, 2, 3]),
    ],
)
def test_planetscope_band_orders(
    tmp_path: Path, name: str, count: int, dtype: str, product: str, red_to_nir: list[int]
) -> None:
    path = write(tmp_path / f"{ID}_3B_{name}.tif", count, dtype)
    bands = ("red", "green", "blue", "nir")[: len(red_to_nir)]
    full_scale = 9000.0 if product == "planetscope-analytic" else None
    catalogue = find(tmp_path, bands=bands, full_scale=full_scale)
    scene = catalogue.scenes[0]
    assert (scene.product, scene.scene_id, scene.mask) == (product, ID, None)
    assert indices(catalogue) == red_to_nir
    assert scene.time_utc == datetime(2019, 1, 4, 5, 12, 30, tzinfo=UTC)
    assert scene.time_source == "name"
    assert catalogue.notes[-1] == "1 of 1 scenes came without a quality mask"
    assert not any("zone" in note for note in catalogue.notes)  # Planet's ids are in UTC
    surface = product == "planetscope-analytic-sr"
    assert scene.surface_reflectance == surface
    assert any("surface reflectance" in note for note in catalogue.notes) == surface
    if surface:
        assert (scene.bands[0].gain, scene.bands[0].offset, scene.full_scale) == (1e-4, 0.0, 0.4)
    if product == "planetscope-visual":
        assert (scene.bands[0].gain, scene.full_scale) == (1, 255)
    write(path, 2, dtype)
    assert f"found 2 bands of {dtype}" in refusal(tmp_path)
    write(path, count, "int16")
    assert "int16" in refusal(tmp_path)


def test_radiance_becomes_reflectance_by_the_coefficients_of_its_own_xml(tmp_path: Path) -> None:
    write(tmp_path / "files" / f"{ID}_3B_AnalyticMS_clip.tif", 4)
    message = refusal(tmp_path)
    assert f"{ID}_3B_AnalyticMS_metadata.xml" in message
    assert "--full-scale" in message
    numbers = find(tmp_path, full_scale=9000.0)
    assert "the file's number" in numbers.scaling
    assert numbers.scenes[0].bands[0].gain == 1
    write_coefficients(tmp_path / f"{ID}_3B_AnalyticMS_8b_metadata.xml", [9e-5] * 8)
    write_coefficients(tmp_path / f"{OTHER}_3B_AnalyticMS_metadata.xml", [8e-5] * 4)
    assert "--full-scale" in refusal(tmp_path)
    xml = write_coefficients(tmp_path / f"{ID}_3B_AnalyticMS_metadata_clip.xml", [2.1e-5, 2.2e-5, 2.3e-5, 3.4e-5])
    scene = find(tmp_path).scenes[0]
    assert [(band.index, band.gain) for band in scene.bands] == [(3, 2.3e-5), (2, 2.2e-5), (1, 2.1e-5)]
    assert (scene.full_scale, scene.surface_reflectance, scene.sidecars) == (0.4, False, (xml,))
    assert find(tmp_path, full_scale=0.6).scenes[0].full_scale == 0.6
    write(tmp_path / f"{OTHER}_3B_AnalyticMS_harmonized.tif", 4)
    assert any("1 of 2 scenes are harmonized" in note for note in find(tmp_path).notes)
    (tmp_path / f"{OTHER}_3B_AnalyticMS_metadata.xml").unlink()
    assert f"no {OTHER}_3B_AnalyticMS_metadata.xml" in refusal(tmp_path, full_scale=0.4)
    for wrong in ([2e-5] * 3, [2e-5, "x", 2e-5, 2e-5], [2e-5, -1, 2e-5, 2e-5], [2e-5, "nan", 2e-5, 2e-5]):
        write_coefficients(xml, wrong)
        assert "reflectanceCoefficient of band" in refusal(tmp_path)
    for text in ("", "<a>", "\x00\x01", '<?xml version="1.0" encoding="no-such"?><a/>'):
        xml.write_text(text)
        assert f"{xml.name}: not readable as XML" in refusal(tmp_path)


def test_files_of_an_order_are_matched_by_id_across_folders(tmp_path: Path) -> None:
    write(tmp_path / "files" / f"{ID}_3B_Visual_clip.tif", 4, "uint8")
    write(tmp_path / "PSScene" / f"{OTHER}_3B_Visual.tif", 3, "uint8")
    write(tmp_path / "masks" / f"{ID}_3B_udm2.tif", 8, "uint8")
    best = write(tmp_path / "masks" / f"{ID}_3B_udm2_clip.tif", 8, "uint8")
    old = write(tmp_path / "masks" / f"{OTHER}_3B_AnalyticMS_DN_udm.tif", 1, "uint8")
    write(tmp_path / "masks" / "20190109_051300_1044_3B_udm2.tif", 8, "uint8")
    feature = tmp_path / "json" / f"{ID}_metadata.json"
    item = tmp_path / "json" / f"{OTHER}.json"
    feature.parent.mkdir()
    feature.write_text(json.dumps({"type": "Feature", "properties": {"acquired": "2019-01-04T05:12:30.975432Z"}}))
    item.write_text(json.dumps({"stac_version": "1.0.0", "properties": {"datetime": "2019-01-05T05:13:00.25Z"}}))
    catalogue = find(tmp_path)
    first, second = catalogue.scenes
    assert (mask_of(first), first.sidecars) == (("udm2", best), (feature,))
    assert (mask_of(second), second.sidecars) == (("udm", old), (item,))
    assert first.time_utc == datetime(2019, 1, 4, 5, 12, 30, 975432, tzinfo=UTC)
    assert second.time_utc == datetime(2019, 1, 5, 5, 13, 0, 250_000, tzinfo=UTC)
    assert first.time_source == second.time_source == "metadata"
    assert catalogue.notes == (
        "2 quality masks are not used: they belong to no scene that was taken, or a second time",
    )
    write(best, 3, "uint8")
    assert f"{best.name}: found 3 bands of uint8, expected 8" in refusal(tmp_path)


def test_masks_alone_are_no_scenes(tmp_path: Path) -> None:
    write(tmp_path / f"{ID}_3B_udm2.tif", 8, "uint8")
    assert "quality masks only" in refusal(tmp_path)


def test_one_product_is_taken_and_several_are_listed(tmp_path: Path) -> None:
    for scene in (ID, OTHER):
        write(tmp_path / f"{scene}_3B_Visual.tif", 3, "uint8")
    write(tmp_path / f"{ID}_3B_AnalyticMS_SR.tif", 4)
    message = refusal(tmp_path)
    assert "planetscope-analytic-sr (1), planetscope-visual (2)" in message
    assert "--product" in message
    assert [scene.scene_id for scene in find(tmp_path, product="planetscope-visual").scenes] == [ID, OTHER]
    message = refusal(tmp_path, product="sentinel2-l1c")
    assert "--product: found 'sentinel2-l1c'" in message
    assert "planetscope-visual (2)" in message
    write(tmp_path / f"{ID}_3B_Visual_clip.tif", 4, "uint8")
    message = refusal(tmp_path, product="planetscope-visual")
    assert f"scene {ID} is there already" in message


def test_descriptions_that_contradict_the_product_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / f"{ID}_3B_AnalyticMS_SR.tif", 4)
    with rasterio.open(path, "r+") as dataset:
        dataset.descriptions = ("red", "green", "blue", "nir")
    assert "another band as 'red'" in refusal(tmp_path)
    assert indices(find(tmp_path, bands=("red=3", "green", "blue=1"))) == [3, 2, 1]


def write_safe(folder: Path, name: str, metadata: str | None) -> Path:
    safe = folder / name
    level = "L1C" if "MSIL1C" in name else "L2A"
    granule = safe / "GRANULE" / f"{level}_T43RGM_A018475_20190104T053221"
    for band in ("B02", "B03", "B04", "B08"):
        file = f"T43RGM_x_{band}.jp2" if level == "L1C" else f"R10m/T43RGM_x_{band}_10m.jp2"
        write(granule / "IMG_DATA" / file, size=32)
    if level == "L1C":
        write(granule / "QI_DATA" / "MSK_CLASSI_B00.jp2", 3, "uint8", size=16)
    else:
        write(granule / "IMG_DATA" / "R20m" / "T43RGM_x_SCL_20m.jp2", 1, "uint8", size=16)
    write(granule / "QI_DATA" / "T43RGM_PVI.jp2", 3, "uint8", size=16)  # a preview, which is no scene
    if metadata is not None:
        (safe / f"MTD_MSI{level}.xml").write_text(metadata)
    return safe


def sentinel_metadata(level: str, offset: int | None, quantification: int = 10000) -> str:
    kind = "RADIO" if level == "L1C" else "BOA"
    offsets = "".join(
        f'<{kind}_ADD_OFFSET band_id="{band}">{offset - band}</{kind}_ADD_OFFSET>' for band in range(13) if offset
    )
    prefix = "" if level == "L1C" else "BOA_"
    text = (
        '<n1:Product xmlns:n1="https://psd-14.sentinel2.eo.esa.int/PSD/x.xsd"><n1:General_Info><Product_Info>'
        "<PRODUCT_START_TIME>2019-01-04T05:32:29.000Z</PRODUCT_START_TIME><Datatake>"
        "<DATATAKE_SENSING_START>2019-01-04T05:32:21.024Z</DATATAKE_SENSING_START></Datatake></Product_Info>"
        f"<{prefix}QUANTIFICATION_VALUE>{quantification}</{prefix}QUANTIFICATION_VALUE>{offsets}"
        "</n1:General_Info></n1:Product>"
    )
    return text if level == "L1C" else text.replace("2019-01-04", "2022-03-09")


@pytest.mark.parametrize(
    ("name", "metadata", "red_offset"),
    [
        (L1C, sentinel_metadata("L1C", None), 0.0),
        (L1C, None, 0.0),
        (L2A, None, -0.1),
        (L2A, sentinel_metadata("L2A", -1000), -0.1003),  # band_id 3 is B04: the fake offsets differ by band
        (L1C.replace("N0207", "N0500"), sentinel_metadata("L1C", -1000), -0.1003),
        (L2A.replace("N0400", "N9999"), sentinel_metadata("L2A", None), 0.0),
        (L2A.replace("N0400", "N0214"), None, 0.0),
    ],
)
def test_sentinel_reflectance_time_and_mask(tmp_path: Path, name: str, metadata: str | None, red_offset: float) -> None:
    safe = write_safe(tmp_path, name, metadata)
    catalogue = find(tmp_path)
    (scene,) = catalogue.scenes
    level = "l2a" if "MSIL2A" in name else "l1c"
    assert (scene.product, scene.scene_id) == (f"sentinel2-{level}", name.removesuffix(".SAFE"))
    assert [band.file.name.removesuffix("_10m.jp2").removesuffix(".jp2")[-3:] for band in scene.bands] == [
        "B04",
        "B03",
        "B02",
    ]
    assert {band.gain for band in scene.bands} == {1e-4}
    assert scene.bands[0].offset == pytest.approx(red_offset)
    assert scene.surface_reflectance == (level == "l2a")
    kind, file = mask_of(scene)
    assert kind == ("scl" if level == "l2a" else "classi")
    assert file.is_file()
    if metadata:
        day = datetime(2019, 1, 4, tzinfo=UTC) if level == "l1c" else datetime(2022, 3, 9, tzinfo=UTC)
        assert scene.time_utc == day.replace(hour=5, minute=32, second=21, microsecond=24_000)
        assert scene.sidecars == (safe / f"MTD_MSI{level.upper()}.xml",)
    else:
        assert scene.time_utc.strftime("%Y%m%dT%H%M%S") == name.split("_")[2]
    assert scene.full_scale == 0.4
    assert find(safe).scenes == catalogue.scenes  # the product itself may be the folder


def test_sentinel_bands_by_their_own_names_but_not_by_number(tmp_path: Path) -> None:
    write_safe(tmp_path, L1C, None)
    scene = find(tmp_path, bands=("nir=B8", "B04")).scenes[0]
    assert [band.file.stem[-3:] for band in scene.bands] == ["B08", "B04"]
    assert find(tmp_path, bands=("nir=B8", "B04")).bands == ("nir", "b04")
    message = refusal(tmp_path, bands=("4", "3", "2"))
    assert "no band number 4" in message
    assert "(red)" in message


def test_damaged_sentinel_products_are_refused(tmp_path: Path) -> None:
    safe = write_safe(tmp_path, L2A.replace("N0400", "N9999"), None)
    assert "processing baseline" in refusal(tmp_path)
    xml = safe / "MTD_MSIL2A.xml"
    for text, expected in {
        "<a": "not readable as XML",
        sentinel_metadata("L2A", None, 0): "quantification",
        sentinel_metadata("L2A", -1000).replace('band_id="3">-1003', 'band_id="3">x'): "offset of B04",
        sentinel_metadata("L2A", None).replace("2022-03-09T05:32:21.024Z", "soon"): "DATATAKE_SENSING_START is 'soon'",
    }.items():
        xml.write_text(text)
        assert expected in refusal(tmp_path)
    xml.write_text(sentinel_metadata("L2A", None))
    (red,) = safe.glob("GRANULE/*/IMG_DATA/R10m/*_B04_10m.jp2")
    whole = red.read_bytes()
    red.write_bytes(whole[:60])
    assert f"{red}: not readable as an image" in refusal(tmp_path)
    red.unlink()
    write(red, size=16)
    assert "one grid" in refusal(tmp_path)
    red.unlink()
    assert "'red'" in refusal(tmp_path)
    red.write_bytes(whole)
    granule = red.parents[2]
    second = shutil.copytree(granule, granule.with_name("second"))
    assert len(find(tmp_path).scenes) == 1  # the same bytes a second time, as a package beside what came out of it
    write(next(second.rglob("*_B04_10m.jp2")), size=8)
    assert "is there already" in refusal(tmp_path)
    shutil.rmtree(safe)
    (tmp_path / "S1A_IW_GRDH_1SDV_20190104.SAFE").mkdir()
    assert "expected a Sentinel-2 product" in refusal(tmp_path)


def test_what_libgeotiff_writes_of_a_damaged_jp2_is_not_printed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (red,) = write_safe(tmp_path, L1C, None).glob("GRANULE/*/IMG_DATA/*_B04.jp2")
    content = red.read_bytes()
    names = b"\xb1\x87\x02\x00"  # the tag of the projection's names, and its type
    assert content.count(names) == 1
    red.write_bytes(content.replace(names, b"\xb2\x87\x02\x00"))
    assert "B04.jp2: has no coordinate reference system" in refusal(tmp_path)
    assert capfd.readouterr() == ("", "")


def test_naip_is_known_by_name_and_flown_on_the_first_date(tmp_path: Path) -> None:
    path = write(tmp_path / "m_4709963_se_14_060_20180716_20181115.tif", 4, "uint8", photometric="minisblack")
    catalogue = find(tmp_path, bands=("nir", "red", "green", "blue"))
    assert indices(catalogue) == [4, 1, 2, 3]
    assert catalogue.scenes[0].product == "naip"
    assert catalogue.scenes[0].time_utc == datetime(2018, 7, 16, 5, 0, tzinfo=UTC)
    write(path, 4, "uint16")
    assert "naip name" in refusal(tmp_path)


@pytest.mark.real
@pytest.mark.skipif(not REAL.is_dir(), reason="needs the real data folder")
def test_real_files(tmp_path: Path) -> None:
    naip = find(REAL / "naip_multidate")
    assert len(naip.scenes) == 10
    assert [f"{scene.time_utc:%Y%m%d}" for scene in naip.scenes] == [scene.scene_id[-8:] for scene in naip.scenes]
    assert indices(naip) == [1, 2, 3]
    assert len(find(REAL / "duplicated_dates").scenes) == 3
    landsat = refusal(REAL / "landsat_multidate")
    assert "1 (gray), 2 (undefined), 3 (undefined), 4 (undefined)" in landsat
    assert "--bands" in landsat
    assert "PLANET_SCOPE_3D.nc" in refusal(REAL / "other_rasters")
    rapideye = tmp_path / "rapideye"
    rapideye.mkdir()
    shutil.copy(REAL / "other_rasters" / "1056417_2017-03-08_RE3_3A_Visual_clip.tif", rapideye)
    catalogue = find(rapideye)
    assert catalogue.scenes[0].time_utc == datetime(2017, 3, 8, 5, 0, tzinfo=UTC)
    assert indices(catalogue) == [1, 2, 3]
    sentinel = tmp_path / "sentinel"
    sentinel.mkdir()
    shutil.copy(REAL / "other_rasters" / "delhi_s2_float64_tile.tif", sentinel / "delhi_s2_20210104.tif")
    bands = ("red=B4", "green=B3", "blue=B2")
    assert "float64 numbers, expected --full-scale" in refusal(sentinel, bands=bands)
    assert "round(255 x value / 4000)" in find(sentinel, bands=bands, full_scale=4000.0).scaling
