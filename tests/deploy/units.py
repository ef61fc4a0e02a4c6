"""Does for a gunicorn what systemd does: hands it its socket, waits until it is ready, reloads and restarts it."""

from __future__ import annotations

import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.deadlines import deadline
from tests.serving.gunicorn.running import Gunicorn, ended

__all__ = ["Unit", "read_unit", "serve_unit"]

#: Runs a command as the process that the socket is meant for, which is descriptor 3.
HAND_OVER = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.execvpe(sys.argv[2], sys.argv[2:], {**os.environ, "LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid())})
"""


def read_unit(path: Path) -> dict[str, str]:
    """The settings of a unit's file. Of one that is there twice, the last."""
    lines = path.read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


class Unit:
    """A service with its socket, as two files describe them."""

    def __init__(self, service: Path, sock: Path, directory: Path, env: dict[str, str]) -> None:
        self.settings = read_unit(service)
        self._directory = directory
        self._env = {**env, **_environment(Path(self.settings["EnvironmentFile"]))}
        self._notified = directory / "notify"
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(read_unit(sock)["ListenStream"])
        self._socket.listen(2048)
        self.log = directory / "gunicorn.log"

    def close(self) -> None:
        self._socket.close()

    @contextmanager
    def started(self) -> Iterator[Gunicorn]:
        """The service, once it has said that it is ready."""
        env = {**self._env, "NOTIFY_SOCKET": str(self._notified)}
        descriptor = self._socket.fileno()
        command = [sys.executable, "-c", HAND_OVER, str(descriptor), *shlex.split(self.settings["ExecStart"])]
        self._notified.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified, self.log.open("ab") as output:
            notified.bind(str(self._notified))
            notified.settimeout(deadline(30))
            with (
                subprocess.Popen(
                    command,
                    cwd=self.settings["WorkingDirectory"],
                    env=env,
                    stdout=output,
                    stderr=output,
                    pass_fds=(descriptor,),
                ) as process,
                ended(process),
            ):
                try:
                    assert notified.recv(1000).startswith(b"READY=1\n")
                except TimeoutError:
                    raise AssertionError(f"not ready: {self.log.read_text()}") from None
                yield Gunicorn(process, 0, self.log)

    def reload(self, server: Gunicorn) -> None:
        """Run the command of ExecReload."""
        command = self.settings["ExecReload"].replace("$MAINPID", str(server.process.pid))
        subprocess.run(shlex.split(command), check=True)

    def stop(self, server: Gunicorn) -> None:
        """End it, within the time that systemd leaves to it."""
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(deadline(float(self.settings["TimeoutStopSec"]))) == 0


def _environment(path: Path) -> dict[str, str]:
    """What a file for EnvironmentFile sets."""
    return {name: " ".join(shlex.split(value)) for name, value in read_unit(path).items()}


@contextmanager
def serve_unit(service: Path, sock: Path, directory: Path, env: dict[str, str]) -> Iterator[Unit]:
    unit = Unit(service, sock, directory, env)
    try:
        yield unit
    finally:
        unit.close()
