"""What runs in a worker process of gunicorn's."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.conf import settings

from ...access_log import ClosedEntry
from ...addresses import is_within, parse_networks
from ...compat.eventlet import hub_survives_exits
from ...conf import get_setting
from ...descriptor_limit import cap_to_descriptors, raise_to_hard_limit
from ..green import eventlet
from ..green.exiting import end_children, guard_exit
from ..green.outputs import protect_outputs
from ..http.connection import AccessEntry
from .log_files import reopen_log_files
from .os_signals import signals_to_hub
from .server import Farewell, Server
from .site import SiteServer

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["WorkerProcess", "behind_proxies"]

BEAT_SECONDS = 1.0
"""Seconds between two signs of life to the master, and looks at what may end the worker."""

GRACE_SECONDS = 2.0
"""Seconds before gunicorn's ``graceful_timeout`` that our drain ends, so that the master need not kill."""

BOOT_SECONDS = 2.0
"""Seconds until a worker that leaves stops listening and closes its websockets. gunicorn sends workers away before
their successors listen, and clients that come at that moment would wait for them."""

SPREAD_SECONDS = 6.0
"""Seconds over which they are closed."""

ANSWER_SECONDS = 5.0
"""Seconds that the master has to send a worker away that has asked for a successor."""

GUNICORN_KEEPALIVE = 2
"""gunicorn's default, which is too short for a proxy in front: nginx keeps its connections for a minute."""

GUNICORN_CONNECTIONS = 1000
"""gunicorn's default, which can't be told from a limit that somebody set; then WEBSOCKET_MAX_CONNECTIONS counts."""


