"""A process exports all metrics that are declared, and the dashboard shows them, and no others."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from django_websocket.metrics.declarations import DECLARATIONS, Kind
from tests.conftest import ROOT
from tests.site.running import serve_site

from .load import SETTINGS, load
from .scraped import Scraped

DASHBOARD = ROOT / "server" / "deploy" / "grafana-dashboard.json"


def expressions(node: Any) -> Iterator[str]:
    """All that the dashboard asks Prometheus."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key in ("expr", "definition"):
                yield value
            else:
                yield from expressions(value)
    elif isinstance(node, list):
        for value in node:
            yield from expressions(value)


EXPRESSIONS = list(expressions(json.loads(DASHBOARD.read_text())))


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Scraped:
    """What a process exports that has done all that can be counted."""
    with serve_site(tmp_path_factory.mktemp("site"), settings=SETTINGS) as site:
        with load(site.port), site.connect("/database/sleeps/") as client:
            client.recv()
            text = site.ask("/metrics/").body.decode()
        site.take_log()  # of views that raised
    return Scraped(text)


def test_all_metrics_are_exported_and_no_others(page: Scraped) -> None:
    expected = set()
    for metric in DECLARATIONS.values():
        parts = ("_bucket", "_count", "_sum") if metric.kind is Kind.HISTOGRAM else ("",)
        expected |= {metric.name + part for part in parts}
    # When a series began is prometheus-client's business.
    assert {name for name in page.names() if not name.endswith("_created")} == expected


def test_the_dashboard_asks_for_what_is_exported(page: Scraped) -> None:
    asked = set(re.findall(r"\bdjango_websocket_\w+", " ".join(EXPRESSIONS)))
    assert asked <= page.names()


def test_the_dashboard_shows_all_metrics() -> None:
    text = " ".join(EXPRESSIONS)
    assert [name for name in DECLARATIONS if name not in text] == []


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_the_labels_of_an_expression(page: Scraped, expression: str) -> None:
    names = set(re.findall(r"\bdjango_websocket_\w+", expression))
    there = {label for name, labels in page.samples if name in names for label, _ in labels}
    for by in re.findall(r"by \(([^)]*)\)", expression):
        assert set(by.split(", ")) <= there
    selectors = set(re.findall(r"(\w+)=~?\"", expression))
    assert selectors <= {"job"}  # which Prometheus adds
    assert expression.count("(") == expression.count(")")
