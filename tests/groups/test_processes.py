"""Groups of several processes, over a Redis of the tests' own."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from websockets.exceptions import ConnectionClosed

from django_websocket.groups.config import GroupsConfig
from django_websocket.groups.log_out import LOG_OUTS
from django_websocket.groups.redis.scripts import Keys
from tests.conftest import ROOT
from tests.deadlines import SCALE, deadline, wait_until
from tests.site.running import Site, serve_site

from .redis_servers import Redis, redis_server

KEYS = Keys(GroupsConfig.of({}).prefix)

PLAIN = """
import django, sys
from django.conf import settings

settings.configure(WEBSOCKET_GROUPS={settings!r})
django.setup()
from django_websocket import Group

{code}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


def groups_setting(server: Redis) -> dict[str, Any]:
    return {
        "BACKEND": "django_websocket.groups.redis.RedisBackend",
        "LOCATION": server.url,
        "TIMEOUT": 2 * SCALE,
        "HISTORY": {"kept.*": 100},
    }


@pytest.fixture(scope="module")
def sites(server: Redis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, Site]]:
    settings = {"WEBSOCKET_GROUPS": groups_setting(server), "WEBSOCKET_SESSION_CHECK_INTERVAL": 3600}
    directory = tmp_path_factory.mktemp("sites")
    with ExitStack() as stack:
        one = stack.enter_context(serve_site(directory, settings=settings))
        two = stack.enter_context(serve_site(directory, settings=settings))
        yield one, two


def plain(server: Redis, code: str) -> subprocess.Popen[str]:
    """A process without a server, without eventlet."""
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", PLAIN.format(settings=groups_setting(server), code=code)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run_plain(server: Redis, code: str) -> str:
    process = plain(server, code)
    output, _ = process.communicate(timeout=deadline(20))
    assert process.returncode == 0, output
    return output


class Events:
    """A client of server-sent events."""

    def __init__(self, site: Site, path: str, **headers: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=deadline(10))
        self._connection.request("GET", path, headers=headers)
        self.response = self._connection.getresponse()
        assert self.response.status == 200
        assert self.event() == {"": "welcome"}

    def event(self) -> dict[str, str]:
        """The next event, or comment; empty at the end."""
        fields: dict[str, str] = {}
        while (line := self.response.readline().decode().rstrip("\n")) != "":
            name, _, value = line.partition(": ")
            name = name.removesuffix(":")
            fields[name] = f"{fields[name]}\n{value}" if name in fields else value
        return fields

    def close(self) -> None:
        self._connection.close()


@contextmanager
def events(site: Site, path: str, **headers: str) -> Iterator[Events]:
    client = Events(site, path, **headers)
    try:
        yield client
    finally:
        client.close()


def receive(client: Any) -> str:
    return str(client.recv(timeout=deadline(10)))


def wait_for_count(site: Site, group: str, number: int) -> None:
    """Wait until others know of so many members: each process records its own soon, not at once."""
    wait_until(lambda: bool(site.get_json(f"/groups/count/?group={group}") == number), 10, f"{number} in {group}")


def test_two_servers_a_plain_publisher_and_an_event_stream(server: Redis, sites: tuple[Site, Site]) -> None:
    one, two = sites
    with (
        one.connect("/groups/room/?group=room") as a,
        two.connect("/groups/room/?group=room") as b,
        two.connect("/groups/listener/?group=room") as listener,
        events(one, "/groups/stream/?group=room") as stream,
    ):
        assert json.loads(receive(a)) == json.loads(receive(b)) == {"joined": True, "position": None}
        assert receive(listener) == "ready"
        wait_for_count(one, "room", 2)
        output = run_plain(
            server,
            "Group('room').send('from afar'); Group('room').send_json({'a': [1]}); import sys\n"
            "print(Group('room').count(), 'eventlet' in sys.modules)",
        )
        assert output == "2 False\n"
        assert receive(a) == receive(b) == "from afar"
        assert receive(a) == receive(b) == '{"a": [1]}'
        assert [receive(listener), receive(listener)] == ["group: from afar", 'group: {"a": [1]}']
        assert [stream.event(), stream.event()] == [{"data": "from afar"}, {"data": '{"a": [1]}'}]
        a.send("hello from one")
        assert receive(a) == receive(b) == "hello from one"
        b.send("others: hello from two")
        assert receive(a) == "others: hello from two"
        assert receive(listener) == "group: hello from one"
        listener.send("still there?")
        answers = {receive(listener), receive(listener)}
        assert answers == {"group: others: hello from two", "client: still there?"}
        b.send("to both")
        assert receive(b) == receive(a) == "to both"
        two.ask("/groups/closes/?group=room")
        for client in (a, b):
            with pytest.raises(ConnectionClosed) as closed:
                receive(client)
            assert closed.value.rcvd is not None
            assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4000, "closed")


