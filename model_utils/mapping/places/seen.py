"""What images show of cells and of dates that the model has not seen."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from itertools import groupby

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from rasterio.warp import transform

from contrastive_models.embedding import EmbeddingPrecision
from model_utils.estimators.city_model import LoadedCityModel
from model_utils.estimators.place_and_day.ground import Ground
from model_utils.mapping.places.ahead import read_ahead
from model_utils.mapping.places.grid import WGS84
from model_utils.mapping.places.sources import Tiles, TileSource, in_batches

BATCH = 128
"""Tiles that the encoder sees together: fewer keep it waiting, more do not fit into a processor's cache."""


def mean_embeddings(
    model: LoadedCityModel, source: TileSource, cells: pd.DataFrame, precision: EmbeddingPrecision
) -> NDArray[np.float32]:
    """Mean embedding of each cell over its clear dates.

    Several tiles of a cell on a date are averaged first, so that a date counts once. Sums run over the dates in their
    order: what a cell gets does not depend on the other cells.

    Args:
        model: With its encoder.
        source: Of the tiles.
        cells: n rows, as `Blocks` has them.
        precision: Of the encoder's arithmetic.

    Returns:
        n x d; NaN for a cell that no tile shows.
    """
    total = np.zeros((len(cells), model.width))
    dates_of = np.zeros(len(cells), np.int64)
    # weights are cast once for as long as the outermost autocast lasts, not for each batch
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16-mixed"):
        for _, sums, count in _by_date(model, source.clear_tiles(cells), len(cells), precision):
            shown = count > 0
            np.add(total, sums / np.maximum(count, 1)[:, None], out=total, where=shown[:, None])
            dates_of += shown
    total /= np.maximum(dates_of, 1)[:, None]
    total[dates_of == 0] = np.nan
    return total.astype(np.float32)


def air_of_dates(
    model: LoadedCityModel, ground: Ground, source: TileSource, crs: str, dates: pd.DatetimeIndex
) -> NDArray[np.float32]:
    """What the air of new dates looks like, at the sites whose ground is known: it does not depend on the map.

    Args:
        model: With its encoder.
        ground: What is known of the sites.
        source: Of the tiles.
        crs: UTM zone that the source cuts in.
        dates: t, sorted.

    Returns:
        t x d; NaN for a date on which no known site is clear.
    """
    air = np.full((len(dates), model.width), np.nan, np.float32)
    east, north = transform(WGS84, crs, ground.longitude, ground.latitude)
    sites = pd.DataFrame(
        {
            "site_id": ground.sites,
            "latitude": ground.latitude,
            "longitude": ground.longitude,
            "east_m": np.asarray(east),
            "north_m": np.asarray(north),
        }
    )
    # a date's air is a small difference from means that were computed in float32
    for date, sums, count in _by_date(model, source.clear_tiles(sites, dates), len(sites), "32-true"):
        shown = count > 0
        rows = sites[shown].assign(local_date=date)
        embeddings = np.asarray(sums[shown] / count[shown, None], np.float32)
        air[dates.get_loc(pd.Timestamp(date))] = ground.air_of_dates(rows, embeddings)[0][0]
    return air


def _by_date(
    model: LoadedCityModel, parts: Iterator[Tiles], count: int, precision: EmbeddingPrecision
) -> Iterator[tuple[np.datetime64, NDArray[np.float64], NDArray[np.int64]]]:
    """Sums of the embeddings of each place and their number, a date at a time; the parts come by date.

    Both arrays are written over when the next date is asked for.
    """
    sums, tiles_of = np.zeros((count, model.width)), np.zeros(count, np.int64)
    with closing(read_ahead(in_batches(parts, BATCH))) as batches:
        for date, of_date in groupby(batches, lambda batch: batch.date):
            sums[:], tiles_of[:] = 0.0, 0
            for batch in of_date:
                np.add.at(sums, batch.positions, model.embedded(batch.tiles, precision))
                np.add.at(tiles_of, batch.positions, 1)
            yield date, sums, tiles_of
