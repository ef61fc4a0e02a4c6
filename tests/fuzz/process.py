"""``python -m tests.fuzz.process [--seconds N] [--seed S]``: connections of any content, to a whole server process.

Requests, handshakes and streams of frames are mutated, sent in pieces and broken off in every way there is, while one
client behaves and must be served. In the end the process lives, has logged no traceback, and holds what it held before;
told to stop amid all that, it does.
"""

from __future__ import annotations

import argparse
import json
import random
import secrets
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.deadlines import deadline
from tests.faults.peer import Peer, handshake
from tests.faults.served import Served, serve

from .heads import mutated
from .seeds import SEEDS

__all__ = ["fuzz_process"]

WORKERS = 12

#: What must be back where it was. Descriptors and timers depend on what the garbage collector has seen.
COUNTED = ("fds", "greenlets", "listeners", "websockets", "connections", "watched")

#: By how much memory may have grown, in bytes: buffers and caches that fill once.
MEMORY = 24 * 2**20

SETTINGS: dict[str, Any] = {
    "ALLOWED_HOSTS": ["*"],
    "WEBSOCKET_ALLOWED_ORIGINS": ["*"],
    "WEBSOCKET_COMPRESSION": True,
    "WEBSOCKET_PING_INTERVAL": deadline(1),
    "WEBSOCKET_PING_TIMEOUT": deadline(1),
    "WEBSOCKET_SEND_TIMEOUT": deadline(1),
    "WEBSOCKET_CLOSE_TIMEOUT": deadline(1),
    "WEBSOCKET_REQUEST_TIMEOUT": deadline(1),
    "WEBSOCKET_DRAIN_TIMEOUT": deadline(2),
    "WEBSOCKET_MAX_OUTBOX": 65536,
    "WEBSOCKET_MAX_MESSAGE_SIZE": 65536,
}

DEFLATE = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"
PATHS = ("/echo/", "/witness/", "/push/", "/close_by_itself/", "/busy/?seconds=0.05")
STREAMS = [stream[3:] for stream in SEEDS["frames"]]


def mutated_stream(chance: random.Random) -> bytes:
    """A client's frames, not as they should be."""
    stream = bytearray(b"".join(chance.choices(STREAMS, k=chance.choice((1, 1, 2, 8)))))
    for _ in range(chance.choice((0, 1, 1, 2, 5, 20))):
        position = chance.randrange(len(stream) + 1)
        match chance.randrange(5):
            case 0:
                stream[position:position] = chance.randbytes(chance.choice((1, 2, 4, 40)))
            case 1:
                del stream[position : position + chance.choice((1, 2, 6, 100))]
            case 2:
                stream[position : position + 1] = bytes((chance.choice((0, 0x7F, 0x80, 0xFF, chance.randrange(256))),))
            case 3:
                stream[position:position] = stream[position : position + 300]
            case 4:
                stream[position:position] = chance.choice(STREAMS)
    return bytes(stream)


def connection(port: int, chance: random.Random, number: int, seed: int) -> str:
    """One client: what it sends, in pieces, and how it leaves. Returns a name for that."""
    kind = chance.choice(("http", "frames", "frames", "frames at once"))
    with Peer(port, receive_buffer=chance.choice((None, 4096))) as peer:
        peer.sock.settimeout(deadline(10))
        if kind == "http":
            data = b"".join(mutated(number + more, seed).wire() for more in range(chance.choice((1, 1, 3))))
        else:
            request = handshake(chance.choice(PATHS), *chance.choice(((), (DEFLATE,))))
            data = mutated_stream(chance)
            if kind == "frames":
                peer.send(request)
                assert peer.head()[0] == 101
            else:
                data = request + data
        leaving = chance.choice(("close", "reset", "half-close", "reset at once", "silence"))
        stop = chance.randrange(len(data) + 1) if leaving == "reset at once" else len(data)
        position = 0
        try:
            while position < stop:
                size = chance.choice((1, 7, 100, 1000, 10**6))
                peer.send(data[position : min(position + size, stop)])
                position += size
                if chance.random() < 0.02:
                    time.sleep(0.01)
            leave(peer, leaving)
        except OSError:
            leaving = "sent away"
    return f"{kind}, {leaving}"


