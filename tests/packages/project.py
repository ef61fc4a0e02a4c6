"""A fresh project with one package more, served by ``runwsserver``, and a client."""

from __future__ import annotations

import http.cookiejar
import json
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tests.conftest import ROOT
from tests.deadlines import deadline
from tests.management.projects import GREEN_DNS, RunningServer, environment, running, start_project

from .packages import Package

VIEWS = """
from django.http import HttpResponse, JsonResponse
from django_websocket import accept_websocket, require_websocket

more_patterns = []
more = {}
"""

BASE = """
def page(request):
    return HttpResponse("<html><body>page</body></html>")

@require_websocket
def echo(request):
    for message in request.websocket:
        request.websocket.send(message)

def fails(request):
    raise ValueError("on purpose")

@require_websocket
def fails_first(request):
    raise ValueError("before the accept")

@require_websocket
def fails_later(request):
    request.websocket.send("accepted")
    raise ValueError("after the accept")
"""

URLS = """
from django.urls import path
from mysite import views

here = {
    "page/": views.page, "echo/": views.echo, "fails/": views.fails,
    "fails-first/": views.fails_first, "fails-later/": views.fails_later,
}
urlpatterns = [path(route, view) for route, view in {**here, **views.more}.items()] + views.more_patterns
"""


class Page(NamedTuple):
    status: int
    headers: Any
    body: str


class Visitor:
    """A client of a served project that keeps its cookies."""

    def __init__(self, server: RunningServer, directory: Path) -> None:
        self.server = server
        self.directory = directory
        self.address = f"http://127.0.0.1:{server.port}"
        self.cookies = http.cookiejar.CookieJar()
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(self.cookies)
        )

    def get(self, path: str, *, method: str = "GET", data: dict[str, str] | None = None, **headers: str) -> Page:
        """A request; what is in ``data`` is posted as a form. Underscores in names of headers are dashes."""
        body = None if data is None else urllib.parse.urlencode(data).encode()
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(
            self.address + path, body, names, method="POST" if body is not None else method
        )
        try:
            with self._opener.open(request, timeout=deadline(20)) as response:
                return Page(response.status, response.headers, response.read().decode())
        except urllib.error.HTTPError as error:
            with error:
                return Page(error.code, error.headers, error.read().decode())

    def get_json(self, path: str) -> Any:
        return json.loads(self.get(path).body)

    def cookie(self) -> str:
        return "; ".join(f"{cookie.name}={cookie.value}" for cookie in self.cookies)


@contextmanager
def visit(package: Package, directory: Path, **variables: str) -> Iterator[Visitor]:
    """Serve a new project in ``directory`` that uses ``package``."""
    start_project(directory)
    settings = directory / "mysite" / "settings.py"
    settings.write_text(f"{settings.read_text()}\nALLOWED_HOSTS = ['127.0.0.1']\n{package.settings}")
    (directory / "mysite" / "views.py").write_text(VIEWS + package.views + BASE)
    (directory / "mysite" / "urls.py").write_text(URLS)
    env = environment(ROOT, **GREEN_DNS, **variables)
    manage = [sys.executable, "manage.py"]
    subprocess.run([*manage, "migrate", "-v0"], cwd=directory, env=env, check=True)
    with running([*manage, "runwsserver", "--noreload", "--nostatic", "0"], directory, env) as server:
        server.wait_until_serving()
        yield Visitor(server, directory)
        assert server.process.poll() is None, server.output
