"""Our real server in a process of its own, for tests with a browser."""

from __future__ import annotations

import os
import pickle
import signal
import socket
import subprocess
import sys
import warnings
from typing import Any, ClassVar

from django.conf import global_settings, settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.db import connections
from django.test import TransactionTestCase, modify_settings
from django.utils.functional import classproperty

from .cases import WebSocketTestMixin
from .control import Control
from .databases import move_out_of_memory
from .groups import groups_in_memory

__all__ = ["WebSocketLiveServerTestCase"]

START_TIMEOUT = 60.0
"""Seconds until the server must be ready: it imports the whole project."""

ANSWER_TIMEOUT = 30.0
"""Seconds until it must have taken over a setting."""

STOP_TIMEOUT = 10.0
"""Seconds until it must have ended: more than it gives its views."""


class WebSocketLiveServerTestCase(WebSocketTestMixin, TransactionTestCase):
    """Serves the project for a browser, as Django's StaticLiveServerTestCase does, but websockets as well.

    The server is a process of its own, one for each class. It has the test's databases (a SQLite database in memory is
    moved into a file meanwhile), its settings, overridden or not, and serves static files by their finders, and media
    files. Its caches and its ``mail.outbox`` are not those of the test. It prints what goes wrong to standard error.
    """

    host = "localhost"
    """Where the server listens."""
    port = 0
    """Any free port, by default."""

    _live_server: ClassVar[_LiveServer]

    @classproperty
    def live_server_url(cls) -> str:  # noqa: N805  a property of the class
        """``http://host:port`` of the server."""
        return f"http://{cls.host}:{cls._live_server.port}"

    @classproperty
    def allowed_host(cls) -> str:  # noqa: N805  a property of the class
        """Added to ALLOWED_HOSTS."""
        return cls.host

    @classmethod
    def websocket_url(cls, path: str) -> str:
        """The ``ws://`` URL of ``path`` on the server."""
        return f"ws://{cls.host}:{cls._live_server.port}{path}"

    @classmethod
    def setUpClass(cls) -> None:
        """Start the server. Raises RuntimeError, with its traceback, if it doesn't start."""
        super().setUpClass()
        cls.enterClassContext(modify_settings(ALLOWED_HOSTS={"append": cls.allowed_host}))
        cls.enterClassContext(groups_in_memory())
        for alias in cls.databases:
            cls.enterClassContext(move_out_of_memory(alias))
        cls._live_server = _LiveServer(cls.host, cls.port)
        cls.addClassCleanup(cls._live_server.stop)
        cls._live_server.start()
        setting_changed.connect(cls._live_server.change_setting)
        cls.addClassCleanup(setting_changed.disconnect, cls._live_server.change_setting)


class _LiveServer:
    """The process, seen from the test."""

    def __init__(self, host: str, port: int) -> None:
        self._listener = socket.create_server((host, port), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        ours, self._theirs = socket.socketpair()
        self._control = Control(ours)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it serves."""
        module = os.environ.get("DJANGO_SETTINGS_MODULE")
        if not module:
            raise ImproperlyConfigured(
                "a live server needs DJANGO_SETTINGS_MODULE: another process can't have what settings.configure() set"
            )
        description = {"module": module, "listener": self._listener.fileno(), "settings": _changed_settings(module)}
        command = [sys.executable, "-m", "django_websocket.serving.live", str(self._theirs.fileno())]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            pass_fds=[self._listener.fileno(), self._theirs.fileno()],
            start_new_session=True,  # Ctrl-C is for the test, which then ends the server
        )
        self._theirs.close()
        self._control.send(description)
        self._expect_success("the live server did not start", START_TIMEOUT)

    def change_setting(self, *, setting: str, value: Any, enter: bool, **kwargs: Any) -> None:
        """Follow an override that a test begins or ends."""
        with _no_deprecations():
            exists = hasattr(settings, setting)
        self._control.send((setting, _pickled(setting, value) if exists else None, enter))
        self._expect_success(f"the live server did not take over the setting {setting}", ANSWER_TIMEOUT)

    def _expect_success(self, otherwise: str, timeout: float) -> None:
        assert self._process is not None
        try:
            failure: str | None = self._control.receive(timeout)
        except TimeoutError:
            raise RuntimeError(f"{otherwise} within {timeout:g} seconds") from None
        except (EOFError, OSError):
            status = self._process.wait(STOP_TIMEOUT)
            raise RuntimeError(f"{otherwise}: it ended with status {status}; see its output above") from None
        if failure is not None:
            raise RuntimeError(f"{otherwise}:\n{failure}")

    def stop(self) -> None:
        """End the process: its websockets close with 1001."""
        self._control.close()
        self._theirs.close()
        self._listener.close()
        process = self._process
        if process is None:
            return
        try:
            process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            print("The live server did not end by itself and was killed.", file=sys.stderr)


def _changed_settings(module: str) -> dict[str, bytes]:
    """What the test has changed, by name, pickled; and the databases, whose names the test runner changes in place."""
    unchanged = sys.modules.get(module)
    changed: dict[str, bytes] = {}
    for name in dir(settings):
        if name.isupper() and name not in ("SETTINGS_MODULE", "DATABASES"):
            with _no_deprecations():
                value = getattr(settings, name)
            if value is not getattr(unchanged, name, getattr(global_settings, name, None)):
                changed[name] = _pickled(name, value)
    databases = {alias: connections[alias].settings_dict for alias in connections}
    changed["DATABASES"] = _pickled("DATABASES", databases)
    return changed


def _no_deprecations() -> warnings.catch_warnings[None]:
    """Read settings without a word about those that the project should no longer use."""
    return warnings.catch_warnings(action="ignore")


def _pickled(name: str, value: Any) -> bytes:
    try:
        return pickle.dumps(value)
    except Exception as error:
        raise ImproperlyConfigured(
            f"a live server can't have the setting {name}, which can't be pickled: {error}"
        ) from error
