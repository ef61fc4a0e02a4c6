"""Database connections and transactions of websocket views, on a database file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from websockets.sync.client import ClientConnection

from tests.deadlines import deadline, wait_until
from tests.site.fixtures import Serve
from tests.site.running import Site

RELEASE_AFTER = deadline(1.2)
"""Seconds: longer than what a busy machine takes between two looks."""


@pytest.fixture
def quick_site(serve: Serve) -> Iterator[Site]:
    """Gives connections back soon."""
    with serve(settings={"WEBSOCKET_RELEASE_DB_AFTER": RELEASE_AFTER}) as site:
        yield site


@pytest.fixture
def atomic_middleware_site(serve: Serve) -> Iterator[Site]:
    with serve(atomic_requests=True, websocket_middleware=True) as site:
        yield site


def receive(client: ClientConnection) -> Any:
    return client.recv(timeout=deadline(10))


def groups(site: Site) -> list[str]:
    names: list[str] = site.get_json("/common/groups/")
    return names


def own_journal(site: Site) -> list[str]:
    return [entry for entry in site.journal() if not entry.startswith(("request", "response"))]


# Before the accept


@pytest.mark.parametrize(
    ("fixture", "view", "atomic"),
    [
        ("site", "before_the_accept", False),
        ("atomic_site", "before_the_accept", True),
        ("middleware_site", "by_attribute", False),
        ("atomic_middleware_site", "by_attribute", True),
        ("atomic_middleware_site", "not_atomic", False),
        ("middleware_site", "nested_before", False),
        ("atomic_middleware_site", "nested_before", True),
    ],
)
def test_queries_before_the_accept_are_the_requests(
    request: pytest.FixtureRequest, fixture: str, view: str, atomic: bool
) -> None:
    site: Site = request.getfixturevalue(fixture)
    with site.connect(f"/database/{view}/?name={view}") as client:
        assert json.loads(receive(client)) == {
            "before": {"the request's": True, "in a transaction": atomic},
            "after": {"the request's": False, "in a transaction": False},
        }
        assert view in groups(site)


def test_the_transaction_of_a_request_is_committed_at_the_accept(atomic_site: Site) -> None:
    with atomic_site.connect("/database/commits_on_accept/") as client:
        client.close()
    assert own_journal(atomic_site) == ["committed", "accepted"]


def test_the_transaction_of_a_request_is_rolled_back_if_the_view_raises_before(atomic_site: Site, serve: Serve) -> None:
    assert atomic_site.shake_hands("/database/raises_before/?name=rolled-back").status == 500
    atomic_site.wait_for_error()
    assert "rolled-back" not in groups(atomic_site)
    with serve() as site:
        assert site.shake_hands("/database/raises_before/?name=kept").status == 500
        site.wait_for_error()
        assert "kept" in groups(site)


@pytest.mark.parametrize("fixture", ["site", "atomic_site"])
def test_a_view_that_does_not_accept_is_an_ordinary_request(request: pytest.FixtureRequest, fixture: str) -> None:
    site: Site = request.getfixturevalue(fixture)
    assert site.shake_hands("/database/responds/?name=ordinary").body == b"created"
    assert "ordinary" in groups(site)


# Connections that outlive their request


@pytest.mark.parametrize("view", ["before_and_after", "nested_before_and_after"])
@pytest.mark.parametrize("query", ["", "?untouched"])
def test_lasting_connections_end_with_the_greenlets_that_hold_them(serve: Serve, view: str, query: str) -> None:
    with serve(conn_max_age=600, websocket_middleware=True) as site:
        site.ask("/common/groups/")
        with site.connect(f"/database/{view}/{query}") as client:
            assert client.recv(timeout=deadline(10)) == "used two"
        wait_until(lambda: site.stats()["database connections"] == 0)


# An accept inside an atomic block of the view


@pytest.mark.parametrize("order", ["commit", "roll back"])
@pytest.mark.parametrize(("fixture", "view"), [("site", "accepts_within"), ("middleware_site", "nested_within")])
def test_a_transaction_of_the_views_own_lives_on(
    request: pytest.FixtureRequest, fixture: str, view: str, order: str
) -> None:
    site: Site = request.getfixturevalue(fixture)
    before = site.stats()
    with site.connect(f"/database/{view}/?name=inner-{order[:4]}") as client:
        assert json.loads(receive(client)) == {"the request's": True, "in a transaction": True}
        assert f"inner-{order[:4]}" not in groups(site)
        client.send(order)
        assert receive(client) == "left"
        assert (f"inner-{order[:4]}" in groups(site)) is (order == "commit")
    site.wait_until_back_at(before)


def test_a_connection_that_the_view_opened_in_a_transaction_of_its_own_ends_with_it(site: Site) -> None:
    """The request had none, and got none."""
    before = site.stats()
    with site.connect("/database/accepts_within/?name=own&untouched") as client:
        assert json.loads(receive(client))["in a transaction"]
        client.send("roll back")
        assert receive(client) == "left"
    site.wait_until_back_at(before)


def test_a_transaction_of_the_views_own_is_rolled_back_if_the_101_is_not_sent(site: Site) -> None:
    before = site.stats()
    assert site.shake_hands("/database/accepts_within/?name=never&replace").status == 418
    site.wait_for_journal("aborted")
    assert "never" not in groups(site)
    site.wait_until_back_at(before)


def test_an_accept_inside_an_atomic_block_inside_that_of_the_request_is_an_error(atomic_site: Site) -> None:
    before = atomic_site.stats()
    assert atomic_site.shake_hands("/database/accepts_within/?name=refused").status == 500
    assert atomic_site.wait_for_error()["error"] == "TransactionManagementError"
    assert "refused" in atomic_site.journal()
    assert "refused" not in groups(atomic_site)
    atomic_site.wait_until_back_at(before)


def test_a_view_may_leave_the_inner_block_and_accept_then(atomic_site: Site) -> None:
    with atomic_site.connect("/database/refused_within/?name=caught"):
        assert own_journal(atomic_site) == ["refused"]
        assert "caught" in groups(atomic_site)


# After the accept


def test_a_connection_is_given_back_after_a_long_wait(quick_site: Site) -> None:
    site = quick_site
    with site.connect("/database/waits/") as client:
        before = site.stats()
        for _ in range(3):
            client.send("query")
            assert receive(client) == "was open: False"
            assert site.stats()["database connections"] == before["database connections"] + 1
            client.send("other")
            assert receive(client) == "was open: True"
            site.wait_until_back_at(before)


def test_a_connection_is_kept_while_the_view_is_busy(serve: Serve) -> None:
    with serve(settings={"WEBSOCKET_RELEASE_DB_AFTER": 3600}) as site, site.connect("/database/waits/") as client:
        client.send("query")
        assert receive(client) == "was open: False"
        for _ in range(3):
            client.send("query")
            assert receive(client) == "was open: True"


def test_a_connection_is_never_given_back_if_the_setting_says_so(serve: Serve) -> None:
    with serve(settings={"WEBSOCKET_RELEASE_DB_AFTER": None}) as site:
        before = site.stats()
        with site.connect("/database/waits/") as client:
            client.send("query")
            assert receive(client) == "was open: False"
            client.send("query")
            assert receive(client) == "was open: True"
        site.wait_until_back_at(before)


@pytest.mark.parametrize("transaction", ["in a transaction", "in its own transaction"])
@pytest.mark.parametrize("release_after", [RELEASE_AFTER, 0])
def test_a_connection_in_a_transaction_is_not_given_back(serve: Serve, transaction: str, release_after: float) -> None:
    with serve(settings={"WEBSOCKET_RELEASE_DB_AFTER": release_after}) as site:
        before = site.stats()
        with site.connect("/database/waits/") as client, site.connect("/database/waits/") as clock:
            client.send(transaction)
            assert receive(client) == "was open: False"
            # Another view's connection is given back meanwhile, so this one's time has passed, too.
            holding = site.stats()["database connections"]
            clock.send("query")
            assert receive(clock) == "was open: False"
            wait_until(lambda: site.stats()["database connections"] == holding)
            client.send("go on")
            assert receive(client) == "was open: True"
            wait_until(lambda: site.stats()["database connections"] == before["database connections"])
        site.wait_until_back_at(before)


def test_a_wait_of_no_length_in_a_transaction_does_not_spin(serve: Serve) -> None:
    """Where connections are given back at once, a wait that may not do so must still sleep."""
    with serve(settings={"WEBSOCKET_RELEASE_DB_AFTER": 0}) as site, site.connect("/database/waits/") as client:
        client.send("in a transaction")
        assert receive(client) == "was open: False"
        site.wait_until_idle()
        client.send("go on")
        assert receive(client) == "was open: True"


def test_a_connection_is_given_back_at_the_end_of_the_view(site: Site) -> None:
    before = site.stats()
    with site.connect("/database/sleeps/") as client:
        assert receive(client) == "holds one"
        assert site.stats()["database connections"] == before["database connections"] + 1
    site.wait_until_back_at(before)


def test_many_views_hold_no_connection_while_they_wait(quick_site: Site) -> None:
    before = quick_site.stats()
    with ExitStack() as stack:
        clients = [stack.enter_context(quick_site.connect("/database/waits/")) for _ in range(20)]
        for client in clients:
            client.send("query")
        for client in clients:
            assert receive(client) == "was open: False"
        wait_until(lambda: quick_site.stats()["database connections"] == before["database connections"])
    quick_site.wait_until_back_at(before)
