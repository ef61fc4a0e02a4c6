"""A conversation with a server that the test plays, frame by frame."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from django_websocket.exceptions import ProtocolError
from django_websocket.protocol.assembly import Message
from django_websocket.protocol.connection import Connection
from django_websocket.protocol.frames import CONTINUATION, TEXT, encode_frame
from django_websocket.terminal.conversation import MAX_WAITING, Conversation
from django_websocket.terminal.interrupts import Interrupts
from tests.deadlines import deadline, wait_until

NEVER = 3600.0
"""Seconds until what must not be waited for."""


class Talk:
    """The conversation runs in a thread; here are the other ends of its websocket and of its input."""

    def __init__(self, pool: ThreadPoolExecutor, interrupts: Interrupts) -> None:
        self.sock, self.server = socket.socketpair()
        self.server.settimeout(deadline(10))
        self.source, self.input = os.pipe()
        self.shown: list[Message] = []
        self.reads_on = True
        self.connection = Connection(max_message_size=1 << 30, max_queue=1 << 20)
        self._pool = pool
        self.interrupts = interrupts
        self._running: Future[None] | None = None

    def start(self, *, wait: float = NEVER, timeout: float = NEVER, source: bool = True) -> None:
        self.conversation = Conversation(
            self.sock, self.source if source else None, self.interrupts, self._show, wait=wait, timeout=timeout
        )
        self._running = self._pool.submit(self.conversation.run)

    def _show(self, message: Message) -> bool:
        self.shown.append(message)
        return self.reads_on

    def type(self, data: bytes) -> None:
        """Write to the input."""
        while data:
            data = data[os.write(self.input, data) :]

    def end_input(self) -> None:
        os.close(self.input)
        self.input = -1

    def receive(self, count: int) -> list[Message]:
        """The next messages that the server gets."""
        messages = self.connection.messages
        while len(messages) < count:
            data = self.server.recv(65536)
            assert data, "the client has gone"
            self.connection.receive_data(data)
        taken = messages[:count]
        del messages[:count]
        return taken

    def receive_close(self) -> tuple[int, str]:
        """The client's close frame, behind which nothing comes."""
        while not self.connection.ended:
            data = self.server.recv(65536)
            assert data, "the client has gone"
            self.connection.receive_data(data)
        assert self.connection.failure is None
        assert self.connection.messages == []
        return self.connection.close_received

    def finish(self) -> Conversation:
        """The conversation, once it has ended."""
        assert self._running is not None
        self._running.result(deadline(10))
        return self.conversation

    def close(self) -> None:
        self.server.close()  # which ends the conversation
        if self._running is not None:
            self._running.exception(deadline(10))
        self.sock.close()
        os.close(self.source)
        if self.input >= 0:
            os.close(self.input)


@pytest.fixture
def talk() -> Iterator[Talk]:
    with Interrupts() as interrupts, ThreadPoolExecutor(1) as pool:
        talk = Talk(pool, interrupts)
        try:
            yield talk
        finally:
            talk.close()


def test_lines_in_messages_out(talk: Talk) -> None:
    talk.start(timeout=deadline(10))
    talk.type("one\ntwo\r\n\nGrüße\n".encode())
    assert talk.receive(4) == ["one", "two", "", "Grüße"]
    talk.server.sendall(talk.connection.encode_text("answer") + talk.connection.encode_binary(b"\x00"))
    talk.type(b"in two ")
    talk.type(b"pieces\n")
    assert talk.receive(1) == ["in two pieces"]
    talk.server.sendall(talk.connection.close(1000, "enough"))
    assert talk.receive_close() == (1000, "")
    talk.server.close()
    ended = talk.finish()
    assert talk.shown == ["answer", b"\x00"]
    assert (ended.close_code, ended.close_reason, ended.failure) == (1000, "enough", None)


def test_the_end_of_the_input_closes(talk: Talk) -> None:
    talk.start(wait=0, timeout=deadline(10))
    talk.type(b"first\nlast, without an end")
    talk.end_input()
    assert talk.receive(2) == ["first", "last, without an end"]
    assert talk.receive_close() == (1000, "")
    # What is under way is shown.
    talk.server.sendall(talk.connection.encode_text("answer") + talk.connection.close(1000, ""))
    talk.server.close()
    assert talk.finish().close_code == 1000
    assert talk.shown == ["answer"]


def test_no_input_at_all(talk: Talk) -> None:
    talk.start(wait=0, source=False)
    assert talk.receive_close() == (1000, "")


