"""Asking one source over HTTP: as often as it allows, and again where it does not answer.

Proxies and certificates come from the environment, as requests reads them: HTTPS_PROXY, NO_PROXY, REQUESTS_CA_BUNDLE.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar

import requests
from requests.exceptions import ChunkedEncodingError, ContentDecodingError, SSLError
from urllib3 import Retry
from urllib3.exceptions import HTTPError, MaxRetryError
from urllib3.response import BaseHTTPResponse

from model_utils.configuration import package_version
from model_utils.errors import IncompleteError, InputError
from model_utils.fetching.transfer.keys import Key
from model_utils.fetching.transfer.rate_limit import RateLimit
from model_utils.progress import duration

Taken = TypeVar("Taken")

CONNECT_SECONDS, READ_SECONDS = 10.0, 60.0
"""Without a connection, and without a byte of an answer."""

LONGEST_WAIT = 3600.0
"""Seconds; a source that asks for more is asked again by a person."""

TRIED_WHERE_DAMAGED = 2
"""More times; what is damaged on its way comes whole the next time, and what is damaged at the source never."""

_TOLD_WAIT = 10.0
_TRIED_AGAIN = (408, 425, 429, 500, 502, 503, 504)
_REFUSED = (401, 403)
_MOST_SAID = 4096


class Patience(Retry):
    """How often and when a question is asked again: after what `Retry-After` says, else after 2, 4, 8 ... seconds."""

    def get_retry_after(self, response: BaseHTTPResponse) -> float | None:
        """The seconds that a source asks for; OpenAQ says them in a header of its own."""
        asked: float | None = super().get_retry_after(response)
        if asked is None and response.status == 429 and (reset := response.headers.get("x-ratelimit-reset")):
            asked = float(reset) if reset.isdigit() else None
        return asked


PATIENCE = Patience(total=6, backoff_factor=1.0, backoff_max=60.0, backoff_jitter=1.0, respect_retry_after_header=True)


class DamagedAnswerError(Exception):
    """An answer that is not what it should be; the question is asked again."""


class _StatusError(Exception):
    """A status that passes with time."""


class RefusedError(IncompleteError):
    """The source answered that it does not give this: it is asked no more."""


class UnreachableError(IncompleteError):
    """The source did not answer, or never as it should, however often it was asked."""


class StoppedError(Exception):
    """The run ends for another reason."""


class HttpSource:
    """A source of data; a context manager that closes its connections. Safe to share between threads.

    Args:
        name: What messages call it.
        limit: How often it may be asked.
        key: Sent in the header `key_header`, and to no other host: redirections are not followed then.
        key_header: Name of that header.
    """

    def __init__(
        self, name: str, limit: RateLimit | None = None, key: Key | None = None, key_header: str = "X-API-Key"
    ) -> None:
        self.name = name
        self._limit = limit or RateLimit()
        self._key, self._key_header = key, key_header
        self._stopped = threading.Event()
        self._of_thread = threading.local()
        self._sessions: list[requests.Session] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for session in self._sessions:
            session.close()

    def stop(self) -> None:
        """Lets all threads that ask or wait raise `StoppedError`."""
        self._stopped.set()

    def refuse_stopped(self) -> None:
        """Raises `StoppedError` if the run ends; for those who read long answers."""
        if self._stopped.is_set():
            raise StoppedError

    def ask(
        self,
        url: str,
        take: Callable[[requests.Response], Taken],
        *,
        parameters: Mapping[str, str | int | float] | None = None,
        headers: Callable[[], Mapping[str, str]] = dict,
        cost: int = 1,
    ) -> Taken:
        """Asks until an answer is taken.

        Args:
            url: The address.
            take: Gets the answer, of status 200, 206 or 416, its body unread; what it raises as
                `DamagedAnswerError`, or a connection that is lost while it reads, leads to another question.
            parameters: Of the question.
            headers: Gives further headers, anew for each question.
            cost: How many requests the question counts as for the source's limit.

        Raises:
            RefusedError: The source gave another status.
            UnreachableError: It was asked in vain, or asks for too long a pause.
            InputError: It refuses the key, or its certificate is not one to trust.
            StoppedError: See `stop`.
        """
        patience, damaged = PATIENCE, 0
        while True:
            self._wait(self._limit.pause(cost))
            answer: BaseHTTPResponse | None = None
            try:
                with self._session().get(
                    url,
                    params=parameters,
                    headers=dict(headers()),
                    stream=True,
                    timeout=(CONNECT_SECONDS, READ_SECONDS),
                    allow_redirects=self._key is None,
                ) as response:
                    if response.status_code not in _TRIED_AGAIN:
                        self._refuse(response)
                        return take(response)
                    answer = response.raw
                    problem: Exception = _StatusError(f"{response.status_code} {response.reason}")
            except SSLError as error:
                raise InputError(
                    f"{self.name}: {_reason(error)}; REQUESTS_CA_BUNDLE=FILE names certificates of your own network"
                ) from None
            except DamagedAnswerError as error:
                problem, damaged = error, damaged + 1
                if damaged > TRIED_WHERE_DAMAGED:
                    raise UnreachableError(f"{self.name}: {error}, {damaged} times") from None
            except _LOST as error:
                problem = error
            try:
                patience = patience.increment("GET", url, error=problem)
            except MaxRetryError:
                raise UnreachableError(f"{self.name}: {_reason(problem)}, after several tries") from None
            seconds = patience.get_backoff_time()
            if answer is not None and (asked := patience.get_retry_after(answer)) is not None:
                if asked > LONGEST_WAIT:
                    raise UnreachableError(f"{self.name}: {_reason(problem)}, asks to wait {duration(asked)}")
                seconds = max(seconds, asked)
            if seconds >= _TOLD_WAIT:
                print(f"{self.name}: {_reason(problem)}; waits {duration(seconds)}", file=sys.stderr, flush=True)
            self._wait(seconds)

    def json(self, url: str, parameters: Mapping[str, str | int | float] | None = None) -> Any:
        """An answer in JSON; see `ask` for what is raised."""
        return self.ask(url, _json, parameters=parameters)

    def _session(self) -> requests.Session:
        """The thread's own: sessions are not made to be shared."""
        session: requests.Session | None = getattr(self._of_thread, "session", None)
        if session is None:
            self._of_thread.session = session = requests.Session()
            session.headers["User-Agent"] = f"pm25-contrastive/{package_version()}"
            if self._key is not None:
                session.headers[self._key_header] = self._key.value
            self._sessions.append(session)
        return session

    def _refuse(self, response: requests.Response) -> None:
        status = response.status_code
        if status in (200, 206, 416):
            return
        said = _said(response)
        if self._key is not None and status in _REFUSED:
            raise InputError(f"{self.name} refuses the key of {self._key.origin}: {status} {response.reason}{said}")
        raise RefusedError(f"{self.name}: {status} {response.reason}{said}")

    def _wait(self, seconds: float) -> None:
        if self._stopped.wait(seconds) if seconds > 0 else self._stopped.is_set():
            raise StoppedError


