"""``manage.py websockets``: the endpoints for people and for programs."""

from __future__ import annotations

import json
import subprocess
import sys
from io import StringIO
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from django.core.management import call_command

MANAGE = [sys.executable, "manage.py", "websockets"]


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("websockets", *arguments, stdout=out, no_color=True)
    return out.getvalue()


@pytest.fixture(autouse=True)
def endpoints(settings: Any) -> None:
    settings.ROOT_URLCONF = "tests.test_endpoints"


def test_each_has_a_paragraph(settings: Any) -> None:
    settings.CSRF_TRUSTED_ORIGINS = ["https://www.example.com"]
    text = run()
    assert (
        """\
/echo/
    tests.test_endpoints.echo, named echo: websockets only
    origins: the request's own host, https://www.example.com
/chat/<slug:room>/
    tests.test_endpoints.chat, named rooms:room: websockets and pages
    origins: any
    subprotocols: chat.v2
    compression: context-takeover
    max_queue: 3
"""
        in text
    )
    assert "/page/" not in text


def test_an_endpoint_that_opens_none(settings: Any) -> None:
    settings.MIDDLEWARE = ["django_websocket.middleware.WebSocketMiddleware"]
    _, _, paragraph = run().partition("/class/\n")
    assert "opens none: WebSocketMiddleware refuses it" in paragraph


def test_no_origin_at_all(settings: Any) -> None:
    settings.WEBSOCKET_ALLOWED_ORIGINS = []
    assert "origins: none, only clients that are no browsers" in run()


def test_json_is_a_list_of_objects() -> None:
    found = {each["path"]: each for each in json.loads(run("--json"))}
    assert found["/chat/<slug:room>/"] == {
        "path": "/chat/<slug:room>/",
        "name": "rooms:room",
        "view": "tests.test_endpoints.chat",
        "required": False,
        "origins": ["*"],
        "subprotocols": ["chat.v2"],
        "options": {"max_queue": 3, "compression": "context-takeover"},
        "problem": None,
    }


def test_none(settings: Any) -> None:
    settings.ROOT_URLCONF = ModuleType("urls")
    settings.ROOT_URLCONF.urlpatterns = []
    assert run() == "No URL takes websockets.\n"
    assert json.loads(run("--json")) == []


def test_a_fresh_project(pristine: Path, env: dict[str, str]) -> None:
    done = subprocess.run(MANAGE, cwd=pristine, env=env, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "/echo-once/\n    mysite.views.echo_once: websockets only\n" in done.stdout
    assert "/lower-case/\n    mysite.views.lower_case: websockets and pages\n" in done.stdout
    assert "admin" not in done.stdout
