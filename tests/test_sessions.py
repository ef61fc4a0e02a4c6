"""The watch over sessions; :mod:`tests.faults.test_sessions` has what ends them, over HTTP."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from django.contrib.auth import SESSION_KEY, get_user_model, login
from django.contrib.sessions.backends.base import SessionBase
from django.db import connection
from django.http import HttpRequest
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_websocket import sessions, valid_users
from django_websocket.protocol.connection import Connection, State
from django_websocket.sessions import SessionWatch
from django_websocket.websocket import WebSocket
from tests.deadlines import wait_until
from tests.protocol.client import close, frame
from tests.site.running import RawSocket, Site

pytestmark = pytest.mark.django_db

#: pytest-django's, whose name is not the same in all its versions.
Settings = Any

BACKENDS = "django.contrib.sessions.backends."


IN_DATABASE = pytest.mark.parametrize("settings", ["db", "cached_db"], indirect=True)
IN_FILES = pytest.mark.parametrize("settings", ["file"], indirect=True)


class Socket:
    """As much of a websocket as the watch looks at."""

    def __init__(self) -> None:
        self.session_key: str | None = None
        self.codes: list[int] = []
        self.connection = Connection()

    @property
    def closed(self) -> bool:
        return self.connection.state is State.CLOSED

    def close(self, code: int, reason: str) -> None:
        self.codes.append(code)


def store(settings: Settings) -> Any:
    return import_module(settings.SESSION_ENGINE).SessionStore


def new_session(settings: Settings, name: str | None = "ann", **data: Any) -> SessionBase:
    session: SessionBase = store(settings)()
    if name is not None:
        user, _ = get_user_model()._default_manager.get_or_create(username=name)
        request = HttpRequest()
        request.session = session
        login(request, user, backend="django.contrib.auth.backends.ModelBackend")
    session.update(data)
    session.save()
    return session


def open_socket(watch: SessionWatch, settings: Settings, session: SessionBase, *, use: bool = True) -> Socket:
    """A socket whose handshake came with the cookie of ``session``."""
    request = HttpRequest()
    request.session = store(settings)(session_key=session.session_key)
    if use:
        request.session.get(SESSION_KEY)
    socket = Socket()
    watch.add(cast(WebSocket, socket), request)
    return socket


@pytest.fixture(params=["db", "cached_db", "cache", "file"])
def settings(request: pytest.FixtureRequest, settings: Settings, tmp_path: Path) -> Settings:
    settings.SESSION_ENGINE = BACKENDS + request.param
    settings.SESSION_FILE_PATH = str(tmp_path)
    return settings


@pytest.fixture
def watch() -> SessionWatch:
    return SessionWatch()


def test_a_living_session_is_left_alone(watch: SessionWatch, settings: Settings) -> None:
    sockets = [open_socket(watch, settings, new_session(settings, name)) for name in ("ann", "bob", None)]
    for _ in range(3):
        watch.check()
    assert [socket.codes for socket in sockets] == [[]] * 3


def test_a_session_that_is_gone_closes_all_its_sockets_and_no_others(watch: SessionWatch, settings: Settings) -> None:
    session = new_session(settings)
    sockets = [open_socket(watch, settings, session) for _ in range(3)]
    other = open_socket(watch, settings, new_session(settings))
    session.flush()
    watch.check()
    assert [socket.codes for socket in sockets] == [[4401]] * 3
    assert other.codes == []
    assert len(watch) == 1


def test_a_log_out_closes_at_once(watch: SessionWatch, settings: Settings) -> None:
    session = new_session(settings)
    sockets = [open_socket(watch, settings, session) for _ in range(2)]
    other = open_socket(watch, settings, new_session(settings))
    request = HttpRequest()
    watch.log_out(request)
    watch.log_out(None)
    request.session = store(settings)()
    watch.log_out(request)
    assert [socket.codes for socket in (*sockets, other)] == [[], [], []]
    request.session = store(settings)(session_key=session.session_key)
    watch.log_out(request)
    assert [socket.codes for socket in (*sockets, other)] == [[4401], [4401], []]
    watch.log_out(request)
    assert len(watch) == 1


def test_a_log_out_closes_nothing_where_sessions_are_not_checked(watch: SessionWatch, settings: Settings) -> None:
    settings.WEBSOCKET_SESSION_CHECK_INTERVAL = None
    session = new_session(settings)
    socket = open_socket(watch, settings, session)
    request = HttpRequest()
    request.session = store(settings)(session_key=session.session_key)
    watch.log_out(request)
    assert (socket.codes, len(watch)) == ([], 1)


def test_a_log_out_closes_what_has_used_the_session_since_it_opened(watch: SessionWatch, settings: Settings) -> None:
    session = new_session(settings)
    socket = open_socket(watch, settings, session, use=False)
    [used] = watch._unused.values()
    used.get(SESSION_KEY)
    request = HttpRequest()
    request.session = store(settings)(session_key=session.session_key)
    watch.log_out(request)
    assert socket.codes == [4401]


def test_a_session_is_noticed_when_it_is_first_used(watch: SessionWatch, settings: Settings) -> None:
    session = new_session(settings)
    request = HttpRequest()
    request.session = store(settings)(session_key=session.session_key)
    socket = Socket()
    watch.add(cast(WebSocket, socket), request)
    session.flush()
    watch.check()
    assert socket.codes == [], "it has given no right that could end"
    again = new_session(settings)
    request.session = store(settings)(session_key=again.session_key)
    watch.add(cast(WebSocket, socket), request)
    request.session.get(SESSION_KEY)
    watch.check()
    assert socket.codes == []
    again.flush()
    watch.check()
    assert socket.codes == [4401]


def test_a_session_that_was_gone_when_it_was_first_used_is_another_that_nothing_ends(
    watch: SessionWatch, settings: Settings
) -> None:
    session = new_session(settings)
    socket = open_socket(watch, settings, session, use=False)
    [request_session] = watch._unused.values()
    session.flush()
    request_session["begun"] = "anew"
    watch.check()
    watch.check()
    assert (socket.codes, len(watch)) == ([], 0)


@pytest.mark.parametrize("settings", ["db", "cache", "file"], indirect=True)
def test_a_project_without_users_has_sessions_too(watch: SessionWatch, settings: Settings) -> None:
    session = new_session(settings, name=None, basket="full")
    settings.INSTALLED_APPS = ["django.contrib.sessions", "django_websocket"]
    socket = open_socket(watch, settings, session)
    watch.check()
    assert socket.codes == []
    session.flush()
    watch.check()
    assert socket.codes == [4401]


def test_without_a_session_there_is_nothing_to_watch(watch: SessionWatch, settings: Settings) -> None:
    watch.add(cast(WebSocket, Socket()), HttpRequest())
    anonymous = HttpRequest()
    anonymous.session = store(settings)()
    anonymous.session.get("nothing")
    watch.add(cast(WebSocket, Socket()), anonymous)
    assert len(watch) == 0


def test_a_socket_that_has_ended_is_forgotten(watch: SessionWatch, settings: Settings) -> None:
    session = new_session(settings)
    sockets = [open_socket(watch, settings, session, use=use) for use in (True, True, False)]
    assert len(watch) == 2
    for socket in sockets:
        watch.socket_closed(cast(WebSocket, socket))
    assert len(watch) == 0


@pytest.mark.parametrize("use", [True, False], ids=["used", "unused"])
def test_a_socket_that_was_closed_before_is_not_added(watch: SessionWatch, settings: Settings, use: bool) -> None:
    request = HttpRequest()
    request.session = store(settings)(session_key=new_session(settings).session_key)
    if use:
        request.session.get(SESSION_KEY)
    socket = Socket()
    socket.connection.receive_eof()
    watch.add(cast(WebSocket, socket), request)
    assert len(watch) == 0


@pytest.mark.parametrize("use", [True, False], ids=["at once", "later"])
def test_a_socket_that_closes_while_its_session_is_read_is_not_added(
    watch: SessionWatch, settings: Settings, use: bool
) -> None:
    """A store may wait for its database, and others run meanwhile."""
    socket = Socket()

    class Waiting(store(settings)):  # type: ignore[misc]  # whichever engine it is
        def is_empty(self) -> bool:
            empty: bool = super().is_empty()
            socket.connection.receive_eof()
            watch.socket_closed(cast(WebSocket, socket))
            return empty

    request = HttpRequest()
    request.session = Waiting(session_key=new_session(settings).session_key)
    if use:
        request.session.get(SESSION_KEY)
    watch.add(cast(WebSocket, socket), request)
    request.session.get(SESSION_KEY)
    watch.check()
    assert socket.connection.state is State.CLOSED
    assert len(watch) == 0


def test_a_session_that_is_being_loaded_is_left_alone_until_it_has_come(
    watch: SessionWatch, settings: Settings
) -> None:
    """By its view, after the accept. A check or a log-out elsewhere must neither wait for it nor lose sight of it."""
    socket, other = Socket(), Socket()
    request = HttpRequest()
    loads = 0

    class Waiting(store(settings)):  # type: ignore[misc]  # whichever engine it is
        def load(self) -> Any:
            nonlocal loads
            loads += 1
            if loads == 1:
                watch.check()
                watch.close_digest(b"another's")
                watch.add(cast(WebSocket, other), request)
            return super().load()

    session = new_session(settings)
    request.session = Waiting(session_key=session.session_key)
    watch.add(cast(WebSocket, socket), request)
    request.session.get(SESSION_KEY)
    assert loads == 1
    watch.check()
    assert socket.codes == other.codes == []
    assert len(watch) == 1
    session.flush()
    watch.check()
    assert socket.codes == other.codes == [4401]
    assert len(watch) == 0


def _reset(client: RawSocket) -> None:
    client.reset()


def _break_off(client: RawSocket) -> None:
    client.shut_down()
    client.rest()


def _breach(client: RawSocket) -> None:
    client.send(frame(0x83, b"an opcode that is reserved"))
    assert client.close_frame()[0] == 1002


def _let_it_end(client: RawSocket) -> None:
    client.send(frame(0x81, b"end"))
    client.frame()
    client.send(close(1000))
    client.rest()


class TestServed:
    """The sockets of a real server: each is forgotten when it closes, though its view go on."""

    @pytest.fixture
    def cookie(self, site: Site) -> str:
        cookies = site.ask("/common/log_in/").headers.get_all("Set-Cookie", [])
        [session] = [cookie for cookie in cookies if cookie.startswith("sessionid=")]
        return session.partition(";")[0]

    @pytest.mark.parametrize("view", ["uses", "ignores"])
    @pytest.mark.parametrize(
        ("by", "end"),
        [
            ("closing handshake", RawSocket.close),
            ("end of stream", _break_off),
            ("reset", _reset),
            ("protocol error", _breach),
            ("close", _let_it_end),
            ("return", _let_it_end),
            ("raise", _let_it_end),
        ],
    )
    def test_a_closed_socket_is_forgotten(
        self, site: Site, cookie: str, view: str, by: str, end: Callable[[RawSocket], None]
    ) -> None:
        name = f"{view} {by}".replace(" ", "-")
        before = site.stats()
        path = f"/sessions/{view}/?by={by.replace(' ', '-')}&until={name}"
        with site.raw(path, headers={"Cookie": cookie}).opened() as client:
            wait_until(lambda: site.stats()["watched sessions"] == 1, what="the session is watched")
            end(client)
        if by not in ("return", "raise"):
            site.wait_for_journal("goes on")
            wait_until(lambda: site.stats()["watched sessions"] == 0, what="the socket is forgotten")
            assert site.stats()["websockets"] == 1, "its view goes on"
            site.release(name)
        site.wait_until_back_at(before)
        assert [error["error"] for error in site.take_log()] == (["ValueError"] if by == "raise" else [])

    @pytest.mark.parametrize("view", ["uses", "ignores"])
    def test_a_socket_that_closes_before_its_view_is_resumed_is_not_added(
        self, site: Site, cookie: str, view: str
    ) -> None:
        """It closes right behind its handshake, and is reset before the server gets to answer that."""
        before = site.stats()
        path = f"/sessions/{view}/?by=return&delay_close=0.3"
        site.raw(path, close(1000), headers={"Cookie": cookie}).opened().reset()
        site.wait_until_back_at(before)


@pytest.mark.parametrize("change", [{"is_active": False}, {"password": "another"}])
def test_what_befalls_the_user_closes(watch: SessionWatch, settings: Settings, change: dict[str, object]) -> None:
    """By an update that sends no signal."""
    socket = open_socket(watch, settings, new_session(settings))
    other = open_socket(watch, settings, new_session(settings, "bob"))
    users = get_user_model()._default_manager.filter(username="ann")
    watch.check()
    users.update(first_name="Another")
    watch.check()
    assert socket.codes == []
    users.update(**change)
    watch.check()
    assert socket.codes == [4401]
    assert other.codes == []


def test_a_user_who_is_deleted_closes(watch: SessionWatch, settings: Settings) -> None:
    socket = open_socket(watch, settings, new_session(settings))
    get_user_model()._default_manager.all().delete()
    watch.check()
    assert socket.codes == [4401]


def test_a_user_of_another_model_closes_and_holds_up_no_check(watch: SessionWatch, settings: Settings) -> None:
    """The project has changed AUTH_USER_MODEL since."""
    sockets = [
        open_socket(watch, settings, new_session(settings, None, **{SESSION_KEY: "2f1c9f0e"})),
        open_socket(watch, settings, new_session(settings)),
        open_socket(watch, settings, new_session(settings, "bob")),
    ]
    get_user_model()._default_manager.filter(username="ann").update(is_active=False)
    watch.check()
    assert [socket.codes for socket in sockets] == [[4401], [4401], []]


def test_a_new_secret_with_the_old_as_fallback_closes_nothing(watch: SessionWatch, settings: Settings) -> None:
    socket = open_socket(watch, settings, new_session(settings))
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "a new one", [settings.SECRET_KEY]
    watch.check()
    assert socket.codes == []


@IN_DATABASE
def test_many_cost_few_queries(settings: Settings, watch: SessionWatch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(valid_users, "CHUNK", 4)
    sockets = [open_socket(watch, settings, new_session(settings, f"user{number}")) for number in range(8)]
    watch.check()  # looks at each user once
    with CaptureQueriesContext(connection) as queries:
        watch.check()
    assert len(queries) == 2 + 2
    assert not any(socket.codes for socket in sockets)


class Clock:
    """Django's and the watch's; that of the file system goes on as ever."""

    def __init__(self) -> None:
        self.passed = 0.0
        """Seconds by which the test has put it forward."""
        self._began = time.time()

    def set_saved(self, session: SessionBase, passed: float) -> None:
        """Let the file of ``session`` be of that time."""
        path: str = session._key_to_file()  # type: ignore[attr-defined]  # the file engine's
        os.utime(path, (self._began + passed, self._began + passed))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock, now, monotonic = Clock(), timezone.now, time.monotonic
    monkeypatch.setattr(timezone, "now", lambda: now() + timedelta(seconds=clock.passed))
    monkeypatch.setattr(sessions, "time", SimpleNamespace(monotonic=lambda: monotonic() + clock.passed))
    return clock


class TestExpiry:
    @IN_DATABASE
    def test_of_a_row_is_what_the_row_says(self, watch: SessionWatch, settings: Settings) -> None:
        session = new_session(settings)
        socket = open_socket(watch, settings, session)
        rows = store(settings).get_model_class().objects.filter(session_key=session.session_key)
        rows.update(expire_date=timezone.now() + timedelta(seconds=60))
        watch.check()
        assert socket.codes == []
        rows.update(expire_date=timezone.now() - timedelta(seconds=1))
        watch.check()
        assert socket.codes == [4401]

    @IN_FILES
    def test_of_a_file_counts_from_its_saving(self, watch: SessionWatch, settings: Settings, clock: Clock) -> None:
        session = new_session(settings)
        session.set_expiry(60)
        session.save()
        clock.set_saved(session, -30)
        socket = open_socket(watch, settings, session)
        clock.passed = 20
        watch.check()
        assert socket.codes == []
        clock.passed = 40
        watch.check()
        assert socket.codes == [4401]

    @IN_FILES
    def test_of_a_file_begins_anew_when_it_is_saved(
        self, watch: SessionWatch, settings: Settings, clock: Clock
    ) -> None:
        session = new_session(settings)
        session.set_expiry(60)
        session.save()
        socket = open_socket(watch, settings, session)
        clock.passed = 40
        session.save()
        clock.set_saved(session, 40)
        clock.passed = 80
        watch.check()
        assert socket.codes == []
        clock.passed = 120
        watch.check()
        assert socket.codes == [4401]

    @IN_FILES
    def test_of_an_old_file_leaves_none_behind(
        self, watch: SessionWatch, settings: Settings, tmp_path: Path, clock: Clock
    ) -> None:
        settings.SESSION_COOKIE_AGE = 60
        socket = open_socket(watch, settings, new_session(settings))
        clock.passed = 70
        watch.check()
        assert socket.codes == [4401]
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("settings", ["signed_cookies"], indirect=True)
def test_a_cookie_counts_from_the_handshake(watch: SessionWatch, settings: Settings, clock: Clock) -> None:
    session = new_session(settings)
    session.set_expiry(60)
    session.save()
    socket = open_socket(watch, settings, session)
    clock.passed = 50
    watch.check()
    assert socket.codes == []
    clock.passed = 70
    watch.check()
    assert socket.codes == [4401]


def test_what_the_store_raises_closes_nothing(
    watch: SessionWatch, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    socket = open_socket(watch, settings, new_session(settings))

    def fail(*args: object, **kwargs: object) -> None:
        raise ConnectionError("on purpose")

    monkeypatch.setattr(sessions, "_live_keys", fail)
    with pytest.raises(ConnectionError):
        watch.check()
    assert socket.codes == []
    assert len(watch) == 1
