"""What happens to connections: too many of them, clients that vanish, upgrades, and the end of the server."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from django_websocket.serving.http import connection
from django_websocket.serving.http.connection import HTTPConnection
from django_websocket.serving.http.handshake_gate import HandshakeGate
from django_websocket.serving.http.head import Head
from django_websocket.serving.patch import eventlet
from django_websocket.serving.tls import TLS
from django_websocket.serving.wire import Wire
from tests.deadlines import deadline, wait_until

from .client import Client, Served, serve
from .searched import CountingBuffer


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


@contextlib.contextmanager
def open_connections(served: Served, number: int) -> Iterator[list[Client]]:
    clients: list[Client] = []
    try:
        for _ in range(number):
            clients.append(served.connect())
        yield clients
    finally:
        for client in clients:
            client.close()


def test_descriptors_run_out(log: Path) -> None:
    """EMFILE pauses accepting, is logged once, and is over when descriptors are free again (eventlet.wsgi ends)."""
    with serve(log, descriptors=40, max_connections=1000) as served:
        with served.connect() as first:
            assert first.ask("/").body == b"ok"
            with open_connections(served, 100):
                served.wait_for_log("cannot accept connections: [Errno 24]")
                assert first.ask("/").body == b"ok"
                # Long enough for several attempts.
                first.sock.settimeout(deadline(0.7))
                with pytest.raises(TimeoutError):
                    first.take(1)
                first.sock.settimeout(deadline(10))
                assert first.ask("/").body == b"ok"
                assert len(served.log_lines("cannot accept")) == 1
            wait_until(lambda: json.loads(first.ask("/counts").body)["connections"] == 1)
        # The first may come in the last attempt that fails, behind clients that have left.
        for _ in range(2):
            assert served.ask("/").body == b"ok"
        with open_connections(served, 100):
            wait_until(lambda: len(served.log_lines("cannot accept")) == 2, what="a second episode")
        assert served.ask("/").body == b"ok"
        assert "Traceback" not in served.log()


def test_too_many_connections(log: Path) -> None:
    with serve(log, max_connections=5) as served:
        with open_connections(served, 5) as clients:
            assert [client.ask("/").body for client in clients] == [b"ok"] * 5
            for send in (b"", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"):
                with served.connect() as refused:
                    refused.send(send)
                    answer = refused.answer()
                    assert answer.status == 503
                    assert answer.headers["connection"] == "close"
                    assert refused.ends()
            assert clients[0].ask("/").body == b"ok"
        wait_until(lambda: served.ask("/").status == 200)
        assert len(served.log_lines("connections are open: refusing more")) == 1


def test_a_flood_of_refused_connections(log: Path) -> None:
    """They linger within bounds, and leave nothing behind."""
    options = {"max_connections": 1, "constants": {"http.stream.LINGER_SECONDS": 0.3}}
    with serve(log, **options) as served, served.connect() as client:
        before = json.loads(client.ask("/counts").body)
        with open_connections(served, 400):
            most = json.loads(client.ask("/counts").body)["fds"]
            assert most <= before["fds"] + 128 + 64
        wait_until(lambda: json.loads(client.ask("/counts").body)["fds"] == before["fds"])


def test_clients_that_vanish_leave_nothing(served: Served) -> None:
    assert served.ask("/").body == b"ok"
    wait_until(lambda: served.counts()["connections"] == 1)
    before, log = served.counts(), served.log()
    for reset in (True, False):
        for request in (
            b"",
            b"G",
            b"GET / HTTP/1.1\r\nHost: a\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            b"POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc",
            b"POST /read HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
            b"POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n",
            b"GET /big?size=50000000 HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET /big?size=50000000&whole HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET /file?kind=file&lines=1000000 HTTP/1.1\r\nHost: a\r\n\r\n",
            b"BAD\r\n\r\n",
        ):
            for _ in range(5):
                client = served.connect(receive_buffer=4096)
                client.send(request)
                if reset:
                    client.reset()
                else:
                    client.close()

    def settled() -> bool:
        counts = served.counts()
        return (counts["connections"], counts["fds"], counts["listeners"]) == (
            before["connections"],
            before["fds"],
            before["listeners"],
        )

    wait_until(settled, what="connections, descriptors and listeners are as before")
    logged = served.log().removeprefix(log)
    assert "Traceback" not in logged
    assert "failed" not in logged


def test_unix_socket(tmp_path: Path, log: Path) -> None:
    path = tmp_path / "socket"
    with serve(log, address=f"unix:{path}") as served:
        assert served.address == str(path)
        environ = json.loads(served.ask("/environ").body)
        assert environ["REMOTE_ADDR"] == environ["REMOTE_PORT"] == ""
        assert environ["SERVER_NAME"]
        assert environ["SERVER_PORT"]
    assert stat.S_ISSOCK(os.stat(path).st_mode)
    # The file that a killed server leaves behind is in nobody's way.
    with serve(log, address=f"unix:{path}") as served:
        assert served.ask("/").body == b"ok"


def test_access_log(served: Served) -> None:
    served.ask("/?logged", method="HEAD")
    served.ask("/read?logged", method="POST", body=b"abcde")
    served.wait_for_log("ACCESS HEAD /?logged HTTP/1.1 200 0\n")
    served.wait_for_log("ACCESS POST /read?logged HTTP/1.1 200 5\n")


BIG = 16_000_000


@pytest.mark.parametrize(
    "target",
    [
        f"/big?whole=1&size={BIG}",
        f"/big?size={BIG}",
        f"/file?kind=file&lines={BIG // 8}",
        f"/file?kind=bytes&lines={BIG // 8}",
    ],
    ids=["whole", "stream", "file", "bytes"],
)
def test_a_download_that_the_client_breaks_off_is_logged_as_such(served: Served, target: str) -> None:
    """With the bytes that were sent, which are fewer than there were."""
    target += "&aborted"
    with served.connect(receive_buffer=4096) as client:
        client.get(target)
        assert client.head()[0] == 200
        client.take(1000)
        client.reset()
    served.wait_for_log(f"ACCESS GET {target} HTTP/1.1 200 ")
    [line] = served.log_lines(target)
    assert line.endswith(" cut off")
    assert 1000 <= int(line.removesuffix(" cut off").rpartition(" ")[2]) < BIG - 1_000_000


@pytest.mark.parametrize(
    ("target", "line"),
    [
        ("/raise_late?cut", "200 3 cut off\n"),
        ("/raise_late?length=9&cut", "200 3 cut off\n"),
        ("/raise_late?length=3", "200 3\n"),
        ("/length?declared=9&actual=5&cut", "200 5 cut off\n"),
        ("/length?declared=5&actual=9&cut", "200 5\n"),
        ("/raise?cut", "500 23\n"),
        ("/exc_info?late&cut", "200 3 cut off\n"),
    ],
)
def test_a_response_that_fails_on_the_way_is_logged_as_such(tmp_path: Path, target: str, line: str) -> None:
    with serve(tmp_path / "log") as served:
        with served.connect() as client:
            client.get(target, "Connection: close")
            client.rest()
        served.wait_for_log(f"ACCESS GET {target} HTTP/1.1 {line}")


def is_listening(served: Served) -> bool:
    try:
        Client(served.address).close()
    except ConnectionRefusedError:
        return False
    return True


def test_stop(log: Path) -> None:
    """Requests under way are answered, idle connections closed, and nobody is accepted any more."""
    with serve(log) as served:
        idle, fresh, busy, streaming, controller = (served.connect() for _ in range(5))
        assert idle.ask("/").body == b"ok"
        busy.get("/wait?until=end")
        streaming.get("/stream?until=end")
        streaming.head()
        assert streaming.chunk() == b"one"
        served.wait_for_count("waiting", 1)
        controller.get("/stop?drain=60")
        answer = controller.answer()
        assert answer.headers["connection"] == "close"
        assert not is_listening(served)
        assert idle.ends()
        assert fresh.ends()
        assert served.process.poll() is None
        # Nobody can let the two go on but a request that is under way, and there is none: they are waiting still.
        busy.sock.settimeout(deadline(0.3))
        with pytest.raises(TimeoutError):
            busy.take(1)


def test_stop_answers_what_is_under_way(log: Path) -> None:
    with serve(log) as served:
        reader, controller = served.connect(), served.connect()
        reader.get("/read", "Content-Length: 3", method="POST")
        wait_until(lambda: served.counts()["connections"] == 3)
        assert controller.ask("/stop?drain=60").body == b"ok"
        assert not is_listening(served)
        reader.send(b"abc")
        answer = reader.answer()
        assert answer.body == b"abc"
        assert answer.headers["connection"] == "close"
        assert reader.ends()
        assert served.process.wait(deadline(10)) == 0
        assert "Traceback" not in served.log()


def test_stop_ends_a_connection_that_a_response_in_progress_keeps(log: Path) -> None:
    """Its head was sent before the stop, and so says nothing of it."""
    with serve(log) as served:
        slow, controller = served.connect(receive_buffer=4096), served.connect()
        slow.get(f"/big?whole=1&size={BIG}")
        assert "connection" not in slow.head()[1]
        assert controller.ask("/stop?drain=600").body == b"ok"
        slow.take(BIG)
        assert slow.ends()
        assert served.process.wait(deadline(10)) == 0


def test_stop_destroys_no_response_to_a_client_that_pipelines(log: Path) -> None:
    """It can't know yet that the connection ends, and the kernel still has a part of the response."""
    with serve(log, constants={"http.stream.LINGER_SECONDS": 60}) as served:
        slow, controller = served.connect(receive_buffer=65536), served.connect()
        slow.get(f"/big?whole=1&size={BIG}")
        assert "connection" not in slow.head()[1]
        assert controller.ask("/stop?drain=600").body == b"ok"
        slow.take(BIG - 300_000)
        served.wait_for_log("ACCESS GET /big")
        slow.get("/")
        slow.take(300_000)
        # It may have come just before the server looked whether one has.
        rest = slow.rest()
        assert rest == b"" or rest.endswith(b"\r\n\r\nok")


