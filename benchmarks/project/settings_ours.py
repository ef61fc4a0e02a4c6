"""The same settings, with the URLs of this project's views."""

from __future__ import annotations

from .settings import *  # noqa: F403

ROOT_URLCONF = "benchmarks.project.sockets"
