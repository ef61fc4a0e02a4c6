"""The drawing board, in two tabs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from websockets.exceptions import ConnectionClosedError

from tests.browser import Page
from tests.deadlines import deadline
from tests.management.projects import RunningServer

from .served import Section

DRAWN = "context.getImageData(0, 0, 1200, 800).data.filter((value, index) => index % 4 === 3 && value).length"
INK = f"(() => {{ const context = document.querySelector('canvas').getContext('2d'); return {DRAWN}; }})()"
"""How many pixels are drawn."""


@pytest.fixture
def tabs(page: Page, origin: str) -> Iterator[tuple[Page, Page]]:
    with page.another_tab() as other:
        for tab in (page, other):
            tab.open(f"{origin}/board/")
            Section(tab, "board").wait_for_state("connected")
        yield page, other


def test_by_mouse(tabs: tuple[Page, Page]) -> None:
    drawing, watching = tabs
    drawing.run("document.querySelector('canvas').scrollIntoView()")
    box = drawing.run("document.querySelector('canvas').getBoundingClientRect().toJSON()")
    drawing.run("document.querySelectorAll('[name=color]')[2].click()")
    middle = box["top"] + box["height"] / 4
    drawing.drag(*((box["left"] + 20 * step, middle) for step in range(1, 8)))
    ink = drawing.run(INK)
    assert ink > 500
    watching.wait_for(f"{INK} === {ink}")
    drawing.wait_for("document.getElementById('latency').textContent.endsWith(' ms')")
    drawing.run("document.getElementById('clear').click()")
    assert drawing.run(INK) == 0
    assert watching.run(INK) == ink


def test_by_keyboard(tabs: tuple[Page, Page]) -> None:
    drawing, watching = tabs
    drawing.run("document.querySelector('canvas').focus()")
    drawing.press("ArrowLeft")
    assert drawing.run(INK) == 0
    drawing.press(" ")
    for key in ("ArrowRight", "ArrowDown", "ArrowLeft", "ArrowUp"):
        drawing.press(key)
    drawing.wait_for("document.getElementById('pen').textContent.startsWith('The pen is down')")
    ink = drawing.run(INK)
    assert ink > 100
    watching.wait_for(f"{INK} === {ink}")
    drawing.press(" ")
    drawing.press("ArrowRight")
    drawing.wait_for("document.getElementById('pen').textContent.startsWith('The pen is up')")
    assert drawing.run(INK) == ink


def test_only_strokes_are_passed_on(server: RunningServer) -> None:
    with server.connect("/board/socket/") as one, server.connect("/board/socket/") as other:
        other.send(b"I am a member!")
        assert other.recv(timeout=deadline(10)) == b"I am a member!"
        for message in (b"short", "text of 14 cha", bytes(14)):
            one.send(message)
        assert other.recv(timeout=deadline(10)) == bytes(14)
        one.send(bytes(15))
        with pytest.raises(ConnectionClosedError):
            list(one)
        assert one.close_code == 1009
