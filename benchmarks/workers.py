"""``python -m benchmarks.workers``: one gunicorn worker against two.

On two cores the load generator takes its share of what the second worker needs, so rates say little: the processor time
of a message, page or connection says whether a second worker costs the first something. Then how many of a thousand
websockets each of two workers got.
"""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from .environment import ROOT, VENV, ready
from .load.job import Job
from .processes import Failure, cores, end_with_us, free_port, running
from .procfs import session_pids
from .rounds import load

ROUNDS = 5
SERVER_CORE, LOAD_CORE = cores()
SOCKETS = 1000
WORKER = "django_websocket.serving.gunicorn.EventletWorker"

JOBS = {
    "echo": Job("echo", path="/echo", clients=100, duration=3),
    "http": Job("http", path="/page/", clients=50, duration=3),
    "connect": Job("storm", path="/echo", clients=1000),
}


@contextmanager
def _gunicorn(workers: int) -> Iterator[tuple[int, int]]:
    """Its port and session. All of it has one core, so that one worker and two compete for the same."""
    port = free_port()
    command = [
        *(str(VENV / "bin" / "gunicorn"), "benchmarks.project.wsgi_ours", "-k", WORKER, "-w", str(workers)),
        *("--bind", f"127.0.0.1:{port}", "--log-level", "warning", "--graceful-timeout", "2"),
        *("--worker-connections", "19000"),
    ]
    environment = {"DJANGO_SETTINGS_MODULE": "benchmarks.project.settings_ours"}
    with running(command, port, SERVER_CORE, environment=environment) as session:
        yield port, session


def _share(port: int, session: int) -> list[int]:
    """How many of :data:`SOCKETS` websockets each worker gets."""
    before = {pid: _descriptors(pid) for pid in session_pids(session)}
    request = (
        b"GET /echo HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    with ExitStack() as stack:
        clients = [stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(SOCKETS)]
        for client in clients:
            client.sendall(request)
        for client in clients:
            if not client.recv(1000).startswith(b"HTTP/1.1 101 "):
                raise Failure("a handshake was refused")
        return [more for pid, fds in before.items() if (more := _descriptors(pid) - fds) > 0]


def _descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def main() -> None:
    """Measure in turn, and print."""
    end_with_us()
    # None of the workers shares its core with the clients of _share().
    os.sched_setaffinity(0, {LOAD_CORE})
    found: dict[tuple[str, int], list[float]] = {}
    shares = []
    for number in range(ROUNDS):
        for workers in (1, 2) if number % 2 else (2, 1):
            with _gunicorn(workers) as (port, session):
                for name, job in JOBS.items():
                    # So that each worker has as many: it serves them in batches.
                    sample = load(replace(job, port=port, session=session, clients=workers * job.clients))
                    found.setdefault((name, workers), []).append(sample["cpu_us"])
                    if workers == 2 and name == "echo":  # when both are there, and before the storm
                        shares.append(_share(port, session))
    for name in JOBS:
        one, two = (statistics.median(found[name, workers]) for workers in (1, 2))
        print(f"{name}: {one:.1f} us of CPU with one worker, {two:.1f} with two: {two / one:.2f}")
    largest = max(max(share) / sum(share) for share in shares)
    print(f"{SOCKETS} websockets between two workers: {shares}; {largest:.0%} at most in one")


if __name__ == "__main__":
    if sys.argv[1:] == ["--inside"]:
        main()
    else:
        sys.exit(subprocess.run([str(ready()), "-m", "benchmarks.workers", "--inside"], cwd=ROOT).returncode)
