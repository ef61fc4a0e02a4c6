"""The README's figures are those of the benchmarks, and its examples run."""

from __future__ import annotations

import ast
import json
import re
import statistics
import unittest
from types import ModuleType
from typing import Any

import pytest
from django.urls import path
from django.utils.module_loading import import_string

from benchmarks.report.tables import simple_table
from benchmarks.servers import SERVERS

from .conftest import ROOT, code_blocks

README = (ROOT / "README.rst").read_text()


#: The servers that the README compares, by their names in the benchmarks.
COMPARED = ("ours", "uvicorn-raw", "channels-async", "channels-sync", "floor")


def benchmarks_table() -> str:
    """The README's figures, from the published results."""
    measured = {
        (cell["server"], cell["workload"]): cell["samples"]
        for file in ("all/results.json", "results.json")  # the latter has more rounds
        for cell in json.loads((ROOT / "docs" / "benchmarks" / file).read_text())["cells"]
    }

    def median(server: str, workload: str, sample: str, digits: int = 0) -> str:
        value = statistics.median(samples[sample] for samples in measured[server, workload])
        return f"{value:,.{digits}f}".replace(",", " ")

    rows = []
    for name in COMPARED:
        title = f"**{SERVERS[name].title}**" if name == "ours" else SERVERS[name].title
        title += " \\*" if SERVERS[name].django else ""
        rows.append(
            [
                title,
                f"{median(name, 'echo-100x100', 'rate')}/s",
                f"{median(name, 'echo-100x1000', 'rate')}/s",
                f"{median(name, 'storm-5000', 'rate')}/s",
                f"{median(name, 'idle-15000', 'rss_kib', 1)} KiB",
            ]
        )
    return simple_table(["server", "echo, 100 clients", "echo, 1000 clients", "connects", "idle socket"], rows) + "\n"


def test_benchmarks() -> None:
    """To bring the README up to date: ``python -m tests.test_readme``."""
    assert f".. benchmarks\n\n{benchmarks_table()}\n.. end of benchmarks" in README


def test_examples() -> None:
    """What the README shows first is what the demo runs."""
    [code] = [block for block in code_blocks(ROOT / "README.rst") if "def echo_once" in block]
    views = [ast.parse((ROOT / "server" / "pages" / name).read_text()) for name in ("echo.py", "lower_case.py")]
    functions = {node.name: ast.dump(node) for one in views for node in one.body if isinstance(node, ast.FunctionDef)}
    examples = {node.name: ast.dump(node) for node in ast.parse(code).body if isinstance(node, ast.FunctionDef)}
    assert set(examples) == {"echo_once", "lower_case"}
    assert examples.items() <= functions.items()


@pytest.mark.django_db(transaction=True)
def test_the_test_of_the_example_passes(settings: Any) -> None:
    settings.ROOT_URLCONF = ModuleType("urls")
    # Not imported when this module brings the README up to date, without settings.
    settings.ROOT_URLCONF.urlpatterns = [path("echo-once/", import_string("server.pages.echo.echo_once"))]
    names: dict[str, Any] = {}
    [code] = [block for block in code_blocks(ROOT / "README.rst") if "WebSocketTestCase" in block]
    exec(code, names)
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(names["EchoTests"]).run(result)
    assert (result.testsRun, result.failures, result.errors) == (1, [], [])


if __name__ == "__main__":
    text = f".. benchmarks\n\n{benchmarks_table()}\n.. end of benchmarks"
    new = re.sub(r"\.\. benchmarks\n.*?\.\. end of benchmarks", lambda _: text, README, flags=re.DOTALL)
    (ROOT / "README.rst").write_text(new)
