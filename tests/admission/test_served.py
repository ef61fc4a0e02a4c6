"""Tickets on a server: in one process, in two that share a cache, and in two that have groups over Redis."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection
from websockets.typing import Subprotocol

from django_websocket.admission.watch import REVOCATIONS
from tests.deadlines import deadline
from tests.groups.redis_servers import redis_server
from tests.site.fixtures import Serve
from tests.site.running import Site, serve_site

ECHO = "/tickets/echo/"


def new_ticket(site: Site) -> str:
    return str(site.get_json("/tickets/new/")["ticket"])


def connect(site: Site, ticket: str, *others: str, path: str = ECHO) -> ClientConnection:
    return site.connect(path, subprotocols=[Subprotocol(one) for one in ("django-websocket.ticket", ticket, *others)])


def receive(client: ClientConnection) -> Any:
    return client.recv(timeout=deadline(10))


def close_of(client: ClientConnection) -> tuple[int, str]:
    """Code and reason with which the server closes."""
    with pytest.raises(ConnectionClosed) as closed:
        receive(client)
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code, closed.value.rcvd.reason


@pytest.fixture
def debugged(serve: Serve) -> Iterator[Site]:
    """Its error pages have all that Django knows of a request."""
    with serve(settings={"DEBUG": True}) as site:
        yield site


def test_a_websocket(site: Site) -> None:
    with connect(site, new_ticket(site)) as client:
        assert client.subprotocol == "django-websocket.ticket"
        assert receive(client) == "ann"
        client.send(f"django-websocket.ticket {new_ticket(site)}")
        client.send("hello")
        assert receive(client) == "hello"


def test_a_refresh_in_fragments_and_between_others(site: Site) -> None:
    with connect(site, new_ticket(site)) as client:
        assert receive(client) == "ann"
        client.send("one")
        client.send(["django-", "websocket.ticket ", new_ticket(site)])
        client.send("two")
        assert [receive(client), receive(client)] == ["one", "two"]
        client.send("django-websocket.ticket forged")
        assert close_of(client) == (4401, "the ticket is not valid")


def test_a_used_one(site: Site) -> None:
    ticket = new_ticket(site)
    with connect(site, ticket) as client:
        assert receive(client) == "ann"
    with pytest.raises(InvalidStatus) as refused, connect(site, ticket):
        pass
    assert refused.value.response.status_code == 401


def test_nothing_is_left_of_it(site: Site) -> None:
    site.get_json("/common/garbage/")
    for _ in range(3):
        with connect(site, new_ticket(site)) as client:
            assert receive(client) == "ann"
            client.send(f"django-websocket.ticket {new_ticket(site)}")
            client.send("hello")
            assert receive(client) == "hello"
    before = site.get_json("/common/garbage/")["found"]
    with connect(site, new_ticket(site)) as client:
        assert receive(client) == "ann"
        client.send("django-websocket.ticket forged")
        assert close_of(client)[0] == 4401
    after = site.get_json("/common/garbage/")
    assert after["found"] == before == {}


def test_an_error_page_does_not_show_it(debugged: Site) -> None:
    ticket = new_ticket(debugged)
    offered = f"django-websocket.ticket, {ticket}, chat.v2"
    answer = debugged.shake_hands("/tickets/fails/", {"Sec-WebSocket-Protocol": offered})
    assert answer.status == 500
    assert b"HTTP_SEC_WEBSOCKET_KEY" in answer.body
    assert b"chat.v2" in answer.body
    assert ticket.encode() not in answer.body
    [error] = debugged.take_log()
    assert ticket not in json.dumps(error)


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, Site]]:
    """Two processes that share nothing but the database, in which the cache is, too."""
    directory = tmp_path_factory.mktemp("sites")
    cache = {"BACKEND": "django.core.cache.backends.filebased.FileBasedCache", "LOCATION": str(directory / "cache")}
    settings = {"CACHES": {"default": cache}, "WEBSOCKET_SESSION_CHECK_INTERVAL": 0.2, "WEBSOCKET_TICKET_REFRESH": 600}
    with ExitStack() as stack:
        one = stack.enter_context(serve_site(directory, settings=settings))
        two = stack.enter_context(serve_site(directory, settings=settings))
        yield one, two


def test_another_process_finds_a_revocation_in_the_cache(sites: tuple[Site, Site]) -> None:
    one, two = sites
    with connect(two, new_ticket(one)) as client:
        assert receive(client) == "ann"
        unused = new_ticket(two)
        assert one.ask("/tickets/revoke/").status == 200
        assert close_of(client) == (4401, "ticket revoked")
        answer = two.shake_hands(ECHO, {"Sec-WebSocket-Protocol": f"django-websocket.ticket, {unused}"})
        assert (answer.status, answer.body) == (401, b"the ticket was revoked\n")
    with connect(two, new_ticket(one)) as client:
        assert receive(client) == "ann"


def test_another_process_finds_the_end_of_the_session(sites: tuple[Site, Site]) -> None:
    one, two = sites
    cookie = {"Cookie": f"sessionid={one.ask('/sessions/new_login/').body.decode()}"}
    answer = one.ask("/common/plain/", cookie)
    assert answer.status == 200
    ticket = _ticket_of_session(one, cookie)
    with connect(two, ticket) as client:
        assert receive(client) == "ann"
        assert one.ask("/sessions/log_out/", cookie).status == 200
        assert close_of(client) == (4401, "session ended")


def _ticket_of_session(site: Site, cookie: dict[str, str]) -> str:
    token = "t" * 32
    headers = {"Cookie": f"{cookie['Cookie']}; csrftoken={token}", "X-CSRFToken": token}
    answer = site.ask("/tickets/of_session/", headers, method="POST")
    assert answer.status == 200, answer.body
    given = json.loads(answer.body)
    assert given["refresh_in"] is None
    return str(given["ticket"])


def test_a_revocation_closes_at_once_where_groups_go_over_redis(tmp_path: Path) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(redis_server(tmp_path))
        groups = {"BACKEND": "django_websocket.groups.redis.RedisBackend", "LOCATION": server.url}
        settings = {"WEBSOCKET_GROUPS": groups, "WEBSOCKET_SESSION_CHECK_INTERVAL": 3600}
        one = stack.enter_context(serve_site(tmp_path, settings=settings))
        two = stack.enter_context(serve_site(tmp_path, settings=settings))
        server.wait_for_listeners(REVOCATIONS, 2)
        with connect(one, new_ticket(one)) as a, connect(two, new_ticket(one)) as b:
            assert receive(a) == receive(b) == "ann"
            assert one.ask("/tickets/revoke/").status == 200
            assert close_of(a) == close_of(b) == (4401, "ticket revoked")
