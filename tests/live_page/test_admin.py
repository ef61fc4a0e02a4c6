"""Who gets in, and what the page is."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.contrib.staticfiles import finders
from django.core.management import call_command

from django_websocket import ConnectionClosed
from django_websocket.live_page import viewer
from django_websocket.testing import WebSocketRejected
from tests.conftest import ROOT
from tests.deadlines import deadline

from .conftest import Entering, Visitor
from .project import PAGE, SOCKET


def test_the_anonymous_are_sent_to_the_login(people: dict[str, Any]) -> None:
    response = Visitor().get(PAGE)
    assert (response.status_code, response["Location"]) == (302, f"/admin/login/?next={PAGE}")
    with pytest.raises(WebSocketRejected) as rejected, Visitor().websocket(SOCKET):
        pass
    assert rejected.value.status_code in (302, 403)  # a server makes the one out of the other


@pytest.mark.parametrize("name", ["clerk", "ann"])
def test_who_lacks_the_permission_is_refused(people: dict[str, Any], name: str) -> None:
    visitor = Visitor(people[name])
    assert visitor.get(PAGE).status_code == 403
    with pytest.raises(WebSocketRejected) as rejected, visitor.websocket(SOCKET):
        pass
    assert rejected.value.status_code == 403
    assert visitor.get("/admin/live_websockets/").status_code in (302, 404)


def test_a_foreign_origin_is_refused(people: dict[str, Any]) -> None:
    visitor = Visitor(people["root"])
    with pytest.raises(WebSocketRejected) as rejected, visitor.websocket(SOCKET, origin="https://evil.example"):
        pass
    assert rejected.value.status_code == 403


def test_the_page_is_in_the_index(people: dict[str, Any]) -> None:
    index = Visitor(people["viewer"]).get("/admin/live_websockets/").content.decode()
    assert f'href="{PAGE}"' in index


@pytest.mark.parametrize(("name", "may_close"), [("root", True), ("viewer", False)])
def test_the_page(people: dict[str, Any], name: str, may_close: bool) -> None:
    page = Visitor(people[name]).get(PAGE).content.decode()
    assert f'data-socket="{SOCKET}"' in page
    assert ("data-may-close" in page) is may_close
    assert ("<dialog" in page) is may_close


def test_nothing_in_the_page_is_inline(people: dict[str, Any]) -> None:
    page = Visitor(people["root"]).get(PAGE).content.decode()
    content = page[page.index('id="live"') :]
    assert not re.search(r"<style|\bstyle=|\bon[a-z]+=|javascript:", content)
    assert re.findall(r"<script(?![^>]*\bsrc=)", page) == []
    for path in re.findall(r'/static/(live_websockets/[^"]+)"', page):
        assert finders.find(path), path


def test_there_is_nothing_to_add_or_change(people: dict[str, Any]) -> None:
    visitor = Visitor(get_user_model()._default_manager.create_superuser("boss"))
    assert visitor.get(PAGE).status_code == 200
    for path in ("add/", "1/change/", "1/delete/"):
        assert visitor.get(PAGE + path).status_code == 404


def hear(socket: Any) -> Any:
    return socket.receive_json(timeout=10)


def hear_the_end(socket: Any) -> tuple[int | None, str]:
    """Code and reason."""
    while True:
        try:
            hear(socket)
        except ConnectionClosed:
            return socket.close_code, socket.close_reason


def asked(socket: Any, number: int = 1, **query: Any) -> Any:
    """The first page that answers a query."""
    socket.send_json({"query": query, "number": number})
    while True:
        message = hear(socket)
        if message.get("number") == number:
            return message["page"]


def test_pages_come_until_the_websocket_is_closed(people: dict[str, Any], entering: Entering) -> None:
    with entering() as enter, Visitor(people["viewer"]).websocket(SOCKET) as socket:
        enter("/room/hall/", "ann")
        page = asked(socket, search="hall")
        assert [row["user"] for row in page["rows"]] == ["ann"]
        assert (page["first"], page["matching"], page["sockets"]) == (0, 1, 2)
        assert [one["sockets"] for one in page["processes"]] == [2]
        enter("/room/hall/", "bob")
        assert [row["user"] for row in hear(socket)["page"]["rows"]] == ["ann", "bob"]


def test_a_paused_page_gets_nothing(people: dict[str, Any]) -> None:
    with Visitor(people["viewer"]).websocket(SOCKET) as socket:
        asked(socket)
        socket.send_json({"paused": True})
        socket.assert_nothing_received(timeout=60)
        assert asked(socket, 2, search="nothing")["matching"] == 0
        socket.assert_nothing_received(timeout=60)
        socket.send_json({"paused": False})
        assert hear(socket)["number"] == 2


@pytest.mark.parametrize(
    "message", ["[]", "[" * 4000, "{", '{"query": {"sort": "password"}, "number": 1}', '{"query": {}}']
)
def test_what_no_page_sends(people: dict[str, Any], message: str) -> None:
    with Visitor(people["viewer"]).websocket(SOCKET) as socket:
        hear(socket)
        socket.send(message)
        assert hear_the_end(socket)[0] == 1008


def test_closing(people: dict[str, Any], entering: Entering) -> None:
    with entering() as enter, Visitor(people["root"]).websocket(SOCKET) as socket:
        client = enter("/room/hall/", "ann")
        [row] = asked(socket, search="hall")["rows"]
        _, process, number = row["position"]
        socket.send_json({"order": {"reason": "bye", "websocket": [process, number]}})
        assert wait_for(socket, "closed") == 1
        assert (client.close_code, client.close_reason) == (1008, "bye")


def wait_for(socket: Any, key: str) -> Any:
    while True:
        message = hear(socket)
        if key in message:
            return message[key]


def test_who_may_only_look_can_close_nothing(people: dict[str, Any], entering: Entering) -> None:
    with entering() as enter, Visitor(people["viewer"]).websocket(SOCKET) as socket:
        client = enter("/room/hall/", "ann")
        socket.send_json({"order": {"reason": "bye", "user": str(people["ann"].pk)}})
        assert wait_for(socket, "refused")
        assert not client.closed


def test_a_permission_that_is_withdrawn(people: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    with Visitor(people["root"]).websocket(SOCKET) as socket:
        asked(socket)
        people["root"].user_permissions.remove(Permission.objects.get(codename="close_websocket"))
        socket.send_json({"order": {"reason": "bye", "user": "1"}})
        assert wait_for(socket, "refused")
        people["root"].user_permissions.clear()
        monkeypatch.setattr(viewer, "CHECK_SECONDS", 0.0)
        assert hear_the_end(socket) == (1008, "you may not look at this any more")


def test_no_more_pages_than_a_process_can_serve(people: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(viewer, "MAX_VIEWERS", 1)
    visitor = Visitor(people["viewer"])
    with visitor.websocket(SOCKET) as first:
        hear(first)
        with visitor.websocket(SOCKET) as second:
            assert hear_the_end(second)[0] == 1013
    with visitor.websocket(SOCKET) as third:
        assert hear(third)


def test_there_is_no_table_to_dump(people: dict[str, Any]) -> None:
    out = StringIO()
    call_command("dumpdata", "live_websockets", stdout=out)
    assert json.loads(out.getvalue()) == []


def test_the_migration_is_up_to_date(people: dict[str, Any]) -> None:
    call_command("makemigrations", "live_websockets", check=True, dry_run=True, verbosity=0)


def test_a_project_without_it_has_no_model_of_ours(tmp_path: Path) -> None:
    program = (
        "import django; from django.conf import settings;"
        "settings.configure(INSTALLED_APPS=['django_websocket']); django.setup();"
        "from django.apps import apps; print(list(apps.get_models()))"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=deadline(30)
    )
    assert (run.returncode, run.stdout.strip()) == (0, "[]"), run.stderr
    assert "django_websocket.live_page" not in django_settings.INSTALLED_APPS
