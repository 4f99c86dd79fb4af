"""A loopback HTTP server with ETags and ranges, whose answers can be made to fail in the ways that networks do.

What is asked and what was sent is counted at the server.
"""

from __future__ import annotations

import hashlib
import re
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

FAULTS = ("429", "500", "503", "reset", "stall", "truncated", "wrong")
STALL_SECONDS = 3.0


@dataclass
class Asked:
    """One request.

    Attributes:
        path: Without parameters.
        parameters: As they were given, decoded.
        headers: With names in small letters.
        status: Of the answer.
        sent: Bytes of its body.
    """

    path: str
    parameters: dict[str, str]
    headers: dict[str, str]
    status: int = 0
    sent: int = 0


@dataclass(frozen=True)
class Answer:
    """What a path gives."""

    body: bytes
    kind: str = "application/octet-stream"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


Route = Callable[[Asked], Answer | None]


class LoopbackServer:
    """See the module.

    Attributes:
        files: Bodies by path; served with an ETag (their MD5, as S3 has it) and in ranges.
        routes: Asked before `files`.
        faults: What goes wrong instead, by the number of the request, counted from 0.
        asked: All requests in their order.
        if_range: Whether If-Range is obeyed; S3 does not name it among what it knows.
        chunk_pause: Seconds after each 4 KiB of a file.
        etags: Whether files have ETags.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.routes: list[Route] = []
        self.faults: dict[int, str] = {}
        self.asked: list[Asked] = []
        self.if_range, self.etags = True, True
        self.chunk_pause = 0.0
        self._lock = threading.Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                server.answer(self)

            do_POST = do_GET  # noqa: N815

            def log_message(self, *args: Any) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._http.handle_error = lambda *args: None  # type: ignore[method-assign] # clients that are killed
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def times_asked(self) -> Counter[str]:
        """Requests by path."""
        return Counter(asked.path for asked in self.asked)

    def bytes_sent(self) -> int:
        return sum(asked.sent for asked in self.asked)

    def answer(self, http: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(http.path)
        asked = Asked(
            unquote(parts.path),
            dict(parse_qsl(parts.query)),
            {name.lower(): value for name, value in http.headers.items()},
        )
        length = int(http.headers.get("Content-Length", 0))
        asked.headers["body"] = http.rfile.read(length).decode() if length else ""
        with self._lock:
            number = len(self.asked)
            self.asked.append(asked)
        fault = self.faults.get(number, "")
        if fault.isdigit():
            extra = {"Retry-After": "0"} if fault == "429" else {}
            self._send(http, asked, Answer(b"no\n", "text/plain", int(fault), extra))
            return
        answer = next((given for route in self.routes if (given := route(asked)) is not None), None)
        if answer is None and asked.path in self.files:
            answer = self._file(asked)
        self._send(http, asked, answer or Answer(b"<Error><Code>NoSuchKey</Code></Error>", "text/xml", 404), fault)

    def _file(self, asked: Asked) -> Answer:
        body = self.files[asked.path]
        etag = etag_of(body)
        headers = {"ETag": etag} if self.etags else {}
        wanted = re.fullmatch(r"bytes=(\d+)-", asked.headers.get("range", ""))
        unchanged = not self.if_range or asked.headers.get("if-range", etag) == etag
        if wanted and unchanged:
            first = int(wanted[1])
            if first >= len(body):
                return Answer(b"", status=416, headers={"Content-Range": f"bytes */{len(body)}"})
            headers["Content-Range"] = f"bytes {first}-{len(body) - 1}/{len(body)}"
            return Answer(body[first:], status=206, headers=headers)
        return Answer(body, headers=headers)

    def _send(self, http: BaseHTTPRequestHandler, asked: Asked, answer: Answer, fault: str = "") -> None:
        body, asked.status = answer.body, answer.status
        if fault == "reset" and len(body) < 2:
            _reset(http.connection)
            return
        http.send_response(answer.status)
        http.send_header("Content-Type", answer.kind)
        http.send_header("Content-Length", str(len(body)))
        for name, value in answer.headers.items():
            http.send_header(name, value)
        http.end_headers()
        if fault == "wrong" and body:  # a flipped bit in the middle
            middle = len(body) // 2
            body = body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :]
        cut = len(body) if fault in ("", "wrong") else len(body) * 2 // 3
        for begin in range(0, cut, 4096):
            piece = body[begin : min(begin + 4096, cut)]
            http.wfile.write(piece)
            asked.sent += len(piece)
            if self.chunk_pause:
                time.sleep(self.chunk_pause)
        http.wfile.flush()
        if fault == "stall":
            time.sleep(STALL_SECONDS)
        if fault == "reset":
            _reset(http.connection)
        if fault in ("stall", "reset", "truncated"):
            http.close_connection = True


def etag_of(body: bytes) -> str:
    return f'"{hashlib.md5(body).hexdigest()}"'


def _reset(connection: socket.socket) -> None:
    """Ends a connection as a router does that has forgotten it."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


@contextmanager
def loopback_server() -> Iterator[LoopbackServer]:
    server = LoopbackServer()
    try:
        yield server
    finally:
        server.close()


@contextmanager
def only_loopback() -> Iterator[None]:
    """Refuses connections of this process to other machines, and the names of other machines."""
    connect, look_up = socket.socket.connect, socket.getaddrinfo

    def guarded(self: socket.socket, address: Any) -> Any:
        if isinstance(address, tuple) and address[0] not in ("127.0.0.1", "::1", "localhost"):
            raise AssertionError(f"asks {address[0]}, expected this machine alone")
        return connect(self, address)

    def guarded_look_up(host: Any, *args: Any, **kwargs: Any) -> Any:
        if host not in ("127.0.0.1", "::1", "localhost", None):
            raise AssertionError(f"looks up {host}, expected this machine alone")
        return look_up(host, *args, **kwargs)

    socket.socket.connect = guarded  # type: ignore[method-assign]
    socket.getaddrinfo = guarded_look_up
    try:
        yield
    finally:
        socket.socket.connect = connect  # type: ignore[method-assign]
        socket.getaddrinfo = look_up
