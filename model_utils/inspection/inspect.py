"""`pm25 inspect`: shows what an archive holds."""

from __future__ import annotations

from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from model_utils import atomic
from model_utils.archive.acceptance import accept_changes
from model_utils.archive.reader import TileArchive, open_archive
from model_utils.cities import City, load_city
from model_utils.figures.archive.calendar import draw_calendar
from model_utils.figures.archive.contact_sheet import draw_contact_sheet
from model_utils.figures.archive.site_map import draw_site_map
from model_utils.figures.archive.tiles_by_date import draw_tiles_by_date
from model_utils.figures.saving import save_figure
from model_utils.figures.style import place_names, plain
from model_utils.inspection.config import InspectConfig
from model_utils.inspection.coverage import choose_tiles, coverage
from model_utils.inspection.readings import inspect_readings
from model_utils.inspection.samples import read_samples, station_rows
from model_utils.inspection.scenes import inspect_scenes
from model_utils.inspection.summary import by_site, summarise
from model_utils.inspection.text import counted, inspection_text
from model_utils.locking import locked
from model_utils.project import archive_folder
from model_utils.sampling.splits import held_out_sites

SHEET_ROWS, SHEET_DATES, SHEET_TILES = 8, 8, 48
CALENDAR_ROWS, MAP_DOTS = 60, 5000


def inspect(config: InspectConfig) -> None:
    """Prints what the city's archive holds, and writes it as text and figures; or what scenes and readings hold.

    Raises:
        InputError: The city, its archive or the output folder is wrong.
        InUseError: Another process writes the same folder.
    """
    city = load_city(config.city, config.root)
    if config.scenes is not None:
        inspect_scenes(config, config.scenes, city)
    if config.readings is not None:
        inspect_readings(config, city)
    if config.scenes is not None or config.readings is not None:
        return
    archive_at = archive_folder(config.root, config.city)
    if config.accept_changes:
        words = "its hash is that of the files as they are now" if accept_changes(archive_at) else "nothing has changed"
        print(f"{archive_at}: {words}")
    archive = open_archive(archive_at)
    samples = read_samples(archive)
    station = station_rows(samples, city)
    sites, others = (by_site(samples[rows], config.max_cloud_fraction) for rows in (station, ~station))
    sites["split"] = _splits(sites, city)
    summary = summarise(samples, station, config.max_cloud_fraction)
    text = inspection_text(archive.metadata, summary, sites, config.max_cloud_fraction)
    print(text)

    cloud, simulated = config.max_cloud_fraction, archive.metadata.simulated
    places = sites if len(sites) else others
    figures = {
        "contact_sheet": _contact_sheet(archive, samples, places, cloud),
        "calendar": _calendar(samples, places, bool(len(sites)), cloud, simulated),
        "map": _map(sites, others, archive.metadata.city, simulated),
    }
    folder = config.output or archive.folder / "inspection"
    with locked(folder):
        atomic.write_text(folder / "inspect.txt", text)
        paths = [save_figure(figure, folder, name)[0] for name, figure in figures.items()]
    for path in (folder / "inspect.txt", *paths):
        print(path)


def _splits(sites: pd.DataFrame, city: City) -> NDArray[np.str_]:
    """The side of the city's hold-out that each station is on."""
    return np.where(sites["site_id"].isin(held_out_sites(sites, city)), "test", "train")


