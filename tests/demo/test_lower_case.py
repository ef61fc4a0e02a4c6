"""The page with one view for both."""

from __future__ import annotations

from tests.browser import Page

from .served import Section


def test_both_ways(page: Page, origin: str) -> None:
    page.open(f"{origin}/lower-case/page/")
    section = Section(page, "lower-case")
    section.submit("LOUD")
    section.wait_for_log("sent LOUD", "received loud")
    page.run(f"{section.element}.querySelector('[name=http]').click()")
    section.wait_for_log("sent GET LOUD", "received loud")


def test_no_page_is_made_of_what_is_asked(page: Page, origin: str) -> None:
    page.open(f"{origin}/lower-case/?message=%3Cscript%3Edocument.title=1%3C/script%3E")
    assert page.run("document.contentType") == "text/plain"
    assert page.run("document.title") == ""
