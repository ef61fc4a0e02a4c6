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


@pytest.fixture(scope="session")
def env(installed: Path) -> dict[str, str]:
    return environment(installed)
