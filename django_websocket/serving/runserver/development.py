"""Runs our server in place of the one that Django's ``runserver`` command starts."""

from __future__ import annotations

import logging
import signal
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from ..green import eventlet
from ..green.exiting import end_children, guard_exit
from ..process.binding import SocketFile, bind_sockets
from ..process.operator_signals import operator_signals
from ..process.server import AccessEntry, ClosedEntry, Farewell, Server
from ..process.site import SiteServer
from ..tls import TLS, read_certificate
from .reloading import is_reloading

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

__all__ = ["RunserverServer"]

logger = logging.getLogger("django.server")

ROUTINE_CLOSES = frozenset({1000, 1001, 1005, 1006, *range(3000, 5000)})
"""Close codes of routine closes: normal, going away, no code, connection lost, the application's own."""

SPREAD_SECONDS = 6.0
"""Seconds over which a server that is told to stop closes its websockets, if they are many."""

SERVER_ERRORS = frozenset({1011, 1012, 1013, 1014})
"""Close codes that mean a server error (RFC 6455, section 7.4, and the IANA registry)."""


class RunserverServer:
    """Adapts our server to the server class that :func:`django.core.servers.basehttp.run` expects."""

    def __init__(
        self,
        address: str,
        *,
        socket_mode: int | None = None,
        certificate: str | None = None,
        key: str | None = None,
        is_whole_process: bool = True,
    ) -> None:
        """Listen on ``address``; format, ``socket_mode`` and exceptions are those of :func:`.binding.bind_sockets`.

        With the path of a ``certificate``, connections are encrypted; ``key`` and exceptions are those of
        :func:`.tls.read_certificate`.

        ``is_whole_process``: the process is to exit when serving has ended, so nothing may keep it from that.
        """
        self._is_whole_process = is_whole_process
        self._tls = None if certificate is None else TLS(partial(read_certificate, certificate, key))
        self._listeners = bind_sockets(address, socket_mode=socket_mode)
        self._file = SocketFile(self._listeners[0]) if address.startswith(("unix:", "/")) else None
        self._server: Server | None = None
        self._finished = eventlet.Event()
        name = self._listeners[0].getsockname()
        self.server_port: int | None = name[1] if isinstance(name, tuple) else None
        """The actual port, also if port 0 was requested; None for a unix socket."""

    def set_app(self, application: WSGIApplication) -> None:
        self._server = SiteServer(
            application, self._listeners, tls=self._tls, access_log=log_request, websocket_log=log_websocket
        )

    def serve_forever(self) -> None:
        """Serve until stopped by a signal or :meth:`stop_and_wait`, and until everything open has ended."""
        assert self._server is not None, "Django's run() calls set_app() first"
        try:
            if is_reloading():
                self._serve(self._server)
            else:
                reload = None if self._tls is None else self._read_certificate_again
                with operator_signals(self._stop_on_signal, until_exit=self._is_whole_process, reload=reload):
                    self._serve(self._server)
                if self._is_whole_process:
                    guard_exit()
                self.remove_file()
        finally:
            self._finished.send()

    def _serve(self, server: Server) -> None:
        server.serve()
        end_children(lambda: server.drain_deadline)

    def _stop_on_signal(self, signum: int) -> None:
        """The first signal lets views and requests finish, the second doesn't.

        SIGTERM comes from a supervisor, and clients may find other servers, which they had better not do all at once.
        """
        assert self._server is not None, "signals are only handled while serving"
        farewell = Farewell(spread=SPREAD_SECONDS) if signum == signal.SIGTERM else None
        self._server.stop(drain_timeout=0 if self._server.stopping else None, farewell=farewell)
        self.remove_file()

    def _read_certificate_again(self) -> None:
        assert self._tls is not None
        try:
            self._tls.reload()
        except (OSError, ValueError) as error:
            logger.error("The certificate in use stays: %s", error, extra=_extra(500))
        else:
            logger.info("Read the certificate again", extra=_extra(101))

    def remove_file(self) -> None:
        """Remove the file of a unix socket; called when the server has stopped listening and won't again."""
        if self._file is not None:
            self._file.remove()

    def stop_and_wait(self, drain_timeout: float) -> None:
        """Stop, and wait for :meth:`serve_forever` to return: at most ``drain_timeout`` + 2 seconds."""
        if self._server is not None and not self._finished.ready():
            self._server.stop(drain_timeout=drain_timeout)
            self._finished.wait(drain_timeout + 2)


def log_request(entry: AccessEntry) -> None:
    """Log an answered request like Django's development server, whose formatter colours the line."""
    level = logging.ERROR if entry.status >= 500 else logging.WARNING if entry.status >= 400 else logging.INFO
    requested = f"{entry.method} {entry.target} {entry.protocol}"
    line = '"%s" %s %s' if entry.complete else '"%s" %s %s cut off'
    logger.log(level, line, requested, entry.status, entry.sent, extra=_extra(entry.status))


def log_websocket(entry: ClosedEntry) -> None:
    """Log a closed websocket: close code, seconds open, messages in and out."""
    # The formatter picks colours by HTTP status: a routine close looks like a 101.
    level, status = (logging.INFO, 101) if entry.code in ROUTINE_CLOSES else (logging.WARNING, 400)
    if entry.code in SERVER_ERRORS:
        level, status = logging.ERROR, 500
    logger.log(
        level,
        '"WEBSOCKET %s" %s %.1fs %d in %d out',
        entry.path,
        entry.code,
        entry.seconds,
        entry.messages_received,
        entry.messages_sent,
        extra=_extra(status),
    )


def _extra(status: int) -> dict[str, Any]:
    """Return what Django's ServerFormatter needs: a status for the colour, and the time in http.server's format."""
    return {"status_code": status, "server_time": time.strftime("%d/%b/%Y %H:%M:%S")}
