"""Projects for the tests of runwsserver."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from .projects import environment, start_project


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return start_project(tmp_path_factory.mktemp("pristine"))


@pytest.fixture
def project(pristine: Path, tmp_path: Path) -> Path:
    """A fresh project that the test may change."""
    directory = tmp_path / "project"
    shutil.copytree(pristine, directory)
    return directory


@pytest.fixture
def watched_project(project: Path) -> Path:
    """A fresh project whose files Django's reloader looks at ten times a second, not once.

    It is ``manage.py`` that sets this, which runs even where the settings don't load.
    """
    manage = project / "manage.py"
    text = manage.read_text()
    first = "def main():\n"
    assert text.count(first) == 1
    faster = "    from django.utils.autoreload import StatReloader\n    StatReloader.SLEEP_TIME = 0.1\n"
    manage.write_text(text.replace(first, first + faster))
    return project


@pytest.fixture(scope="session")
def env(installed: Path) -> dict[str, str]:
    return environment(installed)
