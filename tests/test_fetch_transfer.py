"""Files over HTTP from a server that fails in every way: in the end they are there, right, and fetched once."""

from __future__ import annotations

import gzip
import hashlib
import json
import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fetch_runs import QUICK, asked_quickly
from fetch_server import FAULTS, Answer, Asked, LoopbackServer, etag_of
from full_disk import no_file_above

from model_utils.errors import IncompleteError, InputError, UnwritableError
from model_utils.fetching.transfer import http_source
from model_utils.fetching.transfer.endpoint import endpoint
from model_utils.fetching.transfer.http_source import HttpSource
from model_utils.fetching.transfer.manifest import MANIFEST, Begun, Manifest, partial_path
from model_utils.fetching.transfer.many import MOST_IN_VAIN, fetch_files, plan
from model_utils.fetching.transfer.progress import Arrivals
from model_utils.fetching.transfer.rate_limit import RateLimit
from model_utils.fetching.transfer.remote_file import RemoteFile


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with asked_quickly() as server:
        yield server


def some_files(server: LoopbackServer, count: int = 5, size: int = 30_000, seed: int = 0) -> list[RemoteFile]:
    noise = random.Random(seed)
    for number in range(count):
        packed = gzip.compress(noise.randbytes(size + number), mtime=0)
        server.files[f"/d{number % 2}/f{number}.csv.gz"] = packed
    return listed(server)


def listed(server: LoopbackServer) -> list[RemoteFile]:
    """What a bucket's list would say of the files."""
    return [
        RemoteFile(f"{server.url}{path}", path[1:], len(body), etag_of(body), etag_is_md5=True)
        for path, body in sorted(server.files.items())
    ]


def fetch(server: LoopbackServer, files: list[RemoteFile], folder: Path, connections: int = 1) -> None:
    with HttpSource("the server") as source:
        fetch_files(source, files, folder, "files", connections)


def expect_all(server: LoopbackServer, folder: Path, gone: tuple[str, ...] = ()) -> None:
    """All files are there, right, noted, and nothing else is."""
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    wanted = {path[1:]: body for path, body in server.files.items() if path not in gone}
    assert set(found) == {*wanted, MANIFEST}
    assert {path: found[path].read_bytes() for path in wanted} == wanted
    lines = [json.loads(line) for line in found[MANIFEST].read_text().splitlines()]
    assert [line["path"] for line in lines] == sorted(wanted)
    for line in lines:
        assert line["sha256"] == hashlib.sha256(wanted[line["path"]]).hexdigest()
        assert line["bytes"] == len(wanted[line["path"]])


def test_these_tests_ask_no_other_machine(server: LoopbackServer, tmp_path: Path) -> None:
    for url in ("http://192.0.2.1/a", "http://archive.example.org/a"):
        with pytest.raises(AssertionError, match="expected this machine alone"):
            fetch(server, [RemoteFile(url, "a")], tmp_path)


def test_files_come_with_a_manifest_and_only_once(server: LoopbackServer, tmp_path: Path) -> None:
    files = some_files(server, 20)
    fetch(server, files, tmp_path, connections=4)
    expect_all(server, tmp_path)
    fetch(server, files, tmp_path, connections=4)
    assert set(server.times_asked().values()) == {1}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_at_random_places_is_overcome(server: LoopbackServer, tmp_path: Path, fault: str) -> None:
    """Each of 20 turns has the fault at two other requests; each costs one more question."""
    places = random.Random(fault)
    turns = 20 if fault != "stall" else 4  # each of them takes as long as a client waits
    for turn in range(turns):
        server.files.clear()
        files = some_files(server, 6, size=places.randrange(1, 60_000), seed=turn)
        begun = len(server.asked)
        server.faults = dict.fromkeys((begun + number for number in places.sample(range(6), 2)), fault)
        fetch(server, files, tmp_path / str(turn), connections=places.choice([1, 3]))
        expect_all(server, tmp_path / str(turn))
        assert len(server.asked) - begun == 6 + 2


