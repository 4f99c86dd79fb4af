"""ERA5 from the Climate Data Store, ordered by ECMWF's own package.

The store makes each file when it is asked, in minutes to hours, and then has it for a while: `cdsapi` asks and waits,
and the file comes as all others do.
"""

from __future__ import annotations

import json
import math
import os
import threading
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import Any

import cdsapi
import netCDF4
import requests
from cdsapi.api import get_url_key_verify
from ecmwf.datastores.processing import LinkError, ProcessingFailedError

from model_utils.cities import City
from model_utils.errors import IncompleteError, InputError
from model_utils.fetching.transfer.endpoint import endpoint
from model_utils.fetching.transfer.keys import Key, refuse_readable_by_others
from model_utils.fetching.transfer.remote_file import RemoteFile
from model_utils.fetching.weather.days import Span

STORE = "https://cds.climate.copernicus.eu/api"
STORE_VARIABLE = "CDSAPI_URL"
COLLECTION = "reanalysis-era5-single-levels"
LICENCE = "CC BY 4.0"
ATTRIBUTION = "Contains modified Copernicus Climate Change Service information (ERA5, Hersbach et al. 2020)"
DAYS_BEHIND = 6
VARIABLES = {
    "instant": (
        "2m_temperature",
        "2m_dewpoint_temperature",
        "surface_pressure",
        "10m_u_component_of_wind",
        "10m_v_component_of_wind",
        "boundary_layer_height",
    ),
    "accumulated": ("total_precipitation",),
}
"""Asked for apart: of values and sums together the store makes a zip archive of two files."""

_STEP = 0.25  # degrees, ERA5's grid
ONE_AT_A_TIME = threading.Lock()
"""The NetCDF library is not made for threads."""

_TRIES, _SECONDS_BETWEEN = 5, 30.0
_REFUSED = (401, 403)


def find_account(given: str | None) -> tuple[str, Key]:
    """The store's address, and the key, as `cdsapi` finds them: CDSAPI_URL, CDSAPI_KEY, or ~/.cdsapirc.

    Args:
        given: An address that goes before all others, or None.

    Raises:
        InputError: There is no key, or others can read the file.
    """
    file = Path(os.environ.get("CDSAPI_RC", "~/.cdsapirc")).expanduser()
    if not os.environ.get("CDSAPI_KEY"):
        refuse_readable_by_others(file)
    try:
        # an address is asked for as well where there is none in the file
        url, key, _ = get_url_key_verify(given or os.environ.get(STORE_VARIABLE) or STORE, None, None)
    except Exception:  # of no class of its own
        raise InputError(
            f"no key: expected one in the environment variable CDSAPI_KEY or a line 'key: ...' in {file} (chmod 600); "
            "a free one is at https://cds.climate.copernicus.eu/profile"
        ) from None
    origin = "CDSAPI_KEY" if os.environ.get("CDSAPI_KEY") else str(file)
    return endpoint(url, STORE_VARIABLE, STORE, takes_key=True), Key(str(key), origin)


def requests_for(store: str, key: Key, city: City, span: Span) -> list[RemoteFile]:
    """What to order: two files a month, of values and of sums."""
    files = []
    for (year, month), group in groupby(span.days, key=lambda day: (day.year, day.month)):
        days = [f"{day.day:02d}" for day in group]
        for kind, variables in VARIABLES.items():
            request = {
                "product_type": ["reanalysis"],
                "variable": list(variables),
                "year": [f"{year}"],
                "month": [f"{month:02d}"],
                "day": days,
                "time": [f"{hour:02d}:00" for hour in range(24)],
                "data_format": "netcdf",
                "download_format": "unarchived",
                "area": _area(city),
            }
            files.append(
                RemoteFile(
                    # no address of a file: what it is made from
                    url=f"{store}/retrieve/v1/processes/{COLLECTION}/execution#{json.dumps(request, sort_keys=True)}",
                    path=f"era5_{city.name}_{year}{month:02d}_{kind}.nc",
                    licence=LICENCE,
                    attribution=ATTRIBUTION,
                    address=_ordered(store, key, request),
                    check=_is_netcdf,
                )
            )
    return files


def _area(city: City) -> list[float]:
    """North, west, south, east, on the grid, with a point on each side of the city."""
    box = city.bounding_box
    return [
        min(_STEP * math.ceil(box.north / _STEP), 90.0),
        _STEP * math.floor(box.west / _STEP),
        max(_STEP * math.floor(box.south / _STEP), -90.0),
        _STEP * math.ceil(box.east / _STEP),
    ]


def _ordered(store: str, key: Key, request: dict[str, Any]) -> Callable[[], str]:
    """A function that orders a file once, waits until it is made, and gives its address."""
    found: list[str] = []
    lock = threading.Lock()

    def address() -> str:
        with lock:
            if not found:
                found.append(_order(store, key, request))
            return found[0]

    return address


def _order(store: str, key: Key, request: dict[str, Any]) -> str:
    try:
        client = cdsapi.Client(
            url=store,
            key=key.value,
            quiet=True,
            progress=False,
            retry_max=_TRIES,
            sleep_max=_SECONDS_BETWEEN,
        )
        return str(client.retrieve(COLLECTION, request).location)
    except requests.HTTPError as error:
        why = " ".join(str(error).split())[:300]
        if error.response is not None and error.response.status_code in _REFUSED:
            raise InputError(f"the Climate Data Store refuses the key of {key.origin}, or its licence: {why}") from None
        raise IncompleteError(f"the Climate Data Store: {why}") from None
    except (requests.RequestException, ProcessingFailedError, LinkError, KeyError, ValueError) as error:
        raise IncompleteError(
            f"the Climate Data Store: {type(error).__name__}: {' '.join(str(error).split())[:300]}"
        ) from None


def _is_netcdf(path: Path) -> None:
    try:
        with ONE_AT_A_TIME:
            netCDF4.Dataset(path).close()
    except OSError as error:
        raise ValueError(f"found no NetCDF file ({error.strerror or error})") from None
