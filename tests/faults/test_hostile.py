"""Clients that are slow, or send too much of something: they harm themselves alone."""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack

import pytest

from tests.deadlines import deadline, wait_until

from .machine import Stopwatch
from .peer import BINARY, TEXT, Peer, crowd, frame, handshake
from .served import Served, attack, background, percentile, retried, round_trips

Serving = Callable[..., AbstractContextManager[Served]]
Record = Callable[[str, object], None]

MEBI = 1024 * 1024


@pytest.mark.heavy
@pytest.mark.timeout(300)
def test_slow_lorises_are_cut_while_honest_clients_are_served(
    serving: Serving, many: int, record_property: Record
) -> None:
    timeout = 8.0

    def measure() -> float:
        with serving(settings={"WEBSOCKET_REQUEST_TIMEOUT": timeout}) as served, served.open("/echo/") as honest:
            times: list[float] = []
            with attack("loris", served.port, many) as lorises:
                assert lorises.stdout is not None
                while lorises.poll() is None:
                    times += round_trips(served, honest, 0.5)
                    watch = Stopwatch(served.process.pid)
                    assert served.get("/hello/")[0] == 200
                    times.append(watch.seconds())
                shortest, longest = map(float, lorises.stdout.read().split())
            print(f"{many} cut after {shortest:.1f} to {longest:.1f} s; {len(times)} round trips")
            assert timeout - 0.5 <= shortest
            # Behind the deadline a refused client gets two seconds to read its answer.
            assert longest < deadline(timeout + 5)
            served.wait_state(connections=2)
            return percentile(times, 0.99)

    retried(measure, 0.1, record_property)


@pytest.mark.parametrize(
    "begun",
    [
        b"",
        b"GET /echo/ HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # a TLS ClientHello that ends early
        b"\x16",
    ],
    ids=["nothing", "half a handshake", "TLS", "a byte of TLS"],
)
def test_half_done_handshakes_are_freed(serving: Serving, begun: bytes) -> None:
    with serving(settings={"WEBSOCKET_REQUEST_TIMEOUT": 0.5}) as served:
        before = served.state(collected=True)
        with ExitStack() as stack:
            peers = [stack.enter_context(served.peer()) for _ in range(50)]
            for peer in peers:
                peer.send(begun)
            for peer in peers:
                answer = peer.rest()
                assert not answer or answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 408"))
        served.wait_state(connections=1)
        wait_until(lambda: served.state(collected=True)["greenlets"] <= before["greenlets"], 5, "greenlets ended")
        after = served.state(collected=True)
        assert {name: after[name] for name in ("fds", "listeners")} == {
            name: before[name] for name in ("fds", "listeners")
        }


def echoes_while(served: Served, neighbour: Peer, word: str, count: int) -> int:
    """How often ``neighbour`` was answered before views had told ``word`` so many times."""
    echoes = 0
    end = time.monotonic() + deadline(20)
    while len(served.told(word)) < count:
        assert time.monotonic() < end, f"nobody told {word!r}"
        neighbour.send_text("hello")
        assert neighbour.text() == "hello"
        echoes += 1
    return echoes


def test_a_reader_that_stops_blocks_only_its_own_view(serving: Serving, record_property: Record) -> None:
    timeout = deadline(1)
    with serving(settings={"WEBSOCKET_SEND_TIMEOUT": timeout}) as served, served.open("/echo/") as neighbour:
        for attempt in range(1, 4):
            with served.open("/push/", receive_buffer=4096) as stopped:
                assert stopped.frame().opcode == BINARY
                echoes = echoes_while(served, neighbour, "push: ", attempt)
            # A send that blocked the process would let one through, once its view has given up; and so would we, if we
            # got no processor for as long.
            if echoes > 3:
                break
        assert echoes > 3
        line = served.told("push: ")[-1]
        _, code, _, blocked, *_ = line.split()
        record_property("blocked", line)
        print(line)
        assert code == "1006"
        assert float(blocked) >= timeout * 0.9
        served.wait_state(websockets=1)