@pytest.mark.parametrize("if_range", [True, False])
def test_a_lost_connection_goes_on_where_it_was(server: LoopbackServer, tmp_path: Path, if_range: bool) -> None:
    server.if_range = if_range
    files = some_files(server, 1, size=300_000)
    server.faults = {0: "truncated", 1: "truncated"}
    fetch(server, files, tmp_path)
    expect_all(server, tmp_path)
    assert [asked.status for asked in server.asked] == [200, 206, 206]
    assert server.bytes_sent() == files[0].size


@pytest.mark.parametrize("if_range", [True, False])
def test_a_file_that_changes_in_the_middle_comes_anew(server: LoopbackServer, tmp_path: Path, if_range: bool) -> None:
    """Also from a server that overlooks If-Range and would give the end of another version."""
    server.if_range = if_range
    files = some_files(server, 1, size=50_000)
    (path,) = server.files
    server.faults = dict.fromkeys(range(7), "truncated")
    with pytest.raises(IncompleteError):
        fetch(server, files, tmp_path)
    assert partial_path(tmp_path / path[1:]).exists()
    server.files[path] = gzip.compress(random.Random(1).randbytes(50_000), mtime=0)
    fetch(server, files, tmp_path)  # by the list of before
    expect_all(server, tmp_path)
    asked = len(server.asked)
    fetch(server, listed(server), tmp_path)
    assert len(server.asked) == asked


