"""One scene as every known provider would deliver it: the same reflectance and cloud in files of many layouts."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from scene_city import GSD, LEFT, SIZE, TOP, ZONE

ELEVATION = 35.0  # of the sun, degrees
DAY = datetime(2024, 1, 2, tzinfo=UTC)

_ROWS, _COLUMNS = np.mgrid[:SIZE, :SIZE] / SIZE
REFLECTANCE = {
    "red": 0.05 + 0.2 * _COLUMNS,
    "green": 0.05 + 0.2 * _ROWS,
    "blue": 0.05 + 0.1 * (_ROWS + _COLUMNS),
    "nir": 0.3 - 0.2 * _COLUMNS,
}
CLOUD = np.zeros((SIZE, SIZE), bool)
CLOUD[30:50, 22:30] = True  # the left half of the tile of the station Alpha


@dataclass(frozen=True)
class Delivered:
    """What has to be found in a delivery.

    Attributes:
        product: The product.
        time: When it was taken.
        surface: Whether it is surface reflectance.
        mask: Kind of its mask, '' for none.
        flags: What no file says.
    """

    product: str
    time: datetime
    surface: bool = False
    mask: str = ""
    flags: Mapping[str, Any] | None = None


def raster(path: Path, numbers: np.ndarray, **profile: Any) -> Path:
    """Writes bands x H x W, or H x W."""
    path.parent.mkdir(parents=True, exist_ok=True)
    numbers = numbers if numbers.ndim == 3 else numbers[None]
    descriptions = profile.pop("descriptions", None)
    scale = profile.pop("scale", None)
    jp2 = path.suffix == ".jp2"
    more = {"driver": "JP2OpenJPEG", "QUALITY": 100, "REVERSIBLE": "YES"} if jp2 else {"driver": "GTiff"}
    settings = {
        "count": len(numbers),
        "height": SIZE,
        "width": SIZE,
        "dtype": numbers.dtype,
        "crs": ZONE,
        "transform": rasterio.Affine(GSD, 0, LEFT, 0, -GSD, TOP),
        **more,
        **profile,
    }
    with rasterio.open(path, "w", **settings) as file:
        file.write(numbers)
        if descriptions:
            file.descriptions = descriptions
        if scale:
            file.scales = (scale,) * len(numbers)
    return path


def numbers_of(colour: str, gain: float, offset: float = 0.0, dtype: str = "uint16") -> np.ndarray:
    """The numbers that mean the reflectance."""
    return np.rint((REFLECTANCE[colour] - offset) / gain).astype(dtype)


def scl() -> np.ndarray:
    return np.where(CLOUD, 9, 4).astype(np.uint8)


def qa_pixel() -> np.ndarray:
    return np.where(CLOUD, 22280, 21824).astype(np.uint16)


def fmask() -> np.ndarray:
    return np.where(CLOUD, 0b10, 0b11000000).astype(np.uint8)  # cloud; high aerosol, which is what we look for


# Sentinel-2


def safe(level: str) -> Callable[[Path], Delivered]:
    def write(folder: Path) -> Delivered:
        name = f"S2A_MSI{level}_20240102T051221_N0510_R062_T43RGM_20240102T071012"
        granule = folder / f"{name}.SAFE" / "GRANULE" / f"{level}_T43RGM"
        for band, colour in (("B02", "blue"), ("B03", "green"), ("B04", "red"), ("B08", "nir")):
            file = f"T43RGM_{band}.jp2" if level == "L1C" else f"R10m/T43RGM_{band}_10m.jp2"
            raster(granule / "IMG_DATA" / file, numbers_of(colour, 1e-4, -0.1))
        if level == "L1C":
            codes = np.stack([CLOUD, np.zeros_like(CLOUD), np.zeros_like(CLOUD)]).astype(np.uint8)
            raster(granule / "QI_DATA" / "MSK_CLASSI_B00.jp2", codes)
        else:
            raster(granule / "IMG_DATA" / "R20m" / "T43RGM_SCL_20m.jp2", scl())
        raster(granule / "QI_DATA" / "T43RGM_PVI.jp2", scl())
        kind = "RADIO" if level == "L1C" else "BOA"
        offsets = "".join(f'<{kind}_ADD_OFFSET band_id="{at}">-1000</{kind}_ADD_OFFSET>' for at in range(13))
        (folder / f"{name}.SAFE" / f"MTD_MSI{level}.xml").write_text(
            "<Product><DATATAKE_SENSING_START>2024-01-02T05:12:21.024Z</DATATAKE_SENSING_START>"
            f"<QUANTIFICATION_VALUE>10000</QUANTIFICATION_VALUE>{offsets}</Product>"
        )
        time = DAY.replace(hour=5, minute=12, second=21, microsecond=24_000)
        return Delivered(f"sentinel2-{level.lower()}", time, level == "L2A", "classi" if level == "L1C" else "scl")

    return write


def stac(kind: str) -> Callable[[Path], Delivered]:
    """Items of Earth Search (the offset applied or not), the Planetary Computer and Copernicus (version 1.1)."""

    def write(folder: Path) -> Delivered:
        here = folder / "S2A_T43RGM_20240102T052226_L2A"
        applied = kind == "earth-search"
        properties: dict[str, Any] = {"datetime": "2024-01-02T05:22:26.000Z"}
        assets: dict[str, Any] = {}
        for band, colour in (("B02", "blue"), ("B03", "green"), ("B04", "red"), ("B08", "nir")):
            suffix = "jp2" if kind == "copernicus" else "tif"
            name = f"T43RGM_20240102T052226_{band}_10m.{suffix}" if kind != "earth-search" else f"{band}.tif"
            raster(here / name, numbers_of(colour, 1e-4, 0.0 if applied else -0.1))
            scale = {"nodata": 0, "data_type": "uint16", "scale": 1e-4, "offset": -0.1}
            if kind == "planetary-computer":
                address = f"https://sentinel2l2a01.blob.core.windows.net/sentinel2-l2/43/R/GM/2024/{name}?sig=x%2By"
                assets[band] = {"href": address, "eo:bands": [{"name": band, "common_name": colour}]}
            elif kind == "copernicus":
                bands = [{"name": band, "eo:common_name": colour, "raster:scale": 1e-4, "raster:offset": -0.1}]
                assets[f"{band}_10m"] = {"href": f"s3://eodata/x/{name}", "roles": ["data"], "bands": bands}
            else:
                eo = [{"name": band.lower() if kind == "collection-1" else colour, "common_name": colour}]
                assets[colour] = {"href": f"./{name}", "eo:bands": eo, "raster:bands": [scale]}
        raster(here / "TCI.tif", np.stack([scl()] * 3))
        eye = [{"name": colour, "common_name": colour} for colour in ("red", "green", "blue")]
        assets["visual"] = {"href": "./TCI.tif", "eo:bands": eye, "roles": ["visual"]}
        raster(here / "SCL.tif", scl())
        assets["SCL" if kind == "planetary-computer" else "SCL_20m" if kind == "copernicus" else "scl"] = {
            "href": "./SCL.tif"
        }
        assets["thumbnail"] = {"href": "https://x.org/preview.jpg"}
        if kind == "earth-search":
            properties |= {"earthsearch:boa_offset_applied": True, "s2:processing_baseline": "05.10"}
        elif kind == "planetary-computer":
            properties |= {"s2:processing_baseline": "05.10"}
        item = {
            "type": "Feature",
            "stac_version": "1.1.0" if kind == "copernicus" else "1.0.0",
            "id": here.name,
            "collection": "sentinel-2-c1-l2a" if kind == "collection-1" else "sentinel-2-l2a",
            "properties": properties,
            "geometry": None,
            "links": [],
            "assets": assets,
        }
        (here / f"{here.name}.json").write_text(json.dumps(item))
        return Delivered("sentinel2-l2a", DAY.replace(hour=5, minute=22, second=26), True, "scl")

    return write


def earth_engine_sentinel(folder: Path) -> Delivered:
    bands = np.stack([numbers_of(colour, 1e-4) for colour in ("nir", "red", "green", "blue")] + [scl()])
    raster(
        folder / "20240102T051221_20240102T052050_T43RGM.tif",
        bands.astype(np.uint16),
        descriptions=("B8", "B4", "B3", "B2", "SCL"),
    )
    time = DAY.replace(hour=5, minute=12, second=21)
    return Delivered("earth-engine-sentinel2-sr", time, True, "scl", {"full_scale": 4000.0})


def earth_engine_top_of_atmosphere(folder: Path) -> Delivered:
    """Floats of reflectance; cloud by bit 10 of a band that is not of whole numbers either."""
    bands = np.stack([REFLECTANCE[colour] for colour in ("red", "green", "blue")] + [1024.0 * CLOUD])
    raster(
        folder / "20210102T051221_20210102T052050_T43RGM.tif",
        bands.astype(np.float32),
        descriptions=("B4", "B3", "B2", "QA60"),
    )
    time = DAY.replace(year=2021, hour=5, minute=12, second=21)
    return Delivered("earth-engine-sentinel2", time, False, "own", {"full_scale": 0.4})


def earth_engine_landsat_toa(folder: Path) -> Delivered:
    bands = np.stack([REFLECTANCE[colour] for colour in ("red", "green", "blue")])
    raster(folder / "LC09_147040_20240102.tif", bands.astype(np.float32), descriptions=("B4", "B3", "B2"))
    return Delivered("earth-engine-landsat", DAY, flags={"full_scale": 0.4})


# Landsat


def landsat(level: int, metadata: str, sensor: str = "LC09") -> Callable[[Path], Delivered]:
    def write(folder: Path) -> Delivered:
        name = f"{sensor}_L{level}{'TP' if level == 1 else 'SP'}_147040_20240102_20240103_02_T1"
        here = folder / name
        first = 2 if sensor in ("LC08", "LC09") else 1
        gain, offset = (2e-5, -0.1) if level == 1 else (2.75e-5, -0.2)
        sine = math.sin(math.radians(ELEVATION)) if level == 1 else 1.0
        for at, colour in enumerate(("blue", "green", "red", "nir"), start=first):
            file = f"{name}_{'SR_' if level == 2 else ''}B{at}.TIF"
            raster(here / file, numbers_of(colour, gain / sine, offset / sine), nodata=0)
        raster(here / f"{name}_QA_PIXEL.TIF", qa_pixel(), nodata=1)
        raster(here / f"{name}_QA_RADSAT.TIF", qa_pixel())
        if metadata:
            text = mtl(level, range(first, first + 4), metadata)
            (here / f"{name}_MTL.{metadata}").write_text(text)
        if level == 2:
            surface_temperature = f"{name}_ST_B10.TIF"
            raster(here / surface_temperature, numbers_of("nir", 1e-4))
        timed = DAY.replace(hour=5, minute=2, second=11, microsecond=123_456)
        return Delivered(f"landsat-c2-l{level}", timed if metadata else DAY, level == 2, "qa_pixel")

    return write


def mtl(level: int, bands: range, form: str) -> str:
    """Landsat's metadata; that of level 2 has the scaling of level 1 beside its own, as the real one has."""
    rescaling = {}
    for band in bands:
        rescaling |= {f"REFLECTANCE_MULT_BAND_{band}": "2.0000E-05", f"REFLECTANCE_ADD_BAND_{band}": "-0.100000"}
    own = {}
    for band in bands:
        own |= {f"REFLECTANCE_MULT_BAND_{band}": "2.75e-05", f"REFLECTANCE_ADD_BAND_{band}": "-0.2"}
    groups = {
        "PRODUCT_CONTENTS": {"PROCESSING_LEVEL": "L1TP" if level == 1 else "L2SP"},
        "IMAGE_ATTRIBUTES": {
            "DATE_ACQUIRED": "2024-01-02",
            "SCENE_CENTER_TIME": "05:02:11.1234560Z",
            "SUN_ELEVATION": f"{ELEVATION}",
        },
        "LEVEL1_RADIOMETRIC_RESCALING": rescaling,
        **({"LEVEL2_SURFACE_REFLECTANCE_PARAMETERS": own} if level == 2 else {}),
    }
    if form == "json":
        return json.dumps({"LANDSAT_METADATA_FILE": groups})
    if form == "xml":
        inner = "".join(
            f"<{group}>{''.join(f'<{key}>{text}</{key}>' for key, text in texts.items())}</{group}>"
            for group, texts in groups.items()
        )
        return f'<?xml version="1.0" encoding="UTF-8"?>\n<LANDSAT_METADATA_FILE>{inner}</LANDSAT_METADATA_FILE>'
    quoted = {"DATE_ACQUIRED", "SUN_ELEVATION"}
    lines = ["GROUP = LANDSAT_METADATA_FILE"]
    for group, texts in groups.items():
        lines.append(f"  GROUP = {group}")
        for key, text in texts.items():
            plain = key in quoted or key.startswith("REFLECTANCE")
            lines.append(f"    {key} = {text}" if plain else f'    {key} = "{text}"')
        lines.append(f"  END_GROUP = {group}")
    return "\n".join([*lines, "END_GROUP = LANDSAT_METADATA_FILE", "END", ""])


