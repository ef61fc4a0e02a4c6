"""docs/howto/deploying.rst, followed to the letter: commands, files, PostgreSQL, Redis, nginx and two workers."""

from __future__ import annotations

import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from textwrap import dedent

import pytest
from websockets.exceptions import ConnectionClosed

from tests.conftest import ROOT
from tests.deadlines import deadline, wait_until
from tests.faults.postgres import Postgres, find_binaries, postgres
from tests.groups.redis_servers import Redis, redis_server
from tests.serving.gunicorn.running import Gunicorn

from .members import Member
from .proxies import Front, serve_front
from .served import Certificate, demo_environment, short_directory
from .test_reload import Regular, visits
from .units import Unit, serve_unit

#: What this machine is not asked to do: install programs and packages, make users, have systemd do things.
LEFT_OUT = ("apt-get", "useradd", "git clone", "python3 -m venv", ".venv/bin/pip", "systemctl", "nginx -t", "docker")


def commands() -> list[str]:
    """The lines of the chapter's shell commands."""
    text = (ROOT / "docs" / "howto" / "deploying.rst").read_text()
    blocks = re.findall(r"^\.\. code-block:: sh\n\n((?: +.*\n|\n)+)", text, re.MULTILINE)
    return [line for block in blocks for line in dedent(block).splitlines() if line]


class Machine:
    """A directory in which the chapter's paths are, with a PostgreSQL and a Redis."""

    def __init__(self, directory: Path, database: Postgres, redis: Redis) -> None:
        self.directory = directory
        self.database = database
        self.redis = redis
        self.project = directory / "srv" / "mysite"
        for path in ("etc/systemd/system", "etc/nginx/conf.d", "run", "srv/mysite"):
            (directory / path).mkdir(parents=True)
        ignored = shutil.ignore_patterns("__pycache__", "static", "*.sqlite3")
        for name in ("server", "django_websocket"):
            shutil.copytree(ROOT / name, self.project / name, ignore=ignored)
        shutil.copy(ROOT / "manage_ws.py", self.project)

    def here(self, text: str) -> str:
        """With the paths of this machine."""
        for path in ("/srv/mysite", "/etc/", "/run/mysite.sock"):
            text = re.sub(rf"(?<![\w/.]){re.escape(path)}", f"{self.directory}{path}", text)
        python = Path(sys.executable)
        text = text.replace(f"{self.project}/.venv/bin/gunicorn", str(python.with_name("gunicorn")))
        text = text.replace(".venv/bin/python", str(python))
        return re.sub(r"runuser -u \w+ -- ", "", text)

    def environment(self) -> dict[str, str]:
        env = demo_environment(self.directory)
        for name in ("DEBUG", "SECRET_KEY", "ALLOWED_HOSTS", "BEHIND_TLS", "DATABASE"):
            del env[name]  # they come from mysite.env
        env["PATH"] = f"{find_binaries()}:{env['PATH']}"
        return env

    def follow(self) -> None:
        """Run all commands, in their order, and edit the files as an operator would."""
        for line in commands():
            command = self.here(line)
            if line.startswith(LEFT_OUT) or line.startswith("cd "):
                continue
            env = self.environment()
            if "createuser" in line or "createdb" in line:
                env |= {"PGHOST": "127.0.0.1", "PGPORT": str(self.database.port), "PGUSER": "django"}
            if "manage_ws.py" in line:
                command = f"set -a && . {self.directory}/etc/mysite.env && set +a && {command}"
            run = subprocess.run(
                ["sh", "-ec", command],
                cwd=self.project,
                env=env,
                capture_output=True,
                text=True,
                timeout=deadline(60),
            )
            assert run.returncode == 0, (command, run.stderr)
            if "mysite.env /etc" in line:
                self._edit_environment()
        for name in ("mysite.service", "mysite.socket"):
            path = self.directory / "etc" / "systemd" / "system" / name
            path.write_text(self.here(path.read_text()))

    def _edit_environment(self) -> None:
        path = self.directory / "etc" / "mysite.env"
        assert path.stat().st_mode & 0o777 == 0o600
        text = path.read_text()
        for old, new in {
            "SECRET_KEY=change-me": "SECRET_KEY='a long $ecret'",
            "ALLOWED_HOSTS=example.com": "ALLOWED_HOSTS=localhost",
            "redis://127.0.0.1:6379/0": self.redis.url,
            "PGHOST=/run/postgresql": f"PGHOST=127.0.0.1\nPGPORT={self.database.port}",
        }.items():
            assert old in text
            text = text.replace(old, new)
        path.write_text(text)

    def spread(self) -> dict[str, int]:
        """How many members of the lobby each worker has."""
        with self.redis.client() as client:
            keys = client.scan_iter("django-websocket:{chat.lobby}:p:*")
            return {key.decode(): client.hlen(key) for key in keys if client.hlen(key)}


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    with short_directory() as directory, postgres() as database, redis_server(directory) as redis:
        machine = Machine(directory, database, redis)
        machine.follow()
        yield machine


