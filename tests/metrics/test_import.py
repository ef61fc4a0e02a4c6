"""prometheus-client is needed by who wants metrics, and by nobody else."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tests.deadlines import deadline

SETTINGS = "from django.conf import settings; settings.configure(INSTALLED_APPS=['django_websocket'], {options})\n"
BLOCK = "import sys; sys.modules['prometheus_client'] = None\n"
SAYS = "django_websocket.metrics needs prometheus-client: pip install 'django-websocket[metrics]'"


def run(program: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", program]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=deadline(30))


def test_who_wants_no_metrics_loads_nothing() -> None:
    program = "import sys, django; django.setup(); import django_websocket.serving.patch\n"
    server = "django_websocket.serving.patch.patch(); import django_websocket.serving.process.site\n"
    loaded = "print('prometheus_client' in sys.modules, 'django_websocket.metrics' in sys.modules)"
    done = run(SETTINGS.format(options="") + program + server + loaded)
    assert done.stdout == "False False\n", done.stderr


@pytest.mark.parametrize(
    "program",
    [
        "from django_websocket import metrics",
        "import django; django.setup()",
    ],
)
def test_who_wants_metrics_is_told_what_is_missing(program: str) -> None:
    done = run(BLOCK + SETTINGS.format(options="WEBSOCKET_METRICS_ADDRESS='127.0.0.1:9464'") + program)
    assert done.stderr.splitlines()[-1] == f"django.core.exceptions.ImproperlyConfigured: {SAYS}"
