"""The page with both ways to listen."""

from __future__ import annotations

from tests.browser import Page

from .served import Section


def test_both_ways(page: Page, origin: str) -> None:
    page.open(f"{origin}/events/")
    sections = [Section(page, "websocket"), Section(page, "stream")]
    for section in sections:
        section.wait_for_state("connected")
    page.run("document.querySelector('#push button').click()")
    texts = []
    for section in sections:
        page.wait_for(f"{section.element}.querySelector('.log li')")
        texts.append(page.run(f"{section.element}.querySelector('.log').textContent"))
    assert texts[0] == texts[1]
    assert texts[0].startswith("The server's clock says ")
