"""The files of server/deploy/, read by the programs that they are for, and one against the other."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT
from tests.deadlines import deadline

from .served import DEPLOY, demo_environment, substituted
from .units import read_unit

SETTINGS = (ROOT / "server" / "settings.py").read_text()

#: What libpq reads.
LIBPQ = {"PGHOST", "PGPORT", "PGUSER", "PGPASSWORD", "PGDATABASE", "PGSSLMODE"}


def is_read(variable: str) -> bool:
    return variable in LIBPQ or f'environ.get("{variable}"' in SETTINGS


@pytest.fixture
def units(tmp_path: Path) -> list[str]:
    """The units, with programs that exist on this machine."""
    written = []
    for name in ("mysite.service", "mysite.socket"):
        path = tmp_path / name
        gunicorn = str(Path(sys.executable).with_name("gunicorn"))
        program = {"/srv/mysite/.venv/bin/gunicorn": gunicorn} if name.endswith(".service") else {}
        path.write_text(substituted(name, program))
        written.append(str(path))
    return written


def analyze(program: Callable[..., str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [program("systemd-analyze"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=deadline(60))


def test_systemd_understands_the_units(units: list[str], program: Callable[..., str]) -> None:
    run = analyze(program, "verify", *units)
    assert (run.returncode, run.stdout + run.stderr) == (0, "")


def test_systemd_would_tell_what_is_wrong(units: list[str], program: Callable[..., str]) -> None:
    path = Path(units[0])
    path.write_text(path.read_text().replace("ProtectSystem=strict", "ProtectSystem=stricter"))
    run = analyze(program, "verify", *units)
    assert "stricter" in run.stderr


def test_the_service_is_confined(units: list[str], program: Callable[..., str]) -> None:
    run = analyze(program, "security", "--offline=true", "--threshold=20", "--no-pager", units[0])
    assert run.returncode == 0, run.stdout + run.stderr
    assert "OK" in run.stdout.splitlines()[-1]


def configuration() -> dict[str, Any]:
    """What gunicorn.conf.py sets, of constants."""
    found = {}
    for statement in ast.parse((DEPLOY / "gunicorn.conf.py").read_text()).body:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            try:
                found[statement.targets[0].id] = ast.literal_eval(statement.value)
            except ValueError:
                pass
    return found


def test_nobody_kills_before_gunicorn_has_stopped() -> None:
    graceful = configuration()["graceful_timeout"]
    assert int(read_unit(DEPLOY / "mysite.service")["TimeoutStopSec"]) > graceful
    web = compose()["services"]["web"]
    assert int(web["stop_grace_period"].removesuffix("s")) > graceful


def test_gunicorn_reads_its_configuration(tmp_path: Path) -> None:
    """Each name that it sets is one that gunicorn knows; unknown ones it would ignore."""
    command = [
        str(Path(sys.executable).with_name("gunicorn")),
        "-c",
        str(DEPLOY / "gunicorn.conf.py"),
        "--print-config",
    ]
    run = subprocess.run(
        command, cwd=ROOT, env=demo_environment(tmp_path), capture_output=True, text=True, timeout=deadline(60)
    )
    assert run.returncode == 0, run.stderr
    known = {line.partition(" ")[0] for line in run.stdout.splitlines()}
    # Older versions have no such socket.
    assert set(configuration()) - known <= {"control_socket_disable"}
    assert {"worker_class", "bind", "graceful_timeout"} <= set(configuration())


def test_the_environment_is_read() -> None:
    names = read_unit(DEPLOY / "mysite.env")
    assert [name for name in names if not is_read(name)] == []
    # And each that the settings read is there, but for the other database.
    assert set(re.findall(r'environ.get\("(\w+)"', SETTINGS)) - set(names) == {"DATABASE"}


def compose() -> Any:
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())


def test_compose_refers_to_what_exists() -> None:
    file = compose()
    services, volumes = file["services"], file["volumes"]
    for service in services.values():
        assert set(service.get("depends_on", {})) <= set(services)
        for condition in (one["condition"] for one in service.get("depends_on", {}).values()):
            assert condition in ("service_healthy", "service_completed_successfully")
        for name, wanted in service.get("depends_on", {}).items():
            assert wanted["condition"] != "service_healthy" or "healthcheck" in services[name]
        for source in (volume.split(":")[0] for volume in service.get("volumes", [])):
            assert source in volumes or (DEPLOY / source).exists(), source
    web = services["web"]
    assert [name for name in web["environment"] if not is_read(name)] == []
    assert (DEPLOY / web["build"]["context"] / web["build"]["dockerfile"]).exists()
    assert web["environment"]["PGHOST"] in services
    assert web["environment"]["REDIS_URL"].split("/")[2].split(":")[0] in services
    assert services["caddy"]["environment"]["UPSTREAM"] == "web:8000"
    assert web["environment"]["PGUSER"] == services["postgres"]["environment"]["POSTGRES_USER"]
    assert web["environment"]["PGDATABASE"] == services["postgres"]["environment"]["POSTGRES_DB"]


def instructions() -> list[tuple[str, str]]:
    """Those of the Containerfile."""
    text = (DEPLOY / "Containerfile").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(line.split(" ", 1)[0], line.split(" ", 1)[1].strip()) for line in lines]


def test_what_the_container_copies_suffices(tmp_path: Path) -> None:
    """The server's checks, its migrations, its static files and its wheel need no other file of the project."""
    for instruction, rest in instructions():
        if instruction == "COPY":
            *sources, target = rest.split()
            for source in sources:
                if (ROOT / source).is_dir():
                    ignored = shutil.ignore_patterns("__pycache__", "static", "*.sqlite3")
                    shutil.copytree(ROOT / source, tmp_path / target, ignore=ignored)
                else:
                    shutil.copy(ROOT / source, tmp_path / target)
    env = demo_environment(tmp_path, PYTHONPATH=str(tmp_path))
    for command in (["check"], ["migrate"], ["collectstatic", "--noinput"]):
        run = subprocess.run(
            [sys.executable, "manage_ws.py", *command], cwd=tmp_path, env=env, capture_output=True, text=True
        )
        assert run.returncode == 0, run.stderr
    assert (tmp_path / "server" / "static" / "admin" / "css" / "base.css").exists()
    build = "import setuptools.build_meta as backend; backend.build_wheel('.')"
    built = subprocess.run([sys.executable, "-c", build], cwd=tmp_path, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr


def test_the_container_installs_extras_that_exist() -> None:
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    (installed,) = re.findall(r'"\.\[([\w,]+)\]"', (DEPLOY / "Containerfile").read_text())
    assert set(installed.split(",")) <= set(setup["options.extras_require"])


def test_the_containers_command_serves(tmp_path: Path) -> None:
    (command,) = [json.loads(rest) for instruction, rest in instructions() if instruction == "CMD"]
    command[0] = str(Path(sys.executable).with_name(command[0]))
    command[command.index("0.0.0.0:8000")] = "127.0.0.1:0"
    run = subprocess.run(
        [*command, "--check-config"],
        cwd=ROOT,
        env=demo_environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=deadline(60),
    )
    assert run.returncode == 0, run.stderr


def test_each_file_says_what_it_is_for() -> None:
    for path in DEPLOY.iterdir():
        if path.is_file() and path.suffix != ".json":  # which knows no comments
            first = " ".join(path.read_text().splitlines()[:3])
            assert first.startswith(("#", '"""')), path.name
            assert "hange" in first or "Set " in first, path.name


def test_all_files_are_in_the_chapter() -> None:
    chapter = (ROOT / "docs" / "howto" / "deploying.rst").read_text()
    for name in os.listdir(DEPLOY):
        if (DEPLOY / name).is_file():
            assert f"server/deploy/{name}" in chapter, name
