"""The machine that the figures were measured on, without anything that identifies it."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

PACKAGES = (
    *(
        "django-websocket",
        "Django",
        "eventlet",
        "greenlet",
        "h11",
        "websockets",
        "channels",
        "channels-redis",
        "daphne",
    ),
    *(
        "uvicorn",
        "uvloop",
        "httptools",
        "granian",
        "picows",
        "gevent",
        "gevent-websocket",
        "gunicorn",
        "redis",
    ),
)


@dataclass(frozen=True)
class Machine:
    """One line each."""

    processor: str
    cores: int
    memory_gib: int
    kernel: str
    python: str
    versions: dict[str, str]


def machine() -> Machine:
    """This machine, and the versions in this environment."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return Machine(
        processor=_processor(),
        cores=os.cpu_count() or 1,
        memory_gib=round(pages / 2**30),
        kernel=f"{platform.system()} {platform.release().split('-')[0]}",
        python=f"{platform.python_implementation()} {platform.python_version()}",
        versions=versions,
    )


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