class WorkerProcess:
    """Runs our server for gunicorn's ``worker``."""

    def __init__(self, worker: Any) -> None:
        self._worker = worker
        self._cfg = cfg = worker.cfg
        self._is_spent = False  # has answered ``max_requests``
        is_django = _has_settings()
        if not is_django:
            settings.configure()  # the limits are declared as settings, with defaults
        keep_alive = None if cfg.keepalive == GUNICORN_KEEPALIVE else float(cfg.keepalive)
        limit = None
        if cfg.worker_connections not in (0, GUNICORN_CONNECTIONS):
            limit = cap_to_descriptors(cfg.worker_connections, raise_to_hard_limit())
        self._server: Server = (SiteServer if is_django else Server)(
            behind_proxies(self._with_hooks(worker.wsgi), cfg),
            [sock.sock for sock in worker.sockets],
            access_log=self._log,
            websocket_log=self._log_websocket if _logs_access(worker.log, cfg) else None,
            keep_alive=keep_alive,
            tls=worker.tls,
            max_connections=limit,
            multiprocess=cfg.workers > 1,
            # Even a single worker has a successor, to whom waiting connections must be left.
            shared_listeners=not cfg.reuse_port,
        )
        if isinstance(self._server, SiteServer):
            self._server.shares_metrics_address = True

    def run(self) -> None:
        """Serve until told to stop."""
        protect_outputs()
        signals = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1, signal.SIGWINCH)
        with (
            hub_survives_exits(eventlet.hubs.get_hub()),
            signals_to_hub(self._react, *signals, until_exit=True),
        ):
            beat = eventlet.spawn(self._beat)
            try:
                self._server.serve()
                end_children(lambda: self._server.drain_deadline)
            finally:
                beat.kill()
        guard_exit()

    # Signals, in the hub

    def _react(self, signum: int) -> None:
        if signum == signal.SIGTERM:
            self._worker.alive = False
            self._leave()
        elif signum in (signal.SIGINT, signal.SIGQUIT):
            eventlet.spawn_n(self._quit)
        elif signum == signal.SIGUSR1:
            eventlet.spawn_n(self._reopen)

    def _leave(self) -> None:
        """Stop in good time; gunicorn repeats its SIGTERM."""
        if self._server.stopping:
            return
        seconds = max(self._cfg.graceful_timeout - GRACE_SECONDS, self._cfg.graceful_timeout / 2)
        delay = min(BOOT_SECONDS, seconds / 4)
        spread = min(SPREAD_SECONDS, seconds / 2)
        farewell = Farewell(get_setting("WEBSOCKET_RESTART_CODE"), "server is restarting", delay, spread)
        self._server.stop(drain_timeout=seconds, farewell=farewell)

    def _quit(self) -> None:
        self._worker.alive = False
        self._cfg.worker_int(self._worker)
        self._server.stop(drain_timeout=0)

    def _reopen(self) -> None:
        self._worker.log.reopen_files()
        reopen_log_files()

    def _beat(self) -> None:
        worker = self._worker
        while True:
            worker.notify()
            if not self._server.stopping:
                if worker.ppid != os.getppid():
                    worker.log.info("Parent changed, shutting down: %s", worker)
                    self._leave()
                elif not worker.alive:  # a file has changed, under --reload
                    self._server.stop(drain_timeout=0)
            eventlet.sleep(BEAT_SECONDS)

    # Requests

    def _with_hooks(self, application: WSGIApplication) -> WSGIApplication:
        cfg, worker = self._cfg, self._worker
        if cfg.settings["pre_request"].get() is cfg.settings["pre_request"].default:
            return application

        def call(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            cfg.pre_request(worker, _Request(environ))
            return application(environ, start_response)

        return call

    def _log(self, entry: AccessEntry) -> None:
        worker, cfg = self._worker, self._cfg
        if entry.environ:
            request, response = _Request(entry.environ), _Response(entry)
            worker.log.access(response, request, entry.environ, timedelta(seconds=entry.duration))
            if cfg.settings["post_request"].get() is not cfg.settings["post_request"].default:
                cfg.post_request(worker, request, entry.environ, response)
        if entry.status == 101:
            return  # websockets that come back after a restart would cause the next one
        worker.nr += 1
        if worker.nr >= worker.max_requests and not self._is_spent and not self._server.stopping:
            self._is_spent = True
            eventlet.spawn_n(self._make_room)

    def _log_websocket(self, entry: ClosedEntry) -> None:
        log = self._worker.log
        log.access_log.info("%s", entry.line(log.now()), extra=asdict(entry))

    def _make_room(self) -> None:
        """Have a successor started, and leave once gunicorn says so. It would start one only when this one is gone.

        One worker at a time, or none might be left that listens.
        """
        worker = self._worker
        while not worker.take_turn():
            eventlet.sleep(BEAT_SECONDS)
            if self._server.stopping:
                return
        worker.log.info("Autorestarting worker after current request.")
        try:
            os.kill(worker.ppid, signal.SIGTTIN)
            os.kill(worker.ppid, signal.SIGTTOU)
        except OSError:  # the master is another user's
            pass
        else:
            eventlet.sleep(ANSWER_SECONDS)
        self._leave()


def _has_settings() -> bool:
    """Whether the application is one of Django's, or uses it."""
    if settings.configured:
        return True
    if not os.environ.get("DJANGO_SETTINGS_MODULE"):
        return False
    try:
        settings.DEBUG  # noqa: B018  loads them
    except SyntaxError:
        # gunicorn tolerates this under --reload: the application is a page that says so, until the file changes.
        return False
    return True


def _logs_access(log: Any, cfg: Any) -> bool:
    """Whether gunicorn has an access log. Only its later versions say so themselves, and other loggers need not."""
    if not (hasattr(log, "access_log") and hasattr(log, "now")):
        return False
    options = cfg.settings
    configured = any(options[name].get() for name in ("accesslog", "logconfig", "logconfig_dict", "logconfig_json"))
    return bool(configured or (cfg.syslog and not cfg.disable_redirect_access_to_syslog))


class _Request:
    """As much of gunicorn's request as hooks and access logs look at."""

    def __init__(self, environ: Any) -> None:
        self.method = environ["REQUEST_METHOD"]
        self.uri = environ["RAW_URI"]
        self.path = environ["PATH_INFO"]
        self.query = environ["QUERY_STRING"]
        self.headers = [
            (name[5:].replace("_", "-"), value) for name, value in environ.items() if name.startswith("HTTP_")
        ]
        for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            if name in environ:
                self.headers.append((name.replace("_", "-"), environ[name]))


class _Response:
    """The same of its response."""

    def __init__(self, entry: AccessEntry) -> None:
        self.status = str(entry.status)
        self.status_code = entry.status
        self.sent = entry.sent
        self.headers = list(entry.headers)
        self.response_length = entry.sent


def behind_proxies(application: WSGIApplication, cfg: Any) -> WSGIApplication:
    """Set the scheme as gunicorn does: by ``secure_scheme_headers`` from who is in ``forwarded_allow_ips``.

    ``SCRIPT_NAME`` comes from the environment.
    """
    trusted = cfg.forwarded_allow_ips
    if isinstance(trusted, str):
        trusted = [one.strip() for one in trusted.split(",")]
    trusts_all = "*" in trusted
    networks = parse_networks(one for one in trusted if one and one != "*")
    schemes = {f"HTTP_{name.replace('-', '_')}": value for name, value in cfg.secure_scheme_headers.items()}
    script_name = os.environ.get("SCRIPT_NAME", "")

    def call(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        peer = environ["REMOTE_ADDR"]
        if trusts_all or not peer or peer in trusted or is_within(peer, networks):
            claims = {environ[name] == secure for name, secure in schemes.items() if name in environ}
            if claims == {True}:
                environ["wsgi.url_scheme"] = "https"
            elif len(claims) > 1:
                start_response("400 Bad Request", [("Content-Type", "text/plain")])
                return [b"Contradictory scheme headers\n"]
        if script_name:
            environ["SCRIPT_NAME"] = script_name
            environ["PATH_INFO"] = environ["PATH_INFO"].removeprefix(script_name)
        return application(environ, start_response)

    return call
