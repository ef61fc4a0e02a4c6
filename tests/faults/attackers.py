"""Hostile clients in a process of their own: ``python -m tests.faults.attackers KIND PORT ...``.

Prints "begun" once the attack has, and figures at its end.
"""

from __future__ import annotations

import selectors
import socket
import sys
import time
import zlib
from collections.abc import Callable

from .peer import BINARY, CONTINUATION, PING, PONG, TEXT, Peer, available_descriptors, crowd, frame, handshake

#: How much is sent at once.
BURST = 65536


def begun() -> None:
    print("begun", flush=True)


def loris(port: int, size: int) -> None:
    """``size`` connections that send a byte of a request each second, until all were cut.

    Prints when the first and the last was cut, counted from its own opening.
    """
    available_descriptors()
    request = b"GET /hello/ HTTP/1.1\r\nHost: 127.0.0.1\r\n" + b"X-Slow: slow\r\n" * 100
    poll = selectors.DefaultSelector()
    opened: dict[socket.socket, float] = {}
    turns: dict[socket.socket, int] = {}
    lives: list[float] = []

    def cut(sock: socket.socket) -> None:
        lives.append(time.monotonic() - opened.pop(sock))
        poll.unregister(sock)
        sock.close()

    def look(seconds: float) -> None:
        for key, _ in poll.select(seconds):
            sock = key.fileobj
            assert isinstance(sock, socket.socket)
            try:
                if not sock.recv(4096):
                    cut(sock)
            except BlockingIOError:
                pass
            except OSError:
                cut(sock)

    for _ in range(size):
        sock = socket.create_connection(("127.0.0.1", port))
        sock.setblocking(False)
        opened[sock] = time.monotonic()
        turns[sock] = 0
        poll.register(sock, selectors.EVENT_READ)
    begun()
    # Each has its moment within the second, so that the server is busy with them all the time.
    order = list(opened)
    start, turn = time.monotonic(), 0
    while opened:
        due = int((time.monotonic() - start) * size) - turn
        for sock in (order[(turn + number) % size] for number in range(due)):
            if sock in opened:
                try:
                    sock.send(request[turns[sock] : turns[sock] + 1])
                    turns[sock] += 1
                except OSError:
                    pass
        turn += due
        look(0.005)
    print(f"{min(lives):.3f} {max(lives):.3f}", flush=True)


def messages(port: int, path: str, seconds: float) -> None:
    """Send small messages as fast as the server takes them, and drop what comes; print how many were answered."""
    peer = Peer(port).open(path)
    peer.sock.setblocking(False)
    burst = frame(TEXT, b"x" * 20) * 2000
    received = sent = 0
    begun()
    start = time.monotonic()
    while (elapsed := time.monotonic() - start) < seconds:
        try:
            sent += peer.sock.send(burst[sent % len(burst) :])
        except BlockingIOError:
            time.sleep(0.001)
        except OSError:
            break
        try:
            received += len(peer.sock.recv(BURST))
        except BlockingIOError:
            pass
    print(f"{received // 22} {elapsed:.2f}", flush=True)


ABUSIVE = "127.0.0.3"
"""Where the handshakes come from: the test itself must not be shut out with them."""


def handshakes(port: int, path: str, number: int) -> None:
    """Begin ``number`` handshakes, one after another, whatever comes of them; print the seconds and the statuses.

    The status is "closed" where the connection was closed without an answer.
    """
    request = handshake(path)
    statuses: dict[bytes, int] = {}
    begun()
    start = time.monotonic()
    for _ in range(number):
        with socket.create_connection(("127.0.0.1", port), source_address=(ABUSIVE, 0)) as sock:
            try:
                sock.sendall(request)
                status = sock.recv(4096)[9:12] or b"closed"
            except (BrokenPipeError, ConnectionResetError):
                status = b"closed"
            statuses[status] = statuses.get(status, 0) + 1
    told = " ".join(f"{status.decode()}:{count}" for status, count in sorted(statuses.items()))
    print(f"{time.monotonic() - start:.2f} {told}", flush=True)


