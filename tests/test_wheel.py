"""What is in the wheel: the package alone."""

from __future__ import annotations

import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest

from tests.conftest import ROOT


@pytest.fixture(scope="session")
def names(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


@pytest.fixture(scope="session")
def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return Parser().parsestr(archive.read(name).decode())


def test_only_the_package(names: list[str]) -> None:
    tops = {name.split("/")[0] for name in names}
    (info,) = (top for top in tops if top.endswith(".dist-info"))
    assert tops == {"django_websocket", info}


def test_whole_package(names: list[str]) -> None:
    files = (path for path in (ROOT / "django_websocket").rglob("*") if path.is_file())
    expected = {str(path.relative_to(ROOT)) for path in files if "__pycache__" not in path.parts}
    assert expected <= set(names)
    assert "django_websocket/py.typed" in names
    assert "django_websocket/management/commands/runwsserver.py" in names


def test_metadata(metadata: Message) -> None:
    assert metadata["Name"] == "django-websocket"
    assert metadata["Requires-Python"] == ">=3.11"
    assert "BSD-3-Clause" in (metadata["License-Expression"], metadata["License"])
    required = [r for r in metadata.get_all("Requires-Dist", []) if "extra ==" not in r]
    assert sorted(r.split(">")[0].split("<")[0].lower() for r in required) == [
        "django",
        "eventlet",
        "greenlet",
        "h11",
    ]
    assert {"redis", "gunicorn", "speedups", "metrics"} <= set(metadata.get_all("Provides-Extra", []))
