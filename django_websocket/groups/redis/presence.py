"""Who is in which group, in all processes.

Each process records its own members. It says every few seconds that it is alive; the members of one that has stopped
doing so are removed, and the notices sent, by any other.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder

from ...exceptions import GroupsUnavailable
from ..backend import Receiver
from ..process import process_id
from .clients import Call, Clients
from .scripts import ALIVE, BURY, COUNT, HEARTBEAT, MEMBERS, SYNC, UPDATE, Keys

__all__ = ["HEARTBEAT_SECONDS", "LEASE_SECONDS", "Presence"]

logger = logging.getLogger("django_websocket")

LEASE_SECONDS = 20.0
"""Seconds after its last sign of life that a process is taken to be dead."""

HEARTBEAT_SECONDS = 5.0
"""Seconds between two signs of life."""


class Presence:
    """Records this process's members, in a thread of its own, and asks for those of all."""

    def __init__(self, clients: Clients, keys: Keys, receiver: Receiver, publish: str, timeout: float) -> None:
        self._clients = clients
        self._keys = keys
        self._receiver = receiver
        self._publish = publish
        self._timeout = timeout
        self.process = process_id()
        self._changes: dict[str, dict[int, tuple[str, str]]] = {}
        """By group and member: ``+`` or ``-``, and the info as JSON."""
        self._condition = threading.Condition()
        self._thread: threading.Thread | None = None
        self._is_closed = False
        self._is_registered = False
        self._must_compare = False
        """Whether changes have not been recorded, and so are not kept either."""
        self._recording = threading.Lock()
        self._is_recording = False
        self._next_beat = 0.0

    def joined(self, name: str, number: int, info: Any) -> None:
        """Record a member, soon."""
        self._change(name, number, "+", info)

    def left(self, name: str, number: int, info: Any) -> None:
        """Remove a member, soon."""
        self._change(name, number, "-", info)

    def _change(self, name: str, number: int, kind: str, info: Any) -> None:
        with self._condition:
            if not self._must_compare:
                self._changes.setdefault(name, {})[number] = kind, _text(info)
            self._condition.notify()
        self.start()

    def start(self) -> None:
        """Say from now on that this process is alive, and look after those that are not."""
        with self._condition:
            if self._thread is not None or self._is_closed:
                return
            self._thread = thread = threading.Thread(target=self._run, name="groups presence", daemon=True)
        thread.start()  # which may let other greenlets run

    def refresh(self) -> None:
        """Redis may have lost everything: look now."""
        with self._condition:
            self._next_beat = 0.0
            self._condition.notify()

    def members(self, name: str) -> list[Any]:
        """The infos of the members in all processes."""
        infos: list[Any] = []
        for flat in self._ask(MEMBERS, name):
            infos += [json.loads(info) if info else None for info in flat[1::2]]
        return infos

    def count(self, name: str) -> int:
        """The number of members in all processes."""
        return sum(self._ask(COUNT, name))

    def _ask(self, script: Any, name: str) -> list[Any]:
        """What ``script`` says of each process that is alive."""
        self.flush()
        before = self._keys.presence(name, "")
        found = self._clients.call(script, [self._keys.processes(name)], [before])
        if not found:
            return []
        alive = set(self._clients.call(ALIVE, [self._keys.alive]))
        return [value for process, value in found if process in alive]

    # Recording

    def _run(self) -> None:
        failing = False
        while not self._is_closed:
            with self._condition:
                left = self._next_beat - time.monotonic()
                if not self._changes and not self._must_compare and left > 0:
                    self._condition.wait(left)
            try:
                self.flush()
                if self._next_beat <= time.monotonic():
                    self._beat()
                failing = False
            except Exception as error:
                if not failing and not self._is_closed:
                    unexpected = not isinstance(error, GroupsUnavailable)
                    text = "Could not record who is in which group, will retry: %s"
                    logger.warning(text, error, exc_info=unexpected)
                failing = True
                time.sleep(1)

    def flush(self) -> None:
        """Record what has changed. Raises :exc:`.GroupsUnavailable`; then everything is compared the next time."""
        # A change is either still here, or being recorded.
        if not (self._changes or self._must_compare or self._is_recording):
            return
        if not self._recording.acquire(timeout=self._timeout):
            raise GroupsUnavailable("what has changed before is not recorded yet")
        self._is_recording = True
        try:
            with self._condition:
                changes, self._changes = self._changes, {}
                must_compare, self._must_compare = self._must_compare, False
            try:
                if not self._is_registered:
                    self._register()
                if must_compare:
                    self._compare()
                else:
                    self._record(changes)
            except BaseException:
                self._must_compare = True
                raise
        finally:
            self._is_recording = False
            self._recording.release()

    def _compare(self) -> None:
        """Make everything that is recorded of this process what it is now."""
        keys, process, receiver = self._keys, self.process, self._receiver
        present = receiver.names()
        recorded = [name.decode() for name in self._clients.execute("SMEMBERS", keys.groups_of(process))]
        if present:
            self._clients.execute("SADD", keys.groups_of(process), *present)
        calls: list[Call] = []
        for name in {*present, *recorded}:
            args: list[Any] = [process, self._publish]
            for number, info in receiver.members_of(name):
                args += (number, _text(info))
            place = [keys.processes(name), keys.presence(name, process), keys.channel(name)]
            calls.append((SYNC, place, args))
        self._clients.call_all(calls)

    def _record(self, changes: dict[str, dict[int, tuple[str, str]]]) -> None:
        keys, process = self._keys, self.process
        present = [name for name in changes if self._receiver.count(name)]
        if present:
            self._clients.execute("SADD", keys.groups_of(process), *present)
        calls: list[Call] = []
        for name, members in changes.items():
            args: list[Any] = [process, self._publish]
            for number, (kind, text) in members.items():
                args += (number, kind, text)
            place = [keys.processes(name), keys.presence(name, process), keys.channel(name)]
            calls.append((UPDATE, place, args))
        self._clients.call_all(calls)
        absent = [name for name in changes if not self._receiver.count(name)]
        if absent:
            self._clients.execute("SREM", keys.groups_of(process), *absent)

    # Signs of life

    def _register(self) -> None:
        self._clients.call(HEARTBEAT, [self._keys.alive], [self.process, int(LEASE_SECONDS * 1000)])
        self._is_registered = True

    def _beat(self) -> None:
        was_alive, dead = self._clients.call(HEARTBEAT, [self._keys.alive], [self.process, int(LEASE_SECONDS * 1000)])
        self._next_beat = time.monotonic() + HEARTBEAT_SECONDS
        if not was_alive:
            # It has been taken for dead, or Redis has lost what it knew.
            self._must_compare = True
            self.flush()
        for process in dead:
            self._bury(process.decode())

    def _bury(self, process: str) -> None:
        keys = self._keys
        names = [name.decode() for name in self._clients.execute("SMEMBERS", keys.groups_of(process))]
        if names:
            logger.warning("A process has died without a farewell: removing its members from %d groups", len(names))
        self._clients.call_all(
            [
                (
                    BURY,
                    [keys.processes(name), keys.presence(name, process), keys.channel(name)],
                    [process, self._publish],
                )
                for name in names
            ]
        )
        self._clients.execute("DEL", keys.groups_of(process))
        self._clients.execute("ZREM", keys.alive, process)

    def close(self) -> None:
        """Record what is left, and take leave; for the timeout at most."""
        if self._thread is None:
            return
        self._is_closed = True
        with self._condition:
            self._condition.notify()
        try:
            self.flush()
            if not self._receiver.names():
                self._clients.execute("ZREM", self._keys.alive, self.process)
        except GroupsUnavailable as error:
            logger.warning("Could not record who has left: %s", error)


def _text(info: Any) -> str:
    return "" if info is None else json.dumps(info, cls=DjangoJSONEncoder)
