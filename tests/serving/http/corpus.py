"""Requests that servers have been fooled by. Each has one answer, and then the connection ends.

A case is an id, the bytes, the status, and where that comes from: a clause of RFC 9112 (unless it says RFC
9110 or another), an advisory about a server that took it, or "Kettle 2019", which is "HTTP Desync Attacks:
Request Smuggling Reborn". CVE-2019-16785 to -16792, CVE-2022-24761: waitress. CVE-2020-8287, CVE-2021-22959,
CVE-2022-32213 to -32215, CVE-2023-30589: Node.js. CVE-2019-16276, CVE-2023-39326, CVE-2025-22871: Go.
CVE-2019-16869, CVE-2020-7238, CVE-2025-58056: netty. CVE-2023-38697: falcon. CVE-2024-1135: gunicorn.
CVE-2025-43859: h11. CVE-2025-58068: eventlet."""

from __future__ import annotations

from typing import NamedTuple


class Case(NamedTuple):
    name: str
    raw: bytes
    status: int
    source: str


SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
"""What an attacker hides behind the request: the tests fail if it is ever answered."""


def _get(*lines: bytes, target: bytes = b"/", version: bytes = b"HTTP/1.1", method: bytes = b"GET") -> bytes:
    return b"\r\n".join([b" ".join((method, target, version)), *lines, b"", b""])


def _post(*lines: bytes, body: bytes = b"") -> bytes:
    return _get(b"Host: a", *lines, target=b"/read", method=b"POST") + body


def _chunked(body: bytes) -> bytes:
    return _post(b"Transfer-Encoding: chunked", body=body)


_CL_TE = b"Content-Length: 4", b"Transfer-Encoding: chunked"

