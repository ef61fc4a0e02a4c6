"""The test project in a process of its own, and clients to talk to it."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from websockets.sync.client import ClientConnection, connect

from tests.deadlines import deadline, wait_until
from tests.protocol.client import frame

ROOT = Path(__file__).resolve().parent.parent.parent

HANDSHAKE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
}


class Answer(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    body: bytes


class RawSocket:
    """A websocket whose every byte the test sends and sees; made by its handshake."""

    def __init__(
        self,
        port: int,
        path: str,
        behind: bytes = b"",
        *,
        receive_buffer: int | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        self.sock = socket.socket()
        if receive_buffer is not None:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.settimeout(deadline(10))
        self.sock.connect(("127.0.0.1", port))
        self._received = bytearray()
        fields = {"Host": f"127.0.0.1:{port}", **HANDSHAKE, **(headers or {})}
        lines = [f"GET {path} HTTP/1.1", *(f"{k}: {v}" for k, v in fields.items())]
        self.send("\r\n".join([*lines, "", ""]).encode() + behind)

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def head(self) -> str:
        """The head of the handshake's response."""
        while b"\r\n\r\n" not in self._received:
            self._receive()
        head, _, self._received = self._received.partition(b"\r\n\r\n")
        return bytes(head).decode("latin-1")

    def opened(self) -> RawSocket:
        assert self.head().startswith("HTTP/1.1 101 ")
        return self

    def _receive(self) -> None:
        data = self.sock.recv(65536)
        if not data:
            raise EOFError(f"the server closed the connection after {self._received!r}")
        self._received += data

    def _take(self, count: int) -> bytes:
        while len(self._received) < count:
            self._receive()
        taken = bytes(self._received[:count])
        del self._received[:count]
        return taken

    def frame(self) -> tuple[int, bytes]:
        """First byte and payload of the next frame, which must not be masked."""
        first, length = self._take(2)
        if length == 126:
            (length,) = struct.unpack("!H", self._take(2))
        elif length == 127:
            (length,) = struct.unpack("!Q", self._take(8))
        assert length < 1 << 32, "masked"
        return first, self._take(length)

    def close_frame(self) -> tuple[int, bytes]:
        """Code and reason of the close frame that comes next, behind which nothing may come."""
        first, payload = self.frame()
        assert first == 0x88
        assert self.rest() == b""
        return int.from_bytes(payload[:2], "big"), payload[2:]

    def rest(self) -> bytes:
        """All that comes until the server has closed the connection, in an orderly way."""
        try:
            while True:
                self._receive()
        except EOFError:
            rest = bytes(self._received)
            self._received.clear()
            return rest

    def shut_down(self) -> None:
        """End the stream without a close frame."""
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Close with a TCP reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def close(self) -> None:
        """The closing handshake from the client's side."""
        self.send(frame(0x88, b"\x03\xe8"))
        self.rest()
        self.sock.close()

    def __enter__(self) -> RawSocket:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()


