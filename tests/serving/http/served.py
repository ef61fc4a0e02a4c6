"""Serves the test application in a process of its own: ``python -m tests.serving.http.served OPTIONS`` (JSON).

Prints the port, or the path of the unix socket, once it listens.
"""

from __future__ import annotations

from django_websocket.serving.patch import patch

patch()

import importlib  # noqa: E402  the patch comes first
import json  # noqa: E402
import logging  # noqa: E402
import resource  # noqa: E402
import signal  # noqa: E402
import sys  # noqa: E402
from functools import partial  # noqa: E402
from typing import Any  # noqa: E402
from wsgiref.validate import validator  # noqa: E402

from django.conf import settings  # noqa: E402

from django_websocket.serving.http.spool import ChunkedBodySpooler  # noqa: E402
from django_websocket.serving.process.binding import bind_sockets  # noqa: E402
from django_websocket.serving.process.server import AccessEntry, Server  # noqa: E402
from django_websocket.serving.tls import TLS, read_certificate  # noqa: E402

from . import application as app  # noqa: E402


def log_access(entry: AccessEntry) -> None:
    line = ["ACCESS", entry.method, entry.target, entry.protocol, entry.status, entry.sent]
    print(*line, *([] if entry.complete else ["cut off"]), file=sys.stderr, flush=True)


def count_end() -> None:
    app.counts["connections ended"] += 1


def main() -> None:
    options = json.loads(sys.argv[1])
    settings.configure()
    logging.basicConfig(format="LOG %(name)s %(levelname)s %(message)s")
    for constant, value in options.get("constants", {}).items():
        module, _, name = constant.rpartition(".")
        setattr(importlib.import_module(f"django_websocket.serving.{module}"), name, value)
    if "largest_file" in options:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (options["largest_file"],) * 2)
    if "descriptors" in options:
        resource.setrlimit(resource.RLIMIT_NOFILE, (options["descriptors"],) * 2)
    [listener] = bind_sockets(options.get("address", "127.0.0.1:0"))
    application: Any = validator(app.application) if options.get("validated") else app.application  # type: ignore[arg-type]
    if options.get("spooled"):
        application = ChunkedBodySpooler(application, options["spooled"])
        application.max_files = options.get("spooled_files", application.max_files)
        app.spoolers.append(application)
    server = Server(
        application,
        [listener],
        access_log=log_access,
        max_connections=options.get("max_connections"),
        request_timeout=options.get("request_timeout", 60),
        tls=TLS(partial(read_certificate, options["certificate"])) if "certificate" in options else None,
        on_connection_end=count_end,
    )
    app.servers.append(server)
    name = listener.getsockname()
    print(name[1] if isinstance(name, tuple) else name, flush=True)
    server.serve()
    print("ended", flush=True)


if __name__ == "__main__":
    main()
