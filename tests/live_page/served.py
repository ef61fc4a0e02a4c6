"""gunicorn with two workers over Redis, people with sessions, and a crowd of clients."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.browser import Page
from tests.conftest import ROOT
from tests.deadlines import deadline
from tests.groups.redis_servers import Redis, redis_server
from tests.serving.gunicorn.running import Gunicorn, serving
from tests.site.running import RawSocket

from .project import INSTALLED_APPS, PAGE, SETTINGS


class Town:
    """A served site."""

    def __init__(
        self, server: Gunicorn, redis: Redis, sessions: dict[str, str], log: Path, environment: dict[str, str]
    ) -> None:
        self.server = server
        self.redis = redis
        self.environment = environment
        """That of a process of the same project."""
        self.sessions = sessions
        self._log = log

    def records(self) -> list[dict[str, Any]]:
        """What was logged, as far as its lines are whole."""
        return [json.loads(line) for line in self._log.read_text().rpartition("\n")[0].splitlines()]

    def logged(self) -> list[str]:
        """The messages."""
        return [record["message"] for record in self.records()]

    def cookie(self, name: str) -> dict[str, str]:
        """The header with which ``name`` is logged in."""
        return {"Cookie": f"sessionid={self.sessions[name]}"}

    def enter(self, path: str, name: str | None = None) -> RawSocket:
        """A websocket, perhaps of somebody who is logged in."""
        return RawSocket(self.server.port, path, headers=self.cookie(name) if name else None).opened()

    @contextmanager
    def crowd(self, size: int, path: str = "/room/hall/", name: str | None = None) -> Iterator[list[RawSocket]]:
        """Many of them."""
        with ExitStack() as stack:
            yield [stack.enter_context(self.enter(path, name)) for _ in range(size)]

    def look(self, page: Page, name: str, path: str = PAGE) -> None:
        """Open the live page, or another, as ``name``."""
        origin = f"http://127.0.0.1:{self.server.port}"
        page.open(f"{origin}/static/live_websockets/page.css")
        page.run(f"document.cookie = 'sessionid={self.sessions[name]}; path=/'")
        page.open(origin + path)


@contextmanager
def town(directory: Path, workers: int = 2, **more: Any) -> Iterator[Town]:
    """A site that serves, with what ``more`` changes in its settings."""
    with ExitStack() as stack:
        redis = stack.enter_context(redis_server(directory))
        groups = {"BACKEND": "django_websocket.groups.redis.RedisBackend", "LOCATION": redis.url}
        # The crowd answers no pings.
        settings = {**SETTINGS, "WEBSOCKET_GROUPS": groups, "WEBSOCKET_PING_INTERVAL": None, **more}
        settings["INSTALLED_APPS"] = [*INSTALLED_APPS, "tests.live_page.patient.Patient"]
        env = {**os.environ, "TEST_SITE": json.dumps({"directory": str(directory), "settings": settings})}
        env["DJANGO_SETTINGS_MODULE"] = "tests.site.settings"
        command = [sys.executable, "-m", "tests.live_page.prepare"]
        made = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=deadline(60))
        assert made.returncode == 0, made.stderr
        patience = ("--graceful-timeout", f"{deadline(4):.0f}")
        server = stack.enter_context(serving(directory, *patience, settings=settings, workers=workers))
        yield Town(server, redis, json.loads(made.stdout), directory / "log", env)
