"""Opening handshakes, each with the clause that it stands for and its one answer.

RFC 6455 where nothing else is said. ``test_handshake.py`` hands them to the parser, ``test_handshake_wire.py`` sends
them to a served project whose views speak the subprotocols ``chat`` and ``superchat`` and compress.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["CASES", "CHAT", "DEFLATE", "KEY", "KEY_ANSWER", "Case"]

#: Section 1.3: the example of the RFC, and its answer.
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
KEY_ANSWER = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

#: What the views speak, the preferred first.
CHAT = ("chat", "superchat")

#: The answer to a plain offer of permessage-deflate.
DEFLATE = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"

Header = tuple[str, str]

_VERSION = {"sec-websocket-version": "13"}
_ALLOW = {"allow": "GET"}


@dataclass(frozen=True)
class Case:
    """One handshake. In values ``{host}`` is the server's host and port, ``{port}`` its port alone."""

    name: str
    clause: str
    status: int
    """Of the answer to it, once the HTTP server has passed it on."""
    headers: tuple[Header, ...]
    method: str = "GET"
    version: str = "HTTP/1.1"
    body: bytes = b""
    answer: Mapping[str, str] = field(default_factory=dict)
    """Headers that the answer must have, beside those that every 101 has; it has no other Sec-WebSocket-*."""
    key: str = KEY
    refused: int | None = None
    """The status where the HTTP server or Django refuses it before the handshake is looked at."""


CASES: list[Case] = []


def add(
    name: str,
    clause: str,
    status: int,
    changes: Mapping[str, str | list[str] | None] | None = None,
    *,
    method: str = "GET",
    version: str = "HTTP/1.1",
    body: bytes = b"",
    answer: Mapping[str, str] | None = None,
    refused: int | None = None,
) -> None:
    """A valid handshake with ``changes``: a header's value, several for one header, or None for no such header."""
    headers: dict[str, str | list[str] | None] = {
        "Host": "{host}",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": KEY,
        "Sec-WebSocket-Version": "13",
    }
    headers.update(changes or {})
    pairs: list[Header] = []
    for header, values in headers.items():
        if values is not None:
            pairs += [(header, value) for value in ([values] if isinstance(values, str) else values)]
    key = headers["Sec-WebSocket-Key"]
    CASES.append(
        Case(
            name,
            clause,
            status,
            tuple(pairs),
            method,
            version,
            body,
            answer or {},
            key.strip() if isinstance(key, str) else "",
            refused,
        )
    )


add("valid", "4.2.1", 101)

# The request line

for _method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "TRACE", "get", "FOO"):
    add(f"method-{_method}", "4.1, item 2: the method MUST be GET", 400, method=_method, answer=_ALLOW)

add("http-1.0", "4.1, item 2: the version MUST be at least 1.1", 400, version="HTTP/1.0")
for _version in ("HTTP/0.9", "HTTP/1.2", "HTTP/2.0", "HTTP/3.0"):
    add(f"version-{_version[5:]}", "4.1, item 2; RFC 9110, 15.6.6", 400, version=_version, refused=505)

# Host

add("host-missing", "4.2.1, item 2; RFC 9112, 3.2", 101, {"Host": None}, refused=400)
add("host-twice", "4.2.1, item 2; RFC 9112, 3.2", 101, {"Host": ["{host}", "{host}"]}, refused=400)
add("host-foreign", "4.2.1, item 2; Django's ALLOWED_HOSTS", 101, {"Host": "evil.example"}, refused=400)

# Upgrade

_CLAUSE = "4.2.1, item 3: \"containing the value 'websocket', treated as an ASCII case-insensitive value\""
for _name, _value in {
    "capitals": "WebSocket",
    "all-capitals": "WEBSOCKET",
    "first-of-two": "websocket, foo",
    "second-of-two": "foo, websocket",
    "no-space": "foo,websocket,bar",
    "spaces": "  websocket\t",
    "empty-elements": ", ,websocket,",
}.items():
    add(f"upgrade-{_name}", _CLAUSE, 101, {"Upgrade": _value})
