"""Groups over real sockets."""

from __future__ import annotations

import threading
from contextlib import ExitStack

import pytest
import websocket as websocket_client

from tests.deadlines import deadline, wait_until
from tests.protocol.client import close, frame
from tests.site.running import RawSocket, Site

ROOM = "/groups/member/?group=room"


def count(site: Site, group: str = "room") -> int:
    counted: int = site.get_json(f"/groups/count/?group={group}")
    return counted


def members(site: Site, stack: ExitStack, number: int) -> list[RawSocket]:
    sockets = [stack.enter_context(site.raw(ROOM).opened()) for _ in range(number)]
    wait_until(lambda: count(site) == number, 10, "all have joined")
    return sockets


@pytest.mark.parametrize("view", ["sends", "sends_in_a_thread"])
def test_members_of_two_libraries(site: Site, view: str) -> None:
    site.ask("/groups/sends_in_a_thread/?group=nobody&times=1&size=10")  # starts the threads, which stay
    before = site.stats()
    with site.connect(ROOM) as client:
        other = websocket_client.create_connection(f"ws://127.0.0.1:{site.port}{ROOM}", timeout=deadline(10))
        wait_until(lambda: count(site) == 2, 10, "both have joined")
        site.journal()
        site.ask(f"/groups/{view}/?group=room&times=50&size=100")
        for number in range(50):
            assert int(str(client.recv(timeout=deadline(10)))[:8]) == number
            assert int(str(other.recv())[:8]) == number
        assert not [entry for entry in site.journal() if "woken" in entry]
        client.send("to all")
        assert client.recv(timeout=deadline(10)) == other.recv() == "to all"
        other.close()
    wait_until(lambda: count(site) == 0, 10, "both have left")
    site.wait_until_back_at(before)


def test_every_member_gets_every_message_while_others_are_served(site: Site) -> None:
    with ExitStack() as stack, site.connect("/common/echo/") as echo:
        sockets = members(site, stack, 100)
        sender = threading.Thread(target=site.ask, args=("/groups/sends/?group=room&times=300&size=1000",))
        sender.start()
        for number in range(20):
            echo.send(str(number))
            assert echo.recv(timeout=deadline(10)) == str(number)
        for socket in sockets:
            for number in range(300):
                first, payload = socket.frame()
                assert (first, int(payload[:8]), len(payload)) == (0x81, number, 1000)
        sender.join()
        for socket in sockets:
            socket.send(close(1000))
            assert socket.close_frame() == (1000, b"")


def test_a_member_that_does_not_read_is_closed_and_holds_up_nobody(site: Site) -> None:
    with ExitStack() as stack:
        slow = stack.enter_context(site.raw(ROOM, receive_buffer=4096).opened())
        wait_until(lambda: count(site) == 1, 10)
        readers = [stack.enter_context(site.connect(ROOM)) for _ in range(3)]
        wait_until(lambda: count(site) == 4, 10)
        for number in range(500):
            assert site.ask("/groups/sends/?group=room&times=1&size=60000").status == 200
            for reader in readers:
                assert len(str(reader.recv(timeout=deadline(10)))) == 60000
            if number >= 20 and "member closed 1013" in site.journal():
                break
        else:
            raise AssertionError("the slow member was never closed")
        slow.reset()
    wait_until(lambda: count(site) == 0, 10)


def test_a_view_that_closes_sends_what_it_sent_to_the_group_before(site: Site) -> None:
    with site.raw(ROOM).opened() as socket:
        socket.send(frame(0x81, b"one") + frame(0x81, b"two") + close(1000))
        assert socket.frame() == (0x81, b"one")


def test_joining_and_leaving_in_a_native_thread(site: Site) -> None:
    with site.connect("/groups/joins_in_a_thread/") as client:
        assert client.recv(timeout=deadline(10)) == "joined"
        site.ask("/groups/sends/?group=room&times=1&size=10")
        assert client.recv(timeout=deadline(10)) == "       0xx"
        client.send("leave")
        assert client.recv(timeout=deadline(10)) == "0"


def test_a_forked_child_has_no_members(site: Site) -> None:
    with site.connect(ROOM) as client:
        wait_until(lambda: count(site) == 1, 10)
        assert site.get_json("/groups/sends_in_a_fork/?group=room") == 0
        assert client.recv(timeout=deadline(10)) == "from the parent"