class Site:
    """A served test project."""

    def __init__(self, process: subprocess.Popen[str], port: int, directory: Path) -> None:
        self.process = process
        self.port = port
        self._log = directory / "log"
        self._errors = directory / "stderr"
        self._log_position = 0

    # Clients

    def connect(self, path: str, **options: Any) -> ClientConnection:
        """A websocket of the websockets library, to be used as a context manager."""
        options.setdefault("compression", None)
        client: ClientConnection = connect(
            f"ws://127.0.0.1:{self.port}{path}",
            proxy=None,
            open_timeout=deadline(10),
            close_timeout=deadline(10),
            **options,
        )
        return client

    def raw(self, path: str, behind: bytes = b"", **options: Any) -> RawSocket:
        return RawSocket(self.port, path, behind, **options)

    def ask(self, path: str, headers: dict[str, str] | None = None, method: str = "GET", seconds: float = 10) -> Answer:
        """An HTTP request on a connection of its own; ``seconds`` (scaled) is how long the answer may take."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=deadline(seconds))
        try:
            connection.request(method, path, headers={**(headers or {})})
            response = connection.getresponse()
            return Answer(response.status, response.headers, b"" if response.status == 101 else response.read())
        finally:
            connection.close()

    def shake_hands(self, path: str, headers: dict[str, str | None] | None = None, method: str = "GET") -> Answer:
        """A websocket handshake with ``headers`` changed (None: left out), whose answer is what counts."""
        changed = {**HANDSHAKE, **(headers or {})}
        return self.ask(path, {k: v for k, v in changed.items() if v is not None}, method)

    def get_json(self, path: str, seconds: float = 10) -> Any:
        answer = self.ask(path, seconds=seconds)
        assert answer.status == 200, answer
        return json.loads(answer.body)

    # What happened in the process

    def journal(self) -> list[str]:
        """What happened since the last call, but for this request and that."""
        own = ("response 200", "request finished")
        entries: list[str] = self.get_json("/common/journal_view/")
        while entries[: len(own)] and entries[0] in own:
            entries = entries[1:]
        return entries

    def wait_for_journal(self, entry: str) -> list[str]:
        """All that happened until ``entry`` did."""
        found: list[str] = []

        def has_happened() -> bool:
            found.extend(self.journal())
            return entry in found

        wait_until(has_happened, 10, entry)
        return found

    def release(self, name: str) -> None:
        """Let a view go on that waits for the event ``name``."""
        assert self.ask(f"/common/release/?name={name}").status == 200

    def stats(self) -> dict[str, int]:
        stats: dict[str, int] = self.get_json("/common/stats/")
        return stats

    def wait_until_back_at(self, before: dict[str, int]) -> None:
        """Wait until the process holds no more than it did, the memory apart."""
        now: dict[str, int] = {}

        def is_back() -> bool:
            now.update(self.stats())
            return all(now[key] <= before[key] for key in before if key != "memory")

        try:
            wait_until(is_back, 15)
        except AssertionError:
            raise AssertionError(f"it held {before}, and holds {now}") from None

    def wait_until_idle(self) -> None:
        """Wait for a second in which the process takes next to no processor time, though others may take it all."""
        ticks = os.sysconf("SC_CLK_TCK")

        def used() -> float:
            fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) / ticks

        def is_idle() -> bool:
            began, before = time.monotonic(), used()
            wait_until(lambda: time.monotonic() > began + 1)
            return used() - before <= 0.02

        wait_until(is_idle, 10, "an idle process")

    def take_log(self, level: str = "ERROR") -> list[dict[str, Any]]:
        """The records of ``level`` that were logged since the last call."""
        return [record for record in self.take_records() if record["level"] == level]

    def take_records(self) -> list[dict[str, Any]]:
        """All records that were logged since the last call. One that is being written is left for the next."""
        with self._log.open("rb") as log:
            log.seek(self._log_position)
            written, end, _ = log.read().rpartition(b"\n")
        self._log_position += len(written + end)
        return [json.loads(line) for line in written.splitlines()]

    def wait_for_error(self) -> dict[str, Any]:
        """The one error that is logged, or soon will be."""
        records: list[dict[str, Any]] = []

        def is_logged() -> bool:
            records.extend(self.take_log())
            return bool(records)

        wait_until(is_logged, 10, "an error in the log")
        [record] = records
        return record

    def assert_quiet(self) -> None:
        """Nothing was logged as an error that the test didn't ask for, and nothing was printed."""
        assert self.process.poll() is None, "the server ended"
        assert self.take_log() == []
        assert self._errors.read_text() == ""


@contextmanager
def serve_site(directory: Path, **options: Any) -> Iterator[Site]:
    """A process that serves the project with ``options`` (see :mod:`tests.site.settings`)."""
    environ = {**os.environ, "TEST_SITE": json.dumps({**options, "directory": str(directory)})}
    (directory / "log").touch()
    with (
        (directory / "stderr").open("w") as errors,
        subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "tests.site.serve"],
            cwd=ROOT,
            env=environ,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as process,
    ):
        assert process.stdout is not None
        try:
            port = process.stdout.readline().strip()
            assert port, (directory / "stderr").read_text()
            site = Site(process, int(port), directory)
            yield site
            process.send_signal(signal.SIGTERM)  # unless it has ended
            assert process.wait(deadline(10)) == 0
            assert site.take_log() == []
            assert (directory / "stderr").read_text() == ""
        finally:
            process.kill()