add("upgrade-two-headers", _CLAUSE, 101, {"Upgrade": ["foo", "websocket"]})
for _name, _value in {
    "empty": "",
    "h2c": "h2c",
    "plural": "websockets",
    "two-words": "web socket",
    "versioned": "websocket/13",
    "quoted": '"websocket"',
    "parameter": "websocket;q=1",
    "prefix": "xwebsocket",
    "semicolon": "foo; websocket",
}.items():
    add(f"upgrade-{_name}", _CLAUSE, 400, {"Upgrade": _value})
add("upgrade-missing", _CLAUSE, 400, {"Upgrade": None})
add("upgrade-folded", "RFC 9112, 5.2", 101, {"Upgrade": "foo,\r\n websocket"}, refused=400)

# Connection

_CLAUSE = "4.2.1, item 4: \"includes the token 'Upgrade', treated as an ASCII case-insensitive value\""
for _name, _value in {
    "lower-case": "upgrade",
    "upper-case": "UPGRADE",
    "first-of-two": "Upgrade, keep-alive",
    "second-of-two": "keep-alive, Upgrade",
    "no-space": "keep-alive,Upgrade,foo",
    "spaces": "\tUpgrade ",
    "empty-elements": ",keep-alive, ,upgrade",
}.items():
    add(f"connection-{_name}", _CLAUSE, 101, {"Connection": _value})
add("connection-two-headers", _CLAUSE, 101, {"Connection": ["keep-alive", "Upgrade"]})
add("connection-three-headers", _CLAUSE, 101, {"Connection": ["Upgrade", "keep-alive", "foo"]})
for _name, _value in {
    "empty": "",
    "keep-alive": "keep-alive",
    "close": "close",
    "longer": "Upgraded",
    "two-words": "keep-alive Upgrade",
    "semicolon": "keep-alive; Upgrade",
    "quoted": '"Upgrade"',
    "websocket": "websocket",
}.items():
    add(f"connection-{_name}", _CLAUSE, 400, {"Connection": _value})
add("connection-missing", _CLAUSE, 400, {"Connection": None})
add("connection-folded", "RFC 9112, 5.2", 101, {"Connection": "keep-alive,\r\n Upgrade"}, refused=400)

# Sec-WebSocket-Key

_CLAUSE = '4.2.1, item 5: "a base64-encoded value that, when decoded, is 16 bytes in length"'
for _name, _value in {
    "example-of-4.1": "AQIDBAUGBwgJCgsMDQ4PEC==",
    "zeros": "AAAAAAAAAAAAAAAAAAAAAA==",
    "ones": "/////////////////////w==",
    "whole-alphabet": "+/09azAZ+/09azAZ+/09aw==",
    "spaces": f"  {KEY}\t",
}.items():
    add(f"key-{_name}", _CLAUSE, 101, {"Sec-WebSocket-Key": _value})
for _name, _value in {
    "empty": "",
    "15-bytes": "AAAAAAAAAAAAAAAAAAAA",
    "17-bytes": "AAAAAAAAAAAAAAAAAAAAAAA=",
    "18-bytes": "AAAAAAAAAAAAAAAAAAAAAAAA",
    "no-padding": KEY[:-2],
    "half-a-padding": KEY[:-1],
    "too-much-padding": f"{KEY}=",
    "only-padding": "========================",
    "padding-inside": "AAAAAAAAAA==AAAAAAAAAAAA",
    "url-safe-minus": "-" + KEY[1:],
    "url-safe-underscore": "_" + KEY[1:],
    "space-inside": KEY[:8] + " " + KEY[9:],
    "not-ascii": "\xe9" + KEY[1:],
    "no-break-space": f"\xa0{KEY}\xa0",
    "next-line": f"{KEY}\x85",
    "hexadecimal": "000102030405060708090a0b0c0d0e0f",
    "two-in-one": f"{KEY}, {KEY}",
    "quoted": f'"{KEY}"',
    "long": "A" * 5000,
}.items():
    add(f"key-{_name}", _CLAUSE, 400, {"Sec-WebSocket-Key": _value})
