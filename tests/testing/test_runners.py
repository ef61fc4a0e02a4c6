"""A fresh project with the wheel: its tests run under Django's runner and under pytest-django, and fail clearly."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from textwrap import indent

import pytest

from tests.conftest import ROOT, code_blocks
from tests.deadlines import deadline
from tests.management.projects import environment, start_project

CHAT, URLS, EXAMPLE, FUNCTION, METHODS = code_blocks(ROOT / "docs" / "howto" / "testing.rst")[:5]

FAULTS = """
import asyncio

from django.test import TestCase

from django_websocket.testing import WebSocketTestCase, WebSocketTestMixin, WebSocketTransactionTestCase


class Faults(WebSocketTestCase):
    def test_forgotten(self):
        self.client.websocket("/echo/").send("a")

    def test_forgotten_error(self):
        self.client.websocket("/raises/").abort()

    def test_silence(self):
        with self.client.websocket("/echo/") as socket:
            socket.receive()

    def test_path(self):
        self.client.websocket("/nowhere/")

    def test_rejected_otherwise(self):
        with self.assertWebSocketRejected(403):
            self.client.websocket("/nowhere/")

    def test_not_rejected(self):
        with self.assertWebSocketRejected(403):
            self.client.websocket("/echo/").end()

    async def test_async(self):
        self.client.websocket("/echo/")

    def test_loop(self):
        self.client.view_timeout = 0.5
        self.client.websocket("/loops/")


class Fine(WebSocketTransactionTestCase):
    def test_rejected(self):
        with self.assertWebSocketRejected(404) as rejected:
            self.client.websocket("/nowhere/")
        self.assertEqual(rejected.exception.response.status_code, 404)


class AlsoFine(TestCase, WebSocketTestMixin):
    def test_echo(self):
        with self.client.websocket("/echo/") as socket:
            socket.send("a")
            self.assertEqual(socket.receive(), "a")
"""

FAULTY_VIEWS = """
from django_websocket import require_websocket


@require_websocket
def echo(request):
    for message in request.websocket:
        request.websocket.send(message)


@require_websocket
def loops(request):
    while True:
        pass


@require_websocket
def raises(request):
    request.websocket.wait()
    raise ValueError("nobody looks")
"""

FAULTY_URLS = """
urlpatterns += [path("echo/", views.echo), path("loops/", views.loops), path("raises/", views.raises)]
"""

# What the output says for each test that fails.
SAYS = {
    "test_forgotten": r"AssertionError: /echo/ is still open: use 'with client.websocket",
    "test_forgotten_error": r"ValueError: nobody looks",
    "test_silence": r"/echo/: no message came, and none can come\n.*views.py, line \d+, in echo: for message in",
    "test_path": r"WebSocketRejected: the websocket /nowhere/ was rejected with 404 Not Found: no URL pattern",
    "test_rejected_otherwise": r"AssertionError: 404 != 403 : the websocket /nowhere/ was rejected with 404",
    "test_not_rejected": r"AssertionError: WebSocketRejected not raised",
    "test_async": r"RuntimeError: websocket\(\) can't be used in an async test: write a plain 'def test_...'",
    "test_loop": r"ViewStuck: /loops/: the view has blocked the test for 0.5 seconds, at .*views.py, line \d+, in lo",
}

FIXTURE = """
import pytest

pytestmark = pytest.mark.django_db


def test_forgotten(ws_client, django_user_model):
    ws_client.force_login(django_user_model.objects.create_user("alice"))
    ws_client.websocket("/chat/lobby/")


def test_failure_first(ws_client, django_user_model):
    ws_client.force_login(django_user_model.objects.create_user("alice"))
    ws_client.websocket("/chat/lobby/")
    assert not "the first"
