"""One line for each websocket, with what an operator asks for, in whatever format."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from django_websocket.access_log import ClosedEntry, is_wanted, log_closed
from tests.deadlines import deadline, wait_until
from tests.serving.gunicorn.running import serving
from tests.site.running import Site, serve_site

from .test_opening import session_cookie

ENTRY = ClosedEntry(
    path="/chat/?room=1",
    route="chat/",
    code=1000,
    seconds=12.3456,
    messages_received=3,
    messages_sent=4,
    bytes_received=30,
    bytes_sent=40,
    peer="10.0.0.1:5000",
    client="203.0.113.7",
    user="42",
    request_id="abc-123",
)


JSON = {"()": "pythonjsonlogger.json.JsonFormatter", "fmt": "%(levelname)s %(name)s %(message)s"}


def logging_to(path: Path, formatter: dict[str, Any]) -> dict[str, Any]:
    """LOGGING that sends the access log to a file, and the rest to where the tests look for it."""

    def handler(name: str, formatter: str) -> dict[str, Any]:
        return {"class": "logging.FileHandler", "filename": str(path.with_name(name)), "formatter": formatter}

    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"tests": {"()": "tests.site.journal.JsonLines"}, "access": formatter},
        "handlers": {"file": handler("log", "tests"), "access": handler(path.name, "access")},
        "root": {"handlers": ["file"], "level": "INFO"},
        "loggers": {
            "django": {"handlers": [], "propagate": True},
            "django_websocket.access": {"handlers": ["access"], "propagate": False},
        },
    }


def lines_of(path: Path, number: int) -> list[str]:
    """The whole lines of a log, once there are so many."""

    def lines() -> list[str]:
        return path.read_text().rpartition("\n")[0].splitlines() if path.exists() else []

    wait_until(lambda: len(lines()) >= number, 10, f"{number} lines in {path.name}")
    return lines()


# The record


def test_the_record(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "django_websocket.access"):
        assert is_wanted()
        log_closed(ENTRY)
    [record] = caplog.records
    assert record.levelno == logging.INFO
    assert record.getMessage() == ('203.0.113.7 - 42 "WEBSOCKET /chat/?room=1" 1000 12.346s 3/30 in 4/40 out abc-123')
    for name in ClosedEntry.__slots__:
        assert getattr(record, name) == getattr(ENTRY, name)


def test_a_user_is_no_line_of_its_own() -> None:
    """A primary key may be any text."""
    line = replace(ENTRY, user='é\n203.0.113.8 - root "WEBSOCKET /').line()
    assert line.startswith('203.0.113.7 - \\xe9\\n203.0.113.8 - root "WEBSOCKET / "WEBSOCKET /chat/?room=1" 1000 ')


def test_a_format_of_the_projects_own(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "django_websocket.access"):
        log_closed(ENTRY)
    formatter = logging.Formatter("{client} {route} {code} {seconds:.1f} {user}", style="{")
    assert formatter.format(caplog.records[0]) == "203.0.113.7 chat/ 1000 12.3 42"


def test_the_root_logger_at_its_default_level_does_not_want_it() -> None:
    assert not is_wanted()


# Served

Start = Callable[..., Site]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    access = logging_to(tmp_path / "access", JSON)
    settings = {"LOGGING": access, "WEBSOCKET_TRUSTED_PROXIES": ["127.0.0.1"]}
    with serve_site(tmp_path, settings=settings) as site:
        yield site


def test_json(site: Site, tmp_path: Path) -> None:
    cookie = session_cookie(site.ask("/common/log_in/").headers.get_all("Set-Cookie") or ())
    headers = {**cookie, "X-Request-ID": "abc-123", "X-Forwarded-For": "203.0.113.7"}
    with site.connect("/common/echo_to_user/?x=1", additional_headers=headers) as client:
        client.send("who")
        assert client.recv(timeout=deadline(10)) == "someone []"
    with site.raw("/common/echo/").opened() as left:
        left.reset()
    first, second = (json.loads(line) for line in lines_of(tmp_path / "access", 2))
    assert 0 < first.pop("seconds") < deadline(10)
    peer = first.pop("peer")
    assert peer.startswith("127.0.0.1:")
    assert first == {
        "levelname": "INFO",
        "name": "django_websocket.access",
        "message": first["message"],
        "path": "/common/echo_to_user/?x=1",
        "route": "common/echo_to_user/",
        "code": 1000,
        "messages_received": 1,
        "messages_sent": 1,
        "bytes_received": first["bytes_received"],
        "bytes_sent": first["bytes_sent"],
        "client": "203.0.113.7",
        "user": "1",
        "request_id": "abc-123",
    }
    assert first["bytes_received"] == len("who") + 6 + 8
    assert first["message"].startswith('203.0.113.7 - 1 "WEBSOCKET /common/echo_to_user/?x=1" 1000 ')
    assert (second["code"], second["client"], second["user"], second["request_id"]) == (1006, "127.0.0.1", None, None)


def test_a_user_whom_only_the_view_has_loaded_is_known_although_the_client_was_cut_off(
    site: Site, tmp_path: Path
) -> None:
    cookie = session_cookie(site.ask("/common/log_in/").headers.get_all("Set-Cookie") or ())
    with site.raw("/common/echo_to_user/", headers=cookie).opened() as left:
        left.send(b"\x81\x83\0\0\0\0who")
        assert left.frame() == (0x81, b"someone []")
        left.reset()
    [line] = lines_of(tmp_path / "access", 1)
    assert (json.loads(line)["code"], json.loads(line)["user"]) == (1006, "1")


def test_gunicorns_access_log_has_it_if_nothing_else_does(tmp_path: Path) -> None:
    quiet = {"version": 1, "disable_existing_loggers": False}
    access = tmp_path / "access"
    with serving(tmp_path, "--access-logfile", str(access), settings={"LOGGING": quiet}) as server:
        with server.connect("/common/echo/?x=1", additional_headers={"X-Request-ID": "abc"}) as client:
            client.send("hello")
            assert client.recv(timeout=deadline(10)) == "hello"
        wait_until(lambda: "WEBSOCKET" in access.read_text(), 10)
        opened, closed = access.read_text().splitlines()[-2:]
    assert '"GET /common/echo/?x=1 HTTP/1.1" 101 ' in opened
    before, _, after = closed.partition(' "WEBSOCKET /common/echo/?x=1" 1000 ')
    # The host, the user and the time are where the other lines have them.
    assert before.split()[:3] == opened.split()[:3] == ["127.0.0.1", "-", "-"]
    assert before.split()[3][:12] == opened.split()[3][:12]
    assert after.endswith("s 1/19 in 1/11 out abc")


def test_gunicorn_leaves_it_to_logging(tmp_path: Path) -> None:
    settings = {"LOGGING": logging_to(tmp_path / "json", JSON)}
    access = tmp_path / "access"
    with serving(tmp_path, "--access-logfile", str(access), settings=settings) as server:
        with server.connect("/common/echo/"):
            pass
        [line] = lines_of(tmp_path / "json", 1)
        assert json.loads(line)["code"] == 1000
        assert "101" in access.read_text()
        assert "WEBSOCKET" not in access.read_text()


def test_gunicorn_without_any_log(tmp_path: Path) -> None:
    quiet = {"version": 1, "disable_existing_loggers": False}
    with serving(tmp_path, settings={"LOGGING": quiet}) as server:
        with server.connect("/common/echo/") as client:
            client.send("hello")
            assert client.recv(timeout=deadline(10)) == "hello"
        assert server.end() == 0
        assert "WEBSOCKET" not in server.log()
        assert "Traceback" not in server.log()
