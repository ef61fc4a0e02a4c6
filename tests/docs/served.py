"""A page's views under ``runwsserver``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.conftest import ROOT
from tests.management.projects import RunningServer, environment, running

from .projects import Project


@contextmanager
def served(project: Project, **variables: str) -> Iterator[RunningServer]:
    """The project, migrated and served."""
    project.manage("migrate", "-v0")
    command = [sys.executable, "manage.py", "runwsserver", "--noreload", "0"]
    with running(command, project.directory, environment(ROOT, **variables)) as server:
        server.wait_until_serving()
        yield server
        assert server.process.poll() is None, server.output
