"""Where a source is asked: its own address, or a mirror's."""

from __future__ import annotations

import os
from ipaddress import ip_address
from urllib.parse import urlsplit

from model_utils.errors import InputError


def endpoint(given: str | None, variable: str, usual: str, *, takes_key: bool = False, flag: str = "--endpoint") -> str:
    """The address of a source, without a slash at its end.

    Args:
        given: What the flag says, or None.
        variable: The environment variable that is asked next.
        usual: The source's own address.
        takes_key: Whether a key is sent there: it travels encrypted, or does not leave this machine.
        flag: What the flag is called.

    Raises:
        InputError: It is no http or https address, names a user, or would show a key to others.
    """
    said = flag if given is not None else variable
    address = given if given is not None else os.environ.get(variable) or usual
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https") or parts.query or parts.fragment:
        raise InputError(f"{said}: found {address!r}, expected an address such as {usual}")
    if "@" in parts.netloc:
        raise InputError(f"{said}: names a user, expected an address without one: others could read the password")
    if takes_key and parts.scheme == "http" and not _is_this_machine(host):
        raise InputError(f"{said}: found {address!r}, expected https: the key would travel unencrypted")
    return address.rstrip("/")


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
