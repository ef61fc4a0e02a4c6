"""The demo project under gunicorn, as server/deploy/ has it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import trustme

from tests.conftest import ROOT
from tests.deadlines import deadline, wait_until
from tests.serving.gunicorn.running import Gunicorn, ended

from .programs import free_ports

__all__ = ["DEPLOY", "Demo", "demo", "demo_environment", "short_directory", "substituted"]

DEPLOY = ROOT / "server" / "deploy"


def substituted(name: str, changes: dict[str, str]) -> str:
    """The text of a file in server/deploy/, changed where an operator would; each change must find its place."""
    text = (DEPLOY / name).read_text()
    for old, new in changes.items():
        assert old in text, f"{name} has no {old!r}"
        text = text.replace(old, new)
    return text


@contextmanager
def short_directory() -> Iterator[Path]:
    """A directory with a path that is short enough for a unix socket."""
    directory = Path(tempfile.mkdtemp(prefix="djws-"))
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def demo_environment(directory: Path, **variables: str) -> dict[str, str]:
    """The environment of a deployment, with nothing of the tests' own."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "DJANGO_", "TEST_"))}
    env |= {"DEBUG": "0", "SECRET_KEY": "for tests only", "ALLOWED_HOSTS": "localhost", "BEHIND_TLS": "1"}
    env |= {"DATABASE": str(directory / "db.sqlite3"), "HOME": str(directory), "PYTHONUNBUFFERED": "1"}
    return env | variables


class Demo(Gunicorn):
    """gunicorn that serves the demo on a port and on a unix socket."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path, directory: Path) -> None:
        super().__init__(process, port, log)
        self.directory = directory
        self.journal = directory / "journal"

    @property
    def upstreams(self) -> dict[str, str]:
        """Its addresses, as nginx writes them."""
        return {"tcp": f"127.0.0.1:{self.port}", "unix": f"unix:{self.directory}/mysite.sock"}


@contextmanager
def demo(directory: Path, *options: str, workers: int = 2, **variables: str) -> Iterator[Demo]:
    """The demo with the view of :mod:`tests.deploy.urls`, once it serves. ``directory`` has a short path."""
    (port,) = free_ports(1)
    log = directory / "gunicorn.log"
    env = demo_environment(
        directory, DJANGO_SETTINGS_MODULE="tests.deploy.settings", JOURNAL=str(directory / "journal"), **variables
    )
    command = [str(Path(sys.executable).with_name("gunicorn")), "-c", str(DEPLOY / "gunicorn.conf.py")]
    command += ["-b", f"127.0.0.1:{port}", "-b", f"unix:{directory}/mysite.sock", "-w", str(workers), *options]
    with (
        log.open("wb") as output,
        subprocess.Popen(command, cwd=ROOT, env=env, stdout=output, stderr=output) as process,
        ended(process),
    ):
        server = Demo(process, port, log, directory)
        wait_until(lambda: serves(server), 20, "gunicorn serves")
        yield server


def serves(server: Gunicorn) -> bool:
    assert server.process.poll() is None, server.log()
    try:
        return server.get("/lower-case/?message=A", {"Host": "localhost"}) == (200, "a")
    except OSError:
        return False


class Certificate:
    """For localhost, with the authority that signed it."""

    def __init__(self, directory: Path) -> None:
        self.authority = trustme.CA()
        issued = self.authority.issue_cert("localhost")
        self.chain, self.key, self.both = (directory / name for name in ("cert.pem", "key.pem", "both.pem"))
        self.chain.write_bytes(b"".join(part.bytes() for part in issued.cert_chain_pems))
        issued.private_key_pem.write_to_path(self.key)
        issued.private_key_and_cert_chain_pem.write_to_path(self.both)


def manage(directory: Path, *arguments: str, **variables: str) -> None:
    """Run a command of the demo's manage_ws.py."""
    command = [sys.executable, "manage_ws.py", *arguments]
    run = subprocess.run(
        command,
        cwd=ROOT,
        env=demo_environment(directory, **variables),
        capture_output=True,
        text=True,
        timeout=deadline(60),
    )
    assert run.returncode == 0, run.stderr
