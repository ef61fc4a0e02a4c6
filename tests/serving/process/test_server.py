"""The server's end, where no HTTP client sees it."""

from __future__ import annotations

import signal
from pathlib import Path

from tests.protocol.client import close
from tests.site.running import serve_site


def test_a_websocket_that_opens_while_the_server_stops_is_closed_at_once(tmp_path: Path) -> None:
    """Its 101 was sent before, but the request was not yet at its end."""
    with serve_site(tmp_path) as site, site.raw("/common/echo/?delay_close=0.5") as client:
        client.opened()
        site.process.send_signal(signal.SIGTERM)
        # A view that is killed when the time to drain is over closes with 1001 too, but gives no reason.
        first, payload = client.frame()
        assert (first, payload) == (0x88, b"\x03\xe9server is stopping")
        client.send(close(1001))
        assert client.rest() == b""
