"""The README's view and what it has for the page's template, in a project, in Chromium."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

from tests.browser import chromium
from tests.conftest import ROOT, code_blocks

from .projects import Project
from .served import served

README = ROOT / "README.rst"

SHOWN = """<!doctype html><title>A page</title>
<script>const shown = []; console.log = (text) => shown.push(text);</script>
"""

URLS = """
from django.shortcuts import render
from django.urls import path
from chat.views import echo_once

urlpatterns = [path("", lambda request: render(request, "page.html")), path("echo-once/", echo_once)]
"""


def test_the_page_gets_its_echo(tmp_path: Path, program: Callable[..., str]) -> None:
    [template] = re.findall(r"In the page's template::\n\n((?:       .*\n|\n)+)", README.read_text())
    [views] = [block for block in code_blocks(README) if "def echo_once" in block]
    project = Project(tmp_path)
    project.add_app("chat", "")
    project.write("chat/views.py", views)
    (tmp_path / "chat" / "templates").mkdir()
    (tmp_path / "chat" / "templates" / "page.html").write_text(SHOWN + dedent(template))
    project.write("mysite/urls.py", URLS)
    with served(project) as server, chromium(program("chromium", "chromium-browser", "google-chrome")) as page:
        page.open(f"http://127.0.0.1:{server.port}/")
        page.wait_for("shown.length")
        assert page.run("shown") == ["Hello"]