add("key-missing", _CLAUSE, 400, {"Sec-WebSocket-Key": None})
add("key-two-headers", "11.3.1: MUST NOT appear more than once", 400, {"Sec-WebSocket-Key": [KEY, KEY]})

# Sec-WebSocket-Version

_CLAUSE = "4.2.1, item 6, and 4.4: any other version is answered with those that are understood"
add("version-spaces", _CLAUSE, 101, {"Sec-WebSocket-Version": " 13\t"})
for _name, _value in {
    "empty": "",
    "0": "0",
    "7": "7",
    "8": "8",
    "12": "12",
    "14": "14",
    "255": "255",
    "leading-zero": "013",
    "decimal": "13.0",
    "signed": "+13",
    "list": "13, 8",
    "list-ending-in-it": "8, 13",
    "no-break-space": "\xa013",
    "word": "thirteen",
    "superscript": "\xb9\xb3",
}.items():
    add(f"version-{_name}", _CLAUSE, 400, {"Sec-WebSocket-Version": _value}, answer=_VERSION)
add("version-missing", _CLAUSE, 400, {"Sec-WebSocket-Version": None}, answer=_VERSION)
add(
    "version-two-headers",
    "11.3.5: MUST NOT appear more than once",
    400,
    {"Sec-WebSocket-Version": ["13", "13"]},
    answer=_VERSION,
)

# Sec-WebSocket-Protocol

_CLAUSE = "4.1, item 10, and 4.2.2, /subprotocol/"
_SPOKEN: dict[str, tuple[str | list[str], str]] = {
    "first": ("chat", "chat"),
    "second": ("superchat", "superchat"),
    "servers-choice": ("superchat, chat", "chat"),
    "among-others": ("mqtt, superchat, v1.x", "superchat"),
    "no-spaces": ("mqtt,chat", "chat"),
    "tabs": ("mqtt\t,\tchat\t", "chat"),
    "empty-elements": (",, chat ,", "chat"),
    "two-headers": (["mqtt", "chat"], "chat"),
    "ten-headers": ([*(f"p{number}" for number in range(9)), "superchat"], "superchat"),
    "oversize-beside-it": ("x" * 8000 + ", chat", "chat"),
    "a-thousand": (", ".join(f"p{number}" for number in range(1000)) + ", chat", "chat"),
}
for _name, (_values, _chosen) in _SPOKEN.items():
    add(
        f"subprotocol-{_name}",
        _CLAUSE,
        101,
        {"Sec-WebSocket-Protocol": _values},
        answer={"sec-websocket-protocol": _chosen},
    )
for _name, _value in {
    "not-spoken": "mqtt",
    "other-case": "Chat",
    "oversize": "x" * 8000,
    "all-token-characters": "!#$%&'*+-.^_`|~09azAZ",
    "longer": "chatty",
}.items():
    add(f"subprotocol-{_name}", _CLAUSE, 101, {"Sec-WebSocket-Protocol": _value})
for _name, _value in {
    "empty": "",
    "only-a-comma": ",",
    "only-spaces": " , ",
    "two-words": "chat superchat",
    "twice": "chat, chat",
    "twice-unspoken": "mqtt, chat, mqtt",
    "latin-1": "ch\xe4t",
    "utf-8": "ch\xc3\xa4t",
    "no-break-space": "\xa0chat",
    **{f"separator-{ord(char):02x}": f"a{char}b, chat" for char in '()<>@:;\\"/[]?={}'},
    "quoted": '"chat"',
    "parameter": "chat;v=1",
}.items():
    add(f"subprotocol-{_name}", _CLAUSE, 400, {"Sec-WebSocket-Protocol": _value})
add("subprotocol-twice-in-two-headers", _CLAUSE, 400, {"Sec-WebSocket-Protocol": ["chat", "chat"]})
for _code in (0x00, 0x01, 0x0B, 0x1F, 0x7F):
    add(
        f"subprotocol-control-{_code:02x}",
        "RFC 9110, 5.5",
        400,
        {"Sec-WebSocket-Protocol": f"a{chr(_code)}b"},
        refused=400,
    )

