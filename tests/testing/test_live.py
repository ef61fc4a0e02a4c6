"""The server process of a live test case."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import urllib.request
from pathlib import Path

import pytest
import websocket as websocket_client
from django.contrib.auth.models import Group, User
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.test import override_settings
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import connect

from django_websocket.testing import WebSocketLiveServerTestCase
from tests.browser import chromium
from tests.conftest import find_program
from tests.deadlines import deadline, wait_until
from tests.faults.postgres import postgres
from tests.management.projects import environment
from tests.testing.conftest import PROJECT
from tests.testing.test_runners import run, start


@override_settings(**PROJECT, FIXED="by the class", WEBSOCKET_GROUPS={"BACKEND": "nowhere.Backend"})
class LiveTests(WebSocketLiveServerTestCase):
    def test_views(self) -> None:
        assert self.live_server_url.startswith("http://localhost:")
        with urllib.request.urlopen(f"{self.live_server_url}/plain/", timeout=deadline(10)) as response:
            assert response.read() == b"a page"
        with connect(self.websocket_url("/echo/"), proxy=None) as socket:
            socket.send("hello")
            assert socket.recv(timeout=deadline(10)) == "hello"
        other = websocket_client.create_connection(self.websocket_url("/echo/"), timeout=deadline(10))
        other.send("again")
        assert other.recv() == "again"
        other.close()

    def test_the_database_is_that_of_the_test(self) -> None:
        Group.objects.create(name="test")
        with connect(self.websocket_url("/names/"), proxy=None) as socket:
            socket.send("view")
            assert socket.recv(timeout=deadline(10)) == '["test", "view"]'
        assert Group.objects.filter(name="view").exists()

    def test_every_test_finds_it_empty(self) -> None:
        assert not Group.objects.exists()
        with connect(self.websocket_url("/names/"), proxy=None) as socket:
            socket.send("view")
            assert socket.recv(timeout=deadline(10)) == '["view"]'

    def test_a_session_of_the_test(self) -> None:
        self.client.force_login(User.objects.create_user("alice"))
        cookie = f"sessionid={self.client.cookies['sessionid'].value}"
        with connect(self.websocket_url("/needs_a_user/"), proxy=None, additional_headers={"Cookie": cookie}) as socket:
            assert socket.recv(timeout=deadline(10)) == "welcome"

    def test_settings(self) -> None:
        url = self.websocket_url("/setting/?name=")
        assert _setting(f"{url}FIXED") == "by the class"
        assert _setting(f"{url}PASSING") == "None"
        with self.settings(PASSING="through", FIXED="otherwise"):
            assert _setting(f"{url}PASSING") == "through"
            assert _setting(f"{url}FIXED") == "otherwise"
        assert _setting(f"{url}PASSING") == "None"
        assert _setting(f"{url}FIXED") == "by the class"
        assert "localhost" in _setting(f"{url}ALLOWED_HOSTS")
        assert _setting(f"{url}WEBSOCKET_GROUPS") == "{'HISTORY': {}}"  # in memory
        apps = [*_apps(), "django.contrib.humanize"]
        with self.settings(INSTALLED_APPS=apps):
            assert "humanize" in _setting(f"{url}apps")
        assert "humanize" not in _setting(f"{url}apps")

    def test_a_setting_that_can_not_be_sent(self) -> None:
        with (
            pytest.raises(ImproperlyConfigured, match="can't have the setting PASSING, which can't be pickled"),
            self.settings(PASSING=lambda: None),
        ):
            pass
        assert _setting(self.websocket_url("/setting/?name=PASSING")) == "None"

    def test_the_test_client_is_there_as_well(self) -> None:
        with self.client.websocket("/echo/") as socket:
            socket.send("hello")
            assert socket.receive() == "hello"

    def test_a_browser(self) -> None:
        with chromium(find_program("chromium")) as page:
            page.open(f"{self.live_server_url}/plain/")
            page.run(
                f"""
                var socket = new WebSocket("{self.websocket_url("/echo/")}");
                socket.onopen = () => socket.send("from a browser");
                socket.onmessage = event => {{ window.received = event.data; }};
                """
            )
            page.wait_for("window.received === 'from a browser'")

    def test_a_view_that_fails(self) -> None:
        with connect(self.websocket_url("/raises_after/"), proxy=None) as socket:
            socket.send("a message")
            with pytest.raises(ConnectionClosedError) as closed:
                socket.recv(timeout=deadline(10))
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1011


def _setting(url: str) -> str:
    with connect(url, proxy=None) as socket:
        return str(socket.recv(timeout=deadline(10)))


def _apps() -> list[str]:
    from django.conf import settings

    return list(settings.INSTALLED_APPS)


@pytest.mark.django_db
def test_the_database_in_memory_is_back() -> None:
    assert connection.is_in_memory_db()  # type: ignore[attr-defined]  # SQLite's
    assert not Group.objects.exists()


# Processes of their own

SITE = {
    "views": """
