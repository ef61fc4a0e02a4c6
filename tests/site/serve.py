"""Serves the test project: ``python -m tests.site.serve``. Prints the port once it listens; ends on SIGTERM."""

from __future__ import annotations

from django_websocket.serving.patch import patch

patch()

import importlib  # noqa: E402  the patch comes first
import os  # noqa: E402

import django  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.db import connections  # noqa: E402
from django.urls import get_resolver  # noqa: E402

from django_websocket.serving.green.exiting import end_children, guard_exit  # noqa: E402
from django_websocket.serving.process.binding import bind_sockets  # noqa: E402
from django_websocket.serving.process.operator_signals import operator_signals  # noqa: E402
from django_websocket.serving.process.site import SiteServer  # noqa: E402
from tests.deadlines import deadline  # noqa: E402

from . import running_server, settings  # noqa: E402


def main() -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.site.settings"
    django.setup()
    for constant, value in settings.OPTIONS.get("constants", {}).items():
        module, _, name = constant.rpartition(".")
        setattr(importlib.import_module(f"django_websocket.{module}"), name, value)
    call_command("migrate", verbosity=0)
    connections.close_all()
    _ = get_resolver().url_patterns  # whose import would hold up the first request, for long on a busy machine
    [listener] = bind_sockets(f"127.0.0.1:{settings.OPTIONS.get('port', 0)}")
    server = SiteServer(get_wsgi_application(), [listener])
    running_server.server = server
    print(listener.getsockname()[1], flush=True)
    with operator_signals(lambda _: server.stop(drain_timeout=deadline(2)), until_exit=True):
        server.serve()
        end_children(lambda: server.drain_deadline)
    guard_exit()


if __name__ == "__main__":
    main()
