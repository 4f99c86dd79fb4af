"""Rasters opened once and read anywhere on the lattice, resampled by GDAL."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.dtypes import dtype_rev, typename_fwd
from rasterio.enums import ColorInterp, MaskFlags, Resampling
from rasterio.vrt import WarpedVRT

from model_utils.ingest.scenes.grid import TileGrid
from model_utils.ingest.scenes.header import open_raster
from model_utils.ingest.scenes.rasters import blaming, bounds_in, check_raster, crs_of, scale_on
from model_utils.ingest.storage import gdal_name

_TOLERANCE = 0.01  # source pixels by which GDAL may simplify the reprojection: a grey level at most


@dataclass(frozen=True, eq=False)
class Layer:
    """Some bands of a raster.

    Attributes:
        file: The raster.
        view: The bands, followed by one that says which pixels hold data where the file has such a one.
        bands: How many bands without that.
        nodata: The number that stands for no data where all bands hold it; None for none.
        declared: False where the file does not say so, and 0 in all bands is only taken for no data.
        bounds: West, south, east and north in the lattice's zone, metres.
        scale: Size of a source pixel in lattice pixels, along the source's rows and columns.
    """

    file: Path
    view: rasterio.DatasetReader
    bands: int
    nodata: float | None
    declared: bool
    bounds: tuple[float, float, float, float]
    scale: tuple[float, float] | None

    def read(
        self, grid: TileGrid, corner: tuple[int, int], shape: tuple[int, int], resampling: Resampling
    ) -> tuple[NDArray[np.number], NDArray[np.bool_]]:
        """Reads a window of the lattice.

        Args:
            grid: The lattice.
            corner: Column and row of the window's upper left pixel.
            shape: Its height H and width W.
            resampling: Nearest or bilinear. Where pixels of the lattice are larger than the source's, GDAL widens the
                bilinear kernel (a triangle of two pixels' width) by their ratio, which averages; here the ratio is
                that at the middle of the source, so that it does not depend on the window. Pixels without data have
                no weight.

        Returns:
            The numbers, bands x H x W, and which pixels hold data, H x W: those whose nearest source pixel does. A NaN
            in some bands only is no such hole, and spreads as far as the kernel.

        Raises:
            InputError: The file is broken.
        """
        east, north = corner[0] * grid.gsd, -corner[1] * grid.gsd
        scale = {} if self.scale is None else {"XSCALE": self.scale[0], "YSCALE": self.scale[1]}
        with (
            blaming(self.file),
            WarpedVRT(
                self.view,
                crs=grid.crs,
                transform=rasterio.Affine(grid.gsd, 0, east, 0, -grid.gsd, north),
                height=shape[0],
                width=shape[1],
                resampling=resampling,
                tolerance=_TOLERANCE,
                src_nodata=self.nodata,
                nodata=None,
                add_alpha=self.view.count == self.bands,
                UNIFIED_SRC_NODATA="YES",  # a pixel is empty if all bands are
                **scale,
            ) as warped,
        ):
            return warped.read(list(range(1, self.bands + 1))), warped.read(self.bands + 1) > 0


@contextmanager
def open_layer(
    file: Path, bands: Sequence[int], grid: TileGrid, *, mask: bool = False, count: int | None = None
) -> Iterator[Layer]:
    """Opens bands of a raster.

    Args:
        file: The raster.
        bands: Their numbers, from 1.
        grid: The lattice it will be read on.
        mask: It is a quality mask, whose every pixel holds data.
        count: How many bands the file must have; None for any.

    Raises:
        InputError: It is no raster, has no place on the earth, or has not those bands.
    """
    with ExitStack() as opened:
        with blaming(file):
            source = opened.enter_context(open_raster(file))
            check_raster(file, source, bands, count)
            validity, nodata, declared = None, None, True
            if not mask:
                validity, nodata = _validity(source, bands), source.nodatavals[bands[0] - 1]
                floating = np.dtype(source.dtypes[bands[0] - 1]).kind == "f"
                declared = validity is not None or nodata is not None or floating
                nodata = nodata if nodata is not None else float("nan") if floating else 0.0
            bounds, scale = bounds_in(source, grid.crs), scale_on(source, grid)
            view = opened.enter_context(rasterio.open(_document(file, source, bands, validity), driver="VRT"))
        yield Layer(file, view, len(bands), nodata, declared, bounds, scale)


def _validity(source: rasterio.DatasetReader, bands: Sequence[int]) -> str | None:
    """What VRT calls the band that says where there is data: an alpha band that is not itself asked for, or a mask.

    A fourth band is easily marked as alpha by the software that wrote the file though it is near infrared.
    """
    if alpha := [band for band in source.indexes if source.colorinterp[band - 1] == ColorInterp.alpha]:
        return None if alpha[0] in bands else str(alpha[0])
    return "mask,1" if MaskFlags.per_dataset in source.mask_flag_enums[bands[0] - 1] else None


def _document(file: Path, source: rasterio.DatasetReader, bands: Sequence[int], validity: str | None) -> str:
    """A VRT of the bands and the one that says where there is data, so that no other band is read or resampled."""
    height, width = source.block_shapes[bands[0] - 1]
    sources = [(str(band), source.dtypes[band - 1], "Gray") for band in bands]
    if validity is not None:
        kind = "uint8" if validity.startswith("mask") else source.dtypes[int(validity) - 1]
        sources.append((validity, kind, "Alpha"))
    elements = [
        f'<VRTRasterBand band="{number}" dataType="{typename_fwd[dtype_rev[kind]]}" '
        f'blockXSize="{width}" blockYSize="{height}"><ColorInterp>{meaning}</ColorInterp><SimpleSource>'
        f'<SourceFilename relativeToVRT="0">{escape(gdal_name(file.absolute()))}</SourceFilename>'
        f"<SourceBand>{band}</SourceBand></SimpleSource></VRTRasterBand>"
        for number, (band, kind, meaning) in enumerate(sources, start=1)
    ]
    place = ",".join(map(repr, source.transform.to_gdal()))
    return (
        f'<VRTDataset rasterXSize="{source.width}" rasterYSize="{source.height}"><SRS>{escape(crs_of(source).to_wkt())}'
        f"</SRS><GeoTransform>{place}</GeoTransform>{''.join(elements)}</VRTDataset>"
    )
