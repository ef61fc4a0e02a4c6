"""Connections that receive the messages of channels.

redis-py connects; the rest is done here, because its own subscriber needs ten times as long for a message, and doesn't
say when it has subscribed again, after which messages may be missing.

The thread of a line (on a patched server, a greenlet) alone uses the connection. Others queue what they want and wake
it by a pipe. After each change it sends a PING: the answer says that all messages from before have been delivered.
"""

from __future__ import annotations

import logging
import os
import posix  # its read() and write() are not patched by eventlet to wait
import random
import select
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import hiredis
from redis.exceptions import RedisError

from ...compat.redis import socket_of
from ..events import Event, new_event

__all__ = ["HEALTH_SECONDS", "Line", "Owner"]

logger = logging.getLogger("django_websocket")

HEALTH_SECONDS = 5.0
"""Seconds of silence after which the line asks whether the server is still there."""

STANDSTILL = 0.25
"""Seconds too late by which the line is woken when this process, or the whole machine, stood still. Then no answer in
time means nothing, and it asks again."""

FIRST_PAUSE = 0.1
"""Seconds at most until the first attempt to connect again; random, so that not all processes come at once."""

MAX_PAUSE = 2.0
"""The same for later ones."""

CHUNK = 500
"""Channels of one command."""


class Owner(Protocol):
    """What a line tells; always in the line's thread."""

    def message(self, channel: bytes, payload: bytes) -> None:
        """A message has come."""

    def batch_ended(self) -> None:
        """What came at once has been told."""

    def restored(self, channels: list[bytes], seconds: float) -> None:
        """These are subscribed again, after an interruption; later messages have not been told yet."""

    def moved(self, channels: list[bytes]) -> None:
        """The server is not in charge of these any more, or can't be reached; the line has given them up."""


class _Channel:
    __slots__ = ("is_acknowledged", "was_acknowledged")

    def __init__(self, was_acknowledged: bool) -> None:
        self.is_acknowledged = False
        self.was_acknowledged = was_acknowledged