def landsat_collection_1(folder: Path) -> Delivered:
    name = "LC08_L1TP_147040_20190104_20190130_01_T1"
    sine = math.sin(math.radians(ELEVATION))
    for at, colour in enumerate(("blue", "green", "red", "nir"), start=2):
        raster(folder / f"{name}_B{at}.TIF", numbers_of(colour, 2e-5 / sine, -0.1 / sine))
    raster(folder / f"{name}_BQA.TIF", np.where(CLOUD, 2800, 2720).astype(np.uint16))
    text = mtl(1, range(2, 6), "txt").replace("LEVEL1_RADIOMETRIC", "RADIOMETRIC").replace("2024-01-02", "2019-01-04")
    (folder / f"{name}_MTL.txt").write_text(text)
    time = datetime(2019, 1, 4, 5, 2, 11, 123_456, tzinfo=UTC)
    return Delivered("landsat-c1-l1", time, False, "own")


def landsat_with_item(folder: Path) -> Delivered:
    """Level 2 without its MTL, but with the STAC item that it was found by, which has the time of day."""
    found = landsat(2, "")(folder)
    (here,) = folder.iterdir()
    item = {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": "LC09_L2SP_147040_20240102_02_T1",
        "collection": "landsat-c2-l2",
        "properties": {"datetime": "2024-01-02T05:02:11.123456Z"},
        "assets": {"red": {"href": f"https://x.net/{here.name}_SR_B4.TIF?sig=x"}},
    }
    (here / "item.json").write_text(json.dumps(item))
    time = DAY.replace(hour=5, minute=2, second=11, microsecond=123_456)
    return Delivered(found.product, time, True, "qa_pixel")