"""


def start(directory: Path, views: str, urls: str, tests: str) -> Path:
    project = start_project(directory)
    (project / "mysite" / "views.py").write_text(views)
    (project / "mysite" / "urls.py").write_text(urls)
    (project / "mysite" / "tests.py").write_text(tests)
    (project / "pytest.ini").write_text("[pytest]\nDJANGO_SETTINGS_MODULE = mysite.settings\npython_files = tests.py\n")
    return project


def run(project: Path, installed: Path, *command: str) -> tuple[int, str]:
    """Exit status and output."""
    done = subprocess.run(
        [sys.executable, *command],
        cwd=project,
        env=environment(installed),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=deadline(60),
    )
    return done.returncode, done.stdout


DOCUMENTED = f"""{EXAMPLE}

class Documented(WebSocketTestCase):
    def setUp(self):
        self.user = User.objects.create_user("bob")

{indent(METHODS, "    ")}
"""


def pytest_command(*options: str) -> list[str]:
    return ["-m", "pytest", "-q", "-W", "error", *options]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "project").mkdir()
    return tmp_path / "project"


RUNNERS = pytest.mark.parametrize(
    "command",
    [["-W", "error", "manage.py", "test"], ["-W", "error", "manage.py", "test", "--parallel", "2"], pytest_command()],
    ids=["django", "parallel", "pytest"],
)


@RUNNERS
def test_the_example_and_what_goes_wrong(project: Path, installed: Path, command: list[str]) -> None:
    """The example passes; every fault says what to do."""
    start(project, CHAT + FAULTY_VIEWS, URLS + FAULTY_URLS, DOCUMENTED + FAULTS)
    status, output = run(project, installed, *command)
    assert status == 1
    if "pytest" in command:
        assert f"{len(SAYS)} failed, 5 passed" in output, output
    else:
        assert f"Ran {len(SAYS) + 5} tests" in output
        assert sum(map(int, re.findall(r"(?:failures|errors)=(\d+)", output))) == len(SAYS), output
    sections = re.split(r"\n(?:(?:ERROR|FAIL): |_+ Faults\.)", output)
    for test, says in SAYS.items():
        [section] = [section for section in sections if re.match(rf"{test}\b", section)]
        assert re.search(says, section), section


def test_the_fixture(project: Path, installed: Path) -> None:
    start(project, CHAT + FAULTY_VIEWS, URLS + FAULTY_URLS, FIXTURE + FUNCTION)
    status, output = run(project, installed, *pytest_command())
    assert status == 1
    assert "2 failed, 1 passed" in output, output
    assert "AssertionError: /chat/lobby/ is still open" in output
    assert "the first" in output


def test_a_patched_process(project: Path, installed: Path) -> None:
    """Greenlets and locks are eventlet's, and the tests the same."""
    start(project, CHAT + FAULTY_VIEWS + BLOCKING_VIEW, URLS + FAULTY_URLS + BLOCKING_URL, EXAMPLE + BLOCKING_TESTS)
    manage = project / "manage.py"
    manage.write_text("from django_websocket.serving.patch import patch\npatch()\n" + manage.read_text())
    status, output = run(project, installed, "manage.py", "test")
    assert status == 0, output
    assert "Ran 3 tests" in output


BLOCKING_VIEW = """

@require_websocket
def blocks(request):
    import queue

    if request.GET:
        request.websocket.accept()
        request.websocket.wait()
    queue.Queue().get()
"""

BLOCKING_URL = """
urlpatterns += [path("blocks/", views.blocks)]
"""

BLOCKING_TESTS = f"""
from eventlet.patcher import is_monkey_patched

from django_websocket.testing import ViewStuck, WebSocketTestCase

assert is_monkey_patched("thread")


class Blocking(WebSocketTestCase):
    def setUp(self):
        self.client.view_timeout = {deadline(1)}

    def test_before(self):
        with self.assertRaisesRegex(ViewStuck, r"/blocks/: .* in blocks: queue.Queue\\(\\).get\\(\\)"):
            self.client.websocket("/blocks/")

    def test_after(self):
        with self.client.websocket("/blocks/?after=1") as socket, self.client.websocket("/echo/") as other:
            with self.assertRaisesRegex(ViewStuck, r"/blocks/.*: .* in blocks: queue.Queue\\(\\).get\\(\\)"):
                socket.send("a")
            other.send("b")
            self.assertEqual(other.receive(), "b")
"""
