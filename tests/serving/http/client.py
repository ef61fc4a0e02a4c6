"""A raw HTTP client that reads responses to the letter, and a server process for it to talk to."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tests.certificates import client_context
from tests.deadlines import deadline, wait_until

ROOT = Path(__file__).resolve().parents[3]


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


class Client:
    """One connection."""

    def __init__(
        self, address: int | str, *, receive_buffer: int | None = None, tls: ssl.SSLContext | None = None
    ) -> None:
        self.sock: socket.socket = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET)
        if receive_buffer is not None:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.settimeout(deadline(10))
        try:
            self.sock.connect(address if isinstance(address, str) else ("127.0.0.1", address))
            if tls is not None:
                self.sock = tls.wrap_socket(self.sock, server_hostname="localhost", suppress_ragged_eofs=False)
        except OSError:
            self.sock.close()
            raise
        self.buffer = bytearray()

    def send(self, *data: bytes) -> None:
        for piece in data:
            self.sock.sendall(piece)

    def get(self, target: str, *headers: str, method: str = "GET", body: bytes = b"") -> None:
        """Send a request; does not read the answer."""
        lines = [f"{method} {target} HTTP/1.1", "Host: localhost", *headers]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        self.send("\r\n".join([*lines, "", ""]).encode("latin-1") + body)

    def ask(self, target: str, *headers: str, method: str = "GET", body: bytes = b"") -> Answer:
        self.get(target, *headers, method=method, body=body)
        return self.answer(bodyless=method == "HEAD")

    def _more(self) -> None:
        data = self.sock.recv(65536)
        if not data:
            raise EOFError(f"the server closed the connection after {bytes(self.buffer)!r}")
        self.buffer += data

    def take_until(self, mark: bytes) -> bytes:
        while mark not in self.buffer:
            self._more()
        found, _, self.buffer = self.buffer.partition(mark)
        return bytes(found)

    def take(self, count: int) -> bytes:
        while len(self.buffer) < count:
            self._more()
        found = bytes(self.buffer[:count])
        del self.buffer[:count]
        return found

    def head(self) -> tuple[int, dict[str, str]]:
        lines = self.take_until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        version, status, _ = lines[0].split(" ", 2)
        assert version == "HTTP/1.1"
        headers: dict[str, str] = {}
        for line in lines[1:]:
            name, _, value = line.partition(": ")
            assert name.lower() not in headers, f"two {name} headers"
            headers[name.lower()] = value
        return int(status), headers

    def chunk(self) -> bytes:
        """The data of one chunk."""
        size = int(self.take_until(b"\r\n"), 16)
        data = self.take(size)
        assert self.take(2) == b"\r\n"
        return data

    def answer(self, *, bodyless: bool = False) -> Answer:
        status, headers = self.head()
        assert "date" in headers or status < 200
        if bodyless or status in (204, 304) or status < 200:
            return Answer(status, headers, b"")
        if headers.get("transfer-encoding") == "chunked":
            assert "content-length" not in headers
            body = b""
            while data := self.chunk():
                body += data
            return Answer(status, headers, body)
        if "content-length" in headers:
            return Answer(status, headers, self.take(int(headers["content-length"])))
        return Answer(status, headers, self.rest())

    def rest(self) -> bytes:
        """All that comes until the server closes the connection, which it must do in an orderly way."""
        try:
            while True:
                self._more()
        except EOFError:
            rest = bytes(self.buffer)
            self.buffer.clear()
            return rest

    def ends(self) -> bool:
        """True if the connection is closed and nothing more came."""
        return self.rest() == b""

    def shut_down(self) -> None:
        """End the stream, but go on receiving. An SSLSocket's own method would end both, and TLS with it."""
        socket.socket.shutdown(self.sock, socket.SHUT_WR)

    def close(self) -> None:
        self.sock.close()

    def reset(self) -> None:
        """Close with a TCP reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        self.sock.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Served:
    """A server process."""

    def __init__(
        self, process: subprocess.Popen[str], address: int | str, log: Path, tls: ssl.SSLContext | None = None
    ) -> None:
        self._tls = tls
        self.is_secure = tls is not None
        self.process = process
        self.address = address
        self._log = log
        self._clients: list[Client] = []

    def connect(self, **options: Any) -> Client:
        """A client that is closed with the server, if not before."""
        client = Client(self.address, tls=self._tls, **options)
        self._clients.append(client)
        return client

    def end(self) -> None:
        self.process.kill()
        for client in self._clients:
            client.close()

    def ask(self, target: str, *headers: str, method: str = "GET", body: bytes = b"") -> Answer:
        """One request on a connection of its own."""
        with self.connect() as client:
            return client.ask(target, *headers, method=method, body=body)

    def counts(self) -> dict[str, int]:
        counts: dict[str, int] = json.loads(self.ask("/counts", "Connection: close").body)
        return counts

    def wait_for_count(self, name: str, value: int) -> None:
        wait_until(lambda: self.counts().get(name, 0) >= value, 10, f"{name} >= {value}")

    def log(self) -> str:
        """Its whole lines: one may be written in pieces."""
        return "".join(self._log.read_text().rpartition("\n")[:2])

    def log_lines(self, part: str) -> list[str]:
        return [line for line in self.log().splitlines() if part in line]

    def wait_for_log(self, part: str) -> None:
        wait_until(lambda: part in self.log(), 10, f"a log line with {part!r}")


@contextmanager
def serve(log: Path, **options: Any) -> Iterator[Served]:
    """A server process with ``options`` (see :mod:`tests.serving.http.served`)."""
    tls = client_context() if "certificate" in options else None
    with (
        log.open("w") as errors,
        subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "tests.serving.http.served", json.dumps(options)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as process,
    ):
        assert process.stdout is not None
        try:
            address = process.stdout.readline().strip()
            assert address, log.read_text()
            served = Served(process, int(address) if address.isdigit() else address, log, tls)
            try:
                yield served
            finally:
                served.end()
        finally:
            process.kill()
