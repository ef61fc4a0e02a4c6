"""The JavaScript of the pages that tell how to move here, in Chromium, with the views that the pages have for it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests import browser
from tests.conftest import find_program
from tests.deadlines import deadline
from tests.management.projects import RunningServer

from .pages import Page
from .projects import Project
from .served import served
from .test_migrating_from_channels import MODELS

CHANNELS = Page("howto/migrating-from-channels")
SOCKETIO = Page("howto/migrating-from-flask-socketio")

PAGE = """
{% load django_websocket %}<!doctype html><title>A page</title>{% websocket_client %}
<script>
  const shown = [];
  const show = (name, text) => shown.push([name, text]);
</script>
<script type="module">
SCRIPT
</script>
"""

URLS = """
from django.contrib.auth import login
from django.contrib.auth.models import User
from django.shortcuts import render
from django.urls import include, path
from VIEWS import chat

def page(request):
    login(request, User.objects.get_or_create(username="alice")[0])
    return render(request, "page.html")

urlpatterns = [path("", page), path("PATH", chat)]
"""


@pytest.fixture(scope="module")
def chromium(program: Callable[..., str]) -> Iterator[browser.Page]:
    with browser.chromium(program("chromium", "chromium-browser", "google-chrome")) as page:
        yield page


@contextmanager
def serving(directory: Path, views: str, script: str, **urls: str) -> Iterator[RunningServer]:
    """A page with ``script``, whoever opens which is logged in."""
    project = Project(directory)
    project.add_app("chat", MODELS)
    project.write("chat/views.py", views)
    (directory / "chat" / "templates").mkdir()
    (directory / "chat" / "templates" / "page.html").write_text(PAGE.replace("SCRIPT", script))
    code = URLS
    for old, new in urls.items():
        code = code.replace(old, new)
    project.write("mysite/urls.py", code)
    with served(project) as server:
        yield server
        assert "Traceback" not in server.output


def shown(page: browser.Page, count: int) -> Any:
    page.wait_for(f"shown.length >= {count}")
    return page.run("shown")


@pytest.mark.parametrize("number", [0, 1], ids=["before", "after"])
def test_from_channels(number: int, tmp_path: Path, chromium: browser.Page) -> None:
    [_, views, *_] = CHANNELS.code()
    scripts = CHANNELS.code("javascript")
    assert len(scripts) == 2
    with serving(tmp_path, views, scripts[number], VIEWS="chat.views", PATH="chat/<slug:room>/") as server:
        chromium.open(f"http://127.0.0.1:{server.port}/")
        assert shown(chromium, 1) == [["alice", "hello"]]


def test_from_flask_socketio(tmp_path: Path, chromium: browser.Page) -> None:
    [_, views, *_] = SOCKETIO.code()
    [_, after] = SOCKETIO.code("javascript")
    with serving(tmp_path, views, after, VIEWS="chat.views", PATH="chat/") as server:
        chromium.open(f"http://127.0.0.1:{server.port}/")
        assert shown(chromium, 2) == [["alice", "hello"], ["server", "ok"]]


def test_the_page_for_socketio_can_be_read(tmp_path: Path) -> None:
    module = tmp_path / "before.mjs"
    module.write_text(SOCKETIO.code("javascript")[0])
    run = subprocess.run([find_program("node"), "--check", module], capture_output=True, timeout=deadline(30))
    assert run.returncode == 0, run.stderr
