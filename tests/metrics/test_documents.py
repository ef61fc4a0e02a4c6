"""docs/howto/metrics.rst and the dashboard know all metrics, and no others."""

from __future__ import annotations

import ast
import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from django_websocket.exceptions import RefusalReason
from django_websocket.metrics.declarations import DECLARATIONS, Declaration, Kind
from tests.conftest import ROOT
from tests.site.running import serve_site

from .load import SETTINGS, load
from .scraped import Scraped

DOCUMENT = ROOT / "docs" / "howto" / "metrics.rst"
DASHBOARD = ROOT / "server" / "deploy" / "grafana-dashboard.json"


def table(head: list[str], widths: str, rows: list[list[str]]) -> str:
    lines = "".join("   * - " + "\n     - ".join(row) + "\n" for row in [head, *rows])
    return f".. list-table::\n   :header-rows: 1\n   :widths: {widths}\n\n{lines}"


def row(metric: Declaration) -> list[str]:
    labels = ", ".join(f"``{label}``" for label in metric.labels) or "none"
    return [f"``{metric.name}``", f"{metric.kind.value}, {metric.unit}", labels, metric.doc]


def reasons() -> list[list[str]]:
    """The reasons, and the docstrings below them."""
    [tree] = ast.parse(inspect.getsource(RefusalReason)).body
    assert isinstance(tree, ast.ClassDef)
    docs = [
        node.value.value for node in tree.body if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    ]
    return [[f"``{reason}``", str(doc)] for reason, doc in zip(RefusalReason, docs[1:], strict=True)]


def generated() -> dict[str, str]:
    """The parts of the document that are made from elsewhere, by the name of their markers."""
    rows = [row(metric) for metric in DECLARATIONS.values()]
    return {
        "metrics": table(["Metric", "Type and unit", "Labels", "Meaning"], "34 16 14 36", rows),
        "reasons": table(["``reason``", "Meaning"], "20 80", reasons()),
    }


@pytest.mark.parametrize("name", ["metrics", "reasons"])
def test_the_document(name: str) -> None:
    """To bring it up to date: ``python -m tests.metrics.test_documents``."""
    assert f".. {name}\n\n{generated()[name]}\n.. end of {name}" in DOCUMENT.read_text()


# The dashboard


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


def update(document: Path) -> None:
    text = document.read_text()
    for name, part in generated().items():
        new = f".. {name}\n\n{part}\n.. end of {name}"
        text = re.sub(rf"\.\. {name}\n.*?\.\. end of {name}", lambda _, new=new: new, text, flags=re.DOTALL)  # type: ignore[misc]
    document.write_text(text)


if __name__ == "__main__":
    update(DOCUMENT)
