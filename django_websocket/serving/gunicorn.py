"""A worker for gunicorn (tested with 23 and 27): its processes, our server.

``gunicorn -k django_websocket.serving.gunicorn.EventletWorker -w 4 mysite.wsgi``. gunicorn's master imports this
module, and must stay unpatched: nothing of eventlet or Django is imported here before the fork.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from types import FrameType
from typing import Any

from gunicorn.workers.base import Worker

__all__ = ["EventletWorker"]

MAY_NOT_PRELOAD = (
    "preload_app can't be used with EventletWorker: an application that is loaded before the process is patched for"
    " green threads keeps locks and database connections that block all of them."
)

PROXY_PROTOCOL = "proxy_protocol can't be used with EventletWorker: let the proxy send X-Forwarded-For."

NO_TLS = "EventletWorker serves no TLS: leave it to the proxy in front (nginx, HAProxy, Caddy)."


def refusal(cfg: Any) -> str | None:
    """Why the worker can't work with gunicorn's configuration; None if it can."""
    if cfg.preload_app:
        return MAY_NOT_PRELOAD
    if cfg.is_ssl:
        return NO_TLS
    if cfg.proxy_protocol and cfg.proxy_protocol != "off":
        return PROXY_PROTOCOL
    return None


class EventletWorker(Worker):  # type: ignore[misc]  # gunicorn has no types
    """Serves HTTP and websockets on green threads."""

    wsgi: Any

    @classmethod
    def check_config(cls, cfg: Any, log: Any) -> None:
        """Called in the master, before it forks."""
        if (reason := refusal(cfg)) is not None:
            log.critical(reason)
            sys.exit(1)

    def init_process(self) -> None:
        """Patch this process, then load the application and run."""
        # Until gunicorn's own handlers are there, those of the master are, which would lose a signal to stop.
        for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            signal.signal(signum, signal.SIG_DFL)
        from .patch import patch

        patch()
        super().init_process()

    def run(self) -> None:
        """Serve until gunicorn, or a limit of the worker's own, says stop."""
        if not self.alive:
            return  # told to stop while the application was loaded
        from .process.worker import WorkerProcess

        WorkerProcess(self).run()

    def handle_abort(self, sig: int, frame: FrameType | None) -> None:
        """The master has not heard from this process for ``timeout`` seconds: say where it is stuck, and end."""
        self.alive = False
        stack = "".join(traceback.format_stack(frame))
        self.log.critical("Worker (pid:%s) was blocked for %s seconds, at:\n%s", os.getpid(), self.cfg.timeout, stack)
        self.cfg.worker_abort(self)
        os._exit(1)
