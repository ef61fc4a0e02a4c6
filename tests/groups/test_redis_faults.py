"""What becomes of groups when Redis restarts, freezes, is full, forgets, or moves."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme
from django.core.exceptions import ImproperlyConfigured

from django_websocket import Group, GroupsUnavailable
from django_websocket.groups import receivers as receivers_module
from django_websocket.groups.config import GroupsConfig, History
from django_websocket.groups.message import TEXT, GroupMessage
from django_websocket.groups.position import START, Position
from django_websocket.groups.receivers import receivers
from django_websocket.groups.redis import RedisBackend, lines, presence
from django_websocket.groups.redis.clients import Clients
from django_websocket.signals import messages_lost
from tests.deadlines import deadline, wait_until
from tests.ports import free_port

from .recorder import Recorder
from .redis_servers import Cluster, Redis, redis_cluster, redis_server

KEPT = History(1000)
TIMEOUT = deadline(1)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Redis]:
    with redis_server(tmp_path) as server:
        yield server


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with redis_cluster(tmp_path) as cluster:
        yield cluster


@contextmanager
def process(url: str, **options: Any) -> Iterator[tuple[RedisBackend, Recorder]]:
    recorder = Recorder()
    backend = RedisBackend(GroupsConfig(location=url, timeout=TIMEOUT, **options), recorder)
    try:
        yield backend, recorder
    finally:
        recorder.gate.set()
        recorder.groups.clear()
        backend.close()
        wait_until(lambda: not any(t.name.startswith("groups") for t in threading.enumerate()), 10, "threads end")


def send(backend: RedisBackend, text: str, history: History | None = None, group: str = "room") -> None:
    backend.publish(GroupMessage(group, TEXT, text.encode()), history)


def fails_in_time(function: Callable[[], object]) -> GroupsUnavailable:
    """The exception that ``function`` raises, not much later than after the timeout."""
    began = time.monotonic()
    with pytest.raises(GroupsUnavailable) as raised:
        function()
    assert time.monotonic() - began < 3 * TIMEOUT + deadline(2)
    return raised.value


def arrives(backend: RedisBackend, recorder: Recorder, text: str) -> None:
    """Wait until a message sent from now on is delivered."""

    def try_once() -> bool:
        try:
            send(backend, text)
        except GroupsUnavailable:
            return False
        return text in recorder.contents()

    wait_until(try_once, 15, f"{text} arrives")


def test_a_restart(server: Redis, caplog: pytest.LogCaptureFixture) -> None:
    with process(server.url) as (backend, recorder):
        backend.subscribe("room")
        backend.subscribe("other")
        recorder.groups = {"room": {1: {"name": "ann"}}}
        backend.member_joined("room", 1, {"name": "ann"})
        send(backend, "before", KEPT)
        recorder.wait_for(2)
        server.restart()
        arrives(backend, recorder, "after")
        assert sorted(name for names in recorder.interruptions for name in names) == ["other", "room"]
        assert backend.read_history("room", START).messages == []
        send(backend, "kept", KEPT)
        wait_until(lambda: recorder.contents()[-1] == "kept")
        first, last = (m.position for m in recorder.messages if m.position is not None)
        assert first.epoch != last.epoch
        assert last.number == 1
        wait_until(lambda: backend.members("room") == [{"name": "ann"}], 10, "presence is back")
        # Whoever was recording at that moment may say so, too.
        records = [record for record in caplog.records if record.module == "lines"]
        lost, found = (record.getMessage() for record in records)
        assert lost.startswith("No connection to Redis, will try again: ")
        assert found.startswith("Connected to Redis, after ")


def test_a_server_that_is_not_there_yet(tmp_path: Path) -> None:
    server = Redis(tmp_path)
    with process(server.url) as (backend, recorder):
        assert "Redis: " in str(fails_in_time(lambda: send(backend, "x")))
        fails_in_time(lambda: send(backend, "x", KEPT))
        fails_in_time(lambda: backend.subscribe("room"))
        fails_in_time(lambda: backend.count("room"))
        fails_in_time(lambda: backend.read_history("room", None))
        backend.member_joined("room", 1, None)
        backend.member_left("room", 1, None)
        backend.listen("room")
        server.start()
        try:
            arrives(backend, recorder, "hello")
        finally:
            server.kill()


def test_a_frozen_server(server: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "HEALTH_SECONDS", 0.3)
    with process(server.url) as (backend, recorder):
        backend.subscribe("room")
        send(backend, "before", KEPT)
        recorder.wait_for(1)
        with server.frozen():
            fails_in_time(lambda: send(backend, "x"))
            fails_in_time(lambda: send(backend, "x", KEPT))
            fails_in_time(lambda: backend.subscribe("another"))
            fails_in_time(lambda: backend.subscribe("room"))
            fails_in_time(lambda: backend.count("room"))
        arrives(backend, recorder, "after")
        backend.subscribe("another")


@pytest.mark.parametrize("asked", [False, True], ids=["before it asks", "while it waits for the answer"])
def test_who_stood_still_asks_before_it_judges(
    server: Redis, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, asked: bool
) -> None:
    """It has heard nothing for longer than it waits for an answer, which Redis may have had no time to give."""
    monkeypatch.setattr(lines, "HEALTH_SECONDS", 0.1)
    wait = lines._wait_readable
    stood = threading.Event()

    def wait_or_stand_still(descriptors: list[int], seconds: float) -> list[int]:
        if stood.is_set() or (seconds > 0.1) != asked:
            return wait(descriptors, seconds)
        time.sleep(max(seconds, 0) + TIMEOUT + 0.5)
        stood.set()
        return []

    with process(server.url) as (backend, recorder):
        backend.subscribe("room")
        monkeypatch.setattr(lines, "_wait_readable", wait_or_stand_still)
        wait_until(stood.is_set, 20, "it stood still")
        arrives(backend, recorder, "after")
        assert recorder.interruptions == []
    assert [record for record in caplog.records if record.module == "lines"] == []


def test_who_came_and_went_while_redis_was_away(server: Redis) -> None:
    """Nothing of it was kept: what is recorded is compared with what is."""
    ann, bob = {"name": "ann"}, {"name": "bob"}
    with process(server.url) as (backend, recorder):
        backend.subscribe("room")
        recorder.groups = {"room": {1: ann}, "another": {1: None}}
        backend.member_joined("room", 1, ann)
        backend.member_joined("another", 1, None)
        assert (backend.count("room"), backend.count("another")) == (1, 1)
        with server.frozen():
            recorder.groups = {"room": {2: bob}}
            backend.member_left("room", 1, ann)
            backend.member_left("another", 1, None)
            backend.member_joined("room", 2, bob)
            fails_in_time(lambda: backend.count("room"))

        def is_known() -> bool:
            try:
                return backend.members("room") == [bob] and backend.count("another") == 0
            except GroupsUnavailable:
                return False

        wait_until(is_known, 15, "it is known who is there")
        wait_until(lambda: ("+", bob) in recorder.notices())
        assert ("-", ann) in recorder.notices()


def test_a_short_freeze_loses_nothing(server: Redis) -> None:
    with process(server.url) as (backend, recorder):
        backend.subscribe("room")
        with server.frozen():
            time.sleep(0.2)
        for number in range(20):
            send(backend, str(number))
        recorder.wait_for(20)
        assert recorder.contents() == [str(number) for number in range(20)]
        assert recorder.interruptions == []


def test_a_full_server(server: Redis) -> None:
    with process(server.url) as (backend, recorder):
        backend.subscribe("room")
        with server.client() as client:
            client.config_set("maxmemory", "1mb")
        assert "maxmemory" in str(fails_in_time(lambda: send(backend, "x", KEPT)))
        send(backend, "a message that is not kept")
        recorder.wait_for(1)
        assert recorder.contents() == ["a message that is not kept"]


def test_a_server_that_forgets_everything(server: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence, "HEARTBEAT_SECONDS", 0.1)
    with process(server.url) as (backend, recorder):
        backend.subscribe("room")
        recorder.groups = {"room": {1: None, 2: {"name": "ann"}}}
        backend.member_joined("room", 1, None)
        backend.member_joined("room", 2, {"name": "ann"})
        assert backend.count("room") == 2
        send(backend, "one", KEPT)
        with server.client() as client:
            client.flushall()
            client.script_flush()
        send(backend, "two", KEPT)
        wait_until(lambda: recorder.contents() == ["one", "two"])
        assert [m.position.number for m in recorder.messages if m.position] == [1, 1]
        wait_until(lambda: backend.count("room") == 2, 10, "presence is back")


def test_a_server_that_goes_back_in_time(server: Redis) -> None:
    """A replica that lags behind takes over: positions that were given out already must not come again."""
    with process(server.url) as (backend, _):
        for number in range(5):
            send(backend, str(number), KEPT)
        latest = backend.read_history("room", None).position
        with server.client() as client:
            client.hset(backend._keys.meta("room"), "n", 3)
            for number in (4, 5):
                client.xdel(backend._keys.stream("room"), f"{number}-0")
        page = backend.read_history("room", latest)
        assert ([m.content for m in page.messages], page.complete) == (["0", "1", "2"], False)
        assert page.position == Position(latest.epoch, 3)
        page = backend.read_history("room", latest, trusted=True)
        assert (page.messages, page.complete) == ([], False)
        assert page.position.epoch != latest.epoch
        send(backend, "next", KEPT)
        page = backend.read_history("room", Position(page.position.epoch, 3))
        assert [m.content for m in page.messages] == ["next"]
        assert page.complete


def test_our_subscriber_is_thrown_out(server: Redis) -> None:
    with process(server.url) as (backend, recorder):
        backend.subscribe("room")
        with server.client() as client:
            assert client.client_kill_filter(_type="pubsub") == 1
        arrives(backend, recorder, "after")
        assert recorder.interruptions == [["room"]]


def test_a_reader_that_is_too_slow_for_redis(tmp_path: Path) -> None:
    limit = "pubsub 1000000 1000000 0"
    with (
        redis_server(tmp_path, "--client-output-buffer-limit", limit) as server,
        process(server.url) as (backend, recorder),
    ):
        backend.subscribe("room")
        recorder.gate.clear()
        for _ in range(300):
            send(backend, "x" * 100_000)
        recorder.gate.set()
        arrives(backend, recorder, "after")
        assert recorder.interruptions == [["room"]]
        assert len(recorder.messages) < 300


def test_more_commands_than_connections(server: Redis) -> None:
    with process(server.url) as (backend, _):
        send(backend, "connect")
        outcomes: list[str] = []

        def try_to_send() -> None:
            try:
                send(backend, "x")
                outcomes.append("sent")
            except GroupsUnavailable as error:
                outcomes.append(str(error))

        with server.frozen():
            threads = [threading.Thread(target=try_to_send) for _ in range(60)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(deadline(10))
        assert len(outcomes) == 60
        assert "sent" not in outcomes
        send(backend, "again")


def test_a_wrong_password(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server, process(server.url.replace("//", "//:wrong@")) as (backend, _):
        with server.client() as client:
            client.config_set("requirepass", "secret")
        assert "password" in str(fails_in_time(lambda: send(backend, "x"))).lower()
        fails_in_time(lambda: backend.subscribe("room"))


def test_settings_that_can_not_be_are_told_once(caplog: pytest.LogCaptureFixture) -> None:
    attempts: list[None] = []

    def connect() -> Any:
        attempts.append(None)
        raise ImproperlyConfigured("no such scheme")

    owner: Any = None  # nobody is told of what never was
    line = lines.Line(connect, owner, TIMEOUT, sharded=False, name="")
    line.add(b"channel")
    try:
        wait_until(lambda: len(attempts) > 3, 20, "four attempts")
    finally:
        line.close()
    assert [record.getMessage() for record in caplog.records if record.module == "lines"] == [
        "Receiving the messages of groups has failed",
        "No connection to Redis, will try again: no such scheme",
    ]


# What members and subscriptions see


@pytest.fixture
def groups(server: Redis, settings: Any) -> Iterator[Redis]:
    """The groups of this process go over a server."""
    settings.WEBSOCKET_GROUPS = {
        "BACKEND": "django_websocket.groups.redis.RedisBackend",
        "LOCATION": server.url,
        "TIMEOUT": TIMEOUT,
        "HISTORY": {"kept.*": 1000},
    }
    yield server
    wait_until(lambda: receivers._groups == {}, 10, "nobody is left")
    receivers.close_backend()


class Outage:
    """Keeps lines from connecting."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.allowed = threading.Event()
        self.allowed.set()
        connect = Clients.connect

        def connect_if_allowed(clients: Clients, node: str) -> Any:
            self.allowed.wait(deadline(10))
            return connect(clients, node)

        monkeypatch.setattr(Clients, "connect", connect_if_allowed)

    @contextmanager
    def of(self, server: Redis) -> Iterator[None]:
        self.allowed.clear()
        with server.client() as client:
            client.client_kill_filter(_type="pubsub")
        yield
        self.allowed.set()


