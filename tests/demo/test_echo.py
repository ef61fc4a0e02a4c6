"""The page with the loop and with the one answer."""

from __future__ import annotations

from tests.browser import Page

from .served import Section


def test_the_loop(page: Page, origin: str) -> None:
    page.open(f"{origin}/echo/page/")
    section = Section(page, "echo")
    section.wait_for_state("connected")
    section.submit("Hello, Wörld")
    section.wait_for_log("sent Hello, Wörld", "received Hello, Wörld")
    section.submit("again")
    section.wait_for_log("sent again", "received again")


def test_the_answer(page: Page, origin: str) -> None:
    page.open(f"{origin}/echo/page/")
    section = Section(page, "echo-once")
    section.wait_for_state("not connected")
    lines = ("sent one", "received one", "note closed with 1000")
    for times in (1, 2):
        section.submit("one")
        section.wait_for_log(*lines * times, all_of_it=True)
        section.wait_for_state("closed")


def test_messages_are_shown_as_text(page: Page, origin: str) -> None:
    page.open(f"{origin}/echo/page/")
    section = Section(page, "echo")
    section.submit("<b>bold</b>")
    section.wait_for_log("sent <b>bold</b>", "received <b>bold</b>")


def test_offline_and_back(page: Page, origin: str) -> None:
    # A page of this very machine needs no network, and so is never offline: it takes another name to be.
    page.open(f"{origin.replace('127.0.0.1', 'demo.localhost')}/echo/page/")
    section = Section(page, "echo")
    section.wait_for_state("connected")
    page.go_offline()
    section.wait_for_state("offline")
    assert page.run(f"{section.element}.querySelector('button').disabled")
    page.go_offline(False)
    section.wait_for_state("connected")
    section.submit("back")
    section.wait_for_log("sent back", "received back")
