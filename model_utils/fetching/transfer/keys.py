"""Keys of accounts: where they come from, and that nobody else reads them."""

from __future__ import annotations

import logging
import os
import stat
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit
from urllib.request import getproxies

from model_utils.errors import IncompleteError, InputError

_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_SHORTEST = 8  # a shorter one would hide ordinary words of messages
_HIDDEN = "***"


@dataclass(frozen=True)
class Key:
    """A key and where it was found; its value is in no `repr`.

    Attributes:
        value: The key.
        origin: The environment variable or file, for messages.
    """

    value: str = field(repr=False)
    origin: str

    def __post_init__(self) -> None:
        if len(self.value) < _SHORTEST or not all("!" <= letter <= "~" for letter in self.value):
            raise InputError(
                f"{self.origin}: found {len(self.value)} characters, expected a key: "
                f"at least {_SHORTEST} letters, digits and signs without a space"
            )


def find_key(variable: str, file: Path, where_from: str) -> Key:
    """The key of an account.

    Args:
        variable: The environment variable that holds it, if it is set.
        file: The file that holds it otherwise.
        where_from: Where a person gets one.

    Raises:
        InputError: There is none, or others can read the file.
    """
    if value := os.environ.get(variable, "").strip():
        return Key(value, variable)
    refuse_readable_by_others(file)
    try:
        value = file.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        raise InputError(
            f"no key: expected one in the environment variable {variable} or in {file} (chmod 600); {where_from}"
        ) from None
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "not a text"
        raise InputError(f"{file}: not readable ({why}), expected a key") from None
    return Key(value, str(file))


def refuse_readable_by_others(file: Path) -> None:
    """Refuses a file with a key that others than its owner can read; there may be no such file.

    Raises:
        InputError: Names the file, and the command that helps.
    """
    try:
        mode = stat.S_IMODE(file.stat().st_mode)
    except OSError:
        return
    if mode & _OTHERS:
        raise InputError(f"{file}: others can read this key (mode {mode:04o}), expected 0600: chmod 600 {file}")


def hidden(text: str, secrets: Sequence[str]) -> str:
    """A text without the secrets, whether they stand in it as they are or as in an address."""
    for secret in sorted({form for each in secrets for form in (each, quote(each, safe=""))}, key=len, reverse=True):
        text = text.replace(secret, _HIDDEN)
    return text


@contextmanager
def kept_secret(*keys: Key) -> Iterator[None]:
    """Takes keys out of every log record that is made inside, and of every exception that leaves.

    The passwords of proxies in the environment are taken out with them.
    """
    secrets = [key.value for key in keys] + _proxy_passwords()
    if not secrets:
        yield
        return
    before = logging.getLogRecordFactory()
    logging.setLogRecordFactory(_hiding(before, secrets))
    try:
        yield
    except Exception as error:
        told = "".join(traceback.format_exception(error))
        if hidden(told, secrets) == told:
            raise
        said = hidden(str(error), secrets)
        if isinstance(error, InputError | IncompleteError):
            raise type(error)(said) from None
        raise RuntimeError(f"{type(error).__name__}: {said}") from None
    finally:
        logging.setLogRecordFactory(before)


def _hiding(make: Callable[..., logging.LogRecord], secrets: Sequence[str]) -> Callable[..., logging.LogRecord]:
    def made(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = make(*args, **kwargs)
        record.msg, record.args = hidden(record.getMessage(), secrets), ()
        if record.exc_info and record.exc_info[1] is not None:
            record.exc_text = hidden("".join(traceback.format_exception(record.exc_info[1])), secrets)
        return record

    return made


def _proxy_passwords() -> list[str]:
    passwords = [urlsplit(address).password for address in getproxies().values() if "@" in address]
    return [password for password in passwords if password]
