"""``docs/howto/tickets.rst``: its code runs, on the server and in a browser."""

from __future__ import annotations

import json
import re
import unittest
from collections.abc import Callable, Iterator
from textwrap import indent
from types import ModuleType
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import path

from django_websocket import tickets
from django_websocket.admission.entrance import REFRESH
from django_websocket.admission.offer import PROTOCOL
from tests.browser import chromium
from tests.conftest import ROOT, code_blocks
from tests.site.fixtures import Serve
from tests.site.running import Site

PAGE = ROOT / "docs" / "howto" / "tickets.rst"
TEXT = PAGE.read_text()

#: pytest-django's, whose name is not the same in all its versions.
Settings = Any


@pytest.fixture
def names(settings: Settings) -> dict[str, Any]:
    """What the page's code defines; its URLs are those of the project."""
    names: dict[str, Any] = {"__name__": "page"}
    for code in code_blocks(PAGE):
        exec(code, names)
    settings.MIDDLEWARE = [
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ]
    urls: Any = ModuleType("urls")
    urls.urlpatterns = [*names["urlpatterns"], path("notes/", names["notes"]), path("rest/", names["ticket"])]
    settings.ROOT_URLCONF = urls
    return names


@pytest.mark.django_db
def test_code(names: dict[str, Any]) -> None:
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(names["NotesTests"]).run(result)
    assert (result.testsRun, result.errors, result.failures) == (1, [], [])
    client = Client()
    assert client.post("/rest/").status_code == 403
    client.force_login(User.objects.create(username="bob"))
    [shown] = re.findall(r'^    (\{"ticket": .*\})$', TEXT, re.MULTILINE)
    for url in ("/ticket/", "/rest/"):
        assert list(client.post(url).json()) == list(json.loads(shown))
    names["lock_out"](User.objects.get())


def test_the_names_on_the_wire() -> None:
    assert f"    Sec-WebSocket-Protocol: {PROTOCOL}, WyIxIi..., notes.v2\n" in TEXT
    assert f"    {REFRESH}WyIxIi...\n" in TEXT
    assert all(f"``{name}``" in TEXT for name in ("describe", "issue"))
    assert set(tickets.__all__) == {"describe", "issue", "revoke", "view"}


@pytest.fixture
def shared(serve: Serve) -> Iterator[Site]:
    with serve(settings={"CSRF_COOKIE_HTTPONLY": False}) as site:
        yield site


def test_in_a_browser(shared: Site, program: Callable[..., str]) -> None:
    """Chromium gives up a connection whose answer selects nothing of what was offered."""
    [code] = [
        block
        for block in re.findall(r"code-block:: javascript\n\n((?:    .*\n|\n)+)", TEXT)
        if "new WebSocket" in block
    ]
    code = code.replace('"/ticket/"', '"/tickets/of_session/"').replace('"/notes/"', '"/tickets/echo/"')
    with chromium(program("chromium", "chromium-browser", "google-chrome")) as page:
        page.open(f"http://localhost:{shared.port}/sessions/new_login/")
        received = page.run(_in_page(shared, code))
    assert received == ["django-websocket.ticket", "ann", "hello"]


def _in_page(site: Site, code: str) -> str:
    """A promise of the subprotocol, and of what is received after a refresh."""
    return f"""(async () => {{
        const csrfToken = "{"t" * 32}";
        document.cookie = `csrftoken=${{csrfToken}}; path=/`;
    {indent(code, "    ")}
        const received = [];
        await new Promise((resolve, reject) => {{
            socket.onclose = () => reject(new Error("closed"));
            socket.onmessage = async (event) => {{
                received.push(event.data);
                if (received.length == 2) return resolve();
                const answer = await fetch("/tickets/new/");
                socket.send("{REFRESH}" + (await answer.json()).ticket);
                socket.send("hello");
            }};
        }});
        return [socket.protocol, ...received];
    }})()"""
