"""The served test application."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.certificates import write_certificate

from .client import Served, serve


@pytest.fixture(scope="module", params=["plain", "tls"])
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One server for the tests of a module."""
    directory = tmp_path_factory.mktemp("served")
    options = {}
    if request.param == "tls":
        options["certificate"] = str(write_certificate(directory / "certificate.pem"))
    with serve(directory / "log", **options) as running:
        yield running