def test_stop_kills_what_does_not_end(log: Path) -> None:
    with serve(log) as served:
        stuck, streaming, controller = (served.connect() for _ in range(3))
        stuck.get("/wait?until=never")
        streaming.get("/stream?until=never")
        streaming.head()
        served.wait_for_count("waiting", 1)
        assert controller.ask("/stop?drain=0.2").body == b"ok"
        assert stuck.ends()
        assert streaming.rest() == b"3\r\none\r\n"
        assert served.process.wait(deadline(10)) == 0
        assert "Traceback" not in served.log()


def test_stop_makes_nothing_look_whole_that_is_not(log: Path) -> None:
    """To HTTP/1.0, the end of the connection is that of the body."""
    with serve(log) as served:
        streaming, controller = served.connect(), served.connect()
        streaming.send(b"GET /stream?until=never HTTP/1.0\r\n\r\n")
        streaming.take_until(b"one")
        assert controller.ask("/stop?drain=0.2").body == b"ok"
        with pytest.raises(ConnectionResetError):
            streaming.rest()
        assert served.process.wait(deadline(10)) == 0


def test_requests_that_have_arrived_are_answered(log: Path) -> None:
    """What the kernel has got before the stop is served after it, on old connections and on new ones."""
    with serve(log) as served:
        controller, idle = served.connect(), served.connect()
        assert idle.ask("/").body == b"ok"
        assert controller.ask("/").body == b"ok"
        served.process.send_signal(signal.SIGSTOP)
        controller.get("/stop?drain=60")
        clients = [idle, *(served.connect() for _ in range(3))]
        for client in clients:
            client.get("/")
        served.process.send_signal(signal.SIGCONT)
        for client in [controller, *clients]:
            assert client.answer().body == b"ok"
        assert served.process.wait(deadline(10)) == 0


