"""What is added up, and that labels stay few."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from django.urls import path, re_path

from django_websocket import Group, require_websocket
from django_websocket.exceptions import RefusalReason
from django_websocket.groups.receivers import report_lost
from django_websocket.metrics import figures as module
from django_websocket.metrics.figures import MAX_PRIVATE_CODES, MAX_ROUTES, Figures, Values
from django_websocket.refusals import report_refusal
from django_websocket.registry import registry
from tests.site.local import LocalSite
from tests.site.views.common import SocketRequest


@require_websocket
def waits(request: SocketRequest, *args: str) -> None:
    request.websocket.wait()


@require_websocket
def busy(request: SocketRequest) -> None:
    """Takes no message for ten seconds."""
    request.websocket.accept()
    time.sleep(10)
    for _ in request.websocket:
        pass


@require_websocket
def member(request: SocketRequest) -> None:
    request.websocket.join("room")
    request.websocket.wait()


views: Any = {"member": member, "waits": waits, "busy": busy}  # the stubs know of no view that returns None


class Urls:
    """More patterns than have figures of their own, as where a project makes them from data."""

    urlpatterns = [
        path("busy/", views["busy"]),
        path("member/", views["member"]),
        re_path(r"^regular/(\d+)/$", views["waits"]),
        *(path(f"room-{number}/", views["waits"]) for number in range(MAX_ROUTES + 5)),
    ]


@pytest.fixture
def figures() -> Iterator[Figures]:
    figures = Figures()
    figures.listen()  # to signals as long as it lives
    yield figures
    registry.unsubscribe(figures)


def nobody_else() -> None:
    """Nothing else wants to run."""


def read(figures: Figures) -> Values:
    return figures.read(nobody_else)


def test_a_websocket_that_is_open_and_one_that_was(local_site: LocalSite, figures: Figures) -> None:
    with local_site.connect("/common/echo/") as one, local_site.connect("/common/echo/") as two:
        for client in (one, two):
            client.send("four")
            assert client.receive() == "four"
        one.close(4001)
        values = read(figures)
        echo = ("/common/echo/",)
        assert values["opened_total"] == {echo: 2}
        assert values["open"] == {echo: 1}
        assert values["closed_total"] == {(*echo, "4001"): 1}
        assert values["messages_received_total"] == values["messages_sent_total"] == {echo: 2}
        assert values["bytes_received_total"] == {echo: 2 * (6 + 4) + 8}
        assert values["bytes_sent_total"] == {echo: 2 * (2 + 4) + 4}
    assert read(figures)["open"] == {echo: 0}
    assert read(figures)["messages_sent_total"] == {echo: 2}


def test_the_durations_of_views(local_site: LocalSite, figures: Figures) -> None:
    with local_site.connect("/common/echo/"):
        local_site.client.advance(60)
        assert not figures.durations
    [(route, seconds)] = figures.durations
    assert route == "/common/echo/"
    assert 60 <= seconds < 61


def test_what_waits_for_views(local_site: LocalSite, figures: Figures, settings: Any) -> None:
    settings.ROOT_URLCONF = Urls
    with local_site.connect("/busy/") as client:
        client.send("höre")
        client.send(b"\0\0\0")
        local_site.client.advance(1)
        values = read(figures)
        assert values["queued_messages"] == {("/busy/",): 2}
        assert values["queued_bytes"] == {("/busy/",): 5 + 3}
        local_site.client.advance(10)
        assert read(figures)["queued_messages"] == {("/busy/",): 0}


def test_each_is_counted_once_while_others_come_and_go(
    local_site: LocalSite, figures: Figures, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SLICE", 1)
    totals = []
    with ExitStack() as stack:
        clients = [stack.enter_context(local_site.connect("/common/echo/")) for _ in range(6)]
        for client in clients:
            client.send("one")
            client.receive()

        def come_and_go() -> None:
            if len(clients) > 1:
                clients.pop().close()  # read already or not
                clients.pop(0).close()
                new = stack.enter_context(local_site.connect("/common/echo/"))
                new.send("one")
                new.receive()

        for turn in (come_and_go, nobody_else, nobody_else):
            totals.append(figures.read(turn)["messages_received_total"]["/common/echo/",])
    assert totals[0] == 6
    assert totals[1] == totals[2] == read(figures)["messages_received_total"]["/common/echo/",] > 6


def test_what_groups_do(local_site: LocalSite, figures: Figures, settings: Any) -> None:
    settings.ROOT_URLCONF = Urls
    before = read(figures)
    with ExitStack() as stack:
        first, *others = [stack.enter_context(local_site.connect("/member/")) for _ in range(3)]
        local_site.client.advance(1)
        assert read(figures)["memberships"] == {(): 3}
        Group("room").send("to all")
        Group("room").send("to two", exclude=first.websocket)
        Group("nobody").send("to none")
        for client in others:
            assert [client.receive(), client.receive()] == ["to all", "to two"]
        values = read(figures)
        assert values["group_sends_total"][()] - before["group_sends_total"][()] == 3
        assert values["group_deliveries_total"][()] - before["group_deliveries_total"][()] == 3 + 2
        assert values["group_queued_bytes"] == {(): 0}
        assert values["messages_sent_total"] == {("/member/",): 5}
    assert read(figures)["memberships"] == {(): 0}


def test_losses_and_refusals(figures: Figures) -> None:
    report_lost(["a", "b"], "as a test")
    report_lost(["a"], "as a test")
    for status in (404, 404, 403):
        report_refusal(RefusalReason.RESPONSE, status)
    values = read(figures)
    assert values["group_losses_total"] == {(): 3}
    assert values["refused_total"] == {("response", "404"): 2, ("response", "403"): 1}


def test_private_codes_are_few(local_site: LocalSite, figures: Figures) -> None:
    for code in [*range(3000, 3000 + MAX_PRIVATE_CODES + 5), 1000, 3000]:
        with local_site.connect("/common/echo/") as client:
            client.close(code)
    codes = {code: number for (_, code), number in read(figures)["closed_total"].items()}
    assert len(codes) == MAX_PRIVATE_CODES + 2
    assert (codes["3000"], codes["1000"], codes["other"]) == (2, 1, 5)


def test_routes_are_few(local_site: LocalSite, figures: Figures, settings: Any) -> None:
    settings.ROOT_URLCONF = Urls
    for number in [*range(MAX_ROUTES + 5), 0]:
        with local_site.connect(f"/room-{number}/"):
            pass
    opened = read(figures)["opened_total"]
    assert len(opened) == MAX_ROUTES + 1
    assert (opened["/room-0/",], opened["other",]) == (2, 5)


def test_a_raw_path_is_no_label(local_site: LocalSite, figures: Figures, settings: Any) -> None:
    settings.ROOT_URLCONF = Urls
    for number in (1, 2):
        with local_site.connect(f"/regular/{number}/"):
            pass
    assert read(figures)["opened_total"] == {("/regular/(\\d+)/$",): 2}
