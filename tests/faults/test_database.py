"""PostgreSQL and psycopg 3, in C and in Python."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack

import pytest

from tests.deadlines import deadline, wait_until

from .peer import Peer, handshake
from .postgres import Postgres, postgres
from .served import Served, percentile, retried, round_trips

Serving = Callable[..., AbstractContextManager[Served]]
Record = Callable[[str, object], None]

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(300)]

IMPLEMENTATIONS = ["binary", "python"]


@pytest.fixture(scope="module")
def database() -> Iterator[Postgres]:
    pytest.importorskip("psycopg")
    with postgres() as server:
        yield server


@pytest.fixture(params=IMPLEMENTATIONS)
def environment(request: pytest.FixtureRequest) -> dict[str, str]:
    """Which of psycopg's implementations the served process is to use."""
    return {"PSYCOPG_IMPL": request.param}


@pytest.mark.parametrize("options", [{}, {"pool": {"min_size": 1, "max_size": 50, "timeout": 60}}], ids=["", "pool"])
@pytest.mark.parametrize("size", [50, 2000])
def test_waiting_views_hold_no_connection(
    serving: Serving, database: Postgres, environment: dict[str, str], options: dict[str, object], size: int
) -> None:
    settings = {**database.settings(**options), "WEBSOCKET_RELEASE_DB_AFTER": 0.1}
    with serving(settings=settings, environment=environment) as served, ExitStack() as stack:
        batch = 25
        peers: list[Peer] = []
        for _ in range(size // batch):
            new = [stack.enter_context(served.peer()) for _ in range(batch)]
            for peer in new:
                peer.send(handshake("/queries/"))
                peer.send_text("SELECT pg_backend_pid()")
            for peer in new:
                assert peer.head()[0] == 101
                assert int(peer.text()) > 1
            peers += new
        assert served.state()["websockets"] == size
        # A pool keeps its connections, and what counts is that it has them all back.
        keep = 50 if options else 0
        wait_until(lambda: database.connections() <= keep, 10, "connections were given back")
        print(f"{size} views hold {database.connections()} connections")
        for peer in peers[:: size // 50]:
            peer.send_text("SELECT 1")
            assert peer.text() == "1"
        if options:
            # Each view gets one within its time only if the others have given theirs back.
            for peer in peers:
                peer.send_text("SELECT 2")
            assert {peer.text() for peer in peers} == {"2"}
        assert served.tracebacks() == 0
    wait_until(lambda: database.connections() == 0, 10, "all connections end with the process")


@pytest.mark.parametrize("options", [{}, {"pool": {"min_size": 1, "max_size": 4}}], ids=["", "pool"])
def test_a_view_in_a_transaction_keeps_its_connection(
    serving: Serving, database: Postgres, environment: dict[str, str], options: dict[str, object]
) -> None:
    settings = {**database.settings(**options), "WEBSOCKET_RELEASE_DB_AFTER": 0.1}
    with serving(settings=settings, environment=environment) as served, served.open("/in_atomic/") as peer:
        before = peer.text()
        with served.open("/queries/") as other:
            other.send_text("SELECT pg_backend_pid()")
            assert other.text() != before.split()[0]
        time.sleep(0.5)
        peer.send_text("go on")
        assert peer.text() == before
        if not options:
            # The transaction is over, and the view waits on.
            wait_until(lambda: database.connections() == 0, 5, "the connection was given back")


def test_a_query_of_one_view_never_blocks_another(
    serving: Serving, database: Postgres, environment: dict[str, str], record_property: Record
) -> None:
    with serving(settings=database.settings(), environment=environment, beat=0.01) as served, ExitStack() as stack:
        neighbour = stack.enter_context(served.open("/echo/"))

        def measure() -> float:
            start = time.monotonic()
            sleepers = [stack.enter_context(served.open("/sleeping/?seconds=1.5")) for _ in range(10)]
            served.beats()
            times = round_trips(served, neighbour, 1)
            gaps = served.beats()
            for sleeper in sleepers:
                assert float(sleeper.text()) >= 1.5
            took = time.monotonic() - start
            print(f"10 queries of 1.5 s took {took:.2f} s; beats at most {max(gaps) * 1000:.1f} ms apart")
            assert took < deadline(10), "they took their turns"
            return percentile(times, 0.99)

        retried(measure, 0.05, record_property)


def test_a_database_that_is_down_before_the_accept_gives_a_500(serving: Serving, environment: dict[str, str]) -> None:
    pytest.importorskip("psycopg")
    with postgres() as database, serving(settings=database.settings(), environment=environment) as served:
        with served.open("/early_query/") as peer:
            assert peer.text() == "accepted"
        database.stop()
        with served.peer() as peer:
            peer.send(handshake("/early_query/"))
            assert peer.head()[0] == 500
        assert served.tracebacks("OperationalError") == 1
        database.start()
        with served.open("/early_query/") as peer:
            assert peer.text() == "accepted"
        served.wait_state(websockets=0)


@pytest.mark.parametrize("options", [{}, {"pool": {"min_size": 1, "max_size": 4}}], ids=["", "pool"])
def test_a_database_that_is_lost_costs_each_view_one_exception(
    serving: Serving, environment: dict[str, str], options: dict[str, object]
) -> None:
    pytest.importorskip("psycopg")
    with postgres() as database:
        # Never given back for its time, as where messages come all the time.
        settings = {**database.settings(**options), "WEBSOCKET_RELEASE_DB_AFTER": None}
        with serving(settings=settings, environment=environment) as served, ExitStack() as stack:
            neighbour = stack.enter_context(served.open("/echo/"))
            peers = [stack.enter_context(served.open(f"/query_loop/{query}")) for query in ("", "", "?kept")]
            for peer in peers:
                peer.send_text("SELECT 1")
                assert peer.text() == "1"
            database.stop()
            database.start()
            answers = []
            for peer in peers:
                for _ in range(3):
                    peer.send_text("SELECT 1")
                    answers.append(peer.text())
            print(answers)
            # A pool learns of each lost connection from who gets it.
            lost = sum(answer != "1" for answer in answers)
            assert lost == 3 if not options else 1 <= lost <= 4
            assert answers[-1] == "1"
            neighbour.send_text("nothing happened here")
            assert neighbour.text() == "nothing happened here"
            assert served.tracebacks() == 0
            assert served.state()["websockets"] == 4


def test_a_database_that_does_not_answer_holds_up_only_who_asks_it(
    serving: Serving, environment: dict[str, str], record_property: Record
) -> None:
    """It takes the connection, and then nothing comes: the wait for a connection must not block others either."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        settings = {
            "DATABASES": {
                "default": {
                    "ENGINE": "django.db.backends.postgresql",
                    "NAME": "none",
                    "HOST": "127.0.0.1",
                    "PORT": mute.getsockname()[1],
                    "OPTIONS": {"connect_timeout": 3},
                }
            }
        }
        with serving(settings=settings, environment=environment) as served, served.open("/echo/") as neighbour:

            def measure() -> float:
                with served.open("/query_loop/") as waiting:
                    waiting.send_text("SELECT 1")
                    times = round_trips(served, neighbour, 1.5)
                    assert waiting.text() == "OperationalError"
                return percentile(times, 0.99)

            retried(measure, 0.05, record_property)


def test_queries_that_go_on_do_not_hold_up_the_stop(
    serving: Serving, database: Postgres, environment: dict[str, str]
) -> None:
    settings = {**database.settings(), "WEBSOCKET_DRAIN_TIMEOUT": 1}
    with serving(settings=settings, environment=environment) as served, ExitStack() as stack:
        for _ in range(10):
            stack.enter_context(served.open("/sleeping/?seconds=60"))
        wait_until(lambda: database.connections() == 10, 10, "the queries run")
        served.process.terminate()
        start = time.monotonic()
        assert served.wait_end(10) == (0, "ended")
        assert time.monotonic() - start < deadline(6)
        assert served.tracebacks() == 0, served.log()
    # PostgreSQL notices that its client is gone when it has something to say.
    database.ask("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'")
