"""Which pages there are."""

from __future__ import annotations

from typing import NamedTuple


class Page(NamedTuple):
    """``name`` is that of its URL."""

    name: str
    title: str
    summary: str


PAGES = (
    Page("echo", "Echo", "A loop over the messages of one websocket, and a view that answers once."),
    Page("lower-case", "Lower case", "One view for websockets and for plain HTTP."),
    Page("broadcast", "Broadcast", "A group: what one says, all hear. Open it in two windows."),
    Page("chat", "Chat", "Rooms, who is here, and what was said before you came. Logging out closes it."),
    Page("ticker", "Ticker", "Headlines from a form, from curl or from the shell reach every open page."),
    Page("board", "Drawing board", "Binary messages, as fast as your hand; their rate and latency beside it."),
    Page("poll", "Poll with htmx", "A vote is saved, and a template rendered for everybody. No JavaScript to write."),
    Page("events", "Server-sent events", "The same group over a websocket and over a plain HTTP response."),
    Page("restart", "Restart", "Stop the server and start it again: the page comes back and asks what it missed."),
)