@pytest.mark.heavy
def test_a_ping_flood_is_not_felt_next_door(serving: Serving, record_property: Record) -> None:
    with serving() as served, served.open("/echo/") as neighbour:

        def measure() -> float:
            with attack("pings", served.port, 5, 100_000) as flood:
                times = round_trips(served, neighbour, 4)
                assert flood.stdout is not None
                print(f"{flood.stdout.readline().strip()} pings a second were taken")
            return percentile(times, 0.99)

        retried(measure, 0.05, record_property)
        assert served.rss() < 200 * MEBI


@pytest.mark.heavy
@pytest.mark.parametrize("kind", ["pings", "pongs", "fragments"])
def test_many_floods_of_small_frames_are_not_felt_next_door(
    serving: Serving, record_property: Record, kind: str
) -> None:
    with serving() as served, served.open("/echo/") as neighbour:

        def measure() -> float:
            with attack("frames", served.port, 5, kind, 20) as flood:
                times = round_trips(served, neighbour, 4)
                assert flood.stdout is not None
                print(f"{flood.stdout.readline().strip()} MB a second were taken")
            return percentile(times, 0.99)

        retried(measure, 0.05, record_property)


@pytest.mark.heavy
@pytest.mark.parametrize("chunk", [0, 1])
def test_fast_uploads_are_not_felt_next_door(serving: Serving, record_property: Record, chunk: int) -> None:
    with serving() as served, served.open("/echo/") as neighbour:

        def measure() -> float:
            with ExitStack() as stack:
                for _ in range(3):
                    stack.enter_context(attack("upload", served.port, 10, chunk))
                return percentile(round_trips(served, neighbour, 4), 0.99)

        retried(measure, 0.05, record_property)


@pytest.mark.heavy
@pytest.mark.parametrize("size", [0, 100, 60_000])
def test_a_firehose_leaves_timers_on_time(serving: Serving, record_property: Record, size: int) -> None:
    with serving(beat=0.01) as served:

        def measure() -> float:
            with attack("firehose", served.port, 4, size) as hose:
                served.beats()
                hose.wait(deadline(20))
                gaps = served.beats()
                assert hose.stdout is not None
                print(f"{hose.stdout.readline().strip()} messages a second were taken, {len(gaps)} beats")
            return max(gaps)

        retried(measure, 0.05, record_property)