def earth_engine_landsat(sensor: str, red: int) -> Callable[[Path], Delivered]:
    def write(folder: Path) -> Delivered:
        colours = ("nir", "red", "green", "blue")
        bands = np.stack([numbers_of(colour, 2.75e-5, -0.2) for colour in colours] + [qa_pixel()])
        names = tuple(f"SR_B{red + 1 - at}" for at in range(4))
        raster(folder / f"{sensor}_147040_20240102.tif", bands, descriptions=(*names, "QA_PIXEL"))
        return Delivered("earth-engine-landsat-sr", DAY, True, "qa_pixel")

    return write


def earth_engine_bands_sentinel(folder: Path) -> Delivered:
    """What a download of a single image is: a file a band."""
    name = "20210102T051221_20210102T052050_T43RGM"
    for band, colour in (("B8", "nir"), ("B4", "red"), ("B3", "green"), ("B2", "blue")):
        raster(folder / f"{name}.{band}.tif", numbers_of(colour, 1e-4))
    raster(folder / f"{name}.QA60.tif", (1024 * CLOUD).astype(np.uint16))
    raster(folder / f"{name}.MSK_CLDPRB.tif", scl())
    time = DAY.replace(year=2021, hour=5, minute=12, second=21)
    return Delivered("earth-engine-sentinel2", time, False, "own", {"full_scale": 4000.0})


