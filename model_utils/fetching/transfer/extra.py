"""Libraries that only fetching needs: the extra `fetch`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from model_utils.errors import InputError

_OURS = ("requests", "urllib3", "timezonefinder", "cdsapi", "pystac_client")


@contextmanager
def extra_needed() -> Iterator[None]:
    """Says in one line how the extra is installed, where one of its libraries is missing.

    Raises:
        InputError: It is.
    """
    try:
        yield
    except ImportError as error:
        if error.name is None or error.name.split(".")[0] not in _OURS:
            raise
        raise InputError(
            f"{error.name} is not installed, expected the extra 'fetch'; in the project's folder: "
            ".venv/bin/pip install --editable '.[fetch]'"
        ) from None
