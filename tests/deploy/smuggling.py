"""Attacks on a proxy and a server that disagree on where a request ends.

Each hides a request, :func:`hidden`, where only one of the two might see it. The corpora of the server's own tests are
among them. Kettle is "HTTP Desync Attacks" (2019) and "HTTP/1.1 must die" (2025).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tests.handshake_corpus import CASES as HANDSHAKES
from tests.handshake_corpus import KEY
from tests.serving.http.corpus import ACCEPTED, BODIES, HEADS

__all__ = ["ATTACKS", "Attack"]


@dataclass(frozen=True)
class Attack:
    """Bytes to send; in them, ``NUMBER`` stands for the attack's own number, which keeps the paths apart."""

    name: str
    raw: bytes

    def wire(self, number: int) -> bytes:
        """With a number of its own, whose length doesn't change any length in the attack."""
        return self.raw.replace(b"NUMBER", b"%06d" % number)


def request(
    *lines: bytes, method: bytes = b"POST", version: bytes = b"HTTP/1.1", path: bytes = b"/seen/own-NUMBER/"
) -> bytes:
    return b"\r\n".join([b" ".join((method, path, version)), b"Host: localhost", *lines, b"", b""])


def hidden(*lines: bytes) -> bytes:
    """The request that nobody but its writer should take for one."""
    return request(*lines, method=b"GET", path=b"/seen/hidden-NUMBER/")


FORGED = b"X-Forwarded-For: 6.6.6.6"
HIDDEN = hidden(FORGED)
CHUNKED = b"Transfer-Encoding: chunked"
LAST = b"0\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def length(body: bytes) -> bytes:
    return b"Content-Length: %d" % len(body)


#: Transfer-Encoding in spellings that one parser takes for chunked, and another for something else or nothing.
SPELLINGS: dict[str, tuple[bytes, ...]] = {
    "plain": (CHUNKED,),
    "case": (b"transfer-ENCODING: cHuNkEd",),
    "no-space": (b"Transfer-Encoding:chunked",),
    "tab": (b"Transfer-Encoding:\tchunked",),
    "spaces-behind": (b"Transfer-Encoding: chunked \t",),
    "space-colon": (b"Transfer-Encoding : chunked",),
    "tab-colon": (b"Transfer-Encoding\t: chunked",),
    "leading-space": (b"X: y", b" Transfer-Encoding: chunked"),
    "obs-fold": (b"Transfer-Encoding:", b" chunked"),
    "obs-fold-tab": (b"Transfer-Encoding:", b"\tchunked"),
    "obs-fold-name": (b"X: y", b" \tTransfer-Encoding: chunked"),
    "vt": (b"Transfer-Encoding: \x0bchunked",),
    "ff": (b"Transfer-Encoding: chunked\x0c",),
    "nul": (b"Transfer-Encoding: chunked\x00",),
    "nbsp": (b"Transfer-Encoding: \xa0chunked",),
    "quoted": (b'Transfer-Encoding: "chunked"',),
    "comma": (b"Transfer-Encoding: ,chunked",),
    "comma-behind": (b"Transfer-Encoding: chunked,",),
    "parameter": (b"Transfer-Encoding: chunked;q=1",),
    "prefix": (b"Transfer-Encoding: xchunked",),
    "suffix": (b"Transfer-Encoding: chunkedx",),
    "identity": (b"Transfer-Encoding: identity",),
    "identity-list": (b"Transfer-Encoding: identity, chunked",),
    "list-identity": (b"Transfer-Encoding: chunked, identity",),
    "gzip-list": (b"Transfer-Encoding: gzip, chunked",),
    "twice": (CHUNKED, CHUNKED),
    "twice-identity": (CHUNKED, b"Transfer-Encoding: identity"),
    "identity-twice": (b"Transfer-Encoding: identity", CHUNKED),
    "twice-unknown": (CHUNKED, b"Transfer-encoding: x"),
    "underscore": (b"Transfer_Encoding: chunked",),
    "bare-lf": (b"X: y\nTransfer-Encoding: chunked",),
    "bare-cr": (b"X: y\rTransfer-Encoding: chunked",),
    "empty": (b"Transfer-Encoding:",),
    "hop-by-hop": (CHUNKED, b"Connection: Transfer-Encoding"),
    "te": (b"TE: chunked", CHUNKED),
}

