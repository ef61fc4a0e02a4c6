"""``docs/howto/background-tasks.rst``: its tasks and its command send from processes of their own, over Redis."""

from __future__ import annotations

import json
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import django
import pytest
from django.contrib.auth.models import User

from django_websocket import Group
from tests.conftest import ROOT
from tests.deadlines import deadline
from tests.groups.redis_servers import Redis
from tests.management.projects import RunningServer, environment, running

from .pages import Modules, Page, require
from .projects import Project
from .served import served

PAGE = Page("howto/background-tasks")
SETTINGS, VIEWS, TASKS, DJANGO_TASKS, COMMAND = PAGE.code()

URLS = """
from django.contrib.auth import login
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.urls import path
from django_websocket import require_websocket
from mysite import views

def log_in(request):
    login(request, User.objects.get_or_create(username="alice")[0])
    return HttpResponse("welcome")

@require_websocket
def clock(request):
    request.websocket.join("clock")
    request.websocket.wait()

urlpatterns = [path("reports/", views.reports), path("log-in/", log_in), path("clock/", clock)]
"""

CELERY = """
from celery import Celery

app = Celery("mysite")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["mysite"])
"""


@pytest.fixture(scope="module")
def server(redis: Redis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    require("celery")
    directory: Path = tmp_path_factory.mktemp("project")
    project = Project(directory)
    assert "redis://127.0.0.1:6379/0" in SETTINGS
    project.add_settings(SETTINGS.replace("redis://127.0.0.1:6379/0", redis.url))
    project.add_settings(f"INSTALLED_APPS += ['mysite']\nCELERY_BROKER_URL = {redis.url!r}")
    project.write("mysite/__init__.py", "from mysite.celery import app")
    project.write("mysite/celery.py", CELERY)
    project.write("mysite/management/commands/clock.py", COMMAND)
    for name, code in {"views": VIEWS, "tasks": TASKS, "urls": URLS}.items():
        project.write(f"mysite/{name}.py", code)
    with served(project) as server:
        yield server
        assert "Traceback" not in server.output


def cookie(server: RunningServer) -> str:
    """That of somebody who has logged in."""
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/log-in/", timeout=deadline(10)) as response:
        cookies: list[str] = response.headers.get_all("Set-Cookie")
    [session] = [cookie.partition(";")[0] for cookie in cookies if cookie.startswith("sessionid=")]
    return session


@pytest.mark.parametrize("pool", ["prefork", "threads", "solo"])
def test_celery(server: RunningServer, tmp_path: Path, pool: str) -> None:
    directory = server.log.parent
    env = environment(ROOT, PYTHONPATH=f"{ROOT}:{directory}", DJANGO_SETTINGS_MODULE="mysite.settings")
    command = [sys.executable, "-m", "celery", "-A", "mysite", "worker", "--pool", pool, "-l", "info"]
    with running(command, tmp_path, env) as worker:
        worker.wait_for("ready.")
        with server.connect("/reports/", additional_headers={"Cookie": cookie(server)}) as client:
            for year in ("2020", "1999"):
                client.send(year)
                assert json.loads(client.recv(timeout=deadline(20))) == {"year": int(year), "users": 0}


def test_a_command(server: RunningServer, tmp_path: Path) -> None:
    directory = server.log.parent
    with server.connect("/clock/") as client:
        env = environment(ROOT, PYTHONPATH=f"{ROOT}:{directory}", DJANGO_SETTINGS_MODULE="mysite.settings")
        with running([sys.executable, "-m", "django", "clock"], tmp_path, env):
            for _ in range(2):
                assert set(json.loads(client.recv(timeout=deadline(20)))) == {"now"}


@pytest.mark.skipif(django.VERSION < (6, 0), reason="Django has tasks since 6.0")
@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("ws_client")
def test_django_tasks(modules: Modules) -> None:
    User.objects.create(username="alice", date_joined="2025-05-05T00:00:00Z")
    tasks: Any = modules.add("mysite.tasks", DJANGO_TASKS)
    with Group("user.1").subscribe() as messages:
        tasks.make_report.enqueue(1, 2025)
        assert messages.read() == '{"year": 2025, "users": 1}'
