"""Where scenes come from: catalogues that anybody can search, and read windows of without an account."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SceneSource:
    """A collection of a STAC catalogue.

    Attributes:
        name: As --source takes it.
        endpoint: The catalogue.
        collections: Of the catalogue, all of one product.
        product: What `ingest.products` calls what they hold.
        mask: Kind of their quality mask, and what its asset is called, whatever its case.
        pixel: Size of their pixels, metres.
        phase: How far the edges of pixels lie off whole multiples of their size in their zone, metres.
        token: Where a free, short-lived token for the files of a collection is given; '' where they are open.
        licence: Of the imagery.
        attribution: Who must be named; `{year}` is that of the scene.
    """

    name: str
    endpoint: str
    collections: tuple[str, ...]
    product: str
    mask: str
    pixel: float
    phase: float
    token: str
    licence: str
    attribution: str


_PLANETARY_COMPUTER = "https://planetarycomputer.microsoft.com/api/stac/v1"
_TOKENS = "https://planetarycomputer.microsoft.com/api/sas/v1/token"

SOURCES: dict[str, SceneSource] = {
    source.name: source
    for source in (
        SceneSource(
            name="sentinel2-l2a",
            endpoint="https://earth-search.aws.element84.com/v1",
            # of the catalogue's two, the one whose items say rightly whether an offset was applied
            collections=("sentinel-2-c1-l2a",),
            product="sentinel2-l2a",
            mask="scl",
            pixel=10.0,
            phase=0.0,
            token="",
            licence="https://sentinel.esa.int/documents/247904/690755/Sentinel_Data_Legal_Notice",
            attribution="Contains modified Copernicus Sentinel data {year}",
        ),
        SceneSource(
            name="landsat",
            endpoint=_PLANETARY_COMPUTER,
            collections=("landsat-c2-l2",),
            product="landsat-c2-l2",
            mask="qa_pixel",
            pixel=30.0,
            phase=15.0,
            token=_TOKENS,
            licence="https://www.usgs.gov/core-science-systems/hdds/data-policy",
            attribution="Landsat {year} courtesy of the U.S. Geological Survey",
        ),
        SceneSource(
            name="hls",
            endpoint=_PLANETARY_COMPUTER,
            collections=("hls2-s30", "hls2-l30"),
            product="hls",
            mask="fmask",
            pixel=30.0,
            phase=0.0,
            token=_TOKENS,
            licence="https://lpdaac.usgs.gov/data/data-citation-and-policies/",
            attribution="HLS {year}, NASA LP DAAC; contains modified Copernicus Sentinel data",
        ),
    )
}
