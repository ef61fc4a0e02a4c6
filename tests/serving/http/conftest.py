"""The served test application."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.certificates import write_certificate
from tests.deadlines import deadline

from .client import Served, serve


@pytest.fixture(scope="module", params=["plain", "tls"])
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One server for the tests of a module. It lingers for clients that are held up between two things that they do."""
    directory = tmp_path_factory.mktemp("served")
    options: dict[str, Any] = {"constants": {"http.stream.LINGER_SECONDS": deadline(10)}}
    if request.param == "tls":
        options["certificate"] = str(write_certificate(directory / "certificate.pem"))
    with serve(directory / "log", **options) as running:
        yield running
