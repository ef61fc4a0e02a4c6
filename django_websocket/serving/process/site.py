"""The server for a Django project."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from django.conf import settings

from ...admission.watch import listen_for_revocations, ticket_watch
from ...background import background
from ...compat.hashers import hash_by
from ...compat.python import bound_unknown_encodings
from ...conf import get_setting
from ...database import close_opened, release_connections
from ...descriptor_limit import count_spare_descriptors
from ...groups.event_stream import close_streams
from ...groups.log_out import listen_for_log_outs
from ...groups.receivers import receivers
from ...redirects import refuse_redirects
from ...sessions import session_watch
from ..green import eventlet, native
from ..green.install import install
from ..green.watchdog import watch_hub
from ..http.spool import ChunkedBodySpooler
from .binding import bind_sockets
from .collector import tune_collector
from .server import Farewell, Server
from .side_door import SideDoor

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

__all__ = ["SiteServer"]

logger = logging.getLogger("django_websocket")


class SiteServer(Server):
    """Releases database connections at the end of each HTTP connection, runs the periodic session check, answers
    handshakes that lack a login, and receives chunked request bodies for Django.
    """

    def __init__(self, application: WSGIApplication, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("on_connection_end", close_opened)
        spooled = ChunkedBodySpooler(refuse_redirects(application), settings.FILE_UPLOAD_TEMP_DIR)
        super().__init__(spooled, *args, **kwargs)
        self._side_door: SideDoor | None = None
        self.shares_metrics_address = self._shared
        """Whether other processes of the same site listen at WEBSOCKET_METRICS_ADDRESS, too."""
        # The other half is for what the application opens.
        spooled.max_files = count_spare_descriptors(self.max_connections) // 2

    def serve(self) -> None:
        install()  # where somebody else has patched the process
        bound_unknown_encodings()
        hash_by(native.run)  # or each log-in would stop everybody for a quarter of a second
        tune_collector()
        interval = get_setting("WEBSOCKET_SESSION_CHECK_INTERVAL")
        watcher = eventlet.spawn(_watch_rights, interval) if interval else None
        session_watch.is_checked = watcher is not None
        listen_for_log_outs()
        listen_for_revocations()
        try:
            with (
                watch_hub(get_setting("WEBSOCKET_BLOCKING_WARNING"), attentive=settings.DEBUG),
                self._metrics_served(),
                background.running(eventlet.spawn),
            ):
                super().serve()
        finally:
            receivers.close_backend()
            session_watch.is_checked = False
            if watcher is not None:
                watcher.kill()

    @contextmanager
    def _metrics_served(self) -> Iterator[None]:
        """Serve them at WEBSOCKET_METRICS_ADDRESS. An address that can't be had is no reason not to serve the site."""
        address = get_setting("WEBSOCKET_METRICS_ADDRESS")
        if address is None or self.stopping:
            yield
            return
        from ...metrics import application

        try:
            # Any worker may answer for all, so all listen.
            listeners = bind_sockets(address, reuse_port=self.shares_metrics_address)
        except (OSError, ValueError) as error:
            logger.error("No metrics at %s: %s", address, error)
            yield
            return
        self._side_door = SideDoor(application, listeners, multiprocess=self._multiprocess)
        with self._side_door.opened():
            yield

    def stop(self, *, drain_timeout: float | None = None, farewell: Farewell | None = None) -> None:
        if self._side_door is not None:
            self._side_door.close()  # to a successor, which counts anew
        super().stop(drain_timeout=drain_timeout, farewell=farewell)

    def _end_idle_connections(self) -> None:
        # Not before: their clients would come back to this process at once, and nothing would end them again.
        close_streams()
        super()._end_idle_connections()


def _watch_rights(interval: float) -> None:
    failing: set[str] = set()
    while True:
        eventlet.sleep(interval)
        if not (len(session_watch) or len(ticket_watch)):
            continue
        try:
            _check("Session", session_watch.check, failing)
            _check("Ticket", ticket_watch.check, failing)
        finally:
            try:
                release_connections(final=True)
            except Exception:
                logger.exception("Could not close the database connection of the session check")


def _check(what: str, check: Callable[[], None], failing: set[str]) -> None:
    """Check; a failure is no reason to close websockets, and is logged once until the next success."""
    try:
        check()
        failing.discard(what)
    except Exception:
        if what not in failing:
            logger.exception("%s check failed; will retry", what)
        failing.add(what)
