"""The documentation's code: all of it is well-formed, and that of pages without tests of their own runs."""

from __future__ import annotations

import json
import logging
import logging.config
import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from types import ModuleType
from typing import Any
from unittest.mock import MagicMock

import pytest
from django.urls import path

from django_websocket.conf import SETTINGS
from django_websocket.testing import WebSocketClient
from tests.conftest import ROOT, code_blocks
from tests.deadlines import deadline

DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.rglob("*.rst"), *ROOT.glob("*.rst")])
BLOCK = re.compile(r"^( *)\.\. code-block:: (\w+)\n((?:\1 +:.*\n)*)\n((?:\1 +.*\n|\n)+)", re.MULTILINE)


def blocks(language: str) -> list[Any]:
    """All code in ``language``, each named after its page and its place there."""
    found = []
    for page in PAGES:
        codes = (code for _, its, _, code in BLOCK.findall(page.read_text()) if its == language)
        for number, code in enumerate(codes, 1):
            found.append(pytest.param(dedent(code), id=f"{page.relative_to(ROOT)}:{number}"))
    return found


@pytest.mark.parametrize("code", blocks("python"))
def test_python(code: str) -> None:
    compile(code, "page", "exec")


@pytest.mark.parametrize("code", blocks("json"))
def test_json(code: str) -> None:
    json.loads(code)


@pytest.mark.parametrize("code", blocks("sh"))
def test_shell(code: str) -> None:
    run = subprocess.run(["sh", "-n"], input=code, capture_output=True, text=True, timeout=deadline(10))
    assert (run.returncode, run.stderr) == (0, "")


def run_page(name: str, **names: Any) -> dict[str, Any]:
    """Run the code of a page in its order, with ``names``; what there is then."""
    names["__name__"] = "page"
    for code in code_blocks(DOCS / f"{name}.rst"):
        exec(compile(code, name, "exec"), names)
    return names


@pytest.mark.django_db(transaction=True)
def test_the_first_view(settings: Any) -> None:
    settings.ROOT_URLCONF = ModuleType("urls")
    settings.ROOT_URLCONF.urlpatterns = [path("echo-once/", run_page("index")["echo_once"])]
    with WebSocketClient().websocket("/echo-once/") as socket:
        socket.send("Hello")
        assert socket.receive() == "Hello"


def test_limits() -> None:
    names = run_page("howto/limits")
    found = {name: value for name, value in names.items() if name.startswith("WEBSOCKET_")}
    assert len(found) == 5
    assert all(SETTINGS[name].is_valid(value) for name, value in found.items())
    assert names["votes"].websocket_options == {"rate": "20/m", "rate_action": "close"}


ACCESS = {"client": "203.0.113.7", "route": "chat/", "code": 1000, "seconds": 12.3456}


def test_logging(tmp_path: Path) -> None:
    """Both formats work, with the attributes that the page lists."""
    page = DOCS / "howto" / "logging.rst"
    first, second = code_blocks(page)
    names: dict[str, Any] = {}
    exec(first, names)
    log = tmp_path / "log"
    names["LOGGING"]["handlers"]["access"]["filename"] = str(log)
    logger = logging.getLogger("django_websocket.access")
    before = logger.handlers[:], logger.level, logger.propagate
    try:
        logging.config.dictConfig(names["LOGGING"])
        logger.info("plain", extra=ACCESS)
        exec(second, names)
        logging.config.dictConfig(names["LOGGING"])
        logger.info("as JSON", extra=ACCESS)
    finally:
        for handler in logger.handlers:
            handler.close()
        logger.handlers[:], logger.level, logger.propagate = before
    plain, in_json = log.read_text().splitlines()
    assert plain.endswith(" 203.0.113.7 chat/ 1000 12.3s")
    assert json.loads(in_json).items() >= {"message": "as JSON", **ACCESS}.items()


def test_native_threads() -> None:
    """The example is called directly where there are no green threads."""
    report = MagicMock()
    report.objects.using.return_value.filter.return_value.values.return_value = [{"sum": 3}]
    assert run_page("explanation/what-works", Report=report)["read_report"](2025) == [{"sum": 3}]


IN_THE_DEMO = """
import django
django.setup()
from django.contrib.admin import AdminSite
names = {"staff_site": AdminSite()}
for code in CODE:
    exec(code, names)
print(*(model.__name__ for model in names["staff_site"]._registry))
print(*(pattern.callback.__module__ for pattern in names.get("urlpatterns", ())))
"""


@pytest.mark.parametrize(
    ("page", "printed"), [("howto/live-page", "WebSocket\n\n"), ("howto/metrics", "\ndjango_websocket.metrics.page\n")]
)
def test_in_the_demo(page: str, printed: str) -> None:
    """Code that needs an application which the tests' settings lack, or has effects on the process."""
    program = f"CODE = {code_blocks(DOCS / f'{page}.rst')!r}\n{IN_THE_DEMO}"
    run = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={"DJANGO_SETTINGS_MODULE": "server.settings", "PATH": ""},
        capture_output=True,
        text=True,
        timeout=deadline(30),
    )
    assert (run.stdout, run.stderr) == (printed, "")
