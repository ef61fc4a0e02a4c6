"""The served test application."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .client import Served, serve


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One server for the tests of a module."""
    with serve(tmp_path_factory.mktemp("served") / "log") as running:
        yield running