HEADS: list[Case] = [
    # Two lengths
    Case("cl-te", _post(*_CL_TE, body=b"0\r\n\r\n"), 400, "6.1; Kettle 2019, CL.TE"),
    Case("te-cl", _post(*reversed(_CL_TE), body=b"0\r\n\r\n"), 400, "6.1; Kettle 2019, TE.CL"),
    Case("cl-0-te", _post(b"Content-Length: 0", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"), 400, "6.1"),
    Case("cl-te-identity", _post(b"Content-Length: 4", b"Transfer-Encoding: identity", body=b"abcd"), 400, "6.1"),
    Case(
        "cl-twice", _post(b"Content-Length: 4", b"Content-Length: 4", body=b"abcd"), 400, "6.3, item 5; CVE-2019-16792"
    ),
    Case("cl-conflict", _post(b"Content-Length: 4", b"Content-Length: 0", body=b"abcd"), 400, "6.3, item 5"),
    Case("cl-list", _post(b"Content-Length: 4, 4", body=b"abcd"), 400, "6.3, item 5; CVE-2019-16792"),
    Case("cl-list-conflict", _post(b"Content-Length: 0, 4", body=b"abcd"), 400, "6.3, item 5"),
    Case("cl-plus", _post(b"Content-Length: +4", body=b"abcd"), 400, "RFC 9110, 8.6; CVE-2022-24761, CVE-2023-38697"),
    Case("cl-minus", _post(b"Content-Length: -4", body=b"abcd"), 400, "RFC 9110, 8.6"),
    Case("cl-hex", _post(b"Content-Length: 0x4", body=b"abcd"), 400, "RFC 9110, 8.6; CVE-2022-24761, CVE-2023-38697"),
    Case(
        "cl-underscore",
        _post(b"Content-Length: 1_0", body=b"abcdefghij"),
        400,
        "RFC 9110, 8.6; CVE-2022-24761: Python's int()",
    ),
    Case("cl-space", _post(b"Content-Length: 4 4", body=b"abcd"), 400, "RFC 9110, 8.6; CVE-2018-7159"),
    Case("cl-empty", _post(b"Content-Length:"), 400, "RFC 9110, 8.6"),
    Case("cl-decimal", _post(b"Content-Length: 4.0", body=b"abcd"), 400, "RFC 9110, 8.6"),
    Case("cl-quoted", _post(b'Content-Length: "4"', body=b"abcd"), 400, "RFC 9110, 8.6"),
    Case("cl-arabic-digit", _post("Content-Length: ٤".encode(), body=b"abcd"), 400, "RFC 9110, 8.6: str.isdigit()"),
    Case("cl-superscript", _post(b"Content-Length: \xb2", body=b"ab"), 400, "RFC 9110, 8.6: isdigit() of latin-1"),
    Case(
        "cl-overflow",
        _post(b"Content-Length: 18446744073709551620", body=b"abcd"),
        400,
        "RFC 9110, 8.6: 4 in 64 bits",
    ),
    Case("cl-digits", _post(b"Content-Length: " + b"9" * 5000), 400, "CVE-2020-10735: int() of many digits"),
    # Transfer codings
    Case("te-1.0", _get(b"Transfer-Encoding: chunked", method=b"POST", version=b"HTTP/1.0"), 400, "6.1"),
    Case("te-unknown", _post(b"Transfer-Encoding: x-custom"), 501, "6.1"),
    Case("te-identity", _post(b"Transfer-Encoding: identity"), 501, "6.1; removed by RFC 7230"),
    Case("te-xchunked", _post(b"Transfer-Encoding: xchunked"), 501, "6.1; Kettle 2019"),
    Case("te-gzip-chunked", _post(b"Transfer-Encoding: gzip, chunked"), 501, "6.1; CVE-2019-16786"),
    Case("te-chunked-gzip", _post(b"Transfer-Encoding: chunked, gzip"), 400, "6.3, item 4"),
    Case("te-chunked-identity", _post(b"Transfer-Encoding: chunked, identity"), 400, "6.3, item 4; CVE-2024-1135"),
    Case("te-twice", _post(b"Transfer-Encoding: chunked, chunked"), 400, "6.1: not more than once"),
    Case("te-two-fields", _post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"), 400, "6.1; Kettle 2019"),
    Case(
        "te-second-field",
        _post(b"Transfer-Encoding: chunked", b"Transfer-encoding: x"),
        400,
        "6.3; CVE-2020-8287",
    ),
    Case("te-first-field", _post(b"Transfer-Encoding: x", b"Transfer-Encoding: chunked"), 501, "6.1; CVE-2020-8287"),
    Case("te-empty", _post(b"Transfer-Encoding:"), 400, "6.1"),
    Case("te-comma", _post(b"Transfer-Encoding: chunked,"), 400, "6.1; CVE-2022-32213 is of such values"),
    Case("te-comma-first", _post(b"Transfer-Encoding: ,chunked"), 400, "6.1; CVE-2022-32213 is of such values"),
    Case("te-quoted", _post(b'Transfer-Encoding: "chunked"'), 400, "6.1"),
    Case("te-parameter", _post(b"Transfer-Encoding: chunked;a=b"), 400, "7: chunked has no parameters"),
    Case("te-vt", _post(b"Transfer-Encoding: \x0bchunked"), 400, "RFC 9110, 5.5; CVE-2019-16789"),
    Case("te-ff", _post(b"Transfer-Encoding: chunked\x0c"), 400, "RFC 9110, 5.5; CVE-2019-16789"),
    Case("te-nul", _post(b"Transfer-Encoding: chunked\x00"), 400, "RFC 9110, 5.5"),
    Case("te-nbsp", _post(b"Transfer-Encoding: \xa0chunked"), 400, "6.1: bytes.strip() of latin-1"),
    Case(
        "te-space-colon",
        _post(b"Transfer-Encoding : chunked"),
        400,
        "5.1; CVE-2019-16276, CVE-2019-16869, CVE-2021-22959",
    ),
    Case("te-tab-colon", _post(b"Transfer-Encoding\t: chunked"), 400, "5.1; Kettle 2019"),
    Case("te-leading-space", _get(b"Host: a", b" Transfer-Encoding: chunked"), 400, "5.2; CVE-2020-7238"),
    Case("te-folded", _get(b"Host: a", b"Transfer-Encoding:", b" chunked"), 400, "5.2; CVE-2022-32215"),
    Case("te-bare-cr", _post(b"Foo: bar\rTransfer-Encoding: chunked"), 400, "2.2; CVE-2023-30589"),
    Case("te-bare-lf", _post(b"Foo: bar\nTransfer-Encoding: chunked"), 400, "2.2; CVE-2019-16785, CVE-2022-32214"),
    # Line ends and folding
    Case("lf-only", b"GET / HTTP/1.1\nHost: a\n\n", 400, "2.2: a bare LF MAY be taken; CVE-2019-16785"),
    Case("lf-request-line", b"GET / HTTP/1.1\nHost: a\r\n\r\n", 400, "2.2"),
    Case("lf-end", b"GET / HTTP/1.1\r\nHost: a\r\n\n", 400, "2.2"),
    Case("lf-cr-end", b"GET / HTTP/1.1\r\nHost: a\n\r\n", 400, "2.2"),
    Case("cr-only", b"GET / HTTP/1.1\rHost: a\r\r", 400, "2.2; CVE-2023-30589"),
    Case("cr-in-value", _get(b"Host: a", b"X: a\rb"), 400, "2.2 and 5.5"),
    Case("cr-cr-lf", b"GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", 400, "2.2"),
    Case("fold-space", _get(b"Host: a", b"X: a", b" b"), 400, "5.2"),
    Case("fold-tab", _get(b"Host: a", b"X: a", b"\tb"), 400, "5.2"),
    Case("fold-first", _get(b" X: a", b"Host: a"), 400, "2.2: whitespace before the first header"),
    Case(
        "two-empty-lines", b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "2.2: at least one is ignored; here one"
    ),
    Case("space-first", b" GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "3"),
    # Field lines
    Case("nul-in-value", _get(b"Host: a", b"X: a\x00b"), 400, "5.5"),
    Case("esc-in-value", _get(b"Host: a", b"X: \x1b[2J"), 400, "5.5: CTL; log injection"),
    Case("del-in-value", _get(b"Host: a", b"X: a\x7f"), 400, "5.5"),
    Case("no-colon", _get(b"Host: a", b"X"), 400, "5"),
    Case("empty-name", _get(b"Host: a", b": x"), 400, "5.1"),
    Case("space-in-name", _get(b"Host: a", b"X Y: x"), 400, "5.1"),
    Case("space-colon", _get(b"Host: a", b"X : x"), 400, "5.1"),
    Case("nul-in-name", _get(b"Host: a", b"X\x00: x"), 400, "5.1"),
    Case("obs-text-name", _get(b"Host: a", b"X\xe9: x"), 400, "RFC 9110, 5.6.2"),
    Case("bracket-name", _get(b"Host: a", b"X(1): x"), 400, "RFC 9110, 5.6.2"),
    # Host
    Case("host-missing", _get(), 400, "3.2"),
    Case("host-twice", _get(b"Host: a", b"Host: b"), 400, "3.2"),
    Case("host-twice-same", _get(b"Host: a", b"Host: a"), 400, "3.2"),
    Case("host-empty", _get(b"Host:"), 400, "RFC 9110, 4.2.1: no empty host in http URIs"),
    Case("host-list", _get(b"Host: a, b"), 400, "3.2"),
    Case("host-path", _get(b"Host: a/b"), 400, "3.2; RFC 3986, 3.2.2"),
    Case("host-userinfo", _get(b"Host: a@b"), 400, "3.2; RFC 9110, 4.2.4"),
    Case("host-space", _get(b"Host: a b"), 400, "3.2"),
    Case("host-port", _get(b"Host: a:8x"), 400, "3.2"),
    Case("host-port-range", _get(b"Host: a:65536"), 400, "3.2"),
    Case("host-bracket", _get(b"Host: [::1"), 400, "3.2; RFC 3986, 3.2.2"),
    Case("host-bad-1.0", _get(b"Host: a/b", version=b"HTTP/1.0"), 400, "3.2: any request message"),
    # Targets
    Case("target-empty", b"GET  HTTP/1.1\r\nHost: a\r\n\r\n", 400, "3"),
    Case("target-relative", _get(b"Host: a", target=b"index.html"), 400, "3.2"),
    Case("target-authority", _get(b"Host: a", target=b"a:80"), 400, "3.2.3: only CONNECT"),
    Case("target-asterisk", _get(b"Host: a", target=b"*"), 400, "3.2.4: only OPTIONS"),
    Case("target-fragment", _get(b"Host: a", target=b"/a#b"), 400, "3.2.1"),
    Case("target-space", _get(b"Host: a", target=b"/a b"), 400, "3.2: no whitespace; SHOULD 400"),
    Case("target-tab", _get(b"Host: a", target=b"/a\tb"), 400, "3.2"),
    Case("target-obs-text", _get(b"Host: a", target="/é".encode()), 400, "3.2; RFC 3986"),
    Case("target-nul", _get(b"Host: a", target=b"/\x00"), 400, "3.2"),
    Case("target-other-host", _get(b"Host: a", target=b"http://b/"), 400, "3.2.2; Kettle 2019"),
    Case("target-other-port", _get(b"Host: a", target=b"http://a:81/"), 400, "3.2.2"),
    Case("target-userinfo", _get(b"Host: a", target=b"http://x@a/"), 400, "RFC 9110, 4.2.4"),
    Case("target-no-host", _get(b"Host: a", target=b"http:///"), 400, "RFC 9110, 4.2.1"),
    Case("target-scheme", _get(b"Host: a", target=b"gopher://a/"), 400, "3.2.2"),
    Case("target-file", _get(b"Host: a", target=b"file:///etc/passwd"), 400, "3.2.2"),
    Case("connect", _get(b"Host: a:80", method=b"CONNECT", target=b"a:80"), 501, "RFC 9110, 9.3.6"),
    Case("connect-path", _get(b"Host: a", method=b"CONNECT"), 501, "RFC 9110, 9.3.6"),
    # Request lines and versions
    Case("method-invalid", _get(b"Host: a", method=b"G@T"), 400, "RFC 9110, 9.1"),
    Case("two-spaces", b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "3: single SP"),
    Case("trailing-space", b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400, "3"),
    Case("tab-separated", b"GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n", 400, "3"),
    Case("http-0.9", b"GET /\r\n\r\n", 400, "3: HTTP/0.9 has no version"),
    Case("version-0.9", _get(b"Host: a", version=b"HTTP/0.9"), 505, "RFC 9110, 15.6.6"),
    Case("version-1.2", _get(b"Host: a", version=b"HTTP/1.2"), 505, "RFC 9110, 15.6.6"),
    Case("version-2.0", _get(b"Host: a", version=b"HTTP/2.0"), 505, "RFC 9110, 15.6.6"),
    Case("version-9.9", _get(b"Host: a", version=b"HTTP/9.9"), 505, "RFC 9110, 15.6.6"),
    Case("h2-preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "RFC 9113, 3.4"),
    Case("version-lower", _get(b"Host: a", version=b"http/1.1"), 400, "2.3: case-sensitive"),
    Case("version-digits", _get(b"Host: a", version=b"HTTP/1.10"), 400, "2.3: one digit"),
    Case("version-zeros", _get(b"Host: a", version=b"HTTP/01.1"), 400, "2.3"),
    Case("version-plus", _get(b"Host: a", version=b"HTTP/+1.1"), 400, "2.3"),
    Case("version-suffix", _get(b"Host: a", version=b"HTTP/1.1x"), 400, "2.3"),
    Case("version-missing", _get(b"Host: a", version=b"HTTP/"), 400, "2.3"),
    Case("tls-hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\xaa" * 32, 400, "3: TLS to a plain port"),
    # Sizes and expectations
    Case("line-8k", _get(b"Host: a", target=b"/" + b"a" * 8192), 414, "3"),
    Case("line-unending", b"GET /" + b"a" * 9000, 414, "3"),
    Case("headers-101", _get(b"Host: a", *[b"X: y"] * 100), 431, "RFC 6585, 5"),
    Case("headers-64k", _get(b"Host: a", *[b"X: " + b"y" * 8000] * 9), 431, "RFC 6585, 5"),
    Case("headers-unending", b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 66000, 431, "RFC 6585, 5"),
    Case("expect", _post(b"Expect: 200-ok", b"Content-Length: 1", body=b"a"), 417, "RFC 9110, 10.1.1"),
    Case("expect-list", _post(b"Expect: 100-continue, x", b"Content-Length: 1", body=b"a"), 417, "RFC 9110, 10.1.1"),
    Case("expect-empty", _post(b"Expect:", b"Content-Length: 1", body=b"a"), 417, "RFC 9110, 10.1.1"),
]

BODIES: list[Case] = [
    Case("size-hex-prefix", _chunked(b"0x3\r\nabc\r\n0\r\n\r\n"), 400, "7.1; CVE-2022-24761, CVE-2023-38697"),
    Case("size-plus", _chunked(b"+3\r\nabc\r\n0\r\n\r\n"), 400, "7.1; CVE-2022-24761, CVE-2023-38697"),
    Case("size-minus", _chunked(b"-3\r\nabc\r\n0\r\n\r\n"), 400, "7.1"),
    Case("size-underscore", _chunked(b"1_0\r\n" + b"a" * 16 + b"\r\n0\r\n\r\n"), 400, "7.1: Python's int()"),
    Case("size-space-before", _chunked(b" 3\r\nabc\r\n0\r\n\r\n"), 400, "7.1"),
    Case("size-space-behind", _chunked(b"3 \r\nabc\r\n0\r\n\r\n"), 400, "7.1; h11 lets it pass"),
    Case("size-tab-behind", _chunked(b"3\t\r\nabc\r\n0\r\n\r\n"), 400, "7.1; h11 lets it pass"),
    Case("size-empty", _chunked(b"\r\nabc\r\n0\r\n\r\n"), 400, "7.1"),
    Case("size-only-extension", _chunked(b";a=b\r\nabc\r\n0\r\n\r\n"), 400, "7.1"),
    Case("size-not-hex", _chunked(b"G\r\nabc\r\n0\r\n\r\n"), 400, "7.1"),
    Case("size-overflow", _chunked(b"10000000000000003\r\nabc\r\n0\r\n\r\n"), 400, "7.1: 3 in 64 bits"),
    Case("size-zeros", _chunked(b"0" * 5000 + b"3\r\nabc\r\n0\r\n\r\n"), 400, "7.1: bound on the line"),
    Case("size-nul", _chunked(b"3\x00\r\nabc\r\n0\r\n\r\n"), 400, "7.1"),
    Case("line-lf", _chunked(b"3\nabc\r\n0\r\n\r\n"), 400, "7.1; CVE-2025-22871"),
    Case("line-cr", _chunked(b"3\rabc\r\n0\r\n\r\n"), 400, "7.1"),
    Case("ext-lf", _chunked(b"3;\nxx\r\nabc\r\n0\r\n\r\n"), 400, "7.1.1; CVE-2023-38697, CVE-2025-58056"),
    Case("ext-cr", _chunked(b"3;a\rb\r\nabc\r\n0\r\n\r\n"), 400, "7.1.1; CVE-2022-24761; h11 lets it pass"),
    Case("ext-nul", _chunked(b"3;a\x00\r\nabc\r\n0\r\n\r\n"), 400, "7.1.1; CVE-2022-24761; h11 lets it pass"),
    Case("ext-empty", _chunked(b"3;\r\nabc\r\n0\r\n\r\n"), 400, "7.1.1"),
    Case("ext-space", _chunked(b"3 ; a\r\nabc\r\n0\r\n\r\n"), 400, "7.1.1: BWS is bad"),
    Case("ext-quote", _chunked(b'3;a="b\r\nabc\r\n0\r\n\r\n'), 400, "7.1.1: an unending quoted-string"),
    Case("ext-long", _chunked(b"3;a=" + b"b" * 5000 + b"\r\nabc\r\n0\r\n\r\n"), 400, "7.1.1: SHOULD limit the length"),
    Case(
        "ext-total", _chunked((b"1;a=" + b"b" * 1000 + b"\r\nx\r\n") * 20 + b"0\r\n\r\n"), 400, "7.1.1; CVE-2023-39326"
    ),
    Case("data-long", _chunked(b"3\r\nabcd\r\n0\r\n\r\n"), 400, "7.1"),
    Case("data-lf", _chunked(b"3\r\nabc\n0\r\n\r\n"), 400, "7.1; CVE-2025-43859"),
    Case("data-xx", _chunked(b"3\r\nabcXX0\r\n\r\n"), 400, "7.1; CVE-2025-43859: two bytes skipped unseen"),
    Case("data-cr-x", _chunked(b"3\r\nabc\rX0\r\n\r\n"), 400, "7.1"),
    Case("end-lf", _chunked(b"0\r\n\n"), 400, "7.1; h11 lets it pass"),
    Case("end-cr", _chunked(b"0\r\n\rX"), 400, "7.1"),
    Case("trailer-lf", _chunked(b"0\r\nX: y\n\r\n"), 400, "7.1.2; h11 lets it pass"),
    Case("trailer-folded", _chunked(b"0\r\nX: y\r\n z\r\n\r\n"), 400, "5.2; h11 lets it pass"),
    Case("trailer-nul", _chunked(b"0\r\nX: \x00\r\n\r\n"), 400, "5.5"),
    Case("trailer-no-colon", _chunked(b"0\r\nX\r\n\r\n"), 400, "7.1.2"),
    Case("trailer-space-colon", _chunked(b"0\r\nX : y\r\n\r\n"), 400, "5.1"),
    Case("trailer-request", _chunked(b"0\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"), 400, "7.1.2; CVE-2025-58068"),
    *(
        Case(f"trailer-{name.decode().lower()}", _chunked(b"0\r\n" + name + b": 1\r\n\r\n"), 400, "RFC 9110, 6.5.1")
        for name in (
            b"Content-Length",
            b"Transfer-Encoding",
            b"Host",
            b"Connection",
            b"Authorization",
            b"Cookie",
            b"Content-Type",
            b"TE",
            b"Trailer",
            b"X-Forwarded-For",
            b"Content_Length",
            b"Sec-WebSocket-Key",
        )
    ),
    Case(
        "trailers-large", _chunked(b"0\r\n" + (b"X: " + b"y" * 1000 + b"\r\n") * 20 + b"\r\n"), 400, "RFC 9110, 6.5.1"
    ),
]

ACCEPTED: list[Case] = [
    Case("plain", _get(b"Host: a"), 200, "3"),
    Case("one-empty-line", b"\r\n" + _get(b"Host: a"), 200, "2.2: SHOULD ignore at least one empty line"),
    Case("http-1.0", _get(version=b"HTTP/1.0"), 200, "3.2: Host is of 1.1"),
    Case("absolute", _get(b"Host: a", target=b"http://a/x?y"), 200, "3.2.2: MUST accept"),
    Case("absolute-case", _get(b"Host: A", target=b"HTTP://a/"), 200, "RFC 9110, 4.2.3"),
    Case("absolute-https", _get(b"Host: a", target=b"https://a"), 200, "3.2.2"),
    Case("absolute-1.0", _get(target=b"http://a/", version=b"HTTP/1.0"), 200, "3.2.2"),
    Case("options", _get(b"Host: a", method=b"OPTIONS", target=b"*"), 200, "3.2.4"),
    Case("host-ipv6", _get(b"Host: [2001:db8::1]:8000"), 200, "3.2"),
    Case("value-tab", _get(b"Host: a", b"X: a\tb\t"), 200, "5.5"),
    Case("value-obs-text", _get(b"Host: a", b"X: caf\xe9"), 200, "5.5"),
    Case("value-empty", _get(b"Host: a", b"X:"), 200, "5"),
    Case("method-any", _get(b"Host: a", method=b"M-SEARCH!"), 200, "RFC 9110, 9.1"),
    Case("line-8k", _get(b"Host: a", target=b"/" + b"a" * 8178), 200, "3"),
    Case("headers-100", _get(b"Host: a", *[b"X: y"] * 99), 200, "RFC 6585, 5"),
    Case("te-case", _post(b"Transfer-Encoding: ChunKED", body=b"3\r\nabc\r\n0\r\n\r\n"), 200, "7: case-insensitive"),
    Case("cl-zeros", _post(b"Content-Length: 0003", body=b"abc"), 200, "RFC 9110, 8.6: 1*DIGIT"),
    Case("ext", _chunked(b'3;a;b=c;d="e;\\"f"\r\nabc\r\n0;x\r\n\r\n'), 200, "7.1.1: MUST ignore unrecognized"),
    Case("trailer", _chunked(b"3\r\nabc\r\n0\r\nX-Checksum: 1\r\n\r\n"), 200, "7.1.2: MAY discard"),
    Case("expect-1.0", _get(b"Expect: 100-continue", version=b"HTTP/1.0"), 200, "RFC 9110, 10.1.1: MUST ignore"),
]