def flood(port: int, path: str, data: bytes, unit: int, seconds: float, rate: float | None) -> None:
    """Send ``data``, over and over, of which ``unit`` bytes count as one; read and drop what comes."""
    peer = Peer(port).open(path)
    peer.sock.setblocking(False)
    begun()
    start = time.monotonic()
    sent = position = 0
    while (elapsed := time.monotonic() - start) < seconds:
        if rate is None or sent / unit < rate * elapsed:
            try:
                count = peer.sock.send(data[position:])
                sent += count
                position = (position + count) % len(data)
            except BlockingIOError:
                time.sleep(0.0005)
        else:
            time.sleep(0.0005)
        try:
            while peer.sock.recv(BURST):
                pass
        except BlockingIOError:
            pass
    print(f"{sent / unit / seconds:.0f}", flush=True)


def pings(port: int, seconds: float, rate: float) -> None:
    """``rate`` empty pings a second; prints how many the server took."""
    one = frame(PING)
    flood(port, "/echo/", one * (BURST // len(one) // 8), len(one), seconds, rate)


def frames(port: int, seconds: float, kind: str, size: int) -> None:
    """``size`` connections that send empty pings, pongs or fragments as fast as they go.

    Prints how many megabytes the server took a second.
    """
    unit = {
        "pings": frame(PING),
        "pongs": frame(PONG),
        "fragments": frame(TEXT, fin=False) + frame(CONTINUATION, fin=False) * 900 + frame(CONTINUATION),
    }[kind]
    data = unit * (BURST // len(unit))
    poll = selectors.DefaultSelector()
    positions: dict[socket.socket, int] = {}
    for _ in range(size):
        peer = Peer(port).open("/echo/")
        peer.sock.setblocking(False)
        positions[peer.sock] = 0
        poll.register(peer.sock, selectors.EVENT_READ | selectors.EVENT_WRITE)
    begun()
    sent, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        for key, events in poll.select(0.01):
            sock = key.fileobj
            assert isinstance(sock, socket.socket)
            if events & selectors.EVENT_WRITE:
                count = sock.send(data[positions[sock] :])
                positions[sock] = (positions[sock] + count) % len(data)
                sent += count
            if events & selectors.EVENT_READ:
                sock.recv(BURST)
    print(f"{sent / seconds / 1e6:.1f}", flush=True)


def upload(port: int, seconds: float, chunk: int) -> None:
    """A body without an end, as fast as it goes; prints how many megabytes the server took a second.

    It is sent in chunks of so many bytes, or whole with 0.
    """
    framing = b"Transfer-Encoding: chunked" if chunk else b"Content-Length: %d" % 10**15
    piece = b"%x\r\n%b\r\n" % (chunk, bytes(chunk)) if chunk else bytes(1)
    with Peer(port) as peer:
        peer.send(b"POST /upload/ HTTP/1.1\r\nHost: 127.0.0.1\r\n%b\r\n\r\n" % framing)
        begun()
        data, sent, end = piece * (2**20 // len(piece)), 0, time.monotonic() + seconds
        while time.monotonic() < end:
            sent += peer.sock.send(data)
    print(f"{sent / seconds / 1e6:.0f}", flush=True)


def firehose(port: int, seconds: float, size: int) -> None:
    """Messages of ``size`` bytes as fast as they go to an echo; prints how many the server took a second."""
    one = frame(TEXT, b"x" * size)
    flood(port, "/echo/", one * max(1, BURST // len(one)), len(one), seconds, None)


def deflated(payload: bytes) -> bytes:
    """A compressed message."""
    compressor = zlib.compressobj(9, wbits=-15)
    data = (compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]
    one = frame(BINARY, data)
    return bytes([one[0] | 0x40]) + one[1:]


def inflating(port: int, count: int, seconds: float, size: int, rate: float) -> None:
    """``count`` connections, each of which sends ``rate`` messages a second that inflate to ``size`` zeros.

    Ends when the server has closed all. Prints the close codes.
    """
    one = deflated(bytes(size))
    codes: list[int] = []
    peers = {Inflating(port) for _ in range(count)}
    begun()
    end = time.monotonic() + seconds
    while peers and time.monotonic() < end:
        for peer in list(peers):
            if (code := peer.flood(one, rate)) is not None:
                codes.append(code)
                peers.remove(peer)
        time.sleep(0.002)
    print(*codes, flush=True)


class Inflating:
    """One connection of :func:`inflating`."""

    def __init__(self, port: int) -> None:
        peer = Peer(port).open("/echo/", "Sec-WebSocket-Extensions: permessage-deflate")
        self.sock = peer.sock
        self.sock.setblocking(False)
        self._start = time.monotonic()
        self._sent = 0
        self._rest = b""
        self._received = peer.buffer

    def flood(self, one: bytes, rate: float) -> int | None:
        """Send what is due and drop what comes; returns the code once the server has closed."""
        try:
            while self._rest or self._sent < rate * (time.monotonic() - self._start):
                if not self._rest:
                    self._rest = one
                    self._sent += 1
                self._rest = self._rest[self.sock.send(self._rest) :]
        except BlockingIOError:
            pass
        except OSError:
            return close_code(self._received)
        try:
            while data := self.sock.recv(BURST):
                self._received = self._received[-200:] + data
            return close_code(self._received)
        except BlockingIOError:
            return None
        except OSError:
            return close_code(self._received)


def close_code(data: bytes) -> int:
    """The code of the close frame that ``data`` ends with; 1006 if there is none."""
    at = data.rfind(b"\x88")
    return int.from_bytes(data[at + 2 : at + 4], "big") if at >= 0 else 1006


def idle(port: int, path: str) -> None:
    """One websocket that answers pings, until this process is stopped or the server drops it."""
    peer = Peer(port)
    peer.send(handshake(path))
    assert peer.head()[0] == 101
    peer.sock.settimeout(None)
    begun()
    try:
        while True:
            received = peer.frame()
            if received.opcode == PING:
                peer.send(frame(PONG, received.payload))
    except (EOFError, ConnectionError):
        pass


def fanout(port: int, size: int, seconds: float) -> None:
    """``size`` members of a group, of whom one says something whenever all have received what it said before.

    Prints how many deliveries there were a second.
    """
    available_descriptors()
    poll = selectors.DefaultSelector()
    with crowd(port, "/room/?group=large", size) as peers:
        for peer in peers:
            peer.sock.setblocking(False)
            poll.register(peer.sock, selectors.EVENT_READ)
        message = frame(TEXT, b"x" * 100)
        begun()
        start = time.monotonic()
        delivered = 0
        while (elapsed := time.monotonic() - start) < seconds:
            peers[0].sock.send(message)
            left = size * (len(message) - 4)  # a server masks nothing
            while left > 0:
                ready = poll.select(20)
                assert ready, f"{left} bytes did not come"
                for key, _ in ready:
                    sock = key.fileobj
                    assert isinstance(sock, socket.socket)
                    left -= len(sock.recv(BURST))
            delivered += size
    print(f"{delivered / elapsed:.0f}", flush=True)


def main() -> None:
    kind, *arguments = sys.argv[1:]
    port = int(arguments[0])
    attacks: dict[str, Callable[[], None]] = {
        "loris": lambda: loris(port, int(arguments[1])),
        "pings": lambda: pings(port, float(arguments[1]), float(arguments[2])),
        "messages": lambda: messages(port, arguments[1], float(arguments[2])),
        "handshakes": lambda: handshakes(port, arguments[1], int(arguments[2])),
        "frames": lambda: frames(port, float(arguments[1]), arguments[2], int(arguments[3])),
        "upload": lambda: upload(port, float(arguments[1]), int(arguments[2])),
        "firehose": lambda: firehose(port, float(arguments[1]), int(arguments[2])),
        "inflating": lambda: inflating(
            port, int(arguments[1]), float(arguments[2]), int(arguments[3]), float(arguments[4])
        ),
        "fanout": lambda: fanout(port, int(arguments[1]), float(arguments[2])),
        "idle": lambda: idle(port, arguments[1]),
    }
    attacks[kind]()


if __name__ == "__main__":
    main()
