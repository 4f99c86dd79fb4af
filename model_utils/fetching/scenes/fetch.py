"""`pm25 fetch scenes`: scenes of a city from an open catalogue, one a day, cut to the city."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from model_utils.cities import load_city
from model_utils.errors import IncompleteError, InputError, UnwritableError
from model_utils.fetching.config import FetchScenesConfig
from model_utils.fetching.scenes.look import Look, look_at
from model_utils.fetching.scenes.search import Overpass, find_overpasses
from model_utils.fetching.scenes.sources import SOURCES, SceneSource
from model_utils.fetching.scenes.tokens import Sign, signing
from model_utils.fetching.scenes.window import Window, city_window
from model_utils.fetching.scenes.writing import ITEM, is_whole, write_overpass
from model_utils.fetching.transfer.endpoint import endpoint
from model_utils.locking import locked
from model_utils.progress import counted

ENDPOINT_VARIABLE = "PM25_STAC_ENDPOINT"

_BYTES = 1.3
"""Of a compressed 16-bit number of such images, about."""


@dataclass(frozen=True)
class Candidate:
    """An overpass that might be fetched."""

    overpass: Overpass
    look: Look
    day: date


def fetch_scenes(config: FetchScenesConfig) -> Path:
    """Fetches the scenes of a city that are not there yet, and says what it could not.

    Args:
        config: Which scenes.

    Returns:
        The folder, which `pm25 prepare --scenes` reads.

    Raises:
        InputError: No such city, or an endpoint that is none.
        IncompleteError: Something could not be had; what was fetched stays.
        InUseError: Another process fetches into the folder.
        UnwritableError: The disk is full, or the folder may not be written.
    """
    city, source = load_city(config.city, config.root), SOURCES[config.source]
    catalogue = endpoint(config.endpoint, ENDPOINT_VARIABLE, source.endpoint)
    folder = config.out or config.root / "downloads" / city.name / "scenes"
    overpasses, failed = find_overpasses(source, city, config.first, config.last, config.bands, catalogue)
    print(f"{catalogue}: {len(overpasses)} overpasses of {city.name} in {', '.join(source.collections)}")
    sign = signing(source)
    candidates = []
    for overpass in counted(overpasses, len(overpasses), "overpasses looked at"):
        try:
            look = look_at(overpass, source, city, sign)
        except (InputError, IncompleteError) as error:
            failed.append(str(error))
            continue
        candidates.append(Candidate(overpass, look, overpass.time.astimezone(city.zone).date()))
    chosen = _chosen(candidates, config)
    window = city_window(city, source.pixel, source.phase)
    _list(chosen, candidates, window, config)
    if not config.dry_run:
        with locked(folder):
            failed += _fetch(chosen, folder, source, window, config, sign)
        print(f"look: pm25 inspect --city {city.name} --scenes {folder}")
        print(f"next: pm25 prepare --city {city.name} --scenes {folder} --readings ... --gsd {source.pixel:g}")
    for line in sorted(failed):
        print(f"missing: {line}", file=sys.stderr)
    if failed:
        raise IncompleteError(
            f"{len(failed)} images or days could not be had; the others are in {folder}, and the same command fetches "
            "what is missing"
        )
    return folder


def _chosen(candidates: Sequence[Candidate], config: FetchScenesConfig) -> list[Candidate]:
    """At most one a day, the one that shows most of the city clearly; then the clearest days."""
    best: dict[date, Candidate] = {}
    for candidate in candidates:
        look = candidate.look
        if look.covered < config.min_cover or look.cloudy > config.max_cloud:
            continue
        other = best.get(candidate.day)
        if other is None or _clear(look) > _clear(other.look):
            best[candidate.day] = candidate
    clearest = sorted(best.values(), key=lambda candidate: (-_clear(candidate.look), candidate.day))[: config.limit]
    return sorted(clearest, key=lambda candidate: candidate.overpass.time)


def _clear(look: Look) -> float:
    return look.covered * (1 - look.cloudy)


def _list(
    chosen: Sequence[Candidate], candidates: Sequence[Candidate], window: Window, config: FetchScenesConfig
) -> None:
    size = window.height * window.width * (len(config.bands) * _BYTES + 0.1) / 1e6
    for candidate in chosen:
        look = candidate.look
        names = ", ".join(granule.item.scene_id for granule in candidate.overpass.granules)
        print(f"  {candidate.day}  {look.covered:4.0%} of the city, {look.cloudy:4.0%} cloud, {size:,.0f} MB  {names}")
    left = len(candidates) - len(chosen)
    reasons = f"over {config.max_cloud:.0%} cloud, under {config.min_cover:.0%} of the city, a second one of a day"
    print(f"{len(chosen)} days, about {size * len(chosen):,.0f} MB; {left} overpasses not: {reasons}, over --limit")


def _fetch(
    chosen: Sequence[Candidate],
    folder: Path,
    source: SceneSource,
    window: Window,
    config: FetchScenesConfig,
    sign: Sign,
) -> list[str]:
    """Fetches what is not there; what could not be, by name."""
    wanted = {folder / _name(candidate, source): candidate for candidate in chosen}
    missing = {path: item for path, item in wanted.items() if not is_whole(path)}
    print(f"{folder}: {len(wanted) - len(missing)} scenes are there already")
    failed = []
    for path, candidate in counted(missing.items(), len(missing), "scenes"):
        (path / ITEM).unlink(missing_ok=True)  # of a scene that is half there
        try:
            write_overpass(path, candidate.overpass, source, window, config.bands, candidate.look, sign)
        except UnwritableError:
            raise
        except (InputError, IncompleteError) as error:
            failed.append(f"{path.name}: {error}")
    return failed


def _name(candidate: Candidate, source: SceneSource) -> str:
    return f"{source.name}_{candidate.overpass.time:%Y%m%dT%H%M%S}Z"
