"""What the clients of a soak do, and do wrong.

Each function is one client from its beginning to its end, and all that is random in it comes from ``chance``.
"""

from __future__ import annotations

import random
import signal
import time
import zlib
from collections.abc import Callable

from tests.deadlines import deadline

from .peer import PING, TEXT, Peer, close_frame, frame, handshake
from .served import Served, attack

__all__ = ["FAULTS", "Fault"]

PATHS = ["/hello/", "/nowhere/", "/plain_query/", "/echo/", "/slow_response/?seconds=0.1"]

Fault = Callable[[Served, random.Random], None]
FAULTS: list[tuple[int, Fault]] = []


def fault(weight: int) -> Callable[[Fault], Fault]:
    """Register something that a client does, ``weight`` times as often as others."""

    def register(function: Fault) -> Fault:
        FAULTS.append((weight, function))
        return function

    return register


@fault(20)
def echo(served: Served, chance: random.Random) -> None:
    extension = ["Sec-WebSocket-Extensions: permessage-deflate"] if chance.random() < 0.3 else []
    with served.open("/witness/", *extension) as peer:
        for _ in range(chance.randrange(10)):
            text = "x" * chance.choice((0, 10, 1000, 30_000))
            peer.send_text(text)
            if not extension:
                assert peer.text() == text
        peer.send(close_frame())
        peer.gone()


@fault(5)
def http(served: Served, chance: random.Random) -> None:
    with served.peer() as peer:
        for path in chance.choices(PATHS, k=4):
            peer.get(path)


@fault(10)
def reset(served: Served, chance: random.Random) -> None:
    path = chance.choice(["/echo/", "/push/", "/queries/", "/in_atomic/", "/sends_from_many/", "/leaves_greenlet/"])
    peer = served.open(path)
    peer.send_text("SELECT 1")
    time.sleep(chance.choice((0, 0, 0.05)))
    peer.reset()


@fault(5)
def reset_early(served: Served, chance: random.Random) -> None:
    request = handshake("/echo/")
    peer = served.peer()
    peer.send(request[: chance.randrange(len(request) + 1)])
    peer.reset()


@fault(5)
def half_close(served: Served, chance: random.Random) -> None:
    with served.open(chance.choice(["/echo/", "/queries/", "/witness/"])) as peer:
        peer.sock.shutdown(1)
        peer.gone()


@fault(8)
def garbage(served: Served, chance: random.Random) -> None:
    with served.open("/witness/") as peer:
        peer.send_text("in order")
        peer.send(chance.randbytes(chance.randrange(1, 2000)))
        peer.sock.shutdown(1)
        peer.gone()


@fault(5)
def garbage_early(served: Served, chance: random.Random) -> None:
    with served.peer() as peer:
        peer.send(chance.randbytes(chance.randrange(1, 2000)))
        peer.sock.shutdown(1)
        peer.gone()


@fault(2)
def slow_reader(served: Served, chance: random.Random) -> None:
    with served.open("/push/", receive_buffer=4096) as peer:
        time.sleep(1.5)
        peer.gone()


@fault(2)
def frozen(served: Served, chance: random.Random) -> None:
    with served.open("/witness/"):
        time.sleep(3)


@fault(2)
def half_done(served: Served, chance: random.Random) -> None:
    with served.peer() as peer:
        peer.send(handshake("/echo/")[:50])
        time.sleep(1.5)
        peer.gone()


ENDS = ("SystemExit", "KeyboardInterrupt")
"""What must not end the server."""


@fault(8)
def wrong_view(served: Served, chance: random.Random) -> None:
    names = ["raises", "rubbish", "closes_twice", "sends_after_close", "leaves_greenlet", "sends_from_many"]
    paths = [*(f"/{name}/" for name in names), *(f"/ends/?kind={kind}" for kind in ENDS)]
    with served.open(chance.choice(paths)) as peer:
        peer.send_text("go")
        peer.gone()


@fault(3)
def wrong_early(served: Served, chance: random.Random) -> None:
    with served.peer() as peer:
        paths = ["/raises_early/", "/rubbish_early/", "/nowhere/", *(f"/ends_early/?kind={kind}" for kind in ENDS)]
        peer.send(handshake(chance.choice(paths)))
        assert peer.head()[0] in (404, 500)


@fault(8)
def database(served: Served, chance: random.Random) -> None:
    with served.open(chance.choice(["/query_loop/", "/queries/"])) as peer:
        for _ in range(3):
            peer.send_text(chance.choice(["SELECT 1", "SELECT 2", "SELECT nonsense"]))
            if peer.message().opcode != TEXT:
                return
            time.sleep(chance.choice((0, 0.3)))