# Sec-WebSocket-Extensions

_CLAUSE = "9.1"
for _name, _values in {
    "unknown": "foo",
    "parameter": "foo; bar",
    "value": "foo; bar=baz",
    "number": "foo; bar=2",
    "quoted-value": 'foo; bar="baz"',
    "quoted-pair": 'foo; bar="b\\az"',
    "several-parameters": "foo; a; b=1; c=2",
    "several": "foo, bar; baz=2",
    "same-twice": "foo, foo; bar",
    "no-spaces": "foo;bar;baz=1,foo2",
    "spaces": "foo  ;\tbar =  baz  ,\tfoo2",
    "all-token-characters": "!#$%&'*+-.^_`|~09azAZ; !#$%&'*+-.^_`|~=!#$%&'*+-.^_`|~",
    "empty-elements": ", foo,, bar ,",
    "oversize": "x" * 8000 + "; " + "y" * 8000,
    "a-thousand": ", ".join(f"e{number}; p={number}" for number in range(1000)),
}.items():
    add(f"extension-{_name}", _CLAUSE, 101, {"Sec-WebSocket-Extensions": _values})
add("extension-two-headers", _CLAUSE, 101, {"Sec-WebSocket-Extensions": ["foo", "bar; baz"]})
for _name, _value in {
    "empty": "",
    "only-a-comma": ",",
    "only-a-semicolon": ";",
    "no-parameter": "foo;",
    "no-parameter-between": "foo;;bar",
    "no-name": "; bar",
    "no-parameter-name": "foo; =1",
    "no-value": "foo; bar=",
    "no-value-between": "foo; bar=; baz",
    "two-values": "foo; bar=a=b",
    "two-words": "foo bar",
    "two-words-in-a-value": "foo; bar=a b",
    "value-of-a-name": "foo=bar",
    "quoted-name": '"foo"',
    "quoted-parameter-name": 'foo; "bar"',
    "quote-not-closed": 'foo; bar="baz',
    "quote-closed-by-a-pair": 'foo; bar="baz\\"',
    "quote-of-nothing": 'foo; bar=""',
    "quote-of-two-words": 'foo; bar="a b"',
    "quote-of-a-separator": 'foo; bar="a,b"',
    "quote-of-a-quoted-separator": 'foo; bar="a\\;b"',
    "after-a-quote": 'foo; bar="a"b',
    "separator-slash": "foo/1",
    "separator-at": "foo; b@r",
    "separator-parentheses": "foo; bar=(baz)",
    "latin-1": "f\xf6o",
    "latin-1-in-a-quote": 'foo; bar="b\xe4z"',
    "right-then-wrong": "permessage-deflate, foo bar",
}.items():
    add(f"extension-{_name}", _CLAUSE, 400, {"Sec-WebSocket-Extensions": _value})
_OFFERS: dict[str, tuple[str | list[str], str]] = {
    "plain": ("permessage-deflate", DEFLATE),
    "of-browsers": ("permessage-deflate; client_max_window_bits", DEFLATE),
    "window": ("permessage-deflate; server_max_window_bits=10", f"{DEFLATE}; server_max_window_bits=10"),
    "quoted-window": ('permessage-deflate; server_max_window_bits="10"', f"{DEFLATE}; server_max_window_bits=10"),
    "second": ("foo; bar, permessage-deflate", DEFLATE),
    "second-header": (["foo; bar", "permessage-deflate"], DEFLATE),
    "fallback": ("permessage-deflate; server_max_window_bits=8, permessage-deflate", DEFLATE),
}
for _name, (_values, _chosen) in _OFFERS.items():
    add(
        f"deflate-{_name}",
        "RFC 7692, 5 and 7.1",
        101,
        {"Sec-WebSocket-Extensions": _values},
        answer={"sec-websocket-extensions": _chosen},
    )