def leave(peer: Peer, how: str) -> None:
    if how in ("half-close", "silence"):
        if how == "half-close":
            peer.sock.shutdown(socket.SHUT_WR)
        # The server's time-outs are what ends a silent one, and a view that sends for ever.
        peer.sock.settimeout(deadline(0.2))
        while peer.sock.recv(65536):
            pass
    elif how != "close":
        peer.reset()


class Run:
    """A fuzzed process: what was done to it, and what went wrong."""

    def __init__(self, served: Served, seed: int) -> None:
        self.counts: Counter[str] = Counter()
        self.problems: list[str] = []
        self._served = served
        self._seed = seed
        self._stopping = threading.Event()
        self._ending = False

    def _work(self, lane: int) -> None:
        number = lane
        while not self._stopping.is_set():
            chance = random.Random(f"{self._seed}/{number}")
            try:
                self.counts[connection(self._served.port, chance, number, self._seed)] += 1
            except Exception as error:
                if not self._ending:
                    self.problems.append(f"connection {number}: {error!r}")
                return
            number += WORKERS

    @contextmanager
    def _workers(self) -> Iterator[None]:
        workers = [threading.Thread(target=self._work, args=(lane,)) for lane in range(WORKERS)]
        for worker in workers:
            worker.start()
        try:
            yield
        finally:
            self._stopping.set()
            for worker in workers:
                worker.join(deadline(60))
            self._stopping.clear()

    def go_on(self, seconds: float) -> None:
        """Fuzz for ``seconds``, with one client that behaves."""
        end = time.monotonic() + seconds
        with self._workers():
            self._behave(end)

    def _behave(self, end: float) -> None:
        try:
            while time.monotonic() < end and self._served.process.poll() is None:
                with self._served.open("/echo/") as healthy:
                    for number in range(20):
                        healthy.send_text(str(number))
                        assert healthy.text() == str(number)
                        time.sleep(0.02)
                self.counts["healthy"] += 1
        except Exception as error:
            self.problems.append(f"the healthy client: {error!r}")

    def stop_amid(self) -> None:
        """Tell the server to stop while it is fuzzed: it must end, and by itself."""
        with self._workers():
            time.sleep(0.5)
            self._ending = True
            self._served.process.terminate()
            try:
                ended = self._served.wait_end(30)
            except subprocess.TimeoutExpired:
                self.problems.append("the server did not end")
            else:
                if ended != (0, "ended"):
                    self.problems.append(f"the server ended with {ended}")

    def settle(self) -> dict[str, Any]:
        """The state once nobody is connected."""
        self._served.wait_state(30, websockets=0, connections=1)
        state: dict[str, Any] = json.loads(self._served.get("/state/?gc&forget")[2])
        return state

    def compare(self, before: dict[str, Any], after: dict[str, Any]) -> None:
        for name in COUNTED:
            if after[name] > before[name]:
                self.problems.append(f"{name}: {before[name]} before, {after[name]} after")
        if after["rss"] > before["rss"] + MEMORY:
            self.problems.append(f"memory: {before['rss'] / 2**20:.1f} MiB before, {after['rss'] / 2**20:.1f} after")
        # Django's own report of a Host that is none.
        if tracebacks := self._served.tracebacks() - self._served.tracebacks("DisallowedHost"):
            self.problems.append(f"{tracebacks} tracebacks in the log")


def fuzz_process(seconds: float, seed: int, log: Path) -> Run:
    """Warm up, then fuzz for ``seconds``."""
    with serve(log, settings=SETTINGS) as served:
        run = Run(served, seed)
        run.go_on(seconds / 4)
        before = run.settle()
        run.go_on(seconds)
        if served.process.poll() is not None:
            run.problems.append(f"the server ended with {served.process.returncode}")
        else:
            run.compare(before, run.settle())
            run.stop_amid()
    return run


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**32))
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    log = Path(tempfile.mkstemp(prefix="fuzzed-", suffix=".log")[1])
    run = fuzz_process(arguments.seconds, arguments.seed, log)
    for name, count in sorted(run.counts.items()):
        print(f"{count:8} {name}")
    for problem in run.problems:
        print(f"FOUND: {problem}")
    print(f"the server's log is {log}")
    return bool(run.problems)


if __name__ == "__main__":
    sys.exit(main())
