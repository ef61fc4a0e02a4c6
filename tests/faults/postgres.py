"""A PostgreSQL server of the test's own, which may be stopped and started."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.conftest import missing
from tests.deadlines import deadline, wait_until
from tests.ports import free_port

__all__ = ["Postgres", "postgres"]

MAX_CONNECTIONS = 400


def find_binaries() -> Path:
    """The directory of PostgreSQL's programs, which Debian doesn't put into PATH."""
    for path in sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True):
        return path.parent
    if (found := shutil.which("initdb")) is not None:
        return Path(found).resolve().parent
    missing("postgresql")


class Postgres:
    """One cluster in a directory. Nothing in it is meant to survive."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._binaries = find_binaries()
        self._user: dict[str, Any] = {}
        if os.geteuid() == 0:  # which PostgreSQL refuses to run as
            names = {account.pw_name for account in pwd.getpwall()}
            account = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
            os.chown(directory, account.pw_uid, account.pw_gid)
            self._user = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        subprocess.run(
            [self._binaries / "initdb", "--no-sync", "-A", "trust", "-U", "django", "-D", directory / "data"],
            check=True,
            capture_output=True,
            cwd=directory,
            **self._user,
        )

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": self._directory,
            "fsync": "off",
            "max_connections": MAX_CONNECTIONS,
            "shared_buffers": "16MB",
            "max_wal_senders": 0,
            "wal_level": "minimal",
        }
        arguments = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        self._process = subprocess.Popen(
            [self._binaries / "postgres", "-D", self._directory / "data", *arguments],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self._directory,
            **self._user,
        )
        wait_until(self._is_ready, 60, "PostgreSQL answers")

    def _is_ready(self) -> bool:
        command = [str(self._binaries / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(command, check=False).returncode == 0

    def stop(self) -> None:
        """End it as a crash would, for its clients."""
        if self._process is not None:
            process, self._process = self._process, None
            process.send_signal(signal.SIGQUIT)
            process.wait(deadline(60))

    def ask(self, sql: str) -> str:
        """The first value of the answer, through a connection of its own."""
        command = [
            str(self._binaries / "psql"),
            "-h",
            "127.0.0.1",
            "-p",
            str(self.port),
            "-U",
            "django",
            "-d",
            "postgres",
        ]
        run = subprocess.run([*command, "-XAtc", sql], check=True, capture_output=True, text=True)
        return run.stdout.strip()

    def connections(self) -> int:
        """How many clients it has, not counting this question."""
        return int(
            self.ask(
                "SELECT count(*) FROM pg_stat_activity WHERE backend_type='client backend' AND pid <> pg_backend_pid()"
            )
        )

    def settings(self, **options: Any) -> dict[str, Any]:
        """Django's settings for it; ``options`` go into OPTIONS."""
        database = {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": "postgres",
            "USER": "django",
            "HOST": "127.0.0.1",
            "PORT": self.port,
            "OPTIONS": options,
        }
        return {"DATABASES": {"default": database}}


@contextmanager
def postgres() -> Iterator[Postgres]:
    """A running server."""
    # Not below pytest's own directory, which only its owner may enter.
    directory = Path(tempfile.mkdtemp(prefix="djws-"))
    server = None
    try:
        server = Postgres(directory)
        server.start()
        yield server
    finally:
        if server is not None:
            server.stop()
        shutil.rmtree(directory, ignore_errors=True)
