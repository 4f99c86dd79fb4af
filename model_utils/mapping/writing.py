"""All that a map is written as: files for other software, figures, and the page."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from model_utils.archive.format import METADATA, ArchiveMetadata, simulated_caveat
from model_utils.configuration import save_config
from model_utils.errors import InputError
from model_utils.evaluation.table import marks_explained, table_rows
from model_utils.figures.city_map import draw_city_map
from model_utils.figures.saving import save_figure
from model_utils.ingest.scenes.scene import Scene
from model_utils.mapping.air_quality_index import edition_of
from model_utils.mapping.files.geotiff import time_label, write_geotiffs
from model_utils.mapping.files.stac import stac_item, write_item
from model_utils.mapping.job import MapJob
from model_utils.mapping.layers import REASON
from model_utils.mapping.places.sources import SceneTiles
from model_utils.mapping.report.contents import MOST_VALUES, Scale
from model_utils.mapping.report.ground_picture import ground_picture
from model_utils.mapping.report.page import write_report
from model_utils.mapping.stations import station_readings
from model_utils.project import archive_folder

LAYERS_FOLDER = "layers"
NETCDF, PAGE, ITEM = "map.nc", "report.html", "item.json"
MOST_FIGURES = 12
MOST_SOURCES = 4  # that the page names


def write_map(dataset: xr.Dataset, job: MapJob, folder: Path) -> None:
    """Writes a map in all its other formats beside its NetCDF.

    Args:
        dataset: The map, as it lies in the file: one time of one layer is read at once.
        job: What it was made of.
        folder: Holds map.nc, and gets layers/*.tif, figures/, report.html, item.json and config.yaml.
    """
    files = write_geotiffs(dataset, folder / LAYERS_FOLDER)
    hrefs = {name: [f"./{LAYERS_FOLDER}/{path.name}" for path in paths] for name, paths in files.items()}
    stations = station_readings(job.folder.parent, job.times, job.cells.grid.crs)
    figures = _figures(dataset, stations, folder / "figures")
    others = {"all layers": f"./{NETCDF}"} | {f"figure {path.name}": f"./figures/{path.name}" for path in figures}
    if dataset["pm25"].size <= MOST_VALUES:
        _page(dataset, job, stations, hrefs, folder / PAGE)
        others["page"] = f"./{PAGE}"
    write_item(stac_item(dataset, hrefs, others), folder / ITEM)
    save_config(folder / "config.yaml", job.config)


def _figures(dataset: xr.Dataset, stations: pd.DataFrame | None, folder: Path) -> list[Path]:
    """Draws the times that have any value, at most `MOST_FIGURES`, evenly chosen."""
    known = np.flatnonzero([np.isfinite(level.to_numpy()).any() for level in dataset["pm25"]])
    chosen = known[np.unique(np.linspace(0, len(known) - 1, min(len(known), MOST_FIGURES)).round().astype(int))]
    paths = []
    for number in chosen.tolist():
        shown = None if stations is None else stations[stations["time"] == number]
        figure = draw_city_map(dataset, REASON, shown, number, simulated=str(dataset.attrs["simulated"]))
        paths += save_figure(figure, folder, f"map_{time_label(dataset, number)}")
    return paths


def _page(
    dataset: xr.Dataset, job: MapJob, stations: pd.DataFrame | None, hrefs: dict[str, list[str]], path: Path
) -> None:
    """The page, with the experiment's statistics and words."""
    statistics, notes = _statistics(job.folder.parent)
    caveat = simulated_caveat(str(dataset.attrs["simulated"]))
    model = job.loaded.model
    made = {
        "model": f"place and day ({job.fitted.place}), {model.encoder}",
        "weights": model.encoder_sha256,
        "images": _images(job.sources),
        "made with": str(dataset.attrs["source"]),
        "effective resolution": _resolution(dataset),
        **_rights(job),
    }
    downloads = {"all layers (NetCDF)": NETCDF} | {
        Path(href).name: href.removeprefix("./") for each in hrefs.values() for href in each
    }
    edition = edition_of(job.scale, dataset["time"].to_numpy()[-1])
    concentrations = np.interp([each.highest for each in edition.categories], edition.indices, edition.concentrations)
    scale: Scale = [
        (float(each.highest), each.name, each.colour, round(float(concentration), 1))
        for each, concentration in zip(edition.categories, [*concentrations[:-1], np.inf], strict=True)
    ]
    notes = [*([caveat] if caveat else []), str(dataset.attrs["comment"]), *notes]
    image = None
    if isinstance(job.source, SceneTiles):
        image = ground_picture(job.source.catalogue, job.cells.grid, model.ground_sample_distance_m)
    box = job.city.bounding_box
    write_report(dataset, path, stations, statistics, made, downloads, scale, image, box, notes)


def _rights(job: MapJob) -> dict[str, str]:
    """Who must be named, and under which licences: as the map's scenes and the city's archive state it."""
    stating: list[Scene | ArchiveMetadata] = []
    if isinstance(job.source, SceneTiles):
        stating += job.source.catalogue.scenes
    archive = archive_folder(job.config.root, job.city.name)
    with suppress(InputError):  # without an archive that can be read, nothing is stated
        stating.append(ArchiveMetadata.read(archive / METADATA))
    stated = {
        key: "; ".join(dict.fromkeys(filter(None, (getattr(each, key) for each in stating))))
        for key in ("attribution", "licence")
    }
    return {key: text for key, text in stated.items() if text}


def _images(sources: dict[str, str]) -> str:
    """The first few files and the beginnings of their hashes."""
    shown = [f"{name} {value[:16]}" for name, value in sorted(sources.items())[:MOST_SOURCES]]
    if len(sources) > len(shown):
        shown.append(f"and {len(sources) - len(shown)} more files (all in map.json)")
    return ", ".join(shown) or "none"


def _resolution(dataset: xr.Dataset) -> str:
    """How fine the map is, in words."""
    said = dataset.attrs
    words = [f"a tile of {said['tile_size_m']:g} m: nothing smaller is told apart"]
    if said.get("context_km"):
        words.append(f"described by the tiles within {said['context_km']:.3g} km")
    if "place_range_km" in said:
        words.append(f"coordinates tell places alike over {said['place_range_km']:.3g} km")
    if "day_range_km" in said:
        words.append(f"a day's departures are alike over {said['day_range_km']:.3g} km")
    return "; ".join(words)


def _statistics(results: Path) -> tuple[list[dict[str, str]], list[str]]:
    """The table of the experiment that the model comes from, and what to keep in mind; empty without one.

    What lies beside a model that was copied somewhere may be anything.
    """
    try:
        statistics = json.loads((results / "statistics.json").read_text(encoding="utf-8"))
        rows = {statistics["experiment"]: statistics, **statistics["other_estimators"], **statistics["references"]}
        names, *lines = table_rows(rows)
        tested = str(statistics["split"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return [], []
    notes = [
        f"Test stations: {tested}. spatial_r is the correlation of the stations' departures from the same "
        "day's mean, which is what a map is for; nearly all other variation is from day to day.",
        *marks_explained(rows),
    ]
    return [dict(zip(names, line, strict=True)) for line in lines], notes
