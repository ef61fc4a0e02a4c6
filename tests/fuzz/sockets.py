"""The target ``socket``: what a client and a view do, in turns, to an open websocket in memory."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django.conf import settings

from django_websocket.exceptions import ConnectionClosed
from django_websocket.options import Options
from django_websocket.protocol.deflate import PerMessageDeflate
from django_websocket.protocol.handshake import Handshake
from django_websocket.rates import parse_rate
from django_websocket.testing.memory import MemoryPeer, MemoryScheduler, connect
from django_websocket.websocket import WebSocket

__all__ = ["conversation"]

OPTIONS = Options(
    max_message_size=1000,
    max_queue=3,
    max_outbox=2000,
    send_timeout=10,
    close_timeout=10,
    rate=None,
    rate_action="pause",
    compression=True,
    subprotocols=(),
    origins=None,
    release_db_after=None,
)
RATED = replace(OPTIONS, rate=parse_rate("2/s, 300B/s"))
LARGE = "x" * 100_000


class Conversation:
    """One websocket, and what is to happen to it: the commands of the client and of the view."""

    def __init__(self, flags: int, view: bytes) -> None:
        self.scheduler = MemoryScheduler()
        channel, self.peer = connect(self.scheduler)
        self.websocket = WebSocket(Handshake("", (), ()), RATED if flags & 128 else OPTIONS)
        if flags & 1:
            takeover = bool(flags & 2)
            self.websocket.connection.use_deflate(
                PerMessageDeflate(window_bits=15, server_takeover=takeover, client_takeover=takeover)
            )
        self.closed = 0
        self.driver = self.websocket.attach(channel, "", None, self._on_closed)
        self.view = self.scheduler.spawn(self._run_view, view)

    def _on_closed(self, websocket: WebSocket) -> None:
        assert websocket is self.websocket
        self.closed += 1

    def _run_view(self, commands: bytes) -> None:
        for command in commands:
            try:
                self._command(command)
            except ConnectionClosed:
                # A ping is refused once the client has begun to close, though a message may still go out.
                assert self.websocket.closed or self.websocket.connection.ended
                break
            except TimeoutError:
                pass
        # As the view's run ends, whatever it was.
        self.websocket.close()

    def _command(self, command: int) -> None:
        websocket = self.websocket
        match command % 10:
            case 0 | 1:
                message: Any = websocket.wait()
                assert message is None or len(message) <= OPTIONS.max_message_size
            case 2:
                websocket.wait(timeout=command)
            case 3:
                websocket.read()
            case 4:
                websocket.send("text")
            case 5:
                websocket.send(LARGE)
            case 6:
                websocket.ping()
            case 7:
                websocket.close(1000 if command & 1 else 4000, "reason")
            case 8:
                assert websocket.count_messages() >= 0
            case 9:
                self.driver.write_nowait(websocket.connection.encode_text(LARGE[: command * 50], False))

    def client(self, script: bytes) -> None:
        """Run the client's script: a command, and for some a length and as many bytes."""
        peer, position = self.peer, 0
        while position < len(script):
            command, position = script[position], position + 1
            try:
                match command % 8:
                    case 0 | 1 | 2:
                        length = script[position] if position < len(script) else 0
                        peer.send(script[position + 1 : position + 1 + length])
                        position += 1 + length
                    case 3:
                        peer.receive(1 + command * 500)
                    case 4:
                        self.scheduler.run(command / 20)
                    case 5:
                        self.scheduler.run(0)
                    case 6:
                        peer.shut_down() if command & 8 else self.driver.ping_nowait()
                    case 7:
                        [peer.reset, peer.close, self.websocket.close, self._time_out][(command >> 3) % 4]()
            except OSError:
                pass
            self.check()

    def _time_out(self) -> None:
        self.driver.time_out("no pong")

    def check(self) -> None:
        connection = self.websocket.connection
        assert len(connection.messages) <= OPTIONS.max_queue + 1
        assert self.closed <= 1
        assert self.driver.buffered_amount <= OPTIONS.max_outbox + 20 * len(LARGE)

    def end(self, peer: MemoryPeer) -> None:
        """Whatever happened: once the client has gone, nothing is left."""
        try:
            peer.reset()
        finally:
            self.scheduler.run(1000)
        assert self.view.dead
        assert self.closed == 1
        assert self.scheduler._channels == []
        assert not [call for _, _, call in self.scheduler._calls if call.callback is not None]
        assert self.driver.buffered_amount == 0
        assert self.websocket.close_code is not None


def conversation(data: bytes) -> None:
    """However client and view behave, the websocket ends once, and nothing of it is left."""
    if not settings.configured:
        settings.configure()
    if len(data) < 3:
        return
    flags, length = data[0], data[1] % 16
    view, script = data[2 : 2 + length], data[2 + length :]
    talk = Conversation(flags, view)
    talk.driver.start(script[1 : 1 + flags // 4] if flags & 4 else b"")
    talk.client(script)
    talk.end(talk.peer)