def earth_engine_shards(folder: Path) -> Delivered:
    """A large export comes in parts; collections that were merged have a number before each name."""
    colours = ("red", "green", "blue")
    image = np.stack([numbers_of(colour, 1e-4) for colour in colours])
    for top, bottom in ((0, 76), (76, SIZE)):
        name = f"1_20240102T051221_20240102T052050_T43RGM-{top:010d}-0000000000.tif"
        place = rasterio.Affine(GSD, 0, LEFT, 0, -GSD, TOP - top * GSD)
        part = image[:, top:bottom]
        raster(folder / name, part, descriptions=("B4", "B3", "B2"), transform=place, height=bottom - top)
    time = DAY.replace(hour=5, minute=12, second=21)
    return Delivered("earth-engine-sentinel2", time, flags={"full_scale": 4000.0})


def copernicus_browser(folder: Path) -> Delivered:
    for band, colour in (("B02", "blue"), ("B03", "green"), ("B04", "red")):
        name = f"2024-01-02-00_00_2024-01-02-23_59_Sentinel-2_L2A_{band}_(Raw).tiff"
        raster(folder / name, REFLECTANCE[colour].astype(np.float32))
    return Delivered("copernicus-browser-l2a", DAY, True, flags={"full_scale": 0.4})


def open_eo(folder: Path) -> Delivered:
    colours = ("red", "green", "blue")
    image = np.stack([numbers_of(colour, 1e-4, dtype="int16") for colour in colours])
    raster(folder / "openEO_2024-01-02Z.tif", image, descriptions=("B04", "B03", "B02"))
    flags = {"bands": ("red=B04", "green=B03", "blue=B02"), "full_scale": 4000.0}
    return Delivered("geotiff", DAY, flags=flags)