@pytest.fixture
def outage(monkeypatch: pytest.MonkeyPatch) -> Outage:
    return Outage(monkeypatch)


def test_a_gap_is_filled(groups: Redis, outage: Outage, caplog: pytest.LogCaptureFixture) -> None:
    group = Group("kept.news")
    with group.subscribe() as one, group.subscribe(since="0") as two:
        group.send("before")
        assert (one.wait(deadline(5)), two.wait(deadline(5))) == ("before", "before")
        with outage.of(groups):
            for number in range(150):
                group.send(str(number))
        group.send("after")
        expected = [*map(str, range(150)), "after"]
        for subscription in (one, two):
            assert [subscription.wait(deadline(5)) for _ in expected] == expected
        assert one.complete
        assert (one.lost, two.lost) == (0, 0)
    assert not [record for record in caplog.messages if "lost," in record]


def test_what_is_lost_is_known(groups: Redis, outage: Outage, caplog: pytest.LogCaptureFixture) -> None:
    told: list[dict[str, Any]] = []

    def take(**kwargs: Any) -> None:
        told.append(kwargs)

    messages_lost.connect(take)
    try:
        with Group("a").subscribe() as a, Group("b").subscribe() as b, Group("kept.c").subscribe():
            with outage.of(groups):
                Group("a").send("lost")
            receivers.backend.subscribe("a")
            Group("a").send("after")
            assert a.wait(deadline(5)) == "after"
            wait_until(lambda: bool(told))
            assert not b.has_messages()
    finally:
        messages_lost.disconnect(take)
    assert [(entry["sender"], sorted(entry["groups"])) for entry in told] == [(Group, ["a", "b"])]
    assert told[0]["reason"].startswith("the connection to Redis was lost for ")
    [record] = [record for record in caplog.records if "Messages may be lost" in record.message]
    assert record.levelno == logging.WARNING


