"""The ticker: its form, curl, and the shell."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.browser import Page, chromium
from tests.deadlines import deadline
from tests.groups.redis_servers import redis_server
from tests.management.projects import RunningServer

from .served import Section, as_javascript, manage, serving, sign_up, status_of_a_post


@pytest.fixture(scope="module")
def editor(browser: str, origin: str) -> Iterator[Page]:
    """The page of somebody who may publish."""
    with chromium(browser) as tab:
        sign_up(tab, origin, "editor")
        yield tab


def wait_for_headlines(tab: Page, *texts: str) -> None:
    """Wait until these are the newest, the newest first."""
    texts_of = "(line) => line.lastChild.textContent"
    shown = f"[...document.querySelectorAll('.headlines li')].slice(0, {len(texts)}).map({texts_of})"
    tab.wait_for(f"JSON.stringify({shown}) === {json.dumps(as_javascript(texts))}")


def test_the_form(page: Page, editor: Page, origin: str) -> None:
    for tab in (page, editor):
        tab.open(f"{origin}/ticker/")
        Section(tab, "ticker").wait_for_state("connected")
    publish = "document.getElementById('publish')"
    editor.run(f"{publish}.elements.text.value = 'One <b>bold</b> headline'")
    editor.run(f"{publish}.querySelector('button').click()")
    for tab in (page, editor):
        wait_for_headlines(tab, "One <b>bold</b> headline")
    # As a browser without JavaScript sends it.
    editor.run(f"{publish}.elements.text.value = 'Another'; {publish}.submit()")
    for tab in (page, editor):
        wait_for_headlines(tab, "Another", "One <b>bold</b> headline")


def test_who_may_not(page: Page, origin: str) -> None:
    page.open(f"{origin}/ticker/")
    assert page.run("document.getElementById('publish')") is None
    page.open(f"{origin}/login/")
    assert status_of_a_post(page, "/ticker/", text="x") == 403


def test_curl(editor: Page, origin: str, program: Callable[..., str]) -> None:
    """The command on the page, as it is."""
    editor.open(f"{origin}/ticker/")
    shown = editor.run("document.querySelector('pre[aria-label=curl]').textContent")
    _, *arguments = shlex.split(shown.replace("\\\n", ""))
    curl = [program("curl"), "--silent", "--noproxy", "*", "--write-out", "%{http_code}", *arguments]
    assert run(curl) == "204"
    wait_for_headlines(editor, "Hello from curl")
    assert run([*curl, "--data", f"text={'x' * 201}"]).endswith("400")
    forged = [re.sub(r"Bearer .*", "Bearer MQ:1:forged", argument) for argument in curl]
    assert forged != curl
    assert run(forged).endswith("401")


def run(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=deadline(20)).stdout


def shown_code(page: str) -> str:
    """The shell's code on the page."""
    code: str
    [code] = re.findall(r"shell -c \\\n +'(.*?)'</code>", page)
    return code


def test_the_shell_reaches_who_shares_its_redis(tmp_path: Path, page: Page) -> None:
    with redis_server(tmp_path) as redis, serving(tmp_path, "--noreload", REDIS_URL=redis.url) as server:
        page.open(f"http://127.0.0.1:{server.port}/ticker/")
        Section(page, "ticker").wait_for_state("connected")
        code = shown_code(server.get("/ticker/")[1])
        shell = manage(tmp_path, "shell", "-c", code, REDIS_URL=redis.url, DATABASE=str(tmp_path / "db.sqlite3"))
        assert shell.returncode == 0, shell.stderr
        wait_for_headlines(page, "Hello from the shell")
        assert page.run("document.querySelector('.notice')") is None


def test_the_page_says_when_the_shell_does_not(server: RunningServer) -> None:
    assert "REDIS_URL=redis://localhost make run" in server.get("/ticker/")[1]
