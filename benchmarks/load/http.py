"""Plain HTTP in a closed loop: every client requests the same page, on a persistent connection if possible."""

from __future__ import annotations

import select
import socket
import time

from .crowd import PATIENCE
from .frames import LoadError
from .job import Job
from .meter import Meter


class Page:
    """What a response must look like, learned from the first one."""

    def __init__(self, port: int, path: str) -> None:
        self.address = ("127.0.0.1", port)
        self.request = (
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUser-Agent: benchmark\r\n"
            "Accept: text/html\r\nAccept-Language: en\r\n\r\n"
        ).encode()
        with socket.create_connection(self.address, timeout=PATIENCE) as sock:
            sock.sendall(self.request)
            response = b""
            while (missing := missing_bytes(response)) is None or missing > 0:
                data = sock.recv(1 << 16)
                if not data:
                    raise LoadError("the response is cut short")
                response += data
        status = response.split(b"\r\n", 1)[0]
        if status.split(b" ")[1:2] != [b"200"]:
            raise LoadError(f"page answered with {status.decode('latin-1')}")
        if b"</html>" not in response:
            raise LoadError("the response is not the page")
        self.size = len(response)
        self.keeps_alive = not closes(response)


def missing_bytes(response: bytes) -> int | None:
    """How many bytes of a response with a Content-Length are missing; None while its head is not whole."""
    head, end, body = response.partition(b"\r\n\r\n")
    if not end:
        return None
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            return int(value) - len(body)
    raise LoadError("the response has no Content-Length")


def closes(response: bytes) -> bool:
    """Whether the server announces that it will close the connection after this response."""
    head = response.partition(b"\r\n\r\n")[0].lower()
    return b"\r\nconnection: close" in head or head.startswith(b"http/1.0")


class PageLoop:
    """The hot loop over all connections."""

    def __init__(self, page: Page, clients: int) -> None:
        self._page = page
        self._epoll = select.epoll()
        self._socks: dict[int, socket.socket] = {}
        self._partial: dict[int, bytes] = {}
        self._buffer = memoryview(bytearray(1 << 18))
        self.reconnects = 0
        for _ in range(clients):
            self._connect()

    def _connect(self) -> None:
        sock = socket.create_connection(self._page.address, timeout=PATIENCE)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.sendall(self._page.request)
        sock.setblocking(False)
        self._socks[sock.fileno()] = sock
        self._epoll.register(sock.fileno(), select.EPOLLIN)

    def _reconnect(self, fd: int) -> None:
        self._socks.pop(fd).close()
        self._partial.pop(fd, None)
        self.reconnects += 1
        self._connect()

    def run(self, seconds: float) -> int:
        """The number of whole pages within ``seconds``."""
        poll, clock, buffer, request = self._epoll.poll, time.perf_counter, self._buffer, self._page.request
        keeps_alive, whole, done = self._page.keeps_alive, self._page.size, 0
        end = clock() + seconds
        while clock() < end:
            events = poll(PATIENCE)
            if not events:
                raise LoadError(f"no response for {PATIENCE:.0f} s")
            for fd, _ in events:
                try:
                    size = self._socks[fd].recv_into(buffer)
                except ConnectionError:
                    size = 0
                if size == whole and fd not in self._partial and buffer[9] == 0x32:  # the 2 of "HTTP/1.1 200"
                    done += 1
                    if keeps_alive:
                        self._socks[fd].send(request)
                    else:
                        self._reconnect(fd)
                else:
                    done += self._slow(fd, size)
        return done

    def _slow(self, fd: int, size: int) -> int:
        if not size:
            if fd in self._partial:
                raise LoadError("a response is cut short")
            self._reconnect(fd)  # servers may end a kept-alive connection between two requests
            return 0
        response = self._partial.pop(fd, b"") + bytes(self._buffer[:size])
        missing = missing_bytes(response)
        if missing is None or missing > 0:
            self._partial[fd] = response
            return 0
        if not response.startswith(b"HTTP/1.1 200"):
            raise LoadError(f"page answered with {response[:40].decode('latin-1')}")
        if closes(response):
            self._reconnect(fd)
        else:
            self._socks[fd].send(self._page.request)
        return 1


def run(job: Job) -> dict[str, float]:
    """Requests a second."""
    loop = PageLoop(Page(job.port, job.path), job.clients)
    loop.run(job.warmup)
    meter = Meter(job.session)
    reconnects = loop.reconnects
    samples = meter.read(loop.run(job.duration))
    samples["reconnects"] = loop.reconnects - reconnects
    return samples
