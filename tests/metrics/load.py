"""A load whose figures are known."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from tests.deadlines import deadline, wait_until
from tests.protocol.client import close, frame
from tests.site.running import RawSocket

from .scraped import Scraped

SETTINGS = {
    "ROOT_URLCONF": "tests.site.metrics_urls",
    "WEBSOCKET_PING_INTERVAL": None,  # pings are bytes, too
}

ECHO, ROOM, MEMBER, RAISES = "/common/echo/", "/rooms/<slug:room>/", "/groups/member/", "/opening/raises_after/"

SOCKETS = 12

OPENED = {ECHO: SOCKETS, ROOM: SOCKETS, MEMBER: SOCKETS, RAISES: 2}

TEXT, BINARY = b"h\xc3\xa9llo", bytes(1000)


def _echo(socket: RawSocket) -> None:
    for opcode, payload in ((0x81, TEXT), (0x82, BINARY), (0x81, b"")):
        socket.send(frame(opcode, payload))
        assert socket.frame() == (opcode, payload)


def status(refused: RawSocket) -> int:
    with refused:
        return int(refused.head().split()[1])


def say_goodbye(socket: RawSocket, code: int) -> None:
    """Close from the client's side; the server is done once it has seen that."""
    socket.send(close(code))
    assert socket.close_frame() == (code, b"")
    socket.sock.close()


@contextmanager
def load(port: int) -> Iterator[list[RawSocket]]:
    """Open and use websockets; gives those of groups, which are still open. The rest is closed in all ways."""
    with ExitStack() as stack:

        def opened(path: str) -> RawSocket:
            return stack.enter_context(RawSocket(port, path)).opened()

        echos = [opened(ECHO) for _ in range(SOCKETS)]
        rooms = [opened(f"/rooms/{number}/") for number in range(SOCKETS)]
        members = [opened(f"{MEMBER}?group=g{number}") for number in range(SOCKETS)]
        for socket in [*echos, *rooms]:
            _echo(socket)
        for socket in members:
            for payload in (b"one", b"two"):
                socket.send(frame(0x81, payload))
                assert socket.frame() == (0x81, payload)
        for socket in echos:
            say_goodbye(socket, 4001)
        for socket in rooms:
            socket.reset()
        for _ in range(2):
            socket = opened(RAISES)
            assert socket.frame() == (0x81, b"accepted")
            first, payload = socket.frame()
            assert (first, payload[:2]) == (0x88, b"\x03\xf3")
            socket.send(close(1011))
            assert socket.rest() == b""
            socket.sock.close()
        for _ in range(3):
            assert status(RawSocket(port, "/nowhere/")) == 404
        assert status(RawSocket(port, ECHO, headers={"Origin": "https://evil.example"})) == 403
        yield members


#: Bytes of a text and of a binary frame, an empty one, and a close frame with a code; ours, and with the client's mask.
_HEADS_OUT = 2 + 4 + 2
_HEADS_IN = 6 + 8 + 6
_ECHOED = len(TEXT) + len(BINARY)
_CLOSE_OUT, _CLOSE_IN = 4, 8


def differences(scraped: Scraped, still_open: int = SOCKETS) -> dict[str, tuple[Any, Any]]:
    """What of ``scraped`` is not as after :func:`load`, and as it should be."""
    none = dict.fromkeys(OPENED, 0)
    expected: dict[str, tuple[Any, Any]] = {
        "opened": (scraped.values("opened_total", "route"), OPENED),
        "open": ({route: scraped.sum("open", route=route) for route in OPENED}, {**none, MEMBER: still_open}),
        "codes": (
            {code: scraped.sum("closed_total", code=code) for code in ("4001", "1006", "1011")},
            {"4001": SOCKETS, "1006": SOCKETS, "1011": 2},
        ),
        "received": (
            scraped.values("messages_received_total", "route"),
            {ECHO: 3 * SOCKETS, ROOM: 3 * SOCKETS, MEMBER: 2 * SOCKETS, RAISES: 0},
        ),
        "sent": (
            scraped.values("messages_sent_total", "route"),
            {ECHO: 3 * SOCKETS, ROOM: 3 * SOCKETS, MEMBER: 2 * SOCKETS, RAISES: 2},
        ),
        "bytes received": (
            {route: scraped.sum("bytes_received_total", route=route) for route in (ECHO, ROOM, RAISES)},
            {
                ECHO: SOCKETS * (_ECHOED + _HEADS_IN + _CLOSE_IN),
                ROOM: SOCKETS * (_ECHOED + _HEADS_IN),
                RAISES: 2 * _CLOSE_IN,
            },
        ),
        "bytes sent": (
            {route: scraped.sum("bytes_sent_total", route=route) for route in (ECHO, ROOM, RAISES)},
            {
                ECHO: SOCKETS * (_ECHOED + _HEADS_OUT + _CLOSE_OUT),
                ROOM: SOCKETS * (_ECHOED + _HEADS_OUT),
                RAISES: 2 * (2 + len(b"accepted") + _CLOSE_OUT),
            },
        ),
        "refused": (
            scraped.values("refused_total", "reason"),
            {"response": 3, "origin": 1},
        ),
        "sends": (scraped.sum("group_sends_total"), 2 * SOCKETS),
        "deliveries": (scraped.sum("group_deliveries_total"), 2 * SOCKETS),
        "memberships": (scraped.sum("memberships"), still_open),
        "views": (
            {route: scraped.sum("view_seconds_count", route=route) for route in (ECHO, ROOM, RAISES)},
            {ECHO: SOCKETS, ROOM: SOCKETS, RAISES: 2},
        ),
    }
    return {name: pair for name, pair in expected.items() if pair[0] != pair[1]}


def wait_until_right(scrape: Callable[[], Scraped], still_open: int = SOCKETS) -> Scraped:
    """Scrape until all is as after :func:`load`: the ends of views and of lost connections take a moment."""
    wrong: dict[str, Any] = {}
    last: list[Scraped] = []

    def is_right() -> bool:
        last[:] = [scrape()]
        wrong.clear()
        wrong.update(differences(last[0], still_open))
        return not wrong

    try:
        wait_until(is_right, 15)
    except AssertionError:
        raise AssertionError(f"after {deadline(15)} s there are {wrong}") from None
    return last[0]
