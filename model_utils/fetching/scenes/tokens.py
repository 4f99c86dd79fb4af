"""Short-lived tokens that a catalogue gives to anybody, without which its files are not read."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from model_utils.errors import IncompleteError
from model_utils.fetching.scenes.sources import SceneSource
from model_utils.fetching.transfer.extra import extra_needed
from model_utils.ingest.products.times import parsed_time

with extra_needed():
    from model_utils.fetching.transfer.http_source import HttpSource

Sign = Callable[[str, str], str]
"""Gives the address that a file is read at, of its address in the item and the item's collection."""

_EARLY = timedelta(minutes=5)


def signing(source: SceneSource, tokens: str = "") -> Sign:
    """How the files of a source are asked for.

    Args:
        source: The source.
        tokens: Where its tokens are given, in place of its own address.
    """
    if not source.token:
        return lambda address, collection: address
    return Tokens(tokens or source.token).signed


class Tokens:
    """The tokens of some collections, each asked for when the one before runs out.

    Args:
        address: Where they are given; the collection is added to it.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._known: dict[str, tuple[str, datetime]] = {}

    def signed(self, address: str, collection: str) -> str:
        """The address with the token of its collection.

        Raises:
            IncompleteError: None is given.
        """
        token, expires = self._known.get(collection, ("", datetime.min.replace(tzinfo=UTC)))
        if datetime.now(UTC) > expires - _EARLY:
            token, expires = self._known[collection] = self._ask(collection)
        return f"{address}{'&' if '?' in address else '?'}{token}"

    def _ask(self, collection: str) -> tuple[str, datetime]:
        with HttpSource(self._address) as source:
            answer = source.json(f"{self._address}/{collection}")
        token = answer.get("token") if isinstance(answer, dict) else None
        stamp = parsed_time(str(answer.get("msft:expiry", "")), "token") if token else None
        if not isinstance(token, str) or stamp is None or not isinstance(stamp.value, datetime):
            raise IncompleteError(f"{self._address}/{collection}: found no token and its end, expected both")
        return token, stamp.value
