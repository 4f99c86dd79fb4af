"""A planted key is found nowhere: on no disk, in no line, no log, no traceback, no list of processes."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import requests
from fetch_runs import asked_quickly, run
from fetch_server import Answer, Asked, LoopbackServer
from fetch_world import KEY, OpenAQ, write_city

from model_utils.errors import InputError
from model_utils.fetching.transfer.http_source import HttpSource, RefusedError
from model_utils.fetching.transfer.keys import Key, find_key, hidden, kept_secret

VERB = "fetch readings --city Lucknow --from 2019-01-01 --to 2019-01-03"
CODE = "import sys; from model_utils.cli.main import main; sys.exit(main(sys.argv[1:]))"
DEBUGGED = f"import logging; logging.basicConfig(level=logging.DEBUG); {CODE}"
REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenAQ]:
    with asked_quickly() as server:
        world = OpenAQ(server)
        world.fill("2018-12-31", "2019-01-04")
        for name, value in world.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("OPENAQ_API_KEY")
        write_city(tmp_path)
        yield world


def key_file(folder: Path, mode: int = 0o600, content: str = f"{KEY}\n") -> Path:
    path = folder / "openaq.key"
    path.write_text(content)
    path.chmod(mode)
    return path


def expect_nowhere(folder: Path, *texts: str) -> None:
    for path in folder.rglob("*"):
        if path.is_file() and path.name != "openaq.key":
            assert KEY.encode() not in path.read_bytes(), path
            assert KEY not in path.name
    for text in texts:
        assert KEY not in text


# where it comes from


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o610, 0o601])
def test_a_file_that_others_can_read_is_refused_in_a_line(
    world: OpenAQ, tmp_path: Path, mode: int, capsys: pytest.CaptureFixture[str]
) -> None:
    file = key_file(tmp_path, mode)
    code, _, error = run(f"{VERB} --key-file {file}", tmp_path, capsys)
    assert (code, error) == (
        2,
        f"pm25 fetch readings: {file}: others can read this key (mode {mode:04o}), expected 0600: chmod 600 {file}\n",
    )
    assert not world.server.asked


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_file_of_ones_own_serves(
    world: OpenAQ, tmp_path: Path, mode: int, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said, error = run(f"{VERB} --key-file {key_file(tmp_path, mode)}", tmp_path, capsys)
    assert code == 0
    assert world.server.asked[0].headers["x-api-key"] == KEY
    assert not any("x-api-key" in asked.headers for asked in world.server.asked if "/bucket/" in asked.path)
    expect_nowhere(tmp_path, said, error)


def test_no_key_is_a_line_that_says_where_from(
    world: OpenAQ, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, error = run(f"{VERB} --key-file {tmp_path / 'none'}", tmp_path, capsys)
    assert (code, error.count("\n")) == (2, 1)
    assert "expected one in the environment variable OPENAQ_API_KEY or in" in error
    assert "https://explore.openaq.org" in error


@pytest.mark.parametrize(
    "content", ["", "short", f"{KEY} and more", f"{KEY}\n{KEY}", "Schlüssel-0123456789", b"\xff\xfe"]
)
def test_what_is_no_key_is_refused_without_being_shown(tmp_path: Path, content: str | bytes) -> None:
    file = tmp_path / "key"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    file.chmod(0o600)
    with pytest.raises(InputError) as error:
        find_key("NO_SUCH_VARIABLE", file, "")
    said = "".join(traceback.format_exception(error.value))
    assert str(file) in said
    assert not content or str(content) not in said
    assert KEY not in said


# where it does not go


def test_a_key_that_is_refused_is_not_repeated(
    world: OpenAQ, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The server's own message holds it."""
    world.key = "another"
    file = key_file(tmp_path)
    code, said, error = run(f"{VERB} --key-file {file}", tmp_path, capsys)
    assert (code, error.count("\n")) == (2, 1)
    assert f"OpenAQ refuses the key of {file}: 403 Forbidden (Unauthorized. *** is no valid API key)" in error
    expect_nowhere(tmp_path, said, error)


def test_it_is_not_sent_on_to_where_a_source_points() -> None:
    with asked_quickly() as server, asked_quickly() as other:
        server.routes.append(lambda asked: Answer(b"", status=302, headers={"Location": f"{other.url}/v3/locations"}))
        with HttpSource("OpenAQ", key=Key(KEY, "test")) as source, pytest.raises(RefusedError, match="302"):
            source.json(f"{server.url}/v3/locations")
        assert not other.asked