def test_a_gap_that_is_longer_than_the_history(groups: Redis, outage: Outage, caplog: pytest.LogCaptureFixture) -> None:
    group = Group("short", history=10)
    with group.subscribe() as subscription:
        group.send("before")
        assert subscription.wait(deadline(5)) == "before"
        with outage.of(groups):
            for number in range(30):
                group.send(str(number))
        assert [subscription.wait(deadline(5)) for _ in range(10)] == [str(number) for number in range(20, 30)]
        group.send("after")
        assert subscription.wait(deadline(5)) == "after"
    assert len([record for record in caplog.messages if record.startswith("Messages may be lost")]) == 1


@pytest.mark.parametrize("more", [True, False])
def test_a_history_that_can_not_be_read_is_read_later(
    groups: Redis, outage: Outage, monkeypatch: pytest.MonkeyPatch, more: bool
) -> None:
    """With the next message, or by itself."""
    monkeypatch.setattr(lines, "HEALTH_SECONDS", 3600 if more else 0.2)
    group = Group("kept.later")
    read = RedisBackend.read_history
    failures = iter([True])

    def fail_once(self: RedisBackend, *args: Any, **kwargs: Any) -> Any:
        if kwargs.get("trusted") and next(failures, False):
            raise GroupsUnavailable("on purpose")
        return read(self, *args, **kwargs)

    with group.subscribe() as subscription:
        group.send("before")
        assert subscription.wait(deadline(5)) == "before"
        monkeypatch.setattr(RedisBackend, "read_history", fail_once)
        with outage.of(groups):
            group.send("missed")
        if more:
            with pytest.raises(TimeoutError):
                subscription.wait(deadline(0.5))
            group.send("after")
        expected = ["missed", "after"] if more else ["missed"]
        assert [subscription.wait(deadline(5)) for _ in expected] == expected
    assert next(failures, None) is None
    assert receivers_module.receivers is receivers


