"""The object that views hold, from the view's side and the client's."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import websocket as websocket_client
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from django_websocket.exceptions import ConnectionClosed as OurConnectionClosed
from django_websocket.exceptions import InvalidPayload, ProtocolError
from django_websocket.options import resolve_options
from django_websocket.protocol.handshake import Handshake
from django_websocket.testing.memory import MemoryPeer, MemoryScheduler
from django_websocket.testing.memory import connect as connect_in_memory
from django_websocket.websocket import WebSocket
from tests.deadlines import deadline, wait_until
from tests.protocol.client import close, frame, text
from tests.site.fixtures import Serve
from tests.site.running import RawSocket, Site

#: Longer than any test waits: what hangs until the server gives a closing handshake up fails.
SETTINGS = {"WEBSOCKET_CLOSE_TIMEOUT": 3600}


@pytest.fixture
def site(serve: Serve) -> Iterator[Site]:
    with serve(settings=SETTINGS) as site:
        yield site


def receive(client: ClientConnection) -> Any:
    return client.recv(timeout=deadline(10))


def own_journal(site: Site, last: str) -> list[str]:
    entries = site.wait_for_journal(last)
    return [entry for entry in entries if not entry.startswith(("request", "response"))]


def end(client: RawSocket, code: int = 1000) -> None:
    """Answer the server's close frame, and see it close the connection at once."""
    first, payload = client.frame()
    assert (first, int.from_bytes(payload[:2], "big")) == (0x88, code)
    client.send(frame(0x88, payload))
    assert client.rest() == b""


# Receiving


def test_wait_with_a_timeout(site: Site) -> None:
    with site.connect("/websocket/times_out/") as client:
        assert receive(client) == "timed out"
        for message in ("one", b"two"):
            client.send(message)
            assert receive(client) == message


def test_what_arrived_while_the_view_slept(site: Site) -> None:
    with site.connect("/websocket/looks_later/?until=look") as client:
        for number in range(5):
            client.send(str(number))
        client.ping().wait(deadline(10))  # its pong says that the server has read what came before
        site.release("look")
        assert json.loads(receive(client)) == {
            "before": [5, True],
            "read": "0",
            "after": [4, True],
            "rest": ["1", "2", "3", "4"],
            "at last": ["nothing", 0, False],
        }


@pytest.mark.parametrize("how", ["read", "has", "count", "wait"])
def test_polling_starves_nobody(site: Site, how: str) -> None:
    with (
        site.connect(f"/websocket/polls/?how={how}") as polling,
        site.connect(f"/websocket/polls/?how={how}") as another,
        site.connect("/common/echo/") as echo,
    ):
        for number in range(20):
            for client in (polling, another, echo):
                client.send(str(number))
            for client in (polling, another, echo):
                assert receive(client) == str(number)
            assert site.ask("/common/plain/").body == b"plain"
    happened = site.wait_for_journal("closed 1000")
    if happened.count("closed 1000") == 1:
        site.wait_for_journal("closed 1000")


@pytest.mark.parametrize("how", ["read", "has", "count", "wait"])
def test_a_polling_view_answers_the_close_behind_a_message(site: Site, how: str) -> None:
    with site.raw(f"/websocket/polls/?how={how}", text("last") + close(1000)).opened() as client:
        assert client.frame() == (0x81, b"last")
        assert client.close_frame() == (1000, b"")
    site.wait_for_journal("closed 1000")


def test_iteration_ends_with_the_clients_close(site: Site) -> None:
    with site.raw("/websocket/sees_the_close/").opened() as client:
        client.send(text("one") + frame(0x82, b"two") + close(4000, b"enough"))
        assert client.close_frame() == (4000, b"enough")
    assert own_journal(site, "None None 4000") == [
        "['one', b'two'] True 4000 enough",
        "send 4000 enough 4000",
        "None None 4000",
    ]


def test_a_close_without_a_code(site: Site) -> None:
    with site.raw("/websocket/sees_the_close/").opened() as client:
        client.send(close())
        assert client.frame() == (0x88, b"")
        assert client.rest() == b""
    assert own_journal(site, "None None 1005") == ["[] True 1005 ", "send 1005  1005", "None None 1005"]


def test_messages_before_the_close_are_answered_still(site: Site) -> None:
    with site.raw("/websocket/answers_after_the_close/?until=answer").opened() as client:
        client.send(text("one") + text("two") + close(1000))
        site.release("answer")
        assert client.frame() == (0x81, b"one")
        assert client.frame() == (0x81, b"two")
        assert client.close_frame() == (1000, b"")


def test_a_view_that_waits_for_ever_ends_after_the_close(site: Site) -> None:
    before = site.stats()
    with site.connect("/websocket/waits_on/"):
        pass
    site.wait_until_back_at(before)


# Sending


def test_kinds_of_messages(site: Site) -> None:
    with site.connect("/websocket/sends_all_kinds/") as client:
        received = list(client)
    assert received == [
        "text \u00e9",
        "",
        b"bytes",
        b"",
        b"bytearray",
        b"mmrve",
        "5",
        "None",
        "1.50",
        "Monday",
    ]


