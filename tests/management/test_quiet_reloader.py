"""What Django's reloader does in the server's process, the log doesn't blame on the project."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.deadlines import deadline, wait_until

from .projects import running

LIMIT = deadline(0.5)

SETTINGS = f"""
WEBSOCKET_BLOCKING_WARNING = {LIMIT}

from django.utils.autoreload import StatReloader
from django_websocket.serving.green import watchdog
from eventlet.patcher import original

watchdog.LOG_SECONDS = 0

def blocking_scan(reloader, scan=StatReloader.snapshot_files):
    original("time").sleep({2 * LIMIT})
    print("scanned", flush=True)
    return scan(reloader)

StatReloader.snapshot_files = blocking_scan
"""

VIEWS = f"""
from django.http import HttpResponse
from eventlet.patcher import original

def lower_case(request):
    original("time").sleep({2 * LIMIT})
    return HttpResponse()

echo_once = lower_case
"""


@pytest.mark.skipif(
    os.environ.get("EVENTLET_HUB", "epolls") not in ("epolls", "poll"), reason="this hub does not tell when it waits"
)
def test_only_a_view_is_named(watched_project: Path, env: dict[str, str]) -> None:
    with (watched_project / "mysite" / "settings.py").open("a") as settings:
        settings.write(SETTINGS)
    (watched_project / "mysite" / "views.py").write_text(VIEWS)
    with running([sys.executable, "manage.py", "runwsserver", "0"], watched_project, env) as server:
        server.wait_until_serving()
        scans = server.output.count("scanned")
        wait_until(lambda: server.output.count("scanned") > scans + 2, 30, "three scans")

        def is_named() -> bool:
            """A machine that holds up the whole process hides the call from the thread that looks for it."""
            assert server.get("/lower-case/") == (200, "")
            return "Blocking call (in a request for '/lower-case/')" in server.output

        wait_until(is_named, 30, "the view is named")
        assert "in blocking_scan" not in server.output
