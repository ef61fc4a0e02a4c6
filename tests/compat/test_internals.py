"""What the package uses of others' insides: whether it is still there, and what is lost where it is not.

The first test of each class fails when a new version has changed something, and its message says what.
"""

from __future__ import annotations

import encodings
import gc
import socket
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar, copy_context
from importlib import import_module
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import asgiref.sync
import pytest
from asgiref.local import Local
from asgiref.sync import async_to_sync
from django.contrib.auth import get_user_model, login
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.auth.models import AnonymousUser
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.backends.db import SessionStore
from django.core.exceptions import BadRequest
from django.core.handlers.base import BaseHandler
from django.core.handlers.wsgi import WSGIRequest
from django.db import connections, transaction
from django.http import HttpRequest, HttpResponse
from django.utils import translation
from django.utils.functional import SimpleLazyObject
from django.utils.log import log_response

from django_websocket.compat import asgiref as compat_asgiref
from django_websocket.compat import django as compat
from django_websocket.compat import python as compat_python
from tests.deadlines import deadline

#: pytest-django's, whose name is not the same in all its versions.
Settings = Any

ROOT = Path(__file__).resolve().parents[2]


def in_a_thread(function: Callable[[], Any]) -> Any:
    """What ``function`` returns in a thread of its own, which begins with an empty context."""
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(function()))
    thread.start()
    thread.join(deadline(10))
    [result] = results
    return result


def request_with_user() -> HttpRequest:
    """As Django's own middleware leaves it."""
    request = HttpRequest()
    request.session = SessionStore()
    AuthenticationMiddleware(lambda request: HttpResponse()).process_request(request)
    return request


