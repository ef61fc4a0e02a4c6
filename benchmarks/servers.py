"""The servers: this project and its peers, how each is started and what it supports.

Each runs on one core with its defaults, access logs off, and a backlog large enough for a storm. All Django servers
run the same project: default middleware, sessions, auth.
"""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from .environment import CERTIFICATE, FLOOR
from .processes import Failure

BIN = FLOOR.parent / "bin"
OURS = "ours"


@dataclass(frozen=True)
class Server:
    """One row of the tables."""

    name: str
    title: str
    command: Callable[[int], list[str]]  # of the port
    kinds: frozenset[str]  # of workloads
    django: bool = False
    path: str = "/echo"
    layer: str = ""  # Channels' layer
    pings: bool = True  # sends pings by itself
    most_clients: int = 19_000
    note: str = ""
    needs: Sequence[str] = field(default=())  # importable modules
    metrics: bool = False  # are on, and asked for every few seconds
    tls: bool = False  # HAProxy, on the load generator's core, speaks it for that one

    def unavailable(self) -> str | None:
        """The reason why it can't be started here, None if it can."""
        for module in self.needs:
            if not importable(module):
                return f"{module} is not there"
        if self.layer.startswith("redis") and shutil.which("redis-server") is None:
            return "redis-server is not installed"
        if self.tls and (shutil.which("haproxy") is None or not CERTIFICATE.exists()):
            return "haproxy or openssl is not installed"
        if self.name == "floor" and not FLOOR.exists():
            return "no C compiler (cc) when the environment was made"
        return None


def importable(module: str) -> bool:
    """Whether ``module``, which may be dotted, can be found."""
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _module(name: str) -> Callable[[int], list[str]]:
    return lambda port: [str(BIN / "python"), "-m", f"benchmarks.{name}", str(port)]


def _uvicorn(application: str, more: str = "") -> Callable[[int], list[str]]:
    options = "--host 127.0.0.1 --loop uvloop --ws websockets-sansio --no-access-log --log-level warning --lifespan off"
    return lambda port: [str(BIN / "uvicorn"), application, "--port", str(port), *options.split(), *more.split()]


def _daphne(application: str) -> Callable[[int], list[str]]:
    return lambda port: [
        *(str(BIN / "daphne"), "--verbosity", "0", application),
        *("--endpoint", f"tcp:port={port}:interface=127.0.0.1:backlog=2048"),
    ]


def _granian(application: str) -> Callable[[int], list[str]]:
    options = "--interface asgi --host 127.0.0.1 --loop uvloop --workers 1 --backlog 2048 --no-log"
    return lambda port: [str(BIN / "granian"), application, "--port", str(port), *options.split()]


def _gunicorn(options: str) -> Callable[[int], list[str]]:
    return lambda port: [
        *(str(BIN / "gunicorn"), "benchmarks.project.wsgi", "--bind", f"127.0.0.1:{port}"),
        *("--workers", "1", "--log-level", "warning", *options.split()),
    ]


_ECHO = frozenset({"echo", "storm", "idle", "pings"})
_DEFLATE = _ECHO | {"deflate"}
_FANOUT = frozenset({"fanout"})
_HTTP = frozenset({"http"})
_TLS = frozenset({"echo", "storm"})
_CHANNELS = "benchmarks.project.asgi:application"

