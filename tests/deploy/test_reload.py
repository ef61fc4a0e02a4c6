"""gunicorn is reloaded and stopped behind the proxies, and nobody who asks for a page notices."""

from __future__ import annotations

import http.client
import os
import random
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed, WebSocketException

from tests.deadlines import deadline, wait_until

from .proxies import PROXIES, Front, serve_front
from .served import Certificate, Demo, demo, short_directory


class Regular:
    """Does the same again and again in a thread; what goes wrong is taken down."""

    def __init__(self, name: str, act: Callable[[], None]) -> None:
        self.name = name
        self.done = 0
        self.faults: list[str] = []
        self._act = act
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._is_over.is_set():
            try:
                self._act()
            except (AssertionError, OSError, http.client.HTTPException) as error:
                self.faults.append(f"{self.name}, after {self.done}: {error!r}")
            self.done += 1
            self._is_over.wait(0.02)  # leave the others some of the interpreter

    def __enter__(self) -> Regular:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()


def visits(front: Front) -> Callable[[], None]:
    """Each page over a connection of its own."""

    def act() -> None:
        assert front.ask("/lower-case/?message=A") == (200, "a")

    return act


class Stays:
    """Pages over one connection, for as long as the proxy keeps it."""

    def __init__(self, front: Front, method: str) -> None:
        self._front = front
        self._method = method
        self._client: http.client.HTTPConnection | None = None

    def __call__(self) -> None:
        client = self._client = self._client or self._front.client()
        kept = False
        try:
            client.request(self._method, "/seen/", body=b"hello" if self._method == "POST" else None)
            response = client.getresponse()
            body = response.read()
            assert response.status == 200, (response.status, body)
            kept = not response.will_close
        finally:
            if not kept:
                self.close()

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None


class Talker:
    """A page with a websocket that comes back when it is closed."""

    def __init__(self, front: Front) -> None:
        self.front = front
        self.ends: list[int | str] = []
        """The close code of each websocket that ended, or what went wrong."""
        self.said = 0
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._is_over.is_set():
            try:
                with self.front.connect("/echo/") as client:
                    while not self._is_over.is_set():
                        client.send("hello")
                        assert client.recv(timeout=deadline(20)) == "hello"
                        self.said += 1
                        self._is_over.wait(0.05)
            except (OSError, WebSocketException) as error:
                code = error.rcvd.code if isinstance(error, ConnectionClosed) and error.rcvd else repr(error)
                self.ends.append(code)
                self._is_over.wait(random.random())

    def __enter__(self) -> Talker:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()


@pytest.fixture(scope="module")
def server() -> Iterator[Demo]:
    with short_directory() as directory, demo(directory) as running:
        yield running


@pytest.fixture(scope="module")
def fronts(server: Demo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Front]]:
    directory = tmp_path_factory.mktemp("fronts")
    certificate = Certificate(directory)
    with ExitStack() as stack:
        yield [
            stack.enter_context(serve_front(name, server.upstreams["tcp"], directory / name, certificate=certificate))
            for name in PROXIES
        ]


def test_a_reload_fails_no_request(server: Demo, fronts: list[Front], tmp_path: Path) -> None:
    with ExitStack() as stack:
        regulars = [stack.enter_context(Regular(f"{front.name} visits", visits(front))) for front in fronts]
        for front in fronts:
            for method in ("GET", "POST"):
                stays = Stays(front, method)
                stack.callback(stays.close)
                regulars.append(stack.enter_context(Regular(f"{front.name} {method}", stays)))
        talkers = [stack.enter_context(Talker(front)) for front in fronts for _ in range(4)]
        wait_until(lambda: all(one.said > 3 for one in talkers), 20, "all talk")
        before = server.workers()
        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: not server.workers() & before and len(server.workers()) == 2, 40, "new workers")
        for one in talkers:
            said = one.said
            wait_until(lambda one=one, said=said: one.said > said + 3, 20, "it talks again")  # type: ignore[misc]
        for regular in regulars:
            done = regular.done
            wait_until(lambda regular=regular, done=done: regular.done > done + 3, 20, "it goes on")  # type: ignore[misc]
    assert [fault for regular in regulars for fault in regular.faults] == []
    # Who comes back at once may meet the other worker, which is told to leave a moment later.
    assert all(one.ends for one in talkers)
    assert {end for one in talkers for end in one.ends} == {1012}
    assert "Traceback" not in server.log()


def test_a_second_master_takes_over(tmp_path: Path) -> None:
    """USR2, then TERM to the first: a new gunicorn, on the same sockets."""
    with short_directory() as directory, ExitStack() as stack:
        pidfile = directory / "pid"
        server = stack.enter_context(demo(directory, "--pid", str(pidfile)))
        front = stack.enter_context(serve_front("nginx", server.upstreams["unix"], tmp_path / "nginx"))
        visitor = stack.enter_context(Regular("visits", visits(front)))
        talker = stack.enter_context(Talker(front))
        wait_until(lambda: talker.said > 3, 20, "it talks")
        server.process.send_signal(signal.SIGUSR2)
        second = directory / "pid.2"
        wait_until(lambda: second.exists() and second.read_text().strip().isdigit(), 20, "a second master")
        master = int(second.read_text())
        stack.callback(end_orphan, master)
        server.wait_logged("Booting worker", 4)
        assert server.end() == 0
        wait_until(lambda: pidfile.exists() and pidfile.read_text().strip() == str(master), 20, "it is the first now")
        said, done = talker.said, visitor.done
        wait_until(lambda: talker.said > said + 3 and visitor.done > done + 3, 20, "it serves")
        assert visitor.faults == []
        assert set(talker.ends) == {1012}


def end_orphan(pid: int) -> None:
    """End a process that is not a child of this one."""
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), 40, f"{pid} has ended")