def test_a_subscription_in_a_plain_process(server: Redis, sites: tuple[Site, Site]) -> None:
    process = plain(
        server,
        "subscription = Group('plain').subscribe(); print('ready', flush=True)\n"
        "for message in subscription:\n"
        "    print(repr(message), flush=True)\n"
        "    if message == 'end':\n"
        "        break\n"
        "try:\n"
        "    subscription.wait(timeout=0.1)\n"
        "except TimeoutError as error:\n"
        "    print(error)",
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    for message in ("one", "two", "end"):
        assert sites[0].ask(f"/groups/says/?group=plain&message={message}").body == b"sent"
    output, _ = process.communicate(timeout=deadline(10))
    assert output.splitlines() == ["'one'", "'two'", "'end'", "no message within 0.1 seconds"]
    assert process.returncode == 0


def test_who_is_there(sites: tuple[Site, Site]) -> None:
    one, two = sites
    with two.connect("/groups/listener/?group=hall") as listener:
        assert receive(listener) == "ready"
        with one.connect("/groups/room/?group=hall&info=" + quote('{"name": "ann"}')) as a:
            receive(a)
            assert receive(listener) == 'joined: {"name": "ann"}'
            with two.connect("/groups/room/?group=hall&info=" + quote('{"name": "bob"}')) as b:
                receive(b)
                assert receive(listener) == 'joined: {"name": "bob"}'
                names = sorted(info["name"] for info in one.get_json("/groups/members/?group=hall"))
                assert names == ["ann", "bob"]
                assert one.get_json("/groups/count/?group=hall") == 2
            assert receive(listener) == 'left: {"name": "bob"}'
        assert receive(listener) == 'left: {"name": "ann"}'
        assert two.get_json("/groups/members/?group=hall") == []


def test_an_event_stream_goes_on_where_it_was(server: Redis, sites: tuple[Site, Site]) -> None:
    one, two = sites
    with events(one, "/groups/stream/?group=kept.news&heartbeat=0.2") as stream:
        assert stream.response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        assert stream.event() == {"": "heartbeat"}
        two.ask("/groups/says/?group=kept.news&message=first")
        event = stream.event()
        while "data" not in event:
            event = stream.event()
    assert json.loads(event["data"]) == {"group": "kept.news", "position": event["id"], "message": "first"}
    two.ask("/groups/says/?group=kept.news&message=missed")
    with events(two, "/groups/stream/?group=kept.news", **{"Last-Event-ID": event["id"]}) as stream:
        assert json.loads(stream.event()["data"])["message"] == "missed"
        one.ask("/groups/says/?group=kept.news&message=now")
        assert json.loads(stream.event()["data"])["message"] == "now"


def test_joining_since_a_position(sites: tuple[Site, Site]) -> None:
    one, two = sites
    with one.connect("/groups/room/?group=kept.room") as a:
        start = json.loads(receive(a))
        for number in range(250):
            a.send(str(number))
        envelopes = [json.loads(receive(a)) for _ in range(250)]
    assert [envelope["message"] for envelope in envelopes] == [str(number) for number in range(250)]
    assert start["position"] == "0"
    with two.connect(f"/groups/room/?group=kept.room&since={envelopes[199]['position']}") as b:
        missed = [json.loads(receive(b)) for _ in range(51)]
        joined = [message for message in missed if "joined" in message]
        assert [message for message in missed if "joined" not in message] == envelopes[200:]
        assert joined == [{"joined": True, "position": envelopes[-1]["position"]}]
        b.send("live")
        assert json.loads(receive(b))["message"] == "live"
    with one.connect("/groups/room/?group=kept.room&since=0") as c:
        messages = [json.loads(receive(c)) for _ in range(101)]
        assert messages[-1]["joined"] is False
        assert [message["message"] for message in messages[:-1]] == [str(n) for n in range(151, 250)] + ["live"]


def test_a_log_out_closes_the_sockets_of_all_processes(server: Redis, sites: tuple[Site, Site]) -> None:
    one, two = sites
    server.wait_for_listeners(LOG_OUTS, 2)
    key = one.ask("/sessions/new_login/").body.decode()
    cookie = {"Cookie": f"sessionid={key}"}
    with (
        one.connect("/sessions/member/", additional_headers=cookie) as a,
        two.connect("/sessions/member/", additional_headers=cookie) as b,
    ):
        assert receive(a) == receive(b) == "ann"
        assert one.ask("/sessions/log_out/", cookie).status == 200
        for client in (a, b):
            with pytest.raises(ConnectionClosed) as closed:
                receive(client)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 4401


def test_a_stream_ends_with_the_session_and_with_the_server(server: Redis, sites: tuple[Site, Site]) -> None:
    one, two = sites
    server.wait_for_listeners(LOG_OUTS, 2)
    key = one.ask("/sessions/new_login/").body.decode()
    cookie = {"Cookie": f"sessionid={key}"}
    with events(two, "/sessions/stream/?group=private", **cookie) as stream:
        assert one.ask("/sessions/log_out/", cookie).status == 200
        while (event := stream.event()) == {"": "heartbeat"}:
            pass
        assert event == {}


def test_the_members_of_a_killed_process_disappear(server: Redis, sites: tuple[Site, Site], tmp_path: Path) -> None:
    one, _ = sites
    settings = {"WEBSOCKET_GROUPS": groups_setting(server)}
    with one.connect("/groups/listener/?group=ghosts") as listener, ExitStack() as stack:
        assert receive(listener) == "ready"
        with subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "tests.site.serve"],
            cwd=ROOT,
            env=_environ(tmp_path, settings),
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            site = Site(process, int(process.stdout.readline()), tmp_path)
            client = stack.enter_context(site.connect("/groups/room/?group=ghosts&info=" + quote('{"name": "ghost"}')))
            receive(client)
            assert receive(listener) == 'joined: {"name": "ghost"}'
            assert one.get_json("/groups/count/?group=ghosts") == 1
            process.kill()
            killed = time.monotonic()
        wait_until(lambda: one.get_json("/groups/count/?group=ghosts") == 0, 30, "no ghosts")
        assert one.get_json("/groups/members/?group=ghosts") == []
        assert str(listener.recv(timeout=deadline(30))) == 'left: {"name": "ghost"}'
        assert time.monotonic() - killed < deadline(30)
        one.take_log("WARNING")


