"""A STAC catalogue with its files on loopback: searches as Earth Search answers them, byte ranges, faults at will."""

from __future__ import annotations

import json
import random
import re
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

Fault = str
"""'429', '500', '503', 'reset', 'stall' or 'cut'; '' for none."""

PAGE = 3


@dataclass
class World:
    """What the server has, and what was asked of it.

    Attributes:
        folder: Of the files, below /files/.
        items: Of the catalogue.
        fault: Gives the fault of a request; asked with the path.
        asked: How often each path was asked for.
        sent: Bytes of bodies sent, by path.
    """

    folder: Path
    items: list[dict[str, Any]] = field(default_factory=list)
    fault: Callable[[str], Fault] = lambda path: ""
    asked: Counter[str] = field(default_factory=Counter)
    sent: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def forget(self) -> None:
        """Begins to count anew."""
        with self.lock:
            self.asked.clear()
            self.sent.clear()


def faults_at(chance: random.Random, kinds: tuple[Fault, ...], count: int, among: int) -> Callable[[str], Fault]:
    """Faults at some of the first requests."""
    places = dict.fromkeys(chance.sample(range(among), count))
    number = iter(range(10**9))
    return lambda path: chance.choice(kinds) if next(number) in places else ""


@contextmanager
def serving(world: World) -> Iterator[str]:
    """Gives the address of the catalogue."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, *_: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self.answer(None, body=False)

        def do_GET(self) -> None:
            self.answer(None)

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", "0"))
            self.answer(json.loads(self.rfile.read(length) or b"{}"))

        def answer(self, query: dict[str, Any] | None, body: bool = True) -> None:
            path = self.path.partition("?")[0]
            with world.lock:
                world.asked[path] += 1
                fault = world.fault(path)
            if fault in ("429", "500", "503"):
                self.send(int(fault), b"{}", {"Retry-After": "0"} if fault == "429" else {})
            elif fault == "reset":
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.close_connection = True
                self.connection.close()
            elif path.startswith("/files/"):
                self.file(world.folder / path.removeprefix("/files/"), fault, body)
            elif path == "/search":
                self.send(200, json.dumps(self.found(query or {})).encode(), {}, fault)
            else:
                self.send(200, json.dumps(self.root()).encode(), {}, fault)

        def file(self, path: Path, fault: Fault, body: bool) -> None:
            if not path.is_file():
                self.send(404, b"", {})
                return
            content = path.read_bytes()
            wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
            if not wanted:
                self.send(200, content, {"Accept-Ranges": "bytes"}, fault, body)
                return
            first = int(wanted[1])
            last = min(int(wanted[2] or len(content) - 1), len(content) - 1)
            if first > last:
                self.send(416, b"", {"Content-Range": f"bytes */{len(content)}"})
                return
            headers = {"Content-Range": f"bytes {first}-{last}/{len(content)}", "Accept-Ranges": "bytes"}
            self.send(206, content[first : last + 1], headers, fault, body)

        def send(
            self, status: int, content: bytes, headers: dict[str, str], fault: Fault = "", body: bool = True
        ) -> None:
            try:
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(content))}.items():
                    self.send_header(name, value)
                if fault in ("cut", "stall"):
                    self.send_header("Connection", "close")
                self.end_headers()
                if not body:
                    return
                if fault == "cut":
                    self.wfile.write(content[: len(content) // 2])
                    self.close_connection = True
                    return
                if fault == "stall":
                    self.wfile.write(content[: len(content) // 2])
                    self.wfile.flush()
                    time.sleep(3)
                    self.close_connection = True
                    return
                self.wfile.write(content)
                with world.lock:
                    world.sent[self.path.partition("?")[0]] += len(content)
            except OSError:  # the client is gone
                self.close_connection = True

        def root(self) -> dict[str, Any]:
            here = f"http://127.0.0.1:{self.server.server_address[1]}"
            core = "https://api.stacspec.org/v1.0.0"
            return {
                "type": "Catalog",
                "id": "loopback",
                "stac_version": "1.0.0",
                "description": "a catalogue",
                "conformsTo": [f"{core}/core", f"{core}/item-search"],
                "links": [
                    {"rel": "self", "href": here},
                    {"rel": "root", "href": here},
                    {"rel": "search", "href": f"{here}/search", "method": "POST", "type": "application/geo+json"},
                ],
            }

        def found(self, query: dict[str, Any]) -> dict[str, Any]:
            """A page of what lies in the box and time; the next one is asked for with a token in the body."""
            here = f"http://127.0.0.1:{self.server.server_address[1]}"
            west, south, east, north = query.get("bbox", [-180, -90, 180, 90])
            begins, ends = (datetime.fromisoformat(text) for text in query["datetime"].split("/"))
            fitting = [
                item
                for item in world.items
                if item["collection"] in query["collections"]
                and item["bbox"][0] <= east
                and item["bbox"][2] >= west
                and item["bbox"][1] <= north
                and item["bbox"][3] >= south
                and begins <= datetime.fromisoformat(item["properties"]["datetime"]) <= ends
            ]
            at = int(query.get("next", 0))
            links = []
            if at + PAGE < len(fitting):
                more = {**query, "next": str(at + PAGE)}
                links.append({"rel": "next", "method": "POST", "href": f"{here}/search", "body": more, "merge": False})
            text = json.dumps({"type": "FeatureCollection", "features": fitting[at : at + PAGE], "links": links})
            answer: dict[str, Any] = json.loads(text.replace("HERE", here))
            return answer

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
