"""The demo under its own manage_ws.py, and what is done on its pages."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.browser import Page
from tests.conftest import ROOT
from tests.management.projects import GREEN_DNS, RunningServer, environment, running

__all__ = ["MANAGE_WS", "Section", "as_javascript", "manage", "serving", "sign_up", "status_of_a_post"]

MANAGE_WS = [sys.executable, str(ROOT / "manage_ws.py")]


def manage(cwd: Path, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command of manage_ws.py."""
    env = environment(ROOT, **variables)
    return subprocess.run([*MANAGE_WS, *command], cwd=cwd, env=env, capture_output=True, text=True)


@contextmanager
def serving(directory: Path, *options: str, port: int = 0, **variables: str) -> Iterator[RunningServer]:
    """The demo with a database in ``directory``, until a SIGTERM that it must obey, unless it has ended before."""
    database = {"DATABASE": str(directory / "db.sqlite3")}
    migrated = manage(directory, "migrate", **database)
    assert migrated.returncode == 0, migrated.stderr
    env = environment(ROOT, **GREEN_DNS, **database, **variables)
    with running([*MANAGE_WS, "runwsserver", *options, str(port)], directory, env) as server:
        server.wait_until_serving()
        yield server
        if server.process.poll() is None:
            assert server.end(signal.SIGTERM) == 0


def sign_up(page: Page, origin: str, name: str) -> None:
    """Become somebody, who is then in the lobby."""
    page.open(f"{origin}/sign-up/")
    fields = {"username": name, "password1": "correct horse", "password2": "correct horse"}
    for field, value in fields.items():
        page.run(f"document.querySelector('[name={field}]').value = {json.dumps(value)}")
    page.run("document.querySelector('.account-form form').submit()")
    page.wait_for("location.pathname === '/chat/' && document.readyState === 'complete'")


def status_of_a_post(page: Page, path: str, **fields: str) -> int:
    """What a form with these fields is answered, sent from a page that has a form for its token."""
    token = "document.querySelector('main [name=csrfmiddlewaretoken]').value"
    body = f"new URLSearchParams({{csrfmiddlewaretoken: {token}, ...{json.dumps(fields)}}})"
    answer: int = page.run(f"fetch('{path}', {{method: 'POST', body: {body}}}).then((answer) => answer.status)")
    return answer


class Section:
    """A part of a page that has a connection: its state, its form, and its log."""

    def __init__(self, page: Page, identifier: str) -> None:
        self.page = page
        self.element = f"document.getElementById({json.dumps(identifier)})"

    def wait_for_state(self, state: str) -> None:
        self.page.wait_for(f"{self.element}.querySelector('output').value === {json.dumps(state)}")

    def submit(self, text: str | None = None) -> None:
        """Send the form, with ``text`` in its field, as its button does once that can be pressed."""
        button = f"{self.element}.querySelector('form button:not([type])')"
        self.page.wait_for(f"!{button}.disabled")
        if text is not None:
            self.page.run(f"{self.element}.querySelector('form input:not([type=hidden])').value = {json.dumps(text)}")
        self.page.run(f"{button}.click()")

    def wait_for_log(self, *lines: str, all_of_it: bool = False) -> None:
        """Wait until the log ends with ``lines``, each "kind text", or has no others."""
        log = f"[...{self.element}.querySelectorAll('.log li')].map((li) => `${{li.dataset.kind}} ${{li.textContent}}`)"
        shown = log if all_of_it else f"{log}.slice(-{len(lines)})"
        self.page.wait_for(f"JSON.stringify({shown}) === {json.dumps(as_javascript(lines))}")


def as_javascript(texts: tuple[str, ...]) -> str:
    """As JSON.stringify() writes them."""
    return json.dumps(texts, separators=(",", ":"), ensure_ascii=False)