def test_requests_whose_head_has_arrived_get_their_bodies(log: Path) -> None:
    with serve(log) as served:
        controller = served.connect()
        clients = [served.connect() for _ in range(6)]
        for client in [*clients[:3], controller]:
            assert client.ask("/").body == b"ok"
        served.process.send_signal(signal.SIGSTOP)
        for client in clients[::2]:
            client.get("/read", "Content-Length: 3", method="POST")
        controller.get("/stop?drain=60")
        for client in clients[1::2]:
            client.get("/read", "Content-Length: 3", method="POST")
        served.process.send_signal(signal.SIGCONT)
        assert controller.answer().body == b"ok"
        assert controller.ends()
        for client in clients:
            client.send(b"abc")
            assert client.answer().body == b"abc"
            assert client.ends()
        assert served.process.wait(deadline(10)) == 0


def test_upgrade(served: Served) -> None:
    with served.connect() as client:
        client.get("/switch", "Upgrade: websocket", "Connection: Upgrade")
        status, headers = client.head()
        assert status == 101
        assert headers == {"upgrade": "websocket", "connection": "Upgrade", "sec-websocket-accept": "x"}
        assert client.rest() == b"<>"
    served.wait_for_count("closed switch", 1)
    served.wait_for_count("opened", 1)
    wait_until(lambda: served.counts()["connections"] == 1)