class Line:
    """One connection. ``connect()`` makes it, anew if it is lost; ``sharded`` is for a Cluster."""

    def __init__(self, connect: Callable[[], Any], owner: Owner, timeout: float, *, sharded: bool, name: str) -> None:
        self._connect = connect
        self._owner = owner
        self._timeout = timeout
        self._name = name
        self._subscribe_command = "SSUBSCRIBE" if sharded else "SUBSCRIBE"
        self._unsubscribe_command = "SUNSUBSCRIBE" if sharded else "UNSUBSCRIBE"
        self._is_sharded = sharded
        self._lock = threading.Lock()
        self._channels: dict[bytes, _Channel] = {}
        self._to_subscribe: dict[bytes, None] = {}
        self._to_unsubscribe: dict[bytes, None] = {}
        self._asking: list[Event] = []
        """To be set at the answer to the next PING."""
        self._asked: dict[bytes, list[Event]] = {}
        """The PINGs that are under way."""
        self._must_ping = False
        self._pings = 0
        self._thread: threading.Thread | None = None
        self._is_closed = False
        self._wake_reader, self._wake_writer = os.pipe()
        os.set_blocking(self._wake_reader, False)
        os.set_blocking(self._wake_writer, False)
        self._lost_at: float | None = None

    # For any thread

    def add(self, channel: bytes, *, was_interrupted: bool = False) -> None:
        """Subscribe soon."""
        with self._lock:
            self._add(channel, was_interrupted)
        self._start()
        self._wake()

    def _add(self, channel: bytes, was_interrupted: bool = False) -> None:
        if channel not in self._channels:
            self._channels[channel] = _Channel(was_interrupted)
            self._to_subscribe[channel] = None

    def _start(self) -> None:
        with self._lock:
            if self._thread is not None or self._is_closed:
                return
            self._thread = thread = threading.Thread(target=self._run, name=f"groups {self._name}".strip(), daemon=True)
        thread.start()  # which may let other greenlets run

    def subscribe(self, channel: bytes, deadline: float) -> bool:
        """Subscribe, and wait until all messages from before have been delivered; False if that takes too long."""
        event = new_event()
        with self._lock:
            self._add(channel)
            self._asking.append(event)
        self._start()
        self._wake()
        if not event.wait(max(deadline - time.monotonic(), 0)):
            with self._lock:
                for events in (self._asking, *self._asked.values()):
                    if event in events:
                        events.remove(event)
            return False
        state = self._channels.get(channel)
        return state is not None and state.is_acknowledged

    def discard(self, channel: bytes) -> None:
        """Unsubscribe soon."""
        with self._lock:
            if self._channels.pop(channel, None) is not None:
                self._to_subscribe.pop(channel, None)
                self._to_unsubscribe[channel] = None
        self._wake()

    def close(self) -> None:
        """End the connection and the thread, soon."""
        self._is_closed = True
        if self._thread is None:
            self._close_pipe()
        else:
            self._wake()

    def forget(self) -> None:
        """In a forked child: the thread and the connection are the parent's."""
        self._lock = threading.Lock()  # another thread may have held it
        self._close_pipe()

    def _close_pipe(self) -> None:
        with self._lock:
            descriptors, self._wake_writer = (self._wake_reader, self._wake_writer), -1
        if descriptors[1] >= 0:
            for descriptor in descriptors:
                os.close(descriptor)

    def _wake(self) -> None:
        with self._lock:
            if self._wake_writer >= 0:
                try:
                    posix.write(self._wake_writer, b"\0")
                except BlockingIOError:
                    pass  # it is full, so the thread will wake

    # In the line's thread

    def _run(self) -> None:
        pause = FIRST_PAUSE
        while not self._is_closed:
            began = time.monotonic()
            try:
                connection = self._connect()
                try:
                    self._receive(connection)
                finally:
                    connection.disconnect()
            except (RedisError, OSError, hiredis.HiredisError) as error:
                self._failed(error)
            except Exception as error:
                if self._lost_at is None:  # else this is another attempt
                    logger.exception("Receiving the messages of groups has failed")
                self._failed(error)
            if self._is_abandoned():
                return
            if time.monotonic() - began > HEALTH_SECONDS:
                pause = FIRST_PAUSE
            self._sleep(pause * random.random())
            pause = min(pause * 2, MAX_PAUSE)
        self._close_pipe()

    def _is_abandoned(self) -> bool:
        """Whether nobody wants the connection any more; if so, the thread is to end."""
        with self._lock:
            if self._is_closed or self._channels or self._asking:
                return False
            self._thread = None
            self._lost_at = None
            return True

    def _failed(self, error: Exception) -> None:
        if self._is_closed:
            return
        if self._lost_at is None:
            self._lost_at = time.monotonic()
            where = f" ({self._name})" if self._name else ""
            logger.warning("No connection to Redis%s, will try again: %s", where, error)
        with self._lock:
            for events in self._asked.values():
                self._asking.extend(events)
            self._asked.clear()
            for state in self._channels.values():
                state.is_acknowledged = False
        if self._is_sharded:
            self._move(list(self._channels))
            for event in self._asking:
                event.set()  # to look for the channel elsewhere
            self._asking.clear()

    def _sleep(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while not self._is_closed and (left := end - time.monotonic()) > 0:
            if _wait_readable([self._wake_reader], left):
                self._drain()

    def _drain(self) -> None:
        try:
            posix.read(self._wake_reader, 4096)
        except BlockingIOError:
            pass

    def _receive(self, connection: Any) -> None:
        """Subscribe to everything, and receive until the connection is lost or closed."""
        sock = socket_of(connection)
        pending = getattr(sock, "pending", None)
        reader = hiredis.Reader()
        with self._lock:
            self._to_unsubscribe.clear()
            self._to_subscribe = dict.fromkeys(self._channels)
            self._must_ping = True  # the answer tells that all is well again
        silent_since = time.monotonic()
        asked_at: float | None = None
        while not self._is_closed:
            self._send(sock)
            end = silent_since + HEALTH_SECONDS if asked_at is None else asked_at + self._timeout
            # In any case it looks: this process may have stood still, and the answer be there.
            ready = _wait_readable([sock.fileno(), self._wake_reader], end - time.monotonic())
            if self._wake_reader in ready:
                self._drain()
            if not ready:
                late = time.monotonic() - end
                if asked_at is not None and late < STANDSTILL:
                    raise TimeoutError(f"no answer for {self._timeout} seconds")
                asked_at, self._must_ping = time.monotonic(), True
            if sock.fileno() not in ready:
                continue
            while True:
                data = sock.recv(65536)
                if not data:
                    raise ConnectionError("Redis has closed the connection")
                reader.feed(data)
                self._take(reader)
                if not (pending and pending()):
                    break
            silent_since, asked_at = time.monotonic(), None

    def _send(self, sock: Any) -> None:
        """Send what has been queued."""
        with self._lock:
            if not (self._to_subscribe or self._to_unsubscribe or self._asking or self._must_ping):
                return
            self._must_ping = False
            unsubscribe, self._to_unsubscribe = list(self._to_unsubscribe), {}
            subscribe, self._to_subscribe = list(self._to_subscribe), {}
            asking, self._asking = self._asking, []
            commands = [_pack(self._unsubscribe_command, *part) for part in self._chunks(unsubscribe)]
            commands += [_pack(self._subscribe_command, *part) for part in self._chunks(subscribe)]
            self._pings += 1
            token = str(self._pings).encode()
            commands.append(_pack("PING", token))
            self._asked[token] = asking
        sock.sendall(b"".join(commands))

    def _chunks(self, channels: list[bytes]) -> Iterable[list[bytes]]:
        # In a Cluster, one command takes channels of one slot only.
        size = 1 if self._is_sharded else CHUNK
        return (channels[start : start + size] for start in range(0, len(channels), size))

    def _take(self, reader: Any) -> None:
        restored: list[bytes] = []
        owner = self._owner
        while (reply := reader.gets()) is not False:
            if isinstance(reply, hiredis.ReplyError):
                self._refused(reply)
                continue
            if not isinstance(reply, list):
                self._answered(reply)  # to a PING while nothing is subscribed
                continue
            kind = reply[0]
            if kind in (b"message", b"smessage"):
                if restored:
                    self._tell_restored(restored)
                owner.message(reply[1], reply[2])
            elif kind in (b"subscribe", b"ssubscribe"):
                if self._acknowledged(reply[1]):
                    restored.append(reply[1])
            elif kind == b"pong":
                if restored:
                    self._tell_restored(restored)
                self._answered(reply[1])
            elif kind == b"sunsubscribe":
                self._unsubscribed(reply[1])
        if restored:
            self._tell_restored(restored)
        owner.batch_ended()

    def _acknowledged(self, channel: bytes) -> bool:
        """Take note of a subscription; return whether it was interrupted before."""
        with self._lock:
            state = self._channels.get(channel)
            if state is None or state.is_acknowledged:
                return False
            was, state.was_acknowledged = state.was_acknowledged, True
            state.is_acknowledged = True
            return was

    def _tell_restored(self, channels: list[bytes]) -> None:
        seconds = 0.0 if self._lost_at is None else time.monotonic() - self._lost_at
        self._owner.restored(channels.copy(), seconds)
        channels.clear()

    def _answered(self, token: bytes) -> None:
        if self._lost_at is not None:
            logger.warning("Connected to Redis, after %.1f seconds without", time.monotonic() - self._lost_at)
            self._lost_at = None
        with self._lock:
            events = self._asked.pop(token, [])
        for event in events:
            event.set()

    # In a Cluster

    def _refused(self, error: hiredis.ReplyError) -> None:
        if not self._is_sharded:
            raise ConnectionError(str(error))  # it has lost its rights, or the like
        with self._lock:
            channels = [channel for channel, state in self._channels.items() if not state.is_acknowledged]
        logger.info("Redis (%s) refuses a subscription: %s", self._name, error)
        self._move(channels)

    def _unsubscribed(self, channel: bytes) -> None:
        """The answer to our command, or the channel's slot has moved."""
        with self._lock:
            state = self._channels.get(channel)
            if state is None or not state.is_acknowledged:
                return
        self._move([channel])

    def _move(self, channels: list[bytes]) -> None:
        with self._lock:
            for channel in channels:
                self._channels.pop(channel, None)
                self._to_subscribe.pop(channel, None)
        if channels:
            self._owner.moved(channels)


def _pack(*command: str | bytes) -> bytes:
    packed: bytes = hiredis.pack_command(command)  # type: ignore[arg-type]  # it takes any tuple
    return packed


def _wait_readable(descriptors: list[int], seconds: float) -> list[int]:
    """Wait until one of ``descriptors`` is readable, and return those that are; none if that takes ``seconds``."""
    if hasattr(select, "poll"):
        poll = select.poll()
        for descriptor in descriptors:
            poll.register(descriptor, select.POLLIN)
        return [descriptor for descriptor, _ in poll.poll(max(seconds, 0) * 1000)]
    # Patched by eventlet, and so without the limit on descriptors.
    return select.select(descriptors, [], [], max(seconds, 0))[0]
