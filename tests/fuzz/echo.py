"""Serves an echo that judges what a proxy sends: ``python -m tests.fuzz.echo SECRET``. Prints its port.

Each request that comes through a proxy bears, in ``X-Proxy-Id``, the secret and an id that the proxy made for it. A
request without the secret, or with an id that was seen before, is one that the proxy didn't know to be a request. What
else the proxy says of the request (its method, its target, the length of its body) must be what was read here.
``GET /tally/SECRET`` tells what there was.
"""

from __future__ import annotations

from django_websocket.serving.patch import patch

patch()

import io  # noqa: E402  the patch comes first
import json  # noqa: E402
import logging  # noqa: E402
import sys  # noqa: E402
from collections import Counter  # noqa: E402
from collections.abc import Iterable  # noqa: E402
from typing import Any  # noqa: E402
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment  # noqa: E402

import django  # noqa: E402
from django.conf import settings  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.http import HttpRequest, HttpResponse  # noqa: E402
from django.urls import re_path  # noqa: E402

from django_websocket import accept_websocket  # noqa: E402
from django_websocket.serving.http.connection import AccessEntry  # noqa: E402
from django_websocket.serving.process.binding import bind_sockets  # noqa: E402
from django_websocket.serving.process.site import SiteServer  # noqa: E402

from .fronts import SEEN  # noqa: E402

#: How many odd requests are kept to be told.
MAX_ODD = 100


@accept_websocket
def echo(request: HttpRequest) -> Any:
    websocket: Any = getattr(request, "websocket", None)
    if websocket is None:
        return HttpResponse(f"{SEEN} {request.method} {request.path}\n", content_type="text/plain; charset=utf-8")
    websocket.send(f"{SEEN} websocket {request.path}")
    for message in websocket:
        websocket.send(message)
    return None


urlpatterns = [re_path("", echo)]


class Judge:
    """A WSGI application around ``application``, which compares what it is given with what the proxy says of it."""

    def __init__(self, application: WSGIApplication, secret: str) -> None:
        self._application = application
        self._secret = secret
        self._ids: set[str] = set()
        self.counts: Counter[str] = Counter()
        self.odd: list[dict[str, Any]] = []

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] == f"/tally/{self._secret}":
            body = json.dumps({"counts": self.counts, "odd": self.odd}).encode()
            start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
            return [body]
        self._judge(environ)
        return self._application(environ, start_response)

    def _judge(self, environ: WSGIEnvironment) -> None:
        where = environ.get("HTTP_X_PROXY_NAME", "none")
        self.counts[f"{where}: requests"] += 1
        secret, _, identity = environ.get("HTTP_X_PROXY_ID", "").partition("-")
        try:
            body = environ["wsgi.input"].read()
        except OSError as error:
            self.counts[f"{where}: body unread, {type(error).__name__}"] += 1
            body = None
        else:
            environ["wsgi.input"] = io.BytesIO(body)
        problems = []
        if secret != self._secret:
            problems.append("no proxy made this request")
        elif identity in self._ids:
            problems.append("the proxy made one request of it and of another")
        self._ids.add(identity)
        read = {"METHOD": environ["REQUEST_METHOD"], "TARGET": environ["RAW_URI"], "LENGTH": body and str(len(body))}
        for name, ours in read.items():
            theirs = environ.get(f"HTTP_X_PROXY_{name}")
            if theirs and ours is not None and theirs != (ours or "0"):
                problems.append(f"{name} {ours!r}, by the proxy {theirs!r}")
        if problems and len(self.odd) < MAX_ODD:
            request = {name: value for name, value in environ.items() if isinstance(value, str)}
            self.odd.append({"problems": problems, "request": request, "body": repr(body)})

    def log(self, entry: AccessEntry) -> None:
        if entry.method == "-":
            self.counts[f"refused {entry.status}"] += 1
        elif entry.status == 101:
            self.counts["websockets"] += 1


def main() -> None:
    settings.configure(
        SECRET_KEY="for tests only",
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF=__name__,
        INSTALLED_APPS=["django_websocket"],
        MIDDLEWARE=[
            "django.middleware.security.SecurityMiddleware",
            "django_websocket.middleware.WebSocketMiddleware",
        ],
        LOGGING_CONFIG=None,
        WEBSOCKET_ALLOWED_ORIGINS=["*"],
        WEBSOCKET_REQUEST_TIMEOUT=3,
        WEBSOCKET_CLOSE_TIMEOUT=1,
        WEBSOCKET_BLOCKING_WARNING=None,
    )
    django.setup()
    # With a traceback for each Host that is none, though nothing has failed.
    logging.getLogger("django.security.DisallowedHost").disabled = True
    judge = Judge(get_wsgi_application(), sys.argv[1])
    listeners = bind_sockets("127.0.0.1:0")
    print(listeners[0].getsockname()[1], flush=True)
    SiteServer(judge, listeners, access_log=judge.log).serve()


if __name__ == "__main__":
    main()
