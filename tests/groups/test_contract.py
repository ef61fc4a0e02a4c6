"""What every backend must fulfil: the same tests over each."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from django_websocket.groups.backend import PAGE_SIZE, Backend
from django_websocket.groups.config import GroupsConfig, History
from django_websocket.groups.memory import MemoryBackend
from django_websocket.groups.message import BINARY, CLOSE, JSON, TEXT, GroupMessage
from django_websocket.groups.position import START, UNKNOWN, Position
from django_websocket.groups.redis import RedisBackend
from tests.deadlines import deadline, wait_until

from .recorder import Recorder
from .redis_servers import redis_cluster, redis_server, valkey

KEPT = History(100)


class Process:
    """A backend and its receiver: what one process has."""

    def __init__(self, backend: Backend, recorder: Recorder) -> None:
        self.backend = backend
        self.received = recorder

    def send(self, text: str, group: str = "room", history: History | None = None) -> None:
        self.backend.publish(GroupMessage(group, TEXT, text.encode()), history)

    def join(self, number: int, info: Any = None, group: str = "room") -> None:
        self.received.groups.setdefault(group, {})[number] = info
        self.backend.member_joined(group, number, info)

    def leave(self, number: int, group: str = "room") -> None:
        info = self.received.groups[group].pop(number)
        if not self.received.groups[group]:
            del self.received.groups[group]
        self.backend.member_left(group, number, info)


Start = Callable[[], Process]


@pytest.fixture(scope="module", params=["memory", "redis", "valkey", "redis cluster", "valkey cluster"])
def make(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Backend]]:
    with ExitStack() as stack:
        directory = tmp_path_factory.mktemp("redis")
        if request.param == "memory":
            backend = MemoryBackend(GroupsConfig(), Recorder())
            yield lambda: backend
            return
        program = valkey() if "valkey" in request.param else ""
        is_cluster = "cluster" in request.param
        if is_cluster:
            url = stack.enter_context(redis_cluster(directory, program=program)).url
        else:
            url = stack.enter_context(redis_server(directory, program=program)).url
        config = GroupsConfig(location=url, timeout=deadline(5), cluster=is_cluster)
        yield lambda: RedisBackend(config, Recorder())


@pytest.fixture
def start(make: Callable[[], Backend]) -> Iterator[Start]:
    """Starts a process; in memory there is only one."""
    started: list[Process] = []

    def start_process() -> Process:
        backend = make()
        recorder = started[0].received if started and started[0].backend is backend else Recorder()
        backend.receiver = recorder
        if isinstance(backend, RedisBackend):
            backend._presence._receiver = recorder
            backend._presence.process = f"process{len(started)}"
        started.append(Process(backend, recorder))
        return started[-1]

    yield start_process
    for process in started:
        process.received.groups.clear()
        process.backend.close()
    # They count their commands for the whole process, in which the next test may count its own.
    wait_until(lambda: not any(thread.name.startswith("groups") for thread in threading.enumerate()), 10, "threads end")


@pytest.fixture(autouse=True)
def group(request: pytest.FixtureRequest) -> str:
    """A group that no other test has used."""
    return f"room.{abs(hash(request.node.nodeid))}"


def test_all_kinds_reach_every_process(start: Start, group: str) -> None:
    here, there = start(), start()
    for process in (here, there):
        process.backend.subscribe(group)
    sent = [
        GroupMessage(group, TEXT, "é\n\x00".encode()),
        GroupMessage(group, JSON, b'{"a": 1}', exclude="abc:5"),
        GroupMessage(group, BINARY, bytes(range(256))),
        GroupMessage(group, TEXT, b""),
        GroupMessage(group, CLOSE, b"4000 moved away"),
    ]
    for message in sent:
        here.backend.publish(message, None)
    for process in (here, there):
        process.received.wait_for(5)
        assert [(m.group, m.kind, m.body, m.exclude, m.position) for m in process.received.messages] == [
            (m.group, m.kind, m.body, m.exclude, None) for m in sent
        ]


def test_the_messages_of_a_sender_arrive_in_order(start: Start, group: str) -> None:
    here, there = start(), start()
    here.backend.subscribe(group)
    there.backend.subscribe(group)
    for number in range(300):
        here.send(str(number), group, KEPT if number % 2 else None)
    for process in (here, there):
        process.received.wait_for(300)
        assert process.received.contents() == [str(number) for number in range(300)]


def test_nothing_from_before_the_subscription_or_after_its_end(start: Start, group: str) -> None:
    here, there = start(), start()
    here.backend.subscribe(group)
    here.send("before", group)
    there.backend.subscribe(group)
    number = len(there.received.messages)
    if there.received is not here.received:
        assert number == 0
    there.send("during", group)
    there.received.wait_for(number + 1)
    assert there.received.contents()[-1] == "during"
    here.backend.unsubscribe(group)
    here.backend.subscribe("another" + group)
    if there.received is not here.received:
        here.received.messages.clear()
        there.send("after", group)
        there.received.wait_for(number + 2)
        assert here.received.messages == []


def test_subscribing_again_waits_for_everything_from_before(start: Start, group: str) -> None:
    here, there = start(), start()
    there.backend.subscribe(group)
    for number in range(50):
        here.send(str(number), group)
        there.backend.subscribe(group)
        assert len(there.received.contents()) >= number + 1


def test_many_groups(start: Start, group: str) -> None:
    process = start()
    names = [f"{group}.{number}" for number in range(60)]
    for name in names:
        process.backend.subscribe(name)
    for name in names:
        process.send(name, name)
    process.received.wait_for(60)
    assert sorted(map(str, process.received.contents())) == sorted(names)
    assert all(message.group == message.content for message in process.received.messages)


def test_to_nobody(start: Start, group: str) -> None:
    start().send("nobody hears this", group)


# History


def test_positions_count(start: Start, group: str) -> None:
    process = start()
    process.backend.subscribe(group)
    assert process.backend.read_history(group, None).position == START
    for number in range(3):
        process.send(str(number), group, KEPT)
    process.received.wait_for(3)
    positions = [message.position for message in process.received.messages]
    assert [position and position.number for position in positions] == [1, 2, 3]
    assert len({position and position.epoch for position in positions}) == 1
    page = process.backend.read_history(group, None)
    assert (page.position, page.messages, page.complete) == (positions[-1], [], True)


def test_what_is_kept(start: Start, group: str) -> None:
    here, there = start(), start()
    here.backend.publish(GroupMessage(group, BINARY, b"\x00\xff", exclude="abc:5"), KEPT)
    here.backend.publish(GroupMessage(group, JSON, b"[1]"), KEPT)
    page = there.backend.read_history(group, START)
    assert [(m.group, m.kind, m.body, m.exclude, m.position and m.position.number) for m in page.messages] == [
        (group, BINARY, b"\x00\xff", "abc:5", 1),
        (group, JSON, b"[1]", None, 2),
    ]
    assert page.complete
    assert page.is_last
    epoch = page.position.epoch
    after = {
        Position(epoch, 1): ([2], True),
        Position(epoch, 2): ([], True),
        Position(epoch, 3): ([1, 2], False),
        Position("other", 1): ([1, 2], False),
        UNKNOWN: ([1, 2], False),
    }
    for position, expected in after.items():
        page = there.backend.read_history(group, position)
        assert ([m.position and m.position.number for m in page.messages], page.complete) == expected
    # Somebody else's claim doesn't make positions start again.
    assert there.backend.read_history(group, None).position == Position(epoch, 2)


def test_only_the_last_are_kept(start: Start, group: str) -> None:
    process = start()
    for number in range(1, 11):
        process.send(str(number), group, History(4))
    page = process.backend.read_history(group, START)
    assert [message.content for message in page.messages] == ["7", "8", "9", "10"]
    assert not page.complete
    for after, complete in ((5, False), (6, True), (9, True), (10, True)):
        assert process.backend.read_history(group, Position(page.position.epoch, after)).complete is complete


def test_long_histories_are_read_in_pages(start: Start, group: str) -> None:
    process = start()
    number = 2 * PAGE_SIZE + 5
    for index in range(number):
        process.send(str(index), group, History(1000))
    found: list[Any] = []
    after = START
    while True:
        page = process.backend.read_history(group, after)
        assert page.complete
        found += [message.content for message in page.messages]
        if page.is_last:
            break
        last = page.messages[-1].position
        assert last is not None
        after = last
    assert found == [str(index) for index in range(number)]


def test_a_history_expires(start: Start, group: str) -> None:
    process = start()
    process.backend.subscribe(group)
    process.send("first", group, History(10, ttl=0.2))
    wait_until(lambda: not process.backend.read_history(group, START).messages, 10, "the history has expired")
    process.send("second", group, History(10, ttl=60))
    process.received.wait_for(2)
    first, second = (message.position for message in process.received.messages)
    assert first is not None
    assert second is not None
    page = process.backend.read_history(group, first)
    assert [message.content for message in page.messages] == ["second"]
    assert second.number == (2 if first.epoch == second.epoch else 1)


def test_many_senders_at_once(start: Start, group: str) -> None:
    processes = [start(), start()]
    for process in processes:
        process.backend.subscribe(group)

    def send(process: Process, name: str) -> None:
        for number in range(25):
            process.send(f"{name} {number}", group, History(1000))

    threads = [threading.Thread(target=send, args=(processes[n % 2], str(n))) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for process in processes:
        process.received.wait_for(150)
        numbers = [message.position and message.position.number for message in process.received.messages]
        assert numbers == list(range(1, 151))
        for n in range(6):
            mine = [str(text) for text in process.received.contents() if str(text).split()[0] == str(n)]
            assert mine == [f"{n} {number}" for number in range(25)]


# Presence


def test_members_of_all_processes(start: Start, group: str) -> None:
    here, there = start(), start()
    assert (here.backend.count(group), here.backend.members(group)) == (0, [])
    here.join(1, {"name": "ann"}, group)
    here.join(2, None, group)
    there.join(3, {"name": "bob"}, group)
    for process in (here, there):
        wait_until(lambda process=process: process.backend.count(group) == 3, 10)  # type: ignore[misc]  # its own default
        infos = process.backend.members(group)
        assert sorted(infos, key=str) == sorted([{"name": "ann"}, None, {"name": "bob"}], key=str)
    here.leave(1, group)
    assert here.backend.count(group) == 2
    here.leave(2, group)
    there.leave(3, group)
    # What other processes have recorded comes soon, not at once.
    wait_until(lambda: there.backend.members(group) == [], 10)
    wait_until(lambda: here.backend.count(group) == 0, 10)


def test_notices(start: Start, group: str) -> None:
    here, there = start(), start()
    there.backend.subscribe(group)
    here.join(1, {"name": "ann"}, group)
    here.join(2, None, group)
    there.received.wait_for(1)
    here.join(1, {"name": "anna"}, group)
    there.received.wait_for(2)
    here.leave(2, group)
    here.leave(1, group)
    there.received.wait_for(3)
    assert there.received.notices() == [("+", {"name": "ann"}), ("+", {"name": "anna"}), ("-", {"name": "anna"})]


def test_what_is_pending_at_the_end_is_done(start: Start, group: str) -> None:
    here, there = start(), start()
    here.join(1, {"name": "ann"}, group)
    assert here.backend.count(group) == 1
    here.leave(1, group)
    here.backend.close()
    assert there.backend.count(group) == 0
