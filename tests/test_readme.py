"""The README's settings and examples are those of the code."""

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

from benchmarks.servers import SERVERS
from django_websocket import WebSocket
from django_websocket.conf import SETTINGS, Setting

from .conftest import ROOT, code_blocks

README = (ROOT / "README.rst").read_text()


def row(setting: Setting) -> str:
    """The setting's row in the README."""
    option = f" (``{setting.option}``)" if setting.option else ""
    doc = re.sub(r"\b(WEBSOCKET_\w+|CSRF_TRUSTED_ORIGINS)\b", r"``\1``", setting.doc)
    return f"   * - ``{setting.name}``{option}\n     - ``{setting.default!r}``\n     - {doc}\n"


def settings_table() -> str:
    head = (
        ".. list-table::\n   :header-rows: 1\n   :widths: 35 15 50\n\n   * - Setting\n     - Default\n     - Meaning\n"
    )
    return head + "".join(map(row, SETTINGS.values()))


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

    rows = [["", "echo, 100 clients", "echo, 1000 clients", "connects", "idle socket"]]
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
    head = ".. list-table::\n   :header-rows: 1\n\n"
    return head + "".join("   * - " + "\n     - ".join(row) + "\n" for row in rows).replace("- \n", "-\n")


def generated() -> dict[str, str]:
    """The parts of the README that are made from elsewhere, by the name of their markers."""
    return {"settings": settings_table(), "benchmarks": benchmarks_table()}


def test_benchmarks() -> None:
    """To bring the README up to date: ``python -m tests.test_readme``."""
    assert f".. benchmarks\n\n{benchmarks_table()}\n.. end of benchmarks" in README


def test_settings() -> None:
    """To bring the README up to date: ``python -m tests.test_readme``."""
    assert f".. settings\n\n{settings_table()}\n.. end of settings" in README


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


def test_api() -> None:
    """Each attribute of the websocket that the README tells of is there."""
    documented = set(re.findall(r"``ws\.(\w+)", README))
    assert len(documented) > 15
    assert documented <= set(dir(WebSocket))


if __name__ == "__main__":
    for name, table in generated().items():
        text = f".. {name}\n\n{table}\n.. end of {name}"
        README = re.sub(rf"\.\. {name}\n.*?\.\. end of {name}", lambda _, text=text: text, README, flags=re.DOTALL)  # type: ignore[misc]
    (ROOT / "README.rst").write_text(README)