_SERVERS = [
    Server(
        OURS,
        "django-websocket",
        _module("project.ours"),
        _DEFLATE | _FANOUT | _HTTP,
        django=True,
        needs=["django_websocket.serving.process.server"],
    ),
    Server(
        "ours-metrics",
        "django-websocket, with metrics",
        _module("project.ours"),
        frozenset({"echo"}) | _FANOUT,
        django=True,
        needs=["prometheus_client"],
        metrics=True,
    ),
    Server(
        "ours-tls",
        "django-websocket, TLS",
        _module("project.ours"),
        _TLS,
        django=True,
        needs=["django_websocket.serving.tls"],
        tls=True,
    ),
    Server(
        "ours-redis",
        "django-websocket, over Redis",
        _module("project.ours"),
        _FANOUT,
        django=True,
        layer="redis",
        needs=["django_websocket.groups.redis"],
    ),
    Server(
        "floor",
        "bare epoll loop in C",
        lambda port: [str(FLOOR), str(port)],
        _ECHO | _FANOUT,
        pings=False,
        note="the kernel's price",
    ),
    Server("picows", "picows on uvloop", _module("peers.picows_echo"), _ECHO),
    Server("websockets", "websockets on uvloop", _module("peers.websockets_asyncio"), _DEFLATE),
    Server(
        "websockets-threads",
        "websockets, threads",
        _module("peers.websockets_threads"),
        _DEFLATE,
        most_clients=1000,
    ),
    Server("uvicorn-raw", "raw ASGI on uvicorn", _uvicorn("benchmarks.peers.asgi:application"), _DEFLATE),
    Server(
        "uvicorn-raw-tls",
        "raw ASGI on uvicorn, TLS",
        _uvicorn("benchmarks.peers.asgi:application", f"--ssl-certfile {CERTIFICATE} --ssl-keyfile {CERTIFICATE}"),
        _TLS,
        tls=True,
    ),
    Server(
        "granian-raw",
        "raw ASGI on granian",
        _granian("benchmarks.peers.asgi:application"),
        _ECHO,
        pings=False,
    ),
    Server("gevent", "gevent-websocket", _module("peers.gevent_websocket"), _ECHO, pings=False),
    Server("eventlet", "eventlet.websocket", _module("peers.eventlet_websocket"), _ECHO, pings=False),
    Server(
        "channels-async",
        "Channels, async consumer, uvicorn",
        _uvicorn(_CHANNELS),
        _DEFLATE,
        django=True,
        path="/async",
    ),
    Server(
        "channels-sync",
        "Channels, sync consumer, uvicorn",
        _uvicorn(_CHANNELS),
        _DEFLATE,
        django=True,
        path="/sync",
    ),
    Server(
        "daphne-async",
        "Channels, async consumer, Daphne",
        _daphne(_CHANNELS),
        _ECHO,
        django=True,
        path="/async",
    ),
    Server("daphne-sync", "Channels, sync consumer, Daphne", _daphne(_CHANNELS), _ECHO, django=True, path="/sync"),
    Server(
        "channels-memory",
        "Channels, in-memory layer",
        _uvicorn(_CHANNELS),
        _FANOUT,
        django=True,
        layer="memory",
    ),
    Server("channels-redis", "Channels, Redis layer", _uvicorn(_CHANNELS), _FANOUT, django=True, layer="redis"),
    Server(
        "channels-redis-pubsub",
        "Channels, Redis pub/sub layer",
        _uvicorn(_CHANNELS),
        _FANOUT,
        django=True,
        layer="redis-pubsub",
    ),
    Server("websockets-broadcast", "websockets.broadcast", _module("peers.websockets_asyncio"), _FANOUT),
    Server("gunicorn-sync", "gunicorn, sync worker", _gunicorn("-k sync"), _HTTP, django=True),
    Server(
        "gunicorn-gthread",
        "gunicorn, gthread worker",
        _gunicorn("-k gthread --threads 8"),
        _HTTP,
        django=True,
    ),
    Server("gunicorn-gevent", "gunicorn, gevent worker", _gunicorn("-k gevent"), _HTTP, django=True),
    Server(
        "uvicorn-django",
        "Django's ASGI on uvicorn",
        _uvicorn("benchmarks.project.asgi:pages"),
        _HTTP,
        django=True,
    ),
]

SERVERS = {server.name: server for server in _SERVERS}


def chosen(names: str) -> list[Server]:
    """The servers of a comma-separated list, in the tables' order; all for "all".

    Raises Failure for an unknown name.
    """
    if names == "all":
        return list(SERVERS.values())
    wanted = names.split(",")
    unknown = sorted(set(wanted) - set(SERVERS))
    if unknown:
        raise Failure(f"no server {', '.join(unknown)}; there are {', '.join(SERVERS)}")
    return [server for server in SERVERS.values() if server.name in wanted]