@pytest.fixture(scope="module")
def unit(machine: Machine) -> Iterator[Unit]:
    units = machine.directory / "etc" / "systemd" / "system"
    env = machine.environment() | {"GUNICORN_CMD_ARGS": "--workers 2"}
    with serve_unit(units / "mysite.service", units / "mysite.socket", machine.directory, env) as unit:
        yield unit


@pytest.fixture(scope="module")
def front(machine: Machine, unit: Unit) -> Iterator[Front]:
    certificate = Certificate(machine.directory)
    upstream = f"unix:{machine.directory}/run/mysite.sock"
    static = machine.project / "server" / "static"
    with serve_front("nginx", upstream, machine.directory / "nginx", certificate=certificate, static=static) as front:
        yield front


def enter_another_worker(member: Member, machine: Machine) -> None:
    """Come in again and again, until the two in the lobby are with two workers."""
    for _ in range(200):
        member.enter()
        wait_until(lambda: sum(machine.spread().values()) == 2, 20, "two are in")
        if len(machine.spread()) == 2:
            return
        member.leave()
        wait_until(lambda: sum(machine.spread().values()) == 1, 20, "one is in")
    raise AssertionError("each time with the same worker")


def test_the_chapter(machine: Machine, unit: Unit, front: Front) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(unit.started())
        wait_until(lambda: len(server.workers()) == 2, 20, "two workers")
        css = (machine.project / "server" / "static" / "admin" / "css" / "base.css").read_text()
        assert front.ask("/static/admin/css/base.css") == (200, css)
        ann, bob = Member(front, "ann"), Member(front, "bob")
        stack.callback(ann.leave)
        stack.callback(bob.leave)
        assert machine.database.ask("SELECT count(*) FROM pg_database WHERE datname = 'mysite'") == "1"
        assert "lobby" in ann.get("/chat/")

        ann.enter()
        enter_another_worker(bob, machine)
        ann.wait_for_members("ann", "bob")
        ann.say("Hello, Bob")
        bob.wait_for("Hello, Bob")
        bob.say("Grüße")
        ann.wait_for("Grüße")
        restarted(unit, server, front, (ann, bob), stack)
        # What was said before the restart is not said again, and nothing of what comes is lost.
        bob.enter()
        bob.say("Back so soon")
        ann.enter()
        ann.wait_for("Back so soon")
        ann.say("Yes")
        for member in (ann, bob):
            member.wait_for("Yes")
        assert ann.heard == bob.heard == ["ann: Hello, Bob", "bob: Grüße", "bob: Back so soon", "ann: Yes"]
    log = unit.log.read_text()
    assert "Traceback" not in log
    assert "127.0.0.2 [" in log
    assert '"GET /chat/lobby/socket/?since=0 HTTP/1.1" 101 ' in log


def restarted(unit: Unit, server: Gunicorn, front: Front, members: tuple[Member, ...], stack: ExitStack) -> None:
    """``systemctl restart``: nobody who asks for a page is refused, and the members are told to come back."""
    with Regular("visits", visits(front)) as visitor:
        server.process.send_signal(signal.SIGTERM)
        for member in members:
            with pytest.raises(ConnectionClosed) as closed:
                member.wait(lambda message: False)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1012
            member.leave()
        unit.stop(server)
        stack.enter_context(unit.started())
        done = visitor.done
        wait_until(lambda: visitor.done > done + 5, 20, "pages again")
    assert visitor.faults == []


def test_all_commands_are_known() -> None:
    """A command is either run here, or one that can't be."""
    run = [line for line in commands() if not line.startswith((*LEFT_OUT, "cd "))]
    assert [shlex.split(line)[0] for line in run] == [
        *("runuser", "runuser", "install", "set", "runuser", ".venv/bin/python", ".venv/bin/python", "cp", "cp"),
    ]