@fault(4)
def session(served: Served, chance: random.Random) -> None:
    with served.peer() as browser:
        _, headers, _ = browser.get(f"/log_in/?name=user{chance.randrange(20)}")
        cookie = headers["set-cookie"].partition(";")[0]
        with served.open("/member/", f"Cookie: {cookie}") as peer:
            peer.text()
            if chance.random() < 0.5:
                status, _, _ = browser.get("/log_out/", f"Cookie: {cookie}")
                assert status == 200, status
                code = peer.closing()
                assert code == 4401, code


@fault(8)
def room(served: Served, chance: random.Random) -> None:
    """A member of a group, which may have had enough of it, or not read what it is sent."""
    with served.open(f"/room/?group=soak.{chance.randrange(3)}") as peer:
        for number in range(chance.randrange(5)):
            text = f"{chance.random()} {number} " + "x" * chance.choice((0, 100, 20_000))
            peer.send_text(text)
            if chance.random() < 0.7:
                while peer.message().payload != text.encode():
                    pass
        if chance.random() < 0.5:
            peer.reset()
        else:
            peer.send(close_frame())
            peer.gone()


@fault(2)
def flood(served: Served, chance: random.Random) -> None:
    with served.open("/echo/") as peer:
        peer.sock.settimeout(2)
        try:
            peer.send(frame(PING) * 20_000)
            peer.send(frame(TEXT, b"x" * 100) * 2_000)
        except OSError:  # nothing of the echo is read, so it may have had enough of us
            pass


@fault(1)
def frozen_process(served: Served, chance: random.Random) -> None:
    """A client that is stopped for a while, and goes on."""
    with attack("idle", served.port, chance.choice(["/echo/", "/push/"])) as client:
        client.send_signal(signal.SIGSTOP)
        time.sleep(chance.choice((0.5, 3)))
        client.send_signal(signal.SIGCONT)


@fault(2)
def half_open(served: Served, chance: random.Random) -> None:
    """A client that says nothing more, not even a FIN, until the server has dropped it."""
    with served.peer() as peer:
        peer.send(chance.choice([b"", b"\r\n", b"GET", handshake("/echo/")]))
        time.sleep(deadline(5))
        peer.reset()


@fault(2)
def handshake_flood(served: Served, chance: random.Random) -> None:
    """Many at once, which don't wait for an answer."""
    request = handshake("/echo/")
    peers: list[Peer] = []
    try:
        for _ in range(chance.choice((20, 100))):
            peers.append(served.peer())
            peers[-1].send(request[: chance.choice((len(request), len(request), 40))])
    finally:
        for peer in peers:
            peer.reset() if chance.random() < 0.5 else peer.sock.close()


@fault(3)
def aborted_upload(served: Served, chance: random.Random) -> None:
    """A body that ends too early, with its view waiting for it."""
    chunked = chance.random() < 0.5
    framing = "Transfer-Encoding: chunked" if chunked else "Content-Length: 1000000"
    with served.peer() as peer:
        peer.send(f"POST /upload/ HTTP/1.1\r\nHost: 127.0.0.1\r\n{framing}\r\n\r\n".encode())
        for _ in range(chance.randrange(4)):
            piece = chance.randbytes(chance.choice((1, 1000, 50_000)))
            peer.send(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
        if chance.random() < 0.5:
            peer.reset()
        elif chance.random() < 0.5:
            peer.send(b"nonsense\r\n")
            peer.sock.shutdown(1)
            peer.gone()


@fault(1)
def compressed_flood(served: Served, chance: random.Random) -> None:
    """A little on the wire, and much in memory."""
    compressor = zlib.compressobj(wbits=-15)
    bomb = (compressor.compress(bytes(chance.choice((100_000, 2**20)))) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]
    with served.open("/busy/?seconds=0.1", "Sec-WebSocket-Extensions: permessage-deflate") as peer:
        peer.sock.settimeout(5)
        try:
            for _ in range(chance.choice((5, 50))):
                peer.send(frame(TEXT | 0x40, bomb))
        except OSError:  # it may have had enough of us
            pass
        peer.reset()


@fault(1)
def blocking_view(served: Served, chance: random.Random) -> None:
    """A view that holds up the whole process, though for less than any deadline."""
    served.get(f"/blocks/?seconds={chance.choice((0.05, 0.3))}")
