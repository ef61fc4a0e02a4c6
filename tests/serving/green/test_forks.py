"""Views that start processes in every way that Python has, in a served project."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.deadlines import deadline, wait_until
from tests.site.running import Site, serve_site

FORKING = ["process", "queue", "pool", "closed_pool", "executor"]

#: What each way to start processes brings for a number.
EXPECTED: dict[str, Callable[[int], object]] = {
    "process": lambda n: [n * n, 0],
    "queue": lambda n: [n * n, (n + 1) ** 2],
    "pool": lambda n: [i * i for i in range(n, n + 5)],
    "closed_pool": lambda n: [i * i for i in range(n, n + 5)],
    "executor": lambda n: [i * i for i in range(n, n + 5)],
    "fork": lambda n: [n * n, 3],
    "run": lambda n: f"in {n}\n",
    "system": lambda n: n,
    "popen": lambda n: f"{n}\n",
}


def start_at_once(site: Site, way: str, method: str, count: int, seconds: float = 10) -> None:
    """Have ``count`` views at once start processes, and compare what they get."""

    def ask(number: int) -> object:
        return site.get_json(f"/processes/start/?way={way}&method={method}&number={number}", seconds)

    with site.connect("/common/echo/") as websocket, ThreadPoolExecutor(count) as clients:
        websocket.send("before")
        assert websocket.recv() == "before"
        results = list(clients.map(ask, range(1, count + 1)))
        websocket.send("after")
        assert websocket.recv() == "after"
    assert results == [EXPECTED[way](number) for number in range(1, count + 1)]


@pytest.mark.parametrize("way", [*FORKING, "fork"])
def test_fork(site: Site, way: str) -> None:
    start_at_once(site, way, "fork", 20)


@pytest.mark.parametrize("way", FORKING)
@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_other_methods(site: Site, way: str, method: str) -> None:
    start_at_once(site, way, method, 3, seconds=30)  # up to six interpreters start


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("way", "method"),
    [("process", "spawn"), ("pool", "spawn"), ("executor", "spawn"), ("queue", "forkserver"), ("pool", "forkserver")],
)
def test_twenty_at_once(tmp_path: Path, way: str, method: str) -> None:
    """Some forty interpreters start, and the server ends with nothing left of them."""
    with serve_site(tmp_path) as site:
        start_at_once(site, way, method, 20, seconds=90)
        site.process.send_signal(signal.SIGTERM)
        wait_until(lambda: not descendants(tmp_path), 5, "an end of all processes")


@pytest.mark.parametrize(("way", "method"), [("run", ""), ("run", "preexec"), ("system", ""), ("popen", "")])
def test_programs(site: Site, way: str, method: str) -> None:
    start_at_once(site, way, method, 20)


def test_the_wait_family(site: Site) -> None:
    assert site.get_json("/processes/waits/") == [4, 4, 4, 4]


def test_failures_come_back(site: Site) -> None:
    assert site.get_json("/processes/failing/") == [7, "no square of 3"]


def test_green_threads_in_a_child(site: Site) -> None:
    """It has a hub of its own, and is a client of its parent."""
    plain = site.ask("/common/plain/").body.decode()
    assert site.get_json("/processes/green/") == [plain] * 3


def test_more_than_a_pipe_holds(site: Site, tmp_path: Path) -> None:
    """Who waits for a busy worker to take its task doesn't hold up the others."""
    file = tmp_path / "go-on"
    with ThreadPoolExecutor(1) as client, site.connect("/common/echo/") as websocket:
        result = client.submit(site.get_json, f"/processes/large/?file={file}")
        for number in range(50):
            websocket.send(str(number))
            assert websocket.recv() == str(number)
        file.touch()
        assert result.result() == [True, *[300_000] * 4]


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_arguments_larger_than_a_pipe(site: Site, tmp_path: Path, method: str) -> None:
    """Who starts a process that reads slowly doesn't hold up the others."""
    file = tmp_path / "go-on"
    with ThreadPoolExecutor(1) as client, site.connect("/common/echo/") as websocket:
        result = client.submit(site.get_json, f"/processes/spawns_large/?method={method}&file={file}")
        try:
            wait_until((tmp_path / "go-on-begun").exists, what="the process has started")
            for number in range(50):
                websocket.send(str(number))
                assert websocket.recv(deadline(10)) == str(number)
        finally:
            file.touch()
        assert result.result(deadline(20)) == [1_000_000, 0]


def test_a_signal_to_a_child_is_none_to_the_server(site: Site) -> None:
    for _ in range(10):
        assert site.get_json("/processes/terminate/") == -signal.SIGTERM


