"""Somebody who follows the tutorial to the letter."""

from __future__ import annotations

import ast
import doctest
import os
import pty
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.deadlines import deadline, wait_until

from .steps import Command, File, Step, read_steps

__all__ = ["PASSWORD", "Reader", "is_like", "reader_environment"]

PASSWORD = "correct horse battery"

STATE = '\nstatus=$?; pwd > "$0"; env -0 >> "$0"; exit $status'
"""Tells where a command has led the shell."""

#: Programs that run until they are stopped.
SERVERS = ("runwsserver", "gunicorn", "/usr/sbin/nginx")


class Reader:
    """Begins in an empty directory, and changes nothing of what is told but ``ports``."""

    def __init__(self, directory: Path, env: Mapping[str, str], ports: Mapping[str, int]) -> None:
        self._state = directory / "state"
        self._log = directory / "servers.log"
        self.cwd = directory / "empty"
        self.cwd.mkdir()
        self._env = dict(env)
        self._ports = ports
        self._steps: dict[str, list[Step]] = {}
        self._servers: dict[str, subprocess.Popen[bytes]] = {}

    def follow(self, name: str, until: str | None = None) -> None:
        """Do what the page ``name`` says, from where it was left, ``until`` that section begins."""
        steps = self._steps.setdefault(name, read_steps(name))
        assert until is None or until in {step.section for step in steps}
        while steps and steps[0].section != until:
            step = steps.pop(0)
            if isinstance(step, File):
                self._write(step)
            else:
                self._run(step)

    def _here(self, text: str) -> str:
        for port, other in self._ports.items():
            text = re.sub(rf"\b{port}\b", str(other), text)
        return text.replace("redis-cli ", f"redis-cli -p {self._ports['6379']} ")

    # Files

    def _write(self, step: File) -> None:
        path = self.cwd / step.path
        code = self._here(step.code)
        if step.part == "at the end":
            code = f"{path.read_text()}\n{code}"
        elif step.part:
            code = _replaced(path.read_text(), step.part, code)
        path.write_text(code)

    # Commands

    def _run(self, step: Command) -> None:
        words = shlex.split(step.line)
        server = next((name for name in SERVERS if name in words), None)
        if server is not None:
            self._serve(server, self._here(step.line))
            return
        if words[0] == "sudo":
            return  # the programs are there, or the test is skipped
        output = self._answer(step.line, PASSWORD) if "createsuperuser" in words else self.run(self._here(step.line))
        if step.output:
            assert is_like(step.output, output), (step, output)

    def run(self, line: str, status: int = 0) -> str:
        """Run a command, and go where it leads; all that it prints."""
        run = subprocess.run(
            ["bash", "-c", line + STATE, str(self._state)],
            cwd=self.cwd,
            env=self._env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=deadline(300),
        )
        assert run.returncode == status, (line, run.stdout)
        cwd, _, env = self._state.read_text().partition("\n")
        self.cwd = Path(cwd)
        self._env = dict(item.split("=", 1) for item in env.split("\0") if item)
        return run.stdout

    def _answer(self, line: str, answer: str) -> str:
        """Run a command in a terminal, and answer whenever it asks; all that it prints."""
        master, slave = pty.openpty()
        output = ""
        with subprocess.Popen(
            shlex.split(line),
            cwd=self.cwd,
            env=self._env,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        ) as process:
            os.close(slave)
            while data := _read(master):
                output += data
                if data.endswith(": "):
                    os.write(master, f"{answer}\n".encode())
        os.close(master)
        assert process.returncode == 0, (line, output)
        return output

    # Servers

    def _serve(self, name: str, line: str) -> None:
        """Start a server, in place of the one that is there, and wait until it listens."""
        self.stop(name)
        if name == "runwsserver":
            line += f" {self._ports['8000']}"
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                ["bash", "-c", f"exec {line}"],
                cwd=self.cwd,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._servers[name] = process
        port = self._ports["8443" if "nginx" in name else "8000"]

        def listens() -> bool:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=deadline(1)).close()
            except OSError:
                assert process.poll() is None, self.log()
                return False
            return True

        wait_until(listens, 60, name)
        assert process.poll() is None, self.log()

    def stop(self, name: str) -> None:
        """Press Ctrl-C."""
        process = self._servers.pop(name, None)
        if process is not None:
            os.killpg(process.pid, signal.SIGINT)
            process.wait(deadline(60))

    def close(self) -> None:
        """Stop everything."""
        for name in reversed(list(self._servers)):
            self.stop(name)

    def log(self) -> str:
        """What all servers have written."""
        return self._log.read_text(errors="replace")


def reader_environment(wheel: Path, home: Path) -> dict[str, str]:
    """The environment of somebody with this Python, for whom pip finds the package in ``wheel``."""
    tests = ("DJANGO_", "EVENTLET_", "PG", "PYTEST_", "PYTHON", "TEST_", "VIRTUAL_ENV")
    env = {name: value for name, value in os.environ.items() if not name.startswith(tests)}
    _, version, *_ = wheel.name.split("-")
    constraint = home / "constraint.txt"
    constraint.write_text(f"django-websocket=={version}\n")
    cache = Path.home() / ".cache" / "pip"
    config = Path.home() / ".config" / "pip" / "pip.conf"
    env |= {"PIP_CACHE_DIR": str(cache)} | ({"PIP_CONFIG_FILE": str(config)} if config.exists() else {}) | env
    return env | {
        "HOME": str(home),
        "PATH": f"{Path(sys.executable).parent}:{env['PATH']}:/usr/sbin:/usr/local/sbin",
        "PIP_CONSTRAINT": str(constraint),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_FIND_LINKS": str(wheel.parent),
        "PYTHONUNBUFFERED": "1",
    }


def is_like(told: str, output: str) -> bool:
    """Whether ``output`` is what the page has told; "..." stands for anything."""
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    return doctest.OutputChecker().check_output(told, output, flags)


def _replaced(text: str, name: str, code: str) -> str:
    """``text`` with ``code`` in place of the assignment to ``name``."""
    [node] = [
        node
        for node in ast.parse(text).body
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == [name]
    ]
    lines = text.splitlines(keepends=True)
    return "".join([*lines[: node.lineno - 1], code, *lines[node.end_lineno :]])


def _read(master: int) -> str:
    try:
        return os.read(master, 10000).decode()
    except OSError:  # EIO: nobody has the terminal any more
        return ""
