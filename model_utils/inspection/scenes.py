"""`pm25 inspect --scenes`: what a folder of scenes holds and how it is read, before any archive is made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from model_utils import atomic
from model_utils.cities import City
from model_utils.errors import InputError
from model_utils.ingest.products.catalogue import Catalogue, find_scenes
from model_utils.ingest.products.full_scale import UnknownScaleError
from model_utils.ingest.products.specification import shipped_products
from model_utils.ingest.scenes.scene import Scene
from model_utils.ingest.scenes.survey import PERCENTILES, Survey, fitting_full_scale, survey
from model_utils.inspection.config import InspectConfig
from model_utils.inspection.text import counted
from model_utils.progress import counted as with_progress

MOST_SURVEYED, MOST_LINES = 24, 40


def inspect_scenes(config: InspectConfig, folder: Path, city: City) -> None:
    """Prints what scenes there are and how they are read; `--table` keeps a row a scene.

    Pixels of at most `MOST_SURVEYED` scenes are looked at, spread over the time.

    Raises:
        InputError: Naming the file or flag that is wrong.
    """
    if config.table is not None and config.table.exists() and not config.overwrite:
        raise InputError(f"--table {config.table}: is there already, --overwrite replaces it")
    unknown = ""
    try:
        catalogue = find_scenes(folder, config, city)
    except UnknownScaleError as error:  # the scenes can be looked at all the same
        unknown = str(error)
        catalogue = find_scenes(folder, replace(config, full_scale=1.0), city)
    scenes = catalogue.scenes
    chosen = np.unique(np.linspace(0, len(scenes) - 1, min(len(scenes), MOST_SURVEYED)).round().astype(int)).tolist()
    surveys = {at: survey(scenes[at], city) for at in with_progress(chosen, len(chosen), "scenes looked at")}
    table = _table(catalogue, surveys)
    print(f"{folder}: {_product(scenes[0].product)}, {counted(len(scenes), 'scene')}")
    print(" to ".join(dict.fromkeys([_shown(scenes[0]), _shown(scenes[-1])])))
    lines = [f"bands: {_bands(catalogue)}"]
    if unknown:
        seen = [highest for item in surveys.values() if (highest := _highest(item)) is not None]
        advice = f"; nearly all values here are below {fitting_full_scale(max(seen)):g}" if seen else ""
        lines.append(f"values: {unknown}{advice}")
    else:
        lines.append(f"values: {catalogue.scaling}")
    for line in (*lines, *catalogue.notes, *_coverage(surveys, len(scenes))):
        print(f"  {line}")
    shown = table.drop(columns=["product", "time_source"]).head(MOST_LINES)
    print(f"\n{shown.to_string(index=False, na_rep='-')}")
    if len(table) > MOST_LINES:
        print(f"... and {len(table) - MOST_LINES} more scenes")
    if config.table is not None:
        with atomic.replacing(config.table) as temporary:
            table.to_csv(temporary, index=False)
        print(f"\n{config.table}")


def _product(name: str) -> str:
    known = shipped_products().get(name)
    return f"{name} ({known.title})" if known else name


def _shown(scene: Scene) -> str:
    return f"{scene.time_utc:%Y-%m-%d %H:%M} UTC ({scene.time_source})"


def _bands(catalogue: Catalogue) -> str:
    """Each band, and where it lies in the first scene."""
    first = catalogue.scenes[0]
    files = {band.file for band in first.bands}
    places = [band.file.name if len(files) > 1 else f"band {band.index}" for band in first.bands]
    return ", ".join(f"{name} ({place})" for name, place in zip(catalogue.bands, places, strict=True))


def _highest(found: Survey) -> float | None:
    highest = [band[-1] for band in found.percentiles]
    return max(highest) if highest and np.isfinite(highest).all() else None


def _coverage(surveys: dict[int, Survey], total: int) -> list[str]:
    covered = [item.covered for item in surveys.values()]
    looked = f" ({len(surveys)} of {total} scenes were looked at)" if len(surveys) < total else ""
    lines = [f"of the city's bounding box a scene shows {np.mean(covered):.0%} in the mean{looked}"]
    if empty := sum(share == 0 for share in covered):
        lines.append(f"warning: nothing of it in {empty} of {len(covered)}")
    lowest = [min(band[0] for band in item.percentiles) for item in surveys.values() if item.percentiles]
    if below := sum(value < 0 for value in lowest):
        lines.append(
            f"warning: values below 0 at the darkest in {below} of {len(covered)}: an offset that was applied before "
            "may have been applied a second time, as where a STAC item says it wrongly"
        )
    return lines


def _table(catalogue: Catalogue, surveys: dict[int, Survey]) -> pd.DataFrame:
    """A row a scene; shares and percentiles are NaN where it was not looked at."""
    rows = []
    known = shipped_products().get(catalogue.scenes[0].product)
    for at, scene in enumerate(catalogue.scenes):
        row: dict[str, object] = {
            "scene_id": scene.scene_id,
            "product": scene.product,
            "time_utc": f"{scene.time_utc:%Y-%m-%dT%H:%M:%SZ}",
            "time_source": scene.time_source,
            "level": "surface" if scene.surface_reflectance else known.level if known else "",
            "mask": scene.mask.layout.name if scene.mask else "",
        }
        found = surveys.get(at)
        row["covered"] = round(found.covered, 3) if found else np.nan
        row["cloudy"] = round(found.cloudy, 3) if found and found.cloudy is not None else np.nan
        for number, name in enumerate(catalogue.bands):
            for place, percentile in enumerate(PERCENTILES):
                value = found.percentiles[number][place] if found and found.percentiles else np.nan
                row[f"{name}_p{percentile}"] = float(f"{value:.4g}")
        rows.append(row)
    return pd.DataFrame(rows)