def test_json(site: Site) -> None:
    with site.connect("/websocket/json_echo/") as client:
        assert json.loads(receive(client)) == {
            "date": "2026-02-01",
            "uuid": "00000000-0000-0000-0000-000000000001",
            "decimal": "1.50",
            "lazy": "Monday",
        }
        assert receive(client) == "TypeError"
        values: list[Any] = [{"a": [1, 2.5, True, {}]}, "text", 0, [], False]
        for value in values:
            client.send(json.dumps(value))
            assert json.loads(receive(client)) == value
        client.send(b'{"in": "bytes"}')
        assert receive(client) == '{"in": "bytes"}'
        for wrong in ("{", "", b"\xff\xff\xff"):
            client.send(wrong)
            assert receive(client) == "ValueError"


def test_two_senders_and_a_slow_reader_do_not_mix_frames(site: Site) -> None:
    with site.raw("/websocket/sends_from_two/", receive_buffer=4096).opened() as client:
        numbers = {"a": [0], "b": [0]}  # the first message of each has no letter
        for _ in range(200):
            first, payload = client.frame()
            assert first == 0x81
            number, letters = int(payload[:3]), payload[3:].decode()
            assert letters == letters[:1] * (number * 977 % 70000)
            if number:
                numbers[letters[0]].append(number)
        assert numbers == {"a": list(range(100)), "b": list(range(100))}
        end(client)


def test_buffered_amount_and_a_reader_that_comes_to_life(site: Site) -> None:
    with site.raw("/websocket/holds/", receive_buffer=4096).opened() as client:
        wait_until(lambda: 1024 * 1024 < site.get_json("/websocket/buffered/") <= 16 * 1024 * 1024 + 10)
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024 * 1024)
        first, payload = client.frame()
        assert (first, len(payload)) == (0x82, 16 * 1024 * 1024)
        site.wait_for_journal("sent, 0 left")
        assert site.get_json("/websocket/buffered/") == 0
        client.send(close(1000))
        assert client.close_frame() == (1000, b"")


def test_a_reader_that_never_reads_is_dropped(serve: Serve) -> None:
    with serve(settings={"WEBSOCKET_SEND_TIMEOUT": 0.5}) as site:
        before = site.stats()
        with site.raw("/websocket/holds/", receive_buffer=4096).opened():
            assert own_journal(site, "ConnectionClosed 1006, TimeoutError") == ["ConnectionClosed 1006, TimeoutError"]
            site.wait_until_back_at(before)


def test_ping_and_latency(site: Site) -> None:
    with site.raw("/websocket/pings/").opened() as client:
        first, payload = client.frame()
        assert first == 0x89
        client.send(frame(0x8A, b"another") + frame(0x8A, payload) + text("go on"))
        assert client.frame() == (0x81, b"True")
        end(client)


# Several greenlets


def test_two_greenlets_can_not_wait_at_once(site: Site) -> None:
    with site.connect("/websocket/waits_twice/") as client:
        assert receive(client) == "ConcurrencyError"
        for message in ("for the other", "for the view"):
            client.send(message)
            assert receive(client) == message


def test_one_greenlet_may_look_while_another_waits(site: Site) -> None:
    with site.connect("/websocket/polls_for_another/") as client:
        assert receive(client) == "waiting"
        client.send("hello")
        assert receive(client) == "hello"


def test_a_greenlet_that_fails_after_its_wait_does_not_make_the_socket_deaf(site: Site) -> None:
    with site.connect("/websocket/loses_a_waiter/") as client:
        assert receive(client) == "it waits"
        client.send("to fail with")
        for number in range(3):
            client.send(str(number))
            assert receive(client) == str(number)
    error = site.wait_for_error()
    assert (error["logger"], error["error"]) == ("django_websocket", "ValueError")


# Closing


@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (1001, "away"), (3000, "three"), (4999, "é" * 61)])
def test_close_with_a_code_and_a_reason(site: Site, code: int, reason: str) -> None:
    with site.connect(f"/websocket/closes/?code={code}&reason={reason}") as client:
        with pytest.raises(ConnectionClosed) as closed:
            receive(client)
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (code, reason)
    assert own_journal(site, "None fallback 0") == [
        f"True {code} {reason}",
        f"send True {code}",
        "ping",
        "None fallback 0",
    ]


def test_a_close_without_a_code_is_a_normal_one(site: Site) -> None:
    with site.raw("/websocket/represents/").opened() as client:
        client.frame()
        assert client.frame() == (0x88, b"\x03\xe8")
        client.send(close(1000))
        assert client.rest() == b""


def test_codes_and_reasons_that_may_not_be_sent(site: Site) -> None:
    with site.connect("/websocket/refuses_to_close/") as client:
        assert receive(client) == "still open"
    assert own_journal(site, "1015") == ["1005", "1006", "999", "2999", "5000", "1000", "1015"]


