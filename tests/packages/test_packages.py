"""Each package in a project of its own: a page, a websocket, twenty of each at once, and what the package is for."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.sync.client import connect

from tests.conftest import find_program, missing
from tests.deadlines import deadline, wait_until
from tests.management.projects import running
from tests.ports import free_port

from .packages import PACKAGES, installed_version
from .project import Visitor, visit

LATER = "websocket /fails-later/"

CHECKS: dict[str, Callable[[Visitor], None]] = {}


def check(name: str) -> Callable[[Callable[[Visitor], None]], Callable[[Visitor], None]]:
    """The decorated function proves that the package ``name`` does what it is for."""

    def register(function: Callable[[Visitor], None]) -> Callable[[Visitor], None]:
        CHECKS[name] = function
        return function

    return register


def receive(visitor: Visitor, path: str, *messages: str, **headers: str) -> list[str]:
    """What a websocket answers to each message, or says by itself."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    with connect(
        f"ws{visitor.address[4:]}{path}", proxy=None, open_timeout=deadline(20), additional_headers=names
    ) as client:
        received = []
        for message in messages or [""]:
            if messages:
                client.send(message)
            received.append(str(client.recv(timeout=deadline(20))))
        return received


@contextmanager
def redis_server(directory: Path) -> Iterator[str]:
    """The URL of a Redis server of our own."""
    port = free_port()
    directory.mkdir()
    command = [find_program("redis-server", "valkey-server"), "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    with running(command, directory, {}) as server:
        server.wait_for("Ready to accept connections")
        yield f"redis://127.0.0.1:{port}/0"


@pytest.mark.parametrize("name", PACKAGES)
def test_package(name: str, tmp_path: Path) -> None:
    if installed_version(name) is None:
        missing(f"{name} (make compat installs it)")
    variables = {}
    with ExitStack() as stack:
        if name == "django-redis":
            variables["TEST_REDIS"] = stack.enter_context(redis_server(tmp_path / "redis"))
        project = tmp_path / "project"
        project.mkdir()
        (project / "file.txt").write_text("static")
        visitor = stack.enter_context(visit(PACKAGES[name], project, **variables))
        assert visitor.get("/page/").body.startswith("<html><body>page")
        assert receive(visitor, "/echo/", "one", "two") == ["one", "two"]
        with ThreadPoolExecutor(20) as pool:
            pages = [pool.submit(visitor.get, "/page/") for _ in range(20)]
            sockets = [pool.submit(receive, visitor, "/echo/", str(number), "again") for number in range(20)]
            assert [page.result().status for page in pages] == [200] * 20
            assert [socket.result() for socket in sockets] == [[str(number), "again"] for number in range(20)]
        assert "Traceback" not in visitor.server.output
        CHECKS[name](visitor)


def test_each_package_has_its_check() -> None:
    assert CHECKS.keys() == PACKAGES.keys()


@check("celery")
def _celery(visitor: Visitor) -> None:
    assert visitor.get("/result/").body == "3"
    assert receive(visitor, "/result-socket/", "1", "2") == ["3", "4"]


@check("django-allauth")
def _allauth(visitor: Visitor) -> None:
    with pytest.raises(InvalidStatus, match="403"):
        receive(visitor, "/who/")
    form = visitor.get("/accounts/signup/").body
    found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', form)
    assert found is not None
    password = "a long enough secret"
    answer = visitor.get(
        "/accounts/signup/",
        data={
            "csrfmiddlewaretoken": found[1],
            "username": "somebody",
            "email": "somebody@example.org",
            "password1": password,
            "password2": password,
        },
    )
    assert "page" in answer.body
    assert receive(visitor, "/who/", Cookie=visitor.cookie()) == ["somebody"]


@check("django-cors-headers")
def _cors(visitor: Visitor) -> None:
    friend = "https://friend.example"
    assert visitor.get("/page/", Origin=friend).headers["Access-Control-Allow-Origin"] == friend
    assert visitor.get("/page/", Origin="https://evil.example").headers["Access-Control-Allow-Origin"] is None
    preflight = visitor.get("/page/", method="OPTIONS", Origin=friend, Access_Control_Request_Method="GET")
    assert "GET" in preflight.headers["Access-Control-Allow-Methods"]
    with pytest.raises(InvalidStatus, match="403"):
        receive(visitor, "/echo/", "x", Origin=friend)  # who may connect is WEBSOCKET_ALLOWED_ORIGINS's to say


@check("django-csp")
def _csp(visitor: Visitor) -> None:
    answer = visitor.get("/nonce/")
    assert answer.body
    assert f"'nonce-{answer.body}'" in answer.headers["Content-Security-Policy"]


@check("django-debug-toolbar")
def _debug_toolbar(visitor: Visitor) -> None:
    body = visitor.get("/page/").body
    assert "djDebug" in body
    assert "SQLPanel" in body


@check("django-htmx")
def _htmx(visitor: Visitor) -> None:
    assert [visitor.get("/htmx/").body, visitor.get("/htmx/", HX_Request="true").body] == ["False", "True"]
    assert receive(visitor, "/htmx-socket/", HX_Request="true") == ["True"]


@check("django-redis")
def _redis(visitor: Visitor) -> None:
    with ThreadPoolExecutor(20) as pool:
        sockets = [pool.submit(receive, visitor, "/counts/", *["x"] * 5) for _ in range(20)]
        seen = {int(number) for socket in sockets for number in socket.result()}
    assert seen == set(range(1, 101))
    assert visitor.get("/seen/").body == "100"


@check("django-silk")
def _silk(visitor: Visitor) -> None:
    assert visitor.get("/query/").body == "0"
    assert visitor.get_json("/recorded/?path=/query/") == [[200, 1]]
    handshakes = visitor.get_json("/recorded/?path=/echo/")
    assert handshakes == [[101, 0]] * 21
    assert visitor.get("/silk/").status == 200


@check("djangorestframework")
def _rest_framework(visitor: Visitor) -> None:
    assert visitor.get("/api/?q=a", Accept="application/json").body == '{"query":"a"}'
    assert receive(visitor, "/api/?q=a") == ["a"]
    assert "AssertionError" not in visitor.server.output


@check("opentelemetry-instrumentation-django")
def _opentelemetry(visitor: Visitor) -> None:
    assert receive(visitor, "/traced/one/?secret=1", "a", "four") == ["a", "four"]
    with connect(f"ws{visitor.address[4:]}/fails-later/", proxy=None) as client:
        client.recv(timeout=deadline(10))
    spans: list[dict[str, Any]] = []

    def are_there() -> bool:
        spans[:] = visitor.get_json("/spans/")
        names = [span["name"] for span in spans]
        return names.count("websocket /echo/") == 21 and {"websocket /traced/<slug:room>/", LATER} <= set(names)

    wait_until(are_there, 20, "the ends of all views")
    names = [span["name"] for span in spans]
    assert names.count("GET page/") == names.count("GET echo/") == 21
    by_name = {span["name"]: span for span in spans}
    handshake, life = by_name["GET traced/<slug:room>/"], by_name["websocket /traced/<slug:room>/"]
    assert (life["trace"], life["parent"]) == (handshake["trace"], handshake["id"])
    assert life["attributes"]["http.route"] == "/traced/<slug:room>/"
    assert life["attributes"]["url.path"] == "/traced/one/"
    assert life["attributes"]["websocket.close_code"] == 1000
    assert (life["attributes"]["websocket.messages_received"], life["attributes"]["websocket.messages_sent"]) == (2, 2)
    assert not life["failed"]
    messages = [span for span in spans if span["name"] == "message"]
    assert [span["attributes"]["size"] for span in messages] == [1, 4]
    assert {span["parent"] for span in messages} == {life["id"]}
    assert life["seconds"] >= sum(span["seconds"] for span in messages)
    assert by_name[LATER]["failed"]
    assert by_name[LATER]["attributes"]["websocket.close_code"] == 1011
    ids = [span["parent"] for span in spans if span["name"] == "websocket /echo/"]
    assert sorted(ids) == sorted(span["id"] for span in spans if span["name"] == "GET echo/")


@check("sentry-sdk")
def _sentry(visitor: Visitor) -> None:
    assert visitor.get("/fails/").status == 500
    with pytest.raises(InvalidStatus, match="500"):
        receive(visitor, "/fails-first/")
    with connect(f"ws{visitor.address[4:]}/fails-later/", proxy=None) as client:
        client.recv(timeout=deadline(10))
        with pytest.raises(ConnectionClosedError, match="1011"):
            client.recv(timeout=deadline(10))
    wait_until(lambda: len(visitor.get_json("/events/")) >= 3, 20, "three events")
    assert visitor.get_json("/events/") == [
        ["on purpose", "/fails/"],
        ["before the accept", "/fails-first/"],
        ["after the accept", LATER],
    ]
    assert receive(visitor, "/traced/one/", "a", "b") == ["a", "b"]
    told: list[dict[str, Any]] = []

    def are_told() -> bool:
        told[:] = visitor.get_json("/told/")
        names = [one["name"] for one in told]
        return names.count("websocket /echo/") == 21 and {"websocket /traced/<slug:room>/", LATER} <= set(names)

    wait_until(are_told, 20, "the ends of all views")
    by_name = {one["name"]: one for one in told}
    life = by_name["websocket /traced/<slug:room>/"]
    assert (life["op"], life["status"]) == ("websocket.server", "ok")
    assert (life["data"]["websocket.close_code"], life["data"]["websocket.messages_received"]) == (1000, 2)
    assert by_name[LATER]["status"] == "internal_error"
    messages = [one for one in told if one["name"] == "message"]
    assert [one["op"] for one in messages] == ["websocket.message"] * 2
    handshake = by_name["/traced/{room}/"]
    assert life["trace"] == handshake["trace"]
    assert "mysite" in life["spans"]
    assert len({one["trace"] for one in told if one["name"] == "websocket /echo/"}) == 21


@check("whitenoise")
def _whitenoise(visitor: Visitor) -> None:
    answer = visitor.get("/static/file.txt")
    assert (answer.status, answer.body) == (200, "static")
    assert "max-age" in answer.headers["Cache-Control"]
    assert answer.headers["Last-Modified"]