@contextmanager
def child_of(site: Site) -> Iterator[int]:
    """A long-lived child process."""
    pid: int = site.get_json("/processes/keep/?daemon=yes")
    yield pid
    assert Path(f"/proc/{pid}").exists()


def test_a_child_never_answers(site: Site) -> None:
    with child_of(site), child_of(site):
        pids = {int(site.ask("/processes/echo_pid/").body) for _ in range(200)}
    assert pids == {site.process.pid}


def test_a_child_holds_no_client(site: Site) -> None:
    """What the server closes is closed, whoever was forked meanwhile."""
    with site.connect("/common/echo/") as websocket, site.raw("/common/echo/") as raw:
        raw.opened()
        with child_of(site):
            websocket.send("to the server")
            assert websocket.recv() == "to the server"
            raw.close()


def test_a_child_holds_no_sockets_of_the_server(site: Site) -> None:
    with site.connect("/common/echo/"), child_of(site) as pid:

        def kinds() -> Counter[str]:
            found: Counter[str] = Counter()
            for fd in Path(f"/proc/{pid}/fd").iterdir():
                with suppress(FileNotFoundError):  # closed meanwhile
                    found[os.readlink(fd).partition(":[")[0]] += 1
            return found

        wait_until(lambda: kinds()["socket"] == 0 and kinds()["anon_inode"] <= 1, 5, "its own hub alone")


def test_a_program_inherits_nothing(site: Site) -> None:
    with site.connect("/common/echo/"):
        assert site.ask("/processes/preexec/").body == b"0\n"


@pytest.mark.parametrize(("how", "status"), [("return", "0"), ("exit", "5"), ("raise", "0")])
def test_a_child_that_comes_out_of_the_view(site: Site, how: str, status: str) -> None:
    """It ends there: one request has one answer."""
    answer = site.ask(f"/processes/falls_through/?how={how}")
    assert (answer.status, answer.body.decode()) == (200, status)


@pytest.mark.parametrize(("how", "status"), [("return", "0"), ("exit", "5"), ("use", "6")])
def test_a_child_that_comes_out_of_a_websocket_view(site: Site, how: str, status: str) -> None:
    with site.connect("/processes/socket_forks/") as websocket:
        websocket.send(how)
        assert websocket.recv() == status
        websocket.send("still open")
        assert websocket.recv() == "still open"


def descendants(directory: Path) -> set[int]:
    """The processes that have come of a server, by their environment."""
    found = set()
    for process in Path("/proc").iterdir():
        try:
            if process.name.isdigit() and str(directory).encode() in (process / "environ").read_bytes():
                found.add(int(process.name))
        except OSError:  # gone, or another user's
            pass
    return found


def test_nothing_is_left_at_the_end(tmp_path: Path) -> None:
    """Pools and executors at work, daemons, and what twenty views at once have just begun."""
    with serve_site(tmp_path) as site, ThreadPoolExecutor(20) as clients:
        workers = site.get_json("/processes/keep_pools/")
        assert len(workers) == 4
        site.get_json("/processes/keep/?daemon=yes")
        site.get_json("/processes/start/?way=pool&method=spawn&number=1")

        def ask(number: int) -> None:
            try:
                site.ask(f"/processes/start/?way={FORKING[number % 5]}&method=fork&number={number}")
            except OSError:
                pass  # the server has ended

        for number in range(20):
            clients.submit(ask, number)
        site.process.send_signal(signal.SIGTERM)
        wait_until(lambda: not descendants(tmp_path), 5, "an end of all processes")


def test_the_server_waits_for_no_child_for_ever(tmp_path: Path) -> None:
    """A child that is not a daemon is left running, and the log says so."""
    with serve_site(tmp_path) as site:
        pid = site.get_json("/processes/keep/")
        try:
            site.process.send_signal(signal.SIGTERM)
            wait_until(lambda: descendants(tmp_path) == {pid}, 5, "the end of the server alone")
            assert [r for r in site.take_log("WARNING") if "it is left running" in r["message"]]
        finally:
            os.kill(pid, signal.SIGKILL)


def test_python_that_does_not_exit(tmp_path: Path) -> None:
    with serve_site(tmp_path) as site:
        assert site.ask("/processes/keep_from_ending/").status == 200
        site.process.send_signal(signal.SIGTERM)
        wait_until(lambda: not descendants(tmp_path), 8, "the end of the server")
        errors = tmp_path / "stderr"
        assert "the process did not exit within" in errors.read_text()
        errors.write_text("")