#: Content-Length of which readers make different numbers. %d is the right one.
LENGTHS: dict[str, tuple[bytes, ...]] = {
    "list": (b"Content-Length: %d, %d",),
    "list-zero": (b"Content-Length: 0, %d",),
    "list-zero-behind": (b"Content-Length: %d, 0",),
    "twice": (b"Content-Length: %d", b"Content-Length: %d"),
    "twice-zero": (b"Content-Length: 0", b"Content-Length: %d"),
    "twice-zero-behind": (b"Content-Length: %d", b"Content-Length: 0"),
    "plus": (b"Content-Length: +%d",),
    "minus": (b"Content-Length: -%d",),
    "hex": (b"Content-Length: 0x%x",),
    "zeros": (b"Content-Length: 000%d",),
    "space-inside": (b"Content-Length: %d 0",),
    "space-colon": (b"Content-Length : %d",),
    "leading-space": (b"X: y", b" Content-Length: %d"),
    "obs-fold": (b"Content-Length:", b" %d"),
    "decimal": (b"Content-Length: %d.0",),
    "underscore": (b"Content_Length: %d",),
    "vt": (b"Content-Length: \x0b%d",),
    "nul": (b"Content-Length: %d\x00",),
    "bare-lf": (b"X: y\nContent-Length: %d",),
    "bare-cr": (b"X: y\rContent-Length: %d",),
    "overflow": (b"Content-Length: 18446744073709551616",),
    "empty": (b"Content-Length:",),
    "hop-by-hop": (b"Content-Length: %d", b"Connection: Content-Length"),
}


def of_codings() -> list[Attack]:
    """CL.TE, TE.CL and TE.TE."""
    found = []
    for name, lines in SPELLINGS.items():
        ends_early = LAST + HIDDEN
        found.append(Attack(f"CL.TE {name}", request(length(ends_early), *lines) + ends_early))
        found.append(Attack(f"TE.TE {name}", request(*lines) + ends_early))
        # Whoever believes the length takes only the line of the chunk's size.
        size = b"%x\r\n" % len(HIDDEN)
        found.append(Attack(f"TE.CL {name}", request(length(size), *lines) + chunk(HIDDEN) + LAST))
        found.append(Attack(f"TE.0 {name}", request(b"Content-Length: 0", *lines) + chunk(HIDDEN) + LAST))
    return found


def of_lengths() -> list[Attack]:
    found = []
    for name, lines in LENGTHS.items():
        filled = [re.sub(rb"%[dx]", lambda one: one[0] % len(HIDDEN), line) for line in lines]
        for method in (b"POST", b"GET"):
            found.append(Attack(f"{method.decode()} {name}", request(*filled, method=method) + HIDDEN))
    for method in (b"GET", b"HEAD", b"DELETE", b"OPTIONS", b"TRACE"):
        found.append(Attack(f"{method.decode()} with a body", request(length(HIDDEN), method=method) + HIDDEN))
        found.append(Attack(f"{method.decode()} chunked", request(CHUNKED, method=method) + chunk(HIDDEN) + LAST))
    return found


