"""The poll: htmx, and none."""

from __future__ import annotations

import signal
from pathlib import Path

from tests.browser import Page
from tests.ports import free_port

from .served import manage, serving, status_of_a_post

COUNTS = "[...document.querySelectorAll('#results span')].map((span) => Number(span.textContent))"


def test_two_tabs(page: Page, origin: str) -> None:
    """htmx may close the websocket of a tab that nobody sees, until somebody does."""
    with page.another_tab() as other:
        for tab in (page, other):
            tab.open(f"{origin}/poll/")
        before = page.run(COUNTS)
        page.run("window.stays = true")
        vote(page, "Coffee")
        for tab in (page, other):
            tab.show()
            wait_for_counts(tab, [before[0], before[1] + 1, before[2]])
        vote(other, "Water")
        for tab in (other, page):
            tab.show()
            wait_for_counts(tab, [before[0], before[1] + 1, before[2] + 1])
        assert page.run("window.stays")


def test_votes_while_the_server_was_away(page: Page, tmp_path: Path) -> None:
    """htmx connects again, by itself or because somebody looks at the page, and is told how it stands."""
    port = free_port()
    with serving(tmp_path, "--noreload", port=port) as server:
        page.open(f"http://127.0.0.1:{port}/poll/")
        vote(page, "Tea")
        wait_for_counts(page, [1, 0, 0])
        assert server.end(signal.SIGTERM) == 0
    code = "from server.pages.models import Choice; Choice.objects.filter(label='Water').update(votes=5)"
    shell = manage(tmp_path, "shell", "-c", code, DATABASE=str(tmp_path / "db.sqlite3"))
    assert shell.returncode == 0, shell.stderr
    with serving(tmp_path, "--noreload", port=port):
        with page.another_tab():
            pass
        wait_for_counts(page, [1, 0, 5])


def test_without_htmx(page: Page, origin: str) -> None:
    page.open(f"{origin}/poll/")
    before = page.run(COUNTS)
    # A copy of the form, of which htmx knows nothing.
    page.run("document.querySelector('main form').replaceWith(document.querySelector('main form').cloneNode(true))")
    page.run("window.left = false")
    vote(page, "Tea")
    page.wait_for("window.left === undefined")
    wait_for_counts(page, [before[0] + 1, *before[1:]])


def test_a_vote_for_nothing(page: Page, origin: str) -> None:
    page.open(f"{origin}/poll/")
    assert status_of_a_post(page, "/poll/", choice="x") == 404


def vote(page: Page, choice: str) -> None:
    page.run(f"document.querySelector('main button[value={choice}]').click()")


def wait_for_counts(page: Page, counts: list[int]) -> None:
    page.wait_for(f"JSON.stringify({COUNTS}) === '{str(counts).replace(' ', '')}'")