def items_of_a_search(folder: Path) -> Delivered:
    """The answer of a search as one file, and the assets of each item in a folder that is called as it."""
    found = stac("earth-search")(folder)
    (path,) = folder.rglob("*.json")
    item = json.loads(path.read_text())
    path.unlink()
    elsewhere = {**item, "id": "not_downloaded"}
    features = {"type": "FeatureCollection", "features": [elsewhere, item, "x", None]}
    (folder / "items.geojson").write_text(json.dumps(features))
    return found


def earth_engine_bands_landsat(folder: Path) -> Delivered:
    for band, colour in (("SR_B4", "red"), ("SR_B3", "green"), ("SR_B2", "blue")):
        raster(folder / f"LC08_147040_20240102.{band}.tif", numbers_of(colour, 2.75e-5, -0.2))
    raster(folder / "LC08_147040_20240102.QA_PIXEL.tif", qa_pixel())
    raster(folder / "LC08_147040_20240102.ST_B10.tif", qa_pixel())
    return Delivered("earth-engine-landsat-sr", DAY, True, "qa_pixel")


def hls(half: str) -> Callable[[Path], Delivered]:
    def write(folder: Path) -> Delivered:
        name = f"HLS.{half}.T43RGM.2024002T051221.v2.0"
        nir = "B8A" if half == "S30" else "B05"
        for band, colour in (("B02", "blue"), ("B03", "green"), ("B04", "red"), (nir, "nir")):
            raster(folder / f"{name}.{band}.tif", numbers_of(colour, 1e-4, dtype="int16"), nodata=-9999, scale=1e-4)
        raster(folder / f"{name}.Fmask.tif", fmask(), nodata=255)
        time = DAY.replace(hour=5, minute=12, second=21)
        return Delivered("hls", time, True, "fmask")

    return write


# Planet, NAIP


