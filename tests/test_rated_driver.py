"""What a client may send in which time, over every channel; the clock stands still unless the test moves it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from django_websocket.options import resolve_options
from django_websocket.protocol.connection import Connection
from django_websocket.protocol.deflate import PerMessageDeflate
from django_websocket.quiet_log import quiet_log
from django_websocket.rated_driver import RatedDriver
from django_websocket.rates import parse_rate
from tests.deadlines import deadline
from tests.protocol.client import close, compressed, frame, text
from tests.worlds import MemoryWorld, World, receive_all, run_until

from .test_driver import close_frame
from .worlds import world as world  # a fixture


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    quiet_log.flush(final=True)  # what another test has said
    yield
    quiet_log.flush(final=True)


@pytest.fixture
def memory() -> Iterator[MemoryWorld]:
    world = MemoryWorld()
    yield world
    world.check_quiet()


class Client:
    """A client that sends, and a view that takes everything as soon as it comes."""

    def __init__(self, world: World, rate: str, *, deflate: bool = False, takes: bool = True, **options: Any) -> None:
        self.world = world
        options = {"rate": parse_rate(rate), "close_timeout": 3600.0, **options}
        self.options = replace(resolve_options({}), **options)
        self.channel, self.peer = world.connect()
        self.connection = Connection(
            max_message_size=self.options.max_message_size,
            max_queue=self.options.max_queue,
            deflate=PerMessageDeflate() if deflate else None,
        )
        self.driver = RatedDriver(
            self.channel, self.connection, self.options, lambda _: None, path="/path?query", peer="203.0.113.7:1"
        )
        self.driver.start(b"")
        self.taken: list[Any] = []
        self._rest = b""
        if takes:
            world.spawn(self._view)

    def _view(self) -> None:
        messages = self.connection.messages
        while True:
            while messages:
                self.taken.append(messages.pop(0))
                self.driver.took_message()
            if self.connection.ended:
                self.driver.finish()
                return
            self.driver.park(None)

    def send(self, data: bytes, seconds: float = 0) -> None:
        """Send as much of ``data`` as the server takes, and let time pass."""
        self._rest += data
        self.flush()
        self.world.run(seconds)

    def flush(self) -> None:
        try:
            while self._rest:
                self._rest = self._rest[self.peer.send(self._rest) :]
        except BlockingIOError:
            pass

    def end(self) -> None:
        self.driver.drop()
        self.peer.close()
        self.world.run()


def test_over_every_channel_a_flood_is_taken_at_its_rate_and_nothing_is_lost(world: World) -> None:
    client = Client(world, "20/s")
    start = client.channel.clock()
    client.send(b"".join(text(str(number)) for number in range(30)))
    run_until(world, lambda: len(client.taken) >= 20)
    taken, is_paused = len(client.taken), client.driver.is_paused
    # On a busy machine some more may be due by now.
    assert taken <= 20 + 20 * (client.channel.clock() - start)
    assert is_paused or taken == 30
    while len(client.taken) < 30:
        world.run(0.01)
        assert client.channel.clock() - start < deadline(10)
    assert client.channel.clock() - start >= 0.4, "ten more take half a second"
    assert client.taken == [str(number) for number in range(30)]
    client.end()


def test_what_is_within_the_rate_never_waits(memory: MemoryWorld) -> None:
    client = Client(memory, "10/s")
    for number in range(100):
        client.send(text(str(number)), 0.1)
        assert len(client.taken) == number + 1
        assert not client.driver.is_paused
    client.end()


def test_no_window_has_more_than_the_burst_and_what_the_rate_adds(memory: MemoryWorld) -> None:
    client = Client(memory, "50/s")
    client.send(b"".join(text("x") for _ in range(1000)))
    history = []
    for _ in range(1500):
        memory.run(0.01)
        history.append(len(client.taken))
    for start in range(0, 1400, 7):
        for length in (1, 10, 100):
            assert history[start + length] - history[start] <= 50 + 0.5 * length
    assert history[99] in range(94, 101)
    assert history[999] in range(544, 551)
    client.end()


def test_a_message_rate_is_kept_with_a_view_that_takes_its_time(memory: MemoryWorld) -> None:
    client = Client(memory, "4/s", takes=False)
    client.send(b"".join(text(str(number)) for number in range(100)))
    messages = client.connection.messages
    assert messages == ["0", "1", "2", "3"]
    memory.run(100)
    assert len(messages) == 4, "the queue is as long as what is allowed at once"
    taken = []
    for _ in range(40):
        while messages:
            taken.append(messages.pop(0))
            client.driver.took_message()
        memory.run(0.5)
    # After the pause there may be as many at once as in the beginning.
    assert taken == [str(number) for number in range(len(taken))]
    assert 80 <= len(taken) <= 90
    client.end()


def test_a_rate_of_bytes_counts_those_on_the_wire(memory: MemoryWorld) -> None:
    client = Client(memory, "1KiB/s")
    message = text("x" * 94)  # 100 bytes
    client.send(message * 100)
    assert len(client.taken) == 10
    memory.run(5)
    assert 55 <= len(client.taken) <= 61
    assert client.driver.bytes_received <= 6 * 1024
    memory.run(10)
    assert len(client.taken) == 100
    client.end()


def test_a_message_larger_than_what_comes_at_once_arrives_in_time(memory: MemoryWorld) -> None:
    client = Client(memory, "1KiB/s")
    client.send(text("x" * 5000))
    memory.run(3)
    assert client.taken == []
    memory.run(2)
    assert client.taken == ["x" * 5000]
    client.end()


def test_both_rates_hold(memory: MemoryWorld) -> None:
    client = Client(memory, "10/s, 1KiB/s")
    client.send(text("x") * 100, 5)
    assert len(client.taken) in range(58, 61)
    memory.run(10)
    assert len(client.taken) == 100
    client.send(text("x" * 506) * 20, 4)
    assert len(client.taken) in (108, 109, 110)
    client.end()


def test_compressed_messages_count(memory: MemoryWorld) -> None:
    client = Client(memory, "10/s", deflate=True)
    client.send(compressed(0x82, b"x" * 200_000) * 30)
    memory.run()
    assert len(client.taken) == 10
    memory.run(1)
    assert len(client.taken) in (19, 20)
    client.end()


def test_control_frames_are_no_messages(memory: MemoryWorld) -> None:
    client = Client(memory, "1/s")
    client.send(frame(0x89, b"hi") * 50)
    assert receive_all(memory, client.peer, lambda data: len(data) >= 200) == b"\x8a\x02hi" * 50
    assert not client.driver.is_paused
    client.end()


def test_what_came_with_the_handshake_counts(memory: MemoryWorld) -> None:
    client = Client(memory, "3/s", takes=False)
    client.driver.start(text("x") * 10)
    assert len(client.connection.messages) == 3
    assert client.driver.is_paused
    client.end()


def test_a_client_that_waits_is_still_closed_in_good_order(memory: MemoryWorld) -> None:
    client = Client(memory, "5/s")
    client.send(text("x") * 50 + close(1000))
    assert client.driver.is_paused
    frame_sent = client.connection.close(1001, "bye")
    client.driver.close(frame_sent)
    # What was sent before the client's close frame is discarded, at once.
    assert receive_all(memory, client.peer).endswith(close_frame(1001, "bye"))
    assert client.connection.close_received == (1000, "")
    client.end()


def test_the_clients_close_comes_behind_its_messages(memory: MemoryWorld) -> None:
    client = Client(memory, "5/s")
    client.send(text("x") * 8 + close(1000))
    assert not client.connection.ended
    memory.run(1)
    assert len(client.taken) == 8
    assert client.connection.close_code == 1000
    client.end()


def test_dropped_while_it_waits(memory: MemoryWorld) -> None:
    client = Client(memory, "1/h")
    client.send(text("x") * 3)
    client.driver.drop()
    memory.run(7200)
    assert client.taken == ["x"]
    client.end()


def test_polling_respects_the_rate(memory: MemoryWorld) -> None:
    client = Client(memory, "3/s", takes=False)
    client.send(text("x") * 10)
    taken: list[Any] = []

    def view() -> None:
        while len(taken) < 10:
            client.driver.poll()
            if client.connection.messages:
                taken.append(client.connection.messages.pop(0))
                client.driver.took_message()
            else:
                client.driver.pause(0.01)

    memory.spawn(view)
    memory.run(0.2)
    assert len(taken) == 3
    memory.run(1)
    assert len(taken) == 6
    memory.run(2)
    assert len(taken) == 10
    client.end()


def test_closing_instead(world: World) -> None:
    client = Client(world, "10/m", rate_action="close")  # no room for another soon
    client.send(text("x") * 11)
    assert receive_all(world, client.peer, lambda data: len(data) > 4).startswith(
        close_frame(1008, "more messages than the rate allows")
    )
    assert len(client.taken) == 11, "they had come already"
    client.end()


def test_closing_instead_within_the_rate(memory: MemoryWorld) -> None:
    client = Client(memory, "10/s", rate_action="close")
    for number in range(100):
        client.send(text("x"), 0.1)
        assert len(client.taken) == number + 1
    client.send(text("x") * 9, 1.0)
    client.send(text("x") * 10)
    assert len(client.taken) == 119
    assert client.connection.close_code is None
    client.end()


def test_it_is_logged_once(memory: MemoryWorld, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        client = Client(memory, "5/s")
        client.send(text("x") * 50, 3)
        client.end()
    assert caplog.messages == ["Slowed down /path of 203.0.113.7, whose client sends as much as its rate allows"]
