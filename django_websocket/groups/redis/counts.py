"""What every process counts under some keys: websockets of one address, for example.

One thread of each process writes, so that a number never overtakes an older one, and many callers share a round trip.
What a process has recorded counts for as long as it says every few seconds that it is alive. While Redis doesn't answer
nobody waits for it: the counts of others are unknown. Afterwards the process begins anew, under another name.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import count

from ...exceptions import GroupsUnavailable
from ..config import GroupsConfig
from ..process import process_id
from .clients import Call, Clients
from .presence import HEARTBEAT_SECONDS, LEASE_SECONDS
from .scripts import COUNTING, SET_COUNT, Keys

__all__ = ["PATIENCE", "RedisCounts"]

logger = logging.getLogger("django_websocket")

LEAVE_SECONDS = 2.0
"""Seconds that a process that ends has to take leave; if it can't, its lease runs out."""

PATIENCE = 0.25
"""Seconds that anybody waits for Redis, once; then nobody does until it answers again."""

RETRY_SECONDS = 1.0
"""Seconds between two attempts to reach it."""

REFRESH_SECONDS = 600.0
"""Seconds after which everything is recorded again. What nobody does that for is forgotten after three times that."""

_numbers = count(1)


class _Question:
    """What one caller waits for."""

    def __init__(self, keys: Sequence[str]) -> None:
        self.keys = keys
        self.answer: list[int] | None = None
        self.is_answered = threading.Event()


class RedisCounts:
    """Shares ``own``, the counts of this process. See :class:`.SharedCounts`."""

    def __init__(self, config: GroupsConfig, keys: Keys, own: Mapping[str, int]) -> None:
        self._clients = Clients(replace(config, timeout=min(config.timeout, PATIENCE)))
        self._keys = keys
        self._own = own
        self._condition = threading.Condition()
        self._changed: set[str] = set()
        self._questions: list[_Question] = []
        self._thread: threading.Thread | None = None
        self._is_failing = False
        """Whether nobody waits for Redis."""
        self._is_recording = False
        """Whether what has changed is recorded, under the present name; if not, everything will be under another."""
        self._is_closed = False
        self._name = ""
        self._old_names: deque[str] = deque(maxlen=10)
        self._next_beat = 0.0
        self._next_refresh = 0.0

    def count(self, keys: Sequence[str]) -> list[int] | None:
        """Record what this process has of ``keys``, and return how many all others have; None if nobody knows."""
        if self._is_failing or self._is_closed:
            return None
        question = _Question(keys)
        with self._condition:
            self._questions.append(question)
            self._condition.notify()
        self._start()
        if not question.is_answered.wait(PATIENCE):
            self._fail("no answer in time")
        return question.answer

    def record(self, keys: Sequence[str]) -> None:
        """Record what this process has of ``keys``, soon."""
        if self._is_closed or not self._is_recording:
            return
        with self._condition:
            self._changed.update(keys)
            self._condition.notify()
        self._start()

    def _start(self) -> None:
        with self._condition:
            if self._thread is not None or self._is_closed:
                return
            self._thread = thread = threading.Thread(target=self._run, name="groups counts", daemon=True)
        thread.start()  # which may let other greenlets run

    def _fail(self, error: object) -> None:
        self._is_recording = False
        self._next_beat = 0.0
        if not self._is_failing and not self._is_closed:
            self._is_failing = True
            logger.warning("Limits count the websockets of this process only, until Redis answers: %s", error)

    # In the thread

    def _run(self) -> None:
        while not self._is_closed:
            with self._condition:
                left = self._next_beat - time.monotonic()
                if not (self._changed or self._questions) and left > 0:
                    self._condition.wait(left)
                questions, self._questions = self._questions, []
                changed, self._changed = self._changed, set()
            try:
                self._exchange(questions, changed)
            except Exception as error:
                if not isinstance(error, GroupsUnavailable) and not self._is_closed:
                    logger.exception("Sharing counts has failed")
                self._fail(error)
            for question in questions:
                question.is_answered.set()
            if not self._is_recording and self._is_failing and not self._is_closed:
                time.sleep(RETRY_SECONDS)
        # Here, because nothing can be recorded after it.
        try:
            if self._name:
                self._clients.execute("ZREM", self._keys.counting, self._name)
        except GroupsUnavailable as error:
            logger.info("Could not take leave: %s", error)

    def _exchange(self, questions: list[_Question], changed: set[str]) -> None:
        now = time.monotonic()
        self._next_beat = now + HEARTBEAT_SECONDS
        if not (changed or questions or self._own or self._is_failing):
            return
        if not self._is_recording:
            # What is recorded under the old name is not known.
            self._old_names += [self._name] if self._name else []
            self._name = f"{process_id()}.{next(_numbers)}"
            self._next_refresh = 0.0
            self._is_recording = True
            self._clients.call(*self._live_on())  # before there is a number, or it might be taken for one of the dead
        if now >= self._next_refresh:
            changed.update(self._own)
            self._next_refresh = now + REFRESH_SECONDS
        for question in questions:
            changed.update(question.keys)
        keys = list(changed)
        lifetime = int(3 * REFRESH_SECONDS * 1000)
        calls = [live_on := self._live_on()]
        # Their numbers are read now: no later one can be recorded before these.
        calls += [(SET_COUNT, [self._keys.number(key)], [self._name, self._own.get(key, 0), lifetime]) for key in keys]
        [(was_known, alive), *found] = self._clients.call_all(calls)
        numbers = {key: dict(zip(flat[::2], flat[1::2], strict=True)) for key, flat in zip(keys, found, strict=True)}
        if not all(set(alive).issuperset(each) for each in numbers.values()):
            # Some have died, or have begun since. What the latter have recorded must stay: they do so only once.
            _, alive = self._clients.call(*live_on)
        self._old_names.clear()
        others = {key: self._count_others(key, each, alive) for key, each in numbers.items()}
        for question in questions:
            question.answer = [others[key] for key in question.keys]
        if not was_known:
            # Others took it for dead, and may be about to remove what it has recorded.
            self._is_recording = False
            self._next_beat = 0.0
        if self._is_failing and self._is_recording:
            self._is_failing = False
            logger.warning("Limits count the websockets of all processes again")

    def _live_on(self) -> Call:
        return COUNTING, [self._keys.counting], [self._name, int(LEASE_SECONDS * 1000), *self._old_names]

    def _count_others(self, key: str, numbers: Mapping[bytes, bytes], alive: Sequence[bytes]) -> int:
        """How many other processes have, of those that are alive; what the dead have left is removed."""
        own = self._name.encode()
        dead = [process for process in numbers if process not in alive and process != own]
        if dead:
            self._clients.execute("HDEL", self._keys.number(key), *dead)
        return sum(int(number) for process, number in numbers.items() if process in alive and process != own)

    def close(self) -> None:
        """Take leave: what this process has recorded counts no more."""
        if self._thread is None:
            return
        self._is_closed = True
        with self._condition:
            self._condition.notify()
        self._thread.join(LEAVE_SECONDS)
        self._clients.close()
