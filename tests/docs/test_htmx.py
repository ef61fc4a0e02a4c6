"""``docs/howto/htmx.rst``: its views and templates in a project, in Chromium, under htmx as its packages bring it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.request import HTTPRedirectHandler, build_opener

import pytest

from tests.browser import Page as Tab
from tests.browser import chromium
from tests.conftest import missing
from tests.deadlines import deadline
from tests.management.projects import RunningServer

from .pages import Page, require
from .projects import Project
from .served import served

PAGE = Page("howto/htmx")
KITCHEN, CHAT, FORMS, TESTS = PAGE.code()
TEMPLATES = {block.caption: block.code for block in PAGE.blocks if block.language == "django"}

ORDERS = """
from django.db import models

class Order(models.Model):
    dish = models.CharField(max_length=100)
    done = models.BooleanField(default=False)
"""

MESSAGES = """
from django.conf import settings
from django.db import models

class Message(models.Model):
    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE)
    text = models.CharField(max_length=200)
"""

#: Counts messages of which htmx has done all that it does: in the names of htmx 4, and of htmx 2.
COUNT = """
window.taken = 0;
for (const name of ["htmx:ws:after:message:incoming", "htmx:wsAfterMessage"])
  addEventListener(name, () => taken++);
"""

URLS = """
from django.contrib.auth import get_user_model, login
from django.http import HttpResponse
from django.urls import path

from django_websocket import Group
from django_websocket.registry import registry
from mysite import chat, kitchen
from orders.models import Order


def log_in(request, name):
    user, _ = get_user_model().objects.get_or_create(username=name, is_superuser=True)
    login(request, user)
    return HttpResponse(name)


def new_order(request, dish):
    return HttpResponse(Order.objects.create(dish=dish).pk)


def restart(request):
    '''As the client sees one. Meanwhile all orders are done, and nobody is told.'''
    for websocket in registry:
        websocket.close(1012)
    Order.objects.update(done=True)
    return HttpResponse(len(registry))


urlpatterns = [
    path("log-in/<name>/", log_in),
    path("order/<dish>/", new_order),
    path("restart/", restart),
    path("kitchen/", kitchen.kitchen, name="kitchen"),
    path("kitchen/socket/", kitchen.kitchen_socket, name="kitchen_socket"),
    path("finish/<int:pk>/", kitchen.finish),
    path("chat/", chat.chat, name="chat"),
    path("chat/socket/", chat.chat_socket, name="chat_socket"),
]
"""

SETTINGS = """
TEMPLATES[0]["DIRS"] = [BASE_DIR / "templates"]
STATICFILES_DIRS = [BASE_DIR / "static"]
INSTALLED_APPS += ["django_htmx"]
MIDDLEWARE += ["django_htmx.middleware.HtmxMiddleware"]
"""

#: What the page's table has in two columns, as far as it is in the templates.
IN_HTMX_2 = {
    "<script src=\"{% static 'htmx.min.js' %}\"></script>": "{% load django_htmx %}",
    "<script src=\"{% static 'hx-ws.min.js' %}\"></script>": '{% htmx_script extensions="hx-ws" %}',
    "hx-ws:connect=": 'hx-ext="ws" ws-connect=',
    "hx-ws:send": "ws-send",
}


def shop_in(directory: Path) -> Project:
    """The page's project, without htmx."""
    require("django_htmx")
    project = Project(directory)
    project.add_app("orders", ORDERS)
    project.add_app("chat", MESSAGES)
    project.add_settings(SETTINGS)
    project.write("chat/forms.py", FORMS)
    project.write("chat/tests.py", TESTS)
    project.write("mysite/kitchen.py", KITCHEN)
    project.write("mysite/chat.py", CHAT)
    project.write("mysite/urls.py", URLS)
    for name in ("static", "templates"):
        (directory / name).mkdir()
    for name, code in TEMPLATES.items():
        (directory / name).write_text(code)
    return project


def install_htmx(project: Project, program: Callable[..., str]) -> None:
    """As the page says."""
    program("npm")
    [commands] = PAGE.code("console")
    script = "\n".join(line.removeprefix("$ ") for line in commands.splitlines())
    (project.directory / "package.json").write_text('{"private": true}')
    environ = {
        **os.environ,
        "NPM_CONFIG_AUDIT": "false",
        "NPM_CONFIG_FUND": "false",
        "NPM_CONFIG_UPDATE_NOTIFIER": "false",
    }
    run = subprocess.run(
        ["sh", "-ec", script],
        cwd=project.directory,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=deadline(100),
    )
    if run.returncode != 0:
        missing(f"htmx from npm ({run.stdout})")


def use_htmx_2(project: Project) -> None:
    """As django-htmx brings it."""
    for name in TEMPLATES:
        path = project.directory / name
        text = path.read_text()
        for new, old in IN_HTMX_2.items():
            text = text.replace(new, old)
        path.write_text(text)


def test_the_table_has_what_is_tried() -> None:
    for new, old in list(IN_HTMX_2.items())[1:]:
        assert any(new in code for code in TEMPLATES.values())
        assert old.removesuffix("=") in PAGE.text