from django.contrib.auth.models import User
from django_websocket import require_websocket

@require_websocket
def waits(request):
    request.websocket.accept()
    request.websocket.wait()

@require_websocket
def names(request):
    request.websocket.send_json(list(User.objects.values_list("username", flat=True)))

@require_websocket
def fails(request):
    raise ValueError("seen by who runs the test")
""",
    "urls": """
from django.urls import path
from mysite import views

urlpatterns = [path("waits/", views.waits), path("names/", views.names), path("fails/", views.fails)]
""",
    "tests": """
import urllib.request

from django.contrib.auth.models import User
from websockets.exceptions import ConnectionClosedOK, InvalidStatus
from websockets.sync.client import connect

from django_websocket.testing import WebSocketLiveServerTestCase


class Live(WebSocketLiveServerTestCase):
    serialized_rollback = True

    def test_static_and_media_files(self):
        for path in ("/static/admin/css/base.css", "/media/upload.txt"):
            with urllib.request.urlopen(self.live_server_url + path) as response:
                self.assertEqual(response.status, 200)

    def test_traceback(self):
        with self.assertRaises(InvalidStatus):
            connect(self.websocket_url("/fails/"), proxy=None)

    def test_users(self):
        User.objects.create_user("alice", password="secret")
        with connect(self.websocket_url("/names/"), proxy=None) as socket:
            self.assertEqual(socket.recv(timeout=10), '["alice"]')


class MoreLive(WebSocketLiveServerTestCase):
    open = None

    def test_it_stays_open(self):
        type(self).open = connect(self.websocket_url("/waits/"), proxy=None)

    @classmethod
    def doClassCleanups(cls):
        super().doClassCleanups()
        if cls.open is not None:
            with cls.open, cls().assertRaises(ConnectionClosedOK) as closed:
                cls.open.recv(timeout=10)
            assert closed.exception.rcvd.code == 1001
""",
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    directory = tmp_path / "project"
    directory.mkdir()
    start(directory, **SITE)
    (directory / "media").mkdir()
    (directory / "media" / "upload.txt").write_text("uploaded")
    with (directory / "mysite" / "settings.py").open("a") as settings:
        settings.write('MEDIA_ROOT = BASE_DIR / "media"\nMEDIA_URL = "/media/"\n')
    return directory


@pytest.mark.parametrize(
    "command",
    [["manage.py", "test", "--parallel", "2"], ["-m", "pytest", "-q", "-rP"]],
    ids=["django", "pytest"],
)
def test_runners(project: Path, installed: Path, command: list[str]) -> None:
    status, output = run(project, installed, *command)
    assert status == 0, output
    assert "ValueError: seen by who runs the test" in output
    assert "was killed" not in output


def test_a_patched_process(project: Path, installed: Path) -> None:
    manage = project / "manage.py"
    manage.write_text("from django_websocket.serving.patch import patch\npatch()\n" + manage.read_text())
    status, output = run(project, installed, "manage.py", "test")
    assert status == 0, output


def test_postgresql(project: Path, installed: Path) -> None:
    pytest.importorskip("psycopg")
    with postgres() as server, (project / "mysite" / "settings.py").open("a") as settings:
        settings.write(f"DATABASES = {server.settings()['DATABASES']!r}\n")
        settings.flush()
        status, output = run(project, installed, "manage.py", "test")
    assert status == 0, output


def test_a_project_that_does_not_start(project: Path, installed: Path) -> None:
    urls = project / "mysite" / "wsgi.py"
    urls.write_text("raise ImportError('on purpose')\n")
    with (project / "mysite" / "settings.py").open("a") as settings:
        settings.write("import sys\nif 'manage.py' not in sys.argv[0]: raise ImportError('on purpose')\n")
    status, output = run(project, installed, "manage.py", "test")
    assert status == 1
    assert "RuntimeError: the live server did not start:" in output
    assert "ImportError: on purpose" in output


def test_no_server_outlives_its_test(project: Path, installed: Path) -> None:
    """Not even where the test is killed."""
    (project / "mysite" / "tests.py").write_text(
        textwrap.dedent(
            """
            import time
            from django_websocket.testing import WebSocketLiveServerTestCase

            class Live(WebSocketLiveServerTestCase):
                def test_for_ever(self):
                    print("server:", self._live_server._process.pid, flush=True)
                    time.sleep(600)
            """
        )
    )
    with subprocess.Popen(
        [sys.executable, "manage.py", "test"],
        cwd=project,
        env=environment(installed),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        pid = 0
        for line in process.stdout:
            if line.startswith("server:"):
                pid = int(line.split()[1])
                break
        assert pid
        os.kill(pid, 0)
        process.send_signal(signal.SIGKILL)
    wait_until(lambda: not _runs(pid), 15)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
