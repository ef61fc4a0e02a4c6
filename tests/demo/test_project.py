"""The demo project, under its own manage_ws.py."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.browser import Page, chromium
from tests.conftest import ROOT
from tests.deadlines import deadline, wait_until
from tests.groups.redis_servers import Redis, redis_server
from tests.management.projects import GREEN_DNS, RunningServer, environment, running

MANAGE_WS = [sys.executable, str(ROOT / "manage_ws.py")]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    directory = tmp_path_factory.mktemp("demo")
    database = {"DATABASE": str(directory / "db.sqlite3")}
    migrated = manage("migrate", directory, **database)
    assert migrated.returncode == 0, migrated.stderr
    env = environment(ROOT, **GREEN_DNS, **database)
    with running([*MANAGE_WS, "runwsserver", "0"], directory, env) as demo:
        demo.wait_until_serving()
        yield demo
        assert demo.end(signal.SIGTERM) == 0


@pytest.fixture(scope="module")
def page(server: RunningServer, program: Callable[..., str]) -> Iterator[Page]:
    with chromium(program("chromium", "chromium-browser", "google-chrome")) as browser:
        browser.open(f"http://127.0.0.1:{server.port}/")
        yield browser


class Section:
    """One view's part of the page."""

    def __init__(self, page: Page, identifier: str) -> None:
        self.page = page
        self.selector = f"document.getElementById({json.dumps(identifier)})"

    def click(self, button: str) -> None:
        self.page.run(f"{self.selector}.querySelector({json.dumps(f'button{button}')}).click()")

    def type(self, message: str) -> None:
        self.page.run(f"{self.selector}.querySelector('input').value = {json.dumps(message)}")

    def wait_for_log(self, *lines: str) -> None:
        """Wait until the log ends with ``lines``, each "kind text"."""
        log = f"[...{self.selector}.querySelectorAll('li')].map((li) => `${{li.dataset.kind}} ${{li.textContent}}`)"
        self.page.wait_for(f"JSON.stringify({log}.slice(-{len(lines)})) === {json.dumps(_compact(lines))}")

    def wait_for_state(self, state: str) -> None:
        self.page.wait_for(f"{self.selector}.querySelector('output').value === {json.dumps(state)}")


def _compact(lines: tuple[str, ...]) -> str:
    """As JavaScript's JSON.stringify() writes it."""
    return json.dumps(lines, separators=(",", ":"), ensure_ascii=False)


class TestPage:
    def test_echo(self, page: Page) -> None:
        section = Section(page, "echo")
        section.wait_for_state("closed")
        section.type("Hello, Wörld")
        section.click("[type=submit]")
        section.wait_for_log("note open", "sent Hello, Wörld", "received Hello, Wörld")
        section.wait_for_state("open")
        section.type("again")
        section.click("[type=submit]")
        section.wait_for_log("sent again", "received again")
        section.click("[name=toggle]")
        section.wait_for_log("note closed with 1000")
        section.wait_for_state("closed")

    def test_echo_once(self, page: Page) -> None:
        section = Section(page, "echo-once")
        for _ in range(2):
            section.type("one")
            section.click("[type=submit]")
            section.wait_for_log("note open", "sent one", "received one", "note closed with 1000")

    def test_lower_case(self, page: Page) -> None:
        section = Section(page, "lower-case")
        section.type("LOUD")
        section.click("[type=submit]")
        section.wait_for_log("sent LOUD", "received loud")
        section.click("[name=http]")
        section.wait_for_log("sent GET LOUD", "received loud")

    def test_broadcast(self, page: Page, server: RunningServer) -> None:
        section = Section(page, "broadcast")
        section.click("[name=toggle]")
        section.wait_for_log("note open")
        with server.connect("/broadcast/") as client:
            client.send("from another window")
            assert client.recv(timeout=deadline(10)) == "from another window"
            section.wait_for_log("received from another window")
            section.type("from the page")
            section.click("[type=submit]")
            section.wait_for_log("sent from the page", "received from the page")
            assert client.recv(timeout=deadline(10)) == "from the page"
        section.click("[name=toggle]")
        section.wait_for_log("note closed with 1000")

    def test_message_is_shown_as_text(self, page: Page) -> None:
        section = Section(page, "echo")
        section.type("<b>bold</b>")
        section.click("[type=submit]")
        section.wait_for_log("sent <b>bold</b>", "received <b>bold</b>")