@pytest.mark.parametrize("fault", ["", "500", "reset", "truncated"])
def test_a_run_leaves_no_trace_of_it(world: OpenAQ, tmp_path: Path, fault: str) -> None:
    """A whole process with all logs shown, from outside: its output, its files, its command line."""
    world.server.faults = dict.fromkeys(range(2), fault) if fault else {}
    world.server.chunk_pause = 0.02
    file = key_file(tmp_path)
    words = [sys.executable, "-c", DEBUGGED, *VERB.split(), "--key-file", str(file), "--root", str(tmp_path)]
    environment = {name: value for name, value in os.environ.items() if name != "OPENAQ_API_KEY"}
    environment["PYTHONPATH"] = str(REPOSITORY)
    seen: set[str] = set()
    process = subprocess.Popen(
        [*words, "--print_config"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    config = process.communicate()[0]
    assert "key_file" in config
    with subprocess.Popen(
        words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        watch = threading.Thread(target=_watch, args=(process.pid, seen))
        watch.start()
        said = process.communicate()[0]
        watch.join()
    assert process.returncode == 0, said
    assert "DEBUG:urllib3" in said
    assert seen
    expect_nowhere(tmp_path, said, config, *seen)


def _watch(pid: int, seen: set[str]) -> None:
    """What anybody sees of a process while it runs."""
    while psutil.pid_exists(pid):
        try:
            process = psutil.Process(pid)
            seen.add(" ".join(process.cmdline()) + process.name())
            if process.status() == psutil.STATUS_ZOMBIE:
                return
        except psutil.NoSuchProcess:
            return
        time.sleep(0.05)


# hiding


def test_logs_and_exceptions_have_it_taken_out(caplog: pytest.LogCaptureFixture) -> None:
    key = Key("a/secret+key=0123", "test")
    with kept_secret(key), caplog.at_level(logging.DEBUG):
        logging.getLogger("other").debug("headers %s of %d", {"X-API-Key": key.value}, 3)
        logging.getLogger("other").debug("address https://x/?key=a%2Fsecret%2Bkey%3D0123")
        try:
            raise ValueError(f"bad header {key.value}")
        except ValueError:
            logging.getLogger("other").exception("failed")
    assert "secret" not in caplog.text
    assert "headers {'X-API-Key': '***'} of 3" in caplog.text
    assert "ValueError: bad header ***" in caplog.text


@pytest.mark.parametrize(
    ("raised", "becomes"),
    [
        (InputError, InputError),
        (RefusedError, RefusedError),
        (KeyError, RuntimeError),
        (requests.HTTPError, RuntimeError),
    ],
)
def test_an_exception_that_leaves_has_it_nowhere(raised: type[Exception], becomes: type[Exception]) -> None:
    def cause() -> None:
        try:
            raise requests.ConnectionError(f"with {KEY}")
        except requests.ConnectionError as error:
            raise raised(f"found {KEY} here") from error

    with pytest.raises(becomes) as left, kept_secret(Key(KEY, "test")):
        cause()
    assert KEY not in "".join(traceback.format_exception(left.value))
    assert "***" in str(left.value)


def test_an_exception_without_it_is_left_as_it_is() -> None:
    with pytest.raises(KeyError, match="other"), kept_secret(Key(KEY, "test")):
        raise KeyError("other")
    factory = logging.getLogRecordFactory()
    assert factory is logging.LogRecord or "hiding" not in factory.__qualname__


def test_passwords_of_proxies_are_secrets_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://me:proxy-password@proxy.example.org:3128")
    with pytest.raises(InputError) as left, kept_secret():
        raise InputError("cannot reach http://me:proxy-password@proxy.example.org:3128")
    assert "proxy-password" not in str(left.value)


def test_it_is_in_no_repr() -> None:
    key = Key(KEY, "test")
    assert KEY not in repr(key)
    assert KEY not in f"{key}"
    assert hidden(f"x{KEY}y{KEY}", [KEY]) == "x***y***"


def test_a_source_shows_no_key_in_a_traceback(world: OpenAQ) -> None:
    """Also where the library itself fails."""

    def broken(asked: Asked) -> Answer:
        return Answer(b"\x00" * 10)

    world.server.routes.insert(0, broken)
    key = Key(KEY, "test")
    with kept_secret(key), HttpSource("OpenAQ", key=key) as source:
        with pytest.raises(Exception, match="JSON") as error:
            source.json(f"{world.server.url}/x")
        assert KEY not in "".join(traceback.format_exception(error.value))


def test_the_server_of_these_tests_sees_it(world: OpenAQ) -> None:
    """Or the tests would find nothing because there is nothing."""
    assert isinstance(world.server, LoopbackServer)
    with HttpSource("OpenAQ", key=Key(KEY, "test")) as source:
        source.json(
            f"{world.server.url}/api/v3/locations",
            {"bbox": "80,26,82,28", "parameters_id": 2, "limit": 3, "page": 1},
        )
    assert world.server.asked[-1].headers["x-api-key"] == KEY
