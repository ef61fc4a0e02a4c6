"""``python -m tests.compliance.echo``: a Django project of one echoing view, on a free port that it prints.

``--takeover`` keeps the compression context of both sides from message to message, where the client lets it.
"""

from __future__ import annotations

from django_websocket.serving.patch import patch

patch()

import signal  # noqa: E402  the patch comes first
import sys  # noqa: E402

import django  # noqa: E402
from django.conf import settings  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.http import HttpRequest  # noqa: E402
from django.urls import path  # noqa: E402

from django_websocket import require_websocket  # noqa: E402
from django_websocket.serving.process.binding import bind_sockets  # noqa: E402
from django_websocket.serving.process.server import Server  # noqa: E402

#: Section 9 of the suite sends messages of 16 MiB.
MAX_MESSAGE_SIZE = 32 * 1024 * 1024


@require_websocket
def echo(request: HttpRequest) -> None:
    websocket = request.websocket  # type: ignore[attr-defined]  # the decorator has set it
    for message in websocket:
        websocket.send(message)


urlpatterns = [path("", echo)]  # type: ignore[arg-type]  # a websocket view returns nothing


def main() -> None:
    settings.configure(
        ALLOWED_HOSTS=["127.0.0.1", "[::1]", "example.com"],
        ROOT_URLCONF=__name__,
        SECRET_KEY="for tests only",
        USE_TZ=True,
        WEBSOCKET_COMPRESSION="context-takeover" if "--takeover" in sys.argv else True,
        WEBSOCKET_MAX_MESSAGE_SIZE=MAX_MESSAGE_SIZE,
        WEBSOCKET_SUBPROTOCOLS=["chat", "superchat"],
    )
    django.setup()
    listeners = bind_sockets("127.0.0.1:0")
    server = Server(get_wsgi_application(), listeners)
    signal.signal(signal.SIGTERM, lambda signum, stack: server.stop(drain_timeout=0))
    print(listeners[0].getsockname()[1], flush=True)
    server.serve()


if __name__ == "__main__":
    main()