def test_answers_are_awaited_after_the_end_of_the_input(talk: Talk) -> None:
    talk.start(wait=NEVER, timeout=deadline(10))
    talk.type(b"question\n")
    talk.end_input()
    assert talk.receive(1) == ["question"]
    talk.server.sendall(talk.connection.encode_text("answer") + talk.connection.encode_ping(b"still there?"))
    while not talk.connection.pongs:
        talk.connection.receive_data(talk.server.recv(65536))
    assert talk.connection.pongs == [b"still there?"]
    assert not talk.connection.ended
    talk.server.sendall(talk.connection.close(1001, "leaving"))
    talk.server.close()
    ended = talk.finish()
    assert talk.shown == ["answer"]
    assert (ended.close_code, ended.close_reason) == (1001, "leaving")


def test_a_close_frame_without_a_code(talk: Talk) -> None:
    talk.start(timeout=deadline(10))
    talk.server.sendall(b"\x88\x00")
    assert talk.receive_close() == (1005, "")
    talk.server.close()
    assert talk.finish().close_code == 1005


def test_a_server_that_vanishes(talk: Talk) -> None:
    talk.start()
    talk.server.sendall(talk.connection.encode_text("before"))
    talk.server.close()
    ended = talk.finish()
    assert talk.shown == ["before"]
    assert (ended.close_code, ended.failure) == (1006, None)


def test_a_server_that_does_not_answer_the_close_frame(talk: Talk) -> None:
    talk.start(wait=0, timeout=0.05)
    talk.end_input()
    assert talk.receive_close() == (1000, "")
    assert talk.finish().close_code == 1006


def test_a_server_that_does_not_end_the_connection(talk: Talk) -> None:
    talk.start(timeout=0.05)
    talk.server.sendall(talk.connection.close(1000, ""))
    assert talk.receive_close() == (1000, "")
    assert talk.finish().close_code == 1000


def test_a_server_that_breaks_the_protocol(talk: Talk) -> None:
    talk.start()
    talk.server.sendall(encode_frame(TEXT, b"fine") + encode_frame(CONTINUATION, b"wrong"))
    assert talk.receive_close() == (1002, "")
    ended = talk.finish()
    assert talk.shown == ["fine"]
    assert isinstance(ended.failure, ProtocolError)
    assert ended.close_code == 1006


def test_what_the_server_said_before_it_left_is_shown(talk: Talk) -> None:
    """A line typed too late can't be sent, but the close frame can be read."""
    talk.server.sendall(talk.connection.encode_text("last words") + talk.connection.close(1000, ""))
    talk.server.close()
    talk.type(b"too late\n" * 100)
    talk.start(timeout=deadline(10))
    ended = talk.finish()
    assert talk.shown == ["last words"]
    assert ended.close_code == 1000


def test_input_waits_for_a_server_that_does_not_read(talk: Talk) -> None:
    talk.start(wait=0, timeout=deadline(10))
    line = b"x" * 1000
    count = 20 * MAX_WAITING // len(line)
    with ThreadPoolExecutor(1) as pool:
        typing = pool.submit(talk.type, (line + b"\n") * count)
        # While nothing is read of what is typed, what the server sends is.
        talk.server.sendall(b"".join(talk.connection.encode_text("y" * 1000) for _ in range(1000)))
        wait_until(lambda: len(talk.shown) == 1000, what="all messages are shown")
        with pytest.raises(TimeoutError):
            typing.result(0.2)
        assert talk.receive(count) == [line.decode()] * count
        typing.result(deadline(10))
    talk.end_input()
    assert talk.receive_close() == (1000, "")
    talk.server.sendall(talk.connection.close(1000, ""))
    talk.server.close()
    talk.finish()


def test_a_line_that_is_not_utf8(talk: Talk) -> None:
    talk.start()
    talk.type(b"fine\n\xff\n")
    with pytest.raises(UnicodeDecodeError):
        talk.finish()
    assert talk.receive(1) == ["fine"]


def test_nobody_reads_on(talk: Talk) -> None:
    talk.reads_on = False
    talk.start(timeout=deadline(10))
    talk.server.sendall(talk.connection.encode_text("one") + talk.connection.encode_text("two"))
    assert talk.receive_close() == (1000, "")
    talk.server.sendall(talk.connection.encode_text("three") + talk.connection.close(1000, ""))
    talk.server.close()
    assert talk.finish().close_code == 1000
    assert talk.shown[0] == "one"
    assert "two" not in talk.shown


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_closes(talk: Talk, signum: signal.Signals) -> None:
    talk.interrupts.deferred = True
    talk.start(timeout=deadline(10))
    talk.type(b"before\n")
    assert talk.receive(1) == ["before"]
    signal.raise_signal(signum)
    assert talk.receive_close() == (1000, "")
    talk.server.sendall(talk.connection.encode_text("still shown") + talk.connection.close(1000, ""))
    talk.server.close()
    assert talk.finish().close_code == 1000
    assert talk.shown == ["still shown"]