def test_bytes_right_behind_the_handshake(served: Served) -> None:
    with served.connect() as client:
        client.send(
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
            b"GET /switch HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody\x81\x80abcd"
        )
        assert client.answer().body == b"ok"
        assert client.head()[0] == 101
        assert client.rest() == b"<\x81\x80abcd>"


@pytest.mark.parametrize(("how", "status"), [("replaced", 403), ("raise", 500)])
def test_upgrade_that_does_not_happen(how: str, status: int, served: Served) -> None:
    before = served.counts().get("aborted", 0)
    answer = served.ask(f"/switch?how={how}", "Upgrade: websocket", "Connection: Upgrade")
    assert answer.status == status
    assert "upgrade" not in answer.headers
    served.wait_for_count("aborted", before + 1)


def test_upgrade_without_a_websocket(served: Served) -> None:
    assert served.ask("/switch?how=none").status == 500
    served.wait_for_log("the application answered 101, but no websocket was accepted")


def test_upgrade_with_a_body_that_is_not_there(served: Served) -> None:
    """Its bytes must not be taken for frames."""
    before = served.counts().get("aborted", 0)
    with served.connect() as client:
        client.get("/switch", "Content-Length: 1000000", method="POST")
        assert client.answer().status == 400
        assert client.ends()
    served.wait_for_count("aborted", before + 1)


def test_keep_alive_is_not_starved_by_a_pipelining_client(served: Served) -> None:
    with served.connect() as greedy, served.connect() as modest:
        greedy.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 3000)
        assert modest.ask("/").body == b"ok"
        for _ in range(3000):
            assert greedy.answer().body == b"ok"


def test_many_at_once(served: Served) -> None:
    with open_connections(served, 300) as clients:
        for client in clients:
            client.get("/")
        assert all(client.answer().body == b"ok" for client in clients)
    wait_until(lambda: served.counts()["connections"] == 1)


def test_reset_before_accept(served: Served) -> None:
    for _ in range(50):
        served.connect().reset()
    assert served.ask("/").body == b"ok"


def test_ipv6(log: Path) -> None:
    if not socket.has_ipv6:
        pytest.skip("there is no IPv6")
    with serve(log, address="[::1]:0") as served, socket.create_connection(("::1", int(served.address))) as sock:
        sock.sendall(b"GET /environ HTTP/1.1\r\nHost: [::1]\r\nConnection: close\r\n\r\n")
        received = b""
        while data := sock.recv(65536):
            received += data
        environ = json.loads(received.partition(b"\r\n\r\n")[2])
        assert environ["REMOTE_ADDR"] == environ["SERVER_NAME"] == "::1"


# Reading a head


class NoServer:
    """As much of a server as reading a head needs."""

    application: Any = None
    access_log: Any = None
    request_timeout = deadline(60)
    keep_alive: float | None = None
    tls: TLS | None = None
    stopping = False
    disowned = False
    handshake_gate: HandshakeGate | None = None
    takes_websockets = True

    def open_websocket(self, *args: Any) -> None:
        raise AssertionError("nothing is opened")

    def connection_ended(self, *args: Any, **kwargs: Any) -> None:
        raise AssertionError("the connection is not run")


def test_the_end_of_a_head_is_not_searched_for_from_its_beginning_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that sends byte by byte would otherwise buy a megabyte of searching with a kilobyte."""
    monkeypatch.setattr(CountingBuffer, "looked_at", 0)
    monkeypatch.setattr(connection, "bytearray", CountingBuffer, raising=False)
    line = b"GET / HTTP/1.1\r\n"
    head = line + b"Host: a\r\n" + b"".join(b"X-%d: %s\r\n" % (number, b"y" * 100) for number in range(80)) + b"\r\n"
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        reading = eventlet.spawn(HTTPConnection(NoServer(), Wire(ours), "", {})._read_head, deadline(60) + 1e9)
        pieces = 0
        for start in range(0, len(head), 7):
            theirs.sendall(head[start : start + 7])
            pieces += 1
            with eventlet.Timeout(deadline(10)):
                while not reading.dead and _unread(ours):
                    eventlet.sleep(0)
        with eventlet.Timeout(deadline(10)):
            assert isinstance(reading.wait(), Head)
    # For each piece: the end of the request line, and what a CRLF pair may have been begun with.
    assert CountingBuffer.looked_at < 2 * len(head) + pieces * (len(line) + 16)


def _unread(sock: socket.socket) -> bool:
    try:
        return bool(sock.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return False