@pytest.fixture(scope="module", params=["htmx 4", "htmx 2"])
def shop(
    request: pytest.FixtureRequest, program: Callable[..., str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningServer]:
    """The page's project, served."""
    project = shop_in(tmp_path_factory.mktemp("htmx"))
    if request.param == "htmx 4":
        install_htmx(project, program)
    else:
        use_htmx_2(project)
    with served(project) as server:
        yield server


@pytest.fixture(scope="module")
def tab(shop: RunningServer, program: Callable[..., str]) -> Iterator[Tab]:
    with chromium(program("chromium", "chromium-browser", "google-chrome")) as tab:
        tab.prepare(COUNT)
        tab.open(f"http://127.0.0.1:{shop.port}/log-in/ann/")
        yield tab


def open_chat(shop: RunningServer, tab: Tab) -> None:
    """Until htmx has made its own what the first message has brought."""
    tab.open(f"http://127.0.0.1:{shop.port}/chat/")
    tab.wait_for("taken")


def say(tab: Tab, text: str) -> None:
    tab.run("document.querySelector('#form input').focus()")
    tab.type(text)
    tab.press("Enter")


class Stay(HTTPRedirectHandler):
    def redirect_request(self, *args: Any) -> None:
        """Follow none."""


def cookie_of(shop: RunningServer, name: str) -> dict[str, str]:
    """The header of somebody who is logged in, in no browser."""
    with build_opener(Stay).open(f"http://127.0.0.1:{shop.port}/log-in/{name}/", timeout=deadline(10)) as response:
        cookie = SimpleCookie("; ".join(response.headers.get_all("Set-Cookie")))
    return {"Cookie": f"sessionid={cookie['sessionid'].value}"}


def text_of(selector: str) -> str:
    """In a page: the text of all that matches, without the white space of templates."""
    return f"[...document.querySelectorAll({json.dumps(selector)})].map((one) => one.textContent.trim()).join('|')"


def wait_for_text(tab: Tab, selector: str, text: str) -> None:
    tab.wait_for(f"{text_of(selector)} === {json.dumps(text)}")


def test_the_same_for_everybody_and_a_reconnect(shop: RunningServer, tab: Tab) -> None:
    soup, _ = (shop.get(f"/order/{dish}/")[1] for dish in ("soup", "cake"))
    tab.open(f"http://127.0.0.1:{shop.port}/kitchen/")
    wait_for_text(tab, "#orders > li", "soup|cake")
    tab.run(f"fetch('/finish/{soup}/').then((response) => response.status)")
    wait_for_text(tab, "#orders > li", "soup: done|cake")
    shop.get("/restart/")
    wait_for_text(tab, "#orders > li", "soup: done|cake: done")


def test_for_each_user(shop: RunningServer, tab: Tab) -> None:
    with shop.connect("/chat/socket/", additional_headers=cookie_of(shop, "bob")) as bob:
        assert "<ul" in bob.recv(timeout=deadline(10))
        open_chat(shop, tab)
        bob.send(json.dumps({"text": "<b>hi</b>"}))
        wait_for_text(tab, "#messages > li", "bob: <b>hi</b>")
        say(tab, "hello")
        wait_for_text(tab, "#messages > li", "bob: <b>hi</b>|ann: hello")
        wait_for_text(tab, "#messages > li.mine", "ann: hello")
        tab.wait_for("document.querySelector('#form input').value === ''")
        received = [bob.recv(timeout=deadline(10)) for _ in range(3)]
        assert sum('<li class="mine">bob: &lt;b&gt;hi&lt;/b&gt;</li>' in one for one in received) == 1
        assert sum("<li>ann: hello</li>" in one for one in received) == 1
        tab.run("taken = 0")
        shop.get("/restart/")
    tab.wait_for("taken")
    wait_for_text(tab, "#messages > li", "bob: <b>hi</b>|ann: hello")
    say(tab, "still there")
    wait_for_text(tab, "#messages > li.mine", "ann: hello|ann: still there")


def test_what_a_form_sends(shop: RunningServer, tab: Tab) -> None:
    open_chat(shop, tab)
    tab.run("WebSocket.prototype.send = function (data) { window.sent = data; }")
    say(tab, "hello")
    tab.wait_for("window.sent")
    sent = json.loads(tab.run("window.sent"))
    version = tab.run("htmx.version")
    headers = sent.pop("HEADERS" if version.startswith("2") else "headers")
    assert headers["HX-Request"] == "true"
    assert sent == {"text": "hello"}


def test_an_invalid_form_comes_back(shop: RunningServer, tab: Tab) -> None:
    open_chat(shop, tab)
    tab.run("document.querySelector('#form input').required = false")
    before = tab.run(text_of("#messages > li"))
    tab.run("document.querySelector('#form button').click()")
    tab.wait_for("document.querySelector('#form .errorlist')")
    assert tab.run(text_of("#messages > li")) == before


def test_the_tests_of_the_page(tmp_path: Path) -> None:
    assert "Ran 1 test" in shop_in(tmp_path).manage("test")
