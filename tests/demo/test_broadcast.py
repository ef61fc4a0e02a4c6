"""The page with a group."""

from __future__ import annotations

from tests.browser import Page

from .served import Section


def test_two_tabs(page: Page, origin: str) -> None:
    with page.another_tab() as other:
        sections = []
        for tab in (page, other):
            tab.open(f"{origin}/broadcast/page/")
            sections.append(Section(tab, "broadcast"))
            sections[-1].wait_for_state("connected")
        for number, section in enumerate(sections):
            section.submit(f"from {number}")
            for one in sections:
                one.wait_for_log(f"received from {number}")
