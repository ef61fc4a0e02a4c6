"""Requests to disagree about: well-formed ones, and what a smuggler makes of them.

:func:`mutated` is a function of a seed and a number alone, so any of them can be made again.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.handshake_corpus import CASES, KEY

__all__ = ["HOST", "Mutant", "mutated"]

HOST = b"example.com"

#: Lines that decide where a request ends or what it becomes, in the spellings that parsers disagree on.
FRAMING = (
    *(
        b"Content-Length:" + value
        for value in (
            *(b" 0", b" 5", b" 05", b" +5", b" -5", b" 5 ", b" 5\t", b"5", b"\t5", b" 5, 5", b" 5,6", b" 5 6", b" 0x5"),
            *(b"", b" ", b" 5.0", b" 5e0", b' "5"', b" 5;", b" \xb2", b" 18446744073709551621", b" 5\x00", b" 5\x0b"),
            *(b" 4", b" 6", b" 40", b" 100000", b" 5_0", b" \xa05"),
        )
    ),
    *(
        b"Transfer-Encoding:" + value
        for value in (
            *(
                b" chunked",
                b"chunked",
                b"\tchunked",
                b" Chunked",
                b" chunked ",
                b" chunked,",
                b" ,chunked",
                b" identity",
            ),
            *(b" identity, chunked", b" gzip, chunked", b" chunked, identity", b" chunked, chunked", b' "chunked"'),
            *(
                b" xchunked",
                b" chunked;q=1",
                b" chunked\x00",
                b"\x0bchunked",
                b" \x0cchunked",
                b" chunk",
                b"",
                b" \xa0chunked",
            ),
        )
    ),
    *(b"Transfer-Encoding : chunked", b"Content-Length : 5", b"Transfer_Encoding: chunked", b"Content_Length: 5"),
    *(b" Transfer-Encoding: chunked", b"\tContent-Length: 5", b"Transfer-Encoding\x00: chunked", b"Transfer-Encoding"),
    *(b"X: y\rTransfer-Encoding: chunked", b"X: y\nContent-Length: 5", b"X: y\r\n Transfer-Encoding: chunked"),
    *(b"Transfer-Encoding:\r\n chunked", b"Content-Length:\r\n 5", b"Content-Length\t: 5", b"(Content-Length: 5"),
)
CONTROL = (
    *(
        b"Connection:" + value
        for value in (
            *(b" close", b" keep-alive", b" Upgrade", b" upgrade, close", b" close, upgrade", b" keep-alive, Upgrade"),
            *(
                b" Content-Length",
                b" Transfer-Encoding",
                b" Host",
                b" X-Proxy-Id",
                b"",
                b" ,",
                b" upgrade\x0b",
                b" Upgraded",
            ),
            *(b" Sec-WebSocket-Key", b" upgrade, Upgrade", b' "upgrade"', b" keep-alive, close", b" HTTP2-Settings"),
        )
    ),
    *(
        b"Upgrade:" + value
        for value in (
            *(b" websocket", b" WebSocket", b" h2c", b" websocket, h2c", b" h2c, websocket", b"", b" websocket/13"),
            *(b" TLS/1.0", b" websocket\x00", b" web socket", b"\twebsocket"),
        )
    ),
    *(b"Upgrade : websocket", b"Connection : Upgrade", b"Proxy-Connection: keep-alive", b"Keep-Alive: timeout=9"),
    *(b"Sec-WebSocket-Key: " + KEY.encode(), b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Version: 8"),
    *(b"Sec-WebSocket-Key: x", b"HTTP2-Settings: AAMAAABkAAQAAP__", b"TE: trailers", b"Trailer: Content-Length"),
    *(
        b"Expect:" + value
        for value in (b" 100-continue", b" 100-Continue", b" 100-continue, x", b"", b" 200-ok", b" 100-continue\r\n x")
    ),
    *(
        b"Host:" + value
        for value in (
            *(b" " + HOST, b" evil.example", b"", b" " + HOST + b":80", b" " + HOST + b":99999", b" a b", b" a@b"),
            *(
                b" " + HOST + b", evil.example",
                b" [::1]",
                b" " + HOST + b"/x",
                b" " + HOST + b"#",
                b" \xe9",
                b" a\x00b",
            ),
        )
    ),
    *(b"Host : " + HOST, b" Host: evil.example", b"X-Forwarded-Host: evil.example", b"X-HTTP-Method-Override: PUT"),
    *(
        b": empty",
        b"No colon",
        b"X\x00Y: z",
        b"X Y: z",
        b"X: " + b"y" * 5000,
        b"X-Proxy-Id: forged",
        b"X_Proxy_Id: forged",
    ),
)
METHODS = (
    b"GET",
    b"POST",
    b"HEAD",
    b"PUT",
    b"OPTIONS",
    b"TRACE",
    b"DELETE",
    b"get",
    b"G\x00T",
    b"CONNECT",
    b"PRI",
    b"",
    b"G(T",
)
TARGETS = (
    *(
        b"/%s",
        b"http://example.com/%s",
        b"http://evil.example/%s",
        b"http://example.com",
        b"*",
        b"%s",
        b"//%s",
        b"/%s#x",
    ),
    *(
        b"/%s?a=b HTTP/1.1",
        b"/%s\t",
        b"/%%2e%%2e/%s",
        b"/a/../%s",
        b"/%s\x00",
        b"/%s\xe9",
        b"/%%00%s",
        b"https://example.com/%s",
    ),
    *(
        b"example.com:443",
        b"ftp://example.com/%s",
        b"http://u@example.com/%s",
        b"/%s;x=y",
        b"\\%s",
        b"/%s?\\",
        b"HTTP://example.com/%s",
    ),
)
VERSIONS = (
    *(
        b"HTTP/1.1",
        b"HTTP/1.0",
        b"HTTP/1.2",
        b"HTTP/2.0",
        b"HTTP/0.9",
        b"HTTP/11",
        b"http/1.1",
        b"HTTP/1.1 ",
        b"HTTP/1.1\t",
    ),
    *(b"HTTP/01.1", b"HTTP/1.10", b"", b"HTTP/1.1x", b"HTTP /1.1", b"HTTP/1", b"HTTP/1.1\x0b", b"ICY/1.1"),
)
ODD_BYTES = (
    b"\x00",
    b"\t",
    b"\n",
    b"\r",
    b"\x0b",
    b"\x0c",
    b" ",
    b"  ",
    b"\x7f",
    b"\x85",
    b"\xa0",
    b"\xff",
    b",",
    b";",
    b":",
    b'"',
    b"_",
)
ENDS = (b"\r\n", b"\n", b"\r", b"\r\r\n", b"\n\r", b" \r\n", b"\r\n\r\n", b"\x00\r\n")
SIZES = (
    *(
        b"%x",
        b"0%x",
        b"0x%x",
        b"+%x",
        b"-%x",
        b" %x",
        b"%x ",
        b"%x\t",
        b"%x;",
        b"%x;a",
        b"%x;a=b",
        b'%x;a="b;c"',
        b"%x ;a",
        b"%x; a",
    ),
    *(
        b'%x;a="\r\n',
        b"%x;a=\n",
        b"%x\n",
        b"%x\r",
        b"%x;a\x00",
        b"%x;\xe9",
        b"fffffffffffffff%x",
        b"10000000000000000%x",
        b"%x\x0b",
    ),
    *(b"%x;a=" + b"b" * 3000, b"%x,", b"%x.0", b"_%x", b"%x;=", b"%x;a=b=c", b"", b"00000000000000000%x"),
)
TRAILERS = (
    *(b"", b"X: y\r\n", b"Content-Length: 5\r\n", b"Host: evil.example\r\n", b" folded: x\r\n", b"X : y\r\n", b"X\r\n"),
    *(
        b"X: y\n",
        b"Transfer-Encoding: chunked\r\n",
        b"X: \x00\r\n",
        b"\r",
        b"\n",
        b"GET / HTTP/1.1\r\n",
        b"X: y\r\n\r\n",
    ),
)


@dataclass
class Mutant:
    """One request as it is put on the wire, in parts."""

    number: int
    method: bytes = b"GET"
    target: bytes = b""
    version: bytes = b"HTTP/1.1"
    lines: list[bytes] = field(default_factory=list)
    ends: dict[int, bytes] = field(default_factory=dict)
    """Line ends other than CRLF, by the number of their line; -1 is the empty one."""
    before: bytes = b""
    body: bytes = b""

    @property
    def path(self) -> bytes:
        return b"case-%d/" % self.number

    @property
    def smuggled(self) -> bytes:
        """A request that nobody but the writer of this body knows of."""
        return b"GET /smuggled-%d/ HTTP/1.1\r\nHost: %b\r\n\r\n" % (self.number, HOST)

    def wire(self) -> bytes:
        first = (
            b" ".join((self.method, self.target, self.version)) if self.version else self.method + b" " + self.target
        )
        lines = [first, *self.lines]
        head = b"".join(line + self.ends.get(number, b"\r\n") for number, line in enumerate(lines))
        return self.before + head + self.ends.get(-1, b"\r\n") + self.body


def chunked(*pieces: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


HANDSHAKE = [
    b"Upgrade: websocket",
    b"Connection: Upgrade",
    b"Sec-WebSocket-Key: " + KEY.encode(),
    b"Sec-WebSocket-Version: 13",
]


def seed(number: int, chance: random.Random) -> Mutant:
    """A well-formed request of one of the kinds that a server meets."""
    mutant = Mutant(number, lines=[b"Host: " + HOST])
    mutant.target = b"/" + mutant.path
    kind = chance.randrange(9)
    if kind in (0, 1):
        mutant.method = b"POST"
        mutant.body = chance.choice((b"hello", mutant.smuggled, b""))
        mutant.lines.append(b"Content-Length: %d" % len(mutant.body))
    elif kind in (2, 3):
        mutant.method = b"POST"
        mutant.body = chance.choice((chunked(b"hello"), chunked(b"he", b"llo"), chunked(mutant.smuggled), chunked()))
        mutant.lines.append(b"Transfer-Encoding: chunked")
    elif kind in (4, 5):
        mutant.lines += HANDSHAKE
        mutant.body = chance.choice((b"", b"", mutant.smuggled, b"\x81\x80\x00\x00\x00\x00"))
    elif kind == 6:
        case = chance.choice(CASES)
        mutant.method, mutant.version = case.method.encode(), case.version.encode()
        mutant.lines = [
            f"{name}: {value}".replace("{host}", HOST.decode()).replace("{port}", "80").encode("latin-1")
            for name, value in case.headers
        ]
        mutant.body = case.body
    elif kind == 7:
        mutant.method = b"POST"
        mutant.lines += [b"Expect: 100-continue", b"Content-Length: 5"]
        mutant.body = b"hello"
    return mutant


def framing(mutant: Mutant, chance: random.Random) -> None:
    """Another line that says where the body ends, and perhaps a body to go with it."""
    mutant.lines.insert(chance.randrange(len(mutant.lines) + 1), chance.choice(FRAMING))
    if chance.random() < 0.5:
        mutant.body = chance.choice(
            (b"hello", chunked(mutant.smuggled), b"0\r\n\r\n" + mutant.smuggled, mutant.smuggled)
        )


def control(mutant: Mutant, chance: random.Random) -> None:
    mutant.lines.insert(chance.randrange(len(mutant.lines) + 1), chance.choice(CONTROL))


def another_control(mutant: Mutant, chance: random.Random) -> None:
    if mutant.lines:
        mutant.lines[chance.randrange(len(mutant.lines))] = chance.choice((*CONTROL, *FRAMING))


def handshake(mutant: Mutant, chance: random.Random) -> None:
    """What makes a websocket, beside whatever else there is."""
    mutant.lines += HANDSHAKE


def twice(mutant: Mutant, chance: random.Random) -> None:
    if mutant.lines:
        mutant.lines.insert(chance.randrange(len(mutant.lines)), chance.choice(mutant.lines))


def dropped(mutant: Mutant, chance: random.Random) -> None:
    if mutant.lines:
        del mutant.lines[chance.randrange(len(mutant.lines))]


def shuffled(mutant: Mutant, chance: random.Random) -> None:
    chance.shuffle(mutant.lines)


def folded(mutant: Mutant, chance: random.Random) -> None:
    if mutant.lines:
        index = chance.randrange(len(mutant.lines))
        line = mutant.lines[index]
        cut = chance.randrange(len(line) + 1)
        mutant.lines[index] = line[:cut] + b"\r\n" + chance.choice((b" ", b"\t", b"  ", b"\x0b", b"")) + line[cut:]


def odd_byte(mutant: Mutant, chance: random.Random) -> None:
    """Somewhere in a line, most often where a name or a value begins or ends."""
    if mutant.lines:
        index = chance.randrange(len(mutant.lines))
        line = mutant.lines[index]
        colon = line.find(b":")
        cut = chance.choice((0, max(colon, 0), colon + 1, len(line), chance.randrange(len(line) + 1)))
        kept = cut + (chance.random() < 0.2)
        mutant.lines[index] = line[:cut] + chance.choice(ODD_BYTES) + line[kept:]


def changed_byte(mutant: Mutant, chance: random.Random) -> None:
    if mutant.lines:
        index = chance.randrange(len(mutant.lines))
        line = bytearray(mutant.lines[index] or b"x")
        line[chance.randrange(len(line))] = chance.randrange(256)
        mutant.lines[index] = bytes(line)


def other_case(mutant: Mutant, chance: random.Random) -> None:
    if mutant.lines:
        index = chance.randrange(len(mutant.lines))
        mutant.lines[index] = mutant.lines[index].swapcase()


def line_end(mutant: Mutant, chance: random.Random) -> None:
    mutant.ends[chance.randrange(-1, len(mutant.lines) + 1)] = chance.choice(ENDS)


def request_line(mutant: Mutant, chance: random.Random) -> None:
    what = chance.randrange(3)
    if what == 0:
        mutant.method = chance.choice(METHODS)
    elif what == 1:
        target = chance.choice(TARGETS)
        mutant.target = target % mutant.path if b"%s" in target else target
    else:
        mutant.version = chance.choice(VERSIONS)


def before(mutant: Mutant, chance: random.Random) -> None:
    mutant.before = chance.choice(
        (b"\r\n", b"\n", b"\r\n\r\n", b" ", b"\r", b"\x00", b"0\r\n\r\n", b"PROXY TCP4 1.2.3.4 1.2.3.4 1 1\r\n")
    )


def chunks(mutant: Mutant, chance: random.Random) -> None:
    """A chunked body whose sizes, ends or trailers are in doubt."""
    if not any(b"chunked" in line.lower() for line in mutant.lines):
        mutant.lines.append(b"Transfer-Encoding: chunked")
        mutant.lines = [line for line in mutant.lines if not line.lower().startswith(b"content-length")]
        mutant.method = b"POST"
    body = b""
    for piece in (b"hello", mutant.smuggled)[: chance.randrange(3)]:
        size = chance.choice(SIZES) if chance.random() < 0.6 else b"%x"
        wrong = chance.choice((0, 0, 0, 0, 1, -1, 2))
        body += size.replace(b"%x", b"%x" % (len(piece) + wrong))
        body += chance.choice(ENDS) if chance.random() < 0.15 else b"\r\n"
        body += piece + (chance.choice((b"", *ENDS)) if chance.random() < 0.15 else b"\r\n")
    last = chance.choice(SIZES).replace(b"%x", b"0") if chance.random() < 0.3 else b"0"
    body += last + (chance.choice(ENDS) if chance.random() < 0.15 else b"\r\n") + chance.choice(TRAILERS)
    mutant.body = body + (chance.choice((b"", *ENDS)) if chance.random() < 0.15 else b"\r\n")


def wrong_length(mutant: Mutant, chance: random.Random) -> None:
    cut = chance.choice((1, 2, 5))
    mutant.body = mutant.body[:-cut] if chance.random() < 0.5 else mutant.body + b"x" * cut


MUTATIONS: tuple[Callable[[Mutant, random.Random], None], ...] = (
    *(framing, framing, framing, control, control, another_control, handshake, twice, dropped, shuffled, folded),
    *(odd_byte, odd_byte, changed_byte, other_case, line_end, request_line, before, chunks, chunks, wrong_length),
)


def mutated(number: int, seed_number: int) -> Mutant:
    """The ``number``-th request of the run that began with ``seed_number``."""
    chance = random.Random(f"{seed_number}/{number}")
    mutant = seed(number, chance)
    for mutate in chance.choices(MUTATIONS, k=chance.choice((0, 1, 1, 1, 2, 2, 3, 4))):
        mutate(mutant, chance)
    return mutant