@pytest.mark.heavy
@pytest.mark.timeout(300)
@pytest.mark.parametrize("size", [16_000, MEBI])
@pytest.mark.parametrize("count", [5, 20])
def test_a_compressed_flood_is_not_felt_next_door(
    serving: Serving, record_property: Record, count: int, size: int
) -> None:
    with serving(settings={"WEBSOCKET_COMPRESSION": True}) as served, served.open("/echo/") as neighbour:

        def measure() -> float:
            with attack("inflating", served.port, count, 6, size, 100 * MEBI // size) as flood:
                times = round_trips(served, neighbour, 5)
                assert flood.stdout is not None
                print(f"closed: {flood.stdout.readline().strip() or 'none'}; median {percentile(times, 0.5):.4f}")
            return percentile(times, 0.99)

        retried(measure, 0.05, record_property)
        assert served.rss() < 300 * MEBI


@pytest.mark.heavy
@pytest.mark.timeout(300)
def test_clients_that_keep_up_a_compressed_flood_are_closed(serving: Serving) -> None:
    with serving(settings={"WEBSOCKET_COMPRESSION": True}) as served:
        with attack("inflating", served.port, 3, deadline(60), MEBI, 100) as flood:
            assert flood.stdout is not None
            assert flood.stdout.readline().split() == ["1008"] * 3
        served.wait_state(websockets=0)
        served.wait_logged("Closed /echo/ of 127.0.0.1: compressed messages inflate to too much")
        assert served.log().count("LOG") == 1, "the same is logged once"


@pytest.mark.parametrize("size", [100, 60_000, 1_000_000])
def test_a_busy_view_makes_tcp_push_back(serving: Serving, record_property: Record, size: int) -> None:
    """Its client sends 100 MB meanwhile, or would like to."""
    pieces = 100_000_000 // max(60_000, size)
    messages = max(1, 60_000 // size)
    piece = frame(BINARY, b"x" * size) * messages
    with serving() as served, served.open("/echo/") as neighbour:
        assert round_trips(served, neighbour, 0.2)
        before = most = served.rss()
        with served.open("/busy/") as peer:
            peer.sock.setblocking(False)
            sent = 0
            while sent < pieces * len(piece) / 2:
                try:
                    sent += peer.sock.send(piece[sent % len(piece) :])
                except BlockingIOError:
                    if not select.select([], [peer.sock], [], 1)[1]:
                        break
            else:
                raise AssertionError("TCP did not push back")
            taken = sent
            assert served.get("/idle/")[0] == 200
            peer.sock.setblocking(True)
            while sent < pieces * len(piece):
                sent += peer.sock.send(piece[sent % len(piece) :])
                most = max(most, served.rss())
            peer.send(frame(TEXT, b"count"))
            assert int(peer.text()) == pieces * messages * size
        grown = most - before
        print(f"{taken / 1e6:.1f} MB were taken while busy, {sent / 1e6:.0f} in all; RSS grew {grown / 1e6:.1f}")
        assert grown < 20 * MEBI
        assert round_trips(served, neighbour, 0.2), "it is served as before"


def test_a_reset_is_quiet(served: Served) -> None:
    served.forget()
    for path in ("echo", "push", "witness"):
        for _ in range(5):
            served.open(f"/{path}/").reset()
    served.wait_state(websockets=0)
    assert served.tracebacks() == 0


def test_a_half_close_ends_the_view(served: Served) -> None:
    served.forget()
    with served.open("/witness/?name=half") as peer:
        peer.send_text("answer me")
        assert peer.text() == "answer me"
        peer.sock.shutdown(socket.SHUT_WR)
        assert peer.gone()
    assert served.wait_told("half", 2) == ["half: None", "half: finally 1006"]


@pytest.mark.heavy
def test_a_storm_of_connections_is_survived(serving: Serving) -> None:
    """Connections that are reset before, in and after the handshake, in the midst of honest ones."""
    with serving() as served, crowd(served.port, "/echo/", 100) as honest:
        for turn in range(300):
            early = Peer(served.port)
            if turn % 3:
                early.send(b"GET /echo/ HTTP/1.1\r\nHost: 127.0.0.1\r\n" if turn % 3 == 1 else handshake("/echo/"))
            early.reset()
        for peer in honest:
            peer.send_text("hello")
            assert peer.text() == "hello"
        served.wait_state(websockets=100)
        assert served.tracebacks() == 0


def test_a_slow_reader_of_a_large_message_is_not_taken_for_dead(serving: Serving) -> None:
    """It takes longer than ping interval and timeout together, and can't answer pings before it has read it all."""
    settings = {"WEBSOCKET_PING_INTERVAL": 0.5, "WEBSOCKET_PING_TIMEOUT": 0.5, "WEBSOCKET_SEND_TIMEOUT": 5}
    with serving(settings=settings) as served, served.open("/push/?size=8000000", receive_buffer=4096) as slow:
        start = time.monotonic()
        over = threading.Event()
        taken = 0

        def read() -> None:
            nonlocal taken
            while not over.wait(0.02):
                taken += len(slow.sock.recv(20_000))

        with background(read):
            try:
                wait_until(lambda: time.monotonic() > start + 3)
                # While it reads: once it has stopped, it has but a second.
                assert served.state()["websockets"] == 1
            finally:
                over.set()
        assert taken > 0