_LOST = (requests.ConnectionError, requests.Timeout, ChunkedEncodingError, ContentDecodingError, HTTPError)
"""What is raised where a connection is not made, is lost or stalls; the last by urllib3 itself, of raw bytes."""


def _json(response: requests.Response) -> Any:
    try:
        return json.loads(response.content)
    except (ValueError, RecursionError):
        raise DamagedAnswerError(f"found no JSON but {response.content[:60]!r}") from None


def _said(response: requests.Response) -> str:
    """What an answer says of why it refuses, for a message."""
    try:
        text = " ".join(response.raw.read(_MOST_SAID, decode_content=True).decode("utf-8", "replace").split())
    except _LOST:
        return ""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        content = None
    if isinstance(content, dict):
        text = str(next((content[key] for key in ("reason", "message", "detail", "title") if key in content), text))
    return f" ({text[:200]})" if text and not text.startswith("<") else ""


def _reason(error: BaseException) -> str:
    """The innermost reason of an error of the network, without the address and its parameters."""
    while True:
        inside = [each for each in (getattr(error, "reason", None), *error.args) if isinstance(each, BaseException)]
        if not inside:
            break
        error = inside[-1]
    text = str(error).rpartition("): ")[2]  # 'HTTPConnection(host=..., port=...): Failed to ...'
    return " ".join(text.split())[:200] or type(error).__name__
