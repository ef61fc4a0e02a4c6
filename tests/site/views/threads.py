"""Views whose websockets are used in native threads."""

from __future__ import annotations

import threading as green_threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from eventlet import tpool

from django_websocket import ConnectionClosed, WebSocket, require_websocket
from django_websocket.blocking import in_thread, to_thread
from django_websocket.serving.patch import eventlet

from ..journal import journal
from .common import SocketRequest

if TYPE_CHECKING:
    import queue
    import threading
else:
    threading = eventlet.patcher.original("threading")
    queue = eventlet.patcher.original("queue")


class Pool:
    """Native threads that take work from a queue, as those of an executor do."""

    def __init__(self, size: int) -> None:
        self._work: queue.SimpleQueue[tuple[Callable[..., Any], Any] | None] = queue.SimpleQueue()
        self._threads = [threading.Thread(target=self._run) for _ in range(size)]
        self._left = size
        self.errors: list[BaseException] = []
        for thread in self._threads:
            thread.start()

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            function, argument = work
            try:
                function(argument)
            except BaseException as error:
                self.errors.append(error)
        self._left -= 1

    def submit(self, function: Callable[..., Any], argument: Any) -> None:
        self._work.put((function, argument))

    def end(self) -> None:
        for _ in self._threads:
            self._work.put(None)
        while any(thread.is_alive() for thread in self._threads):
            eventlet.sleep(0.01)


def named(error: BaseException) -> str:
    cause = "" if error.__cause__ is None else f", {type(error.__cause__).__name__}"
    return f"{type(error).__name__}{cause}"


@require_websocket
def sends_from_ten(request: SocketRequest) -> None:
    """Ten native threads send, and the view does."""
    websocket = request.websocket
    websocket.accept()
    pool = Pool(10)

    def send(thread: int) -> None:
        for number in range(int(request.GET["times"])):
            websocket.send(f"{thread} {number}")

    for thread in range(10):
        pool.submit(send, thread)
    try:
        send(10)
    finally:
        pool.end()
    assert not pool.errors
    websocket.send("all sent")


@require_websocket
def sends_by(request: SocketRequest) -> None:
    """More messages than a thread could once send, of every kind, by the means that are asked for."""
    websocket = request.websocket
    websocket.accept()
    means: dict[str, Callable[[Callable[[], None]], object]] = {
        "tpool": tpool.execute,
        "to_thread": to_thread,
        "green": lambda function: green_threading.Thread(target=function).start(),
    }

    def send() -> None:
        for number in range(200):
            websocket.send(number)
        websocket.send(b"bytes")
        websocket.send(memoryview(b"view"))
        websocket.send_json({"in": "json"})
        try:
            websocket.send("\ud800")
        except UnicodeEncodeError as error:
            websocket.send(type(error).__name__)
        try:
            websocket.send(Unprintable())
        except LookupError as error:
            websocket.send(f"{type(error).__name__} {printed_in == [threading.get_ident()]}")
        websocket.ping()
        websocket.send("done")

    class Unprintable:
        def __str__(self) -> str:
            printed_in.append(threading.get_ident())
            raise LookupError

    printed_in: list[int] = []
    means[request.GET["means"]](send)
    websocket.wait()


@require_websocket
def receives_in_a_thread(request: SocketRequest) -> None:
    """All of the conversation is in a native thread, like that of a view in a thread of its own."""
    websocket = request.websocket
    websocket.accept()
    converse(websocket)
    journal.append(f"conversation ended {websocket.closed} {websocket.close_code}")


@in_thread
def converse(websocket: WebSocket) -> None:
    try:
        websocket.wait(timeout=0.05)
    except TimeoutError as error:
        websocket.send(str(error))
    websocket.send_json([websocket.read("nothing"), websocket.count_messages(), websocket.has_messages()])
    websocket.send_json(websocket.wait_json())
    while (message := websocket.read()) is None:
        pass
    websocket.send(message)
    for message in websocket:
        websocket.send(message)
    websocket.wait()
    try:
        websocket.send("too late")
    except ConnectionClosed as error:
        journal.append(f"{error.code} {websocket.latency} {websocket.buffered_amount} {websocket!r}")
    websocket.close()


@require_websocket
def two_wait(request: SocketRequest) -> None:
    """The view waits, and a native thread tries to."""
    websocket = request.websocket
    websocket.accept()

    def wait(_: None) -> None:
        try:
            websocket.wait()
        except Exception as error:
            websocket.send(named(error))

    pool = Pool(1)
    eventlet.spawn_after(0, pool.submit, wait, None)
    websocket.send(websocket.wait())
    pool.end()


@require_websocket
def is_closed_by_a_thread(request: SocketRequest) -> None:
    """While the view waits."""
    websocket = request.websocket
    websocket.accept()

    def close(_: None) -> None:
        for arguments in ((999, ""), (1000, "x" * 124)):
            try:
                websocket.close(*arguments)
            except ValueError:
                journal.append("ValueError")
        websocket.close(4000, "enough")
        websocket.close(4001)
        try:
            websocket.send("x")
        except ConnectionClosed as error:
            journal.append(f"send {error.sent_code}")

    pool = Pool(1)
    eventlet.spawn_after(0, pool.submit, close, None)
    message = websocket.wait()
    pool.end()
    assert not pool.errors
    journal.append(f"{message!r} {websocket.close_code} {websocket.close_reason}")


@require_websocket
def holds(request: SocketRequest) -> None:
    """Threads send more than the client reads."""
    websocket = request.websocket
    websocket.accept()
    pool = Pool(3)
    for _ in range(3):
        pool.submit(websocket.send, bytes(16 * 1024 * 1024))
    pool.end()
    journal.append(f"{sorted(map(named, pool.errors))} {websocket.buffered_amount}")


@require_websocket
def is_early(request: SocketRequest) -> None:
    """Threads use the websocket before the view has accepted."""
    websocket = request.websocket
    uses: list[Callable[[], object]] = [
        websocket.accept,
        websocket.wait,
        websocket.read,
        websocket.count_messages,
        websocket.ping,
        websocket.close,
        lambda: list(websocket),
        lambda: websocket.send("x"),
    ]
    errors = []
    for use in uses:
        try:
            to_thread(use)
        except RuntimeError as error:
            errors.append(str(error))
    assert (websocket.closed, websocket.close_code, websocket.latency) == (False, None, None)
    websocket.send(f"{len(errors)} of {len(uses)}, {set(errors)}")
    try:
        to_thread(websocket.accept)
    except RuntimeError as error:
        websocket.send(str(error))


@require_websocket
def sends_until_the_end(request: SocketRequest) -> None:
    """Threads send, and wait, while the server stops."""
    websocket = request.websocket
    websocket.accept()

    def send(_: None) -> None:
        while True:
            websocket.send("news")

    pool = Pool(4)
    for _ in range(4):
        pool.submit(send, None)
    while websocket.wait() is not None:
        pass
    pool.end()
    print("threads ended:", sorted(map(named, pool.errors)), flush=True)


@require_websocket
def waits_in_a_thread(request: SocketRequest) -> None:
    request.websocket.send("waits")
    message = to_thread(request.websocket.wait)
    print(f"waited: {message!r}", flush=True)


VIEWS = (
    "holds",
    "is_closed_by_a_thread",
    "is_early",
    "receives_in_a_thread",
    "sends_by",
    "sends_from_ten",
    "sends_until_the_end",
    "two_wait",
    "waits_in_a_thread",
)