class TestChat:
    """Two tabs, of two people."""

    def test_chat(self, server: RunningServer, program: Callable[..., str]) -> None:
        browser_program = program("chromium", "chromium-browser", "google-chrome")
        with chromium(browser_program) as ann, chromium(browser_program) as bob:
            for page, name in ((ann, "ann"), (bob, "bob")):
                sign_up(page, server, name)
                page.wait_for("document.getElementById('state').value === 'connected'")
            for page in (ann, bob):
                page.wait_for("document.getElementById('here').textContent === 'ann, bob'")
            speak(ann, "Hello, <b>Bob</b>")
            wait_for_messages(bob, "annHello, <b>Bob</b>")
            speak(bob, "Grüße")
            for page in (ann, bob):
                wait_for_messages(page, "annHello, <b>Bob</b>", "bobGrüße")
            ann.open(f"http://127.0.0.1:{server.port}/chat/lobby/")
            wait_for_messages(ann, "annHello, <b>Bob</b>", "bobGrüße")
            ann.open(f"http://127.0.0.1:{server.port}/chat/other-room/")
            bob.wait_for("document.getElementById('here').textContent === 'bob'")
            ann.wait_for("document.getElementById('here').textContent === 'ann'")
            # Logging out elsewhere closes the websocket, and the page asks for a login.
            form = "new FormData(document.querySelector('header form'))"
            bob.run(f"fetch('/logout/', {{method: 'POST', body: {form}}}), null")  # the page may be left before
            bob.wait_for("location.pathname === '/login/'")


def sign_up(page: Page, server: RunningServer, name: str) -> None:
    page.open(f"http://127.0.0.1:{server.port}/sign-up/")
    fields = {"username": name, "password1": "correct horse", "password2": "correct horse"}
    for field, value in fields.items():
        page.run(f"document.querySelector('[name={field}]').value = {json.dumps(value)}")
    page.run("document.querySelector('form').submit()")
    page.wait_for("location.pathname === '/chat/' && document.readyState === 'complete'")


def speak(page: Page, text: str) -> None:
    page.run(f"document.querySelector('[name=text]').value = {json.dumps(text)}")
    page.run("document.getElementById('say').requestSubmit()")


def wait_for_messages(page: Page, *texts: str) -> None:
    shown = "[...document.querySelectorAll('#messages li')].map((line) => line.textContent)"
    page.wait_for(f"JSON.stringify({shown}) === {json.dumps(_compact(texts))}")


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
        run = manage("check", tmp_path)
        assert (run.returncode, run.stdout.strip()) == (0, "System check identified no issues (0 silenced).")

    def test_secret_key(self, tmp_path: Path) -> None:
        """There is a default for a first run, and none for production."""
        run = manage("check", tmp_path, DEBUG="0")
        assert run.returncode == 1
        assert "Set SECRET_KEY in the environment" in run.stderr
        assert manage("check", tmp_path, DEBUG="0", SECRET_KEY="x").returncode == 0

    def test_production(self, tmp_path: Path) -> None:
        env = environment(ROOT, DEBUG="0", SECRET_KEY="x", ALLOWED_HOSTS="example.com, 127.0.0.1")
        with running([*MANAGE_WS, "runwsserver", "--noreload", "0"], tmp_path, env) as server:
            server.wait_until_serving()
            assert server.get("/lower-case/?message=ABC") == (200, "abc")
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


def manage(command: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    env = environment(ROOT, **variables)
    return subprocess.run([*MANAGE_WS, command], cwd=cwd, env=env, capture_output=True, text=True)


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