def _environ(directory: Path, settings: dict[str, Any]) -> dict[str, str]:
    (directory / "log").touch()
    return {**os.environ, "TEST_SITE": json.dumps({"directory": str(directory), "settings": settings})}


def test_a_frozen_redis_holds_up_only_who_sends(server: Redis, sites: tuple[Site, Site]) -> None:
    one, two = sites
    with ExitStack() as stack:
        member = stack.enter_context(one.connect("/groups/room/?group=calm"))
        echo = stack.enter_context(one.connect("/common/echo/"))
        receive(member)
        stack.enter_context(server.frozen())
        answers: list[int] = []
        sender = threading.Thread(target=lambda: answers.append(one.ask("/groups/says/?group=calm&message=x").status))
        began = time.monotonic()
        sender.start()
        while sender.is_alive():
            echo.send("hello")
            assert receive(echo) == "hello"
            time.sleep(0.01)
        assert answers == [503]
        assert time.monotonic() - began < deadline(10)
        client = two.connect("/groups/room/?group=calm")
        with client, pytest.raises(ConnectionClosed) as closed:
            receive(client)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1013
        assert member.ping().wait(deadline(5))
    for site in sites:
        wait_until(lambda site=site: site.ask("/groups/says/?group=calm&message=x").status == 200, 15)  # type: ignore[misc]  # its own default
        site.take_log("WARNING")


def test_senders_in_native_threads_and_forks(sites: tuple[Site, Site]) -> None:
    one, two = sites
    with two.connect("/groups/room/?group=threads") as member:
        receive(member)
        one.ask("/groups/sends_in_a_thread/?group=threads&times=20&size=10")
        assert [int(receive(member)[:8]) for _ in range(20)] == list(range(20))
        wait_for_count(one, "threads", 1)
        assert one.get_json("/groups/sends_in_a_fork/?group=threads") == 1
        assert [receive(member), receive(member)] == ["from the child", "from the parent"]


def test_an_event_stream_keeps_nothing(sites: tuple[Site, Site]) -> None:
    one, _ = sites
    with events(one, "/groups/stream/?group=stream"):
        pass  # what a process begins with its first subscription, it keeps
    key = one.ask("/sessions/new_login/").body.decode()
    before = one.stats()
    with events(one, "/sessions/stream/?group=stream", Cookie=f"sessionid={key}"):
        assert one.stats()["database connections"] <= before["database connections"]
    for _ in range(5):
        with events(one, "/groups/stream/?group=stream&heartbeat=0.1") as stream:
            assert stream.event() == {"": "heartbeat"}
    one.wait_until_back_at(before)


def test_a_server_that_stops_takes_its_members_along(server: Redis, sites: tuple[Site, Site], tmp_path: Path) -> None:
    one, _ = sites
    with one.connect("/groups/listener/?group=leaving") as listener, server.client() as redis:
        assert receive(listener) == "ready"
        with serve_site(tmp_path, settings={"WEBSOCKET_GROUPS": groups_setting(server)}) as site:
            client = site.connect("/groups/room/?group=leaving&info=1")
            with client, events(site, "/groups/stream/?group=leaving") as stream:
                receive(client)
                assert receive(listener) == "joined: 1"
                [process] = redis.smembers(KEYS.processes("leaving"))
                assert redis.zscore(KEYS.alive, process) is not None
                site.process.send_signal(signal.SIGTERM)
                with pytest.raises(ConnectionClosed):
                    receive(client)
                assert stream.event() == {}
                assert receive(listener) == "left: 1"
                assert site.process.wait(deadline(10)) == 0
        assert one.get_json("/groups/count/?group=leaving") == 0
        assert redis.zscore(KEYS.alive, process) is None
