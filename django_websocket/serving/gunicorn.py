"""A worker for gunicorn (tested with 23 and 27): its processes, our server.

``gunicorn -k django_websocket.serving.gunicorn.EventletWorker -w 4 mysite.wsgi``. gunicorn's master imports this
module, and must stay unpatched: nothing of eventlet or Django is imported here before the fork.
"""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import tempfile
import traceback
from types import FrameType
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar

from gunicorn.sock import ssl_context
from gunicorn.workers.base import Worker

if TYPE_CHECKING:
    from .tls import TLS

__all__ = ["EventletWorker"]

MAY_NOT_PRELOAD = (
    "preload_app can't be used with EventletWorker: an application that is loaded before the process is patched for"
    " green threads keeps locks and database connections that block all of them."
)

PROXY_PROTOCOL = "proxy_protocol can't be used with EventletWorker: let the proxy send X-Forwarded-For."

NO_HTTP_2 = "EventletWorker speaks HTTP/1.1 only: leave HTTP/2 to the proxy in front (nginx, HAProxy, Caddy)."

NO_UWSGI = "EventletWorker doesn't speak the uwsgi protocol: use proxy_pass rather than uwsgi_pass in nginx."

NOBODY_TO_TRUST = "cert_reqs needs ca_certs, the certificates that sign those of clients."


def refusal(cfg: Any) -> str | None:
    """Why the worker can't work with gunicorn's configuration; None if it can."""
    if cfg.preload_app:
        return MAY_NOT_PRELOAD
    if cfg.proxy_protocol and cfg.proxy_protocol != "off":
        return PROXY_PROTOCOL
    options = cfg.settings  # of which older versions have fewer
    if "http_protocols" in options and {"h2", "h3"} & set(cfg.http_protocols or ()):
        return NO_HTTP_2
    if "http2_cleartext" in options and cfg.http2_cleartext != "off":
        return NO_HTTP_2
    if "protocol" in options and cfg.protocol != "http":
        return NO_UWSGI
    if cfg.is_ssl and cfg.cert_reqs and not cfg.ca_certs and not _sets_context(cfg):
        return NOBODY_TO_TRUST
    if cfg.is_ssl:
        try:
            ssl_context(cfg)
        except (OSError, ValueError) as error:
            return f"The certificate can't be used: {error}"
    return None


def _sets_context(cfg: Any) -> bool:
    """Whether there is an ``ssl_context`` hook, which decides alone."""
    setting = cfg.settings["ssl_context"]
    return bool(setting.get() is not setting.default)


class EventletWorker(Worker):  # type: ignore[misc]  # gunicorn has no types
    """Serves HTTP and websockets on green threads: gunicorn's ``worker_class``.

    gunicorn exits with status 1, and says why, if its configuration has something that this worker can't do.
    """

    wsgi: Any
    tls: TLS | None = None

    _turn: ClassVar[BinaryIO | None] = None

    @classmethod
    def check_config(cls, cfg: Any, log: Any) -> None:
        """Called in the master, before it forks."""
        if (reason := refusal(cfg)) is not None:
            log.critical(reason)
            sys.exit(1)
        EventletWorker._turn = tempfile.TemporaryFile(dir=cfg.worker_tmp_dir)  # noqa: SIM115  open as long as the master lives

    @property
    def age(self) -> int:
        """The number of this worker. In the master's eyes, one whose turn it is to leave is the oldest."""
        return 0 if os.fstat(self.tmp.fileno()).st_size else self._age

    @age.setter
    def age(self, number: int) -> None:
        self._age = number

    def take_turn(self) -> bool:
        """Become the worker that leaves next, if no other one is; the turn ends with the process.

        From then on the master, which sends its oldest worker away when it has one too many, will choose this one.
        """
        assert EventletWorker._turn is not None, "the master has checked the configuration"
        try:
            fcntl.lockf(EventletWorker._turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        os.write(self.tmp.fileno(), b"leaves")
        return True

    def init_process(self) -> None:
        """Patch this process, then load the application and run."""
        # Until gunicorn's own handlers are there, those of the master are, which would lose a signal to stop.
        for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            signal.signal(signum, signal.SIG_DFL)
        from .patch import patch

        patch()
        if self.cfg.is_ssl:
            from .tls import TLS

            # Now, because gunicorn's base class gives up the rights of a user who may read the key.
            self.tls = TLS(lambda: ssl_context(self.cfg))
        # The other engine, which "auto" means where the package inotify is installed, uses epoll: not on green threads.
        self.cfg.set("reload_engine", "poll")
        super().init_process()

    def run(self) -> None:
        """Serve until gunicorn, or a limit of the worker's own, says stop."""
        if not self.alive:
            return  # told to stop while the application was loaded
        from .process.worker import WorkerProcess

        try:
            process = WorkerProcess(self)
        except Exception:
            self.booted = False  # or gunicorn would start one after the other, with the same settings
            raise
        process.run()

    def handle_quit(self, sig: int, frame: FrameType | None) -> None:
        """Told to end at once while the application is loaded.

        gunicorn's own sleeps first, which fails if the signal finds the process in the hub.
        """
        self.alive = False
        self.cfg.worker_int(self)
        sys.exit(0)

    def handle_abort(self, sig: int, frame: FrameType | None) -> None:
        """The master has not heard from this process for ``timeout`` seconds: say where it is stuck, and end."""
        self.alive = False
        stack = "".join(traceback.format_stack(frame))
        self.log.critical("Worker (pid:%s) was blocked for %s seconds, at:\n%s", os.getpid(), self.cfg.timeout, stack)
        self.cfg.worker_abort(self)
        os._exit(1)