def planet(asset: str) -> Callable[[Path], Delivered]:
    def write(folder: Path) -> Delivered:
        name = "20240102_051221_97_1063"
        colours = ("blue", "green", "red", "nir")
        if asset == "Visual":
            image = np.stack([np.rint(REFLECTANCE[colour] / 0.4 * 255) for colour in ("red", "green", "blue")])
            raster(folder / f"{name}_3B_Visual.tif", image.astype(np.uint8))
        else:
            gain = 1e-4 if asset == "AnalyticMS_SR" else 2e-5
            image = np.stack([numbers_of(colour, gain) for colour in colours])
            raster(folder / "PSScene" / f"{name}_3B_{asset}_clip.tif", image)
        udm2 = np.zeros((8, SIZE, SIZE), np.uint8)
        udm2[5] = CLOUD
        raster(folder / "PSScene" / f"{name}_3B_udm2_clip.tif", udm2)
        (folder / f"{name}_metadata.json").write_text(
            json.dumps({"properties": {"acquired": "2024-01-02T05:12:21.5Z"}})
        )
        if asset == "AnalyticMS":
            bands = "".join(
                f"<bandSpecificMetadata><bandNumber>{at}</bandNumber><reflectanceCoefficient>{2e-5}"
                "</reflectanceCoefficient></bandSpecificMetadata>"
                for at in (1, 2, 3, 4)
            )
            (folder / f"{name}_3B_AnalyticMS_metadata_clip.xml").write_text(f"<Earth>{bands}</Earth>")
        product = {"Visual": "visual", "AnalyticMS": "analytic", "AnalyticMS_SR": "analytic-sr"}[asset]
        time = DAY.replace(hour=5, minute=12, second=21, microsecond=500_000)
        return Delivered(f"planetscope-{product}", time, asset == "AnalyticMS_SR", "udm2")

    return write


def naip(folder: Path) -> Delivered:
    image = np.stack([np.rint(REFLECTANCE[colour] / 0.4 * 255) for colour in ("red", "green", "blue", "nir")])
    raster(folder / "m_2807701_ne_43_060_20240102.tif", image.astype(np.uint8), photometric="minisblack")
    return Delivered("naip", DAY)


# what no provider stands behind


def band_files(folder: Path) -> Delivered:
    for band, colour in (("B02", "blue"), ("B03", "green"), ("B04", "red")):
        raster(folder / "S2A_43RGM_20240102" / f"{band}.tif", numbers_of(colour, 1e-4))
    flags = {"bands": ("red=B04", "green=B03", "blue=B02"), "full_scale": 4000.0}
    return Delivered("band-files", DAY, flags=flags)


def geotiff(folder: Path) -> Delivered:
    colours = ("red", "green", "blue")
    image = np.stack([numbers_of(colour, 1e-4) for colour in colours])
    raster(folder / "town_20240102T051221Z.tif", image, descriptions=colours)
    return Delivered("geotiff", DAY.replace(hour=5, minute=12, second=21), flags={"full_scale": 4000.0})


DELIVERIES: dict[str, Callable[[Path], Delivered]] = {
    "sentinel2 L1C SAFE": safe("L1C"),
    "sentinel2 L2A SAFE": safe("L2A"),
    "stac earth-search": stac("earth-search"),
    "stac earth-search collection-1": stac("collection-1"),
    "stac planetary-computer": stac("planetary-computer"),
    "stac copernicus": stac("copernicus"),
    "earth engine sentinel2": earth_engine_sentinel,
    "earth engine sentinel2 L1C": earth_engine_top_of_atmosphere,
    "earth engine landsat L1": earth_engine_landsat_toa,
    "earth engine sentinel2 bands": earth_engine_bands_sentinel,
    "earth engine in parts": earth_engine_shards,
    "copernicus browser": copernicus_browser,
    "open eo": open_eo,
    "stac search": items_of_a_search,
    "earth engine landsat bands": earth_engine_bands_landsat,
    "landsat L1 json": landsat(1, "json"),
    "landsat L1 txt": landsat(1, "txt"),
    "landsat L1 xml, landsat 5": landsat(1, "xml", "LT05"),
    "landsat L2 json": landsat(2, "json"),
    "landsat L2 txt, landsat 7": landsat(2, "txt", "LE07"),
    "landsat L2 xml, landsat 8": landsat(2, "xml", "LC08"),
    "landsat collection 1": landsat_collection_1,
    "landsat L2 alone": landsat(2, ""),
    "landsat L2 with item": landsat_with_item,
    "earth engine landsat 9": earth_engine_landsat("LC09", 4),
    "earth engine landsat 5": earth_engine_landsat("LT05", 3),
    "hls S30": hls("S30"),
    "hls L30": hls("L30"),
    "planet visual": planet("Visual"),
    "planet analytic": planet("AnalyticMS"),
    "planet surface": planet("AnalyticMS_SR"),
    "naip": naip,
    "band files": band_files,
    "geotiff": geotiff,
}
"""Writes a scene into a folder and says what has to be found, by a name."""
