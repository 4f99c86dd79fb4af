"""A scene's own bytes say what is read: nothing beside it, nothing it points to, nothing over the network."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rasterio
from scene_finding import CITY

from model_utils.errors import InputError
from model_utils.ingest.products.catalogue import find_scenes
from model_utils.ingest.products.settings import SceneSettings
from model_utils.ingest.scenes.cutting import cut_scene
from model_utils.ingest.scenes.grid import TileGrid
from model_utils.ingest.scenes.rasters import footprint
from model_utils.ingest.scenes.scene import Band, Scene

GRID = TileGrid("EPSG:32643", 10, 16)
SITES = pd.DataFrame({"east_m": [700_080.0 + 160 * column for column in range(3)], "north_m": 3_099_920.0})
OVERVIEWS = "OVERVIEWS"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """Listens and never answers: whoever asks is seen, and gives up after a second."""
    monkeypatch.setenv("GDAL_HTTP_TIMEOUT", "1")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        yield listening


def asked(server: socket.socket) -> bool:
    try:
        server.accept()[0].close()
    except BlockingIOError:
        return False
    return True


def address(server: socket.socket) -> str:
    return f"http://127.0.0.1:{server.getsockname()[1]}/x.tif"


def write(path: Path, count: int = 3, **profile: object) -> Path:
    place = rasterio.Affine(10, 0, 7e5, 0, -10, 3.1e6)
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        count=count,
        dtype="uint8",
        width=48,
        height=48,
        crs=GRID.crs,
        transform=place,
        **profile,
    ) as raster:
        raster.write(np.full((count, 48, 48), 100, np.uint8))
    return path


def pointing_to(file: str) -> str:
    """A mask that is another file."""
    flags = "".join(f'<MDI key="INTERNAL_MASK_FLAGS_{band}">2</MDI>' for band in (1, 2, 3))
    return (
        f'<VRTDataset rasterXSize="48" rasterYSize="48"><Metadata>{flags}</Metadata>'
        '<VRTRasterBand dataType="Byte" band="1"><SimpleSource>'
        f"<SourceFilename>{file}</SourceFilename></SimpleSource></VRTRasterBand></VRTDataset>"
    )


def valid_fractions(path: Path) -> list[float]:
    """By the whole way of a scene: header, footprint, tiles."""
    (scene,) = find_scenes(path.parent, SceneSettings(), CITY).scenes
    assert footprint(scene)
    return np.concatenate([cut.valid_fraction for cut in cut_scene(scene, SITES, GRID, 0.0, 1.0)]).tolist()


def test_a_mask_beside_a_scene_has_no_influence(tmp_path: Path) -> None:
    path = write(tmp_path / "scenes_20190104.tif")
    (tmp_path / "elsewhere").mkdir()
    hidden = write(tmp_path / "elsewhere" / "hidden.bin", count=1)
    with rasterio.open(hidden, "r+") as raster:
        raster.write(np.zeros((1, 48, 48), np.uint8))
    path.with_name(f"{path.name}.msk").write_text(pointing_to(str(hidden)))
    with rasterio.open(path) as raster:
        assert not raster.dataset_mask().any()  # left to itself, GDAL hides the whole scene
    assert valid_fractions(path) == [1.0] * 3
    notes = find_scenes(tmp_path, SceneSettings(), CITY).notes
    assert any(note.startswith("warning: 1 files such as scenes_20190104.tif.msk are not read") for note in notes)


@pytest.mark.parametrize("suffix", ["msk", "ovr", "aux.xml"])
def test_nothing_is_fetched_for_a_file_beside_a_scene(tmp_path: Path, server: socket.socket, suffix: str) -> None:
    path = write(tmp_path / "scene_20190104.tif")
    pam = (
        '<PAMDataset><Metadata domain="OVERVIEWS"><MDI key="OVERVIEW_FILE">'
        f"/vsicurl/{address(server)}</MDI></Metadata></PAMDataset>"
    )
    vrt = pointing_to(f"/vsicurl/{address(server)}")
    path.with_name(f"{path.name}.{suffix}").write_text(pam if suffix == "aux.xml" else vrt)
    assert valid_fractions(path) == [1.0] * 3
    assert not asked(server)
    try:  # left to itself, GDAL asks
        with rasterio.open(path) as raster:
            raster.overviews(1)
            raster.dataset_mask()
    except rasterio.errors.RasterioIOError:
        pass
    assert asked(server)


@pytest.mark.parametrize("prefix", ["", "/vsicurl/", "/vsicurl_streaming/"])
def test_overviews_elsewhere_are_refused_and_not_fetched(tmp_path: Path, server: socket.socket, prefix: str) -> None:
    path = write(tmp_path / "scene_20190104.tif")
    with rasterio.open(path, "r+") as raster:
        raster.update_tags(ns=OVERVIEWS, OVERVIEW_FILE=prefix + address(server))
    with pytest.raises(InputError, match=r"scene_20190104\.tif: its metadata name '.*x\.tif' for its overviews"):
        valid_fractions(path)
    bands = tuple(Band(path, index) for index in (1, 2, 3))
    moment = datetime(2019, 1, 4, tzinfo=UTC)
    scene = Scene("scene", "product", bands, moment, "name", None, 255.0, surface_reflectance=False)
    for read in (footprint, lambda scene: list(cut_scene(scene, SITES, GRID, 0.0, 1.0))):
        with pytest.raises(InputError, match="overviews"):
            read(scene)
    assert not asked(server)


def test_masks_and_overviews_inside_a_scene_are_read(tmp_path: Path) -> None:
    path = write(tmp_path / "scene_20190104.tif", tiled=True, blockxsize=16, blockysize=16)
    half = np.full((48, 48), 255, np.uint8)
    half[:, :24] = 0
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "r+") as raster:
        raster.write_mask(half)
        raster.build_overviews([2, 4])
    assert not list(tmp_path.glob("*.tif.*"))
    assert valid_fractions(path) == [0.5, 1.0]  # the first tile is empty and left out