class TestMoveContext:
    VARIABLE: ContextVar[str] = ContextVar("VARIABLE", default="nothing")
    LOCAL = Local()

    def moved(self) -> tuple[str, Any, str | None]:
        """What a new thread finds once the context of this one was moved to it."""
        with translation.override("de"):
            token = self.VARIABLE.set("something")
            self.LOCAL.value = "local"
            context = copy_context()
            self.VARIABLE.reset(token)

        def move() -> tuple[str, Any, str | None]:
            compat_asgiref.move_context(context)
            return self.VARIABLE.get(), getattr(self.LOCAL, "value", None), translation.get_language()

        found: tuple[str, Any, str | None] = in_a_thread(move)
        return found

    def test_asgiref_has_what_it_needs(self) -> None:
        assert hasattr(asgiref.sync, "_restore_context"), (
            "asgiref.sync._restore_context is gone: views lose the active language and time zone of their request"
        )
        assert self.moved() == ("something", "local", "de"), (
            "asgiref.sync._restore_context no longer moves the data of asgiref's Locals: "
            "views lose the active language and time zone of their request"
        )

    def test_without_it_context_variables_still_move(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(compat_asgiref, "_restore_context", None)
        variable, _, _ = self.moved()
        assert variable == "something"

    def test_without_it_the_package_still_imports(self) -> None:
        program = (
            "import asgiref.sync; del asgiref.sync._restore_context\n"
            "from django.conf import settings; settings.configure()\n"
            "import django; django.setup()\n"
            "from django_websocket import accept_websocket, opening\n"
            "from django_websocket.compat import asgiref as compat\n"
            "assert compat._restore_context is None\n"
        )
        run = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
        assert (run.returncode, run.stderr) == (0, "")


class TestDropBody:
    @staticmethod
    def request(body: BytesIO) -> WSGIRequest:
        return WSGIRequest({"REQUEST_METHOD": "GET", "wsgi.input": body, "SERVER_NAME": "a", "SERVER_PORT": "80"})

    def test_django_has_what_it_needs(self) -> None:
        assert hasattr(self.request(BytesIO()), "_stream"), (
            "WSGIRequest._stream is gone: see where it keeps wsgi.input now, or open websockets keep their input alive"
        )

    def test_the_input_is_released_and_the_body_empty(self) -> None:
        class Input(BytesIO):
            pass

        body = Input()
        request = self.request(body)
        reference = weakref.ref(body)
        request.META.pop("wsgi.input")
        request.environ.pop("wsgi.input", None)
        compat.drop_body(request)
        del body
        assert reference() is None, "WSGIRequest keeps wsgi.input elsewhere, too: open websockets keep it alive"
        assert request.body == b""

    def test_another_request_is_left_alone(self) -> None:
        request = HttpRequest()
        compat.drop_body(request)
        assert not hasattr(request, "_stream")


class TestDropMessages:
    def test_django_has_what_it_needs(self, settings: Settings) -> None:
        request = request_with_user()
        settings.MESSAGE_STORAGE = "django.contrib.messages.storage.cookie.CookieStorage"
        MessageMiddleware(lambda request: HttpResponse()).process_request(request)
        assert "_messages" in request.__dict__, (
            "django.contrib.messages no longer keeps its storage in request._messages: "
            "the requests of ended websockets wait for the garbage collector"
        )
        compat.drop_messages(request)
        assert "_messages" not in request.__dict__

    def test_without_messages_nothing_happens(self) -> None:
        compat.drop_messages(HttpRequest())


class TestLazyUser:
    def test_django_has_what_it_needs(self) -> None:
        request = request_with_user()
        user = request.__dict__.get("user")
        assert type(user) is SimpleLazyObject, "Django's middleware no longer sets a SimpleLazyObject as request.user"
        assert "_setupfunc" in user.__dict__, (
            "SimpleLazyObject keeps its function no longer in _setupfunc: "
            "the requests of ended websockets wait for the garbage collector"
        )
        assert compat.has_django_lazy_user(request), (
            f"the function of Django's lazy user is no longer of the module {compat.AUTH_MIDDLEWARE}: "
            "the requests of ended websockets wait for the garbage collector"
        )

    @pytest.mark.parametrize("user", [None, AnonymousUser(), SimpleLazyObject(AnonymousUser), "a name"])
    def test_another_user_is_not_djangos(self, user: Any) -> None:
        request = HttpRequest()
        request.user = user
        assert not compat.has_django_lazy_user(request)
        compat.make_user_weak(request)
        compat.resolve_known_user(request)
        assert request.__dict__["user"] is user
        assert not compat.has_django_lazy_user(HttpRequest())

    def test_without_setupfunc_the_user_stays_what_it_was(self, monkeypatch: pytest.MonkeyPatch) -> None:
        request = request_with_user()
        user = request.__dict__["user"]
        assert user == AnonymousUser()
        del user.__dict__["_setupfunc"]
        assert not compat.has_django_lazy_user(request)
        compat.resolve_known_user(request)
        compat.make_user_weak(request)
        assert request.__dict__["user"] is user
        assert user == AnonymousUser()


class TestResolveKnownUser:
    def test_django_has_what_it_needs(self) -> None:
        request = request_with_user()
        assert request.user == AnonymousUser()
        assert "_cached_user" in request.__dict__, (
            "Django's middleware no longer keeps the loaded user in request._cached_user: "
            "a websocket's user stays lazy, and its request waits for the garbage collector"
        )
        compat.resolve_known_user(request)
        assert type(request.__dict__["user"]) is AnonymousUser

    def test_a_user_that_was_not_loaded_stays_lazy(self) -> None:
        request = request_with_user()
        compat.resolve_known_user(request)
        assert type(request.__dict__["user"]) is SimpleLazyObject

    def test_without_cached_user_it_stays_lazy_and_right(self) -> None:
        request = request_with_user()
        assert request.user == AnonymousUser()
        del request.__dict__["_cached_user"]
        compat.resolve_known_user(request)
        assert type(request.__dict__["user"]) is SimpleLazyObject
        assert request.user == AnonymousUser()


class TestKnownUser:
    def test_django_has_what_it_needs(self) -> None:
        request = HttpRequest()
        assert compat.known_user(request) is None
        lazy: Any = SimpleLazyObject(AnonymousUser)
        request.user = lazy
        assert compat.known_user(request) is None
        assert lazy.is_anonymous
        assert isinstance(compat.known_user(request), AnonymousUser)

    def test_without_wrapped_nobody_is_known(self) -> None:
        request, lazy = HttpRequest(), SimpleLazyObject(AnonymousUser)
        del lazy.__dict__["_wrapped"]
        request.user = lazy  # type: ignore[assignment]  # it is one, once it is loaded
        assert compat.known_user(request) is None


class TestSuppressLog:
    def test_django_has_what_it_needs(self, caplog: pytest.LogCaptureFixture) -> None:
        response = HttpResponse(status=429)
        compat.suppress_log(response)
        log_response("refused", response=response)
        assert caplog.records == []


@pytest.mark.django_db
class TestSetUser:
    def test_who_has_not_looked_yet_sees_it_too(self) -> None:
        request = request_with_user()
        lazy, later = request.user, request.auser
        user = get_user_model()._default_manager.create(username="ann")
        compat.set_user(request, user)
        assert lazy == user
        assert async_to_sync(later)() == user
        assert async_to_sync(request.auser)() == user
        assert request.user is user


@pytest.mark.django_db
class TestMakeUserWeak:
    def test_the_user_is_the_same_and_the_request_goes_at_once(self) -> None:
        user = get_user_model()._default_manager.create(username="ann")
        first = request_with_user()
        login(first, user, backend="django.contrib.auth.backends.ModelBackend")
        request = request_with_user()
        request.session = first.session
        compat.make_user_weak(request)
        assert request.user == user
        request.__dict__.pop("auser")
        reference = weakref.ref(request)
        gc.disable()
        try:
            del request
            assert reference() is None, "Django's middleware ties the request into another cycle"
        finally:
            gc.enable()


class TestAtomicRequests:
    @pytest.fixture(autouse=True)
    def atomic(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(connections["default"].settings_dict, "ATOMIC_REQUESTS", True)

    @staticmethod
    def serves_atomically(view: Callable[..., Any]) -> bool:
        def serve() -> bool:
            return connections["default"].in_atomic_block

        return compat.with_atomic_requests(view, serve)()

    def test_django_has_what_it_needs(self) -> None:
        assert hasattr(BaseHandler, "make_view_atomic"), (
            "BaseHandler.make_view_atomic is gone: see how Django applies ATOMIC_REQUESTS to a view now"
        )

    @pytest.mark.django_db(transaction=True)
    @pytest.mark.parametrize("has_method", [True, False], ids=["by Django", "by itself"])
    def test_it_is_django_that_decides(self, monkeypatch: pytest.MonkeyPatch, has_method: bool) -> None:
        if not has_method:
            monkeypatch.delattr(BaseHandler, "make_view_atomic")

        def view() -> None:
            """An ordinary one."""

        def other() -> None:
            """One that opts out."""

        assert self.serves_atomically(view)
        assert not self.serves_atomically(transaction.non_atomic_requests(other)), (
            "transaction.non_atomic_requests no longer marks a view where with_atomic_requests looks"
        )
        connections["default"].settings_dict["ATOMIC_REQUESTS"] = False
        assert not self.serves_atomically(view)


class TestSessionSavedAt:
    @pytest.fixture(autouse=True)
    def in_files(self, settings: Settings, tmp_path: Path) -> None:
        settings.SESSION_FILE_PATH = str(tmp_path)

    def test_django_has_what_it_needs(self) -> None:
        store: Any = import_module("django.contrib.sessions.backends.file").SessionStore
        session = store()
        assert hasattr(session, "_last_modification"), (
            "the file engine's _last_modification is gone: a websocket's session in a file counts from its handshake"
        )
        session.save()
        assert compat.session_saved_at(session).tzinfo is not None
        session.delete()
        with pytest.raises(FileNotFoundError):
            compat.session_saved_at(session)

    def test_without_it_nothing_is_known(self) -> None:
        assert compat.session_saved_at(SessionStore()) is None


@pytest.mark.django_db
def test_load_session_loads_at_once() -> None:
    saved = SessionStore()
    saved["a"] = 1
    saved.save()
    session = SessionStore(session_key=saved.session_key)
    before = session.accessed
    compat.load_session(session)
    assert (before, session.accessed) == (False, True), "asking a session for a key no longer loads it"
    assert session["a"] == 1


@pytest.mark.django_db
@pytest.mark.parametrize("engine", ["db", "cached_db", "cache", "file", "signed_cookies"])
def test_a_session_is_loaded_once_its_data_have_come(engine: str, settings: Any, tmp_path: Path) -> None:
    settings.SESSION_FILE_PATH = str(tmp_path)
    store: Any = import_module(f"django.contrib.sessions.backends.{engine}").SessionStore
    seen: list[bool] = []

    class Watched(store):  # type: ignore[misc]  # whichever engine it is
        def load(self) -> Any:
            seen.append(compat.is_loaded(self))
            return super().load()

    saved = Watched()
    saved["a"] = 1
    saved.save()
    session = Watched(session_key=saved.session_key)
    seen.append(compat.is_loaded(session))
    assert session["a"] == 1
    seen.append(compat.is_loaded(session))
    assert seen == [False, False, True], "_session_cache is gone: no websocket ends with its session"


class TestAcceptConnection:
    @staticmethod
    def accept(listener: Any, wrapped: Any) -> None:
        with socket.create_connection(listener.getsockname()) as client:
            fd, address = compat_python.accept_connection(wrapped)
            with socket.socket(fileno=fd) as accepted:
                assert address == client.getsockname()
                client.sendall(b"x")
                assert accepted.recv(1) == b"x"

    def test_python_has_what_it_needs(self) -> None:
        assert hasattr(socket.socket, "_accept"), (
            "socket.socket._accept is gone: each connection costs a socket object more"
        )
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.accept(listener, SimpleNamespace(_accept=listener._accept))  # type: ignore[attr-defined]  # private

    def test_without_it_accept_does(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.accept(listener, SimpleNamespace(accept=listener.accept))

    def test_what_accept_raises_comes_through(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.setblocking(False)
            for wrapped in (listener, SimpleNamespace(accept=listener.accept)):
                with pytest.raises(BlockingIOError):
                    compat_python.accept_connection(wrapped)  # type: ignore[arg-type]  # as much of one as it needs


class TestUnknownEncodings:
    @pytest.fixture
    def cache(self, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
        monkeypatch.setattr(encodings, "_cache", {})
        compat_python.bound_unknown_encodings()
        cache: dict[str, Any] = encodings._cache
        return cache

    def look_up(self, charset: str) -> HttpRequest:
        return WSGIRequest(
            {"REQUEST_METHOD": "GET", "CONTENT_TYPE": f"text/plain; charset={charset}", "wsgi.input": BytesIO()}
        )

    def test_python_has_what_it_needs(self) -> None:
        assert type(encodings.__dict__.get("_cache")) in (dict, compat_python._Encodings), (
            "encodings._cache is gone: clients may be able to fill the memory with names of charsets"
        )

    def test_requests_do_not_fill_the_memory(self, cache: dict[str, Any]) -> None:
        for number in range(1000):
            self.look_up(f"unknown-{number}")
        for number in range(100):
            with suppress(BadRequest, ValueError):  # Django 6 reads no header that is so long
                self.look_up(f"unknown-{number}-" + "x" * 60_000)
        assert 200 <= len(cache) <= 300
        assert sum(map(len, cache)) < 30_000

    def test_encodings_are_still_found(self, cache: dict[str, Any]) -> None:
        for number in range(1000):
            self.look_up(f"unknown-{number}")
        encodings.search_function("cp1253")
        assert cache["cp1253"].name == "cp1253"
        assert self.look_up("cp1253").encoding == "cp1253"

    def test_twice(self, cache: dict[str, Any]) -> None:
        compat_python.bound_unknown_encodings()
        assert encodings._cache is cache

    def test_without_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delattr(encodings, "_cache")
        compat_python.bound_unknown_encodings()
        assert not hasattr(encodings, "_cache")
