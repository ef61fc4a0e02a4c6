"""This project's server on the benchmark's Django project: ``python -m benchmarks.project.ours PORT [REUSEPORT]``."""

from __future__ import annotations

from django_websocket.serving.patch import patch

patch()

import os  # noqa: E402 - patched first
import signal  # noqa: E402
import socket  # noqa: E402
import sys  # noqa: E402

from django.core.wsgi import get_wsgi_application  # noqa: E402

from django_websocket.serving.server import Server  # noqa: E402


def listener(port: int, *, shared: bool) -> socket.socket:
    """A listening socket; several processes may listen on the port if all of them share it."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.bind(("127.0.0.1", port))
    sock.listen(2048)
    sock.setblocking(False)
    return sock


def main(port: int, *, shared: bool = False) -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.project.settings_ours"
    application = get_wsgi_application()
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    Server(application, [listener(port, shared=shared)]).serve()


if __name__ == "__main__":
    main(int(sys.argv[1]), shared=len(sys.argv) > 2)
