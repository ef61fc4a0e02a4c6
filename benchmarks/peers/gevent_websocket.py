"""gevent-websocket on gevent's own WSGI server."""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import sys  # noqa: E402
from collections.abc import Callable, Iterable  # noqa: E402
from typing import Any  # noqa: E402

from gevent.pywsgi import WSGIServer  # noqa: E402
from geventwebsocket.handler import WebSocketHandler  # noqa: E402


def echo(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    websocket = environ["wsgi.websocket"]
    while (message := websocket.receive()) is not None:
        websocket.send(message, binary=not isinstance(message, str))
    return []


if __name__ == "__main__":
    address = ("127.0.0.1", int(sys.argv[1]))
    WSGIServer(address, echo, handler_class=WebSocketHandler, backlog=2048, log=None).serve_forever()