def _contact_sheet(archive: TileArchive, samples: pd.DataFrame, sites: pd.DataFrame, cloud: float) -> Figure:
    """Tiles by date and place where places repeat, else a sheet of tiles spread over the whole time."""
    most = sites.sort_values(["labelled_days", "days"], ascending=False, kind="stable")[:SHEET_ROWS]
    most = most.sort_values("site_name", kind="stable")
    number, dates = choose_tiles(samples, most["site_id"].tolist(), SHEET_DATES, cloud)
    by_date = (number >= 0).mean() > 0.5
    days = samples.loc[samples["site_id"].isin(sites["site_id"]), "local_date"].nunique()
    part = f"{len(most)} of {counted(len(sites), 'place')} and {len(dates)} of {counted(days, 'date')}"
    if by_date:
        rows = number[number >= 0]
    else:
        in_time = samples["time_utc"].argsort(kind="stable").to_numpy()
        rows = in_time[np.unique(np.linspace(0, len(in_time) - 1, SHEET_TILES).round().astype(int))]
        part = f"{len(rows)} of {counted(len(samples), 'tile')}"
    tiles, heading = _as_shown(archive.tiles(rows), archive.metadata.bands)
    chosen = samples.iloc[rows]
    cloudy = chosen["cloud_fraction"].to_numpy(float) > cloud
    read = bool(chosen["pm25"].notna().any())
    titles = [
        ", ".join([*(["no reading" if np.isnan(value) else f"{value:.0f}"] if read else []), *(["cloudy"] * clouded)])
        for value, clouded in zip(chosen["pm25"].to_numpy(float), cloudy.tolist(), strict=True)
    ]
    heading = (
        f"{archive.metadata.city}, {part}: {'PM2.5 (µg/m³) above each tile' if read else 'no readings'}; {heading}"
    )
    if by_date:
        position = np.where(number >= 0, np.cumsum(number.ravel() >= 0).reshape(number.shape) - 1, -1)
        columns = [f"{date:%Y-%m-%d}" for date in dates]
        simulated = archive.metadata.simulated
        return draw_tiles_by_date(tiles, position, place_names(most), columns, titles, plain(heading), simulated)
    titles = [f"{date:%Y-%m-%d}\n{title}" for date, title in zip(chosen["local_date"], titles, strict=True)]
    figure = draw_contact_sheet(tiles, titles, min(8, len(tiles)), archive.metadata.simulated)
    figure.suptitle(fill(plain(heading), int(13 * figure.get_figwidth())), fontsize=10)
    return figure


def _as_shown(tiles: NDArray[np.uint8], bands: tuple[str, ...]) -> tuple[NDArray[np.uint8], str]:
    """Picks the bands that are shown, and brightens dark tiles, all by one factor; says both."""
    if {"red", "green", "blue"} <= set(bands):
        picked, words = [bands.index(band) for band in ("red", "green", "blue")], "true colour"
    elif len(bands) >= 3:
        picked, words = [0, 1, 2], f"{', '.join(bands[:3])} shown as red, green, blue"
    else:
        picked, words = [0], f"{bands[0]} shown in grey"
    shown = tiles[..., picked]
    brightest = max(float(np.percentile(shown, 99)), 1.0)
    if brightest < 100:
        factor = 200 / brightest
        shown = np.clip(shown * factor, 0, 255).astype(np.uint8)
        words += f", all tiles {factor:.1f} times as bright as they are"
    return shown, words


def _calendar(samples: pd.DataFrame, sites: pd.DataFrame, stations: bool, cloud: float, simulated: str) -> Figure:
    """A row a station, or a place where there is none; many places without a station are one row."""
    if not stations and len(sites) > CALENDAR_ROWS:
        table = coverage(samples.assign(site_id="any place"), cloud)
        return draw_calendar(table, list(table.index), f"Coverage: the best tile of {len(sites):,} places", simulated)
    kept = sites.sort_values(["labelled_days", "days"], ascending=False, kind="stable")[:CALENDAR_ROWS]
    kept = kept.sort_values("site_name", kind="stable")
    table = coverage(samples[samples["site_id"].isin(kept["site_id"])], cloud).reindex(kept["site_id"])
    what = counted(len(sites), "station" if stations else "place")
    if len(kept) < len(sites):
        what = f"{len(kept)} of {what}, those with the most readings"
    return draw_calendar(table, place_names(kept), f"Coverage of {what}", simulated)


def _map(sites: pd.DataFrame, others: pd.DataFrame, city: str, simulated: str) -> Figure:
    """All stations, and as many other places as can be told apart."""
    step = -(-len(others) // MAP_DOTS) or 1
    title = f"{city}: {counted(len(sites), 'station')}, {counted(len(others), 'other place')}"
    if step > 1:
        title += f" (1 in {step} shown)"
    return draw_site_map(sites, others[::step], plain(title), simulated)
