"""What all pages have in common."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import pytest

from server.pages.contents import PAGES
from tests.browser import Page, chromium
from tests.conftest import ROOT

from .served import sign_up

PATHS = {
    "home": "/",
    "echo": "/echo/page/",
    "lower-case": "/lower-case/page/",
    "broadcast": "/broadcast/page/",
    "chat": "/chat/",
    "ticker": "/ticker/",
    "board": "/board/",
    "poll": "/poll/",
    "events": "/events/",
    "restart": "/restart/",
    "login": "/login/",
    "sign-up": "/sign-up/",
}
AXE = files("axe_core_python").joinpath("axe.min.js").read_text()


def test_none_is_forgotten() -> None:
    assert {page.name for page in PAGES} == set(PATHS) - {"home", "login", "sign-up"}


@pytest.fixture(scope="module")
def visitor(browser: str, origin: str) -> Iterator[Page]:
    """The tab of somebody who is logged in, and so sees more."""
    with chromium(browser) as tab:
        sign_up(tab, origin, "visitor")
        yield tab


def findings(page: Page) -> list[Any]:
    """What axe calls serious or worse."""
    page.run(f"{AXE}; null")
    found: list[Any] = page.run(
        "axe.run().then(({violations}) => violations"
        ".filter(({impact}) => ['serious', 'critical'].includes(impact))"
        ".map(({id, help, nodes}) => [id, help, nodes.map(({html}) => html)]))"
    )
    return found


def come_to_rest(page: Page) -> None:
    """Wait until each connection is there, and no color is on its way to another."""
    page.wait_for("[...document.querySelectorAll('output[data-state]')].every((one) => one.dataset.state === 'open')")
    page.wait_for("document.getAnimations().every((one) => one.playState === 'finished')")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PATHS)
def test_accessibility(name: str, scheme: str, visitor: Page, origin: str) -> None:
    visitor.resize(1440, 900)
    visitor.prefer(scheme)
    visitor.open(origin + PATHS[name])
    come_to_rest(visitor)
    visitor.run("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    assert findings(visitor) == []


@pytest.mark.parametrize("name", PATHS)
def test_a_phone(name: str, visitor: Page, origin: str) -> None:
    visitor.resize(390, 844, touch=True)
    visitor.open(origin + PATHS[name])
    come_to_rest(visitor)
    visitor.wait_for("innerWidth === 390 && document.documentElement.scrollWidth <= 390")
    assert findings(visitor) == []


def test_dark_is_dark(page: Page, origin: str) -> None:
    shades = []
    for scheme in ("light", "dark"):
        page.prefer(scheme)
        page.open(f"{origin}/")
        shades.append(page.run("getComputedStyle(document.body).backgroundColor"))
    assert shades[0] != shades[1]


def test_the_keyboard(page: Page, origin: str) -> None:
    """Past the navigation, to the field, and send."""
    page.open(f"{origin}/echo/page/")
    page.wait_for("document.querySelector('#echo output').dataset.state === 'open'")
    page.press("Tab")
    assert page.run("document.activeElement.className") == "skip"
    page.press("Enter")
    page.wait_for("document.activeElement.id === 'content'")
    page.press("Tab")
    assert page.run("document.activeElement.closest('section').id") == "echo"
    page.run("document.activeElement.select()")
    page.type("by hand")
    page.press("Enter")
    page.wait_for("document.querySelector('#echo .log').textContent === 'by handby hand'")


@pytest.mark.parametrize("name", [page.name for page in PAGES])
def test_the_source_is_beside_it(name: str, visitor: Page, origin: str) -> None:
    visitor.open(origin + PATHS[name])
    texts = "[one.querySelector('summary').textContent, one.querySelector('code').textContent]"
    shown = visitor.run(f"[...document.querySelectorAll('.sources details')].map((one) => {texts})")
    assert len(shown) == 2
    for file, text in shown:
        assert text == (ROOT / file).read_text().strip()


def test_the_navigation(page: Page, origin: str) -> None:
    """Each page is reached from the first, and says which it is."""
    page.open(f"{origin}/")
    links = page.run("[...document.querySelectorAll('.cards a')].map((one) => new URL(one.href).pathname)")
    assert links == [PATHS[one.name] for one in PAGES]
    for path in (one for one in links if one != "/chat/"):
        page.open(origin + path)
        here = page.run("[...document.querySelectorAll('nav [aria-current=page]')].map((one) => one.pathname)")
        assert json.dumps(here) == json.dumps([path])


def test_no_other_site_is_asked(visitor: Page, origin: str) -> None:
    for path in PATHS.values():
        visitor.open(origin + path)
        asked = visitor.run("performance.getEntriesByType('resource').map((one) => new URL(one.name).origin)")
        assert set(asked) <= {origin}, path
