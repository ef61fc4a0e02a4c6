"""Serves the project in a process of its own: ``python -m tests.faults.project.serve OPTIONS`` (JSON).

Prints the port once it listens, and "ended" when it has stopped in good order.
"""

from __future__ import annotations

from django_websocket.serving.patch import patch

patch()

import json  # noqa: E402  the patch comes first
import os  # noqa: E402
import resource  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402

import django  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.db import connections  # noqa: E402

from django_websocket.serving.process.binding import bind_sockets  # noqa: E402
from django_websocket.serving.process.operator_signals import operator_signals  # noqa: E402
from django_websocket.serving.process.site import SiteServer  # noqa: E402


def jump_wall_clock() -> None:
    """Let ``time.time()`` jump by a day to and fro, each time that it is asked."""
    real, jumps = time.time, 0

    def jumping() -> float:
        nonlocal jumps
        jumps += 1
        return real() + (86400 if jumps % 2 else -86400)

    time.time = jumping


def main() -> None:
    options = json.loads(sys.argv[1])
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.faults.project.settings"
    if "descriptors" in options:
        resource.setrlimit(resource.RLIMIT_NOFILE, (options["descriptors"],) * 2)
    django.setup()
    if options.get("migrate"):
        call_command("migrate", verbosity=0)
        connections.close_all()
    listeners = bind_sockets(options.get("address", "127.0.0.1:0"))
    server = SiteServer(get_wsgi_application(), listeners, max_connections=options.get("max_connections"))
    from . import state

    state.servers.append(server)
    state.count_checks()
    if "beat" in options:
        state.start_beat(options["beat"])
    if options.get("jumping_clock"):
        jump_wall_clock()
    print(listeners[0].getsockname()[1], flush=True)
    with operator_signals(lambda _: server.stop(drain_timeout=0 if server.stopping else None), until_exit=True):
        server.serve()
    print("ended", flush=True)


if __name__ == "__main__":
    main()
