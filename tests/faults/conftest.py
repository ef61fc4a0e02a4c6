"""Servers to be abused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from .peer import available_descriptors
from .served import Served, serve


@pytest.fixture
def serving(tmp_path: Path) -> Callable[..., AbstractContextManager[Served]]:
    """``serving(settings={...}, **options)``: a server of the test's own."""
    numbers = iter(range(1000))

    def start(**options: Any) -> AbstractContextManager[Served]:
        return serve(tmp_path / f"log{next(numbers)}", **options)

    return start


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One server for the tests of a module, with the settings' defaults."""
    with serve(tmp_path_factory.mktemp("served") / "log") as running:
        yield running


@pytest.fixture
def many() -> int:
    """As many sockets as the operator's promises speak of, or as there are descriptors for."""
    return min(5000, available_descriptors() - 200)