def of_chunks() -> list[Attack]:
    """Sizes, extensions, line ends and trailers in which a chunked body may end early or late."""
    inside = {
        "last-with-zeros": b"0000000\r\n\r\n",
        "last-with-extension": b"0;x=y\r\n\r\n",
        "last-with-space": b"0 \r\n\r\n",
        "last-with-sign": b"-0\r\n\r\n",
        "last-with-prefix": b"0x0\r\n\r\n",
        "last-with-lf": b"0\n\r\n",
        "last-with-two-lfs": b"0\n\n",
        "last-with-crs": b"0\r\r",
        "last-half": b"0\r\n",
        "empty-size": b"\r\n\r\n",
        "extension-lf": b"5;\nxx\r\nhello\r\n0\r\n\r\n",
        "extension-cr": b"5;a\rxx\r\nhello\r\n0\r\n\r\n",
        "extension-quoted-crlf": b'5;a="\r\n\r\n"\r\nhello\r\n0\r\n\r\n',
        "extension-open-quote": b'5;a="\r\nhello\r\n0\r\n\r\n',
        "extension-only": b";x\r\n0\r\n\r\n",
        "size-underscore": b"0_5\r\nhello\r\n0\r\n\r\n",
        "size-prefix": b"0x5\r\nhello\r\n0\r\n\r\n",
        "size-overflow": b"10000000000000005\r\nhello\r\n0\r\n\r\n",
        "size-space": b"5 \r\nhello\r\n0\r\n\r\n",
        "data-lf": b"5\r\nhello\n0\r\n\r\n",
        "data-no-end": b"5\r\nhello0\r\n\r\n",
        "data-long": b"5\r\nhello, world\r\n0\r\n\r\n",
        "data-short": b"a\r\nhello\r\n0\r\n\r\n",
        "trailer": b"0\r\nX: y\r\n\r\n",
        "trailer-length": b"0\r\nContent-Length: 40\r\n\r\n",
        "trailer-coding": b"0\r\nTransfer-Encoding: chunked\r\n\r\n",
        "trailer-fold": b"0\r\nX: y\r\n z\r\n\r\n",
        "trailer-lf": b"0\r\nX: y\n\r\n",
        "trailer-is-a-request": b"0\r\n" + HIDDEN,
    }
    found = [Attack(f"chunks {name}", request(CHUNKED) + body + HIDDEN) for name, body in inside.items()]
    # A second body's worth hidden where an extension goes, for those who count it and those who don't.
    found.append(Attack("chunks in an extension", request(CHUNKED) + b"2;\n" + b"xx\r\n" + chunk(HIDDEN) + LAST))
    found.append(Attack("chunk of a chunked body", request(CHUNKED) + chunk(LAST + HIDDEN) + LAST))
    return found


def of_lines() -> list[Attack]:
    """Heads that end where only some see it."""
    get = request(method=b"GET")
    return [
        Attack("head lf", get.replace(b"\r\n", b"\n") + HIDDEN),
        Attack("head lf at the end", get[:-2] + b"\n" + HIDDEN),
        Attack("head cr at the end", get[:-2] + b"\r" + HIDDEN),
        Attack("head with an early end by lf", request(b"X: y\n\n" + HIDDEN[:-4], method=b"GET")),
        Attack("head with an early end by lf crlf", request(b"X: y\n\r\n" + HIDDEN[:-4], method=b"GET")),
        Attack("head with an early end by cr", request(b"X: y\r\r" + HIDDEN[:-4], method=b"GET")),
        Attack("head with an early end by nul", request(b"X: y\x00\r\n\x00\r\n" + HIDDEN[:-4], method=b"GET")),
        Attack("head with an early end by space", request(b"X: y\r\n \r\n" + HIDDEN[:-4], method=b"GET")),
        Attack("request line with a request", request(method=b"GET", path=b"/seen/own-NUMBER/ HTTP/1.1\n" + HIDDEN)),
        Attack("request line without a version", b"GET /seen/own-NUMBER/\r\n" + HIDDEN),
        Attack("empty lines before", b"\r\n\r\n" + get + b"\r\n" + HIDDEN),
        Attack("absolute form", request(method=b"GET", path=b"http://localhost/seen/own-NUMBER/") + HIDDEN),
        Attack(
            "absolute form of another", request(method=b"GET", path=b"http://evil.example/seen/own-NUMBER/") + HIDDEN
        ),
        Attack("path with an escaped end", request(method=b"GET", path=b"/seen/own-NUMBER/%20HTTP/1.1%0d%0a") + HIDDEN),
        Attack("connection names a header", request(b"Connection: X-Forwarded-For, Host", method=b"GET") + HIDDEN),
    ]


