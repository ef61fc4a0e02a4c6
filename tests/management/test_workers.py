"""``runwsserver --workers``."""

from __future__ import annotations

import selectors
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from websockets.sync.client import unix_connect

from django_websocket.serving.runserver import workers
from tests.certificates import client_context, write_certificate
from tests.deadlines import deadline, wait_until
from tests.over_tls import connect_over_tls
from tests.ports import free_port
from tests.site.running import RawSocket

from .projects import running

MANAGE = [sys.executable, "manage.py", "runwsserver"]


def test_gunicorn_serves_the_project(pristine: Path, env: dict[str, str], tmp_path: Path) -> None:
    path = write_certificate(tmp_path / "certificate.pem")
    port = free_port()
    command = [*MANAGE, "--workers", "2", "--certificate", str(path), f"127.0.0.1:{port}"]
    env = {**env, "HOME": str(tmp_path)}
    with running(command, pristine, env) as server:
        wait_until(lambda: server.output.count("Booting worker with pid") == 2, 30, "two workers")
        assert "System check identified no issues" in server.output
        with connect_over_tls(f"wss://127.0.0.1:{port}/lower-case/", client_context()) as client:
            client.send("Hello")
            assert client.recv(timeout=deadline(20)) == "hello"
        server.wait_for('"GET /lower-case/ HTTP/1.1" 101')
        assert server.end(signal.SIGTERM) == 0


def test_a_unix_socket(pristine: Path, env: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "socket"
    command = [*MANAGE, "--workers", "1", "--socket-mode", "660", f"unix:{path}"]
    with running(command, pristine, {**env, "HOME": str(tmp_path)}) as server:
        server.wait_for("Booting worker with pid", 30)
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        with unix_connect(str(path), "ws://localhost/lower-case/") as client:
            client.send("Hello")
            assert client.recv(timeout=deadline(20)) == "hello"
        assert server.end(signal.SIGTERM) == 0
    assert not path.exists()


def test_the_files_of_a_umask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_umask", lambda: 0o022)
    command = workers.gunicorn_command("unix:/run/site", 1)
    assert command[command.index("--umask") + 1] == "0o22"


def test_without_gunicorn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"pip install 'django-websocket\[gunicorn\]'"):
        workers.gunicorn_command("127.0.0.1:8000", 2)


@pytest.mark.parametrize("elsewhere", [False, True])
def test_django_itself_as_the_program(pristine: Path, env: dict[str, str], tmp_path: Path, elsewhere: bool) -> None:
    command = [sys.executable, "-m", "django", "runwsserver", "--workers", "1", "--settings", "mysite.settings"]
    command += ["--pythonpath", str(pristine)] if elsewhere else []
    port = free_port()
    directory = tmp_path if elsewhere else pristine
    with running([*command, f"127.0.0.1:{port}"], directory, {**env, "HOME": str(tmp_path)}) as server:
        server.port = port
        server.wait_for("Booting worker with pid", 30)
        with server.connect("/lower-case/") as client:
            client.send("Hello")
            assert client.recv(timeout=deadline(20)) == "hello"
        assert server.end(signal.SIGTERM) == 0


@pytest.mark.parametrize("number", ["0", "-1", "two", "100000"])
def test_a_wrong_number(pristine: Path, env: dict[str, str], number: str) -> None:
    ended = subprocess.run(
        [*MANAGE, "--workers", number], cwd=pristine, env=env, capture_output=True, text=True, timeout=deadline(30)
    )
    assert ended.returncode == 2
    assert "not a number from 1 to 1024" in ended.stderr or "expected one argument" in ended.stderr


def test_a_server_that_is_told_to_stop_sends_websockets_away_one_after_the_other(
    pristine: Path, env: dict[str, str]
) -> None:
    with running([*MANAGE, "--noreload", "0"], pristine, env) as server, selectors.DefaultSelector() as selector:
        server.wait_until_serving()
        clients = [RawSocket(server.port, "/lower-case/").opened() for _ in range(40)]
        for client in clients:
            selector.register(client.sock, selectors.EVENT_READ, client)
        began = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        closed = 0
        while closed < len(clients):
            ready = selector.select(deadline(20))
            assert ready, f"{closed} closed"
            for key, _ in ready:
                selector.unregister(key.fileobj)
                closed += 1
                assert key.data.frame() == (0x88, b"\x03\xe9server is stopping")
                key.data.shut_down()
        # We may have been held up when the first was closed, but hear of none too early.
        assert time.monotonic() - began > 1
        assert server.process.wait(deadline(20)) == 0
        for client in clients:
            client.sock.close()
