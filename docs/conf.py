"""Sphinx's configuration: ``make docs``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE / "_ext")]

os.environ["DJANGO_SETTINGS_MODULE"] = "server.settings"

import django  # noqa: E402  the path comes first

import django_websocket  # noqa: E402

django.setup()

project = "django-websocket"
author = "django-websocket contributors"
copyright = author
version = release = django_websocket.__version__

extensions = ["sphinx.ext.autodoc", "declared"]
# So that the documentation needs few other packages.
autodoc_mock_imports = ["gunicorn", "opentelemetry", "pytest", "redis", "sentry_sdk"]
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
# The tables of one process and of two are parts of a page.
exclude_patterns = ["_build", "benchmarks/capacity-*.rst"]

# Of blocks that don't say what they are: commands and what they print.
highlight_language = "text"

nitpicky = True
# Other projects' names, and type variables; there is no inventory to look them up in without a network.
nitpick_ignore_regex = [
    ("py:.*", r"(asyncio|collections|django|json|unittest|wsgiref)\..*"),
    ("py:class", r"(.*\.)?(P|T|View|Joinable|Message|StartResponse|TracerProvider|WSGIEnvironment)"),
]

html_theme = "furo"
html_title = f"{project} {release}"