@pytest.mark.parametrize("cut_off", ["before its line", "before its last step", "in its line"])
def test_a_file_that_had_come_whole_is_not_asked_for_again(
    server: LoopbackServer, tmp_path: Path, cut_off: str
) -> None:
    """A run that was killed between a file's last byte, its line in the manifest, and its last step."""
    files = some_files(server, 2)
    manifest = Manifest(tmp_path)
    path = files[0].path
    partial = partial_path(tmp_path / path)
    partial.parent.mkdir(parents=True)
    body = server.files[f"/{path}"]
    partial.write_bytes(body)
    manifest.begin(files[0], etag_of(body), len(body))
    if cut_off != "before its line":
        manifest.add(files[0], partial, hashlib.sha256(body).hexdigest(), etag_of(body))
        (tmp_path / path).rename(partial)
    if cut_off == "in its line":
        text = (tmp_path / MANIFEST).read_text()
        (tmp_path / MANIFEST).write_text(text[: -len(text.splitlines()[-1]) // 2])
    fetch(server, files, tmp_path)
    expect_all(server, tmp_path)
    assert [asked.path for asked in server.asked] == [f"/{files[1].path}"]


def test_a_part_of_another_file_is_not_gone_on_with(server: LoopbackServer, tmp_path: Path) -> None:
    files = some_files(server, 1)
    partial = partial_path(tmp_path / files[0].path)
    partial.parent.mkdir(parents=True)
    partial.write_bytes(b"of long ago")
    fetch(server, files, tmp_path)
    expect_all(server, tmp_path)
    assert "range" not in server.asked[0].headers


def test_the_end_of_another_version_is_never_added(server: LoopbackServer, tmp_path: Path) -> None:
    """Of as many bytes, from a server that overlooks If-Range, and nothing is known by which the mixture would show."""
    server.if_range = False
    server.files["/a.tif"] = b"a" * 300_000
    file = RemoteFile(f"{server.url}/a.tif", "a.tif")
    server.faults = dict.fromkeys(range(7), "truncated")
    with pytest.raises(IncompleteError):
        fetch(server, [file], tmp_path)
    server.files["/a.tif"] = b"b" * 300_000
    fetch(server, [file], tmp_path)
    expect_all(server, tmp_path)


def test_a_bit_that_flips_on_the_way_shows_in_the_etag(server: LoopbackServer, tmp_path: Path) -> None:
    server.files["/a.csv"] = b"one,two\n" * 99
    server.faults = {0: "wrong"}
    fetch(server, listed(server), tmp_path)
    expect_all(server, tmp_path)
    assert len(server.asked) == 2


def test_another_version_at_the_source_is_fetched(server: LoopbackServer, tmp_path: Path) -> None:
    fetch(server, some_files(server), tmp_path)
    path = min(server.files)
    server.files[path] = gzip.compress(b"new", mtime=0)
    assert [file.path for file in plan(listed(server), tmp_path).missing] == [path[1:]]
    fetch(server, listed(server), tmp_path)
    expect_all(server, tmp_path)
    assert server.times_asked()[path] == 2
    assert sum(server.times_asked().values()) == 6


def test_a_file_that_is_gone_from_the_folder_is_fetched(server: LoopbackServer, tmp_path: Path) -> None:
    files = some_files(server)
    fetch(server, files, tmp_path)
    (tmp_path / files[2].path).unlink()
    fetch(server, files, tmp_path)
    expect_all(server, tmp_path)
    assert sum(server.times_asked().values()) == 6


def test_what_is_missing_is_named_and_all_else_stays(
    server: LoopbackServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = some_files(server)
    gone, damaged = sorted(server.files)[:2]
    kept = server.files.pop(gone)
    right = server.files[damaged]
    server.files[damaged] = right[:-9]  # whole on its way, but cut at the source
    with pytest.raises(IncompleteError, match="2 of 5 files could not be fetched"):
        fetch(server, files, tmp_path)
    said = capsys.readouterr().err.splitlines()
    told = {line.split(": ")[1]: line for line in said if line.startswith("missing: ")}
    assert set(told) == {gone[1:], damaged[1:]}
    assert "404" in told[gone[1:]]
    assert "cannot be unpacked" in told[damaged[1:]]
    expect_all(server, tmp_path, gone=(gone, damaged))
    server.files |= {gone: kept, damaged: right}
    before = len(server.asked)
    fetch(server, files, tmp_path)
    expect_all(server, tmp_path)
    assert sorted(asked.path for asked in server.asked[before:]) == [gone, damaged]


def test_a_wrong_checksum_is_never_kept(
    server: LoopbackServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.files["/a.tif"] = b"pixels"
    wrong = RemoteFile(f"{server.url}/a.tif", "a.tif", checksum="sha256:" + hashlib.sha256(b"others").hexdigest())
    with pytest.raises(IncompleteError):
        fetch(server, [wrong], tmp_path)
    assert "wrong checksum: sha256" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == [MANIFEST]
    assert len(server.asked) == 1 + http_source.TRIED_WHERE_DAMAGED
    right = RemoteFile(f"{server.url}/a.tif", "a.tif", checksum="sha256:" + hashlib.sha256(b"pixels").hexdigest())
    fetch(server, [right], tmp_path)
    expect_all(server, tmp_path)


def test_a_length_that_the_list_does_not_have(server: LoopbackServer, tmp_path: Path) -> None:
    server.files["/a.tif"], server.etags = b"pixels", False
    with pytest.raises(IncompleteError):
        fetch(server, [RemoteFile(f"{server.url}/a.tif", "a.tif", size=7)], tmp_path)
    assert not (tmp_path / "a.tif").exists()


def test_the_content_can_be_looked_at(server: LoopbackServer, tmp_path: Path) -> None:
    server.files["/a.json"] = b"<html>please log in</html>"

    def is_json(path: Path) -> None:
        json.loads(path.read_bytes())

    with pytest.raises(IncompleteError):
        fetch(server, [RemoteFile(f"{server.url}/a.json", "a.json", check=is_json)], tmp_path)
    server.files["/a.json"] = b"{}"
    fetch(server, [RemoteFile(f"{server.url}/a.json", "a.json", check=is_json)], tmp_path)
    expect_all(server, tmp_path)


def test_packed_on_the_way_is_unpacked_and_a_packed_file_is_not(server: LoopbackServer, tmp_path: Path) -> None:
    body = gzip.compress(b"one,two\n" * 999, mtime=0)

    def packed(asked: Asked) -> Answer:
        return Answer(body, headers={"Content-Encoding": "gzip"})

    server.routes.append(packed)
    fetch(server, [RemoteFile(f"{server.url}/{name}", name) for name in ("a.csv", "a.csv.gz")], tmp_path)
    assert (tmp_path / "a.csv").read_bytes() == b"one,two\n" * 999
    assert (tmp_path / "a.csv.gz").read_bytes() == body
    assert all(asked.headers["accept-encoding"] == "identity" for asked in server.asked)


def test_a_large_file_may_be_lost_often_if_it_comes_on(server: LoopbackServer, tmp_path: Path) -> None:
    """More often than a question is asked again."""
    server.files["/scene.tif"] = random.Random(0).randbytes(2**24)
    server.faults = dict.fromkeys(range(9), "truncated")
    fetch(server, listed(server), tmp_path)
    expect_all(server, tmp_path)
    assert len(server.asked) == 10
    assert 2**24 <= server.bytes_sent() < 2**24 + 9 * 2**16  # what had come of a block that was cut comes again


def test_a_source_that_is_down_is_not_asked_for_ever(
    server: LoopbackServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = some_files(server, MOST_IN_VAIN + 30, size=10)
    server.faults = dict.fromkeys(range(10_000), "503")
    with pytest.raises(IncompleteError, match=f"{len(files)} of {len(files)} files"):
        fetch(server, files, tmp_path)
    assert capsys.readouterr().err.count("missing: ") == len(files)
    assert len(server.asked) <= (MOST_IN_VAIN + 1) * 7


def test_retry_after_is_obeyed(server: LoopbackServer, tmp_path: Path) -> None:
    server.files["/a"] = b"x"
    times = []

    def busy(asked: Asked) -> Answer | None:
        times.append(time.monotonic())
        return Answer(b"", status=429, headers={"Retry-After": "1"}) if len(times) == 1 else None

    server.routes.append(busy)
    fetch(server, listed(server), tmp_path)
    assert 0.95 < times[1] - times[0] < 3


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7),
        ({"x-ratelimit-reset": "44", "x-ratelimit-remaining": "0"}, 44),
        ({"Retry-After": "5", "x-ratelimit-reset": "44"}, 5),
        ({"x-ratelimit-reset": "soon"}, None),
        ({}, None),
    ],
)
def test_openaqs_own_header_counts_too(headers: dict[str, str], seconds: float | None) -> None:
    """https://docs.openaq.org/using-the-api/rate-limits."""
    from urllib3 import HTTPResponse

    assert QUICK.get_retry_after(HTTPResponse(status=429, headers=headers)) == seconds


def test_too_long_a_pause_is_left_to_a_person(
    server: LoopbackServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.routes.append(lambda asked: Answer(b"", status=429, headers={"Retry-After": "18000"}))
    with pytest.raises(IncompleteError):
        fetch(server, [RemoteFile(f"{server.url}/a", "a")], tmp_path)
    assert "429 Too Many Requests, asks to wait 5.0 h" in capsys.readouterr().err


def test_the_rate_limit_by_a_clock_that_stands() -> None:
    now = 0.0
    limit = RateLimit((3, 60.0), (5, 3600.0), clock=lambda: now)
    assert [limit.pause() for _ in range(7)] == [0, 0, 0, 60, 60, 3600, 3600]
    now = 10_000.0
    assert [limit.pause(), limit.pause(2), limit.pause(99), limit.pause()] == [0, 0, 3600, 7200]


def test_no_window_holds_more_than_the_limit() -> None:
    """Brute force over random questions."""
    draw = random.Random(3)
    now, sent = 0.0, []
    limit = RateLimit((5, 10.0), (20, 100.0), clock=lambda: now)
    for _ in range(500):
        now += draw.expovariate(1.0)
        cost = draw.randrange(1, 4)
        at = now + limit.pause(cost)
        now = draw.choice([now, at])
        sent += [at] * cost
    for count, seconds in ((5, 10.0), (20, 100.0)):
        for at in sent:
            assert sum(at - seconds + 1e-6 < other <= at for other in sent) <= count
    assert sum(sent[-1] - 100 < other <= sent[-1] for other in sent) > 10  # and it is not slower than it must be


def test_threads_keep_to_the_limit_together(server: LoopbackServer, tmp_path: Path) -> None:
    files = some_files(server, 12, size=5)
    began = time.monotonic()
    with HttpSource("the server", RateLimit((4, 0.5))) as source:
        fetch_files(source, files, tmp_path, "files", connections=4)
    assert 1.0 <= time.monotonic() - began < 4


def test_a_full_disk_is_a_line_and_leaves_no_part(server: LoopbackServer, tmp_path: Path) -> None:
    files = some_files(server, 4, size=100_000)
    with pytest.raises(UnwritableError, match=r"f0.csv.gz: cannot be written: file too large"), no_file_above(50_000):
        fetch(server, files, tmp_path)
    assert not [path for path in tmp_path.rglob("*.gz*") if path.is_file()]
    fetch(server, files, tmp_path)
    expect_all(server, tmp_path)


def test_room_for_no_more_than_some_lines(server: LoopbackServer, tmp_path: Path) -> None:
    """The manifest is what no longer fits."""
    files = some_files(server, 12, size=50)
    with pytest.raises(UnwritableError, match="file too large"), no_file_above(1000):
        fetch(server, files, tmp_path)
    fetch(server, files, tmp_path)
    expect_all(server, tmp_path)
    assert sum(server.times_asked().values()) <= 13


def test_a_line_for_which_there_is_no_room_leaves_no_half(server: LoopbackServer, tmp_path: Path) -> None:
    """Others may follow where room is made."""
    files = some_files(server, 3, size=10)
    manifest = Manifest(tmp_path)
    manifest.begin(files[0], '"a"', 1)
    size = (tmp_path / MANIFEST).stat().st_size
    with pytest.raises(UnwritableError, match=r"manifest\.jsonl: cannot be written"), no_file_above(size + 9):
        manifest.begin(files[1], '"b"', 1)
    assert (tmp_path / MANIFEST).stat().st_size == size
    manifest.begin(files[2], '"c"', 1)
    assert Manifest(tmp_path, read_only=True).begun(files[2]) == Begun(files[2].url, '"c"', 1)


def test_the_last_bytes_of_a_file_of_no_known_length(server: LoopbackServer, tmp_path: Path) -> None:
    """The system takes a part of what it is given, and says at the next try only that the disk is full."""
    body = b"x" * 100_000
    server.routes.append(lambda asked: Answer(gzip.compress(body), headers={"Content-Encoding": "gzip"}))
    with pytest.raises(UnwritableError, match="file too large"), no_file_above(99_999):
        fetch(server, [RemoteFile(f"{server.url}/a.csv", "a.csv")], tmp_path)
    assert not (tmp_path / "a.csv").exists()


def test_two_at_once_is_refused(server: LoopbackServer, tmp_path: Path) -> None:
    files = some_files(server, 2, size=40_000)
    server.chunk_pause = 0.02
    other = threading.Thread(target=fetch, args=(server, files, tmp_path))
    other.start()
    while not server.asked:
        time.sleep(0.01)
    with pytest.raises(InputError, match="another process is writing it"):
        fetch(server, files, tmp_path)
    other.join()
    expect_all(server, tmp_path)


def test_ctrl_c_does_not_wait_for_what_is_under_way(
    server: LoopbackServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = some_files(server, 8, size=400_000)
    server.chunk_pause = 0.05  # five seconds a file
    calls = []

    def interrupted(self: Arrivals, count: int) -> None:
        calls.append(count)
        if len(calls) == 24:
            raise KeyboardInterrupt

    monkeypatch.setattr(Arrivals, "bytes_came", interrupted)
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        fetch(server, files, tmp_path, connections=4)
    assert time.monotonic() - began < 4
    monkeypatch.undo()
    server.chunk_pause = 0
    fetch(server, files, tmp_path)
    expect_all(server, tmp_path)
    assert any(asked.status == 206 for asked in server.asked)


@pytest.mark.parametrize(
    "path", ["../secret", "/etc/cron.d/x", "a/../../b", ".hidden", "a/.b", "", "a\0b", "manifest/../.."]
)
def test_a_path_that_leads_out_of_the_folder_is_refused(path: str) -> None:
    with pytest.raises(IncompleteError, match="expected a path inside the folder"):
        RemoteFile("https://example.org/x", path)


@pytest.mark.parametrize("line", ["{}", "nonsense", '{"begun": "a"}', "[]", "3"])
def test_a_manifest_that_is_none_is_named_with_its_line(tmp_path: Path, line: str) -> None:
    (tmp_path / MANIFEST).write_text(f"{line}\n{line}\n")
    with pytest.raises(InputError, match=rf"{MANIFEST}: line 1: found "):
        Manifest(tmp_path)


@pytest.mark.parametrize(
    ("address", "wrong"),
    [
        ("ftp://mirror", "expected an address such as https://usual"),
        ("mirror/v3", "expected an address such as"),
        ("https://me:secret@mirror", "names a user"),
        ("http://mirror:notaport", "expected an address"),
        ("http://mirror/v3", "the key would travel unencrypted"),
        ("https://mirror/v3?key=1", "expected an address"),
    ],
)
def test_a_wrong_mirror_is_a_line(address: str, wrong: str) -> None:
    with pytest.raises(InputError, match=wrong) as error:
        endpoint(address, "SOME_ENDPOINT", "https://usual", takes_key=True)
    assert "secret" not in str(error.value)


def test_the_flag_goes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert endpoint(None, "SOME_ENDPOINT", "https://usual/") == "https://usual"
    monkeypatch.setenv("SOME_ENDPOINT", "http://[::1]:80/a/")
    assert endpoint(None, "SOME_ENDPOINT", "https://usual", takes_key=True) == "http://[::1]:80/a"
    assert endpoint("https://mirror", "SOME_ENDPOINT", "https://usual") == "https://mirror"


def test_lines_of_progress_have_bytes_and_time_left() -> None:
    arrived = Arrivals("scenes", 4, 10_000_000)
    arrived.bytes_came(2_500_000)
    arrived.file_done()
    assert arrived.line(10.0) == "scenes: 1 of 4 files, 2.5 MB of 10.0 MB, 0.25 MB/s, 30 s left"
    unknown = Arrivals("scenes", 4, None)
    unknown.bytes_came(400)
    unknown.file_done()
    assert unknown.line(10.0) == "scenes: 1 of 4 files, 0.4 kB, 4e-05 MB/s, 30 s left"


def test_proxies_and_certificates_of_the_environment_are_used(
    server: LoopbackServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy is asked with whole addresses; a file of certificates that is not there is missed."""
    monkeypatch.setenv("HTTP_PROXY", server.url)
    monkeypatch.setenv("http_proxy", server.url)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    server.routes.append(lambda asked: Answer(b"by proxy"))
    fetch(server, [RemoteFile("http://archive.invalid/a", "a")], tmp_path)
    assert (tmp_path / "a").read_bytes() == b"by proxy"
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "none.pem"))
    monkeypatch.setenv("HTTPS_PROXY", "")
    with HttpSource("the archive") as source, pytest.raises(Exception, match=r"none\.pem"):
        source.json("https://127.0.0.1:1/a")
