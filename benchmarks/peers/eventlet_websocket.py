"""``eventlet.websocket`` on ``eventlet.wsgi``, as eventlet ships them."""

from __future__ import annotations

import warnings

warnings.filterwarnings("ignore", r"\s*Eventlet is deprecated", DeprecationWarning)

import eventlet  # noqa: E402

eventlet.monkey_patch()

import sys  # noqa: E402

from eventlet import websocket, wsgi  # noqa: E402


@websocket.WebSocketWSGI  # type: ignore[untyped-decorator]  # eventlet is not typed
def echo(ws: websocket.WebSocket) -> None:
    while (message := ws.wait()) is not None:
        ws.send(message)


if __name__ == "__main__":
    listener = eventlet.listen(("127.0.0.1", int(sys.argv[1])), backlog=2048)
    wsgi.server(listener, echo, max_size=20_000, log_output=False)
