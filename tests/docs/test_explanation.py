"""``docs/explanation/``: the figures were measured, the code runs, and the drawings say what they show."""

from __future__ import annotations

import json
import re
import statistics
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from django.urls import path

from django_websocket import waiter
from django_websocket.serving.green import native, turns
from django_websocket.testing import WebSocketClient
from tests.conftest import ROOT

from .pages import Modules, Page, one_line

WHY = Page("explanation/why-blocking-views")
CHANNELS = Page("explanation/when-channels")
HUB = Page("explanation/hub-and-green-threads")
DRAWINGS = sorted((ROOT / "docs" / "explanation").glob("*.svg"))

BENCHMARKS = ROOT / "docs" / "benchmarks"
MEASURED = {
    file: {(cell["server"], cell["workload"]): cell["samples"] for cell in json.loads(path.read_text())["cells"]}
    for file in ("results", "all/results")
    for path in [BENCHMARKS / f"{file}.json"]
}


def median(file: str, server: str, workload: str, sample: str, digits: int = 0) -> str:
    """As the pages write it."""
    value = statistics.median(samples[sample] for samples in MEASURED[file][server, workload])
    return f"{value:,.{digits}f}".replace(",", " ")


def rate(server: str, workload: str = "echo-100x100") -> str:
    return median("results", server, workload, "rate")


def memory(server: str) -> str:
    return median("all/results", server, "idle-15000", "rss_kib", 1)


FIGURES = [
    (WHY, f"django-websocket\n     - {rate('ours')}\n"),
    (WHY, f"raw ASGI on uvicorn, without Django\n     - {rate('uvicorn-raw')}\n"),
    (WHY, f"asynchronous consumer, on uvicorn\n     - {rate('channels-async')}\n"),
    (WHY, f"synchronous consumer, on uvicorn\n     - {rate('channels-sync')}\n"),
    (CHANNELS, f"picows on uvloop echoed {rate('picows')} messages a second, this package {rate('ours')}, and"),
    (CHANNELS, f"``websockets`` on uvloop {rate('websockets')}\n"),
    (CHANNELS, f"- {rate('ours')}/s\n"),
    (CHANNELS, f"- {rate('channels-async')}/s (asynchronous), {rate('channels-sync')}/s (synchronous), on uvicorn\n"),
    (CHANNELS, f"- {memory('ours')} KiB\n     - {memory('channels-async')} to {memory('channels-sync')} KiB\n"),
    (CHANNELS, f"- {rate('ours', 'http')}/s\n     - {rate('uvicorn-django', 'http')}/s, Django's ASGI on uvicorn\n"),
    (HUB, f"{memory('ours')} KiB for each idle websocket"),
    (HUB, f"uvicorn took {memory('uvicorn-raw')}, Channels {memory('channels-async')} to {memory('channels-sync')} ("),
    (HUB, f"*Processor.* {median('results', 'ours', 'echo-100x100', 'cpu_us', 1)} µs for an echo"),
    (HUB, f"lets others run after {waiter.BUDGET} of them"),
]


@pytest.mark.parametrize(("page", "text"), FIGURES)
def test_figures(page: Page, text: str) -> None:
    assert one_line(text) in page.prose


def test_more_figures() -> None:
    capacity = (BENCHMARKS / "capacity-ours-1.rst").read_text()
    [(share, lost)] = re.findall(r"Held for 300 s: ([\d.]+) % of a core, \d+ pings, (\d+) sockets lost", capacity)
    assert (f"took {share} % of a core" in HUB.prose, lost) == (True, "0")
    assert re.search(r"^19000 ", capacity, re.MULTILINE)
    version = "eventlet 0.41.3"
    assert version in (BENCHMARKS / "results.rst").read_text()
    assert version.replace("eventlet ", "Releases go on: ") in Page("explanation/eventlet").prose
    assert (turns.TURN_SECONDS, native.SIZE) == (0.002, 20)
    assert "slices of two milliseconds" in HUB.prose


def test_a_conversation(modules: Modules, settings: Any, ws_client: WebSocketClient) -> None:
    [code] = WHY.code()
    views = modules.add("views", code)
    settings.ROOT_URLCONF = modules.add("urls", urlpatterns=[path("quiz/", views.quiz)])
    with ws_client.websocket("/quiz/") as socket:
        assert socket.receive() == "2 + 2?"
        socket.send("4")
        assert socket.receive() == "The capital of Peru?"
        ws_client.advance(30)
        assert [socket.receive(), socket.receive()] == ["Too slow.", "1 of 2"]


@pytest.mark.parametrize("drawing", DRAWINGS, ids=[drawing.stem for drawing in DRAWINGS])
def test_drawings(drawing: Path) -> None:
    """Each says what it shows, also within the page that has it, and has colors for both schemes."""
    svg = ElementTree.parse(drawing).getroot()
    space = "{http://www.w3.org/2000/svg}"
    named = {svg.findtext(f"{space}{tag}", "").strip() != "" for tag in ("title", "desc")}
    assert named == {True}
    assert set(svg.attrib["aria-labelledby"].split()) == {element.attrib["id"] for element in svg[:2]}
    assert "prefers-color-scheme: dark" in svg.findtext(f"{space}style", "")
    [page] = [page for page in drawing.parent.glob("*.rst") if f".. image:: {drawing.name}" in page.read_text()]
    assert re.search(rf"\.\. image:: {drawing.name}\n   :alt: \w+", page.read_text())


def test_there_are_drawings() -> None:
    assert [drawing.stem for drawing in DRAWINGS] == ["hand-over", "threads"]