for _name, _value in {
    "unknown-parameter": "foo",
    "window-8": "server_max_window_bits=8",
    "window-16": "server_max_window_bits=16",
    "window-without-a-value": "server_max_window_bits",
    "window-with-a-leading-zero": "server_max_window_bits=010",
    "client-window-7": "client_max_window_bits=7",
    "value-of-a-flag": "client_no_context_takeover=1",
    "flag-twice": "client_no_context_takeover; client_no_context_takeover",
}.items():
    add(
        f"deflate-{_name}",
        "RFC 7692, 7.1: MUST decline",
        101,
        {"Sec-WebSocket-Extensions": f"permessage-deflate; {_value}"},
    )

# A body

add("body-of-no-length", "4.2.1", 101, {"Content-Length": "0"})
add("body", "4.2.1: a handshake is an HTTP GET, and frames follow it", 400, {"Content-Length": "5"}, body=b"hello")
add("body-chunked", "4.2.1", 400, {"Transfer-Encoding": "chunked"}, body=b"5\r\nhello\r\n0\r\n\r\n")

# Origin

_CLAUSE = "10.2, and 4.2.2, step 4: 403"
for _name, _origin in {
    "same": "http://{host}",
    "same-upper-case": "HTTP://{host}",
    "same-behind-a-proxy-with-tls": "https://{host}",
}.items():
    add(f"origin-{_name}", _CLAUSE, 101, {"Origin": _origin})
for _name, _origin in {
    "null": "null",
    "empty": "",
    "other-host": "http://evil.example",
    "no-port": "http://127.0.0.1",
    "other-port": "http://127.0.0.1:1",
    "other-scheme": "ftp://{host}",
    "scheme-of-websockets": "ws://{host}",
    "no-scheme": "{host}",
    "suffix": "http://{host}.evil.example",
    "suffix-of-host": "http://127.0.0.1.evil.example:{port}",
    "prefix": "http://evil.example.{host}",
    "user": "http://{host}@evil.example",
    "user-of-it": "http://evil.example@{host}",
    "path": "http://{host}/",
    "fragment": "http://evil.example#{host}",
    "query": "http://evil.example?{host}",
    "backslash": "http://evil.example\\@{host}",
    "two": "http://{host} http://evil.example",
    "list": "http://{host}, http://evil.example",
    "other-spelling": "http://127.1:{port}",
    "localhost": "http://localhost:{port}",
    "ipv6": "http://[::1]:{port}",
    "ipv6-mapped": "http://[::ffff:127.0.0.1]:{port}",
    "port-too-large": "http://127.0.0.1:99999",
    "port-no-number": "http://127.0.0.1:port",
    "wildcard": "*",
    "file": "file://",
}.items():
    add(f"origin-{_name}", _CLAUSE, 101, {"Origin": _origin}, refused=403)
add(
    "origin-two-headers",
    "RFC 6454, 7.3: MUST NOT include more than one",
    101,
    {"Origin": ["http://{host}", "http://evil.example"]},
    refused=403,
)
for _name, _host, _origin, _refused in (
    ("ipv6-same", "[::1]:{port}", "http://[::1]:{port}", None),
    ("ipv6-other", "[::1]:{port}", "http://[::2]:{port}", 403),
    ("name-same", "example.com", "http://example.com", None),
    ("name-default-port", "example.com", "http://example.com:80", None),
    ("name-upper-case", "example.com", "http://EXAMPLE.com", None),
    ("name-host-upper-case", "EXAMPLE.com", "http://example.com", None),
    ("name-other-port", "example.com", "http://example.com:8080", 403),
    ("name-subdomain", "example.com", "http://a.example.com", 403),
    ("name-prefixed", "example.com", "http://evilexample.com", 403),
    ("name-suffixed", "example.com", "http://example.com.evil", 403),
    ("name-trailing-dot", "example.com", "http://example.com.", 403),
):
    add(f"origin-{_name}", _CLAUSE, 101, {"Host": _host, "Origin": _origin}, refused=_refused)