# TLS, Sentinel, Cluster


def test_tls(tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    port = free_port()
    options = ["--tls-port", str(port), "--tls-auth-clients", "no"]
    options += ["--tls-cert-file", "cert.pem", "--tls-key-file", "key.pem", "--tls-ca-cert-file", "ca.pem"]
    with (
        redis_server(tmp_path, *options),
        process(f"rediss://127.0.0.1:{port}", options={"ssl_ca_certs": str(tmp_path / "ca.pem")}) as (
            backend,
            recorder,
        ),
    ):
        backend.subscribe("room")
        texts = [str(number) * 20_000 for number in range(20)]
        for text in texts:
            send(backend, text, KEPT)
        recorder.wait_for(20)
        assert recorder.contents() == texts


def test_sentinel(tmp_path: Path) -> None:
    """The master dies, and a replica takes over."""
    for name in ("master", "replica", "sentinel"):
        (tmp_path / name).mkdir()
    with (
        redis_server(tmp_path / "master") as master,
        redis_server(tmp_path / "replica", "--replicaof", "127.0.0.1", str(master.port)) as replica,
    ):
        with replica.client() as client:
            wait_until(lambda: client.info("replication")["master_link_status"] == "up", 10, "the replica is in step")
        sentinel = Redis(tmp_path / "sentinel", str(tmp_path / "sentinel" / "sentinel.conf"), "--sentinel")
        (tmp_path / "sentinel" / "sentinel.conf").write_text(
            f"port {sentinel.port}\n"
            f"sentinel monitor groups 127.0.0.1 {master.port} 1\n"
            "sentinel down-after-milliseconds groups 1000\n"
            "sentinel failover-timeout groups 2000\n"  # an attempt at a moment when nobody could take over is repeated
        )
        sentinel.start_sentinel()
        try:
            with sentinel.client() as client:
                wait_until(lambda: client.sentinel_slaves("groups") != [], 20, "the Sentinel knows the replica")
            with process(sentinel.url, sentinel="groups") as (backend, recorder):
                backend.subscribe("room")
                arrives(backend, recorder, "before")
                send(backend, "kept", KEPT)
                with replica.client() as client:
                    wait_until(lambda: client.xlen(backend._keys.stream("room")) == 1)
                master.kill()
                wait_until(lambda: _can_send(backend), 30, "the replica has taken over")
                arrives(backend, recorder, "after")
                assert [m.content for m in backend.read_history("room", START).messages] == ["kept"]
        finally:
            sentinel.kill()


def _can_send(backend: RedisBackend) -> bool:
    try:
        send(backend, "try")
    except GroupsUnavailable:
        return False
    return True


def test_a_slot_moves(cluster: Cluster) -> None:
    with process(cluster.url, cluster=True) as (backend, recorder):
        for name in ("room", "other"):
            backend.subscribe(name)
        send(backend, "before", KEPT)
        recorder.wait_for(1)
        with cluster.client() as client:
            slot = client.keyslot(backend._keys.channel("room"))
        cluster.move_slot(slot)
        wait_until(lambda: ["room"] in recorder.interruptions, 15, "the subscription has moved")
        send(backend, "after", KEPT)
        wait_until(lambda: recorder.contents() == ["before", "after"], 10, "both have come")
        assert [m.position.number for m in recorder.messages if m.position] == [1, 2]
        assert [m.content for m in backend.read_history("room", START).messages] == ["before", "after"]
        backend.subscribe("room")


def test_a_node_restarts(cluster: Cluster) -> None:
    with process(cluster.url, cluster=True) as (backend, recorder):
        names = [f"room{number}" for number in range(12)]
        for name in names:
            backend.subscribe(name)
        cluster.nodes[1].restart()
        with cluster.nodes[1].client() as client:
            client.ping()

        def all_arrive() -> bool:
            for name in names:
                try:
                    send(backend, name, group=name)
                except GroupsUnavailable:
                    return False
            return set(names) <= set(recorder.contents())

        wait_until(all_arrive, 30, "all arrive again")
