"""The demo project: its views, its settings, and what it needs to run."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.conftest import ROOT
from tests.deadlines import deadline, wait_until
from tests.groups.redis_servers import Redis, redis_server
from tests.management.projects import RunningServer, environment, running

from .served import MANAGE_WS, manage


class TestProject:
    def test_views(self, server: RunningServer) -> None:
        with server.connect("/echo/") as client:
            for message in ("text", b"\x00bytes"):
                client.send(message)
                assert client.recv(timeout=deadline(10)) == message
        assert server.get("/lower-case/?message=ABC") == (200, "abc")
        assert server.get("/echo/")[0] == 400
        assert server.get("/admin/login/")[0] == 200
        assert server.get("/static/admin/css/base.css")[0] == 200

    def test_checks(self, tmp_path: Path) -> None:
        run = manage(tmp_path, "check")
        assert (run.returncode, run.stdout.strip()) == (0, "System check identified no issues (0 silenced).")

    def test_the_migrations_are_up_to_date(self, tmp_path: Path) -> None:
        run = manage(tmp_path, "makemigrations", "--check", "--dry-run")
        assert run.returncode == 0, run.stdout

    def test_secret_key(self, tmp_path: Path) -> None:
        """There is a default for a first run, and none for production."""
        run = manage(tmp_path, "check", DEBUG="0")
        assert run.returncode == 1
        assert "Set SECRET_KEY in the environment" in run.stderr
        assert manage(tmp_path, "check", DEBUG="0", SECRET_KEY="x").returncode == 0

    def test_production(self, tmp_path: Path) -> None:
        env = environment(ROOT, DEBUG="0", SECRET_KEY="x", ALLOWED_HOSTS="example.com, 127.0.0.1")
        with running([*MANAGE_WS, "runwsserver", "--noreload", "0"], tmp_path, env) as server:
            server.wait_until_serving()
            assert server.get("/lower-case/?message=ABC") == (200, "abc")
            assert server.get("/")[0] == 200
            assert server.get("/static/admin/css/base.css")[0] == 404
            with server.connect("/echo-once/") as client:
                client.send("hello")
                assert client.recv(timeout=deadline(10)) == "hello"

    def test_two_processes_share_their_groups(self, tmp_path: Path) -> None:
        with ExitStack() as stack:
            redis = stack.enter_context(redis_server(tmp_path))
            env = environment(ROOT, REDIS_URL=redis.url)
            clients = []
            for number in range(2):
                directory = tmp_path / str(number)
                directory.mkdir()
                command = [*MANAGE_WS, "runwsserver", "--noreload", "0"]
                server = stack.enter_context(running(command, directory, env))
                server.wait_until_serving()
                clients.append(stack.enter_context(server.connect("/broadcast/")))
            wait_until(lambda: _members(redis) == 2, 10, "both are members")
            for client in clients:
                client.send("to all")
                assert [one.recv(timeout=deadline(10)) for one in clients] == ["to all", "to all"]


def _members(redis: Redis) -> int:
    with redis.client() as client:
        return sum(client.hlen(key) for key in client.scan_iter("django-websocket:{broadcast}:p:*"))


SHOWN = (
    "from django.conf import settings; import json; print(json.dumps({name: getattr(settings, name) for name in ("
    "'DATABASES', 'SECURE_PROXY_SSL_HEADER', 'SESSION_COOKIE_SECURE', 'CSRF_COOKIE_SECURE')}, default=str))"
)


def settings(**variables: str) -> dict[str, Any]:
    env = environment(ROOT, DJANGO_SETTINGS_MODULE="server.settings", **variables)
    run = subprocess.run([sys.executable, "-c", SHOWN], cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    shown: dict[str, Any] = json.loads(run.stdout)
    return shown


class TestEnvironment:
    def test_by_default_no_proxy_is_believed(self) -> None:
        shown = settings(BEHIND_TLS="0")
        assert shown["SECURE_PROXY_SSL_HEADER"] is None
        assert shown["SESSION_COOKIE_SECURE"] is shown["CSRF_COOKIE_SECURE"] is False

    def test_behind_tls(self) -> None:
        shown = settings(BEHIND_TLS="1")
        assert shown["SECURE_PROXY_SSL_HEADER"] == ["HTTP_X_FORWARDED_PROTO", "https"]
        assert shown["SESSION_COOKIE_SECURE"] is shown["CSRF_COOKIE_SECURE"] is True

    def test_databases(self) -> None:
        sqlite = settings(PGDATABASE="", DATABASE="/somewhere/file")["DATABASES"]["default"]
        assert (sqlite["ENGINE"], sqlite["NAME"]) == ("django.db.backends.sqlite3", "/somewhere/file")
        postgresql = settings(PGDATABASE="mysite", DATABASE="/somewhere/file")["DATABASES"]["default"]
        assert (postgresql["ENGINE"], postgresql["NAME"]) == ("django.db.backends.postgresql", "mysite")

    def test_errors_are_logged_in_production(self, tmp_path: Path) -> None:
        """Django would only mail them."""
        env = environment(ROOT, DEBUG="0", SECRET_KEY="x", ALLOWED_HOSTS="127.0.0.1")
        with running([*MANAGE_WS, "runwsserver", "--noreload", "0"], tmp_path, env) as server:
            server.wait_until_serving()
            assert server.get("/lower-case/")[0] == 500  # without a message
            server.wait_for("MultiValueDictKeyError")
            assert server.output.count("Internal Server Error: /lower-case/") == 1