def of_upgrades() -> list[Attack]:
    """A proxy that takes the connection for a tunnel before the server does."""

    def handshake(version: bytes = b"13", *more: bytes, path: bytes = b"/echo/", **options: bytes) -> bytes:
        lines = (b"Upgrade: websocket", b"Connection: Upgrade", b"Sec-WebSocket-Key: " + KEY.encode())
        return request(*lines, b"Sec-WebSocket-Version: " + version, *more, path=path, **{"method": b"GET", **options})

    upgrades = {
        "accepted": handshake(),
        "version": handshake(b"7"),
        "version-777": handshake(b"777"),
        "no view of websockets": handshake(path=b"/seen/own-NUMBER/"),
        "not found": handshake(path=b"/nothing/"),
        "foreign origin": handshake(b"13", b"Origin: http://evil.example"),
        "with a length": handshake(b"13", length(HIDDEN)),
        "with a wrong version and a length": handshake(b"7", length(HIDDEN)),
        "chunked": handshake(b"13", CHUNKED),
        "HTTP/1.0": handshake(version=b"13").replace(b"HTTP/1.1", b"HTTP/1.0", 1),
        "by POST": handshake(method=b"POST"),
        "by HEAD": handshake(method=b"HEAD"),
        "keep-alive": handshake().replace(b"Connection: Upgrade", b"Connection: keep-alive"),
        "and close": handshake().replace(b"Connection: Upgrade", b"Connection: Upgrade, close"),
        "h2c": request(
            b"Upgrade: h2c",
            b"Connection: Upgrade, HTTP2-Settings",
            b"HTTP2-Settings: AAMAAABkAAQAAP__",
            method=b"GET",
        ),
        "another": request(b"Upgrade: tunnel", b"Connection: Upgrade", method=b"GET"),
        "two": handshake().replace(b"Upgrade: websocket", b"Upgrade: h2c, websocket"),
        "an expectation": handshake(b"7", b"Expect: 100-continue", length(HIDDEN)),
    }
    return [Attack(f"upgrade {name}", head + HIDDEN) for name, head in upgrades.items()]


def of_versions_and_expectations() -> list[Attack]:
    found = []
    for line in (b"Connection: keep-alive", b"Connection: Keep-Alive, close", b"Proxy-Connection: keep-alive"):
        old = request(line, method=b"GET", version=b"HTTP/1.0")
        found.append(Attack(f"HTTP/1.0 {line.decode()}", old + HIDDEN))
        body = request(line, length(HIDDEN), version=b"HTTP/1.0")
        found.append(Attack(f"HTTP/1.0 {line.decode()} with a body", body + HIDDEN))
        coded = request(line, CHUNKED, version=b"HTTP/1.0")
        found.append(Attack(f"HTTP/1.0 {line.decode()} chunked", coded + LAST + HIDDEN))
    for path in (b"/seen/own-NUMBER/", b"/nothing/"):
        for expected in (
            b"100-continue",
            b"100-Continue",
            b"y 100-continue",
            b"100-continue, x",
            b"",
            b" \x0b100-continue",
        ):
            lines = (b"Expect: " + expected, length(HIDDEN))
            name = f"Expect {expected!r} at {path.decode()}"
            found.append(Attack(name, request(*lines, path=path) + HIDDEN))
            found.append(Attack(f"GET {name}", request(*lines, path=path, method=b"GET") + HIDDEN))
        found.append(
            Attack(
                f"obs-fold Expect at {path.decode()}",
                request(b"Expect:", b" 100-continue", length(HIDDEN), path=path) + HIDDEN,
            )
        )
        # Bodies that the view leaves alone.
        found.append(Attack(f"short at {path.decode()}", request(length(HIDDEN), path=path) + HIDDEN))
        found.append(Attack(f"large at {path.decode()}", request(length(HIDDEN * 900), path=path) + HIDDEN * 900))
    return found


def of_the_servers_corpora() -> list[Attack]:
    """What the server is tried with alone."""
    found = []
    for kind, case in [*(("refused", case) for case in (*HEADS, *BODIES)), *(("accepted", case) for case in ACCEPTED)]:
        raw = re.sub(rb"Host: a\b", b"Host: localhost", case.raw)
        raw = re.sub(rb" /(read|index)? ", b" /seen/own-NUMBER/ ", raw, count=1)
        found.append(Attack(f"{kind} {case.name}", raw + HIDDEN))
    for handshake in HANDSHAKES:
        lines = [
            f"{name}: {value}".replace("{host}", "localhost").replace("{port}", "80")
            for name, value in handshake.headers
        ]
        head = "\r\n".join([f"{handshake.method} /echo/ {handshake.version}", *lines, "", ""]).encode("latin-1")
        found.append(Attack(f"handshake {handshake.name}", head + handshake.body + HIDDEN))
    return found


ATTACKS = [
    *of_codings(),
    *of_lengths(),
    *of_chunks(),
    *of_lines(),
    *of_upgrades(),
    *of_versions_and_expectations(),
    *of_the_servers_corpora(),
]
