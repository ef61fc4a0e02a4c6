"""The chat: two people, and two tabs of one."""

from __future__ import annotations

import json

import pytest
from websockets.exceptions import InvalidStatus

from tests.browser import Page, chromium
from tests.management.projects import RunningServer

from .served import Section, as_javascript, sign_up


def test_two_people(page: Page, origin: str, browser: str) -> None:
    with chromium(browser) as ann, chromium(browser) as bob:
        for tab, name in ((ann, "ann"), (bob, "bob")):
            sign_up(tab, origin, name)
            Section(tab, "chat").wait_for_state("connected")
        for tab in (ann, bob):
            wait_for_members(tab, "ann, bob")
        speak(ann, "Hello, <b>Bob</b>")
        wait_for_messages(bob, "annHello, <b>Bob</b>")
        speak(bob, "Grüße")
        for tab in (ann, bob):
            wait_for_messages(tab, "annHello, <b>Bob</b>", "bobGrüße")
        # Who comes back gets what was said before.
        ann.open(f"{origin}/chat/lobby/")
        wait_for_messages(ann, "annHello, <b>Bob</b>", "bobGrüße")
        ann.run("document.querySelector('#go [name=room]').value = 'other-room'")
        ann.run("document.querySelector('#go button').click()")
        ann.wait_for("location.pathname === '/chat/other-room/'")
        wait_for_members(ann, "ann")
        wait_for_members(bob, "bob")


def test_logging_out_in_another_tab(browser: str, origin: str) -> None:
    with chromium(browser) as tab:
        sign_up(tab, origin, "carol")
        section = Section(tab, "chat")
        section.wait_for_state("connected")
        with tab.another_tab() as other:
            other.open(f"{origin}/echo/page/")
            other.run("document.querySelector('#log-out button').click()")
            other.wait_for("location.pathname === '/login/'")
        section.wait_for_state("closed")
        tab.wait_for("!document.getElementById('logged-out').hidden")
        assert tab.run("document.querySelector('#say button').disabled")
        tab.run("document.querySelector('#logged-out a').click()")
        tab.wait_for("location.pathname === '/login/' && location.search === '?next=/chat/'")


def test_only_for_people_with_a_name(page: Page, server: RunningServer, origin: str) -> None:
    page.run(f"location.href = '{origin}/chat/lobby/'")
    page.wait_for("location.pathname === '/login/' && document.readyState === 'complete'")
    with pytest.raises(InvalidStatus) as refused, server.connect("/chat/lobby/socket/"):
        pass
    assert refused.value.response.status_code == 403
    assert server.get(f"/chat/{'x' * 51}/")[0] == 404


def speak(tab: Page, text: str) -> None:
    tab.run(f"document.querySelector('#say [name=text]').value = {json.dumps(text)}")
    tab.run("document.querySelector('#say button').click()")


def wait_for_members(tab: Page, names: str) -> None:
    tab.wait_for(f"document.getElementById('here').textContent === {json.dumps(names)}")


def wait_for_messages(tab: Page, *texts: str) -> None:
    shown = "[...document.querySelectorAll('#messages li')].map((line) => line.textContent)"
    tab.wait_for(f"JSON.stringify({shown}) === {json.dumps(as_javascript(texts))}")
