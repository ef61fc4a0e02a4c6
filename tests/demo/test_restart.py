"""The page that watches the server go and come back."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.browser import Page
from tests.groups.redis_servers import redis_server
from tests.management.projects import RunningServer
from tests.ports import free_port

from .served import Section, manage, serving


@contextmanager
def started(directory: Path, port: int, **variables: str) -> Iterator[RunningServer]:
    with serving(directory, "--noreload", port=port, **variables) as server:
        yield server


#: Try until it works; by itself the page may take half a minute, if the server took long.
BACK = "(document.getElementById('retry').click(), document.querySelector('output').dataset.state === 'open')"
LOG = "document.querySelector('.log').textContent"
RECEIVED = "document.querySelectorAll('.log [data-kind=received]').length"


def test_a_gap_where_groups_are_kept_in_memory(page: Page, tmp_path: Path) -> None:
    port = free_port()
    with started(tmp_path, port) as server:
        page.open(f"http://127.0.0.1:{port}/restart/")
        section = Section(page, "restart")
        section.wait_for_log("note open")
        section.submit()
        page.wait_for(f"{RECEIVED} === 1")
        assert server.end(signal.SIGTERM) == 0
        page.wait_for(f"{LOG}.includes('lost: 1001')")
        page.wait_for("document.getElementById('code').textContent === '1006'")  # nobody answers
        assert page.run("Number(document.getElementById('attempts').textContent)") > 1
        assert page.run(f"{section.element}.querySelector('button').disabled")
    with started(tmp_path, port):
        page.wait_for(BACK)
        section.wait_for_log("note open", "note there is a gap: the history has begun again")
        section.submit()
        page.wait_for(f"{RECEIVED} === 2")


def test_nothing_is_missed_where_redis_keeps_them(page: Page, tmp_path: Path) -> None:
    port = free_port()
    send = "from django_websocket import Group; Group('restart').send_json({'at': '2026-01-01T00:00:00Z'})"
    with ExitStack() as stack:
        redis = stack.enter_context(redis_server(tmp_path))
        with started(tmp_path, port, REDIS_URL=redis.url) as server:
            page.open(f"http://127.0.0.1:{port}/restart/")
            section = Section(page, "restart")
            section.wait_for_log("note open")
            section.submit()
            page.wait_for(f"{RECEIVED} === 1")
            assert server.end(signal.SIGTERM) == 0
            page.wait_for(f"{LOG}.includes('lost: 1001')")
        shell = manage(tmp_path, "shell", "-c", send, REDIS_URL=redis.url)
        assert shell.returncode == 0, shell.stderr
        assert page.run(RECEIVED) == 1
        with started(tmp_path, port, REDIS_URL=redis.url):
            page.wait_for(BACK)
            page.wait_for(f"{RECEIVED} === 2")
            section.wait_for_state("connected")
            assert not page.run(f"{LOG}.includes('gap')")
