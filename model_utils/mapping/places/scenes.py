"""The scenes of a map: read as those of the model's archive were, and refused where they are of another kind."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from rasterio.windows import Window

from model_utils.archive.commit import has_archive
from model_utils.archive.format import METADATA, ArchiveMetadata
from model_utils.cities import City
from model_utils.errors import InputError
from model_utils.estimators.city_model import CityModel
from model_utils.ingest.products.catalogue import Catalogue, find_scenes
from model_utils.ingest.products.settings import SceneSettings
from model_utils.ingest.scene_archive.previous import COMMAND
from model_utils.ingest.scenes.grid import TileGrid
from model_utils.ingest.scenes.header import open_raster
from model_utils.ingest.scenes.rasters import blaming, scale_on
from model_utils.ingest.scenes.scene import Scene
from model_utils.ingest.storage import file_hash
from model_utils.mapping.config import MapConfig
from model_utils.project import archive_folder

COARSEST = 2.0
"""Ground sample distances of the model: coarser pixels show blurred what it has seen sharp, and are refused."""
_ROWS = 512


def scenes_of_map(config: MapConfig, folder: Path, city: City, model: CityModel, grid: TileGrid) -> Catalogue:
    """Lists the scenes that a map is cut from.

    What the flags leave open is as in the city's archive, if that is of the model's bands, so that numbers mean the
    same. With `skip_broken`, every pixel is read once, so that a scene is whole or left out, whatever cells ask for it.

    Args:
        config: The flags.
        folder: Of the scenes.
        city: Gives the time of day to scenes of which the date alone is known.
        model: That is to see them.
        grid: The lattice of its tiles.

    Raises:
        InputError: A file is wrong, or the scenes are of other bands, another product, another meaning of numbers or
            coarser pixels than those of the model's archive.
    """
    archive = _archive(config, city, model)
    made: Mapping[str, Any] = archive.created_by if archive is not None else {}
    settings = SceneSettings(
        bands=config.bands or tuple(made.get("bands", model.bands)),
        product=config.product or made.get("product"),
        time_pattern=config.time_pattern or made.get("time_pattern"),
        full_scale=config.full_scale or made.get("full_scale"),
        skip_broken=config.skip_broken,
    )
    catalogue = find_scenes(folder, settings, city)
    if catalogue.bands != tuple(model.bands):
        raise InputError(
            f"--scenes {folder}: found the bands {', '.join(catalogue.bands)}, expected {', '.join(model.bands)}, "
            "which the model was fitted to: --bands names them"
        )
    product, expected = catalogue.scenes[0].product, made.get("product_found")
    if config.product is None and expected not in (None, product):
        raise InputError(
            f"--scenes {folder}: found {product} scenes, expected {expected}, which the city's archive was made from; "
            f"--product {product} takes them all the same"
        )
    if config.full_scale is None and made.get("scaling", catalogue.scaling) != catalogue.scaling:
        raise InputError(
            f"--scenes {folder}: found numbers that would become other bytes than in the city's archive ("
            f"{catalogue.scaling}; there: {made['scaling']}), expected the same kind of files; --full-scale decides"
        )
    seen = {item.get("sha256") for item in archive.sources} if archive is not None else set()
    for scene in catalogue.scenes:
        _refuse_coarser(scene, grid, seen)
    return _without_broken(catalogue) if config.skip_broken else catalogue


def _archive(config: MapConfig, city: City, model: CityModel) -> ArchiveMetadata | None:
    """What the city's archive says of the scenes that it was made from, if it was and is of the model's kind."""
    folder = archive_folder(config.root, city.name)
    found = ArchiveMetadata.read(folder / METADATA) if has_archive(folder) else None
    if found is None or found.created_by.get("command") != COMMAND or tuple(found.bands) != tuple(model.bands):
        return None
    return found


def _refuse_coarser(scene: Scene, grid: TileGrid, seen: set[str | None]) -> None:
    """Raises InputError where pixels are too coarse, unless the model's archive was made from this very file."""
    file = scene.bands[0].file
    with blaming(file), open_raster(file) as source:
        scale = scale_on(source, grid)
    size = 0.0 if scale is None else math.sqrt(scale[0] * scale[1]) * grid.gsd
    if size > COARSEST * grid.gsd and file_hash(file) not in seen:
        raise InputError(
            f"{file}: found pixels of {size:.4g} m, expected at most {COARSEST * grid.gsd:g} m: the model was fitted "
            f"to images of {grid.gsd:g} m"
        )


def _without_broken(catalogue: Catalogue) -> Catalogue:
    """Only the scenes whose pixels can all be read.

    Raises:
        InputError: None can.
    """
    whole, broken = [], []
    for scene in catalogue.scenes:
        try:
            _read_all(scene)
            whole.append(scene)
        except InputError as error:
            broken.append(error)
    if not whole:
        raise broken[0]
    said = tuple(f"warning: a scene was left out: {error}" for error in broken)
    return replace(catalogue, scenes=tuple(whole), notes=(*said, *catalogue.notes))


def _read_all(scene: Scene) -> None:
    for file in scene.rasters:
        with blaming(file), open_raster(file) as source:
            for top in range(0, source.height, _ROWS):
                source.read(window=Window(0, top, source.width, min(_ROWS, source.height - top)))