def test_the_close_frame_comes_only_when_its_time_is_up_if_the_view_is_busy(serve: Serve) -> None:
    with serve(settings={"WEBSOCKET_CLOSE_TIMEOUT": 0.5}) as site:
        with site.raw("/websocket/answers_after_the_close/?until=never").opened() as client:
            began = time.monotonic()
            client.send(text("nobody takes this") + close(1000))
            assert client.close_frame() == (1000, b"")
            assert time.monotonic() - began >= 0.45
        site.release("never")


def test_a_client_that_does_not_answer_the_close_is_dropped(serve: Serve) -> None:
    with serve(settings={"WEBSOCKET_CLOSE_TIMEOUT": 0.5}) as site:
        before = site.stats()
        with site.raw("/websocket/closes/?code=1000&reason=").opened() as client:
            assert client.frame() == (0x88, b"\x03\xe8")
            assert client.rest() == b""
            site.wait_until_back_at(before)


def test_what_it_looks_like(site: Site) -> None:
    with site.connect("/websocket/represents/?a=b") as client:
        assert json.loads(receive(client)) == [
            "<WebSocket /websocket/represents/?a=b connecting>",
            False,
            None,
            "<WebSocket /websocket/represents/?a=b open>",
            False,
            None,
        ]
    own_journal(site, "<WebSocket /websocket/represents/?a=b closed>")


# What the client does wrong


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (b"\x81\x02hi", 1002),  # not masked
        (frame(0xC1, b"hi"), 1002),
        (frame(0x83, b"hi"), 1002),
        (frame(0x80, b"hi"), 1002),
        (frame(0x09, b"hi"), 1002),
        (frame(0x88, b"\x03"), 1002),
        (frame(0x88, b"\x03\xed"), 1002),
        (frame(0x81, b"\xff"), 1007),
        (frame(0x88, b"\x03\xe8\xff"), 1007),
        (frame(0x01) + frame(0x00) * 1024, 1008),
        (frame(0x82, bytes(1024 * 1024 + 1)), 1009),
    ],
)
def test_breaches_of_the_protocol(site: Site, sent: bytes, code: int) -> None:
    before = site.stats()
    with site.raw("/common/echo/").opened() as client:
        client.send(sent)
        assert client.close_frame()[0] == code
    site.wait_until_back_at(before)


def opened_in_memory() -> tuple[MemoryScheduler, WebSocket, MemoryPeer]:
    scheduler = MemoryScheduler()
    channel, peer = connect_in_memory(scheduler)
    websocket = WebSocket(Handshake("key", (), ()), resolve_options({}))
    websocket.attach(channel, "peer", None, lambda _: None).start(b"")
    return scheduler, websocket, peer


@pytest.mark.parametrize(
    ("sent", "code", "cause"),
    [
        (b"\x81\x02hi", 1002, ProtocolError),
        (frame(0x81, b"\xff"), 1007, InvalidPayload),
        (close(1000), 1000, type(None)),
    ],
)
def test_what_ended_the_connection_is_the_cause(sent: bytes, code: int, cause: type[object]) -> None:
    scheduler, websocket, peer = opened_in_memory()
    peer.send(sent)
    scheduler.run()
    uses: list[Callable[[], None]] = [lambda: websocket.send("x"), websocket.ping]
    for use in uses:
        with pytest.raises(OurConnectionClosed) as caught:
            use()
        assert caught.value.sent_code == code
        assert type(caught.value.__cause__) is cause


def test_a_lost_connection_is_the_cause() -> None:
    scheduler, websocket, peer = opened_in_memory()
    peer.reset()
    scheduler.run()
    with pytest.raises(OurConnectionClosed) as caught:
        websocket.send("x")
    assert (caught.value.code, type(caught.value.__cause__)) == (1006, ConnectionResetError)


def test_no_other_thread_touches_a_websocket_in_memory() -> None:
    _, websocket, peer = opened_in_memory()
    uses: list[Callable[[], object]] = [
        websocket.wait,
        websocket.read,
        websocket.has_messages,
        websocket.ping,
        websocket.close,
        lambda: websocket.send("x"),
    ]
    with ThreadPoolExecutor(1) as thread:
        for use in uses:
            with pytest.raises(RuntimeError, match="takes no calls of other threads"):
                thread.submit(use).result(deadline(10))
    websocket.send("y")
    assert peer.receive() == b"\x81\x01y"


# Another client library


def test_websocket_client(site: Site) -> None:
    client = websocket_client.create_connection(f"ws://127.0.0.1:{site.port}/common/echo/", timeout=deadline(10))
    try:
        for message in ("text \u00e9", "x" * 70000):
            client.send(message)
            assert client.recv() == message
        client.send_binary(b"\x00\xff")
        assert client.recv() == b"\x00\xff"
        client.ping("still there?")
        assert client.recv_data(control_frame=True) == (websocket_client.ABNF.OPCODE_PONG, b"still there?")
    finally:
        client.close()
