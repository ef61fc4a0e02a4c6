"""``runwsserver --certificate``."""

from __future__ import annotations

import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import websocket
from django.core.management.base import CommandError
from websockets.typing import Origin

from django_websocket.management.commands.runwsserver import Command
from tests.certificates import client_context, write_certificate
from tests.deadlines import deadline
from tests.over_tls import connect_over_tls

from .projects import RunningServer, running

MANAGE = [sys.executable, "manage.py", "runwsserver"]


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    return write_certificate(tmp_path / "certificate.pem")


@pytest.fixture
def server(certificate: Path, pristine: Path, env: dict[str, str]) -> Iterator[RunningServer]:
    command = [*MANAGE, "--noreload", "--certificate", str(certificate), "0"]
    with running(command, pristine, env) as server:
        server.wait_until_serving()
        yield server


def test_websockets(server: RunningServer) -> None:
    assert f"https://127.0.0.1:{server.port}/ and wss://127.0.0.1:{server.port}/" in server.output
    url = f"wss://127.0.0.1:{server.port}/lower-case/"
    origin = Origin(f"https://127.0.0.1:{server.port}")
    with connect_over_tls(url, client_context(), origin=origin) as client:
        client.send("Hello")
        assert client.recv(timeout=deadline(10)) == "hello"
        large = "X" * 1_000_000
        client.send(large)
        assert client.recv(timeout=deadline(20)) == large.lower()
    other = websocket.create_connection(url, sslopt={"context": client_context()}, timeout=deadline(10))
    other.send("Hello")
    assert other.recv() == "hello"
    other.close()
    with pytest.raises(Exception, match="403"):
        connect_over_tls(url, client_context(), origin=Origin(f"http://127.0.0.1:{server.port}"))


def test_the_certificate_is_read_again(server: RunningServer, certificate: Path) -> None:
    first = shown(server.port)
    certificate.write_text("nothing")
    server.process.send_signal(signal.SIGHUP)
    server.wait_for("The certificate in use stays: There is no certificate (in PEM format)")
    assert shown(server.port) == first
    write_certificate(certificate)
    server.process.send_signal(signal.SIGHUP)
    server.wait_for("Read the certificate again")
    assert shown(server.port) != first


def test_a_certificate_for_development(pristine: Path, env: dict[str, str], tmp_path: Path) -> None:
    env = {**env, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    seen = []
    for _ in range(2):
        with running([*MANAGE, "0", "--certificate"], pristine, env) as server:
            server.wait_until_serving()
            context = ssl.create_default_context(cafile=tmp_path / "cache" / "django-websocket" / "authority.pem")
            with connect_over_tls(f"wss://localhost:{server.port}/lower-case/", context) as client:
                client.send("Hello")
                assert client.recv(timeout=deadline(10)) == "hello"
            seen.append(shown(server.port))
    assert seen[0] == seen[1]
    key = tmp_path / "cache" / "django-websocket" / "certificate.pem"
    assert key.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("--certificate missing.pem", "No such file or directory: 'missing.pem'"),
        ("--certificate manage.py", "There is no certificate (in PEM format) in manage.py."),
        ("--key manage.py", "--key needs --certificate."),
        ("--key manage.py --certificate", "--key needs a file behind --certificate."),
    ],
)
def test_what_can_not_be(pristine: Path, env: dict[str, str], options: str, says: str) -> None:
    command = [*MANAGE, "0", *options.split()]
    ended = subprocess.run(command, cwd=pristine, env=env, capture_output=True, text=True, timeout=deadline(30))
    assert ended.returncode == 1
    assert says in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_certificate_for_development_needs_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr("pwd.getpwuid", {}.__getitem__)
    with pytest.raises(CommandError, match="home directory"):
        Command().find_certificate("", None)


def shown(port: int) -> bytes:
    """The certificate that a server shows."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", port), deadline(10)) as sock,
        context.wrap_socket(sock) as secure,
    ):
        certificate = secure.getpeercert(binary_form=True)
        assert certificate is not None
        return certificate
