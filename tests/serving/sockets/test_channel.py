"""The eventlet transport, over real sockets: many clients, slow ones, and those that leave without a word."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.deadlines import deadline, wait_until
from tests.protocol.client import close, frame, header, text
from tests.site.fixtures import Serve
from tests.site.running import RawSocket, Site, serve_site

CLIENTS = 500
MEBIBYTE = 1024 * 1024

#: Longer than any test waits: what hangs until the server gives a closing handshake up fails.
SETTINGS = {"WEBSOCKET_CLOSE_TIMEOUT": 3600}


@pytest.fixture
def site(serve: Serve) -> Iterator[Site]:
    with serve(settings=SETTINGS) as site:
        yield site


# Many


def test_500_clients_converse_while_plain_requests_are_answered_and_leave_nothing_behind(site: Site) -> None:
    with site.raw("/common/echo/").opened() as warm_up:
        warm_up.close()
    before = site.stats()
    with ExitStack() as stack:
        clients = [stack.enter_context(site.raw("/common/echo/")) for _ in range(CLIENTS)]
        for client in clients:
            client.opened()
        assert site.stats()["websockets"] == CLIENTS
        for turn in range(5):
            for number, client in enumerate(clients):
                client.send(text(f"{turn} {number}"))
                if number % 100 == 0:
                    assert site.ask("/common/plain/").body == b"plain"
            for number, client in enumerate(clients):
                assert client.frame() == (0x81, f"{turn} {number}".encode())
        assert site.ask("/common/plain/").body == b"plain"
        for number, client in enumerate(clients):
            # Each of the ways to leave.
            if number % 4 == 0:
                client.reset()
            elif number % 4 == 1:
                client.shut_down()
            elif number % 4 == 2:
                client.send(close(1000))
            else:
                client.sock.close()
    site.wait_until_back_at(before)


# Those that leave


def leave_by_reset(client: RawSocket) -> None:
    client.reset()


def leave_by_end_of_stream(client: RawSocket) -> None:
    client.shut_down()


def leave_by_close_frame(client: RawSocket) -> None:
    client.send(close(1000))
    client.rest()


def leave_by_failure(client: RawSocket) -> None:
    client.send(text("fail"))
    client.frame()


def leave_by_close(client: RawSocket) -> None:
    client.sock.close()


@pytest.mark.parametrize("path", ["/common/echo/", "/common/echo_to_user/", "/database/before_and_after/"])
def test_nothing_of_a_websocket_waits_for_the_garbage_collector(serve: Serve, path: str) -> None:
    """Thousands that leave at once would otherwise keep their memory, and the collector would stop all for long."""
    with serve(settings=SETTINGS) as site:
        site.get_json("/common/garbage/")
        for leave in (leave_by_reset, leave_by_end_of_stream, leave_by_close_frame, leave_by_failure):
            with site.raw(path).opened() as client:
                client.send(text("who"))
                client.frame()
                leave(client)
        wait_until(lambda: site.get_json("/common/garbage/")["open"] == 0)
        assert site.get_json("/common/garbage/")["found"] == {}
        assert len(site.take_log()) == (path == "/common/echo_to_user/")


leaving = pytest.mark.parametrize("leave", [leave_by_reset, leave_by_end_of_stream, leave_by_close])


@leaving
def test_a_client_that_vanishes_wakes_a_waiting_view(site: Site, leave: Callable[[RawSocket], None]) -> None:
    before = site.stats()
    with site.raw("/transport/waits/").opened() as client:
        client.send(text("hello") + frame(0x01, b"half a mess"))
        site.wait_for_journal("got 'hello'")
        leave(client)
        assert "ended None 1006" in site.wait_for_journal("ended None 1006")
    site.wait_until_back_at(before)


@leaving
def test_a_client_that_vanishes_ends_a_blocked_send(site: Site, leave: Callable[[RawSocket], None]) -> None:
    before = site.stats()
    with site.raw("/transport/sends/", receive_buffer=4096).opened() as client:
        client.frame()
        leave(client)
        assert "ended 1006" in site.wait_for_journal("ended 1006")
    site.wait_until_back_at(before)


@leaving
def test_a_client_that_vanished_ends_the_next_send(site: Site, leave: Callable[[RawSocket], None]) -> None:
    before = site.stats()
    name = leave.__name__
    with site.raw(f"/transport/sends_slowly/?until={name}").opened() as client:
        site.wait_for_journal("accepted")
        leave(client)
        wait_until(lambda: site.stats()["connections"] <= before["connections"])  # noticed though nobody waits
        site.release(name)
        assert "ended 1006" in site.wait_for_journal("ended 1006")
    site.wait_until_back_at(before)


def test_a_close_and_a_ping_are_answered_while_the_view_is_busy(site: Site) -> None:
    with site.raw("/transport/busy/?until=over").opened() as client:
        site.wait_for_journal("accepted")
        client.send(frame(0x89, b"there?"))
        assert client.frame() == (0x8A, b"there?")
        client.send(close(4001))
        assert client.close_frame() == (4001, b"")
        site.release("over")
        assert "closed True 4001" in site.wait_for_journal("closed True 4001")


# Right behind the handshake


def test_messages_in_the_packet_of_the_handshake(site: Site) -> None:
    with site.raw("/common/echo/", text("one") + frame(0x82, b"two") + text("x" * 70000)) as client:
        client.opened()
        assert client.frame() == (0x81, b"one")
        assert client.frame() == (0x82, b"two")
        assert client.frame() == (0x81, b"x" * 70000)
        client.close()


def test_one_message_in_the_packet_of_the_handshake(site: Site) -> None:
    """Nothing that comes later wakes the view."""
    with site.raw("/common/echo/", text("one")) as client:
        client.opened()
        assert client.frame() == (0x81, b"one")
        client.close()


def test_half_a_message_in_the_packet_of_the_handshake(site: Site) -> None:
    message = text("whole")
    for cut in range(1, len(message)):
        with site.raw("/common/echo/", message[:cut]) as client:
            client.opened()
            client.send(message[cut:])
            assert client.frame() == (0x81, b"whole")


@pytest.mark.parametrize(
    ("behind", "code"), [(close(4001), 4001), (b"\x81\x02hi", 1002), (header(0x81, 2 * MEBIBYTE), 1009)]
)
def test_the_end_in_the_packet_of_the_handshake(site: Site, behind: bytes, code: int) -> None:
    before = site.stats()
    with site.raw("/common/echo/", behind) as client:
        assert client.opened().close_frame()[0] == code
    site.wait_until_back_at(before)


def test_more_than_the_queue_holds_in_the_packet_of_the_handshake(site: Site) -> None:
    with site.raw("/transport/takes_later_one/?until=behind", text("0 x") + text("1 x") + text("end")) as client:
        client.opened()
        site.release("behind")
        assert client.frame() == (0x81, b"2")


# Flow control


def send_until_it_blocks(client: RawSocket, messages: Iterator[bytes]) -> tuple[int, bytes]:
    """Bytes that went out before nothing did for a while, and what is left of the message that was cut."""
    sent = 0
    client.sock.settimeout(0.5)
    try:
        for message in messages:
            left = memoryview(message)
            while left:
                try:
                    count = client.sock.send(left)
                except TimeoutError:
                    return sent, bytes(left)
                sent += count
                left = left[count:]
    finally:
        client.sock.settimeout(deadline(20))
    raise AssertionError("it never blocked")


@pytest.mark.parametrize("size", [100, 60_000])
@pytest.mark.parametrize("view", ["takes_later", "takes_later_one"])
def test_a_view_that_takes_nothing_stops_the_client_and_loses_nothing(site: Site, view: str, size: int) -> None:
    before = site.stats()
    until = f"{view}{size}"
    with site.raw(f"/transport/{view}/?until={until}", receive_buffer=65536).opened() as client:
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        blocked_after = 0
        numbers = iter(range(10**9))
        payload = "x" * size

        def messages() -> Iterator[bytes]:
            for number in numbers:
                yield text(f"{number} {payload}")

        blocked_after, left = send_until_it_blocks(client, messages())
        assert blocked_after < 16 * MEBIBYTE  # the kernel's buffers
        assert site.stats()["memory"] - before["memory"] < 8 * MEBIBYTE
        # The rest of the server goes on.
        with site.raw("/common/echo/").opened() as another:
            another.send(text("hello"))
            assert another.frame() == (0x81, b"hello")
        site.release(until)
        client.send(left)
        total = next(numbers)
        for number in range(total, total + 200):
            client.send(text(f"{number} {payload}"))
        client.send(text("end"))
        assert client.frame() == (0x81, str(total + 200).encode())
        client.send(close(1000))
    site.wait_until_back_at(before)


def test_a_close_with_a_full_queue_sees_the_clients_answer(site: Site) -> None:
    before = site.stats()
    with site.raw("/transport/closes_later/?until=full").opened() as client:
        for _ in range(50):
            client.send(text("x" * 1000))
        site.release("full")
        assert client.frame() == (0x88, (4000).to_bytes(2, "big") + b"enough")
        client.send(text("not wanted any more") * 1000 + close(4000))
        assert client.rest() == b""
    site.wait_until_back_at(before)


@pytest.mark.parametrize("view", ["takes_many", "reads_many", "sends_many"])
def test_a_view_that_never_has_to_wait_lets_others_run(site: Site, view: str) -> None:
    with site.raw(f"/transport/{view}/", text("x") * 2000).opened() as client:
        while (received := client.frame()) == (0x81, b"x"):
            pass
        assert int(received[1].removeprefix(b"turns ")) >= 2000 // 64
        client.sock.close()


def test_a_client_that_floods_starves_nobody(site: Site) -> None:
    flooding = [site.raw("/transport/floods/").opened() for _ in range(3)]
    block = text("x") * 5000
    conversations = 0

    def flood(client: RawSocket) -> int:
        blocks = 0
        while blocks < 8 or conversations <= 20:
            client.send(block)
            for _ in range(5000):
                client.frame()
            blocks += 1
        return blocks

    with ExitStack() as stack, ThreadPoolExecutor(3) as threads, site.raw("/common/echo/").opened() as echo:
        for client in flooding:
            stack.enter_context(client)
        floods = [threads.submit(flood, client) for client in flooding]
        while not all(one.done() for one in floods):
            echo.send(text("hello"))
            assert echo.frame() == (0x81, b"hello")
            conversations += 1
        sent = sum(one.result() for one in floods) * 5000
        assert conversations > 20
        assert site.get_json("/transport/flooded/") == sent


# The server's end


def test_a_server_that_stops_closes_with_1001(tmp_path: Path) -> None:
    with serve_site(tmp_path) as site, site.raw("/transport/waits/").opened() as client:
        client.send(text("hello"))
        site.wait_for_journal("got 'hello'")
        site.process.send_signal(signal.SIGTERM)
        assert client.frame() == (0x88, (1001).to_bytes(2, "big") + b"server is stopping")
        client.send(close(1001))
        assert client.rest() == b""
        client.sock.close()
        assert site.process.wait(deadline(10)) == 0


def test_a_server_that_stops_does_not_wait_for_ever(tmp_path: Path) -> None:
    """Neither for a view that doesn't end, nor for a client that doesn't answer."""
    with serve_site(tmp_path) as site, site.raw("/transport/busy/?until=never").opened() as client:
        site.wait_for_journal("accepted")
        site.process.send_signal(signal.SIGTERM)
        assert client.frame()[0] == 0x88
        assert site.process.wait(deadline(10)) == 0
